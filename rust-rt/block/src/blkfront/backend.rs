//! The other end of the ring, in ordinary memory, with a disk behind it. It can be honest, and it can
//! lie.

use alloc::{vec, vec::Vec};
use core::ptr::NonNull;
use mirust_mem::PAGE_SIZE;
use mirust_xen::{
    fake::FakeXen,
    shared::SharedPage,
    wire::{Gfn, GrantRef, blkif::*},
};

const REQ_PROD: usize = 0;
const REQ_EVENT: usize = 4;
const RSP_PROD: usize = 8;
const RSP_EVENT: usize = 12;
const HEADER: usize = 64;

/// A request that the frontend has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: u64,
    /// As the slot has it.
    pub slot_operation: u8,
    /// What is to be done with the segments.
    pub operation: u8,
    pub sector: u64,
    pub segments: Vec<Segment>,
    /// Of a discard.
    pub sectors: u64,
    pub secure: bool,
}

pub struct Backend {
    xen: &'static FakeXen,
    pub ring: SharedPage,
    slots: u32,
    taken: u32,
    pub answered: u32,
    /// The disk's bytes.
    pub disk: Vec<u8>,
    /// Requests that it was asked for, in order: operation, sector and segments.
    pub log: Vec<(u8, u64, usize)>,
    /// Segments that it takes.
    pub segments_max: usize,
    pub sector_size: usize,
    /// It has done something that an honest backend does not, so that its own view may be wrong.
    pub lied: bool,
}

impl Backend {
    pub fn new(xen: &'static FakeXen, refs: &[GrantRef], disk: usize) -> Backend {
        let first = page(xen, refs[0], true).expect("the ring is granted");
        for (n, gref) in refs.iter().enumerate() {
            let page = page(xen, *gref, true).expect("the ring is granted");
            assert_eq!(page.addr(), first.addr() + n * PAGE_SIZE, "the ring's pages are in a row");
        }
        let len = refs.len() * PAGE_SIZE;
        // SAFETY: the frontend's ring, in pages that follow each other, which it keeps or gives up for
        // ever as long as they are granted; both sides access them as shared memory.
        let ring = unsafe { SharedPage::new(NonNull::new(first.addr() as *mut u8).unwrap(), len) };
        let slots = 1 << ((len - HEADER) / SLOT).ilog2();
        Backend {
            xen,
            ring,
            slots,
            taken: 0,
            answered: 0,
            disk: vec![0; disk],
            log: Vec::new(),
            segments_max: 256,
            sector_size: 512,
            lied: false,
        }
    }

    /// Takes the next request off the ring. An honest backend has a right to requests that make sense.
    pub fn take(&mut self) -> Option<Asked> {
        if self.ring.load_u32(REQ_PROD) == self.taken {
            return None;
        }
        let at = HEADER + (self.taken % self.slots) as usize * SLOT;
        self.taken = self.taken.wrapping_add(1);
        let mut slot = [0; SLOT];
        self.ring.read(at, &mut slot);
        match self.parse(&slot) {
            Ok(asked) => {
                self.log.push((asked.operation, asked.sector, asked.segments.len()));
                Some(asked)
            }
            Err(nonsense) if self.lied => {
                log::debug!("after a lie: {nonsense}");
                None
            }
            Err(nonsense) => panic!("{nonsense}: {slot:?}"),
        }
    }

    /// As blkback does: checks what it relies on.
    fn parse(&self, slot: &[u8; SLOT]) -> Result<Asked, &'static str> {
        let word = |at: usize| u64::from_le_bytes(slot[at..at + 8].try_into().unwrap());
        let mut asked = Asked {
            id: word(8),
            slot_operation: slot[0],
            operation: slot[0],
            sector: word(16),
            segments: vec![],
            sectors: 0,
            secure: false,
        };
        match slot[0] {
            0..=3 => {
                let count = slot[1] as usize;
                if count > SEGMENTS_MAX || (count == 0 && slot[0] < 2) {
                    return Err("a number of segments that makes no sense");
                }
                let segment = |n| Segment::parse(&slot[24 + 8 * n..]);
                asked.segments = (0..count).map(segment).collect();
            }
            5 => (asked.sectors, asked.secure) = (word(24), slot[1] == 1),
            6 => {
                asked.operation = slot[1];
                let count = u16::from_le_bytes([slot[2], slot[3]]) as usize;
                if slot[1] > 1 || count == 0 || count > self.segments_max {
                    return Err("an indirect request that makes no sense");
                }
                for n in 0..count {
                    let at = 28 + 4 * (n / SEGMENTS_PER_PAGE);
                    let gref = u32::from_le_bytes(slot[at..at + 4].try_into().unwrap());
                    let Some(page) = page(self.xen, GrantRef(gref), false) else {
                        return Err("no such grant of segments");
                    };
                    let mut bytes = [0; SEGMENT];
                    page.read(n % SEGMENTS_PER_PAGE * SEGMENT, &mut bytes);
                    asked.segments.push(Segment::parse(&bytes));
                }
            }
            _ => return Err("an operation that does not exist"),
        }
        let unit = (self.sector_size / SECTOR) as u64;
        if asked.sector % unit != 0 {
            return Err("a sector that is not aligned");
        }
        for segment in &asked.segments {
            let (first, end) = (u64::from(segment.first), u64::from(segment.last) + 1);
            if end > 8 || first >= end || first % unit != 0 || end % unit != 0 {
                return Err("a segment that makes no sense");
            }
        }
        Ok(asked)
    }

    /// Does what it was asked for, and returns the status.
    pub fn perform(&mut self, asked: &Asked) -> i16 {
        let start = asked.sector as usize * SECTOR;
        let len: usize = asked.segments.iter().map(Segment::bytes).sum();
        let len = len + asked.sectors as usize * SECTOR;
        if start.checked_add(len).is_none_or(|end| end > self.disk.len()) {
            return status::ERROR;
        }
        if asked.operation == Operation::Discard as u8 {
            // Anything may be read from there; this shows that it was done.
            self.disk[start..start + len].fill(0xdd);
        }
        let mut at = start;
        for segment in &asked.segments {
            let write = asked.operation == Operation::Read as u8;
            let Some(page) = page(self.xen, segment.gref, write) else {
                assert!(self.lied, "no such grant: {segment:?}");
                return status::ERROR;
            };
            let bytes = &mut self.disk[at..at + segment.bytes()];
            let offset = segment.first as usize * SECTOR;
            if write {
                page.write(offset, bytes);
            } else {
                page.read(offset, bytes);
            }
            at += segment.bytes();
        }
        status::OKAY
    }

    /// Writes an answer without publishing it.
    pub fn write(&mut self, response: Response) {
        let at = HEADER + (self.answered % self.slots) as usize * SLOT;
        self.ring.write(at, &response.emit());
        self.answered = self.answered.wrapping_add(1);
    }

    /// Publishes answers; whether the frontend wants to be notified.
    pub fn publish(&mut self) -> bool {
        let old = self.ring.load_u32(RSP_PROD);
        self.ring.store_u32(RSP_PROD, self.answered);
        let event = self.ring.load_u32(RSP_EVENT);
        self.answered.wrapping_sub(event) < self.answered.wrapping_sub(old)
    }

    /// Answers a request.
    pub fn answer(&mut self, asked: &Asked, status: i16) -> bool {
        // As blkback does, also for an indirect request.
        self.write(Response { id: asked.id, operation: asked.operation, status });
        self.publish()
    }

    /// Serves all that there is. Whether it did anything.
    pub fn serve(&mut self) -> bool {
        let mut any = false;
        while let Some(asked) = self.take() {
            let status = self.perform(&asked);
            self.answer(&asked, status);
            any = true;
        }
        self.arm();
        any
    }

    /// Asks to be notified of the next request, as before going to sleep.
    pub fn arm(&mut self) {
        self.ring.store_u32(REQ_EVENT, self.taken.wrapping_add(1));
    }
}

/// The page behind a grant, if there is such a grant now. What Xen would look up.
pub fn page(xen: &FakeXen, gref: GrantRef, write: bool) -> Option<SharedPage> {
    let (table, at) = entry(xen, gref)?;
    let flags = table.load_u16(at);
    if flags & 3 != 1 || (write && flags & 4 != 0) {
        return None;
    }
    let addr = xen.addr_of(Gfn(table.load_u32(at + 4).into()))?;
    // SAFETY: a page that is granted is not freed by an honest frontend, and nobody else uses it.
    Some(unsafe { SharedPage::new(NonNull::new(addr as *mut u8)?, PAGE_SIZE) })
}

/// Where the entry of a grant is.
pub fn entry(xen: &FakeXen, gref: GrantRef) -> Option<(SharedPage, usize)> {
    let frame = *xen.table().get(gref.0 as usize / 512)?;
    let base = NonNull::new(xen.addr_of(frame)? as *mut u8)?;
    // SAFETY: a frame of the table is never freed.
    Some((unsafe { SharedPage::new(base, PAGE_SIZE) }, gref.0 as usize % 512 * 8))
}
