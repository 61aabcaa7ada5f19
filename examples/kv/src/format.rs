//! The layout of the disk.
//!
//! ```text
//!   0      superblock of even generations, twice      16384         area of even generations
//!   8192   superblock of odd generations, twice       half of it    area of odd generations
//! ```
//!
//! The second copy of a superblock is written when the first is stable: a crash tears at most one of them, and if one
//! goes bad later, the other remains.
//!
//! An area holds *batches*, one after another, each in whole units of 4096 bytes: a header and the
//! operations that were written together. A batch includes the checksum of the one before it, so that what a
//! crash or an older generation has left after the last batch is never taken for the next one. Checksums start from a
//! random number, the area's *salt*, so that nobody can choose values that look like a batch.

/// Everything begins at a multiple of this, so that it suits all disks.
pub const UNIT: u64 = 4096;
/// Where the areas begin.
pub const AREAS: u64 = 4 * UNIT;
/// Bytes of a batch's header.
pub const HEADER: usize = 48;
/// Bytes of the largest batch: what follows a damaged one is not further away.
pub const BATCH_MAX: usize = 4 << 20;

/// Bytes of an operation before its key: kind, and two lengths.
const OP_HEADER: usize = 9;

const SUPER_MAGIC: &[u8; 8] = b"MirustKV";
const BATCH_MAGIC: u32 = 0x424c_564b;
const VERSION: u32 = 1;

/// Which area is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Super {
    /// Counts the areas that have been in use.
    pub generation: u64,
    /// Batches that were stable when the area was taken into use.
    pub sealed: u64,
    /// What checksums begin with, and what the first batch has for that of the one before it: of its own for each
    /// attempt, so that nothing of an earlier one can follow.
    pub salt: u32,
}

impl Super {
    /// The superblock's unit.
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; UNIT as usize];
        bytes[..8].copy_from_slice(SUPER_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sealed.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..32]);
        bytes[32..36].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Whether a unit without a valid superblock is one that nobody has used: zeros, or what a crash left of the
    /// first superblock.
    pub fn is_free(bytes: &[u8]) -> bool {
        let same = bytes.iter().zip(SUPER_MAGIC).take_while(|(byte, magic)| byte == magic).count();
        same == SUPER_MAGIC.len() || bytes[same..].iter().all(|byte| *byte == 0)
    }

    /// Reads one. `Ok(None)` if it is not there, or was torn when it was written.
    pub fn parse(bytes: &[u8]) -> Result<Option<Super>, String> {
        if &bytes[..8] != SUPER_MAGIC || crc32fast::hash(&bytes[..32]) != u32_at(bytes, 32) {
            return Ok(None);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(format!("the disk has format {version}, and this is {VERSION}"));
        }
        let (generation, sealed) = (u64_at(bytes, 16), u64_at(bytes, 24));
        Ok(Some(Super { generation, sealed, salt: u32_at(bytes, 12) }))
    }
}

/// The header of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// That of the area.
    pub generation: u64,
    /// The number of the batch in its area, from 0 on.
    pub number: u64,
    /// This many batches were stable when this one was written.
    pub stable: u64,
    /// The checksum of the batch before it; of the first one, the superblock's salt.
    pub previous: u32,
    /// Bytes of operations.
    pub len: usize,
    /// The batch's own checksum.
    pub sum: u32,
}

impl Batch {
    /// Fills a buffer of [`size`](Self::size) bytes with a batch of these operations, the rest of it zeros, and
    /// gives the batch its checksum.
    ///
    /// # Panics
    ///
    /// If `ops` do not have the length that the header says, or the buffer is too small.
    pub fn emit(&mut self, salt: u32, ops: &[&[u8]], out: &mut [u8]) {
        out[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        out[8..16].copy_from_slice(&self.generation.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.stable.to_le_bytes());
        out[32..36].copy_from_slice(&self.previous.to_le_bytes());
        out[36..40].copy_from_slice(&(self.len as u32).to_le_bytes());
        out[40..HEADER].fill(0);
        let mut at = HEADER;
        for part in ops {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        assert_eq!(at, HEADER + self.len, "the header says how many there are");
        out[at..].fill(0);
        self.sum = checksum(salt, &out[8..at]);
        out[4..8].copy_from_slice(&self.sum.to_le_bytes());
    }

    /// Reads a header. What it says is to be believed once [`is_whole`](Self::is_whole) has said so.
    pub fn parse(bytes: &[u8]) -> Option<Batch> {
        let len = u32_at(bytes, 36) as usize;
        (u32_at(bytes, 0) == BATCH_MAGIC && len <= BATCH_MAX - HEADER).then(|| Batch {
            generation: u64_at(bytes, 8),
            number: u64_at(bytes, 16),
            stable: u64_at(bytes, 24),
            previous: u32_at(bytes, 32),
            len,
            sum: u32_at(bytes, 4),
        })
    }

    /// Whether the batch's bytes, from its header on, are those that were written.
    pub fn is_whole(&self, salt: u32, bytes: &[u8]) -> bool {
        checksum(salt, &bytes[8..HEADER + self.len]) == self.sum
    }

    /// Bytes on the disk.
    pub fn size(&self) -> u64 {
        ((HEADER + self.len) as u64).next_multiple_of(UNIT)
    }
}

/// An operation on the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op<'a> {
    /// A key has a value.
    Set(&'a [u8], &'a [u8]),
    /// A key has none.
    Delete(&'a [u8]),
    /// No key has one.
    Clear,
}

impl<'a> Op<'a> {
    /// Bytes that [`emit`](Self::emit) appends.
    pub fn size(&self) -> usize {
        let (key, value) = match self {
            Op::Set(key, value) => (key.len(), value.len()),
            Op::Delete(key) => (key.len(), 0),
            Op::Clear => (0, 0),
        };
        OP_HEADER + key + value
    }

    /// Appends the operation.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let (kind, key, value) = match *self {
            Op::Set(key, value) => (1u8, key, value),
            Op::Delete(key) => (2, key, &[][..]),
            Op::Clear => (3, &[][..], &[][..]),
        };
        let mut head = [kind; OP_HEADER];
        head[1..5].copy_from_slice(&(key.len() as u32).to_le_bytes());
        head[5..].copy_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }

    /// Takes the next operation off `bytes`.
    pub fn take(bytes: &mut &'a [u8]) -> Option<Op<'a>> {
        let (head, rest) = bytes.split_at_checked(OP_HEADER)?;
        let (key, rest) = rest.split_at_checked(u32_at(head, 1) as usize)?;
        let (value, rest) = rest.split_at_checked(u32_at(head, 5) as usize)?;
        *bytes = rest;
        match head[0] {
            1 => Some(Op::Set(key, value)),
            2 => Some(Op::Delete(key)),
            3 => Some(Op::Clear),
            _ => None,
        }
    }
}

fn checksum(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
