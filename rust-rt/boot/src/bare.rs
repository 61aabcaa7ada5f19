//! QEMU's bare machine as the platform of the domain's poll: a clock, and no events.

use super::clock;
use mirust_executor::platform::Platform;
use mirust_executor::time::{Duration, Instant};

/// For tests of boot, memory and language, and for a first look without Xen.
pub struct BareMachine;

impl Platform for BareMachine {
    fn now(&self) -> Instant {
        Instant::from_nanos(clock::monotonic_ns())
    }

    /// What the machine's clock said at boot, and the time since then; without such a clock, the time since boot.
    fn wall(&self) -> Duration {
        Duration::from_nanos(clock::wall_ns())
    }

    fn dispatch(&self) -> usize {
        0
    }

    /// Spins: with interrupts off nothing ends a HLT.
    fn wait(&self, deadline: Instant) {
        if deadline == Instant::NEVER {
            crate::diag::fatal(format_args!("deadlock: nothing can wake this domain"));
        }
        while self.now() < deadline {
            core::hint::spin_loop();
        }
    }
}
