//! `open`, `stat`, `readlink` and the other calls with paths.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::super::answer::{number, size, status};
use super::super::local::local;
use super::super::object::downcast;
use super::super::parts::{Errno, Result};
use super::super::table::{self, O_ACCMODE, O_CLOEXEC, O_NONBLOCK};
use super::tree::{self, Found, Kind, Place};
use super::{File, root};
use crate::errno::{self, EEXIST, EFAULT, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ERANGE, EROFS};
use crate::layout::Stat;

/// The directory that relative paths start from.
pub(super) const AT_FDCWD: c_int = -100;
const AT_SYMLINK_NOFOLLOW: c_int = 0x100;
const AT_EMPTY_PATH: c_int = 0x1000;
const O_CREAT: c_int = 0o100;
const O_EXCL: c_int = 0o200;
const O_TRUNC: c_int = 0o1000;
pub(super) const O_DIRECTORY: c_int = 0o200_000;
const O_NOFOLLOW: c_int = 0o400_000;
const O_PATH: c_int = 0o10_000_000;

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

local! {
    /// The working directory.
    static HERE: RefCell<Place> = RefCell::new(Vec::new());
}

/// A path of a C caller.
///
/// # Safety
///
/// It is NULL or a C string that outlives the call.
pub(super) unsafe fn path_argument<'a>(path: *const c_char) -> Result<&'a [u8]> {
    if path.is_null() {
        return Err(Errno(EFAULT));
    }
    // SAFETY: as the caller says.
    Ok(unsafe { CStr::from_ptr(path) }.to_bytes())
}

/// What a path leads to, from the directory `dir` on.
fn find(dir: c_int, path: &[u8], follow: bool) -> Result<Found> {
    let start = if dir == AT_FDCWD || path.starts_with(b"/") {
        HERE.with(|here| here.borrow().clone())
    } else {
        let file: Rc<File> = downcast(&table::get(dir)?.object).ok_or(Errno(ENOTDIR))?;
        file.place.clone()
    };
    root::get().find(&start, path, follow)
}

/// Opens a file, and gives it a number.
pub(in super::super) fn open_at(dir: c_int, path: &[u8], flags: c_int) -> Result<c_int> {
    let nofollow = flags & O_NOFOLLOW != 0 || flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
    let Found { place, node } = find(dir, path, !nofollow)?;
    let writing = flags & O_ACCMODE != 0;
    let Some(node) = node else {
        return Err(Errno(if flags & O_CREAT != 0 { EROFS } else { ENOENT }));
    };
    if flags & O_CREAT != 0 && flags & O_EXCL != 0 {
        return Err(Errno(EEXIST));
    }
    match node.kind {
        Kind::Link(_) if flags & O_PATH == 0 => return Err(Errno(ELOOP)),
        Kind::Directory(_) if writing || flags & O_CREAT != 0 => return Err(Errno(EISDIR)),
        Kind::Directory(_) => {}
        _ if flags & O_DIRECTORY != 0 => return Err(Errno(ENOTDIR)),
        _ if (writing || flags & O_TRUNC != 0) && !node.is_writable() => return Err(Errno(EROFS)),
        _ => {}
    }
    let kept = flags & (O_ACCMODE | O_NONBLOCK | O_CLOEXEC);
    table::insert(File::new(node, place), kept)
}

/// The mode of a file to be created is not looked at, as none can be.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn open64(path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    number(path.and_then(|path| open_at(AT_FDCWD, path, flags)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn open(path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { open64(path, flags) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn openat64(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    number(path.and_then(|path| open_at(dir, path, flags)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn openat(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { openat64(dir, path, flags) }
}

/// What `fstatat` says.
fn stat_at(dir: c_int, path: &[u8], flags: c_int) -> Result<Stat> {
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 && dir != AT_FDCWD {
        return Ok(table::get(dir)?.object.stat());
    }
    let path = if path.is_empty() && flags & AT_EMPTY_PATH != 0 { b"." } else { path };
    let found = find(dir, path, flags & AT_SYMLINK_NOFOLLOW == 0)?;
    let node = found.node.ok_or(Errno(ENOENT))?;
    Ok(node.stat(node.size()))
}

/// Answers a C caller of `stat`.
///
/// # Safety
///
/// `path` is NULL or a C string; `stat` is NULL or writable.
unsafe fn stat_into(dir: c_int, path: *const c_char, flags: c_int, stat: *mut Stat) -> c_int {
    // SAFETY: as the caller says.
    let found = unsafe { path_argument(path) }.and_then(|path| stat_at(dir, path, flags));
    status(found.and_then(|found| {
        if stat.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: as the caller says.
        unsafe { *stat = found };
        Ok(())
    }))
}

macro_rules! stats {
    ($($name:ident $flags:expr;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(in super::super) unsafe extern "C" fn $name(path: *const c_char, stat: *mut Stat) -> c_int {
            // SAFETY: the contract is the same.
            unsafe { stat_into(AT_FDCWD, path, $flags, stat) }
        }
    )*};
}

stats! {
    stat64 0;
    stat 0;
    lstat64 AT_SYMLINK_NOFOLLOW;
    lstat AT_SYMLINK_NOFOLLOW;
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn fstatat64(
    dir: c_int,
    path: *const c_char,
    stat: *mut Stat,
    flags: c_int,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { stat_into(dir, path, flags, stat) }
}

/// `struct statx_timestamp`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ExtendedTime {
    seconds: i64,
    nanoseconds: u32,
    reserved: i32,
}

/// `struct statx`.
#[repr(C)]
pub(in super::super) struct ExtendedStat {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    owner: [u32; 2],
    mode: u16,
    padding: u16,
    inode: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    /// Access, birth, change, modification.
    times: [ExtendedTime; 4],
    special: [u32; 2],
    device: [u32; 2],
    rest: [u64; 14],
}

const _: () = assert!(size_of::<ExtendedStat>() == 256);

/// STATX_BASIC_STATS, which is all but the time of birth.
const BASIC: u32 = 0x7ff;

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn statx(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    _mask: c_uint,
    stat: *mut ExtendedStat,
) -> c_int {
    // SAFETY: the contract is the same.
    let path = match unsafe { path_argument(path) } {
        // Of late NULL stands for the empty path.
        Err(_) if flags & AT_EMPTY_PATH != 0 => Ok(&b""[..]),
        path => path,
    };
    let found = path.and_then(|path| stat_at(dir, path, flags));
    status(found.and_then(|found| {
        if stat.is_null() {
            return Err(Errno(EFAULT));
        }
        let [accessed, modified, changed] = found.times.map(|time| ExtendedTime {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds as u32,
            reserved: 0,
        });
        let birth = ExtendedTime { seconds: 0, nanoseconds: 0, reserved: 0 };
        let answer = ExtendedStat {
            mask: BASIC,
            block_size: found.block_size as u32,
            attributes: 0,
            links: found.links as u32,
            owner: [0; 2],
            mode: found.mode as u16,
            padding: 0,
            inode: found.inode,
            size: found.size as u64,
            blocks: found.blocks as u64,
            attributes_mask: 0,
            times: [accessed, birth, changed, modified],
            special: [0; 2],
            device: [0, found.device as u32],
            rest: [0; 14],
        };
        // SAFETY: writable by contract.
        unsafe { *stat = answer };
        Ok(())
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn access(path: *const c_char, mode: c_int) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { faccessat(AT_FDCWD, path, mode, 0) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn faccessat(
    dir: c_int,
    path: *const c_char,
    mode: c_int,
    flags: c_int,
) -> c_int {
    const W_OK: c_int = 2;
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    status(path.and_then(|path| {
        let found = find(dir, path, flags & AT_SYMLINK_NOFOLLOW == 0)?;
        let node = found.node.ok_or(Errno(ENOENT))?;
        if mode & !7 != 0 {
            return Err(Errno(EINVAL));
        }
        if mode & W_OK != 0 && !node.is_writable() {
            return Err(Errno(EROFS));
        }
        tree::check_access(&node, mode as u32)
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn readlink(
    path: *const c_char,
    buf: *mut c_char,
    n: usize,
) -> isize {
    // SAFETY: the contract is the same.
    unsafe { readlinkat(AT_FDCWD, path, buf, n) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn readlinkat(
    dir: c_int,
    path: *const c_char,
    buf: *mut c_char,
    n: usize,
) -> isize {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    size(path.and_then(|path| {
        let node = find(dir, path, false)?.node.ok_or(Errno(ENOENT))?;
        let Kind::Link(target) = &node.kind else { return Err(Errno(EINVAL)) };
        if buf.is_null() || n == 0 {
            return Err(Errno(if n == 0 { EINVAL } else { EFAULT }));
        }
        let n = n.min(target.len());
        // SAFETY: the caller owns `n` bytes at `buf`.
        unsafe { buf.cast::<u8>().copy_from_nonoverlapping(target.as_ptr(), n) };
        Ok(n)
    }))
}

/// Into a buffer of 4096 bytes, or into one that `malloc` gave.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn realpath(
    path: *const c_char,
    buf: *mut c_char,
) -> *mut c_char {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    let real = path.and_then(|path| {
        let found = find(AT_FDCWD, path, true)?;
        found.node.ok_or(Errno(ENOENT))?;
        Ok(tree::path_of(&found.place))
    });
    let copied = real.and_then(|real| {
        // SAFETY: the heap's own function, which any size suits.
        let to = if buf.is_null() { unsafe { malloc(real.len() + 1) }.cast() } else { buf };
        if to.is_null() {
            return Err(Errno(crate::errno::ENOMEM));
        }
        // SAFETY: PATH_MAX bytes are there by contract, or just as many as are needed.
        unsafe {
            to.cast::<u8>().copy_from_nonoverlapping(real.as_ptr(), real.len());
            *to.add(real.len()) = 0;
        }
        Ok(to)
    });
    copied.unwrap_or_else(|Errno(errno)| {
        errno::set(errno);
        core::ptr::null_mut()
    })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn getcwd(buf: *mut c_char, size: usize) -> *mut c_char {
    let here = HERE.with(|here| tree::path_of(&here.borrow()));
    if buf.is_null() || size <= here.len() {
        errno::set(if buf.is_null() { EFAULT } else { ERANGE });
        return core::ptr::null_mut();
    }
    // SAFETY: the buffer has `size` bytes, which is more.
    unsafe {
        buf.cast::<u8>().copy_from_nonoverlapping(here.as_ptr(), here.len());
        *buf.add(here.len()) = 0;
    }
    buf
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn chdir(path: *const c_char) -> c_int {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    status(path.and_then(|path| {
        let found = find(AT_FDCWD, path, true)?;
        if !found.node.ok_or(Errno(ENOENT))?.is_directory() {
            return Err(Errno(ENOTDIR));
        }
        HERE.with(|here| here.replace(found.place));
        Ok(())
    }))
}

/// Files cannot be changed: EROFS for what exists, or could; ENOENT for what does not.
fn refuse(dir: c_int, path: Result<&[u8]>, creates: bool) -> c_int {
    status(path.and_then(|path| {
        let found = find(dir, path, false)?;
        match (found.node, creates) {
            (Some(_), true) => Err(Errno(EEXIST)),
            (None, false) => Err(Errno(ENOENT)),
            (Some(_), false) | (None, true) => Err(Errno(EROFS)),
        }
    }))
}

/// The calls that would create or change what is at `path`, with the names and the order of C's arguments.
macro_rules! refused {
    ($($name:ident($($argument:ident: $type:ty),*) at $dir:expr, $path:expr, $creates:expr;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        #[allow(unused_variables)] // a mode, a time: what is refused
        pub(in super::super) unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
            // SAFETY: the contract is the same.
            refuse($dir, unsafe { path_argument($path) }, $creates)
        }
    )*};
}

refused! {
    mkdir(path: *const c_char, mode: c_uint) at AT_FDCWD, path, true;
    mkdirat(dir: c_int, path: *const c_char, mode: c_uint) at dir, path, true;
    mkfifo(path: *const c_char, mode: c_uint) at AT_FDCWD, path, true;
    symlink(to: *const c_char, path: *const c_char) at AT_FDCWD, path, true;
    symlinkat(to: *const c_char, dir: c_int, path: *const c_char) at dir, path, true;
    rmdir(path: *const c_char) at AT_FDCWD, path, false;
    unlink(path: *const c_char) at AT_FDCWD, path, false;
    unlinkat(dir: c_int, path: *const c_char, flags: c_int) at dir, path, false;
    rename(path: *const c_char, to: *const c_char) at AT_FDCWD, path, false;
    renameat(dir: c_int, path: *const c_char, to_dir: c_int, to: *const c_char) at dir, path, false;
    chmod(path: *const c_char, mode: c_uint) at AT_FDCWD, path, false;
    chown(path: *const c_char, user: c_uint, group: c_uint) at AT_FDCWD, path, false;
    lchown(path: *const c_char, user: c_uint, group: c_uint) at AT_FDCWD, path, false;
    truncate64(path: *const c_char, size: i64) at AT_FDCWD, path, false;
    utimes(path: *const c_char, times: *const c_void) at AT_FDCWD, path, false;
    utimensat(dir: c_int, path: *const c_char, times: *const c_void, flags: c_int) at dir, path, false;
}

/// A second name is refused as a new file is; ENOENT for one of nothing.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn linkat(
    dir: c_int,
    path: *const c_char,
    to_dir: c_int,
    to: *const c_char,
    _flags: c_int,
) -> c_int {
    // SAFETY: the contract is the same.
    let (path, to) = unsafe { (path_argument(path), path_argument(to)) };
    let old = path.and_then(|path| find(dir, path, false)?.node.ok_or(Errno(ENOENT)));
    refuse(to_dir, old.and(to), true)
}

/// As [`linkat`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn link(path: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { linkat(AT_FDCWD, path, AT_FDCWD, to, 0) }
}

/// The attributes of an open file do not change either: EROFS.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fchmod(fd: c_int, _mode: c_uint) -> c_int {
    status(table::get(fd).and(Err(Errno(EROFS))))
}

/// As [`fchmod`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fchown(fd: c_int, _user: c_uint, _group: c_uint) -> c_int {
    status(table::get(fd).and(Err(Errno(EROFS))))
}

/// As [`fchmod`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn futimens(fd: c_int, _times: *const c_void) -> c_int {
    status(table::get(fd).and(Err(Errno(EROFS))))
}

/// No file is open for writing: EINVAL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn ftruncate64(fd: c_int, _size: i64) -> c_int {
    status(table::get(fd).and(Err(Errno(EINVAL))))
}

/// Everything is as durable as it will be. EINVAL for what is no file.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fsync(fd: c_int) -> c_int {
    status(table::get(fd).and_then(|description| {
        downcast::<File>(&description.object).map(|_| ()).ok_or(Errno(EINVAL))
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fdatasync(fd: c_int) -> c_int {
    fsync(fd)
}

#[cfg(test)]
mod tests;
