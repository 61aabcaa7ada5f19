//! The blocks of metadata that were read last.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Bytes that are kept, at most.
const KEPT: usize = 128 << 10;

/// Blocks by their numbers, the one that was used last at the end.
pub(crate) struct Cache {
    blocks: RefCell<Vec<(u64, Rc<[u8]>)>>,
    most: usize,
}

impl Cache {
    /// An empty one, for blocks of this size.
    pub(crate) fn new(block: usize) -> Cache {
        Cache { blocks: RefCell::new(Vec::new()), most: (KEPT / block).max(2) }
    }

    /// A block, if it is kept.
    pub(crate) fn get(&self, number: u64) -> Option<Rc<[u8]>> {
        let mut blocks = self.blocks.borrow_mut();
        let at = blocks.iter().rposition(|(kept, _)| *kept == number)?;
        let found = blocks.remove(at);
        let bytes = Rc::clone(&found.1);
        blocks.push(found);
        Some(bytes)
    }

    /// Keeps one, in place of that which was not used for longest.
    pub(crate) fn put(&self, number: u64, bytes: Rc<[u8]>) {
        let mut blocks = self.blocks.borrow_mut();
        // Two that waited for the same block bring it twice.
        blocks.retain(|(kept, _)| *kept != number);
        if blocks.len() >= self.most {
            blocks.remove(0);
        }
        blocks.push((number, bytes));
    }
}
