//! Bytes that go and come, and what the backend sees of it.

use super::*;
use crate::{Fragment, Io, Op};
use core::{cell::Cell, ptr::NonNull};

#[test]
fn what_was_written_is_read_again() {
    for (sector_size, persistent, untrusted) in
        [(512, false, false), (512, true, false), (512, false, true), (4096, false, false)]
    {
        let info = Info { sector_size, ..INFO };
        let mut rig = Rig::new(info, Features { persistent, untrusted, ..FEATURES });
        let mut random = Random::new(7);
        let mut model = vec![0; DISK];
        for round in 0..200 {
            let unit = sector_size as usize;
            let len = (1 + random.below(300_000 / unit)) * unit;
            let offset = random.below((DISK - len) / unit) * unit;
            if random.below(3) > 0 {
                let data = pattern(len, round);
                model[offset..offset + len].copy_from_slice(&data);
                let disk = rig.disk.clone();
                assert_eq!(rig.run(disk.write_at(offset as u64, &data)), Ok(()));
            } else {
                let mut out = vec![0; len - 17];
                let disk = rig.disk.clone();
                assert_eq!(rig.run(disk.read_at(offset as u64 + 5, &mut out)), Ok(()));
                assert!(out == model[offset + 5..offset + len - 12], "round {round}");
            }
        }
        assert!(rig.backend.disk == model);
        rig.assert_quiet();
    }
}

#[test]
fn aligned_buffers_are_not_copied() {
    let mut rig = Rig::honest();
    let mut buffer = Buffer::new(5120).unwrap();
    buffer.copy_from_slice(&pattern(5120, 3));
    let disk = rig.disk.clone();
    let buffer = rig.run(disk.write(4096, buffer)).unwrap();
    assert_eq!(rig.backend.disk[4096..9216], buffer[..]);
    let back = rig.run(disk.read(4096, Buffer::new(5120).unwrap())).unwrap();
    assert_eq!(back[..], buffer[..]);
    assert_eq!(rig.device.counters().copied, 0);
    assert_eq!(rig.backend.log, [(1, 8, 2), (0, 8, 2)]);
    rig.assert_quiet();
}

#[test]
fn persistent_pages_are_granted_once() {
    let mut rig = Rig::new(INFO, Features { persistent: true, ..FEATURES });
    let before = rig.grants.stats().used;
    for round in 0..50 {
        let disk = rig.disk.clone();
        rig.run(disk.write_at(0, &pattern(8192, round))).unwrap();
    }
    assert_eq!(rig.grants.stats().used, before + 2, "the same two pages each time");
    rig.assert_quiet();
}

/// Hands a request over with memory of any alignment.
fn submit(rig: &Rig, op: Op, sector: u64, memory: &mut [u8], pieces: &[(usize, usize)]) {
    let base = NonNull::from(&mut *memory).cast::<u8>();
    let fragment = |&(at, len): &(usize, usize)| {
        assert!(at + len <= memory.len());
        // SAFETY: inside the slice, as just checked.
        Fragment { addr: unsafe { base.add(at) }, len, alone: false }
    };
    let memory: Vec<Fragment> = pieces.iter().map(fragment).collect();
    let sectors = pieces.iter().map(|piece| piece.1 / SECTOR).sum::<usize>() as u64;
    let done = Box::new(|result, _| assert_eq!(result, Ok(())));
    // SAFETY: the tests serve the request before they look at the memory again, and keep it so long.
    unsafe { rig.device.submit(Io { op, sector, sectors, memory, buffer: None, done }) };
}

#[test]
fn only_whole_pages_of_a_strangers_memory_are_shown() {
    let mut rig = Rig::honest();
    let mut memory = Buffer::new(5 * 4096).unwrap();
    memory.copy_from_slice(&pattern(5 * 4096, 9));
    // From the middle of a page on: up to its end a copy, three pages as they are, and a copy.
    submit(&rig, Op::Write, 0, &mut memory, &[(1024, 4 * 4096)]);
    rig.device.turn();
    let asked = rig.asked();
    let sectors: Vec<_> = asked[0].segments.iter().map(|s| (s.first, s.last)).collect();
    assert_eq!(sectors, [(0, 5), (0, 7), (0, 7), (0, 7), (0, 1)]);
    assert_eq!(rig.backend.perform(&asked[0]), status::OKAY);
    rig.backend.answer(&asked[0], status::OKAY);
    rig.device.turn();
    assert_eq!(rig.backend.disk[..4 * 4096], memory[1024..1024 + 4 * 4096]);
    assert_eq!(rig.device.counters().copied, 4096);
    rig.assert_quiet();
}

#[test]
fn memory_of_any_alignment_and_in_pieces() {
    let mut random = Random::new(11);
    for round in 0..200 {
        let mut rig = Rig::honest();
        let mut memory = Buffer::new(40 * 4096).unwrap();
        let (mut at, mut pieces) = (random.below(5000), Vec::new());
        while pieces.len() < 8 {
            let len = (1 + random.below(30)) * SECTOR;
            if at + len > memory.len() {
                break;
            }
            pieces.push((at, len));
            at += len + [0, 1, 512, 700][random.below(4)];
        }
        memory.copy_from_slice(&pattern(40 * 4096, round));
        let bytes = |memory: &[u8]| -> Vec<u8> {
            pieces.iter().flat_map(|&(at, len)| memory[at..at + len].to_vec()).collect()
        };
        let written = bytes(&memory);
        submit(&rig, Op::Write, 3, &mut memory, &pieces);
        rig.device.turn();
        rig.backend.serve();
        rig.device.turn();
        assert_eq!(rig.backend.disk[3 * SECTOR..][..written.len()], written[..]);
        memory.fill(0);
        submit(&rig, Op::Read, 3, &mut memory, &pieces);
        rig.device.turn();
        rig.backend.serve();
        rig.device.turn();
        assert_eq!(bytes(&memory), written, "round {round}");
        assert_eq!(memory.iter().filter(|byte| **byte != 0).count(), {
            written.iter().filter(|byte| **byte != 0).count()
        });
        rig.assert_quiet();
    }
}

#[test]
fn neighbours_become_one_request() {
    let mut rig = Rig::honest();
    let disk = rig.disk.clone();
    let mut writes: Vec<_> = (0..6u64)
        .map(|n| {
            let disk = disk.clone();
            let offset = if n < 4 { n * 512 } else { 100 * 512 + n * 512 };
            let mut future: Running<_> =
                Box::pin(async move { disk.write_at(offset, &pattern(512, n)).await });
            assert!(poll_once(&mut future).is_pending());
            future
        })
        .collect();
    rig.device.turn();
    let asked = rig.asked();
    let seen: Vec<_> = asked.iter().map(|a| (a.sector, a.segments.len())).collect();
    assert_eq!(seen, [(0, 4), (104, 2)]);
    for asked in &asked {
        assert_eq!(rig.backend.perform(asked), status::OKAY);
        rig.backend.answer(asked, status::OKAY);
    }
    rig.device.turn();
    writes.iter_mut().for_each(|write| assert_eq!(poll_once(write), Poll::Ready(Ok(()))));
    assert_eq!(rig.backend.disk[1024..1536], pattern(512, 2));
    assert_eq!(rig.device.counters().notifications, 1);
}

#[test]
fn large_requests_are_indirect_as_far_as_the_backend_takes_them() {
    for (segments, requests) in [(11, 24), (64, 4), (256, 1), (600, 1)] {
        let mut rig = Rig::new(INFO, Features { segments, ..FEATURES });
        rig.backend.segments_max = segments;
        let data = pattern(DISK, 5);
        let disk = rig.disk.clone();
        let mut buffer = Buffer::new(DISK).unwrap();
        buffer.copy_from_slice(&data);
        rig.run(disk.write(0, buffer)).unwrap();
        assert!(rig.backend.disk == data);
        assert_eq!(rig.device.counters().requests, requests);
        rig.assert_quiet();
    }
}

#[test]
fn requests_of_more_than_one_page_of_segments() {
    let pages = 1400;
    let features = Features { segments: 4096, ..FEATURES };
    let sectors = (pages * 8) as u64;
    let mut rig = Rig::new(Info { sectors, ..INFO }, features);
    rig.backend.segments_max = 4096;
    rig.backend.disk = vec![0; pages * 4096];
    rig.xen.set_max_frames(32);
    let mut buffer = Buffer::new(pages * 4096).unwrap();
    buffer.copy_from_slice(&pattern(pages * 4096, 5));
    let disk = rig.disk.clone();
    let buffer = rig.run(disk.write(0, buffer)).unwrap();
    assert!(rig.backend.disk == buffer[..]);
    assert_eq!(rig.backend.log, [(1, 0, pages)]);
    rig.assert_quiet();
}

#[test]
fn ring_of_several_pages_takes_more_requests() {
    let World { xen, events, .. } = world();
    xen.set_max_frames(8);
    let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
    for (pages, depth, expected) in [(1, 512, 32), (2, 512, 64), (4, 100, 100), (16, 512, 512)] {
        let device = Rc::new(Blkfront::new("xvda".into(), Options::default(), grants));
        let features = Features { depth, ..FEATURES };
        let mut backend = connect(&device, xen, events, INFO, features, pages, DISK);
        let disk = Disk::new(device.clone());
        let mut reads: Vec<Running<_>> = (0..700u64)
            .map(|n| -> Running<_> {
                let disk = disk.clone();
                Box::pin(async move { disk.read_at(n * 1024, &mut [0; 512]).await })
            })
            .collect();
        reads.iter_mut().for_each(|read| assert!(poll_once(read).is_pending()));
        device.turn();
        let asked: Vec<Asked> = core::iter::from_fn(|| backend.take()).collect();
        // Pages to copy to are no limit: buffers are granted as they are.
        assert_eq!(asked.len(), expected, "{pages} pages");
        for asked in asked {
            let status = backend.perform(&asked);
            backend.answer(&asked, status);
        }
        for _ in 0..100 {
            device.turn();
            backend.serve();
        }
        reads.iter_mut().for_each(|read| assert_eq!(poll_once(read), Poll::Ready(Ok(()))));
        device.stop();
        device.end(true);
        assert_eq!(grants.stats().used, 0);
    }
}

#[test]
fn zeros_and_discards() {
    for persistent in [false, true] {
        let mut rig = Rig::new(INFO, Features { persistent, ..FEATURES });
        rig.backend.disk.fill(7);
        let disk = rig.disk.clone();
        rig.run(disk.zero(1024, 300_000 / 512 * 512)).unwrap();
        let end = 1024 + 300_000 / 512 * 512;
        assert!(rig.backend.disk[1024..end].iter().all(|byte| *byte == 0));
        assert!(rig.backend.disk[..1024].iter().all(|byte| *byte == 7));
        assert!(rig.backend.disk[end..].iter().all(|byte| *byte == 7));
        let disk = rig.disk.clone();
        let mut discard = rig.start(async move { disk.discard(512, 1 << 19, true).await });
        let asked = rig.asked();
        assert_eq!((asked[0].sector, asked[0].sectors, asked[0].secure), (1, 1024, true));
        assert_eq!(rig.backend.perform(&asked[0]), status::OKAY);
        rig.backend.answer(&asked[0], status::OKAY);
        rig.device.turn();
        assert_eq!(poll_once(&mut discard), Poll::Ready(Ok(())));
        assert!(rig.backend.disk[512..512 + (1 << 19)].iter().all(|byte| *byte == 0xdd));
        rig.assert_quiet();
    }
}

#[test]
fn dropped_futures_leave_their_memory_to_the_backend() {
    let mut rig = Rig::honest();
    let read = rig.read(0, 8192);
    let write = rig.write(8192, pattern(4096, 4));
    drop((read, write));
    // The backend still writes to the one and reads from the other.
    rig.backend.serve();
    rig.device.turn();
    assert_eq!(rig.backend.disk[8192..12288], pattern(4096, 4));
    rig.assert_quiet();
}

#[test]
fn requests_may_be_handed_over_from_the_end_of_another() {
    let rig = Rig::honest();
    let count = Rc::new(Cell::new(0));
    fn again(device: Rc<Blkfront>, count: Rc<Cell<u32>>) {
        if count.get() == 100 {
            return;
        }
        count.set(count.get() + 1);
        let next = (device.clone(), count.clone());
        let io = Io {
            op: Op::Zero,
            sector: 0,
            sectors: if count.get() % 3 == 0 { 1 << 40 } else { 1 },
            memory: vec![],
            buffer: None,
            done: Box::new(move |_, _| again(next.0, next.1)),
        };
        // SAFETY: no memory.
        unsafe { device.submit(io) };
    }
    again(rig.device.clone(), count.clone());
    let mut backend = rig.backend;
    for _ in 0..200 {
        rig.device.turn();
        backend.serve();
    }
    assert_eq!(count.get(), 100);
}
