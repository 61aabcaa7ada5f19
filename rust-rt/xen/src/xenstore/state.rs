//! The state of a connection: what goes out, what comes in, and who waits for which reply.

use super::{
    error::Error,
    numbered::Numbered,
    relay::{Bell, Relay, Relayed},
    watches::Watches,
};
use crate::{
    ring::{
        Corrupt,
        bytes::{Consumer, Producer},
    },
    shared::SharedPage,
    wire::{
        bytering::{XENSTORE_REQ, XENSTORE_RSP},
        xenstore::{self as wire, HEADER_LEN, Header, Kind, PAYLOAD_MAX},
    },
};
use alloc::{boxed::Box, collections::VecDeque, format, vec::Vec};
use core::{mem::ManuallyDrop, task::Waker};

/// Bytes taken from the ring in one go, so that a daemon that never stops sending cannot keep the
/// CPU for itself.
const TURN_MAX: usize = 16 * 1024;

pub(super) struct State {
    producer: Producer,
    consumer: Consumer,
    /// Requests that are not in the ring yet.
    outgoing: VecDeque<u8>,
    /// Some of them were queued since the driver last looked.
    pub(super) unsent: bool,
    /// The driver, if it waits.
    pub(super) driver: Option<Waker>,
    /// The message that is coming in.
    incoming: Vec<u8>,
    /// By request number.
    pub(super) requests: Numbered<Request>,
    pub(super) watches: Watches,
    next_request: u32,
    pub(super) oddities: u64,
    /// Transactions that have begun and not ended, the second client's included.
    transactions: u32,
    /// How often it has started over.
    pub(super) era: u32,
    pub(super) broken: bool,
    /// Never dropped, as the connection is there for ever: what drops it would be in every image.
    pub(super) relay: ManuallyDrop<Option<Box<Relay>>>,
    /// What serves the second client, once there is one.
    pub(super) hooks: Option<&'static Hooks>,
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

pub(super) struct Turn {
    /// The peer has to be notified.
    pub(super) moved: bool,
    /// The turn ended before the ring was empty.
    pub(super) more: bool,
}

impl State {
    pub(super) fn new(page: &SharedPage) -> State {
        State {
            producer: Producer::attach(page, XENSTORE_REQ),
            consumer: Consumer::attach(page, XENSTORE_RSP),
            outgoing: VecDeque::new(),
            unsent: false,
            driver: None,
            incoming: Vec::new(),
            requests: Numbered::new(),
            watches: Watches::new(),
            next_request: 1,
            oddities: 0,
            transactions: 0,
            era: 0,
            broken: false,
            relay: ManuallyDrop::new(None),
            hooks: None,
        }
    }

    /// Whether nobody waits for the daemon, and no transaction is open.
    pub(super) fn is_quiet(&self) -> bool {
        let waits = |request: &Request| !matches!(request, Request::Done(..));
        self.transactions == 0 && !self.requests.iter().any(|(_, request)| waits(request))
    }

    /// Takes up a ring that the daemon has reset, and registers the watches again.
    pub(super) fn attach_again(&mut self, page: &SharedPage) {
        self.producer = Producer::attach(page, XENSTORE_REQ);
        self.consumer = Consumer::attach(page, XENSTORE_RSP);
        self.broken = false;
        for (token, path) in self.watches.list() {
            let token = format!("{token}\0");
            let payload = [path.as_bytes(), b"\0", token.as_bytes()];
            let _ = self.send(Request::Abandoned(Kind::Watch), 0, &payload);
        }
        if let Some(hooks) = self.hooks {
            (hooks.reconnect)(self);
        }
    }

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
        self.watches.put_event(&token, path, wakers);
    }

    /// What to do about a reply that nobody waits for.
    pub(super) fn discard(&mut self, kind: Kind, result: Result<Vec<u8>, Error>) {
        // A transaction that was started for nobody must be ended, or it stays open for ever.
        if let (Kind::TransactionStart, Ok(payload)) = (kind, result) {
            if let Ok(tx_id) = wire::parse_transaction_id(&payload) {
                let end = Request::Abandoned(Kind::TransactionEnd);
                let _ = self.send(end, tx_id, &[b"F\0"]);
            }
        }
    }

    /// The ring makes no sense any more: fails everything that waits.
    pub(super) fn fail(&mut self, wakers: &mut Vec<Waker>) {
        self.broken = true;
        self.forget(wakers);
        self.watches.fail(wakers);
    }

    /// There will be no more answers.
    pub(super) fn forget(&mut self, wakers: &mut Vec<Waker>) {
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
