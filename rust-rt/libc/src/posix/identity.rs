//! A program's identity: its machine, its user and its limits.

use core::ffi::{CStr, c_char, c_int, c_uint};

use super::answer::status;
use super::parts::Errno;
use super::table;
use crate::env;
use crate::errno::{EFAULT, EINVAL, ENAMETOOLONG, EPERM, ESRCH};

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

/// `struct passwd`.
#[repr(C)]
struct User {
    name: *const c_char,
    password: *const c_char,
    user: c_uint,
    group: c_uint,
    about: *const c_char,
    home: *const c_char,
    shell: *const c_char,
}

/// `struct group`.
#[repr(C)]
struct Group {
    name: *const c_char,
    password: *const c_char,
    group: c_uint,
    members: *const *const c_char,
}

/// What is looked up may be read from anywhere, and is not written to.
struct Constant<T>(T);
// SAFETY: the pointers lead to constants.
unsafe impl<T> Sync for Constant<T> {}

const ROOT: &CStr = c"root";
static NO_MEMBERS: Constant<*const c_char> = Constant(core::ptr::null());
/// Home is where the program starts. There is no shell, and no password that could be right.
static ROOT_USER: Constant<User> = Constant(User {
    name: ROOT.as_ptr(),
    password: c"*".as_ptr(),
    user: 0,
    group: 0,
    about: ROOT.as_ptr(),
    home: c"/".as_ptr(),
    shell: c"".as_ptr(),
});
static ROOT_GROUP: Constant<Group> = Constant(Group {
    name: ROOT.as_ptr(),
    password: c"*".as_ptr(),
    group: 0,
    members: &raw const NO_MEMBERS.0,
});

/// Whether the one user or group is meant, which has the number 0.
trait MeansRoot {
    /// # Safety
    ///
    /// A pointer leads to a C string.
    unsafe fn means_root(self) -> bool;
}

impl MeansRoot for c_uint {
    unsafe fn means_root(self) -> bool {
        self == 0
    }
}

impl MeansRoot for *const c_char {
    unsafe fn means_root(self) -> bool {
        // SAFETY: as the caller says.
        unsafe { CStr::from_ptr(self) == ROOT }
    }
}

/// Defines look-ups of users and groups: NULL for any but the one, and `errno` stays as it is.
macro_rules! calls {
    ($($name:ident($whom:ty) -> $entry:ident = $root:ident;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name(whom: $whom) -> *const $entry {
            // SAFETY: the contract is the same.
            if unsafe { whom.means_root() } { &raw const $root.0 } else { core::ptr::null() }
        }
    )*};
}

calls! {
    getpwnam(*const c_char) -> User = ROOT_USER;
    getpwuid(c_uint) -> User = ROOT_USER;
    getgrnam(*const c_char) -> Group = ROOT_GROUP;
    getgrgid(c_uint) -> Group = ROOT_GROUP;
}

/// Defines the same look-ups with a buffer, which they do not need. To find nobody is no error, as with glibc.
macro_rules! functions {
    ($($name:ident($whom:ty) -> $entry:ident = $find:ident;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name(
            whom: $whom,
            entry: *mut $entry,
            _buf: *mut c_char,
            _size: usize,
            result: *mut *const $entry,
        ) -> c_int {
            // SAFETY: the contract is the same; `entry` and `result` are writable by it.
            unsafe {
                let found = $find(whom);
                *result = found;
                if !found.is_null() {
                    entry.copy_from_nonoverlapping(found, 1);
                    *result = entry;
                }
            }
            0
        }
    )*};
}

functions! {
    getpwnam_r(*const c_char) -> User = getpwnam;
    getpwuid_r(c_uint) -> User = getpwuid;
    getgrnam_r(*const c_char) -> Group = getgrnam;
    getgrgid_r(c_uint) -> Group = getgrgid;
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
    fn one_user_and_one_group_can_be_looked_up() {
        // SAFETY: all names are C strings; the layouts are the host's; everything is writable that has to be.
        unsafe {
            let user = &*getpwnam(ROOT.as_ptr()).cast::<host_libc::passwd>();
            assert_eq!((CStr::from_ptr(user.pw_name), user.pw_uid, user.pw_gid), (ROOT, 0, 0));
            assert_eq!((CStr::from_ptr(user.pw_dir), CStr::from_ptr(user.pw_shell)), (c"/", c""));
            let group = &*getgrgid(0).cast::<host_libc::group>();
            assert_eq!((CStr::from_ptr(group.gr_name), group.gr_gid), (ROOT, 0));
            assert!((*group.gr_mem).is_null());
            assert!(getpwuid(1).is_null() && getgrnam(c"nobody".as_ptr()).is_null());

            let mut entry = core::mem::zeroed::<User>();
            let mut result = core::ptr::null();
            let (buf, size) = (null_mut(), 0);
            let found = getpwuid_r(0, &raw mut entry, buf, size, &raw mut result);
            assert_eq!((found, result), (0, &raw const entry));
            assert_eq!(CStr::from_ptr(entry.name), ROOT);
            // glibc finds nobody without an error.
            let none = getpwnam_r(c"x".as_ptr(), &raw mut entry, buf, size, &raw mut result);
            assert_eq!((none, result), (0, core::ptr::null()));
        }
        assert_eq!(size_of::<User>(), size_of::<host_libc::passwd>());
        assert_eq!(size_of::<Group>(), size_of::<host_libc::group>());
    }

    #[test]
    fn there_is_one_process_of_one_user() {
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
