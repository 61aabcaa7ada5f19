//! A daemon that says anything at all.

use super::{Xenstore, daemon::Rig};
use crate::{
    testing::poll_once,
    wire::{
        bytering::{FEATURE_RECONNECTION, XENSTORE_FEATURES, XENSTORE_REQ, XENSTORE_RSP},
        xenstore::Header,
    },
};
use alloc::{boxed::Box, vec::Vec};
use core::{future::Future, pin::Pin};

/// Does what `choose` says, on both sides: `choose(n)` is a number below `n`. The client may answer with any
/// error, but must not panic, loop for ever, or hand out a value of the wrong shape.
pub fn act(steps: usize, choose: &mut dyn FnMut(usize) -> usize) {
    let rig = Rig::new();
    if choose(2) == 0 {
        rig.peer.store_u32(XENSTORE_FEATURES, FEATURE_RECONNECTION);
    }
    let mut watch = rig.run(rig.store.watch("dir")).unwrap();
    let mut futures: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for _ in 0..steps {
        futures.push(Box::pin(ask(rig.store.clone(), choose(6))));
        say(&rig, choose);
        if choose(50) == 49 {
            let queue = [XENSTORE_REQ, XENSTORE_RSP][choose(2)];
            let offset = [queue.cons, queue.prod][choose(2)];
            let value = match choose(3) {
                0 => choose(1 << 32) as u32,
                _ => rig.peer.load_u32(offset).wrapping_add(choose(2100) as u32).wrapping_sub(1050),
            };
            rig.peer.store_u32(offset, value);
        }
        // The daemon here indexes its own ring honestly, or a few steps would never end.
        rig.steps(choose(4));
        futures.retain_mut(|future| poll_once(future).is_pending());
        if choose(3) == 0 && !futures.is_empty() {
            drop(futures.swap_remove(choose(futures.len())));
        }
        let _ = poll_once(&mut Box::pin(watch.next()));
    }
}

async fn ask(store: Xenstore, what: usize) {
    match what {
        0 => drop(store.read("a").await),
        1 => drop(store.directory("a").await),
        2 => drop(store.get_perms("a").await),
        3 => drop(store.transaction(async |tx| tx.write("a", "1").await).await),
        4 => drop(store.write("a", "1").await),
        _ => drop(store.watch("a").await),
    }
}

/// A message that the daemon was not asked for, and that need not be one.
fn say(rig: &Rig, choose: &mut dyn FnMut(usize) -> usize) {
    const LENGTHS: [u32; 8] = [0, 1, 4095, 4096, 4097, 0x7fff_ffff, u32::MAX - 15, u32::MAX];
    let letters = b"\0\0\0/at1dir\xff";
    let bytes: Vec<u8> = (0..choose(24)).map(|_| letters[choose(letters.len())]).collect();
    let header = Header {
        kind: choose(24) as u32,
        req_id: choose(80) as u32,
        tx_id: 0,
        len: if choose(40) == 39 { LENGTHS[choose(LENGTHS.len())] } else { bytes.len() as u32 },
    };
    let mut daemon = rig.daemon.borrow_mut();
    daemon.chunk = 1 + choose(2000);
    daemon.send_raw(&header.emit());
    daemon.send_raw(&bytes);
}

#[cfg(test)]
mod tests {
    use crate::testing::Random;

    #[test]
    fn random_daemon_cannot_panic_the_client() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            super::act(60, &mut |below| random.below(below));
        }
    }
}
