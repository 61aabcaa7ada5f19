//! Address space: `mmap` and its kin, with memory behind it only where it is committed.
//!
//! OCaml 5 reserves one range for the minor heaps of all domains it could have, commits parts of it
//! as it goes, and maps each pool of its major heap on its own (`runtime/domain.c` and
//! `shared_heap.c` of 5.3). Anonymous memory only: there are no files to map.

mod regions;
mod space;

use alloc::boxed::Box;
use core::ops::Range;

use spin::Mutex;

pub use space::{AddressSpace, MapError, VmStats};

use super::frames::FRAMES;
use super::heap::{Heap, others_give_way};
use super::paging::PageTables;
use crate::lock::lock;

/// The addresses that are given out unless RAM is used where it lies: far above all RAM, and below
/// the half of the address space whose addresses are negative.
pub const WINDOW: Range<usize> = 0x4000_0000_0000..0x7000_0000_0000;

/// The page tables of the image, whatever boot made them of.
pub type Tables = Box<dyn PageTables + Send>;

static SPACE: Mutex<Option<AddressSpace<Tables>>> = Mutex::new(None);

/// Hands over the page tables, which have no mapping in [`WINDOW`] yet. Called once, by boot, after
/// [`frames::init`](super::frames::init).
pub fn init(tables: Tables) {
    if let Some(mut space) = lock(&SPACE) {
        assert!(space.is_none(), "address space initialised twice");
        *space = Some(AddressSpace::new(tables, &FRAMES, WINDOW));
    }
}

/// Runs `f` on the address space, and again if that failed for want of memory and the heap could spare some, or [others]
/// gave way. Fails for want of memory before [`init`], and in a crash report that came in the middle of an operation.
///
/// [others]: crate::heap::give_way_by
pub fn with<R>(
    mut f: impl FnMut(&mut AddressSpace<Tables>) -> Result<R, MapError>,
) -> Result<R, MapError> {
    let mut answer = Err(MapError::NoMemory);
    while_short(&mut |space| {
        answer = f(space);
        matches!(answer, Err(MapError::NoMemory))
    });
    answer
}

/// Calls `f` as long as it says that memory is short and somebody gives some back.
fn while_short(f: &mut dyn FnMut(&mut AddressSpace<Tables>) -> bool) {
    loop {
        let is_short = {
            let mut space = lock(&SPACE);
            let Some(space) = space.as_mut().and_then(|space| space.as_mut()) else { return };
            f(space) && (!Heap.trim() || f(space))
        };
        if !is_short || !others_give_way() {
            return;
        }
    }
}

/// Counters; all zero before [`init`], or in the middle of an operation.
pub fn stats() -> VmStats {
    with(|space| Ok(space.stats())).unwrap_or_default()
}
