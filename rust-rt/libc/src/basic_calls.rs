//! The system calls that every program may make, with descriptors or without: random bytes, and what locks need.

use super::errno::{self, EAGAIN, ENOSYS};
use super::stub::unsupported;
use super::threads::block::number as thread;
use super::threads::table::{self, FutexCall};
use super::{die, random};
use core::ffi::{c_int, c_long, c_uint, c_void};
use core::sync::atomic::AtomicBool;

pub(crate) const SYS_GETTID: c_long = 186;
pub(crate) const SYS_FUTEX: c_long = 202;
pub(crate) const SYS_GETRANDOM: c_long = 318;

/// A result, or -1 and `errno`. Nothing for a call that is not among these.
///
/// # Safety
///
/// The arguments are what Linux expects for this call: pointers are valid for what the call does with them.
pub(crate) unsafe fn served(number: c_long, arguments: [usize; 6]) -> Option<c_long> {
    let [a, b, c, timeout, _, mask] = arguments;
    Some(match number {
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
        _ => return None,
    })
}

/// What a call gets that is served nowhere: -1 and ENOSYS, and a line in the log for the first one.
pub(crate) fn unserved(number: c_long) -> c_long {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let why = "an image has no Linux below it";
    unsupported(&LOGGED, format_args!("system call {number}"), why, ENOSYS);
    -1
}

/// In a program without threads. A wake-up finds nobody waiting. A wait with a time limit is refused, which std takes
/// for an early wake-up; one without would never end, and ends the domain.
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
