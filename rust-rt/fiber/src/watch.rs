//! Reports threads that keep everything else waiting.
//!
//! Nothing preempts a thread: one that computes for a second holds the network up for a second. Each
//! turn of a thread is measured, and a long one is counted, and logged. A loop that never ends never
//! comes back to be measured: a debugger shows where it is.

use core::sync::atomic::{AtomicU64, Ordering};

use mirust_executor::domain;
use mirust_executor::time::{Duration, Instant};

static LIMIT_NS: AtomicU64 = AtomicU64::new(100_000_000);
static LONG_RUNS: AtomicU64 = AtomicU64::new(0);
/// When the last line was logged, in ns since boot: one a second is enough.
static LAST_LINE: AtomicU64 = AtomicU64::new(0);

/// A turn of less than this many ticks is shorter than any limit (some 5 ms), and the clock need
/// not be asked for it.
const SHORT: u64 = 1 << 24;

/// How long a thread may run before it is named in the log; 100 ms unless this says otherwise.
pub fn set_limit(limit: Duration) {
    LIMIT_NS.store(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

pub(crate) fn long_runs() -> u64 {
    LONG_RUNS.load(Ordering::Relaxed)
}

/// The time stamp counter, and the clock at the same time if that is known.
pub(crate) struct Begin(u64);

#[inline]
fn ticks() -> u64 {
    // SAFETY: reading the counter is allowed to everybody here, and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A turn begins.
#[inline]
pub(crate) fn begin() -> Begin {
    Begin(ticks())
}

/// The turn has ended. The milliseconds that it took, if they are to be logged.
#[inline]
pub(crate) fn end(begin: Begin) -> Option<u64> {
    let passed = ticks().wrapping_sub(begin.0);
    if passed < SHORT { None } else { long(passed) }
}

/// The clock counts nanoseconds and the counter ticks, both from boot (or the process's start) on; two
/// readings give how many a tick is.
#[cold]
fn long(passed: u64) -> Option<u64> {
    let ns = in_ns(passed)?;
    let now = domain::now();
    if ns < LIMIT_NS.load(Ordering::Relaxed) {
        return None;
    }
    LONG_RUNS.fetch_add(1, Ordering::Relaxed);
    let last = Instant::from_nanos(LAST_LINE.load(Ordering::Relaxed));
    if last != Instant::ZERO && now.duration_since(last) < Duration::from_secs(1) {
        return None;
    }
    LAST_LINE.store(now.as_nanos().max(1), Ordering::Relaxed);
    Some(ns / 1_000_000)
}

/// This many ticks in nanoseconds; unknown at the first call, which takes the first of two readings.
fn in_ns(ticks_passed: u64) -> Option<u64> {
    static FIRST: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    let (tick, now) = (ticks(), domain::now().as_nanos());
    let (first_tick, first_now) =
        (FIRST[0].load(Ordering::Relaxed), FIRST[1].load(Ordering::Relaxed));
    if first_tick == 0 {
        FIRST[0].store(tick, Ordering::Relaxed);
        FIRST[1].store(now, Ordering::Relaxed);
        return None;
    }
    let (ticks, ns) = (tick.checked_sub(first_tick)?, now.checked_sub(first_now)?);
    let ns = u128::from(ticks_passed) * u128::from(ns) / u128::from(ticks.max(1));
    u64::try_from(ns).ok()
}
