//! The calls that change names and files. What a program may change is [in memory](super::temporary); anything else is
//! read-only: EROFS for what exists, or could; ENOENT for what does not.

use alloc::rc::Rc;
use core::ffi::{c_char, c_int, c_uint};

use super::super::answer::status;
use super::super::memory;
use super::super::object::downcast;
use super::super::parts::{Errno, Result};
use super::super::table;
use super::File;
use super::calls::{AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, path_argument};
use super::entry::{Entry, MASK, PERMISSIONS};
use super::keeper;
use super::lookup::{AT_FDCWD, find};
use super::node::{DIRECTORY, Directory, Kind, LINK, Node};
use super::place::is_within;
use super::temporary;
use super::tree::LONGEST;
use crate::errno::{
    EBADF, EBUSY, EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENODEV, ENOENT, ENOTDIR, ENOTEMPTY,
    EOPNOTSUPP, EPERM, EROFS, EXDEV,
};
use crate::timespec::Timespec;

const AT_REMOVEDIR: c_int = 0x200;
const AT_SYMLINK_FOLLOW: c_int = 0x400;

fn make_directory(dir: c_int, path: &[u8], mode: c_uint) -> Result {
    let mode = DIRECTORY | mode & PERMISSIONS & !MASK;
    Entry::free(dir, path, true)?.make(mode, Kind::Directory(Directory::default())).map(|_| ())
}

fn make_link(target: &[u8], dir: c_int, path: &[u8]) -> Result {
    if target.is_empty() || target.len() > LONGEST.0 {
        return Err(Errno(if target.is_empty() { ENOENT } else { ENAMETOOLONG }));
    }
    let entry = Entry::free(dir, path, false)?;
    memory::need(target.len())?;
    entry.make(LINK | 0o777, Kind::Link(target.into())).map(|_| ())
}

/// A named pipe, which no directory here can have.
fn make_pipe(dir: c_int, path: &[u8]) -> Result {
    Entry::free(dir, path, false)?.directory().and(Err(Errno(EPERM)))
}

fn remove(dir: c_int, path: &[u8], flags: c_int) -> Result {
    let (wants_directory, instead) = match flags {
        0 => (false, [EISDIR; 3]),
        AT_REMOVEDIR => (true, [EINVAL, ENOTEMPTY, EBUSY]),
        _ => return Err(Errno(EINVAL)),
    };
    let entry = Entry::at(dir, path, instead)?;
    let node = entry.node.as_ref().ok_or(Errno(ENOENT))?;
    entry.directory()?;
    match (wants_directory, &node.kind) {
        (true, Kind::Directory(inside)) => is_empty(inside)?,
        (true, _) => return Err(Errno(ENOTDIR)),
        (false, Kind::Directory(_)) => return Err(Errno(EISDIR)),
        (false, _) if entry.slash => return Err(Errno(ENOTDIR)),
        (false, _) => {}
    }
    entry.remove().map(drop)
}

fn is_empty(directory: &Directory) -> Result {
    match directory.own.borrow().is_empty() {
        true => Ok(()),
        false => Err(Errno(ENOTEMPTY)),
    }
}

const RENAME_NOREPLACE: c_uint = 1;

/// `renameat2`, without exchanging.
fn rename_at(from: (c_int, &[u8]), to: (c_int, &[u8]), flags: c_uint) -> Result {
    if flags & !RENAME_NOREPLACE != 0 {
        return Err(Errno(EINVAL));
    }
    let exists = if flags & RENAME_NOREPLACE != 0 { EEXIST } else { EBUSY };
    loop {
        let old = Entry::at(from.0, from.1, [EBUSY; 3])?;
        let new = Entry::at(to.0, to.1, [exists; 3])?;
        // Looking for the second may have waited, and the first may be something else by now.
        if old.is_current() && new.is_current() {
            return rename_entry(&old, new, flags);
        }
    }
}

fn rename_entry(old: &Entry, new: Entry, flags: c_uint) -> Result {
    let node = old.node.as_ref().ok_or(Errno(ENOENT))?;
    match (old.directory(), new.directory()) {
        (Ok(_), Ok(_)) if node.is_changeable() && old.directory.device != new.directory.device => {
            return Err(Errno(EXDEV));
        }
        (Ok(_), Ok(_)) if node.is_changeable() => {}
        (Err(error), Err(_)) => return Err(error),
        (Ok(_), Ok(_)) => return Err(Errno(EROFS)),
        _ => return Err(Errno(EXDEV)),
    }
    if new.node.is_some() && flags & RENAME_NOREPLACE != 0 {
        return Err(Errno(EEXIST));
    }
    if !node.is_directory() && (old.slash || new.slash) {
        return Err(Errno(ENOTDIR));
    }
    old.check_not_mounted()?;
    if is_within(&new.directory, node) {
        return Err(Errno(EINVAL));
    }
    if new.directory.links.get() == 0 {
        return Err(Errno(ENOENT));
    }
    if let Some(there) = &new.node {
        if is_within(&old.directory, there) {
            return Err(Errno(ENOTEMPTY));
        }
        if Rc::ptr_eq(there, node) {
            return Ok(());
        }
        match (&there.kind, node.is_directory()) {
            (Kind::Directory(inside), true) => is_empty(inside)?,
            (Kind::Directory(_), false) => return Err(Errno(EISDIR)),
            (_, true) => return Err(Errno(ENOTDIR)),
            (_, false) => {}
        }
    }
    old.rename(new)
}

fn link_at(from: (c_int, &[u8]), to: (c_int, &[u8]), flags: c_int) -> Result {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno(EINVAL));
    }
    let node = if from.1.is_empty() && flags & AT_EMPTY_PATH != 0 {
        Rc::clone(&file(from.0)?.node)
    } else {
        let found = find(from.0, from.1, flags & AT_SYMLINK_FOLLOW != 0)?;
        found.node.ok_or(Errno(ENOENT))?
    };
    let new = Entry::free(to.0, to.1, false)?;
    match (node.is_changeable(), new.directory()) {
        (false, Err(error)) => return Err(error),
        (true, Ok(_)) if node.device == new.directory.device => {}
        _ => return Err(Errno(EXDEV)),
    }
    // Without a name it is gone for good, though it may still be open.
    if node.is_directory() || node.links.get() == 0 {
        return Err(Errno(if node.is_directory() { EPERM } else { ENOENT }));
    }
    memory::need(2 * memory::THING)?;
    new.insert(Rc::clone(&node), new.space()?)?;
    node.links.set(node.links.get() + 1);
    node.note(0..0);
    Ok(())
}

/// What can be changed at a path, or EROFS.
fn changeable(dir: c_int, path: &[u8], flags: c_int) -> Result<Rc<Node>> {
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 && dir != AT_FDCWD {
        return open_one(dir);
    }
    let path = if path.is_empty() && flags & AT_EMPTY_PATH != 0 { b"." } else { path };
    let node = find(dir, path, flags & AT_SYMLINK_NOFOLLOW == 0)?.node.ok_or(Errno(ENOENT))?;
    open_to_changes(node)
}

/// EROFS if it cannot be changed, ENOMEM if that could not be noted.
fn open_to_changes(node: Rc<Node>) -> Result<Rc<Node>> {
    if !node.is_changeable() {
        return Err(Errno(EROFS));
    }
    node.room_to_note(0)?;
    Ok(node)
}

fn file(fd: c_int) -> Result<Rc<File>> {
    // A socket and a pipe have no attributes to change.
    downcast(&table::get(fd)?.object).ok_or(Errno(EINVAL))
}

/// What can be changed of an open file, or EROFS.
fn open_one(fd: c_int) -> Result<Rc<Node>> {
    open_to_changes(Rc::clone(&file(fd)?.node))
}

fn set_mode(node: &Rc<Node>, mode: c_uint) {
    node.mode.set(node.mode.get() & !PERMISSIONS | mode & PERMISSIONS);
    node.note(0..0);
}

fn set_len(node: &Rc<Node>, len: i64) -> Result {
    let len = u64::try_from(len).map_err(|_| Errno(EINVAL))?;
    node.room_to_note(0)?;
    match &node.kind {
        Kind::Written(contents) => {
            let _turn = contents.turn()?;
            contents.set_len(len)?;
            node.resized(len);
            Ok(())
        }
        Kind::Directory(_) => Err(Errno(EISDIR)),
        _ => Err(Errno(EINVAL)),
    }
}

/// Sets the time of the last change; the other times of a file are always the same as that.
///
/// # Safety
///
/// NULL, or two times are readable there.
unsafe fn set_times(node: &Rc<Node>, times: *const [Timespec; 2]) -> Result {
    const NOW: i64 = (1 << 30) - 1;
    const OMIT: i64 = (1 << 30) - 2;
    // SAFETY: as the caller says.
    let modified = unsafe { times.as_ref() }.map(|[_, modified]| modified);
    let ns = match modified {
        None => temporary::now(),
        Some(time) if time.nanoseconds == NOW => temporary::now(),
        Some(time) if time.nanoseconds == OMIT => return Ok(()),
        Some(time) => time.ns().ok_or(Errno(EINVAL))?,
    };
    node.modified.set(ns);
    node.note(0..0);
    Ok(())
}

/// Defines C functions whose paths are arguments.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) with $($path:ident),+ => $answer:expr;)*) => {$(
        $(#[$doc])*
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(in super::super) unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
            status((|| {
                $(
                    // SAFETY: paths are NULL or C strings, by contract.
                    let $path = unsafe { path_argument($path) }?;
                )+
                $answer
            })())
        }
    )*};
}

calls! {
    mkdir(path: *const c_char, mode: c_uint) with path => make_directory(AT_FDCWD, path, mode);
    mkdirat(dir: c_int, path: *const c_char, mode: c_uint) with path => make_directory(dir, path, mode);
    mkfifo(path: *const c_char, _mode: c_uint) with path => make_pipe(AT_FDCWD, path);
    symlink(to: *const c_char, path: *const c_char) with to, path => make_link(to, AT_FDCWD, path);
    symlinkat(to: *const c_char, dir: c_int, path: *const c_char) with to, path => make_link(to, dir, path);
    rmdir(path: *const c_char) with path => remove(AT_FDCWD, path, AT_REMOVEDIR);
    unlink(path: *const c_char) with path => remove(AT_FDCWD, path, 0);
    unlinkat(dir: c_int, path: *const c_char, flags: c_int) with path => remove(dir, path, flags);
    rename(path: *const c_char, to: *const c_char) with path, to =>
        rename_at((AT_FDCWD, path), (AT_FDCWD, to), 0);
    renameat(dir: c_int, path: *const c_char, to_dir: c_int, to: *const c_char) with path, to =>
        rename_at((dir, path), (to_dir, to), 0);
    renameat2(dir: c_int, path: *const c_char, to_dir: c_int, to: *const c_char, flags: c_uint) with path, to =>
        rename_at((dir, path), (to_dir, to), flags);
    link(path: *const c_char, to: *const c_char) with path, to =>
        link_at((AT_FDCWD, path), (AT_FDCWD, to), 0);
    linkat(dir: c_int, path: *const c_char, to_dir: c_int, to: *const c_char, flags: c_int) with path, to =>
        link_at((dir, path), (to_dir, to), flags);
    chmod(path: *const c_char, mode: c_uint) with path => {
        set_mode(&changeable(AT_FDCWD, path, 0)?, mode);
        Ok(())
    };
    fchmodat(dir: c_int, path: *const c_char, mode: c_uint, flags: c_int) with path => {
        set_mode(&changeable(dir, path, flags)?, mode);
        Ok(())
    };
    /// There is one user: an owner is taken, and not kept.
    chown(path: *const c_char, _user: c_uint, _group: c_uint) with path =>
        changeable(AT_FDCWD, path, 0).map(|_| ());
    /// As [`chown`].
    lchown(path: *const c_char, _user: c_uint, _group: c_uint) with path =>
        changeable(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW).map(|_| ());
    /// As [`chown`].
    fchownat(dir: c_int, path: *const c_char, _user: c_uint, _group: c_uint, flags: c_int) with path =>
        changeable(dir, path, flags).map(|_| ());
    truncate64(path: *const c_char, len: i64) with path => set_len(&changeable(AT_FDCWD, path, 0)?, len);
    /// Microseconds, and no values with a meaning of their own.
    utimes(path: *const c_char, times: *const [Timespec; 2]) with path => {
        let node = changeable(AT_FDCWD, path, 0)?;
        // SAFETY: NULL or two times, by contract; a `struct timeval` has the size of a `struct timespec`.
        let mut times = unsafe { times.as_ref() }.copied();
        times.iter_mut().flatten().for_each(|time| time.nanoseconds *= 1000);
        let times = times.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: NULL, or times of our own.
        unsafe { set_times(&node, times) }
    };
    utimensat(dir: c_int, path: *const c_char, times: *const [Timespec; 2], flags: c_int) with path => {
        let node = changeable(dir, path, flags)?;
        // SAFETY: NULL or two times, by contract.
        unsafe { set_times(&node, times) }
    };
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fchmod(fd: c_int, mode: c_uint) -> c_int {
    status(open_one(fd).map(|node| set_mode(&node, mode)))
}

/// As [`chown`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fchown(fd: c_int, _user: c_uint, _group: c_uint) -> c_int {
    status(open_one(fd).map(|_| ()))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn futimens(
    fd: c_int,
    times: *const [Timespec; 2],
) -> c_int {
    // SAFETY: NULL or two times, by contract.
    status(open_one(fd).and_then(|node| unsafe { set_times(&node, times) }))
}

/// The node of a file that is open for writing; EINVAL if it is not, or is no file.
fn writable(fd: c_int) -> Result<Rc<Node>> {
    if !table::get(fd)?.may_write() {
        return Err(Errno(EINVAL));
    }
    Ok(Rc::clone(&file(fd)?.node))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn ftruncate64(fd: c_int, len: i64) -> c_int {
    status(writable(fd).and_then(|node| set_len(&node, len)))
}

/// Only to have memory, beyond the end of the file too.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fallocate64(
    fd: c_int,
    mode: c_int,
    offset: i64,
    len: i64,
) -> c_int {
    status(allocate(fd, mode, offset, len))
}

fn allocate(fd: c_int, mode: c_int, offset: i64, len: i64) -> Result {
    const KEEP_SIZE: c_int = 1;
    let node = match writable(fd) {
        Err(Errno(EINVAL)) => return Err(Errno(EBADF)),
        node => node?,
    };
    let (from, n) = (u64::try_from(offset), u64::try_from(len));
    let (Ok(from), Ok(n @ 1..)) = (from, n) else { return Err(Errno(EINVAL)) };
    if mode & !KEEP_SIZE != 0 {
        return Err(Errno(EOPNOTSUPP));
    }
    let Kind::Written(contents) = &node.kind else { return Err(Errno(ENODEV)) };
    node.room_to_note(0)?;
    let _turn = contents.turn()?;
    contents.allocate(from, n)?;
    if mode & KEEP_SIZE == 0 && contents.len() < from + n {
        contents.set_len(from + n)?;
        node.resized(from + n);
    }
    Ok(())
}

/// Unlike most calls, this one returns the error.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn posix_fallocate64(fd: c_int, offset: i64, len: i64) -> c_int {
    allocate(fd, 0, offset, len).map_or_else(|Errno(errno)| errno, |()| 0)
}

/// The mask stays what it is: there is one user, and permissions are not checked.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn umask(_mask: c_uint) -> c_uint {
    MASK
}

/// Whole files are locked against other processes, of which there are none.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn flock(fd: c_int, _operation: c_int) -> c_int {
    status(table::get(fd).map(|_| ()))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fsync(fd: c_int) -> c_int {
    // EINVAL for what is no file. Temporary files cannot become more durable.
    status(file(fd).and_then(|file| keeper::commit(file.node.keeper())))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fdatasync(fd: c_int) -> c_int {
    fsync(fd)
}

/// As [`fsync`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn sync_file_range(
    fd: c_int,
    _offset: i64,
    _len: i64,
    _flags: c_uint,
) -> c_int {
    fsync(fd)
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
