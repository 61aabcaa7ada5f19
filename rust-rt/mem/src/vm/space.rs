//! The address-space manager as a value, over any page tables.

use core::fmt;
use core::ops::Range;

use super::regions::{Regions, State};
use crate::frames::{Frames, zero};
use crate::page::{OutOfMemory, PAGE_SIZE};
use crate::paging::{Frame, PageTables, Prot, VirtPage};

/// Why a range of addresses could not be mapped, changed or unmapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// Frames or page tables are exhausted.
    NoMemory,
    /// The range is not (wholly) in use, or longer than any that there is memory and addresses for.
    OutOfRange,
    /// The range is empty, not made of pages, or not one that this manager gave out.
    Invalid,
    /// The range is in use already.
    Exists,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MapError::NoMemory => "frames or page tables are exhausted",
            MapError::OutOfRange => {
                "the range is not in use, or longer than there are memory and addresses for"
            }
            MapError::Invalid => {
                "the range is empty, not made of pages, or not one that was given out"
            }
            MapError::Exists => "the range is in use already",
        })
    }
}

impl core::error::Error for MapError {}

impl From<OutOfMemory> for MapError {
    fn from(_: OutOfMemory) -> Self {
        MapError::NoMemory
    }
}

/// How mapped memory is used, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VmStats {
    /// Pages of addresses that are reserved and cost nothing.
    pub reserved: usize,
    /// Pages in the window that are backed by a frame each.
    pub committed: usize,
    /// Pages of RAM that are mapped where they are, outside the window.
    pub direct: usize,
}

/// Hands out ranges of addresses, and backs them with memory.
///
/// A range is first of all addresses in a window of its own, far from RAM. Reserving costs
/// nothing; committing backs each page with a zeroed frame at once, or fails as a whole, so that
/// exhaustion shows where it can be answered and never as a fault later on. The exception is
/// [`map`](Self::map) for reading and writing, which needs no tables most of the time: a run of
/// frames is used at the address where RAM lies anyway.
pub struct AddressSpace<P> {
    tables: P,
    frames: &'static Frames,
    window: Range<usize>,
    regions: Regions,
    /// Pages that are mapped outside the window.
    direct: usize,
    /// Something outside the window was once made something else than for reading and writing.
    changed: bool,
}

impl<P: PageTables> AddressSpace<P> {
    /// All of `window` is unused, and `tables` has no mapping in it. Frames are identity-mapped.
    pub const fn new(tables: P, frames: &'static Frames, window: Range<usize>) -> Self {
        AddressSpace { tables, frames, window, regions: Regions::new(), direct: 0, changed: false }
    }

    /// Reserves `len` bytes of addresses.
    pub fn reserve(&mut self, len: usize) -> Result<usize, MapError> {
        let range = self.find(len)?;
        self.regions.set(range.clone(), Some(State::Reserved));
        Ok(range.start)
    }

    /// Maps `len` bytes of zeroes.
    pub fn map(&mut self, len: usize, prot: Prot) -> Result<usize, MapError> {
        let pages = page_count(len)?;
        if prot == Prot::ReadWrite {
            let run = self.frames.with(|frames| frames.alloc_loose(pages));
            if let Some(Ok(frame)) = run {
                // SAFETY: the frames were just allocated, so they are nobody else's.
                unsafe { zero(frame, pages) };
                self.direct += pages;
                return Ok(frame.0);
            }
        }
        let range = self.find(len)?;
        self.commit(&range, prot)?;
        self.regions.set(range.clone(), Some(State::Committed(prot)));
        Ok(range.start)
    }

    /// Makes `len` bytes from `addr` on, which lie in the window, reserved addresses (if `prot` is
    /// `None`) or zeroes. What was there goes away if `replace` is set, and is an error otherwise.
    /// When memory is exhausted, what was in use stays reserved.
    ///
    /// # Safety
    ///
    /// Nobody uses what is replaced any more.
    pub unsafe fn map_fixed(
        &mut self,
        addr: usize,
        len: usize,
        prot: Option<Prot>,
        replace: bool,
    ) -> Result<(), MapError> {
        let range = page_range(addr, len)?;
        if !self.in_window(&range) {
            return Err(MapError::OutOfRange);
        }
        if !replace && self.regions.first_in(&range).is_some() {
            return Err(MapError::Exists);
        }
        self.regions.prepare()?;
        self.decommit(&range);
        if let Some(prot) = prot {
            self.commit(&range, prot)?;
        }
        self.regions.set(range, Some(prot.map_or(State::Reserved, State::Committed)));
        Ok(())
    }

    /// Unmaps `len` bytes from `addr` on; unused parts are passed over.
    ///
    /// # Safety
    ///
    /// Nobody uses that memory any more.
    pub unsafe fn unmap(&mut self, addr: usize, len: usize) -> Result<(), MapError> {
        let range = page_range(addr, len)?;
        if self.in_window(&range) {
            self.regions.prepare()?;
            self.decommit(&range);
            self.regions.set(range, None);
            return Ok(());
        }
        let (frame, pages) = self.as_direct(&range).ok_or(MapError::Invalid)?;
        if self.changed {
            // As their next owner wants them. What was changed has table entries of its own: nothing can fail.
            let _ = self.protect_outside(range, Prot::ReadWrite);
        }
        // SAFETY: the pages come from `map`, and the caller gives them up.
        self.frames.with(|frames| unsafe { frames.free_loose(frame, pages) });
        self.direct -= pages;
        Ok(())
    }

    /// Sets what `len` bytes from `addr` on allow. Reserved pages are committed, unless `prot` is
    /// [`Prot::None`]; the others keep their contents. On failure nothing in the window has changed.
    ///
    /// Outside the window, where RAM lies, these may be pages of a heap too, which must be made writable again before
    /// they are freed. There, some of the pages may have changed when others are not mapped, or when there is no memory
    /// to split what the tables have as one large page.
    ///
    /// # Safety
    ///
    /// Nothing relies on an access that the pages lose.
    pub unsafe fn protect(&mut self, addr: usize, len: usize, prot: Prot) -> Result<(), MapError> {
        let range = page_range(addr, len)?;
        if !self.in_window(&range) {
            let (frame, pages) = (Frame(range.start), range.len() / PAGE_SIZE);
            let is_ram = self.frames.with(|frames| frames.covers(frame, pages));
            return match is_ram {
                Some(true) => self.protect_outside(range, prot),
                _ => Err(MapError::OutOfRange),
            };
        }
        if !self.regions.covers(&range) {
            return Err(MapError::OutOfRange);
        }
        self.regions.prepare()?;
        if prot != Prot::None {
            self.commit(&range, prot)?;
        }
        let mut at = range.start;
        while let Some(region) = self.regions.first_in(&(at..range.end)) {
            at = region.end;
            let State::Committed(old) = region.state else { continue };
            if old != prot {
                for page in (region.start..region.end).step_by(PAGE_SIZE) {
                    let mapped = self.tables.protect(VirtPage(page), prot);
                    debug_assert!(mapped);
                }
                // Only the outer two regions can be cut by this, so that there is room.
                self.regions.set(region.start..region.end, Some(State::Committed(prot)));
            }
        }
        if prot != Prot::None {
            self.regions.set(range, Some(State::Committed(prot)));
        }
        Ok(())
    }

    /// [`protect`](Self::protect) for pages outside the window. What they allowed before is in the tables alone.
    fn protect_outside(&mut self, range: Range<usize>, prot: Prot) -> Result<(), MapError> {
        self.changed |= prot != Prot::ReadWrite;
        let mut pages = range.step_by(PAGE_SIZE);
        match pages.all(|page| self.tables.protect(VirtPage(page), prot)) {
            true => Ok(()),
            false => Err(MapError::OutOfRange),
        }
    }

    /// Counters.
    pub fn stats(&self) -> VmStats {
        let mut stats = VmStats { direct: self.direct, ..VmStats::default() };
        for region in self.regions.all() {
            let pages = (region.end - region.start) / PAGE_SIZE;
            match region.state {
                State::Reserved => stats.reserved += pages,
                State::Committed(_) => stats.committed += pages,
            }
        }
        stats
    }

    /// An unused range for `len` bytes, and room to record it.
    fn find(&mut self, len: usize) -> Result<Range<usize>, MapError> {
        let len = page_count(len)? * PAGE_SIZE;
        self.regions.prepare()?;
        let start = self.regions.gap(&self.window, len).ok_or(MapError::OutOfRange)?;
        Ok(start..start + len)
    }

    fn in_window(&self, range: &Range<usize>) -> bool {
        range.start >= self.window.start && range.end <= self.window.end
    }

    /// The frames of a range that is mapped where RAM lies.
    fn as_direct(&self, range: &Range<usize>) -> Option<(Frame, usize)> {
        let (frame, pages) = (Frame(range.start), range.len() / PAGE_SIZE);
        let loose = self.frames.with(|frames| frames.is_loose(frame, pages))?;
        loose.then_some((frame, pages))
    }

    /// The first part of `range` that is not backed by frames, according to the regions.
    fn unbacked(&self, mut range: Range<usize>) -> Option<Range<usize>> {
        while range.start < range.end {
            match self.regions.first_in(&range) {
                None => return Some(range),
                Some(region) if region.start > range.start => {
                    return Some(range.start..region.start);
                }
                Some(region) if region.state == State::Reserved => {
                    return Some(region.start..region.end);
                }
                Some(region) => range.start = region.end,
            }
        }
        None
    }

    /// Backs those parts of `range` that are not backed, or none of them. The regions are for the
    /// caller to change.
    fn commit(&mut self, range: &Range<usize>, prot: Prot) -> Result<(), MapError> {
        // A hopeless request should not leave page tables behind.
        let mut at = range.start;
        let mut needed = 0;
        while let Some(part) = self.unbacked(at..range.end) {
            at = part.end;
            needed += part.len() / PAGE_SIZE;
        }
        let enough = self.frames.with(|frames| match frames.check(needed) {
            Err(_) if needed > frames.stats().total => Err(MapError::OutOfRange),
            result => result.map_err(MapError::from),
        });
        enough.unwrap_or(Err(MapError::NoMemory))?;

        let mut at = range.start;
        while let Some(part) = self.unbacked(at..range.end) {
            match self.back(&part, prot) {
                Ok(len) => at = part.start + len,
                Err(error) => {
                    self.release(range.start..part.start);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Undoes [`commit`](Self::commit), as long as the regions are what they were.
    fn release(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while let Some(part) = self.unbacked(at..range.end) {
            at = part.end;
            self.unback(part);
        }
    }

    /// Frees what backs `range`, whose parts in use are reserved then. Needs room.
    fn decommit(&mut self, range: &Range<usize>) {
        let mut at = range.start;
        while let Some(region) = self.regions.first_in(&(at..range.end)) {
            at = region.end;
            if region.state != State::Reserved {
                self.unback(region.start..region.end);
                self.regions.set(region.start..region.end, Some(State::Reserved));
            }
        }
    }

    /// Maps the start of `part` to one run of zeroed frames, as long as can be had, and returns its
    /// length in bytes. Runs keep data together: the page tables that are made along with the
    /// mappings stay for ever, and would cut free memory to pieces.
    fn back(&mut self, part: &Range<usize>, prot: Prot) -> Result<usize, MapError> {
        let most = part.len() / PAGE_SIZE;
        let run = self.frames.with(|frames| frames.alloc_at_most(most));
        let (frame, pages) = run.ok_or(MapError::NoMemory)??;
        // SAFETY: the frames were just allocated, so they are nobody else's.
        unsafe { zero(frame, pages) };
        for offset in (0..pages * PAGE_SIZE).step_by(PAGE_SIZE) {
            let (page, rest) = (part.start + offset, Frame(frame.0 + offset));
            if let Err(error) = self.tables.map(VirtPage(page), rest, prot) {
                self.unback(part.start..page);
                // SAFETY: these were not mapped after all.
                self.frames.with(|frames| unsafe { frames.free(rest, pages - offset / PAGE_SIZE) });
                return Err(error.into());
            }
        }
        Ok(pages * PAGE_SIZE)
    }

    /// Unmaps pages and frees their frames.
    fn unback(&mut self, range: Range<usize>) {
        for page in range.step_by(PAGE_SIZE) {
            let frame = self.tables.unmap(VirtPage(page)).expect("committed page is not mapped");
            // SAFETY: the frame was this page's alone, and those who ask give up its contents.
            self.frames.with(|frames| unsafe { frames.free(frame, 1) });
        }
    }
}

/// Pages for `len` bytes, which are not 0 and not more than there are addresses.
fn page_count(len: usize) -> Result<usize, MapError> {
    match len {
        0 => Err(MapError::Invalid),
        _ if len > isize::MAX as usize => Err(MapError::OutOfRange),
        _ => Ok(len.div_ceil(PAGE_SIZE)),
    }
}

/// The pages that `len` bytes from `addr`, the start of a page, lie in.
fn page_range(addr: usize, len: usize) -> Result<Range<usize>, MapError> {
    let len = page_count(len)? * PAGE_SIZE;
    let end = addr.checked_add(len).ok_or(MapError::Invalid)?;
    if addr % PAGE_SIZE == 0 { Ok(addr..end) } else { Err(MapError::Invalid) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
