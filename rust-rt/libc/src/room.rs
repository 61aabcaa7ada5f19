//! Memory for what Rust can only allocate or end the program for: `Rc`, `Box`, maps.

use alloc::vec::Vec;

/// What a call takes at most for a thing that it makes, with the heap's own for each piece: an object with those who
/// watch it, and its places in lists and maps.
pub(crate) const THING: usize = 4096;

/// Whether the heap has a block of this size. Then so many bytes in smaller pieces can be allocated before anything else
/// is, or waits, since the heap cuts that block if it has nothing else. A function that can say ENOMEM asks before it
/// makes anything.
pub(crate) fn is_there(bytes: usize) -> bool {
    let mut block = Vec::<u8>::new();
    let there = block.try_reserve_exact(bytes).is_ok();
    // The compiler may otherwise leave out what is not used.
    core::hint::black_box(block.as_mut_ptr());
    there
}
