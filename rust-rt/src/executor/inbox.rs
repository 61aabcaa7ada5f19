//! Everything that can make the domain runnable, behind one lock.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use crate::executor::slab::TaskId;
use crate::poll::Ready;

/// Called when something arrives while the domain is blocked, possibly from another thread.
pub type Notifier = Arc<dyn Fn() + Send + Sync>;

/// The domain's inbox: ready tasks, completion tokens for OCaml, and one-bit signals.
///
/// All of it sits behind one lock, together with the flag that says whether the domain is about to
/// block. So "is there anything to do?" and "then I block" are one step, and nobody can slip
/// something in between: see [`Inbox::park`].
pub(crate) struct Inbox {
    state: spin::Mutex<State>,
    notify: Option<Notifier>,
}

#[derive(Default)]
struct State {
    /// Tasks to run, oldest first; each task is here at most once.
    ready: VecDeque<TaskId>,
    /// Tokens of finished work that OCaml has not collected yet, oldest first.
    completions: VecDeque<u64>,
    /// Raised and not yet reported.
    signals: Ready,
    /// The domain blocks, or is about to: whoever adds something must notify.
    parked: bool,
}

impl Inbox {
    pub(crate) fn new(notify: Option<Notifier>) -> Self {
        Inbox { state: spin::Mutex::new(State::default()), notify }
    }

    /// Changes the state and, if that ended a park, tells the platform, after the lock is free.
    fn post(&self, change: impl FnOnce(&mut State)) {
        let was_parked = {
            let mut state = self.state.lock();
            change(&mut state);
            core::mem::take(&mut state.parked)
        };
        if let (true, Some(notify)) = (was_parked, &self.notify) {
            notify();
        }
    }

    /// Appends a task to the run queue.
    pub(crate) fn push_ready(&self, id: TaskId) {
        self.post(|s| s.ready.push_back(id));
    }

    /// Appends a completion token.
    pub(crate) fn push_completion(&self, token: u64) {
        self.post(|s| s.completions.push_back(token));
    }

    /// Raises signal bits.
    pub(crate) fn signal(&self, bits: Ready) {
        self.post(|s| s.signals |= bits);
    }

    /// Makes sure that `tasks` queue entries fit without an allocation, so that waking never
    /// allocates.
    pub(crate) fn reserve_ready(&self, tasks: usize) {
        let mut state = self.state.lock();
        let len = state.ready.len();
        state.ready.reserve(tasks.saturating_sub(len));
    }

    pub(crate) fn ready_len(&self) -> usize {
        self.state.lock().ready.len()
    }

    pub(crate) fn pop_ready(&self) -> Option<TaskId> {
        self.state.lock().ready.pop_front()
    }

    pub(crate) fn pop_completion(&self) -> Option<u64> {
        self.state.lock().completions.pop_front()
    }

    /// Clears and returns the signals of `interest`. Completions keep `FOREIGN` up until they have
    /// all been collected.
    pub(crate) fn take_signals(&self, interest: Ready) -> Ready {
        let mut state = self.state.lock();
        let taken = state.pending(interest);
        state.signals.remove(interest);
        taken
    }

    /// If there is nothing to do for `interest` and no task is ready, announces that the domain is
    /// about to block and returns true. Otherwise changes nothing and returns false.
    ///
    /// After true, anything posted calls the notifier, which makes the platform's `wait` return.
    pub(crate) fn park(&self, interest: Ready) -> bool {
        let mut state = self.state.lock();
        state.parked = state.ready.is_empty() && state.pending(interest).is_empty();
        state.parked
    }

    /// The domain runs again; posts need no notification.
    pub(crate) fn unpark(&self) {
        self.state.lock().parked = false;
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
