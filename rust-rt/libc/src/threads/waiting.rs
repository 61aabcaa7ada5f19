//! Waiting, in functions of which some cannot report failure.

use core::sync::atomic::AtomicBool;

use super::fibers::{ANY, NEVER, Waited, given};
use crate::stub::unsupported;
use crate::{die, errno};

const WHY: &str = "a task of mirust::spawn cannot block: await, or do this on a thread";

/// The caller, a task of the executor, cannot do what `function` needs: says so in the log, each time.
pub(super) fn refused(function: &str) {
    unsupported(&AtomicBool::new(false), function, WHY, errno::EDEADLK);
}

/// As [`refused`], where C has no way to answer with an error.
pub(super) fn must_wait(function: &str, waited: Waited) {
    if waited == Waited::Refused {
        die::die(format_args!("{function}: {WHY}"))
    }
}

/// Waits until somebody wakes at the address, for a function that cannot fail.
pub(super) fn wait_at(function: &str, address: usize) {
    must_wait(function, (given().wait)(address, ANY, NEVER));
}

/// Sleeps until this time, in ns since boot. False, and a line in the log, if the caller cannot.
pub(super) fn sleep_until(function: &str, deadline: u64) -> bool {
    let slept = (given().sleep_until)(deadline);
    if !slept {
        refused(function);
    }
    slept
}
