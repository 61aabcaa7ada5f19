//! Event channels: how domains, Xen and daemons tell each other that something has happened.
//!
//! # Why no wake-up is lost
//!
//! Xen sets a pending bit; [`Events::dispatch`] takes the bit and adds one to the port's counter;
//! [`EventChannel::wait`] ends as soon as the counter differs from the value that its caller has
//! seen. The caller reads the counter *before* it looks for work:
//!
//! 1. `seen = channel.count()`
//! 2. look for work in the shared memory, and do it
//! 3. `seen = channel.wait(seen).await`, then on with 2
//!
//! An event after 1 makes 3 return at once, whether the waker was registered by then or not. An
//! event before 1 was about work that 2 finds.
//!
//! # In another domain
//!
//! After a suspension, the program continues in a new domain, which has none of its event channels except those that
//! the toolstack has set up again ([`Events::renew`]). The others are *stale*: a waiter for one is woken, once,
//! and finds no peer at its other end. New channels may have the numbers of stale ones; the era, which each channel
//! knows, tells them apart.

use super::{
    abi,
    hypervisor::{Errno, Hypervisor},
    sched::MAX_PORTS,
    shared_info::{PORTS, SharedInfo, WORDS},
};
use crate::wire::{DomId, Port};
use alloc::vec::Vec;
use core::{
    fmt,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
};
use mirust_executor::add_waker;
use spin::Mutex;

/// Why a port could not be bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindError {
    /// [`MAX_PORTS`] are bound already: `SCHEDOP_poll` could not wait for another one.
    TooManyPorts,
    /// Xen named a port that two-level event channels do not have, or that is bound already.
    BadPort(Port),
    /// Xen refused.
    Xen(Errno),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::TooManyPorts => {
                write!(f, "{MAX_PORTS} event channels are in use, more than one poll can wait for")
            }
            BindError::BadPort(port) => write!(f, "Xen named an unusable event channel: {port}"),
            BindError::Xen(errno) => write!(f, "Xen refused an event channel: {errno}"),
        }
    }
}

impl core::error::Error for BindError {}

/// A virtual interrupt that an unprivileged domain may bind (`VIRQ_…` in Xen's `xen.h`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Virq {
    /// `xl debug-keys q` and the like: somebody wants the domain to dump its state.
    Debug = abi::VIRQ_DEBUG,
    /// Another domain has died. Xen tells one domain of it, which is dom0 unless that was changed.
    DomExc = abi::VIRQ_DOM_EXC,
}

/// The event channels of this domain.
pub struct Events {
    hypervisor: &'static dyn Hypervisor,
    info: &'static SharedInfo,
    inner: Mutex<Inner>,
    /// How often all channels have become stale. Outside of the lock, which is held while the domain sleeps: what
    /// interrupts it there (`xl trigger NAME nmi`) has a report to write, and notifies the console's daemon.
    era: AtomicU32,
}

#[derive(Default)]
struct Inner {
    /// Indexed by port; `None` is not bound.
    ports: Vec<Option<Bound>>,
    /// The bound ports, as `SCHEDOP_poll` wants them.
    polled: Vec<Port>,
    /// Wakers on their way out of `dispatch`: kept for its allocation only.
    scratch: Vec<Waker>,
    /// Events for ports that nobody had bound.
    stray: u64,
}

/// What counts as the number of events of a stale channel, which is more than there can be.
const STALE: u64 = u64::MAX;

#[derive(Default)]
struct Bound {
    count: u64,
    wakers: Vec<Waker>,
}

impl Events {
    /// Takes the event channels over, all of them masked.
    pub fn new(hypervisor: &'static dyn Hypervisor, info: &'static SharedInfo) -> Self {
        info.mask_all();
        Events { hypervisor, info, inner: Mutex::default(), era: AtomicU32::new(0) }
    }

    /// Allocates a port for `remote` to bind to; its number is then told through xenstore.
    pub fn alloc_unbound(&'static self, remote: DomId) -> Result<EventChannel, BindError> {
        self.bind(|hypervisor| hypervisor.evtchn_alloc_unbound(remote))
    }

    /// Binds to the port that `remote` has allocated for this domain. The new channel starts with
    /// one event: there may have been some before it existed.
    pub fn bind_interdomain(
        &'static self,
        remote: DomId,
        remote_port: Port,
    ) -> Result<EventChannel, BindError> {
        self.bind(|hypervisor| hypervisor.evtchn_bind_interdomain(remote, remote_port))
    }

    /// Binds to a virtual interrupt of vCPU 0.
    pub fn bind_virq(&'static self, virq: Virq) -> Result<EventChannel, BindError> {
        self.bind_virq_number(virq as u32)
    }

    /// Binds to a virtual interrupt of vCPU 0 that somebody names by its number (`VIRQ_…`).
    pub fn bind_virq_number(&'static self, virq: u32) -> Result<EventChannel, BindError> {
        self.bind(|hypervisor| hypervisor.evtchn_bind_virq(virq))
    }

    /// Takes over a port that exists already, as those of the console and of xenstore do.
    pub fn adopt(&'static self, port: Port) -> Result<EventChannel, BindError> {
        self.bind(|_| Ok(port))
    }

    fn bind(
        &'static self,
        make: impl FnOnce(&dyn Hypervisor) -> Result<Port, Errno>,
    ) -> Result<EventChannel, BindError> {
        let mut inner = self.inner.lock();
        if inner.polled.len() >= MAX_PORTS {
            return Err(BindError::TooManyPorts);
        }
        let port = make(self.hypervisor).map_err(BindError::Xen)?;
        let index = port.0 as usize;
        if index == 0 || index >= PORTS || inner.bound(port).is_some() {
            return Err(BindError::BadPort(port));
        }
        inner.put(port, Bound::default());
        self.info.unmask(port);
        let era = AtomicU32::new(self.era());
        Ok(EventChannel { events: self, port: AtomicU32::new(port.0), era })
    }

    /// Counts every pending event and wakes those who wait for it. Returns how many ports had one.
    ///
    /// The cost depends on the ports that have events, not on those that exist: the selector names
    /// the words, each word the ports.
    pub fn dispatch(&self) -> usize {
        let mut events = 0;
        let mut selector = self.info.take_selector();
        if selector == 0 {
            return 0;
        }
        let mut inner = self.inner.lock();
        let mut wakers = core::mem::take(&mut inner.scratch);
        while selector != 0 {
            let word = selector.trailing_zeros() as usize % WORDS;
            selector &= selector - 1;
            let mut pending = self.info.take_pending(word);
            while pending != 0 {
                let port = Port((64 * word) as u32 + pending.trailing_zeros());
                pending &= pending - 1;
                events += 1;
                match inner.bound(port) {
                    Some(bound) => {
                        bound.count += 1;
                        wakers.append(&mut bound.wakers);
                    }
                    None => {
                        self.info.mask(port);
                        inner.stray += 1;
                    }
                }
            }
        }
        // A waker may run anything, also something that binds a port.
        drop(inner);
        wakers.drain(..).for_each(Waker::wake);
        self.inner.lock().scratch = wakers;
        events
    }

    /// Starts over in a new domain, whose shared_info is mapped by now: all channels become stale except those that
    /// have got another port. These get an event, since something may have happened meanwhile.
    ///
    /// # Errors
    ///
    /// [`BindError::BadPort`] for a port that makes no sense. The channel is stale then.
    pub fn renew(&self, again: &[(&EventChannel, Port)]) -> Result<(), BindError> {
        self.info.mask_all();
        let mut inner = self.inner.lock();
        let mut ports = core::mem::take(&mut inner.ports);
        inner.polled.clear();
        let era = self.era.fetch_add(1, Ordering::Relaxed) + 1;
        let mut wakers = Vec::new();
        let mut bad = None;
        for (channel, port) in again {
            let bound = ports.get_mut(channel.port().0 as usize).and_then(Option::take);
            let Some(mut bound) = bound else { continue };
            bound.count += 1;
            wakers.append(&mut bound.wakers);
            let index = port.0 as usize;
            if index == 0 || index >= PORTS || inner.bound(*port).is_some() {
                bad = Some(*port);
                continue;
            }
            inner.put(*port, bound);
            channel.port.store(port.0, Ordering::Relaxed);
            channel.era.store(era, Ordering::Relaxed);
            self.info.unmask(*port);
        }
        ports.iter_mut().flatten().for_each(|bound| wakers.append(&mut bound.wakers));
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        bad.map_or(Ok(()), |port| Err(BindError::BadPort(port)))
    }

    /// How often all channels have become stale: the number of other domains that this one was before.
    pub fn era(&self) -> u32 {
        self.era.load(Ordering::Relaxed)
    }

    /// Calls `f` with the ports to wait for.
    pub fn with_ports<T>(&self, f: impl FnOnce(&[Port]) -> T) -> T {
        f(&self.inner.lock().polled)
    }

    /// Events so far on ports that were not bound.
    pub fn stray(&self) -> u64 {
        self.inner.lock().stray
    }
}
impl Inner {
    /// Keeps what there is of a port that was just bound.
    fn put(&mut self, port: Port, bound: Bound) {
        let index = port.0 as usize;
        if self.ports.len() <= index {
            self.ports.resize_with(index + 1, || None);
        }
        self.ports[index] = Some(bound);
        self.polled.push(port);
    }

    fn bound(&mut self, port: Port) -> Option<&mut Bound> {
        self.ports.get_mut(port.0 as usize)?.as_mut()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("polled", &self.inner.lock().polled).finish_non_exhaustive()
    }
}

/// A bound port. Dropping it closes the port.
#[must_use = "dropping it closes the channel"]
#[derive(Debug)]
pub struct EventChannel {
    events: &'static Events,
    /// A [`Port`]; atomic as it may be another one in another domain.
    port: AtomicU32,
    era: AtomicU32,
}

impl EventChannel {
    /// The local port, as the other end has to know it.
    pub fn port(&self) -> Port {
        Port(self.port.load(Ordering::Relaxed))
    }

    /// Whether the channel was that of a domain which this one is no longer; see the head of this module. Nothing
    /// will come of it any more.
    pub fn is_stale(&self) -> bool {
        self.era.load(Ordering::Relaxed) != self.events.era()
    }

    /// Tells the other end that something has happened.
    ///
    /// Xen refuses only for a port that is not bound to anything (yet); there is nobody then who
    /// could miss the notification, so this is no error.
    #[inline(always)] // Drivers do so in every turn, and the crate is compiled for its size.
    pub fn notify(&self) {
        if self.is_stale() {
            return;
        }
        if let Err(errno) = self.events.hypervisor.evtchn_send(self.port()) {
            log::debug!("event channel {}: cannot notify: {errno}", self.port());
        }
    }

    /// Makes an event pending at this end, as if the other had notified.
    pub fn raise(&self) {
        if !self.is_stale() {
            self.events.info.raise(self.port());
        }
    }

    /// Events so far; `u64::MAX` for a stale channel.
    #[inline(always)] // As `notify`.
    pub fn count(&self) -> u64 {
        self.bound(|bound| bound.map_or(STALE, |bound| bound.count))
    }

    /// Calls `f` with what there is of the channel: nothing if it is stale.
    fn bound<T>(&self, f: impl FnOnce(Option<&mut Bound>) -> T) -> T {
        let mut inner = self.events.inner.lock();
        f(if self.is_stale() { None } else { inner.bound(self.port()) })
    }

    /// Waits until there have been other than `seen` events, and returns how many. See the head of
    /// this module for how to use it. Any number of tasks may wait.
    pub fn wait(&self, seen: u64) -> Wait<'_> {
        Wait { channel: self, seen }
    }
}

impl Drop for EventChannel {
    fn drop(&mut self) {
        if self.is_stale() {
            return;
        }
        let this = self.port();
        self.events.info.mask(this);
        let mut inner = self.events.inner.lock();
        inner.polled.retain(|port| *port != this);
        let bound = inner.ports.get_mut(this.0 as usize).and_then(Option::take);
        drop(inner);
        if let Err(errno) = self.events.hypervisor.evtchn_close(this) {
            log::warn!("event channel {this}: cannot close: {errno}");
        }
        // Nobody can wait any more: a `Wait` borrows the channel.
        drop(bound);
    }
}

/// Ends when another event has come; see [`EventChannel::wait`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Wait<'a> {
    channel: &'a EventChannel,
    seen: u64,
}

impl Future for Wait<'_> {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        self.channel.bound(|bound| {
            let Some(bound) = bound else {
                return if self.seen == STALE { Poll::Pending } else { Poll::Ready(STALE) };
            };
            if bound.count != self.seen {
                return Poll::Ready(bound.count);
            }
            add_waker(&mut bound.wakers, cx.waker());
            Poll::Pending
        })
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
