//! Files that the program writes: they are in memory, below the directories that are made for them, and end with the
//! domain.
//!
//! A file takes memory only for the pages that were written, so that one with holes is small. All files together have a
//! share of the domain's memory, in which each file, each name and each link's target counts as well; beyond it,
//! writing fails with ENOSPC. A program that writes no file uses no memory for this.

use crate::host;

/// The number of the device that such files are on.
pub(super) const DEVICE: u64 = 3;
/// What a file takes without contents, about; a directory or a link too.
pub(super) const NODE_COST: usize = 320;
/// What a directory takes besides: its map has memory for eleven names at a time.
pub(super) const DIRECTORY_COST: usize = 480;
/// What a name takes besides its bytes, about: its place in the directory's map, and the heap's.
pub(super) const NAME_COST: usize = 192;

/// The time, in nanoseconds since 1970.
pub(super) fn now() -> u64 {
    (host::get().wall_ns)()
}
