//! The transmit queue.
//!
//! A frame takes a slot for each page it touches: first the head, in a page that is always granted,
//! then the payload. Whole pages of it are granted where they lie until the backend has answered: two writes
//! to the grant table and no hypercall, which is less than a copy. The rest is copied, since its pages have
//! other data of the program too. See [`layout`](super::layout).

use super::{
    Common, Fault, Offload,
    held::Owner,
    layout::{Copying, Cost, Stretch, plan},
};
use crate::{
    SendError, TxFrame,
    checksum::Sum,
    device::{ETHERNET_HEADER, MAX_GSO, Mac},
};
use alloc::{vec, vec::Vec};
use mirust_mem::PAGE_SIZE;
use mirust_xen::ring::{
    front::{FrontRing, Protocol},
    shadow::Shadow,
};
use mirust_xen::wire::{
    DomId, GrantRef,
    netif::{
        Extra, FRAME_MAX, GsoKind, SLOTS_MAX, TX_SLOT, TxRequest, TxResponse, status, tx_flags,
    },
};
use mirust_xen::{
    gnttab::{GrantError, GrantTable, Granted},
    hypervisor::GrantAccess,
};

/// The messages of the transmit ring.
pub(super) enum Tx {}

impl Protocol for Tx {
    const SLOT: usize = TX_SLOT;
    type Request = TxRequest;
    type Response = TxResponse;

    fn emit(request: &TxRequest, slot: &mut [u8]) {
        request.emit(slot);
    }

    fn parse(slot: &[u8]) -> TxResponse {
        TxResponse::parse(slot)
    }
}

/// Parts of pages up to this size, in bytes, are copied for a trusted backend if there is a page for them.
const COPY_MAX: usize = 2048;

/// What a request in flight has to give back.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// A page for heads.
    Head { page: usize, last: bool },
    /// A grant of payload.
    Payload { gref: GrantRef, payload: u16, last: bool },
}

/// A piece of a frame in one page.
#[derive(Clone, Copy)]
enum Piece {
    Head { page: usize, len: usize },
    Payload { addr: usize, len: usize },
}

/// A piece that is ready for the ring.
#[derive(Clone, Copy)]
struct Granting {
    gref: GrantRef,
    offset: usize,
    size: usize,
    slot: Slot,
}

pub(super) struct TxQueue {
    ring: FrontRing<Tx, Granted>,
    slots: Shadow<Slot>,
    /// Requests in flight that are extra info.
    extras: u32,
    /// Requests in flight whose pages belong to the sender, which waits for them.
    payloads: u32,
    /// The frame at hand; kept for their allocations.
    plan: Vec<Stretch>,
    pieces: Vec<Piece>,
    granted: Vec<Granting>,
    unpublished: bool,
    grants: &'static GrantTable,
    peer: DomId,
    offload: Offload,
}

impl TxQueue {
    pub fn new(
        grants: &'static GrantTable,
        peer: DomId,
        offload: Offload,
    ) -> Result<TxQueue, GrantError> {
        let ring = FrontRing::new(grants.share(peer, GrantAccess::ReadWrite)?);
        let slots = Shadow::new(FrontRing::<Tx, Granted>::SLOTS as u16);
        Ok(TxQueue {
            ring,
            slots,
            extras: 0,
            payloads: 0,
            plan: Vec::with_capacity(2 * SLOTS_MAX),
            pieces: Vec::with_capacity(SLOTS_MAX),
            granted: Vec::with_capacity(SLOTS_MAX),
            unpublished: false,
            grants,
            peer,
            offload,
        })
    }

    pub fn grants(&self) -> &'static GrantTable {
        self.grants
    }

    /// Whether the backend is to be told of groups.
    pub fn has_filter(&self) -> bool {
        self.offload.filter
    }

    pub fn gref(&self) -> GrantRef {
        self.ring.page().gref()
    }

    /// See [`Device::send`](crate::Device::send).
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn send(
        &mut self,
        common: &mut Common,
        frame: &TxFrame<'_>,
        mtu: usize,
    ) -> Result<Option<u16>, SendError> {
        let len = frame.len();
        let limit = if frame.gso_size > 0 { MAX_GSO } else { mtu };
        if frame.head_len < ETHERNET_HEADER || len > (limit + ETHERNET_HEADER).min(FRAME_MAX) {
            return Err(SendError::Length);
        }
        let Some((first, _)) = common.heads.reserved(frame.head, frame.head_len) else {
            return Err(SendError::Length);
        };
        let gso = gso_kind(common, first, frame);
        let extra = gso.map(|kind| Extra::Gso { kind, size: frame.gso_size });
        let room = (self.ring.free() as usize).saturating_sub(usize::from(extra.is_some()));

        if gso.is_some_and(|kind| !self.offload.cuts(kind)) {
            return Err(SendError::Length);
        }
        let copy = self.offload.untrusted || !self.offload.sg;
        // SAFETY: as the caller promised.
        unsafe { self.lay_out(common, frame, first, room, copy)? };
        // Every piece is granted before any is written to the ring: from there is no way back.
        let mut granted = self.grant(common);
        if granted.is_err() && self.pieces.iter().any(|p| matches!(p, Piece::Payload { .. })) {
            // Payload that cannot be granted can still be copied.
            self.drop_copies(common, first);
            // SAFETY: as the caller promised.
            unsafe { self.lay_out(common, frame, first, room, true)? };
            granted = self.grant(common);
        }
        let Ok(kept) = granted else {
            self.drop_copies(common, first);
            common.counters.tx_full += 1;
            return Err(SendError::Full);
        };
        let mut flags = 0;
        if let Some(checksum) = frame.checksum {
            if self.offload.checksum_of(ether_type(common, first)) {
                flags |= tx_flags::CSUM_BLANK | tx_flags::DATA_VALIDATED;
            } else {
                // SAFETY: as the caller promised.
                unsafe { complete(common, frame, first, checksum.start, checksum.offset) };
            }
        }
        if extra.is_some() {
            flags |= tx_flags::EXTRA_INFO;
        }
        self.push(len, flags, extra);
        common.heads.keep(frame.head_len.max(1));
        let counters = &mut common.counters;
        counters.tx_frames += 1;
        counters.tx_bytes += len as u64;
        counters.tx_gso += u64::from(extra.is_some());
        Ok(kept)
    }

    /// Writes requests for what was granted, of a frame of this length, to the ring.
    fn push(&mut self, len: usize, flags: u16, extra: Option<Extra>) {
        let count = self.granted.len();
        for n in 0..count {
            let Granting { gref, offset, size, slot } = self.granted[n];
            let id = self.slots.insert(slot).expect("there are as many as slots of the ring");
            self.payloads += u32::from(matches!(slot, Slot::Payload { .. }));
            let more = if n + 1 < count { tx_flags::MORE_DATA } else { 0 };
            let size = if n == 0 { len } else { size } as u16;
            let flags = if n == 0 { flags | more } else { more };
            let data = TxRequest::Data { gref, offset: offset as u16, flags, id, size };
            self.ring.push(&data).expect("room was checked");
            if let (0, Some(extra)) = (n, extra) {
                self.ring.push(&TxRequest::Extra(extra)).expect("room was checked");
                self.extras += 1;
            }
        }
        self.unpublished = true;
    }

    /// Splits the frame into pieces, and copies what has to be copied.
    ///
    /// # Safety
    ///
    /// The payload must be valid.
    unsafe fn lay_out(
        &mut self,
        common: &mut Common,
        frame: &TxFrame<'_>,
        first: usize,
        room: usize,
        copy: bool,
    ) -> Result<(), SendError> {
        let head_pages = frame.head_len.div_ceil(PAGE_SIZE);
        let tail = head_pages * PAGE_SIZE - frame.head_len;
        // A frame of many fragments takes too many slots unless more of it is copied.
        let ways: &[Copying] = if copy {
            &[Copying::All]
        } else if common.trusting {
            &[Copying::UpTo(COPY_MAX), Copying::UpTo(PAGE_SIZE - 1), Copying::All]
        } else {
            &[Copying::Parts, Copying::All]
        };
        let mut cost = Cost::default();
        for way in ways {
            cost = plan(frame.payload, tail, *way, &mut self.plan);
            if head_pages + cost.slots <= SLOTS_MAX {
                break;
            }
        }
        let slots = head_pages + cost.slots;
        if slots > SLOTS_MAX {
            return Err(SendError::Length);
        }
        if slots > room || cost.pages > common.heads.free() {
            common.counters.tx_full += 1;
            return Err(SendError::Full);
        }

        self.pieces.clear();
        for n in 0..head_pages {
            let len = (frame.head_len - n * PAGE_SIZE).min(PAGE_SIZE);
            self.pieces.push(Piece::Head { page: first + n, len });
        }
        for stretch in &self.plan {
            let (addr, len) = match *stretch {
                Stretch::Grant { addr, len } => {
                    self.pieces.push(Piece::Payload { addr, len });
                    continue;
                }
                Stretch::Copy { addr, len } => (addr, len),
                Stretch::CopyNew { addr, len } => {
                    let page = common.heads.take().expect("the count was checked");
                    self.pieces.push(Piece::Head { page, len: 0 });
                    (addr, len)
                }
            };
            let Some(Piece::Head { page, len: used }) = self.pieces.last_mut() else {
                unreachable!("copies go behind copies");
            };
            // SAFETY: within the payload, which is valid by the caller's promise, and nobody
            // writes it during this call.
            let bytes = unsafe {
                core::slice::from_raw_parts(core::ptr::with_exposed_provenance(addr), len)
            };
            common.heads.page(*page).write(*used, bytes);
            *used += len;
        }
        common.counters.tx_copied += cost.copied as u64;
        Ok(())
    }

    /// Gives back pages that were taken for copies: those that the reservation does not have.
    fn drop_copies(&mut self, common: &mut Common, first: usize) {
        let reserved = common.heads.reserved(first * PAGE_SIZE, 0).map_or(0, |(_, count)| count);
        for piece in self.pieces.drain(..) {
            if let Piece::Head { page, .. } = piece {
                if page < first || page >= first + reserved {
                    common.heads.give_back(page);
                }
            }
        }
    }

    /// Grants every piece. Gives the number of the payload that is sent from where it lies, if any.
    fn grant(&mut self, common: &mut Common) -> Result<Option<u16>, GrantError> {
        let count = self.pieces.len();
        let payloads = self.pieces.iter().filter(|p| matches!(p, Piece::Payload { .. })).count();
        let mut kept = None;
        if payloads > 0 {
            kept = Some(common.held.begin(payloads as u32).ok_or(GrantError::TableFull)?);
        }
        self.granted.clear();
        for (n, piece) in self.pieces.iter().enumerate() {
            let last = n + 1 == count;
            let result = match *piece {
                Piece::Head { page, len } => {
                    let counters = &mut common.counters;
                    let gref = common.heads.gref(page, self.grants, self.peer, counters);
                    let slot = Slot::Head { page, last };
                    gref.map(|gref| Granting { gref, offset: 0, size: len, slot })
                }
                Piece::Payload { addr, len } => {
                    let (page, offset) = (addr - addr % PAGE_SIZE, addr % PAGE_SIZE);
                    let payload = kept.expect("there is payload");
                    // SAFETY: the memory stays valid and unchanged until `Held` says that it is
                    // done, which is after this grant has ended.
                    let gref =
                        unsafe { self.grants.grant_addr(page, self.peer, GrantAccess::ReadOnly) };
                    gref.map(|gref| {
                        common.counters.grants += 1;
                        let slot = Slot::Payload { gref, payload, last };
                        Granting { gref, offset, size: len, slot }
                    })
                }
            };
            match result {
                Ok(one) => self.granted.push(one),
                Err(error) => {
                    self.ungrant(common);
                    kept.into_iter().for_each(|payload| common.held.cancel(payload));
                    return Err(error);
                }
            }
        }
        Ok(kept)
    }

    /// Ends grants of payload that the backend was never told of.
    fn ungrant(&mut self, common: &mut Common) {
        for one in self.granted.drain(..) {
            if let Slot::Payload { gref, .. } = one.slot {
                common.counters.grant_ends += 1;
                assert!(self.grants.end(gref).is_ok(), "a grant that nobody knows is in use");
            }
        }
    }

    /// Asks the backend to let a group's frames through, or not to. False if there is no room.
    pub fn multicast(&mut self, common: &mut Common, group: Mac, join: bool) -> bool {
        if self.ring.free() < 2 {
            return false;
        }
        let Some(page) = common.heads.take() else { return false };
        let Ok(gref) = common.heads.gref(page, self.grants, self.peer, &mut common.counters) else {
            common.heads.give_back(page);
            return false;
        };
        let slot = Slot::Head { page, last: false };
        let id = self.slots.insert(slot).expect("there are as many as slots of the ring");
        let flags = tx_flags::EXTRA_INFO;
        let extra = if join { Extra::MulticastAdd(group.0) } else { Extra::MulticastDel(group.0) };
        let data = TxRequest::Data { gref, offset: 0, flags, id, size: 0 };
        self.ring.push(&data).expect("room was checked");
        self.ring.push(&TxRequest::Extra(extra)).expect("room was checked");
        self.extras += 1;
        self.unpublished = true;
        true
    }

    /// Shows what was sent to the backend. Whether it has to be notified.
    pub fn publish(&mut self) -> bool {
        core::mem::take(&mut self.unpublished) && self.ring.publish()
    }

    /// Takes the answers. Whether there were any.
    pub fn reap(&mut self, common: &mut Common) -> Result<bool, Fault> {
        let mut any = false;
        while let Some(response) = self.ring.pop().map_err(|_| Fault::TxIndex)? {
            any = true;
            if response.status == status::NULL {
                self.extras = self.extras.checked_sub(1).ok_or(Fault::TxNull)?;
                continue;
            }
            let slot = self.slots.take(response.id).ok_or(Fault::TxId(response.id))?;
            let last = self.give_back(common, slot);
            // The other requests of a frame have the same fate as its last.
            common.counters.tx_dropped += u64::from(last && response.status != status::OKAY);
        }
        Ok(any)
    }

    fn give_back(&mut self, common: &mut Common, slot: Slot) -> bool {
        match slot {
            Slot::Head { page, last } => {
                common.heads.give_back(page);
                last
            }
            Slot::Payload { gref, payload, last } => {
                self.payloads -= 1;
                common.counters.grant_ends += 1;
                match self.grants.end(gref) {
                    Ok(()) => common.held.ended(payload),
                    Err(_) => common.held.stuck(gref, Owner::Payload(payload)),
                }
                last
            }
        }
    }

    /// Asks to be notified: soon if somebody waits for room, else when everything that is in flight
    /// now has been answered, so that the last payload is given back even if nothing follows. True
    /// if there are answers already.
    ///
    /// Where all that is in flight was copied nobody waits for the answers: they are taken when the next frame is
    /// sent, and a notification of them would wake the domain for nothing, once for each small reply.
    pub fn arm(&mut self, wanted: bool) -> Result<bool, Fault> {
        let in_flight = self.ring.in_flight();
        if in_flight == 0 || !wanted && self.payloads == 0 {
            return Ok(false);
        }
        let after = if wanted { in_flight.div_ceil(4) } else { in_flight };
        self.ring.arm_after(after).map_err(|_| Fault::TxIndex)
    }

    /// Whether it is worth trying to send again: a quarter of the ring is free.
    pub fn has_room(&self, common: &Common) -> bool {
        let quarter = FrontRing::<Tx, Granted>::SLOTS / 4;
        self.ring.free() >= quarter && common.heads.free() > 0
    }

    /// Ends the queue. What is in flight is lost, but for memory that the backend still reads.
    pub fn close(mut self, common: &mut Common) {
        let slots: Vec<Slot> = self.slots.drain().collect();
        for slot in slots {
            let last = self.give_back(common, slot);
            common.counters.tx_dropped += u64::from(last);
        }
    }
}

fn ether_type(common: &Common, page: usize) -> u16 {
    let mut bytes = [0; 2];
    common.heads.page(page).read(12, &mut bytes);
    u16::from_be_bytes(bytes)
}

fn gso_kind(common: &Common, page: usize, frame: &TxFrame<'_>) -> Option<GsoKind> {
    match (frame.gso_size, ether_type(common, page)) {
        (0, _) => None,
        (_, 0x86dd) => Some(GsoKind::TcpV6),
        (_, _) => Some(GsoKind::TcpV4),
    }
}

/// Completes the checksum, for a backend that does not.
///
/// # Safety
///
/// The payload must be valid.
unsafe fn complete(
    common: &mut Common,
    frame: &TxFrame<'_>,
    first: usize,
    start: usize,
    offset: usize,
) {
    let field = start.saturating_add(offset);
    if field.saturating_add(2) > frame.head_len {
        return;
    }
    let mut head = vec![0; frame.head_len];
    for (n, part) in head.chunks_mut(PAGE_SIZE).enumerate() {
        common.heads.page(first + n).read(0, part);
    }
    let mut sum = Sum::default();
    sum.add(&head[start..]);
    for part in frame.payload {
        // SAFETY: valid, by the caller's promise, and nobody writes it during this call.
        sum.add(unsafe { core::slice::from_raw_parts(part.addr.as_ptr(), part.len) });
    }
    let mut value = sum.finish();
    // UDP: zero would say that there is no checksum (RFC 768).
    if value == [0, 0] && offset == 6 {
        value = [0xff, 0xff];
    }
    for (at, byte) in (field..).zip(value) {
        common.heads.page(first + at / PAGE_SIZE).write(at % PAGE_SIZE, &[byte]);
    }
}
