//! Directory blocks: entries of 12 bytes, in the order of their names, and behind them the names.

use super::inode::Kind;
use super::limits::LONGEST_NAME;
use super::superblock::number;
use super::{Error, Inode};
use alloc::vec::Vec;

const ENTRY: usize = 12;

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The name: 1 to 255 bytes, without a slash or a zero among them.
    pub name: Vec<u8>,
    /// The number of what has it; see [`Inode::number`].
    pub number: u64,
    /// What that is, as the directory says; its inode has the last word.
    pub kind: Kind,
}

/// A directory block.
pub(crate) struct Block<'a> {
    bytes: &'a [u8],
    entries: usize,
}

impl<'a> Block<'a> {
    /// What is in these bytes.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Block<'a>, Error> {
        if bytes.len() < ENTRY {
            return Err(Error::Corrupt("a directory block that is cut off"));
        }
        // Names begin where entries end.
        let names = number::<2>(bytes, 8) as usize;
        if names < ENTRY || names % ENTRY != 0 || names > bytes.len() {
            return Err(Error::Corrupt("a directory block without an end of its entries"));
        }
        Ok(Block { bytes, entries: names / ENTRY })
    }

    /// The names in it.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// A name, the number of what has it, and what that is.
    pub(crate) fn get(&self, at: usize) -> Result<(&'a [u8], u64, Kind), Error> {
        let offset = |at: usize| number::<2>(self.bytes, at * ENTRY + 8) as usize;
        let start = offset(at);
        let end = if at + 1 < self.entries { offset(at + 1) } else { self.bytes.len() };
        let name = self.bytes.get(start..end).filter(|_| start >= self.entries * ENTRY);
        let mut name = name.ok_or(Error::Corrupt("a name outside of its directory block"))?;
        if at + 1 == self.entries {
            // What is left of the block is zeros.
            name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())];
        }
        if name.is_empty()
            || name.len() > LONGEST_NAME
            || name.iter().any(|b| [0, b'/'].contains(b))
        {
            return Err(Error::Corrupt("an impossible name"));
        }
        let kind = match self.bytes[at * ENTRY + 10] {
            1 => Kind::File,
            2 => Kind::Directory,
            7 => Kind::Link,
            _ => Kind::Other,
        };
        Ok((name, number::<8>(self.bytes, at * ENTRY), kind))
    }

    /// The number of what has this name, if something has.
    pub(crate) fn find(&self, wanted: &[u8]) -> Result<Option<u64>, Error> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let (name, number, _) = self.get(middle)?;
            match name.cmp(wanted) {
                core::cmp::Ordering::Equal => return Ok(Some(number)),
                core::cmp::Ordering::Less => from = middle + 1,
                core::cmp::Ordering::Greater => to = middle,
            }
        }
        Ok(None)
    }
}

/// An error unless it is a directory.
pub(crate) fn check(inode: &Inode) -> Result<(), Error> {
    if inode.kind() == Kind::Directory { Ok(()) } else { Err(Error::NotDirectory) }
}
