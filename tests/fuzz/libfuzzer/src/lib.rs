//! libFuzzer's two functions, for a program in OCaml.
//!
//! `ocamlopt -afl-instrument` has the program count which branch followed which, in 65536 bytes that a pointer of
//! OCaml's runtime points to. libFuzzer looks at counters of others too, if they lie in a section of this name. So
//! it sees what OCaml code an input reaches, and keeps inputs that reach more, as it does for Rust.
//!
//! The program registers a function `fuzz : string -> unit` by `Callback.register`; an exception is a finding.

use std::{
    cell::UnsafeCell,
    ffi::{CStr, c_char, c_int},
};

/// What OCaml's instrumentation counts in (`runtime/afl.c`).
#[repr(C, align(64))]
struct Counters(UnsafeCell<[u8; 1 << 16]>);

// SAFETY: only the program's one thread writes them, and libFuzzer reads them between inputs.
unsafe impl Sync for Counters {}

#[unsafe(link_section = "__libfuzzer_extra_counters")]
#[used]
static COUNTERS: Counters = Counters(UnsafeCell::new([0; 1 << 16]));

// SAFETY: the types are those of OCaml's headers.
unsafe extern "C" {
    static mut caml_afl_area_ptr: *mut u8;
    static mut caml_afl_prev_loc: usize;

    fn caml_startup(argv: *mut *mut c_char);
    fn caml_named_value(name: *const c_char) -> *const isize;
    fn caml_alloc_initialized_string(len: usize, bytes: *const c_char) -> isize;
    fn caml_callback_exn(function: isize, argument: isize) -> isize;
    fn caml_format_exception(exception: isize) -> *mut c_char;
}

/// Called once, before anything else: starts OCaml, whose modules then run.
///
/// # Safety
/// libFuzzer calls it with the program's arguments.
#[unsafe(no_mangle)]
unsafe extern "C" fn LLVMFuzzerInitialize(_argc: *mut c_int, argv: *mut *mut *mut c_char) -> c_int {
    // SAFETY: OCaml's runtime is started here and nowhere else, and has nobody to share its counters with. It may
    // set the pointer itself when it starts, to bytes of its own.
    unsafe {
        caml_afl_area_ptr = COUNTERS.0.get().cast();
        caml_startup(*argv);
        caml_afl_area_ptr = COUNTERS.0.get().cast();
    }
    0
}

/// Called for each input.
///
/// # Safety
/// There are `size` bytes at `data`.
#[unsafe(no_mangle)]
unsafe extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> c_int {
    // SAFETY: OCaml was started before, in this thread. The function is a root of the runtime's, read after the
    // allocation; the string goes into the call as it comes, so that no collection lies between.
    let result = unsafe {
        // The first branch of an input must not depend on the last one of the input before.
        caml_afl_prev_loc = 0;
        let text = caml_alloc_initialized_string(size, data.cast());
        let function = caml_named_value(c"fuzz".as_ptr());
        assert!(!function.is_null(), "the program registers no function of the name fuzz");
        caml_callback_exn(*function, text)
    };
    // An exception is marked by this bit (caml/mlvalues.h, Is_exception_result).
    if result & 3 == 2 {
        // SAFETY: an exception without its mark; the text is allocated by the runtime and ends with a NUL.
        let text = unsafe { CStr::from_ptr(caml_format_exception(result & !3)) };
        eprintln!("OCaml raised {}", text.to_string_lossy());
        std::process::abort();
    }
    0
}
