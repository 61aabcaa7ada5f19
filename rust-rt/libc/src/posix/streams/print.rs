//! `dprintf`: to a descriptor, without a stream.

use alloc::vec::Vec;
use core::ffi::{c_char, c_int};

use super::super::io;
use super::super::parts::Part;
use super::or_end;
use crate::asm::{VaList, variadic};
use crate::printf::{self, Sink};

variadic!("dprintf", 2 => vdprintf);
variadic!("__dprintf_chk", 3 => __vdprintf_chk);

struct Text(Vec<u8>);

impl Sink for Text {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn vdprintf(
    fd: c_int,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    let mut text = Text(Vec::new());
    // SAFETY: a C string, and a list with what that names.
    match unsafe { printf::format(&mut text, format, &mut *args) } {
        error @ ..0 => error,
        n => or_end(io::write_parts(fd, &[Part::new(&text.0)]).map(|_| n)),
    }
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
