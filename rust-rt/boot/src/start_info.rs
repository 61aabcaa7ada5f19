//! What the loader passes: `start_info` of the PVH boot protocol, checked and copied.
//!
//! The addresses come from outside, so everything is read through [`PhysRead`], which refuses addresses without memory;
//! nothing is kept by reference. Layout: xen/arch-x86/hvm/start_info.h.

use super::list::List;
use super::memory_map::{Entry, Range};
use core::fmt;

/// Longest command line, in bytes.
pub const MAX_COMMAND_LINE: usize = 4095;
/// Most modules.
pub const MAX_MODULES: usize = 16;
/// Most entries of a memory map.
pub const MAX_MAP: usize = 128;

const NO_ENTRY: Entry = Entry { addr: 0, size: 0, kind: 0 };

const MAGIC: u32 = 0x336e_c578;

/// Physical memory, for reading.
pub trait PhysRead {
    /// Copies `buf.len()` bytes from physical address `addr`; false when not all of them are
    /// readable.
    fn read(&self, addr: u64, buf: &mut [u8]) -> bool;
}

/// A file that the loader put into memory (`ramdisk=` of xl, `-initrd` of QEMU).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Module {
    /// Where it lies.
    pub range: Range,
}

/// Why an image cannot start with this `start_info`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartInfoError {
    /// The structure does not start with the magic number, but with this.
    BadMagic(u32),
    /// This part, said to be at this address, is not in readable memory.
    Unreadable(&'static str, u64),
    /// No NUL within [`MAX_COMMAND_LINE`] + 1 bytes.
    CommandLineTooLong,
    /// More than [`MAX_MODULES`].
    TooManyModules(u32),
    /// This module passes the end of the address space.
    BadModule(u32),
    /// More than [`MAX_MAP`] entries in the memory map.
    TooManyMapEntries(u32),
}

impl fmt::Display for StartInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadMagic(m) => write!(f, "start_info has magic {m:#x} instead of {MAGIC:#x}"),
            Self::Unreadable(what, at) => write!(f, "{what} at {at:#x} is not in readable memory"),
            Self::CommandLineTooLong => {
                write!(f, "command line is longer than {MAX_COMMAND_LINE} bytes")
            }
            Self::TooManyModules(n) => write!(f, "{n} modules, at most {MAX_MODULES} are allowed"),
            Self::BadModule(i) => write!(f, "module {i} has an impossible address or size"),
            Self::TooManyMapEntries(n) => {
                write!(f, "memory map of {n} entries, at most {MAX_MAP} are allowed")
            }
        }
    }
}

impl core::error::Error for StartInfoError {}

/// A checked copy of everything that `start_info` points to.
pub struct StartInfo {
    /// The command line; see [`StartInfo::command_line`].
    text: List<u8, MAX_COMMAND_LINE>,
    /// The modules, in the loader's order.
    pub modules: List<Module, MAX_MODULES>,
    /// The memory map; empty when the loader gave none.
    pub memory_map: List<Entry, MAX_MAP>,
    /// Physical address of ACPI's RSDP, or 0.
    pub rsdp: u64,
}

impl StartInfo {
    /// Nothing said: no command line, no module, no memory map.
    const EMPTY: StartInfo = StartInfo {
        text: List::new(0),
        modules: List::new(Module { range: Range::EMPTY }),
        memory_map: List::new(NO_ENTRY),
        rsdp: 0,
    };

    /// The command line without its NUL. Empty when the loader gave none.
    pub fn command_line(&self) -> &[u8] {
        &self.text
    }

    /// Reads the structure at `addr`, and all that it points to.
    pub fn read(memory: &impl PhysRead, addr: u64) -> Result<Self, StartInfoError> {
        let mut info = StartInfo::EMPTY;
        let mut head = [0; 40];
        if !memory.read(addr, &mut head) {
            return Err(StartInfoError::Unreadable("start_info", addr));
        }
        let (magic, version) = (u32_at(&head, 0), u32_at(&head, 4));
        if magic != MAGIC {
            return Err(StartInfoError::BadMagic(magic));
        }
        info.rsdp = u64_at(&head, 32);
        info.read_command_line(memory, u64_at(&head, 24))?;
        info.read_modules(memory, u32_at(&head, 12), u64_at(&head, 16))?;
        // Version 0 ends here; later versions only append.
        if version >= 1 {
            let mut tail = [0; 16];
            if !memory.read(addr.saturating_add(40), &mut tail) {
                return Err(StartInfoError::Unreadable("start_info", addr));
            }
            info.read_map(memory, u32_at(&tail, 8), u64_at(&tail, 0))?;
        }
        Ok(info)
    }

    /// Takes the memory map from `entries` of an E820 map (`XENMEM_memory_map` in xen/memory.h).
    pub fn set_memory_map(&mut self, entries: &[[u8; 20]]) {
        self.memory_map = List::new(NO_ENTRY);
        for e in entries.iter().take(MAX_MAP) {
            let (addr, size, kind) = (u64_at(e, 0), u64_at(e, 8), u32_at(e, 16));
            let _ = self.memory_map.push(Entry { addr, size, kind });
        }
    }

    fn read_command_line(&mut self, m: &impl PhysRead, addr: u64) -> Result<(), StartInfoError> {
        if addr == 0 {
            return Ok(());
        }
        for i in 0.. {
            let mut byte = [0];
            if !m.read(addr.saturating_add(i), &mut byte) {
                return Err(StartInfoError::Unreadable("command line", addr));
            }
            if byte[0] == 0 {
                break;
            }
            if self.text.len() == MAX_COMMAND_LINE {
                return Err(StartInfoError::CommandLineTooLong);
            }
            // Cannot be full: the length was checked.
            let _ = self.text.push(byte[0]);
        }
        Ok(())
    }

    fn read_modules(
        &mut self,
        m: &impl PhysRead,
        count: u32,
        list: u64,
    ) -> Result<(), StartInfoError> {
        for i in 0..count {
            let mut entry = [0; 32];
            if !m.read(list.saturating_add(u64::from(i) * 32), &mut entry) {
                return Err(StartInfoError::Unreadable("module list", list));
            }
            let range = Range::new(u64_at(&entry, 0), u64_at(&entry, 8))
                .ok_or(StartInfoError::BadModule(i))?;
            self.modules
                .push(Module { range })
                .map_err(|_| StartInfoError::TooManyModules(count))?;
        }
        Ok(())
    }

    fn read_map(
        &mut self,
        m: &impl PhysRead,
        count: u32,
        table: u64,
    ) -> Result<(), StartInfoError> {
        if count as usize > MAX_MAP {
            return Err(StartInfoError::TooManyMapEntries(count));
        }
        for i in 0..count {
            let mut entry = [0; 24];
            if !m.read(table.saturating_add(u64::from(i) * 24), &mut entry) {
                return Err(StartInfoError::Unreadable("memory map", table));
            }
            // Cannot be full: the count was checked.
            let _ = self.memory_map.push(Entry {
                addr: u64_at(&entry, 0),
                size: u64_at(&entry, 8),
                kind: u32_at(&entry, 16),
            });
        }
        Ok(())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Bytes at a base address, and nothing elsewhere.
    struct Memory(u64, Vec<u8>);

    const BASE: u64 = 0x10_0000;

    impl PhysRead for Memory {
        fn read(&self, addr: u64, buf: &mut [u8]) -> bool {
            let Some(at) = addr.checked_sub(self.0) else { return false };
            let Some(found) = self.1.get(at as usize..).and_then(|b| b.get(..buf.len())) else {
                return false;
            };
            buf.copy_from_slice(found);
            true
        }
    }

    /// start_info at 0 (56 bytes), module list at 64, memory map at 128, command line at 256.
    fn example(version: u32, modules: u32, entries: u32, command_line: &[u8]) -> Memory {
        let mut b = Vec::new();
        for word in [MAGIC, version, 0, modules] {
            b.extend(word.to_le_bytes());
        }
        for word in [BASE + 64, BASE + 256, 0xe0000, BASE + 128] {
            b.extend(word.to_le_bytes());
        }
        b.extend(entries.to_le_bytes());
        b.resize(64, 0);
        for word in [0x20_0000u64, 0x1234, 0, 0] {
            b.extend(word.to_le_bytes());
        }
        b.resize(128, 0);
        for (addr, size, kind) in [(0u64, 0xa0000u64, 1u64), (0x10_0000, 0xf0_0000, 1)] {
            for word in [addr, size, kind] {
                b.extend(word.to_le_bytes());
            }
        }
        b.resize(256, 0);
        b.extend(command_line);
        Memory(BASE, b)
    }

    fn read(m: &Memory) -> Result<StartInfo, StartInfoError> {
        StartInfo::read(m, BASE)
    }

    #[test]
    fn version_1_is_read_in_full() {
        let info = read(&example(1, 1, 2, b"hello world\0junk")).unwrap();
        assert_eq!(info.command_line(), b"hello world");
        assert_eq!(info.rsdp, 0xe0000);
        assert_eq!(info.modules[0].range, Range { start: 0x20_0000, end: 0x20_1234 });
        assert_eq!(info.memory_map[1], Entry { addr: 0x10_0000, size: 0xf0_0000, kind: 1 });
        assert_eq!(info.memory_map.len(), 2);
    }

    #[test]
    fn version_0_has_no_memory_map() {
        let info = read(&example(0, 0, 2, b"\0")).unwrap();
        assert!(info.memory_map.is_empty());
        assert!(info.modules.is_empty());
        assert!(info.command_line().is_empty());
    }

    #[test]
    fn xen_s_own_map_takes_the_place_of_a_missing_one() {
        let mut info = read(&example(0, 0, 0, b"\0")).unwrap();
        let mut entry = [0; 20];
        entry[2] = 0x10;
        entry[11] = 0x20;
        entry[16] = 1;
        info.set_memory_map(&[entry; MAX_MAP + 1]);
        assert_eq!(info.memory_map.len(), MAX_MAP);
        assert_eq!(info.memory_map[0], Entry { addr: 0x10_0000, size: 0x2000_0000, kind: 1 });
    }

    #[test]
    fn missing_command_line_is_empty() {
        let mut m = example(1, 0, 0, b"\0");
        m.1[24..32].fill(0);
        assert!(read(&m).unwrap().command_line().is_empty());
    }

    #[test]
    fn hostile_values_are_errors() {
        use StartInfoError::*;
        let mut m = example(1, 0, 0, b"\0");
        m.1[0] = 0;
        assert_eq!(read(&m).err(), Some(BadMagic(0x336e_c500)));
        let long = [b'x'; MAX_COMMAND_LINE + 1];
        assert_eq!(read(&example(1, 0, 0, &long)).err(), Some(CommandLineTooLong));
        let endless = read(&example(1, 0, 0, b"no nul")).err();
        assert_eq!(endless, Some(Unreadable("command line", BASE + 256)));
        let many = example(1, u32::MAX, 0, &[1, 0, 0, 0].repeat(200));
        assert_eq!(read(&many).err(), Some(TooManyModules(u32::MAX)));
        let map = example(1, 0, u32::MAX, b"\0");
        assert_eq!(read(&map).err(), Some(TooManyMapEntries(u32::MAX)));
        let mut m = example(1, 1, 0, b"\0");
        m.1[72..80].fill(0xff);
        assert_eq!(read(&m).err(), Some(BadModule(0)));
        let mut m = example(1, 1, 0, b"\0");
        m.1[16..24].fill(0xff);
        assert_eq!(read(&m).err(), Some(Unreadable("module list", u64::MAX)));
        assert_eq!(read(&Memory(BASE, Vec::new())).err(), Some(Unreadable("start_info", BASE)));
    }

    #[test]
    fn longest_command_line_fits() {
        let mut line = [b'x'; MAX_COMMAND_LINE + 1];
        line[MAX_COMMAND_LINE] = 0;
        assert_eq!(read(&example(1, 0, 0, &line)).unwrap().command_line().len(), MAX_COMMAND_LINE);
    }
}
