//! Files: descriptors 0, 1 and 2 are the console, the file system is empty and read-only.
//!
//! Input is at its end. A look-up fails with ENOENT, a change with EROFS.

use super::errno::{self, EBADF, EINVAL, ENOENT, ENOMEM, ENOTTY, ERANGE, ESPIPE};
use super::layout::{PollFd, Stat};
use super::stub::{stubs, unsupported};
use super::{host, stdio};
use core::ffi::{c_char, c_int, c_short, c_ulong, c_void};
use core::sync::atomic::AtomicBool;

fn is_console(fd: c_int) -> bool {
    (0..=2).contains(&fd)
}

/// Standard output and error go to the console, after what their streams still hold.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, n: usize) -> isize {
    // SAFETY: the contract is the same.
    unsafe { write_part(fd, bytes, n) }
}

/// # Safety
///
/// `n` bytes at `bytes` are readable.
unsafe fn write_part(fd: c_int, bytes: *const c_void, n: usize) -> isize {
    if !matches!(fd, 1 | 2) {
        return errno::fail(EBADF) as isize;
    }
    stdio::flush_console();
    if n > 0 {
        // SAFETY: as the caller says.
        let bytes = unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), n) };
        (host::get().console_write)(bytes);
    }
    n as isize
}

/// `struct iovec`.
#[repr(C)]
struct Part {
    base: *const c_void,
    len: usize,
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn writev(fd: c_int, parts: *const Part, count: c_int) -> isize {
    let mut total = 0;
    for i in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the caller has `count` parts, each with that many bytes.
        let n = unsafe {
            let part = parts.add(i);
            write_part(fd, (*part).base, (*part).len)
        };
        if n < 0 {
            return n;
        }
        total += n;
    }
    total
}

/// The end of the input.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn read(fd: c_int, _buf: *mut c_void, _n: usize) -> isize {
    if fd == 0 { 0 } else { errno::fail(EBADF) as isize }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn close(fd: c_int) -> c_int {
    if is_console(fd) { 0 } else { errno::fail(EBADF) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn lseek64(fd: c_int, _offset: i64, _whence: c_int) -> i64 {
    errno::fail(if is_console(fd) { ESPIPE } else { EBADF }).into()
}

/// The console counts as a pipe, not as a terminal: nobody should send it colours.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn isatty(fd: c_int) -> c_int {
    errno::set(if is_console(fd) { ENOTTY } else { EBADF });
    0
}

/// A FIFO that may be written.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn fstat64(fd: c_int, stat: *mut Stat) -> c_int {
    if !is_console(fd) {
        return errno::fail(EBADF);
    }
    // SAFETY: `stat` is writable by contract.
    unsafe { *stat = Stat::fifo() };
    0
}

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// The root. For NULL `malloc` gives a buffer, as with glibc.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn getcwd(buf: *mut c_char, size: usize) -> *mut c_char {
    let to = match (buf.is_null(), size) {
        (false, 0) => Err(EINVAL),
        (_, 1) => Err(ERANGE),
        (false, _) => Ok(buf),
        // SAFETY: the heap's own function, which any size suits.
        (true, _) => match unsafe { malloc(size.max(2)) }.cast::<c_char>() {
            to if to.is_null() => Err(ENOMEM),
            to => Ok(to),
        },
    };
    match to {
        Ok(to) => {
            // SAFETY: the buffer has at least two bytes.
            unsafe { to.copy_from_nonoverlapping(c"/".as_ptr(), 2) };
            to
        }
        Err(error) => {
            errno::set(error);
            core::ptr::null_mut()
        }
    }
}

/// The state of the console, without waiting: output is always possible, input is at its end.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn poll(list: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    const POLLIN: c_short = 1;
    const POLLOUT: c_short = 4;
    const POLLNVAL: c_short = 32;
    let mut ready = 0;
    for i in 0..count as usize {
        // SAFETY: the caller has `count` entries, and nobody else accesses them.
        let entry = unsafe { &mut *list.add(i) };
        entry.revents = match entry.fd {
            ..0 => 0,
            0 => entry.events & POLLIN,
            1 | 2 => entry.events & POLLOUT,
            _ => POLLNVAL,
        };
        ready += c_int::from(entry.revents != 0);
    }
    if ready == 0 && timeout != 0 {
        let why = "a wait would stop both languages: use the poll of mirust";
        unsupported(&LOGGED, "poll", why, errno::ENOSYS);
        return -1;
    }
    ready
}

/// Defines look-ups by name, which find nothing.
macro_rules! nothing {
    ($($name:ident($($type:ty),*) -> $result:ty = $value:expr;)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        extern "C" fn $name($(_: $type),*) -> $result {
            errno::set(ENOENT);
            $value
        }
    )*};
}

nothing! {
    stat64(*const c_char, *mut Stat) -> c_int = -1;
    lstat64(*const c_char, *mut Stat) -> c_int = -1;
    access(*const c_char, c_int) -> c_int = -1;
    readlink(*const c_char, *mut c_char, usize) -> isize = -1;
    realpath(*const c_char, *mut c_char) -> *mut c_char = core::ptr::null_mut();
    opendir(*const c_char) -> *mut c_void = core::ptr::null_mut();
    chdir(*const c_char) -> c_int = -1;
    rename(*const c_char, *const c_char) -> c_int = -1;
    rmdir(*const c_char) -> c_int = -1;
    unlink(*const c_char) -> c_int = -1;
}

stubs! {
    ENOENT open64(*const c_char, c_int, c_int) -> c_int = -1, "an image has no file system";
    EROFS mkdir(*const c_char, c_int) -> c_int = -1, "an image has no file system";
    EBADF ftruncate64(c_int, i64) -> c_int = -1, "an image has no file system";
    EBADF closedir(*mut c_void) -> c_int = -1, "an image has no file system";
    EBADF readdir64(*mut c_void) -> *mut c_void = core::ptr::null_mut(),
        "an image has no file system";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_the_host() {
        assert_eq!(size_of::<Part>(), size_of::<host_libc::iovec>());
    }

    #[test]
    fn the_console_is_three_descriptors_and_no_file_exists() {
        assert_eq!((close(1), close(3), errno::get()), (0, -1, EBADF));
        assert_eq!((read(0, core::ptr::null_mut(), 1), lseek64(0, 0, 0)), (0, -1));
        assert_eq!(errno::get(), ESPIPE);
        assert_eq!((open64(c"/x".as_ptr(), 0, 0), errno::get()), (-1, ENOENT));
        assert_eq!((mkdir(c"/x".as_ptr(), 0), errno::get()), (-1, errno::EROFS));
        let mut stat = core::mem::MaybeUninit::uninit();
        let mut path = [0; 2];
        // SAFETY: the results are writable; `bytes` is readable.
        unsafe {
            assert_eq!(fstat64(2, stat.as_mut_ptr()), 0);
            assert_eq!(stat.assume_init().links, 1);
            assert!(getcwd(path.as_mut_ptr(), 1).is_null());
            assert_eq!(getcwd(path.as_mut_ptr(), 2), path.as_mut_ptr());
            assert!(getcwd(path.as_mut_ptr(), 0).is_null());
            assert_eq!(errno::get(), EINVAL);
            let made = getcwd(core::ptr::null_mut(), 0);
            assert_eq!(core::ffi::CStr::from_ptr(made), c"/");
            host_libc::free(made.cast());
            assert_eq!(write(0, c"x".as_ptr().cast(), 1), -1);
        }
        assert_eq!(path.map(|c| c as u8), *b"/\0");
    }

    #[test]
    fn poll_answers_without_waiting() {
        let mut list = [0, 1, 7, -1].map(|fd| PollFd { fd, events: 5, revents: 9 });
        // SAFETY: the list has four entries.
        unsafe {
            assert_eq!(poll(list.as_mut_ptr(), 4, -1), 3);
            assert_eq!(poll(list.as_mut_ptr(), 0, 0), 0);
            assert_eq!(poll(list.as_mut_ptr(), 0, 10), -1);
        }
        assert_eq!(list.map(|e| e.revents), [1, 4, 32, 0]);
    }
}
