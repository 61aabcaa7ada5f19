//! The futex, on which Rust's std, parking_lot and others build everything.

use core::ffi::c_int;

use super::fibers::{ANY, NEVER, Waited, given};
use super::table::FutexCall;
use super::waiting::must_wait;
use crate::errno::{self, EAGAIN, EINVAL, ENOSYS, ETIMEDOUT};
use crate::host;
use crate::stub::unsupported;
use crate::timespec::Timespec;
use core::sync::atomic::AtomicBool;

const PRIVATE: c_int = 128;
const CLOCK_REALTIME: c_int = 256;
const WAIT: c_int = 0;
const WAKE: c_int = 1;
const WAIT_BITSET: c_int = 9;
const WAKE_BITSET: c_int = 10;

/// WAIT and WAKE, with and without masks; ENOSYS for all else.
///
/// # Safety
///
/// For a wait the word is readable, and the time limit is null or readable.
pub(crate) unsafe fn call(call: &FutexCall) -> isize {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let given = given();
    let operation = call.operation & !(PRIVATE | CLOCK_REALTIME);
    let mask = match operation {
        WAIT_BITSET | WAKE_BITSET if call.mask == 0 => return failed(EINVAL),
        WAIT_BITSET | WAKE_BITSET => call.mask,
        _ => ANY,
    };
    match operation {
        WAKE | WAKE_BITSET => {
            // A negative number, as some use it for "all", is a large one here.
            (given.wake)(call.word.addr(), mask, call.value as usize) as isize
        }
        // SAFETY: as the caller says.
        WAIT | WAIT_BITSET if unsafe { call.word.read_volatile() } != call.value => failed(EAGAIN),
        WAIT | WAIT_BITSET => {
            // SAFETY: as the caller says.
            let limit = unsafe { call.timeout.as_ref() };
            let deadline = match limit.map(Timespec::ns) {
                None => NEVER,
                Some(None) => return failed(EINVAL),
                // A plain wait has a duration, the other one a point in time (futex(2)).
                Some(Some(ns)) if operation == WAIT => {
                    (host::get().monotonic_ns)().saturating_add(ns)
                }
                Some(Some(ns)) if call.operation & CLOCK_REALTIME != 0 => on_monotonic(ns),
                Some(Some(ns)) => ns,
            };
            let waited = (given.wait)(call.word.addr(), mask, deadline);
            must_wait("a wait for another thread", waited);
            if waited == Waited::TimedOut { failed(ETIMEDOUT) } else { 0 }
        }
        _ => {
            unsupported(&LOGGED, "futex", "only waits and wake-ups are known", ENOSYS);
            -1
        }
    }
}

fn failed(error: c_int) -> isize {
    errno::fail(error) as isize
}

/// A time of the wall clock, as the monotonic clock has it if the former does not jump.
pub(super) fn on_monotonic(wall: u64) -> u64 {
    let host = host::get();
    let left = wall.saturating_sub((host.wall_ns)());
    (host.monotonic_ns)().saturating_add(left)
}
