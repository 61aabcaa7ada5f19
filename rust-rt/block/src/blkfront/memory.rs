//! Memory that the backend sees: the ring, and pages that data is copied through.

use crate::Buffer;
use alloc::vec::Vec;
use core::ops::Deref;
use mirust_mem::PAGE_SIZE;
use mirust_xen::{
    gnttab::{GrantError, GrantTable, Granted},
    hypervisor::GrantAccess,
    page::Page,
    ring::front::Protocol,
    shared::SharedPage,
    wire::{
        DomId, GrantRef,
        blkif::{Response, SLOT},
    },
};

/// The messages of the block protocol. Requests are slots that were written before.
#[derive(Debug)]
pub(super) struct Blkif;

impl Protocol for Blkif {
    const SLOT: usize = SLOT;
    const ONE_PAGE: bool = false;
    type Request = [u8; SLOT];
    type Response = Response;

    fn emit(request: &[u8; SLOT], slot: &mut [u8]) {
        slot.copy_from_slice(request);
    }

    fn parse(slot: &[u8]) -> Response {
        Response::parse(slot)
    }
}

/// The pages of a ring, in a row, each with its grant.
pub(super) struct RingPages {
    shared: SharedPage,
    /// Owns the memory. `None` once it is given up.
    memory: Option<Buffer>,
    grefs: Vec<GrantRef>,
    grants: &'static GrantTable,
}

impl RingPages {
    pub fn new(
        grants: &'static GrantTable,
        peer: DomId,
        pages: usize,
    ) -> Result<RingPages, GrantError> {
        let memory = Buffer::new(pages * PAGE_SIZE).map_err(|_| GrantError::OutOfMemory)?;
        // SAFETY: the buffer is kept until its grants have ended (or for ever), is aligned to a page,
        // and no reference to its bytes is made any more.
        let shared = unsafe { SharedPage::new(memory.addr(), pages * PAGE_SIZE) };
        let mut ring = RingPages { shared, memory: Some(memory), grefs: Vec::new(), grants };
        for page in 0..pages {
            let addr = ring.shared.addr() + page * PAGE_SIZE;
            // SAFETY: as above. What was granted before a failure ends with `ring`.
            let gref = unsafe { grants.grant_addr(addr, peer, GrantAccess::ReadWrite) }?;
            ring.grefs.push(gref);
        }
        Ok(ring)
    }

    /// What the backend has to be told.
    pub fn grefs(&self) -> &[GrantRef] {
        &self.grefs
    }

    /// Ends the backend's access to pages that it has released.
    pub fn end(&mut self) {
        let grants = self.grants;
        self.grefs.retain(|gref| grants.end(*gref).is_err());
    }

    /// Whether there are grants that have not ended.
    pub fn is_stuck(&self) -> bool {
        !self.grefs.is_empty()
    }
}

impl Deref for RingPages {
    type Target = SharedPage;

    fn deref(&self) -> &SharedPage {
        &self.shared
    }
}

impl Drop for RingPages {
    fn drop(&mut self) {
        self.end();
        if self.is_stuck() {
            log::warn!("a block ring is still mapped by its backend; its memory is given up");
            core::mem::forget(self.memory.take());
        }
    }
}

/// Pages that data is copied through.
///
/// They never hold anything but this disk's data, and live no longer than the connection: whatever else a backend
/// finds in one, it has seen before. In persistent mode a page
/// keeps its grant, so that the backend can keep it mapped; the page used last is used next, because
/// a backend that keeps only some of them mapped keeps those.
pub(super) struct Pages {
    persistent: bool,
    peer: DomId,
    grants: &'static GrantTable,
    granted: Vec<Granted>,
    plain: Vec<Page>,
    /// Pages that the backend has not released, though it has answered.
    stuck: Vec<Granted>,
    /// All of them, wherever they are.
    total: usize,
    /// Times that the backend was granted access to one.
    pub shared: u64,
    max: usize,
}

impl Pages {
    pub fn new(grants: &'static GrantTable, peer: DomId, persistent: bool, max: usize) -> Pages {
        let (granted, plain, stuck) = Default::default();
        Pages { persistent, peer, grants, granted, plain, stuck, total: 0, shared: 0, max }
    }

    /// A granted page, if one is available.
    pub fn take(&mut self, access: GrantAccess) -> Result<Option<Granted>, GrantError> {
        if let Some(page) = self.granted.pop() {
            return Ok(Some(page));
        }
        self.shared += 1;
        let access = if self.persistent { GrantAccess::ReadWrite } else { access };
        if let Some(page) = self.plain.pop() {
            return match self.grants.share_page(page, self.peer, access) {
                Ok(page) => Ok(Some(page)),
                Err((error, page)) => {
                    self.plain.push(page);
                    Err(error)
                }
            };
        }
        if self.total >= self.max {
            return Ok(None);
        }
        let page = self.grants.share(self.peer, access)?;
        self.total += 1;
        Ok(Some(page))
    }

    /// The backend has answered the request that the page was for.
    pub fn give_back(&mut self, page: Granted) {
        if self.persistent {
            self.granted.push(page);
            return;
        }
        match page.end() {
            Ok(page) => self.plain.push(page),
            Err(page) => self.stuck.push(page),
        }
    }

    /// No request will use the pages any more: ends the backend's access to those that it has released.
    pub fn end(&mut self) {
        self.persistent = false;
        let granted = core::mem::take(&mut self.granted);
        self.stuck.extend(granted);
        self.retry();
        self.plain.clear();
    }

    /// Tries again to end grants that the backend had not released.
    pub fn retry(&mut self) {
        for page in core::mem::take(&mut self.stuck) {
            self.give_back(page);
        }
    }

    /// Whether the backend holds pages that it should have released.
    pub fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }
}
