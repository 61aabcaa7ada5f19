//! Failures in both directions.

use mirust::ocaml::{BoxRoot, Closure, OCamlRuntime, Unavailable, with_runtime};

#[mirust::export]
fn test_panic(message: String) -> isize {
    panic!("{message}")
}

/// What the payload of a panic owns is freed on the way.
#[mirust::export]
fn test_panic_any(_: ()) {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("while the payload of a panic is dropped")
        }
    }
    std::panic::panic_any(Loud)
}

/// -1 for an exception.
#[mirust::export]
fn test_catch(ocaml: &mut OCamlRuntime, f: BoxRoot<fn(isize) -> isize>, n: isize) -> isize {
    f.call(ocaml, (n,)).map_or(-1, |result| result.to_i64() as isize)
}

/// The text of the exception.
#[mirust::export]
fn test_exception(ocaml: &mut OCamlRuntime, f: BoxRoot<fn(()) -> ()>) -> String {
    f.call(ocaml, ((),)).map_or_else(|exception| exception.to_string(), |_| "none".into())
}

/// The runtime cannot be had twice.
#[mirust::export]
fn test_runtime_is_exclusive(_ocaml: &mut OCamlRuntime) -> bool {
    with_runtime(|_| ()) == Err(Unavailable::InUse)
}

/// Where the constructor of a registered exception is at the moment.
#[mirust::export]
fn test_constructor_address(name: &str) -> isize {
    // SAFETY: the type is that of OCaml's `callback.h`.
    unsafe extern "C" {
        fn caml_named_value(name: *const std::ffi::c_char) -> *const isize;
    }
    let name = std::ffi::CString::new(name).expect("no NUL");
    // SAFETY: a C string; the result is null or a root of OCaml's.
    unsafe { caml_named_value(name.as_ptr()).as_ref() }.copied().unwrap_or(0)
}
