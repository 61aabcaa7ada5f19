//! A request that is being put together, of parts that follow each other on the disk.
//!
//! Memory that holds nothing else, and whole pages, become segments in place; all else is copied through pages of ours,
//! which pieces of several parts can share. What does not fit stays in the queue.

use super::{
    common::Features,
    in_flight::{Copied, InFlight},
    memory::Pages,
};
use crate::{
    Op, SECTOR,
    engine::{Engine, Part, locate},
};
use alloc::vec::Vec;
use core::ptr::NonNull;
use mirust_mem::PAGE_SIZE;
use mirust_xen::{
    gnttab::{GrantError, GrantTable},
    hypervisor::GrantAccess,
    wire::{
        DomId, GrantRef,
        blkif::{INDIRECT_PAGES_MAX, SEGMENTS_MAX, SEGMENTS_PER_PAGE, Segment},
    },
};

/// Why no request could be made from the queue.
pub(super) enum NotNow {
    /// Pages, slots or grants come back when the backend answers.
    Later,
    /// There are no grants, or there is no memory.
    Grant(GrantError),
}

/// What requests are made from.
pub(super) struct Source<'a> {
    pub pages: &'a mut Pages,
    pub grants: &'static GrantTable,
    pub peer: DomId,
    pub features: Features,
}

/// A request that is being put together.
pub(super) struct Build<'a> {
    source: Source<'a>,
    /// What the backend may do with the memory.
    access: GrantAccess,
    pub request: InFlight,
    pub segments: Vec<Segment>,
    /// Pages for the segments themselves, at the front of the request's pages.
    tables: usize,
    /// Bytes that are left in the last page that is copied to.
    room: usize,
}

impl<'a> Build<'a> {
    pub fn new(source: Source<'a>, op: Op, access: GrantAccess) -> Build<'a> {
        let request = InFlight::new(op, Vec::new());
        Build { source, access, request, segments: Vec::new(), tables: 0, room: 0 }
    }

    /// Takes parts from the queue into a request, as long as each begins at the sector where the one before it
    /// ends. Returns why it had to stop, if it is not for want of such parts.
    pub fn gather(&mut self, engine: &mut Engine, mut next: u64) -> Option<NotNow> {
        let op = self.request.op;
        while let Some(part) = engine.queue.front().copied() {
            let io = engine.io(part.io);
            let joins = io.op == op && io.sector + part.at == next && io.held == 0;
            let alone = part.single || self.request.parts.iter().any(|part| part.single);
            if !self.request.parts.is_empty() && (!joins || alone) {
                break;
            }
            let (taken, stopped) = self.add(engine, part);
            if taken > 0 {
                self.request.parts.push(Part { sectors: taken, ..part });
                next += taken;
                let front = engine.queue.front_mut().expect("looked at above");
                front.at += taken;
                front.sectors -= taken;
                if front.sectors == 0 {
                    engine.queue.pop_front();
                }
            }
            if taken < part.sectors {
                return stopped;
            }
        }
        None
    }

    /// Adds as much of a part as fits. Returns how many sectors, and why it was not all of them.
    fn add(&mut self, engine: &Engine, part: Part) -> (u64, Option<NotNow>) {
        let io = engine.io(part.io);
        let wanted = (part.sectors * SECTOR) as usize;
        let mut taken = 0;
        while taken < wanted {
            let left = wanted - taken;
            let step = if io.op == Op::Zero {
                self.zeros(left)
            } else {
                let skip = (part.at * SECTOR) as usize + taken;
                let (addr, rest, alone) = locate(&io.memory, skip);
                let left = left.min(rest);
                let sector_size = engine.info.sector_size as usize;
                self.stretch(part.io, (addr, left, alone), sector_size)
            };
            match step {
                Ok(len) => taken += len,
                Err(why) => return (taken as u64 / SECTOR, Some(why)),
            }
        }
        (part.sectors, None)
    }

    /// Adds bytes from the beginning of a stretch of memory. Returns how many.
    fn stretch(
        &mut self,
        io: u64,
        (addr, len, alone): (NonNull<u8>, usize, bool),
        sector_size: usize,
    ) -> Result<usize, NotNow> {
        let offset = addr.as_ptr() as usize % PAGE_SIZE;
        let to_page = PAGE_SIZE - offset;
        let copy_all = self.source.features.persistent || self.source.features.untrusted;
        let whole = offset == 0 && len >= PAGE_SIZE;
        if !copy_all && (whole || (alone && offset % sector_size == 0)) {
            self.room_for_segment()?;
            let len = len.min(to_page);
            let page = addr.as_ptr() as usize - offset;
            // SAFETY: the memory is valid until the request ends, which is not before this grant
            // has; and nobody else uses it.
            let gref =
                unsafe { self.source.grants.grant_addr(page, self.source.peer, self.access) };
            let gref = gref.map_err(NotNow::Grant)?;
            self.request.direct.push((gref, io));
            self.segment(gref, offset, len);
            self.room = 0;
            return Ok(len);
        }
        // Up to the next page, if that can be granted whole.
        let direct_next = !copy_all && to_page % sector_size == 0 && len >= to_page + PAGE_SIZE;
        let len = if direct_next { to_page } else { len };
        if self.room == 0 {
            self.room_for_segment()?;
            let page =
                self.source.pages.take(self.access).map_err(NotNow::Grant)?.ok_or(NotNow::Later)?;
            let gref = page.gref();
            self.request.pages.push(page);
            self.segments.push(Segment { gref, first: 0, last: 0 });
            self.room = PAGE_SIZE;
        }
        let len = len.min(self.room);
        let start = PAGE_SIZE - self.room;
        let page = self.request.pages.len() - 1;
        self.request.copied.push(Copied { page, offset: start, addr, len });
        self.room -= len;
        let last = self.segments.last_mut().expect("the page's segment");
        last.last = ((start + len) / SECTOR as usize - 1) as u8;
        Ok(len)
    }

    /// Adds zeros. Returns how many bytes.
    fn zeros(&mut self, len: usize) -> Result<usize, NotNow> {
        self.room_for_segment()?;
        let len = len.min(PAGE_SIZE);
        // One page for each, although all are the same: Xen's count of a page's mappings is limited.
        let page = self.source.pages.take(GrantAccess::ReadOnly);
        let page = page.map_err(NotNow::Grant)?.ok_or(NotNow::Later)?;
        page.clear();
        let gref = page.gref();
        self.request.pages.push(page);
        self.segment(gref, 0, len);
        self.room = 0;
        Ok(len)
    }

    /// Makes sure that the request can have another segment.
    fn room_for_segment(&mut self) -> Result<(), NotNow> {
        let count = self.segments.len();
        if count >= self.source.features.segments {
            return Err(NotNow::Later);
        }
        // From here on the segments are in pages of their own, before the pages of data.
        if count >= SEGMENTS_MAX && self.tables * SEGMENTS_PER_PAGE <= count {
            if self.tables == INDIRECT_PAGES_MAX {
                return Err(NotNow::Later);
            }
            let page = self.source.pages.take(GrantAccess::ReadOnly);
            let page = page.map_err(NotNow::Grant)?.ok_or(NotNow::Later)?;
            self.request.pages.insert(self.tables, page);
            self.tables += 1;
            self.request.copied.iter_mut().for_each(|copied| copied.page += 1);
        }
        Ok(())
    }

    fn segment(&mut self, gref: GrantRef, offset: usize, len: usize) {
        let sector = SECTOR as usize;
        let last = (offset + len) / sector - 1;
        self.segments.push(Segment { gref, first: (offset / sector) as u8, last: last as u8 });
    }
}
