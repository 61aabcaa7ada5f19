//! Memory that runs out, for tests.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

#[global_allocator]
static LIMITED: Limited = Limited;

struct Limited;

std::thread_local! {
    /// Bytes that this thread may still allocate.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    /// Called before each allocation.
    static BEFORE: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// What a block takes: the heap has a word of its own, and sizes in steps of 16.
fn cost(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: the system's, or nothing.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(before) = BEFORE.take() {
            before();
            BEFORE.set(Some(before));
        }
        if let Some(left) = LEFT.get() {
            let Some(rest) = left.checked_sub(cost(layout)) else { return core::ptr::null_mut() };
            LEFT.set(Some(rest));
        }
        // SAFETY: the contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LEFT.set(LEFT.get().map(|left| left + cost(layout)));
        // SAFETY: the contract is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Calls `f` with so many bytes that can be allocated. An allocation that cannot fail ends the tests where there are not
/// enough, as it ends an image.
pub(crate) fn with<R>(bytes: usize, f: impl FnOnce() -> R) -> R {
    LEFT.set(Some(bytes));
    let result = f();
    LEFT.set(None);
    result
}

/// Calls `f`, and `before` whenever it allocates something.
pub(crate) fn before_each<R>(before: fn(), f: impl FnOnce() -> R) -> R {
    BEFORE.set(Some(before));
    let result = f();
    BEFORE.set(None);
    result
}
