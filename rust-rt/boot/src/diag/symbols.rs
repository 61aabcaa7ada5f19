//! The table that gives addresses their function names.
//!
//! `link/symbols` writes it, for the last segment of an image. Functions are in the order of their
//! addresses, in blocks of 16. All numbers are little-endian:
//!
//! - the number of blocks (32 bits);
//! - for each block the address of its first function, and the offset of its entries from the end
//!   of the next list (32 bits each);
//! - the two bytes that each of the bytes from 128 to 255 stands for, both less than itself;
//! - for each function the distance of its address to that of the function before it in the block
//!   (LEB128; 0 for the first), how many bytes at the start of its name are the same as of that one
//!   (8 bits), and the rest of its name, with a NUL behind it.
//!
//! Pairs of bytes that are frequent in names, and pairs of such pairs, halve the table.

use core::fmt;

/// Functions in a block.
const BLOCK: usize = 16;
/// Longest name, in bytes; `link/symbols` cuts longer ones.
const MAX_NAME: usize = 80;
/// How many bytes stand for two others, and the first of them.
const PAIRS: usize = 128;
const FIRST_PAIR: u8 = 128;

/// A symbol table, or what claims to be one.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    blocks: &'a [u8],
    pairs: &'a [u8],
    entries: &'a [u8],
}

/// The name of a function.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes[..self.len].utf8_chunks().try_for_each(|chunk| f.write_str(chunk.valid()))
    }
}

impl<'a> Symbols<'a> {
    /// The table in `bytes`; empty if they are too short.
    pub fn new(bytes: &'a [u8]) -> Self {
        let table = bytes.split_at_checked(4).and_then(|(count, rest)| {
            let (blocks, rest) =
                rest.split_at_checked((word(count, 0)? as usize).checked_mul(8)?)?;
            let (pairs, entries) = rest.split_at_checked(2 * PAIRS)?;
            Some(Symbols { blocks, pairs, entries })
        });
        table.unwrap_or(Symbols { blocks: &[], pairs: &[], entries: &[] })
    }

    /// The function that contains `address`, and the distance to its start: the last one that
    /// does not start behind it. The caller makes sure that the address is in the text.
    pub fn lookup(&self, address: u64) -> Option<(Name, u64)> {
        let start_of = |block: usize| word(self.blocks, 2 * block).map(u64::from);
        let (mut low, mut high) = (0, self.blocks.len() / 8);
        while low < high {
            let middle = (low + high) / 2;
            if start_of(middle)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let block = low.checked_sub(1)?;
        let mut entries = self.entries.get(word(self.blocks, 2 * block + 1)? as usize..)?;
        let mut start = start_of(block)?;
        let mut found = None;
        let mut name = Name { bytes: [0; MAX_NAME], len: 0 };
        for _ in 0..BLOCK {
            // The table may end in the middle of the last block.
            let Some(distance) = leb128(&mut entries) else { break };
            start = start.checked_add(distance)?;
            if start > address {
                break;
            }
            name.next(&mut entries, self.pairs)?;
            found = Some((name, address - start));
        }
        found
    }
}

impl Name {
    /// Changes into the name of the next entry.
    fn next(&mut self, entries: &mut &[u8], pairs: &[u8]) -> Option<()> {
        let (&shared, rest) = entries.split_first()?;
        let len = rest.iter().position(|&b| b == 0)?;
        self.len = usize::from(shared);
        for &byte in &rest[..len] {
            self.push(byte, pairs)?;
        }
        *entries = &rest[len + 1..];
        Some(())
    }

    /// Adds what `byte` stands for.
    fn push(&mut self, byte: u8, pairs: &[u8]) -> Option<()> {
        let Some(index) = byte.checked_sub(FIRST_PAIR) else {
            *self.bytes.get_mut(self.len)? = byte;
            self.len += 1;
            return Some(());
        };
        let at = 2 * usize::from(index);
        let (&first, &second) = (pairs.get(at)?, pairs.get(at + 1)?);
        // In a damaged table a pair could stand for itself.
        if first >= byte || second >= byte {
            return None;
        }
        self.push(first, pairs)?;
        self.push(second, pairs)
    }
}

/// The 32-bit number at index `i`.
fn word(bytes: &[u8], i: usize) -> Option<u32> {
    let bytes = bytes.get(4 * i..4 * i + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Takes a number of seven bits a byte.
fn leb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    /// `alpha` at 0x1000, `alphabet` at 0x1010; in a second block `beta` at 0x2000. 128 stands for `et`, 129 for `bet`.
    fn table() -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in [2u32, 0x1000, 0, 0x2000, 12] {
            bytes.extend(n.to_le_bytes());
        }
        bytes.extend(b"etb\x80");
        bytes.resize(bytes.len() + 2 * PAIRS - 4, 0);
        bytes.extend(b"\0\0alpha\0\x10\x05\x81\0");
        bytes.extend(b"\0\0\x81a\0");
        bytes
    }

    fn lookup(bytes: &[u8], address: u64) -> Option<(String, u64)> {
        Symbols::new(bytes).lookup(address).map(|(name, offset)| (name.to_string(), offset))
    }

    #[test]
    fn lookup_finds_the_function_around_an_address() {
        let bytes = table();
        // The first block has two functions only: the test's table is not full.
        let found = |address| lookup(&bytes, address);
        assert_eq!(found(0xfff), None);
        assert_eq!(found(0x1000), Some(("alpha".into(), 0)));
        assert_eq!(found(0x100f), Some(("alpha".into(), 15)));
        assert_eq!(found(0x2000), Some(("beta".into(), 0)));
        assert_eq!(found(0x9000), Some(("beta".into(), 0x7000)));
    }

    #[test]
    fn names_share_the_start_of_the_one_before() {
        let bytes = table();
        assert_eq!(lookup(&bytes[..288], 0x1010), Some(("alphabet".into(), 0)));
        assert_eq!(lookup(&bytes[..288], 0x1fff), Some(("alphabet".into(), 0xfef)));
    }

    #[test]
    fn long_distances_take_several_bytes() {
        assert_eq!(leb128(&mut &[0xe5, 0x8e, 0x26][..]), Some(624_485));
        assert_eq!(leb128(&mut &[0x80, 0x80][..]), None);
        assert_eq!(leb128(&mut &[0xff; 9][..]), None);
    }

    #[test]
    fn damaged_tables_give_no_names() {
        let bytes = table();
        for n in 0..bytes.len() {
            for address in [0x1000, 0x1010, 0x2000] {
                let _ = lookup(&bytes[..n], address);
            }
        }
        assert_eq!(lookup(&[], 0x1000), None);
        assert_eq!(lookup(&[0xff; 40], 0x1000), None);
        let mut bytes = table();
        bytes[285] = 200; // shares more bytes than a name has
        assert_eq!(lookup(&bytes, 0x1010), None);
        let mut bytes = table();
        bytes[23] = 129; // a pair of itself
        assert_eq!(lookup(&bytes, 0x1010), None);
    }

    /// The table that `link/symbols` makes of an object with functions of these names, 16 bytes apart, from 16 on.
    fn made(names: &[String]) -> Vec<u8> {
        use std::process::Command;

        let folder = std::env::temp_dir().join(std::format!("mirust-names-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let run = |program: &str, args: &[&str]| {
            let mut command = Command::new(program);
            let ended = command.args(args).current_dir(&folder).output().unwrap();
            assert!(ended.status.success(), "{program} {args:?}: {ended:?}");
            ended.stdout
        };
        let functions = names.iter().map(|name| std::format!("\"{name}\": .skip 16\n"));
        let text = std::format!(".text\n.skip 16\n{}", functions.collect::<String>());
        std::fs::write(folder.join("named.s"), text).unwrap();
        run("as", &["-o", "named.o", "named.s"]);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../link/symbols");
        std::fs::write(folder.join("table.s"), run("sh", &[script, "named.o"])).unwrap();
        run("as", &["-o", "table.o", "table.s"]);
        run("objcopy", &["-O", "binary", "-j", ".mirust.symbols", "table.o", "table"]);
        let table = std::fs::read(folder.join("table")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        table
    }

    #[test]
    fn names_come_back_from_what_the_linker_was_given() {
        let kinds = ["Error", "Layout", "Alignment", "Arguments", "Formatter", "Weekday"];
        let mut names = Vec::new();
        let mut expected = Vec::new();
        for kind in kinds {
            let first = std::format!("_$LT$core..fmt..{kind}$u20$as$u20$core..fmt..Debug$GT$");
            names.push(std::format!("_ZN{}{first}3fmt17h0123456789abcdefE", first.len()));
            expected.push(std::format!("<core::fmt::{kind} as core::fmt::Debug>::fmt"));
            names.push(std::format!("camlStdlib__{kind}.map_{}", 100 + kind.len()));
            expected.push(std::format!("Stdlib.{kind}.map"));
            names.push(std::format!("_ZN4core3fmt{}{kind}3new17h0123456789abcdefE", kind.len()));
            expected.push(std::format!("core::fmt::{kind}::new"));
        }
        let table = made(&names);
        for (i, name) in expected.iter().enumerate() {
            assert_eq!(lookup(&table, 16 * (i as u64 + 1) + 5), Some((name.clone(), 5)));
        }
    }
}
