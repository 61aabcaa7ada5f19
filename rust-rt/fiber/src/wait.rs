//! Waiting at an address: the basis of mutexes, conditions, `join` and the futex.
//!
//! Waiters are in a list, first come, first served; a wake-up names an address and a number of waiters. The memory
//! there is never accessed, so the address can be anything. No wake-up can be lost between the caller's check of
//! the memory and the wait: there is one thread of execution, and the waiter is in the list before execution leaves
//! its stack.

use core::cell::Cell;
use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::{Pin, pin};
use core::ptr;
use core::task::{Context, Poll, Waker};

use mirust_executor::time::Instant;

use crate::block::{block_on_until, perhaps_yield};
use crate::cannot::CannotBlock;

/// A bit mask that matches every other.
pub const ANY: u32 = u32::MAX;

const BUCKETS: usize = 64;

/// Waiters of one bucket, in the order of their coming.
struct List {
    first: Cell<*const Waiter>,
    last: Cell<*const Waiter>,
}

struct Lists([List; BUCKETS]);

// SAFETY: `list` is the only way to them, and lets the domain's thread of execution alone pass.
unsafe impl Sync for Lists {}

static LISTS: Lists = Lists(
    [const { List { first: Cell::new(ptr::null()), last: Cell::new(ptr::null()) } }; BUCKETS],
);

fn list(address: usize) -> &'static List {
    #[cfg(not(feature = "image"))]
    mirust_executor::domain::get();
    // Locks are words, often many to a cache line.
    &LISTS.0[(address >> 2 ^ address >> 8) % BUCKETS]
}

/// A waiter. On its own stack, and in a list from `wait` on until it was woken or dropped.
struct Waiter {
    address: usize,
    mask: u32,
    listed: Cell<bool>,
    waker: Cell<Option<Waker>>,
    next: Cell<*const Waiter>,
    previous: Cell<*const Waiter>,
    _pinned: PhantomPinned,
}

impl Waiter {
    fn enlist(&self) {
        let list = list(self.address);
        self.listed.set(true);
        self.previous.set(list.last.get());
        // SAFETY: what is in a list is pinned and alive: it leaves the list when it is dropped.
        match unsafe { list.last.get().as_ref() } {
            Some(last) => last.next.set(self),
            None => list.first.set(self),
        }
        list.last.set(self);
    }

    fn leave(&self) {
        if !self.listed.replace(false) {
            return;
        }
        let list = list(self.address);
        let (previous, next) = (self.previous.get(), self.next.get());
        // SAFETY: as above, here and below.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => list.first.set(next),
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => list.last.set(previous),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Ready when the waiter was taken off its list.
struct Woken<'a>(&'a Waiter);

impl Future for Woken<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.0.listed.get() {
            return Poll::Ready(());
        }
        self.0.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// Waits for a [wake-up](wake) at `address` with a mask that shares a bit with `mask`, at most until `deadline`.
/// Returns whether it came; false after the deadline.
///
/// # Errors
///
/// [`CannotBlock::InTask`].
pub fn wait(address: usize, mask: u32, deadline: Option<Instant>) -> Result<bool, CannotBlock> {
    let waiter = pin!(Waiter {
        address,
        mask,
        listed: Cell::new(false),
        waker: Cell::new(None),
        next: Cell::new(ptr::null()),
        previous: Cell::new(ptr::null()),
        _pinned: PhantomPinned,
    });
    let waiter = waiter.into_ref().get_ref();
    waiter.enlist();
    block_on_until(Woken(waiter), deadline).map(|woken| woken.is_some())
}

/// Wakes the first `most` waiters at `address` with a mask that shares a bit with `mask`. Returns how many there
/// were.
pub fn wake(address: usize, mask: u32, most: usize) -> usize {
    let mut woken = 0;
    let mut at = list(address).first.get();
    // SAFETY: what is in a list is pinned and alive. A waker's code makes a task ready and no more, so
    // that nobody leaves the list while we are at it.
    while let Some(waiter) = unsafe { at.as_ref() } {
        at = waiter.next.get();
        if woken == most {
            break;
        }
        if waiter.address == address && waiter.mask & mask != 0 {
            waiter.leave();
            waiter.next.set(ptr::null());
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
            woken += 1;
        }
    }
    if woken > 0 {
        perhaps_yield();
    }
    woken
}
