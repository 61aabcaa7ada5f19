//! Blocking for tests: calls wait by asking again and again.

use super::block::{Blocking, CannotBlock, give, now};
use crate::host;
use crate::host::Host;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Waker;
use core::task::{Context, Poll};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

static HOST: Host = Host {
    console_write: |_| {},
    exit: |_| panic!("exit"),
    abort: |reason| panic!("{reason}"),
    monotonic_ns: || STOPPED.get().unwrap_or_else(|| START.elapsed().as_nanos() as u64),
    wall_ns: || 0,
    random: crate::rdrand::fill_from_cpu,
};

std::thread_local! {
    static MEANWHILE: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
    static LATE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
    static ON_MAIN: Cell<bool> = const { Cell::new(false) };
    static BLOCKED: Cell<u32> = const { Cell::new(0) };
    static STOPPED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Blocking calls poll their futures again and again; there is a clock.
pub(super) fn give_busy() {
    host::set(&HOST);
    give(Blocking { block_on, sleep_until, on_main });
}

/// As [`give_busy`], but what is called on the main stack may not wait, as in an image.
pub(super) fn give_strict() {
    host::set(&HOST);
    let block_on = |future: Pin<&mut dyn Future<Output = ()>>| match is_on_main() {
        true => Err(CannotBlock),
        false => block_on(future),
    };
    give(Blocking { block_on, sleep_until, on_main });
}

/// As [`give_busy`], but this happens when the first call that blocks has ended, before it goes on.
pub(super) fn give_late(f: impl FnOnce() + 'static) {
    host::set(&HOST);
    LATE.set(Some(Box::new(f)));
    let block_on = |future: Pin<&mut dyn Future<Output = ()>>| {
        let ended = block_on(future);
        LATE.take().into_iter().for_each(|f| f());
        ended
    };
    give(Blocking { block_on, sleep_until, on_main });
}

/// Stops the clock of the calling test at `ns`.
pub(super) fn stop_clock(ns: u64) {
    STOPPED.set(Some(ns));
}

/// How often a call has blocked, or given the domain a turn, since the last time this was asked.
pub(super) fn turns() -> u32 {
    BLOCKED.take()
}

/// Has `f` run while the next call blocks.
pub(super) fn meanwhile(f: impl FnOnce() + 'static) {
    MEANWHILE.with_borrow_mut(|list| list.insert(0, Box::new(f)));
}

fn block_on(
    mut future: Pin<&mut dyn Future<Output = ()>>,
) -> core::result::Result<(), CannotBlock> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut rounds = 0;
    BLOCKED.set(BLOCKED.get() + 1);
    loop {
        let mut found = Poll::Pending;
        on_main(&mut || found = future.as_mut().poll(&mut cx));
        if found.is_ready() {
            return Ok(());
        }
        rounds += 1;
        // Not in a mere turn of the domain.
        let next = if rounds > 1 { MEANWHILE.with_borrow_mut(Vec::pop) } else { None };
        if let Some(f) = next {
            f();
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn on_main(f: &mut dyn FnMut()) {
    let before = ON_MAIN.replace(true);
    f();
    ON_MAIN.set(before);
}

/// Whether the caller is what is called on the main stack, as in an image anything is that asks a socket.
pub(super) fn is_on_main() -> bool {
    ON_MAIN.get()
}

fn sleep_until(deadline: u64) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(poll_fn(move |_| if now() >= deadline { Poll::Ready(()) } else { Poll::Pending }))
}
