//! Sleeping, and waiting for no longer than that.

use core::ffi::c_int;
use core::ptr;

use super::fibers::NEVER;
use super::futex::on_monotonic;
use super::objects::{Condition, Mutex};
use super::waiting::sleep_until;
use super::{conditions, required};
use crate::errno::{self, EINVAL, ENOSYS};
use crate::host;
use crate::timespec::Timespec;

/// Sleeps for `time`, at least; nothing ends it early. ENOSYS in a task of the executor.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn nanosleep(time: *const Timespec, left: *mut Timespec) -> c_int {
    required();
    // SAFETY: readable by contract.
    let Some(ns) = (unsafe { (*time).ns() }) else { return errno::fail(EINVAL) };
    let deadline = (host::get().monotonic_ns)().saturating_add(ns);
    if !sleep_until("nanosleep", deadline) {
        return errno::fail(ENOSYS);
    }
    if !left.is_null() {
        // SAFETY: writable by contract, here and below.
        unsafe { *left = Timespec::from_ns(0) };
    }
    0
}

/// As `nanosleep`, on a clock and perhaps until a point in time; gives the error itself.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    time: *const Timespec,
    left: *mut Timespec,
) -> c_int {
    const REALTIME: c_int = 0;
    const ABSOLUTE: c_int = 1;
    required();
    // SAFETY: readable by contract.
    let Some(ns) = (unsafe { (*time).ns() }) else { return EINVAL };
    let deadline = match (flags & ABSOLUTE != 0, clock) {
        (false, 0..=7) => (host::get().monotonic_ns)().saturating_add(ns),
        (true, REALTIME) => on_monotonic(ns),
        (true, 1..=7) => ns,
        _ => return EINVAL,
    };
    if !sleep_until("clock_nanosleep", deadline) {
        return ENOSYS;
    }
    if !ptr::eq(left, ptr::null()) && flags & ABSOLUTE == 0 {
        // SAFETY: as above.
        unsafe { *left = Timespec::from_ns(0) };
    }
    0
}

/// The time is one of the condition's clock.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_cond_timedwait(
    condition: *mut Condition,
    mutex: *mut Mutex,
    time: *const Timespec,
) -> c_int {
    required();
    // SAFETY: readable by contract, all three.
    unsafe {
        let Some(ns) = (*time).deadline_ns() else { return EINVAL };
        let deadline = if (*condition).monotonic == 0 { on_monotonic(ns) } else { ns };
        conditions::wait(condition.cast(), mutex, deadline.min(NEVER - 1))
    }
}
