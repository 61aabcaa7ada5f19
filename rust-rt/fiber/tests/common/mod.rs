//! A domain with a clock that jumps to the next deadline, and stacks from the host.
#![allow(dead_code, reason = "test and benchmark share it")]

use std::cell::Cell;
use std::time::Duration;

use mirust_executor::domain;
use mirust_executor::platform::Platform;
use mirust_executor::time::Instant;
use mirust_fiber::host::{GUARD, Host};
use mirust_fiber::{self as fiber, Start};

/// Bytes of a stack here: the test harness prints on it, and formats numbers.
pub const STACK: usize = 128 << 10;

/// A variable of the one thread that the cases run on.
pub struct Only<T>(Cell<T>);

// SAFETY: the process has one thread.
unsafe impl<T> Sync for Only<T> {}

impl<T: Copy> Only<T> {
    pub fn get(&self) -> T {
        self.0.get()
    }

    pub fn set(&self, value: T) {
        self.0.set(value)
    }
}

/// Nanoseconds since boot.
pub static CLOCK: Only<u64> = Only(Cell::new(1_000));
/// Stacks that are mapped now, and that may still be.
pub static MAPPED: Only<usize> = Only(Cell::new(0));
pub static LEFT: Only<usize> = Only(Cell::new(usize::MAX));
static OWN: Only<[usize; 2]> = Only(Cell::new([0; 2]));

/// Sets the first word of our own, and gives what it was.
pub fn errno(value: usize) -> usize {
    OWN.0.replace([value, 0])[0]
}

struct Jumping;

impl Platform for Jumping {
    fn now(&self) -> Instant {
        Instant::from_nanos(CLOCK.get())
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }

    fn dispatch(&self) -> usize {
        0
    }

    fn wait(&self, deadline: Instant) {
        assert_ne!(deadline, Instant::NEVER, "a wake-up was lost: nothing can happen any more");
        CLOCK.set(CLOCK.get().max(deadline.as_nanos()));
    }
}

static HOST: Host = Host {
    map,
    unmap,
    memory: || 16 << 20,
    tls_sizes: || (0, 64),
    tls_init: |_| (),
    tls_use: |_| (),
    own: || OWN.0.as_ptr(),
};

fn map(bytes: usize) -> Option<usize> {
    if MAPPED.get() >= LEFT.get() {
        return None;
    }
    let flags = host_libc::MAP_PRIVATE | host_libc::MAP_ANONYMOUS;
    let access = host_libc::PROT_READ | host_libc::PROT_WRITE;
    // SAFETY: a fresh mapping, and its lower part without access.
    let low = unsafe {
        let start = host_libc::mmap(std::ptr::null_mut(), bytes + GUARD, access, flags, -1, 0);
        assert_ne!(start, host_libc::MAP_FAILED);
        host_libc::mprotect(start, GUARD, host_libc::PROT_NONE);
        start.expose_provenance() + GUARD
    };
    MAPPED.set(MAPPED.get() + 1);
    Some(low)
}

/// # Safety
///
/// `low` and `bytes` are what `map` gave and was asked for, and nobody uses the stack any more.
unsafe fn unmap(low: usize, bytes: usize) {
    // SAFETY: from `map`, and the caller does not use it any more.
    unsafe { host_libc::munmap(std::ptr::with_exposed_provenance_mut(low - GUARD), bytes + GUARD) };
    MAPPED.set(MAPPED.get() - 1);
}

mirust_executor::platform!(&Jumping);

/// Called once.
pub fn init() {
    domain::set_guard(|call| std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)));
    fiber::set_host(&HOST);
}

/// Starts a thread.
pub fn go(name: &str, run: impl FnOnce() + 'static) {
    let start = Start { stack: STACK, name, own: [0; 2] };
    fiber::start(start, run).expect("memory for a stack");
}

/// Blocks until all threads have ended.
pub fn run_all() {
    while fiber::stats().threads > 0 {
        fiber::block_on(domain::sleep(Duration::from_millis(1))).unwrap();
    }
}
