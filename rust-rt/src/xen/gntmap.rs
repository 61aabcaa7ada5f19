//! Pages of other domains: mapped here, or copied from and to.

use super::{
    gnttab::{GrantError, GrantTable},
    hypervisor::{CopyEnd, GrantAccess, GrantStatus, MapHandle},
    page::Page,
};
use crate::{
    mem::PAGE_SIZE,
    shared::SharedPage,
    wire::{DomId, GrantRef},
};
use core::{fmt, ops::Deref};

/// A foreign page in this domain's memory; dropping it unmaps the page.
///
/// The page's owner can write it at any time, so all access is that of shared memory. Writing to a
/// page that was mapped read-only faults.
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
            Ok(handle) => Ok(Mapped { shared: Some(hole), handle, table: self }),
            Err(status) => {
                self.holes.lock().push(hole);
                Err(status.into())
            }
        }
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
        if let Some(hole) = self.holes.lock().pop() {
            return Ok(hole);
        }
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
        let gfn = self.table.hypervisor.gfn_of(hole.addr());
        // SAFETY: the only view of the mapping is `hole`, which is not used before it is mapped
        // again.
        match unsafe { self.table.hypervisor.grant_unmap(self.handle, gfn) } {
            Ok(()) => self.table.holes.lock().push(hole),
            Err(status) => log::error!("grants: cannot unmap a foreign page: {status}"),
        }
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mapped").field(&self.handle).finish()
    }
}
