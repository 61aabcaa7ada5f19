//! Calling OCaml closures.

use std::ffi::CStr;
use std::fmt;
use std::io::IoSlice;

use ocaml_interop::{BoxRoot, OCaml, OCamlRef};
use ocaml_sys::{Value as Raw, extract_exception, is_exception_result};

use super::bigarray::OCamlBigarray;
use super::bytes::{self, OCamlBytes};
use super::runtime::{self, OCamlRuntime};
use super::view;

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

/// Something that can be passed to an OCaml closure that takes a `T`.
///
/// # Safety
///
/// [`raw`](Self::raw) gives a value of the OCaml type that `T` stands for.
pub unsafe trait Pass<T> {
    /// What keeps the value until the call.
    type Kept<'a>
    where
        Self: 'a;

    /// Converts the value. May allocate on the OCaml heap, so everything is kept before anything
    /// is passed.
    fn keep<'a>(&'a self, ocaml: &mut OCamlRuntime) -> Self::Kept<'a>;

    /// The value now.
    ///
    /// # Safety
    ///
    /// Valid until OCaml runs or allocates.
    unsafe fn raw(kept: &Self::Kept<'_>) -> Raw;
}

macro_rules! pass_immediate {
    ($rust:ty, $ocaml:ty, |$value:ident| $raw:expr) => {
        // SAFETY: an immediate of that type.
        unsafe impl Pass<$ocaml> for $rust {
            type Kept<'a> = $rust;
            #[inline]
            fn keep(&self, _: &mut OCamlRuntime) -> $rust {
                *self
            }
            #[inline]
            unsafe fn raw(kept: &$rust) -> Raw {
                let $value = *kept;
                $raw
            }
        }
    };
}

// OCaml's int has 63 bits; the highest is lost.
pass_immediate!(isize, isize, |n| n << 1 | 1);
pass_immediate!(bool, bool, |b| (b as Raw) << 1 | 1);
pass_immediate!((), (), |_unit| 1);

// SAFETY: the root's type says so.
unsafe impl<T> Pass<T> for BoxRoot<T> {
    type Kept<'a> = OCamlRef<'a, T>;
    #[inline]
    fn keep<'a>(&'a self, _: &mut OCamlRuntime) -> OCamlRef<'a, T> {
        self
    }
    #[inline]
    unsafe fn raw(kept: &OCamlRef<'_, T>) -> Raw {
        // SAFETY: read from the root when it is passed.
        unsafe { kept.get_raw() }
    }
}

// SAFETY: as above.
unsafe impl<T> Pass<T> for &BoxRoot<T> {
    type Kept<'a>
        = OCamlRef<'a, T>
    where
        Self: 'a;
    #[inline]
    fn keep<'a>(&'a self, _: &mut OCamlRuntime) -> OCamlRef<'a, T> {
        self
    }
    #[inline]
    unsafe fn raw(kept: &OCamlRef<'_, T>) -> Raw {
        // SAFETY: read from the root when it is passed.
        unsafe { kept.get_raw() }
    }
}

macro_rules! pass_copied {
    ($($rust:ty => $ocaml:ty, |$value:ident, $runtime:ident| $copy:expr;)*) => {$(
        // SAFETY: a copy of that type, rooted.
        unsafe impl Pass<$ocaml> for $rust {
            type Kept<'a> = BoxRoot<$ocaml> where Self: 'a;
            fn keep(&self, $runtime: &mut OCamlRuntime) -> BoxRoot<$ocaml> {
                let $value = self;
                $copy
            }
            unsafe fn raw(kept: &BoxRoot<$ocaml>) -> Raw {
                // SAFETY: read from the root when it is passed.
                unsafe { kept.get_raw() }
            }
        }
    )*};
}

pass_copied! {
    &str => String, |s, ocaml| copy(ocaml, s.as_bytes());
    String => String, |s, ocaml| copy(ocaml, s.as_bytes());
    &[u8] => OCamlBytes, |b, ocaml| copy(ocaml, b);
    Vec<u8> => OCamlBytes, |v, ocaml| copy(ocaml, v);
    &[u8] => OCamlBigarray, |b, ocaml| {
        view::copied_bytes(ocaml, b.len(), &[IoSlice::new(b)]).unwrap_or_else(|| no_memory(b))
    };
}

/// A string or `bytes` of OCaml's. Panics if there is no memory for it, so that a task that passes it
/// ends alone.
pub(crate) fn copy<T: 'static>(_: &mut OCamlRuntime, data: &[u8]) -> BoxRoot<T> {
    // SAFETY: the caller has the runtime.
    let value = unsafe { bytes::allocate(data) }.unwrap_or_else(|| no_memory(data));
    // SAFETY: made just now. Both types that this is called for are such blocks.
    unsafe { runtime::root(value) }
}

fn no_memory(data: &[u8]) -> ! {
    panic!("no memory for {} bytes on the OCaml heap", data.len())
}

/// Making an OCaml value of whatever can be passed to a closure, for code that keeps it, or returns it as it is.
///
/// If there is no memory for it, it panics: what Rust's frames hold is dropped.
pub trait ToOCaml<T: 'static>: Pass<T> {
    /// The value, rooted.
    fn to_boxroot(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<T> {
        let kept = self.keep(ocaml);
        // SAFETY: OCaml has not run since it was kept, and is of that type.
        unsafe { runtime::root(Self::raw(&kept)) }
    }

    /// The value, for as long as OCaml does not run.
    fn to_ocaml<'a>(&self, ocaml: &'a mut OCamlRuntime) -> OCaml<'a, T> {
        let root = self.to_boxroot(ocaml);
        root.get(ocaml)
    }
}

impl<T: 'static, P: Pass<T>> ToOCaml<T> for P {}

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
