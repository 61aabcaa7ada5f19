//! A name in a directory that the program may write, and what is done with it.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::ffi::c_uint;

use super::super::memory::{For, Reserved};
use super::super::parts::{Errno, Result};
use super::root;
use super::temporary::{self, Contents, NODE_COST};
use super::tree::{Directory, Found, Kind, Node, REGULAR};
use crate::errno::{EBUSY, EEXIST, ENOENT, EROFS};

/// The bits of a mode that are permissions.
pub(super) const PERMISSIONS: u32 = 0o7777;
/// What `umask` sets is not kept: there is one user, who may do everything.
pub(super) const MASK: c_uint = 0o022;

/// The name that a path ends with, and the directory that has it.
pub(super) struct Entry {
    pub(super) directory: Rc<Node>,
    pub(super) name: Box<[u8]>,
    pub(super) node: Option<Rc<Node>>,
}

impl Entry {
    /// EBUSY for the root, which has no name.
    pub(super) fn of(found: Found) -> Result<Entry> {
        let Found { mut place, node } = found;
        let above = root::get().above(&place);
        let (name, last) = place.pop().ok_or(Errno(EBUSY))?;
        // With a name that is not there, a place has its directory.
        let directory = if node.is_some() { above } else { last };
        Ok(Entry { directory, name, node })
    }

    pub(super) fn directory(&self) -> Result<&Directory> {
        match &self.directory.kind {
            Kind::Directory(directory) if self.directory.is_temporary() => Ok(directory),
            _ => Err(Errno(EROFS)),
        }
    }

    /// Gives the name to a node.
    ///
    /// # Errors
    ///
    /// EEXIST, EROFS; ENOENT in a directory that was removed.
    pub(super) fn insert(&self, node: Rc<Node>) -> Result {
        if self.node.is_some() {
            return Err(Errno(EEXIST));
        }
        let directory = self.directory()?;
        if self.directory.links.get() == 0 {
            return Err(Errno(ENOENT));
        }
        let deeper = u64::from(node.is_directory());
        directory.own.borrow_mut().insert(self.name.clone(), node);
        self.directory.links.set(self.directory.links.get() + deeper);
        self.directory.modified.set(temporary::now());
        Ok(())
    }

    /// Makes a new node and gives it the name.
    ///
    /// # Errors
    ///
    /// As [`insert`](Entry::insert); ENOSPC.
    pub(super) fn make(&self, mode: u32, kind: Kind) -> Result<Rc<Node>> {
        self.directory()?;
        let space = Reserved::new(For::Files);
        space.set(NODE_COST + self.name.len())?;
        let node = Node::temporary(mode, temporary::now(), kind, space);
        self.insert(Rc::clone(&node))?;
        Ok(node)
    }

    /// Takes the name away from its node.
    pub(super) fn remove(&self) -> Result {
        let node = self.node.as_ref().ok_or(Errno(ENOENT))?;
        let directory = self.directory()?;
        // What a ramdisk or a disk has there is not the program's.
        if !node.is_temporary() {
            return Err(Errno(EROFS));
        }
        if node.is_directory() {
            self.directory.links.set(self.directory.links.get() - 1);
            node.links.set(0);
        } else {
            node.links.set(node.links.get() - 1);
        }
        let removed = directory.own.borrow_mut().remove(&self.name);
        self.directory.modified.set(temporary::now());
        drop(removed);
        Ok(())
    }
}

/// A new file, which `open` makes.
pub(super) fn create(found: Found, mode: c_uint) -> Result<Rc<Node>> {
    Entry::of(found)?.make(REGULAR | mode & PERMISSIONS & !MASK, Kind::Written(Contents::new()))
}
