//! `fscanf` and its kin: what is unread is scanned, and scanned again with more where it ended too early.

use core::ffi::{c_char, c_int};

use super::super::parts::{Errno, Result};
use super::super::small::calls;
use super::{Locked, or_end, stdin};
use crate::asm::{VaList, variadic};
use crate::scanf::{Input, scan};
use crate::stdio::{END, ERROR, File};
use crate::{cstr, errno};

variadic!("fscanf", 2 => vfscanf);
variadic!("__isoc99_fscanf", 2 => vfscanf);
variadic!("__isoc23_fscanf", 2 => vfscanf);
variadic!("scanf", 1 => vscanf);
variadic!("__isoc99_scanf", 1 => vscanf);
variadic!("__isoc23_scanf", 1 => vscanf);

/// All that one call takes is at most 64 KiB.
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
    loop {
        let mut input = Input::new(locked.buffer().unread());
        // SAFETY: as the caller says. Each attempt begins with the first argument, and writes what the last one has.
        let result = unsafe { scan::<true>(&mut input, cstr::bytes(format), &mut args.read()) };
        let Input { at, short, .. } = input;
        // What an error keeps from coming is as at the end; what was read before it counts.
        let more = short
            && !locked.0.file.has(END)
            && match locked.buffer().fill(fd) {
                Ok(n) => {
                    let _ = locked.note(Ok(n == 0));
                    n > 0
                }
                Err(Errno(error)) => {
                    errno::set(error);
                    locked.0.file.note(ERROR);
                    false
                }
            };
        if !more {
            locked.buffer().take(at);
            return Ok(result);
        }
    }
}

calls! {
    __isoc99_vfscanf(stream: *const File, format: *const c_char, args: *mut VaList) -> c_int = vfscanf;
    __isoc23_vfscanf(stream: *const File, format: *const c_char, args: *mut VaList) -> c_int = vfscanf;
    __isoc99_vscanf(format: *const c_char, args: *mut VaList) -> c_int = vscanf;
    __isoc23_vscanf(format: *const c_char, args: *mut VaList) -> c_int = vscanf;
}
