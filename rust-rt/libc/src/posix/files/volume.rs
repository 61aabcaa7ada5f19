//! Volumes: read-only files that the image supplies, such as those of a disk, and how a call waits for them.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use super::super::block;
use super::super::memory;
use super::super::parts::{PartMut, Result, room, scatter};
use super::node::{DIRECTORY, Directory, Elsewhere, Kind, LINK, Name, Node, REGULAR, TYPE, Use};

/// An answer that takes time. Errors are those of Linux.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// Read-only files that the image gives. Each has a number, never the same as another's.
pub trait Volume {
    /// What has this name in a directory, if something has. Neither `.` nor `..` is asked for.
    fn lookup(&self, directory: u64, name: &[u8]) -> Later<Option<Found>>;

    /// The names in a directory, without `.` and `..`: numbers, and types as the mode has them.
    fn list(&self, directory: u64) -> Later<Vec<(Vec<u8>, u64, u32)>>;

    /// At most `most` bytes of a file, from `offset` on; fewer only at the end.
    fn read(&self, file: u64, offset: u64, most: usize) -> Later<Vec<u8>>;
}

/// What has a name.
pub struct Found {
    /// Its number.
    pub number: u64,
    /// Type and permissions: C's `st_mode`.
    pub mode: u32,
    /// Names that it has.
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub modified: u64,
    /// The target of a symbolic link; empty for all else.
    pub target: Vec<u8>,
}

/// A file or a directory of a volume.
struct Far {
    volume: Rc<dyn Volume>,
    number: u64,
}

/// Bytes that are asked for at a time.
const STEP: usize = 1 << 20;

impl Far {
    fn lookup(&self, name: &[u8]) -> Result<Option<Found>> {
        block::wait(self.volume.lookup(self.number, name))
    }

    /// Another one of the same volume.
    fn beside(&self, number: u64) -> Rc<Far> {
        Rc::new(Far { volume: Rc::clone(&self.volume), number })
    }

    /// At most `most` bytes of the file, and not more than are asked for at a time.
    fn bytes(&self, offset: u64, most: usize) -> Result<Vec<u8>> {
        block::wait(self.volume.read(self.number, offset, most.min(STEP)))
    }

    /// Merges this directory into another one, and its subdirectories into those of that one. Waits.
    fn graft(self: Rc<Self>, above: &Node) -> Result {
        for (name, node) in above.own_directories() {
            let found = self.lookup(&name)?.filter(|found| found.mode & TYPE == DIRECTORY);
            if let Some(found) = found {
                self.beside(found.number).graft(&node)?;
            }
        }
        above.see_below(self)
    }
}

/// Merges the root directory of a volume into a directory of the program. Waits.
pub(super) fn graft(above: &Node, volume: Rc<dyn Volume>, root: u64) -> Result {
    Rc::new(Far { volume, number: root }).graft(above)
}

impl Elsewhere for Far {
    fn child(&self, name: &[u8]) -> Result<Option<Rc<Node>>> {
        let Some(found) = self.lookup(name)? else { return Ok(None) };
        memory::need(memory::THING + found.target.len())?;
        let Found { number, mode, links, size, modified, target } = found;
        let far = self.beside(number);
        let kind = match mode & TYPE {
            DIRECTORY => Kind::Directory(Directory::default()),
            REGULAR => Kind::Far(Rc::<Far>::clone(&far), size),
            LINK => Kind::Link(target.into()),
            // Devices and the like: those that exist are there anyway.
            _ => return Ok(None),
        };
        let node = Node::elsewhere(number, mode, links, modified, kind);
        if node.is_directory() {
            node.see_below(far)?;
        }
        Ok(Some(node))
    }

    fn add_names(&self, names: &mut Vec<Name>) -> Result {
        let list = block::wait(self.volume.list(self.number))?;
        let own = names.len();
        memory::reserve(names, list.len())?;
        for (name, inode, mode) in list {
            let is_file = [DIRECTORY, REGULAR, LINK].contains(&(mode & TYPE));
            if is_file && names[..own].binary_search_by(|(own, ..)| (**own).cmp(&name)).is_err() {
                memory::need(2 * name.len() + 64)?;
                names.push((name.into(), inode, (mode >> 12 & 15) as u8));
            }
        }
        Ok(())
    }

    fn with_bytes(&self, offset: u64, most: usize, f: Use<'_>) -> Result<usize> {
        f(&self.bytes(offset, most)?)
    }

    fn read(&self, parts: &mut [PartMut], offset: u64) -> Result<usize> {
        let mut done = 0;
        loop {
            let rest = &mut PartMut::behind(parts, done)?[..];
            let bytes = match self.bytes(offset.saturating_add(done as u64), room(rest)) {
                Ok(bytes) => bytes,
                Err(error) if done == 0 => return Err(error),
                // The error is reported the next time.
                Err(_) => return Ok(done),
            };
            done += scatter(&bytes, rest);
            if bytes.len() < STEP {
                return Ok(done);
            }
        }
    }
}
