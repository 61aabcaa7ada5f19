//! Blocking, and the end of the domain.

use super::hypervisor::{EndReason, Hypervisor};
use crate::wire::Port;

/// Ports that Xen takes in one `SCHEDOP_poll`: no domain can wait for more.
pub const MAX_PORTS: usize = 128;

/// Blocks until one of `ports` is pending or system time (ns since the host booted) reaches
/// `deadline`. Returns at once if either is so already, and may return early.
///
/// The only place in the image that blocks. No event can slip in between the last look at the
/// pending bits and the sleep: Xen marks the vCPU as polling first, then looks at the pending bit of
/// each port; a sender that sets a pending bit afterwards finds the mark and wakes the vCPU
/// (`do_poll` and `evtchn_check_pollers` in Xen's `common/sched` and `common/event_channel.c`).
pub fn block(hypervisor: &dyn Hypervisor, ports: &[Port], deadline: u64) {
    // To Xen zero is no deadline at all, and times are signed: a later one would be in the past.
    let deadline = match deadline {
        0 => 1,
        late if late > i64::MAX as u64 => 0,
        other => other,
    };
    if let Err(error) = hypervisor.poll(ports, deadline) {
        // Returning early is allowed; doing so for ever would be a silent busy loop.
        panic!("SCHEDOP_poll on {} ports failed: {error}", ports.len());
    }
}

/// Ends the domain for `reason`.
pub fn end(hypervisor: &dyn Hypervisor, reason: EndReason) -> ! {
    loop {
        hypervisor.shutdown(reason);
        hypervisor.log(b"mirust: Xen refused to end the domain\n");
        // Returning is not an option: the callers have torn down what the program needs.
        block(hypervisor, &[], u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{tsc, world};

    #[test]
    #[should_panic(expected = "the domain has ended: Crash")]
    fn end_asks_xen_with_the_reason() {
        end(world().xen, EndReason::Crash);
    }

    #[test]
    fn deadline_in_the_past_returns_at_once() {
        let before = tsc();
        block(world().xen, &[], 0);
        block(world().xen, &[], 5);
        assert_eq!(tsc(), before);
    }

    /// The fake Xen refuses to sleep without a deadline and without a pending port.
    #[test]
    #[should_panic(expected = "sleep for ever")]
    fn late_deadline_is_none_at_all() {
        block(world().xen, &[], i64::MAX as u64 + 1);
    }
}
