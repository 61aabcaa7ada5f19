//! Requests from outside to end the domain.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::deadlines::{Deadlines, Key};
use crate::time::Instant;

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

/// The last request, and the wakers of the tasks that wait for one.
#[derive(Default)]
pub(crate) struct Shutdown {
    reason: Cell<Option<ShutdownReason>>,
    /// All at the time zero: this code is in every image already.
    waiting: RefCell<Deadlines>,
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
        self.waiting.borrow_mut().pop_due(Instant::ZERO)
    }
}

/// Ends, with the reason, as soon as somebody has asked for the domain's end. Any number of tasks
/// may wait.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ShutdownRequested {
    shutdown: Rc<Shutdown>,
    /// Our entry among those that wait, from the first poll on.
    key: Option<Key>,
}

impl ShutdownRequested {
    pub(crate) fn new(shutdown: Rc<Shutdown>) -> Self {
        ShutdownRequested { shutdown, key: None }
    }
}

impl Future for ShutdownRequested {
    type Output = ShutdownReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShutdownReason> {
        if let Some(reason) = self.shutdown.reason.get() {
            return Poll::Ready(reason);
        }
        let shutdown = Rc::clone(&self.shutdown);
        let mut waiting = shutdown.waiting.borrow_mut();
        match self.key.and_then(|key| waiting.get_mut(key)) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.key = Some(waiting.insert(Instant::ZERO, cx.waker().clone())),
        }
        Poll::Pending
    }
}

/// Ends as soon as somebody asks for the domain's end after it was first polled.
#[must_use = "a future does nothing unless it is awaited"]
pub struct NextRequest(ShutdownRequested);

impl NextRequest {
    pub(crate) fn new(shutdown: Rc<Shutdown>) -> Self {
        NextRequest(ShutdownRequested::new(shutdown))
    }
}

impl Future for NextRequest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shutdown = Rc::clone(&self.0.shutdown);
        let mut waiting = shutdown.waiting.borrow_mut();
        match self.0.key {
            None => self.0.key = Some(waiting.insert(Instant::ZERO, cx.waker().clone())),
            Some(key) => match waiting.get_mut(key) {
                Some(waker) => waker.clone_from(cx.waker()),
                // A request has taken it out.
                None => return Poll::Ready(()),
            },
        }
        Poll::Pending
    }
}

impl Drop for ShutdownRequested {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let _waker = self.shutdown.waiting.borrow_mut().remove(key);
        }
    }
}
