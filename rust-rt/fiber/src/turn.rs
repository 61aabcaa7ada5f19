//! How long the turn of a thread has been, by the clocks that the program reads.

use core::sync::atomic::{AtomicU64, Ordering};

/// How long a turn may be, in nanoseconds: as long as that of the executor's tasks together (`TURN_BUDGET` there).
const LONGEST: u64 = 4_000_000;

/// A clock of the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Nanoseconds since boot.
    Monotonic,
    /// The time of day. It may jump; a turn then ends earlier or later.
    Wall,
}

/// It was not read yet in this turn.
const UNREAD: u64 = 0;
/// No thread has a turn. No reading is later than this one.
const NO_TURN: u64 = u64::MAX;

/// What each clock said first in this turn.
static FIRST: [AtomicU64; 2] = [const { AtomicU64::new(NO_TURN) }; 2];

/// A thread's turn begins.
#[inline]
pub(crate) fn begin() {
    FIRST.iter().for_each(|first| first.store(UNREAD, Ordering::Relaxed));
}

/// The main stack goes on.
#[inline]
pub(crate) fn end() {
    FIRST.iter().for_each(|first| first.store(NO_TURN, Ordering::Relaxed));
}

/// Whether the turn may have been too long by this reading: also at the first one.
#[inline]
pub(crate) fn may_be_long(clock: Clock, now: u64) -> bool {
    now.saturating_sub(FIRST[clock as usize].load(Ordering::Relaxed)) >= LONGEST
}

/// Whether the turn, which a thread has, has been too long by this reading.
pub(crate) fn is_long(clock: Clock, now: u64) -> bool {
    let first = &FIRST[clock as usize];
    if first.load(Ordering::Relaxed) == UNREAD {
        first.store(now.max(1), Ordering::Relaxed);
    }
    may_be_long(clock, now)
}
