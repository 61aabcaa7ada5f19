//! The page-frame allocator as a value: no lock, no global.

use core::mem::size_of;
use core::ops::Range;
use core::ptr;

use super::blocks::Blocks;
use super::tree::{RunTree, Runs};
use crate::page::{OutOfMemory, PAGE_SIZE};
use crate::paging::Frame;

/// Adjacent pages that only those who report exhaustion get: a segment of the heap.
const RESERVE: usize = 16;

/// Requests of this many pages are small: a segment of the heap, a page table.
const SMALL: usize = 16;

/// How many page frames there are and how they are used, in pages of [`PAGE_SIZE`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameStats {
    /// Pages that can be allocated at all.
    pub total: usize,
    /// Pages that are free now. A few of them are kept for those who report exhaustion.
    pub free: usize,
    /// Pages of the longest free run: the largest allocation that could succeed.
    pub largest_run: usize,
    /// Of the free pages, those that are kept for requests that cannot be refused.
    pub kept: usize,
    /// The most pages that were ever in use at once.
    pub peak_used: usize,
    /// Pages of the last request that was refused; none if there has been enough memory for it again.
    pub refused: usize,
}

/// Allocates runs of page frames, the lowest address first.
///
/// Allocating and freeing takes a time that is logarithmic in the memory's size, plus a step for
/// each 64 pages of the run. A few pages are kept in reserve: they become free when a request has
/// failed, for the (usually small) requests of the code that reports that failure, and are set aside again
/// as soon as there is free memory.
///
/// # What is kept
///
/// Some requests come from code that cannot report a failure, above all OCaml's collector in the middle of a
/// collection. For these a *floor* of free pages can be set, at which other requests are refused: large ones, whose
/// failure is usually handled, at the floor itself, and small ones, whose failure often is not, at a quarter of it.
#[derive(Debug)]
pub struct FrameAllocator {
    /// Number of the page that bit 0 stands for.
    base: usize,
    tree: RunTree<'static>,
    blocks: Blocks<'static>,
    total: usize,
    free: usize,
    peak_used: usize,
    /// Index of the pages that are set aside; none while they are free to use.
    reserve: Option<usize>,
    /// Free pages that are kept.
    floor: usize,
    /// Whether requests may have those, too.
    urgent: bool,
    /// Pages of the last request that was refused.
    refused: usize,
}

impl FrameAllocator {
    /// An allocator over `ranges` of physical addresses, which must not overlap; parts of pages and
    /// page 0 are left out. Its tables are placed at the start of the lowest range that has room
    /// for them, and take about 1/5000 of the memory. Fails when no range has room.
    ///
    /// `reach` is where the memory ends that may be [supplied](Self::supply) later: the tables cover it, too.
    ///
    /// # Safety
    ///
    /// The ranges are RAM that nothing else uses for as long as the allocator lives. They are
    /// identity-mapped and writable: the one that gets the tables now, each other before its
    /// frames are written to.
    pub unsafe fn new(ranges: &[Range<usize>], reach: usize) -> Result<Self, OutOfMemory> {
        let pages = |range: &Range<usize>| {
            let start = range.start.div_ceil(PAGE_SIZE).max(1);
            start..(range.end / PAGE_SIZE).max(start)
        };
        let used = || ranges.iter().map(pages).filter(|range| !range.is_empty());
        let base = used().map(|range| range.start).min().ok_or(OutOfMemory)?;
        let end = used().map(|range| range.end).fold(reach / PAGE_SIZE, usize::max);

        let (words, nodes) = RunTree::needs(end - base);
        let bytes = 3 * words * size_of::<u64>() + nodes * size_of::<Runs>();
        let table_pages = bytes.div_ceil(PAGE_SIZE);
        let table = used()
            .filter(|range| range.len() > table_pages)
            .map(|range| range.start)
            .min()
            .ok_or(OutOfMemory)?;

        // SAFETY: the pages from `table` on lie in a range that is ours, mapped and unused; the
        // four slices lie one behind the other in the `bytes` that were counted above, aligned
        // since the words come first. RAM holds some bytes or other, all of which are valid for
        // both types; `RunTree` and `Blocks` begin by filling theirs.
        let (bits, first, last, nodes) = unsafe {
            let start = ptr::with_exposed_provenance_mut::<u8>(table * PAGE_SIZE);
            let part = |i: usize| {
                core::slice::from_raw_parts_mut(start.cast::<u64>().add(i * words), words)
            };
            let tail = start.cast::<u64>().add(3 * words).cast::<Runs>();
            (part(0), part(1), part(2), core::slice::from_raw_parts_mut(tail, nodes))
        };
        let mut frames = FrameAllocator {
            base,
            tree: RunTree::new(bits, nodes),
            blocks: Blocks::new(first, last),
            total: 0,
            free: 0,
            peak_used: 0,
            reserve: None,
            floor: 0,
            urgent: false,
            refused: 0,
        };
        for mut range in used() {
            if range.start == table {
                range.start += table_pages;
            }
            let (start, n) = (range.start - base, range.len());
            assert!(frames.tree.all_used(start, n), "memory ranges overlap");
            frames.tree.give(start, n);
            frames.total += n;
            frames.free += n;
        }
        frames.close_reserve();
        Ok(frames)
    }

    /// Index of a page that lies in the span of the ranges.
    fn index(&self, frame: Frame) -> Option<usize> {
        debug_assert_eq!(frame.0 % PAGE_SIZE, 0);
        (frame.0 / PAGE_SIZE).checked_sub(self.base)
    }

    /// Whether the `n` pages are among those between the lowest and the highest of the memory.
    pub fn covers(&self, frame: Frame, n: usize) -> bool {
        self.index(frame).is_some_and(|index| index + n <= self.blocks.pages())
    }

    /// Makes the reserve free for use.
    fn open_reserve(&mut self) {
        if let Some(index) = self.reserve.take() {
            self.tree.give(index, RESERVE);
        }
    }

    /// Notes that `n` pages are refused, and makes the reserve free for those who tell.
    fn refuse(&mut self, n: usize) -> OutOfMemory {
        self.refused = n;
        self.open_reserve();
        OutOfMemory
    }

    /// Sets the reserve aside, if there is twice as much: a program at the limit should not have it
    /// opened and closed all the time.
    fn close_reserve(&mut self) {
        if self.reserve.is_none() && self.free >= self.floor + 2 * RESERVE {
            self.reserve = self.tree.find(RESERVE);
            if let Some(index) = self.reserve {
                self.tree.take(index, RESERVE);
            }
        }
    }

    /// Has `pages` free pages kept for requests that cannot be refused.
    pub fn keep(&mut self, pages: usize) {
        self.floor = pages;
    }

    /// Says whether all requests from now on are of that kind.
    pub fn set_urgent(&mut self, urgent: bool) {
        self.urgent = urgent;
    }

    /// Whether what is kept stays when `n` pages are taken.
    fn spares(&self, n: usize, small: bool) -> bool {
        let floor = match (self.urgent, small) {
            (true, _) => 0,
            (false, true) => self.floor / 4,
            (false, false) => self.floor,
        };
        // Code that reports exhaustion may also use the reserve.
        let opened = if self.reserve.is_none() { RESERVE } else { 0 };
        self.free.saturating_sub(n) >= floor.saturating_sub(opened)
    }

    /// Accounts for `n` pages that were found free, and takes them.
    fn take(&mut self, index: usize, n: usize) {
        self.tree.take(index, n);
        self.free -= n;
        self.peak_used = self.peak_used.max(self.total - self.free);
    }

    /// Allocates `n` (> 0) adjacent pages at a multiple of `align` pages, a power of two. What is
    /// in them is unspecified.
    pub fn alloc(&mut self, n: usize, align: usize) -> Result<Frame, OutOfMemory> {
        self.alloc_if(self.spares(n, n <= SMALL), n, align)
    }

    fn alloc_if(&mut self, spares: bool, n: usize, align: usize) -> Result<Frame, OutOfMemory> {
        assert!(n > 0 && align.is_power_of_two());
        if !spares {
            return Err(self.refuse(n));
        }
        if self.urgent && self.tree.longest() < n {
            self.open_reserve();
        }
        let fits = |index: usize| (self.base + index) % align == 0;
        let found = match self.tree.find(n) {
            Some(index) if fits(index) => Some(index),
            // The lowest run is not aligned: one that is longer by `align - 1` must hold an
            // aligned one.
            Some(_) => n.checked_add(align - 1).and_then(|n| self.tree.find(n)),
            None => None,
        };
        match found {
            Some(index) => {
                let page = (self.base + index).next_multiple_of(align);
                self.take(page - self.base, n);
                Ok(Frame(page * PAGE_SIZE))
            }
            None => Err(self.refuse(n)),
        }
    }

    /// Allocates `n` (> 0) adjacent pages, or as many as there are in the longest free run.
    pub fn alloc_at_most(&mut self, n: usize) -> Result<(Frame, usize), OutOfMemory> {
        let n = n.min(self.tree.longest().max(1));
        Ok((self.alloc(n, 1)?, n))
    }

    /// Fails like the allocation of `n` pages, but only if there are fewer free pages, adjacent or not.
    pub fn check(&mut self, n: usize) -> Result<(), OutOfMemory> {
        let reserved = if self.reserve.is_some() { RESERVE } else { 0 };
        if n <= self.free - reserved && self.spares(n, false) {
            return Ok(());
        }
        Err(self.refuse(n))
    }

    /// Frees `n` pages, which may be part of what one call allocated.
    ///
    /// # Safety
    ///
    /// The pages were allocated here, nobody uses them any more, and they are not in a block.
    pub unsafe fn free(&mut self, frame: Frame, n: usize) {
        let index = self.index(frame).expect("freed frame is not RAM");
        assert!(self.tree.all_used(index, n), "frame freed twice");
        self.tree.give(index, n);
        self.free += n;
        self.close_reserve();
    }

    /// Allocates a block: pages that [`block_len`](Self::block_len) knows by their address.
    pub fn alloc_block(&mut self, n: usize, align: usize) -> Result<Frame, OutOfMemory> {
        let frame = self.alloc(n, align)?;
        self.blocks.insert(frame.0 / PAGE_SIZE - self.base, n);
        Ok(frame)
    }

    /// Pages of the block that begins at `frame`; none if no block begins there.
    pub fn block_len(&self, frame: Frame) -> Option<usize> {
        self.index(frame).and_then(|index| self.blocks.len(index))
    }

    /// Makes the block at `frame` `new` (> 0) pages long where it is. False, and no change, if
    /// the pages behind it are not free.
    ///
    /// # Safety
    ///
    /// `frame` is a block, and nobody uses the pages that it loses.
    pub unsafe fn resize_block(&mut self, frame: Frame, new: usize) -> bool {
        let index = self.index(frame).expect("block is not RAM");
        let old = self.blocks.len(index).expect("resized block is none");
        if new > old {
            if !self.tree.all_free(index + old, new - old) || !self.spares(new - old, false) {
                return false;
            }
            self.take(index + old, new - old);
        }
        self.blocks.remove(index, old);
        self.blocks.insert(index, new);
        if new < old {
            // SAFETY: they were the end of the block until now; the caller gives them up.
            unsafe { self.free(Frame(frame.0 + new * PAGE_SIZE), old - new) };
        }
        true
    }

    /// Frees the block at `frame`.
    ///
    /// # Safety
    ///
    /// `frame` is a block, and nobody uses it any more.
    pub unsafe fn free_block(&mut self, frame: Frame) {
        let index = self.index(frame).expect("block is not RAM");
        let n = self.blocks.len(index).expect("freed block is none");
        self.blocks.remove(index, n);
        // SAFETY: only the block's owner uses its pages, and gives them up.
        unsafe { self.free(frame, n) };
    }

    /// Allocates `n` (> 0) adjacent pages that can be told from other pages by
    /// [`is_loose`](Self::is_loose), and freed one by one. Never a small request.
    pub fn alloc_loose(&mut self, n: usize) -> Result<Frame, OutOfMemory> {
        let frame = self.alloc_if(self.spares(n, false), n, 1)?;
        self.blocks.insert_loose(frame.0 / PAGE_SIZE - self.base, n);
        Ok(frame)
    }

    /// Whether all of the `n` pages came from [`alloc_loose`](Self::alloc_loose).
    pub fn is_loose(&self, frame: Frame, n: usize) -> bool {
        self.index(frame).is_some_and(|index| self.blocks.all_loose(index, n))
    }

    /// Frees `n` loose pages.
    ///
    /// # Safety
    ///
    /// The pages are loose, and nobody uses them any more.
    pub unsafe fn free_loose(&mut self, frame: Frame, n: usize) {
        let index = self.index(frame).expect("page is not RAM");
        assert!(self.blocks.all_loose(index, n), "page freed twice");
        self.blocks.remove_loose(index, n);
        // SAFETY: the caller owned the pages and gives them up.
        unsafe { self.free(frame, n) };
    }

    /// Takes up to `n` free pages out of the memory that there is, in one run, and as high as they are to be had: they
    /// are nobody's from now on. Those that are kept stay, and `leave` free pages besides. Never pages on both sides
    /// of a multiple of `unit` pages, so that what is taken out in whole units is given back in such.
    pub fn withdraw(&mut self, n: usize, leave: usize, unit: usize) -> Option<(Frame, usize)> {
        let most = n.min(self.free.saturating_sub(self.floor + leave));
        let run = self.tree.longest();
        if most == 0 || run == 0 {
            return None;
        }
        let start = self.tree.find(run)?;
        let end = start + run;
        let unit = ((self.base + end - 1) / unit * unit).saturating_sub(self.base);
        let from = start.max(end.saturating_sub(most)).max(unit);
        self.tree.take(from, end - from);
        self.free -= end - from;
        self.total -= end - from;
        Some((Frame((self.base + from) * PAGE_SIZE), end - from))
    }

    /// Adds `n` pages to the memory that there is.
    ///
    /// # Safety
    ///
    /// The pages are RAM as it is said of [`new`](Self::new): they were [withdrawn](Self::withdraw), or lie below
    /// what was its `reach` and above its ranges.
    pub unsafe fn supply(&mut self, frame: Frame, n: usize) {
        self.total += n;
        // SAFETY: pages without memory count as used, and by the caller they have some now.
        unsafe { self.free(frame, n) };
    }

    /// Whether `n` pages could be had, and the reserve is full again.
    fn has_enough_for(&self, n: usize) -> bool {
        self.reserve.is_some() && self.tree.longest() >= n && self.spares(n, n <= SMALL)
    }

    /// Counters.
    pub fn stats(&self) -> FrameStats {
        FrameStats {
            total: self.total,
            free: self.free,
            largest_run: self.tree.longest(),
            kept: self.floor.min(self.free),
            peak_used: self.peak_used,
            refused: if self.has_enough_for(self.refused) { 0 } else { self.refused },
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
