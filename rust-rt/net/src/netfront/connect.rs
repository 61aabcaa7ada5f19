//! The device's task: xenbus, events, and connecting again.

use super::{Channels, Limits, Netfront, Offload};
use crate::{Link, Mac, device::ETHERNET_HEADER};
use alloc::{boxed::Box, format, rc::Rc};
use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};
use mirust_executor::{domain, time::Duration};
use mirust_xen::{
    events::Events,
    xenbus::{Backend, ConnectError, End, Front, State, Step, all, both, in_time, step},
    xenstore::Watch,
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

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Happened {
    /// Something in xenstore.
    Store,
    /// The backend has broken the protocol, or the stack wants something that takes xenstore.
    Device,
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
        // Removing the frontend's directory fires a watch on a node in it as well.
        let mut there = self.front.watch("backend").await?;
        let Some(backend) = self.front.backend().await? else {
            self.wait(&mut there, None, None).await;
            return Ok(());
        };
        let begin = self.front.publish(State::Initialising);
        let (watch, begun) = both(backend.end.watch("state"), begin).await;
        let (mut watch, mut front) = (watch?, Front::Initialising);
        begun?;
        let mut channels = None;
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
            let (served, states) = both(self.front.is_served_by(&backend), backend.state()).await;
            if !served? {
                self.device.stop();
                self.device.end();
                return Ok(());
            }
            if core::mem::take(&mut self.device.inner.borrow_mut().filter) && front == Front::Up {
                self.request_filter(&backend).await?;
            }
            let (state, online) = states?;
            match step(front, state, online) {
                Step::Wait => {
                    let channels = channels.clone();
                    self.wait(&mut watch, Some(&mut there), channels).await;
                }
                Step::Connect => {
                    channels = Some(self.connect(&backend).await?);
                    front = Front::Connected;
                }
                Step::GoUp => {
                    self.go_up(&backend).await?;
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

    async fn offload(&self, backend: &Backend) -> Result<(Offload, bool), ConnectError> {
        let features = backend.end.flags([
            ("feature-rx-copy", false),
            ("feature-sg", false),
            ("feature-no-csum-offload", false),
            ("feature-ipv6-csum-offload", false),
            ("feature-gso-tcpv4", false),
            ("feature-gso-tcpv6", false),
            ("feature-split-event-channels", false),
        ]);
        let (features, trusted) = both(features, self.front.flag("trusted", true)).await;
        let [copy, sg, no_checksum4, checksum6, tso4, tso6, split] = features?;
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
            untrusted: !trusted?,
        };
        Ok((offload, split))
    }

    /// Sets up rings and channels, and publishes them together.
    async fn connect(&self, backend: &Backend) -> Result<Rc<Channels>, ConnectError> {
        let (offload, split) = self.offload(backend).await?;
        let channel = || self.events.alloc_unbound(backend.domid);
        let channels = Rc::new(if split {
            Channels::Split { tx: channel()?, rx: channel()? }
        } else {
            Channels::One(channel()?)
        });
        self.device.prepare(backend.domid, offload, channels.clone())?;
        let (tx, rx) = self.device.ring_refs().expect("just prepared");
        let filter = !self.device.inner.borrow().groups.is_empty()
            && backend.end.flag("feature-multicast-control", false).await?;
        let channels_in_use = channels.clone();
        self.front
            .store()
            .transaction(async |store| {
                let (port_tx, port_rx) = match &*channels_in_use {
                    Channels::One(channel) => (("event-channel", channel.port().0), None),
                    Channels::Split { tx, rx } => {
                        let rx = ("event-channel-rx", rx.port().0);
                        (("event-channel-tx", tx.port().0), Some(rx))
                    }
                };
                let set = async |node: Option<(&'static str, u32)>| {
                    let Some((name, value)) = node else { return Ok(()) };
                    store.write(&self.front.node(name), format!("{value}")).await
                };
                let nodes = [
                    Some(("tx-ring-ref", tx)),
                    Some(("rx-ring-ref", rx)),
                    Some(port_tx),
                    port_rx,
                    Some(("request-rx-copy", 1)),
                    Some(("feature-rx-notify", 1)),
                    Some(("feature-sg", 1)),
                    Some(("feature-gso-tcpv4", 1)),
                    Some(("feature-gso-tcpv6", 1)),
                    Some(("feature-ipv6-csum-offload", 1)),
                    Some(("request-multicast-control", filter.into())),
                ];
                all(nodes.map(set)).await.into_iter().collect::<Result<(), _>>()
            })
            .await?;
        self.front.publish(State::Connected).await?;
        Ok(channels)
    }

    async fn go_up(&self, backend: &Backend) -> Result<(), ConnectError> {
        let node = self.front.node("mac");
        let own = both(self.front.store().read_text(&node), self.front.value("mtu"));
        let ((mac, mtu), offload) = both(own, self.offload(backend)).await;
        let mac = Mac::parse(&mac?).ok_or(ConnectError::Value("mac"))?;
        let (mtu, (offload, _)): (Option<usize>, _) = (mtu?, offload?);
        // What IPv4 needs at least (RFC 791), and what the size of a request can say at most.
        let most = if offload.sg { 65535 } else { mirust_mem::PAGE_SIZE } - ETHERNET_HEADER;
        let mtu = mtu.unwrap_or(1500).clamp(68, most);
        self.device.up(mac, mtu, offload.features());
        log::info!(
            "{}: link up, {mac}, MTU {mtu}{}{}",
            self.device.inner.borrow().common.name,
            if offload.tso4 { ", TSO4" } else { "" },
            if offload.tso6 { ", TSO6" } else { "" },
        );
        Ok(())
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
    ) -> Happened {
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
                if inner.fault.is_some() || (inner.close && inner.info.link == Link::Closed) {
                    return Poll::Ready(Happened::Device);
                }
                if inner.filter && inner.info.link == Link::Up {
                    return Poll::Ready(Happened::Device);
                }
                inner.waker = Some(cx.waker().clone());
            }
            // In another domain xenstore will have news.
            if channels.as_deref().is_some_and(Channels::are_stale) {
                return Poll::Ready(Happened::Store);
            }
            if pin!(first.next()).poll(cx).is_ready() {
                return Poll::Ready(Happened::Store);
            }
            if let Some(second) = second.as_deref_mut() {
                if pin!(second.next()).poll(cx).is_ready() {
                    return Poll::Ready(Happened::Store);
                }
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
        .await
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
