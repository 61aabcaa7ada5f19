//! A limited number of places for connections that are served at the same time.
//!
//! A server that makes new clients wait leaves the service to those that came first and do nothing. Here the connection
//! that has most exhausted its patience makes room (as in OCaml's `Mirust.Places`).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use mirust::time::now;

use crate::progress::Progress;

/// The places, and the connections that have them.
pub struct Places {
    most: Cell<usize>,
    taken: RefCell<Vec<Progress>>,
    newcomer: RefCell<Option<Waker>>,
}

/// A place, until it is dropped.
pub struct Place {
    places: Rc<Places>,
    progress: Progress,
}

impl Places {
    /// For `most` connections at a time.
    pub fn with(most: usize) -> Self {
        Places { most: Cell::new(most), taken: RefCell::default(), newcomer: RefCell::default() }
    }

    /// Changes the number of places. If it shrinks, connections have to leave only as new ones come.
    pub fn resize(&self, most: usize) {
        self.most.set(most);
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.taken.borrow().len()
    }

    /// Waits until there is room for one more connection, for which another may have to leave.
    pub async fn room(&self) {
        poll_fn(|cx| {
            let taken = self.taken.borrow();
            if taken.len() < self.most.get() {
                return Poll::Ready(());
            }
            *self.newcomer.borrow_mut() = Some(cx.waker().clone());
            // One at a time: it leaves when its task has its turn.
            if !taken.iter().any(Progress::is_leaving) {
                let now = now();
                if let Some(worst) = taken.iter().max_by_key(|progress| progress.tried(now)) {
                    worst.leave();
                }
            }
            Poll::Pending
        })
        .await;
    }

    /// Takes a place. Call it before spawning the task that the place is for, so that tasks that have not had a turn
    /// yet count as well.
    pub fn take(self: &Rc<Self>) -> Place {
        let progress = Progress::new();
        self.taken.borrow_mut().push(progress.clone());
        Place { places: Rc::clone(self), progress }
    }
}

impl Place {
    /// The progress of the connection that has it.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.borrow_mut().retain(|progress| !progress.is(&self.progress));
        if let Some(newcomer) = self.places.newcomer.take() {
            newcomer.wake();
        }
    }
}
