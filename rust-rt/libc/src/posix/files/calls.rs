//! `open`, `stat`, `readlink` and the other calls with paths that change nothing.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::super::answer::{number, size, status};
use super::super::parts::{Errno, Result};
use super::super::table::{self, O_ACCMODE, O_APPEND, O_CLOEXEC, O_NONBLOCK};
use super::File;
use super::entry::{self, Entry};
use super::lookup::{AT_FDCWD, find, here, start_from};
use super::node::{self, Kind};
use super::place::{Place, path_of};
use super::tree::LONGEST;
use crate::errno::{
    self, EEXIST, EFAULT, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, ENXIO,
    EOPNOTSUPP, ERANGE, EROFS,
};
use crate::layout::Stat;

pub(super) const AT_SYMLINK_NOFOLLOW: c_int = 0x100;
pub(super) const AT_EMPTY_PATH: c_int = 0x1000;
pub(in super::super) const O_CREAT: c_int = 0o100;
const O_EXCL: c_int = 0o200;
const O_TRUNC: c_int = 0o1000;
pub(super) const O_DIRECTORY: c_int = 0o200_000;
const O_NOFOLLOW: c_int = 0o400_000;
const O_PATH: c_int = 0o10_000_000;
/// With [`O_DIRECTORY`], a file without a name, which no directory here can have.
pub(in super::super) const O_TMPFILE: c_int = 0o20_000_000;

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
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

/// Opens a file, which is made with this mode if it is not there and may be, and gives it a number.
pub(in super::super) fn open_at(
    dir: c_int,
    path: &[u8],
    flags: c_int,
    mode: c_uint,
) -> Result<c_int> {
    // Without a number for it, nothing is to be made or emptied.
    table::check_room()?;
    if flags & O_CREAT != 0 && path.ends_with(b"/") {
        let instead = if flags & O_EXCL != 0 { EEXIST } else { EISDIR };
        Entry::at(dir, path, [instead; 3])?;
        return Err(Errno(EISDIR));
    }
    let nofollow = flags & O_NOFOLLOW != 0 || flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
    let found = find(dir, path, !nofollow)?;
    let writing = flags & O_ACCMODE != 0;
    if flags & O_TMPFILE != 0 {
        return Err(Errno(EOPNOTSUPP));
    }
    super::let_files_be_mapped();
    let kept = flags & (O_ACCMODE | O_NONBLOCK | O_CLOEXEC | O_APPEND);
    // Looking for it may have waited. Nothing does from here on.
    table::check_room()?;
    let Some(node) = found.node.clone() else {
        match flags & (O_CREAT | O_DIRECTORY) {
            O_CREAT => {}
            0 | O_DIRECTORY => return Err(Errno(ENOENT)),
            _ => return Err(Errno(EINVAL)),
        }
        let node = match entry::create(found, mode) {
            // Another thread has made it meanwhile.
            Err(Errno(EEXIST)) if flags & O_EXCL == 0 => return open_at(dir, path, flags, mode),
            node => node?,
        };
        return table::insert(File::new(node, Place::new(), kept), kept);
    };
    if flags & O_CREAT != 0 && flags & O_EXCL != 0 {
        return Err(Errno(EEXIST));
    }
    match &node.kind {
        Kind::Socket(_) if flags & O_PATH == 0 => return Err(Errno(ENXIO)),
        Kind::Link(_) if flags & O_PATH == 0 => return Err(Errno(ELOOP)),
        Kind::Directory(_) if writing || flags & O_CREAT != 0 => return Err(Errno(EISDIR)),
        Kind::Directory(_) => {}
        _ if flags & O_DIRECTORY != 0 => return Err(Errno(ENOTDIR)),
        _ if (writing || flags & O_TRUNC != 0) && !node.is_writable() => return Err(Errno(EROFS)),
        Kind::Written(contents) if flags & O_TRUNC != 0 => {
            node.room_to_note(0)?;
            let _turn = contents.turn()?;
            contents.set_len(0)?;
            node.resized(0);
        }
        _ => {}
    }
    table::insert(File::new(node, found.place, kept), kept)
}

/// The mode, which C passes only where a file may be made, has the place of an ordinary third argument.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn open64(
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    number(path.and_then(|path| open_at(AT_FDCWD, path, flags, mode)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn open(
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { open64(path, flags, mode) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn openat64(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    number(path.and_then(|path| open_at(dir, path, flags, mode)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn openat(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { openat64(dir, path, flags, mode) }
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

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn fstatat(
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
        node::check_access(&node, mode as u32)
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
        let real = path_of(&found.place)?;
        // A program makes directories of any depth, step by step.
        if !buf.is_null() && real.len() > LONGEST.0 {
            return Err(Errno(ENAMETOOLONG));
        }
        Ok(real)
    });
    let copied = real.and_then(|real| {
        // SAFETY: the heap's own function, which any size suits.
        let to = if buf.is_null() { unsafe { malloc(real.len() + 1) }.cast() } else { buf };
        if to.is_null() {
            return Err(Errno(ENOMEM));
        }
        // SAFETY: the caller gives PATH_MAX bytes, and the path with its end was just found not to be longer; `malloc`
        // gave as many as are needed.
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

/// Into a buffer of `size` bytes, or, for NULL, into one of that size or, for 0, of the right one, which `malloc` gives, as
/// glibc has it.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn getcwd(buf: *mut c_char, size: usize) -> *mut c_char {
    let here = here().and_then(|(node, place)| Ok((node, path_of(&place)?)));
    let (node, here) = match here {
        Ok(here) => here,
        Err(Errno(error)) => {
            errno::set(error);
            return core::ptr::null_mut();
        }
    };
    let to = match node {
        Some(node) if node.links.get() == 0 => Err(ENOENT),
        _ if size == 0 && !buf.is_null() => Err(EINVAL),
        _ if size <= here.len() && (size != 0 || !buf.is_null()) => Err(ERANGE),
        _ if !buf.is_null() => Ok(buf),
        // SAFETY: the heap's own function, which any size suits.
        _ => match unsafe { malloc(size.max(here.len() + 1)) }.cast::<c_char>() {
            to if to.is_null() => Err(ENOMEM),
            to => Ok(to),
        },
    };
    match to {
        Ok(to) => {
            // SAFETY: the buffer has `size` bytes, which is more, or what `malloc` was asked for.
            unsafe {
                to.cast::<u8>().copy_from_nonoverlapping(here.as_ptr(), here.len());
                *to.add(here.len()) = 0;
            }
            to
        }
        Err(error) => {
            errno::set(error);
            core::ptr::null_mut()
        }
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn chdir(path: *const c_char) -> c_int {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    status(path.and_then(|path| start_from(find(AT_FDCWD, path, true)?)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) extern "C" fn fchdir(dir: c_int) -> c_int {
    status(find(dir, b".", true).and_then(start_from))
}

#[cfg(test)]
mod tests;
