//! How much room there is for files: `statvfs`, `statfs`. What a program writes has its share of the memory; where it
//! can write nothing there is none, as on an image of a disk that is read.

use core::ffi::{c_char, c_int};

use super::super::answer::status;
use super::super::memory::{For, share, used};
use super::super::object::downcast;
use super::super::parts::{Errno, Result};
use super::super::table;
use super::File;
use super::calls::path_argument;
use super::lookup::{AT_FDCWD, find};
use super::node::Node;
use crate::errno::{EFAULT, ENOENT};
use mirust_mem::PAGE_SIZE;

const ST_RDONLY: u64 = 1;
/// Only in `statfs`: the flags are meant.
const ST_VALID: u64 = 0x20;
/// TMPFS_MAGIC, and EROFS_SUPER_MAGIC_V1 for all that is only read, wherever it came from.
const TYPES: [u32; 2] = [0x0102_1994, 0xe0f5_e1e2];
/// Bytes of the longest name in a directory.
const LONGEST_NAME: u64 = 255;
/// A file without contents takes this many bytes.
const FILE: u64 = 512;

/// What both calls say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Space {
    kind: u32,
    flags: u64,
    /// Pages, and files of which nothing is known but the room for them: all, free.
    blocks: [u64; 2],
    files: [u64; 2],
}

impl Space {
    /// Where such a file is; none for a socket and the like.
    fn around(node: Option<&Node>) -> Space {
        if !node.is_some_and(Node::is_changeable) {
            return Space { kind: TYPES[1], flags: ST_RDONLY, blocks: [0; 2], files: [0; 2] };
        }
        let all = share(For::Files) as u64;
        let memory = [all, all.saturating_sub(used(For::Files) as u64)];
        let blocks = match node.and_then(Node::keeper) {
            Some(keeper) => keeper.room().into(),
            None => memory.map(|bytes| bytes / PAGE_SIZE as u64),
        };
        Space { kind: TYPES[0], flags: 0, blocks, files: memory.map(|bytes| bytes / FILE) }
    }
}

/// `struct statvfs`.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub(in super::super) struct FileSystem {
    block: u64,
    fragment: u64,
    blocks: u64,
    /// Free ones, and those of them that an ordinary user may have.
    free: [u64; 2],
    files: u64,
    free_files: [u64; 2],
    id: u64,
    flags: u64,
    name: u64,
    kind: u32,
    spare: [c_int; 5],
}

/// `struct statfs`.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub(in super::super) struct LinuxFileSystem {
    kind: u64,
    block: u64,
    blocks: u64,
    free: [u64; 2],
    files: u64,
    free_files: u64,
    id: [c_int; 2],
    name: u64,
    fragment: u64,
    flags: u64,
    spare: [u64; 4],
}

impl From<Space> for FileSystem {
    fn from(space: Space) -> Self {
        FileSystem {
            block: PAGE_SIZE as u64,
            fragment: PAGE_SIZE as u64,
            blocks: space.blocks[0],
            free: [space.blocks[1]; 2],
            files: space.files[0],
            free_files: [space.files[1]; 2],
            id: 0,
            flags: space.flags,
            name: LONGEST_NAME,
            kind: space.kind,
            spare: [0; 5],
        }
    }
}

impl From<Space> for LinuxFileSystem {
    fn from(space: Space) -> Self {
        LinuxFileSystem {
            kind: space.kind.into(),
            block: PAGE_SIZE as u64,
            blocks: space.blocks[0],
            free: [space.blocks[1]; 2],
            files: space.files[0],
            free_files: space.files[1],
            id: [0; 2],
            name: LONGEST_NAME,
            fragment: PAGE_SIZE as u64,
            flags: space.flags | ST_VALID,
            spare: [0; 4],
        }
    }
}

/// Around what a path leads to.
///
/// # Safety
///
/// The path is NULL or a C string.
unsafe fn at_path(path: *const c_char) -> Result<Space> {
    // SAFETY: as the caller says.
    let found = find(AT_FDCWD, unsafe { path_argument(path) }?, true)?;
    Ok(Space::around(Some(&*found.node.ok_or(Errno(ENOENT))?)))
}

/// Around what a descriptor stands for.
///
/// # Safety
///
/// None: it is unsafe only because [`at_path`] is, and both are called by the same code.
unsafe fn at_descriptor(fd: c_int) -> Result<Space> {
    let file = downcast::<File>(&table::get(fd)?.object);
    Ok(Space::around(file.as_ref().map(|file| &*file.node)))
}

/// Gives a C caller the answer.
///
/// # Safety
///
/// `to` is NULL or writable.
unsafe fn answer<T: From<Space>>(space: Result<Space>, to: *mut T) -> c_int {
    status(space.and_then(|space| {
        if to.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: as the caller says.
        unsafe { to.write(space.into()) };
        Ok(())
    }))
}

macro_rules! calls {
    ($($name:ident($where:ident: $argument:ty) -> $structure:ty;)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(in super::super) unsafe extern "C" fn $name(
            place: $argument,
            to: *mut $structure,
        ) -> c_int {
            // SAFETY: the contract is the same.
            unsafe { answer($where(place), to) }
        }
    )*};
}

// The names for large files have the same structures.
calls! {
    statvfs(at_path: *const c_char) -> FileSystem;
    statvfs64(at_path: *const c_char) -> FileSystem;
    fstatvfs(at_descriptor: c_int) -> FileSystem;
    fstatvfs64(at_descriptor: c_int) -> FileSystem;
    statfs(at_path: *const c_char) -> LinuxFileSystem;
    statfs64(at_path: *const c_char) -> LinuxFileSystem;
    fstatfs(at_descriptor: c_int) -> LinuxFileSystem;
    fstatfs64(at_descriptor: c_int) -> LinuxFileSystem;
}

#[cfg(test)]
mod tests;
