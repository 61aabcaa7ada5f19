//! Whether a connection makes progress.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use mirust::time::{Duration, Instant, coarse_now, now};

/// Bytes of an upload that count as progress: single bytes do not.
const WORTH_IT: usize = 65536;
/// The patience with a client that was never answered: a crowd comes within a moment. With one that is in the middle of
/// something it is as much more for each time that it was answered, so that nobody who is known makes room for a crowd
/// that comes while he is being answered.
const WITH_A_STRANGER: u128 = Duration::from_millis(10).as_nanos();
/// The patience with any other client, for each time that it was answered.
const FOR_EACH_TIME: u128 = Duration::from_secs(1).as_nanos();
const MOST_TIMES: u32 = 600;
/// Hundreds may come in one turn, and none of them has been idle then: each counts as if it had been for so long, or
/// those who are known would have to go.
const A_MOMENT: u128 = Duration::from_millis(1).as_nanos();

/// When a connection last made progress, and how much patience there is with it.
#[derive(Clone)]
pub struct Progress(Rc<State>);

struct State {
    last: Cell<Instant>,
    /// Octets of an upload since then.
    octets: Cell<usize>,
    /// In the middle of a request or a response.
    busy: Cell<bool>,
    /// Complete responses.
    answered: Cell<u32>,
    leaving: Cell<bool>,
    /// The client may be sending in vain.
    refused: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Progress {
    /// Progress just now.
    pub fn new() -> Self {
        Progress(Rc::new(State {
            last: Cell::new(now()),
            octets: Cell::new(0),
            busy: Cell::new(false),
            answered: Cell::new(0),
            leaving: Cell::new(false),
            refused: Cell::new(false),
            waker: RefCell::default(),
        }))
    }

    /// A request has arrived.
    pub fn asked(&self) {
        self.made();
        self.0.busy.set(true);
    }

    /// The response is complete.
    pub fn answered(&self) {
        self.made();
        self.0.busy.set(false);
        self.0.answered.set(self.0.answered.get().saturating_add(1));
    }

    /// There was progress: the time of the turn is good enough for when.
    pub fn made(&self) {
        self.0.last.set(coarse_now());
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
        let patience = match u128::from(self.0.answered.get().min(MOST_TIMES)) {
            0 => WITH_A_STRANGER,
            times if self.0.busy.get() => WITH_A_STRANGER * (1 + times),
            times => FOR_EACH_TIME * times,
        };
        (now.duration_since(self.0.last.get()).as_nanos() + A_MOMENT) * 1000 / patience
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
            let idle = now().duration_since(self.0.last.get());
            if idle >= limit {
                return;
            }
            mirust::time::sleep(limit - idle).await;
        }
    }
}
