//! Two clients and one daemon, each of whom can lie.

use crate::{
    ring::bytes::{Consumer, Producer},
    shared::SharedPage,
    testing::{Random, poll_once},
    wire::{
        bytering::{FEATURE_RECONNECTION, XENSTORE_FEATURES, XENSTORE_REQ, XENSTORE_RSP},
        xenstore::{HEADER_LEN, Header, Kind},
    },
    xenstore::{
        Error,
        daemon::{Lie, Rig},
    },
};
use alloc::{boxed::Box, collections::VecDeque, format, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use mirust_mem::PAGE_SIZE;

/// A message as the second client gets it.
type Message = (Kind, u32, Vec<u8>);

/// The second client: honest, one message after the other.
struct Client<'a> {
    rig: &'a Rig,
    page: SharedPage,
    requests: Producer,
    replies: Consumer,
    bells: Arc<AtomicUsize>,
    incoming: Vec<u8>,
    events: VecDeque<Vec<u8>>,
    next: u32,
}

impl<'a> Client<'a> {
    fn new(rig: &'a Rig) -> Client<'a> {
        let bells = Arc::new(AtomicUsize::new(0));
        let rung = bells.clone();
        let base = rig.store.relay(move || {
            rung.fetch_add(1, Ordering::Relaxed);
        });
        let base = base.unwrap();
        // SAFETY: the page is valid for ever, and only accessed like this.
        let page = unsafe { SharedPage::new(base, PAGE_SIZE) };
        Client {
            rig,
            requests: Producer::attach(&page, XENSTORE_REQ),
            replies: Consumer::attach(&page, XENSTORE_RSP),
            page,
            bells,
            incoming: Vec::new(),
            events: VecDeque::new(),
            next: 1,
        }
    }

    fn send_raw(&mut self, mut bytes: &[u8]) {
        for _ in 0..100_000 {
            let sent = self.requests.push(&self.page, bytes).unwrap();
            bytes = &bytes[sent..];
            self.rig.store.relay_notified();
            if bytes.is_empty() {
                return;
            }
            self.rig.step();
        }
        panic!("nobody takes the request");
    }

    fn send(&mut self, kind: u32, tx_id: u32, payload: &[u8]) -> u32 {
        let req_id = self.next;
        self.next += 1;
        let header = Header { kind, req_id, tx_id, len: payload.len() as u32 };
        self.send_raw(&[&header.emit(), payload].concat());
        req_id
    }

    fn receive(&mut self) -> Option<Message> {
        let mut bytes = [0; 64];
        loop {
            let n = self.replies.pull(&self.page, &mut bytes).unwrap();
            self.rig.store.relay_notified();
            self.incoming.extend_from_slice(&bytes[..n]);
            if let Some(header) = self.incoming.first_chunk::<HEADER_LEN>().map(Header::parse) {
                let end = HEADER_LEN + header.len as usize;
                if self.incoming.len() >= end {
                    let message: Vec<u8> = self.incoming.drain(..end).collect();
                    let kind = Kind::from_raw(header.kind).unwrap();
                    return Some((kind, header.req_id, message[HEADER_LEN..].to_vec()));
                }
            }
            if n == 0 {
                return None;
            }
        }
    }

    /// The reply to a request; events that come before it are kept.
    fn reply(&mut self, req_id: u32) -> Result<Vec<u8>, Vec<u8>> {
        for _ in 0..100_000 {
            match self.receive() {
                None => self.rig.step(),
                Some((Kind::WatchEvent, 0, event)) => self.events.push_back(event),
                Some((kind, id, payload)) => {
                    assert_eq!(id, req_id);
                    return if kind == Kind::Error { Err(payload) } else { Ok(payload) };
                }
            }
        }
        panic!("no reply");
    }

    fn ask(&mut self, kind: Kind, tx_id: u32, payload: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let req_id = self.send(kind as u32, tx_id, payload);
        self.reply(req_id)
    }

    /// All events until nothing more comes.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        for _ in 0..50 {
            self.rig.step();
            while let Some((kind, _, payload)) = self.receive() {
                assert_eq!(kind, Kind::WatchEvent);
                self.events.push_back(payload);
            }
        }
        self.events.drain(..).collect()
    }
}

#[test]
fn both_read_what_either_wrote() {
    let rig = Rig::new();
    let mut client = Client::new(&rig);
    assert_eq!(client.ask(Kind::Write, 0, b"data/x\x0042"), Ok(b"OK\0".to_vec()));
    assert_eq!(rig.run(rig.store.read("data/x")), Ok(b"42".to_vec()));
    rig.run(rig.store.write("data/y", "7")).unwrap();
    assert_eq!(client.ask(Kind::Read, 0, b"data/y\0"), Ok(b"7".to_vec()));
    assert_eq!(client.ask(Kind::Read, 0, b"none\0"), Err(b"ENOENT\0".to_vec()));
    assert!(client.bells.load(Ordering::Relaxed) > 0);
    assert_eq!(rig.store.oddities(), 0);
}

#[test]
fn both_under_load_through_a_ring_that_cuts_messages() {
    let rig = Rig::new();
    rig.daemon.borrow_mut().chunk = 13;
    let mut client = Client::new(&rig);
    let mut random = Random::new(12);
    for round in 0..40 {
        let (ours, theirs) = (random.below(900), random.below(4000));
        let value: Vec<u8> = (0..ours).map(|i| (i + round) as u8).collect();
        let other: Vec<u8> = (0..theirs).map(|i| (i * 3 + round) as u8).collect();
        let mut write = Box::pin(rig.store.write("ours", &value));
        assert!(poll_once(&mut write).is_pending());
        let req_id = client.send(Kind::Write as u32, 0, &[b"theirs\0", &other[..]].concat());
        assert_eq!(client.reply(req_id), Ok(b"OK\0".to_vec()));
        rig.run(write).unwrap();
        assert_eq!(rig.run(rig.store.read("ours")), Ok(value));
        assert_eq!(client.ask(Kind::Read, 0, b"theirs\0"), Ok(other));
    }
    assert_eq!(rig.store.oddities(), 0);
}

#[test]
fn events_go_to_whose_watch_it_is_though_the_tokens_are_alike() {
    let rig = Rig::new();
    let mut client = Client::new(&rig);
    let mut watch = rig.run(rig.store.watch("a")).unwrap();
    // Our tokens are numbers from one on.
    assert_eq!(client.ask(Kind::Watch, 0, b"a\x001\0"), Ok(b"OK\0".to_vec()));
    assert_eq!(client.drain(), [b"a\x001\0".to_vec()], "the first one comes at once");
    assert_eq!(rig.run(watch.next()), Ok("a".into()));
    rig.daemon.borrow_mut().change("a/b", b"");
    assert_eq!(client.drain(), [b"a/b\x001\0".to_vec()]);
    assert_eq!(rig.run(watch.next()), Ok("a/b".into()));
    assert!(rig.store.relay_watches("a") && !rig.store.relay_watches("a/b"));
    assert_eq!(client.ask(Kind::Unwatch, 0, b"a\x001\0"), Ok(b"OK\0".to_vec()));
    rig.daemon.borrow_mut().change("a", b"");
    assert_eq!(client.drain(), Vec::<Vec<u8>>::new());
    assert_eq!(rig.run(watch.next()), Ok("a".into()));
    assert!(!rig.store.relay_watches("a"));
}

#[test]
fn a_transaction_is_whose_it_is() {
    let rig = Rig::new();
    let mut client = Client::new(&rig);
    let ours = rig.run(rig.store.begin()).unwrap();
    let id = client.ask(Kind::TransactionStart, 0, b"\0").unwrap();
    assert_eq!(id, b"2\0", "the daemon counts");
    for not_his in [1, 3, u32::MAX] {
        for kind in [Kind::Write, Kind::TransactionEnd, Kind::Read] {
            assert_eq!(client.ask(kind, not_his, b"T\0"), Err(b"ENOENT\0".to_vec()));
        }
    }
    assert_eq!(client.ask(Kind::Write, 2, b"theirs\x001"), Ok(b"OK\0".to_vec()));
    assert_eq!(client.ask(Kind::TransactionEnd, 2, b"T\0"), Ok(b"OK\0".to_vec()));
    assert_eq!(client.ask(Kind::TransactionEnd, 2, b"T\0"), Err(b"ENOENT\0".to_vec()));
    assert_eq!(rig.run(rig.store.read("theirs")), Ok(b"1".to_vec()));
    rig.run(ours.commit()).unwrap();
}

#[test]
fn reset_watches_is_about_his_own() {
    let rig = Rig::new();
    let mut client = Client::new(&rig);
    let _ours = rig.run(rig.store.watch("a")).unwrap();
    client.ask(Kind::Watch, 0, b"a\0t\0").unwrap();
    client.ask(Kind::Watch, 0, b"b\0t\0").unwrap();
    client.ask(Kind::TransactionStart, 0, b"\0").unwrap();
    assert_eq!(rig.daemon.borrow().watches().len(), 3);
    client.drain();
    assert_eq!(client.ask(Kind::ResetWatches, 0, b"\0"), Ok(b"OK\0".to_vec()));
    client.drain();
    assert_eq!(rig.daemon.borrow().watches().len(), 1);
    assert_eq!(rig.daemon.borrow().open_transactions(), 0);
}

#[test]
fn nonsense_gets_an_error_and_nothing_else_suffers() {
    let rig = Rig::new();
    let mut client = Client::new(&rig);
    for (kind, payload, name) in [
        (999, &b"a\0"[..], "ENOSYS"),
        (Kind::WatchEvent as u32, b"a\0b\0", "ENOSYS"),
        (Kind::Error as u32, b"EINVAL\0", "ENOSYS"),
        (Kind::Watch as u32, b"", "EINVAL"),
        (Kind::Watch as u32, b"a\0", "EINVAL"),
        (Kind::Watch as u32, b"a\0b\0c\0", "EINVAL"),
        (Kind::Unwatch as u32, b"\0\0", "EINVAL"),
        (Kind::Read as u32, b"a//b\0", "EINVAL"),
        (Kind::Read as u32, b"", "EINVAL"),
    ] {
        let req_id = client.send(kind, 0, payload);
        assert_eq!(client.reply(req_id), Err(format!("{name}\0").into_bytes()), "{payload:?}");
    }
    let long = [&b"a\0"[..], &[b't'; 4093], b"\0"].concat();
    assert_eq!(client.ask(Kind::Watch, 0, &long), Err(b"E2BIG\0".to_vec()));
    rig.run(rig.store.write("x", "1")).unwrap();
}

#[test]
fn a_ring_that_lies_ends_the_relay_and_what_it_had() {
    let oversized = Header { kind: 2, req_id: 1, tx_id: 0, len: 4097 }.emit();
    let lies: [&dyn Fn(&mut Client); 4] = [
        &|client| client.page.store_u32(XENSTORE_REQ.prod, 5000),
        &|client| client.page.store_u32(XENSTORE_REQ.prod, u32::MAX),
        &|client| client.page.store_u32(XENSTORE_RSP.cons, 77),
        &|client| client.send_raw(&oversized),
    ];
    for (i, lie) in lies.iter().enumerate() {
        let rig = Rig::new();
        let mut client = Client::new(&rig);
        let mut watch = rig.run(rig.store.watch("w")).unwrap();
        client.ask(Kind::Watch, 0, b"w\0t\0").unwrap();
        client.ask(Kind::TransactionStart, 0, b"\0").unwrap();
        client.drain();
        lie(&mut client);
        rig.store.relay_notified();
        // Something for him, so that also the ring of replies is looked at.
        rig.daemon.borrow_mut().change("w", b"1");
        rig.steps(5);
        assert_eq!(rig.run(rig.store.read("w")), Ok(b"1".to_vec()), "lie {i}");
        assert_eq!(rig.run(watch.next()), Ok("w".into()));
        if i != 2 {
            assert_eq!(rig.daemon.borrow().watches().len(), 1, "lie {i}");
            assert_eq!(rig.daemon.borrow().open_transactions(), 0, "lie {i}");
        }
        // Anew, he is served again.
        let mut client = Client::new(&rig);
        rig.steps(5);
        assert_eq!(rig.daemon.borrow().watches().len(), 1, "lie {i}");
        assert_eq!(client.ask(Kind::Read, 0, b"w\0"), Ok(b"1".to_vec()));
    }
}

#[test]
fn who_never_reads_is_not_kept_for_without_bound() {
    let rig = Rig::new();
    let mut client = Client::new(&rig);
    rig.run(rig.store.write("big", [7; 3000])).unwrap();
    client.ask(Kind::Watch, 0, b"big\0t\0").unwrap();
    client.drain();
    // More requests than he may have under way, none of whose replies he takes.
    let read = [&Header { kind: 2, req_id: 9, tx_id: 0, len: 4 }.emit()[..], b"big\0"].concat();
    let mut sent = 0;
    for _ in 0..1000 {
        if client.requests.unread(&client.page).unwrap() + read.len() <= 1024 {
            client.requests.push(&client.page, &read).unwrap();
            sent += 1;
        }
        rig.daemon.borrow_mut().change(&format!("big/{sent}"), b"");
        rig.store.relay_notified();
        rig.step();
    }
    assert!(sent < 32 + 32 + 1024 / read.len(), "{sent} requests were taken");
    assert_eq!(rig.run(rig.store.read("big")).unwrap().len(), 3000);
    // And when he reads at last, he has it all.
    let (mut replies, mut events) = (0, 0);
    for _ in 0..5000 {
        match client.receive() {
            Some((Kind::Read, 9, payload)) if payload.len() == 3000 => replies += 1,
            Some((Kind::WatchEvent, ..)) => events += 1,
            Some(other) => panic!("{other:?}"),
            None => rig.step(),
        }
    }
    assert_eq!(replies, sent);
    assert!(events >= 1);
}

#[test]
fn a_lying_daemon_fails_his_requests_as_it_does_ours() {
    for lie in [Lie::Short, Lie::WrongKind, Lie::UnknownKind, Lie::Garbage] {
        let rig = Rig::new();
        let mut client = Client::new(&rig);
        rig.daemon.borrow_mut().lie = Some(lie);
        let id = client.ask(Kind::TransactionStart, 0, b"\0");
        assert_eq!(id, Err(b"EIO\0".to_vec()), "{lie:?}");
        rig.daemon.borrow_mut().lie = None;
        client.ask(Kind::Write, 0, b"x\x001").unwrap();
        assert!(rig.store.oddities() > 0);
    }
}

#[test]
fn a_connection_that_comes_back_has_his_watches() {
    let rig = Rig::new();
    rig.peer.store_u32(XENSTORE_FEATURES, FEATURE_RECONNECTION);
    let mut client = Client::new(&rig);
    client.ask(Kind::Watch, 0, b"w\0t\0").unwrap();
    let id = client.ask(Kind::TransactionStart, 0, b"\0").unwrap();
    client.drain();
    let req_id = client.send(Kind::Read as u32, 0, b"w\0");
    rig.store.reset().unwrap();
    assert_eq!(client.reply(req_id), Err(b"EIO\0".to_vec()));
    assert_eq!(client.drain(), [b"w\0t\0".to_vec()], "a watch that is new tells at once");
    assert_eq!(id, b"1\0");
    assert_eq!(client.ask(Kind::Read, 1, b"w\0"), Err(b"ENOENT\0".to_vec()));
    rig.daemon.borrow_mut().change("w", b"2");
    assert_eq!(client.drain(), [b"w\0t\0".to_vec()]);
}

#[test]
fn a_client_that_begins_anew_gets_nothing_of_the_old_one() {
    let rig = Rig::new();
    let mut client = Client::new(&rig);
    client.ask(Kind::Watch, 0, b"w\0t\0").unwrap();
    client.send(Kind::Read as u32, 0, b"w\0");
    client.send(Kind::TransactionStart as u32, 0, b"\0");
    let mut anew = Client::new(&rig);
    assert_eq!(anew.drain(), Vec::<Vec<u8>>::new());
    assert_eq!(rig.daemon.borrow().watches().len(), 0);
    assert_eq!(rig.daemon.borrow().open_transactions(), 0);
    assert_eq!(rig.run(rig.store.read("w")), Err(Error::NotFound));
}

#[test]
fn arbitrary_bytes_and_indices_hurt_nobody_else() {
    let mut random = Random::new(77);
    for _ in 0..300 {
        let rig = Rig::new();
        let mut client = Client::new(&rig);
        for _ in 0..20 {
            let bytes: Vec<u8> = (0..random.below(200))
                .map(|_| b"\0\0\0\0\x01\x02\x04\x06\x0b\x10a/r1"[random.below(14)])
                .collect();
            let _ = client.requests.push(&client.page, &bytes);
            if random.below(20) == 0 {
                let queue = [XENSTORE_REQ, XENSTORE_RSP][random.below(2)];
                let offset = [queue.prod, queue.cons][random.below(2)];
                client.page.store_u32(offset, random.bits() as u32);
            }
            rig.store.relay_notified();
            rig.step();
        }
        rig.run(rig.store.write("x", "1")).unwrap();
        assert_eq!(rig.run(rig.store.read("x")), Ok(b"1".to_vec()));
    }
}
