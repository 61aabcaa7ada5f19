//! A second client on the one ring: somebody in this domain who speaks the protocol himself.
//!
//! He gets a page that looks like the daemon's, and is served from its other end:
//!
//! ```text
//!   second client ── page of his own ── relay ┐
//!                                             ├── Connection ── the domain's page ── xenstored
//!   this domain's drivers ────────────────────┘
//! ```
//!
//! The daemon knows one connection, so three things of his are kept apart from ours. His *requests*
//! get numbers of ours on their way out, and their replies get his back. The *tokens* of his watches
//! have a letter before them, which none of ours has: events go to whom they belong. A *transaction*
//! is his if he has started it: a number that is not his is answered as the daemon would, with
//! `ENOENT`.
//!
//! He is not trusted more than the daemon is. A ring of his that makes no sense, or a message longer
//! than the protocol allows, ends the relay, and what he had at the daemon is given up; we go on. What
//! he makes us keep is bounded: requests under way, and bytes of replies that he has not taken, stop
//! us from taking more of his; events that pile up become one for each watch.

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

/// His requests that wait for replies at most.
const REQUESTS_MAX: usize = 32;
/// Bytes for him that have no room in his ring, beyond which nothing more is taken from it.
const BACKLOG_MAX: usize = 4 * PAYLOAD_MAX;
/// Before his tokens. Ours are numbers.
const MARK: u8 = b'r';

/// Called when something was moved in his ring.
pub(super) type Bell = Arc<dyn Fn() + Send + Sync>;

/// A watch of his: path and token as he says them, without NULs.
type Watched = (Vec<u8>, Vec<u8>);

/// The state of the second client.
pub(super) struct Relay {
    page: SharedPage,
    requests: Consumer,
    replies: Producer,
    /// The request that is coming in.
    incoming: Vec<u8>,
    /// Messages for him that did not fit into his ring yet.
    outgoing: VecDeque<u8>,
    /// Payloads of events for him, each different.
    events: VecDeque<Vec<u8>>,
    /// Bytes of them, and how many may wait before they become one for each watch.
    waiting: usize,
    limit: usize,
    /// Requests that the daemon has not answered.
    in_flight: usize,
    watches: BTreeSet<Watched>,
    transactions: BTreeSet<u32>,
    /// He made no sense; nothing is taken or given any more.
    broken: bool,
    bell: Bell,
}

/// A request of his on its way.
pub(super) struct Relayed {
    kind: Kind,
    /// His number.
    req_id: u32,
    /// What he watches, or no longer, if the daemon agrees.
    watch: Option<Watched>,
}

impl Relayed {
    /// What he asks for.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

impl Relay {
    /// A client that has done nothing yet, on a page of zeros.
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

    /// What to call when his ring has changed.
    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Gives the page back.
    pub(super) fn into_page(self) -> SharedPage {
        self.page
    }

    /// Whether he watches `path`.
    pub(super) fn watches(&self, path: &str) -> bool {
        let whole = |watched: &[u8]| {
            watched == path.as_bytes()
                || watched.strip_suffix(path.as_bytes()).is_some_and(|head| head.ends_with(b"/"))
        };
        self.watches.iter().any(|(watched, _)| whole(watched))
    }

    /// Takes bytes of requests; `None` when there are none, or he has enough to read.
    fn pull(&mut self, bytes: &mut [u8]) -> Option<Result<usize, Corrupt>> {
        if self.broken || self.in_flight >= REQUESTS_MAX || self.outgoing.len() > BACKLOG_MAX {
            return None;
        }
        match self.requests.pull(&self.page, bytes) {
            Ok(0) => None,
            other => Some(other),
        }
    }

    /// Takes the next whole request out of what has come in.
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

    /// Keeps an event for him.
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

    /// Moves what there is for him into his ring; whether anything was.
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
        log::warn!("xenstore: the second client's ring makes no sense; it is served no more");
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

/// A token of his as the daemon knows it.
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
