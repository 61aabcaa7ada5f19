//! The client against a daemon that answers late, in pieces, in another order, or falsely.

use super::{
    daemon::{Lie, Rig},
    *,
};
use crate::{
    testing::poll_once,
    wire::{
        bytering::{FEATURE_RECONNECTION, XENSTORE_FEATURES, XENSTORE_REQ, XENSTORE_RSP},
        xenstore::Access,
    },
};
use alloc::{boxed::Box, vec};
use core::cell::RefCell;

#[test]
fn write_is_read_back() {
    let rig = Rig::new();
    rig.run(async {
        rig.store.write("data/x", "42").await.unwrap();
        assert_eq!(rig.store.read("data/x").await.unwrap(), b"42");
        assert_eq!(rig.store.read_parsed::<u16>("data/x").await, Ok(42));
        assert_eq!(rig.store.directory("data").await.unwrap(), ["x"]);
        rig.store.mkdir("data/y").await.unwrap();
        assert_eq!(rig.store.read("data/y").await.unwrap(), b"");
        rig.store.rm("data").await.unwrap();
        assert_eq!(rig.store.read("data/x").await, Err(Error::NotFound));
        let perms = vec![
            Perm { domid: DomId(7), access: Access::None },
            Perm { domid: DomId(0), access: Access::Read },
        ];
        rig.store.set_perms("data", &perms).await.unwrap();
        assert_eq!(rig.store.get_perms("data").await.unwrap(), perms);
    });
    assert_eq!(rig.store.oddities(), 0);
}

#[test]
fn errors_have_their_names() {
    let rig = Rig::new();
    rig.run(async {
        assert_eq!(rig.store.read("nothing").await, Err(Error::NotFound));
        assert_eq!(rig.store.read("/local/domain/0/secret").await, Err(Error::Denied));
        assert_eq!(rig.store.read("a//b").await, Err(Error::BadPath));
        assert_eq!(rig.store.write("a", vec![0; 4096]).await, Err(Error::TooBig));
        rig.store.write("a", "no number").await.unwrap();
        assert_eq!(rig.store.read_parsed::<u16>("a").await, Err(Error::BadValue));
        rig.store.write("a", [0xff]).await.unwrap();
        assert_eq!(rig.store.read_text("a").await, Err(Error::BadValue));
    });
    assert_eq!(Error::named("EFOO"), Error::Refused("EFOO".into()));
}

#[test]
fn messages_larger_than_the_ring_pass_in_pieces() {
    let rig = Rig::new();
    rig.daemon.borrow_mut().chunk = 7;
    let value: Vec<u8> = (0..4000).map(|i| i as u8).collect();
    rig.run(async {
        rig.store.write("big", &value).await.unwrap();
        assert_eq!(rig.store.read("big").await.unwrap(), value);
    });
}

#[test]
fn replies_in_any_order_reach_their_requests() {
    let rig = Rig::new();
    rig.run(async {
        for i in 0..8 {
            rig.store.write(&format!("n/{i}"), format!("{i}")).await.unwrap();
        }
    });
    rig.daemon.borrow_mut().hold = true;
    let paths: Vec<String> = (0..8).map(|i| format!("n/{i}")).collect();
    let mut reads: Vec<_> = paths.iter().map(|path| Box::pin(rig.store.read(path))).collect();
    assert!(reads.iter_mut().all(|read| poll_once(read).is_pending()));
    rig.step();
    {
        let mut daemon = rig.daemon.borrow_mut();
        let held = core::mem::take(&mut daemon.held);
        assert_eq!(held.len(), 8);
        held.iter().rev().for_each(|message| daemon.send_raw(message));
    }
    for (i, read) in reads.into_iter().enumerate() {
        assert_eq!(rig.run(read).unwrap(), format!("{i}").as_bytes());
    }
}

#[test]
fn transaction_commits_or_leaves_nothing() {
    let rig = Rig::new();
    rig.run(async {
        rig.store.write("n", "1").await.unwrap();
        let old = rig
            .store
            .transaction(async |tx| {
                let n: u32 = tx.read_parsed("n").await?;
                tx.write("n", format!("{}", n + 1)).await?;
                assert_eq!(rig.store.read("n").await?, b"1", "not visible outside");
                Ok(n)
            })
            .await;
        assert_eq!(old, Ok(1));
        assert_eq!(rig.store.read("n").await.unwrap(), b"2");
        let failed = rig
            .store
            .transaction(async |tx| {
                tx.write("n", "9").await?;
                tx.read("nothing").await.map(drop)
            })
            .await;
        assert_eq!(failed, Err(Error::NotFound));
        assert_eq!(rig.store.read("n").await.unwrap(), b"2");
    });
    rig.steps(2);
    assert_eq!(rig.daemon.borrow().open_transactions(), 0);
}

#[test]
fn conflicting_transaction_is_repeated_and_gives_up_in_the_end() {
    let rig = Rig::new();
    let attempts = RefCell::new(0);
    let body = async |tx: &Xenstore| {
        *attempts.borrow_mut() += 1;
        tx.write("n", "1").await
    };
    rig.daemon.borrow_mut().conflicts = 3;
    assert_eq!(rig.run(rig.store.transaction(body)), Ok(()));
    assert_eq!(*attempts.borrow(), 4);
    rig.daemon.borrow_mut().conflicts = u32::MAX;
    assert_eq!(rig.run(rig.store.transaction(body)), Err(Error::Again));
    assert_eq!(*attempts.borrow(), 4 + 32);
}

#[test]
fn transaction_dropped_at_any_point_is_aborted() {
    for steps in 0..4 {
        let rig = Rig::new();
        let mut begin = Box::pin(rig.store.begin());
        assert!(poll_once(&mut begin).is_pending());
        rig.steps(steps);
        if let core::task::Poll::Ready(transaction) = poll_once(&mut begin) {
            assert!(transaction.is_ok());
        }
        drop(begin);
        rig.steps(4);
        assert_eq!(rig.daemon.borrow().open_transactions(), 0, "after {steps} steps");
        assert_eq!(rig.store.oddities(), 0);
    }
}

#[test]
fn watch_fires_at_once_and_on_changes_below() {
    let rig = Rig::new();
    rig.run(async {
        let mut watch = rig.store.watch("dir").await.unwrap();
        assert_eq!(watch.next().await.unwrap(), "dir");
        rig.daemon.borrow_mut().change("dir/a", b"1");
        rig.daemon.borrow_mut().change("other", b"1");
        rig.daemon.borrow_mut().change("dir", b"1");
        assert_eq!(watch.next().await.unwrap(), "dir/a");
        assert_eq!(watch.next().await.unwrap(), "dir");
    });
    rig.steps(2);
    assert!(rig.daemon.borrow().watches().is_empty(), "dropped watches are ended");
}

#[test]
fn flood_of_events_is_bounded_and_tells_that_something_changed() {
    let rig = Rig::new();
    let mut watch = rig.run(rig.store.watch("dir")).unwrap();
    for i in 0..10_000 {
        rig.daemon.borrow_mut().change(&format!("dir/{i}"), b"");
    }
    rig.daemon.borrow_mut().chunk = usize::MAX;
    rig.steps(2_000);
    let mut events = Vec::new();
    while let core::task::Poll::Ready(event) = poll_once(&mut Box::pin(watch.next())) {
        events.push(event.unwrap());
    }
    assert!(events.len() <= 64);
    assert_eq!(events[0], "dir");
}

#[test]
fn equal_events_are_told_once() {
    let rig = Rig::new();
    let mut watch = rig.run(rig.store.watch("dir")).unwrap();
    rig.run(watch.next()).unwrap();
    for _ in 0..5 {
        rig.daemon.borrow_mut().change("dir/a", b"");
    }
    rig.steps(5);
    assert_eq!(rig.run(watch.next()).unwrap(), "dir/a");
    assert!(poll_once(&mut Box::pin(watch.next())).is_pending());
}

#[test]
fn refused_watch_leaves_nothing_behind() {
    let rig = Rig::new();
    rig.daemon.borrow_mut().lie = Some(Lie::WrongKind);
    assert_eq!(rig.run(rig.store.watch("dir")).unwrap_err(), Error::Malformed);
}

#[test]
fn events_without_a_watch_or_sense_are_ignored() {
    let rig = Rig::new();
    for payload in [&b"/a\0"[..], b"", b"\xff\0\xff\0", b"/a\0nonsense\0", b"/a\x0099\0"] {
        rig.daemon.borrow_mut().send_event(payload);
    }
    assert_eq!(rig.run(rig.store.read("nothing")), Err(Error::NotFound));
    assert_eq!(rig.store.oddities(), 3, "the last two may be late");
}

#[test]
fn lies_become_errors_and_the_next_call_works() {
    for lie in [Lie::Short, Lie::WrongKind, Lie::UnknownKind, Lie::Garbage] {
        let rig = Rig::new();
        rig.daemon.borrow_mut().lie = Some(lie);
        assert_eq!(rig.run(rig.store.write("a", "1")), Err(Error::Malformed), "{lie:?}");
        assert_eq!(rig.run(rig.store.begin()).unwrap_err(), Error::Malformed, "{lie:?}");
        assert_eq!(rig.run(rig.store.get_perms("a")), Err(Error::Malformed), "{lie:?}");
        rig.daemon.borrow_mut().lie = None;
        assert_eq!(rig.run(rig.store.read("a")).unwrap(), b"1");
    }
}

#[test]
fn reply_to_nobody_is_counted_and_the_caller_waits_on() {
    let rig = Rig::new();
    rig.daemon.borrow_mut().lie = Some(Lie::WrongId);
    let mut read = Box::pin(rig.store.read("a"));
    assert!(poll_once(&mut read).is_pending());
    rig.steps(3);
    assert!(poll_once(&mut read).is_pending());
    assert_eq!(rig.store.oddities(), 1);
    rig.daemon.borrow_mut().lie = Some(Lie::Twice);
    assert_eq!(rig.run(rig.store.read("a")), Err(Error::NotFound));
    rig.steps(1);
    assert_eq!(rig.store.oddities(), 2);
}

#[test]
fn silence_can_be_abandoned_and_a_late_reply_is_no_oddity() {
    let rig = Rig::new();
    rig.daemon.borrow_mut().hold = true;
    let mut read = Box::pin(rig.store.read("a"));
    assert!(poll_once(&mut read).is_pending());
    rig.step();
    drop(read);
    {
        let mut daemon = rig.daemon.borrow_mut();
        daemon.hold = false;
        let held = core::mem::take(&mut daemon.held);
        held.iter().for_each(|message| daemon.send_raw(message));
    }
    assert_eq!(rig.run(rig.store.write("a", "1")), Ok(()));
    assert_eq!(rig.store.oddities(), 0);
}

#[test]
fn impossible_indices_break_everyone_who_waits() {
    for (offset, value) in [(XENSTORE_RSP.prod, 1025), (XENSTORE_REQ.cons, 0x8000_0000)] {
        let rig = Rig::new();
        rig.daemon.borrow_mut().hold = true;
        let mut reads: Vec<_> = (0..3).map(|_| Box::pin(rig.store.read("a"))).collect();
        assert!(reads.iter_mut().all(|read| poll_once(read).is_pending()));
        rig.step();
        rig.peer.store_u32(offset, value);
        for read in reads {
            assert_eq!(rig.run(read), Err(Error::Broken));
        }
        assert_eq!(rig.run(rig.store.read("a")), Err(Error::Broken), "and stays so");
        assert_eq!(rig.run(rig.store.watch("a")).unwrap_err(), Error::Broken);
    }
}

#[test]
fn oversized_message_breaks_the_connection() {
    let rig = Rig::new();
    rig.daemon.borrow_mut().lie = Some(Lie::Oversized);
    assert_eq!(rig.run(rig.store.read("a")), Err(Error::Broken));
}

#[test]
fn broken_ring_is_reset_and_watches_come_back() {
    let rig = Rig::new();
    rig.peer.store_u32(XENSTORE_FEATURES, FEATURE_RECONNECTION);
    let mut watch = rig.run(rig.store.watch("dir")).unwrap();
    assert_eq!(rig.run(watch.next()), Ok("dir".into()));
    rig.daemon.borrow_mut().lie = Some(Lie::Oversized);
    assert_eq!(rig.run(rig.store.read("a")), Err(Error::Broken));
    rig.daemon.borrow_mut().lie = None;
    assert_eq!(rig.run(watch.next()), Err(Error::Broken));
    rig.steps(3);
    assert_eq!(rig.run(rig.store.write("dir/a", "1")), Ok(()));
    assert_eq!(rig.run(watch.next()), Ok("dir".into()), "registered again");
    assert_eq!(rig.run(watch.next()), Ok("dir/a".into()));
}

#[test]
fn reset_fails_calls_under_way_and_nothing_after() {
    let rig = Rig::new();
    rig.peer.store_u32(XENSTORE_FEATURES, FEATURE_RECONNECTION);
    let mut read = Box::pin(rig.store.read("a"));
    assert!(poll_once(&mut read).is_pending());
    assert_eq!(rig.store.reset(), Ok(()));
    assert_eq!(rig.run(read), Err(Error::Broken));
    rig.steps(4);
    assert_eq!(rig.run(rig.store.write("a", "1")), Ok(()));
    assert_eq!(rig.run(rig.store.read("a")).unwrap(), b"1");
}

#[test]
fn reset_that_the_daemon_does_not_offer_changes_nothing() {
    let rig = Rig::new();
    assert_eq!(rig.store.reset(), Err(Error::Unavailable));
    assert_eq!(rig.run(rig.store.write("a", "1")), Ok(()));
}

#[test]
fn path_is_checked_before_anything_is_sent() {
    let rig = Rig::new();
    for path in ["", "a/", "a//b", "a b", "a\0b"] {
        assert_eq!(rig.run(rig.store.read(path)), Err(Error::BadPath));
        assert_eq!(rig.run(rig.store.watch(path)).unwrap_err(), Error::BadPath);
    }
    assert_eq!(rig.peer.load_u32(XENSTORE_REQ.prod), 0);
}
