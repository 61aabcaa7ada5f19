//! Places for connections, of which fewer are served at a time than could come.
//!
//! Whoever lets newcomers wait until somebody goes leaves the service to those who came first and do nothing. Here the
//! one with whom patience has been tried most makes room (as `Mirust.Places` has it in OCaml).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use mirust::time::now;

use crate::progress::Progress;

/// So many, and who has them.
pub struct Places {
    most: Cell<usize>,
    taken: RefCell<Vec<Progress>>,
    newcomer: RefCell<Option<Waker>>,
}

/// One of them, until it is dropped.
pub struct Place {
    places: Rc<Places>,
    progress: Progress,
}

impl Places {
    /// For `most` at a time.
    pub fn with(most: usize) -> Self {
        Places { most: Cell::new(most), taken: RefCell::default(), newcomer: RefCell::default() }
    }

    /// There are so many from now on; when they have become fewer, those who have to go do so as newcomers come.
    pub fn resize(&self, most: usize) {
        self.most.set(most);
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.borrow().len()
    }

    /// Until there is room for one more, which somebody may have to make.
    pub async fn room(&self) {
        poll_fn(|cx| {
            let taken = self.taken.borrow();
            if taken.len() < self.most.get() {
                return Poll::Ready(());
            }
            *self.newcomer.borrow_mut() = Some(cx.waker().clone());
            // One at a time: he goes when his task has its turn.
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

    /// A place, taken from now on. Call it before the task is spawned that the place is for: those that have not had
    /// a turn yet count as well.
    pub fn take(self: &Rc<Self>) -> Place {
        let progress = Progress::new();
        self.taken.borrow_mut().push(progress.clone());
        Place { places: Rc::clone(self), progress }
    }
}

impl Place {
    /// How he does who has it.
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
