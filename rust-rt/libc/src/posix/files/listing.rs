//! The names in a directory at one time.

use alloc::vec::Vec;

use super::super::memory::{For, Reserved};
use super::super::parts::{Errno, Result};
use super::node::Name;
use crate::errno::ENOMEM;

/// The names in a directory at one time, with itself and the one above. A reader keeps them, so that it misses none if
/// others come and go meanwhile.
pub(super) struct Listing {
    pub(super) names: Vec<Name>,
    /// Of the memory for buffers: what is to be removed from files that take all of theirs can still be listed.
    _space: Reserved,
}

impl Listing {
    /// These names.
    ///
    /// # Errors
    ///
    /// ENOMEM if buffers have no memory left.
    pub(super) fn new(names: Vec<Name>) -> Result<Listing> {
        let space = Reserved::new(For::Buffers);
        // With the counts of references, and the heap's own for each name.
        let sum = names.iter().map(|(name, ..)| size_of::<Name>() + 32 + name.len()).sum();
        space.set(sum).map_err(|_| Errno(ENOMEM))?;
        Ok(Listing { names, _space: space })
    }
}
