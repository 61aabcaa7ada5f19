//! Aliases of other calls, and calls that have nothing to do here.
//!
//! Programs in C that were not compiled for large files call functions without `64` in their names, whose offsets have
//! 64 bits on this architecture all the same.

use core::ffi::{c_char, c_int, c_uint, c_void};

use super::answer::status;
use super::files::{calls as paths, changes, commit_files};
use super::parts::{Errno, Part, PartMut, Result};
use super::{copy, io, table};
use crate::errno::{self, EINVAL, EOPNOTSUPP, EPERM};
use crate::timespec::Timespec;

/// Defines each as the other.
macro_rules! calls {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $other:path;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            // SAFETY: the contract is the same.
            #[allow(unused_unsafe)]
            unsafe {
                $other($($argument),*)
            }
        }
    )*};
}
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
pub(super) use calls;

calls! {
    fallocate(fd: c_int, mode: c_int, offset: i64, len: i64) -> c_int = changes::fallocate64;
    ftruncate(fd: c_int, len: i64) -> c_int = changes::ftruncate64;
    posix_fallocate(fd: c_int, offset: i64, len: i64) -> c_int = changes::posix_fallocate64;
    pread(fd: c_int, to: *mut c_void, n: usize, offset: i64) -> isize = io::pread64;
    preadv(fd: c_int, list: *mut PartMut, count: c_int, offset: i64) -> isize = io::preadv64;
    pwrite(fd: c_int, from: *const c_void, n: usize, offset: i64) -> isize = io::pwrite64;
    pwritev(fd: c_int, list: *const Part, count: c_int, offset: i64) -> isize = io::pwritev64;
    sendfile(to: c_int, from: c_int, offset: *mut i64, n: usize) -> isize = copy::sendfile64;
    truncate(path: *const c_char, len: i64) -> c_int = changes::truncate64;
    creat64(path: *const c_char, mode: c_uint) -> c_int = creat;
}

/// The counter of an `eventfd`.
///
/// # Safety
///
/// The value is writable.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn eventfd_read(fd: c_int, value: *mut u64) -> c_int {
    // SAFETY: as the caller says.
    if unsafe { io::read(fd, value.cast(), 8) } == 8 { 0 } else { -1 }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn eventfd_write(fd: c_int, value: u64) -> c_int {
    // SAFETY: eight bytes.
    if unsafe { io::write(fd, (&raw const value).cast(), 8) } == 8 { 0 } else { -1 }
}

/// Defines `preadv2` and `pwritev2` under their names, the kernel's arguments in front: at -1 they are `readv` and
/// `writev`; no wishes (`RWF_NOWAIT`, …) are known, EOPNOTSUPP.
macro_rules! with_wishes {
    ($($name:ident($list:ty) = $at:path, $here:path;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) unsafe extern "C" fn $name(fd: c_int, list: $list, n: c_int, at: i64, wishes: c_int) -> isize {
            // SAFETY: the contract is the same.
            unsafe {
                match (wishes, at) {
                    (0, -1) => $here(fd, list, n),
                    (0, _) => $at(fd, list, n, at),
                    _ => errno::fail(EOPNOTSUPP) as isize,
                }
            }
        }
    )*};
}

with_wishes! {
    preadv2(*mut PartMut) = io::preadv64, io::readv;
    preadv64v2(*mut PartMut) = io::preadv64, io::readv;
    pwritev2(*const Part) = io::pwritev64, io::writev;
    pwritev64v2(*const Part) = io::pwritev64, io::writev;
}

/// A hint, of no use here.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn readahead(fd: c_int, _from: i64, _n: usize) -> isize {
    status(table::get(fd).map(|_| ())) as isize
}

/// How many descriptors there can be.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn getdtablesize() -> c_int {
    table::limit() as c_int
}

/// Part of a file is locked against other processes, of which there are none.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn lockf(fd: c_int, command: c_int, _n: i64) -> c_int {
    // F_ULOCK, F_LOCK, F_TLOCK, F_TEST.
    let known = if (0..=3).contains(&command) { Ok(()) } else { Err(Errno(EINVAL)) };
    status(table::get(fd).and(known))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn creat(path: *const c_char, mode: c_uint) -> c_int {
    const O_WRONLY_CREAT_TRUNC: c_int = 0o1 | 0o100 | 0o1000;
    // SAFETY: the contract is the same.
    unsafe { paths::open64(path, O_WRONLY_CREAT_TRUNC, mode) }
}

/// For what persists: all else is as durable as it will be. An error is in the log.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn sync() {
    let _ = commit_files();
}

/// As [`sync`]; EBADF, and the error if there is one.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn syncfs(fd: c_int) -> c_int {
    status(table::get(fd).and_then(|_| commit_files()))
}

fn advice(fd: c_int, advice: c_int) -> Result {
    table::get(fd)?;
    // POSIX_FADV_NORMAL to POSIX_FADV_NOREUSE.
    if (0..=5).contains(&advice) { Ok(()) } else { Err(Errno(EINVAL)) }
}

/// A hint, of no use here. Unlike most calls, this one returns the error.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn posix_fadvise(fd: c_int, _from: i64, _n: i64, hint: c_int) -> c_int {
    advice(fd, hint).map_or_else(|Errno(error)| error, |()| 0)
}

/// As [`posix_fadvise`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn posix_fadvise64(fd: c_int, from: i64, n: i64, hint: c_int) -> c_int {
    posix_fadvise(fd, from, n, hint)
}

/// Defines the calls on extended attributes, which no file has.
macro_rules! attributes {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) extern "C" fn $name($(_: $type),*) -> $result {
            errno::fail(EOPNOTSUPP) as $result
        }
    )*};
}

attributes! {
    getxattr(*const c_char, *const c_char, *mut c_void, usize) -> isize;
    lgetxattr(*const c_char, *const c_char, *mut c_void, usize) -> isize;
    fgetxattr(c_int, *const c_char, *mut c_void, usize) -> isize;
    listxattr(*const c_char, *mut c_char, usize) -> isize;
    llistxattr(*const c_char, *mut c_char, usize) -> isize;
    flistxattr(c_int, *mut c_char, usize) -> isize;
    setxattr(*const c_char, *const c_char, *const c_void, usize, c_int) -> c_int;
    lsetxattr(*const c_char, *const c_char, *const c_void, usize, c_int) -> c_int;
    fsetxattr(c_int, *const c_char, *const c_void, usize, c_int) -> c_int;
    removexattr(*const c_char, *const c_char) -> c_int;
    lremovexattr(*const c_char, *const c_char) -> c_int;
    fremovexattr(c_int, *const c_char) -> c_int;
}

/// How urgent the process is: there are no others.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn getpriority(_kind: c_int, _whose: c_uint) -> c_int {
    0
}

/// As [`getpriority`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn setpriority(_kind: c_int, _whose: c_uint, _priority: c_int) -> c_int {
    0
}

/// EPERM: the clock is Xen's, and the program cannot set it.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn clock_settime(_clock: c_int, _time: *const Timespec) -> c_int {
    errno::fail(EPERM)
}

/// A limit of the file system, -1 without an error if there is none.
fn limit(name: c_int) -> Result<i64> {
    match name {
        // _PC_NAME_MAX, _PC_PATH_MAX, _PC_PIPE_BUF.
        3 => Ok(255),
        4 | 5 => Ok(4096),
        0..=20 => Ok(-1),
        _ => Err(Errno(EINVAL)),
    }
}

fn limit_or_error(limit: Result<i64>) -> i64 {
    limit.unwrap_or_else(|Errno(error)| errno::fail(error).into())
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pathconf(path: *const c_char, name: c_int) -> i64 {
    // SAFETY: the contract is the same.
    match unsafe { paths::access(path, 0) } {
        0 => limit_or_error(limit(name)),
        error => error.into(),
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn fpathconf(fd: c_int, name: c_int) -> i64 {
    limit_or_error(table::get(fd).and_then(|_| limit(name)))
}

/// What is mapped is the file itself, or a copy that nobody else sees: there is something to write back only if files
/// persist.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn msync(at: *mut c_void, _len: usize, flags: c_int) -> c_int {
    // MS_ASYNC, MS_INVALIDATE, MS_SYNC; the first and the last exclude each other.
    let wrong = flags & !7 != 0 || flags & 5 == 5 || at.addr() % mirust_mem::PAGE_SIZE != 0;
    const MS_SYNC: c_int = 4;
    status(match wrong {
        true => Err(Errno(EINVAL)),
        false if flags & MS_SYNC != 0 => commit_files(),
        false => Ok(()),
    })
}

/// Memory stays where it is in any case.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn mlockall(_flags: c_int) -> c_int {
    0
}

/// As [`mlockall`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn munlockall() -> c_int {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::{EBADF, ENOENT};

    #[test]
    fn no_file_has_extended_attributes() {
        let (name, none) = (c"user.x".as_ptr(), core::ptr::null_mut());
        assert_eq!((fgetxattr(1, name, none, 0), errno::get()), (-1, EOPNOTSUPP));
        assert_eq!((setxattr(c"/tmp".as_ptr(), name, none, 0, 0), errno::get()), (-1, EOPNOTSUPP));
        for number in [host_libc::SYS_setxattr, host_libc::SYS_fremovexattr] {
            // SAFETY: refused, whatever the arguments are.
            let answer = unsafe { super::super::system_call(number as usize, [0; 6]) };
            assert_eq!(answer, -(EOPNOTSUPP as isize));
        }
    }

    #[test]
    fn what_does_nothing_refuses_what_is_wrong_as_the_host_does() {
        let host_error = || std::io::Error::last_os_error().raw_os_error();
        let odd = core::ptr::without_provenance_mut::<c_void>(4097);
        // SAFETY: nothing is mapped at these addresses, and nothing changes.
        unsafe {
            for (at, flags) in [(core::ptr::null_mut(), 5), (odd, 4), (core::ptr::null_mut(), 8)] {
                assert_eq!((msync(at, 4096, flags), errno::get()), (-1, EINVAL));
                assert_eq!(host_libc::msync(at.cast(), 4096, flags), -1);
                assert_eq!(host_error(), Some(EINVAL));
            }
        }
        assert_eq!((syncfs(-1), errno::get(), posix_fadvise(-1, 0, 0, 0)), (-1, EBADF, EBADF));
        assert_eq!((posix_fadvise(1, 0, 0, 2), posix_fadvise64(1, 0, 0, 9)), (0, EINVAL));
        assert_eq!((clock_settime(0, core::ptr::null()), errno::get()), (-1, EPERM));
    }

    #[test]
    fn limits_of_names_are_the_hosts() {
        // SAFETY: C strings.
        unsafe {
            for name in [3, 4, 5] {
                assert_eq!(
                    pathconf(c"/tmp".as_ptr(), name),
                    host_libc::pathconf(c"/".as_ptr(), name)
                );
            }
            assert_eq!((pathconf(c"/none".as_ptr(), 3), errno::get()), (-1, ENOENT));
            assert_eq!((pathconf(c"/tmp".as_ptr(), 99), errno::get()), (-1, EINVAL));
            assert_eq!((fpathconf(1, 5), fpathconf(-1, 5)), (4096, -1));
        }
    }

    #[test]
    fn counters_and_places_of_descriptors() {
        let fd = super::super::eventfd::eventfd(2, 0);
        let mut value = 0;
        // SAFETY: writable.
        let read = unsafe { eventfd_read(fd, &raw mut value) };
        assert_eq!((eventfd_write(fd, 5), read, value), (0, 0, 2));
        // SAFETY: writable.
        assert_eq!((unsafe { eventfd_read(fd, &raw mut value) }, value), (0, 5));
        assert_eq!((lockf(fd, 1, 0), lockf(fd, 9, 0), errno::get()), (0, -1, EINVAL));
        assert_eq!((readahead(fd, 0, 1), readahead(-1, 0, 1), errno::get()), (0, -1, EBADF));
        assert_eq!((io::close(fd), getdtablesize()), (0, table::limit() as c_int));
    }

    #[test]
    fn parts_with_wishes() {
        let (mut buf, text) = ([0u8; 4], *b"abcd");
        // SAFETY: C strings, and parts of four bytes that are there.
        unsafe {
            let fd = paths::open64(c"/tmp/parts".as_ptr(), 0o102, 0o600);
            let part = [Part::of(text.as_ptr().cast(), 4).unwrap()];
            assert_eq!(pwritev2(fd, part.as_ptr(), 1, -1, 0), 4);
            assert_eq!(pwritev64v2(fd, part.as_ptr(), 1, 2, 0), 4);
            let mut into = [PartMut::new(&mut buf)];
            assert_eq!(preadv2(fd, into.as_mut_ptr(), 1, 1, 0), 4);
            assert_eq!(
                (preadv64v2(fd, into.as_mut_ptr(), 1, 1, 8), errno::get()),
                (-1, EOPNOTSUPP)
            );
            assert_eq!((buf, io::close(fd)), (*b"babc", 0));
        }
    }

    #[test]
    fn files_by_calls_without_the_number() {
        let mut buf = [0u8; 4];
        let at = buf.as_mut_ptr().cast::<c_void>();
        // SAFETY: C strings, and a buffer of four bytes.
        unsafe {
            let fd = creat(c"/tmp/small".as_ptr(), 0o600);
            assert_eq!(pwrite(fd, c"abcd".as_ptr().cast(), 4, 2), 4);
            assert_eq!((ftruncate(fd, 5), io::close(fd)), (0, 0));
            let fd = paths::open64(c"/tmp/small".as_ptr(), 0, 0);
            assert_eq!((pread(fd, at, 4, 1), &buf), (4, b"\0abc"));
            assert_eq!((io::close(fd), truncate(c"/tmp/small".as_ptr(), 0)), (0, 0));
        }
    }
}
