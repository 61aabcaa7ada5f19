//! Whole pages, the unit in which domains share memory.

use crate::shared::SharedPage;
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::{
    ops::{Deref, DerefMut},
    ptr::NonNull,
};
use mirust_mem::{OutOfMemory, PAGE_SIZE};

const LAYOUT: Layout = match Layout::from_size_align(PAGE_SIZE, PAGE_SIZE) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// A page of ordinary memory, mapped one to one. It derefs to its 4096 bytes, which start as zeros.
///
/// Granting it to a peer consumes it (see [`Granted`](super::gnttab::Granted)), so that no reference
/// to its bytes can live on.
#[derive(Debug)]
pub struct Page(NonNull<[u8; PAGE_SIZE]>);

// SAFETY: a page owns its memory like a box.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// A new page of zeros.
    pub fn new() -> Result<Page, OutOfMemory> {
        // SAFETY: the layout is not empty.
        let page = unsafe { alloc_zeroed(LAYOUT) };
        NonNull::new(page.cast()).map(Page).ok_or(OutOfMemory)
    }

    /// The address of the first byte.
    pub fn addr(&self) -> usize {
        self.0.as_ptr() as usize
    }

    /// Gives the page up to a peer: what remains is memory that someone else may write.
    pub(super) fn into_shared(self) -> SharedPage {
        let base = self.0.cast();
        core::mem::forget(self);
        // SAFETY: the memory is never freed unless `from_shared` makes a page of it again, it is
        // aligned, and consuming the page ended all references to it.
        unsafe { SharedPage::new(base, PAGE_SIZE) }
    }

    /// The way back, when no peer has access any more.
    ///
    /// # Safety
    ///
    /// `shared` must come from [`into_shared`](Self::into_shared), nobody else may access the
    /// memory, and the frame behind it must not have been replaced.
    pub(super) unsafe fn from_shared(shared: SharedPage) -> Page {
        let base = core::ptr::with_exposed_provenance_mut(shared.addr());
        Page(NonNull::new(base).expect("a mapped page is not at address zero"))
    }
}

impl Deref for Page {
    type Target = [u8; PAGE_SIZE];

    fn deref(&self) -> &Self::Target {
        // SAFETY: allocated, initialised, and shared with nobody: `into_shared` consumes the page.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for Page {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: as above, and `self` is exclusive.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout by `new`.
        unsafe { dealloc(self.0.as_ptr().cast(), LAYOUT) }
    }
}
