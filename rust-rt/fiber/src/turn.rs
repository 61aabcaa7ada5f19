//! Ends the turn of a thread that reads the clock instead of waiting.
//!
//! Nothing preempts a thread. One that looks again and again whether another has done something, without ever blocking
//! or yielding, would keep that other from doing it. What such loops have in common is that they read the clock: for a
//! time limit, or, in a runtime that always has another task to run, to account for its time. On an operating
//! system a thread may lose its processor anywhere, so no program relies on keeping it while it reads the clock.
//!
//! The time that was read is compared with that of the turn's first reading: the clock is not read for this, and a turn
//! in which nobody reads it costs nothing.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{block, order, thread};

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

/// What a clock said first in this turn.
struct First(AtomicU64);

/// It was not read yet in this turn.
const UNREAD: u64 = 0;
/// No thread has a turn. No reading is later than this one.
const NO_TURN: u64 = u64::MAX;

static FIRST: [First; 2] = [const { First(AtomicU64::new(NO_TURN)) }; 2];

/// A thread's turn begins.
#[inline]
pub(crate) fn begin() {
    FIRST.iter().for_each(|first| first.0.store(UNREAD, Ordering::Relaxed));
}

/// The main stack goes on.
#[inline]
pub(crate) fn end() {
    FIRST.iter().for_each(|first| first.0.store(NO_TURN, Ordering::Relaxed));
}

/// The program has read this time, in nanoseconds, from a clock. If that was on a thread whose turn has been long, the
/// others have theirs before this returns. With a [seed](crate::set_seed) that may happen at any reading.
#[inline]
pub fn clock_was_read(clock: Clock, now: u64) {
    let first = &FIRST[clock as usize];
    if now.saturating_sub(first.0.load(Ordering::Relaxed)) >= LONGEST || order::is_random() {
        perhaps_yield(first, now);
    }
}

#[cold]
fn perhaps_yield(first: &First, now: u64) {
    if thread::running().is_none() {
        return;
    }
    let began = first.0.load(Ordering::Relaxed);
    if began == UNREAD {
        first.0.store(now.max(1), Ordering::Relaxed);
    }
    if (began != UNREAD && now.saturating_sub(began) >= LONGEST) || order::gives_way() {
        // On a thread this always works.
        let _ = block::yield_now();
    }
}
