//! A backend that lies costs the device, never the domain.

use super::*;
use crate::blkfront::{
    backend::{entry, page},
    lies::{act, unmap},
};

#[test]
fn any_sequence_of_lies() {
    let runs = if cfg!(miri) { 2 } else { 60 };
    for seed in 1..=runs {
        let mut random = Random::new(seed);
        std::println!("seed {seed}");
        act(300, &mut |below| random.below(below));
    }
}

#[test]
fn each_lie_ends_the_connection_and_another_can_be_made() {
    type Lie = fn(&mut Rig, &Asked);
    let lies: &[Lie] = &[
        // More answers than requests.
        |rig, _| rig.backend.ring.store_u32(8, 2),
        |rig, _| rig.backend.ring.store_u32(8, u32::MAX),
        // An answer to nothing.
        |rig, asked| {
            let id = asked.id ^ 1;
            rig.backend.write(Response { id, operation: asked.slot_operation, status: 0 });
            rig.backend.publish();
        },
        |rig, asked| {
            let id = asked.id ^ 1 << 40;
            rig.backend.write(Response { id, operation: asked.slot_operation, status: 0 });
            rig.backend.publish();
        },
        // An answer to something else.
        |rig, asked| {
            rig.backend.write(Response { id: asked.id, operation: 3, status: 0 });
            rig.backend.publish();
        },
        // An answer that comes again when its slot is in use by another request.
        |rig, asked| {
            let again = Response { id: asked.id, operation: asked.slot_operation, status: 0 };
            rig.backend.answer(asked, status::OKAY);
            rig.device.turn();
            let other = rig.read(4096, 512);
            core::mem::forget(other);
            rig.backend.take().unwrap();
            rig.backend.write(again);
            rig.backend.publish();
        },
    ];
    for (n, lie) in lies.iter().enumerate() {
        let mut rig = Rig::honest();
        let mut write = rig.write(0, pattern(512, 1));
        let asked = rig.asked();
        lie(&mut rig, &asked[0]);
        rig.device.turn();
        assert_eq!((rig.device.info().state, rig.device.counters().lies), (State::Down, 1), "{n}");
        rig.device.end(false);
        assert_eq!(rig.grants.stats().used, 0);
        rig.device.inner.borrow_mut().fault = None;
        rig.reconnect(INFO, FEATURES);
        rig.backend.serve();
        rig.device.turn();
        assert_eq!(poll_once(&mut write), Poll::Ready(Ok(())), "lie {n}");
    }
}

#[test]
fn notifications_about_nothing_end_in_a_disconnection() {
    let mut rig = Rig::honest();
    for _ in 0..3 {
        for _ in 0..STORM {
            rig.device.on_event();
        }
        let disk = rig.disk.clone();
        rig.run(disk.read_at(0, &mut [0; 512])).unwrap();
    }
    assert_eq!(rig.device.info().state, State::Up);
    for _ in 0..=STORM {
        rig.device.on_event();
    }
    assert_eq!((rig.device.info().state, rig.device.counters().lies), (State::Down, 1));
}

#[test]
fn memory_that_the_backend_still_maps_is_not_given_back() {
    let mut rig = Rig::honest();
    let mut read = rig.read(0, 4096);
    let asked = rig.asked();
    let gref = asked[0].segments[0].gref;
    rig.backend.perform(&asked[0]);
    assert!(page(rig.xen, gref, true).is_some());
    let (table, at) = entry(rig.xen, gref).unwrap();
    table.store_u16(at, table.load_u16(at) | 8);
    rig.backend.answer(&asked[0], status::OKAY);
    rig.device.turn();
    assert!(poll_once(&mut read).is_pending(), "the backend could still write to it");
    assert!(rig.device.is_stuck());
    table.store_u16(at, table.load_u16(at) & !8);
    rig.device.turn();
    assert!(poll_once(&mut read).is_ready());
    rig.assert_quiet();
}

#[test]
fn backend_that_never_lets_go_costs_the_same_memory_however_often_it_comes_back() {
    for persistent in [false, true] {
        let mut rig = Rig::new(INFO, Features { persistent, ..FEATURES });
        let disk = rig.disk.clone();
        rig.run(disk.write_at(0, &pattern(65536, 1))).unwrap();
        for gref in 8..2048 {
            if let Some((table, at)) = entry(rig.xen, GrantRef(gref)) {
                let flags = table.load_u16(at);
                table.store_u16(at, if flags & 3 == 1 { flags | 8 } else { flags });
            }
        }
        rig.device.stop();
        rig.device.end(false);
        let used = rig.grants.stats().used;
        assert!(
            used > 0 && rig.device.is_stuck(),
            "no other connection is made until they are free"
        );
        rig.device.retry();
        assert_eq!(rig.grants.stats().used, used);
        unmap(&rig);
        rig.device.retry();
        assert!(!rig.device.is_stuck());
        assert_eq!((rig.grants.stats().used, rig.grants.stats().leaked), (0, 0));
    }
}
