//! The page tables of the image: built once by boot, changed by the address-space manager.

use super::memory_map::{Range, Ranges};
use super::page_tables::{Mapper, Table, TableFrames};
use super::{cpu, layout};
use mirust_mem::paging::{Frame, PageTables, Prot, VirtPage};
use mirust_mem::{OutOfMemory, frames};
use spin::Mutex;

/// Tables in identity-mapped page frames.
struct Identity;

// SAFETY: the frames come from the allocator of all frames, and are never given back.
unsafe impl TableFrames for Identity {
    fn alloc(&mut self) -> Result<Frame, OutOfMemory> {
        frames::alloc_page_zeroed()
    }

    fn table(&mut self, frame: Frame) -> &mut Table {
        // SAFETY: the frame is identity-mapped RAM that holds a table of ours; the borrow of
        // `self`, the only one that makes such references, lasts as long as the result. The CPU
        // does not write to tables (see page_tables).
        unsafe { &mut *(frame.0 as *mut Table) }
    }

    fn flush(&mut self, address: usize) {
        cpu::flush_page(address)
    }
}

static TABLES: Mutex<Option<Mapper<Identity>>> = Mutex::new(None);

/// The page tables in use, as a value that anybody may have: calls are passed on to the one set of
/// tables there is.
///
/// Identity-mapped RAM must not be unmapped behind the back of its owner; memory that is not RAM
/// (a device, or pages that Xen put outside the memory map) may be mapped where it is free.
pub struct ActiveTables;

// SAFETY: passed on to the mapper, which does what it is told.
unsafe impl PageTables for ActiveTables {
    fn map(&mut self, page: VirtPage, frame: Frame, prot: Prot) -> Result<(), OutOfMemory> {
        with(|t| t.map(page, frame, prot))
    }

    fn unmap(&mut self, page: VirtPage) -> Option<Frame> {
        with(|t| t.unmap(page))
    }

    fn protect(&mut self, page: VirtPage, prot: Prot) -> bool {
        with(|t| t.protect(page, prot))
    }
}

fn with<R>(f: impl FnOnce(&mut Mapper<Identity>) -> R) -> R {
    // One thread of execution: the lock is taken already only if a fault interrupted a change of
    // the tables, and then the report of that fault came here.
    let mut tables = TABLES.try_lock().expect("page tables are being changed");
    f(tables.as_mut().expect("page tables are not built yet"))
}

/// Builds the final tables from frames of the allocator and switches to them: `ram` read-write and
/// not executable, the image as its parts need it, nothing else. Called once.
pub fn init(ram: &Ranges) -> Result<(), OutOfMemory> {
    let mut mapper = Mapper::new(Identity)?;
    let image = layout::image();
    for range in ram.iter() {
        // The parts of the image have their own protection.
        for part in [
            Range { start: range.start, end: range.end.min(image.start) },
            Range { start: range.start.max(image.end), end: range.end },
        ] {
            mapper.map_identity(part, Prot::ReadWrite)?;
        }
    }
    for (part, prot) in [
        (layout::text(), Prot::ReadExecute),
        (layout::rodata(), Prot::Read),
        (layout::data(), Prot::ReadWrite),
        (layout::stack(), Prot::ReadWrite),
        (layout::symbols(), Prot::Read),
    ] {
        mapper.map_identity(part.grow_to_pages(), prot)?;
    }
    // SAFETY: the tables map all of the image, which includes the stack, and the RAM that holds
    // what `start_info` was copied to.
    unsafe { cpu::set_page_tables(mapper.root().0 as u64) };
    *TABLES.lock() = Some(mapper);
    Ok(())
}
