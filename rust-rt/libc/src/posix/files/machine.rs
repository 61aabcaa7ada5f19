//! What `/proc` says about the machine, for those who ask there: one processor, and memory.

use alloc::format;
use alloc::vec::Vec;

use crate::{host, process};

/// Nanoseconds since boot.
fn now() -> u64 {
    (host::get().monotonic_ns)()
}

/// `/proc/cpuinfo`: one processor.
pub(super) fn processors() -> Vec<u8> {
    b"processor\t: 0\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\n\n".to_vec()
}

/// `/proc/meminfo`, in KiB.
pub(super) fn memory() -> Vec<u8> {
    let (total, free) = process::memory();
    let line = |name: &str, bytes: usize| format!("{name:<16}{:>8} kB\n", bytes / 1024);
    let free = free.min(total);
    [
        line("MemTotal:", total),
        line("MemFree:", free),
        line("MemAvailable:", free),
        line("Buffers:", 0),
        line("Cached:", 0),
        line("SwapTotal:", 0),
        line("SwapFree:", 0),
    ]
    .concat()
    .into_bytes()
}

/// `/proc/stat`, in hundredths of a second. As `getrusage` has it, all time is the program's.
pub(super) fn times() -> Vec<u8> {
    let user = now() / 10_000_000;
    let boot = (host::get().wall_ns)().saturating_sub(now()) / 1_000_000_000;
    let rest = "0 0 0 0 0 0 0 0 0";
    format!("cpu  {user} {rest}\ncpu0 {user} {rest}\nbtime {boot}\nprocesses 1\n").into_bytes()
}

/// `/proc/self/auxv`, where rustix looks for the size of a page: pairs of a kind and a value. There are AT_PAGESZ, AT_CLKTCK,
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
    let hundredths = now() / 10_000_000;
    format!("{}.{:02} 0.00\n", hundredths / 100, hundredths % 100).into_bytes()
}
