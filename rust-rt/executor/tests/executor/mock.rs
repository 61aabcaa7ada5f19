//! A platform whose clock stands still until the domain waits, and a trace to write into.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mirust_executor::Notifier;
use mirust_executor::platform::Platform;
use mirust_executor::poll::Domain;
use mirust_executor::time::{Duration, Instant};

/// What an event does when it is dispatched.
pub type Handler = Box<dyn FnOnce()>;

/// Time passes in `wait` only, and where a test says so.
#[derive(Default)]
pub struct Mock {
    now: Cell<u64>,
    /// How often somebody has looked at the clock.
    looks: Cell<u32>,
    /// What the platform knows of the time without a look.
    pub recent: Cell<Option<u64>>,
    /// Pending events.
    pending: RefCell<VecDeque<Handler>>,
    /// Events that become pending at a time, earliest first.
    scheduled: RefCell<VecDeque<(u64, Handler)>>,
    /// Runs at the start of the next `wait`, once: the gap between dispatch and block.
    pub before_wait: RefCell<Option<Handler>>,
    /// Deadlines of all waits so far.
    waits: RefCell<Vec<Instant>>,
    /// How many of the next waits return for no reason.
    pub spurious: Cell<u32>,
    /// Set by the notifier, from any thread; an event like any other.
    pub notified: Arc<AtomicBool>,
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

    /// How often somebody has looked at the clock since the last call.
    pub fn take_looks(&self) -> u32 {
        self.looks.take()
    }

    /// The deadlines of all waits since the last call, in nanoseconds.
    pub fn take_waits(&self) -> Vec<u64> {
        self.waits.take().into_iter().map(Instant::as_nanos).collect()
    }
}

impl Platform for Mock {
    fn now(&self) -> Instant {
        self.looks.set(self.looks.get() + 1);
        Instant::from_nanos(self.now.get())
    }

    fn wall(&self) -> Duration {
        Duration::from_nanos(self.now.get())
    }

    fn dispatch(&self) -> usize {
        let mut n = usize::from(self.notified.swap(false, Ordering::SeqCst));
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
        if !self.pending.borrow().is_empty() || self.notified.load(Ordering::SeqCst) {
            return;
        }
        if self.spurious.get() > 0 {
            self.spurious.set(self.spurious.get() - 1);
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

    fn recent(&self) -> Option<Instant> {
        self.recent.get().map(Instant::from_nanos)
    }

    fn notifier(&self) -> Option<Notifier> {
        let notified = Arc::clone(&self.notified);
        Some(Arc::new(move || notified.store(true, Ordering::SeqCst)))
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

/// A deadline that has always passed: look at everything once and do not block.
pub const PAST: Instant = Instant::ZERO;

/// A point in time.
pub fn at(ns: u64) -> Instant {
    Instant::from_nanos(ns)
}

/// A span of time.
pub fn ns(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}
