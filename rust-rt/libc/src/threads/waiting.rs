//! Waiting, in functions of which some cannot report failure.

use core::ptr;
use core::sync::atomic::AtomicBool;

use super::block::Block;
use super::fibers::{ANY, NEVER, Waited, given};
use crate::stack_signals::Ends;
use crate::stub::unsupported;
use crate::{deliver, die, errno};

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

/// Waits until this is true, which is looked at when a handler has run, or a signal has come: `Woken` then, also if it
/// is false and a handler ends the wait. At most until the deadline, in ns since boot.
pub(super) fn until(deadline: u64, is: &mut dyn FnMut() -> bool) -> Waited {
    let place = ptr::from_ref(Block::signals()).addr();
    let wait = deliver::wait(Ends::Always, place);
    while !is() && !wait.is_over() {
        match (given().wait)(place, ANY, deadline) {
            Waited::Woken => {}
            other => return other,
        }
    }
    Waited::Woken
}

/// Sleeps until this time, in ns since boot: `Woken` if a handler has ended that.
pub(super) fn sleep_until(function: &str, deadline: u64) -> Waited {
    let slept = until(deadline, &mut || false);
    if slept == Waited::Refused {
        refused(function);
    }
    slept
}
