//! The unit of memory, and the lack of it.

/// Bytes in a page, here and for Xen's interfaces.
pub const PAGE_SIZE: usize = 4096;

/// Memory is exhausted: the caller may free some and try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;
