//! The C ABI that OCaml stands on. `include/mirust.h` is generated from this file.
//!
//! The functions are shaped so that an OCaml `external` can name them without a stub: integers are untagged
//! (`intptr_t`), 64-bit numbers unboxed, and a `bytes` or `string` is a pointer to its first byte, followed by its
//! length. All of them return something, because an external has to.

use core::slice;
use core::time::Duration;

use mirust_rt::poll::PollStats;

use crate::token::MIRUST_COMPLETION_NONE;
#[cfg(feature = "ocaml")]
use crate::turn;
use crate::{domain, logger, owner, patience, platform, setup, shutdown};

/// The version of this interface. From the first release on, it changes whenever a function or a struct in it does.
pub const MIRUST_ABI_VERSION: isize = 3;

/// `mirust_poll` returned because OCaml has work: completions to collect, or news.
pub const MIRUST_READY_FOREIGN: isize = 1;
/// `mirust_poll` returned because the deadline has passed.
pub const MIRUST_READY_TIMER: isize = 2;
/// `mirust_poll` returned because a shutdown was requested.
pub const MIRUST_READY_SHUTDOWN: isize = 4;
/// `mirust_poll` did nothing: it was re-entered from a Rust task or an event handler.
pub const MIRUST_READY_NESTED: isize = 8;

/// Added to the level of `mirust_log`: write the line whatever level is set.
pub const MIRUST_LOG_ALWAYS: isize = 16;

/// What the domain poll has counted since boot.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MirustPollStats {
    /// Calls of the poll, from either language.
    pub polls: u64,
    /// Times the domain gave up the processor.
    pub blocks: u64,
    /// Blocks that ended before their deadline, by an event.
    pub wakeups: u64,
    /// Events dispatched.
    pub events: u64,
    /// Turns of Rust tasks.
    pub tasks_run: u64,
    /// Timers of Rust tasks that fired.
    pub timers_fired: u64,
    /// Completions that OCaml collected.
    pub completions: u64,
}

/// The memory that both languages share, in bytes. Where the kernel keeps it (Unix), all is zero but
/// `heap`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MirustMemStats {
    /// Memory that the runtime manages.
    pub total: u64,
    /// Free, not counting the reserve for OCaml's collector.
    pub free: u64,
    /// Allocated by malloc and by Rust.
    pub heap: u64,
    /// Committed by mmap, which is where the OCaml heap lives.
    pub mapped: u64,
}

const _: () = assert!(size_of::<MirustPollStats>() == size_of::<PollStats>());

/// A slice of what OCaml passed.
///
/// # Safety
///
/// `data` is valid for reads of `length` bytes, for `'a`.
pub(crate) unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(data, length) }
}

/// Copies as much of `source` as fits into the buffer.
///
/// # Safety
///
/// `buffer` is valid for writes of `length` bytes.
unsafe fn fill(buffer: *mut u8, length: usize, source: &[u8]) {
    let n = length.min(source.len());
    if n > 0 {
        // SAFETY: both are valid for `n` bytes; `source` is not the caller's buffer.
        unsafe { buffer.copy_from_nonoverlapping(source.as_ptr(), n) }
    }
}

/// Copies a struct of plain integers into the buffer, whole or as much as fits; gives its size.
///
/// # Safety
///
/// As [`fill`]; `T` has no padding.
pub(crate) unsafe fn fill_struct<T>(buffer: *mut u8, length: usize, value: &T) -> isize {
    // SAFETY: `T` has no padding, so all of its bytes are initialised.
    let source = unsafe { slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) };
    // SAFETY: the caller's promise.
    unsafe { fill(buffer, length, source) };
    size_of::<T>() as isize
}

/// Returns MIRUST_ABI_VERSION as the runtime was built with it.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_abi_version() -> isize {
    MIRUST_ABI_VERSION
}

/// Connects OCaml to the runtime. Called by the OCaml library before anything else, in the thread
/// that runs OCaml; calls after the first change nothing. Returns 1 if OCaml was started by its own
/// `main`, and could therefore spawn domains, and 0 otherwise.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_init() -> isize {
    setup::init();
    #[cfg(feature = "ocaml")]
    if !crate::ocaml::init() {
        return 1;
    }
    0
}

/// A bigarray of bytes over the words that both languages share in every turn, 64 bits each: the one with the time and
/// so on. It is valid for ever. Allocates on the OCaml heap.
#[cfg(feature = "ocaml")]
#[unsafe(no_mangle)]
pub extern "C" fn mirust_turn_words() -> crate::ocaml::net::Value {
    let (base, bytes) = turn::words();
    // SAFETY: a static. OCaml calls, which may allocate.
    unsafe { crate::ocaml::net::external_bigarray(base, bytes) }
}

/// Copies the platform's name (`xen` or `unix`) to the buffer, as much of it as fits. Returns its
/// length in bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_platform_name(buffer: *mut u8, length: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { fill(buffer, length, platform::NAME.as_bytes()) };
    platform::NAME.len() as isize
}

/// Whether the program's main function is Rust's (1) or OCaml's (0).
#[unsafe(no_mangle)]
pub extern "C" fn mirust_rust_main() -> isize {
    owner::is_rust().into()
}

/// Nanoseconds since boot. Never goes back.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_time_monotonic_ns() -> u64 {
    domain::now().as_nanos()
}

/// Nanoseconds since 1970-01-01T00:00:00Z. May jump, in both directions. Good until the year 2262.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_time_wall_ns() -> i64 {
    i64::try_from(domain::wall().as_nanos()).unwrap_or(i64::MAX)
}

/// Copies the poll's counters, a MirustPollStats, to the buffer, as much of it as fits. Returns the
/// struct's size in bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_poll_stats(buffer: *mut u8, length: usize) -> isize {
    let s = domain::stats();
    let stats = MirustPollStats {
        polls: s.polls,
        blocks: s.blocks,
        wakeups: s.wakeups,
        events: s.events,
        tasks_run: s.tasks_run,
        timers_fired: s.timers_fired,
        completions: s.completions,
    };
    // SAFETY: the caller's promise; the struct is all u64.
    unsafe { fill_struct(buffer, length, &stats) }
}

/// Copies the memory statistics, a MirustMemStats, to the buffer, as much of it as fits. Returns
/// the struct's size in bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_mem_stats(buffer: *mut u8, length: usize) -> isize {
    let platform::MemStats { total, free, heap, mapped } = platform::mem_stats();
    let stats = MirustMemStats { total, free, heap, mapped };
    // SAFETY: the caller's promise; the struct is all u64.
    unsafe { fill_struct(buffer, length, &stats) }
}

/// Takes the oldest completion from the queue: the token of a promise that Rust has resolved, or
/// a number from MIRUST_COMPLETION_FUTURE down for a future, or MIRUST_COMPLETION_NONE.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_completion_next() -> isize {
    domain::next_completion().map_or(MIRUST_COMPLETION_NONE, |token| token as isize)
}

/// Writes all bytes to the console, as they are. Returns 0.
///
/// # Safety
///
/// `data` must be valid for reads of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_console_write(data: *const u8, length: usize) -> isize {
    // SAFETY: the caller's promise.
    platform::console_write(unsafe { bytes(data, length) });
    0
}

/// Writes one log line: `level` from 1 (error) to 5 (trace), optionally plus MIRUST_LOG_ALWAYS; the
/// source's name and the message in UTF-8, without a line end. A level above the one that is set
/// writes nothing. Returns 0, or -1 for a level that does not exist.
///
/// # Safety
///
/// Each pointer must be valid for reads of the length behind it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_log(
    level: isize,
    source: *const u8,
    source_length: usize,
    message: *const u8,
    message_length: usize,
) -> isize {
    let always = level & MIRUST_LOG_ALWAYS != 0;
    let Some(level) = logger::level(level & !MIRUST_LOG_ALWAYS) else { return -1 };
    if always || level <= log::max_level() {
        // SAFETY: the caller's promise.
        let (source, message) =
            unsafe { (bytes(source, source_length), bytes(message, message_length)) };
        let (source, message) = (String::from_utf8_lossy(source), String::from_utf8_lossy(message));
        logger::write(level, &source, format_args!("{}", logger::Shown(&message)));
    }
    0
}

/// Sets the level up to which both languages log: 0 (nothing) to 5 (trace). Returns 0, or -1 for a
/// level that does not exist.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_log_set_level(level: isize) -> isize {
    let filter = match logger::level(level) {
        Some(level) => level.to_level_filter(),
        None if level == 0 => log::LevelFilter::Off,
        None => return -1,
    };
    log::set_max_level(filter);
    0
}

/// Copies the command line, not split, to the buffer, as much of it as fits. Returns its length in
/// bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_cmdline(buffer: *mut u8, length: usize) -> isize {
    let line = platform::command_line();
    // SAFETY: the caller's promise.
    unsafe { fill(buffer, length, &line) };
    line.len() as isize
}

/// Fills the buffer with random bytes fit for keys (Unix: the kernel's). Returns 0.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_random(buffer: *mut u8, length: usize) -> isize {
    if length == 0 {
        return 0;
    }
    // SAFETY: the caller's promise; zeroing first makes a slice of it valid.
    let buffer = unsafe {
        buffer.write_bytes(0, length);
        slice::from_raw_parts_mut(buffer, length)
    };
    platform::random(buffer);
    0
}

/// The last shutdown request: 0 none, 1 poweroff, 2 reboot, 3 halt.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_shutdown_reason() -> isize {
    domain::shutdown_reason().map_or(0, |reason| reason as isize)
}

/// Whether Rust code has asked to be told of shutdown requests (1) or not (0).
#[unsafe(no_mangle)]
pub extern "C" fn mirust_shutdown_awaited() -> isize {
    shutdown::awaited().into()
}

/// How much of a server's patience with a client is used up, in thousandths (`mirust::patience`). `known`: nanoseconds
/// from when the client came until it last made progress; `idle`: nanoseconds since then; `answers`: how many it has
/// had; `busy`: whether it is in the middle of something (1) or not (0).
#[unsafe(no_mangle)]
pub extern "C" fn mirust_patience(known: isize, idle: isize, answers: isize, busy: isize) -> isize {
    let time = |ns| Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    let answers = u32::try_from(answers.max(0)).unwrap_or(u32::MAX);
    let used_up = patience::used_up(time(known), time(idle), answers, busy != 0);
    isize::try_from(used_up).unwrap_or(isize::MAX)
}

/// Ends the program: a clean poweroff for code 0, otherwise a crash that reports the code. OCaml's
/// `at_exit` functions do not run. Does not return.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_exit(code: isize) -> isize {
    std::process::exit(code as i32)
}

/// Ends the program as crashed, with a last message in UTF-8 and a backtrace of both languages on
/// the console. Does not return.
///
/// # Safety
///
/// `message` must be valid for reads of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_crash(message: *const u8, length: usize) -> isize {
    // SAFETY: the caller's promise.
    platform::die(&String::from_utf8_lossy(unsafe { bytes(message, length) }))
}

/// Names the functions that an OCaml exception came through, a line each on the console. For an image, in which OCaml
/// itself has no source locations; nothing in a Linux process. Returns 0.
///
/// # Safety
///
/// `frames` must be valid for reads of `count` numbers of 64 bits, of any alignment: entries of a raw backtrace, as
/// addresses of OCaml's frame descriptors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_exception_frames(frames: *const u8, count: usize) -> isize {
    // SAFETY: the caller's promise; a descriptor begins with its return address.
    platform::print_frames(
        (0..count).map(|i| unsafe {
            frames.cast::<*const u64>().add(i).read_unaligned().read_unaligned()
        }),
    );
    0
}
