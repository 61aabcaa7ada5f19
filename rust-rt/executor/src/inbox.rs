//! Everything that can make the domain runnable.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::owned::thread;
use crate::ready::Ready;
use crate::slab::TaskId;

/// Called when something arrives while the domain is blocked, possibly from another thread.
pub type Notifier = Arc<dyn Fn() + Send + Sync>;

/// The domain's inbox: ready tasks, completion tokens for OCaml, and one-bit signals.
///
/// It has two halves. Nearly everything is posted by the domain's own thread, to its own half, which needs no lock.
/// What other threads post (on Unix) goes to the other half, behind a lock, together with the flag that says whether
/// the domain is about to block. So the check for work and the announcement "I block now" are one step, and nothing can
/// slip in between: see [`Inbox::park`].
pub(crate) struct Inbox {
    own: Own,
    others: spin::Mutex<Others>,
    /// Whether there is anything in `others.posted`; set and cleared under its lock.
    posted: AtomicBool,
    notify: Option<Notifier>,
}

/// The half of the domain's thread.
struct Own {
    thread: usize,
    state: RefCell<State>,
}

// SAFETY: only the thread that made the inbox uses `state`, which `with` checks; `thread` never
// changes. What is inside are plain numbers, which any thread may drop.
unsafe impl Sync for Own {}
// SAFETY: as above.
unsafe impl Send for Own {}

impl Own {
    /// Calls `f` with the state, if this is its thread.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        (self.thread == thread()).then(|| f(&mut self.state.borrow_mut()))
    }
}

#[derive(Default)]
struct Others {
    posted: State,
    /// The domain blocks, or is about to: a thread that posts something must notify it.
    parked: bool,
}

#[derive(Default)]
struct State {
    /// Tasks to run, oldest first; each task is here at most once.
    ready: VecDeque<TaskId>,
    /// Tokens of finished work that OCaml has not collected yet, oldest first.
    completions: VecDeque<u64>,
    /// Raised and not yet reported.
    signals: Ready,
}

impl Inbox {
    /// The inbox of a domain that belongs to the calling thread.
    pub(crate) fn new(notify: Option<Notifier>) -> Self {
        Inbox {
            own: Own { thread: thread(), state: RefCell::default() },
            others: spin::Mutex::default(),
            posted: AtomicBool::new(false),
            notify,
        }
    }

    /// Changes the state. The domain's thread runs, so nobody has to wake it; another thread ends a
    /// park and tells the platform, after the lock is free.
    #[inline]
    fn post(&self, change: impl Fn(&mut State)) {
        if self.own.with(&change).is_none() {
            self.post_from_outside(change);
        }
    }

    #[cold]
    fn post_from_outside(&self, change: impl Fn(&mut State)) {
        let was_parked = {
            let mut others = self.others.lock();
            change(&mut others.posted);
            self.posted.store(true, Ordering::Release);
            core::mem::take(&mut others.parked)
        };
        if let (true, Some(notify)) = (was_parked, &self.notify) {
            notify();
        }
    }

    /// The state of the domain's thread, with what others have posted so far behind it.
    ///
    /// # Panics
    ///
    /// On another thread.
    #[inline]
    fn collected<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        if self.posted.load(Ordering::Acquire) {
            self.collect();
        }
        self.own.with(f).expect("only the domain's thread looks into its inbox")
    }

    #[cold]
    fn collect(&self) {
        self.own.with(|own| {
            let posted = &mut self.others.lock().posted;
            own.ready.append(&mut posted.ready);
            own.completions.append(&mut posted.completions);
            own.signals |= core::mem::take(&mut posted.signals);
            self.posted.store(false, Ordering::Relaxed);
        });
    }

    /// Appends a task to the run queue.
    #[inline]
    pub(crate) fn push_ready(&self, id: TaskId) {
        self.post(|s| s.ready.push_back(id));
    }

    /// Appends a completion token.
    #[inline]
    pub(crate) fn push_completion(&self, token: u64) {
        self.post(|s| s.completions.push_back(token));
    }

    /// Raises signal bits.
    #[inline]
    pub(crate) fn signal(&self, bits: Ready) {
        self.post(|s| s.signals |= bits);
    }

    /// Makes sure that `tasks` queue entries fit without an allocation, so that waking on the domain's thread never
    /// allocates.
    #[inline]
    pub(crate) fn reserve_ready(&self, tasks: usize) {
        self.own.with(|own| {
            if own.ready.capacity() < tasks {
                own.ready.reserve(tasks - own.ready.len());
            }
        });
    }

    pub(crate) fn ready_len(&self) -> usize {
        self.collected(|s| s.ready.len())
    }

    #[inline]
    pub(crate) fn pop_ready(&self) -> Option<TaskId> {
        self.collected(|s| s.ready.pop_front())
    }

    pub(crate) fn has_completions(&self) -> bool {
        self.collected(|s| !s.completions.is_empty())
    }

    #[inline]
    pub(crate) fn pop_completion(&self) -> Option<u64> {
        self.collected(|s| s.completions.pop_front())
    }

    /// Clears and returns the signals of `interest`. Completions keep `FOREIGN` up until they have
    /// all been collected.
    pub(crate) fn take_signals(&self, interest: Ready) -> Ready {
        self.collected(|s| {
            let taken = s.pending(interest);
            s.signals.remove(interest);
            taken
        })
    }

    /// Whether a task is ready, or there is something of `interest`.
    pub(crate) fn has_work(&self, interest: Ready) -> bool {
        self.collected(|s| !s.ready.is_empty() || !s.pending(interest).is_empty())
    }

    /// If there is nothing to do for `interest` and no task is ready, announces that the domain is
    /// about to block and returns true. Otherwise announces nothing and returns false.
    ///
    /// After true, anything posted by another thread calls the notifier, which makes the platform's
    /// `wait` return.
    pub(crate) fn park(&self, interest: Ready) -> bool {
        let idle = self.collected(|s| s.ready.is_empty() && s.pending(interest).is_empty());
        if !idle {
            return false;
        }
        // What was posted after the look above is found here. What was posted before and is not of
        // `interest` has been collected, and does not prevent blocking.
        let mut others = self.others.lock();
        others.parked = !self.posted.load(Ordering::Relaxed);
        others.parked
    }

    /// The domain runs again; posts need no notification.
    pub(crate) fn unpark(&self) {
        self.others.lock().parked = false;
    }
}

impl State {
    fn pending(&self, interest: Ready) -> Ready {
        let mut pending = self.signals;
        if !self.completions.is_empty() {
            pending |= Ready::FOREIGN;
        }
        pending & interest
    }
}
