//! Runs tasks. The [crate's root](crate) has a diagram of the life of a task.

use alloc::boxed::Box;
use core::any::Any;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::task::Poll;

use crate::inbox::Inbox;
use crate::slab::{Slab, TaskId};
use crate::task::{JoinError, JoinHandle, Task};

/// Calls the closure and returns the payload of a panic that ended it, if one did.
///
/// A crate without `std` cannot catch a panic, so one that has `std` supplies this function, which runs the
/// closure in `std::panic::catch_unwind`. See [`Domain::set_guard`](crate::poll::Domain::set_guard).
pub type Guard = fn(&mut dyn FnMut()) -> Result<(), Box<dyn Any + Send>>;

/// The guard until another is set: catches nothing.
fn no_guard(call: &mut dyn FnMut()) -> Result<(), Box<dyn Any + Send>> {
    call();
    Ok(())
}

/// The outcome of a turn of the ready tasks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Turn {
    /// How many tasks ran.
    pub run: usize,
    /// How many more were ready than were allowed to run. 0 if time ran out first: the time budget counts as the tasks'
    /// share.
    pub more: usize,
}

/// Owns the tasks of one domain.
pub(crate) struct Executor {
    tasks: RefCell<Slab<Task>>,
    inbox: &'static Inbox,
    guard: Cell<Guard>,
}

impl Executor {
    pub(crate) fn new(inbox: &'static Inbox) -> Self {
        Executor { tasks: RefCell::new(Slab::new()), inbox, guard: Cell::new(no_guard) }
    }

    pub(crate) fn set_guard(&self, guard: Guard) {
        self.guard.set(guard);
    }

    pub(crate) fn guard(&self) -> Guard {
        self.guard.get()
    }

    /// Tasks that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let mut tasks = self.tasks.borrow_mut();
        self.inbox.reserve_ready(tasks.len() + 1);
        let mut handle = None;
        tasks.insert(|id| {
            let (task, h) = Task::new(id, self.inbox, future);
            handle = Some(h);
            task
        });
        handle.expect("insert calls its argument")
    }

    /// One turn: runs each task that is queued now, but at most `most` of them. After every `floor` tasks, `goes_on`
    /// says whether there is time for more.
    pub(crate) fn run_turn(
        &self,
        most: usize,
        floor: usize,
        mut goes_on: impl FnMut() -> bool,
    ) -> Turn {
        let ready = self.inbox.ready_len();
        let mut turn = Turn { run: 0, more: ready.saturating_sub(most) };
        for n in 0..ready.min(most) {
            if n > 0 && n % floor == 0 && !goes_on() {
                turn.more = 0;
                break;
            }
            let Some(id) = self.inbox.pop_ready() else { break };
            turn.run += usize::from(self.step(id));
        }
        turn
    }

    /// Polls a task, or drops it if it was aborted. False if there is no such task any more.
    fn step(&self, id: TaskId) -> bool {
        // The task is out of the table while its code runs, and the borrow has ended.
        let Some(task) = self.tasks.borrow_mut().take(id) else { return false };
        let guard = self.guard.get();
        let mut ended = true;
        let mut caught = guard(&mut || ended = task.turn());
        // Destructors may panic as well, that of a future that has just panicked not excepted.
        while let Err(payload) = caught {
            let mut payload = Some(payload);
            caught = guard(&mut || payload = payload.take().and_then(|p| task.failed(p)));
            if let Some(payload) = payload {
                let error = JoinError::Panicked(payload);
                log::error!("while a task was dropped: {error}");
            }
        }
        let mut tasks = self.tasks.borrow_mut();
        if ended {
            tasks.free(id)
        } else {
            tasks.put_back(id, task)
        }
        true
    }
}

/// Lets every other ready task, the timers, the events and OCaml go first, once.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
