//! Which physical memory there is, and which of it is free.

use super::list::{Full, List};
use core::fmt;
use mirust_mem::PAGE_SIZE;

/// Type of RAM in a memory map (`XEN_HVM_MEMMAP_TYPE_RAM`, the same as in an E820 map).
pub const RAM: u32 = 1;

/// RAM below this stays unused and unmapped, so that a null pointer with a small offset faults.
pub const NULL_END: u64 = 64 << 10;

/// RAM from here on is left alone: the identity map takes one entry of the root page table, and
/// addresses above are free for other mappings.
pub const LIMIT: u64 = 512 << 30;

/// Bytes from `start` up to `end`, which is not less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Range {
    /// No byte.
    pub const EMPTY: Range = Range { start: 0, end: 0 };

    /// `size` bytes from `start`; none if they would pass the end of the address space.
    pub const fn new(start: u64, size: u64) -> Option<Range> {
        match start.checked_add(size) {
            Some(end) => Some(Range { start, end }),
            None => None,
        }
    }

    /// Length in bytes.
    pub const fn size(self) -> u64 {
        self.end - self.start
    }

    /// The pages that lie wholly inside.
    pub const fn shrink_to_pages(self) -> Range {
        let start = self.start.saturating_add(PAGE_SIZE as u64 - 1) & !(PAGE_SIZE as u64 - 1);
        let end = self.end & !(PAGE_SIZE as u64 - 1);
        Range { start, end: if end < start { start } else { end } }
    }

    /// The pages that have a byte inside.
    pub const fn grow_to_pages(self) -> Range {
        let end = self.end.saturating_add(PAGE_SIZE as u64 - 1) & !(PAGE_SIZE as u64 - 1);
        Range { start: self.start & !(PAGE_SIZE as u64 - 1), end }
    }

    /// Whether the two have a byte in common.
    pub const fn overlaps(self, other: Range) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether every byte of `other` is in `self`.
    pub const fn contains(self, other: Range) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

/// One entry of a memory map as the loader gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// First byte.
    pub addr: u64,
    /// Length in bytes.
    pub size: u64,
    /// [`RAM`], or something that is not for us.
    pub kind: u32,
}

/// What is wrong with a memory map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// This entry passes the end of the address space.
    Overflow(Entry),
    /// More separate pieces than [`Ranges`] holds.
    TooManyPieces,
    /// No RAM at all.
    NoRam,
}

impl From<Full> for MapError {
    fn from(Full: Full) -> Self {
        MapError::TooManyPieces
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::Overflow(e) => {
                write!(f, "memory map entry {:#x} + {:#x} overflows", e.addr, e.size)
            }
            MapError::TooManyPieces => write!(f, "memory map is in too many pieces"),
            MapError::NoRam => write!(f, "memory map has no RAM"),
        }
    }
}

impl core::error::Error for MapError {}

/// A set of bytes: ranges in ascending order, none empty, no two touching.
#[derive(Clone, Copy, Debug)]
pub struct Ranges(List<Range, 64>);

impl Ranges {
    /// The empty set.
    pub const fn new() -> Self {
        Ranges(List::new(Range::EMPTY))
    }

    /// The whole RAM pages of a memory map, between [`NULL_END`] and [`LIMIT`]. Where entries
    /// overlap, a type other than RAM wins.
    pub fn ram(map: &[Entry]) -> Result<Self, MapError> {
        let mut ram = Ranges::new();
        for e in map.iter().filter(|e| e.kind == RAM) {
            let r = Range::new(e.addr, e.size).ok_or(MapError::Overflow(*e))?.shrink_to_pages();
            let (start, end) = (r.start.max(NULL_END), r.end.min(LIMIT));
            if start < end {
                ram.insert(Range { start, end })?;
            }
        }
        for e in map.iter().filter(|e| e.kind != RAM) {
            let r = Range::new(e.addr, e.size).ok_or(MapError::Overflow(*e))?;
            ram.remove(r.grow_to_pages())?;
        }
        if ram.is_empty() { Err(MapError::NoRam) } else { Ok(ram) }
    }

    /// Where the lowest `bytes` of them end.
    pub fn end_of_lowest(&self, bytes: u64) -> u64 {
        let mut left = bytes;
        for range in self.iter() {
            if range.size() >= left {
                return range.start + left;
            }
            left -= range.size();
        }
        LIMIT
    }

    /// Adds the bytes of `range`.
    pub fn insert(&mut self, mut range: Range) -> Result<(), Full> {
        if range.size() == 0 {
            return Ok(());
        }
        let at = self.0.partition_point(|r| r.end < range.start);
        while at < self.0.len() && self.0[at].start <= range.end {
            range.start = range.start.min(self.0[at].start);
            range.end = range.end.max(self.0[at].end);
            self.0.remove(at);
        }
        self.0.insert(at, range)
    }

    /// Takes out the bytes of `range`.
    pub fn remove(&mut self, range: Range) -> Result<(), Full> {
        if range.size() == 0 {
            return Ok(());
        }
        let mut at = self.0.partition_point(|r| r.end <= range.start);
        while at < self.0.len() && self.0[at].start < range.end {
            let old = self.0[at];
            self.0.remove(at);
            for rest in [
                Range { start: old.start, end: range.start },
                Range { start: range.end, end: old.end },
            ] {
                if rest.start < rest.end {
                    self.0.insert(at, rest)?;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether every byte of `range` is in the set.
    pub fn contains(&self, range: Range) -> bool {
        range.size() == 0 || self.0.iter().any(|r| r.contains(range))
    }

    /// Bytes in the set.
    pub fn size(&self) -> u64 {
        self.0.iter().map(|r| r.size()).sum()
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Self::new()
    }
}

impl core::ops::Deref for Ranges {
    type Target = [Range];
    fn deref(&self) -> &[Range] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const M: u64 = 1 << 20;

    fn ranges(pairs: &[(u64, u64)]) -> Ranges {
        let mut set = Ranges::new();
        for &(start, end) in pairs {
            set.insert(Range { start, end }).unwrap();
        }
        set
    }

    fn pairs(set: &Ranges) -> Vec<(u64, u64)> {
        set.iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn the_lowest_bytes_end_within_a_range_or_at_its_end() {
        let entry = |addr, size| Entry { addr, size, kind: RAM };
        let ram =
            Ranges::ram(&[entry(0x10_0000, 0x20_0000), entry(0x1000_0000, 0x10_0000)]).unwrap();
        assert_eq!(ram.size(), 0x30_0000);
        for (bytes, end) in [
            (0x1000, 0x10_1000),
            (0x20_0000, 0x30_0000),
            (0x20_1000, 0x1000_1000),
            (0x30_0000, 0x1010_0000),
            (0x30_1000, LIMIT),
        ] {
            assert_eq!(ram.end_of_lowest(bytes), end, "{bytes:#x}");
        }
    }

    #[test]
    fn insert_merges_what_touches() {
        let set = ranges(&[(0x5000, 0x6000), (0x1000, 0x2000), (0x2000, 0x3000), (0x2800, 0x5000)]);
        assert_eq!(pairs(&set), [(0x1000, 0x6000)]);
    }

    #[test]
    fn remove_splits_trims_and_swallows() {
        let mut set = ranges(&[(0, 10), (20, 30), (40, 50)]);
        set.remove(Range { start: 3, end: 5 }).unwrap();
        assert_eq!(pairs(&set), [(0, 3), (5, 10), (20, 30), (40, 50)]);
        set.remove(Range { start: 8, end: 45 }).unwrap();
        assert_eq!(pairs(&set), [(0, 3), (5, 8), (45, 50)]);
        set.remove(Range { start: 0, end: 100 }).unwrap();
        assert!(set.is_empty());
    }

    #[test]
    fn too_many_pieces_is_an_error() {
        let mut set = ranges(&[(0, 1000)]);
        let result = (0..100).try_for_each(|i| set.remove(Range { start: 2 * i, end: 2 * i + 1 }));
        assert_eq!(result, Err(Full));
    }

    #[test]
    fn ram_is_clipped_page_aligned_and_loses_to_other_types() {
        let map = [
            Entry { addr: M, size: 15 * M + 17, kind: RAM },
            Entry { addr: 0, size: 0x9fc00, kind: RAM },
            Entry { addr: 4 * M + 1, size: 1, kind: 2 },
            Entry { addr: LIMIT - M, size: 8 * M, kind: RAM },
        ];
        assert_eq!(
            pairs(&Ranges::ram(&map).unwrap()),
            [(NULL_END, 0x9f000), (M, 4 * M), (4 * M + 0x1000, 16 * M), (LIMIT - M, LIMIT)]
        );
    }

    #[test]
    fn odd_maps_are_errors() {
        let e = Entry { addr: u64::MAX - 5, size: 10, kind: RAM };
        assert_eq!(Ranges::ram(&[e]).unwrap_err(), MapError::Overflow(e));
        assert_eq!(Ranges::ram(&[]).unwrap_err(), MapError::NoRam);
        let tiny = Entry { addr: M + 1, size: 0xfff, kind: RAM };
        assert_eq!(Ranges::ram(&[tiny]).unwrap_err(), MapError::NoRam);
    }
}
