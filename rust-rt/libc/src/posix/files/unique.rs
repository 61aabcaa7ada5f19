//! Files and directories with new, unique names: `mkstemp`, `mkdtemp`.

use core::ffi::{CStr, c_char, c_int};

use super::super::answer::number;
use super::super::block;
use super::super::parts::{Errno, Result};
use super::calls::open_at;
use super::changes::mkdir;
use super::lookup::AT_FDCWD;
use crate::errno::{self, EEXIST, EFAULT, EINVAL};
use crate::random::getrandom;

/// What a name ends in, to be replaced.
const ENDING: &[u8; 6] = b"XXXXXX";
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// How many names are tried: this many are not taken by chance.
const ATTEMPTS: usize = 100;

/// Calls `make` with one name after another in place of the template, until one is free.
///
/// # Safety
///
/// The template is NULL, or a C string that can be written.
unsafe fn try_names<R>(template: *mut c_char, make: impl Fn(&CStr) -> Result<R>) -> Result<R> {
    if template.is_null() {
        return Err(Errno(EFAULT));
    }
    // SAFETY: as the caller says.
    let length = unsafe { CStr::from_ptr(template) }.count_bytes();
    let start = length.checked_sub(ENDING.len()).ok_or(Errno(EINVAL))?;
    // SAFETY: that many bytes were just found to be there.
    let ending = unsafe { template.cast::<[u8; ENDING.len()]>().byte_add(start) };
    // SAFETY: as above; an array of bytes is aligned anywhere.
    if unsafe { ending.read() } != *ENDING {
        return Err(Errno(EINVAL));
    }
    for _ in 0..ATTEMPTS {
        let mut number = seed();
        // SAFETY: as above, and writable by contract. The name is read when this reference is gone.
        for byte in unsafe { &mut *ending } {
            *byte = LETTERS[(number % 62) as usize];
            number /= 62;
        }
        // SAFETY: only letters were replaced.
        match make(unsafe { CStr::from_ptr(template) }) {
            Err(Errno(EEXIST)) => {}
            made => return made,
        }
    }
    Err(Errno(EEXIST))
}

/// Unpredictable if the CPU has random numbers; otherwise it is the time, which does no harm in a domain of one
/// program.
fn seed() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer has eight bytes.
    match unsafe { getrandom(bytes.as_mut_ptr().cast(), 8, 0) } {
        8 => u64::from_ne_bytes(bytes),
        _ => block::now().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8,
    }
}

/// Makes a file and opens it, with flags besides.
///
/// # Safety
///
/// As for [`try_names`].
unsafe fn file(template: *mut c_char, flags: c_int) -> c_int {
    /// Reading and writing, a new one.
    const O_RDWR_CREAT_EXCL: c_int = 0o2 | 0o100 | 0o200;
    let flags = flags & !0o3 | O_RDWR_CREAT_EXCL;
    let open = |name: &CStr| open_at(AT_FDCWD, name.to_bytes(), flags, 0o600);
    // SAFETY: as the caller says.
    number(unsafe { try_names(template, open) })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn mkstemp(template: *mut c_char) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { file(template, 0) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn mkstemp64(template: *mut c_char) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { file(template, 0) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn mkostemp(template: *mut c_char, flags: c_int) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { file(template, flags) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn mkostemp64(template: *mut c_char, flags: c_int) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { file(template, flags) }
}

/// The template, or NULL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn mkdtemp(template: *mut c_char) -> *mut c_char {
    let make = |name: &CStr| {
        // SAFETY: a C string.
        match unsafe { mkdir(name.as_ptr(), 0o700) } {
            0 => Ok(()),
            _ => Err(Errno(errno::get())),
        }
    };
    // SAFETY: the contract is the same.
    match unsafe { try_names(template, make) } {
        Ok(()) => template,
        Err(Errno(error)) => {
            errno::set(error);
            core::ptr::null_mut()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{block_tests as testing, io};
    use super::super::calls::access;
    use super::*;
    use crate::errno::EROFS;

    #[test]
    fn each_name_is_a_new_one() {
        testing::give_busy();
        let mut names = alloc::vec::Vec::new();
        // SAFETY: the templates are C strings that can be written.
        unsafe {
            for _ in 0..20 {
                let mut name = *b"/tmp/a-XXXXXX\0";
                let fd = mkstemp(name.as_mut_ptr().cast());
                assert!(fd > 2);
                assert_eq!(io::write(fd, b"x".as_ptr().cast(), 1), 1);
                assert_eq!((io::close(fd), access(name.as_ptr().cast(), 0)), (0, 0));
                names.push(name);
            }
            let mut name = *b"/tmp/XXXXXX\0";
            let at = name.as_mut_ptr().cast();
            assert_eq!((mkdtemp(at), access(at, 0)), (at, 0));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 20);
    }

    #[test]
    fn other_templates_are_refused_as_on_the_host() {
        testing::give_busy();
        let mut short = *b"XXXXX\0";
        let mut wrong = *b"/tmp/XXXXXx\0";
        let mut elsewhere = *b"/XXXXXX\0";
        // SAFETY: the templates are C strings that can be written.
        unsafe {
            for at in [short.as_mut_ptr(), wrong.as_mut_ptr()] {
                assert_eq!((mkstemp(at.cast()), errno::get()), (-1, EINVAL));
                assert_eq!(host_libc::mkstemp(at.cast()), -1);
                assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(EINVAL));
            }
            assert_eq!((mkstemp(elsewhere.as_mut_ptr().cast()), errno::get()), (-1, EROFS));
        }
    }
}
