//! Page frames, the heap that both languages share, and reservable address space.

pub mod frames;
pub mod paging;
#[cfg(test)]
mod testing;

/// Bytes in a page, here and for Xen's interfaces.
pub const PAGE_SIZE: usize = 4096;

/// Memory is exhausted: the caller may free some and try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;
