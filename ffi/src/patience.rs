//! Which client a server evicts when there are more clients than places.
//!
//! A server that turned newcomers away would be left to the clients that came first and do nothing. So a newcomer is
//! let in, and the client that has used up most of the server's patience makes room (as in OCaml's `Mirust.Places`).
//!
//! ```
//! use mirust::patience::Patience;
//! use mirust::time::{Duration, Instant};
//!
//! let at = |ms| Instant::ZERO.saturating_add(Duration::from_millis(ms));
//! let (known, stranger) = (Patience::new(at(0)), Patience::new(at(50)));
//! known.answered(at(1));
//! assert!(known.tried(at(60)) < stranger.tried(at(60)));
//! ```

mod policy;

use std::cell::Cell;

pub(crate) use policy::used_up;

use crate::time::{Duration, Instant};

/// One client's record, on which the patience with it depends.
#[derive(Debug)]
pub struct Patience {
    came: Instant,
    moved: Cell<Instant>,
    busy: Cell<bool>,
    answers: Cell<u32>,
}

impl Patience {
    /// For a client that has just arrived.
    pub const fn new(now: Instant) -> Self {
        Patience { came: now, moved: Cell::new(now), busy: Cell::new(false), answers: Cell::new(0) }
    }

    /// The client has made progress.
    pub fn moved(&self, now: Instant) {
        self.moved.set(now);
    }

    /// Whether the client is in the middle of something, a request or an answer. Returns whether it was.
    pub fn set_busy(&self, busy: bool) -> bool {
        self.busy.replace(busy)
    }

    /// The client has received a whole answer, which also counts as progress.
    pub fn answered(&self, now: Instant) {
        self.moved(now);
        self.answers.set(self.answers.get().saturating_add(1));
    }

    /// How long there has been no progress.
    pub fn idle(&self, now: Instant) -> Duration {
        now.duration_since(self.moved.get())
    }

    /// How much of the patience is used up, in thousandths. Above a thousand it is exhausted.
    pub fn tried(&self, now: Instant) -> u128 {
        let known = self.moved.get().duration_since(self.came);
        used_up(known, self.idle(now), self.answers.get(), self.busy.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO.saturating_add(Duration::from_millis(ms))
    }

    /// Came at 0, and has had this many answers, the last one after this many milliseconds.
    fn known(answers: u32, last: u64) -> Patience {
        let client = Patience::new(at(0));
        (0..answers).for_each(|_| client.answered(at(last)));
        client
    }

    #[test]
    fn those_who_come_in_one_turn_go_before_who_is_known() {
        let stranger = Patience::new(at(21));
        assert!(stranger.tried(at(21)) > known(1, 1).tried(at(21)));
    }

    #[test]
    fn those_who_are_answered_as_soon_as_they_come_go_before_who_has_been_there_for_a_while() {
        let newcomer = Patience::new(at(3100));
        newcomer.answered(at(3100));
        assert!(newcomer.tried(at(3100)) > known(30, 3000).tried(at(3100)));
    }

    #[test]
    fn a_client_that_is_being_answered_stays_for_as_long_as_it_is_known() {
        let (stranger, client) = (Patience::new(at(5000)), known(20, 5000));
        client.set_busy(true);
        assert!(client.tried(at(5900)) < 1000 && stranger.tried(at(5100)) > 1000);
        assert!(client.tried(at(6100)) > 1000, "no longer than that");
        client.set_busy(false);
        assert!(client.tried(at(24_900)) < 1000 && client.tried(at(25_100)) > 1000);
    }

    #[test]
    fn those_who_come_in_one_turn_go_before_who_is_being_answered_for_the_second_time() {
        let (stranger, client) = (Patience::new(at(25)), known(1, 1));
        client.moved(at(20));
        client.set_busy(true);
        assert!(stranger.tried(at(25)) > client.tried(at(25)));
        // Who is busy has no more patience than who is idle.
        let idle = known(1, 20);
        assert!(client.tried(at(400)) >= idle.tried(at(400)));
    }

    #[test]
    fn a_burst_of_answers_earns_no_more_than_one() {
        let (burst, one) = (known(10_000, 0), known(1, 0));
        for now in [0, 10, 500, 2000].map(at) {
            assert_eq!(burst.tried(now), one.tried(now));
        }
        // In time it earns more, up to the same as anybody.
        assert!(known(10_000, 1000).tried(at(11_000)) < 1000);
        assert!(known(10_000, 1000).tried(at(13_000)) > 1000);
        assert_eq!(known(600, 3_600_000).tried(at(0)), known(10_000, 3_600_000).tried(at(0)));
    }

    #[test]
    fn a_clock_that_stands_still_or_times_far_away_are_no_trouble() {
        let client = known(700, 0);
        assert_eq!(client.tried(Instant::ZERO), 50);
        client.moved(Instant::from_nanos(1 << 62));
        assert!(client.tried(Instant::ZERO) <= 1000);
    }
}
