//! Looking symbols up at run time, for code that asks whether a newer function exists.

use core::ffi::{c_char, c_void};
use core::ptr;

/// Finds nothing: an image is linked once, and what it has not then it has not at all. Rust's std asks
/// this way for functions that not every libc has, and does without.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn dlsym(_library: *mut c_void, _name: *const c_char) -> *mut c_void {
    ptr::null_mut()
}
