//! Inodes: what is known about a file, and where its bytes are.

use super::Error;
use super::superblock::{Superblock, number};

/// Bytes of the largest.
pub(crate) const LARGEST: usize = 64;
/// Bytes of the smallest, and of the slots that numbers count.
pub(crate) const SMALLEST: usize = 32;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a socket or a pipe, none of which is one here.
    Other,
}

/// Where a file's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// In blocks that follow each other, from this one on.
    Plain(u64),
    /// The same, but what is in the last one follows the inode.
    Inline(u64),
    /// In chunks of 2 to this power bytes, each of which a list behind the inode says the first block of. Its elements
    /// have 8 bytes or 4.
    Chunks { bits: u32, wide: bool },
}

/// What is known about a file or a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inode {
    /// Its number in the image.
    pub number: u64,
    /// Type and permissions, as C's `st_mode` has them.
    pub mode: u32,
    /// Names that it has.
    pub links: u32,
    /// The owner's user and group.
    pub owner: (u32, u32),
    /// Bytes.
    pub size: u64,
    /// When it was changed last: seconds since 1970.
    pub modified: u64,
    /// Nanoseconds, besides.
    pub modified_ns: u32,
    pub(crate) layout: Layout,
    /// Where what follows the inode and its extended attributes begins, in bytes.
    pub(crate) behind: u64,
}

impl Inode {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Link,
            _ => Kind::Other,
        }
    }

    /// Whether an inode that begins so has all of [`LARGEST`] bytes.
    pub(crate) fn is_large(bytes: &[u8; SMALLEST]) -> bool {
        bytes[0] & 1 == 1
    }

    /// Reads one that begins at `at`. The last half of the bytes counts for large ones only.
    pub(crate) fn parse(
        bytes: &[u8; LARGEST],
        number_of: u64,
        at: u64,
        superblock: &Superblock,
    ) -> Result<Inode, Error> {
        let short = |at| number::<2>(bytes, at);
        let word = |at| number::<4>(bytes, at);
        let large = bytes[0] & 1 == 1;
        let attributes = match short(2) {
            0 => 0,
            // A header of 12 bytes, and 4 for each but the first.
            n => 12 + 4 * (n - 1),
        };
        let own = if large { LARGEST } else { SMALLEST } as u64;
        let behind = at.checked_add(own + attributes).ok_or(Error::Corrupt("an inode far away"))?;
        let place = word(0x10);
        let layout = match short(0) >> 1 & 7 {
            0 => Layout::Plain(place),
            2 => Layout::Inline(place),
            1 | 3 => return Err(Error::Unsupported("compressed files (make it without -z)")),
            4 => Layout::Chunks {
                bits: superblock.block_bits + (place & 31) as u32,
                wide: place & 32 != 0,
            },
            _ => return Err(Error::Unsupported("an unknown layout of files")),
        };
        if let Layout::Chunks { bits: 48.., .. } = layout {
            return Err(Error::Corrupt("an impossible size of chunks"));
        }
        let (size, links, owner, modified, modified_ns) = if large {
            let owner = (word(0x18) as u32, word(0x1c) as u32);
            (number::<8>(bytes, 8), word(0x2c), owner, number::<8>(bytes, 0x20), word(0x28) as u32)
        } else {
            // What was reserved in older images is the distance from the time of the image.
            let modified = superblock.built.saturating_add(word(0xc));
            (
                word(8),
                short(6),
                (short(0x18) as u32, short(0x1a) as u32),
                modified,
                superblock.built_ns,
            )
        };
        if size > i64::MAX as u64 {
            return Err(Error::Corrupt("an impossible size of a file"));
        }
        Ok(Inode {
            number: number_of,
            mode: short(4) as u32,
            links: links as u32,
            owner,
            size,
            modified,
            modified_ns: modified_ns.min(999_999_999),
            layout,
            behind,
        })
    }
}
