//! Which client makes room when there are as many as there may be.
//!
//! Whoever turned newcomers away would leave a domain to those that came first and do nothing. So a newcomer is let in,
//! and the client leaves that has most exhausted the patience with it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The patience with a client that was never answered, or is waiting for an answer: a crowd comes within a moment.
const WITH_A_STRANGER: Duration = Duration::from_millis(10);
/// The patience with any other client, for each time that it was answered, up to so many.
const FOR_EACH_ANSWER: Duration = Duration::from_secs(1);
const MOST_ANSWERS: u32 = 600;
/// Octets without an answer that count as progress: single ones do not.
const WORTH_IT: usize = 64 << 10;

/// A client that has a place.
pub struct Guest {
    number: u64,
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
        let patience = match self.answers.get() {
            0 => WITH_A_STRANGER,
            _ if self.waits.get() => WITH_A_STRANGER,
            answers => FOR_EACH_ANSWER * answers.min(MOST_ANSWERS),
        };
        now.duration_since(self.moved.get()).as_nanos() * 1000 / patience.as_nanos()
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
        let guest = Rc::new(Guest {
            number,
            moved: Cell::new(Instant::now()),
            octets: Cell::new(0),
            waits: Cell::new(false),
            answers: Cell::new(0),
            leave: Notify::new(),
        });
        taken.insert(number, guest.clone());
        guest
    }

    /// It has gone.
    pub fn give(&self, guest: &Guest) {
        self.taken.borrow_mut().remove(&guest.number);
    }
}
