//! Page frames, the heap that both languages share, and reservable address space.
//!
//! [`frames`] owns all RAM. Above it, [`heap`] is `malloc` and Rust's allocator, and [`vm`] is `mmap`, from which OCaml
//! takes its own heap; boot takes page tables, and drivers take pages to grant. RAM is identity-mapped, so all memory
//! except [`vm`]'s window is at its physical address.
//!
//! Exhaustion is reported to the caller: null and `ENOMEM` in C, which OCaml turns into `Out_of_memory`, and
//! an error from `try_reserve` in Rust. Where Rust's collections cannot report failure, std prints how much
//! was requested and aborts, and the crash report shows [`stats`]. A small reserve is released at the first
//! failure, so that the code that handles it can allocate. Crash reports themselves allocate nothing.
//!
//! # Example
//!
//! An image's allocator, and how full it is:
//!
//! ```no_run
//! use mirust_mem::heap::Heap;
//!
//! #[global_allocator]
//! static HEAP: Heap = Heap;
//!
//! let frames = mirust_mem::stats().frames;
//! println!("{} of {} pages are free", frames.free, frames.total);
//! ```
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod frames;
pub mod heap;
mod lock;
#[cfg(test)]
mod measure;
mod page;
pub mod paging;
pub mod shares;
pub mod vm;

use core::fmt;

use heap::HeapStats;
pub use page::{OutOfMemory, PAGE_SIZE};

/// How all memory is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Page frames, which everything else is made of.
    pub frames: frames::FrameStats,
    /// The heap of C and Rust.
    pub heap: heap::HeapStats,
    /// Mapped and reserved ranges; OCaml's own heap is in here.
    pub vm: vm::VmStats,
}

/// Counters of all memory. Never blocks and never allocates; what an exception interrupted in the
/// middle of an operation counts as zero.
pub fn stats() -> Stats {
    Stats { frames: frames::stats(), heap: heap::Heap.stats().unwrap_or_default(), vm: vm::stats() }
}

/// How short memory is. Displays as what was asked for, what there is, and what to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// Bytes of the last request that was refused, in whole pages; 0 if there has been enough memory for it again.
    pub wanted: usize,
    /// How page frames are used now.
    pub frames: frames::FrameStats,
}

impl Stats {
    /// How short memory is.
    pub fn shortage(&self) -> Shortage {
        Shortage { wanted: self.frames.refused * PAGE_SIZE, frames: self.frames }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |pages: usize| pages * PAGE_SIZE / 1024;
        let frames = self.frames;
        if self.wanted > 0 {
            write!(f, "{} KiB asked for, ", self.wanted / 1024)?;
        }
        write!(f, "{} of {} KiB free", kib(frames.free), kib(frames.total))?;
        if frames.kept > 0 {
            write!(f, " ({} of them kept for OCaml's collector)", kib(frames.kept))?;
        }
        f.write_str("; give the domain more by memory= in its configuration")
    }
}

/// One line, for logs and for the report of a crash.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: usize = 1024;
        const PAGE_KIB: usize = PAGE_SIZE / KIB;
        let Stats { frames, heap, vm } = self;
        write!(
            f,
            "{} KiB free of {} KiB (longest run {} KiB), heap {} KiB in {} blocks (peak {} KiB), \
             mapped {} KiB",
            frames.free * PAGE_KIB,
            frames.total * PAGE_KIB,
            frames.largest_run * PAGE_KIB,
            heap.in_use / KIB,
            heap.blocks,
            heap.peak / KIB,
            (vm.committed + vm.direct) * PAGE_KIB,
        )?;
        if heap.failures > 0 {
            let HeapStats { failures, last_failure, .. } = heap;
            write!(f, "; {failures} requests failed, the last for {last_failure} bytes")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn report_is_one_line_that_names_the_failure() {
        let frames =
            frames::FrameStats { total: 4096, free: 2, largest_run: 1, ..Default::default() };
        let heap = HeapStats { in_use: 2048, blocks: 3, peak: 4096, ..Default::default() };
        let vm = vm::VmStats { reserved: 99, committed: 3, direct: 4 };
        let mut stats = Stats { frames, heap, vm };
        let line = "8 KiB free of 16384 KiB (longest run 4 KiB), \
                    heap 2 KiB in 3 blocks (peak 4 KiB), mapped 28 KiB";
        assert_eq!(stats.to_string(), line);
        (stats.heap.failures, stats.heap.last_failure) = (2, 70_000);
        let failed = "; 2 requests failed, the last for 70000 bytes";
        assert_eq!(stats.to_string(), [line, failed].concat());
    }

    #[test]
    fn a_shortage_says_what_was_asked_for_and_what_to_do() {
        let frames = frames::FrameStats { total: 300, free: 30, ..Default::default() };
        let mut stats = Stats { frames, ..Default::default() };
        let (free, more) =
            ("120 of 1200 KiB free", "; give the domain more by memory= in its configuration");
        assert_eq!(stats.shortage().to_string(), [free, more].concat());
        stats.frames.refused = 128;
        let wanted = "512 KiB asked for, ";
        assert_eq!(stats.shortage().to_string(), [wanted, free, more].concat());
        stats.frames.kept = 25;
        let kept = " (100 of them kept for OCaml's collector)";
        assert_eq!(stats.shortage().to_string(), [wanted, free, kept, more].concat());
    }
}

/// The examples of the page that a registry shows.
#[cfg(all(doctest, feature = "fake"))]
#[doc = include_str!("../README.md")]
struct Readme;
