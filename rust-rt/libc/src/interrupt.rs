//! Calls that wait, and that a handler ends.
//!
//! A handler runs where its signal is sent, or where the domain hears of the request to end, and not on the stack that
//! the signal is for: nothing is ever interrupted but a call that waits, which finds out when it next looks.

use super::stack_signals::{Ends, Signals};
use super::threads::{block::Block, table};
#[cfg(any(feature = "posix", feature = "posix-on-unix"))]
use core::task::Context;
use core::task::Waker;

/// A handler has run for the stack, with SA_RESTART or without.
pub(crate) fn interrupt(signals: &Signals, restarts: bool) {
    if signals.wait.get() == Some(Ends::Always) || !restarts {
        signals.over.set(true);
        look_again(signals);
    }
}

/// Has the call in which the stack waits look again.
pub(crate) fn look_again(signals: &Signals) {
    if let Some(waker) = signals.waker.take() {
        waker.wake();
    }
    if let (Some(threads), place @ 1..) = (table::get(), signals.place.get()) {
        (threads.given.wake)(place, u32::MAX, usize::MAX);
    }
}

/// The stack that runs is in a call that handlers end, until this is dropped.
pub(crate) struct Wait {
    signals: &'static Signals,
    /// What it was in before, if what waits now is a handler, or a task on a stack that waits. With the waker: the call of
    /// before leaves no other one, since it does not look again until that is called.
    before: (Option<Ends>, bool, usize, Option<Waker>),
}

impl Wait {
    /// `place` is the address at which it waits, or 0.
    pub(crate) fn begin(ends: Ends, place: usize) -> Self {
        let signals = Block::signals();
        let wait = signals.wait.replace(Some(ends));
        let before =
            (wait, signals.over.take(), signals.place.replace(place), signals.waker.take());
        Wait { signals, before }
    }

    /// Whether a handler has ended it.
    pub(crate) fn is_over(&self) -> bool {
        self.signals.over.get()
    }

    /// The same; if not, the waker is called when that may have changed.
    #[cfg(any(feature = "posix", feature = "posix-on-unix"))]
    pub(crate) fn is_over_or_wakes(&self, cx: &Context<'_>) -> bool {
        if !self.is_over() {
            self.signals.waker.set(Some(cx.waker().clone()));
        }
        self.is_over()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let (wait, over, place, ref mut waker) = self.before;
        self.signals.wait.set(wait);
        self.signals.over.set(over);
        self.signals.place.set(place);
        self.signals.waker.set(waker.take());
    }
}

#[cfg(all(test, feature = "posix"))]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use core::sync::atomic::{AtomicBool, Ordering};

    struct Woken(AtomicBool);

    impl alloc::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// As a handler may, and a task on the main stack.
    #[test]
    fn a_call_that_waits_is_still_woken_after_another_that_was_made_meanwhile() {
        let waker = Arc::new(Woken(AtomicBool::new(false)));
        let wait = Wait::begin(Ends::Unrestarted, 0);
        assert!(!wait.is_over_or_wakes(&Context::from_waker(&waker.clone().into())));
        drop(Wait::begin(Ends::Always, 7));
        interrupt(Block::signals(), false);
        assert_eq!((wait.is_over(), waker.0.load(Ordering::Relaxed)), (true, true));
    }
}
