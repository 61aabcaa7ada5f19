//! One task: what its wakers hold, what the executor holds, what its [`JoinHandle`] holds.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::any::Any;
use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU8, Ordering};
use core::task::{Context, Poll, Waker};

use crate::executor::inbox::Inbox;
use crate::executor::slab::TaskId;

/// The task is in the run queue.
const QUEUED: u8 = 1 << 0;
/// Its future is to be dropped instead of polled.
const ABORT: u8 = 1 << 1;
/// Its future is gone; nothing queues it any more.
const DONE: u8 = 1 << 2;

/// The part of a task that wakers share, on any thread.
pub(crate) struct Header {
    id: TaskId,
    state: AtomicU8,
    inbox: Arc<Inbox>,
}

impl Header {
    /// A new task, in the run queue.
    pub(crate) fn queued(id: TaskId, inbox: Arc<Inbox>) -> Arc<Self> {
        inbox.push_ready(id);
        Arc::new(Header { id, state: AtomicU8::new(QUEUED), inbox })
    }

    /// Sets `bits` and queues the task, unless it is queued already or done.
    fn queue(&self, bits: u8) {
        if self.state.fetch_or(bits | QUEUED, Ordering::AcqRel) & (QUEUED | DONE) == 0 {
            self.inbox.push_ready(self.id);
        }
    }

    /// The task has left the run queue. Returns whether it was aborted. From here on a wake queues
    /// it again, even one that comes in the middle of the poll that follows.
    pub(crate) fn begin(&self) -> Turn {
        if self.state.fetch_and(!QUEUED, Ordering::AcqRel) & ABORT != 0 {
            Turn::Abort
        } else {
            Turn::Poll
        }
    }
}

impl Wake for Header {
    fn wake(self: Arc<Self>) {
        self.queue(0);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue(0);
    }
}

/// What a task's turn is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    Poll,
    Abort,
}

/// The part of a task that the executor owns.
pub(crate) struct Task {
    pub(crate) header: Arc<Header>,
    pub(crate) waker: Waker,
    pub(crate) future: Pin<Box<dyn Future<Output = ()>>>,
    pub(crate) outcome: Rc<dyn Fail>,
}

impl Task {
    /// A task that runs `future`, and the handle for its result.
    pub(crate) fn new<F>(id: TaskId, inbox: Arc<Inbox>, future: F) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + 'static,
    {
        let header = Header::queued(id, inbox);
        let outcome = Rc::new(Outcome { state: RefCell::new(OutcomeState::Pending(None)) });
        let sink = Rc::clone(&outcome);
        let task = Task {
            waker: Waker::from(Arc::clone(&header)),
            header: Arc::clone(&header),
            future: Box::pin(async move { sink.settle(Ok(future.await)) }),
            outcome: Rc::clone(&outcome) as Rc<dyn Fail>,
        };
        (task, JoinHandle { header, outcome })
    }
}

impl Drop for Task {
    /// However a task ends, its handle hears of it: by an abort, by the executor's end, or by a
    /// panic that nobody caught.
    fn drop(&mut self) {
        self.header.state.fetch_or(DONE, Ordering::AcqRel);
        self.outcome.fail(JoinError::Aborted);
    }
}

/// The result of a task, on its way to the handle.
struct Outcome<T> {
    state: RefCell<OutcomeState<T>>,
}

enum OutcomeState<T> {
    Pending(Option<Waker>),
    Settled(Result<T, JoinError>),
    Taken,
}

impl<T> Outcome<T> {
    /// Stores the result and wakes the handle. The first result stays.
    fn settle(&self, result: Result<T, JoinError>) {
        let waker = {
            let mut state = self.state.borrow_mut();
            let OutcomeState::Pending(waker) = &mut *state else { return };
            let waker = waker.take();
            *state = OutcomeState::Settled(result);
            waker
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// An [`Outcome`] whose type the executor does not know.
pub(crate) trait Fail {
    /// Settles the outcome with an error, unless it has one already.
    fn fail(&self, error: JoinError);
}

impl<T> Fail for Outcome<T> {
    fn fail(&self, error: JoinError) {
        self.settle(Err(error));
    }
}

/// Waits for a task's result, and can abort it.
///
/// Await it to get `Ok` with the result, or why there is none. Dropping it detaches the task, which
/// runs on; its result is then dropped when it ends. Belongs to the domain's thread.
///
/// # Panics
///
/// If it is polled again after it gave its result.
pub struct JoinHandle<T> {
    header: Arc<Header>,
    outcome: Rc<Outcome<T>>,
}

impl<T> JoinHandle<T> {
    /// Asks for the task's end. Its future is dropped at the task's next turn, never inside this
    /// call, so a task may abort any task, itself included. A task that ends before that turn has
    /// its ordinary result; for one that has ended already this does nothing.
    pub fn abort(&self) {
        self.header.queue(ABORT);
    }

    /// Whether the result is there (or was taken), so that awaiting would not wait.
    pub fn is_finished(&self) -> bool {
        !matches!(*self.outcome.state.borrow(), OutcomeState::Pending(_))
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.outcome.state.borrow_mut();
        if let OutcomeState::Pending(waker) = &mut *state {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        match core::mem::replace(&mut *state, OutcomeState::Taken) {
            OutcomeState::Settled(result) => Poll::Ready(result),
            _ => panic!("a JoinHandle was polled after it gave its result"),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("task", &self.header.id)
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Why a task gave no result.
pub enum JoinError {
    /// [`JoinHandle::abort`] was called, or the executor ended before the task.
    Aborted,
    /// The task panicked; the payload is the panic's.
    Panicked(Box<dyn Any + Send>),
}

impl JoinError {
    /// The panic's message, if there was a panic with a text for its payload.
    pub fn panic_message(&self) -> Option<&str> {
        match self {
            JoinError::Aborted => None,
            JoinError::Panicked(payload) => panic_text(&**payload),
        }
    }
}

/// The text in a panic's payload.
fn panic_text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<alloc::string::String>().map(|s| s.as_str()))
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.panic_message()) {
            (JoinError::Aborted, _) => f.write_str("task aborted"),
            (JoinError::Panicked(_), Some(text)) => write!(f, "task panicked: {text}"),
            (JoinError::Panicked(_), None) => f.write_str("task panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Aborted => f.write_str("Aborted"),
            JoinError::Panicked(_) => {
                f.debug_tuple("Panicked").field(&self.panic_message()).finish()
            }
        }
    }
}

impl core::error::Error for JoinError {}
