//! What the layer needs of the image below it, besides memory.

use core::sync::atomic::{AtomicPtr, Ordering};

use super::rdrand;

/// What the C symbols need, supplied by boot. Every function is called on the one thread of
/// execution, and none may block.
pub struct Host {
    /// Writes bytes to the console, in the order of the calls.
    pub console_write: fn(&[u8]),
    /// Ends the domain: a clean poweroff for code 0.
    pub exit: fn(i32) -> !,
    /// Ends the domain as crashed, for the given reason.
    pub abort: fn(&str) -> !,
    /// Nanoseconds since boot; never goes backwards.
    pub monotonic_ns: fn() -> u64,
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    pub wall_ns: fn() -> u64,
    /// Fills the buffer with random bytes fit for keys; false when there is no source of them.
    pub random: fn(&mut [u8]) -> bool,
}

/// Until boot is far enough: a silent console, a stopped clock, and an end by `ud2`, which the
/// exception handlers (or the hypervisor) report.
static EARLY: Host = Host {
    console_write: |_| {},
    exit: |_| stop(),
    abort: |_| stop(),
    monotonic_ns: || 0,
    wall_ns: || 0,
    random: rdrand::fill_from_cpu,
};

static HOST: AtomicPtr<Host> = AtomicPtr::new((&raw const EARLY).cast_mut());

/// Connects the C symbols to `host`. Called once by boot, before any C or OCaml code runs.
pub fn set(host: &'static Host) {
    HOST.store((host as *const Host).cast_mut(), Ordering::Release);
}

pub(super) fn get() -> &'static Host {
    // SAFETY: the pointer came from a `&'static Host`, and nothing writes through it.
    unsafe { &*HOST.load(Ordering::Acquire) }
}

fn stop() -> ! {
    // SAFETY: an invalid opcode raises an exception and touches nothing else.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// The main stack: its lowest address, and one beyond its highest. Unknown on the host.
pub(super) fn main_stack() -> (usize, usize) {
    #[cfg(feature = "symbols")]
    {
        // SAFETY: symbols of the link script, the bounds of the stack; only their addresses are used.
        unsafe extern "C" {
            static __stack_start: u8;
            static __stack_top: u8;
        }
        ((&raw const __stack_start).addr(), (&raw const __stack_top).addr())
    }
    #[cfg(not(feature = "symbols"))]
    (0, 0)
}
