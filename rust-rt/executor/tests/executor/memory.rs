//! What is done to free memory needs none: ending tasks, and dropping what they wait for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use crate::mock::{PAST, at, domain};

/// Has no memory for the test's thread while it is told so.
struct Scarce;

thread_local! {
    static EXHAUSTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: all is done by `System`, with the same arguments, or refused; the default `realloc` calls these two.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if EXHAUSTED.get() {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static SCARCE: Scarce = Scarce;

/// Calls `f` while there is no memory. If it needs some, that ends the process.
fn without_memory(f: impl FnOnce()) {
    EXHAUSTED.set(true);
    assert!(Vec::<u8>::new().try_reserve(1).is_err(), "there is no memory");
    f();
    EXHAUSTED.set(false);
}

#[test]
fn a_crowd_that_ends_needs_no_memory() {
    let d = domain();
    d.spawn(d.sleep_until(at(1)));
    let tasks: Vec<_> = (0..100).map(|_| d.spawn(d.sleep_until(at(1_000)))).collect();
    d.poll(PAST);
    assert_eq!(d.tasks(), 101);
    tasks.iter().for_each(|task| task.abort());
    without_memory(|| _ = d.poll(PAST));
    assert_eq!(d.tasks(), 1);
}

#[test]
fn timers_that_fire_need_no_memory() {
    let d = domain();
    for _ in 0..100 {
        drop(d.spawn(d.sleep_until(at(10))));
    }
    d.poll(PAST);
    d.platform().set_now(10);
    without_memory(|| _ = d.poll(PAST));
    assert_eq!((d.tasks(), d.stats().timers_fired), (0, 100));
}
