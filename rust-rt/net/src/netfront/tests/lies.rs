//! Anything at all, on both sides, in any order.

use super::*;

/// Does what `choose` says, on both sides, lies included: `choose(n)` is a number below `n`. A fuzzer
/// can choose as well. What must hold whatever happens is asserted here and in the device.
fn drive(steps: usize, choose: &mut dyn FnMut(usize) -> usize) {
    let limits = Limits { receive_pages: 64 + choose(300), send_pages: 16 + choose(64) };
    let mut rig = Rig::new(Offload { untrusted: choose(8) == 0, ..ALL }, limits);
    let payload = pattern(70_000, 1);
    let (mut held, mut kept) = (Vec::new(), alloc::collections::BTreeSet::new());
    for _ in 0..steps {
        match choose(16) {
            0..=2 => {
                let (len, pieces) = (choose(60_000), 1 + choose(24));
                let start = choose(4096);
                let piece = (len / pieces).max(1);
                let parts: Vec<&[u8]> = payload[start..start + len].chunks(piece).collect();
                let gso = if len > 1400 { 1448 } else { 0 };
                if let Ok(Some(id)) = rig.send(&head(54 + choose(100)), &parts, gso) {
                    assert!(kept.insert(id), "a number is in use twice");
                }
            }
            3..=5 => rig.device.flush(),
            6 | 7 => {
                let (_, frames) = rig.receive();
                frames.iter().for_each(|frame| assert!(rig.bytes(frame).len() == frame.len));
                held.extend(frames.into_iter().filter(|f| matches!(f.place, Place::Lent(_))));
            }
            8 => held.truncate(choose(held.len() + 1)),
            9 => {
                let gso = (choose(2) == 0).then_some((1 + choose(2) as u8, 1448));
                rig.backend.send(&payload[..14 + choose(65_000)], choose(4) as u16, gso);
            }
            10 => {
                if let Some(sent) = rig.backend.take() {
                    rig.backend.answer(&sent, choose(4) as i16 - 2);
                }
            }
            // From here on it lies: slots, identifiers, indices, the whole page.
            11 => {
                rig.backend.lied = true;
                for _ in 0..choose(5) {
                    let page = rig.backend.take_page();
                    let id = page.map_or(0, |(id, _)| id) ^ (choose(16) / 15 * 3) as u16;
                    let (offset, flags) = (choose(5000) as u16, choose(64) as u16);
                    let status = choose(4200) as i16 - 10;
                    rig.backend.write_rx(rx_response(id, offset, flags, status));
                }
                if rig.backend.posted() < 1 << 31 {
                    rig.backend.publish_rx();
                }
            }
            12 if choose(8) == 0 => {
                rig.backend.lied = true;
                rig.backend.write_tx(choose(300) as u16, choose(5) as i16 - 2);
                rig.backend.publish_tx();
            }
            13 if choose(8) == 0 => {
                rig.backend.lied = true;
                let ring = if choose(2) == 0 { &rig.backend.tx } else { &rig.backend.rx };
                let value = ring.load_u32(8).wrapping_add(choose(600) as u32).wrapping_sub(20);
                ring.store_u32([4, 8, 12][choose(3)], value);
            }
            14 if choose(4) == 0 => {
                rig.backend.lied = true;
                let ring = if choose(2) == 0 { &rig.backend.tx } else { &rig.backend.rx };
                ring.store_u32(64 + 4 * choose(1008), choose(1 << 32) as u32);
            }
            _ => rig.device.on_event(choose(2) == 0, choose(2) == 0),
        }
        while let Some(id) = rig.device.completed() {
            assert!(kept.remove(&id), "completed what was not sent");
        }
        if rig.device.info().link == Link::Down {
            rig.device.end();
            while let Some(id) = rig.device.completed() {
                assert!(kept.remove(&id), "completed what was not sent");
            }
            assert!(kept.is_empty(), "payload was lost");
            assert_eq!(rig.grants.stats().used, 0, "a grant was left behind");
            rig.connect(ALL);
        }
    }
    drop(held);
    rig.device.stop();
    rig.device.end();
    assert_eq!((rig.grants.stats().used, rig.grants.stats().leaked), (0, 0));
}

#[test]
fn no_lie_costs_more_than_the_device() {
    // RUNS=100000 for a night of it.
    let asked = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs = asked.unwrap_or(if cfg!(miri) { 2 } else { 500 });
    for seed in 1..=runs {
        let mut random = Random::new(seed);
        drive(60, &mut |limit| random.below(limit));
    }
}
