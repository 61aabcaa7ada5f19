//! The contents of a file that is mapped: whole pages, one behind the other.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{OnceCell, RefCell};
#[allow(deprecated)]
use core::hash::{Hasher, SipHasher};
use core::ptr::NonNull;

use super::super::local::local;
use super::super::memory::{For, Reserved};
use super::super::parts::{Errno, Result};
use crate::errno::ENOMEM;
use crate::host;

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
    /// Of each page, what it had when somebody looked last; fewer than there are pages, if nobody looked at the others.
    sums: RefCell<Vec<u64>>,
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
        Ok(Rc::new(Block { at, len: layout.size(), space, sums: RefCell::default() }))
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

    /// Takes all of another one, which is not longer.
    pub(super) fn take(&self, other: &Block) {
        let mut page = [0; PAGE];
        for at in (0..other.len()).step_by(PAGE) {
            other.read(at, &mut page);
            self.write(at, &page);
        }
        self.sums.swap(&other.sums);
    }

    /// Calls `f` with the number of each page that has changed since this was called last, of the first `pages`. Without
    /// memory for that it may call it with others too.
    pub(super) fn look(&self, pages: usize, mut f: impl FnMut(u64)) {
        let (sums, mut page) = (&mut *self.sums.borrow_mut(), [0; PAGE]);
        let _ = sums.try_reserve_exact(pages.saturating_sub(sums.len()));
        for number in 0..pages {
            self.read(number * PAGE, &mut page);
            let sum = sum(&page);
            if number == sums.len() && number < sums.capacity() {
                sums.push(sum);
            } else if let Some(before) = sums.get_mut(number) {
                if core::mem::replace(before, sum) == sum {
                    continue;
                }
            }
            f(number as u64);
        }
    }

    /// Copies a page that is going to be stored: that is what it had when somebody looked last. Between the look and
    /// this, the program may have written to it; when it writes back what was there at the look, the page is another
    /// than what is stored.
    pub(super) fn store(&self, number: usize, to: &mut [u8; PAGE]) {
        self.read(number * PAGE, to);
        if let Some(before) = self.sums.borrow_mut().get_mut(number) {
            *before = sum(to);
        }
    }

    /// Makes everything from there on zeroes.
    pub(super) fn clear(&self, from: u64) {
        if let Some(n) = (self.len as u64).checked_sub(from) {
            // SAFETY: within the block.
            unsafe { self.at.as_ptr().add(from as usize).write_bytes(0, n as usize) };
        }
    }
}

/// A checksum that nobody outside can find another page for: its key is a secret of the domain.
#[allow(deprecated)]
fn sum(page: &[u8; PAGE]) -> u64 {
    local! {
        static KEY: OnceCell<[u64; 2]> = const { OnceCell::new() };
    }
    let key = || {
        let mut bytes = [0; 16];
        // Without chance it is a checksum still.
        let _ = (host::get().random)(&mut bytes);
        let (one, two) = (bytes.first_chunk().copied(), bytes.last_chunk().copied());
        [one, two].map(|half| u64::from_ne_bytes(half.unwrap_or_default()))
    };
    let [one, two] = KEY.with(|of| *of.get_or_init(key));
    let mut hasher = SipHasher::new_with_keys(one, two);
    hasher.write(page);
    hasher.finish()
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it was allocated so; nothing has it mapped, which would be a part of what keeps it.
        unsafe {
            dealloc(self.at.as_ptr(), Layout::from_size_align_unchecked(self.len, PAGE));
        }
    }
}
