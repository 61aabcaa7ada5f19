//! How much the descriptors may take of the domain's memory.

use alloc::vec::Vec;
use core::cell::Cell;

use super::local::local;
use super::parts::{Errno, Result};
use crate::errno::{ENOBUFS, ENOMEM, ENOSPC};
use crate::room;
pub(super) use crate::room::THING;

/// One of this many bytes may be in buffers of pipes and UNIX-domain sockets, in connections that wait to be accepted,
/// and in the names of directories that are being read.
const BUFFER_SHARE: usize = 16;
/// One of this many bytes may be in files that the program writes.
const FILE_SHARE: usize = 4;
/// One descriptor for this many bytes of memory: without buffers one takes some 200 bytes, or 600 if it is the end of a
/// UNIX-domain socket.
const BYTES_PER_DESCRIPTOR: usize = 16 * 1024;

local! {
    /// Bytes in buffers, and in files.
    static USED: [Cell<usize>; 2] = [Cell::new(0), Cell::new(0)];
}

local! {
    static EVICT: Cell<Option<fn() -> bool>> = const { Cell::new(None) };
}

/// From now on this is called when the share of files is used up, or all memory. It gives back some of what is there only
/// to be found sooner, without waiting or allocating; true if there was any.
pub(super) fn evict_by(evict: fn() -> bool) {
    EVICT.with(|by| by.set(Some(evict)));
    // A test has the memory of its process.
    #[cfg(not(test))]
    mirust_mem::heap::give_way_by(evict);
}

/// The domain's memory, in bytes.
fn total() -> usize {
    match mirust_mem::frames::stats().total * mirust_mem::PAGE_SIZE {
        // A Linux process: its tests, some of which make a small machine beside the others, and benchmarks.
        total if total == 0 || cfg!(test) => 256 << 20,
        total => total,
    }
}

/// How many descriptors there can be: 1024 with 16 MiB, and never more than 65536.
pub(super) fn most_descriptors() -> usize {
    (total() / BYTES_PER_DESCRIPTOR).clamp(256, 65536)
}

/// Asks for so much memory in small pieces, before they are [allocated](room::is_there).
///
/// # Errors
///
/// ENOMEM.
pub fn need(bytes: usize) -> Result {
    if room::is_there(bytes) { Ok(()) } else { Err(Errno(ENOMEM)) }
}

/// Room for so many elements more.
///
/// # Errors
///
/// ENOMEM.
pub(super) fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result {
    list.try_reserve(more).map_err(|_| Errno(ENOMEM))
}

/// What memory is for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum For {
    /// Buffers of pipes and UNIX-domain sockets.
    #[default]
    Buffers,
    /// Files that the program writes.
    Files,
}

/// The most that all of one kind may take together, in bytes.
pub(super) fn share(of: For) -> usize {
    total() / if of == For::Buffers { BUFFER_SHARE } else { FILE_SHARE }
}

/// What is in use of a share, in bytes.
pub(super) fn used(of: For) -> usize {
    USED.with(|used| used[of as usize].get())
}

/// Bytes of one kind, which are given back when this is dropped.
#[derive(Default)]
pub(super) struct Reserved {
    bytes: Cell<usize>,
    of: For,
}

impl Reserved {
    /// Nothing yet, of this kind.
    pub(super) fn new(of: For) -> Self {
        Reserved { bytes: Cell::new(0), of }
    }

    /// How many it has.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Has `bytes` in all; or as many more as that is, if it has fewer once others had to give way.
    ///
    /// # Errors
    ///
    /// ENOBUFS, or ENOSPC for files, if the share is used up; then it has what it had.
    pub(super) fn set(&self, bytes: usize) -> Result {
        let more = bytes.saturating_sub(self.bytes.get());
        let less = self.bytes.get().saturating_sub(bytes);
        while more > 0 && more > share(self.of).saturating_sub(used(self.of)) {
            let is_evicted =
                self.of == For::Files && EVICT.with(Cell::get).is_some_and(|evict| evict());
            if !is_evicted {
                return Err(Errno(if self.of == For::Files { ENOSPC } else { ENOBUFS }));
            }
        }
        USED.with(|used| {
            let used = &used[self.of as usize];
            used.set(used.get() + more - less);
        });
        self.bytes.set(self.bytes.get() + more - less);
        Ok(())
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
        let share = share(For::Buffers);
        let (a, b) = (Reserved::default(), Reserved::default());
        assert_eq!(a.set(share - 1), Ok(()));
        assert_eq!((b.set(2), b.set(1)), (Err(Errno(ENOBUFS)), Ok(())));
        assert_eq!((a.set(0), b.set(share)), (Ok(()), Ok(())));
        drop(b);
        assert_eq!(a.set(share), Ok(()));
        let files = Reserved::new(For::Files);
        assert_eq!(files.set(super::share(For::Files) + 1), Err(Errno(ENOSPC)));
        assert_eq!((files.set(share), used(For::Files)), (Ok(()), share));
    }
}
