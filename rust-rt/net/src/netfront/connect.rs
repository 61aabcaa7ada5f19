//! The device's task: xenbus, events, and connecting again.

use super::{Channels, Limits, Netfront, Offload};
use crate::{Link, Mac, device::ETHERNET_HEADER};
use alloc::{boxed::Box, format, rc::Rc, string::String};
use core::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};
use mirust_executor::domain;
use mirust_executor::time::Duration;
use mirust_xen::wire::DomId;
use mirust_xen::xenbus::{Front, State, Step, step};
use mirust_xen::{
    events::{BindError, Events},
    gnttab::GrantError,
    xenstore::{self, Watch, Xenstore},
};

/// How long the backend has to let go of the rings.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first and the longest pause before another attempt, after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Why a connection could not be made.
#[derive(Clone, PartialEq, Eq, Debug)]
enum ConnectError {
    Store(xenstore::Error),
    Grant(GrantError),
    Bind(BindError),
    /// The node has no value that makes sense.
    Value(&'static str),
    /// The backend can only exchange pages, which Xen gave up long ago.
    NoCopy,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Store(error) => write!(f, "xenstore: {error}"),
            ConnectError::Grant(error) => error.fmt(f),
            ConnectError::Bind(error) => error.fmt(f),
            ConnectError::Value(node) => write!(f, "{node} makes no sense"),
            ConnectError::NoCopy => f.write_str("the backend has no feature-rx-copy"),
        }
    }
}

impl From<xenstore::Error> for ConnectError {
    fn from(error: xenstore::Error) -> Self {
        ConnectError::Store(error)
    }
}

impl From<GrantError> for ConnectError {
    fn from(error: GrantError) -> Self {
        ConnectError::Grant(error)
    }
}

impl From<BindError> for ConnectError {
    fn from(error: BindError) -> Self {
        ConnectError::Bind(error)
    }
}

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
    let front = format!("device/vif/{id}");
    let sleep = |duration| Box::pin(domain::sleep(duration)) as _;
    let task = Task { device: device.clone(), front, store, events, sleep };
    domain::spawn(task.run());
    Ok(device)
}

pub(super) struct Task {
    pub device: Rc<Netfront>,
    /// The frontend's directory.
    pub front: String,
    pub store: Xenstore,
    pub events: &'static Events,
    pub sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// Where the other end is.
struct Backend {
    path: String,
    domid: DomId,
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
                        .shared
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
        let mut there = self.store.watch(&format!("{}/backend", self.front)).await?;
        let Some(backend) = self.find().await? else {
            self.wait(&mut there, None, None).await;
            return Ok(());
        };
        let mut watch = self.store.watch(&format!("{}/state", backend.path)).await?;
        let mut front = Front::Initialising;
        self.publish(State::Initialising).await?;
        let mut channels = None;
        loop {
            let broken = self.device.inner.borrow_mut().fault.take().is_some();
            if (broken || self.closed()) && front != Front::Closed {
                self.stop(State::Closing).await?;
                self.let_go(&backend, &mut watch).await;
                self.device.end();
                self.publish(State::Closed).await?;
                if broken && !self.closed() {
                    (self.sleep)(PAUSE).await;
                }
                return Ok(());
            }
            if self.closed() {
                return Ok(());
            }
            if !self.same(&backend).await? {
                self.device.stop();
                self.device.end();
                return Ok(());
            }
            if core::mem::take(&mut self.device.inner.borrow_mut().filter) && front == Front::Up {
                self.request_filter(&backend).await?;
            }
            let (state, online) = self.backend_state(&backend).await?;
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

    /// The backend that the toolstack has named, if it has.
    async fn find(&self) -> Result<Option<Backend>, ConnectError> {
        let path = match self.store.read_text(&format!("{}/backend", self.front)).await {
            Err(xenstore::Error::NotFound) => return Ok(None),
            path => path?,
        };
        let domid = self.store.read_parsed(&format!("{}/backend-id", self.front)).await?;
        Ok(Some(Backend { path, domid: DomId(domid) }))
    }

    /// Whether the backend is still the one that the toolstack names.
    async fn same(&self, backend: &Backend) -> Result<bool, ConnectError> {
        Ok(self.find().await?.is_some_and(|now| now.path == backend.path))
    }

    async fn backend_state(&self, backend: &Backend) -> Result<(State, bool), ConnectError> {
        let state = self.optional(&format!("{}/state", backend.path)).await?;
        let online = self.flag(&backend.path, "online", true).await?;
        Ok((state.unwrap_or(State::Unknown), online))
    }

    /// A value that may be missing. One that makes no sense counts as missing.
    async fn optional<T: core::str::FromStr>(&self, path: &str) -> Result<Option<T>, ConnectError> {
        match self.store.read_parsed(path).await {
            Ok(value) => Ok(Some(value)),
            Err(xenstore::Error::NotFound | xenstore::Error::BadValue) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn flag(&self, dir: &str, name: &str, default: bool) -> Result<bool, ConnectError> {
        let value: Option<u32> = self.optional(&format!("{dir}/{name}")).await?;
        Ok(value.map_or(default, |value| value != 0))
    }

    async fn publish(&self, state: State) -> Result<(), ConnectError> {
        let node = format!("{}/state", self.front);
        Ok(self.store.write(&node, format!("{}", state as u8)).await?)
    }

    async fn offload(&self, backend: &Backend) -> Result<(Offload, bool), ConnectError> {
        let back = &backend.path;
        if !self.flag(back, "feature-rx-copy", false).await? {
            return Err(ConnectError::NoCopy);
        }
        let sg = self.flag(back, "feature-sg", false).await?;
        let offload = Offload {
            checksum4: !self.flag(back, "feature-no-csum-offload", false).await?,
            checksum6: self.flag(back, "feature-ipv6-csum-offload", false).await?,
            // A large segment does not fit into one slot.
            tso4: sg && self.flag(back, "feature-gso-tcpv4", false).await?,
            tso6: sg && self.flag(back, "feature-gso-tcpv6", false).await?,
            sg,
            untrusted: !self.flag(&self.front, "trusted", true).await?,
        };
        Ok((offload, self.flag(back, "feature-split-event-channels", false).await?))
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
            && self.flag(&backend.path, "feature-multicast-control", false).await?;
        let channels_in_use = channels.clone();
        self.store
            .transaction(async |store| {
                let set = async |name: &str, value: u32| {
                    store.write(&format!("{}/{name}", self.front), format!("{value}")).await
                };
                set("tx-ring-ref", tx).await?;
                set("rx-ring-ref", rx).await?;
                match &*channels_in_use {
                    Channels::One(channel) => set("event-channel", channel.port().0).await?,
                    Channels::Split { tx, rx } => {
                        set("event-channel-tx", tx.port().0).await?;
                        set("event-channel-rx", rx.port().0).await?;
                    }
                }
                for feature in [
                    "request-rx-copy",
                    "feature-rx-notify",
                    "feature-sg",
                    "feature-gso-tcpv4",
                    "feature-gso-tcpv6",
                    "feature-ipv6-csum-offload",
                ] {
                    set(feature, 1).await?;
                }
                set("request-multicast-control", filter.into()).await
            })
            .await?;
        self.publish(State::Connected).await?;
        Ok(channels)
    }

    async fn go_up(&self, backend: &Backend) -> Result<(), ConnectError> {
        let mac = self.store.read_text(&format!("{}/mac", self.front)).await?;
        let mac = Mac::parse(&mac).ok_or(ConnectError::Value("mac"))?;
        let mtu: Option<usize> = self.optional(&format!("{}/mtu", self.front)).await?;
        let (offload, _) = self.offload(backend).await?;
        // What IPv4 needs at least (RFC 791), and what the size of a request can say at most.
        let most = if offload.sg { 65535 } else { mirust_mem::PAGE_SIZE } - ETHERNET_HEADER;
        let mtu = mtu.unwrap_or(1500).clamp(68, most);
        self.device.up(mac, mtu, offload.features());
        log::info!(
            "{}: link up, {mac}, MTU {mtu}{}{}",
            self.device.inner.borrow().shared.name,
            if offload.tso4 { ", TSO4" } else { "" },
            if offload.tso6 { ", TSO6" } else { "" },
        );
        Ok(())
    }

    /// Asks a backend that can begin to filter at any time to do so. Others learn of it when they are
    /// connected again.
    async fn request_filter(&self, backend: &Backend) -> Result<(), ConnectError> {
        if self.flag(&backend.path, "feature-dynamic-multicast-control", false).await? {
            let node = format!("{}/request-multicast-control", self.front);
            self.store.write(&node, "1").await?;
        }
        Ok(())
    }

    /// Stops the queue, and tells the backend.
    async fn stop(&self, state: State) -> Result<(), ConnectError> {
        self.device.stop();
        self.publish(state).await
    }

    /// Waits until the backend has let go of the rings, but not for ever.
    async fn let_go(&self, backend: &Backend, watch: &mut Watch) {
        let wait = async {
            loop {
                match self.backend_state(backend).await {
                    Ok((state, online)) if step(Front::Stopped, state, online) != Step::End => {}
                    Ok(_) | Err(_) => break,
                }
                if watch.next().await.is_err() {
                    break;
                }
            }
        };
        let (mut wait, mut limit) = (pin!(wait), (self.sleep)(PATIENCE));
        let in_time = poll_fn(|cx| match wait.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => limit.as_mut().poll(cx).map(|()| false),
        });
        if !in_time.await {
            let message = format_args!("the backend does not let go");
            self.device.inner.borrow_mut().shared.complain(message);
        }
    }

    /// After an error, or at the end: leaves nothing connected.
    async fn give_up(&self) {
        self.device.stop();
        // Without xenstore nobody can be told.
        let _ = self.publish(State::Closed).await;
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
