//! Anything at all, on both sides, in any order.

use super::{backend::*, rig::*, *};
use crate::{Link, Place};
use alloc::vec::Vec;

/// A number below `limit`, and every other time one at the edge of something: nothing, a header, a page.
fn edge(choose: &mut dyn FnMut(usize) -> usize, limit: usize) -> usize {
    const EDGES: [usize; 10] = [0, 1, 13, 14, 15, 2048, 4095, 4096, 4097, usize::MAX];
    match choose(2) {
        0 => choose(limit),
        _ => EDGES[choose(EDGES.len())].min(limit - 1),
    }
}

/// Does what `choose` says, on both sides, lies included: `choose(n)` is a number below `n`. A fuzzer
/// can choose as well. What must hold whatever happens is asserted here and in the device.
pub fn drive(steps: usize, choose: &mut dyn FnMut(usize) -> usize) {
    let trusting = choose(2) == 0;
    let limits = Limits { receive_pages: 64 + choose(300), send_pages: 16 + choose(64), trusting };
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
                    let (offset, flags) = (edge(choose, 5000) as u16, choose(64) as u16);
                    // Up to the page's end, and a byte to either side of it.
                    let to_the_end = (4095 + choose(3)).saturating_sub(usize::from(offset));
                    let len = if choose(3) == 2 { to_the_end } else { edge(choose, 4200) };
                    let status = len as i16 - 10 * (choose(8) / 7) as i16;
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

#[cfg(test)]
mod tests {
    use super::drive;
    use mirust_xen::testing::Random;
    use std::string::ToString;

    /// Runs in one process: each leaves its world behind, a megabyte or so.
    const BATCH: u64 = 1000;

    #[test]
    fn no_lie_costs_more_than_the_device() {
        // RUNS=10000000 for a night of it, SEED=n to begin there.
        let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
        let first = number("SEED").unwrap_or(1);
        let runs = number("RUNS").unwrap_or(if cfg!(miri) { 2 } else { 200 });
        if runs <= BATCH {
            for seed in first..first + runs {
                let mut random = Random::new(seed);
                drive(60, &mut |limit| random.below(limit));
            }
            return;
        }
        for seed in (first..first + runs).step_by(BATCH as usize) {
            let program = std::env::current_exe().unwrap();
            let status = std::process::Command::new(program)
                .args([
                    "--exact",
                    "netfront::lies::tests::no_lie_costs_more_than_the_device",
                    "--quiet",
                ])
                .env("SEED", seed.to_string())
                .env("RUNS", BATCH.min(first + runs - seed).to_string())
                .status();
            assert!(status.unwrap().success(), "one of the {BATCH} seeds from {seed} on");
        }
    }
}
