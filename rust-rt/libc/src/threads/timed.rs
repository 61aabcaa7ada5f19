//! Sleeping, and waiting for no longer than that.

use core::ffi::c_int;
use core::ptr;

use super::block::number;
use super::fibers::{ANY, NEVER, Waited, given};
use super::futex::on_monotonic;
use super::objects::{Condition, Mutex};
use super::waiting::{must_wait, sleep_until};
use super::{conditions, required};
use crate::errno::{self, EDEADLK, EINTR, EINVAL, ENOSYS, ETIMEDOUT};
use crate::host;
use crate::pthread::pthread_mutex_trylock;
use crate::timespec::Timespec;

/// Sleeps until `deadline`, in ns since boot, and says what is left of that if a handler ends it. ENOSYS in a task of
/// the executor.
///
/// # Safety
///
/// `left` is NULL or writable.
unsafe fn sleep(function: &str, deadline: u64, left: *mut Timespec) -> c_int {
    let slept = sleep_until(function, deadline);
    if slept == Waited::Refused {
        return ENOSYS;
    }
    if !left.is_null() {
        let ns = match slept {
            Waited::Woken => deadline.saturating_sub((host::get().monotonic_ns)()),
            _ => 0,
        };
        // SAFETY: as the caller says.
        unsafe { *left = Timespec::from_ns(ns) };
    }
    if slept == Waited::Woken { EINTR } else { 0 }
}

/// Sleeps for `time`, at least, unless a handler ends it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn nanosleep(time: *const Timespec, left: *mut Timespec) -> c_int {
    required();
    // SAFETY: readable by contract.
    let Some(ns) = (unsafe { (*time).ns() }) else { return errno::fail(EINVAL) };
    let deadline = (host::get().monotonic_ns)().saturating_add(ns);
    // SAFETY: NULL or writable by contract.
    match unsafe { sleep("nanosleep", deadline, left) } {
        0 => 0,
        error => errno::fail(error),
    }
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
    // SAFETY: NULL or writable by contract.
    unsafe {
        sleep(
            "clock_nanosleep",
            deadline,
            if flags & ABSOLUTE == 0 { left } else { ptr::null_mut() },
        )
    }
}

/// The time limit of a `_clock` function, in ns since boot, by the wall clock or the monotonic one.
///
/// # Safety
///
/// The time is readable.
unsafe fn by_clock(clock: c_int, time: *const Timespec) -> Option<u64> {
    // SAFETY: as the caller says.
    let ns = unsafe { (*time).deadline_ns() }?;
    match clock {
        0 => Some(on_monotonic(ns)),
        1 => Some(ns.min(NEVER - 1)),
        _ => None,
    }
}

/// As `pthread_cond_timedwait`, by this clock.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_cond_clockwait(
    condition: *mut Condition,
    mutex: *mut Mutex,
    clock: c_int,
    time: *const Timespec,
) -> c_int {
    required();
    // SAFETY: as for `pthread_cond_timedwait`.
    unsafe {
        let Some(deadline) = by_clock(clock, time) else { return EINVAL };
        conditions::wait(condition.cast(), mutex, deadline)
    }
}

/// Locks, unless that takes longer than until this time.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_clocklock(
    mutex: *mut Mutex,
    clock: c_int,
    time: *const Timespec,
) -> c_int {
    required();
    // SAFETY: the mutex is initialised, by contract; no reference is kept over the wait.
    unsafe {
        while pthread_mutex_trylock(mutex) != 0 {
            if (*mutex).owner == number() && (*mutex).kind != 0 {
                return EDEADLK;
            }
            let Some(deadline) = by_clock(clock, time) else { return EINVAL };
            (*mutex).waiting += 1;
            let waited = (given().wait)(mutex.addr(), ANY, deadline);
            (*mutex).waiting -= 1;
            must_wait("pthread_mutex_timedlock", waited);
            if waited == Waited::TimedOut {
                return ETIMEDOUT;
            }
        }
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_timedlock(mutex: *mut Mutex, time: *const Timespec) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { pthread_mutex_clocklock(mutex, 0, time) }
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
