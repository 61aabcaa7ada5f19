//! Sleeping, time limits and the clocks.

use mirust_rt::domain;

pub use mirust_rt::domain::{coarse_now, interval, now, sleep, sleep_until, timeout};
pub use mirust_rt::executor::{Elapsed, Interval, Sleep};
pub use mirust_rt::time::{Duration, Instant};

/// The wall clock: time since 1970-01-01T00:00:00Z. It may jump, in both directions; measure with
/// [`now`].
pub fn wall() -> Duration {
    domain::wall()
}

/// A deadline given by OCaml, whose greatest integers stand for none.
pub(crate) fn deadline(ns: u64) -> Instant {
    const NEVER: u64 = (1 << 62) - 1;
    if ns < NEVER { Instant::from_nanos(ns) } else { Instant::NEVER }
}
