//! Functions on descriptors, paths and streams of fortified callers, as in [`crate::fortify`].

use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

use super::files::calls::{self, O_CREAT, O_TMPFILE};
use super::streams::{calls as streams, lines};
use super::{identity, inet, io, poll, terminal, transfer};
use crate::die::die;
use crate::fortify::checked;
use crate::layout::PollFd;
use crate::stdio::File;
use crate::timespec::Timespec;

checked! {
    (not(test))
    __read_chk(fd: c_int, to: *mut c_void, n: usize, room: usize) -> isize
        = io::read[fd, to, n]: n, room;
    __pread_chk(fd: c_int, to: *mut c_void, n: usize, offset: i64, room: usize) -> isize
        = io::pread64[fd, to, n, offset]: n, room;
    __pread64_chk(fd: c_int, to: *mut c_void, n: usize, offset: i64, room: usize) -> isize
        = io::pread64[fd, to, n, offset]: n, room;
    __recv_chk(fd: c_int, to: *mut c_void, n: usize, room: usize, flags: c_int) -> isize
        = transfer::recv[fd, to, n, flags]: n, room;
    __recvfrom_chk(fd: c_int, to: *mut c_void, n: usize, room: usize, flags: c_int, address: *mut c_void, length: *mut c_uint) -> isize
        = transfer::recvfrom[fd, to, n, flags, address, length]: n, room;
    __poll_chk(list: *mut PollFd, count: c_ulong, timeout: c_int, room: usize) -> c_int
        = poll::poll[list, count, timeout]: (count as usize).saturating_mul(size_of::<PollFd>()), room;
    __ppoll_chk(list: *mut PollFd, count: c_ulong, timeout: *const Timespec, signals: *const u64, room: usize) -> c_int
        = poll::ppoll[list, count, timeout, signals]: (count as usize).saturating_mul(size_of::<PollFd>()), room;
    __getcwd_chk(to: *mut c_char, n: usize, room: usize) -> *mut c_char
        = calls::getcwd[to, n]: n, room;
    __readlink_chk(path: *const c_char, to: *mut c_char, n: usize, room: usize) -> isize
        = calls::readlink[path, to, n]: n, room;
    __readlinkat_chk(dir: c_int, path: *const c_char, to: *mut c_char, n: usize, room: usize) -> isize
        = calls::readlinkat[dir, path, to, n]: n, room;
    __realpath_chk(path: *const c_char, to: *mut c_char, room: usize) -> *mut c_char
        = calls::realpath[path, to]: PATH_MAX, room;
    __gethostname_chk(to: *mut c_char, n: usize, room: usize) -> c_int
        = identity::gethostname[to, n]: n, room;
    __getgroups_chk(n: c_int, to: *mut c_uint, room: usize) -> c_int
        = identity::getgroups[n, to]: n.max(0) as usize * size_of::<c_uint>(), room;
    __ttyname_r_chk(fd: c_int, to: *mut c_char, n: usize, room: usize) -> c_int
        = terminal::ttyname_r[fd, to, n]: n, room;
    __inet_ntop_chk(family: c_int, from: *const c_void, to: *mut c_char, n: c_uint, room: usize) -> *const c_char
        = inet::inet_ntop[family, from, to, n]: n as usize, room;
    __fread_chk(to: *mut c_void, room: usize, size: usize, count: usize, stream: *const File) -> usize
        = streams::fread[to, size, count, stream]: size.saturating_mul(count), room;
    __fread_unlocked_chk(to: *mut c_void, room: usize, size: usize, count: usize, stream: *const File) -> usize
        = streams::fread[to, size, count, stream]: size.saturating_mul(count), room;
    __fgets_chk(to: *mut c_char, room: usize, n: c_int, stream: *const File) -> *mut c_char
        = lines::fgets[to, n, stream]: n.max(0) as usize, room;
    __fgets_unlocked_chk(to: *mut c_char, room: usize, n: c_int, stream: *const File) -> *mut c_char
        = lines::fgets[to, n, stream]: n.max(0) as usize, room;
    __open_2(path: *const c_char, flags: c_int) -> c_int
        = calls::open64[path, without_mode("__open_2", flags), 0]: 0, 0;
    __open64_2(path: *const c_char, flags: c_int) -> c_int
        = calls::open64[path, without_mode("__open64_2", flags), 0]: 0, 0;
    __openat_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int
        = calls::openat64[dir, path, without_mode("__openat_2", flags), 0]: 0, 0;
    __openat64_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int
        = calls::openat64[dir, path, without_mode("__openat64_2", flags), 0]: 0, 0;
}

/// The flags of a caller that gives no mode. Ends the domain if they make a file, whose mode would be anything.
fn without_mode(function: &str, flags: c_int) -> c_int {
    if flags & (O_CREAT | O_TMPFILE) != 0 {
        die(format_args!("{function}: a file is to be made without a mode"));
    }
    flags
}

/// What `realpath` may write.
const PATH_MAX: usize = 4096;
