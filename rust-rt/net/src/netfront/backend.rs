//! The other end of the rings, in ordinary memory. It can be honest, and it can lie.

use alloc::{vec, vec::Vec};
use core::ptr::NonNull;
use mirust_mem::PAGE_SIZE;
use mirust_xen::fake::FakeXen;
use mirust_xen::shared::SharedPage;
use mirust_xen::wire::{GrantRef, netif::*};

const REQ_PROD: usize = 0;
const REQ_EVENT: usize = 4;
const RSP_PROD: usize = 8;
const RSP_EVENT: usize = 12;
const HEADER: usize = 64;
const SLOTS: u32 = 256;

/// A frame that the frontend has sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    /// The whole frame.
    pub bytes: Vec<u8>,
    /// Its flags on the ring, but for those that chain requests.
    pub flags: u16,
    /// Kind and segment size, of a frame to be cut.
    pub gso: Option<(u8, u16)>,
    /// A change of the multicast list.
    pub group: Option<(u8, [u8; 6])>,
    /// The identifiers of its data requests.
    pub ids: Vec<u16>,
    /// The number of its other requests.
    pub extras: usize,
}

/// A backend and what it remembers. Indices are its own; it trusts its frontend unless it is asked to
/// check.
pub struct Backend {
    xen: &'static FakeXen,
    /// The ring of frames that the frontend sends.
    pub tx: SharedPage,
    /// The ring of frames that it receives.
    pub rx: SharedPage,
    tx_taken: u32,
    /// Responses written to the transmit ring.
    pub tx_answered: u32,
    rx_taken: u32,
    /// Responses written to the receive ring.
    pub rx_answered: u32,
    /// It has done something that an honest backend does not, so that its own view may be wrong.
    pub lied: bool,
}

impl Backend {
    /// A backend on two rings that the frontend has granted.
    pub fn new(xen: &'static FakeXen, tx: GrantRef, rx: GrantRef) -> Backend {
        let page = |gref| page(xen, gref).expect("the rings are granted");
        let (tx, rx) = (page(tx), page(rx));
        Backend {
            xen,
            tx,
            rx,
            tx_taken: 0,
            tx_answered: 0,
            rx_taken: 0,
            rx_answered: 0,
            lied: false,
        }
    }

    fn tx_slot(&self, index: u32) -> [u8; TX_SLOT] {
        let mut slot = [0; TX_SLOT];
        self.tx.read(HEADER + (index % SLOTS) as usize * TX_SLOT, &mut slot);
        slot
    }

    /// Takes the next frame off the ring. An honest backend has a right to frames that make sense.
    pub fn take(&mut self) -> Option<Sent> {
        match self.parse()? {
            Ok(sent) => Some(sent),
            Err(nonsense) if self.lied => {
                log::debug!("after a lie: {nonsense}");
                None
            }
            Err(nonsense) => panic!("{nonsense}"),
        }
    }

    /// As netback does: checks what it relies on.
    fn parse(&mut self) -> Option<Result<Sent, &'static str>> {
        let produced = self.tx.load_u32(REQ_PROD);
        if produced == self.tx_taken {
            return None;
        }
        let mut sent =
            Sent { bytes: vec![], flags: 0, gso: None, group: None, ids: vec![], extras: 0 };
        let (mut more, mut pieces) = (true, Vec::new());
        while more {
            if produced == self.tx_taken {
                return Some(Err("a frame was published in part"));
            }
            let slot = self.tx_slot(self.tx_taken);
            self.tx_taken = self.tx_taken.wrapping_add(1);
            let word = |at: usize| u16::from_le_bytes([slot[at], slot[at + 1]]);
            let gref = GrantRef(u32::from_le_bytes([slot[0], slot[1], slot[2], slot[3]]));
            let flags = word(6);
            pieces.push((gref, word(4) as usize, word(10) as usize));
            sent.ids.push(word(8));
            more = flags & tx_flags::MORE_DATA != 0;
            if sent.ids.len() == 1 {
                sent.flags = flags & !(tx_flags::MORE_DATA | tx_flags::EXTRA_INFO);
            }
            if flags & tx_flags::EXTRA_INFO != 0 {
                if sent.ids.len() != 1 {
                    return Some(Err("extra info behind another request than the first"));
                }
                let extra = self.tx_slot(self.tx_taken);
                self.tx_taken = self.tx_taken.wrapping_add(1);
                sent.extras += 1;
                match extra[0] {
                    1 => sent.gso = Some((extra[4], u16::from_le_bytes([extra[2], extra[3]]))),
                    kind => {
                        sent.group = Some((kind, extra[2..8].try_into().unwrap()));
                        return Some(Ok(sent));
                    }
                }
            }
        }
        if pieces.len() > SLOTS_MAX {
            return Some(Err("more slots than a backend takes"));
        }
        let rest: usize = pieces[1..].iter().map(|piece| piece.2).sum();
        let Some(first) = pieces[0].2.checked_sub(rest) else {
            return Some(Err("pieces that are larger than their frame"));
        };
        pieces[0].2 = first;
        for (gref, offset, len) in pieces {
            if offset + len > PAGE_SIZE || len == 0 {
                return Some(Err("a piece that leaves its page, or is none"));
            }
            let mut bytes = vec![0; len];
            let Some(page) = page(self.xen, gref) else { return Some(Err("no such grant")) };
            page.read(offset, &mut bytes);
            sent.bytes.extend(bytes);
        }
        Some(Ok(sent))
    }

    /// Pages that the backend can read or write now.
    pub fn granted(&self) -> Vec<SharedPage> {
        let entries = 512 * self.xen.table().len() as u32;
        (0..entries).filter_map(|gref| page(self.xen, GrantRef(gref))).collect()
    }

    /// Takes all frames and answers them.
    pub fn take_all(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some(sent) = self.take() {
            self.answer(&sent, status::OKAY);
            all.push(sent);
        }
        all
    }

    /// Writes a response without publishing it.
    pub fn write_tx(&mut self, id: u16, status: i16) {
        let at = HEADER + (self.tx_answered % SLOTS) as usize * TX_SLOT;
        self.tx.store_u16(at, id);
        self.tx.store_u16(at + 2, status as u16);
        self.tx_answered = self.tx_answered.wrapping_add(1);
    }

    /// Publishes responses; whether the frontend wants to be notified.
    pub fn publish_tx(&mut self) -> bool {
        publish(&self.tx, self.tx_answered)
    }

    /// Answers a frame; whether the frontend wants to be notified.
    pub fn answer(&mut self, sent: &Sent, status: i16) -> bool {
        for id in &sent.ids {
            self.write_tx(*id, status);
        }
        for _ in 0..sent.extras {
            self.write_tx(0xdead, status::NULL);
        }
        self.publish_tx()
    }

    /// Asks to be notified of the next request, as before going to sleep.
    pub fn arm(&mut self) {
        self.tx.store_u32(REQ_EVENT, self.tx_taken.wrapping_add(1));
        self.rx.store_u32(REQ_EVENT, self.rx_taken.wrapping_add(1));
    }

    /// Pages that are posted and not used.
    pub fn posted(&self) -> u32 {
        self.rx.load_u32(REQ_PROD).wrapping_sub(self.rx_taken)
    }

    /// Takes a posted page: its identifier, and the page if it is granted.
    pub fn take_page(&mut self) -> Option<(u16, Option<SharedPage>)> {
        if self.posted() == 0 {
            return None;
        }
        let at = HEADER + (self.rx_taken % SLOTS) as usize * RX_SLOT;
        self.rx_taken = self.rx_taken.wrapping_add(1);
        let (id, gref) = (self.rx.load_u16(at), GrantRef(self.rx.load_u32(at + 4)));
        Some((id, page(self.xen, gref)))
    }

    /// Writes a response without publishing it.
    pub fn write_rx(&mut self, slot: [u8; RX_SLOT]) {
        self.rx.write(HEADER + (self.rx_answered % SLOTS) as usize * RX_SLOT, &slot);
        self.rx_answered = self.rx_answered.wrapping_add(1);
    }

    /// Publishes responses; whether the frontend wants to be notified.
    pub fn publish_rx(&mut self) -> bool {
        publish(&self.rx, self.rx_answered)
    }

    /// Sends a frame as netback does: whole pages, extra info behind the first slot. False if too
    /// few pages are posted.
    pub fn send(&mut self, frame: &[u8], flags: u16, gso: Option<(u8, u16)>) -> bool {
        let slots = frame.len().div_ceil(PAGE_SIZE) + usize::from(gso.is_some());
        if (self.posted() as usize) < slots {
            return false;
        }
        let count = frame.len().div_ceil(PAGE_SIZE);
        for (n, piece) in frame.chunks(PAGE_SIZE).enumerate() {
            let (id, page) = self.take_page().unwrap();
            match page {
                Some(page) => page.write(0, piece),
                None => assert!(self.lied, "posted pages are granted"),
            }
            let mut flags = if n == 0 { flags } else { 0 };
            flags |= if n + 1 < count { rx_flags::MORE_DATA } else { 0 };
            flags |= if n == 0 && gso.is_some() { rx_flags::EXTRA_INFO } else { 0 };
            self.write_rx(rx_response(id, 0, flags, piece.len() as i16));
            if let (0, Some((kind, size))) = (n, gso) {
                self.take_page().expect("counted above");
                let [low, high] = size.to_le_bytes();
                self.write_rx([1, 0, low, high, kind, 0, 0, 0]);
            }
        }
        self.publish_rx();
        true
    }
}

/// The bytes of a filled page's response.
pub fn rx_response(id: u16, offset: u16, flags: u16, status: i16) -> [u8; RX_SLOT] {
    let mut slot = [0; RX_SLOT];
    slot[..2].copy_from_slice(&id.to_le_bytes());
    slot[2..4].copy_from_slice(&offset.to_le_bytes());
    slot[4..6].copy_from_slice(&flags.to_le_bytes());
    slot[6..].copy_from_slice(&status.to_le_bytes());
    slot
}

fn publish(ring: &SharedPage, answered: u32) -> bool {
    let old = ring.load_u32(RSP_PROD);
    ring.store_u32(RSP_PROD, answered);
    let event = ring.load_u32(RSP_EVENT);
    answered.wrapping_sub(event) < answered.wrapping_sub(old)
}

/// The page behind a grant, if there is such a grant now. What Xen would look up.
pub fn page(xen: &FakeXen, gref: GrantRef) -> Option<SharedPage> {
    let (table, at) = entry(xen, gref)?;
    if table.load_u16(at) & 3 != 1 {
        return None;
    }
    let addr = xen.addr_of(mirust_xen::wire::Gfn(table.load_u32(at + 4).into()))?;
    // SAFETY: frames of the fake domain are never freed, and accessed as shared memory or, if
    // they are lent or not granted, not by this backend.
    Some(unsafe { SharedPage::new(NonNull::new(addr as *mut u8)?, PAGE_SIZE) })
}

/// Where the entry of a grant is.
pub fn entry(xen: &FakeXen, gref: GrantRef) -> Option<(SharedPage, usize)> {
    let frame = *xen.table().get(gref.0 as usize / 512)?;
    let base = NonNull::new(xen.addr_of(frame)? as *mut u8)?;
    // SAFETY: a frame of the table is never freed.
    Some((unsafe { SharedPage::new(base, PAGE_SIZE) }, gref.0 as usize % 512 * 8))
}
