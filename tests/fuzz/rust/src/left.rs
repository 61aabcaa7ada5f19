//! What an execution leaves behind.
//!
//! Drivers want a hypervisor, events and grants for ever, so the fake ones are leaked: a megabyte for each
//! story. A test may do that; a fuzzer that tells a hundred stories a second may not.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::UnsafeCell,
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// An allocator that can free what a stretch of the program has left behind. For programs of one thread.
pub struct Left {
    /// Allocations are noted now. False also while the notes themselves are changed.
    noting: AtomicBool,
    notes: UnsafeCell<Option<HashMap<usize, Layout>>>,
}

// SAFETY: the notes are changed only by the program's one thread, which `within` and the allocator's own use
// of `noting` keep from doing so twice at a time.
unsafe impl Sync for Left {}

impl Left {
    /// One that has noted nothing.
    #[allow(clippy::new_without_default)] // A constant, for a static.
    pub const fn new() -> Left {
        Left { noting: AtomicBool::new(false), notes: UnsafeCell::new(None) }
    }

    /// Runs `life`, and then frees all that was allocated meanwhile and not freed.
    ///
    /// # Safety
    /// The program has one thread that allocates, and nothing that outlives `life` refers to what it
    /// allocated: statics that are filled when they are used first have been used before.
    pub unsafe fn within(&self, life: impl FnOnce()) {
        self.noting.store(true, Relaxed);
        life();
        self.noting.store(false, Relaxed);
        // SAFETY: one thread, and `noting` is false.
        let rest = unsafe { &mut *self.notes.get() };
        for (address, layout) in rest.iter_mut().flat_map(HashMap::drain) {
            // SAFETY: allocated with this layout and not freed; nobody refers to it, says the caller.
            unsafe { System.dealloc(address as *mut u8, layout) };
        }
    }

    fn note(&self, change: impl FnOnce(&mut HashMap<usize, Layout>)) {
        if self.noting.swap(false, Relaxed) {
            // SAFETY: one thread, and `noting` is false, so that the map's own memory is not noted.
            change(unsafe { &mut *self.notes.get() }.get_or_insert_default());
            self.noting.store(true, Relaxed);
        }
    }
}

// SAFETY: memory is the system allocator's; notes are only taken.
unsafe impl GlobalAlloc for Left {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        let memory = unsafe { System.alloc(layout) };
        self.note(|notes| _ = notes.insert(memory as usize, layout));
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        let memory = unsafe { System.alloc_zeroed(layout) };
        self.note(|notes| _ = notes.insert(memory as usize, layout));
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.note(|notes| _ = notes.remove(&(memory as usize)));
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}
