//! A platform whose clock stands still until the domain waits, and a trace to write into.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use mirust_rt::executor::Notifier;
use mirust_rt::platform::Platform;
use mirust_rt::poll::Domain;
use mirust_rt::time::{Duration, Instant};

/// What an event does when it is dispatched.
pub type Handler = Box<dyn FnOnce()>;

/// What the mock does on `wait`, besides moving the clock.
#[derive(Default)]
pub struct Mock {
    now: Cell<u64>,
    /// Pending events.
    pending: RefCell<VecDeque<Handler>>,
    /// Events that become pending at a time, earliest first.
    scheduled: RefCell<VecDeque<(u64, Handler)>>,
    /// Runs at the start of the next `wait`, once: the gap between dispatch and block.
    pub before_wait: RefCell<Option<Handler>>,
    /// Deadlines of all waits so far.
    pub waits: RefCell<Vec<Instant>>,
    pub notifier: Option<Notifier>,
}

impl Mock {
    /// Makes an event pending now.
    pub fn raise(&self, handler: impl FnOnce() + 'static) {
        self.pending.borrow_mut().push_back(Box::new(handler));
    }

    /// Makes an event pending at `at`, which is not before those scheduled already.
    pub fn schedule(&self, at: u64, handler: impl FnOnce() + 'static) {
        self.scheduled.borrow_mut().push_back((at, Box::new(handler)));
    }

    /// Moves the clock.
    pub fn set_now(&self, now: u64) {
        assert!(now >= self.now.get());
        self.now.set(now);
    }
}

impl Platform for Mock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.now.get())
    }

    fn wall(&self) -> Duration {
        Duration::from_nanos(self.now.get())
    }

    fn dispatch(&self) -> usize {
        let mut n = 0;
        loop {
            let handler = self.pending.borrow_mut().pop_front();
            let Some(handler) = handler else { return n };
            handler();
            n += 1;
        }
    }

    /// A wait in which nothing could ever happen is the hang that a lost wake-up ends in.
    fn wait(&self, deadline: Instant) {
        self.waits.borrow_mut().push(deadline);
        if let Some(gap) = self.before_wait.take() {
            gap();
        }
        if !self.pending.borrow().is_empty() {
            return;
        }
        let event_at = self.scheduled.borrow().front().map_or(u64::MAX, |e| e.0);
        if event_at < deadline.as_nanos() {
            self.now.set(self.now.get().max(event_at));
            let (_, handler) = self.scheduled.borrow_mut().pop_front().unwrap();
            self.pending.borrow_mut().push_back(handler);
            return;
        }
        assert!(deadline != Instant::NEVER, "the domain sleeps for ever");
        self.now.set(self.now.get().max(deadline.as_nanos()));
    }

    fn notifier(&self) -> Option<Notifier> {
        self.notifier.clone()
    }
}

/// A domain that tasks can hold.
pub type MockDomain = Rc<Domain<Mock>>;

pub fn domain() -> MockDomain {
    Rc::new(Domain::new(Mock::default()))
}

/// Lines in the order in which they were written.
#[derive(Clone, Default)]
pub struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    pub fn log(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }

    /// Fails unless exactly `expected` was written since the last call.
    #[track_caller]
    pub fn expect(&self, expected: &[&str]) {
        assert_eq!(self.0.take(), expected);
    }

    /// Logs `line` when it is dropped.
    pub fn on_drop(&self, line: &str) -> OnDrop {
        OnDrop(self.clone(), line.to_owned())
    }
}

pub struct OnDrop(Trace, String);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.log(self.1.as_str());
    }
}

pub const PAST: Instant = Instant::ZERO;

pub fn at(ns: u64) -> Instant {
    Instant::from_nanos(ns)
}

pub fn ns(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}
