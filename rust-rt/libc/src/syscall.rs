//! `syscall`: what Rust's std asks of Linux this way, and, with descriptors, what the instruction SYSCALL is served.

use super::errno::{self, EAGAIN, ENOSYS};
use super::stub::unsupported;
use super::threads::{FutexCall, number as thread, table};
use super::{die, random};
use core::ffi::{c_int, c_long, c_uint, c_void};
use core::sync::atomic::AtomicBool;

const SYS_GETTID: c_long = 186;
const SYS_FUTEX: c_long = 202;
const SYS_GETRANDOM: c_long = 318;

/// `getrandom`, `futex` and `gettid`, which every program may ask for; with descriptors the others too, as allocators call
/// `open` this way to be called by nobody meanwhile. ENOSYS for what there is not. Integers and pointers of a variadic call are where
/// those of any other call are, so an ordinary function serves.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    timeout: usize,
    second_word: usize,
    mask: usize,
) -> c_long {
    match number {
        // SAFETY: the caller owns `b` bytes at `a`.
        SYS_GETRANDOM => unsafe { random::getrandom(a as *mut c_void, b, c as c_uint) as c_long },
        // SAFETY: the caller's word is at `a`.
        SYS_FUTEX => unsafe {
            let call = FutexCall {
                word: a as *const c_uint,
                operation: b as c_int,
                value: c as c_uint,
                timeout: timeout as *const _,
                mask: mask as u32,
            };
            match table::get() {
                Some(threads) => (threads.futex)(&call) as c_long,
                None => futex(call.word, call.operation, call.value, timeout != 0),
            }
        },
        SYS_GETTID => thread().into(),
        // SAFETY: the caller's promise.
        _ => unsafe { others(number, [a, b, c, timeout, second_word, mask]) }
            .map_or_else(|| unserved(number), |result| result as c_long),
    }
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

fn unserved(number: c_long) -> c_long {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let why = "an image has no Linux below it";
    unsupported(&LOGGED, format_args!("system call {number}"), why, ENOSYS);
    -1
}

/// In a program without threads. A wake-up finds nobody waiting. A wait with a time limit is refused, which std takes for an
/// early wake-up; one without would never end, and ends the domain.
///
/// # Safety
///
/// `word` is readable when `operation` is a wait.
unsafe fn futex(word: *const c_uint, operation: c_int, value: c_uint, timed: bool) -> c_long {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    const PRIVATE: c_int = 128;
    const CLOCK_REALTIME: c_int = 256;
    const WAKE: c_int = 1;
    const WAIT: c_int = 0;
    const WAIT_BITSET: c_int = 9;
    const WAKE_BITSET: c_int = 10;
    match operation & !(PRIVATE | CLOCK_REALTIME) {
        WAKE | WAKE_BITSET => 0,
        // SAFETY: as the caller says.
        WAIT | WAIT_BITSET if unsafe { word.read_volatile() } != value => {
            errno::fail(EAGAIN).into()
        }
        WAIT | WAIT_BITSET if !timed => die::deadlock("a wait for another thread"),
        _ => {
            unsupported(&LOGGED, "futex", "a wait would stop both languages", ENOSYS);
            -1
        }
    }
}

#[cfg(test)]
mod tests {
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
