//! Xen's paravirtual clock: time from the time stamp counter, without an exit to Xen.

use super::{
    hypervisor::Hypervisor,
    shared_info::{SharedInfo, WallClock},
    told::Told,
};
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use mirust_executor::time::{Duration, Instant};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// The domain's clock.
#[derive(Debug)]
pub struct Clock {
    info: &'static SharedInfo,
    tsc: fn() -> u64,
    /// System time when the domain's clock showed zero. On a host that was started after the domain this is
    /// negative.
    start: AtomicI64,
    /// The latest system time that was handed out.
    last: AtomicU64,
    told: Told,
}

impl Clock {
    /// A clock that starts now, over the time stamp counter `tsc`.
    pub fn new(info: &'static SharedInfo, tsc: fn() -> u64) -> Self {
        let start = info.time().at(tsc());
        let last = AtomicU64::new(start);
        Clock { info, tsc, start: AtomicI64::new(start as i64), last, told: Told::default() }
    }

    /// Makes Xen report the time, if each reading of the counter is an exit: for [`recent`](Self::recent). To be called
    /// once in each domain.
    pub fn begin(&'static self, hypervisor: &dyn Hypervisor) {
        self.told.begin(hypervisor);
    }

    /// What the clock shows when the domain is about to be frozen.
    pub fn stop(&self) -> Stopped {
        Stopped { now: self.now(), wall: self.wall() }
    }

    /// Goes on from where it stopped, on this host or on another: the monotonic clock shows what it did then.
    /// How long that was by the wall clock.
    pub fn go_on(&self, stopped: &Stopped) -> Duration {
        let system = self.info.time().at((self.tsc)());
        // The host's clock may be behind the one that was used before.
        self.last.store(system, Ordering::Relaxed);
        let start = (system as i64).wrapping_sub(stopped.now.as_nanos() as i64);
        self.start.store(start, Ordering::Relaxed);
        self.wall().saturating_sub(stopped.wall)
    }

    /// ns since the host booted, the time that Xen's timers use. It never runs backwards, not even
    /// by the rounding of a new scale.
    pub fn system_time(&self) -> u64 {
        self.told.look(self.info);
        self.latest(self.info.time().at((self.tsc)()))
    }

    fn latest(&self, now: u64) -> u64 {
        self.last.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Calls `block`, which may give up the processor, and takes what Xen then tells of the time.
    pub fn across(&self, block: impl FnOnce()) {
        if let Some(since) = self.told.across(self.info, block) {
            self.latest(since);
        }
    }

    /// What the clock has shown within the last hundredth of a second, if Xen has told so.
    pub fn recent(&self) -> Option<Instant> {
        let last = self.last.load(Ordering::Relaxed);
        self.told.is_recent(self.info).then(|| self.since_start(last))
    }

    /// Time since the domain started, without the time for which it was frozen.
    pub fn now(&self) -> Instant {
        self.since_start(self.system_time())
    }

    fn since_start(&self, system: u64) -> Instant {
        let start = self.start.load(Ordering::Relaxed);
        Instant::from_nanos((system as i64).wrapping_sub(start) as u64)
    }

    /// Time since 1970-01-01T00:00:00Z. It follows the host's idea of it, and may jump.
    pub fn wall(&self) -> Duration {
        let WallClock { seconds, nanos } = self.info.wall_clock();
        let system = Duration::from_nanos(self.system_time());
        let zero = Duration::new(
            seconds.min(u64::MAX / NANOS_PER_SEC),
            nanos.min(NANOS_PER_SEC as u32 - 1),
        );
        zero + system
    }

    /// The system time of an instant of this clock; the end of time stays what it is.
    pub fn deadline(&self, instant: Instant) -> u64 {
        match instant {
            Instant::NEVER => u64::MAX,
            // One below, or a late instant would turn into the one that never comes.
            other => {
                let start = i128::from(self.start.load(Ordering::Relaxed));
                let system = start + i128::from(other.as_nanos());
                system.clamp(0, i128::from(u64::MAX - 1)) as u64
            }
        }
    }
}

/// What a clock showed when it was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped {
    now: Instant,
    wall: Duration,
}

/// The CPU's time stamp counter.
#[cfg(target_arch = "x86_64")]
pub fn rdtsc() -> u64 {
    // SAFETY: every x86-64 CPU has both instructions. The fence keeps the counter from being read
    // before the scale that it is used with.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}
