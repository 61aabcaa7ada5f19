//! Fragmentation and speed, measured:
//! `cargo test --release -p mirust-mem measure -- --ignored --nocapture`.

use alloc::alloc::{GlobalAlloc, Layout};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::NonNull;
use std::alloc::System;
use std::println;
use std::time::Instant;

use super::fake::{Ram, Rng};
use super::frames::{FrameStats, Frames};
use super::heap::{MIN_ALIGN, RawHeap};
use super::paging::Frame;
use crate::page::PAGE_SIZE;

/// A pool of OCaml's major heap.
const POOL: usize = 32 << 10;

fn frames(pages: usize) -> &'static Frames {
    let ram = Box::leak(Box::new(Ram::new(pages)));
    let frames = Box::leak(Box::new(Frames::new()));
    // SAFETY: the RAM lives for ever, and belongs to these frames alone.
    unsafe { frames.init(&[ram.range()], 0).unwrap() };
    frames
}

/// Sizes as an OCaml program with Rust services asks them of `malloc`: records and strings, some
/// buffers, now and then a big array.
fn size(rng: &mut Rng) -> usize {
    match rng.below(1000) {
        0..700 => 16 + rng.below(112),
        700..950 => 128 + rng.below(2000),
        950..998 => 4096 + rng.below(60_000),
        _ => 100_000 + rng.below(900_000),
    }
}

#[test]
#[ignore = "a measurement"]
fn fragmentation_of_a_long_run() {
    let frames = frames((256 << 20) / PAGE_SIZE);
    let heap = Box::leak(Box::new(RawHeap::new(frames)));
    let mut rng = Rng::new(1);
    let (mut blocks, mut pools) = (Vec::new(), Vec::new());
    let mut asked = 0;
    let stats = || -> FrameStats { frames.with(|frames| frames.stats()).unwrap() };
    for step in 0..4_000_000u64 {
        // The load swells and ebbs, as that of a server does.
        let target = if (step / 400_000) % 2 == 0 { 150 << 20 } else { 40 << 20 };
        let pooled = pools.len() * POOL;
        // SAFETY: blocks and pools are ours, and nobody looks into them.
        unsafe {
            if rng.below(100) == 0 {
                if pooled < target / 2 {
                    pools.extend(
                        frames.with(|frames| frames.alloc_loose(POOL / PAGE_SIZE)).unwrap(),
                    );
                } else if !pools.is_empty() {
                    let pool = pools.swap_remove(rng.below(pools.len()));
                    frames.with(|frames| frames.free_loose(pool, POOL / PAGE_SIZE));
                }
            }
            for _ in 0..2 {
                if asked < target / 2 {
                    let size = size(&mut rng);
                    if let Some(block) = heap.alloc(size, MIN_ALIGN) {
                        blocks.push((block, size));
                        asked += size;
                    }
                } else {
                    let (block, size) = blocks.swap_remove(rng.below(blocks.len()));
                    heap.free(block);
                    asked -= size;
                }
            }
        }
        if (step + 1) % 400_000 == 0 {
            let (heap, frames) = (heap.stats(), stats());
            println!(
                "step {:>7}: asked {:>3} MiB, heap {:>3} MiB of frames ({:.2}), pools {:>3} MiB, \
                 free {:>3} MiB, longest run {:>3} MiB, failures {}",
                step + 1,
                asked >> 20,
                heap.from_system >> 20,
                heap.from_system as f64 / asked as f64,
                (pools.len() * POOL) >> 20,
                (frames.free * PAGE_SIZE) >> 20,
                (frames.largest_run * PAGE_SIZE) >> 20,
                heap.failures,
            );
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn time_of_allocations() {
    const ROUNDS: usize = 2_000_000;
    let heap = Box::leak(Box::new(RawHeap::new(frames((128 << 20) / PAGE_SIZE))));
    let run = |name: &str,
               alloc: &mut dyn FnMut(usize) -> *mut u8,
               free: &mut dyn FnMut(*mut u8, usize)| {
        let mut rng = Rng::new(3);
        let mut live = Vec::new();
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let size = 16 + rng.below(500);
            live.push((alloc(size), size));
            if live.len() > 1000 {
                let (block, size) = live.swap_remove(rng.below(1000));
                free(block, size);
            }
        }
        println!(
            "{name}: {} ns for an allocation and a free",
            start.elapsed().as_nanos() as usize / ROUNDS
        );
        live.into_iter().for_each(|(block, size)| free(block, size));
    };
    let heap = spin::Mutex::new(heap);
    // SAFETY: each block is freed once, where it came from, with the size it was asked with.
    unsafe {
        run(
            "this heap",
            &mut |size| heap.lock().alloc(size, MIN_ALIGN).unwrap().as_ptr(),
            &mut |block, _| heap.lock().free(NonNull::new_unchecked(block)),
        );
        let layout = |size| Layout::from_size_align_unchecked(size, MIN_ALIGN);
        run("the host's", &mut |size| System.alloc(layout(size)), &mut |block, size| {
            System.dealloc(block, layout(size))
        });
    }

    let frames = frames((1 << 30) / PAGE_SIZE);
    for pages in [1, 8, 512] {
        let start = Instant::now();
        let runs: Vec<Frame> = (0..200)
            .map(|_| frames.with(|frames| frames.alloc(pages, 1)).unwrap().unwrap())
            .collect();
        for &run in &runs {
            // SAFETY: allocated above.
            frames.with(|frames| unsafe { frames.free(run, pages) });
        }
        println!("{pages} frames: {} ns", start.elapsed().as_nanos() / 200);
    }
}
