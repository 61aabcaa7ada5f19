//! The table that gives addresses their function names.
//!
//! `link/image` puts it into the last segment of an image: a count, that many pairs of a function's
//! address and the offset of its name, ascending by address, all as 32-bit little-endian numbers,
//! then the names, each with a NUL behind it.

/// A symbol table, or what claims to be one.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    pairs: &'a [u8],
    names: &'a [u8],
}

impl<'a> Symbols<'a> {
    /// The table in `bytes`; empty if they are too short.
    pub fn new(bytes: &'a [u8]) -> Self {
        let table = bytes.split_at_checked(4).and_then(|(count, rest)| {
            rest.split_at_checked((word(count, 0)? as usize).checked_mul(8)?)
        });
        let (pairs, names) = table.unwrap_or_default();
        Symbols { pairs, names }
    }

    /// The function that contains `address`, and the distance to its start: the last one that
    /// does not start behind it. The caller makes sure that the address is in the text.
    pub fn lookup(&self, address: u64) -> Option<(&'a str, u64)> {
        let start_of = |i: usize| word(self.pairs, 2 * i).map(u64::from);
        let (mut low, mut high) = (0, self.pairs.len() / 8);
        while low < high {
            let middle = (low + high) / 2;
            if start_of(middle)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let found = low.checked_sub(1)?;
        let name = self.names.get(word(self.pairs, 2 * found + 1)? as usize..)?;
        let end = name.iter().position(|&b| b == 0)?;
        Some((core::str::from_utf8(&name[..end]).ok()?, address - start_of(found)?))
    }
}

/// The 32-bit number at index `i`.
fn word(bytes: &[u8], i: usize) -> Option<u32> {
    let bytes = bytes.get(4 * i..4 * i + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn table() -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in [3u32, 0x1000, 0, 0x1010, 6, 0x2000, 0] {
            bytes.extend(n.to_le_bytes());
        }
        bytes.extend(b"first\0second\0");
        bytes
    }

    #[test]
    fn lookup_finds_the_function_around_an_address() {
        let bytes = table();
        let s = Symbols::new(&bytes);
        assert_eq!(s.lookup(0xfff), None);
        assert_eq!(s.lookup(0x1000), Some(("first", 0)));
        assert_eq!(s.lookup(0x100f), Some(("first", 15)));
        assert_eq!(s.lookup(0x1010), Some(("second", 0)));
        assert_eq!(s.lookup(0x9000), Some(("first", 0x7000)));
    }

    #[test]
    fn short_tables_have_no_names() {
        let bytes = table();
        for n in 0..bytes.len() {
            let _ = Symbols::new(&bytes[..n]).lookup(0x1010);
        }
        assert_eq!(Symbols::new(&[]).lookup(0x1000), None);
        assert_eq!(Symbols::new(&[0xff; 40]).lookup(0x1000), None);
        assert_eq!(Symbols::new(&bytes[..bytes.len() - 1]).lookup(0x1010), None);
    }
}
