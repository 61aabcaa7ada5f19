//! Page frames: the one owner of all RAM that the image itself does not occupy.
//!
//! Boot hands over the free ranges once, with [`init`]; page tables, grants, the heap and the
//! address space take their pages here. RAM is identity-mapped, so that a [`Frame`] is also the
//! address under which it can be read and written. Allocation prefers low addresses, which keeps
//! free memory in long runs, and means that the pages that boot needs early lie low.

mod allocator;
mod blocks;
mod tree;

use core::ops::Range;
use core::ptr;

use spin::Mutex;

pub use allocator::{FrameAllocator, FrameStats};

use super::paging::Frame;
use crate::lock::lock;
use crate::page::{OutOfMemory, PAGE_SIZE};

/// A frame allocator behind a lock, before and after it got its memory. A crash report that finds
/// the lock taken gets errors instead of memory.
#[derive(Debug)]
pub struct Frames(Mutex<Option<FrameAllocator>>);

impl Frames {
    /// No memory yet: each allocation fails.
    pub const fn new() -> Self {
        Frames(Mutex::new(None))
    }

    /// Sets the memory; see [`FrameAllocator::new`].
    ///
    /// # Safety
    ///
    /// As for [`FrameAllocator::new`], for ever.
    pub unsafe fn init(&self, ranges: &[Range<usize>], reach: usize) -> Result<(), OutOfMemory> {
        let mut frames = lock(&self.0).ok_or(OutOfMemory)?;
        assert!(frames.is_none(), "frames initialised twice");
        // SAFETY: passed on to our caller.
        *frames = Some(unsafe { FrameAllocator::new(ranges, reach)? });
        Ok(())
    }

    /// Runs `f` on the allocator, if it has memory and is not in use already.
    pub fn with<R>(&self, f: impl FnOnce(&mut FrameAllocator) -> R) -> Option<R> {
        lock(&self.0)?.as_mut().map(f)
    }
}

impl Default for Frames {
    fn default() -> Self {
        Frames::new()
    }
}

/// The frames of the image.
pub static FRAMES: Frames = Frames::new();

/// Hands over the RAM that the image may use, as physical addresses; see [`FrameAllocator::new`].
/// Called once, by boot.
///
/// # Safety
///
/// The ranges are RAM that nothing else uses. They are identity-mapped and writable: the one that
/// gets the tables now, each other before its frames are written to.
pub unsafe fn init(ranges: &[Range<usize>], reach: usize) -> Result<(), OutOfMemory> {
    // SAFETY: passed on to our caller.
    unsafe { FRAMES.init(ranges, reach) }
}

/// Allocates `n` (> 0) adjacent page frames with unspecified contents. The caller owns them until
/// [`free_pages`].
pub fn alloc_pages(n: usize) -> Result<Frame, OutOfMemory> {
    alloc_pages_aligned(n, 1)
}

/// Allocates `n` (> 0) adjacent page frames at a multiple of `align` pages, a power of two.
pub fn alloc_pages_aligned(n: usize, align: usize) -> Result<Frame, OutOfMemory> {
    FRAMES.with(|frames| frames.alloc(n, align)).unwrap_or(Err(OutOfMemory))
}

/// Allocates a page frame full of zeroes.
pub fn alloc_page_zeroed() -> Result<Frame, OutOfMemory> {
    let frame = alloc_pages(1)?;
    // SAFETY: the page was just allocated, so that it is mapped RAM and nobody else's.
    unsafe { zero(frame, 1) };
    Ok(frame)
}

/// Frees `n` page frames, which may be part of what one call allocated. Panics when they are free
/// already.
///
/// # Safety
///
/// The frames come from [`alloc_pages`] or its kin, and nobody uses them any more: no page table
/// names them, and no other domain has them mapped.
pub unsafe fn free_pages(frame: Frame, n: usize) {
    // SAFETY: passed on to our caller.
    FRAMES.with(|frames| unsafe { frames.free(frame, n) });
}

/// Keeps this many free pages for requests that cannot be refused: see [`FrameAllocator`].
pub fn keep(pages: usize) {
    FRAMES.with(|frames| frames.keep(pages));
}

/// Says whether all requests from now on are of that kind.
pub fn set_urgent(urgent: bool) {
    FRAMES.with(|frames| frames.set_urgent(urgent));
}

/// Counters; all zero before [`init`], or when an exception interrupted the allocator.
pub fn stats() -> FrameStats {
    FRAMES.with(|frames| frames.stats()).unwrap_or_default()
}

/// Fills `n` pages with zeroes.
///
/// # Safety
///
/// The caller owns the frames, and they are mapped.
pub unsafe fn zero(frame: Frame, n: usize) {
    // SAFETY: identity-mapped RAM that the caller owns.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(frame.0).write_bytes(0, n * PAGE_SIZE) };
}
