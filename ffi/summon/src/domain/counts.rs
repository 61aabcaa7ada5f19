//! What is counted about a domain.

use super::state::How;
use std::{cell::Cell, time::Duration};

/// A number that goes up and down.
#[derive(Default)]
pub struct Number(Cell<u64>);

impl Number {
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    pub fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }

    pub fn sub(&self, n: u64) {
        self.0.set(self.0.get() - n);
    }
}

/// The counters of one domain.
#[derive(Default)]
pub struct Counts {
    /// Current clients: connections, and senders of datagrams within the last minute.
    pub open: Number,
    /// Those of them that are waiting for the domain to answer.
    pub held: Number,
    /// Starts, and the microseconds that they took: by `xl create`, from the state of the last sleep, and from the
    /// `warm` state.
    pub starts: [(Number, Number); 3],
    /// Failed starts, including those without an answer, and other calls of xl that failed.
    pub failures: Number,
    /// How often it ended by itself.
    pub deaths: Number,
    /// How often it was put to sleep.
    pub sleeps: Number,
    /// Refused clients, by reason: the queue was full, there were too many connections, the start failed, there was no
    /// answer in time.
    pub refused: [Number; 4],
    /// Octets from clients, and to them.
    pub octets: [Number; 2],
    /// Datagrams that were dropped because too many were waiting.
    pub dropped: Number,
}

/// The starts that are counted, in their order, and what they are called.
pub const WAYS_TO_START: [(How, &str); 3] =
    [(How::Created, "create"), (How::Continued, "saved"), (How::Restored, "warm")];

impl Counts {
    /// Counts a successful start.
    pub fn started(&self, how: How, took: Duration) {
        let of = WAYS_TO_START.iter().position(|(way, _)| *way == how);
        if let Some((count, time)) = of.map(|i| &self.starts[i]) {
            count.add(1);
            time.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }
}
