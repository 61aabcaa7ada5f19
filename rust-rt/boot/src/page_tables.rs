//! Building x86-64 page tables: four levels, 4 KiB and 2 MiB pages.
//!
//! Every entry is written with its accessed and dirty bits set: the CPU then never writes to a
//! table by itself, so that plain references to the tables are sound.

use super::memory_map::Range;
use mirust_mem::paging::{Frame, PageTables, Prot, VirtPage};
use mirust_mem::{OutOfMemory, PAGE_SIZE};

/// One table of any level.
pub type Table = [u64; 512];

/// Where the tables lie.
///
/// # Safety
///
/// [`alloc`](Self::alloc) must return frames that nothing else uses.
pub unsafe trait TableFrames {
    /// A zeroed frame for a table.
    fn alloc(&mut self) -> Result<Frame, OutOfMemory>;
    /// The table in `frame`, which came from [`alloc`](Self::alloc).
    fn table(&mut self, frame: Frame) -> &mut Table;
    /// Called after the mapping of the page at `address` has changed. Not when there was none before:
    /// a CPU remembers only what is present (Intel SDM, volume 3, 4.10.2.3).
    fn flush(&mut self, address: usize);
}

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const HUGE: u64 = 1 << 7;
/// Ours (the CPU ignores the bit): the entry of a page without access still names its frame.
const HELD: u64 = 1 << 9;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const HUGE_SIZE: u64 = 2 << 20;

/// Depth of the entries that map 2 MiB; 3 is the root's, 0 that of 4 KiB pages.
const HUGE_LEVEL: u32 = 1;

fn bits(prot: Prot) -> u64 {
    match prot {
        Prot::None => HELD,
        Prot::Read => PRESENT | ACCESSED | DIRTY | NO_EXECUTE,
        Prot::ReadWrite => PRESENT | WRITE | ACCESSED | DIRTY | NO_EXECUTE,
        Prot::ReadExecute => PRESENT | ACCESSED | DIRTY,
    }
}

fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level)) as usize & 511
}

/// A set of page tables, of which this is the only owner.
pub struct Mapper<F> {
    root: Frame,
    frames: F,
}

impl<F: TableFrames> Mapper<F> {
    /// Tables that map nothing.
    pub fn new(mut frames: F) -> Result<Self, OutOfMemory> {
        Ok(Mapper { root: frames.alloc()?, frames })
    }

    /// The root table, as CR3 wants it.
    pub fn root(&self) -> Frame {
        self.root
    }

    /// Maps `range`, whole pages, to the same physical addresses, in 2 MiB pages where those fit.
    pub fn map_identity(&mut self, range: Range, prot: Prot) -> Result<(), OutOfMemory> {
        let mut at = range.start;
        while at < range.end {
            let huge = at % HUGE_SIZE == 0 && range.end - at >= HUGE_SIZE;
            let (level, more, size) =
                if huge { (HUGE_LEVEL, HUGE, HUGE_SIZE) } else { (0, 0, PAGE_SIZE as u64) };
            // The run of such entries in one table.
            let table = self.table(at, level)?;
            let first = index(at, level);
            let count = ((range.end - at) / size).min((512 - first) as u64) as usize;
            for i in first..first + count {
                let entry = &mut self.frames.table(table)[i];
                if core::mem::replace(entry, at | bits(prot) | more) & PRESENT != 0 {
                    self.frames.flush(at as usize);
                }
                at += size;
            }
        }
        Ok(())
    }

    /// What `address` is mapped to and how; the protection is as the CPU sees it.
    pub fn lookup(&mut self, address: usize) -> Option<(u64, Prot)> {
        let (entry, level) = self.find(address as u64)?;
        let entry = *entry;
        let prot = match (entry & PRESENT, entry & WRITE, entry & NO_EXECUTE) {
            (0, _, _) => Prot::None,
            (_, 0, 0) => Prot::ReadExecute,
            (_, 0, _) => Prot::Read,
            (_, _, _) => Prot::ReadWrite,
        };
        let inside = (1 << (12 + 9 * level)) - 1;
        Some((entry & ADDRESS & !inside | address as u64 & inside, prot))
    }

    /// The entry of `level` for `address`, as [`table`](Self::table) makes it.
    fn entry(&mut self, address: u64, level: u32) -> Result<&mut u64, OutOfMemory> {
        let table = self.table(address, level)?;
        Ok(&mut self.frames.table(table)[index(address, level)])
    }

    /// The table of `level` that has the entry for `address`, with the tables above it; splits a huge page in the way.
    fn table(&mut self, address: u64, level: u32) -> Result<Frame, OutOfMemory> {
        let mut frame = self.root;
        for l in (level + 1..=3).rev() {
            let old = self.frames.table(frame)[index(address, l)];
            let next = if old & (PRESENT | HELD) == 0 {
                self.frames.alloc()?
            } else if old & HUGE != 0 {
                self.split(old)?
            } else {
                Frame((old & ADDRESS) as usize)
            };
            if old & HUGE != 0 || old & PRESENT == 0 {
                // The protection is decided by the last level alone.
                self.frames.table(frame)[index(address, l)] =
                    next.0 as u64 | PRESENT | WRITE | ACCESSED;
                if old & PRESENT != 0 {
                    self.frames.flush(address as usize);
                }
            }
            frame = next;
        }
        Ok(frame)
    }

    /// Writes the entry of `level` for `address`, and returns the old one.
    fn set(&mut self, address: u64, level: u32, to: u64) -> Result<u64, OutOfMemory> {
        let old = core::mem::replace(self.entry(address, level)?, to);
        if old & PRESENT != 0 {
            self.frames.flush(address as usize);
        }
        Ok(old)
    }

    /// A table of 4 KiB pages that maps the same as the 2 MiB entry `old`.
    fn split(&mut self, old: u64) -> Result<Frame, OutOfMemory> {
        let frame = self.frames.alloc()?;
        for (i, entry) in self.frames.table(frame).iter_mut().enumerate() {
            *entry = (old & !HUGE) + (i * PAGE_SIZE) as u64;
        }
        Ok(frame)
    }

    /// The entry that maps `address`, and its level; none if nothing does.
    fn find(&mut self, address: u64) -> Option<(&mut u64, u32)> {
        let mut frame = self.root;
        for level in (1..=3).rev() {
            let entry = self.frames.table(frame)[index(address, level)];
            if entry & (PRESENT | HELD) == 0 {
                return None;
            }
            if entry & HUGE != 0 {
                return Some((&mut self.frames.table(frame)[index(address, level)], level));
            }
            frame = Frame((entry & ADDRESS) as usize);
        }
        let entry = &mut self.frames.table(frame)[index(address, 0)];
        (*entry & (PRESENT | HELD) != 0).then_some((entry, 0))
    }

    /// Changes the 4 KiB entry of a mapped `page` to these bits, and the frame if that is to be kept; returns the old
    /// one. A part of a huge page that has the bits stays one. None if the page is not mapped, or if no frame is left
    /// to split a huge page.
    fn change(&mut self, page: VirtPage, keep: u64, bits: u64) -> Option<u64> {
        let old = *self.find(page.0 as u64)?.0;
        if old & !(ADDRESS | HUGE) == bits {
            return Some(old);
        }
        let entry = self.entry(page.0 as u64, 0).ok()?;
        let old = core::mem::replace(entry, *entry & keep | bits);
        if old & PRESENT != 0 {
            self.frames.flush(page.0);
        }
        Some(old)
    }
}

// SAFETY: one entry is written for each page, with exactly the given frame and protection, and the
// CPU is told. Tables are never shared: `TableFrames` returns unused frames.
unsafe impl<F: TableFrames> PageTables for Mapper<F> {
    fn map(&mut self, page: VirtPage, frame: Frame, prot: Prot) -> Result<(), OutOfMemory> {
        self.set(page.0 as u64, 0, frame.0 as u64 | bits(prot))?;
        Ok(())
    }

    fn unmap(&mut self, page: VirtPage) -> Option<Frame> {
        self.change(page, 0, 0).map(|old| Frame((old & ADDRESS) as usize))
    }

    fn protect(&mut self, page: VirtPage, prot: Prot) -> bool {
        self.change(page, ADDRESS, bits(prot)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    /// Tables on the host's heap; table `i` has the address `(i + 1) << 12`.
    struct Fake {
        tables: Vec<Box<Table>>,
        left: usize,
        flushed: Vec<usize>,
    }

    // SAFETY: each frame is a Box of its own.
    unsafe impl TableFrames for Fake {
        fn alloc(&mut self) -> Result<Frame, OutOfMemory> {
            self.left = self.left.checked_sub(1).ok_or(OutOfMemory)?;
            self.tables.push(Box::new([0; 512]));
            Ok(Frame(self.tables.len() << 12))
        }
        fn table(&mut self, frame: Frame) -> &mut Table {
            &mut self.tables[(frame.0 >> 12) - 1]
        }
        fn flush(&mut self, address: usize) {
            self.flushed.push(address);
        }
    }

    fn mapper(left: usize) -> Mapper<Fake> {
        Mapper::new(Fake { tables: Vec::new(), left, flushed: Vec::new() }).unwrap()
    }

    fn map(m: &mut Mapper<Fake>, start: u64, end: u64) {
        m.map_identity(Range { start, end }, Prot::ReadWrite).unwrap();
    }

    const M: u64 = 1 << 20;

    #[test]
    fn identity_uses_huge_pages_between_ragged_ends() {
        let mut m = mapper(100);
        map(&mut m, M, 9 * M + 0x1000);
        // Root, directory pointers, directory, and one table at either end.
        assert_eq!(m.frames.tables.len(), 5);
        for at in [M, 2 * M + 0x123, 8 * M - 1, 9 * M + 0xfff] {
            assert_eq!(m.lookup(at as usize), Some((at, Prot::ReadWrite)));
        }
        for at in [0, M - 1, 9 * M + 0x1000, 1 << 40] {
            assert_eq!(m.lookup(at as usize), None);
        }
    }

    #[test]
    fn sixty_four_gib_take_66_tables() {
        let mut m = mapper(100);
        map(&mut m, 0, 64 << 30);
        assert_eq!(m.frames.tables.len(), 1 + 1 + 64);
    }

    #[test]
    fn no_protection_is_writable_and_executable() {
        for prot in [Prot::None, Prot::Read, Prot::ReadWrite, Prot::ReadExecute] {
            let b = bits(prot);
            assert!(b & (PRESENT | WRITE) != PRESENT | WRITE || b & NO_EXECUTE != 0);
        }
    }

    #[test]
    fn map_protect_unmap_a_high_page() {
        let mut m = mapper(100);
        let page = VirtPage(0x7000_0000_0000);
        m.map(page, Frame(0x1234_5000), Prot::Read).unwrap();
        assert_eq!(m.lookup(page.0 + 7), Some((0x1234_5007, Prot::Read)));
        assert!(m.protect(page, Prot::None));
        assert_eq!(m.lookup(page.0), Some((0x1234_5000, Prot::None)));
        assert!(m.protect(page, Prot::ReadExecute));
        assert_eq!(m.lookup(page.0), Some((0x1234_5000, Prot::ReadExecute)));
        assert_eq!(m.unmap(page), Some(Frame(0x1234_5000)));
        assert_eq!(m.unmap(page), None);
        assert!(!m.protect(page, Prot::Read));
        assert_eq!(m.lookup(page.0), None);
    }

    #[test]
    fn only_what_was_present_is_flushed() {
        let mut m = mapper(100);
        map(&mut m, 0, 4 * M);
        m.map(VirtPage(0x7000_0000_0000), Frame(0x9000), Prot::None).unwrap();
        assert!(m.protect(VirtPage(0x7000_0000_0000), Prot::Read));
        assert_eq!(m.frames.flushed, []);
        assert!(m.protect(VirtPage(0x7000_0000_0000), Prot::ReadWrite));
        assert_eq!(m.frames.flushed, [0x7000_0000_0000]);
        // A huge page that is split, and then a part of it.
        m.unmap(VirtPage(0x3000));
        assert_eq!(m.frames.flushed[1..], [0x3000, 0x3000]);
    }

    #[test]
    fn a_page_without_access_keeps_its_frame() {
        let mut m = mapper(100);
        m.map(VirtPage(0x5000), Frame(0x9000), Prot::None).unwrap();
        assert_eq!(m.unmap(VirtPage(0x5000)), Some(Frame(0x9000)));
    }

    #[test]
    fn changing_a_part_splits_the_huge_page() {
        let mut m = mapper(100);
        map(&mut m, 0, 4 * M);
        assert!(m.protect(VirtPage(0x3000), Prot::Read));
        assert_eq!(m.unmap(VirtPage(0x5000)), Some(Frame(0x5000)));
        assert_eq!(m.lookup(0x3000), Some((0x3000, Prot::Read)));
        assert_eq!(m.lookup(0x4fff), Some((0x4fff, Prot::ReadWrite)));
        assert_eq!(m.lookup(0x5000), None);
        assert_eq!(m.lookup(3 * M as usize), Some((3 * M, Prot::ReadWrite)));
    }

    #[test]
    fn a_huge_page_that_allows_it_already_is_not_split() {
        let mut m = mapper(100);
        map(&mut m, 0, 2 * M);
        m.map_identity(Range { start: 2 * M, end: 4 * M }, Prot::ReadExecute).unwrap();
        let tables = m.frames.tables.len();
        assert!(m.protect(VirtPage(0x3000), Prot::ReadWrite));
        assert!(m.protect(VirtPage(3 * M as usize), Prot::ReadExecute));
        assert_eq!((m.frames.tables.len(), m.frames.flushed.len()), (tables, 0));
        assert!(m.protect(VirtPage(3 * M as usize), Prot::ReadWrite));
        assert_eq!(m.lookup(3 * M as usize), Some((3 * M, Prot::ReadWrite)));
        assert_eq!(m.lookup(3 * M as usize + 0x1000), Some((3 * M + 0x1000, Prot::ReadExecute)));
    }

    #[test]
    fn running_out_of_frames_changes_nothing() {
        let mut m = mapper(3);
        assert_eq!(m.map(VirtPage(0x1000), Frame(0x2000), Prot::Read), Err(OutOfMemory));
        assert_eq!(m.lookup(0x1000), None);
        let mut m = mapper(3);
        map(&mut m, 0, 2 * M);
        assert_eq!(m.unmap(VirtPage(0x1000)), None);
        assert_eq!(m.lookup(0x1000), Some((0x1000, Prot::ReadWrite)));
    }
}
