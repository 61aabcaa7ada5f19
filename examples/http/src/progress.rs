//! Whether anything moves on a connection.

use std::cell::Cell;
use std::rc::Rc;

use mirust::time::{Duration, Instant, now};

/// When the last octets of a connection's requests and responses moved.
#[derive(Clone)]
pub struct Progress(Rc<Cell<Instant>>);

impl Progress {
    /// Something has moved right now.
    pub fn new() -> Self {
        Progress(Rc::new(Cell::new(now())))
    }

    /// Something has moved.
    pub fn made(&self) {
        self.0.set(now());
    }

    /// Until nothing has moved for `limit`.
    pub async fn stalled(&self, limit: Duration) {
        loop {
            let idle = now().duration_since(self.0.get());
            if idle >= limit {
                return;
            }
            mirust::time::sleep(limit - idle).await;
        }
    }
}
