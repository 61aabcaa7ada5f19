//! A name in a directory that the program may write, and what is done with it.

use alloc::rc::Rc;
use core::ffi::{c_int, c_uint};

use super::super::memory::{self, For, Reserved};
use super::super::pair::Pair;
use super::super::parts::{Errno, Result};
use super::contents::Contents;
use super::lookup::find;
use super::node::{Directory, Kind, Node, REGULAR};
use super::temporary::{DIRECTORY_COST, NAME_COST, NODE_COST};
use super::tree::{Found, LONGEST};
use crate::errno::{EBUSY, EEXIST, ENAMETOOLONG, ENOENT, EROFS};

/// The bits of a mode that are permissions.
pub(super) const PERMISSIONS: u32 = 0o7777;
/// `umask` has no effect: there is one user, and permissions are not checked.
pub(super) const MASK: c_uint = 0o022;

/// The name that a path ends with, and the directory that has it.
pub(super) struct Entry {
    pub(super) directory: Rc<Node>,
    pub(super) name: Rc<[u8]>,
    pub(super) node: Option<Rc<Node>>,
    /// The path goes on with a slash, so that only a directory is meant.
    pub(super) slash: bool,
}

impl Entry {
    /// What a path ends with; a symbolic link there is not followed, whether or not a slash is behind it. May wait.
    ///
    /// # Errors
    ///
    /// The first of `instead` for a path that ends with `.`, the second for `..`, the third for the root: those are no
    /// names that a call could change. For all else as [`find`].
    pub(super) fn at(dir: c_int, path: &[u8], instead: [c_int; 3]) -> Result<Entry> {
        if path.is_empty() || path.len() > LONGEST.0 {
            return Err(Errno(if path.is_empty() { ENOENT } else { ENAMETOOLONG }));
        }
        let end = path.iter().rposition(|&c| c != b'/').map_or(0, |at| at + 1);
        let start = path[..end].iter().rposition(|&c| c == b'/').map_or(0, |at| at + 1);
        let above = if start == 0 { b"." } else { &path[..start] };
        let directory = find(dir, above, true)?.node.ok_or(Errno(ENOENT))?;
        let name = &path[start..end];
        let [dot, dots, root] = instead;
        match name {
            b"" => return Err(Errno(root)),
            b"." => return Err(Errno(dot)),
            b".." => return Err(Errno(dots)),
            name if name.len() > LONGEST.1 => return Err(Errno(ENAMETOOLONG)),
            _ => {}
        }
        let node = directory.child(name)?;
        memory::need(memory::THING)?;
        Ok(Entry { directory, name: name.into(), node, slash: end < path.len() })
    }

    /// A name that is to be given to something new.
    ///
    /// # Errors
    ///
    /// EEXIST; ENOENT with a slash behind it, unless it is to be a directory's.
    pub(super) fn free(dir: c_int, path: &[u8], is_directory: bool) -> Result<Entry> {
        let entry = Entry::at(dir, path, [EEXIST; 3])?;
        match entry.node {
            Some(_) => Err(Errno(EEXIST)),
            None if entry.slash && !is_directory => Err(Errno(ENOENT)),
            None => Ok(entry),
        }
    }

    pub(super) fn directory(&self) -> Result<&Directory> {
        match &self.directory.kind {
            Kind::Directory(directory) if self.directory.is_changeable() => Ok(directory),
            _ => Err(Errno(EROFS)),
        }
    }

    /// Whether the name still is what it was when it was looked up. What was looked up next may have waited for a disk.
    pub(super) fn is_current(&self) -> bool {
        match (self.directory.own_child(&self.name), &self.node) {
            (Some(now), Some(node)) => Rc::ptr_eq(&now, node),
            // It lies elsewhere.
            (None, Some(node)) => !node.is_changeable(),
            (now, None) => now.is_none(),
        }
    }

    /// Gives the name to a node. `space` is what the name takes.
    ///
    /// # Errors
    ///
    /// EEXIST, EROFS; ENOENT in a directory that was removed.
    pub(super) fn insert(&self, node: Rc<Node>, space: Reserved) -> Result {
        self.directory()?;
        if self.node.is_some() || !self.is_current() {
            return Err(Errno(EEXIST));
        }
        if self.directory.links.get() == 0 {
            return Err(Errno(ENOENT));
        }
        let deeper = u64::from(node.is_directory());
        self.directory.put(Rc::clone(&self.name), node, space);
        self.directory.links.set(self.directory.links.get() + deeper);
        self.directory.touch(0..0);
        Ok(())
    }

    /// Memory for the name.
    ///
    /// # Errors
    ///
    /// ENOSPC.
    pub(super) fn space(&self) -> Result<Reserved> {
        let space = Reserved::new(For::Files);
        space.set(self.cost())?;
        Ok(space)
    }

    fn cost(&self) -> usize {
        NAME_COST + self.name.len()
    }

    /// Makes a new node and gives it the name.
    ///
    /// # Errors
    ///
    /// As [`insert`](Entry::insert); ENOSPC, ENOMEM.
    pub(super) fn make(&self, mode: u32, kind: Kind) -> Result<Rc<Node>> {
        self.directory()?;
        // For the node and the name, and to note both.
        memory::need(2 * memory::THING)?;
        let space = Reserved::new(For::Files);
        space.set(match &kind {
            Kind::Directory(_) => NODE_COST + DIRECTORY_COST,
            Kind::Link(target) => NODE_COST + target.len(),
            // Its memory stays as long as a name refers to it, even if it is closed.
            Kind::Socket(_) => NODE_COST + size_of::<Pair>(),
            _ => NODE_COST,
        })?;
        let name = self.space()?;
        let node = self.directory.beside(mode, kind, space);
        self.insert(Rc::clone(&node), name).inspect_err(|_| {
            node.links.set(0);
            node.note(0..0);
        })?;
        Ok(node)
    }

    /// Removes the name from its directory. Returns the space that the name took.
    ///
    /// # Errors
    ///
    /// EROFS; EBUSY for a directory that is mounted there; ENOMEM where it has to be noted; ENOENT if the name is not the
    /// node's any more.
    pub(super) fn remove(&self) -> Result<Reserved> {
        let space = self.forget()?;
        if let Some(node) = &self.node {
            node.note(0..0);
        }
        Ok(space)
    }

    /// The same, for a node that may get another name at once.
    fn forget(&self) -> Result<Reserved> {
        let node = self.node.as_ref().ok_or(Errno(ENOENT))?;
        self.directory()?;
        // What a ramdisk or a disk has there is not the program's.
        if !node.is_changeable() {
            return Err(Errno(EROFS));
        }
        self.check_not_mounted()?;
        if !self.is_current() {
            return Err(Errno(ENOENT));
        }
        node.room_to_note(0)?;
        let removed = self.directory.take(&self.name).ok_or(Errno(ENOENT))?;
        if node.is_directory() {
            self.directory.links.set(self.directory.links.get() - 1);
            node.links.set(0);
        } else {
            node.links.set(node.links.get() - 1);
        }
        self.directory.touch(0..0);
        Ok(removed.space)
    }

    /// EBUSY for a directory that is mounted here: it stays.
    pub(super) fn check_not_mounted(&self) -> Result {
        match &self.node {
            Some(node) if node.device != self.directory.device => Err(Errno(EBUSY)),
            _ => Ok(()),
        }
    }

    /// Renames what has this name; the new name must be free, or that of something that may be replaced. Does not wait,
    /// so that no other thread finds the file without a name.
    ///
    /// # Errors
    ///
    /// EROFS, ENOMEM; ENOSPC if the new name is longer. Nothing has changed then.
    pub(super) fn rename(&self, to: Entry) -> Result {
        let node = self.node.clone().ok_or(Errno(ENOENT))?;
        memory::need(4 * memory::THING)?;
        let links = node.links.get();
        let space = match to.node {
            // Its name has memory already.
            Some(_) => {
                let space = to.remove()?;
                self.forget()?;
                space
            }
            None => {
                if let Some(named) = self.directory()?.own.borrow().get(&*self.name) {
                    named.space.set(to.cost())?;
                }
                self.forget()?
            }
        };
        node.links.set(links);
        node.note(0..0);
        Entry { node: None, ..to }.insert(node, space)
    }
}

/// A new file, which `open` makes.
pub(super) fn create(found: Found, mode: c_uint) -> Result<Rc<Node>> {
    // With a name that is not there, a place has its directory.
    let Found { mut place, node } = found;
    let (name, directory) = place.pop().ok_or(Errno(EBUSY))?;
    let entry = Entry { directory, name, node, slash: false };
    entry.make(REGULAR | mode & PERMISSIONS & !MASK, Kind::Written(Contents::new()))
}
