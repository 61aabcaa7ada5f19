//! Fake memory, for tests of this crate and of those that use it.

use alloc::alloc::{Layout, alloc, dealloc};
use alloc::boxed::Box;
use core::ops::Range;

use crate::page::PAGE_SIZE;

/// A seeded generator (xorshift64*), so that a failing case can be repeated.
pub struct Rng(u64);

impl Rng {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit` (> 0).
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.bits() >> 32) as usize) % limit
    }
}

/// Pages that play the part of a machine's RAM: "physical" addresses are those of the process.
pub struct Ram {
    start: *mut u8,
    layout: Layout,
}

impl Ram {
    /// `pages` pages full of rubbish, at a multiple of 64 pages.
    pub fn new(pages: usize) -> Self {
        let layout = Layout::from_size_align(pages * PAGE_SIZE, 64 * PAGE_SIZE).unwrap();
        // SAFETY: the layout is not empty, and the block is as long as it says.
        let start = unsafe {
            let start = alloc(layout);
            assert!(!start.is_null());
            start.write_bytes(0xA5, layout.size());
            start
        };
        start.expose_provenance();
        Ram { start, layout }
    }

    /// Address of page `i`.
    pub fn page(&self, i: usize) -> usize {
        self.start as usize + i * PAGE_SIZE
    }

    /// All of it.
    pub fn range(&self) -> Range<usize> {
        self.page(0)..self.page(0) + self.layout.size()
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; the tests drop the allocator first.
        unsafe { dealloc(self.start, self.layout) };
    }
}

/// Gives the image's own frames 16 MiB, once for all tests.
pub fn init_global() {
    static RAM: spin::Once<()> = spin::Once::new();
    RAM.call_once(|| {
        let ram = Box::leak(Box::new(Ram::new(4096)));
        // SAFETY: the RAM lives for ever, and belongs to the frames alone.
        unsafe { super::frames::init(&[ram.range()], 0).unwrap() };
    });
}
