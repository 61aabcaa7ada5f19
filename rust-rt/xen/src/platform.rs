//! Xen as the platform of the domain's poll.

use super::{clock::Clock, events::Events, hypervisor::Hypervisor, sched};
use mirust_executor::platform::Platform;
use mirust_executor::time::{Duration, Instant};

/// The domain's events and clock.
pub struct XenPlatform {
    hypervisor: &'static dyn Hypervisor,
    events: &'static Events,
    clock: &'static Clock,
}

impl XenPlatform {
    /// The platform that these make up.
    pub fn new(
        hypervisor: &'static dyn Hypervisor,
        events: &'static Events,
        clock: &'static Clock,
    ) -> Self {
        XenPlatform { hypervisor, events, clock }
    }
}

impl Platform for XenPlatform {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> Duration {
        self.clock.wall()
    }

    fn dispatch(&self) -> usize {
        self.events.dispatch()
    }

    /// An event that came after the last `dispatch` has left its pending bit set, and every port
    /// that `dispatch` serves is among those that Xen looks at: it returns at once then.
    fn wait(&self, deadline: Instant) {
        let deadline = self.clock.deadline(deadline);
        self.clock.across(|| {
            self.events.with_ports(|ports| sched::block(self.hypervisor, ports, deadline));
        });
    }

    fn recent(&self) -> Option<Instant> {
        self.clock.recent()
    }
}
