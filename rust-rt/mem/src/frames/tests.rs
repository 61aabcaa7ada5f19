//! The allocator against lists of pages.

use alloc::vec::Vec;

use super::*;
use crate::fake::{Ram, Rng};

/// An allocator over all of `ram`.
fn frames(ram: &Ram) -> FrameAllocator {
    // SAFETY: the tests keep the RAM longer than the allocator, and touch it through nothing else.
    unsafe { FrameAllocator::new(&[ram.range()], 0).unwrap() }
}

#[test]
fn no_range_gives_out_of_memory() {
    // SAFETY: there is no memory in these ranges.
    let new = |ranges: &[Range<usize>]| unsafe { FrameAllocator::new(ranges, 0).map(|_| ()) };
    assert_eq!(new(&[]), Err(OutOfMemory));
    assert_eq!(new(&[0x5000..0x5000, 0x7001..0x8fff]), Err(OutOfMemory));
}

#[test]
fn tables_take_little_and_page_zero_is_left_out() {
    let (words, nodes) = RunTree::needs((64 << 30) / PAGE_SIZE);
    assert!(3 * words * 8 + nodes * size_of::<Runs>() <= 10 << 20);
    let ram = Ram::new(1024);
    assert_eq!(frames(&ram).stats().total, 1023);
}

#[test]
fn tables_go_to_the_lowest_range_with_room_and_holes_stay_used() {
    let ram = Ram::new(128);
    let ranges = [ram.page(100)..ram.page(120), ram.page(0)..ram.page(1), ram.page(2)..ram.page(9)];
    // SAFETY: as in `frames`.
    let mut frames = unsafe { FrameAllocator::new(&ranges, 0).unwrap() };
    let stats = frames.stats();
    assert_eq!((stats.total, stats.free, stats.largest_run), (27, 27, 20));
    assert_eq!(frames.alloc(1, 1), Ok(Frame(ram.page(0))));
    assert_eq!(frames.alloc(1, 1), Ok(Frame(ram.page(3))));
    assert_eq!(frames.alloc(7, 1), Ok(Frame(ram.page(100))));
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_ranges_are_refused() {
    let ram = Ram::new(64);
    // SAFETY: as in `frames`.
    let _ = unsafe { FrameAllocator::new(&[ram.range(), ram.page(60)..ram.page(64)], 0) };
}

#[test]
fn aligned_run_is_found_behind_an_unaligned_one() {
    let ram = Ram::new(256);
    let mut frames = frames(&ram);
    let frame = frames.alloc(4, 64).unwrap();
    assert_eq!(frame, Frame(ram.page(64)));
    assert_eq!(frames.alloc(1, 1), Ok(Frame(ram.page(1 + RESERVE))));
    assert_eq!(frames.alloc(4, 256), Err(OutOfMemory));
}

#[test]
#[should_panic(expected = "freed twice")]
fn double_free_is_refused() {
    let ram = Ram::new(64);
    let mut frames = frames(&ram);
    let frame = frames.alloc(2, 1).unwrap();
    // SAFETY: the second of these is what is tested.
    unsafe {
        frames.free(frame, 2);
        frames.free(frame, 1);
    }
}

#[test]
fn first_failure_opens_the_reserve_and_freeing_closes_it() {
    let ram = Ram::new(101);
    let mut frames = frames(&ram);
    let most = frames.alloc(100 - RESERVE, 1).unwrap();
    assert_eq!(frames.alloc(1, 1), Err(OutOfMemory));
    let last = frames.alloc(RESERVE, 1).unwrap();
    assert_eq!(frames.alloc(1, 1), Err(OutOfMemory));
    assert_eq!(frames.stats().free, 0);
    // SAFETY: all of it is ours.
    unsafe { frames.free(most, 2 * RESERVE - 1) };
    assert_eq!(frames.stats().largest_run, 2 * RESERVE - 1);
    // SAFETY: as above.
    unsafe { frames.free(last, RESERVE) };
    assert_eq!(frames.stats().free, 3 * RESERVE - 1);
    assert!(frames.stats().largest_run < 2 * RESERVE);
}

#[test]
fn a_refusal_is_remembered_until_there_is_enough_again() {
    let ram = Ram::new(401);
    let mut frames = frames(&ram);
    let (half, rest) = (frames.alloc(200, 1).unwrap(), frames.alloc(150, 1).unwrap());
    assert_eq!(frames.stats().refused, 0);
    assert_eq!(frames.alloc(120, 1), Err(OutOfMemory));
    assert_eq!(frames.stats().refused, 120);
    // Less than that makes no difference.
    assert!(frames.alloc(1, 1).is_ok());
    assert_eq!(frames.stats().refused, 120);
    assert_eq!(frames.check(500), Err(OutOfMemory));
    assert_eq!(frames.stats().refused, 500);
    assert_eq!(frames.alloc_loose(140), Err(OutOfMemory));
    // SAFETY: all of it is ours.
    unsafe { frames.free(rest, 150) };
    assert_eq!(frames.stats().refused, 0);
    // SAFETY: as above.
    unsafe { frames.free(half, 200) };
}

#[test]
fn what_is_kept_is_for_requests_that_cannot_be_refused() {
    let ram = Ram::new(401);
    let mut frames = frames(&ram);
    frames.keep(100);
    assert_eq!(frames.stats().kept, 100);
    let most = frames.alloc(300, 1).unwrap();
    // Large requests end at the floor, however they are made, and leave nothing changed but the reserve.
    assert_eq!(frames.alloc(SMALL + 1, 1), Err(OutOfMemory));
    assert_eq!(frames.check(RESERVE + 1), Err(OutOfMemory));
    assert_eq!(frames.alloc_loose(RESERVE + 1), Err(OutOfMemory));
    assert_eq!(frames.stats().free, 100);
    // Small ones go on for a while.
    let mut small = 0;
    while frames.alloc(1, 1).is_ok() {
        small += 1;
    }
    assert_eq!(small, 75 + RESERVE);
    frames.set_urgent(true);
    let rest = frames.stats().free;
    for _ in 0..rest {
        assert!(frames.alloc_loose(1).is_ok());
    }
    assert_eq!(frames.alloc(1, 1), Err(OutOfMemory));
    frames.set_urgent(false);
    // SAFETY: all of it is ours.
    unsafe { frames.free(most, 300) };
    assert!(frames.alloc_loose(150).is_ok());
}

/// The reserve may be what is left: it counts for those who cannot be refused.
#[test]
fn urgent_requests_have_the_reserve_as_well() {
    let ram = Ram::new(101);
    let mut frames = frames(&ram);
    frames.keep(2 * RESERVE);
    frames.set_urgent(true);
    for _ in 0..100 {
        assert!(frames.alloc(1, 1).is_ok());
    }
    assert_eq!(frames.stats().free, 0);
}

#[test]
fn block_grows_shrinks_and_is_freed_by_its_address() {
    let ram = Ram::new(256);
    let mut frames = frames(&ram);
    let free = frames.stats().free;
    let block = frames.alloc_block(10, 1).unwrap();
    let next = frames.alloc(1, 1).unwrap();
    assert_eq!(frames.block_len(block), Some(10));
    assert_eq!(frames.block_len(Frame(block.0 + PAGE_SIZE)), None);
    assert_eq!(frames.block_len(next), None);
    // SAFETY: all of it is ours, and not in use.
    unsafe {
        assert!(!frames.resize_block(block, 11));
        assert!(frames.resize_block(block, 4));
        assert_eq!(frames.block_len(block), Some(4));
        assert!(frames.resize_block(block, 9));
        assert_eq!(frames.stats().free, free - 10);
        frames.free_block(block);
        frames.free(next, 1);
    }
    assert_eq!(frames.stats().free, free);
    assert_eq!(frames.stats().peak_used, 11);
}

#[test]
fn random_runs_never_overlap_and_all_come_back() {
    let pages = if cfg!(miri) { 200 } else { 2000 };
    let ram = Ram::new(pages);
    let mut frames = frames(&ram);
    let total = frames.stats().total;
    let mut owned = Vec::new();
    let mut owner = alloc::vec![0usize; pages];
    let mut rng = Rng::new(7);
    for id in 1..if cfg!(miri) { 200 } else { 20_000 } {
        if rng.below(5) < 3 {
            let n = 1 + rng.below(20);
            let align = 1 << rng.below(4);
            if let Ok(frame) = frames.alloc(n, align) {
                assert_eq!(frame.0 % (align * PAGE_SIZE), 0);
                let first = (frame.0 - ram.page(0)) / PAGE_SIZE;
                assert!(owner[first..first + n].iter().all(|&o| o == 0), "overlap");
                owner[first..first + n].fill(id);
                owned.push((first, n));
            }
        } else if !owned.is_empty() {
            let (first, n) = owned.swap_remove(rng.below(owned.len()));
            // Sometimes only a part: the rest is freed later.
            let part = 1 + rng.below(n);
            owner[first..first + part].fill(0);
            if part < n {
                owned.push((first + part, n - part));
            }
            // SAFETY: allocated above, and in use by nobody.
            unsafe { frames.free(Frame(ram.page(first)), part) };
        }
        let used = owner.iter().filter(|&&o| o != 0).count();
        assert_eq!(frames.stats().free, total - used);
    }
    for (first, n) in owned {
        // SAFETY: as above.
        unsafe { frames.free(Frame(ram.page(first)), n) };
    }
    assert_eq!(frames.stats().free, total);
    assert_eq!(frames.alloc(total, 1), Err(OutOfMemory));
    assert_eq!(frames.alloc(total, 1), Ok(Frame(ram.page(1))));
}

#[test]
fn what_is_withdrawn_lies_high_in_one_unit_and_can_be_supplied_again() {
    let ram = Ram::new(256);
    let mut frames = frames(&ram);
    frames.keep(40);
    let low = frames.alloc(30, 1).unwrap();
    let before = frames.stats();
    // `Ram` begins at a multiple of 64 pages.
    let taken: Vec<_> = core::iter::from_fn(|| frames.withdraw(100, 8, 64)).take(20).collect();
    let lengths: Vec<_> = taken.iter().map(|(_, n)| *n).collect();
    assert_eq!(lengths.iter().sum::<usize>(), before.free - 48);
    assert_eq!(&lengths[..2], [64, 64]);
    assert_eq!(taken[0].0, Frame(ram.page(192)));
    for (frame, n) in &taken {
        let (first, last) = (frame.0 / PAGE_SIZE, frame.0 / PAGE_SIZE + n - 1);
        assert_eq!(first / 64, last / 64);
    }
    let now = frames.stats();
    assert_eq!((now.free, now.total), (48, before.total - (before.free - 48)));
    assert_eq!(now.peak_used, before.peak_used);
    // SAFETY: they were withdrawn, and are what `ram` has.
    taken.iter().for_each(|(frame, n)| unsafe { frames.supply(*frame, *n) });
    assert_eq!(frames.stats(), before);
    // SAFETY: all of it is ours.
    unsafe { frames.free(low, 30) };
}

#[test]
fn memory_beyond_the_ranges_can_be_supplied_as_far_as_the_reach() {
    let ram = Ram::new(256);
    let first = ram.page(0)..ram.page(100);
    let ranges = core::slice::from_ref(&first);
    // SAFETY: as in `frames`.
    let mut frames = unsafe { FrameAllocator::new(ranges, ram.page(256)).unwrap() };
    let before = frames.stats();
    assert_eq!(before.total, 99);
    assert_eq!(frames.alloc(120, 1), Err(OutOfMemory));
    // SAFETY: RAM that was left to it.
    unsafe { frames.supply(Frame(ram.page(100)), 156) };
    assert_eq!((frames.stats().total, frames.stats().free), (255, before.free + 156));
    assert!(frames.alloc(200, 1).is_ok());
}
