//! Page tables, as the address-space manager sees them.

use alloc::boxed::Box;

use crate::page::OutOfMemory;

/// A page-aligned virtual address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VirtPage(pub usize);

/// A page frame, named by its page-aligned physical address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Frame(pub usize);

/// What a mapped page allows. There is no writable and executable page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prot {
    /// No access: the frame stays mapped, each access faults.
    None,
    /// Read only.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

/// The page tables of the only address space there is.
///
/// # Safety
///
/// An implementation must map exactly what it is told: the callers hand out references to the
/// memory that they believe is mapped.
pub unsafe trait PageTables {
    /// Maps `page` to `frame`. Fails when no frame is left for a table.
    fn map(&mut self, page: VirtPage, frame: Frame, prot: Prot) -> Result<(), OutOfMemory>;

    /// Removes the mapping of `page` and returns the frame it had, if any.
    fn unmap(&mut self, page: VirtPage) -> Option<Frame>;

    /// Changes what the mapped `page` allows; false when it is not mapped, or when no frame is left for a table.
    fn protect(&mut self, page: VirtPage, prot: Prot) -> bool;
}

// SAFETY: does what the tables in the box do.
unsafe impl<T: PageTables + ?Sized> PageTables for Box<T> {
    fn map(&mut self, page: VirtPage, frame: Frame, prot: Prot) -> Result<(), OutOfMemory> {
        (**self).map(page, frame, prot)
    }

    fn unmap(&mut self, page: VirtPage) -> Option<Frame> {
        (**self).unmap(page)
    }

    fn protect(&mut self, page: VirtPage, prot: Prot) -> bool {
        (**self).protect(page, prot)
    }
}
