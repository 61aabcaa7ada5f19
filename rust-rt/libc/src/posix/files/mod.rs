//! Files: what a ramdisk or the program itself brought, a few that every program may look for, and those that it
//! writes, [for a time](temporary) or [to stay](persistent). Other changes fail with EROFS.

#[cfg(test)]
mod archive_tests;
mod below;
mod block;
pub(super) mod calls;
pub(super) mod changes;
mod contents;
mod cpio;
pub(super) mod directory;
mod entry;
mod inotify;
pub(super) mod keeper;
mod listing;
pub(super) mod locks;
pub(super) mod lookup;
mod machine;
mod mapped;
mod mounting;
#[cfg(test)]
mod mounting_tests;
pub(super) mod nameless;
mod node;
mod persistent;
#[cfg(test)]
mod persistent_tests;
mod place;
mod ramdisk;
mod root;
mod seals;
mod sockets;
pub(super) mod space;
mod store;
mod temporary;
mod tree;
pub(super) mod unique;
mod unsaved;
mod volume;
#[cfg(test)]
mod volume_tests;
#[cfg(test)]
mod waiting_tests;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;

use super::events::Events;
use super::object::{Object, downcast};
use super::parts::{Errno, Part, PartMut, Result, room, scatter, total};
use super::table::{self, O_APPEND};
use super::turns::Turn;
use super::watch::Watchers;
use crate::errno::{EACCES, EBADF, EINVAL, EIO, EISDIR, ENODEV, ENOMEM, ENXIO, EPERM};
use crate::host;
use crate::layout::Stat;
use listing::Listing;
use node::{Device, Kind, Node, Use};
use place::Place;

pub use keeper::commit_all as commit_files;
pub use mounting::mount_store;
pub(super) use root::contents;
pub use root::{add, mount, mount_volume};
pub(super) use sockets::{SocketPlace, socket};
pub use store::{Changes, Store};
pub use volume::{Found, Later, Volume};

/// An open file, directory or device.
pub(super) struct File {
    node: Rc<Node>,
    /// What is [kept](place::kept) of where it is, for a directory that other paths start from.
    place: Place,
    /// What was made when it was opened.
    made: Vec<u8>,
    offset: Cell<u64>,
    /// The names in a directory, as they were when its reader began.
    listing: RefCell<Option<Rc<Listing>>>,
    /// Writing begins at the end.
    append: Cell<bool>,
    watchers: Watchers,
}

impl File {
    fn new(node: Rc<Node>, place: Place, flags: c_int) -> Rc<Self> {
        let made = if let Kind::Made(make) = node.kind { make() } else { Vec::new() };
        let append = Cell::new(flags & O_APPEND != 0);
        let place = place::kept(&node, place);
        let (offset, listing, watchers) = (Cell::new(0), RefCell::default(), Watchers::new());
        Rc::new(File { node, place, made, offset, listing, append, watchers })
    }

    fn contents(&self) -> Result<&[u8]> {
        match &self.node.kind {
            Kind::File(data) => Ok(data),
            Kind::Link(target) => Ok(target),
            Kind::Made(_) => Ok(&self.made),
            Kind::Directory(_) => Err(Errno(EISDIR)),
            Kind::Device(_) | Kind::Far(..) | Kind::Written(_) | Kind::Socket(_) => {
                Err(Errno(EINVAL))
            }
        }
    }

    /// Bytes in it.
    fn size(&self) -> Result<u64> {
        match &self.node.kind {
            Kind::Far(_, size) => Ok(*size),
            Kind::Written(contents) => Ok(contents.len()),
            _ => Ok(self.contents()?.len() as u64),
        }
    }

    /// Where what is appended goes.
    pub(super) fn end(&self) -> u64 {
        self.size().unwrap_or(0)
    }

    /// Calls `f` with at most `n` bytes from an offset on. May wait before that.
    pub(super) fn with_bytes_at(&self, offset: i64, n: usize, f: Use<'_>) -> Result<usize> {
        match &self.node.kind {
            Kind::Far(far, _) => far.with_bytes(offset as u64, n, f),
            Kind::Written(contents) => {
                // A copy, because the file may change while `f` waits.
                let left = contents.len().saturating_sub(offset as u64);
                let mut bytes = Vec::new();
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(n);
                bytes.try_reserve_exact(n).map_err(|_| Errno(ENOMEM))?;
                bytes.resize(n, 0);
                let n = contents.read(&mut [PartMut::new(&mut bytes)], offset as u64)?;
                f(&bytes[..n])
            }
            _ => f(self.near_bytes_at(offset, n)?),
        }
    }

    fn near_bytes_at(&self, offset: i64, n: usize) -> Result<&[u8]> {
        let contents = self.contents()?;
        let start = usize::try_from(offset).map_err(|_| Errno(EINVAL))?.min(contents.len());
        Ok(&contents[start..][..n.min(contents.len() - start)])
    }

    /// Whether everything written goes to the end (`O_APPEND`).
    pub(super) fn appends(&self) -> bool {
        self.append.get()
    }

    /// `pwrite`. A file that [appends](File::appends) is written at this offset too. May wait if the file persists.
    pub(super) fn write_at(&self, parts: &[Part], offset: i64) -> Result<usize> {
        let offset = u64::try_from(offset).map_err(|_| Errno(EINVAL))?;
        let _turn = self.turn()?;
        self.write_now(parts, offset)
    }

    /// Writes behind the end. May wait if the file persists.
    pub(super) fn append(&self, parts: &[Part]) -> Result<usize> {
        let _turn = self.turn()?;
        self.write_now(parts, self.end())
    }

    /// A turn to write, where that takes more than a moment.
    fn turn(&self) -> Result<Option<Turn<'_>>> {
        if let Kind::Written(contents) = &self.node.kind { contents.turn() } else { Ok(None) }
    }

    fn write_now(&self, parts: &[Part], offset: u64) -> Result<usize> {
        match &self.node.kind {
            Kind::Device(_) => Ok(total(parts)),
            Kind::Written(contents) => {
                self.node.room_to_note(total(parts) / block::PAGE)?;
                let n = contents.write(parts, offset)?;
                if n > 0 {
                    self.node.touch(0..0);
                }
                Ok(n)
            }
            _ => Err(Errno(EBADF)),
        }
    }

    /// Writes where the file's position is, or behind the end, and moves the position on.
    fn write_on(&self, parts: &[Part]) -> Result<usize> {
        // Before the position is looked at, so that what two threads write comes one behind the other.
        let _turn = self.turn()?;
        let at = if self.appends() { self.end() } else { self.offset.get() };
        let n = self.write_now(parts, at)?;
        self.offset.set(at + n as u64);
        Ok(n)
    }

    /// `pread`. May wait.
    pub(super) fn read_at(&self, parts: &mut [PartMut], offset: i64) -> Result<usize> {
        if let Kind::Device(device) = self.node.kind {
            return read_device(device, parts);
        }
        if let Kind::Far(far, _) = &self.node.kind {
            return if offset < 0 { Err(Errno(EINVAL)) } else { far.read(parts, offset as u64) };
        }
        if let Kind::Written(contents) = &self.node.kind {
            let offset = u64::try_from(offset).map_err(|_| Errno(EINVAL))?;
            return contents.read(parts, offset);
        }
        let bytes = self.near_bytes_at(offset, room(parts))?;
        Ok(scatter(bytes, parts))
    }

    /// Whether its contents never change.
    fn is_fixed(&self) -> bool {
        matches!(self.node.kind, Kind::File(_) | Kind::Far(..) | Kind::Made(_))
    }

    /// `lseek`.
    pub(super) fn seek(&self, offset: i64, whence: c_int) -> Result<u64> {
        let size = match self.node.kind {
            Kind::Directory(_) => i64::MAX,
            Kind::Device(_) => return Ok(0),
            _ => self.size()? as i64,
        };
        let from = match whence {
            0 => 0,
            1 => self.offset.get() as i64,
            2 => size,
            // SEEK_DATA and SEEK_HOLE: all of a file is data, with a hole behind it.
            3 | 4 if offset < 0 || offset >= size => return Err(Errno(ENXIO)),
            3 => 0,
            4 => size - offset,
            _ => return Err(Errno(EINVAL)),
        };
        let at = from.checked_add(offset).and_then(|at| u64::try_from(at).ok());
        self.offset.set(at.ok_or(Errno(EINVAL))?);
        Ok(self.offset.get())
    }
}

/// Makes `mmap` able to map files; see [`FillFromFile`](crate::mmap::FillFromFile).
fn let_files_be_mapped() {
    use mapped::{is_shared, unshare, write};
    crate::mmap::give_files(&crate::mmap::Files { fill, share, unshare, is_shared, write });
}

/// As [`FillFromFile`](crate::mmap::FillFromFile).
///
/// # Safety
///
/// As there.
unsafe fn fill(
    fd: c_int,
    offset: i64,
    shared: bool,
    to: *mut u8,
    len: usize,
) -> core::result::Result<(), c_int> {
    let copy = || {
        let description = table::get(fd)?;
        let file: Rc<File> = downcast(&description.object).ok_or(Errno(ENODEV))?;
        if !description.may_read() {
            return Err(Errno(EACCES));
        }
        if !file.is_fixed() && (shared || !matches!(file.node.kind, Kind::Written(_))) {
            return Err(Errno(ENODEV));
        }
        let mut done = 0;
        while done < len {
            // SAFETY: the caller's bytes, those that are not filled yet.
            let rest = unsafe { core::slice::from_raw_parts_mut(to.add(done), len - done) };
            match file.read_at(&mut [PartMut::new(rest)], offset + done as i64)? {
                0 => break,
                n => done += n,
            }
        }
        Ok(())
    };
    copy().map_err(|Errno(errno)| errno)
}

/// As [`share`](crate::mmap::Files).
fn share(
    fd: c_int,
    offset: i64,
    len: usize,
    writes: bool,
) -> core::result::Result<Option<usize>, c_int> {
    let share = || {
        let description = table::get(fd)?;
        let file: Rc<File> = downcast(&description.object).ok_or(Errno(ENODEV))?;
        if !description.may_read() || writes && !description.may_write() {
            return Err(Errno(EACCES));
        }
        let Kind::Written(contents) = &file.node.kind else {
            return if writes { Err(Errno(ENODEV)) } else { Ok(None) };
        };
        if writes && contents.is_sealed(seals::WRITE | seals::FUTURE_WRITE) {
            return Err(Errno(EPERM));
        }
        let end = (offset as u64).saturating_add(len as u64);
        contents.bring_all()?;
        if let (true, Some(below)) = (writes, contents.below()) {
            let pages = 0..end.div_ceil(block::PAGE as u64);
            if below.allocate(pages.clone()).is_err() {
                // How much of what has changed is among these pages, or only replaces something, is known after a
                // commit. Others take the memory of stored pages meanwhile.
                below.clean()?;
                contents.bring_all()?;
                below.allocate(pages)?;
            }
        }
        let at = mapped::map(&file.node, contents.share(end)?, offset as usize, len)?;
        if let (true, Some(keeper)) = (writes, file.node.keeper()) {
            keeper.mapped(&file.node);
        }
        Ok(Some(at))
    };
    share().map_err(|Errno(error)| error)
}

fn read_device(device: Device, parts: &mut [PartMut]) -> Result<usize> {
    match device {
        Device::Null => return Ok(0),
        Device::Zero => parts.iter_mut().for_each(|part| part.fill(0)),
        Device::Random => {
            if !parts.iter_mut().all(|part| part.is_empty() || (host::get().random)(part)) {
                return Err(Errno(EIO));
            }
        }
    }
    Ok(room(parts))
}

impl Object for File {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        (Events::IN | Events::OUT) & interest
    }

    fn can_wait(&self) -> bool {
        matches!(self.node.kind, Kind::Device(Device::Random))
    }

    fn read_from_afar(&self, parts: &mut [PartMut]) -> Option<Result<usize>> {
        let size = match &self.node.kind {
            Kind::Far(_, size) => *size,
            Kind::Written(contents) if contents.below().is_some() => contents.len(),
            _ => return None,
        };
        // Another thread that reads meanwhile begins where this one ends.
        let at = self.offset.get();
        let end = at.saturating_add(room(parts) as u64).min(size).max(at);
        self.offset.set(end);
        let read = self.read_at(parts, at as i64);
        if self.offset.get() == end {
            self.offset.set(at + read.unwrap_or(0) as u64);
        }
        Some(read)
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        let n = self.read_at(parts, self.offset.get() as i64)?;
        self.offset.set(self.offset.get() + n as u64);
        Ok(n)
    }

    fn write_to_afar(&self, parts: &[Part]) -> Option<Result<usize>> {
        let Kind::Written(contents) = &self.node.kind else { return None };
        contents.below().map(|_| self.write_on(parts))
    }

    /// Only devices and files of the program's own can be open for writing.
    fn write(&self, parts: &[Part]) -> Result<usize> {
        self.write_on(parts)
    }

    fn set_flags(&self, flags: c_int) {
        self.append.set(flags & O_APPEND != 0);
    }

    fn available(&self) -> Result<usize> {
        let size = self.size().map_err(|_| Errno(crate::errno::ENOTTY))?;
        Ok(size.saturating_sub(self.offset.get()) as usize)
    }

    fn stat(&self) -> Stat {
        self.node.stat(match self.node.kind {
            Kind::Made(_) => self.made.len() as u64,
            _ => self.node.size(),
        })
    }
}
