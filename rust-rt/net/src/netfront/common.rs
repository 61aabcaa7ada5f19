//! What the two queues have in common, and the errors that a backend can make.

use super::{
    heads::Heads,
    held::{Held, Owner},
};
use crate::{Counters, Features, News, pool::Pool};
use alloc::string::String;
use core::fmt;
use mirust_mem::{OutOfMemory, PAGE_SIZE, shares::Shares};
use mirust_xen::gnttab::GrantTable;
use mirust_xen::wire::netif::{ExtraError, FRAME_MAX, GsoKind};

/// What a device may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Pages to receive into, of which up to 256 are with the backend: 64 to 65535.
    pub receive_pages: usize,
    /// Pages for heads and copied payload: 16 or more.
    pub send_pages: usize,
    /// The backend may see what else is in the pages that payload lies in: fewer bytes are copied then.
    pub trusting: bool,
}

/// A share of the domain's memory.
impl Default for Limits {
    fn default() -> Self {
        let Shares { receive, send, .. } = Shares::get();
        Limits { receive_pages: receive / PAGE_SIZE, send_pages: send / PAGE_SIZE, trusting: false }
    }
}

impl Limits {
    /// The nearest values that a device can work with.
    fn clamped(self) -> Limits {
        Limits {
            receive_pages: self.receive_pages.clamp(64, u16::MAX as usize),
            send_pages: self.send_pages.clamp(16, 1 << 16),
            ..self
        }
    }
}

/// Something in a ring that makes the ring useless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The producer index of the transmit ring.
    TxIndex,
    /// A response to a request that is not in flight.
    TxId(u16),
    /// More responses to extra info than there was extra info.
    TxNull,
    /// The producer index of the receive ring.
    RxIndex,
    /// Very many notifications in a row about nothing.
    Storm,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TxIndex => f.write_str("impossible index in the transmit ring"),
            Fault::TxId(id) => write!(f, "response to request {id}, which is not in flight"),
            Fault::TxNull => f.write_str("response to extra info that was not sent"),
            Fault::RxIndex => f.write_str("impossible index in the receive ring"),
            Fault::Storm => f.write_str("notifications without end about nothing"),
        }
    }
}

/// Why a received frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Malformed {
    /// The backend says that it failed.
    Status(i16),
    /// Not the identifier that was posted in this slot.
    Id(u16),
    /// Bytes outside the page: offset and length.
    Range(u16, i16),
    /// Shorter than an Ethernet header, or too long.
    Length,
    /// Extra info that makes no sense.
    Extra(ExtraError),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Status(status) => write!(f, "status {status}"),
            Malformed::Id(id) => write!(f, "identifier {id} in the wrong slot"),
            Malformed::Range(offset, len) => write!(f, "{len} bytes at {offset} of a page"),
            Malformed::Length => f.write_str("impossible length"),
            Malformed::Extra(error) => write!(f, "extra info {error:?}"),
        }
    }
}

/// What the backend can do, as negotiated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offload {
    pub checksum4: bool,
    pub checksum6: bool,
    pub tso4: bool,
    pub tso6: bool,
    /// A frame may take more than one slot.
    pub sg: bool,
    /// The toolstack says that the backend is not to be trusted: all payload is copied, so that it never reads
    /// memory of the program at all.
    pub untrusted: bool,
    /// It can leave out frames of groups that nobody has joined. To one that cannot, a request that says which have
    /// been is malformed.
    pub filter: bool,
}

impl Offload {
    pub fn checksum_of(&self, ether_type: u16) -> bool {
        if ether_type == 0x86dd { self.checksum6 } else { self.checksum4 }
    }

    pub fn cuts(&self, kind: GsoKind) -> bool {
        match kind {
            GsoKind::TcpV4 => self.tso4,
            GsoKind::TcpV6 => self.tso6,
        }
    }

    pub fn features(&self) -> Features {
        // Checksums that the backend does not complete are completed here.
        Features { checksum: true, tso4: self.tso4, tso6: self.tso6 }
    }
}

/// Data slots of the longest chain: 64 KiB in whole pages, one more for an odd start, and one to
/// spare.
pub(super) const CHAIN_MAX: usize = FRAME_MAX.div_ceil(PAGE_SIZE) + 2;

/// What the queues share, and what outlives a connection.
pub(super) struct Common {
    pub name: String,
    pub heads: Heads,
    pub pool: Pool,
    pub held: Held,
    pub counters: Counters,
    pub complaints: u64,
    /// As [`Limits::trusting`].
    pub trusting: bool,
    /// Pages that may be lent at the same time.
    pub lend_max: usize,
    /// Pages lent when the pool was last looked through, and when pressure was last reported.
    pub reclaimed_at: usize,
    pub lent_total: usize,
    pub pressed_at: usize,
    /// Frames that were copied because so much was lent, since that was last reported.
    pub refused: usize,
    /// What the stack is to be told about it.
    pub pressure: News,
}

impl Common {
    pub fn new(name: String, limits: Limits) -> Result<Common, OutOfMemory> {
        let limits = limits.clamped();
        Ok(Common {
            name,
            heads: Heads::new(limits.send_pages)?,
            pool: Pool::new(limits.receive_pages)?,
            held: Held::new(256),
            counters: Counters::default(),
            complaints: 0,
            trusting: limits.trusting,
            // The ring always has at least a quarter of the pool to itself.
            lend_max: limits.receive_pages - limits.receive_pages / 4,
            reclaimed_at: 0,
            lent_total: 0,
            pressed_at: 0,
            refused: 0,
            pressure: News::default(),
        })
    }

    /// Logs something that the backend can provoke at will: the first few times, and then each time
    /// that the number of such messages has doubled.
    pub fn complain(&mut self, message: fmt::Arguments<'_>) {
        self.complaints += 1;
        let n = self.complaints;
        if n <= 8 || n.is_power_of_two() {
            log::warn!("{}: {message} (complaint {n})", self.name);
        }
    }

    /// Tries again to end the grants that are stuck, and takes their pages back.
    pub fn retry(&mut self, grants: &GrantTable) {
        let Common { held, heads, pool, .. } = self;
        held.retry(grants, |owner| match owner {
            Owner::Head(page) => heads.give_back(page),
            Owner::Receive(page) => pool.give_back(page),
            Owner::Payload(_) => unreachable!("payload has no page of ours"),
        });
    }

    /// Whether a frame may be lent now.
    pub fn may_lend(&mut self) -> bool {
        let step = self.lend_max / 4;
        if self.pool.lent() > self.lend_max / 2 && self.lent_total - self.reclaimed_at >= step / 4 {
            self.pool.reclaim();
            self.reclaimed_at = self.lent_total;
        }
        // Holders of frames are notified each time that another quarter has been lent; more often
        // would not help if they really need the frames.
        if self.pool.lent() > self.lend_max / 2 && self.lent_total - self.pressed_at >= step {
            self.pressed_at = self.lent_total;
            self.pressure |= News::PRESSURE;
        }
        if self.pool.lent() + CHAIN_MAX <= self.lend_max {
            return true;
        }
        if self.refused % 64 == 0 {
            self.pool.reclaim();
            self.pressure |= News::SHORTAGE;
        }
        self.refused += 1;
        false
    }
}
