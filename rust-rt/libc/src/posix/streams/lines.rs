//! Reading by the line.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use super::super::parts::{Errno, Result};
use super::super::small::calls;
use super::Locked;
use crate::errno::{self, EINVAL, ENOMEM};
use crate::stdio::{EOF, File};

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
}

/// Takes octets up to `end`, that one included, piece by piece, until `keep` wants no more. Whether there were any.
fn take_until(
    locked: &mut Locked,
    end: u8,
    mut room: usize,
    mut keep: impl FnMut(&[u8]) -> Result,
) -> Result<bool> {
    let mut any = false;
    while room > 0 {
        let Some(unread) = locked.unread()? else { break };
        let n = unread.iter().position(|&byte| byte == end).map_or(unread.len(), |at| at + 1);
        let piece = &unread[..n.min(room)];
        keep(piece)?;
        let (n, last) = (piece.len(), piece.last() == Some(&end));
        locked.buffer().take(n);
        (any, room) = (true, room - n);
        if last {
            break;
        }
    }
    Ok(any)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn fgets(
    to: *mut c_char,
    size: c_int,
    stream: *const File,
) -> *mut c_char {
    let Ok(size @ 1..) = usize::try_from(size) else {
        errno::set(EINVAL);
        return ptr::null_mut();
    };
    let mut at = to.cast::<u8>();
    // SAFETY: a stream of the caller's.
    let any = unsafe { Locked::to_read(stream) }.and_then(|mut locked| {
        take_until(&mut locked, b'\n', size - 1, |piece| {
            // SAFETY: all pieces together are shorter than the `size` bytes of the caller's.
            unsafe {
                at.copy_from_nonoverlapping(piece.as_ptr(), piece.len());
                at = at.add(piece.len());
            }
            Ok(())
        })
    });
    match any {
        Ok(any) if any || size == 1 => {
            // SAFETY: there is room for one more.
            unsafe { *at = 0 };
            to
        }
        answer => {
            if let Err(Errno(error)) = answer {
                errno::set(error);
            }
            ptr::null_mut()
        }
    }
}

/// Into a block of `malloc`, which grows. How long the line is with its end; -1 at the end of the stream.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getdelim(
    line: *mut *mut c_char,
    size: *mut usize,
    end: c_int,
    stream: *const File,
) -> isize {
    if line.is_null() || size.is_null() {
        return errno::fail(EINVAL) as isize;
    }
    let mut length = 0;
    // SAFETY: a stream of the caller's.
    let any = unsafe { Locked::to_read(stream) }.and_then(|mut locked| {
        take_until(&mut locked, end as u8, isize::MAX as usize, |piece| {
            // SAFETY: both are writable; the block is NULL or has `size` bytes.
            unsafe {
                let needed = length + piece.len() + 1;
                if (*line).is_null() || *size < needed {
                    let wanted = needed.max(120).max(2 * length);
                    let block = realloc((*line).cast(), wanted);
                    if block.is_null() {
                        return Err(Errno(ENOMEM));
                    }
                    (*line, *size) = (block.cast(), wanted);
                }
                let to = (*line).cast::<u8>().add(length);
                to.copy_from_nonoverlapping(piece.as_ptr(), piece.len());
                length += piece.len();
                *(*line).add(length) = 0;
            }
            Ok(())
        })
    });
    match any {
        Ok(true) => length as isize,
        Ok(false) => EOF as isize,
        Err(Errno(error)) => errno::fail(error) as isize,
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getline(
    line: *mut *mut c_char,
    size: *mut usize,
    stream: *const File,
) -> isize {
    // SAFETY: the contract is the same.
    unsafe { getdelim(line, size, b'\n'.into(), stream) }
}

calls! {
    __getdelim(line: *mut *mut c_char, n: *mut usize, end: c_int, stream: *const File) -> isize = getdelim;
    fgets_unlocked(to: *mut c_char, size: c_int, stream: *const File) -> *mut c_char = fgets;
}
