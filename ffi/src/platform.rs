//! One name for what the platforms offer under different names.

/// Memory in bytes: see `MirustMemStats`.
pub struct MemStats {
    pub total: u64,
    pub free: u64,
    pub heap: u64,
    pub mapped: u64,
}

#[cfg(not(feature = "xen"))]
mod here {
    use std::backtrace::Backtrace;

    use mirust_rt::unix;

    use super::MemStats;

    pub use unix::{NAME, command_line, console_write, error_write, report_stack_overflow};

    /// Fills the buffer.
    pub fn random(buf: &mut [u8]) {
        unix::random(buf);
    }

    /// The kernel keeps the memory of a process; what is known is what `malloc` gave out.
    pub fn mem_stats() -> MemStats {
        MemStats { total: 0, free: 0, heap: unix::allocated() as u64, mapped: 0 }
    }

    /// Bytes in all, free, and in the longest free run: nothing that is ours to divide.
    #[cfg(all(feature = "posix-on-unix", not(test)))]
    pub fn free_memory() -> [u64; 3] {
        [0; 3]
    }

    /// Gives back what the heap has and does not use.
    #[cfg(any(feature = "posix-on-unix", test))]
    pub fn trim() {}

    #[cfg(test)]
    std::thread_local! {
        /// What a test says there is of memory.
        pub static MEMORY: std::cell::Cell<[u64; 3]> = const { std::cell::Cell::new([0; 3]) };
        /// What it says of threads: how many there are, the bytes of their stacks, and those of the next one's.
        pub static THREADS: std::cell::Cell<[usize; 3]> = const { std::cell::Cell::new([0; 3]) };
    }

    /// What a test says there is.
    #[cfg(test)]
    pub fn free_memory() -> [u64; 3] {
        MEMORY.get()
    }

    /// Bytes of the stack in use, with its end at `here`: the kernel does not say.
    #[cfg(feature = "ocaml")]
    pub fn stack_used(_here: usize) -> usize {
        0
    }

    /// Ends the process with SIGABRT, after a last message and a backtrace.
    pub fn die(cause: &str) -> ! {
        let trace = Backtrace::force_capture();
        let report = format!("\n*** {cause}\nbacktrace:\n{trace}crashed: {cause}\n");
        error_write(report.as_bytes());
        std::process::abort()
    }

    /// The same, for want of memory: the kernel knows how much there is.
    #[cfg(feature = "ocaml")]
    pub fn die_of_memory(cause: &str) -> ! {
        die(cause)
    }

    /// OCaml prints the frames of an exception itself, with the program's own tables.
    pub fn print_frames(_addresses: impl Iterator<Item = u64>) {}
}

#[cfg(feature = "xen")]
mod here {
    use mirust_rt::mem::{PAGE_SIZE, frames, heap::Heap, vm};
    use mirust_rt::{boot, diag};

    use super::MemStats;

    pub use diag::console::write as console_write;

    /// The platform's name.
    pub const NAME: &str = "xen";

    /// Guard pages do.
    #[cfg(feature = "ocaml")]
    pub fn report_stack_overflow() {}

    /// Everything goes to the one console.
    pub fn error_write(bytes: &[u8]) {
        console_write(bytes)
    }

    /// The kernel's command line.
    pub fn command_line() -> Vec<u8> {
        boot::command_line().to_vec()
    }

    /// Fills the buffer.
    pub fn random(buf: &mut [u8]) {
        boot::entropy::fill(buf);
    }

    /// The memory of the domain.
    pub fn mem_stats() -> MemStats {
        let (frames, heap, vm) = (frames::stats(), Heap.stats().unwrap_or_default(), vm::stats());
        let bytes = |pages: usize| (pages * PAGE_SIZE) as u64;
        MemStats {
            total: bytes(frames.total),
            // What is kept for the collector is nobody's to ask for.
            free: bytes(frames.free - frames.kept),
            heap: heap.in_use as u64,
            mapped: bytes(vm.committed + vm.direct),
        }
    }

    /// Bytes in total, free bytes that may be allocated, and bytes in the longest free run.
    #[cfg(feature = "posix")]
    pub fn free_memory() -> [u64; 3] {
        let frames = frames::stats();
        [frames.total, frames.free - frames.kept, frames.largest_run]
            .map(|pages| (pages * PAGE_SIZE) as u64)
    }

    /// Makes free what the heap has and does not use.
    #[cfg(feature = "posix")]
    pub fn trim() {
        Heap.trim();
    }

    /// Bytes of the boot stack in use, with its end at `here`.
    #[cfg(feature = "ocaml")]
    pub fn stack_used(here: usize) -> usize {
        boot::stack_top().saturating_sub(here)
    }

    /// Ends the domain as crashed, after a last message and a backtrace.
    pub fn die(cause: &str) -> ! {
        diag::fatal(format_args!("{cause}"))
    }

    /// The same, for want of memory: the message says how much there is, and how much was asked for.
    #[cfg(feature = "ocaml")]
    pub fn die_of_memory(cause: &str) -> ! {
        diag::fatal_shortage(cause)
    }

    /// A line for each of these return addresses.
    pub fn print_frames(addresses: impl Iterator<Item = u64>) {
        diag::backtrace::list(addresses);
    }
}

pub use here::*;
