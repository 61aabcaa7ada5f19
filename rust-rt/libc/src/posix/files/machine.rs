//! What `/proc` says about the machine, for those who ask there: one processor, memory, and one process.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::threads::block::{MAIN, living};
use crate::{host, process};

/// Nanoseconds since boot.
fn now() -> u64 {
    (host::get().monotonic_ns)()
}

/// `/proc/cpuinfo`: one processor.
pub(super) fn processors() -> Vec<u8> {
    b"processor\t: 0\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\n\n".to_vec()
}

/// `/proc/meminfo`, in KiB: the lines that crates insist on. All memory that is in use is active, and promised.
pub(super) fn memory() -> Vec<u8> {
    let (total, free) = process::memory();
    let free = free.min(total);
    let used = total - free;
    let known = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Active", used),
        ("Committed_AS", used),
    ];
    // There is no swap, nothing is kept of a disk, and no address space is set aside for a kernel.
    let none = [
        "Buffers",
        "Cached",
        "SwapCached",
        "Inactive",
        "SwapTotal",
        "SwapFree",
        "Dirty",
        "Writeback",
        "Mapped",
        "Slab",
        "VmallocTotal",
        "VmallocUsed",
        "VmallocChunk",
    ];
    let mut text = String::new();
    for (name, bytes) in known.into_iter().chain(none.map(|name| (name, 0))) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<15} {:>8} kB", [name, ":"].concat(), bytes / 1024);
    }
    text.into_bytes()
}

/// Hundredths of a second since boot. As `getrusage` has it, all of them are the program's.
fn ticks() -> u64 {
    now() / 10_000_000
}

/// `/proc/stat`, in hundredths of a second. Of interrupts and of switches between threads nobody keeps count.
pub(super) fn times() -> Vec<u8> {
    let user = ticks();
    let boot = (host::get().wall_ns)().saturating_sub(now()) / 1_000_000_000;
    let rest = "0 0 0 0 0 0 0 0 0";
    format!(
        "cpu  {user} {rest}\ncpu0 {user} {rest}\nintr 0\nctxt 0\nbtime {boot}\nprocesses 1\n\
         procs_running 1\nprocs_blocked 0\n"
    )
    .into_bytes()
}

/// `/proc/1/stat`: 52 fields. The process has begun with the machine, has all of its memory as address space, and is resident
/// where that is in use; the image itself does not count. Fields that have no meaning here (a terminal, faults, addresses,
/// signals) are 0.
pub(super) fn process() -> Vec<u8> {
    let (total, free) = process::memory();
    let pages = total.saturating_sub(free) / mirust_mem::PAGE_SIZE;
    let (user, threads) = (ticks(), living());
    // From the state on: parent, group, session, terminal and its group, flags, 4 kinds of faults; times of the program, and of
    // a kernel and of children, priority, niceness, threads, a timer, start; address space, pages, and their limit.
    format!(
        "{MAIN} (mirust) R 0 {MAIN} {MAIN} 0 -1 0 0 0 0 0 {user} 0 0 0 20 0 {threads} 0 0 {total} {pages} {}{}\n",
        u64::MAX,
        " 0".repeat(27),
    )
    .into_bytes()
}

/// `/proc/1/auxv`, where rustix looks for the size of a page: pairs of a kind and a value. There are AT_PAGESZ, AT_CLKTCK,
/// and the end.
pub(super) fn vector() -> Vec<u8> {
    let pairs = [(6, mirust_mem::PAGE_SIZE as u64), (17, 100), (0, 0)];
    pairs
        .into_iter()
        .flat_map(|(kind, value): (u64, u64)| [kind, value])
        .flat_map(u64::to_ne_bytes)
        .collect()
}

/// `/proc/uptime`: seconds since boot, and seconds without work, of which nobody keeps count.
pub(super) fn uptime() -> Vec<u8> {
    let hundredths = ticks();
    format!("{}.{:02} 0.00\n", hundredths / 100, hundredths % 100).into_bytes()
}
