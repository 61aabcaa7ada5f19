//! `syscall`: what Rust's std asks of Linux this way, and, with descriptors, what the instruction SYSCALL is served.

use super::basic_calls;
use core::ffi::c_long;

/// `getrandom`, `futex` and `gettid`, which every program may ask for; with descriptors the others too, since
/// allocators open files this way, so that no wrapper of `open` calls them back. ENOSYS for what there is not. Integers
/// and pointers of a variadic call are where those of any other call are, so an ordinary function serves.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    let arguments = [a, b, c, d, e, f];
    // SAFETY: the caller's promise.
    let served = unsafe {
        basic_calls::served(number, arguments)
            .or_else(|| others(number, arguments).map(|result| result as c_long))
    };
    served.unwrap_or_else(|| basic_calls::unserved(number))
}

/// What there is besides: a result, or -1 and `errno`.
///
/// # Safety
///
/// As for [`system_call`](super::posix::system_call).
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
unsafe fn others(number: c_long, arguments: [usize; 6]) -> Option<isize> {
    // SAFETY: as the caller says.
    unsafe { super::posix::served(number as usize, arguments) }
}

/// Nothing, without descriptors.
#[cfg(not(all(feature = "posix", any(test, feature = "symbols"))))]
unsafe fn others(_number: c_long, _arguments: [usize; 6]) -> Option<isize> {
    None
}

#[cfg(test)]
mod tests {
    use super::super::basic_calls::{SYS_FUTEX, SYS_GETRANDOM};
    use super::super::errno::{self, EAGAIN, ENOSYS};
    use super::*;

    #[test]
    fn random_bytes_and_wake_ups_are_served() {
        let mut bytes = [0u8; 32];
        let word = 7u32;
        let at = (&raw const word).expose_provenance();
        // SAFETY: the buffer has 32 bytes, and the word is readable.
        unsafe {
            assert_eq!(
                syscall(SYS_GETRANDOM, bytes.as_mut_ptr().expose_provenance(), 32, 0, 0, 0, 0),
                32
            );
            assert_eq!(syscall(SYS_FUTEX, at, 1 | 128, 1, 0, 0, 0), 0);
            assert_eq!((syscall(SYS_FUTEX, at, 9 | 128, 8, 0, 0, 0), errno::get()), (-1, EAGAIN));
            assert_eq!((syscall(SYS_FUTEX, at, 9 | 128, 7, 1, 0, 0), errno::get()), (-1, ENOSYS));
            assert_eq!((syscall(57, 0, 0, 0, 0, 0, 0), errno::get()), (-1, ENOSYS));
        }
        assert_ne!(bytes, [0; 32]);
    }
}
