//! Clocks. Sleeping is a matter of threads.

use super::errno::{self, EINTR, EINVAL, ENOSYS};
use super::host;
use super::threads::{Waited, table};
use core::ffi::{c_int, c_long, c_uint, c_void};

use super::timespec::{NS_PER_S, Timespec};

/// `struct timeval`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Timeval {
    seconds: i64,
    microseconds: c_long,
}

impl Timeval {
    fn from_ns(ns: u64) -> Self {
        Timeval { seconds: (ns / NS_PER_S) as i64, microseconds: (ns % NS_PER_S / 1000) as c_long }
    }
}

/// The program's reading of the wall clock, in ns. A thread may lose its turn by it; see [`monotonic`].
fn wall() -> u64 {
    let ns = (host::get().wall_ns)();
    if let Some(threads) = table::get() {
        (threads.given.clock_was_read)(true, ns);
    }
    ns
}

/// The program's reading of the monotonic clock, in ns. A thread may lose its turn by it: one that waits by looking at
/// the clock would otherwise wait for ever for those who have none.
fn monotonic() -> u64 {
    let ns = (host::get().monotonic_ns)();
    if let Some(threads) = table::get() {
        (threads.given.clock_was_read)(false, ns);
    }
    ns
}

/// Wall clock and monotonic clock. The CPU time of the process and of the thread is the time since
/// boot, sleeping included.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    let ns = match clock {
        0 | 5 => wall(), // CLOCK_REALTIME, _COARSE
        // _MONOTONIC, _PROCESS_CPUTIME_ID, _THREAD_CPUTIME_ID, _MONOTONIC_RAW, _COARSE, _BOOTTIME
        1..=4 | 6 | 7 => monotonic(),
        _ => return errno::fail(EINVAL),
    };
    // SAFETY: `time` is writable by contract.
    unsafe { *time = Timespec::from_ns(ns) };
    0
}

/// Nanoseconds; the clocks of Xen and of Linux count in these.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn clock_getres(clock: c_int, resolution: *mut Timespec) -> c_int {
    if !(0..=7).contains(&clock) {
        return errno::fail(EINVAL);
    }
    if !resolution.is_null() {
        // SAFETY: `resolution` is writable by contract.
        unsafe { *resolution = Timespec::from_ns(1) };
    }
    0
}

/// UTC; the obsolete time zone is left alone.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn gettimeofday(time: *mut Timeval, _zone: *mut c_void) -> c_int {
    // SAFETY: `time` is writable by contract.
    unsafe { *time = Timeval::from_ns(wall()) };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn time(time: *mut i64) -> i64 {
    let seconds = (wall() / NS_PER_S) as i64;
    if !time.is_null() {
        // SAFETY: `time` is writable by contract.
        unsafe { *time = seconds };
    }
    seconds
}

/// Processor time is the time since boot, in microseconds.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn clock() -> c_long {
    (monotonic() / 1000) as c_long
}

/// `struct tms`: in ticks, of which a second has a hundred.
#[repr(C)]
struct Ticks([c_long; 4]);

/// User time is the time since boot; the rest is 0.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn times(ticks: *mut Ticks) -> c_long {
    let now = (monotonic() / 10_000_000) as c_long;
    if !ticks.is_null() {
        // SAFETY: writable by contract.
        unsafe { *ticks = Ticks([now, 0, 0, 0]) };
    }
    now
}

/// `struct rusage`.
#[repr(C)]
struct Usage {
    user: Timeval,
    system: Timeval,
    rest: [c_long; 14],
}

const _: () = assert!(size_of::<Usage>() == 144);

/// User time is the time since boot; all else is 0.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn getrusage(_who: c_int, usage: *mut Usage) -> c_int {
    let user = Timeval::from_ns(monotonic());
    // SAFETY: `usage` is writable by contract.
    unsafe { *usage = Usage { user, system: Timeval::from_ns(0), rest: [0; 14] } };
    0
}

/// Sleeps until a time in ns since boot, unless a handler ends that: `Woken`.
fn sleep_until(function: &str, deadline: u64) -> Waited {
    table::get().map_or(Waited::Refused, |threads| (threads.sleep)(function, deadline))
}

/// Sleeps; ENOSYS in a task of the executor, or without threads. (OCaml's runtime calls it, where
/// domains wait for each other.)
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn usleep(us: c_uint) -> c_int {
    let deadline = (host::get().monotonic_ns)().saturating_add(u64::from(us) * 1000);
    match sleep_until("usleep", deadline) {
        Waited::TimedOut => 0,
        Waited::Woken => errno::fail(EINTR),
        Waited::Refused => errno::fail(ENOSYS),
    }
}

/// Sleeps for whole seconds; gives those that are left, which are all where [`usleep`] fails.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn sleep(seconds: c_uint) -> c_uint {
    let ns = u64::from(seconds) * NS_PER_S;
    let deadline = (host::get().monotonic_ns)().saturating_add(ns);
    match sleep_until("sleep", deadline) {
        Waited::TimedOut => 0,
        Waited::Woken => {
            (deadline.saturating_sub((host::get().monotonic_ns)()) / NS_PER_S) as c_uint
        }
        Waited::Refused => seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_the_host() {
        assert_eq!(size_of::<Usage>(), size_of::<host_libc::rusage>());
        let spec = Timespec::from_ns(5_000_000_123);
        assert_eq!((spec.seconds, spec.nanoseconds), (5, 123));
        let val = Timeval::from_ns(5_000_123_999);
        assert_eq!((val.seconds, val.microseconds), (5, 123));
    }

    #[test]
    fn sleeping_is_refused() {
        errno::set(0);
        assert_eq!((usleep(1), errno::get()), (-1, errno::ENOSYS));
        let mut time = Timespec::from_ns(0);
        // SAFETY: `time` is writable.
        assert_eq!(unsafe { clock_gettime(42, &raw mut time) }, -1);
        assert_eq!(errno::get(), EINVAL);
    }
}
