//! The environment: one built-in variable, and what boot adds.

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicPtr, Ordering};

use super::errno::{self, EINVAL};

/// The form of C's `environ`: pointers to `NAME=value`, then NULL.
#[repr(transparent)]
struct Built([*const c_char; 2]);

// SAFETY: the pointers are to static strings.
unsafe impl Sync for Built {}

/// OCaml 5 reserves address space for 128 domains; an image runs one.
static BUILT_IN: Built = Built([c"OCAMLRUNPARAM=d=1".as_ptr(), core::ptr::null()]);

/// C's variable. The arrays and strings that it once pointed to stay valid: C code may have kept
/// what `getenv` returned.
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static environ: AtomicPtr<*const c_char> =
    AtomicPtr::new((&raw const BUILT_IN).cast::<*const c_char>().cast_mut());

/// Every `NAME=value`.
fn entries() -> impl Iterator<Item = &'static CStr> {
    let list = environ.load(Ordering::Acquire);
    (0..).map_while(move |i| {
        // SAFETY: the array ends in NULL, and no index beyond that is asked for. Arrays and
        // strings are never freed.
        unsafe {
            let entry = *list.add(i);
            (!entry.is_null()).then(|| CStr::from_ptr(entry))
        }
    })
}

/// The value, when `entry` is the variable's.
fn value_of(entry: &'static CStr, name: &[u8]) -> Option<&'static CStr> {
    let value = entry.to_bytes_with_nul().strip_prefix(name)?.strip_prefix(b"=")?;
    CStr::from_bytes_with_nul(value).ok()
}

/// The value of an environment variable.
pub fn get(name: &[u8]) -> Option<&'static CStr> {
    entries().find_map(|entry| value_of(entry, name))
}

/// Sets an environment variable, or removes it when there is no value. False when the name is
/// empty or has a `=`, or when either has a NUL. The memory of an old value is not reused.
pub fn set(name: &[u8], value: Option<&[u8]>) -> bool {
    if name.is_empty() || name.contains(&b'=') {
        return false;
    }
    let new = value.map(|value| CString::new([name, b"=", value].concat()));
    if matches!(new, Some(Err(_))) {
        return false;
    }
    let others = entries().filter(|entry| value_of(entry, name).is_none());
    let new = new.and_then(Result::ok).map(|entry| entry.into_raw().cast_const());
    let list: Vec<*const c_char> =
        others.map(CStr::as_ptr).chain(new).chain([core::ptr::null()]).collect();
    environ.store(Box::leak(list.into_boxed_slice()).as_mut_ptr(), Ordering::Release);
    true
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn getenv(name: *const c_char) -> *const c_char {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    get(name.to_bytes()).map_or(core::ptr::null(), CStr::as_ptr)
}

/// `getenv`: nothing in an image runs with raised privileges.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn secure_getenv(name: *const c_char) -> *const c_char {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    get(name.to_bytes()).map_or(core::ptr::null(), CStr::as_ptr)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int {
    // SAFETY: both are C strings.
    let (name, value) = unsafe { (CStr::from_ptr(name), CStr::from_ptr(value)) };
    let keep = overwrite == 0 && get(name.to_bytes()).is_some();
    if keep || set(name.to_bytes(), Some(value.to_bytes())) { 0 } else { errno::fail(EINVAL) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn unsetenv(name: *const c_char) -> c_int {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    if set(name.to_bytes(), None) { 0 } else { errno::fail(EINVAL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: the environment is one for all threads.
    #[test]
    fn variables_are_set_replaced_and_removed() {
        assert_eq!(get(b"OCAMLRUNPARAM"), Some(c"d=1"));
        assert_eq!(get(b"OCAMLRUN"), None);
        assert!(set(b"A", Some(b"1")) && set(b"AB", Some(b"2")) && set(b"A", Some(b"3=4")));
        assert_eq!((get(b"A"), get(b"AB")), (Some(c"3=4"), Some(c"2")));
        // SAFETY: all are C strings.
        unsafe {
            assert_eq!(setenv(c"A".as_ptr(), c"5".as_ptr(), 0), 0);
            assert_eq!(CStr::from_ptr(getenv(c"A".as_ptr())), c"3=4");
            assert_eq!(setenv(c"A".as_ptr(), c"5".as_ptr(), 1), 0);
            assert_eq!(CStr::from_ptr(getenv(c"A".as_ptr())), c"5");
            assert_eq!(unsetenv(c"A".as_ptr()), 0);
            assert!(getenv(c"A".as_ptr()).is_null());
            assert_eq!(unsetenv(c"A=".as_ptr()), -1);
        }
        assert!(!set(b"", None) && !set(b"X", Some(b"a\0b")));
        assert_eq!(entries().count(), 2);
    }
}
