//! `opendir`, `readdir` and their kin.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_void};

use super::super::answer::status;
use super::super::memory;
use super::super::object::downcast;
use super::super::parts::{Errno, Result};
use super::super::table;
use super::calls::{O_DIRECTORY, open_at, path_argument};
use super::listing::Listing;
use super::lookup::AT_FDCWD;
use super::node::{self, Name};
use super::place::current;
use super::{File, root};
use crate::errno::{self, EFAULT, EINVAL, ENOTDIR};

/// `struct dirent64`.
#[repr(C)]
pub(super) struct DirectoryEntry {
    inode: u64,
    offset: i64,
    size: u16,
    kind: u8,
    name: [u8; 256],
}

/// C's `DIR`, with the names as they were when it was opened.
pub(in super::super) struct Directory {
    fd: c_int,
    entries: Listing,
    at: usize,
    entry: DirectoryEntry,
}

/// The names in an open directory. Waits if they are on a volume.
pub(super) fn entries(fd: c_int) -> Result<Listing> {
    let file: Rc<File> = downcast(&table::get(fd)?.object).ok_or(Errno(ENOTDIR))?;
    if !file.node.is_directory() {
        return Err(Errno(ENOTDIR));
    }
    let above = root::get()?.above(&current(&file.node, &file.place)?).inode;
    let inside = node::names(&file.node)?;
    let mut names: Vec<Name> = Vec::new();
    memory::reserve(&mut names, inside.len() + 2)?;
    memory::need(memory::THING)?;
    names.push((Rc::from(&b"."[..]), file.node.inode, 4));
    names.push((Rc::from(&b".."[..]), above, 4));
    names.extend(inside);
    Listing::new(names)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn opendir(path: *const c_char) -> *mut Directory {
    // SAFETY: the contract is the same.
    let path = unsafe { path_argument(path) };
    let opened = path.and_then(|path| open_at(AT_FDCWD, path, O_DIRECTORY, 0));
    answer(opened.and_then(|fd| {
        open(fd).inspect_err(|_| {
            let _ = table::close(fd);
        })
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn fdopendir(fd: c_int) -> *mut Directory {
    answer(open(fd))
}

fn open(fd: c_int) -> Result<Box<Directory>> {
    let entry = DirectoryEntry { inode: 0, offset: 0, size: 0, kind: 0, name: [0; 256] };
    let entries = entries(fd)?;
    memory::need(memory::THING)?;
    Ok(Box::new(Directory { fd, entries, at: 0, entry }))
}

fn answer(directory: Result<Box<Directory>>) -> *mut Directory {
    directory.map_or_else(
        |Errno(errno)| {
            errno::set(errno);
            core::ptr::null_mut()
        },
        Box::into_raw,
    )
}

/// The entry is valid until the next call with the same directory.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn readdir64(directory: *mut Directory) -> *const DirectoryEntry {
    // SAFETY: `opendir` made it, and `closedir` was not called, by contract.
    let directory = unsafe { &mut *directory };
    let Some((name, inode, kind)) = directory.entries.names.get(directory.at) else {
        return core::ptr::null();
    };
    let entry = &mut directory.entry;
    entry.name = [0; 256];
    // Names are shorter than 256 bytes: longer ones cannot be looked up, nor are they unpacked.
    let n = name.len().min(255);
    entry.name[..n].copy_from_slice(&name[..n]);
    directory.at += 1;
    (entry.inode, entry.kind, entry.offset) = (*inode, *kind, directory.at as i64);
    entry.size = size_of::<DirectoryEntry>() as u16;
    &raw const *entry
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn readdir(directory: *mut Directory) -> *const DirectoryEntry {
    // SAFETY: the contract is the same.
    unsafe { readdir64(directory) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn rewinddir(directory: *mut Directory) {
    // SAFETY: as in `readdir64`.
    unsafe { (*directory).at = 0 }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn dirfd(directory: *const Directory) -> c_int {
    // SAFETY: as in `readdir64`.
    unsafe { (*directory).fd }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn closedir(directory: *mut Directory) -> c_int {
    if directory.is_null() {
        return status(Err(Errno(EINVAL)));
    }
    // SAFETY: `opendir` made it with `Box::into_raw`, and this is its last use, by contract.
    let directory = unsafe { Box::from_raw(directory) };
    status(table::close(directory.fd))
}

/// `getdents64`, for those who call the kernel.
///
/// # Safety
///
/// `n` bytes at `buf` are writable.
pub(in super::super) unsafe fn read_directory(
    fd: c_int,
    buf: *mut c_void,
    n: usize,
) -> Result<usize> {
    let file: Rc<File> = downcast(&table::get(fd)?.object).ok_or(Errno(ENOTDIR))?;
    if buf.is_null() && n > 0 {
        return Err(Errno(EFAULT));
    }
    let mut written = 0;
    let start = file.offset.get() as usize;
    let kept = file.listing.borrow().clone();
    let entries = match kept.filter(|_| start > 0) {
        Some(entries) => entries,
        None => {
            let entries = entries(fd)?;
            memory::need(memory::THING)?;
            let entries = Rc::new(entries);
            file.listing.replace(Some(Rc::clone(&entries)));
            entries
        }
    };
    for (at, (name, inode, kind)) in entries.names.iter().enumerate().skip(start) {
        let record = (19 + name.len() + 1).next_multiple_of(8);
        if written + record > n {
            if written == 0 {
                return Err(Errno(EINVAL));
            }
            break;
        }
        // SAFETY: `record` bytes are left of the caller's `n`.
        let to = unsafe { core::slice::from_raw_parts_mut(buf.cast::<u8>().add(written), record) };
        to.fill(0);
        to[..8].copy_from_slice(&inode.to_ne_bytes());
        to[8..16].copy_from_slice(&(at as i64 + 1).to_ne_bytes());
        to[16..18].copy_from_slice(&(record as u16).to_ne_bytes());
        to[18] = *kind;
        to[19..19 + name.len()].copy_from_slice(name);
        written += record;
        file.offset.set(at as u64 + 1);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn the_layout_is_the_hosts() {
        assert_eq!(size_of::<DirectoryEntry>(), size_of::<host_libc::dirent64>());
        assert_eq!(offset_of!(DirectoryEntry, name), offset_of!(host_libc::dirent64, d_name));
        assert_eq!(offset_of!(DirectoryEntry, kind), offset_of!(host_libc::dirent64, d_type));
    }
}
