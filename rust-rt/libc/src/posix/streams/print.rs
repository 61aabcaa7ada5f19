//! `dprintf`: to a descriptor, without a stream.

use core::ffi::{c_char, c_int};

use super::buffer::write_all;
use super::or_end;
use super::pieces::format;
use crate::asm::{VaList, variadic};

variadic!("dprintf", 2 => vdprintf);
variadic!("__dprintf_chk", 3 => __vdprintf_chk);

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn vdprintf(
    fd: c_int,
    text: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: a C string, and a list with what that names.
    or_end(unsafe { format(text, &mut *args, |piece| write_all(fd, piece).1) })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn __vdprintf_chk(
    fd: c_int,
    _flag: c_int,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { vdprintf(fd, format, args) }
}
