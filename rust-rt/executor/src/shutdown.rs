//! Requests from outside to end the domain.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::time::Instant;
use crate::timers::Wakers;

/// What was asked for: `xl shutdown` and `xl reboot` on Xen, SIGTERM and SIGINT on Unix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ShutdownReason {
    /// Power off.
    Poweroff = 1,
    /// Start again.
    Reboot = 2,
    /// Stop; the domain's resources may stay.
    Halt = 3,
}

/// The last request, and who waits for one.
#[derive(Default)]
pub(crate) struct Shutdown {
    reason: Cell<Option<ShutdownReason>>,
    /// At the time zero, by number: the code of this map is in every image already.
    waiting: RefCell<Wakers>,
    next_number: Cell<u64>,
}

impl Shutdown {
    pub(crate) fn reason(&self) -> Option<ShutdownReason> {
        self.reason.get()
    }

    pub(crate) fn request(&self, reason: ShutdownReason) {
        self.reason.set(Some(reason));
        while let Some(waker) = self.pop() {
            waker.wake();
        }
    }

    fn pop(&self) -> Option<Waker> {
        self.waiting.borrow_mut().first_entry().map(|entry| entry.remove())
    }
}

/// Ends, with the reason, as soon as somebody has asked for the domain's end. Any number of tasks
/// may wait.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ShutdownRequested {
    shutdown: Rc<Shutdown>,
    number: u64,
}

impl ShutdownRequested {
    pub(crate) fn new(shutdown: Rc<Shutdown>) -> Self {
        let number = shutdown.next_number.get();
        shutdown.next_number.set(number + 1);
        ShutdownRequested { shutdown, number }
    }
}

impl Future for ShutdownRequested {
    type Output = ShutdownReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShutdownReason> {
        if let Some(reason) = self.shutdown.reason.get() {
            return Poll::Ready(reason);
        }
        self.shutdown.waiting.borrow_mut().insert((Instant::ZERO, self.number), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for ShutdownRequested {
    fn drop(&mut self) {
        let _waker = self.shutdown.waiting.borrow_mut().remove(&(Instant::ZERO, self.number));
    }
}
