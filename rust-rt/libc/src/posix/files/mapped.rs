//! Shared mappings of files that the program writes.
//!
//! There is one address space, so that to share memory is to have its address: a file that is mapped keeps its contents in
//! one [block](super::block) from then on, and every mapping of it, at whatever offset, is a part of that block.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;

use super::super::local::local;
use super::super::parts::{Errno, Result};
use super::block::{Block, PAGE};
use super::node::Node;
use crate::errno::ENOMEM;

/// What the program has mapped.
struct Mapping {
    at: usize,
    len: usize,
    file: Weak<Node>,
    _block: Rc<Block>,
}

impl Mapping {
    fn is_in(&self, at: usize, len: usize) -> bool {
        self.at < at.saturating_add(len) && at < self.at + self.len
    }
}

local! {
    static MAPPINGS: RefCell<Vec<Mapping>> = RefCell::new(Vec::new());
}

/// Maps `len` bytes of a file's block from an offset on, which are there; where they are.
pub(super) fn map(file: &Rc<Node>, block: Rc<Block>, offset: usize, len: usize) -> Result<usize> {
    let file = Rc::downgrade(file);
    let (at, len) = (block.address() + offset, len.next_multiple_of(PAGE));
    MAPPINGS.with(|mappings| {
        let mut mappings = mappings.borrow_mut();
        mappings.try_reserve(1).map_err(|_| Errno(ENOMEM))?;
        mappings.push(Mapping { at, len, file, _block: block });
        Ok(at)
    })
}

/// Whether there are such mappings in a range.
pub(super) fn is_shared(at: usize, len: usize) -> bool {
    MAPPINGS.with(|mappings| mappings.borrow().iter().any(|of| of.is_in(at, len)))
}

/// The program may write to such mappings in a range from now on: a file that persists is told.
pub(super) fn write(at: usize, len: usize) {
    MAPPINGS.with(|mappings| {
        for mapping in mappings.borrow().iter().filter(|of| of.is_in(at, len)) {
            let Some(file) = mapping.file.upgrade() else { continue };
            if let Some(keeper) = file.keeper() {
                keeper.mapped(&file);
            }
        }
    });
}

/// Ends such a mapping, or a part of one at its beginning or its end. Whether it was one; what is in the middle stays.
pub(super) fn unshare(at: usize, len: usize) -> bool {
    if len == 0 || at % PAGE != 0 {
        return false;
    }
    let end = at.saturating_add(len).next_multiple_of(PAGE);
    // Dropped at the end, which may give a file's memory back.
    let mut gone = None;
    MAPPINGS.with(|mappings| {
        let mut mappings = mappings.borrow_mut();
        let is_whole = |of: &Mapping| of.at == at && of.at + of.len == end;
        let is_part = |of: &Mapping| of.at <= at && end <= of.at + of.len;
        let place =
            mappings.iter().position(is_whole).or_else(|| mappings.iter().position(is_part));
        let Some(place) = place else { return false };
        let mapping = &mut mappings[place];
        let (start, stop) = (mapping.at, mapping.at + mapping.len);
        match (start == at, end == stop) {
            (true, true) => gone = Some(mappings.swap_remove(place)),
            (true, false) => (mapping.at, mapping.len) = (end, stop - end),
            (false, true) => mapping.len = at - start,
            (false, false) => {}
        }
        true
    })
}
