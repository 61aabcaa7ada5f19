//! What the process waits for: one epoll instance, and the wakers of each descriptor.

use host_libc as libc;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::Waker;

use crate::clock;
use crate::readiness::Readiness;
use crate::sys::{self, Descriptor, Errno, RawFd};
use mirust_executor::owned::Owned;
use mirust_executor::platform::Platform;
use mirust_executor::shutdown::ShutdownReason;
use mirust_executor::time::{Duration, Instant};
use mirust_executor::{Notifier, add_waker, domain};

/// Tokens of the two descriptors that the reactor itself reads.
const NOTIFY: u64 = 0;
const TERMINATION: u64 = 1;
const FIRST_SOURCE: u64 = 2;

/// Events taken from the kernel in one call. More stay pending; the next dispatch has them.
const BATCH: usize = 32;

/// How long the kernel is not asked again while the domain is busy, in ticks of the processor's time
/// stamp counter: about 20 microseconds. Asking is a system call, which costs more than a whole turn.
const PATIENCE: u64 = 50_000;

/// What a wait takes at least that had to sleep, in the same ticks: about two microseconds.
const SLEEP: u64 = 5_000;

/// After the kernel has reported its events, this many calls of `dispatch` neither read that counter nor ask again: a
/// loop with nothing else to do waits next, which asks as well.
const CALLS: u8 = 4;

static REACTOR: Owned<Reactor> = Owned::new();

/// The one reactor of the process.
pub(crate) fn reactor() -> &'static Reactor {
    REACTOR.get_or_init(|| match Reactor::new(domain::request_shutdown) {
        Ok(reactor) => reactor,
        Err(error) => panic!("cannot set up the event loop: {error}"),
    })
}

/// The platform of this process. Belongs to the thread that first asks.
pub fn platform() -> &'static dyn Platform {
    reactor()
}

/// The Unix platform.
pub(crate) struct Reactor {
    /// Watches everything. Waiting means to wait for this descriptor to become readable.
    epoll: Descriptor,
    notify: Arc<Descriptor>,
    termination: Descriptor,
    /// Called when somebody asks the process to end.
    request_shutdown: fn(ShutdownReason),
    sources: RefCell<BTreeMap<u64, Source>>,
    /// What the last wait has found, for the next `dispatch`.
    events: RefCell<Events>,
    /// Whether the last wait has slept.
    slept: Cell<bool>,
    /// The kernel can wait for events and tell them in one call.
    waits_for_events: Cell<bool>,
    next_token: Cell<u64>,
    /// Where to wait instead, at times.
    place: Cell<Option<&'static dyn Place>>,
    /// When the kernel was last asked for events and had none left; none if it is to be asked now.
    asked: Cell<Option<u64>>,
    /// How many calls of `dispatch` do not even look at the time.
    unasked: Cell<u8>,
}

/// Another place to wait in, which a program without disks does not have. It watches the loop's descriptor meanwhile.
pub(crate) trait Place {
    /// Tells the kernel what is to be told, and tells what has ended since.
    fn dispatch(&self) -> Found;

    /// Waits until something has ended, or until `descriptor` is readable, or until the time is over; without one, for
    /// as long as it takes. May return early. False if nothing can end: then it has not waited.
    fn wait(&self, descriptor: RawFd, time: Option<Duration>) -> bool;
}

/// What another place has seen.
pub(crate) struct Found {
    /// How much has ended.
    pub(crate) ends: usize,
    /// The loop's descriptor has become readable.
    pub(crate) descriptor: bool,
}

/// Events, as the kernel has told them.
struct Events {
    events: [libc::epoll_event; BATCH],
    len: usize,
}

/// A registered descriptor.
struct Source {
    fd: RawFd,
    readers: Vec<Waker>,
    writers: Vec<Waker>,
    /// Who is told instead of tasks.
    hook: Option<Rc<dyn Fn(Readiness)>>,
}

/// What a task waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Reactor {
    fn new(request_shutdown: fn(ShutdownReason)) -> Result<Self, Errno> {
        let reactor = Reactor {
            epoll: sys::epoll_create()?,
            notify: Arc::new(sys::eventfd()?),
            termination: sys::termination_fd()?,
            request_shutdown,
            sources: RefCell::default(),
            events: RefCell::new(Events {
                events: [libc::epoll_event { events: 0, u64: 0 }; BATCH],
                len: 0,
            }),
            slept: Cell::new(false),
            waits_for_events: Cell::new(true),
            next_token: Cell::new(FIRST_SOURCE),
            place: Cell::new(None),
            asked: Cell::new(None),
            unasked: Cell::new(0),
        };
        reactor.watch(reactor.notify.raw(), libc::EPOLLIN, NOTIFY)?;
        reactor.watch(reactor.termination.raw(), libc::EPOLLIN, TERMINATION)?;
        Ok(reactor)
    }

    fn watch(&self, fd: RawFd, events: i32, token: u64) -> Result<(), Errno> {
        sys::epoll_ctl(&self.epoll, libc::EPOLL_CTL_ADD, fd, events, token)
    }

    /// Registers a descriptor, for nothing as yet.
    pub(crate) fn register(&self, fd: RawFd) -> Result<u64, Errno> {
        self.register_as(fd, libc::EPOLLONESHOT, None)
    }

    /// Registers a descriptor, for nothing as yet. `hook` is called in `dispatch`, with what it is ready for.
    pub(crate) fn register_hook(
        &self,
        fd: RawFd,
        hook: Rc<dyn Fn(Readiness)>,
    ) -> Result<u64, Errno> {
        self.register_as(fd, 0, Some(hook))
    }

    fn register_as(
        &self,
        fd: RawFd,
        events: i32,
        hook: Option<Rc<dyn Fn(Readiness)>>,
    ) -> Result<u64, Errno> {
        let token = self.next_token.get();
        self.watch(fd, events, token)?;
        self.next_token.set(token + 1);
        let source = Source { fd, readers: Vec::new(), writers: Vec::new(), hook };
        self.sources.borrow_mut().insert(token, source);
        Ok(token)
    }

    /// What the hook of a descriptor is told, until something else is.
    pub(crate) fn set_interest(&self, fd: RawFd, events: i32, token: u64) -> Result<(), Errno> {
        sys::epoll_ctl(&self.epoll, libc::EPOLL_CTL_MOD, fd, events, token)
    }

    /// Whether the last wait has slept, so that what ended it is new.
    pub(crate) fn slept(&self) -> bool {
        self.slept.get()
    }

    pub(crate) fn deregister(&self, token: u64) {
        let source = self.sources.borrow_mut().remove(&token);
        if let Some(source) = source {
            // Fails only if the kernel knows the descriptor no more: what we want.
            let _ = sys::epoll_ctl(&self.epoll, libc::EPOLL_CTL_DEL, source.fd, 0, token);
        }
    }

    /// Wakes `waker` once the descriptor is ready. The interest is level-triggered and goes off
    /// when it fires, so being ready already, or becoming so during this call, is enough.
    pub(crate) fn wake_when_ready(
        &self,
        token: u64,
        direction: Direction,
        waker: &Waker,
    ) -> Result<(), Errno> {
        let mut sources = self.sources.borrow_mut();
        let source = sources.get_mut(&token).expect("a registered descriptor");
        let waiting = match direction {
            Direction::Read => &mut source.readers,
            Direction::Write => &mut source.writers,
        };
        add_waker(waiting, waker);
        self.arm(token, source)
    }

    /// Tells the kernel what the tasks of `source` wait for.
    fn arm(&self, token: u64, source: &Source) -> Result<(), Errno> {
        let mut events = libc::EPOLLONESHOT;
        if !source.readers.is_empty() {
            events |= libc::EPOLLIN | libc::EPOLLRDHUP;
        }
        if !source.writers.is_empty() {
            events |= libc::EPOLLOUT;
        }
        sys::epoll_ctl(&self.epoll, libc::EPOLL_CTL_MOD, source.fd, events, token)
    }

    /// The kernel was asked, and told this many events.
    fn asked_at(&self, now: u64, events: usize) {
        if events == BATCH {
            self.unasked.set(0);
            self.asked.set(None);
        } else {
            self.unasked.set(CALLS);
            self.asked.set(Some(now));
        }
    }

    /// Waits in `place` from now on, whenever something can end there.
    pub(crate) fn set_place(&self, place: &'static dyn Place) {
        self.place.set(Some(place));
    }

    fn dispatch_place(&self, place: &dyn Place) -> usize {
        let Found { ends, descriptor } = place.dispatch();
        if descriptor {
            self.unasked.set(0);
            self.asked.set(None);
        }
        ends
    }

    /// False if there was nothing to wait for there.
    fn wait_in(&self, place: &dyn Place, timeout: Option<Duration>) -> bool {
        // A second wait without a dispatch in between returns at once with what is there.
        if self.events.borrow().len > 0 {
            return true;
        }
        let waited = place.wait(self.epoll.raw(), timeout);
        if waited {
            // The next dispatch learns from the place whether there is anything to ask for.
            self.asked_at(ticks(), 0);
        }
        waited
    }

    /// One system call for what `ppoll` and `epoll_pending` do together; where the kernel has none (before Linux 5.11,
    /// or in a sandbox), it says so for the future.
    fn wait_for_events(&self, timeout: Option<Duration>) {
        let found = &mut *self.events.borrow_mut();
        // A second wait without a dispatch in between returns at once with the rest.
        if found.len > 0 {
            return;
        }
        match sys::epoll_wait_until(&self.epoll, &mut found.events, timeout) {
            Ok(len) => {
                found.len = len;
                self.asked_at(ticks(), len);
            }
            Err(Errno::INTR) => (),
            Err(Errno(libc::ENOSYS | libc::EPERM)) => self.waits_for_events.set(false),
            Err(error) => panic!("epoll_pwait2: {error}"),
        }
    }

    fn source_ready(&self, token: u64, events: i32) {
        let hook = self.sources.borrow().get(&token).and_then(|source| source.hook.clone());
        if let Some(told) = hook {
            told(Readiness::of(events));
            return;
        }
        let mut woken = Vec::new();
        if let Some(source) = self.sources.borrow_mut().get_mut(&token) {
            let ready = Readiness::of(events);
            if ready.readable {
                woken.append(&mut source.readers);
            }
            if ready.writable {
                woken.append(&mut source.writers);
            }
            if !(source.readers.is_empty() && source.writers.is_empty()) {
                if let Err(error) = self.arm(token, source) {
                    log::error!("cannot wait for descriptor {}: {error}", source.fd);
                }
            }
        }
        for waker in woken {
            waker.wake();
        }
    }

    fn handle(&self, events: &[libc::epoll_event]) {
        for event in events {
            match event.u64 {
                // A notification has done its work by ending the wait.
                NOTIFY => {
                    let _ = sys::read(self.notify.raw(), &mut [0; 8]);
                }
                TERMINATION => self.termination_ready(),
                token => self.source_ready(token, event.events as i32),
            }
        }
    }

    /// Somebody asked the process to end. The next request ends it at once, should it not obey.
    fn termination_ready(&self) {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        if sys::read(self.termination.raw(), &mut info).is_ok() {
            sys::restore_termination();
            (self.request_shutdown)(ShutdownReason::Poweroff);
        }
    }
}

/// The time stamp counter.
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets processes use it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

impl Platform for Reactor {
    fn now(&self) -> Instant {
        clock::now()
    }

    fn wall(&self) -> Duration {
        clock::wall()
    }

    /// Asks the kernel after every wait, and otherwise now and then. Nothing is missed by that when
    /// the loop blocks: the wait returns at once if something is pending.
    fn dispatch(&self) -> usize {
        let elsewhere = self.place.get().map_or(0, |place| self.dispatch_place(place));
        let len = core::mem::take(&mut self.events.borrow_mut().len);
        if len > 0 {
            // A copy: what is told here may come back to wait.
            let events = self.events.borrow().events;
            self.handle(&events[..len]);
            return elsewhere + len;
        }
        let unasked = self.unasked.get();
        if unasked > 0 {
            self.unasked.set(unasked - 1);
            return elsewhere;
        }
        let now = ticks();
        self.unasked.set(CALLS - 1);
        if self.asked.get().is_some_and(|asked| now.wrapping_sub(asked) < PATIENCE) {
            return elsewhere;
        }
        let mut buf = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        let pending = match sys::epoll_pending(&self.epoll, &mut buf) {
            Ok(pending) => pending,
            Err(Errno::INTR) => return elsewhere,
            Err(error) => panic!("epoll: {error}"),
        };
        if self.asked.get().is_some() {
            self.slept.set(false);
        }
        self.asked_at(now, pending.len());
        self.handle(pending);
        elsewhere + pending.len()
    }

    fn wait(&self, deadline: Instant) {
        self.asked.set(None);
        self.unasked.set(0);
        let timeout = (deadline != Instant::NEVER).then(|| deadline.duration_since(self.now()));
        let start = ticks();
        if self.place.get().is_some_and(|place| self.wait_in(place, timeout)) {
            self.slept.set(ticks().wrapping_sub(start) > SLEEP);
            return;
        }
        if self.waits_for_events.get() {
            self.wait_for_events(timeout);
        }
        if !self.waits_for_events.get() {
            // Every descriptor is watched level-triggered, so `epoll` is readable as long as an event
            // is pending, no matter when it came.
            match sys::ppoll(self.epoll.raw(), libc::POLLIN, timeout) {
                Ok(_) | Err(Errno::INTR) => (),
                Err(error) => panic!("ppoll: {error}"),
            }
        }
        self.slept.set(ticks().wrapping_sub(start) > SLEEP);
    }

    fn notifier(&self) -> Option<Notifier> {
        let notify = Arc::clone(&self.notify);
        // Fails only if 2^64-2 notifications are pending: the wait ends all the same.
        Some(Arc::new(move || {
            let _ = sys::write(notify.raw(), &1u64.to_ne_bytes());
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_with_and_without_a_call_that_tells_the_events() {
        let reactor = Reactor::new(|_| ()).expect("an event loop");
        let notify = reactor.notifier().expect("Unix has one");
        for one_call in [true, false] {
            reactor.waits_for_events.set(one_call);
            notify();
            reactor.wait(Instant::NEVER);
            assert_eq!(reactor.dispatch(), 1);
            let deadline = reactor.now().saturating_add(Duration::from_millis(2));
            while reactor.now() < deadline {
                reactor.wait(deadline);
                assert_eq!(reactor.dispatch(), 0);
            }
            assert!(reactor.slept());
        }
    }

    #[test]
    fn who_waits_next_does_not_ask_before() {
        let reactor = Reactor::new(|_| ()).expect("an event loop");
        let notify = reactor.notifier().expect("Unix has one");
        notify();
        reactor.wait(Instant::NEVER);
        assert_eq!(reactor.dispatch(), 1);
        notify();
        // By the time that has passed, it would be asked.
        let deadline = reactor.now().saturating_add(Duration::from_millis(1));
        while reactor.now() < deadline {}
        for _ in 0..CALLS {
            assert_eq!(reactor.dispatch(), 0);
        }
        assert_eq!(reactor.dispatch(), 1, "who does not wait learns it all the same");
        notify();
        reactor.wait(Instant::NEVER);
        assert_eq!(reactor.dispatch(), 1);
    }
}
