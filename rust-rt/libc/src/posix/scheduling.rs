//! How urgent a program and its threads are: they take turns on one processor, by no other rule (`SCHED_OTHER`).

use core::ffi::{c_int, c_void};

use super::answer::number;
use super::parts::{Errno, Result};
use crate::errno::{EFAULT, EINVAL, EPERM, ESRCH};
use crate::process;

const SCHED_OTHER: c_int = 0;
const SCHED_FIFO: c_int = 1;
const SCHED_RR: c_int = 2;
const SCHED_BATCH: c_int = 3;
const SCHED_IDLE: c_int = 5;

/// The least and the highest priority.
fn priorities(policy: c_int) -> Result<(c_int, c_int)> {
    match policy {
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE => Ok((0, 0)),
        SCHED_FIFO | SCHED_RR => Ok((1, 99)),
        _ => Err(Errno(EINVAL)),
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn sched_get_priority_max(policy: c_int) -> c_int {
    number(priorities(policy).map(|(_, most)| most))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn sched_get_priority_min(policy: c_int) -> c_int {
    number(priorities(policy).map(|(least, _)| least))
}

/// ESRCH for another process.
fn check_process(process: c_int) -> Result {
    if process == 0 || process == process::getpid() { Ok(()) } else { Err(Errno(ESRCH)) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn sched_getscheduler(process: c_int) -> c_int {
    number(check_process(process).map(|()| SCHED_OTHER))
}

/// The only priority there is.
///
/// # Safety
///
/// The parameter, a `struct sched_param` with the priority alone, is NULL or writable.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn sched_getparam(process: c_int, priority: *mut c_int) -> c_int {
    number(check_process(process).and_then(|()| {
        if priority.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: as the caller says.
        unsafe { *priority = 0 };
        Ok(0)
    }))
}

/// EPERM for a rule by which others would have to wait.
///
/// # Safety
///
/// The parameter is NULL or readable.
unsafe fn change(policy: c_int, priority: *const c_int) -> Result {
    // SAFETY: as the caller says.
    let priority = unsafe { priority.as_ref() }.ok_or(Errno(EFAULT))?;
    let (least, most) = priorities(policy)?;
    match policy {
        _ if !(least..=most).contains(priority) => Err(Errno(EINVAL)),
        SCHED_FIFO | SCHED_RR => Err(Errno(EPERM)),
        _ => Ok(()),
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn sched_setscheduler(
    process: c_int,
    policy: c_int,
    priority: *const c_int,
) -> c_int {
    // SAFETY: the contract is the same.
    number(check_process(process).and_then(|()| unsafe { change(policy, priority) }).map(|()| 0))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn sched_setparam(process: c_int, priority: *const c_int) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { sched_setscheduler(process, SCHED_OTHER, priority) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn pthread_getschedparam(
    _thread: usize,
    policy: *mut c_int,
    priority: *mut c_int,
) -> c_int {
    // SAFETY: writable by contract.
    unsafe { (*policy, *priority) = (SCHED_OTHER, 0) };
    0
}

/// Like most functions of threads, it returns the error.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn pthread_setschedparam(
    _thread: usize,
    policy: c_int,
    priority: *const c_int,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { change(policy, priority) }.map_or_else(|Errno(error)| error, |()| 0)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn pthread_setschedprio(_thread: usize, priority: c_int) -> c_int {
    if priority == 0 { 0 } else { EINVAL }
}

/// As `sched_setaffinity`, but for returning the error.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn pthread_setaffinity_np(
    _thread: usize,
    size: usize,
    set: *const c_void,
) -> c_int {
    // SAFETY: the contract is the same.
    if unsafe { process::sched_setaffinity(0, size, set) } == 0 { 0 } else { EINVAL }
}

/// The niceness of the program, which stays what it is.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn nice(_more: c_int) -> c_int {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno;

    #[test]
    fn priorities_are_those_of_the_host() {
        for policy in -1..6 {
            // SAFETY: no pointers.
            let host = unsafe {
                (
                    host_libc::sched_get_priority_min(policy),
                    host_libc::sched_get_priority_max(policy),
                )
            };
            assert_eq!((sched_get_priority_min(policy), sched_get_priority_max(policy)), host);
        }
    }

    #[test]
    fn only_the_rule_that_there_is_can_be_chosen() {
        let set = |policy, priority: c_int| {
            // SAFETY: the priority is readable.
            match unsafe { sched_setscheduler(0, policy, &raw const priority) } {
                0 => 0,
                _ => errno::get(),
            }
        };
        assert_eq!([set(0, 0), set(3, 0), set(0, 1), set(7, 0)], [0, 0, EINVAL, EINVAL]);
        assert_eq!([set(1, 1), set(2, 99), set(1, 0)], [EPERM, EPERM, EINVAL]);
        let (mut policy, mut priority) = (7, 7);
        // SAFETY: both are writable, and the set has a byte.
        unsafe {
            assert_eq!(pthread_getschedparam(1, &raw mut policy, &raw mut priority), 0);
            assert_eq!((policy, priority, sched_getscheduler(0)), (0, 0, 0));
            assert_eq!(pthread_setschedparam(1, 1, &raw const priority), EINVAL);
            assert_eq!((sched_getparam(99, &raw mut priority), errno::get()), (-1, ESRCH));
            assert_eq!(sched_setparam(0, core::ptr::null()), -1);
            let [first, second] =
                [1u8, 2].map(|set| pthread_setaffinity_np(1, 1, (&raw const set).cast()));
            assert_eq!((first, second, nice(5)), (0, EINVAL, 0));
        }
    }
}
