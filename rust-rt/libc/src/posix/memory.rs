//! How much the descriptors may take of the domain's memory.

use core::cell::Cell;

use super::local::local;
use super::parts::{Errno, Result};
use crate::errno::ENOBUFS;

/// One of so many bytes may be in buffers of pipes and socket pairs.
const BUFFER_SHARE: usize = 16;
/// One descriptor for so many bytes of memory: one without buffers takes some 200 bytes.
const BYTES_PER_DESCRIPTOR: usize = 16 * 1024;

local! {
    /// Bytes in buffers.
    static BUFFERED: Cell<usize> = Cell::new(0);
}

/// The domain's memory, in bytes.
fn total() -> usize {
    match mirust_mem::frames::stats().total * mirust_mem::PAGE_SIZE {
        // A Linux process: its tests and benchmarks.
        0 => 256 << 20,
        total => total,
    }
}

/// How many descriptors there can be: 1024 with 16 MiB, and never more than 65536.
pub(super) fn most_descriptors() -> usize {
    (total() / BYTES_PER_DESCRIPTOR).clamp(256, 65536)
}

/// Bytes of buffers, which are given back when this is dropped.
#[derive(Default)]
pub(super) struct Reserved(Cell<usize>);

impl Reserved {
    /// Has `bytes` in all.
    ///
    /// # Errors
    ///
    /// ENOBUFS if the share is used up; then it has what it had.
    pub(super) fn set(&self, bytes: usize) -> Result {
        BUFFERED.with(|buffered| {
            let sum = buffered.get() - self.0.get() + bytes;
            if bytes > self.0.get() && sum > total() / BUFFER_SHARE {
                return Err(Errno(ENOBUFS));
            }
            buffered.set(sum);
            self.0.set(bytes);
            Ok(())
        })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // Giving back cannot fail.
        let _ = self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_a_share_of_the_memory() {
        let share = total() / BUFFER_SHARE;
        let (a, b) = (Reserved::default(), Reserved::default());
        assert_eq!(a.set(share - 1), Ok(()));
        assert_eq!((b.set(2), b.set(1)), (Err(Errno(ENOBUFS)), Ok(())));
        assert_eq!((a.set(0), b.set(share)), (Ok(()), Ok(())));
        drop(b);
        assert_eq!(a.set(share), Ok(()));
    }
}
