//! Functions of fortified callers (`_FORTIFY_SOURCE`): the caller knows how many bytes the destination has.

use super::asm::{VaList, variadic};
use super::cstr::strlen;
use super::die::die;
use super::mem::{memmove, memset};
use super::stdio::print_to;
use super::string::{copy, copy_at_most};
use core::ffi::{c_char, c_int, c_void};

/// Ends the domain when a fortified function would write `n` bytes into `room`.
fn check_room(function: &str, n: usize, room: usize) {
    if n > room {
        die(format_args!("{function}: buffer overflow: {n} bytes for {room}"));
    }
}

/// `memcpy` of a fortified caller, which knows how many bytes the destination has.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __memcpy_chk(
    dst: *mut c_void,
    src: *const c_void,
    n: usize,
    room: usize,
) -> *mut c_void {
    check_room("memcpy", n, room);
    // SAFETY: the contract is the one of `memmove`, which allows more.
    unsafe { memmove(dst, src, n) }
}

/// `memmove` of a fortified caller.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __memmove_chk(
    dst: *mut c_void,
    src: *const c_void,
    n: usize,
    room: usize,
) -> *mut c_void {
    check_room("memmove", n, room);
    // SAFETY: the contract is the same.
    unsafe { memmove(dst, src, n) }
}

/// `memset` of a fortified caller.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __memset_chk(
    dst: *mut c_void,
    byte: c_int,
    n: usize,
    room: usize,
) -> *mut c_void {
    check_room("memset", n, room);
    // SAFETY: the contract is the same.
    unsafe { memset(dst, byte, n) }
}

/// `strcpy` of a fortified caller, which knows how many bytes the destination has.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __strcpy_chk(
    dst: *mut c_char,
    src: *const c_char,
    room: usize,
) -> *mut c_char {
    // SAFETY: the contract is the one of `strcpy`, and the room is checked first.
    unsafe {
        check_room("strcpy", strlen(src) + 1, room);
        copy(dst, src)
    };
    dst
}

/// `strncpy` of a fortified caller.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __strncpy_chk(
    dst: *mut c_char,
    src: *const c_char,
    n: usize,
    room: usize,
) -> *mut c_char {
    check_room("strncpy", n, room);
    // SAFETY: the contract is the same.
    unsafe { copy_at_most(dst, src, n) };
    dst
}

/// `strcat` of a fortified caller.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __strcat_chk(
    dst: *mut c_char,
    src: *const c_char,
    room: usize,
) -> *mut c_char {
    // SAFETY: the contract is the one of `strcat`, and the room is checked first.
    unsafe {
        check_room("strcat", strlen(dst) + strlen(src) + 1, room);
        copy(dst.add(strlen(dst)), src)
    };
    dst
}

variadic!("__sprintf_chk", 4 => __vsprintf_chk);
variadic!("__snprintf_chk", 5 => __vsnprintf_chk);

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __vsnprintf_chk(
    buf: *mut c_char,
    size: usize,
    _flag: c_int,
    room: usize,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    check_room("snprintf", size, room);
    // SAFETY: the contract is the same.
    unsafe { print_to(buf, size, format, args) }
}

/// Ends the domain when the text does not fit into `room`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __vsprintf_chk(
    buf: *mut c_char,
    _flag: c_int,
    room: usize,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the buffer has `room` bytes, or an unknown number that is enough (usize::MAX).
    let n = unsafe { print_to(buf, room.min(isize::MAX as usize), format, args) };
    check_room("sprintf", usize::try_from(n).map_or(0, |n| n + 1), room);
    n
}
