//! Where paths start, and what they lead to.

use alloc::rc::Rc;
use core::cell::RefCell;
use core::ffi::c_int;

use super::super::local::local;
use super::super::object::downcast;
use super::super::parts::{Errno, Result};
use super::super::table;
use super::node::Node;
use super::place::{Place, current, kept};
use super::tree::Found;
use super::{File, root};
use crate::errno::{ENOENT, ENOTDIR};

/// The directory that relative paths start from.
pub(in super::super) const AT_FDCWD: c_int = -100;

local! {
    /// The working directory, and what is [`kept`] of its place; the root at first.
    static HERE: RefCell<Option<(Rc<Node>, Place)>> = const { RefCell::new(None) };
}

/// The working directory, unless it is the root, and where it is.
///
/// # Errors
///
/// ENOMEM.
pub(super) fn here() -> Result<(Option<Rc<Node>>, Place)> {
    HERE.with(|here| match &*here.borrow() {
        Some((node, kept)) => Ok((Some(Rc::clone(node)), current(node, kept)?)),
        None => Ok((None, Place::new())),
    })
}

/// What a path leads to, from the directory `dir` on.
pub(super) fn find(dir: c_int, path: &[u8], follow: bool) -> Result<Found> {
    let start = match path.first() {
        None => return Err(Errno(ENOENT)),
        Some(b'/') => Place::new(),
        Some(_) if dir == AT_FDCWD => here()?.1,
        Some(_) => {
            let file: Rc<File> = downcast(&table::get(dir)?.object).ok_or(Errno(ENOTDIR))?;
            if !file.node.is_directory() {
                return Err(Errno(ENOTDIR));
            }
            current(&file.node, &file.place)?
        }
    };
    root::get()?.find(&start, path, follow)
}

/// Has relative paths start from a directory that was found.
pub(super) fn start_from(found: Found) -> Result {
    let node = found.node.ok_or(Errno(ENOENT))?;
    if !node.is_directory() {
        return Err(Errno(ENOTDIR));
    }
    let kept = kept(&node, found.place);
    drop(HERE.with(|here| here.replace(Some((node, kept)))));
    Ok(())
}
