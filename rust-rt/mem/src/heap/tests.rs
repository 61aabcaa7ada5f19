//! The heap as a value, over RAM that belongs to the test.
//!
//! Miri needs `MIRIFLAGS="-Zmiri-disable-stacked-borrows -Zmiri-ignore-leaks"` for these: `dlmalloc`
//! points into itself, which Stacked Borrows does not allow, and the RAM is never given back.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::*;
use crate::fake::{self, Ram, Rng};
use crate::page::OutOfMemory;
use crate::paging::{PageTables, Prot, VirtPage};
use crate::vm::{self, MapError};

/// For an address space in which nothing is mapped.
struct NoTables;

// SAFETY: nothing is ever mapped.
unsafe impl PageTables for NoTables {
    fn map(&mut self, _page: VirtPage, _frame: Frame, _prot: Prot) -> Result<(), OutOfMemory> {
        Err(OutOfMemory)
    }

    fn unmap(&mut self, _page: VirtPage) -> Option<Frame> {
        None
    }

    fn protect(&mut self, _page: VirtPage, _prot: Prot) -> bool {
        false
    }
}

/// A heap over `pages` pages. Both live for ever: they are small, and the heap points into itself.
fn heap(pages: usize) -> &'static mut RawHeap {
    let ram = Box::leak(Box::new(Ram::new(pages)));
    let frames = Box::leak(Box::new(Frames::new()));
    // SAFETY: the RAM lives for ever, and belongs to these frames alone.
    unsafe { frames.init(&[ram.range()], 0).unwrap() };
    Box::leak(Box::new(RawHeap::new(frames)))
}

fn free_pages(heap: &RawHeap) -> usize {
    heap.frames.with(|frames| frames.stats().free).unwrap()
}

#[test]
fn usable_size_of_small_blocks_is_what_may_be_written() {
    let heap = heap(256);
    for size in (0..300).chain([1000, 4088, 4096, 100_000, LARGE - 1]) {
        let block = heap.alloc(size, MIN_ALIGN).unwrap();
        let next = heap.alloc(1, MIN_ALIGN).unwrap();
        // SAFETY: both blocks are allocated; the pattern fills the first to its end.
        unsafe {
            let usable = heap.usable_size(block);
            assert!((size..=size.max(24) + 32).contains(&usable), "{size}: {usable}");
            next.write(77);
            block.write_bytes(0xFF, usable);
            assert_eq!(next.read(), 77);
            heap.free(next);
            heap.free(block);
        }
    }
    assert_eq!((heap.stats().in_use, heap.stats().blocks), (0, 0));
}

#[test]
fn large_block_is_a_run_of_pages_and_returns_to_the_frames() {
    let heap = heap(256);
    let free = free_pages(heap);
    let block = heap.alloc(LARGE + 1, MIN_ALIGN).unwrap();
    assert_eq!(block.as_ptr().addr() % PAGE_SIZE, 0);
    assert_eq!(free_pages(heap), free - 33);
    assert_eq!(heap.stats().from_system, 33 * PAGE_SIZE);
    // SAFETY: allocated above.
    unsafe { heap.free(block) };
    assert_eq!(free_pages(heap), free);
    assert_eq!(heap.stats().peak, 33 * PAGE_SIZE);
}

#[test]
fn large_block_grows_in_place_and_moves_when_it_cannot() {
    let heap = heap(256);
    let block = heap.alloc(LARGE, MIN_ALIGN).unwrap();
    // SAFETY: each block is allocated when it is used, and replaced by what `realloc` gives.
    unsafe {
        block.write_bytes(3, LARGE);
        let grown = heap.realloc(block, LARGE + PAGE_SIZE, MIN_ALIGN).unwrap();
        assert_eq!(grown, block);
        let wall = heap.alloc(LARGE, MIN_ALIGN).unwrap();
        let moved = heap.realloc(grown, LARGE + 2 * PAGE_SIZE, MIN_ALIGN).unwrap();
        assert_ne!(moved, grown);
        assert!((0..LARGE).all(|i| moved.add(i).read() == 3));
        let small = heap.realloc(moved, 100, MIN_ALIGN).unwrap();
        assert!((0..100).all(|i| small.add(i).read() == 3));
        heap.free(small);
        heap.free(wall);
    }
    assert_eq!(heap.stats().blocks, 0);
    assert_eq!(heap.stats().from_system, 64 << 10);
}

#[test]
fn alignments_up_to_pages_and_beyond_are_kept() {
    let heap = heap(1024);
    for shift in 0..18 {
        for size in [1, 100, 5000, LARGE] {
            let block = heap.alloc(size, 1 << shift).unwrap();
            assert_eq!(block.as_ptr().addr() % (1 << shift), 0);
            // SAFETY: as above.
            let block = unsafe { heap.realloc(block, size * 2, 1 << shift).unwrap() };
            assert_eq!(block.as_ptr().addr() % (1 << shift), 0);
            // SAFETY: as above.
            unsafe { heap.free(block) };
        }
    }
    assert_eq!(heap.stats().in_use, 0);
}

#[test]
fn exhaustion_is_an_answer_and_is_counted() {
    let heap = heap(128);
    assert_eq!(heap.alloc(usize::MAX, MIN_ALIGN), None);
    assert_eq!(heap.alloc(isize::MAX as usize, 1 << 40), None);
    assert_eq!(heap.alloc(1 << 30, MIN_ALIGN), None);
    assert_eq!((heap.stats().failures, heap.stats().last_failure), (3, 1 << 30));
    let block = heap.alloc(64, MIN_ALIGN).unwrap();
    // SAFETY: allocated above, and still so when `realloc` fails.
    unsafe {
        assert_eq!(heap.realloc(block, 1 << 30, MIN_ALIGN), None);
        assert_eq!(heap.realloc(block, usize::MAX, MIN_ALIGN), None);
        heap.free(block);
    }
}

#[test]
fn small_blocks_can_be_had_after_the_first_failure() {
    let heap = heap(128);
    while heap.alloc(LARGE, MIN_ALIGN).is_some() {}
    while heap.alloc(PAGE_SIZE / 2, MIN_ALIGN).is_some() {}
    assert!(heap.stats().failures >= 2);
    assert!(heap.alloc(100, MIN_ALIGN).is_some());
}

#[test]
fn idle_segments_make_room_for_a_large_block() {
    let heap = heap(512);
    let small: Vec<_> = (0..400).map(|_| heap.alloc(4000, MIN_ALIGN).unwrap()).collect();
    assert!(free_pages(heap) < 120);
    for block in small {
        // SAFETY: allocated above.
        unsafe { heap.free(block) };
    }
    assert!(heap.alloc(450 * PAGE_SIZE, MIN_ALIGN).is_some());
}

#[test]
fn others_give_way_before_memory_ends() {
    static HELD: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    fake::init_global();
    let take_all = || {
        while let Some(block) = lock(&HEAP).unwrap().alloc(LARGE, MIN_ALIGN) {
            HELD.lock().push(block.as_ptr().expose_provenance());
        }
    };
    take_all();
    give_way_by(|| {
        let Some(block) = HELD.lock().pop() else { return false };
        let block = NonNull::new(ptr::with_exposed_provenance_mut(block)).unwrap();
        // SAFETY: allocated above, and used by nobody.
        unsafe { Heap.free(block) };
        true
    });
    let before = HELD.lock().len();
    let block = Heap.alloc(3 * LARGE, MIN_ALIGN).unwrap();
    assert!((1..before).contains(&HELD.lock().len()), "{} of {before}", HELD.lock().len());
    // SAFETY: the block was just allocated.
    let block = unsafe { Heap.realloc(block, 30 * LARGE, MIN_ALIGN) }.unwrap();
    // For more than there is, nobody has to.
    let left = HELD.lock().len();
    assert_eq!((Heap.alloc(10_000 * LARGE, MIN_ALIGN), HELD.lock().len()), (None, left));
    // SAFETY: as above.
    unsafe { Heap.free(block) };
    // For the address space as well.
    vm::init(Box::new(NoTables));
    take_all();
    let before = HELD.lock().len();
    let asked =
        vm::with(|_| Ok(FRAMES.with(|frames| frames.alloc(20, 1)).ok_or(MapError::NoMemory)??));
    assert!(asked.is_ok() && HELD.lock().len() < before);
}

#[test]
fn random_blocks_keep_their_contents() {
    let (rounds, most) = if cfg!(miri) { (300, 20) } else { (60_000, 400) };
    let heap = heap(if cfg!(miri) { 700 } else { 8000 });
    let mut rng = Rng::new(11);
    let mut live: Vec<(NonNull<u8>, usize, usize, u8)> = Vec::new();
    let check = |block: NonNull<u8>, size: usize, tag: u8| {
        let ends = (0..size.min(64)).chain(size.saturating_sub(64)..size);
        for i in ends {
            // SAFETY: the block is allocated and at least `size` bytes long.
            assert_eq!(unsafe { block.add(i).read() }, tag);
        }
    };
    for round in 0..rounds {
        let tag = round as u8;
        let size = match rng.below(100) {
            0 => rng.below(4 * LARGE),
            1..10 => rng.below(20_000),
            _ => rng.below(300),
        };
        let align = if rng.below(20) == 0 { 1 << rng.below(14) } else { MIN_ALIGN };
        // SAFETY: only blocks that are allocated, within the size that was asked for.
        unsafe {
            if live.len() < most && rng.below(2) == 0 {
                let Some(block) = heap.alloc(size, align) else { continue };
                block.write_bytes(tag, size);
                live.push((block, size, align, tag));
            } else if !live.is_empty() {
                let (block, old, align, old_tag) = live.swap_remove(rng.below(live.len()));
                check(block, old, old_tag);
                if rng.below(2) == 0 {
                    heap.free(block);
                } else if let Some(block) = heap.realloc(block, size, align) {
                    assert_eq!(block.as_ptr().addr() % align, 0);
                    check(block, old.min(size).min(64), old_tag);
                    block.write_bytes(tag, size);
                    live.push((block, size, align, tag));
                } else {
                    live.push((block, old, align, old_tag));
                }
            }
        }
        assert_eq!(heap.stats().blocks, live.len());
    }
    assert!(heap.stats().in_use >= live.iter().map(|&(_, size, ..)| size).sum());
    for (block, size, _, tag) in live {
        check(block, size, tag);
        // SAFETY: as above.
        unsafe { heap.free(block) };
    }
    assert_eq!((heap.stats().in_use, heap.stats().blocks), (0, 0));
}
