//! `<string.h>`: what is not a block of memory.
//!
//! The contract of each function is the one of ISO C (7.24) or POSIX: strings end in NUL,
//! destinations are large enough and do not overlap the source.
//!
//! No function is written with the name of another one of C: LLVM knows these names, and may turn
//! such a call (a `stpcpy` whose result is unused, say) into a call of the very function it is in.
//! `strlen` is the exception, being assembly: see `cstr.rs`.

use super::cstr::{bytes, find, len_at_most, strlen};
use core::ffi::{c_char, c_int, c_void};
use core::ptr;

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// The length of the string, or `max` when there is no NUL in that many bytes.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strnlen(s: *const c_char, max: usize) -> usize {
    // SAFETY: the contract is the same.
    unsafe { len_at_most(s, max) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strcmp(a: *const c_char, b: *const c_char) -> c_int {
    // SAFETY: the contract of `strcmp` is that of `compare` without a bound.
    unsafe { compare(a, b, usize::MAX, |c| c) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strncmp(a: *const c_char, b: *const c_char, max: usize) -> c_int {
    // SAFETY: the contract is that of `compare`.
    unsafe { compare(a, b, max, |c| c) }
}

/// In the C locale.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strcasecmp(a: *const c_char, b: *const c_char) -> c_int {
    // SAFETY: the contract is that of `compare` without a bound.
    unsafe { compare(a, b, usize::MAX, |c| c.to_ascii_lowercase()) }
}

/// In the C locale.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strncasecmp(a: *const c_char, b: *const c_char, max: usize) -> c_int {
    // SAFETY: the contract is that of `compare`.
    unsafe { compare(a, b, max, |c| c.to_ascii_lowercase()) }
}

/// # Safety
///
/// Both are readable up to their first NUL, or for `max` bytes.
unsafe fn compare(
    a: *const c_char,
    b: *const c_char,
    max: usize,
    fold: impl Fn(u8) -> u8,
) -> c_int {
    for i in 0..max {
        // SAFETY: no NUL came before `i`, or the loop would have ended.
        let (x, y) = unsafe { (fold(*a.add(i) as u8), fold(*b.add(i) as u8)) };
        if x != y || x == 0 {
            return c_int::from(x) - c_int::from(y);
        }
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strcpy(dst: *mut c_char, src: *const c_char) -> *mut c_char {
    // SAFETY: the contract is the same.
    unsafe { copy(dst, src) };
    dst
}

/// `strcpy` that returns the end of the copy.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn stpcpy(dst: *mut c_char, src: *const c_char) -> *mut c_char {
    // SAFETY: the contract is the same.
    unsafe { copy(dst, src) }
}

/// Copies the string and its NUL, and returns the end of the copy.
///
/// # Safety
///
/// `src` is a C string, `dst` has room for it, and they do not overlap.
pub(super) unsafe fn copy(dst: *mut c_char, src: *const c_char) -> *mut c_char {
    // SAFETY: as the caller says.
    unsafe {
        let n = strlen(src);
        ptr::copy_nonoverlapping(src, dst, n + 1);
        dst.add(n)
    }
}

/// Fills up with NULs, and writes none when the source has `n` bytes or more.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strncpy(
    dst: *mut c_char,
    src: *const c_char,
    n: usize,
) -> *mut c_char {
    // SAFETY: the contract is the same.
    unsafe { copy_at_most(dst, src, n) };
    dst
}

/// Copies at most `n` bytes of the string, and fills up with NULs.
///
/// # Safety
///
/// `dst` has `n` bytes, `src` is readable up to its NUL or for `n` bytes.
pub(super) unsafe fn copy_at_most(dst: *mut c_char, src: *const c_char, n: usize) {
    // SAFETY: as the caller says; `len <= n`.
    unsafe {
        let len = len_at_most(src, n);
        ptr::copy_nonoverlapping(src, dst, len);
        ptr::write_bytes(dst.add(len), 0, n - len);
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strcat(dst: *mut c_char, src: *const c_char) -> *mut c_char {
    // SAFETY: the destination has room for both by contract.
    unsafe { copy(dst.add(strlen(dst)), src) };
    dst
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strncat(
    dst: *mut c_char,
    src: *const c_char,
    max: usize,
) -> *mut c_char {
    // SAFETY: the destination has room for its string, `max` more bytes at most, and a NUL.
    unsafe {
        let (end, n) = (dst.add(strlen(dst)), len_at_most(src, max));
        ptr::copy_nonoverlapping(src, end, n);
        *end.add(n) = 0;
    }
    dst
}

/// Searches the NUL too.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strchr(s: *const c_char, byte: c_int) -> *mut c_char {
    // SAFETY: the string and its NUL are readable.
    let at = unsafe { find(s.cast(), byte as u8, 0..=strlen(s)) };
    at.map_or(ptr::null_mut(), |i| s.wrapping_add(i).cast_mut())
}

/// Searches the NUL too.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strrchr(s: *const c_char, byte: c_int) -> *mut c_char {
    // SAFETY: the string and its NUL are readable.
    let at = unsafe { find(s.cast(), byte as u8, (0..=strlen(s)).rev()) };
    at.map_or(ptr::null_mut(), |i| s.wrapping_add(i).cast_mut())
}

/// Reads no byte behind the first that matches.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn memchr(s: *const c_void, byte: c_int, n: usize) -> *mut c_void {
    // SAFETY: `n` bytes, up to the first match, are readable by contract.
    let at = unsafe { find(s.cast(), byte as u8, 0..n) };
    at.map_or(ptr::null_mut(), |i| s.wrapping_byte_add(i).cast_mut())
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn memrchr(s: *const c_void, byte: c_int, n: usize) -> *mut c_void {
    // SAFETY: `n` bytes are readable by contract.
    let at = unsafe { find(s.cast(), byte as u8, (0..n).rev()) };
    at.map_or(ptr::null_mut(), |i| s.wrapping_byte_add(i).cast_mut())
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strstr(s: *const c_char, needle: *const c_char) -> *mut c_char {
    // SAFETY: both are C strings.
    let (s, needle) = unsafe { (bytes(s), bytes(needle)) };
    let at = (0..=s.len()).find(|&i| s[i..].starts_with(needle));
    at.map_or(ptr::null_mut(), |i| s[i..].as_ptr().cast_mut().cast())
}

/// How many leading bytes are in `set`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strspn(s: *const c_char, set: *const c_char) -> usize {
    // SAFETY: the contract is the same.
    unsafe { span(s, set, true) }
}

/// How many leading bytes are not in `set`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strcspn(s: *const c_char, set: *const c_char) -> usize {
    // SAFETY: the contract is the same.
    unsafe { span(s, set, false) }
}

/// # Safety
///
/// Both are C strings.
unsafe fn span(s: *const c_char, set: *const c_char, inside: bool) -> usize {
    // SAFETY: as the caller says; the slices end before the NULs.
    let (s, set) = unsafe { (bytes(s), bytes(set)) };
    s.iter().position(|c| set.contains(c) != inside).unwrap_or(s.len())
}

/// A copy from the heap, for the caller to free; NULL when memory is exhausted.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strdup(s: *const c_char) -> *mut c_char {
    // SAFETY: `s` is a C string, and the block has room for it and its NUL.
    unsafe {
        let n = strlen(s) + 1;
        let copy = malloc(n).cast::<c_char>();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(s, copy, n);
        }
        copy
    }
}

#[cfg(test)]
mod tests;
