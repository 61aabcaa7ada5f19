//! Waiting until OCaml says that a retry is worthwhile.
//!
//! OCaml's network functions never wait: they return a result, or report that there is nothing yet, and have [`wake`]
//! called later with the caller's token, by way of the turn ([`crate::turn`]). So received data is never inside a
//! promise that might be dropped. What comes while a reader waits is taken without a call.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::task::{Context, Poll, Waker};

use mirust_rt::executor::add_waker;

use crate::ocaml::Slots;

/// Something that tasks wait for, such as data from a connection.
pub(super) struct Wait {
    token: isize,
}

#[derive(Default)]
struct Entry {
    /// OCaml was asked, and will call [`wake`].
    asked: bool,
    wakers: Vec<Waker>,
}

crate::local::domain_local! {
    /// The waiters by their tokens. Never dropped: OCaml may call until the end.
    static ENTRIES: RefCell<ManuallyDrop<Slots<Entry>>> =
        const { RefCell::new(ManuallyDrop::new(Slots::new())) };
}

fn entries<R>(f: impl FnOnce(&mut Slots<Entry>) -> R) -> R {
    ENTRIES.with_borrow_mut(|slots| f(slots))
}

impl Wait {
    pub(super) fn new() -> Self {
        crate::turn::set_wake(wake);
        Wait { token: entries(|e| e.insert(Entry::default())) }
    }

    /// The token for OCaml's call.
    pub(super) fn token(&self) -> isize {
        self.token
    }

    /// Set before OCaml is asked, since it may call at once; reset if it had a result.
    pub(super) fn set_asked(&self, asked: bool) {
        entries(|e| {
            if let Some(entry) = e.get_mut(self.token) {
                entry.asked = asked;
            }
        });
    }

    /// Whether OCaml has yet to call; the task is woken when it does.
    pub(super) fn is_asked(&self, cx: &mut Context<'_>) -> bool {
        entries(|e| match e.get_mut(self.token) {
            Some(entry) if entry.asked => {
                add_waker(&mut entry.wakers, cx.waker());
                true
            }
            _ => false,
        })
    }

    /// Asks, unless OCaml was already asked and has not called yet. `ask` returns pending if OCaml will call.
    pub(super) fn poll<R>(&self, cx: &mut Context<'_>, ask: impl FnOnce() -> Poll<R>) -> Poll<R> {
        self.poll_ahead(cx, |_| ask())
    }

    /// As [`poll`](Self::poll); `ask` sets its argument if it has a result, and OCaml will nevertheless call when there
    /// is another.
    pub(super) fn poll_ahead<R>(
        &self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut bool) -> Poll<R>,
    ) -> Poll<R> {
        if self.is_asked(cx) {
            return Poll::Pending;
        }
        self.set_asked(true);
        let mut ahead = false;
        let answer = ask(&mut ahead);
        if answer.is_ready() {
            if !ahead {
                self.set_asked(false);
            }
        } else if !self.is_asked(cx) {
            // It has called already.
            cx.waker().wake_by_ref();
        }
        answer
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let entry = entries(|e| e.remove(self.token));
        // A waker is somebody's code: not inside the borrow.
        drop(entry);
    }
}

/// OCaml: a retry is worthwhile.
fn wake(token: isize) {
    let mut wakers = entries(|e| {
        let entry = e.get_mut(token)?;
        entry.asked = false;
        Some(std::mem::take(&mut entry.wakers))
    })
    .unwrap_or_default();
    wakers.drain(..).for_each(Waker::wake);
    // Its memory serves again.
    entries(|e| {
        if let Some(entry) = e.get_mut(token) {
            if entry.wakers.is_empty() {
                std::mem::swap(&mut entry.wakers, &mut wakers);
            }
        }
    });
}
