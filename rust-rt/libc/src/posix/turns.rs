//! Turns: what one does at a time, and may wait in the middle of, in the order in which they asked. Whoever asks again
//! and again does not keep out another.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::task::{Poll, Waker};

use super::block::{NEVER, until};
use super::parts::{Errno, Result};
use crate::errno::EDEADLK;
use crate::threads::block::number;

/// Whose turn it is, and who waits for one.
#[derive(Default)]
pub(super) struct Turns {
    /// The number of the turn that it is, and of the next one who asks.
    turn: Cell<u64>,
    next: Cell<u64>,
    /// The thread that has it.
    holder: Cell<Option<c_int>>,
    /// The threads that wait for one.
    waiting: RefCell<Vec<(c_int, Waker)>>,
}

/// A turn; it ends when this is dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Takes a turn. Waits until those are over that others took before.
    ///
    /// # Errors
    ///
    /// EDEADLK where nothing may wait, and on a stack that has one, or waits for it: what began there cannot go on.
    pub(super) fn take(&self) -> Result<Turn<'_>> {
        let thread = number();
        let is_waiting = || self.waiting.borrow().iter().any(|(waits, _)| *waits == thread);
        if self.holder.get() == Some(thread) || is_waiting() {
            return Err(Errno(EDEADLK));
        }
        let mine = self.next.get();
        self.next.set(mine + 1);
        if self.turn.get() != mine {
            let wait = until(NEVER, None, |cx| {
                if self.turn.get() != mine {
                    self.waiting.borrow_mut().push((thread, cx.waker().clone()));
                    return Poll::Pending;
                }
                Poll::Ready(())
            });
            // It failed at once: nobody has asked since.
            wait.inspect_err(|_| self.next.set(mine))?;
        }
        self.holder.set(Some(thread));
        Ok(Turn(self))
    }

    /// Whether somebody has a turn.
    pub(super) fn is_taken(&self) -> bool {
        self.holder.get().is_some()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.holder.set(None);
        self.0.turn.set(self.0.turn.get() + 1);
        self.0.waiting.take().into_iter().for_each(|(_, waker)| waker.wake());
    }
}
