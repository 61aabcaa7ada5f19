//! What of a file's contents is elsewhere: in memory are only the pages that were asked for, and those that have changed.

use core::ops::Range;

use super::super::parts::Result;
use super::super::turns::Turn;
use super::block::PAGE;

/// The rest of a file. The trait leaves the code out of programs whose files are temporary.
pub(super) trait Below {
    /// Pages from this one on are not elsewhere.
    fn end(&self) -> u64;

    /// How many pages are.
    fn pages(&self) -> u64;

    /// Copies a page from there; false if it has none. Waits.
    fn fetch(&self, number: u64, to: &mut [u8; PAGE]) -> Result<bool>;

    /// A turn to change the file, in which the one who has it may wait. Waits.
    fn turn(&self) -> Result<Turn<'_>>;

    /// Sees to it that this page, once it is written, has room where it will be, and that not too much that has changed
    /// is in memory. Waits.
    ///
    /// # Errors
    ///
    /// ENOSPC, and those of a commit.
    fn make_room(&self, number: u64) -> Result;

    /// ENOSPC if there is no room for these pages once they are written.
    fn allocate(&self, pages: Range<u64>) -> Result;

    /// Commits what has changed, so that it can give up its memory. Waits.
    fn clean(&self) -> Result;

    /// A page was written, in memory.
    fn changed(&self, number: u64);

    /// Pages from this one on are no longer the file's.
    fn cut(&self, from: u64);

    /// So many pages are there, before `end`.
    fn stored(&self, end: u64, pages: u64);

    /// Notes that the file has no name any more. True if what is elsewhere goes when the file does.
    fn unnamed(&self) -> bool;
}
