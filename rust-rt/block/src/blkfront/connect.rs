//! The device's task: xenbus, events, and reconnection.

use super::{
    Blkfront, Options,
    common::{Features, FlushBy},
    memory::Blkif,
    suspend, unused,
};
use crate::{Discard, Info, SECTOR, State as DiskState};
use alloc::{boxed::Box, format, rc::Rc, string::ToString};
use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};
use mirust_executor::{domain, time::Duration};
use mirust_mem::PAGE_SIZE;
use mirust_xen::{
    events::{EventChannel, Events},
    ring::front::FrontRing,
    wire::blkif::{self, Operation},
    xenbus::{Backend, ConnectError, End, Front, State, Step, all, both, in_time, step},
    xenstore::Watch,
};

/// How long the backend may take to answer outstanding requests before the connection is closed anyway.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first and the longest pause before another attempt, after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The largest ring, as a power of two of pages.
const RING_ORDER_MAX: u32 = 4;

/// The number of the virtual device that the toolstack calls `name` (Xen's `vbd-interface`): `xvda` to
/// `xvdz`, perhaps with the number of a partition behind it; or the number itself.
pub fn number_of(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let rest = name.strip_prefix("xvd")?;
    let letter = rest.bytes().next().filter(u8::is_ascii_lowercase)?;
    let disk = u32::from(letter - b'a');
    let partition = match &rest[1..] {
        "" => 0,
        digits => digits.parse().ok().filter(|part| (1..256).contains(part))?,
    };
    // The old form has room for 16 disks of 15 partitions, the new one for more.
    Some(if disk < 16 && partition < 16 {
        202 << 8 | disk << 4 | partition
    } else {
        1 << 28 | disk << 8 | partition
    })
}

/// Opens the disk that the toolstack calls `name`: for example `xvda`, or the device's number. It connects when it can,
/// now or when the toolstack attaches it, and again whenever its backend comes back.
///
/// # Errors
///
/// Without Xen, or if there can be no disk of this name.
pub fn open(name: &str, options: Options) -> Result<Rc<Blkfront>, &'static str> {
    let (Some(grants), Some(events), Ok(store)) =
        (mirust_xen::grants(), mirust_xen::events(), mirust_xen::store())
    else {
        return Err("there is no Xen here");
    };
    let number = number_of(name).ok_or("not the name of a disk, such as xvda")?;
    let device = Rc::new(Blkfront::new(name.into(), options, grants));
    let front = End::new(store, format!("device/vbd/{number}"));
    let sleep = |duration| Box::pin(domain::sleep(duration)) as _;
    let handle = number as u16;
    suspend::attach(&device, domain::suspend_hooks(), sleep);
    domain::spawn(Task { device: device.clone(), front, handle, events, sleep }.run());
    unused::watch_over();
    Ok(device)
}

/// What a backend says of its disk and of itself, except for the size.
struct Offer {
    sector_size: u32,
    physical_sector_size: u32,
    /// The bits of [`blkif::info`].
    bits: u32,
    flush: FlushBy,
    discard: Option<Discard>,
    /// Segments of an indirect request; 0 if it takes none.
    indirect_segments: usize,
}

impl Offer {
    /// Reads all nodes at once.
    async fn read(backend: &Backend) -> Result<Offer, ConnectError> {
        let nodes = [
            "sector-size",
            "physical-sector-size",
            "info",
            "feature-barrier",
            "feature-flush-cache",
            "feature-discard",
            "discard-granularity",
            "discard-alignment",
            "discard-secure",
            "feature-max-indirect-segments",
        ];
        let numbers = all(nodes.map(|name| backend.end.value::<u32>(name))).await;
        let mut found = [None; 10];
        for (found, number) in found.iter_mut().zip(numbers) {
            *found = number?;
        }
        let [
            size,
            physical,
            bits,
            barrier,
            flush,
            discards,
            granularity,
            alignment,
            secure,
            indirect,
        ] = found;
        let is_set = |number: Option<u32>| number.is_some_and(|number| number != 0);
        let sector_size = size.unwrap_or(512);
        if !sector_size.is_power_of_two() || !(512..=PAGE_SIZE as u32).contains(&sector_size) {
            return Err(ConnectError::Value("sector-size"));
        }
        let physical = physical.unwrap_or(sector_size);
        let makes_sense = physical % sector_size == 0;
        let flush = if is_set(flush) {
            FlushBy::Operation(Operation::FlushDiskcache, is_set(barrier))
        } else if is_set(barrier) {
            FlushBy::Operation(Operation::WriteBarrier, false)
        } else {
            FlushBy::Nothing
        };
        let discard = is_set(discards).then(|| Discard {
            granularity: granularity.unwrap_or(sector_size).max(sector_size),
            alignment: alignment.unwrap_or(0),
            secure: is_set(secure),
        });
        Ok(Offer {
            sector_size,
            physical_sector_size: if makes_sense { physical.max(sector_size) } else { sector_size },
            bits: bits.unwrap_or(0),
            flush,
            discard,
            indirect_segments: indirect.unwrap_or(0) as usize,
        })
    }
}

pub(super) struct Task {
    pub device: Rc<Blkfront>,
    pub front: End,
    pub handle: u16,
    pub events: &'static Events,
    pub sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
}

impl Task {
    /// Runs for ever: after the device is closed, to answer its callers.
    pub async fn run(self) {
        let driven = unused::Driven::new(&self.front);
        let mut pause = PAUSE;
        while !self.closed() {
            match self.live().await {
                Ok(()) => pause = PAUSE,
                Err(error) => {
                    let seconds = pause.as_secs();
                    self.device
                        .inner
                        .borrow_mut()
                        .engine
                        .complain(format_args!("{error}; trying again in {seconds} s"));
                    self.give_up().await;
                    self.pause(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        self.give_up().await;
        drop(driven);
        loop {
            self.pause(PAUSE_MAX).await;
            self.device.inner.borrow_mut().work = false;
            self.device.tell();
        }
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
        // An earlier backend could still use what it has mapped; and a backend that never releases pages must
        // not cost more memory each time.
        while self.device.is_stuck() && !self.closed() {
            self.pause(PAUSE).await;
            self.device.retry();
        }
        let begin = self.front.publish(State::Initialising);
        let (watch, begun) = both(backend.end.watch("state"), begin).await;
        let (mut watch, mut front) = (watch?, Front::Initialising);
        begun?;
        let mut channel = None;
        loop {
            let broken = self.device.inner.borrow_mut().fault.take().is_some();
            if (broken || self.closed()) && front != Front::Closed {
                let drained = !broken && self.drain(channel.take()).await;
                self.device.stop();
                self.front.publish(State::Closed).await?;
                self.let_go(&backend, &mut watch, &mut there).await;
                self.device.end(drained);
                if broken && !self.closed() {
                    self.pause(PAUSE).await;
                }
                return Ok(());
            }
            if self.closed() {
                return Ok(());
            }
            let (served, states) = both(self.front.is_served_by(&backend), backend.state()).await;
            if !served? {
                // The backend of another domain has answered everything before.
                let drained = backend.is_past();
                self.device.stop();
                self.device.end(drained);
                return Ok(());
            }
            let (state, online) = states?;
            match step(front, state, online) {
                Step::Wait => {
                    if front == Front::Up {
                        if let Some(sectors) = self.sectors(&backend).await? {
                            self.device.resize(sectors);
                        }
                    }
                    let channel = channel.clone();
                    self.wait(&mut watch, Some(&mut there), channel).await;
                }
                Step::Connect => {
                    channel = Some(self.connect(&backend).await?);
                    front = Front::Connected;
                }
                Step::GoUp => {
                    self.go_up(&backend).await?;
                    front = Front::Up;
                }
                Step::Stop => {
                    let with_a_word = matches!(state, State::Closing | State::Closed);
                    let drained = with_a_word && self.drain(channel.take()).await;
                    self.device.stop();
                    self.front.publish(State::Closed).await?;
                    self.let_go(&backend, &mut watch, &mut there).await;
                    self.device.end(drained);
                    front = Front::Closed;
                }
                Step::End => {
                    self.device.end(false);
                    front = Front::Closed;
                }
                // The loop of `run` begins again, with whatever backend there is by then.
                Step::Restart => return Ok(()),
                Step::Leave => self.wait(&mut there, Some(&mut watch), None).await,
            }
        }
    }

    /// Sets ring and channel up, and publishes them together.
    async fn connect(&self, backend: &Backend) -> Result<Rc<EventChannel>, ConnectError> {
        let options = self.device.options;
        let order = backend.end.number("max-ring-page-order", 0);
        let (order, trusted) = both(order, self.front.value::<u32>("trusted")).await;
        let (order, trusted) = (order?.min(RING_ORDER_MAX), trusted?);
        let slots = |order: u32| {
            FrontRing::<Blkif, super::memory::RingPages>::slots_in(PAGE_SIZE << order) as usize
        };
        let order = (0..order).find(|order| slots(*order) >= options.depth).unwrap_or(order);
        let channel = Rc::new(self.events.alloc_unbound(backend.domid)?);
        // Whether the backend keeps pages mapped is settled before it says so: it looks at what is
        // published here.
        let persistent = options.persistent;
        let features = Features {
            flush: FlushBy::Nothing,
            segments: 1,
            persistent,
            untrusted: trusted == Some(0),
            handle: self.handle,
            depth: options.depth.min(slots(order)),
        };
        self.device.prepare(backend.domid, channel.clone(), 1 << order, features)?;
        let refs = self.device.ring_refs();
        let port = channel.port().0;
        self.front
            .store()
            .transaction(async |store| {
                let set = async |name: &str, value: &str| {
                    store.write(&self.front.node(name), value).await
                };
                if let [gref] = refs[..] {
                    set("ring-ref", &gref.to_string()).await?;
                } else {
                    // Two schemes with the same meaning.
                    set("ring-page-order", &order.to_string()).await?;
                    set("num-ring-pages", &refs.len().to_string()).await?;
                    for (n, gref) in refs.iter().enumerate() {
                        set(&format!("ring-ref{n}"), &gref.to_string()).await?;
                    }
                }
                set("event-channel", &port.to_string()).await?;
                set("protocol", "x86_64-abi").await?;
                set("feature-persistent", if persistent { "1" } else { "0" }).await
            })
            .await?;
        self.front.publish(State::Initialised).await?;
        Ok(channel)
    }

    /// The size in sectors of 512 bytes, if it makes sense.
    async fn sectors(&self, backend: &Backend) -> Result<Option<u64>, ConnectError> {
        let sectors: Option<u64> = backend.end.value("sectors").await?;
        Ok(sectors.filter(|sectors| *sectors <= i64::MAX as u64 / SECTOR))
    }

    /// Begins to use the disk, as the backend describes it.
    async fn go_up(&self, backend: &Backend) -> Result<(), ConnectError> {
        let (sectors, offer) = both(self.sectors(backend), Offer::read(backend)).await;
        let sectors = sectors?.ok_or(ConnectError::Value("sectors"))?;
        let offer = offer?;
        let most = blkif::INDIRECT_PAGES_MAX * blkif::SEGMENTS_PER_PAGE;
        let segments = offer.indirect_segments.clamp(blkif::SEGMENTS_MAX, most);
        // A page of segments is of no use if there is no page of data beside it.
        let segments =
            segments.min(self.device.options.segments).min(self.device.options.pages / 2);
        let features = {
            let inner = self.device.inner.borrow();
            let connection = inner.connection.as_ref().ok_or(ConnectError::Value("state"))?;
            Features { flush: offer.flush, segments, ..connection.features }
        };
        let info = Info {
            state: DiskState::Up,
            sectors,
            sector_size: offer.sector_size,
            physical_sector_size: offer.physical_sector_size,
            read_only: offer.bits & (blkif::info::READONLY | blkif::info::CDROM) != 0,
            cdrom: offer.bits & blkif::info::CDROM != 0,
            flush: offer.flush != FlushBy::Nothing,
            discard: offer.discard,
            transfer_max: segments * PAGE_SIZE,
        };
        self.front.publish(State::Connected).await?;
        log::info!(
            "{}: {} MiB, sectors of {} bytes, {} requests of {} KiB{}",
            self.device.inner.borrow().engine.name,
            (sectors * SECTOR) >> 20,
            info.sector_size,
            features.depth,
            info.transfer_max >> 10,
            if info.read_only { ", read-only" } else { "" },
        );
        self.device.up(info, features);
        Ok(())
    }

    /// Lets the backend answer outstanding requests. Returns whether it did.
    async fn drain(&self, channel: Option<Rc<EventChannel>>) -> bool {
        let Some(channel) = channel else { return true };
        self.device.inner.borrow_mut().draining = true;
        let answers = async {
            loop {
                let seen = channel.count();
                self.device.turn();
                if !self.device.is_busy() {
                    return;
                }
                channel.wait(seen).await;
            }
        };
        let in_time = in_time(answers, (self.sleep)(PATIENCE)).await;
        self.device.inner.borrow_mut().draining = false;
        if !in_time {
            let message = format_args!("the backend closes with requests that it does not answer");
            self.device.inner.borrow_mut().engine.complain(message);
        }
        in_time
    }

    /// Waits until the backend has released the ring. There is no time limit, because until then it could still
    /// perform requests; but if the disk is closed these can do no harm, and there is one.
    async fn let_go(&self, backend: &Backend, watch: &mut Watch, there: &mut Watch) {
        let mut told = false;
        loop {
            match backend.state().await {
                Ok((state, online)) if step(Front::Stopped, state, online) != Step::End => {}
                Ok(_) | Err(_) => return,
            }
            let change = poll_fn(|cx| {
                if pin!(watch.next()).poll(cx).is_ready() || pin!(there.next()).poll(cx).is_ready()
                {
                    return Poll::Ready(());
                }
                let mut inner = self.device.inner.borrow_mut();
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            });
            if !in_time(change, (self.sleep)(PATIENCE)).await
                && !core::mem::replace(&mut told, true)
            {
                let message = format_args!("the backend does not let go");
                self.device.inner.borrow_mut().engine.complain(message);
            }
            if told && self.closed() {
                return;
            }
        }
    }

    /// Disconnects everything, after an error or at the end.
    async fn give_up(&self) {
        self.device.stop();
        // Without xenstore the backend cannot be told.
        let _ = self.front.publish(State::Closed).await;
        self.device.end(false);
    }

    /// Waits, but not if there is something to report to callers, or the device is closed.
    async fn pause(&self, duration: Duration) {
        let mut sleep = (self.sleep)(duration);
        poll_fn(|cx| {
            {
                let mut inner = self.device.inner.borrow_mut();
                inner.waker = Some(cx.waker().clone());
                if inner.close && inner.work {
                    return Poll::Ready(());
                }
            }
            self.device.tell();
            sleep.as_mut().poll(cx)
        })
        .await
    }

    /// Waits for xenstore, the end of the device, or a fault; events and requests are handled.
    async fn wait(
        &self,
        first: &mut Watch,
        mut second: Option<&mut Watch>,
        channel: Option<Rc<EventChannel>>,
    ) {
        let device = &self.device;
        // As `events` has it: count, look, wait. The first round looks without an event.
        let mut seen = channel.as_ref().map(|channel| channel.count());
        device.turn();
        let closed = device.inner.borrow().close;
        let mut again: Option<Pin<Box<dyn Future<Output = ()>>>> = None;
        poll_fn(|cx| {
            loop {
                let (over, work, stuck) = {
                    let mut inner = device.inner.borrow_mut();
                    inner.waker = Some(cx.waker().clone());
                    let over = inner.fault.is_some() || inner.close != closed;
                    (over, core::mem::take(&mut inner.work), inner.is_stuck())
                };
                // In another domain xenstore will have news.
                let stale = channel.as_ref().is_some_and(|channel| channel.is_stale());
                if over
                    || stale
                    || pin!(first.next()).poll(cx).is_ready()
                    || second.as_deref_mut().is_some_and(|w| pin!(w.next()).poll(cx).is_ready())
                {
                    return Poll::Ready(());
                }
                if work {
                    device.turn();
                    continue;
                }
                if let (Some(channel), Some(seen)) = (channel.as_deref(), &mut seen) {
                    if Pin::new(&mut channel.wait(*seen)).poll(cx).is_ready() {
                        *seen = channel.count();
                        device.on_event();
                        continue;
                    }
                }
                // Memory that the backend has not released: no event will announce it.
                if !stuck {
                    return Poll::Pending;
                }
                let sleep = again.get_or_insert_with(|| (self.sleep)(PAUSE));
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                again = None;
                device.retry();
                device.turn();
            }
        })
        .await;
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
