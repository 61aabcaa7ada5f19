//! The device's task: xenbus, events, and connecting again.

use super::{Channels, Limits, Netfront, Offload};
use crate::{Link, Mac, device::ETHERNET_HEADER};
use alloc::{boxed::Box, format, rc::Rc, string::String, vec::Vec};
use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};
use mirust_executor::{domain, time::Duration};
use mirust_xen::{
    events::Events,
    xenbus::{Backend, ConnectError, End, Front, State, Step, both, in_time, parsed, step},
    xenstore::{Error, Watch},
};

/// How long the backend has to let go of the rings.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first and the longest pause before another attempt, after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Opens the interface `device/vif/ID`. It connects when it can, now or when the toolstack attaches
/// it, as often as its backend comes back.
///
/// # Errors
///
/// Without memory for its buffers, or without Xen.
pub fn open(id: u32, limits: Limits) -> Result<Rc<Netfront>, &'static str> {
    let (Some(grants), Some(events), Ok(store)) =
        (mirust_xen::grants(), mirust_xen::events(), mirust_xen::store())
    else {
        return Err("there is no Xen here");
    };
    let device = Netfront::new(format!("vif{id}"), limits, grants, domain::signal_foreign)
        .map_err(|_| "no memory for the buffers of a network device")?;
    let device = Rc::new(device);
    let front = End::new(store, format!("device/vif/{id}"));
    let sleep = |duration| Box::pin(domain::sleep(duration)) as _;
    let task = Task { device: device.clone(), front, events, sleep };
    domain::spawn(task.run());
    Ok(device)
}

pub(super) struct Task {
    pub device: Rc<Netfront>,
    pub front: End,
    pub events: &'static Events,
    pub sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// What both ends say.
enum Seen {
    /// The toolstack names another backend, or none.
    Another,
    /// The backend's state; whether the toolstack wants the device to exist; and what a connection would be like, which
    /// is read as long as there is none, and true once the backend waits for one.
    States(State, bool, Option<Result<Offer, ConnectError>>),
}

/// What a backend may be able to do, in the order in which [`Offer::read`] has it.
const FEATURES: [&str; 8] = [
    "feature-rx-copy",
    "feature-sg",
    "feature-no-csum-offload",
    "feature-ipv6-csum-offload",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-split-event-channels",
    "feature-multicast-control",
];

/// A value in xenstore, or why there is none.
type Text = Result<String, Error>;

/// What a connection is made of.
struct Offer {
    offload: Offload,
    /// A channel for each ring.
    split: bool,
    mac: Mac,
    mtu: usize,
}

impl Offer {
    /// From the values of [`FEATURES`], and of three nodes of the frontend's.
    fn read(
        features: Vec<Text>,
        mac: Text,
        mtu: Text,
        trusted: Text,
    ) -> Result<Offer, ConnectError> {
        let mut can = [false; FEATURES.len()];
        for (can, text) in can.iter_mut().zip(features) {
            *can = parsed::<u32>(text)?.unwrap_or(0) != 0;
        }
        let [copy, sg, no_checksum4, checksum6, tso4, tso6, split, filter] = can;
        // Without it a backend can only exchange pages, which Xen gave up long ago.
        if !copy {
            return Err(ConnectError::Lacks("feature-rx-copy"));
        }
        let offload = Offload {
            checksum4: !no_checksum4,
            checksum6,
            // A large segment does not fit into one slot.
            tso4: sg && tso4,
            tso6: sg && tso6,
            sg,
            untrusted: parsed::<u32>(trusted)? == Some(0),
            filter,
        };
        let mac = Mac::parse(&mac?).ok_or(ConnectError::Value("mac"))?;
        Ok(Offer { offload, split, mac, mtu: parsed(mtu)?.unwrap_or(1500) })
    }
}

impl Task {
    /// Runs until the device is closed.
    pub async fn run(self) {
        let mut pause = PAUSE;
        while !self.closed() {
            match self.live().await {
                Ok(()) => pause = PAUSE,
                Err(error) => {
                    let seconds = pause.as_secs();
                    self.device
                        .inner
                        .borrow_mut()
                        .common
                        .complain(format_args!("{error}; trying again in {seconds} s"));
                    self.give_up().await;
                    (self.sleep)(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        self.give_up().await;
    }

    fn closed(&self) -> bool {
        self.device.inner.borrow().close
    }

    /// The device's life with one backend.
    async fn live(&self) -> Result<(), ConnectError> {
        // Xenstore's daemon follows requests in their order, so that what is read is not older than the watch before
        // it. Removing the frontend's directory fires a watch on a node in it as well.
        let (there, backend) = both(self.front.watch("backend"), self.front.backend()).await;
        let mut there = there?;
        let Some(backend) = backend? else {
            self.wait(&mut there, None, None).await;
            return Ok(());
        };
        let begin = self.front.publish(State::Initialising);
        let watch = both(backend.end.watch("state"), begin);
        let (mut front, mut channels, mut link) = (Front::Initialising, None, None);
        let ((watch, begun), seen) = both(watch, self.look(&backend, front)).await;
        let (mut watch, mut seen) = (watch?, Some(seen));
        begun?;
        loop {
            let broken = self.device.inner.borrow_mut().fault.take().is_some();
            if (broken || self.closed()) && front != Front::Closed {
                self.stop(State::Closing).await?;
                self.let_go(&backend, &mut watch).await;
                self.device.end();
                self.front.publish(State::Closed).await?;
                if broken && !self.closed() {
                    (self.sleep)(PAUSE).await;
                }
                return Ok(());
            }
            if self.closed() {
                return Ok(());
            }
            let seen = match seen.take() {
                Some(seen) => seen,
                None => {
                    // What they have told is older than what is seen now.
                    watch.forget();
                    there.forget();
                    self.look(&backend, front).await
                }
            };
            let Seen::States(state, online, offer) = seen? else {
                self.device.stop();
                self.device.end();
                return Ok(());
            };
            // Before it is up, one that was joined since the offer was read is not forgotten.
            if front == Front::Up
                && core::mem::take(&mut self.device.inner.borrow_mut().groups.filter)
            {
                self.request_filter(&backend).await?;
            }
            match step(front, state, online) {
                Step::Wait => {
                    let channels = channels.clone();
                    self.wait(&mut watch, Some(&mut there), channels).await;
                }
                Step::Connect => {
                    let offer = offer.expect("read as long as nothing is set up")?;
                    channels = Some(self.connect(&backend, &offer).await?);
                    (front, link) = (Front::Connected, Some(offer));
                }
                Step::GoUp => {
                    self.go_up(link.take().expect("connected with it"));
                    front = Front::Up;
                }
                Step::Stop => {
                    channels = None;
                    self.stop(State::Closed).await?;
                    self.let_go(&backend, &mut watch).await;
                    self.device.end();
                    front = Front::Closed;
                }
                Step::End => {
                    self.device.end();
                    front = Front::Closed;
                }
                // The loop of `run` begins again, with whatever backend there is by then.
                Step::Restart => return Ok(()),
                Step::Leave => {
                    self.wait(&mut there, Some(&mut watch), None).await;
                }
            }
        }
    }

    /// Reads all that the next step depends on, at once.
    async fn look(&self, backend: &Backend, front: Front) -> Result<Seen, ConnectError> {
        let own = self.front.read_all(["backend", "mac", "mtu", "trusted"]);
        // The backend says what it can do before it waits for the frontend: its state is asked for first.
        let states = backend.state();
        let features = (front == Front::Initialising).then(|| backend.end.read_all(FEATURES));
        let own = own.texts().await;
        let [named, mac, mtu, trusted] = <[_; 4]>::try_from(own).expect("so many were asked for");
        let states = states.await;
        let features = match features {
            Some(features) => Some(features.texts().await),
            None => None,
        };
        if !backend.is_named(named)? {
            return Ok(Seen::Another);
        }
        let (state, online) = states?;
        let offer = features.map(|features| Offer::read(features, mac, mtu, trusted));
        Ok(Seen::States(state, online, offer))
    }

    /// Sets up rings and channels, and publishes them together.
    async fn connect(
        &self,
        backend: &Backend,
        offer: &Offer,
    ) -> Result<Rc<Channels>, ConnectError> {
        let channel = || self.events.alloc_unbound(backend.domid);
        let channels = Rc::new(if offer.split {
            Channels::Split { tx: channel()?, rx: channel()? }
        } else {
            Channels::One(channel()?)
        });
        self.device.prepare(backend.domid, offer.offload, channels.clone())?;
        let (tx, rx) = self.device.ring_refs().expect("just prepared");
        let filter = offer.offload.filter && !self.device.inner.borrow().groups.is_empty();
        let mut nodes: Vec<(&str, u32)> = [("tx-ring-ref", tx), ("rx-ring-ref", rx)].into();
        match &*channels {
            Channels::One(channel) => nodes.push(("event-channel", channel.port().0)),
            Channels::Split { tx, rx } => {
                nodes.extend([("event-channel-tx", tx.port().0), ("event-channel-rx", rx.port().0)])
            }
        }
        // The state is written last, and the backend reads nothing before it: this takes no transaction, which would be
        // another three visits to xenstore.
        nodes.extend([
            ("request-rx-copy", 1),
            ("feature-rx-notify", 1),
            ("feature-sg", 1),
            ("feature-gso-tcpv4", 1),
            ("feature-gso-tcpv6", 1),
            ("feature-ipv6-csum-offload", 1),
            ("request-multicast-control", filter.into()),
            ("state", State::Connected as u32),
        ]);
        self.front.write_all(&nodes).written().await?;
        Ok(channels)
    }

    fn go_up(&self, offer: Offer) {
        let Offer { offload, mac, mtu, .. } = offer;
        // What IPv4 needs at least (RFC 791), and what the size of a request can say at most.
        let most = if offload.sg { 65535 } else { mirust_mem::PAGE_SIZE } - ETHERNET_HEADER;
        let mtu = mtu.clamp(68, most);
        self.device.up(mac, mtu, offload.features());
        let inner = self.device.inner.borrow();
        let (name, kept) = (&inner.common.name, inner.info.mac);
        log::info!(
            "{name}: link up, {kept}, MTU {mtu}{}{}",
            if offload.tso4 { ", TSO4" } else { "" },
            if offload.tso6 { ", TSO6" } else { "" },
        );
        if kept != mac {
            log::warn!(
                "{name}: the toolstack says {mac} now, and the address stays as it is: the neighbours know it"
            );
        }
    }

    /// Asks a backend that can begin to filter at any time to do so. Others learn of it when they are
    /// connected again.
    async fn request_filter(&self, backend: &Backend) -> Result<(), ConnectError> {
        if backend.end.flag("feature-dynamic-multicast-control", false).await? {
            let node = self.front.node("request-multicast-control");
            self.front.store().write(&node, "1").await?;
        }
        Ok(())
    }

    /// Stops the queue, and tells the backend.
    async fn stop(&self, state: State) -> Result<(), ConnectError> {
        self.device.stop();
        Ok(self.front.publish(state).await?)
    }

    /// Waits until the backend has let go of the rings, but not for ever.
    async fn let_go(&self, backend: &Backend, watch: &mut Watch) {
        let wait = async {
            loop {
                match backend.state().await {
                    Ok((state, online)) if step(Front::Stopped, state, online) != Step::End => {}
                    Ok(_) | Err(_) => break,
                }
                if watch.next().await.is_err() {
                    break;
                }
            }
        };
        if !in_time(wait, (self.sleep)(PATIENCE)).await {
            let message = format_args!("the backend does not let go");
            self.device.inner.borrow_mut().common.complain(message);
        }
    }

    /// After an error, or at the end: leaves nothing connected.
    async fn give_up(&self) {
        self.device.stop();
        // Without xenstore nobody can be told.
        let _ = self.front.publish(State::Closed).await;
        self.device.end();
    }

    /// Waits for xenstore, the device or an event; events are handled.
    async fn wait(
        &self,
        first: &mut Watch,
        mut second: Option<&mut Watch>,
        channels: Option<Rc<Channels>>,
    ) {
        // As `events` has it: count, look, wait. The first round looks without an event.
        let counts = |channels: &Channels| match channels {
            Channels::One(channel) => (channel.count(), 0),
            Channels::Split { tx, rx } => (tx.count(), rx.count()),
        };
        let mut seen = channels.as_deref().map(counts);
        if channels.is_some() && self.device.info_link() == Link::Up {
            self.device.on_event(true, true);
        }
        poll_fn(|cx| {
            {
                let mut inner = self.device.inner.borrow_mut();
                // The backend has broken the protocol, or the stack wants something that takes xenstore.
                let over =
                    inner.fault.is_some() || (inner.close && inner.info.link == Link::Closed);
                if over || inner.groups.filter && inner.info.link == Link::Up {
                    return Poll::Ready(());
                }
                inner.waker = Some(cx.waker().clone());
            }
            // In another domain xenstore will have news.
            if channels.as_deref().is_some_and(Channels::are_stale)
                || pin!(first.next()).poll(cx).is_ready()
                || second.as_deref_mut().is_some_and(|w| pin!(w.next()).poll(cx).is_ready())
            {
                return Poll::Ready(());
            }
            let (Some(channels), Some(seen)) = (channels.as_deref(), &mut seen) else {
                return Poll::Pending;
            };
            loop {
                let (tx, rx) = match channels {
                    Channels::One(channel) => {
                        let any = Pin::new(&mut channel.wait(seen.0)).poll(cx).is_ready();
                        (any, any)
                    }
                    Channels::Split { tx, rx } => (
                        Pin::new(&mut tx.wait(seen.0)).poll(cx).is_ready(),
                        Pin::new(&mut rx.wait(seen.1)).poll(cx).is_ready(),
                    ),
                };
                if !tx && !rx {
                    return Poll::Pending;
                }
                *seen = counts(channels);
                self.device.on_event(tx, rx);
            }
        })
        .await;
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
