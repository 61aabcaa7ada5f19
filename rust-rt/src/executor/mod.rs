//! The executor: runs Rust tasks, one after the other, on the domain's only thread.
//!
//! A task is a future that the executor owns. It is polled when it is spawned and then only when
//! it has been woken; ready tasks wait in one queue, first come, first served.
//!
//! ```text
//!                     spawn
//!                       │ (1)
//!                       ▼          (2) its turn
//!   ┌────────────► ┌────────┐ ───────────────────► ┌─────────┐
//!   │  (4) woken   │ QUEUED │                      │ RUNNING │
//!   │              └────────┘ ◄─────────────────── └─────────┘
//!   │                   │      (3) pending, woken     │   │
//!   │                   │          meanwhile          │   │ (6) ready
//!   │   (7) its turn,   │                             │   │     or panicked
//!   │       aborted     │      (5) pending            │   │
//! ┌──────┐              │   ┌─────────────────────────┘   │
//! │ IDLE │ ◄────────────┼───┘                             │
//! └──────┘              ▼                                 │
//!                   ┌──────┐                              │
//!                   │ DONE │ ◄────────────────────────────┘
//!                   └──────┘
//! ```
//!
//! 1. `spawn` queues the task; it never polls inside the caller.
//! 2. A turn takes tasks from the head of the queue, at most as many as were queued when the turn
//!    began and at most the budget.
//! 3. A task woken while it runs goes to the tail of the queue and runs in the *next* turn: it
//!    cannot keep the turn alive, so timers, events and OCaml get theirs.
//! 4. Any number of wakes queue a task once. A wake may come from another thread (on Unix).
//! 5. A task that is pending and was not woken costs nothing until it is.
//! 6. The result goes to the [`JoinHandle`]; the future is dropped first. A panic is caught by the
//!    [`Guard`] and goes there too.
//! 7. [`JoinHandle::abort`] marks and queues the task; when its turn comes the future is dropped
//!    instead of polled. A task that is aborted while it runs goes through (3) or, if it ends in
//!    that very poll, (6).
//!
//! After DONE the task's name is never used again, so a waker that is kept longer does nothing.
//!
//! No future is ever polled or dropped while the executor holds a borrow of its own tables: futures
//! may spawn, abort, wake and set timers at any time, in their `Drop` as well.
//!
//! # What the compiler refuses
//!
//! A task outlives the function that spawns it, so it may not borrow from there:
//!
//! ```compile_fail,E0597
//! let name = String::from("netif");
//! let borrowed = &name;
//! mirust_rt::domain::spawn(async move { borrowed.len() });
//! ```
//!
//! Tasks need not be `Send`, so nothing that leads to them is:
//!
//! ```compile_fail,E0277
//! let handle = mirust_rt::domain::spawn(async { 1 });
//! std::thread::spawn(move || handle.abort());
//! ```
//!
//! ```compile_fail,E0277
//! let sleep = mirust_rt::domain::sleep(mirust_rt::time::Duration::ZERO);
//! std::thread::spawn(move || drop(sleep));
//! ```
//!
//! ```compile_fail,E0277
//! let domain = mirust_rt::domain::get();
//! std::thread::spawn(move || domain.stats());
//! ```
//!
//! A handle is waited for once:
//!
//! ```compile_fail,E0382
//! # async fn f() {
//! let handle = mirust_rt::domain::spawn(async { 1 });
//! let first = handle.await;
//! let second = handle.await;
//! # }
//! ```

pub(crate) mod inbox;
pub(crate) mod slab;
pub(crate) mod task;
pub(crate) mod timers;

use alloc::boxed::Box;
use core::any::Any;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::task::Poll;

pub use inbox::Notifier;
pub use task::{JoinError, JoinHandle};
pub use timers::{Elapsed, Interval, Sleep};

use inbox::Inbox;
use slab::{Slab, TaskId};
use task::Task;

/// Calls the closure and returns the payload of a panic that ended it, if one did.
///
/// A crate without `std` cannot catch a panic, so one that has it hands this in: the closure goes
/// through `std::panic::catch_unwind`. See [`Domain::set_guard`](crate::poll::Domain::set_guard).
pub type Guard = fn(&mut dyn FnMut()) -> Result<(), Box<dyn Any + Send>>;

/// The guard until another is set: catches nothing.
fn no_guard(call: &mut dyn FnMut()) -> Result<(), Box<dyn Any + Send>> {
    call();
    Ok(())
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

    /// One turn: gives each task that is queued now, but at most `budget` of them, its turn.
    /// Returns how many had one.
    pub(crate) fn run_turn(&self, budget: usize) -> usize {
        let mut had_turn = 0;
        for _ in 0..self.inbox.ready_len().min(budget) {
            let Some(id) = self.inbox.pop_ready() else { break };
            had_turn += usize::from(self.step(id));
        }
        had_turn
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
