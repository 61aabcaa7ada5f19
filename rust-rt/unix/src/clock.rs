//! The system's clocks. Any thread may read them.

use host_libc as libc;

use crate::sys;
use mirust_executor::time::{Duration, Instant};

/// The system's monotonic clock when this process first asked for the time.
static START: spin::Once<Duration> = spin::Once::new();

/// Time since the process first asked.
pub fn now() -> Instant {
    let now = sys::clock(libc::CLOCK_MONOTONIC);
    let start = *START.call_once(|| now);
    Instant::ZERO.saturating_add(now.saturating_sub(start))
}

/// Time since 1970-01-01T00:00:00Z.
pub fn wall() -> Duration {
    sys::clock(libc::CLOCK_REALTIME)
}
