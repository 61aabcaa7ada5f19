//! A backend that lies costs the device, never the domain.

use super::{
    backend::{Asked, entry},
    rig::*,
    *,
};
use alloc::{boxed::Box, vec};
use mirust_xen::{
    testing::poll_once,
    wire::{GrantRef, blkif::*},
};

/// Does what `choose` says, on both sides, lies included: `choose(n)` is a number below `n`. A fuzzer
/// can call it with bytes of its own.
pub fn act(steps: usize, choose: &mut dyn FnMut(usize) -> usize) {
    let persistent = choose(4) == 0;
    let features = Features { persistent, ..FEATURES };
    let mut rig = Rig::new(INFO, features);
    let mut running: Vec<Running<()>> = Vec::new();
    let mut asked: Vec<Asked> = Vec::new();
    for _ in 0..steps {
        match choose(16) {
            0..=2 if running.len() < 40 => {
                let disk = rig.disk.clone();
                let (sector, sectors) = (choose(2000), 1 + choose(40));
                // Every fourth time at the disk's end, or across it.
                let sector = if choose(4) == 3 { DISK / 512 - choose(3) } else { sector };
                let (offset, len) = (sector * 512, sectors * 512);
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
                const EDGES: [u32; 5] = [0, 31, 32, 33, u32::MAX];
                let ahead = if choose(2) == 0 {
                    choose(70) as u32
                } else {
                    EDGES[choose(5)].wrapping_add(30)
                };
                let index = rig.backend.answered.wrapping_add(ahead);
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
pub(super) fn unmap(rig: &Rig) {
    for gref in 8..2048 {
        if let Some((table, at)) = entry(rig.xen, GrantRef(gref)) {
            table.store_u16(at, table.load_u16(at) & !8);
        }
    }
}
