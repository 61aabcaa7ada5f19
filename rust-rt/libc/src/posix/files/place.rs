//! Where directories are. One that the program made can be renamed while it is open or the working directory, so that
//! its place is looked up when it is needed; all others stay where they are.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::node::{Above, Kind, Node};

/// A directory and the ones above it, from the root on.
pub(super) type Place = Vec<(Rc<[u8]>, Rc<Node>)>;

/// What has to be kept of a place so that [`current`] finds the node's again.
pub(super) fn kept(node: &Node, place: Place) -> Place {
    if node.is_directory() && !node.is_changeable() { place } else { Place::new() }
}

/// Where a directory is now, by what was [`kept`] of its place.
pub(super) fn current(node: &Rc<Node>, kept: &Place) -> Place {
    if !node.is_changeable() {
        return kept.clone();
    }
    let (mut place, mut at) = (Place::new(), Rc::clone(node));
    while let Some(Above { directory, name }) = at.above() {
        place.push((name, at));
        match directory.upgrade() {
            Some(above) => at = above,
            // It was removed, and so was the one that it was in.
            None => break,
        }
    }
    place.reverse();
    place
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
pub(super) fn path_of(place: &Place) -> Vec<u8> {
    let mut path: Vec<u8> = place.iter().flat_map(|(name, _)| [b"/", &name[..]].concat()).collect();
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

impl Node {
    /// Where a directory is. Nothing for the root, for what lies elsewhere, and for what is not a directory.
    fn above(&self) -> Option<Above> {
        let Kind::Directory(directory) = &self.kind else { return None };
        directory.above.borrow().clone()
    }
}
