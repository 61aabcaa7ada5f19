//! Where a stream is in its file.

use core::ffi::{c_int, c_long};

use super::super::parts::{Errno, Result};
use super::super::small::calls;
use super::{Locked, or_end};
use crate::errno;
use crate::stdio::{END, ERROR, File};

/// Of `fpos_t`, which is opaque, the offset.
type Position = i64;

/// # Safety
///
/// It is a stream that is open.
unsafe fn seek(stream: *const File, offset: i64, whence: c_int) -> Result {
    // SAFETY: as the caller says.
    let mut locked = unsafe { Locked::of(stream) }?;
    let fd = locked.fd();
    locked.buffer().seek(fd, offset, whence)?;
    locked.0.file.forget(END);
    Ok(())
}

/// # Safety
///
/// It is a stream that is open.
unsafe fn tell(stream: *const File) -> Result<i64> {
    // SAFETY: as the caller says.
    let mut locked = unsafe { Locked::of(stream) }?;
    let fd = locked.fd();
    locked.buffer().tell(fd).map(|at| at as i64)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fseek(stream: *const File, offset: c_long, whence: c_int) -> c_int {
    // SAFETY: a stream of the caller's.
    or_end(unsafe { seek(stream, offset, whence) }.map(|()| 0))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn ftell(stream: *const File) -> c_long {
    // SAFETY: a stream of the caller's.
    unsafe { tell(stream) }.unwrap_or_else(|Errno(error)| errno::fail(error).into())
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn rewind(stream: *const File) {
    // SAFETY: a stream of the caller's.
    unsafe {
        fseek(stream, 0, 0);
        (*stream).forget(ERROR);
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fgetpos(stream: *const File, to: *mut Position) -> c_int {
    // SAFETY: a stream of the caller's, and a position that is writable.
    or_end(unsafe { tell(stream).map(|at| *to = at) }.map(|()| 0))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fsetpos(stream: *const File, from: *const Position) -> c_int {
    // SAFETY: a stream of the caller's, and a position that `fgetpos` wrote.
    unsafe { fseek(stream, *from, 0) }
}

calls! {
    fseeko(stream: *const File, offset: i64, whence: c_int) -> c_int = fseek;
    fseeko64(stream: *const File, offset: i64, whence: c_int) -> c_int = fseek;
    ftello(stream: *const File) -> i64 = ftell;
    ftello64(stream: *const File) -> i64 = ftell;
    fgetpos64(stream: *const File, to: *mut Position) -> c_int = fgetpos;
    fsetpos64(stream: *const File, from: *const Position) -> c_int = fsetpos;
}
