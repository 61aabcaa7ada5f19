//! The unit of memory, and the error when there is none.

use core::fmt;

/// Bytes in a page, here and for Xen's interfaces.
pub const PAGE_SIZE: usize = 4096;

/// Memory is exhausted: the caller may free some and try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for OutOfMemory {}
