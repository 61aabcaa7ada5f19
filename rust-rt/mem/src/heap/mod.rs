//! The heap that C, OCaml's runtime and Rust share.
//!
//! Blocks below [`LARGE`] come from the `dlmalloc` crate, in segments of page frames. It frees
//! without being told a size, as C needs it, spends 8 bytes on a block and gives idle segments
//! back; of the alternatives `talc` wants the size back, and `rlsf` spends 16 bytes in steps of 32
//! and keeps its segments. Large blocks, and those aligned to pages, are runs of page frames of
//! their own, which grow in place where they can and go back to the frame allocator when freed.
//!
//! All memory is identity-mapped: a block's address is its physical address.

mod segments;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use dlmalloc::Dlmalloc;
use segments::Segments;
use spin::{Mutex, Once};

use super::frames::{self, FRAMES, Frames};
use super::paging::Frame;
use crate::lock::lock;
use crate::page::PAGE_SIZE;

/// From this size on, in bytes, a block is a run of pages of its own.
pub const LARGE: usize = 128 << 10;

/// Alignment of every block, in bytes: that of C's `max_align_t`.
pub const MIN_ALIGN: usize = 16;

/// How the heap is used, in bytes unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeapStats {
    /// In blocks that are allocated, including what rounding added to them.
    pub in_use: usize,
    /// The most that [`in_use`](Self::in_use) ever was.
    pub peak: usize,
    /// Taken from the frame allocator: blocks in use, their headers, and free blocks.
    pub from_system: usize,
    /// Number of blocks that are allocated.
    pub blocks: usize,
    /// Number of requests that failed.
    pub failures: usize,
    /// Size of the last request that failed.
    pub last_failure: usize,
}

/// A heap as a value. It must not be moved once it is in use, since `dlmalloc` points into itself.
pub struct RawHeap {
    small: Dlmalloc<Segments>,
    frames: &'static Frames,
    /// Pages in large blocks.
    large_pages: usize,
    stats: HeapStats,
}

impl RawHeap {
    /// An empty heap that takes its memory from `frames`.
    pub const fn new(frames: &'static Frames) -> Self {
        let small = Dlmalloc::new_with_allocator(Segments::new(frames));
        let stats = HeapStats {
            in_use: 0,
            peak: 0,
            from_system: 0,
            blocks: 0,
            failures: 0,
            last_failure: 0,
        };
        RawHeap { small, frames, large_pages: 0, stats }
    }

    /// Allocates `size` bytes at a multiple of `align`, a power of two. Even a block of size 0 has
    /// an address of its own. `None` when memory is exhausted.
    pub fn alloc(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let block = self.alloc_uncounted(size, align).or_else(|| {
            // Segments that are free but kept may make the difference.
            self.trim().then(|| self.alloc_uncounted(size, align))?
        });
        match block {
            Some(block) => {
                // SAFETY: allocated in this heap just now.
                self.count_in(unsafe { self.usable_size(block) });
            }
            None => self.fail(size),
        }
        block
    }

    fn alloc_uncounted(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if size > isize::MAX as usize {
            return None;
        }
        if size < LARGE && align < PAGE_SIZE {
            // SAFETY: the alignment is a power of two.
            return NonNull::new(unsafe { self.small.c_memalign(align, size) });
        }
        let pages = pages(size);
        let align = (align / PAGE_SIZE).max(1);
        let frame = self.frames.with(|frames| frames.alloc_block(pages, align))?.ok()?;
        self.large_pages += pages;
        NonNull::new(ptr::with_exposed_provenance_mut(frame.0))
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// `block` is allocated in this heap, and nobody uses it any more.
    pub unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the block is still allocated.
        self.count_out(unsafe { self.usable_size(block) });
        // SAFETY: passed on to our caller.
        unsafe { self.free_uncounted(block) };
    }

    /// Frees a block, and leaves the counters as they are.
    ///
    /// # Safety
    ///
    /// As [`free`](Self::free).
    unsafe fn free_uncounted(&mut self, block: NonNull<u8>) {
        match self.large(block) {
            Some((frame, pages)) => {
                self.large_pages -= pages;
                // SAFETY: the block's owner gives it up.
                self.frames.with(|frames| unsafe { frames.free_block(frame) });
            }
            // SAFETY: what is not large comes from `small`.
            None => unsafe { self.small.c_free(block.as_ptr()) },
        }
    }

    /// Makes a block `size` bytes long, where it is or elsewhere, and keeps its contents up to the
    /// lesser of both sizes. `None`, and the old block as it was, when memory is exhausted.
    ///
    /// # Safety
    ///
    /// `block` is allocated in this heap with an alignment of at most `align`. If the answer is not
    /// `None`, it replaces `block`.
    pub unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Option<NonNull<u8>> {
        if size > isize::MAX as usize {
            self.fail(size);
            return None;
        }
        // SAFETY: the block is allocated.
        let old = unsafe { self.usable_size(block) };
        let stays_large = size >= LARGE || align >= PAGE_SIZE;
        let resized = match self.large(block) {
            Some((frame, pages)) if stays_large => {
                // SAFETY: what it loses lies behind `size`, where the block has no contents.
                unsafe { self.resize_large(frame, pages, size) }.then_some(block)
            }
            None if !stays_large && align <= MIN_ALIGN => {
                // SAFETY: a small block of the alignment that `c_realloc` keeps.
                NonNull::new(unsafe { self.small.c_realloc(block.as_ptr(), size) })
            }
            _ => None,
        };
        if let Some(resized) = resized {
            self.count_out(old);
            // SAFETY: this is the allocated block now.
            self.count_in(unsafe { self.usable_size(resized) });
            return Some(resized);
        }
        let Some(moved) = self.alloc(size, align) else {
            // Giving up what is behind the end needs no memory. `alloc` counted a failure that
            // the caller does not see, which does no harm.
            return (size <= old).then_some(block);
        };
        // SAFETY: both blocks are at least so long, and distinct since both are allocated.
        unsafe {
            moved.copy_from_nonoverlapping(block, old.min(size));
            self.free(block);
        }
        Some(moved)
    }

    /// Resizes a large block in place, from `old` pages to as many as `size` bytes take. False if there is
    /// no room behind it.
    ///
    /// # Safety
    ///
    /// `frame` is the first of a large block of `old` pages, whose owner the caller is.
    unsafe fn resize_large(&mut self, frame: Frame, old: usize, size: usize) -> bool {
        let new = pages(size);
        // SAFETY: passed on to our caller.
        let done = self.frames.with(|frames| unsafe { frames.resize_block(frame, new) });
        if done == Some(true) {
            self.large_pages = self.large_pages - old + new;
        }
        done == Some(true)
    }

    /// Bytes that the owner of a block may use: at least as many as it asked for.
    ///
    /// # Safety
    ///
    /// `block` is allocated in this heap.
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        match self.large(block) {
            Some((_, pages)) => pages * PAGE_SIZE,
            // SAFETY: what is not large is a block of `dlmalloc`. Before it lies a word with the
            // size of the block including that word, and three flags in the lowest bits (Doug
            // Lea's malloc.c, "struct malloc_chunk"); the crate's version is pinned.
            None => unsafe { (block.cast::<usize>().sub(1).read() & !7) - size_of::<usize>() },
        }
    }

    /// Frame and pages of a large block; `None` if the block is a small one.
    fn large(&self, block: NonNull<u8>) -> Option<(Frame, usize)> {
        let frame = Frame(block.as_ptr().addr());
        if frame.0 % PAGE_SIZE != 0 {
            return None;
        }
        let pages = self.frames.with(|frames| frames.block_len(frame))??;
        Some((frame, pages))
    }

    /// Gives idle segments back to the frame allocator; whether there were any.
    pub fn trim(&mut self) -> bool {
        // SAFETY: touches free memory only.
        unsafe { self.small.trim(0) }
    }

    /// Counters.
    pub fn stats(&self) -> HeapStats {
        let pages = self.small.allocator().pages() + self.large_pages;
        HeapStats { from_system: pages * PAGE_SIZE, ..self.stats }
    }

    fn count_in(&mut self, size: usize) {
        self.stats.blocks += 1;
        self.stats.in_use += size;
        self.stats.peak = self.stats.peak.max(self.stats.in_use);
    }

    fn count_out(&mut self, size: usize) {
        self.stats.blocks -= 1;
        self.stats.in_use -= size;
    }

    fn fail(&mut self, size: usize) {
        self.stats.failures += 1;
        self.stats.last_failure = size;
    }
}

/// Pages of a block of `size` bytes; at least one, so that an empty block has an address.
fn pages(size: usize) -> usize {
    size.div_ceil(PAGE_SIZE).max(1)
}

/// The heap of the image: Rust's global allocator, and what is behind C's `malloc`.
///
/// A crash report that allocates in the middle of an allocation gets an error, and what it frees
/// there is lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

static HEAP: Mutex<RawHeap> = Mutex::new(RawHeap::new(&FRAMES));

static GIVES_WAY: Once<fn() -> bool> = Once::new();

/// From now on this is called when memory is short, and what has asked for some asks again if it says true: then it has
/// given some back, of what is there only to be found sooner. It must not allocate. The first one counts.
pub fn give_way_by(gives_way: fn() -> bool) {
    GIVES_WAY.call_once(|| gives_way);
}

/// Whether others have given some memory back, so that who has too little may ask again.
pub fn others_give_way() -> bool {
    GIVES_WAY.get().is_some_and(|gives_way| gives_way())
}

/// The same for so many bytes: not for more than there is.
#[cold]
#[inline(never)]
fn others_give_way_for(size: usize) -> bool {
    size <= frames::stats().total * PAGE_SIZE && others_give_way()
}

/// Asks the heap for so many bytes, and asks again as long as others give way; but not in the middle of an allocation.
fn ask<T>(size: usize, mut heap: impl FnMut(&mut RawHeap) -> Option<T>) -> Option<T> {
    loop {
        let block = heap(&mut *lock(&HEAP)?);
        if block.is_some() || !others_give_way_for(size) {
            return block;
        }
    }
}

impl Heap {
    /// As [`RawHeap::alloc`].
    pub fn alloc(self, size: usize, align: usize) -> Option<NonNull<u8>> {
        ask(size, |heap| heap.alloc(size, align))
    }

    /// As [`alloc`](Self::alloc), and the block is full of zeroes.
    pub fn alloc_zeroed(self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let block = self.alloc(size, align)?;
        // SAFETY: the block is new and at least so long. Frames are not known to be zero.
        unsafe { block.write_bytes(0, size) };
        Some(block)
    }

    /// As [`RawHeap::free`].
    ///
    /// # Safety
    ///
    /// As for [`RawHeap::free`].
    pub unsafe fn free(self, block: NonNull<u8>) {
        if let Some(mut heap) = lock(&HEAP) {
            // SAFETY: passed on to our caller.
            unsafe { heap.free(block) }
        }
    }

    /// As [`RawHeap::realloc`].
    ///
    /// # Safety
    ///
    /// As for [`RawHeap::realloc`].
    pub unsafe fn realloc(
        self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: passed on to our caller; without an answer the block is as it was.
        ask(size, |heap| unsafe { heap.realloc(block, size, align) })
    }

    /// As [`RawHeap::usable_size`]; 0 in the middle of an allocation.
    ///
    /// # Safety
    ///
    /// As for [`RawHeap::usable_size`].
    pub unsafe fn usable_size(self, block: NonNull<u8>) -> usize {
        // SAFETY: passed on to our caller.
        lock(&HEAP).map_or(0, |heap| unsafe { heap.usable_size(block) })
    }

    /// As [`RawHeap::trim`].
    pub fn trim(self) -> bool {
        lock(&HEAP).is_some_and(|mut heap| heap.trim())
    }

    /// Counters; `None` in the middle of an allocation.
    pub fn stats(self) -> Option<HeapStats> {
        lock(&HEAP).map(|heap| heap.stats())
    }
}

/// The raw pointer that C and Rust's allocator trait want.
fn raw(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

// SAFETY: blocks are as long and aligned as asked for, and belong to the caller until freed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        raw(Heap::alloc(*self, layout.size(), layout.align()))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        raw(Heap::alloc_zeroed(*self, layout.size(), layout.align()))
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: by the contract of the trait, `block` was allocated here, so is not null.
        unsafe { self.free(NonNull::new_unchecked(block)) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: by the contract of the trait, `block` was allocated here with that alignment.
        raw(unsafe { Heap::realloc(*self, NonNull::new_unchecked(block), size, layout.align()) })
    }
}

#[cfg(test)]
mod tests;
