//! A xenstored in ordinary memory: honest by default, and able to lie.

use super::Xenstore;
use crate::{
    fake::{World, world},
    shared::SharedPage,
    testing::{poll_once, run, shared_page},
    wire::{
        DomId,
        bytering::*,
        xenstore::{HEADER_LEN, Header, Kind, path_is_valid},
    },
};
use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use core::{cell::RefCell, pin::Pin};

/// What happens to a reply on its way out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lie {
    /// The payload ends early.
    Short,
    /// The header announces more than the protocol allows.
    Oversized,
    /// The reply is for another request.
    WrongId,
    /// The reply is of another kind.
    WrongKind,
    /// The kind is no kind at all.
    UnknownKind,
    /// The payload is not text.
    Garbage,
    /// The reply comes twice.
    Twice,
}

/// The daemon and its tree.
pub struct Daemon {
    page: SharedPage,
    requests: Vec<u8>,
    replies: Vec<u8>,
    /// Values by path.
    pub tree: BTreeMap<String, Vec<u8>>,
    perms: BTreeMap<String, Vec<u8>>,
    watches: Vec<(String, String)>,
    transactions: BTreeMap<u32, BTreeMap<String, Vec<u8>>>,
    next_tx: u32,
    /// Applied to the next replies.
    pub lie: Option<Lie>,
    /// Bytes moved in one step, so that messages are cut anywhere.
    pub chunk: usize,
    /// The next commits fail.
    pub conflicts: u32,
    /// Replies that wait to be sent in another order.
    pub held: Vec<Vec<u8>>,
    /// Collect replies in `held` instead of sending them.
    pub hold: bool,
}

impl Daemon {
    /// A daemon that serves the ring in `page`, with one node that the domain may not read.
    pub fn new(page: SharedPage) -> Daemon {
        let mut tree = BTreeMap::new();
        tree.insert("/local/domain/0/secret".to_string(), b"x".to_vec());
        Daemon {
            page,
            requests: Vec::new(),
            replies: Vec::new(),
            tree,
            perms: BTreeMap::new(),
            watches: Vec::new(),
            transactions: BTreeMap::new(),
            next_tx: 1,
            lie: None,
            chunk: 4096,
            conflicts: 0,
            held: Vec::new(),
            hold: false,
        }
    }

    /// Transactions that are open.
    pub fn open_transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Watches that are registered.
    pub fn watches(&self) -> &[(String, String)] {
        &self.watches
    }

    /// The client's domain goes on in another one, of which this knows nothing yet: an empty ring and its part of the
    /// tree.
    pub fn introduce(&mut self, tree: &[(&str, &str)]) {
        self.page.clear();
        self.requests.clear();
        self.replies.clear();
        self.watches.clear();
        self.transactions.clear();
        self.held.clear();
        self.tree = tree
            .iter()
            .map(|(path, value)| (path.to_string(), value.as_bytes().to_vec()))
            .collect();
    }

    /// Takes requests and sends replies, as far as the ring and `chunk` allow.
    pub fn step(&mut self) {
        if self.page.load_u32(XENSTORE_CONNECTION) == RECONNECT {
            for offset in [XENSTORE_REQ, XENSTORE_RSP].iter().flat_map(|q| [q.cons, q.prod]) {
                self.page.store_u32(offset, 0);
            }
            self.requests.clear();
            self.replies.clear();
            self.watches.clear();
            self.transactions.clear();
            self.page.store_u32(XENSTORE_CONNECTION, CONNECTED);
            return;
        }
        let mut budget = self.chunk;
        let (mut cons, prod) =
            (self.page.load_u32(XENSTORE_REQ.cons), self.page.load_u32(XENSTORE_REQ.prod));
        while cons != prod && budget > 0 {
            self.requests.push(self.page.load_u8(XENSTORE_REQ.data + cons as usize % 1024));
            cons = cons.wrapping_add(1);
            budget -= 1;
        }
        self.page.store_u32(XENSTORE_REQ.cons, cons);
        while let Some(header) = self.requests.first_chunk::<HEADER_LEN>().map(Header::parse) {
            let end = HEADER_LEN + header.len as usize;
            if self.requests.len() < end {
                break;
            }
            let message: Vec<u8> = self.requests.drain(..end).collect();
            self.answer(header, &message[HEADER_LEN..]);
        }
        let mut budget = self.chunk;
        let (cons, mut prod) =
            (self.page.load_u32(XENSTORE_RSP.cons), self.page.load_u32(XENSTORE_RSP.prod));
        while prod.wrapping_sub(cons) < 1024 && budget > 0 && !self.replies.is_empty() {
            self.page.store_u8(XENSTORE_RSP.data + prod as usize % 1024, self.replies.remove(0));
            prod = prod.wrapping_add(1);
            budget -= 1;
        }
        self.page.store_u32(XENSTORE_RSP.prod, prod);
    }

    /// Sends bytes that no request has asked for.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.replies.extend_from_slice(bytes);
    }

    /// A change that some other domain makes.
    pub fn change(&mut self, path: &str, value: &[u8]) {
        self.tree.insert(path.into(), value.into());
        self.fire(path);
    }

    /// Another domain removes a node and everything below it.
    pub fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        let gone = |node: &String| *node == path || node.starts_with(&below);
        let nodes: Vec<String> = self.tree.keys().filter(|node| gone(node)).cloned().collect();
        for node in nodes {
            self.tree.remove(&node);
            self.fire(&node);
        }
    }

    /// A watch event with any contents.
    pub fn send_event(&mut self, payload: &[u8]) {
        let header = Header {
            kind: Kind::WatchEvent as u32,
            req_id: 0,
            tx_id: 0,
            len: payload.len() as u32,
        };
        self.replies.extend_from_slice(&header.emit());
        self.replies.extend_from_slice(payload);
    }

    fn fire(&mut self, path: &str) {
        for (watched, token) in self.watches.clone() {
            if path == watched || path.starts_with(&format!("{watched}/")) {
                self.send_event(format!("{path}\0{token}\0").as_bytes());
            }
        }
    }

    fn answer(&mut self, request: Header, payload: &[u8]) {
        // After a test has bent the indices, even the requests can be anything.
        let served = Kind::from_raw(request.kind).ok_or("ENOSYS");
        let asked = served.unwrap_or(Kind::Error);
        let (kind, reply) = match served.and_then(|kind| self.serve(kind, request.tx_id, payload)) {
            Ok(reply) => (asked, reply),
            Err(name) => (Kind::Error, format!("{name}\0").into_bytes()),
        };
        let mut header = Header { kind: kind as u32, len: reply.len() as u32, ..request };
        let mut reply = reply;
        match self.lie {
            None | Some(Lie::Twice) => {}
            Some(Lie::Short) => {
                reply.pop();
                header.len = reply.len() as u32;
            }
            Some(Lie::Oversized) => header.len = 4097,
            Some(Lie::WrongId) => header.req_id ^= 0x8000_0000,
            Some(Lie::WrongKind) => header.kind = Kind::Release as u32,
            Some(Lie::UnknownKind) => header.kind = 999,
            Some(Lie::Garbage) => reply.iter_mut().for_each(|b| *b |= 0x80),
        }
        let message = [&header.emit()[..], &reply].concat();
        if self.hold {
            self.held.push(message);
            return;
        }
        self.replies.extend_from_slice(&message);
        if self.lie == Some(Lie::Twice) {
            self.replies.extend_from_slice(&message);
        }
        // As xenstored: the first event of a watch follows its reply.
        if kind == Kind::Watch {
            let (path, token) = self.watches.last().expect("just registered").clone();
            self.send_event(format!("{path}\0{token}\0").as_bytes());
        }
    }

    fn serve(&mut self, kind: Kind, tx: u32, payload: &[u8]) -> Result<Vec<u8>, &'static str> {
        let ok = || b"OK\0".to_vec();
        if kind == Kind::TransactionStart {
            let tx = self.next_tx;
            self.next_tx += 1;
            self.transactions.insert(tx, self.tree.clone());
            return Ok(format!("{tx}\0").into_bytes());
        }
        if kind == Kind::TransactionEnd {
            let view = self.transactions.remove(&tx).ok_or("ENOENT")?;
            if payload == b"T\0" {
                if self.conflicts > 0 {
                    self.conflicts -= 1;
                    return Err("EAGAIN");
                }
                self.tree = view;
            }
            return Ok(ok());
        }
        let end = payload.iter().position(|b| *b == 0).ok_or("EINVAL")?;
        let path = String::from_utf8(payload[..end].to_vec()).map_err(|_| "EINVAL")?;
        let rest = &payload[end + 1..];
        if !path_is_valid(&path) {
            return Err("EINVAL");
        }
        if path.starts_with("/local/domain/0") && kind != Kind::Watch {
            return Err("EACCES");
        }
        if kind == Kind::Watch || kind == Kind::Unwatch {
            let token = rest.strip_suffix(&[0]).ok_or("EINVAL")?;
            let token = String::from_utf8(token.to_vec()).map_err(|_| "EINVAL")?;
            self.watches.retain(|watch| *watch != (path.clone(), token.clone()));
            if kind == Kind::Watch {
                self.watches.push((path, token));
            }
            return Ok(ok());
        }
        let tree = match tx {
            0 => &mut self.tree,
            tx => self.transactions.get_mut(&tx).ok_or("ENOENT")?,
        };
        match kind {
            Kind::Read => tree.get(&path).cloned().ok_or("ENOENT"),
            Kind::Write => {
                tree.insert(path.clone(), rest.to_vec());
                self.fire(&path);
                Ok(ok())
            }
            Kind::Mkdir => {
                tree.entry(path).or_default();
                Ok(ok())
            }
            Kind::Rm => {
                let below = format!("{path}/");
                tree.retain(|node, _| *node != path && !node.starts_with(&below));
                Ok(ok())
            }
            Kind::Directory => {
                let below = format!("{path}/");
                let names = tree.keys().filter_map(|node| node.strip_prefix(&below));
                Ok(names.flat_map(|name| format!("{name}\0").into_bytes()).collect())
            }
            Kind::GetPerms => Ok(self.perms.get(&path).cloned().unwrap_or(b"n7\0".to_vec())),
            Kind::SetPerms => {
                self.perms.insert(path, rest.to_vec());
                Ok(ok())
            }
            _ => Err("ENOSYS"),
        }
    }
}

/// A client, its daemon and the events between them.
pub struct Rig {
    /// The client.
    pub store: Xenstore,
    /// The other end of its ring.
    pub daemon: RefCell<Daemon>,
    /// The ring as the daemon sees it, to write nonsense to.
    pub peer: SharedPage,
    /// What the client stands on.
    pub world: World,
    driver: RefCell<Pin<Box<dyn Future<Output = core::convert::Infallible>>>>,
}

impl Rig {
    /// An honest daemon, and a client that is connected to it.
    #[allow(clippy::new_without_default)] // Each is another world, and none is the default one.
    pub fn new() -> Rig {
        let world = world();
        let (page, peer) = shared_page();
        // SAFETY: the leaked page of `shared_page`, seen once more.
        let view = unsafe {
            SharedPage::new(core::ptr::NonNull::new(peer.addr() as *mut u8).unwrap(), peer.len())
        };
        let channel = world.events.alloc_unbound(DomId::DOM0).unwrap();
        let store = Xenstore::new(page, channel);
        let driver = RefCell::new(Box::pin(store.run()) as _);
        Rig { store, daemon: RefCell::new(Daemon::new(view)), peer, world, driver }
    }

    /// The rest of the world: the client's driver, the daemon, an event, the driver again.
    pub fn step(&self) {
        let _ = poll_once(&mut *self.driver.borrow_mut());
        self.daemon.borrow_mut().step();
        self.world.xen.raise(self.store.channel().port());
        self.world.events.dispatch();
        let _ = poll_once(&mut *self.driver.borrow_mut());
    }

    /// Polls `future` to its end, with a [`step`](Self::step) whenever it is not ready.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        run(future, || self.step())
    }

    /// This many steps.
    pub fn steps(&self, n: usize) {
        (0..n).for_each(|_| self.step());
    }
}
