//! The contents of a file that is mapped: whole pages, one behind the other.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::rc::Rc;
use core::ptr::NonNull;

use super::super::memory::{For, Reserved};
use super::super::parts::{Errno, Result};
use crate::errno::ENOMEM;

/// Bytes of a page of a file.
pub(super) const PAGE: usize = 4096;
/// What a page takes besides its bytes: its place in the map, and the heap's.
pub(super) const PAGE_COST: usize = PAGE + 64;

/// Whole pages.
pub(super) struct Block {
    at: NonNull<u8>,
    len: usize,
    /// What it takes of the share of files.
    pub(super) space: Reserved,
}

impl Block {
    /// A block of at least `len` zeroes.
    ///
    /// # Errors
    ///
    /// ENOSPC if the share of files is used up, ENOMEM if the memory is.
    pub(super) fn new(len: u64) -> Result<Rc<Block>> {
        let len = usize::try_from(len).ok().and_then(|len| len.checked_next_multiple_of(PAGE));
        let layout = len.and_then(|len| Layout::from_size_align(len, PAGE).ok());
        let layout = layout.filter(|layout| layout.size() > 0).ok_or(Errno(ENOMEM))?;
        let space = Reserved::new(For::Files);
        space.set((layout.size() / PAGE).saturating_mul(PAGE_COST))?;
        // SAFETY: it has a size.
        let at = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Errno(ENOMEM))?;
        Ok(Rc::new(Block { at, len: layout.size(), space }))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where the program has it, once it is mapped.
    pub(super) fn address(&self) -> usize {
        self.at.as_ptr().expose_provenance()
    }

    /// Copies out of it, from where the program may have it mapped.
    pub(super) fn read(&self, from: usize, to: &mut [u8]) {
        assert!(from <= self.len && to.len() <= self.len - from);
        // SAFETY: within the block, as was just seen. The program may read into its own mapping.
        unsafe { to.as_mut_ptr().copy_from(self.at.as_ptr().add(from), to.len()) };
    }

    /// Copies into it.
    pub(super) fn write(&self, to: usize, from: &[u8]) {
        assert!(to <= self.len && from.len() <= self.len - to);
        // SAFETY: as in `read`.
        unsafe { self.at.as_ptr().add(to).copy_from(from.as_ptr(), from.len()) };
    }

    /// Makes everything from there on zeroes.
    pub(super) fn clear(&self, from: u64) {
        if let Some(n) = (self.len as u64).checked_sub(from) {
            // SAFETY: within the block.
            unsafe { self.at.as_ptr().add(from as usize).write_bytes(0, n as usize) };
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it was allocated so; nothing has it mapped, which would be a part of what keeps it.
        unsafe {
            dealloc(self.at.as_ptr(), Layout::from_size_align_unchecked(self.len, PAGE));
        }
    }
}
