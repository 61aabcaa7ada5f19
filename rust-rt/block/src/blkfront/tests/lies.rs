//! A backend that lies costs the device, never the domain.

use super::*;
use backend::{entry, page};

/// Does what `choose` says, on both sides, lies included: `choose(n)` is a number below `n`. A fuzzer
/// can call it with bytes of its own.
pub fn act(steps: usize, mut choose: impl FnMut(usize) -> usize) {
    let persistent = choose(4) == 0;
    let features = Features { persistent, ..FEATURES };
    let mut rig = Rig::new(INFO, features);
    let mut running: Vec<Running<()>> = Vec::new();
    let mut asked: Vec<Asked> = Vec::new();
    for _ in 0..steps {
        match choose(16) {
            0..=2 if running.len() < 40 => {
                let disk = rig.disk.clone();
                let (offset, len) = (choose(2000) * 512, (1 + choose(40)) * 512);
                let op = choose(5);
                let mut future: Running<()> = Box::pin(async move {
                    // Whether it works is the backend's affair.
                    let _ = match op {
                        0 => disk.read_at(offset as u64, &mut vec![0; len]).await,
                        1 => disk.write_at(offset as u64, &vec![1; len]).await,
                        2 => disk.flush().await,
                        3 => disk.zero(offset as u64, len as u64).await,
                        _ => disk.discard(offset as u64, len as u64, false).await,
                    };
                });
                if poll_once(&mut future).is_pending() {
                    running.push(future);
                }
            }
            3 if !running.is_empty() => drop(running.swap_remove(choose(running.len()))),
            4 | 5 => rig.device.turn(),
            6 | 7 => {
                if rig.device.info().state == State::Up {
                    asked.extend(rig.backend.take());
                }
            }
            8 if !asked.is_empty() => {
                let one = asked.swap_remove(choose(asked.len()));
                rig.backend.perform(&one);
                rig.backend.answer(&one, status::OKAY);
            }
            9 if !asked.is_empty() => {
                let one = asked.swap_remove(choose(asked.len()));
                rig.backend.answer(&one, choose(9) as i16 - 4);
            }
            10 => {
                rig.backend.lied = true;
                let index = rig.backend.answered.wrapping_add(choose(70) as u32);
                rig.backend.ring.store_u32(8, index.wrapping_sub(30));
            }
            11 => {
                rig.backend.lied = true;
                let response = Response {
                    id: choose(1 << 20) as u64,
                    operation: choose(9) as u8,
                    status: choose(5) as i16 - 2,
                };
                rig.backend.write(response);
                rig.backend.publish();
            }
            12 => {
                // A page stays mapped, or not.
                if let Some((table, at)) = entry(rig.xen, GrantRef(8 + choose(200) as u32)) {
                    let flags = table.load_u16(at);
                    if flags & 3 == 1 {
                        table.store_u16(at, flags ^ 8);
                    }
                }
            }
            13 => rig.device.on_event(),
            14 => rig.device.resize(choose(3000) as u64),
            _ => {
                if rig.device.info().state != State::Up {
                    unmap(&rig);
                    rig.device.inner.borrow_mut().fault = None;
                    rig.device.end(choose(2) == 0);
                    rig.device.retry();
                    assert!(!rig.device.is_stuck());
                    rig.reconnect(INFO, features);
                    asked.clear();
                }
            }
        }
        running.retain_mut(|future| poll_once(future).is_pending());
    }
    // An honest backend, and everything ends.
    rig.device.stop();
    unmap(&rig);
    rig.device.end(true);
    rig.device.retry();
    rig.device.inner.borrow_mut().fault = None;
    rig.reconnect(INFO, features);
    for _ in 0..2000 {
        rig.backend.serve();
        rig.device.turn();
        running.retain_mut(|future| poll_once(future).is_pending());
        if running.is_empty() {
            break;
        }
    }
    assert!(running.is_empty(), "{} requests never ended", running.len());
    rig.assert_quiet();
}

/// The backend lets go of everything.
fn unmap(rig: &Rig) {
    for gref in 8..2048 {
        if let Some((table, at)) = entry(rig.xen, GrantRef(gref)) {
            table.store_u16(at, table.load_u16(at) & !8);
        }
    }
}

#[test]
fn any_sequence_of_lies() {
    let runs = if cfg!(miri) { 2 } else { 150 };
    for seed in 1..=runs {
        let mut random = Random::new(seed);
        std::println!("seed {seed}");
        act(300, |below| random.below(below));
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
