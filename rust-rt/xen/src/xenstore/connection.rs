//! The state of one ring: what goes out, what comes in, and who waits for which reply.

use super::{
    error::Error,
    numbered::Numbered,
    relay::{Bell, Relay, Relayed},
};
use crate::{
    events::EventChannel,
    page::Page,
    ring::{
        Corrupt,
        bytes::{Consumer, Producer},
    },
    shared::SharedPage,
    wire::{
        bytering::{
            CONNECTED, FEATURE_RECONNECTION, RECONNECT, XENSTORE_CONNECTION, XENSTORE_FEATURES,
            XENSTORE_REQ, XENSTORE_RSP,
        },
        xenstore::{self as wire, HEADER_LEN, Header, Kind, PAYLOAD_MAX},
    },
};
use alloc::{boxed::Box, collections::VecDeque, format, string::String, sync::Arc, vec::Vec};
use core::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    mem::ManuallyDrop,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};
use mirust_mem::OutOfMemory;
use spin::Mutex;

/// Different paths that a watch remembers before it falls back on the watched one.
const EVENTS_MAX: usize = 64;
/// Bytes taken from the ring in one go, so that a daemon that never stops sending cannot keep the
/// CPU for itself.
const TURN_MAX: usize = 16 * 1024;

pub(super) struct Connection {
    page: SharedPage,
    channel: EventChannel,
    state: Mutex<State>,
}

pub(super) struct State {
    producer: Producer,
    consumer: Consumer,
    /// Requests that are not in the ring yet.
    outgoing: VecDeque<u8>,
    /// Some of them were queued since the driver last looked.
    unsent: bool,
    /// The driver, if it waits.
    driver: Option<Waker>,
    /// The message that is coming in.
    incoming: Vec<u8>,
    /// By request number.
    pub(super) requests: Numbered<Request>,
    /// By token.
    watches: Numbered<WatchState>,
    next_request: u32,
    next_token: u32,
    oddities: u64,
    /// Transactions that have begun and not ended, the second client's included.
    transactions: u32,
    /// How often it has begun anew.
    era: u32,
    broken: bool,
    /// Never dropped, as the connection is there for ever: what drops it would be in every image.
    pub(super) relay: ManuallyDrop<Option<Box<Relay>>>,
    /// What serves the second client, once there is one.
    hooks: Option<&'static Hooks>,
}

/// The life of a request: `Waiting` until the reply comes, then `Done` until its future takes it. If
/// the future is dropped before the reply comes, the number stays taken by `Abandoned`: given to
/// another request, it would get the wrong reply. A request of the second client's is `Relayed`.
pub(super) enum Request {
    Waiting(Kind, Option<Waker>),
    Done(Kind, Result<Vec<u8>, Error>),
    Abandoned(Kind),
    Relayed(Relayed),
}

impl Request {
    fn kind(&self) -> Kind {
        match self {
            Request::Waiting(kind, _) | Request::Done(kind, _) | Request::Abandoned(kind) => *kind,
            Request::Relayed(relayed) => relayed.kind(),
        }
    }
}

/// What the connection calls for its second client. Only the function that attaches one names these, so that the
/// linker leaves all of it out of an image that has one client.
pub(super) struct Hooks {
    /// Moves what there is; whom to call if anything was moved.
    pub serve: fn(&mut State, &SharedPage, &mut Turn, &mut Vec<Waker>) -> Option<Bell>,
    /// A watch event: whether it was the second client's.
    pub event: fn(&mut State, &[u8]) -> bool,
    /// The daemon's answer to a request of the second client's; whether it was one.
    pub reply: fn(&mut State, Relayed, Option<Kind>, u32, &[u8]) -> bool,
    /// The connection has failed.
    pub fail: fn(&mut State),
    /// The daemon has forgotten the watches.
    pub reconnect: fn(&mut State),
}

struct WatchState {
    path: String,
    events: VecDeque<String>,
    /// The connection has failed since the last event was taken.
    failed: bool,
    waker: Option<Waker>,
}

/// The reply to a request.
#[derive(Debug)]
pub(super) struct Reply {
    connection: Arc<Connection>,
    id: u32,
    taken: bool,
}

impl Connection {
    pub(super) fn new(page: SharedPage, channel: EventChannel) -> Connection {
        let state = State {
            producer: Producer::attach(&page, XENSTORE_REQ),
            consumer: Consumer::attach(&page, XENSTORE_RSP),
            outgoing: VecDeque::new(),
            unsent: false,
            driver: None,
            incoming: Vec::new(),
            requests: Numbered::new(),
            watches: Numbered::new(),
            next_request: 1,
            next_token: 1,
            oddities: 0,
            transactions: 0,
            era: 0,
            broken: false,
            relay: ManuallyDrop::new(None),
            hooks: None,
        };
        Connection { page, channel, state: Mutex::new(state) }
    }

    /// Queues a request of which `payload` has the pieces. [`run`](Self::run) sends it, together with all others that are
    /// made before it has its turn: each notification makes Xen run another domain, on a busy host instead of this one.
    pub(super) fn request(
        this: &Arc<Self>,
        kind: Kind,
        tx_id: u32,
        payload: &[&[u8]],
    ) -> Result<Reply, Error> {
        let id = this.queue(|state| state.send(Request::Waiting(kind, None), tx_id, payload))?;
        Ok(Reply { connection: this.clone(), id, taken: false })
    }

    /// Ends a transaction of which nothing shall remain.
    pub(super) fn send_abort(&self, tx_id: u32) {
        self.send_and_forget(Kind::TransactionEnd, tx_id, &[b"F\0"]);
    }

    pub(super) fn send_unwatch(&self, path: &str, token: u32) {
        let token = format!("{token}\0");
        self.send_and_forget(Kind::Unwatch, 0, &[path.as_bytes(), b"\0", token.as_bytes()]);
    }

    fn send_and_forget(&self, kind: Kind, tx_id: u32, payload: &[&[u8]]) {
        // A broken connection has forgotten transactions and watches anyway.
        let _ = self.queue(|state| state.send(Request::Abandoned(kind), tx_id, payload));
    }

    /// Has `f` queue something, and [`run`](Self::run) send it.
    fn queue<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = f(&mut state);
        state.unsent = true;
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    pub(super) fn add_watch(&self, path: &str) -> u32 {
        let mut state = self.state.lock();
        let token = state.next_token;
        // 2³² watches take longer than any domain runs.
        state.next_token += 1;
        let (path, events) = (path.into(), VecDeque::new());
        state.watches.add(token, WatchState { path, events, failed: false, waker: None });
        token
    }

    /// Forgets a watch; the path if there was one.
    pub(super) fn remove_watch(&self, token: u32) -> Option<String> {
        let removed = self.state.lock().watches.remove(token);
        removed.map(|watch| watch.path)
    }

    pub(super) fn take_event(&self, token: u32) -> Option<Result<String, Error>> {
        let mut state = self.state.lock();
        let watch = state.watches.get_mut(token)?;
        if core::mem::take(&mut watch.failed) {
            return Some(Err(Error::Broken));
        }
        watch.events.pop_front().map(Ok)
    }

    pub(super) fn forget_events(&self, token: u32) {
        if let Some(watch) = self.state.lock().watches.get_mut(token) {
            watch.events.clear();
        }
    }

    pub(super) fn register_watcher(&self, token: u32, waker: &Waker) {
        if let Some(watch) = self.state.lock().watches.get_mut(token) {
            watch.waker = Some(waker.clone());
        }
    }

    pub(super) fn oddities(&self) -> u64 {
        self.state.lock().oddities
    }

    /// Treats the ring as broken; [`run`](Self::run) resets it.
    pub(super) fn reset(&self) -> Result<(), Error> {
        if !self.can_reset() {
            return Err(Error::Unavailable);
        }
        let mut wakers = Vec::new();
        self.state.lock().fail(&mut wakers);
        // The driver looks at its state when there is an event.
        self.channel.raise();
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Whether nobody waits for the daemon, and no transaction is open.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state.lock();
        let waits = |request: &Request| !matches!(request, Request::Done(..));
        state.transactions == 0 && !state.requests.iter().any(|(_, request)| waits(request))
    }

    pub(super) fn era(&self) -> u32 {
        self.state.lock().era
    }

    /// The channel, which has another port in another domain.
    pub(super) fn channel(&self) -> &EventChannel {
        &self.channel
    }

    /// Begins anew, with a daemon that knows nothing of this domain yet and a ring that is empty. Whoever waits for
    /// an answer gets [`Error::Broken`]; watches are registered again, and have an event.
    pub(super) fn renew(&self) {
        let mut wakers = Vec::new();
        self.change(|state| {
            state.era += 1;
            state.forget(&mut wakers);
            self.attach_again(state);
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes up a ring that the daemon has reset, and registers the watches again.
    fn attach_again(&self, state: &mut State) {
        state.producer = Producer::attach(&self.page, XENSTORE_REQ);
        state.consumer = Consumer::attach(&self.page, XENSTORE_RSP);
        state.broken = false;
        let watches: Vec<(u32, String)> =
            state.watches.iter().map(|(token, watch)| (token, watch.path.clone())).collect();
        for (token, path) in watches {
            let token = format!("{token}\0");
            let payload = [path.as_bytes(), b"\0", token.as_bytes()];
            let _ = state.send(Request::Abandoned(Kind::Watch), 0, &payload);
        }
        if let Some(hooks) = state.hooks {
            (hooks.reconnect)(state);
        }
    }

    fn can_reset(&self) -> bool {
        self.page.load_u32(XENSTORE_FEATURES) & FEATURE_RECONNECTION != 0
    }

    /// Serves the ring for ever.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            // The order of `events`' first lines: count, then look, then wait.
            let seen = self.channel.count();
            let ((), more) = self.change(|_| ());
            if self.state.lock().broken {
                self.reconnect().await;
            } else if more {
                yield_once().await;
            } else {
                self.idle(seen).await;
            }
        }
    }

    /// Waits until there have been other than `seen` events, or there is something to send.
    async fn idle(&self, seen: u64) {
        let mut event = self.channel.wait(seen);
        poll_fn(|cx| {
            {
                let mut state = self.state.lock();
                if core::mem::take(&mut state.unsent) {
                    return Poll::Ready(());
                }
                state.driver = Some(cx.waker().clone());
            }
            Pin::new(&mut event).poll(cx).map(|_| ())
        })
        .await;
    }

    /// Applies `f` to the state, then moves bytes; notifies and wakes without holding the lock.
    /// Returns what `f` returned, and whether there is more to move.
    fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> (R, bool) {
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        let result = f(&mut state);
        let mut turn = state.turn(&self.page, &mut wakers);
        let hooks = state.hooks;
        let bell =
            hooks.and_then(|hooks| (hooks.serve)(&mut state, &self.page, &mut turn, &mut wakers));
        drop(state);
        if turn.moved {
            self.channel.notify();
        }
        wakers.into_iter().for_each(Waker::wake);
        if let Some(bell) = bell {
            bell();
        }
        (result, turn.more)
    }

    /// Begins to serve a second client, or begins anew; the address of its page, which is valid for
    /// ever.
    pub(super) fn relay(&self, bell: Bell) -> Result<NonNull<u8>, OutOfMemory> {
        let attach = |state: &mut State| {
            state.relay_leave();
            let page = match state.relay.take() {
                Some(relay) => relay.into_page(),
                None => Page::new()?.into_shared(),
            };
            page.clear();
            let addr = NonNull::new(core::ptr::with_exposed_provenance_mut(page.addr()));
            *state.relay = Some(Box::new(Relay::new(page, bell)));
            state.hooks = Some(&State::RELAY_HOOKS);
            Ok(addr.expect("a mapped page is not at address zero"))
        };
        self.change(attach).0
    }

    /// The second client has notified.
    pub(super) fn relay_notified(&self) {
        self.change(|_| ());
    }

    pub(super) fn relay_watches(&self, path: &str) -> bool {
        self.state.lock().relay.as_ref().is_some_and(|relay| relay.watches(path))
    }

    /// Resets a broken ring, if the daemon knows how to, and registers the watches again. Otherwise every call
    /// fails with [`Error::Broken`], until there is another daemon.
    async fn reconnect(&self) {
        let mut seen = self.channel.count();
        if !self.can_reset() {
            log::error!("xenstore: the connection is broken and cannot be reset");
            while self.state.lock().broken {
                seen = self.channel.wait(seen).await;
            }
            return;
        }
        log::warn!("xenstore: the connection is broken; resetting it");
        self.page.store_u32(XENSTORE_CONNECTION, RECONNECT);
        self.channel.notify();
        while self.page.load_u32(XENSTORE_CONNECTION) != CONNECTED {
            seen = self.channel.wait(seen).await;
        }
        self.change(|state| self.attach_again(state));
    }
}

pub(super) struct Turn {
    /// The peer has to be notified.
    pub(super) moved: bool,
    /// The turn ended before the ring was empty.
    pub(super) more: bool,
}

impl State {
    /// Queues a message and its request; the number of the request.
    pub(super) fn send(
        &mut self,
        request: Request,
        tx_id: u32,
        payload: &[&[u8]],
    ) -> Result<u32, Error> {
        let len: usize = payload.iter().map(|piece| piece.len()).sum();
        if len > PAYLOAD_MAX {
            return Err(Error::TooBig);
        }
        if self.broken {
            return Err(Error::Broken);
        }
        let kind = request.kind();
        // Zero is what watch events carry.
        while self.next_request == 0 || self.requests.get(self.next_request).is_some() {
            self.next_request = self.next_request.wrapping_add(1);
        }
        let req_id = self.next_request;
        self.next_request = req_id.wrapping_add(1);
        self.requests.add(req_id, request);
        let header = Header { kind: kind as u32, req_id, tx_id, len: len as u32 };
        self.outgoing.extend(header.emit());
        payload.iter().for_each(|piece| self.outgoing.extend(*piece));
        Ok(req_id)
    }

    /// Moves bytes both ways until neither can.
    pub(super) fn turn(&mut self, page: &SharedPage, wakers: &mut Vec<Waker>) -> Turn {
        let (mut moved, mut taken) = (false, 0);
        while !self.broken {
            match self.transfer(page, wakers) {
                Ok(Transferred { sent: 0, received: 0 }) => break,
                Ok(Transferred { received, .. }) => {
                    moved = true;
                    taken += received;
                    if taken > TURN_MAX {
                        return Turn { moved, more: true };
                    }
                }
                Err(Corrupt) => self.fail(wakers),
            }
        }
        Turn { moved, more: false }
    }

    fn transfer(
        &mut self,
        page: &SharedPage,
        wakers: &mut Vec<Waker>,
    ) -> Result<Transferred, Corrupt> {
        let sent = self.producer.push(page, self.outgoing.as_slices().0)?;
        self.outgoing.drain(..sent);
        let mut bytes = [0; 1024];
        let received = self.consumer.pull(page, &mut bytes)?;
        self.feed(&bytes[..received], wakers)?;
        Ok(Transferred { sent, received })
    }

    /// Takes bytes of messages, cut anywhere.
    fn feed(&mut self, mut bytes: &[u8], wakers: &mut Vec<Waker>) -> Result<(), Corrupt> {
        while !bytes.is_empty() {
            let want = match self.incoming.first_chunk::<HEADER_LEN>() {
                None => HEADER_LEN,
                Some(header) => HEADER_LEN + Header::parse(header).len as usize,
            };
            let (piece, rest) = bytes.split_at(bytes.len().min(want - self.incoming.len()));
            self.incoming.extend_from_slice(piece);
            bytes = rest;
            let Some(header) = self.incoming.first_chunk::<HEADER_LEN>().map(Header::parse) else {
                continue;
            };
            if header.len as usize > PAYLOAD_MAX {
                // There is no telling where the next message begins.
                return Err(Corrupt);
            }
            if self.incoming.len() == HEADER_LEN + header.len as usize {
                let message = core::mem::take(&mut self.incoming);
                self.receive(header, &message[HEADER_LEN..], wakers);
            }
        }
        Ok(())
    }

    fn receive(&mut self, header: Header, payload: &[u8], wakers: &mut Vec<Waker>) {
        let kind = Kind::from_raw(header.kind);
        if kind == Some(Kind::WatchEvent) {
            if !self.hooks.is_some_and(|hooks| (hooks.event)(self, payload)) {
                self.receive_event(payload, wakers);
            }
            return;
        }
        match (self.requests.get(header.req_id).map(Request::kind), kind) {
            (Some(Kind::TransactionStart), Some(Kind::TransactionStart)) => self.transactions += 1,
            // Also one that the daemon refuses is over.
            (Some(Kind::TransactionEnd), Some(_)) => {
                self.transactions = self.transactions.saturating_sub(1);
            }
            _ => {}
        }
        if let Some(Request::Relayed(_)) = self.requests.get(header.req_id) {
            let Some(Request::Relayed(request)) = self.requests.remove(header.req_id) else {
                unreachable!("just looked at")
            };
            let (tx_id, hooks) = (header.tx_id, self.hooks);
            if !hooks.is_none_or(|hooks| (hooks.reply)(self, request, kind, tx_id, payload)) {
                self.odd("a reply of the wrong kind");
            }
            return;
        }
        let Some(request) = self.requests.get_mut(header.req_id) else {
            return self.odd("a reply to no request");
        };
        let result = |asked: Kind| match kind {
            Some(Kind::Error) => Err(match wire::parse_string(payload) {
                Ok(name) => Error::named(&name),
                Err(malformed) => malformed.into(),
            }),
            Some(kind) if kind == asked => Ok(payload.to_vec()),
            Some(_) | None => Err(Error::Malformed),
        };
        match request {
            Request::Waiting(asked, waker) => {
                wakers.extend(waker.take());
                let asked = *asked;
                *request = Request::Done(asked, result(asked));
            }
            Request::Done(..) => self.odd("a second reply to a request"),
            Request::Abandoned(asked) => {
                let (asked, result) = (*asked, result(*asked));
                self.requests.remove(header.req_id);
                self.discard(asked, result);
            }
            Request::Relayed(_) => unreachable!("handled above"),
        }
    }

    fn receive_event(&mut self, payload: &[u8], wakers: &mut Vec<Waker>) {
        let Ok((path, token)) = wire::parse_watch_event(payload) else {
            return self.odd("a malformed watch event");
        };
        // No such watch is no oddity: the event may have crossed the end of the watch.
        let Some(watch) = token.parse().ok().and_then(|token: u32| self.watches.get_mut(token))
        else {
            return;
        };
        if watch.events.len() >= EVENTS_MAX {
            watch.events.clear();
            watch.events.push_back(watch.path.clone());
        } else if !watch.events.contains(&path) {
            watch.events.push_back(path);
        }
        wakers.extend(watch.waker.take());
    }

    /// What to do about a reply that nobody waits for.
    fn discard(&mut self, kind: Kind, result: Result<Vec<u8>, Error>) {
        // A transaction that was started for nobody must be ended, or it stays open for ever.
        if let (Kind::TransactionStart, Ok(payload)) = (kind, result) {
            if let Ok(tx_id) = wire::parse_transaction_id(&payload) {
                let end = Request::Abandoned(Kind::TransactionEnd);
                let _ = self.send(end, tx_id, &[b"F\0"]);
            }
        }
    }

    /// The ring makes no sense any more: fails everything that waits.
    fn fail(&mut self, wakers: &mut Vec<Waker>) {
        self.broken = true;
        self.forget(wakers);
        for watch in self.watches.values_mut() {
            watch.failed = true;
            wakers.extend(watch.waker.take());
        }
    }

    /// There will be no more answers.
    fn forget(&mut self, wakers: &mut Vec<Waker>) {
        self.transactions = 0;
        self.outgoing.clear();
        self.incoming.clear();
        self.requests.retain(|request| !matches!(request, Request::Abandoned(_)));
        if let Some(hooks) = self.hooks {
            (hooks.fail)(self);
        }
        for request in self.requests.values_mut() {
            if let Request::Waiting(kind, waker) = request {
                wakers.extend(waker.take());
                *request = Request::Done(*kind, Err(Error::Broken));
            }
        }
    }

    fn odd(&mut self, what: &str) {
        // Once in full, then only counted: the daemon must not be able to flood the console.
        if self.oddities == 0 {
            log::warn!("xenstore: {what}");
        }
        self.oddities += 1;
    }
}

struct Transferred {
    sent: usize,
    received: usize,
}

impl Future for Reply {
    type Output = Result<Vec<u8>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let connection = self.connection.clone();
        let mut state = connection.state.lock();
        assert!(!self.taken, "a reply was polled after it was taken");
        if let Some(Request::Waiting(_, waker)) = state.requests.get_mut(self.id) {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.taken = true;
        match state.requests.remove(self.id) {
            Some(Request::Done(_, result)) => Poll::Ready(result),
            Some(Request::Waiting(..) | Request::Abandoned(_) | Request::Relayed(_)) | None => {
                unreachable!("the request belongs to its reply")
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.connection.change(|state| match state.requests.remove(self.id) {
            Some(Request::Waiting(kind, _)) => {
                state.requests.add(self.id, Request::Abandoned(kind));
            }
            Some(Request::Done(kind, result)) => state.discard(kind, result),
            Some(Request::Abandoned(_) | Request::Relayed(_)) | None => {}
        });
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("port", &self.channel.port()).finish_non_exhaustive()
    }
}

/// Lets the other tasks run.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
