//! Which client makes room when there are as many as there may be.
//!
//! Turning newcomers away would leave a domain to the clients that came first and do nothing. So a newcomer is let in,
//! and the client that has used up most of the patience with it is disconnected.

/// The same rule as for servers inside domains.
#[path = "../../src/patience/policy.rs"]
mod policy;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Instant,
};
use tokio::sync::Notify;

/// Octets without an answer that count as progress: single ones do not.
const WORTH_IT: usize = 64 << 10;

/// A client that has a place.
pub struct Guest {
    number: u64,
    came: Instant,
    /// When it last made progress.
    moved: Cell<Instant>,
    /// What it has sent since then.
    octets: Cell<usize>,
    /// It waits for an answer.
    waits: Cell<bool>,
    answers: Cell<u32>,
    leave: Notify,
}

impl Guest {
    fn new(number: u64, now: Instant) -> Self {
        Guest {
            number,
            came: now,
            moved: Cell::new(now),
            octets: Cell::new(0),
            waits: Cell::new(false),
            answers: Cell::new(0),
            leave: Notify::new(),
        }
    }

    /// So much has come from it.
    pub fn asks(&self, octets: usize) {
        self.waits.set(true);
        let sum = self.octets.get().saturating_add(octets);
        self.octets.set(sum);
        if sum >= WORTH_IT {
            self.moves();
        }
    }

    /// It was sent something.
    pub fn is_answered(&self) {
        self.moves();
        if self.waits.replace(false) {
            self.answers.set(self.answers.get().saturating_add(1));
        }
    }

    fn moves(&self) {
        self.moved.set(Instant::now());
        self.octets.set(0);
    }

    /// Waits until it has to make room.
    pub async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// How much of the patience with it is used up, in thousandths.
    fn tried(&self, now: Instant) -> u128 {
        let moved = self.moved.get();
        let (known, idle) = (moved.duration_since(self.came), now.duration_since(moved));
        policy::used_up(known, idle, self.answers.get(), self.waits.get())
    }
}

/// The clients of a domain.
#[derive(Default)]
pub struct Places {
    taken: RefCell<BTreeMap<u64, Rc<Guest>>>,
    next: Cell<u64>,
}

impl Places {
    /// Takes a place of `most`, for which others may have to leave.
    pub fn take(&self, most: usize) -> Rc<Guest> {
        let mut taken = self.taken.borrow_mut();
        while taken.len() >= most.max(1) {
            let now = Instant::now();
            let worst =
                taken.values().max_by_key(|guest| guest.tried(now)).map(|guest| guest.number);
            if let Some(guest) = worst.and_then(|number| taken.remove(&number)) {
                guest.leave.notify_one();
            }
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let guest = Rc::new(Guest::new(number, Instant::now()));
        taken.insert(number, guest.clone());
        guest
    }

    /// It has gone.
    pub fn give(&self, guest: &Guest) {
        self.taken.borrow_mut().remove(&guest.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Came at a time, and had this many answers, the last one later by this many milliseconds.
    fn guest(came: Instant, answers: u32, last: u64) -> Guest {
        let guest = Guest::new(0, came);
        guest.moved.set(came + Duration::from_millis(last));
        guest.answers.set(answers);
        guest
    }

    #[test]
    fn those_who_come_in_one_turn_go_before_who_is_known() {
        let start = Instant::now();
        let now = start + Duration::from_millis(21);
        assert!(guest(now, 0, 0).tried(now) > guest(start, 1, 1).tried(now));
    }

    #[test]
    fn who_is_known_does_not_go_for_strangers_while_it_waits() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let known = guest(start, 20, 5000);
        known.waits.set(true);
        let stranger = guest(at(5020), 0, 0);
        assert!(known.tried(at(5040)) < stranger.tried(at(5040)));
        assert!(known.tried(at(5900)) < 1000 && known.tried(at(6100)) > 1000, "it has its own");
        // Also one that was answered once.
        let known = guest(start, 1, 20);
        known.waits.set(true);
        assert!(known.tried(at(25)) < guest(at(25), 0, 0).tried(at(25)));
    }

    #[test]
    fn a_burst_of_answers_earns_no_more_than_one() {
        let start = Instant::now();
        let now = start + Duration::from_millis(500);
        assert_eq!(guest(start, 10_000, 0).tried(now), guest(start, 1, 0).tried(now));
        assert!(guest(start, 10_000, 100).tried(now) < guest(start, 1, 0).tried(now));
    }
}
