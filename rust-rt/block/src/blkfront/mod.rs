//! The frontend of Xen's block device protocol (`io/blkif.h`): one queue.
//!
//! `connect` handles xenbus's states in xenstore; the engine, shared with other disks, handles the users' requests. A
//! `connection` turns these into requests to the backend, each of which is put together by `build` and kept as
//! `in_flight` until it is answered; `memory` has the pages that the backend sees, and `common` what was agreed.
//!
//! # Turns
//!
//! Submitting a request only queues it and wakes the device's task. When that runs, in the same turn of the poll, it
//! issues all queued requests: adjacent ones are merged, and there is one notification for all of them, and only if the
//! backend asked for it.
//!
//! # Memory that the backend sees
//!
//! Whole pages of a caller's memory are granted in place, and so are parts of pages that hold nothing else. Everything
//! else is copied through the device's own pages. The grants of a request are ended before its caller is told: if a
//! backend answers but does not release the pages, the caller waits, because memory that someone else can still write
//! is useless to it.
//!
//! # A misbehaving backend
//!
//! Everything that it writes is copied and then checked. After an impossible index or identifier the ring cannot be
//! trusted any more: it is given up, and a new connection is attempted after a while. Whether the data is what was
//! stored cannot be checked here.
//!
//! # A backend that goes away and comes back
//!
//! Unanswered requests are issued again. Before that the backend has to release the ring, however long that takes: a
//! write still in progress on the old connection could overwrite a newer one.
//!
//! # A domain that is suspended
//!
//! The domain is frozen only when the backend has answered all requests; otherwise the disk refuses (`suspend`).
//! Requests submitted in the meantime wait for the next backend.

mod build;
mod common;
mod connect;
mod connection;
mod in_flight;
mod memory;
mod suspend;
mod unused;

use super::{
    Counters, Device, Info, Io, State,
    engine::{Ended, Engine},
};
use alloc::{rc::Rc, string::String, vec::Vec};
use common::{Fault, Features};
use connection::{Connection, Leftover};
use core::{cell::RefCell, task::Waker};
use memory::Pages;
use mirust_executor::add_waker;
use mirust_xen::{
    events::EventChannel,
    gnttab::{GrantError, GrantTable},
    wire::DomId,
};

pub use connect::open;

/// The number of spurious notifications in a row that is tolerated: one may be spurious because the answer was found
/// before it came, but each costs the domain time.
const STORM: u32 = 10_000;

/// What a disk may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Requests that may be with the backend at the same time: 1 to 512. The ring has as many pages as
    /// that takes, if the backend agrees.
    pub depth: usize,
    /// Pages for copied data: 16 or more.
    pub pages: usize,
    /// Segments of a request, which are pages at most, if the backend takes so many: 1 to 4096.
    pub segments: usize,
    /// Let the backend keep pages mapped, and copy all data.
    pub persistent: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { depth: 64, pages: 512, segments: 512, persistent: false }
    }
}

impl Options {
    /// The nearest values that a disk can work with.
    fn clamped(self) -> Options {
        Options {
            depth: self.depth.clamp(1, 512),
            pages: self.pages.clamp(16, 1 << 16),
            segments: self.segments.clamp(1, 4096),
            persistent: self.persistent,
        }
    }
}

/// A virtual block device of this domain.
pub struct Blkfront {
    inner: RefCell<Inner>,
    grants: &'static GrantTable,
    options: Options,
}

struct Inner {
    engine: Engine,
    connection: Option<Connection>,
    /// The connection after a fault, or while it is being closed: nothing reads or writes its ring, but
    /// the backend may still have it mapped.
    stopped: Option<Connection>,
    /// Memory of former connections that their backends have not released.
    left: Vec<Leftover>,
    /// Answers are awaited, and nothing new is issued.
    draining: bool,
    /// The same, as the domain is to be frozen.
    frozen: bool,
    fault: Option<Fault>,
    close: bool,
    /// There is something to issue, or to report.
    work: bool,
    /// Notifications since an answer was last found.
    useless: u32,
    /// The device's task, if it waits.
    waker: Option<Waker>,
    /// Tasks that wait for a change.
    watchers: Vec<Waker>,
}

impl Blkfront {
    fn new(name: String, options: Options, grants: &'static GrantTable) -> Blkfront {
        let inner = Inner {
            engine: Engine::new(name),
            connection: None,
            stopped: None,
            left: Vec::new(),
            draining: false,
            frozen: false,
            fault: None,
            close: false,
            work: false,
            useless: 0,
            waker: None,
            watchers: Vec::new(),
        };
        Blkfront { inner: RefCell::new(inner), grants, options: options.clamped() }
    }

    /// Sets a ring of this many pages up for a backend. It is not used before [`up`](Self::up).
    fn prepare(
        &self,
        peer: DomId,
        channel: Rc<EventChannel>,
        ring_pages: usize,
        features: Features,
    ) -> Result<(), GrantError> {
        let mut inner = self.inner.borrow_mut();
        let pages = Pages::new(self.grants, peer, features.persistent, self.options.pages);
        let connection = Connection::new(self.grants, peer, channel, ring_pages, pages, features)?;
        inner.connection = Some(connection);
        inner.draining = false;
        inner.useless = 0;
        Ok(())
    }

    /// What the backend has to be told.
    fn ring_refs(&self) -> Vec<u32> {
        let inner = self.inner.borrow();
        let connection = inner.connection.as_ref().expect("a ring was prepared");
        connection.ring_refs().iter().map(|gref| gref.0).collect()
    }

    /// The backend is connected as well, and this is what it offers.
    fn up(&self, info: Info, features: Features) {
        let mut inner = self.inner.borrow_mut();
        inner.engine.info = Info { state: State::Up, ..info };
        inner.engine.counters.connections += 1;
        inner.engine.recheck();
        if let Some(connection) = &mut inner.connection {
            connection.features = features;
        }
        inner.changed();
        drop(inner);
        self.turn();
    }

    /// Only the size has changed.
    fn resize(&self, sectors: u64) {
        let mut inner = self.inner.borrow_mut();
        let engine = &mut inner.engine;
        if sectors != engine.info.sectors {
            log::info!("{}: {} sectors, now {sectors}", engine.name, engine.info.sectors);
            engine.info.sectors = sectors;
            engine.recheck();
            inner.changed();
        }
        drop(inner);
        self.tell();
    }

    /// Takes answers and issues requests.
    fn turn(&self) {
        self.inner.borrow_mut().turn();
        self.tell();
    }

    /// After a notification.
    fn on_event(&self) {
        {
            let mut inner = self.inner.borrow_mut();
            inner.engine.counters.events += 1;
            inner.useless += 1;
            if inner.useless > STORM {
                inner.fail(Fault::Storm);
            }
        }
        self.turn();
    }

    /// Calls the callbacks of ended requests. They may submit others at once.
    fn tell(&self) {
        loop {
            let ended = self.inner.borrow_mut().engine.take_ended();
            if ended.is_empty() {
                return;
            }
            ended.into_iter().for_each(Ended::tell);
        }
    }

    /// Stops using the ring.
    fn stop(&self) {
        self.inner.borrow_mut().stop();
    }

    /// The backend has released the ring: frees the memory. Unanswered requests wait for the next backend.
    fn end(&self, with_a_word: bool) {
        let mut inner = self.inner.borrow_mut();
        let Inner { engine, stopped, left, close, .. } = &mut *inner;
        if let Some(connection) = stopped.take() {
            if let Some(leftover) = connection.close(engine) {
                engine.complain(format_args!("the backend still has memory of this domain mapped"));
                left.push(leftover);
            }
            engine.disconnected(with_a_word);
        }
        if *close {
            engine.close();
        }
        drop(inner);
        self.tell();
    }

    /// Whether a backend holds memory that it should have released.
    fn is_stuck(&self) -> bool {
        self.inner.borrow().is_stuck()
    }

    /// Tries again to get it back.
    fn retry(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.engine.retry(self.grants);
        inner.left.iter_mut().for_each(Leftover::retry);
        inner.left.retain(Leftover::is_stuck);
        drop(inner);
        self.tell();
    }

    /// Whether the backend has requests.
    fn is_busy(&self) -> bool {
        self.inner.borrow().connection.as_ref().is_some_and(|c| c.in_flight() > 0)
    }
}

impl Inner {
    fn is_stuck(&self) -> bool {
        self.engine.is_stuck() || !self.left.is_empty()
    }

    fn turn(&mut self) {
        self.work = false;
        self.take_and_issue();
        if self.frozen
            && !self.is_stuck()
            && self.connection.as_ref().is_none_or(|c| c.in_flight() == 0)
        {
            // Somebody waits for that.
            self.changed();
        }
    }

    fn take_and_issue(&mut self) {
        let Inner { engine, connection: Some(connection), .. } = self else {
            return;
        };
        // Each round takes all answers, so a second round is rare, and more are a misbehaving backend.
        for _ in 0..4 {
            match connection.reap(engine) {
                Ok(any) => {
                    if any {
                        self.useless = 0;
                    }
                }
                Err(fault) => return self.fail(fault),
            }
            if engine.info.state == State::Up && !self.draining && !self.frozen {
                connection.pump(engine);
            }
            match connection.arm() {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => return self.fail(fault),
            }
        }
        // There is more; others come first.
        self.wake();
    }

    fn wake(&mut self) {
        self.work = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn changed(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }

    fn stop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.stopped = Some(connection);
        }
        if self.engine.info.state == State::Up {
            log::info!("{}: disconnected", self.engine.name);
            self.engine.info.state = State::Down;
            self.changed();
        }
    }

    /// The backend has broken the protocol.
    fn fail(&mut self, fault: Fault) {
        self.engine.counters.lies += 1;
        self.engine.complain(format_args!("the backend is not to be trusted: {fault}"));
        self.fault = Some(fault);
        self.stop();
        self.wake();
    }
}

impl Device for Blkfront {
    fn info(&self) -> Info {
        self.inner.borrow().engine.info
    }

    unsafe fn submit(&self, io: Io) {
        let mut inner = self.inner.borrow_mut();
        inner.engine.submit(io);
        inner.wake();
    }

    fn on_change(&self, waker: &Waker) {
        add_waker(&mut self.inner.borrow_mut().watchers, waker);
    }

    fn counters(&self) -> Counters {
        self.inner.borrow().engine.counters
    }

    fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.close = true;
        inner.stop();
        inner.engine.close();
        inner.changed();
        inner.wake();
    }
}

// Some of these only the tests need.
#[cfg(any(test, feature = "fake"))]
#[cfg_attr(not(test), allow(dead_code))]
mod backend;
#[cfg(any(test, feature = "fake"))]
pub mod lies;
#[cfg(any(test, feature = "fake"))]
#[cfg_attr(not(test), allow(dead_code))]
mod rig;
#[cfg(test)]
mod tests;
