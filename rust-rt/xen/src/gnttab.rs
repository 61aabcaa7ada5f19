//! The grant table: which of its pages this domain shares with whom.
//!
//! A *grant* is an entry `(domid, frame, flags)` in a table that Xen reads. The number of the entry,
//! the grant reference, is what the peer is told; with it the peer asks Xen to map the page or to
//! copy from or to it. The table has version 1 and grows a frame (512 entries) at a time.
//!
//! Access ends only when the peer has unmapped the page. Until then the page must not be used for
//! anything else: [`Granted`] gives it back when that is so, and leaks it, with a message, when it
//! is dropped too early. Memory lost is better than memory that a stranger can still write.

use super::{
    abi::{self, grant_entry_v1},
    hypervisor::{Errno, GrantAccess, GrantStatus, Hypervisor},
    page::Page,
};
use crate::{
    shared::SharedPage,
    wire::{DomId, Gfn, GrantRef},
};
use alloc::vec::Vec;
use core::{
    fmt,
    mem::offset_of,
    ops::{Deref, Range},
    sync::atomic::{AtomicUsize, Ordering},
};
use mirust_mem::PAGE_SIZE;
use spin::Mutex;

const ENTRY: usize = size_of::<grant_entry_v1>();
/// Entries in a frame of the table.
const ENTRIES: usize = PAGE_SIZE / ENTRY;
/// The first entries belong to the toolstack, which grants the console's and xenstore's pages.
const RESERVED: usize = abi::GNTTAB_NR_RESERVED_ENTRIES as usize;
/// The peer has the page mapped, or Xen is copying.
const IN_USE: u16 = (abi::GTF_reading | abi::GTF_writing) as u16;

/// Why a page could not be granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GrantError {
    /// The table is as large as Xen lets it be, and every entry is in use.
    TableFull,
    /// There is no memory for a page, or for another frame of the table.
    OutOfMemory,
    /// The frame number does not fit into an entry of version 1: it is above 16 TiB.
    FrameTooHigh(Gfn),
    /// Xen refused to place this frame of the table.
    NoFrame(usize, Errno),
    /// The number is not one that was lent, or it grants something already.
    NotLent(GrantRef),
    /// Xen refused.
    Xen(GrantStatus),
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GrantError::TableFull => f.write_str("the grant table is full"),
            GrantError::OutOfMemory => f.write_str("no memory for a grant"),
            GrantError::FrameTooHigh(gfn) => write!(f, "frame {:#x} is too high to grant", gfn.0),
            GrantError::NoFrame(index, errno) => {
                write!(f, "Xen refused frame {index} of the grant table: {errno}")
            }
            GrantError::NotLent(gref) => write!(f, "grant {gref} is not free to use"),
            GrantError::Xen(status) => write!(f, "Xen refused a grant operation: {status}"),
        }
    }
}

impl core::error::Error for GrantError {}

impl From<GrantStatus> for GrantError {
    fn from(status: GrantStatus) -> Self {
        GrantError::Xen(status)
    }
}

/// The peer still has the page mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer still has the page mapped")
    }
}

impl core::error::Error for Busy {}

/// Numbers on the use of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrantStats {
    /// Entries that grant something.
    pub used: usize,
    /// Entries in the frames there are, without the reserved ones.
    pub entries: usize,
    /// Frames that the table may grow to.
    pub max_frames: usize,
    /// Grants that were given up because the peer held on to the page.
    pub leaked: usize,
}

/// The grant table of this domain.
pub struct GrantTable {
    pub(super) hypervisor: &'static dyn Hypervisor,
    max_frames: AtomicUsize,
    inner: Mutex<Inner>,
    /// Frames without memory that a foreign page can be mapped over.
    pub(super) holes: Mutex<Vec<SharedPage>>,
    /// Foreign pages that are mapped.
    pub(super) mapped: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    frames: Vec<SharedPage>,
    free: Vec<u32>,
    /// By grant reference: whether the entry is ours to end. Guards against ending it twice.
    used: Vec<bool>,
    in_use: usize,
    leaked: usize,
    /// Entries that another allocator gives out.
    lent: Vec<Range<u32>>,
}

impl GrantTable {
    /// Takes over the domain's grant table.
    pub fn new(hypervisor: &'static dyn Hypervisor) -> Result<GrantTable, GrantError> {
        // A Xen without version 2 has no such call, and nothing to set.
        if let Err(errno) = hypervisor.grant_set_version_1() {
            log::debug!("grant table: version 1 by default ({errno})");
        }
        let max_frames = AtomicUsize::new(hypervisor.grant_max_frames()? as usize);
        let (inner, holes) = (Mutex::default(), Mutex::default());
        Ok(GrantTable { hypervisor, max_frames, inner, holes, mapped: AtomicUsize::new(0) })
    }

    /// Starts again in a new domain: maps the table's frames again. They grant nothing there; earlier grants are
    /// still ended by their owners as usual, which then always succeeds.
    ///
    /// # Errors
    ///
    /// That of the first frame which could not be placed: it and those behind it are out of use. Entries that were
    /// [lent](Self::lend) may be among them.
    pub fn renew(&self) -> Result<(), GrantError> {
        // Nothing is logged here: there may be no console yet.
        let _ = self.hypervisor.grant_set_version_1();
        let max_frames = self.hypervisor.grant_max_frames()? as usize;
        self.max_frames.store(max_frames, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        for index in 0..inner.frames.len() {
            let placed = self.place(index, inner.frames[index].addr());
            if placed.is_err() {
                // The memory behind them is gone, which is why they are not freed; and the table cannot grow
                // again, since their entries may still have owners.
                let end = (index * ENTRIES) as u32;
                inner.frames.truncate(index);
                inner.free.retain(|gref| *gref < end);
                inner.lent.iter_mut().for_each(|lent| lent.end = lent.end.min(end));
                self.max_frames.store(index, Ordering::Relaxed);
                return placed;
            }
        }
        Ok(())
    }

    /// Entries that were [lent](Self::lend) and grant something.
    pub fn lent_in_use(&self) -> usize {
        let inner = self.inner.lock();
        let lent = inner.lent.iter().cloned().flatten();
        lent.filter(|gref| inner.used[*gref as usize]).count()
    }

    /// Foreign pages that are mapped here. In another domain they would not be.
    pub fn mapped(&self) -> usize {
        self.mapped.load(Ordering::Relaxed)
    }

    /// Has Xen put a frame of the table in place of a page of ours.
    fn place(&self, index: usize, addr: usize) -> Result<(), GrantError> {
        let gfn = self.hypervisor.gfn_of(addr);
        let space = abi::XENMAPSPACE_grant_table;
        // SAFETY: the page was consumed by `grow` and is never freed, and only shared accesses to it remain.
        unsafe { self.hypervisor.add_to_physmap(space, index as u64, gfn) }
            .map_err(|errno| GrantError::NoFrame(index, errno))
    }

    /// Shares a new page of zeros with `domid`.
    pub fn share(&'static self, domid: DomId, access: GrantAccess) -> Result<Granted, GrantError> {
        let page = Page::new().map_err(|_| GrantError::OutOfMemory)?;
        self.share_page(page, domid, access).map_err(|(error, _)| error)
    }

    /// Shares `page` with `domid`; gives it back when that fails.
    pub fn share_page(
        &'static self,
        page: Page,
        domid: DomId,
        access: GrantAccess,
    ) -> Result<Granted, (GrantError, Page)> {
        let gfn = self.hypervisor.gfn_of(page.addr());
        // SAFETY: the page is consumed below, so that only shared accesses remain.
        match unsafe { self.grant(gfn, domid, access) } {
            Ok(gref) => Ok(Granted { shared: Some(page.into_shared()), gref, table: self }),
            Err(error) => Err((error, page)),
        }
    }

    /// Grants `domid` access to a frame. [`share`](Self::share) is the safe way to do this.
    ///
    /// # Safety
    ///
    /// Until [`end`](Self::end) has succeeded the memory must stay allocated, and no Rust reference
    /// to it may exist while the peer can write it.
    #[inline(always)] // For each page of a frame, and the crate is compiled for its size.
    pub unsafe fn grant(
        &self,
        gfn: Gfn,
        domid: DomId,
        access: GrantAccess,
    ) -> Result<GrantRef, GrantError> {
        let frame = u32::try_from(gfn.0).map_err(|_| GrantError::FrameTooHigh(gfn))?;
        let mut inner = self.inner.lock();
        let gref = loop {
            match inner.free.pop() {
                Some(gref) => break gref,
                None => self.grow(&mut inner)?,
            }
        };
        inner.set(GrantRef(gref), frame, domid, access);
        Ok(GrantRef(gref))
    }

    /// [`grant`](Self::grant) of the frame that holds the page at `addr`.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)] // As `grant`.
    pub unsafe fn grant_addr(
        &self,
        addr: usize,
        domid: DomId,
        access: GrantAccess,
    ) -> Result<GrantRef, GrantError> {
        // SAFETY: as the caller promised.
        unsafe { self.grant(self.hypervisor.gfn_of(addr), domid, access) }
    }

    /// Lends a run of entries to another allocator, which gives them out by number: at most `most`, fewer if the
    /// table may not grow that far. They are never given out here again.
    ///
    /// # Errors
    ///
    /// As [`grant`](Self::grant), if there is not a single frame for it.
    pub fn lend(&self, most: usize) -> Result<Range<u32>, GrantError> {
        let mut inner = self.inner.lock();
        // Whole frames, none of whose entries anybody has had.
        let first = (inner.frames.len() * ENTRIES).max(RESERVED);
        let result = (0..most.div_ceil(ENTRIES)).try_for_each(|_| self.grow(&mut inner));
        let end = inner.frames.len() * ENTRIES;
        if end <= first {
            result?;
        }
        let lent = first as u32..end.min(first + most) as u32;
        inner.free.retain(|gref| !lent.contains(gref));
        inner.lent.push(lent.clone());
        Ok(lent)
    }

    /// Grants `domid` access to the page at `addr`, under a number that was [lent](Self::lend). Access
    /// that it granted before must have been ended.
    ///
    /// # Errors
    ///
    /// [`GrantError::NotLent`] if the number was not lent, or grants something.
    ///
    /// # Safety
    ///
    /// As for [`grant`](Self::grant).
    pub unsafe fn grant_lent(
        &self,
        gref: GrantRef,
        addr: usize,
        domid: DomId,
        access: GrantAccess,
    ) -> Result<(), GrantError> {
        let gfn = self.hypervisor.gfn_of(addr);
        let frame = u32::try_from(gfn.0).map_err(|_| GrantError::FrameTooHigh(gfn))?;
        let mut inner = self.inner.lock();
        if !inner.is_lent(gref) || inner.used[gref.0 as usize] {
            return Err(GrantError::NotLent(gref));
        }
        inner.set(gref, frame, domid, access);
        Ok(())
    }

    /// Ends access that was granted under a number that was lent. There being none is no error.
    ///
    /// # Errors
    ///
    /// [`Busy`] as [`end`](Self::end), and for a number that was not lent.
    pub fn end_lent(&self, gref: GrantRef) -> Result<(), Busy> {
        let mut inner = self.inner.lock();
        if !inner.is_lent(gref) {
            return Err(Busy);
        }
        if inner.used[gref.0 as usize] { inner.end(gref) } else { Ok(()) }
    }

    /// Ends the peer's access. With [`Busy`] the grant stays as it was.
    ///
    /// # Panics
    ///
    /// If `gref` was not granted, or has been ended: the frame may be in use for something else.
    pub fn end(&self, gref: GrantRef) -> Result<(), Busy> {
        let mut inner = self.inner.lock();
        let used = inner.used.get(gref.0 as usize).copied().unwrap_or(false);
        assert!(used, "grant {gref} ended twice");
        inner.end(gref)?;
        if (gref.0 as usize) < inner.frames.len() * ENTRIES {
            inner.free.push(gref.0);
        }
        Ok(())
    }

    /// Numbers on the use of the table.
    pub fn stats(&self) -> GrantStats {
        let inner = self.inner.lock();
        GrantStats {
            used: inner.in_use,
            entries: inner.in_use + inner.free.len(),
            max_frames: self.max_frames.load(Ordering::Relaxed),
            leaked: inner.leaked,
        }
    }

    /// Adds a frame to the table.
    fn grow(&self, inner: &mut Inner) -> Result<(), GrantError> {
        let index = inner.frames.len();
        if index >= self.max_frames.load(Ordering::Relaxed) {
            return Err(GrantError::TableFull);
        }
        let page = Page::new().map_err(|_| GrantError::OutOfMemory)?;
        let shared = page.into_shared();
        if let Err(error) = self.place(index, shared.addr()) {
            log::error!("{error}");
            // SAFETY: Xen refused, so the frame is still the one that was allocated.
            drop(unsafe { Page::from_shared(shared) });
            return Err(GrantError::TableFull);
        }
        inner.frames.push(shared);
        let first = index * ENTRIES;
        inner.used.resize(first + ENTRIES, false);
        // Low numbers are handed out first.
        inner.free.extend((first.max(RESERVED)..first + ENTRIES).rev().map(|gref| gref as u32));
        Ok(())
    }
}

impl Inner {
    /// The frame of the table, and the offset in it, of an entry that exists.
    fn entry(&self, gref: u32) -> (&SharedPage, usize) {
        let gref = gref as usize;
        (&self.frames[gref / ENTRIES], gref % ENTRIES * ENTRY)
    }

    fn is_lent(&self, gref: GrantRef) -> bool {
        self.lent.iter().any(|lent| lent.contains(&gref.0))
    }

    /// Makes an entry valid that grants nothing.
    fn set(&mut self, gref: GrantRef, frame: u32, domid: DomId, access: GrantAccess) {
        let flags = match access {
            GrantAccess::ReadOnly => abi::GTF_permit_access | abi::GTF_readonly,
            GrantAccess::ReadWrite => abi::GTF_permit_access,
        };
        self.used[gref.0 as usize] = true;
        self.in_use += 1;
        let (table, entry) = self.entry(gref.0);
        table.store_u16(entry + offset_of!(grant_entry_v1, domid), domid.0);
        table.store_u32(entry + offset_of!(grant_entry_v1, frame), frame);
        // Last, with release ordering: from here on the entry is valid to Xen.
        table.store_u16(entry + offset_of!(grant_entry_v1, flags), flags as u16);
    }

    /// Makes an entry invalid that grants something, unless the peer uses it.
    fn end(&mut self, gref: GrantRef) -> Result<(), Busy> {
        if gref.0 as usize >= self.frames.len() * ENTRIES {
            // Only another domain's table had it.
            self.used[gref.0 as usize] = false;
            self.in_use -= 1;
            return Ok(());
        }
        let (table, entry) = self.entry(gref.0);
        let flags = entry + offset_of!(grant_entry_v1, flags);
        let mut current = table.load_u16(flags);
        loop {
            if current & IN_USE != 0 {
                return Err(Busy);
            }
            // Xen sets the bits of use in the same word with a compare-and-exchange of its own:
            // either it finds the entry invalid, or we find it in use.
            match table.compare_exchange_u16(flags, current, abi::GTF_invalid as u16) {
                Ok(()) => break,
                Err(now) => current = now,
            }
        }
        self.used[gref.0 as usize] = false;
        self.in_use -= 1;
        Ok(())
    }
}

impl fmt::Debug for GrantTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

/// A page that a peer may access; derefs to what we may do with it meanwhile.
///
/// Dropping it ends the access and frees the page, or leaks both if the peer still uses it.
#[must_use = "dropping it ends the grant"]
pub struct Granted {
    /// `None` only after `end`.
    shared: Option<SharedPage>,
    gref: GrantRef,
    table: &'static GrantTable,
}

impl Granted {
    /// What the peer has to be told.
    pub fn gref(&self) -> GrantRef {
        self.gref
    }

    /// Ends the peer's access and gives the page back, or itself if the peer still uses it.
    pub fn end(mut self) -> Result<Page, Granted> {
        match self.try_end() {
            Some(page) => Ok(page),
            None => Err(self),
        }
    }

    fn try_end(&mut self) -> Option<Page> {
        let shared = self.shared.take()?;
        if self.table.end(self.gref).is_err() {
            self.shared = Some(shared);
            return None;
        }
        // SAFETY: from `into_shared` in `share_page`; the peer's access has ended.
        Some(unsafe { Page::from_shared(shared) })
    }
}

impl Deref for Granted {
    type Target = SharedPage;

    fn deref(&self) -> &SharedPage {
        self.shared.as_ref().expect("taken only by `end`, which consumes the grant")
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if self.shared.is_some() && self.try_end().is_none() {
            self.table.inner.lock().leaked += 1;
            log::warn!("grant {}: the peer still uses the page, which is leaked", self.gref);
        }
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Granted").field(&self.gref).finish()
    }
}

const _: () = assert!(ENTRY == 8 && ENTRIES == 512);

#[cfg(test)]
#[path = "gnttab_tests.rs"]
mod tests;
