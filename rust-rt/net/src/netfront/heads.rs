//! Pages for the heads of frames that are sent, and for payload that has to be copied.
//!
//! A page is granted to the backend when it is first used and stays granted. The sender writes the
//! head of a frame straight into it.

use super::held::{Held, Owner};
use crate::Counters;
use alloc::{
    alloc::{Layout, alloc_zeroed},
    vec,
    vec::Vec,
};
use core::ptr::NonNull;
use mirust_mem::{OutOfMemory, PAGE_SIZE};
use mirust_xen::shared::SharedPage;
use mirust_xen::wire::{DomId, GrantRef};
use mirust_xen::{
    gnttab::{GrantError, GrantTable},
    hypervisor::GrantAccess,
};

#[derive(Debug)]
pub(super) struct Heads {
    base: NonNull<u8>,
    used: Vec<bool>,
    grefs: Vec<Option<GrantRef>>,
    free: usize,
    /// The pages of the last reservation: the first, and how many.
    reserved: Option<(usize, usize)>,
}

impl Heads {
    /// Pages that exist as long as the domain: views into them may outlive the device.
    pub fn new(pages: usize) -> Result<Heads, OutOfMemory> {
        let layout =
            Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).map_err(|_| OutOfMemory)?;
        assert!(pages > 0, "a device without memory");
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(OutOfMemory)?;
        Ok(Heads {
            base,
            used: vec![false; pages],
            grefs: vec![None; pages],
            free: pages,
            reserved: None,
        })
    }

    pub fn memory(&self) -> (NonNull<u8>, usize) {
        (self.base, self.used.len() * PAGE_SIZE)
    }

    pub fn free(&self) -> usize {
        self.free
    }

    fn addr(&self, page: usize) -> usize {
        assert!(page < self.used.len(), "no such page");
        self.base.as_ptr() as usize + page * PAGE_SIZE
    }

    /// A page as memory that the backend can read, and this domain's other views of it can write.
    pub fn page(&self, page: usize) -> SharedPage {
        let base = core::ptr::with_exposed_provenance_mut(self.addr(page));
        let base = NonNull::new(base).expect("an allocation is not at address zero");
        // SAFETY: allocated for ever and aligned to a page; no reference to its bytes is ever made.
        unsafe { SharedPage::new(base, PAGE_SIZE) }
    }

    /// Takes one free page.
    pub fn take(&mut self) -> Option<usize> {
        self.take_run(1)
    }

    /// Takes `count` free pages in a row.
    pub fn take_run(&mut self, count: usize) -> Option<usize> {
        if count > self.free {
            return None;
        }
        let mut run = 0;
        let last = self.used.iter().position(|used| {
            run = if *used { 0 } else { run + 1 };
            run == count
        })?;
        let first = last + 1 - count;
        self.used[first..=last].fill(true);
        self.free -= count;
        Some(first)
    }

    pub fn give_back(&mut self, page: usize) {
        assert!(self.used[page], "a page that was not taken");
        self.used[page] = false;
        self.free += 1;
    }

    /// Reserves memory for a head; the previous reservation ends.
    pub fn reserve(&mut self, len: usize) -> Option<usize> {
        let count = len.div_ceil(PAGE_SIZE).max(1);
        if self.reserved.is_none_or(|(_, pages)| pages != count) {
            self.release();
            self.reserved = self.take_run(count).map(|first| (first, count));
        }
        self.reserved.map(|(first, _)| first * PAGE_SIZE)
    }

    /// Ends the reservation.
    pub fn release(&mut self) {
        if let Some((first, count)) = self.reserved.take() {
            (first..first + count).for_each(|page| self.give_back(page));
        }
    }

    /// The first page and the number of pages of the reservation, if `head` and `len` are inside.
    pub fn reserved(&self, head: usize, len: usize) -> Option<(usize, usize)> {
        let (first, count) = self.reserved?;
        (head == first * PAGE_SIZE && len <= count * PAGE_SIZE).then_some((first, count))
    }

    /// Makes the reservation the caller's, but for the pages behind the first `len` bytes.
    pub fn keep(&mut self, len: usize) {
        let (first, count) = self.reserved.take().expect("checked by `reserved`");
        let needed = len.div_ceil(PAGE_SIZE);
        (first + needed..first + count).for_each(|page| self.give_back(page));
    }

    /// The grant of a page; made at its first use.
    pub fn gref(
        &mut self,
        page: usize,
        grants: &GrantTable,
        peer: DomId,
        counters: &mut Counters,
    ) -> Result<GrantRef, GrantError> {
        if let Some(gref) = self.grefs[page] {
            return Ok(gref);
        }
        let access = GrantAccess::ReadOnly;
        // SAFETY: the memory stays allocated for ever, and no reference to it exists.
        let gref = unsafe { grants.grant_addr(self.addr(page), peer, access) }?;
        counters.grants += 1;
        self.grefs[page] = Some(gref);
        Ok(gref)
    }

    /// Ends all grants. Nothing is in flight any more; a page that the backend still reads stays
    /// out of use until it does not.
    pub fn end_grants(&mut self, grants: &GrantTable, held: &mut Held, counters: &mut Counters) {
        self.release();
        for page in 0..self.grefs.len() {
            let Some(gref) = self.grefs[page].take() else { continue };
            counters.grant_ends += 1;
            if grants.end(gref).is_err() {
                self.used[page] = true;
                self.free = self.used.iter().filter(|used| !**used).count();
                held.stuck(gref, Owner::Head(page));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_are_whole_pages_in_a_row() {
        let mut heads = Heads::new(4).unwrap();
        let first = heads.reserve(60).unwrap();
        assert_eq!(heads.reserve(4096), Some(first), "the one before was not used");
        assert_eq!(heads.reserved(first, 4096), Some((0, 1)));
        assert_eq!(heads.reserved(first, 4097), None);
        assert_eq!(heads.reserved(first + 4096, 1), None);
        heads.keep(60);
        assert_eq!(heads.reserve(9014), Some(4096));
        heads.keep(5000);
        assert_eq!(heads.free(), 1, "two of the three pages were needed");
        assert_eq!(heads.reserve(5000), None);
        heads.give_back(0);
        assert_eq!(heads.reserve(1), Some(0));
        heads.release();
        assert_eq!(heads.free(), 2);
    }
}
