//! Ends the turn of a thread that reads the clock instead of waiting.
//!
//! Nothing preempts a thread. One that looks again and again whether another has done something, without ever blocking
//! or yielding, would keep that other from doing it. What such loops have in common is that they read the clock: for a
//! time limit, or, in a runtime that always has another task to run, to account for its time. On an operating
//! system a thread may lose its processor anywhere, so no program relies on keeping it while it reads the clock.
//!
//! The time that was read is compared with that of the turn's first reading: the clock is not read for this, and a turn
//! in which nobody reads it costs nothing.

use crate::turn::{self, Clock};
use crate::{block, order, thread};

/// The program has read this time, in nanoseconds, from a clock. If that was on a thread whose turn has been long, the
/// others have theirs before this returns. With a [seed](crate::set_seed) that may happen at any reading.
#[inline]
pub fn clock_was_read(clock: Clock, now: u64) {
    if turn::may_be_long(clock, now) || order::is_random() {
        perhaps_yield(clock, now);
    }
}

#[cold]
fn perhaps_yield(clock: Clock, now: u64) {
    if thread::running().is_some() && (turn::is_long(clock, now) || order::gives_way()) {
        // On a thread this always works.
        let _ = block::yield_now();
    }
}
