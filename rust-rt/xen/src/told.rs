//! What Xen tells of time without being asked.
//!
//! Where Xen emulates the time stamp counter, as on a host whose counters differ, or for a domain that came from one
//! with another frequency, each look at the clock is an exit. Two things the domain learns without one. When its vCPU
//! was given the processor is in its runstate, which Xen writes to the domain's memory. And the periodic timer raises
//! `VIRQ_TIMER` while the vCPU runs: as long as its pending bit is not set, no more than a period has passed. Nobody
//! waits for that port, which stays masked, and Xen stops the timer while the domain sleeps.

use super::{
    abi,
    hypervisor::Hypervisor,
    shared_info::{PORTS, SharedInfo},
};
use crate::wire::Port;
use core::{
    mem::offset_of,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

/// How long the clock is believed without a look, in nanoseconds.
const PERIOD: u64 = 10_000_000;
/// Set in the time while Xen writes the rest.
const UPDATE: u64 = 1 << 63;

/// Xen's `struct vcpu_runstate_info`. By its alignment within a page.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Runstate([AtomicU64; size_of::<abi::vcpu_runstate_info>() / 8]);

/// What was told.
#[derive(Debug, Default)]
pub struct Told {
    runstate: Runstate,
    /// The timer's port; 0 if there is none.
    port: AtomicU32,
    /// Somebody has looked at the clock, or the vCPU was given a processor.
    known: AtomicBool,
}

impl Told {
    /// Begins, in a new domain or in another one that it has become. Xen may not have the operations, or not emulate
    /// the counter: then nothing is told.
    pub fn begin(&'static self, hypervisor: &dyn Hypervisor) {
        self.known.store(false, Ordering::Relaxed);
        let at = &raw const self.runstate as usize;
        // SAFETY: of the structure's size, aligned so that it crosses no page, static, and made of atomics.
        let port = unsafe { hypervisor.tell_time(at, PERIOD) };
        let port = port.ok().filter(|port| (port.0 as usize) < PORTS);
        self.port.store(port.map_or(0, |port| port.0), Ordering::Relaxed);
    }

    fn port(&self) -> Option<Port> {
        let port = self.port.load(Ordering::Relaxed);
        (port != 0).then_some(Port(port))
    }

    /// Somebody looks at the clock from here on.
    pub fn look(&self, info: &SharedInfo) {
        if let Some(port) = self.port() {
            self.restart(info, port, true);
        }
    }

    fn restart(&self, info: &SharedInfo, port: Port, known: bool) {
        if info.is_pending(port) {
            info.take_port(port);
        }
        self.known.store(known, Ordering::Relaxed);
    }

    /// Calls `block`, which may give up the processor. Since when the vCPU has had it again, in system time, if it
    /// was another processor's or nobody's meanwhile.
    pub fn across(&self, info: &SharedInfo, block: impl FnOnce()) -> Option<u64> {
        let before = self.since();
        block();
        let port = self.port()?;
        // The timer first: whatever comes from here on counts.
        self.restart(info, port, false);
        let since = self.since();
        let given = since != before;
        self.known.store(given, Ordering::Relaxed);
        given.then_some(since)
    }

    fn since(&self) -> u64 {
        let at = offset_of!(abi::vcpu_runstate_info, state_entry_time) / 8;
        self.runstate.0[at].load(Ordering::Relaxed) & !UPDATE
    }

    /// Whether no more than a period has passed since the last look, or since the vCPU was given a processor.
    pub fn is_recent(&self, info: &SharedInfo) -> bool {
        self.known.load(Ordering::Relaxed) && self.port().is_some_and(|port| !info.is_pending(port))
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::{World, advance, world};
    use crate::{platform::XenPlatform, wire::Port};
    use mirust_executor::{platform::Platform, time::Instant};

    fn at(ns: u64) -> Instant {
        Instant::from_nanos(ns)
    }

    /// A world in which looks at the clock are dear, its platform, and the timer's port.
    fn dear() -> (World, XenPlatform, Port) {
        let w = world();
        let port = w.xen.emulate_tsc();
        w.clock.begin(w.xen);
        (w, XenPlatform::new(w.xen, w.events, w.clock), port)
    }

    #[test]
    fn where_looks_are_cheap_nothing_is_told() {
        let w = world();
        w.clock.begin(w.xen);
        let platform = XenPlatform::new(w.xen, w.events, w.clock);
        platform.now();
        assert_eq!(platform.recent(), None);
        platform.wait(at(500));
        assert_eq!(platform.recent(), None);
        assert_eq!(w.xen.open_ports(), []);
    }

    #[test]
    fn when_a_sleep_has_ended_is_told() {
        let (_, platform, _) = dear();
        assert_eq!(platform.recent(), None);
        platform.wait(at(500));
        advance(5);
        assert_eq!(platform.recent(), Some(at(500)));
        assert_eq!(platform.now(), at(505));
        advance(5);
        assert_eq!(platform.recent(), Some(at(505)));
    }

    #[test]
    fn after_a_tick_somebody_has_to_look() {
        let (w, platform, timer) = dear();
        platform.wait(at(500));
        w.xen.raise(timer);
        assert_eq!(platform.recent(), None);
        advance(5);
        platform.now();
        assert_eq!(platform.recent(), Some(at(505)));
        // One of before the sleep, which ended at that time, says nothing.
        w.xen.raise(timer);
        platform.wait(at(600));
        assert_eq!(platform.recent(), Some(at(600)));
        assert_eq!(w.events.stray(), 0);
    }

    /// It could be that the deadline of a block has passed since the last look: that it has is not told.
    #[test]
    fn a_block_without_a_sleep_tells_nothing() {
        let (w, platform, _) = dear();
        platform.wait(at(500));
        advance(5);
        let channel = w.events.bind_interdomain(crate::wire::DomId(0), Port(9)).unwrap();
        platform.wait(at(10_000));
        assert_eq!(platform.recent(), None);
        assert_eq!(platform.now(), at(505));
        drop(channel);
    }

    #[test]
    fn what_another_host_told_is_forgotten() {
        let (w, platform, timer) = dear();
        platform.wait(at(500));
        w.xen.go_elsewhere(w.info);
        w.clock.begin(w.xen);
        assert_eq!(platform.recent(), None);
        platform.wait(at(800));
        assert_eq!(platform.recent(), Some(at(800)));
        assert_ne!(w.xen.open_ports(), [timer]);
        // The last host has a counter of its own.
        w.xen.go_elsewhere(w.info);
        w.xen.emulate_no_tsc();
        w.clock.begin(w.xen);
        platform.wait(at(900));
        assert_eq!(platform.recent(), None);
    }
}
