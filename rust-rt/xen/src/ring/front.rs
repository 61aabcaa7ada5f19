//! The frontend's half of a request/response ring (Xen's `io/ring.h`).
//!
//! A ring is a page, or several in a row where the protocol allows for that: a header with four indices, then a
//! power-of-two number of slots that requests and responses share. Each side advances its own producer index.
//! `req_event` and `rsp_event` say from which index on their writer wants to be notified, so that a busy ring costs no
//! event at all.

use super::Corrupt;
use crate::shared::SharedPage;
use core::{
    fmt,
    marker::PhantomData,
    ops::Deref,
    sync::atomic::{Ordering, fence},
};
use mirust_mem::PAGE_SIZE;

/// Offsets of `struct <name>_sring`.
const REQ_PROD: usize = 0;
const REQ_EVENT: usize = 4;
const RSP_PROD: usize = 8;
const RSP_EVENT: usize = 12;
/// Where the slots begin.
const HEADER_LEN: usize = 64;
/// The largest slot of the protocols in Xen's tree is 112 bytes (`blkif`).
const SLOT_MAX: usize = 128;

/// The messages of one device class.
pub trait Protocol {
    /// Size of a slot in bytes: that of the larger message, rounded up to its alignment.
    const SLOT: usize;
    /// Rings have one page, so that the number of slots is known when the code is compiled.
    const ONE_PAGE: bool = true;
    /// What the frontend asks.
    type Request;
    /// What the backend answers.
    type Response;

    /// Writes a request into a slot of `SLOT` zero bytes.
    fn emit(request: &Self::Request, slot: &mut [u8]);

    /// Reads a response from a copy of a slot. Any bytes can come in, and MUST NOT cause a panic;
    /// whether the values make sense is for the caller to check.
    fn parse(slot: &[u8]) -> Self::Response;
}

/// Every slot holds a request whose response has not been taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every slot of the ring is in use")
    }
}

impl core::error::Error for Full {}

/// The frontend's half of a ring in the page `M`.
///
/// The backend's `rsp_prod` is checked against what was asked of it: it cannot answer more often
/// than there were requests. Which request a response is for is in the response itself, and is
/// checked by [`Shadow`](super::shadow::Shadow).
#[derive(Debug)]
pub struct FrontRing<P, M> {
    page: M,
    slots: u32,
    /// Requests written to slots so far.
    produced: u32,
    /// Requests that the backend may see.
    published: u32,
    /// Responses taken so far.
    consumed: u32,
    /// The last `rsp_prod` that was believed.
    answered: u32,
    broken: bool,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol, M: Deref<Target = SharedPage>> FrontRing<P, M> {
    /// Slots in a ring of one page.
    pub const SLOTS: u32 = Self::slots_in(PAGE_SIZE);

    /// Slots in a ring of this many bytes.
    pub const fn slots_in(bytes: usize) -> u32 {
        assert!(P::SLOT > 0 && P::SLOT <= SLOT_MAX && P::SLOT % 4 == 0);
        // The largest power of two that fits, as Xen's `__RING_SIZE` computes it.
        1 << ((bytes - HEADER_LEN) / P::SLOT).ilog2()
    }

    /// Initialises the ring in memory that the backend does not use yet: a whole number of pages.
    pub fn new(page: M) -> Self {
        assert!(page.len() >= PAGE_SIZE && page.len() % PAGE_SIZE == 0);
        page.clear();
        assert!(!P::ONE_PAGE || page.len() == PAGE_SIZE);
        let slots = Self::slots_in(page.len());
        // As SHARED_RING_INIT: either side wants to hear of the first message.
        page.store_u32(REQ_EVENT, 1);
        page.store_u32(RSP_EVENT, 1);
        FrontRing {
            page,
            slots,
            produced: 0,
            published: 0,
            consumed: 0,
            answered: 0,
            broken: false,
            protocol: PhantomData,
        }
    }

    /// Slots in the ring.
    pub fn slots(&self) -> u32 {
        if P::ONE_PAGE { Self::SLOTS } else { self.slots }
    }

    /// Slots that can take a request now.
    pub fn free(&self) -> u32 {
        self.slots() - self.in_flight()
    }

    /// Requests written whose responses have not been taken.
    pub fn in_flight(&self) -> u32 {
        self.produced.wrapping_sub(self.consumed)
    }

    /// The index of the next request: modulo [`slots`](Self::slots) it is the number of its slot.
    pub fn next_index(&self) -> u32 {
        self.produced
    }

    /// The index of the next response, counted like those of requests.
    pub fn next_response(&self) -> u32 {
        self.consumed
    }

    /// Writes a request into the next slot. The backend sees it after [`publish`](Self::publish).
    pub fn push(&mut self, request: &P::Request) -> Result<(), Full> {
        if self.free() == 0 {
            return Err(Full);
        }
        // The whole slot is written, so that no old byte of ours reaches the backend.
        let mut slot = [0; SLOT_MAX];
        P::emit(request, &mut slot[..P::SLOT]);
        self.page.write(Self::offset_in(self.slots(), self.produced), &slot[..P::SLOT]);
        self.produced = self.produced.wrapping_add(1);
        Ok(())
    }

    /// Shows all requests to the backend. Returns whether the backend has to be notified.
    #[must_use = "the backend may sleep until it is notified"]
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.produced);
        self.published = new;
        self.page.store_u32(REQ_PROD, new);
        // The race: we store `req_prod` and then load `req_event`; the backend, before it sleeps,
        // stores `req_event` and then loads `req_prod`. With a full fence on both sides at least one
        // of us sees the other's store: either the backend finds the request, or we notify. Without
        // the fence the CPU may load before its store is visible, and both could miss.
        fence(Ordering::SeqCst);
        let event = self.page.load_u32(REQ_EVENT);
        // Did `req_prod` just step over `req_event`? A lie here makes only the liar sleep.
        new.wrapping_sub(event) < new.wrapping_sub(old)
    }

    /// Takes the next response, if there is one.
    pub fn pop(&mut self) -> Result<Option<P::Response>, Corrupt> {
        if self.unread()? == 0 {
            return Ok(None);
        }
        let mut slot = [0; SLOT_MAX];
        self.page.read(Self::offset_in(self.slots(), self.consumed), &mut slot[..P::SLOT]);
        self.consumed = self.consumed.wrapping_add(1);
        Ok(Some(P::parse(&slot[..P::SLOT])))
    }

    /// Asks for a notification when the next response comes. True if there is one already: then the
    /// caller MUST take it instead of waiting.
    pub fn arm(&mut self) -> Result<bool, Corrupt> {
        self.arm_after(1)
    }

    /// Like [`arm`](Self::arm), but the notification may wait for the `count`-th response from now:
    /// for a caller whom fewer do not help.
    pub fn arm_after(&mut self, count: u32) -> Result<bool, Corrupt> {
        if self.unread()? > 0 {
            return Ok(true);
        }
        self.page.store_u32(RSP_EVENT, self.consumed.wrapping_add(count.max(1)));
        // The mirror image of the race in `publish`, seen from the side that wants to sleep:
        //   1. we found no response;
        //   2. the backend stores a response and `rsp_prod`, loads the old `rsp_event`, and does
        //      not notify;
        //   3. we store `rsp_event` and go to sleep: nobody would wake us.
        // So look again after the store. Either this load sees the response of step 2, or the
        // backend's load of `rsp_event` comes after our store and it notifies. With a later event,
        // responses before it may come without a notification, as was asked for; the one at the
        // event itself is subject to the same race, hence the same check.
        fence(Ordering::SeqCst);
        Ok(self.unread()? > 0)
    }

    /// The page, to tell the backend its grant.
    pub fn page(&self) -> &M {
        &self.page
    }

    /// Gives the page back. The backend must have let go of it, or the page must know how to end
    /// that itself.
    pub fn into_page(self) -> M {
        self.page
    }

    /// Responses that are there to be taken. The shared index is read only when those that it
    /// announced before are used up: one cache miss for a batch.
    fn unread(&mut self) -> Result<u32, Corrupt> {
        if self.answered == self.consumed && !self.broken {
            let answered = self.page.load_u32(RSP_PROD);
            let outstanding = self.published.wrapping_sub(self.consumed);
            // Wrapping also turns an index that went back into a number too large.
            self.broken = answered.wrapping_sub(self.consumed) > outstanding;
            self.answered = answered;
        }
        if self.broken {
            return Err(Corrupt);
        }
        Ok(self.answered.wrapping_sub(self.consumed))
    }

    fn offset_in(slots: u32, index: u32) -> usize {
        HEADER_LEN + (index & (slots - 1)) as usize * P::SLOT
    }
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
