//! Xen's paravirtual clock: time from the time stamp counter, without an exit to Xen.

use super::shared_info::SharedInfo;
use crate::time::{Duration, Instant};
use core::sync::atomic::{AtomicU64, Ordering};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// System time at one value of the time stamp counter, and the speed of the counter
/// (`struct vcpu_time_info` in `xen.h`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VcpuTime {
    /// The counter at `system_time`.
    pub tsc_timestamp: u64,
    /// ns since the host booted.
    pub system_time: u64,
    /// ns per (shifted) tick, as a fraction of 2³².
    pub mul: u32,
    /// How far to shift the ticks before: to the left if positive.
    pub shift: i8,
}

impl VcpuTime {
    /// System time when the counter has the value `tsc`. A counter behind the timestamp counts as
    /// being at it.
    ///
    /// A domain's counter starts at zero with the domain, but Xen's last calibration, which the
    /// timestamp is of, can be up to a second older: it then has a negative number in 64 bits.
    pub fn at(&self, tsc: u64) -> u64 {
        let ticks = (tsc.wrapping_sub(self.tsc_timestamp) as i64).max(0) as u128;
        // 64 bits of ticks shifted up to 31 to the left and multiplied by 32 bits need 127 bits.
        let shifted = match self.shift.clamp(-64, 31) {
            left @ 0.. => ticks << left,
            right => ticks >> right.unsigned_abs(),
        };
        let nanos = (shifted * u128::from(self.mul)) >> 32;
        self.system_time.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The wall clock at system time zero, since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallClock {
    /// Seconds.
    pub seconds: u64,
    /// Nanoseconds on top of the seconds; Xen keeps it below 10⁹.
    pub nanos: u32,
}

/// The domain's clock.
#[derive(Debug)]
pub struct Clock {
    info: &'static SharedInfo,
    tsc: fn() -> u64,
    /// System time when the domain's clock started.
    start: u64,
    /// The latest system time that was handed out.
    last: AtomicU64,
}

impl Clock {
    /// A clock that starts now, over the time stamp counter `tsc`.
    pub fn new(info: &'static SharedInfo, tsc: fn() -> u64) -> Self {
        let start = info.time().at(tsc());
        Clock { info, tsc, start, last: AtomicU64::new(start) }
    }

    /// ns since the host booted, the time that Xen's timers use. It never runs backwards, not even
    /// by the rounding of a new scale.
    pub fn system_time(&self) -> u64 {
        let now = self.info.time().at((self.tsc)());
        self.last.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Time since the domain started.
    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.system_time() - self.start)
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
            other => self.start.saturating_add(other.as_nanos()).min(u64::MAX - 1),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const AT: VcpuTime =
        VcpuTime { tsc_timestamp: 1000, system_time: 5_000, mul: 1 << 31, shift: 0 };

    #[test]
    fn half_a_nanosecond_per_tick() {
        assert_eq!(AT.at(1000), 5_000);
        assert_eq!(AT.at(1001), 5_000);
        assert_eq!(AT.at(1002), 5_001);
        assert_eq!(AT.at(3000), 6_000);
    }

    #[test]
    fn shift_goes_both_ways() {
        assert_eq!(VcpuTime { shift: 1, ..AT }.at(1003), 5_003);
        assert_eq!(VcpuTime { shift: -1, ..AT }.at(1004), 5_001);
        assert_eq!(VcpuTime { shift: -1, ..AT }.at(1003), 5_000);
    }

    #[test]
    fn real_scale_is_exact() {
        // 2.4 GHz: 1/2.4 ns per tick, as Xen writes it: mul = 2^32 / 2.4 * 2 with shift -1.
        let time = VcpuTime { tsc_timestamp: 0, system_time: 0, mul: 3_579_139_413, shift: -1 };
        // One year of ticks.
        let tsc = 2_400_000_000u64 * 86_400 * 365;
        let exact = (u128::from(tsc >> 1) * 3_579_139_413) >> 32;
        assert_eq!(u128::from(time.at(tsc)), exact);
        // Off by less than a millisecond over that year: the rounding of the multiplier.
        assert!(time.at(tsc).abs_diff(86_400 * 365 * NANOS_PER_SEC) < 10_000_000);
    }

    #[test]
    fn counter_behind_the_timestamp_does_not_wrap() {
        assert_eq!(AT.at(999), 5_000);
        assert_eq!(AT.at(0), 5_000);
    }

    #[test]
    fn timestamp_from_before_the_counters_zero() {
        let time = VcpuTime { tsc_timestamp: 0u64.wrapping_sub(1000), ..AT };
        assert_eq!(time.at(0), 5_500);
        assert_eq!(time.at(1000), 6_000);
    }

    #[test]
    fn absurd_scales_saturate() {
        let time = VcpuTime { tsc_timestamp: 0, system_time: 1, mul: u32::MAX, shift: 127 };
        assert_eq!(time.at(1 << 62), u64::MAX);
        assert_eq!(VcpuTime { shift: -128, ..time }.at(u64::MAX), 1);
    }
}
