//! Looking things up at run time, for code that asks whether a newer function or a plug-in exists.
//!
//! Nothing is ever found: an image is linked once, and nothing can be added to it later. Rust's std looks for functions
//! that not every libc has in this way, and does without them; SQLite refers to these four for its extensions.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

/// Whether a call has failed since `dlerror` last said so.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Finds no symbol. The failure is not reported by `dlerror`, which keeps this function as small as std's many
/// questions deserve.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn dlsym(_library: *mut c_void, _name: *const c_char) -> *mut c_void {
    ptr::null_mut()
}

/// What stands for the program itself.
static PROGRAM: AtomicBool = AtomicBool::new(true);

fn program() -> *mut c_void {
    (&raw const PROGRAM).cast_mut().cast()
}

/// Finds no library, only the program itself (a null name), which has no table of its symbols.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn dlopen(name: *const c_char, _flags: c_int) -> *mut c_void {
    if name.is_null() {
        return program();
    }
    FAILED.store(true, Ordering::Relaxed);
    ptr::null_mut()
}

/// Of the program itself; fails for all else, as no library was ever opened.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn dlclose(library: *mut c_void) -> c_int {
    if library == program() {
        return 0;
    }
    FAILED.store(true, Ordering::Relaxed);
    -1
}

/// Of no address: what an image has is in no shared library.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn dladdr(_address: *const c_void, _info: *mut c_void) -> c_int {
    0
}

/// Why the last call failed, said once; null if none did.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn dlerror() -> *const c_char {
    match FAILED.swap(false, Ordering::Relaxed) {
        true => c"an image has no shared libraries".as_ptr(),
        false => ptr::null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_once() {
        assert!(dlopen(c"libm.so".as_ptr(), 1).is_null());
        assert!(!dlerror().is_null());
        assert!(dlerror().is_null());
        let own = dlopen(ptr::null(), 1);
        assert!(!own.is_null() && dlsym(own, c"sin".as_ptr()).is_null());
        assert_eq!((dlclose(own), dlerror()), (0, ptr::null()));
        assert!(dlsym(ptr::null_mut(), c"sin".as_ptr()).is_null());
        assert_eq!(dlclose(ptr::null_mut()), -1);
        assert!(!dlerror().is_null() && dlerror().is_null());
    }
}
