//! Where files persist: keys and values, changed in transactions. What they mean is known here alone.
//!
//! | key | value |
//! |---|---|
//! | 0 | [`FORMAT`] |
//! | 1, number of a node | what is known about it: [`About`] |
//! | 2, number of a directory, name | number of the node |
//! | 3, number of a file, number of a page | the page, without the zeroes at its end; all zeroes where there is none |
//!
//! Numbers in keys have eight bytes, the most significant one first, so that the keys of one node follow each other;
//! those in values are little-endian.

use alloc::vec::Vec;

use super::super::parts::Result;

/// What the first key has.
pub(super) const FORMAT: &[u8] = b"mirust files 1";

/// Keys and values that survive crashes, such as a database on a disk. Calls wait, as those of a thread do.
pub trait Store {
    /// Calls `f` with each key before this one, and its value, in the order of the keys.
    ///
    /// # Errors
    ///
    /// EIO, and what `f` returns.
    fn each(&self, before: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> Result) -> Result;

    /// Calls `f` with the value of a key; false if it has none.
    ///
    /// # Errors
    ///
    /// EIO.
    fn get(&self, key: &[u8], f: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// How many pages of files it has room for. Does not wait.
    fn pages(&self) -> u64;

    /// Makes the changes that `f` asks for, which may be called again. When this returns they survive a crash. After an
    /// error or a crash none of them has been made or, if it was in the last step, all.
    ///
    /// # Errors
    ///
    /// EIO, ENOSPC, and what `f` returns.
    fn transact(&self, f: &mut dyn FnMut(&mut dyn Changes) -> Result) -> Result;

    /// There is something to commit, for the first time since the last commit began. Does not wait.
    fn has_changes(&self);
}

/// What a transaction changes.
pub trait Changes {
    /// Gives a key this value; true if it had none.
    ///
    /// # Errors
    ///
    /// As [`Store::transact`].
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<bool>;

    /// Removes the keys from `first` to `last`, both included; how many there were.
    ///
    /// # Errors
    ///
    /// As [`Store::transact`].
    fn remove(&mut self, first: &[u8], last: &[u8]) -> Result<u64>;
}

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key<'a> {
    Format,
    Node(u64),
    Name(u64, &'a [u8]),
    Page(u64, u64),
}

impl Key<'_> {
    /// Behind the keys of nodes, and before all that follow.
    pub(super) const NAMES: &'static [u8] = &[2];
    /// Behind all keys but those of pages.
    pub(super) const PAGES: &'static [u8] = &[3];

    pub(super) fn emit(self) -> Vec<u8> {
        let (kind, number, rest) = match self {
            Key::Format => return [0].into(),
            Key::Node(node) => (1, node, Vec::new()),
            Key::Name(directory, name) => (2, directory, name.into()),
            Key::Page(file, page) => (3, file, page.to_be_bytes().into()),
        };
        [&[kind][..], &number.to_be_bytes(), &rest].concat()
    }

    /// Nothing if the bytes are no key.
    pub(super) fn parse(bytes: &[u8]) -> Option<Key<'_>> {
        let (&kind, rest) = bytes.split_first()?;
        if kind == 0 {
            return rest.is_empty().then_some(Key::Format);
        }
        let (number, rest) = rest.split_first_chunk()?;
        let number = u64::from_be_bytes(*number);
        Some(match kind {
            1 if rest.is_empty() => Key::Node(number),
            2 => Key::Name(number, rest),
            3 => Key::Page(number, u64::from_be_bytes(rest.try_into().ok()?)),
            _ => return None,
        })
    }
}

/// What is known about a node: its mode (four bytes), the time of its last change in nanoseconds since 1970, a file's
/// size, how many pages there are of it (eight bytes each), and the target of a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct About<'a> {
    pub(super) mode: u32,
    pub(super) modified: u64,
    pub(super) size: u64,
    pub(super) pages: u64,
    pub(super) target: &'a [u8],
}

impl About<'_> {
    pub(super) fn emit(&self) -> Vec<u8> {
        let (mode, modified) = (self.mode.to_le_bytes(), self.modified.to_le_bytes());
        let (size, pages) = (self.size.to_le_bytes(), self.pages.to_le_bytes());
        [&mode[..], &modified, &size, &pages, self.target].concat()
    }

    /// Nothing if there are too few bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<About<'_>> {
        let (mode, rest) = bytes.split_first_chunk()?;
        let (modified, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (pages, target) = rest.split_first_chunk()?;
        let [modified, size, pages] = [modified, size, pages].map(|n| u64::from_le_bytes(*n));
        Some(About { mode: u32::from_le_bytes(*mode), modified, size, pages, target })
    }
}

/// A number as the value of a name has it.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_what_they_mean() {
        let keys = [
            (Key::Format, &b"\0"[..]),
            (Key::Node(1), b"\x01\0\0\0\0\0\0\0\x01"),
            (Key::Node(256), b"\x01\0\0\0\0\0\0\x01\0"),
            (Key::Name(1, b"a"), b"\x02\0\0\0\0\0\0\0\x01a"),
            (Key::Page(2, 1), b"\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01"),
        ];
        assert!(keys.is_sorted_by_key(|(_, bytes)| *bytes));
        for (key, bytes) in keys {
            assert_eq!((&key.emit()[..], Key::parse(bytes)), (bytes, Some(key)));
        }
        for wrong in
            [&b""[..], b"\0\0", b"\x01", b"\x01\0\0\0\0\0\0\0\x01x", b"\x04\0\0\0\0\0\0\0\x01"]
        {
            assert_eq!(Key::parse(wrong), None);
        }
        assert_eq!(Key::parse(b"\x03\0\0\0\0\0\0\0\x02\0"), None);
    }

    #[test]
    fn what_is_known_about_a_node_has_a_layout() {
        let about = About { mode: 0o120_777, modified: 2, size: 3, pages: 1, target: b"to" };
        let bytes = b"\xff\xa1\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0to";
        assert_eq!((&about.emit()[..], About::parse(bytes)), (&bytes[..], Some(about)));
        assert_eq!(About::parse(&bytes[..27]), None);
        assert_eq!((number(b"\x05\0\0\0\0\0\0\0"), number(b"\x05")), (Some(5), None));
    }
}
