//! What is done to free memory needs none: ending tasks, and dropping what they wait for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::mock::{PAST, at, domain};

/// Counts what the test's thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: all is done by `System`, with the same arguments; the default `realloc` calls these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocates(f: impl FnOnce()) -> u32 {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

#[test]
fn a_crowd_that_ends_allocates_nothing() {
    let d = domain();
    assert_ne!(allocates(|| drop(d.spawn(d.sleep_until(at(1))))), 0, "allocations are counted");
    let tasks: Vec<_> = (0..100).map(|_| d.spawn(d.sleep_until(at(1_000)))).collect();
    d.poll(PAST);
    assert_eq!(d.tasks(), 101);
    tasks.iter().for_each(|task| task.abort());
    assert_eq!(allocates(|| _ = d.poll(PAST)), 0);
    assert_eq!(d.tasks(), 1);
}

#[test]
fn timers_that_fire_allocate_nothing() {
    let d = domain();
    for _ in 0..100 {
        drop(d.spawn(d.sleep_until(at(10))));
    }
    d.poll(PAST);
    d.platform().set_now(10);
    assert_eq!(allocates(|| _ = d.poll(PAST)), 0);
    assert_eq!((d.tasks(), d.stats().timers_fired), (0, 100));
}
