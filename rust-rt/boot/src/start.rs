//! The order in which an image comes up.

use super::memory_map::{LIMIT, MapError, Range, Ranges};
use super::start_info::{MAX_MAP, Module, PhysRead, StartInfo, StartInfoError};
use super::{clock, cpu, descriptors, early, end, layout, paging, platform, tls};
use crate::diag;
use alloc::{boxed::Box, vec::Vec};
use core::ffi::{c_char, c_int};
use core::fmt;
use mirust_mem::{OutOfMemory, PAGE_SIZE, frames, vm};
use mirust_xen::hypercall::Xen;
use spin::Once;

// SAFETY: the program defines it with this type.
unsafe extern "C-unwind" {
    /// The program. May unwind: with no handler above, the unwinder stops where the panic began,
    /// and the backtrace shows that place.
    fn mirust_main() -> c_int;
}

static START_INFO: Once<StartInfo> = Once::new();

/// Why an image cannot come up.
enum BootError {
    StartInfo(StartInfoError),
    Map(MapError),
    /// Neither the loader nor Xen supplied a memory map.
    NoMap,
    /// This module is not in RAM, or in the image's.
    Module(Range),
    /// The tables of the memory itself do not fit.
    Memory,
    /// The CPU cannot keep data from being executed.
    NoExecuteMissing,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::StartInfo(e) => e.fmt(f),
            BootError::Map(e) => e.fmt(f),
            BootError::NoMap => write!(f, "there is no memory map"),
            BootError::Module(r) => write!(f, "module at {r} is not in free RAM"),
            BootError::Memory => write!(f, "too little memory"),
            BootError::NoExecuteMissing => write!(f, "this CPU has no no-execute bit"),
        }
    }
}

impl From<StartInfoError> for BootError {
    fn from(e: StartInfoError) -> Self {
        BootError::StartInfo(e)
    }
}

impl<E: Into<MapError>> From<E> for BootError {
    fn from(e: E) -> Self {
        BootError::Map(e.into())
    }
}

/// Called once by the entry code, on the boot stack, with interrupts off. Output and a way to end properly come first.
#[unsafe(no_mangle)]
extern "C-unwind" fn mirust_rust_entry(start_info: u32) -> ! {
    early::init(platform::end_on_xen);
    clock::init();
    descriptors::init();
    tls::init();
    if let Err(e) = init_memory(start_info) {
        diag::fatal(format_args!("cannot boot: {e}"));
    }
    platform::init(command_line(), holes(), SPARE.get().map_or(0, |spare| spare.beyond));
    #[cfg(feature = "posix")]
    super::system_call::init();
    run_init_array();
    // SAFETY: the link provides exactly one mirust_main of this type.
    end::exit(unsafe { mirust_main() })
}

/// From `start_info` to final page tables and a working heap.
fn init_memory(start_info: u32) -> Result<(), BootError> {
    if !cpu::enable_features() {
        return Err(BootError::NoExecuteMissing);
    }
    let mut info = StartInfo::read(&EarlyMemory, u64::from(start_info))?;
    if info.memory_map.is_empty() {
        let mut entries = [[0; 20]; MAX_MAP];
        let hypervisor = Xen::detect().ok_or(BootError::NoMap)?;
        let n = hypervisor.memory_map(&mut entries).map_err(|_| BootError::NoMap)?;
        info.set_memory_map(&entries[..n]);
    }
    let info = START_INFO.call_once(|| info);
    let ram = Ranges::ram(&info.memory_map)?;
    let mut free = ram;
    free.remove(layout::image())?;
    for module in info.modules.iter() {
        let pages = module.range.grow_to_pages();
        if !ram.contains(pages) || pages.overlaps(layout::image()) {
            return Err(BootError::Module(module.range));
        }
        free.remove(pages)?;
    }
    let mut reach = 0;
    if let Some(spare) = find_spare(&ram) {
        free.remove(Range { start: spare.start, end: LIMIT })?;
        // The end may be that of the address space, and the tables take memory.
        reach = ram.last().map_or(0, |last| last.end.min(spare.end) as usize);
    }
    let mut list = [const { 0..0 }; 64];
    for (to, from) in list.iter_mut().zip(free.iter()) {
        *to = from.start as usize..from.end as usize;
    }
    // SAFETY: RAM according to the loader, outside the image and the modules; what else the
    // loader put there (start_info, its tables, the command line) has been copied. The lowest
    // range is below 4 GiB and thereby mapped, and the next call maps all.
    unsafe { frames::init(&list[..free.len()], reach) }.map_err(|OutOfMemory| BootError::Memory)?;
    paging::init(&ram).map_err(|OutOfMemory| BootError::Memory)?;
    early::keep_console();
    // A box of nothing: this does not allocate.
    vm::init(Box::new(paging::ActiveTables));
    Ok(())
}

/// Pages that the domain has for other things than RAM: rings, tables, what the loader left.
const OTHER_PAGES: u64 = 64;

/// How many times its initial size the memory can grow to: tables for all of it are made at the start, and take a
/// five-thousandth of it.
const GROWTH: u64 = 256;

/// RAM that the domain may get later: `maxmem` is above `memory`, and Xen ends a domain that uses more than `memory`.
struct Spare {
    /// The end of what it has now.
    start: u64,
    /// The end of what it can get later.
    end: u64,
    /// Pages of the rest.
    beyond: usize,
}

static SPARE: Once<Spare> = Once::new();

/// Finds that out; none if the domain has all.
fn find_spare(ram: &Ranges) -> Option<&'static Spare> {
    let populated = Xen::detect()?.reservation().ok()? * PAGE_SIZE as u64;
    let (all, most) = (ram.size(), GROWTH * populated);
    if all <= populated {
        return None;
    }
    let at = |bytes| ram.end_of_lowest(bytes) & !(PAGE_SIZE as u64 - 1);
    let start = at(populated.saturating_sub(OTHER_PAGES * PAGE_SIZE as u64));
    let beyond = all.saturating_sub(most) as usize / PAGE_SIZE;
    Some(SPARE.call_once(|| Spare { start, end: at(most), beyond }))
}

/// The RAM of the spare that can be had, as addresses.
fn holes() -> Vec<core::ops::Range<usize>> {
    let Some((spare, info)) = SPARE.get().zip(START_INFO.get()) else { return Vec::new() };
    let Ok(ram) = Ranges::ram(&info.memory_map) else { return Vec::new() };
    let parts =
        ram.iter().map(|r| r.start.max(spare.start) as usize..r.end.min(spare.end) as usize);
    parts.filter(|part| !part.is_empty()).collect()
}

/// Constructors, as C runtimes call them: Rust's std keeps `argv` this way.
fn run_init_array() {
    type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);
    let array = layout::init_array();
    let count = array.size() as usize / size_of::<Constructor>();
    // SAFETY: the linker fills the array with the addresses of functions of this type.
    let constructors =
        unsafe { core::slice::from_raw_parts(array.start as *const Constructor, count) };
    let empty = core::ptr::null();
    #[cfg(feature = "posix")]
    let (count, arguments) = mirust_libc::env::arguments(command_line());
    #[cfg(not(feature = "posix"))]
    let (count, arguments) = (0, &raw const empty);
    for constructor in constructors {
        constructor(count, arguments, &raw const empty);
    }
}

/// The memory that the entry code mapped: all physical addresses below 4 GiB.
struct EarlyMemory;

impl PhysRead for EarlyMemory {
    fn read(&self, addr: u64, buf: &mut [u8]) -> bool {
        let inside = Range::new(addr, buf.len() as u64).is_some_and(|r| r.end <= 1 << 32);
        // Nothing of the loader's is at 0, and Rust has no pointer to there.
        if !inside || addr == 0 {
            return false;
        }
        // SAFETY: mapped, and nobody writes there. Where there is no memory, reads give all ones.
        unsafe {
            core::ptr::copy_nonoverlapping(addr as *const u8, buf.as_mut_ptr(), buf.len());
        }
        true
    }
}

/// The kernel command line, as the loader gave it: any bytes but NUL.
pub fn command_line() -> &'static [u8] {
    START_INFO.get().map_or(&[], |info| info.command_line())
}

/// The files that the loader brought along (`ramdisk=` of xl).
pub fn modules() -> impl ExactSizeIterator<Item = &'static [u8]> {
    let modules: &'static [Module] = START_INFO.get().map_or(&[], |info| &info.modules);
    modules.iter().map(|m| {
        // SAFETY: boot checked that the range is in RAM, and keeps everybody else out of it.
        unsafe { core::slice::from_raw_parts(m.range.start as *const u8, m.range.size() as usize) }
    })
}
