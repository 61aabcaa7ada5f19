//! Whether anything moves on a connection.

use std::cell::Cell;
use std::rc::Rc;

use mirust::time::{Duration, Instant, now};

/// Octets of an upload that count as progress: a client that sends one at a time makes none.
const WORTH_IT: usize = 65536;

/// When the last octets of a connection's requests and responses moved.
#[derive(Clone)]
pub struct Progress(Rc<State>);

struct State {
    last: Cell<Instant>,
    /// Octets of an upload since then.
    octets: Cell<usize>,
}

impl Progress {
    /// Something has moved right now.
    pub fn new() -> Self {
        Progress(Rc::new(State { last: Cell::new(now()), octets: Cell::new(0) }))
    }

    /// Something has moved.
    pub fn made(&self) {
        self.0.last.set(now());
        self.0.octets.set(0);
    }

    /// So much of an upload has come.
    pub fn uploaded(&self, octets: usize) {
        let sum = self.0.octets.get() + octets;
        self.0.octets.set(sum);
        if sum >= WORTH_IT {
            self.made();
        }
    }

    /// Until nothing has moved for `limit`.
    pub async fn stalled(&self, limit: Duration) {
        loop {
            let idle = now().duration_since(self.0.last.get());
            if idle >= limit {
                return;
            }
            mirust::time::sleep(limit - idle).await;
        }
    }
}
