//! `fscanf` and its kin: what is unread is scanned, and scanned again when it may have ended too early.

use core::ffi::{c_char, c_int};

use super::super::parts::Result;
use super::{Locked, or_end, stdin};
use crate::asm::{VaList, variadic};
use crate::cstr;
use crate::scanf::scan;
use crate::stdio::{END, EOF, File};

variadic!("fscanf", 2 => vfscanf);
variadic!("__isoc99_fscanf", 2 => vfscanf);
variadic!("__isoc23_fscanf", 2 => vfscanf);
variadic!("scanf", 1 => vscanf);
variadic!("__isoc99_scanf", 1 => vscanf);
variadic!("__isoc23_scanf", 1 => vscanf);

/// A number that goes on behind this was not to be read.
const LONGEST_NUMBER: usize = 512;

/// One conversion is at most as long as the stream's buffer.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn vfscanf(
    stream: *const File,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    or_end(unsafe { scan_stream(stream, format, args) })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn vscanf(format: *const c_char, args: *mut VaList) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { vfscanf(stdin.0, format, args) }
}

/// # Safety
///
/// It is a stream that is open, a C string, and a list with what that names.
unsafe fn scan_stream(
    stream: *const File,
    format: *const c_char,
    args: *mut VaList,
) -> Result<c_int> {
    // SAFETY: as the caller says.
    let mut locked = unsafe { Locked::to_read(stream) }?;
    let fd = locked.fd();
    if locked.unread()?.is_none() {
        return Ok(EOF);
    }
    loop {
        let mut at = 0;
        let unread = locked.buffer().unread();
        // SAFETY: as the caller says. Each attempt begins with the first argument, and writes what the last one has.
        let result = unsafe { scan(unread, cstr::bytes(format), &mut args.read(), &mut at) };
        // What follows may be the beginning of something.
        let rest = &unread[at..];
        let ended = rest.len() < LONGEST_NUMBER && !rest.iter().any(u8::is_ascii_whitespace);
        if !ended || locked.0.file.has(END) || locked.buffer().is_full() {
            locked.buffer().take(at);
            return Ok(result);
        }
        let more = locked.buffer().fill(fd);
        locked.note(more.map(|n| n == 0))?;
    }
}
