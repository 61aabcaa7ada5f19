//! Where `dlmalloc` gets the segments that it carves small blocks from.

use core::cell::Cell;
use core::ptr;

use crate::frames::Frames;
use crate::page::PAGE_SIZE;
use crate::paging::Frame;

/// Page frames as `dlmalloc`'s operating system. Neighbouring segments become one.
pub struct Segments {
    frames: &'static Frames,
    pages: Cell<usize>,
}

impl Segments {
    pub const fn new(frames: &'static Frames) -> Self {
        Segments { frames, pages: Cell::new(0) }
    }

    /// Pages in all segments.
    pub fn pages(&self) -> usize {
        self.pages.get()
    }

    /// Frees `bytes` at `start`, whole pages of a segment; false when that is impossible now.
    fn release(&self, start: usize, bytes: usize) -> bool {
        let pages = bytes / PAGE_SIZE;
        // SAFETY: `dlmalloc` gives up only what it got from `alloc` and holds nothing in.
        let done = self.frames.with(|frames| unsafe { frames.free(Frame(start), pages) });
        if done.is_some() {
            self.pages.set(self.pages.get() - pages);
        }
        done.is_some()
    }
}

// SAFETY: `alloc` hands out memory that nobody else has, as long as it says.
unsafe impl dlmalloc::Allocator for Segments {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let pages = size.div_ceil(PAGE_SIZE);
        match self.frames.with(|frames| frames.alloc(pages, 1)) {
            Some(Ok(frame)) => {
                self.pages.set(self.pages.get() + pages);
                (ptr::with_exposed_provenance_mut(frame.0), pages * PAGE_SIZE, 0)
            }
            _ => (ptr::null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        // Only asked for blocks with a mapping of their own, which the crate never makes.
        ptr::null_mut()
    }

    fn free_part(&self, start: *mut u8, old: usize, new: usize) -> bool {
        self.release(start.addr() + new, old - new)
    }

    fn free(&self, start: *mut u8, size: usize) -> bool {
        self.release(start.addr(), size)
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        false
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE
    }
}
