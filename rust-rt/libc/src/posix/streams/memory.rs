//! Streams on memory of the program: `fmemopen` and `open_memstream`.
//!
//! Each is on a [file without a name](super::super::files::nameless), and so is read, written and sought as others are.
//! What it holds is copied to where the program wants it whenever the stream is flushed, and when it is closed.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use super::super::files::nameless;
use super::super::parts::{Errno, Part, PartMut, Result};
use super::super::table::{self, O_ACCMODE, O_APPEND};
use super::super::{io, memory};
use super::calls::{flags, stream, stream_on};
use super::{O_WRONLY, Opened, Target};
use crate::errno::{EINVAL, ENOMEM, ENOSPC};
use crate::stdio::File;

const O_TRUNC: c_int = 0o1000;

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
}

/// Copies what a stream's file holds to its target.
///
/// # Errors
///
/// ENOSPC if it does not fit into the buffer, of which as much is filled as there is; ENOMEM.
///
/// # Safety
///
/// The target is the program's, and what it said when it made the stream.
unsafe fn deliver(target: Target, fd: c_int) -> Result {
    let file = io::file(fd)?;
    let n = file.end() as usize;
    // SAFETY: the caller has so many bytes there.
    let copy = |to: *mut u8, n: usize| unsafe {
        let bytes = core::slice::from_raw_parts_mut(to, n);
        file.read_at(&mut [PartMut::new(bytes)], 0)
    };
    match target {
        Target::Buffer(to, size) => {
            copy(to, n.min(size))?;
            if n < size {
                // SAFETY: within the buffer.
                unsafe { *to.add(n) = 0 };
            }
            if n > size { Err(Errno(ENOSPC)) } else { Ok(()) }
        }
        Target::Block(at, size) => {
            // SAFETY: NULL, or what this function has put there, and two words of the caller's.
            unsafe {
                let block = realloc((*at).cast(), n + 1).cast::<u8>();
                if block.is_null() {
                    return Err(Errno(ENOMEM));
                }
                *at = block;
                copy(block, n)?;
                *block.add(n) = 0;
                *size = n.min(file.seek(0, 1)? as usize);
            }
            Ok(())
        }
    }
}

/// A stream on a new file that has these bytes.
fn open(bytes: &[u8], flags: c_int) -> Result<&'static Opened> {
    let fd = nameless::create(0, nameless::MFD_CLOEXEC)?;
    let filled = table::get(fd).and_then(|description| {
        // Without these flags yet, so that it is written where it is.
        let n = io::file(fd)?.write_at(&[Part::new(bytes)], 0)?;
        description.set_flags(description.flags() | flags & O_APPEND);
        if n < bytes.len() { Err(Errno(ENOSPC)) } else { Ok(()) }
    });
    filled.inspect_err(|_| {
        let _ = table::close(fd);
    })?;
    // SAFETY: made just now.
    stream_on(fd, flags).map(|opened| unsafe { &*opened.cast::<Opened>() })
}

/// A stream that is for writing fills the buffer when it is flushed, with a NUL behind if there is room; flushing more
/// than the buffer has room for fails. Without a buffer it has its own.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fmemopen(
    buf: *mut u8,
    size: usize,
    mode: *const c_char,
) -> *const File {
    // SAFETY: a C string, and a buffer of this size unless it is NULL, by contract.
    let opened = unsafe { CStr::from_ptr(mode) };
    stream(flags(opened.to_bytes()).and_then(|flags| {
        let appends = flags & O_APPEND != 0;
        let there: &[u8] = match (buf.is_null(), flags & O_TRUNC) {
            // SAFETY: as above.
            (false, 0) => unsafe { core::slice::from_raw_parts(buf, size) },
            (false, _) if size > 0 => {
                // SAFETY: as above.
                unsafe { *buf = 0 };
                &[]
            }
            _ => &[],
        };
        let end = if appends { there.iter().position(|&b| b == 0) } else { None };
        let opened = open(&there[..end.unwrap_or(there.len())], flags)?;
        if !buf.is_null() && flags & O_ACCMODE != 0 {
            opened.deliver_to(deliver, Target::Buffer(buf, size));
        }
        if appends {
            io::file(opened.file.fd.get())?.seek(0, 2)?;
        }
        Ok(&raw const opened.file)
    }))
}

/// What is written is in a block of `malloc`'s whenever the stream is flushed, with a NUL behind that does not count.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn open_memstream(at: *mut *mut u8, size: *mut usize) -> *const File {
    if at.is_null() || size.is_null() {
        return stream(Err(Errno(EINVAL)));
    }
    stream(memory::need(memory::THING).and_then(|()| {
        let opened = open(&[], O_WRONLY)?;
        // SAFETY: the caller's, by contract.
        unsafe {
            *at = ptr::null_mut();
            *size = 0;
        }
        opened.deliver_to(deliver, Target::Block(at, size));
        Ok(&raw const opened.file)
    }))
}
