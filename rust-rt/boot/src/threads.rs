//! Gives the C symbols their threads, and threads their host.
//!
//! If a program starts no thread, the linker drops all of this: only [`FIBERS`] leads here, and only the C symbols for
//! threads refer to that.

use super::{cpu, layout, tls};
use core::ffi::c_void;
use mirust_executor::time::Instant;
use mirust_fiber::host::{GUARD, Host};
use mirust_fiber::{self as fiber, Clock, Thread, wait};
use mirust_libc::threads::{Fibers, Start, Waited, own};
use mirust_mem::paging::Prot;
use mirust_mem::vm::{self, MapError};
use mirust_mem::{PAGE_SIZE, frames};

/// What `mirust-libc` finds by its name.
#[unsafe(export_name = "__mirust_fibers")]
static FIBERS: Fibers = Fibers {
    start,
    current: || fiber::current(|thread| (&raw const *thread).cast()).unwrap_or(core::ptr::null()),
    // SAFETY: what `current` has returned, and the thread has not ended.
    set_name: |thread, name| unsafe { (*thread.cast::<Thread>()).set_name(name) },
    bounds: || {
        let main = || (layout::stack().start as usize, layout::stack().end as usize);
        fiber::current(Thread::stack).unwrap_or_else(main)
    },
    exit: || {
        // SAFETY: the caller's promise.
        fiber::current(|thread| unsafe { thread.exit() });
        // Nobody asks for the main stack's end this way.
        cpu::halt()
    },
    wait: |address, mask, deadline| match wait::wait(
        address,
        mask,
        (deadline != u64::MAX).then(|| Instant::from_nanos(deadline)),
    ) {
        Ok(true) => Waited::Woken,
        Ok(false) => Waited::TimedOut,
        Err(_) => Waited::Refused,
    },
    wake: wait::wake,
    yield_now: || fiber::yield_now().is_ok(),
    clock_was_read: |is_wall, ns| {
        fiber::clock_was_read(if is_wall { Clock::Wall } else { Clock::Monotonic }, ns);
    },
    set_order: fiber::set_seed,
    // SAFETY: the contract is the same.
    stack_owner: |address| unsafe { fiber::stack_owner(address) },
};

static HOST: Host = Host {
    map,
    unmap,
    memory: || frames::stats().total * PAGE_SIZE,
    tls_sizes: tls::sizes,
    tls_init: tls::fill_another,
    tls_use: tls::select,
    own,
};

fn start(start: &Start<'_>) -> bool {
    static ENABLED: spin::Once = spin::Once::new();
    ENABLED.call_once(|| {
        cpu::enable_fsgsbase();
        fiber::set_host(&HOST);
    });
    /// What a C program passes, and may be used on the thread that it starts.
    struct Call(unsafe extern "C" fn(*mut c_void), *mut c_void);
    let call = Call(start.run, start.argument);
    let run = move || {
        let Call(run, argument) = call;
        // SAFETY: the starter's promise.
        unsafe { run(argument) }
    };
    fiber::start(fiber::Start { stack: start.stack, name: start.name, own: start.own }, run).is_ok()
}

/// Addresses for the stack and its guard, and memory for the stack alone, all of it at once: a stack that
/// could not be had is found out here.
fn map(bytes: usize) -> Option<usize> {
    vm::with(|space| {
        let start = space.reserve(bytes.checked_add(GUARD).ok_or(MapError::NoMemory)?)?;
        // SAFETY: reserved just now, so that nobody relies on anything there.
        match unsafe { space.protect(start + GUARD, bytes, Prot::ReadWrite) } {
            Ok(()) => Ok(start + GUARD),
            Err(error) => {
                // SAFETY: as above.
                unsafe { space.unmap(start, bytes + GUARD) }?;
                Err(error)
            }
        }
    })
    .ok()
}

/// Gives a stack back, with the guard below it.
///
/// # Safety
///
/// `low` and `bytes` are what `map` gave and was asked for, and nobody uses the stack any more.
unsafe fn unmap(low: usize, bytes: usize) {
    // SAFETY: the caller does not use it any more. It came from `map`, guard included. If there is not even
    // memory to note that it is free, it stays what it is.
    let _ = vm::with(|space| unsafe { space.unmap(low - GUARD, bytes + GUARD) });
}
