//! Where an image's bytes are.

use super::Error;
use core::future::Future;
use mirust_block::Disk;

/// Bytes that can be read from any position.
pub trait Source {
    /// Fills `out` from `offset` on.
    ///
    /// # Errors
    ///
    /// If there are not so many bytes, or they cannot be read; `out` then holds anything.
    fn read(&self, offset: u64, out: &mut [u8]) -> impl Future<Output = Result<(), Error>>;
}

/// Bytes of a request at most: its data is copied from pages of its own, which cost as much besides.
const PIECE: usize = 1 << 20;

impl Source for Disk {
    async fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        for (at, piece) in out.chunks_mut(PIECE).enumerate() {
            let offset = offset.checked_add((at * PIECE) as u64);
            self.read_at(offset.ok_or(mirust_block::Error::OutOfRange)?, piece).await?;
        }
        Ok(())
    }
}

/// An image in memory.
impl Source for &[u8] {
    async fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let outside = Error::Disk(mirust_block::Error::OutOfRange);
        let from = usize::try_from(offset).map_err(|_| outside)?;
        let end = from.checked_add(out.len()).ok_or(outside)?;
        out.copy_from_slice(self.get(from..end).ok_or(outside)?);
        Ok(())
    }
}
