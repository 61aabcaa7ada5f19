//! Messages of the block device protocol (Xen's `io/blkif.h`), as 64-bit x86 lays them out.
//!
//! Sectors are 512 bytes everywhere in here, whatever the disk's own sectors are.

use super::GrantRef;

/// Bytes of a sector, as the protocol counts them.
pub const SECTOR: usize = 512;

/// Size of a slot on the ring, in bytes.
pub const SLOT: usize = 112;
/// Segments in a request of the usual kind (`BLKIF_MAX_SEGMENTS_PER_REQUEST`).
pub const SEGMENTS_MAX: usize = 11;
/// Pages of segments in an indirect request (`BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST`).
pub const INDIRECT_PAGES_MAX: usize = 8;
/// Size of a segment, in a request and in a page of segments.
pub const SEGMENT: usize = 8;
/// Segments in a page of them.
pub const SEGMENTS_PER_PAGE: usize = 4096 / SEGMENT;

/// Where the fields of a request are.
pub(crate) mod at {
    pub const NR_SEGMENTS: usize = 1;
    pub const HANDLE: usize = 2;
    pub const ID: usize = 8;
    pub const SECTOR: usize = 16;
    pub const SEGMENTS: usize = 24;
    pub const DISCARD_SECTORS: usize = 24;
    pub const INDIRECT_SEGMENTS: usize = 2;
    pub const INDIRECT_HANDLE: usize = 24;
    pub const INDIRECT_GREFS: usize = 28;
    pub const RESPONSE_OPERATION: usize = 8;
    pub const RESPONSE_STATUS: usize = 10;
}

/// What a request asks for (`BLKIF_OP_…`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Operation {
    /// Fill the segments.
    Read = 0,
    /// Store the segments.
    Write = 1,
    /// Everything before it is stable before anything after it is begun; may be empty.
    WriteBarrier = 2,
    /// What has been answered is on stable storage when this is answered.
    FlushDiskcache = 3,
    /// The sectors are not needed any more.
    Discard = 5,
    /// The segments of a read or a write are in pages of their own.
    Indirect = 6,
}

/// The flag of a discard that leaves no copy behind (`BLKIF_DISCARD_SECURE`).
pub const DISCARD_SECURE: u8 = 1;

/// The status of a response (`BLKIF_RSP_…`).
pub mod status {
    /// The backend cannot do this.
    pub const NOT_SUPPORTED: i16 = -2;
    /// It did not work.
    pub const ERROR: i16 = -1;
    /// It is done.
    pub const OKAY: i16 = 0;
}

/// Bits of the backend's node `info` (`VDISK_…`).
pub mod info {
    /// A CD.
    pub const CDROM: u32 = 1;
    /// Media that can be removed.
    pub const REMOVABLE: u32 = 2;
    /// Nothing can be written.
    pub const READONLY: u32 = 4;
}

/// Sectors of a page, first and last included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The page.
    pub gref: GrantRef,
    /// The first sector, 0 to 7.
    pub first: u8,
    /// The last one; not below the first.
    pub last: u8,
}

impl Segment {
    /// The segment's bytes, in a request and in a page of segments.
    pub fn emit(&self) -> [u8; SEGMENT] {
        let [a, b, c, d] = self.gref.0.to_le_bytes();
        [a, b, c, d, self.first, self.last, 0, 0]
    }

    /// Reads a segment, as a backend does.
    pub fn parse(bytes: &[u8]) -> Segment {
        let gref = GrantRef(u32_at(bytes, 0));
        Segment { gref, first: bytes[4], last: bytes[5] }
    }

    /// How many bytes it stands for.
    pub fn bytes(&self) -> usize {
        (self.last as usize + 1 - self.first as usize) * SECTOR
    }
}

/// What a request is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// At most [`SEGMENTS_MAX`] segments.
    Direct(&'a [Segment]),
    /// This many segments, in these pages. At most [`INDIRECT_PAGES_MAX`] of them.
    Indirect {
        /// How many segments there are.
        count: u16,
        /// The pages they are in.
        pages: &'a [GrantRef],
    },
    /// For a discard.
    Discard {
        /// How many sectors.
        sectors: u64,
        /// No copy may remain.
        secure: bool,
    },
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// What to do: of an indirect request, what is to be done with its segments.
    pub operation: Operation,
    /// Which of the backend's disks; the number from the device's directory. Backends ignore it.
    pub handle: u16,
    /// Comes back in the response.
    pub id: u64,
    /// The first sector.
    pub sector: u64,
    /// The rest.
    pub body: Body<'a>,
}

impl Request<'_> {
    /// Writes the request into a slot of zero bytes.
    pub fn emit(&self, slot: &mut [u8]) {
        slot[0] = self.operation as u8;
        slot[at::ID..at::ID + 8].copy_from_slice(&self.id.to_le_bytes());
        slot[at::SECTOR..at::SECTOR + 8].copy_from_slice(&self.sector.to_le_bytes());
        let handle = self.handle.to_le_bytes();
        match &self.body {
            Body::Direct(segments) => {
                slot[at::NR_SEGMENTS] = segments.len() as u8;
                slot[at::HANDLE..at::HANDLE + 2].copy_from_slice(&handle);
                for (n, segment) in segments.iter().enumerate() {
                    let start = at::SEGMENTS + n * SEGMENT;
                    slot[start..start + SEGMENT].copy_from_slice(&segment.emit());
                }
            }
            Body::Indirect { count, pages } => {
                slot[0] = Operation::Indirect as u8;
                slot[1] = self.operation as u8;
                let segments = at::INDIRECT_SEGMENTS;
                slot[segments..segments + 2].copy_from_slice(&count.to_le_bytes());
                slot[at::INDIRECT_HANDLE..at::INDIRECT_HANDLE + 2].copy_from_slice(&handle);
                for (n, gref) in pages.iter().enumerate() {
                    let start = at::INDIRECT_GREFS + 4 * n;
                    slot[start..start + 4].copy_from_slice(&gref.0.to_le_bytes());
                }
            }
            Body::Discard { sectors, secure } => {
                slot[1] = if *secure { DISCARD_SECURE } else { 0 };
                slot[at::HANDLE..at::HANDLE + 2].copy_from_slice(&handle);
                let count = at::DISCARD_SECTORS;
                slot[count..count + 8].copy_from_slice(&sectors.to_le_bytes());
            }
        }
    }

    /// What the response will call this request.
    pub fn operation_in_slot(&self) -> u8 {
        match self.body {
            Body::Indirect { .. } => Operation::Indirect as u8,
            Body::Direct(_) | Body::Discard { .. } => self.operation as u8,
        }
    }
}

/// A response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Response {
    /// That of the request.
    pub id: u64,
    /// The request's operation, as a number.
    pub operation: u8,
    /// [`status`].
    pub status: i16,
}

impl Response {
    /// Reads a slot.
    pub fn parse(slot: &[u8]) -> Response {
        let word = at::RESPONSE_STATUS;
        Response {
            id: u64_at(slot, 0),
            operation: slot[at::RESPONSE_OPERATION],
            status: i16::from_le_bytes([slot[word], slot[word + 1]]),
        }
    }

    /// Writes it, as a backend does.
    pub fn emit(&self) -> [u8; 16] {
        let mut slot = [0; 16];
        slot[..8].copy_from_slice(&self.id.to_le_bytes());
        slot[at::RESPONSE_OPERATION] = self.operation;
        slot[at::RESPONSE_STATUS..at::RESPONSE_STATUS + 2]
            .copy_from_slice(&self.status.to_le_bytes());
        slot
    }
}

/// The `u32` at an offset.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The `u64` at an offset.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn emitted(request: &Request<'_>) -> Vec<u8> {
        let mut slot = [0; SLOT];
        request.emit(&mut slot);
        slot.to_vec()
    }

    #[test]
    fn read_has_the_bytes_of_the_header() {
        let segments = [
            Segment { gref: GrantRef(0x0403_0201), first: 1, last: 7 },
            Segment { gref: GrantRef(9), first: 0, last: 0 },
        ];
        let request = Request {
            operation: Operation::Read,
            handle: 0xca00,
            id: 0x0807_0605_0403_0201,
            sector: 0x100_0000_0002,
            body: Body::Direct(&segments),
        };
        let bytes = emitted(&request);
        assert_eq!(bytes[..8], [0, 2, 0x00, 0xca, 0, 0, 0, 0]);
        assert_eq!(bytes[8..16], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[16..24], [2, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(bytes[24..40], [1, 2, 3, 4, 1, 7, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert!(bytes[40..].iter().all(|byte| *byte == 0));
        assert_eq!(Segment::parse(&bytes[24..]), segments[0]);
        assert_eq!((segments[0].bytes(), segments[1].bytes()), (3584, 512));
    }

    #[test]
    fn indirect_write_and_discard_have_the_bytes_of_the_header() {
        let pages = [GrantRef(0x0102), GrantRef(3)];
        let body = Body::Indirect { count: 0x0201, pages: &pages };
        let request = Request { operation: Operation::Write, handle: 5, id: 1, sector: 2, body };
        let bytes = emitted(&request);
        assert_eq!(bytes[..4], [6, 1, 1, 2]);
        assert_eq!(bytes[24..40], [5, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(request.operation_in_slot(), 6);

        let body = Body::Discard { sectors: 0x0a, secure: true };
        let request = Request { operation: Operation::Discard, handle: 5, id: 1, sector: 2, body };
        let bytes = emitted(&request);
        assert_eq!(bytes[..4], [5, 1, 5, 0]);
        assert_eq!(bytes[24..32], [0x0a, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(request.operation_in_slot(), 5);
    }

    #[test]
    fn responses_are_read_as_the_header_has_them() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 3, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff];
        let response =
            Response { id: 0x0807_0605_0403_0201, operation: 3, status: status::NOT_SUPPORTED };
        assert_eq!(Response::parse(&bytes), response);
        assert_eq!(Response::parse(&response.emit()), response);
    }
}
