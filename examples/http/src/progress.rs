//! Whether a connection makes progress.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use mirust::patience::Patience;
use mirust::time::{Duration, Instant, coarse_now, now};

/// Bytes of an upload that count as progress: single bytes do not.
const WORTH_IT: usize = 65536;

/// When a connection last made progress, and how much patience there is with it.
#[derive(Clone)]
pub struct Progress(Rc<State>);

struct State {
    patience: Patience,
    /// Octets of an upload since there was progress.
    octets: Cell<usize>,
    leaving: Cell<bool>,
    /// The client may be sending in vain.
    refused: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Progress {
    /// Progress just now.
    pub fn new() -> Self {
        Progress(Rc::new(State {
            patience: Patience::new(now()),
            octets: Cell::new(0),
            leaving: Cell::new(false),
            refused: Cell::new(false),
            waker: RefCell::default(),
        }))
    }

    /// A request has arrived.
    pub fn asked(&self) {
        self.made();
        self.0.patience.set_busy(true);
    }

    /// The response is complete.
    pub fn answered(&self) {
        self.0.patience.set_busy(false);
        self.0.patience.answered(coarse_now());
        self.0.octets.set(0);
    }

    /// There was progress: the time of the turn is good enough for when.
    pub fn made(&self) {
        self.0.patience.moved(coarse_now());
        self.0.octets.set(0);
    }

    /// This much of an upload has arrived.
    pub fn uploaded(&self, octets: usize) {
        let sum = self.0.octets.get() + octets;
        self.0.octets.set(sum);
        if sum >= WORTH_IT {
            self.made();
        }
    }

    /// What the client goes on sending is not read.
    pub fn refuse(&self) {
        self.0.refused.set(true);
    }

    /// Whether the connection ends before the client has sent all.
    pub fn is_refused(&self) -> bool {
        self.0.refused.get()
    }

    /// How much of the patience with it is used up by now, in thousandths.
    pub fn tried(&self, now: Instant) -> u128 {
        self.0.patience.tried(now)
    }

    /// Asks it to make room.
    pub fn leave(&self) {
        self.0.leaving.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }

    /// Whether it was asked to make room.
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.get()
    }

    /// Whether both belong to the same connection.
    pub fn is(&self, other: &Progress) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Waits until it has to make room.
    pub async fn must_leave(&self) {
        poll_fn(|cx| {
            if self.is_leaving() {
                return Poll::Ready(());
            }
            *self.0.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits until there has been no progress for `limit`.
    pub async fn stalled(&self, limit: Duration) {
        loop {
            let idle = self.0.patience.idle(now());
            if idle >= limit {
                return;
            }
            mirust::time::sleep(limit - idle).await;
        }
    }
}
