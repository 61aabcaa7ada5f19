//! Messages of the network device protocol (Xen's `io/netif.h`).
//!
//! A frame takes one or more slots of a ring. On both rings a first slot with `EXTRA_INFO` is followed
//! by *extra info* slots, which overlay the usual message, and then by the rest of the frame.

use super::GrantRef;
use core::fmt;

/// Slots that every backend takes for one frame (`XEN_NETIF_NR_SLOTS_MIN`), extra info not counted.
pub const SLOTS_MAX: usize = 18;
/// Bytes of the largest frame, as 16 bits count them (`XEN_NETIF_MAX_TX_SIZE`).
pub const FRAME_MAX: usize = 0xffff;

/// Size of a slot on the transmit ring, in bytes.
pub const TX_SLOT: usize = 12;
/// Size of a slot on the receive ring, in bytes.
pub const RX_SLOT: usize = 8;

/// Flags of a transmit request (`NETTXF_…`).
pub mod tx_flags {
    /// The transport checksum is blank: the field holds the sum of the pseudo-header.
    pub const CSUM_BLANK: u16 = 1 << 0;
    /// The data is known to be intact.
    pub const DATA_VALIDATED: u16 = 1 << 1;
    /// The frame goes on in the next request.
    pub const MORE_DATA: u16 = 1 << 2;
    /// Extra info follows.
    pub const EXTRA_INFO: u16 = 1 << 3;
}

/// Flags of a receive response (`NETRXF_…`). The first two are not in the order of [`tx_flags`].
pub mod rx_flags {
    /// The data has been validated against the transport checksum.
    pub const DATA_VALIDATED: u16 = 1 << 0;
    /// The transport checksum is blank.
    pub const CSUM_BLANK: u16 = 1 << 1;
    /// The frame goes on in the next response.
    pub const MORE_DATA: u16 = 1 << 2;
    /// Extra info follows.
    pub const EXTRA_INFO: u16 = 1 << 3;
}

/// The status of a transmit response (`NETIF_RSP_…`).
pub mod status {
    /// The frame was dropped.
    pub const DROPPED: i16 = -2;
    /// The request was malformed, or the backend failed.
    pub const ERROR: i16 = -1;
    /// The frame is on its way.
    pub const OKAY: i16 = 0;
    /// The response to an extra info slot; its identifier means nothing.
    pub const NULL: i16 = 1;
}

const EXTRA_GSO: u8 = 1;
const EXTRA_MCAST_ADD: u8 = 2;
const EXTRA_MCAST_DEL: u8 = 3;
const EXTRA_HASH: u8 = 4;
const EXTRA_FLAG_MORE: u8 = 1;

/// How a large segment is to be cut (`XEN_NETIF_GSO_TYPE_…`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4 = 1,
    /// TCP over IPv6.
    TcpV6 = 2,
}

/// What an extra info slot says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extra {
    /// The frame is a large segment, to be cut into pieces of `size` bytes of payload.
    Gso {
        /// What it is made of.
        kind: GsoKind,
        /// Payload bytes of each piece, without headers.
        size: u16,
    },
    /// Let frames to this group through. Sent to the backend only.
    MulticastAdd([u8; 6]),
    /// The opposite.
    MulticastDel([u8; 6]),
    /// A hash over the addresses. Nobody asked for one, and it is ignored.
    Hash,
}

/// Why extra info makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtraError {
    /// There is no such type of extra info, or none that goes this way.
    Type(u8),
    /// There is no such type of large segment.
    GsoKind(u8),
    /// A large segment cannot be cut into pieces of no bytes.
    GsoSize,
}

impl fmt::Display for ExtraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExtraError::Type(kind) => write!(f, "extra info of the unknown type {kind}"),
            ExtraError::GsoKind(kind) => write!(f, "a large segment of the unknown type {kind}"),
            ExtraError::GsoSize => f.write_str("a large segment in pieces of no bytes"),
        }
    }
}

impl core::error::Error for ExtraError {}

impl Extra {
    /// Writes the info into a slot of zero bytes; `more` says that another one follows.
    pub fn emit(&self, more: bool, slot: &mut [u8]) {
        slot[1] = if more { EXTRA_FLAG_MORE } else { 0 };
        match self {
            Extra::Gso { kind, size } => {
                slot[0] = EXTRA_GSO;
                slot[2..4].copy_from_slice(&size.to_le_bytes());
                slot[4] = *kind as u8;
            }
            Extra::MulticastAdd(group) => {
                slot[0] = EXTRA_MCAST_ADD;
                slot[2..8].copy_from_slice(group);
            }
            Extra::MulticastDel(group) => {
                slot[0] = EXTRA_MCAST_DEL;
                slot[2..8].copy_from_slice(group);
            }
            Extra::Hash => slot[0] = EXTRA_HASH,
        }
    }
}

/// A request on the transmit ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxRequest {
    /// Bytes of a frame.
    Data {
        /// The page that holds them.
        gref: GrantRef,
        /// Where they begin in the page.
        offset: u16,
        /// [`tx_flags`].
        flags: u16,
        /// Comes back in the response.
        id: u16,
        /// In the first request of a frame, the size of the whole frame; else of this piece.
        size: u16,
    },
    /// More about the frame whose first request came before.
    Extra(Extra),
}

impl TxRequest {
    /// Writes the request into a slot of zero bytes.
    pub fn emit(&self, slot: &mut [u8]) {
        match *self {
            TxRequest::Data { gref, offset, flags, id, size } => {
                slot[..4].copy_from_slice(&gref.0.to_le_bytes());
                slot[4..6].copy_from_slice(&offset.to_le_bytes());
                slot[6..8].copy_from_slice(&flags.to_le_bytes());
                slot[8..10].copy_from_slice(&id.to_le_bytes());
                slot[10..12].copy_from_slice(&size.to_le_bytes());
            }
            // A large segment has one extra, and so has a change of the multicast list.
            TxRequest::Extra(extra) => extra.emit(false, slot),
        }
    }
}

/// A response on the transmit ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxResponse {
    /// That of the request; meaningless when the status is [`status::NULL`].
    pub id: u16,
    /// [`status`].
    pub status: i16,
}

impl TxResponse {
    /// Reads a slot.
    pub fn parse(slot: &[u8]) -> Self {
        TxResponse { id: u16_at(slot, 0), status: u16_at(slot, 2) as i16 }
    }
}

/// A request on the receive ring: a page to fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RxRequest {
    /// Comes back in the response.
    pub id: u16,
    /// The page.
    pub gref: GrantRef,
}

impl RxRequest {
    /// Writes the request into a slot of zero bytes.
    pub fn emit(&self, slot: &mut [u8]) {
        slot[..2].copy_from_slice(&self.id.to_le_bytes());
        slot[4..8].copy_from_slice(&self.gref.0.to_le_bytes());
    }
}

/// A response on the receive ring: what it is depends on the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RxSlot([u8; RX_SLOT]);

/// A filled page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RxResponse {
    /// That of the request.
    pub id: u16,
    /// Where the bytes begin in the page.
    pub offset: u16,
    /// [`rx_flags`].
    pub flags: u16,
    /// How many bytes there are; negative for an error ([`status`]).
    pub status: i16,
}

impl RxSlot {
    /// Takes the bytes of a slot.
    pub fn parse(slot: &[u8]) -> Self {
        let mut bytes = [0; RX_SLOT];
        bytes.copy_from_slice(&slot[..RX_SLOT]);
        RxSlot(bytes)
    }

    /// The slot as a filled page.
    pub fn data(&self) -> RxResponse {
        RxResponse {
            id: u16_at(&self.0, 0),
            offset: u16_at(&self.0, 2),
            flags: u16_at(&self.0, 4),
            status: u16_at(&self.0, 6) as i16,
        }
    }

    /// The slot as extra info, if it is of use to a receiver, and whether another one follows. The
    /// latter is known even if the former makes no sense.
    pub fn extra(&self) -> (Result<Extra, ExtraError>, bool) {
        let extra = match self.0[0] {
            EXTRA_GSO => match (self.0[4], u16_at(&self.0, 2)) {
                (1 | 2, 0) => Err(ExtraError::GsoSize),
                (1, size) => Ok(Extra::Gso { kind: GsoKind::TcpV4, size }),
                (2, size) => Ok(Extra::Gso { kind: GsoKind::TcpV6, size }),
                (kind, _) => Err(ExtraError::GsoKind(kind)),
            },
            EXTRA_HASH => Ok(Extra::Hash),
            other => Err(ExtraError::Type(other)),
        };
        (extra, self.0[1] & EXTRA_FLAG_MORE != 0)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx(request: TxRequest) -> [u8; TX_SLOT] {
        let mut slot = [0; TX_SLOT];
        request.emit(&mut slot);
        slot
    }

    #[test]
    fn requests_have_the_bytes_of_the_header() {
        let data = TxRequest::Data {
            gref: GrantRef(0x0403_0201),
            offset: 0x0605,
            flags: tx_flags::CSUM_BLANK | tx_flags::EXTRA_INFO,
            id: 0x0a09,
            size: 0x0c0b,
        };
        assert_eq!(tx(data), [1, 2, 3, 4, 5, 6, 9, 0, 9, 10, 11, 12]);
        let gso = Extra::Gso { kind: GsoKind::TcpV6, size: 0x05a0 };
        assert_eq!(tx(TxRequest::Extra(gso)), [1, 0, 0xa0, 5, 2, 0, 0, 0, 0, 0, 0, 0]);
        let group = Extra::MulticastAdd([0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(tx(TxRequest::Extra(group)), [2, 0, 0x33, 0x33, 0, 0, 0, 1, 0, 0, 0, 0]);
        let mut slot = [0; RX_SLOT];
        RxRequest { id: 0x0201, gref: GrantRef(0x0807_0605) }.emit(&mut slot);
        assert_eq!(slot, [1, 2, 0, 0, 5, 6, 7, 8]);
    }

    #[test]
    fn responses_are_read_as_the_header_has_them() {
        let response = TxResponse::parse(&[1, 2, 0xfe, 0xff]);
        assert_eq!(response, TxResponse { id: 0x0201, status: status::DROPPED });
        let slot = RxSlot::parse(&[1, 2, 3, 4, 0x0d, 0, 0xea, 5]);
        let flags = rx_flags::DATA_VALIDATED | rx_flags::MORE_DATA | rx_flags::EXTRA_INFO;
        let data = RxResponse { id: 0x0201, offset: 0x0403, flags, status: 1514 };
        assert_eq!(slot.data(), data);
        assert_eq!(RxSlot::parse(&[0, 0, 0, 0, 0, 0, 0xff, 0xff]).data().status, status::ERROR);
    }

    #[test]
    fn extra_info_is_read_only_if_it_makes_sense() {
        let extra = |bytes: [u8; 8]| RxSlot::parse(&bytes).extra();
        let gso = Extra::Gso { kind: GsoKind::TcpV4, size: 1448 };
        assert_eq!(extra([1, 0, 0xa8, 5, 1, 0, 0, 0]), (Ok(gso), false));
        assert_eq!(extra([1, 1, 0xa8, 5, 1, 9, 9, 9]), (Ok(gso), true));
        assert_eq!(extra([1, 0, 0, 0, 1, 0, 0, 0]), (Err(ExtraError::GsoSize), false));
        assert_eq!(extra([1, 0, 1, 0, 3, 0, 0, 0]), (Err(ExtraError::GsoKind(3)), false));
        assert_eq!(extra([4, 1, 1, 1, 0, 0, 0, 0]), (Ok(Extra::Hash), true));
        for kind in [0, 2, 3, 5, 255] {
            assert_eq!(extra([kind, 0, 0, 0, 0, 0, 0, 0]).0, Err(ExtraError::Type(kind)));
        }
    }
}
