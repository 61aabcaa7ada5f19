//! The receive queue.
//!
//! The ring is kept filled with pages of the pool. A frame comes back as a *chain* of slots: its first
//! page, perhaps extra info (which uses a page up without writing it), and further pages. Everything
//! in a slot is checked on a copy, and a page belongs to a slot because it was posted there, whatever
//! number the backend echoes.
//!
//! Small frames are copied to the receiver's slab, and their pages posted again as they are. Larger ones are lent: the
//! backend's access is ended first (one compare-and-exchange), so that a frame cannot change once it was inspected.
//! While many pages are lent, everything is copied, so that the ring never runs dry.

use super::{Common, Fault, Malformed, common::CHAIN_MAX, held::Owner};
use crate::{Place, Received, RxChecksum, RxFrame, Slab, device::ETHERNET_HEADER, pool::PageNo};
use alloc::{vec, vec::Vec};
use mirust_mem::PAGE_SIZE;
use mirust_xen::ring::front::{FrontRing, Protocol};
use mirust_xen::shared::SharedPage;
use mirust_xen::wire::{
    DomId, GrantRef,
    netif::{Extra, FRAME_MAX, RX_SLOT, RxRequest, RxSlot, rx_flags},
};
use mirust_xen::{
    gnttab::{GrantError, GrantTable, Granted},
    hypervisor::GrantAccess,
};

/// The messages of the receive ring.
pub(super) enum Rx {}

impl Protocol for Rx {
    const SLOT: usize = RX_SLOT;
    type Request = RxRequest;
    type Response = RxSlot;

    fn emit(request: &RxRequest, slot: &mut [u8]) {
        request.emit(slot);
    }

    fn parse(slot: &[u8]) -> RxSlot {
        RxSlot::parse(slot)
    }
}

type Ring = FrontRing<Rx, Granted>;

/// Frames up to this size, in bytes, are copied: from about here on a copy takes longer than making a
/// view does, and a page is much memory for so little (`tests/vif/bench.ml`).
const COPY_MAX: usize = 512;

/// Bytes in a page of a chain.
#[derive(Clone, Copy, Debug)]
struct Part {
    page: PageNo,
    offset: usize,
    len: usize,
}

/// The frame that is coming in.
#[derive(Default)]
struct Chain {
    parts: Vec<Part>,
    /// The page that extra info behind the first slot has used up.
    gap: Option<PageNo>,
    /// Flags of the first slot.
    flags: u16,
    gso_size: u16,
    len: usize,
    /// The next slot is extra info, or belongs to the same frame.
    extra: bool,
    more: bool,
    /// The chain is complete, and waits for room in the slab.
    complete: bool,
    malformed: Option<Malformed>,
}

pub(super) struct RxQueue {
    ring: Ring,
    /// By the number of the slot: the page that was posted there.
    posted: Vec<Option<PageNo>>,
    chain: Chain,
    unpublished: bool,
    grants: &'static GrantTable,
    peer: DomId,
    /// By page: its grant, as long as it has one.
    grefs: Vec<Option<GrantRef>>,
}

impl RxQueue {
    pub fn new(
        grants: &'static GrantTable,
        peer: DomId,
        pages: usize,
    ) -> Result<RxQueue, GrantError> {
        Ok(RxQueue {
            ring: FrontRing::new(grants.share(peer, GrantAccess::ReadWrite)?),
            posted: vec![None; Ring::SLOTS as usize],
            chain: Chain::default(),
            unpublished: false,
            grants,
            peer,
            grefs: vec![None; pages],
        })
    }

    pub fn gref(&self) -> GrantRef {
        self.ring.page().gref()
    }

    /// Posts free pages, as many as the ring takes.
    pub fn refill(&mut self, common: &mut Common) {
        while self.ring.free() > 0 {
            let Some(page) = common.pool.take() else { break };
            let gref = match self.grefs[page.index()] {
                Some(gref) => gref,
                None => {
                    let addr = common.pool.addr(page).as_ptr() as usize;
                    // SAFETY: the pool is never freed, and no reference to a page in it exists
                    // unless the page is lent, which this one is not.
                    match unsafe { self.grants.grant_addr(addr, self.peer, GrantAccess::ReadWrite) }
                    {
                        Ok(gref) => gref,
                        Err(error) => {
                            common.pool.give_back(page);
                            common.complain(format_args!("cannot post a page: {error}"));
                            break;
                        }
                    }
                }
            };
            if self.grefs[page.index()].replace(gref).is_none() {
                common.counters.grants += 1;
            }
            let slot = self.ring.next_index() % Ring::SLOTS;
            self.posted[slot as usize] = Some(page);
            self.ring.push(&RxRequest { id: slot as u16, gref }).expect("room was checked");
            self.unpublished = true;
        }
    }

    /// Shows what was posted to the backend. Whether it has to be notified.
    pub fn publish(&mut self) -> bool {
        core::mem::take(&mut self.unpublished) && self.ring.publish()
    }

    /// Asks to be notified of the next frame. True if there is one already.
    pub fn arm(&mut self) -> Result<bool, Fault> {
        if self.chain.complete {
            return Ok(true);
        }
        self.ring.arm().map_err(|_| Fault::RxIndex)
    }

    /// See [`Device::receive`](crate::Device::receive).
    pub fn receive(
        &mut self,
        common: &mut Common,
        max: usize,
        slab: &mut Slab<'_>,
        out: &mut dyn FnMut(RxFrame),
    ) -> Result<Received, Fault> {
        let mut frames = 0;
        // Slots, too, so that a backend that sends nothing but nonsense cannot keep the CPU.
        for _ in 0..4 * Ring::SLOTS {
            if self.chain.complete {
                match self.deliver(common, slab) {
                    Some(Some(frame)) => {
                        out(frame);
                        frames += 1;
                    }
                    Some(None) => {}
                    None => return Ok(Received::SlabFull),
                }
            }
            if frames == max {
                return Ok(Received::More);
            }
            let slot = self.ring.next_response() % Ring::SLOTS;
            let Some(response) = self.ring.pop().map_err(|_| Fault::RxIndex)? else {
                return Ok(Received::All);
            };
            let page = self.posted[slot as usize].take();
            let page = page.expect("a slot is answered once for each page that was posted there");
            self.add(common, slot as u16, page, &response);
        }
        Ok(Received::More)
    }

    /// Adds the next slot to the chain.
    fn add(&mut self, common: &mut Common, slot: u16, page: PageNo, response: &RxSlot) {
        let chain = &mut self.chain;
        if chain.extra {
            let (extra, more) = response.extra();
            chain.extra = more;
            match extra {
                Ok(Extra::Gso { size, .. }) => chain.gso_size = size,
                Ok(_) => {}
                Err(error) => {
                    chain.malformed.get_or_insert(Malformed::Extra(error));
                }
            }
            if chain.gap.is_none() && chain.parts.len() == 1 {
                chain.gap = Some(page);
            } else {
                common.pool.give_back(page);
            }
        } else {
            let data = response.data();
            let first = chain.parts.is_empty() && !chain.more;
            let (offset, len) = (data.offset as usize, data.status.max(0) as usize);
            let wrong = if data.id != slot {
                Some(Malformed::Id(data.id))
            } else if data.status < 0 {
                Some(Malformed::Status(data.status))
            } else if offset + len > PAGE_SIZE {
                Some(Malformed::Range(data.offset, data.status))
            } else if chain.len + len > FRAME_MAX || chain.parts.len() == CHAIN_MAX {
                Some(Malformed::Length)
            } else {
                None
            };
            if let Some(wrong) = wrong {
                chain.malformed.get_or_insert(wrong);
            }
            // No bytes are nowhere: such a slot adds nothing, and could only mislead about where the frame lies.
            if chain.malformed.is_none() && len > 0 {
                chain.parts.push(Part { page, offset, len });
                chain.len += len;
            } else {
                common.pool.give_back(page);
            }
            chain.more = data.flags & rx_flags::MORE_DATA != 0;
            if first {
                chain.flags = data.flags;
                chain.extra = data.flags & rx_flags::EXTRA_INFO != 0;
            }
        }
        self.chain.complete = !self.chain.extra && !self.chain.more;
    }

    /// Delivers the complete chain: `None` if the slab has no room for it, `Some(None)` if it is no
    /// frame.
    fn deliver(&mut self, common: &mut Common, slab: &mut Slab<'_>) -> Option<Option<RxFrame>> {
        let chain = &self.chain;
        let len = chain.len;
        if chain.malformed.is_none() && len < ETHERNET_HEADER {
            self.chain.malformed = Some(Malformed::Length);
        }
        if let Some(malformed) = self.chain.malformed {
            common.counters.rx_dropped += 1;
            // An error code is the backend's right; the rest is nonsense.
            if !matches!(malformed, Malformed::Status(_)) {
                common.counters.lies += 1;
                common.complain(format_args!("dropped a frame: {malformed}"));
            }
            self.recycle(common);
            return Some(None);
        }
        let lent = if len > COPY_MAX && common.may_lend() { self.lend(common) } else { None };
        let place = match lent {
            Some(place) => place,
            None if !slab.fits(len) => return None,
            None => {
                let mut rest = &mut slab.rest()[..len];
                for part in &self.chain.parts {
                    let (now, later) = rest.split_at_mut(part.len);
                    page_of(common, part.page).read_uninit(part.offset, now);
                    rest = later;
                }
                common.counters.rx_copied += len as u64;
                Place::Slab(slab.take(len))
            }
        };
        let flags = self.chain.flags;
        let checksum = if flags & rx_flags::CSUM_BLANK != 0 {
            RxChecksum::Blank
        } else if flags & rx_flags::DATA_VALIDATED != 0 {
            RxChecksum::Valid
        } else {
            RxChecksum::Unknown
        };
        let gso_size = self.chain.gso_size;
        common.counters.rx_frames += 1;
        common.counters.rx_bytes += len as u64;
        common.counters.rx_gso += u64::from(gso_size > 0);
        self.recycle(common);
        Some(Some(RxFrame { place, len, checksum, gso_size }))
    }

    /// Lends the chain's pages, if the frame lies in one piece in them or nearly so. The pages that
    /// were lent are no longer part of the chain then.
    fn lend(&mut self, common: &mut Common) -> Option<Place> {
        let chain = &mut self.chain;
        let (head, rest) = chain.parts.split_first()?;
        let mut head = *head;
        let in_row = |first: PageNo, parts: &[Part]| {
            parts.iter().enumerate().all(|(n, part)| {
                // All but the last are full to the end, and all but the first from the start.
                let full = n + 1 == parts.len() || part.len == PAGE_SIZE;
                part.page == first.plus(n) && part.offset == 0 && full
            })
        };
        if !rest.is_empty() {
            if head.offset + head.len != PAGE_SIZE {
                return None;
            }
            match chain.gap {
                None if in_row(head.page.plus(1), rest) => {}
                // Extra info has used up the page between the first and the rest: move the first
                // page's bytes to the end of that one.
                Some(gap) if in_row(gap.plus(1), rest) => {
                    if !revoke(&mut self.grefs, self.grants, common, gap) {
                        return None;
                    }
                    let mut bytes = [0; PAGE_SIZE];
                    let bytes = &mut bytes[..head.len];
                    page_of(common, head.page).read(head.offset, bytes);
                    page_of(common, gap).write(PAGE_SIZE - head.len, bytes);
                    common.counters.rx_copied += head.len as u64;
                    chain.gap = Some(head.page);
                    head = Part { page: gap, offset: PAGE_SIZE - head.len, len: head.len };
                    chain.parts[0] = head;
                }
                _ => return None,
            }
        }
        for part in &chain.parts {
            if !revoke(&mut self.grefs, self.grants, common, part.page) {
                // Still in use, although the backend has answered: copy, and post it again.
                return None;
            }
        }
        let count = chain.parts.len();
        chain.parts.clear();
        common.lent_total += count;
        Some(Place::Lent(common.pool.lend(head.page, count, head.offset)))
    }

    /// Forgets the chain; its pages are free again.
    fn recycle(&mut self, common: &mut Common) {
        let chain = &mut self.chain;
        let pages = chain.parts.drain(..).map(|part| part.page).chain(chain.gap.take());
        pages.for_each(|page| common.pool.give_back(page));
        let parts = core::mem::take(&mut chain.parts);
        *chain = Chain { parts, ..Chain::default() };
    }

    /// Ends the queue. Frames that were not taken are lost.
    pub fn close(mut self, common: &mut Common) {
        self.recycle(common);
        for page in self.posted.iter_mut().filter_map(Option::take) {
            common.pool.give_back(page);
        }
        for (index, gref) in self.grefs.iter_mut().enumerate() {
            let Some(gref) = gref.take() else { continue };
            common.counters.grant_ends += 1;
            if self.grants.end(gref).is_err() {
                // The page is free, since pages that are lent have no grant: take it out of use.
                let page = PageNo::new(index);
                common.pool.set_aside(page);
                common.held.stuck(gref, Owner::Receive(page));
            }
        }
    }
}

/// Ends the backend's access to a page; false if it still uses the page.
fn revoke(
    grefs: &mut [Option<GrantRef>],
    grants: &GrantTable,
    common: &mut Common,
    page: PageNo,
) -> bool {
    let Some(gref) = grefs[page.index()] else { return true };
    if grants.end(gref).is_err() {
        common.counters.lies += 1;
        return false;
    }
    common.counters.grant_ends += 1;
    grefs[page.index()] = None;
    true
}

/// A page of the pool that is not lent, as memory that the backend may write.
fn page_of(common: &Common, page: PageNo) -> SharedPage {
    // SAFETY: the pool is never freed, its pages are aligned, and no reference to a page exists
    // unless it is lent.
    unsafe { SharedPage::new(common.pool.addr(page), PAGE_SIZE) }
}
