//! A second xenstore client on the domain's only ring: code in this domain that speaks the protocol itself.
//!
//! It gets a page that looks like the daemon's, and a relay serves the other end of that page:
//!
//! ```text
//!   second client ── page of its own ── relay ┐
//!                                             ├── Connection ── the domain's page ── xenstored
//!   this domain's drivers ────────────────────┘
//! ```
//!
//! The daemon sees one connection, so three things of the client's are kept apart from ours. Its *requests* are
//! renumbered on their way out, and their replies get the client's numbers back. The *tokens* of its watches get a
//! letter prepended that none of ours has, so that events go to their owner. A *transaction* belongs to the client if
//! the client started it; any other number is answered as the daemon would, with `ENOENT`.
//!
//! The client is trusted no more than the daemon is. A corrupt ring, or a message longer than the protocol allows,
//! ends the relay, and what the client had at the daemon is given up; our own client is not affected. What the client
//! makes us keep is bounded: while it has too many requests in flight, or unread replies, no more requests are taken;
//! events that pile up are merged into one for each watch.

use crate::{
    ring::{
        Corrupt,
        bytes::{Consumer, Producer},
    },
    shared::SharedPage,
    wire::{
        bytering::{XENSTORE_REQ, XENSTORE_RSP},
        xenstore::{HEADER_LEN, Header, Kind, PAYLOAD_MAX},
    },
};
use alloc::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use mirust_mem::shares::Shares;

mod passing;

/// The client's requests that may wait for replies.
const REQUESTS_MAX: usize = 32;
/// Bytes for the client without room in its ring, beyond which no more requests are taken.
const BACKLOG_MAX: usize = 4 * PAYLOAD_MAX;
/// Prepended to the client's tokens. Ours are numbers.
const MARK: u8 = b'r';

/// Called when something was moved in the client's ring.
pub(super) type Bell = Arc<dyn Fn() + Send + Sync>;

/// A watch of the client's: its path and token, without NULs.
type Watched = (Vec<u8>, Vec<u8>);

/// The state of the second client.
pub(super) struct Relay {
    page: SharedPage,
    requests: Consumer,
    replies: Producer,
    /// The request that is coming in.
    incoming: Vec<u8>,
    /// Messages for the client that did not fit into its ring yet.
    outgoing: VecDeque<u8>,
    /// Payloads of events for the client, each different.
    events: VecDeque<Vec<u8>>,
    /// Their bytes, and how many may wait before they are merged into one for each watch.
    waiting: usize,
    limit: usize,
    /// Requests that the daemon has not answered.
    in_flight: usize,
    watches: BTreeSet<Watched>,
    transactions: BTreeSet<u32>,
    /// The client broke the protocol: it is no longer served.
    broken: bool,
    bell: Bell,
}

/// A request of the client's in flight.
pub(super) struct Relayed {
    kind: Kind,
    /// The client's number for it.
    req_id: u32,
    /// The watch that begins or ends if the daemon agrees.
    watch: Option<Watched>,
}

impl Relayed {
    /// The kind of request.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

impl Relay {
    /// For a client that has done nothing yet, on a page of zeros.
    pub(super) fn new(page: SharedPage, bell: Bell) -> Relay {
        Relay {
            requests: Consumer::attach(&page, XENSTORE_REQ),
            replies: Producer::attach(&page, XENSTORE_RSP),
            page,
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            waiting: 0,
            limit: Shares::get().xenstore,
            in_flight: 0,
            watches: BTreeSet::new(),
            transactions: BTreeSet::new(),
            broken: false,
            bell,
        }
    }

    /// What to call when the client's ring has changed.
    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Gives the page back.
    pub(super) fn into_page(self) -> SharedPage {
        self.page
    }

    /// Whether the client watches `path`.
    pub(super) fn watches(&self, path: &str) -> bool {
        let whole = |watched: &[u8]| {
            watched == path.as_bytes()
                || watched.strip_suffix(path.as_bytes()).is_some_and(|head| head.ends_with(b"/"))
        };
        self.watches.iter().any(|(watched, _)| whole(watched))
    }

    /// Takes bytes of requests; `None` if there are none, or if the client has enough to read.
    fn pull(&mut self, bytes: &mut [u8]) -> Option<Result<usize, Corrupt>> {
        if self.broken || self.in_flight >= REQUESTS_MAX || self.outgoing.len() > BACKLOG_MAX {
            return None;
        }
        match self.requests.pull(&self.page, bytes) {
            Ok(0) => None,
            other => Some(other),
        }
    }

    /// Takes the next complete request from what has come in.
    fn next_request(&mut self) -> Result<Option<(Header, Vec<u8>)>, Corrupt> {
        let Some(header) = self.incoming.first_chunk::<HEADER_LEN>().map(Header::parse) else {
            return Ok(None);
        };
        let len = header.len as usize;
        if len > PAYLOAD_MAX {
            return Err(Corrupt);
        }
        if self.incoming.len() < HEADER_LEN + len {
            return Ok(None);
        }
        let message: Vec<u8> = self.incoming.drain(..HEADER_LEN + len).collect();
        Ok(Some((header, message[HEADER_LEN..].to_vec())))
    }

    fn reply(&mut self, kind: Kind, req_id: u32, tx_id: u32, payload: &[u8]) {
        let header = Header { kind: kind as u32, req_id, tx_id, len: payload.len() as u32 };
        self.outgoing.extend(header.emit());
        self.outgoing.extend(payload);
    }

    fn refuse(&mut self, req_id: u32, name: &[u8]) {
        self.reply(Kind::Error, req_id, 0, name);
    }

    /// Keeps an event for the client.
    fn event(&mut self, payload: Vec<u8>) {
        if self.broken || self.events.contains(&payload) {
            return;
        }
        if self.waiting + payload.len() > self.limit {
            self.events = self.watches.iter().map(|(path, token)| strings(path, token)).collect();
            self.waiting = self.events.iter().map(Vec::len).sum();
        } else {
            self.waiting += payload.len();
            self.events.push_back(payload);
        }
    }

    /// Moves pending data into the client's ring. Returns whether there was any.
    pub(super) fn give(&mut self) -> bool {
        let mut moved = false;
        while !self.broken {
            while self.outgoing.len() < PAYLOAD_MAX {
                let Some(payload) = self.events.pop_front() else { break };
                self.waiting -= payload.len();
                self.reply(Kind::WatchEvent, 0, 0, &payload);
            }
            match self.replies.push(&self.page, self.outgoing.as_slices().0) {
                Ok(0) => break,
                Ok(sent) => {
                    self.outgoing.drain(..sent);
                    moved = true;
                }
                Err(Corrupt) => self.give_up(),
            }
        }
        moved
    }

    fn give_up(&mut self) {
        log::warn!("xenstore: the second client's ring makes no sense; it is no longer served");
        self.broken = true;
        self.incoming.clear();
        self.outgoing.clear();
        self.events.clear();
        self.waiting = 0;
    }
}

/// Two strings with their NULs.
fn strings(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, b"\0", second, b"\0"].concat()
}

/// The two strings that a payload consists of.
fn two_strings(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = payload.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    match (parts.next()?, parts.next()?, parts.next()) {
        (first, second, None) if !first.is_empty() => Some((first, second)),
        _ => None,
    }
}

/// A token of the client's as the daemon knows it.
fn marked(token: &[u8]) -> Vec<u8> {
    [&[MARK], token].concat()
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("watches", &self.watches.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
