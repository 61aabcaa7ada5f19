//! `asprintf`: text in a block of `malloc`, as long as it is.

use super::asm::{VaList, variadic};
use super::errno::{self, ENOMEM};
use super::stdio::print_to;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

variadic!("asprintf", 2 => vasprintf);
variadic!("__asprintf_chk", 3 => __vasprintf_chk);

/// -1 with ENOMEM, or what is wrong with the format; `*to` is then NULL.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn vasprintf(
    to: *mut *mut c_char,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: `to` is writable, the format a C string, and the list has what that names. The first pass, which writes
    // nothing, has a list of its own.
    unsafe {
        *to = ptr::null_mut();
        let length = print_to(ptr::null_mut(), 0, format, &mut args.read());
        let Ok(length) = usize::try_from(length) else { return -1 };
        let block = malloc(length + 1).cast::<c_char>();
        if block.is_null() {
            return errno::fail(ENOMEM);
        }
        *to = block;
        print_to(block, length + 1, format, args)
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __vasprintf_chk(
    to: *mut *mut c_char,
    _flag: c_int,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { vasprintf(to, format, args) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;

    // SAFETY: this crate defines it, under a name that is not the host's.
    unsafe extern "C" {
        #[link_name = "mirust_host_asprintf"]
        fn asprintf(to: *mut *mut c_char, format: *const c_char, ...) -> c_int;
    }

    #[test]
    fn text_is_as_long_as_it_is() {
        let mut text = ptr::null_mut();
        // SAFETY: the arguments are those of the formats; what was made is freed.
        unsafe {
            let n = asprintf(
                &raw mut text,
                c"%s has %5d and %.2f".as_ptr(),
                c"it".as_ptr(),
                42,
                0.5f64,
            );
            assert_eq!((n, CStr::from_ptr(text)), (21, c"it has    42 and 0.50"));
            host_libc::free(text.cast());
            assert_eq!(
                (asprintf(&raw mut text, c"%2$d".as_ptr(), 1, 2), text),
                (-1, ptr::null_mut())
            );
        }
    }
}
