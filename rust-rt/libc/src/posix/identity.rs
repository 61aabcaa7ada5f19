//! A program's identity: its machine, its user and its limits.

use core::ffi::{c_char, c_int, c_uint, c_void};

use super::answer::status;
use super::parts::Errno;
use super::table;
use crate::env;
use crate::errno::{EFAULT, EINVAL, ENAMETOOLONG, ENOENT, EPERM, ESRCH};

/// The name of the domain, from its environment (`HOSTNAME`).
fn host_name() -> &'static [u8] {
    env::get(b"HOSTNAME").map_or(b"mirust", core::ffi::CStr::to_bytes)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn gethostname(buf: *mut c_char, size: usize) -> c_int {
    let name = host_name();
    let answer = match (buf.is_null(), size <= name.len()) {
        (true, _) => Err(Errno(EFAULT)),
        (_, true) => Err(Errno(ENAMETOOLONG)),
        _ => {
            // SAFETY: the buffer has `size` bytes, which is more.
            unsafe {
                buf.cast::<u8>().copy_from_nonoverlapping(name.as_ptr(), name.len());
                *buf.add(name.len()) = 0;
            }
            Ok(())
        }
    };
    status(answer)
}

/// `struct utsname`: system, node, release, version, machine, domain.
type Names = [[u8; 65]; 6];

/// A system with Linux's C ABI; the release is the oldest one that has everything implemented here.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn uname(names: *mut Names) -> c_int {
    if names.is_null() {
        return status(Err(Errno(EFAULT)));
    }
    let texts: [&[u8]; 6] =
        [b"Linux", host_name(), b"5.11.0-mirust", b"Mirust", b"x86_64", b"(none)"];
    let mut all = [[0; 65]; 6];
    for (name, text) in all.iter_mut().zip(texts) {
        let n = text.len().min(64);
        name[..n].copy_from_slice(&text[..n]);
    }
    // SAFETY: writable by contract.
    unsafe { names.write(all) };
    0
}

macro_rules! root {
    ($($name:ident)*) => {$(
        /// There is one user.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) extern "C" fn $name() -> c_uint {
            0
        }
    )*};
}

root! {
    getuid
    geteuid
    getgid
    getegid
}

/// No user has an entry.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getpwuid_r(
    _user: c_uint,
    _entry: *mut c_void,
    _buf: *mut c_char,
    _size: usize,
    result: *mut *mut c_void,
) -> c_int {
    // SAFETY: writable by contract.
    unsafe { *result = core::ptr::null_mut() };
    ENOENT
}

/// Defines look-ups of users and groups, none of whom has an entry.
macro_rules! nobody {
    ($($name:ident($type:ty);)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) unsafe extern "C" fn $name(
            _whom: $type,
            entry: *mut c_void,
            buf: *mut c_char,
            size: usize,
            result: *mut *mut c_void,
        ) -> c_int {
            // SAFETY: the contract is the same.
            unsafe { getpwuid_r(0, entry, buf, size, result) }
        }
    )*};
}

nobody! {
    getpwnam_r(*const c_char);
    getgrgid_r(c_uint);
    getgrnam_r(*const c_char);
}

/// Defines the same look-ups without a buffer: NULL, and `errno` stays as it is.
macro_rules! calls {
    ($($name:ident($type:ty);)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) extern "C" fn $name(_whom: $type) -> *mut c_void {
            core::ptr::null_mut()
        }
    )*};
}

calls! {
    getpwnam(*const c_char);
    getpwuid(c_uint);
    getgrnam(*const c_char);
    getgrgid(c_uint);
}

/// Of no other groups than its own.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn getgroups(size: c_int, _list: *mut c_uint) -> c_int {
    if size < 0 { status(Err(Errno(EINVAL))) } else { 0 }
}

/// Defines questions for the group and the session that a process is in: this one's own.
macro_rules! groups {
    ($($name:ident)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) extern "C" fn $name(process: c_int) -> c_int {
            let own = crate::process::getpid();
            if process == 0 || process == own { own } else { status(Err(Errno(ESRCH))) }
        }
    )*};
}

groups! {
    getpgid
    getsid
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn getpgrp() -> c_int {
    getpgid(0)
}

/// Defines the changes of users and groups, of whom there is one each: to it (0), or to none (-1); EPERM for others.
macro_rules! changes {
    ($($name:ident($($whom:ident),*);)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        extern "C" fn $name($($whom: c_uint),*) -> c_int {
            become_one_of(&[$($whom),*])
        }
    )*};
}

changes! {
    setuid(whom);
    setgid(whom);
    seteuid(whom);
    setegid(whom);
    setreuid(real, effective);
    setregid(real, effective);
    setresuid(real, effective, saved);
    setresgid(real, effective, saved);
}

fn become_one_of(all: &[c_uint]) -> c_int {
    let ours = all.iter().all(|&whom| whom == 0 || whom == c_uint::MAX);
    status(if ours { Ok(()) } else { Err(Errno(EPERM)) })
}

/// The groups besides its own: none, or its own once more.
///
/// # Safety
///
/// As many are readable at the list.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn setgroups(size: usize, list: *const c_uint) -> c_int {
    // SAFETY: as the caller says.
    let list = if size == 0 { &[] } else { unsafe { core::slice::from_raw_parts(list, size) } };
    become_one_of(list)
}

/// Those that a user is in: the one that is given.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn initgroups(_user: *const c_char, group: c_uint) -> c_int {
    become_one_of(&[group])
}

/// Defines the questions for the three that a process has of a kind.
macro_rules! three {
    ($($name:ident)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name(real: *mut c_uint, effective: *mut c_uint, saved: *mut c_uint) -> c_int {
            // SAFETY: writable by contract.
            unsafe { (*real, *effective, *saved) = (0, 0, 0) };
            0
        }
    )*};
}

three! {
    getresuid
    getresgid
}

/// `struct rlimit`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Limits {
    soft: u64,
    hard: u64,
}

const RLIMIT_STACK: c_int = 3;
const RLIMIT_CORE: c_int = 4;
const RLIMIT_NOFILE: c_int = 7;

/// Descriptors are limited; there are no core files; everything else is limited only by memory.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getrlimit(resource: c_int, limits: *mut Limits) -> c_int {
    let value = match resource {
        RLIMIT_NOFILE => table::limit() as u64,
        RLIMIT_CORE => 0,
        RLIMIT_STACK => 1 << 20,
        0..=15 => u64::MAX,
        _ => return status(Err(Errno(EINVAL))),
    };
    if limits.is_null() {
        return status(Err(Errno(EFAULT)));
    }
    // SAFETY: writable by contract.
    unsafe { *limits = Limits { soft: value, hard: value } };
    0
}

/// Limits are fixed: one can be set to its current value, or lower, which is ignored.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn setrlimit(resource: c_int, limits: *const Limits) -> c_int {
    let mut now = Limits { soft: 0, hard: 0 };
    // SAFETY: `now` is writable.
    if unsafe { getrlimit(resource, &raw mut now) } != 0 {
        return -1;
    }
    if limits.is_null() {
        return status(Err(Errno(EFAULT)));
    }
    // SAFETY: readable by contract.
    let wanted = unsafe { *limits };
    status(if wanted.soft > now.hard { Err(Errno(EPERM)) } else { Ok(()) })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getrlimit64(resource: c_int, limits: *mut Limits) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { getrlimit(resource, limits) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn setrlimit64(resource: c_int, limits: *const Limits) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { setrlimit(resource, limits) }
}

/// Both, of this process alone.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn prlimit64(
    process: c_int,
    resource: c_int,
    new: *const Limits,
    old: *mut Limits,
) -> c_int {
    if process != 0 && process != crate::process::getpid() {
        return status(Err(Errno(ESRCH)));
    }
    let mut now = Limits { soft: 0, hard: 0 };
    // SAFETY: `now` is writable. Each of the others is NULL or valid by contract; what is new is read before what is
    // old is written, which may be in the same place.
    unsafe {
        if getrlimit(resource, &raw mut now) != 0 || !new.is_null() && setrlimit(resource, new) != 0
        {
            return -1;
        }
        if !old.is_null() {
            *old = now;
        }
    }
    0
}

/// The oldest version of glibc whose functions std looks for.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) extern "C" fn gnu_get_libc_version() -> *const c_char {
    c"2.36".as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno;
    use core::ptr::null_mut;

    #[test]
    fn names_are_cut_or_refused() {
        let mut name = [1; 7];
        // SAFETY: the buffer is as long as said.
        unsafe {
            assert_eq!(gethostname(name.as_mut_ptr(), 6), -1);
            assert_eq!(errno::get(), ENAMETOOLONG);
            assert_eq!(gethostname(name.as_mut_ptr(), 7), 0);
        }
        assert_eq!(name.map(|c| c as u8), *b"mirust\0");
        let mut names = [[1; 65]; 6];
        // SAFETY: writable.
        assert_eq!(unsafe { uname(&raw mut names) }, 0);
        assert_eq!((&names[0][..6], names[5][64]), (&b"Linux\0"[..], 0));
        assert_eq!(size_of::<Names>(), size_of::<host_libc::utsname>());
    }

    #[test]
    fn there_is_one_process_of_one_user() {
        let mut result = core::ptr::dangling_mut::<c_void>();
        // SAFETY: the result is writable.
        unsafe {
            assert_eq!(getgrgid_r(0, null_mut(), null_mut(), 0, &raw mut result), ENOENT);
            assert!(result.is_null());
            assert_eq!(
                getpwnam_r(c"root".as_ptr(), null_mut(), null_mut(), 0, &raw mut result),
                ENOENT
            );
            assert_eq!(
                getgrnam_r(c"root".as_ptr(), null_mut(), null_mut(), 0, &raw mut result),
                ENOENT
            );
        }
        assert!(getpwuid(0).is_null() && getpwnam(c"root".as_ptr()).is_null());
        assert!(getgrgid(0).is_null() && getgrnam(c"root".as_ptr()).is_null());
        assert_eq!(
            (getgroups(0, core::ptr::null_mut()), getgroups(-1, core::ptr::null_mut())),
            (0, -1)
        );
        assert_eq!((getpgid(0), getsid(getpgrp())), (getpgrp(), crate::process::getpid()));
        assert_eq!((getpgid(99), errno::get()), (-1, ESRCH));
    }

    #[test]
    fn nobody_else_can_be_become() {
        let none = c_uint::MAX;
        assert_eq!([setuid(0), setegid(0), setreuid(none, 0), setresgid(none, none, none)], [0; 4]);
        assert_eq!(
            [setuid(1000), setgid(5), setresuid(0, 0, 7), initgroups(c"x".as_ptr(), 9)],
            [-1; 4]
        );
        assert_eq!(errno::get(), EPERM);
        let (mut a, mut b, mut c) = (1, 2, 3);
        // SAFETY: all are readable and writable; of no groups nothing is read.
        unsafe {
            assert_eq!([setgroups(0, core::ptr::null()), setgroups(1, &raw const a)], [0, -1]);
            assert_eq!(getresuid(&raw mut a, &raw mut b, &raw mut c), 0);
        }
        assert_eq!([a, b, c], [0; 3]);
    }

    #[test]
    fn limits_can_be_asked_for_and_not_raised() {
        let mut limits = Limits { soft: 0, hard: 0 };
        // SAFETY: readable and writable, here and below.
        unsafe {
            assert_eq!(getrlimit(RLIMIT_NOFILE, &raw mut limits), 0);
            assert_eq!(limits.soft as usize, table::limit());
            assert_eq!(setrlimit(RLIMIT_NOFILE, &raw const limits), 0);
            assert_eq!(prlimit64(0, RLIMIT_NOFILE, &raw const limits, &raw mut limits), 0);
            assert_eq!(
                (prlimit64(99, 0, core::ptr::null(), &raw mut limits), errno::get()),
                (-1, ESRCH)
            );
            limits.soft += 1;
            // Both in one place, and no answer but with success.
            let asked = limits.soft;
            assert_eq!(prlimit64(0, RLIMIT_NOFILE, &raw const limits, &raw mut limits), -1);
            assert_eq!((errno::get(), limits.soft), (EPERM, asked));
            let neither = (core::ptr::null(), null_mut());
            assert_eq!((prlimit64(0, 99, neither.0, neither.1), errno::get()), (-1, EINVAL));
            assert_eq!((setrlimit(RLIMIT_NOFILE, &raw const limits), errno::get()), (-1, EPERM));
            assert_eq!((getrlimit(99, &raw mut limits), errno::get()), (-1, EINVAL));
        }
    }
}
