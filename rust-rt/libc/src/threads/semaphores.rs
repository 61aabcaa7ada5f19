//! Semaphores of `<semaphore.h>`, without names.

use core::ffi::{c_int, c_uint};

use super::fibers::{ANY, NEVER, Waited};
use super::futex::on_monotonic;
use super::required;
use super::waiting::must_wait;
use crate::deliver;
use crate::errno::{self, EAGAIN, EINTR, EINVAL, EOVERFLOW, ETIMEDOUT};
use crate::stack_signals::Ends;
use crate::timespec::Timespec;

/// `sem_t`.
#[repr(C)]
struct Semaphore {
    value: c_uint,
    unused: [c_uint; 7],
}

const _: () = assert!(size_of::<Semaphore>() == 32);

/// SEM_VALUE_MAX.
const MOST: c_uint = c_int::MAX as c_uint;

/// Whether other processes share it does not matter, as there are none.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sem_init(semaphore: *mut Semaphore, _shared: c_int, value: c_uint) -> c_int {
    if value > MOST {
        return errno::fail(EINVAL);
    }
    // SAFETY: writable by contract.
    unsafe { semaphore.write(Semaphore { value, unused: [0; 7] }) };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn sem_destroy(_semaphore: *mut Semaphore) -> c_int {
    0
}

/// Waits until it is above zero, at most until the deadline, and takes one. A handler ends that: as on Linux each one if
/// there is a deadline.
///
/// # Safety
///
/// The semaphore is initialised.
unsafe fn take(semaphore: *mut Semaphore, deadline: u64) -> c_int {
    // SAFETY: no reference is kept over the wait, and other threads change it meanwhile only.
    unsafe {
        let ends = if deadline == NEVER { Ends::Unrestarted } else { Ends::Always };
        let wait = deliver::wait(ends, semaphore.addr());
        while (&raw const (*semaphore).value).read_volatile() == 0 {
            if wait.is_over() {
                return errno::fail(EINTR);
            }
            let waited = (required().wait)(semaphore.addr(), ANY, deadline);
            must_wait("a semaphore", waited);
            if waited == Waited::TimedOut {
                return errno::fail(ETIMEDOUT);
            }
        }
        (*semaphore).value -= 1;
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sem_wait(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: initialised by contract, here and below.
    unsafe { take(semaphore, NEVER) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sem_timedwait(semaphore: *mut Semaphore, time: *const Timespec) -> c_int {
    // SAFETY: as above, and the time is readable by contract.
    unsafe {
        match (*time).deadline_ns() {
            Some(ns) => take(semaphore, on_monotonic(ns)),
            None => errno::fail(EINVAL),
        }
    }
}

/// By the wall clock (0) or the monotonic one (1).
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sem_clockwait(
    semaphore: *mut Semaphore,
    clock: c_int,
    time: *const Timespec,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        match ((*time).deadline_ns(), clock) {
            (Some(_), 0) => sem_timedwait(semaphore, time),
            (Some(ns), 1) => take(semaphore, ns.min(NEVER - 1)),
            _ => errno::fail(EINVAL),
        }
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sem_trywait(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: as above.
    let semaphore = unsafe { &mut *semaphore };
    if semaphore.value == 0 {
        return errno::fail(EAGAIN);
    }
    semaphore.value -= 1;
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sem_post(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: as above.
    unsafe {
        if (*semaphore).value == MOST {
            return errno::fail(EOVERFLOW);
        }
        (*semaphore).value += 1;
    }
    (required().wake)(semaphore.addr(), ANY, 1);
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sem_getvalue(semaphore: *const Semaphore, value: *mut c_int) -> c_int {
    // SAFETY: initialised, and writable, by contract.
    unsafe { *value = (*semaphore).value as c_int };
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_taken_at_a_time_and_none_that_is_not_there() {
        let mut semaphore = Semaphore { value: 9, unused: [7; 7] };
        let at = &raw mut semaphore;
        let mut value = -1;
        // SAFETY: a semaphore, and what is written to.
        unsafe {
            assert_eq!((sem_init(at, 0, MOST + 1), errno::get()), (-1, EINVAL));
            assert_eq!((sem_init(at, 0, 2), sem_wait(at), sem_trywait(at)), (0, 0, 0));
            assert_eq!((sem_trywait(at), errno::get()), (-1, EAGAIN));
            assert_eq!((sem_getvalue(at, &raw mut value), value), (0, 0));
            assert_eq!((sem_init(at, 0, MOST), sem_post(at)), (0, -1));
            assert_eq!((errno::get(), sem_destroy(at)), (EOVERFLOW, 0));
        }
        assert_eq!(size_of::<Semaphore>(), size_of::<host_libc::sem_t>());
    }
}
