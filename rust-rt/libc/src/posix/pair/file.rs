//! What the file keeps that is the name of an end.

use alloc::rc::Weak;

use super::super::memory::{For, Reserved};
use super::super::parts::Result;
use super::{END, Pair};

/// The end that a file names. Its memory stays until the file is removed, also if it is closed, and counts as the
/// file's.
pub(in super::super) struct Remembered {
    end: Weak<Pair>,
    _space: Reserved,
}

impl Remembered {
    /// # Errors
    ///
    /// ENOSPC.
    pub(in super::super) fn new(end: Weak<Pair>) -> Result<Remembered> {
        let space = Reserved::new(For::Files);
        space.set(END)?;
        Ok(Remembered { end, _space: space })
    }

    /// The end, which may be gone.
    pub(in super::super) fn end(&self) -> Weak<Pair> {
        Weak::clone(&self.end)
    }
}
