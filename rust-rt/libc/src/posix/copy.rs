//! From one descriptor to another: `sendfile`, `copy_file_range`.

use alloc::rc::Rc;
use core::ffi::{c_int, c_uint};

use super::answer::size;
use super::files::File;
use super::io::write_parts;
use super::object::downcast;
use super::parts::{Errno, Part, Result};
use super::table::{self, O_APPEND};
use crate::errno::{EBADF, EINVAL};

/// Bytes of the buffer between the two: what is copied at a time, at most.
const STEP: usize = 64 * 1024;
const SEEK_CUR: c_int = 1;

/// From a file to any descriptor, through a buffer.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn sendfile64(
    to: c_int,
    from: c_int,
    offset: *mut i64,
    count: usize,
) -> isize {
    // SAFETY: NULL or a writable offset, by contract.
    let offset = unsafe { offset.as_mut() };
    size(send_file(to, from, offset, count))
}

fn send_file(to: c_int, from: c_int, offset: Option<&mut i64>, count: usize) -> Result<usize> {
    let (source, target) = (table::get(from)?, table::get(to)?);
    if !source.may_read() || !target.may_write() {
        return Err(Errno(EBADF));
    }
    let file: Rc<File> = downcast(&source.object).ok_or(Errno(EINVAL))?;
    if target.flags() & O_APPEND != 0 {
        return Err(Errno(EINVAL));
    }
    let mut at = match &offset {
        Some(offset) => **offset,
        None => file.seek(0, SEEK_CUR)? as i64,
    };
    if at < 0 {
        return Err(Errno(EINVAL));
    }
    let write = &mut |bytes: &[u8]| write_parts(to, &[Part::new(bytes)]);
    let n = file.with_bytes_at(at, count.min(STEP), write)?;
    at += n as i64;
    match offset {
        Some(offset) => *offset = at,
        None => {
            file.seek(at, 0)?;
        }
    }
    Ok(n)
}

/// Between two files, through a buffer; what it copies at a time is less than what the caller may want.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_offset: *mut i64,
    to: c_int,
    to_offset: *mut i64,
    count: usize,
    flags: c_uint,
) -> isize {
    // SAFETY: NULL or writable offsets, by contract.
    let (from_offset, to_offset) = unsafe { (from_offset.as_mut(), to_offset.as_mut()) };
    size(copy_range((from, from_offset), (to, to_offset), count, flags))
}

fn copy_range(
    (from, from_offset): (c_int, Option<&mut i64>),
    (to, to_offset): (c_int, Option<&mut i64>),
    count: usize,
    flags: c_uint,
) -> Result<usize> {
    let target = table::get(to)?;
    let (source, file): (Rc<File>, Rc<File>) =
        match (downcast(&table::get(from)?.object), downcast(&target.object)) {
            (Some(source), Some(file)) if flags == 0 => (source, file),
            _ => return Err(Errno(EINVAL)),
        };
    // A file opened for appending has no offset to copy to: callers fall back to write.
    if !table::get(from)?.may_read() || !target.may_write() || file.appends() {
        return Err(Errno(EBADF));
    }
    let at = match &from_offset {
        Some(offset) => **offset,
        None => source.seek(0, SEEK_CUR)? as i64,
    };
    let to_at = match &to_offset {
        Some(offset) => **offset,
        None => file.seek(0, SEEK_CUR)? as i64,
    };
    if at < 0 {
        return Err(Errno(EINVAL));
    }
    let write = &mut |bytes: &[u8]| file.write_at(&[Part::new(bytes)], to_at);
    let n = source.with_bytes_at(at, count.min(STEP), write)?;
    match from_offset {
        Some(offset) => *offset += n as i64,
        None => drop(source.seek(at + n as i64, 0)?),
    }
    match to_offset {
        Some(offset) => *offset += n as i64,
        None => drop(file.seek(to_at + n as i64, 0)?),
    }
    Ok(n)
}

/// Refused with EINVAL, as for descriptors without pages to move: callers then fall back to copying.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) extern "C" fn splice(
    from: c_int,
    _from_offset: *mut i64,
    to: c_int,
    _to_offset: *mut i64,
    _count: usize,
    _flags: c_uint,
) -> isize {
    size(table::get(from).and(table::get(to)).and(Err(Errno(EINVAL))))
}
