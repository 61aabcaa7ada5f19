//! Memory that a disk can use in place.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};
use mirust_mem::{OutOfMemory, PAGE_SIZE};

/// Bytes in whole pages that hold nothing else: what a disk reads into or writes from without a copy.
/// They start as zeros.
pub struct Buffer {
    base: NonNull<u8>,
    len: usize,
    pages: usize,
}

// SAFETY: a buffer owns its memory like a box.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of `len` bytes.
    pub fn new(len: usize) -> Result<Buffer, OutOfMemory> {
        let pages = len.div_ceil(PAGE_SIZE).max(1);
        let layout = Self::layout(pages).ok_or(OutOfMemory)?;
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(OutOfMemory)?;
        Ok(Buffer { base, len, pages })
    }

    /// Where the bytes are. The memory stays where it is when the buffer moves.
    pub fn addr(&self) -> NonNull<u8> {
        self.base
    }

    /// Changes how many of its bytes are in use.
    ///
    /// # Panics
    ///
    /// If it holds fewer.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "longer than the buffer");
        self.len = len;
    }

    /// Its capacity in bytes.
    pub fn capacity(&self) -> usize {
        self.pages * PAGE_SIZE
    }

    fn layout(pages: usize) -> Option<Layout> {
        Layout::from_size_align(pages.checked_mul(PAGE_SIZE)?, PAGE_SIZE).ok()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: allocated, initialised (with zeros at first), and ours.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is exclusive.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let layout = Self::layout(self.pages).expect("it was allocated with this layout");
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), layout) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} bytes", self.len)
    }
}
