//! Where directories are. One that the program made can be renamed while it is open or the working directory, so that
//! its place is looked up when it is needed; all others stay where they are.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::super::memory;
use super::super::parts::Result;
use super::node::{Above, Kind, Node};

/// A directory and the ones above it, from the root on.
pub(super) type Place = Vec<(Rc<[u8]>, Rc<Node>)>;

/// What has to be kept of a place so that [`current`] finds the node's again.
pub(super) fn kept(node: &Node, place: Place) -> Place {
    if node.is_directory() && !node.is_changeable() { place } else { Place::new() }
}

/// Where a directory is now, by what was [`kept`] of its place.
///
/// # Errors
///
/// ENOMEM.
pub(super) fn current(node: &Rc<Node>, kept: &Place) -> Result<Place> {
    let (mut place, mut at) = (Place::new(), Rc::clone(node));
    if !node.is_changeable() {
        memory::reserve(&mut place, kept.len())?;
        place.extend_from_slice(kept);
        return Ok(place);
    }
    while let Some(Above { directory, name }) = at.above() {
        memory::reserve(&mut place, 1)?;
        place.push((name, at));
        match directory.upgrade() {
            Some(above) => at = above,
            // It was removed, and so was the one that it was in.
            None => break,
        }
    }
    place.reverse();
    Ok(place)
}

/// Whether a directory is `node`, or somewhere in it.
pub(super) fn is_within(directory: &Rc<Node>, node: &Rc<Node>) -> bool {
    let mut at = Rc::clone(directory);
    loop {
        if Rc::ptr_eq(&at, node) {
            return true;
        }
        match at.above().and_then(|above| above.directory.upgrade()) {
            Some(above) => at = above,
            None => return false,
        }
    }
}

/// A place as an absolute path.
///
/// # Errors
///
/// ENOMEM.
pub(super) fn path_of(place: &Place) -> Result<Vec<u8>> {
    let mut path = Vec::new();
    memory::reserve(&mut path, place.iter().map(|(name, _)| 1 + name.len()).sum::<usize>().max(1))?;
    for (name, _) in place {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Ok(path)
}

impl Node {
    /// Where a directory is. Nothing for the root, for what lies elsewhere, and for what is not a directory.
    fn above(&self) -> Option<Above> {
        let Kind::Directory(directory) = &self.kind else { return None };
        directory.above.borrow().clone()
    }
}
