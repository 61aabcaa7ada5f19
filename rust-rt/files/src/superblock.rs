//! The superblock: where the rest is.

use super::Error;

/// Where it begins, in bytes.
pub(crate) const OFFSET: u64 = 1024;
/// Its bytes, without extensions.
pub(crate) const SIZE: usize = 128;

const MAGIC: u32 = 0xe0f5_e1e2;
/// In the compatible features: there is a checksum.
const CHECKSUM: u32 = 1;

/// Incompatible features that make no difference here: zeros before compressed data, which is refused where
/// it is met; files in chunks; prefixes of the names of extended attributes.
const UNDERSTOOD: u32 = 0x1 | 0x4 | 0x40;
/// The others, for a message.
const OTHERS: [(u32, &str); 5] = [
    (0x2, "compressed files (make it without -z)"),
    (0x8, "data on other devices"),
    (0x10, "compressed files (make it without -z)"),
    (0x20, "fragments of files (make it without -E fragments, dedupe)"),
    (0x180, "addresses of 48 bits"),
];

/// What is needed of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Superblock {
    /// The block size is 2 to this power: 9 to 16.
    pub(crate) block_bits: u32,
    /// The root directory's number.
    pub(crate) root: u64,
    /// Seconds since 1970: the time of what has none of its own.
    pub(crate) built: u64,
    /// Nanoseconds, besides.
    pub(crate) built_ns: u32,
    /// The block that numbers count from.
    pub(crate) metadata: u64,
    /// Blocks in all.
    pub(crate) blocks: u64,
    /// The checksum over the rest of the block, if there is one.
    pub(crate) checksum: Option<u32>,
}

/// The little-endian number at `at`.
pub(crate) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut all = [0; 8];
    all[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(all)
}

impl Superblock {
    /// Reads one.
    pub(crate) fn parse(bytes: &[u8; SIZE]) -> Result<Superblock, Error> {
        let short = |at| number::<4>(bytes, at) as u32;
        if short(0) != MAGIC {
            return Err(Error::Corrupt("no EROFS superblock"));
        }
        let incompatible = short(0x50) & !UNDERSTOOD;
        if incompatible != 0 {
            let known = OTHERS.iter().find(|(bits, _)| incompatible & bits != 0);
            return Err(Error::Unsupported(known.map_or("unknown features", |(_, name)| name)));
        }
        let block_bits = u32::from(bytes[0xc]);
        if !(9..=16).contains(&block_bits) {
            return Err(Error::Corrupt("an impossible block size"));
        }
        if bytes[0x5a] != 0 {
            return Err(Error::Unsupported("directory blocks of their own size"));
        }
        Ok(Superblock {
            block_bits,
            root: number::<2>(bytes, 0xe),
            built: number::<8>(bytes, 0x18),
            built_ns: short(0x20),
            metadata: number::<4>(bytes, 0x28),
            blocks: number::<4>(bytes, 0x24),
            checksum: (short(8) & CHECKSUM != 0).then(|| short(4)),
        })
    }

    /// Bytes in a block.
    pub(crate) fn block(&self) -> usize {
        1 << self.block_bits
    }

    /// How many bytes the checksum is over: from the superblock to the end of its block, or one block.
    pub(crate) fn summed(&self) -> usize {
        if self.block() > OFFSET as usize { self.block() - OFFSET as usize } else { self.block() }
    }
}

/// CRC-32C as the format has it: begun with ones, not inverted at the end, the checksum itself being zero.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: u8| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 }
        })
    };
    let zeroed = |(at, byte): (usize, &u8)| if (4..8).contains(&at) { 0 } else { *byte };
    bytes.iter().enumerate().map(zeroed).fold(u32::MAX, step)
}
