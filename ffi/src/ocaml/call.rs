//! Calling OCaml closures.

use std::ffi::CStr;
use std::fmt;

use ocaml_interop::{BoxRoot, OCaml};
use ocaml_sys::{Value as Raw, extract_exception, is_exception_result};

use super::pass::Pass;
use super::runtime::{self, OCamlRuntime};

/// An exception raised by OCaml code, as text.
///
/// The text is made when the exception arrives, by the printers registered in OCaml; the value itself is
/// not kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exception {
    text: String,
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Exception {}

impl Exception {
    /// # Safety
    ///
    /// `v_exn` is an exception value, and the caller may run OCaml code.
    pub(super) unsafe fn new(v_exn: Raw) -> Self {
        // SAFETY: the type is that of `stdlib.h`.
        unsafe extern "C" {
            fn free(block: *mut std::ffi::c_void);
        }
        // SAFETY: `v_exn` is valid; the function roots what it needs and gives a C string from
        // malloc, or null when there is no memory for one.
        let text = unsafe { ocaml_sys::caml_format_exception(v_exn) };
        if text.is_null() {
            return Exception { text: "an exception, and no memory to print it".into() };
        }
        // SAFETY: not null, terminated, and ours to free.
        let owned = unsafe { CStr::from_ptr(text.cast()) }.to_string_lossy().into_owned();
        // SAFETY: it came from malloc.
        unsafe { free(text as *mut _) };
        Exception { text: owned }
    }
}

/// Calls a rooted OCaml closure. An exception is an `Err`; nothing unwinds.
pub trait Closure<Arguments, R> {
    /// Calls the closure. The result borrows the runtime: root it, or convert it, before OCaml is
    /// used again.
    ///
    /// # Errors
    ///
    /// The [`Exception`] that the closure raised.
    fn call<'a>(
        &self,
        ocaml: &'a mut OCamlRuntime,
        arguments: Arguments,
    ) -> Result<OCaml<'a, R>, Exception>;
}

/// # Safety
///
/// `v_result` is what a callback returned just now.
#[inline]
unsafe fn result<R>(ocaml: &mut OCamlRuntime, v_result: Raw) -> Result<OCaml<'_, R>, Exception> {
    if is_exception_result(v_result) {
        // SAFETY: an encoded exception, and the caller has the runtime.
        return Err(unsafe { Exception::new(extract_exception(v_result)) });
    }
    // SAFETY: a fresh result of the closure's type; the borrow keeps OCaml from moving it.
    Ok(unsafe { OCaml::new(ocaml, v_result) })
}

macro_rules! closure {
    ($callback:ident: $($name:ident $value:ident $ocaml:ident),+) => {
        impl<$($name: Pass<$ocaml>, $ocaml: 'static,)+ R: 'static> Closure<($($name,)+), R>
            for BoxRoot<fn($($ocaml),+) -> R>
        {
            #[inline]
            fn call<'a>(
                &self,
                ocaml: &'a mut OCamlRuntime,
                ($($value,)+): ($($name,)+),
            ) -> Result<OCaml<'a, R>, Exception> {
                $(let $value = $value.keep(ocaml);)+
                let v_result = {
                    // The borrow of `ocaml` that we hold is lent to the code that runs now.
                    let _lent = runtime::lend();
                    // SAFETY: the runtime is ours. All arguments are kept; they and the closure
                    // are read here, and nothing allocates before OCaml has them.
                    unsafe { ocaml_sys::$callback(self.get_raw(), $($name::raw(&$value)),+) }
                };
                // SAFETY: from the callback.
                unsafe { result(ocaml, v_result) }
            }
        }
    };
}

closure!(caml_callback_exn: A a OA);
closure!(caml_callback2_exn: A a OA, B b OB);
closure!(caml_callback3_exn: A a OA, B b OB, C c OC);
