//! Receivers that want to know that a descriptor may have become ready: epoll sets, and blocking calls.
//!
//! A notification is only a hint: its receiver checks again by [`Object::poll`](super::Object::poll). So a spurious one
//! is harmless, and what matters is that none is missing: an object that has answered "not ready", by `poll` or by
//! EAGAIN, sends a notification when that may have changed.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::events::Events;
use super::local::local;
use super::memory;
use super::parts::Result;

/// Receives notifications: an epoll set.
pub(super) trait Watcher {
    /// The object of this entry may have become ready for these events. `quiet` if nothing has happened, but the
    /// object has just been read or written in a way that leaves open whether there is more, and it has not been
    /// asked for notifications since.
    fn changed(&self, entry: usize, events: Events, quiet: bool);
    /// The object of this entry is gone.
    fn gone(&self, entry: usize);
}

/// The watchers of an object, which owns this.
#[derive(Default)]
pub struct Watchers(Rc<Shared>);

#[derive(Default)]
struct Shared {
    entries: RefCell<Vec<(Weak<dyn Watcher>, usize)>>,
    blocked: RefCell<Vec<Blocked>>,
    last_ticket: Cell<u64>,
    /// The number by which wakers know this, counted from 1; 0 before there was one.
    number: Cell<usize>,
}

struct Blocked {
    ticket: u64,
    interest: Events,
    waker: Waker,
}

local! {
    /// What wakers name by their numbers.
    static NUMBERED: RefCell<Vec<Weak<Shared>>> = RefCell::new(Vec::new());
}

local! {
    /// Numbers to be reused.
    static FREE: RefCell<Vec<usize>> = RefCell::new(Vec::new());
}

/// Objects without a descriptor, at most: connections in the middle of `accept`, and what blocked calls keep.
const OTHERS: usize = 64;

/// Room for the numbers of so many objects, and for those that are free again.
///
/// # Errors
///
/// ENOMEM.
pub(super) fn reserve(objects: usize) -> Result {
    NUMBERED.with(|all| reserve_in(&mut all.borrow_mut(), objects + OTHERS))?;
    FREE.with(|free| reserve_in(&mut free.borrow_mut(), objects + OTHERS))
}

fn reserve_in<T>(list: &mut Vec<T>, all: usize) -> Result {
    memory::reserve(list, all.saturating_sub(list.len()))
}

impl Watchers {
    /// Without watchers.
    pub fn new() -> Self {
        Watchers::default()
    }

    /// The object may have become ready for `events`.
    pub fn notify(&self, events: Events) {
        self.0.tell(events, false);
        self.0.wake(events);
    }

    /// The object was used in a way that may have ended its readiness for `events` without an EAGAIN: it has to be
    /// polled before its notifications can be relied on.
    pub fn doubt(&self, events: Events) {
        self.0.tell(events, true);
    }

    /// A waker that sends a notification of these events. It costs no memory, and equal ones compare as equal.
    pub fn waker(&self, events: Events) -> Waker {
        let number = self.number();
        let data = core::ptr::without_provenance(number << EVENT_BITS | events.0 as usize);
        // SAFETY: the functions below take the pointer for the number that it is, and keep the
        // contract for any number, from any thread.
        unsafe { Waker::from_raw(RawWaker::new(data, &BY_NUMBER)) }
    }

    fn number(&self) -> usize {
        if self.0.number.get() == 0 {
            let this = Rc::downgrade(&self.0);
            let number = FREE.with(|free| free.borrow_mut().pop());
            let number = NUMBERED.with(|all| {
                let mut all = all.borrow_mut();
                match number {
                    Some(number) => all[number - 1] = this,
                    None => all.push(this),
                }
                number.unwrap_or(all.len())
            });
            self.0.number.set(number);
        }
        self.0.number.get()
    }

    /// Room for one more by [`add`](Self::add).
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(super) fn reserve(&self) -> Result {
        memory::reserve(&mut self.0.entries.borrow_mut(), 1)
    }

    pub(super) fn add(&self, watcher: Weak<dyn Watcher>, entry: usize) {
        self.0.entries.borrow_mut().push((watcher, entry));
    }

    pub(super) fn remove(&self, watcher: &Weak<dyn Watcher>, entry: usize) {
        let mut entries = self.0.entries.borrow_mut();
        if let Some(at) = entries.iter().position(|(w, e)| *e == entry && w.ptr_eq(watcher)) {
            entries.swap_remove(at);
        }
    }

    /// Whether a call is blocked until the object is ready for one of `events`.
    pub(super) fn is_awaited(&self, events: Events) -> bool {
        self.0.blocked.borrow().iter().any(|b| b.interest.intersects(events))
    }

    /// Wakes once at the next notification of `interest`, or of an error, unless the result is dropped before. Without
    /// memory to remember that, it wakes at once: the caller asks again.
    pub(super) fn wake_at(&self, interest: Events, waker: &Waker) -> Ticket {
        if memory::reserve(&mut self.0.blocked.borrow_mut(), 1).is_err() {
            waker.wake_by_ref();
            return Ticket(Weak::new(), 0);
        }
        let ticket = self.0.last_ticket.get() + 1;
        self.0.last_ticket.set(ticket);
        let interest = interest | Events::ALWAYS;
        self.0.blocked.borrow_mut().push(Blocked { ticket, interest, waker: waker.clone() });
        Ticket(Rc::downgrade(&self.0), ticket)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        (self.0.entries.borrow().len(), self.0.blocked.borrow().len())
    }
}

impl Shared {
    /// Notifies the sets. No borrow is held meanwhile: they may poll the object at once.
    fn tell(&self, events: Events, quiet: bool) {
        for at in 0.. {
            let entry = self.entries.borrow().get(at).cloned();
            let Some((watcher, entry)) = entry else { break };
            if let Some(watcher) = watcher.upgrade() {
                watcher.changed(entry, events, quiet);
            }
        }
    }

    fn wake(&self, events: Events) {
        loop {
            let woken = {
                let mut blocked = self.blocked.borrow_mut();
                let at = blocked.iter().position(|b| b.interest.intersects(events));
                at.map(|at| blocked.remove(at))
            };
            let Some(Blocked { waker, .. }) = woken else { break };
            waker.wake();
        }
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for (watcher, entry) in self.0.entries.take() {
            if let Some(watcher) = watcher.upgrade() {
                watcher.gone(entry);
            }
        }
        if self.0.number.get() != 0 {
            FREE.with(|free| free.borrow_mut().push(self.0.number.get()));
        }
    }
}

/// A waker in a list, which it leaves when this is dropped.
pub(super) struct Ticket(Weak<Shared>, u64);

impl Drop for Ticket {
    fn drop(&mut self) {
        let removed = self.0.upgrade().and_then(|shared| {
            let mut blocked = shared.blocked.borrow_mut();
            let at = blocked.iter().position(|b| b.ticket == self.1)?;
            Some(blocked.swap_remove(at))
        });
        // A waker is somebody's code: not inside the borrow.
        drop(removed);
    }
}

/// As many as the events that a waker can name.
const EVENT_BITS: u32 = 16;

static BY_NUMBER: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &BY_NUMBER), wake, wake, |_| ());

fn wake(data: *const ()) {
    let (number, events) = (data.addr() >> EVENT_BITS, data.addr() & ((1 << EVENT_BITS) - 1));
    let shared = NUMBERED.with(|all| all.borrow().get(number - 1).and_then(Weak::upgrade));
    // At worst, a reused number gets a spurious notification.
    if let Some(shared) = shared {
        shared.tell(Events(events as u32), false);
        shared.wake(Events(events as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Log(RefCell<Vec<(usize, u32, bool)>>);

    impl Watcher for Log {
        fn changed(&self, entry: usize, events: Events, quiet: bool) {
            self.0.borrow_mut().push((entry, events.0, quiet));
        }
        fn gone(&self, entry: usize) {
            self.0.borrow_mut().push((entry, 0, false));
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn sets_are_told_of_everything_until_they_leave() {
        let log = Rc::new(Log::default());
        let weak: Weak<dyn Watcher> = Rc::downgrade(&(Rc::clone(&log) as Rc<dyn Watcher>));
        let watchers = Watchers::new();
        watchers.add(weak.clone(), 7);
        watchers.notify(Events::IN);
        watchers.doubt(Events::OUT);
        watchers.waker(Events::IN | Events::RDHUP).wake();
        watchers.remove(&weak, 7);
        watchers.notify(Events::IN);
        watchers.add(weak, 8);
        drop(watchers);
        let expected = [(7, 1, false), (7, 4, true), (7, 0x2001, false), (8, 0, false)];
        assert_eq!(*log.0.borrow(), expected);
    }

    #[test]
    fn blocked_calls_wake_once_for_what_they_wait_for() {
        let count = Arc::new(Count::default());
        let woken = || count.0.load(Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&count));
        let watchers = Watchers::new();
        let ticket = watchers.wake_at(Events::IN, &waker);
        watchers.notify(Events::OUT);
        assert_eq!(woken(), 0);
        watchers.notify(Events::IN);
        watchers.notify(Events::IN);
        assert_eq!(woken(), 1);
        drop(ticket);
        let ticket = watchers.wake_at(Events::IN, &waker);
        drop(ticket);
        watchers.notify(Events::IN | Events::HUP);
        assert_eq!((woken(), watchers.count()), (1, (0, 0)));
        let _ticket = watchers.wake_at(Events::IN, &waker);
        watchers.notify(Events::HUP);
        assert_eq!(woken(), 2);
    }

    #[test]
    fn a_waker_may_outlive_its_object_and_numbers_serve_again() {
        let first = Watchers::new();
        let stale = first.waker(Events::IN);
        assert!(stale.will_wake(&first.waker(Events::IN)));
        assert!(!stale.will_wake(&first.waker(Events::OUT)));
        let number = first.number();
        drop(first);
        stale.wake_by_ref();
        let second = Watchers::new();
        assert_eq!(second.number(), number);
        stale.wake();
    }
}
