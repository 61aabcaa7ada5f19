//! The frontend of Xen's network device protocol (`io/netif.h`): one queue.
//!
//! [`xenbus`](mirust_xen::xenbus) says which state follows which, `connect` goes through these states with a real
//! xenstore, and the queues (`tx`, `rx`) do the rest. They share what outlives a connection: pages for
//! heads, the pool that frames are received into, and what is `held`.
//!
//! # Notifications
//!
//! Both rings are looked at once per turn. What was sent and what was posted is published by
//! [`flush`](Device::flush), at the end of the turn, with at most one notification per channel, and
//! only if the backend asked for it (`req_event`). A notification of the backend's makes the device's
//! task raise the `FOREIGN` signal; until the stack has looked no further one is needed. `flush` asks
//! for the next (`rsp_event`) and then looks at the ring once more: what came before the backend saw
//! the new `rsp_event` would otherwise wait for the next frame. If there is something, the signal is
//! raised again and the poll does not block. Answers to frames that were copied whole, as small ones are, are no
//! reason to be woken: they are taken when the next frame is sent.
//!
//! # A backend that lies
//!
//! All that it writes is copied and then checked. A malformed frame is dropped. After an impossible index or
//! identifier, the ring cannot be trusted: the link goes down, and another connection is attempted after a while. Both
//! are counted, and logged less and less often.

mod common;
mod connect;
mod groups;
mod heads;
mod held;
mod layout;
mod rx;
mod tx;

#[cfg(any(test, feature = "fake"))]
pub mod backend;
#[cfg(any(test, feature = "fake"))]
pub mod lies;
// Some of it only the tests need.
#[cfg(any(test, feature = "fake"))]
#[cfg_attr(not(test), allow(dead_code))]
mod rig;

use super::{
    Counters, Device, Features, Info, Link, Mac, News, Received, RxFrame, SendError, Slab, TxFrame,
    device::ETHERNET_HEADER,
};
use alloc::{rc::Rc, string::String};
use common::{Common, Fault, Malformed, Offload};
use core::{cell::RefCell, ptr::NonNull, task::Waker};
use groups::Groups;
use mirust_mem::{OutOfMemory, PAGE_SIZE};
use mirust_xen::wire::{DomId, netif::FRAME_MAX};
use mirust_xen::{
    events::EventChannel,
    gnttab::{GrantError, GrantTable},
};
use rx::RxQueue;
use tx::TxQueue;

pub use common::Limits;
pub use connect::open;

/// A notification may be about nothing, because the stack has looked before it came; but not so many,
/// one after another. Each takes time from the domain.
const STORM: u32 = 10_000;

/// How the two ends notify each other.
enum Channels {
    /// One for both rings.
    One(EventChannel),
    Split {
        tx: EventChannel,
        rx: EventChannel,
    },
}

impl Channels {
    /// Whether they were another domain's.
    fn are_stale(&self) -> bool {
        match self {
            Channels::One(channel) => channel.is_stale(),
            Channels::Split { tx, rx } => tx.is_stale() || rx.is_stale(),
        }
    }
}

/// A connection.
struct Queue {
    tx: TxQueue,
    rx: RxQueue,
    channels: Rc<Channels>,
}

impl Queue {
    /// Publishes both rings and notifies as far as needed.
    fn publish(&mut self, counters: &mut Counters) {
        let (tx, rx) = (self.tx.publish(), self.rx.publish());
        match &*self.channels {
            Channels::One(channel) if tx || rx => {
                channel.notify();
                counters.notifications += 1;
            }
            Channels::One(_) => {}
            Channels::Split { tx: tx_channel, rx: rx_channel } => {
                if tx {
                    tx_channel.notify();
                }
                if rx {
                    rx_channel.notify();
                }
                counters.notifications += u64::from(tx) + u64::from(rx);
            }
        }
    }

    fn close(self, common: &mut Common, grants: &GrantTable) {
        let Queue { tx, rx, .. } = self;
        tx.close(common);
        rx.close(common);
        let Common { heads, held, counters, .. } = common;
        heads.end_grants(grants, held, counters);
    }
}

/// A network interface of this domain.
pub struct Netfront {
    inner: RefCell<Inner>,
    grants: &'static GrantTable,
    /// Tells the stack to look.
    signal: fn(),
}

struct Inner {
    common: Common,
    info: Info,
    queue: Option<Queue>,
    /// The queue after a fault, or while the connection is being closed: nothing reads or writes its
    /// rings, but the backend may still have them mapped.
    stopped: Option<Queue>,
    fault: Option<Fault>,
    close: bool,
    /// A sender was refused.
    full: bool,
    /// Notifications since something was last found in a ring.
    useless: u32,
    news: News,
    groups: Groups,
    /// The device's task, if it waits.
    waker: Option<Waker>,
}

impl Netfront {
    fn new(
        name: String,
        limits: Limits,
        grants: &'static GrantTable,
        signal: fn(),
    ) -> Result<Netfront, OutOfMemory> {
        let info =
            Info { link: Link::Down, mac: Mac([0; 6]), mtu: 1500, features: Features::default() };
        let inner = Inner {
            common: Common::new(name, limits)?,
            info,
            queue: None,
            stopped: None,
            fault: None,
            close: false,
            full: false,
            useless: 0,
            news: News::default(),
            groups: Groups::default(),
            waker: None,
        };
        Ok(Netfront { inner: RefCell::new(inner), grants, signal })
    }

    /// Sets a queue up for a backend. It is not used before [`up`](Self::up).
    fn prepare(
        &self,
        peer: DomId,
        offload: Offload,
        channels: Rc<Channels>,
    ) -> Result<(), GrantError> {
        let mut inner = self.inner.borrow_mut();
        let Inner { common, queue, .. } = &mut *inner;
        common.retry(self.grants);
        let tx = TxQueue::new(self.grants, peer, offload)?;
        let mut rx = RxQueue::new(self.grants, peer, common.pool.pages())?;
        // Posted now, so that the backend finds pages as soon as it is connected.
        rx.refill(common);
        *queue = Some(Queue { tx, rx, channels });
        inner.useless = 0;
        Ok(())
    }

    /// What the backend has to be told: the grants of the transmit and the receive ring.
    fn ring_refs(&self) -> Option<(u32, u32)> {
        let inner = self.inner.borrow();
        inner.queue.as_ref().map(|queue| (queue.tx.gref().0, queue.rx.gref().0))
    }

    /// The backend is connected as well.
    fn up(&self, mac: Mac, mtu: usize, features: Features) {
        let mut inner = self.inner.borrow_mut();
        let mac = if inner.info.mac == Mac([0; 6]) { mac } else { inner.info.mac };
        inner.info =
            Info { link: Link::Up, mac, mtu: mtu.min(FRAME_MAX - ETHERNET_HEADER), features };
        inner.common.counters.links += 1;
        inner.news |= News::LINK | News::FRAMES;
        if core::mem::take(&mut inner.full) {
            inner.news |= News::ROOM;
        }
        inner.groups.forget();
        inner.tell_groups();
        inner.flush(self.signal);
        (self.signal)();
    }

    /// Stops using the queue: the link is down.
    fn stop(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.stop();
        (self.signal)();
    }

    /// The backend has let go, or will not: gives the queue's memory back.
    fn end(&self) {
        let mut inner = self.inner.borrow_mut();
        let Inner { common, stopped, .. } = &mut *inner;
        if let Some(queue) = stopped.take() {
            queue.close(common, self.grants);
        }
        if inner.common.held.has_completed() {
            inner.news |= News::COMPLETED;
        }
        (self.signal)();
    }

    fn info_link(&self) -> Link {
        self.inner.borrow().info.link
    }

    /// Looks at the transmit ring after an event, and tells the stack what is new.
    fn on_event(&self, tx: bool, rx: bool) {
        let mut inner = self.inner.borrow_mut();
        inner.common.counters.events += 1;
        inner.useless += 1;
        if inner.useless > STORM {
            return inner.fail(Fault::Storm);
        }
        if rx {
            inner.news |= News::FRAMES;
        }
        if tx {
            inner.reap();
            inner.arm_tx();
            if inner.groups.untold {
                inner.news |= News::ROOM;
            }
        }
        if !inner.news.is_empty() {
            (self.signal)();
        }
    }
}

impl Inner {
    fn stop(&mut self) {
        if let Some(queue) = self.queue.take() {
            self.stopped = Some(queue);
        }
        self.common.heads.release();
        if self.info.link == Link::Up {
            log::info!("{}: link down", self.common.name);
            self.info.link = Link::Down;
            self.news |= News::LINK;
        }
    }

    /// The backend has broken the protocol.
    fn fail(&mut self, fault: Fault) {
        self.common.counters.lies += 1;
        self.common.complain(format_args!("the backend is not to be trusted: {fault}"));
        self.fault = Some(fault);
        self.stop();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Takes answers to what was sent.
    fn reap(&mut self) {
        let Inner { common, queue: Some(queue), .. } = self else { return };
        match queue.tx.reap(common) {
            Ok(false) => {}
            Ok(true) => self.useless = 0,
            Err(fault) => return self.fail(fault),
        }
        let room = self.full && queue.tx.has_room(&self.common);
        if room {
            self.full = false;
            self.news |= News::ROOM;
        }
        if self.common.held.has_completed() {
            self.news |= News::COMPLETED;
        }
    }

    fn arm_tx(&mut self) {
        // Each time round takes all answers there are, so twice is rare and more a backend's game.
        for _ in 0..4 {
            let Some(queue) = &mut self.queue else { return };
            match queue.tx.arm(self.full || self.groups.untold) {
                Ok(false) => return,
                Ok(true) => self.reap(),
                Err(fault) => return self.fail(fault),
            }
        }
    }

    fn flush(&mut self, signal: fn()) {
        if self.common.held.is_stuck() {
            if let Some(queue) = self.queue.as_ref().or(self.stopped.as_ref()) {
                let grants = queue.tx.grants();
                self.common.retry(grants);
            }
        }
        self.reap();
        if self.groups.untold {
            self.tell_groups();
        }
        let Inner { common, queue: Some(queue), .. } = self else { return };
        queue.rx.refill(common);
        queue.publish(&mut common.counters);
        match queue.rx.arm() {
            Ok(false) => {}
            Ok(true) => self.news |= News::FRAMES,
            Err(fault) => self.fail(fault),
        }
        self.arm_tx();
        if !self.news.is_empty() {
            signal();
        }
    }

    fn tell_groups(&mut self) {
        let Inner { common, queue: Some(queue), info, groups, .. } = self else { return };
        if info.link == Link::Up {
            groups.tell(&mut queue.tx, common);
        }
    }

    fn turn_away<T>(&mut self) -> Option<T> {
        self.full = true;
        self.common.counters.tx_full += 1;
        None
    }
}

impl Device for Netfront {
    fn info(&self) -> Info {
        self.inner.borrow().info
    }

    fn heads(&self) -> (NonNull<u8>, usize) {
        self.inner.borrow().common.heads.memory()
    }

    fn reserve(&self, len: usize) -> Option<usize> {
        let mut inner = self.inner.borrow_mut();
        if len > inner.info.mtu + ETHERNET_HEADER {
            return None;
        }
        if inner.info.link != Link::Up {
            return inner.turn_away();
        }
        if let Some(head) = inner.common.heads.reserve(len) {
            return Some(head);
        }
        inner.reap();
        match inner.common.heads.reserve(len) {
            None => inner.turn_away(),
            head => head,
        }
    }

    fn next_head(&self) -> Option<(usize, usize)> {
        let mut inner = self.inner.borrow_mut();
        if inner.info.link != Link::Up {
            return None;
        }
        let room = PAGE_SIZE.min(inner.info.mtu + ETHERNET_HEADER);
        inner.common.heads.reserve(room).map(|head| (head, room))
    }

    unsafe fn send(&self, frame: &TxFrame<'_>) -> Result<Option<u16>, SendError> {
        let mut inner = self.inner.borrow_mut();
        match inner.info.link {
            Link::Closed => return Err(SendError::Closed),
            Link::Up => {}
            Link::Down => {
                inner.full = true;
                return Err(SendError::Full);
            }
        }
        for last in [false, true] {
            let Inner { common, queue: Some(queue), info, .. } = &mut *inner else { break };
            // SAFETY: as the caller promised.
            match unsafe { queue.tx.send(common, frame, info.mtu) } {
                Err(SendError::Full) if !last => inner.reap(),
                Err(SendError::Full) => break,
                result => return result,
            }
        }
        inner.full = true;
        Err(SendError::Full)
    }

    fn completed(&self) -> Option<u16> {
        self.inner.borrow_mut().common.held.completed()
    }

    fn flush(&self) {
        self.inner.borrow_mut().flush(self.signal);
    }

    fn receive(&self, max: usize, slab: &mut Slab<'_>, out: &mut dyn FnMut(RxFrame)) -> Received {
        let mut inner = self.inner.borrow_mut();
        let Inner { common, queue: Some(queue), news, useless, .. } = &mut *inner else {
            return Received::All;
        };
        let mut out = |frame| {
            *useless = 0;
            out(frame);
        };
        match queue.rx.receive(common, max, slab, &mut out) {
            Ok(received) => {
                *news |= core::mem::take(&mut common.pressure);
                received
            }
            Err(fault) => {
                inner.fail(fault);
                (self.signal)();
                Received::All
            }
        }
    }

    fn news(&self) -> News {
        core::mem::take(&mut self.inner.borrow_mut().news)
    }

    fn counters(&self) -> Counters {
        self.inner.borrow().common.counters
    }

    fn multicast(&self, group: Mac, join: bool) {
        let mut inner = self.inner.borrow_mut();
        inner.groups.change(group, join);
        if inner.groups.filter {
            // The task asks for it.
            if let Some(waker) = inner.waker.take() {
                waker.wake();
            }
        }
        inner.tell_groups();
    }

    fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.close = true;
        inner.stop();
        inner.info.link = Link::Closed;
        inner.news |= News::LINK;
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
