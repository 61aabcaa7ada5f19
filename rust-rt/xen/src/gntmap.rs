//! Pages of other domains: mapped here, or copied from and to.

use super::{
    gnttab::{GrantError, GrantTable},
    hypervisor::{CopyEnd, GrantAccess, GrantStatus, MapHandle},
    page::Page,
};
use crate::{
    shared::SharedPage,
    wire::{DomId, GrantRef},
};
use alloc::{
    alloc::{Layout, alloc_zeroed},
    vec::Vec,
};
use core::{fmt, ops::Deref, ptr::NonNull, sync::atomic::Ordering};
use mirust_mem::PAGE_SIZE;

/// A foreign page in this domain's memory; dropping it unmaps the page.
///
/// The page's owner can write it at any time, so it is accessed as shared memory. Writing to a
/// page that was mapped read-only faults.
#[must_use = "dropping it unmaps the page"]
pub struct Mapped {
    /// `None` only while dropping.
    shared: Option<SharedPage>,
    handle: MapHandle,
    table: &'static GrantTable,
}

impl GrantTable {
    /// Maps a page that `domid`, another domain, has granted to this one. (A domain that maps a page
    /// of its own this way moves the page: its old place becomes a hole.)
    pub fn map(
        &'static self,
        domid: DomId,
        gref: GrantRef,
        access: GrantAccess,
    ) -> Result<Mapped, GrantError> {
        let hole = self.hole()?;
        let gfn = self.hypervisor.gfn_of(hole.addr());
        // SAFETY: the frame is a hole, and no other mapping has it.
        match unsafe { self.hypervisor.grant_map(domid, gref, access, gfn) } {
            Ok(handle) => {
                self.mapped.fetch_add(1, Ordering::Relaxed);
                Ok(Mapped { shared: Some(hole), handle, table: self })
            }
            Err(status) => {
                self.holes.lock().push(hole);
                Err(status.into())
            }
        }
    }

    /// Maps pages of other domains contiguously, all or none of them.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map).
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn map_run(
        &'static self,
        grants: &[(DomId, GrantRef)],
        access: GrantAccess,
    ) -> Result<MappedRun, GrantError> {
        assert!(!grants.is_empty(), "a run of no pages");
        let holes = self.hole_run(grants.len())?;
        let mut run = MappedRun { holes: Some(holes), handles: Vec::new(), table: self };
        for (domid, gref) in grants {
            let gfn = self.hypervisor.gfn_of(run.addr() + run.handles.len() * PAGE_SIZE);
            // SAFETY: the frame is a hole of the run, and no other mapping has it. If this fails, the
            // run is dropped, which ends the mappings before it.
            run.handles.push(unsafe { self.hypervisor.grant_map(*domid, *gref, access, gfn) }?);
            self.mapped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(run)
    }

    /// Contiguous frames without memory. They are kept for the next run of the same length.
    fn hole_run(&self, pages: usize) -> Result<SharedPage, GrantError> {
        if pages == 1 {
            return self.hole();
        }
        let mut holes = self.holes.lock();
        if let Some(at) = holes.iter().position(|hole| hole.len() == pages * PAGE_SIZE) {
            return Ok(holes.swap_remove(at));
        }
        drop(holes);
        let layout = Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE)
            .map_err(|_| GrantError::OutOfMemory)?;
        // Xen may give what it gets to another domain as it is.
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(GrantError::OutOfMemory)?;
        // SAFETY: allocated as a whole and never freed; nobody has a reference to it.
        let run = unsafe { SharedPage::new(base, layout.size()) };
        for page in 0..pages {
            let gfn = self.hypervisor.gfn_of(run.addr() + page * PAGE_SIZE);
            // SAFETY: the memory is ours for ever, and not accessed before something is mapped there.
            if let Err(errno) = unsafe { self.hypervisor.release_frame(gfn) } {
                // What was released so far cannot be recovered: the run is leaked.
                log::error!("grants: Xen does not take a frame back: {errno}");
                return Err(GrantError::Xen(GrantStatus(super::abi::GNTST_general_error as i16)));
            }
        }
        Ok(run)
    }

    /// Copies `out.len()` bytes from `offset` on out of a page that `domid` has granted.
    ///
    /// # Panics
    ///
    /// If the bytes do not lie within a page.
    pub fn copy_from(
        &self,
        domid: DomId,
        gref: GrantRef,
        offset: usize,
        out: &mut [u8],
    ) -> Result<(), GrantError> {
        let len = copy_len(offset, out.len());
        let page = Page::new().map_err(|_| GrantError::OutOfMemory)?;
        let own = CopyEnd::Own(self.hypervisor.gfn_of(page.addr()));
        let shared = page.into_shared();
        let from = (CopyEnd::Granted { domid, gref }, offset as u16);
        // SAFETY: only shared accesses to the page exist.
        let result = unsafe { self.hypervisor.grant_copy(from, (own, 0), len) };
        shared.read(0, out);
        // SAFETY: from `into_shared` above; the copy is over.
        drop(unsafe { Page::from_shared(shared) });
        Ok(result?)
    }

    /// Copies `bytes` into a page that `domid` has granted, from `offset` on.
    ///
    /// # Panics
    ///
    /// If the bytes do not lie within a page.
    pub fn copy_to(
        &self,
        domid: DomId,
        gref: GrantRef,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), GrantError> {
        let len = copy_len(offset, bytes.len());
        let mut page = Page::new().map_err(|_| GrantError::OutOfMemory)?;
        page[..bytes.len()].copy_from_slice(bytes);
        let own = CopyEnd::Own(self.hypervisor.gfn_of(page.addr()));
        let to = (CopyEnd::Granted { domid, gref }, offset as u16);
        // SAFETY: the destination is not a page that Rust knows of.
        Ok(unsafe { self.hypervisor.grant_copy((own, 0), to, len) }?)
    }

    /// A frame without memory. Holes are kept for the next mapping.
    fn hole(&self) -> Result<SharedPage, GrantError> {
        let mut holes = self.holes.lock();
        if let Some(at) = holes.iter().rposition(|hole| hole.len() == PAGE_SIZE) {
            return Ok(holes.swap_remove(at));
        }
        drop(holes);
        let page = Page::new().map_err(|_| GrantError::OutOfMemory)?;
        let gfn = self.hypervisor.gfn_of(page.addr());
        let shared = page.into_shared();
        // SAFETY: the page is consumed and never freed; `shared` is not accessed before something is
        // mapped there.
        match unsafe { self.hypervisor.release_frame(gfn) } {
            Ok(()) => Ok(shared),
            Err(errno) => {
                log::error!("grants: Xen does not take a frame back: {errno}");
                // SAFETY: Xen refused, so the memory is still there.
                drop(unsafe { Page::from_shared(shared) });
                Err(GrantError::Xen(GrantStatus(super::abi::GNTST_general_error as i16)))
            }
        }
    }
}

fn copy_len(offset: usize, len: usize) -> u16 {
    assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset, "a grant copy leaves its page");
    len as u16
}

impl Deref for Mapped {
    type Target = SharedPage;

    fn deref(&self) -> &SharedPage {
        self.shared.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let Some(hole) = self.shared.take() else { return };
        self.table.mapped.fetch_sub(1, Ordering::Relaxed);
        let gfn = self.table.hypervisor.gfn_of(hole.addr());
        // SAFETY: the only view of the mapping is `hole`, which is not used before it is mapped
        // again.
        match unsafe { self.table.hypervisor.grant_unmap(self.handle, gfn) } {
            Ok(()) => self.table.holes.lock().push(hole),
            Err(status) => log::error!("grants: cannot unmap a foreign page: {status}"),
        }
    }
}

/// Contiguous foreign pages in this domain's memory; dropping it unmaps them. Otherwise as [`Mapped`].
#[must_use = "dropping it unmaps the pages"]
pub struct MappedRun {
    /// `None` only while dropping.
    holes: Option<SharedPage>,
    /// One for each page from the first on.
    handles: Vec<MapHandle>,
    table: &'static GrantTable,
}

impl Deref for MappedRun {
    type Target = SharedPage;

    fn deref(&self) -> &SharedPage {
        self.holes.as_ref().expect("taken only when dropped")
    }
}

impl Drop for MappedRun {
    fn drop(&mut self) {
        let Some(holes) = self.holes.take() else { return };
        self.table.mapped.fetch_sub(self.handles.len(), Ordering::Relaxed);
        for (page, handle) in self.handles.iter().enumerate() {
            let gfn = self.table.hypervisor.gfn_of(holes.addr() + page * PAGE_SIZE);
            // SAFETY: as for one page: the only view of the mapping is `holes`.
            if let Err(status) = unsafe { self.table.hypervisor.grant_unmap(*handle, gfn) } {
                // The run is leaked: its frames must not be mapped over.
                log::error!("grants: cannot unmap a foreign page: {status}");
                return;
            }
        }
        self.table.holes.lock().push(holes);
    }
}

impl fmt::Debug for MappedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MappedRun").field(&self.handles).finish()
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mapped").field(&self.handle).finish()
    }
}
