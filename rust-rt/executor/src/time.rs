//! Points in time, as nanoseconds since boot.

pub use core::time::Duration;

/// A point on the monotonic clock, in nanoseconds since the domain (or process) started.
///
/// 64 bits of nanoseconds last for 584 years, so arithmetic saturates instead of wrapping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Instant = Instant(0);
    /// Later than every reachable instant: a deadline that never comes.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The instant `ns` nanoseconds after boot.
    pub const fn from_nanos(ns: u64) -> Self {
        Instant(ns)
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero if `earlier` is later.
    pub const fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved by `d`, at most [`Instant::NEVER`].
    pub const fn saturating_add(self, d: Duration) -> Self {
        let ns = d.as_nanos();
        if ns > (u64::MAX - self.0) as u128 {
            return Instant::NEVER;
        }
        Instant(self.0 + ns as u64)
    }
}
