//! Making OCaml values of Rust's, as arguments of closures or for themselves.

use std::io::IoSlice;

use ocaml_interop::{
    BoxRoot, OCaml, OCamlFloat, OCamlInt, OCamlInt32, OCamlInt64, OCamlList, OCamlRef,
};
use ocaml_sys::Value as Raw;

use super::bigarray::OCamlBigarray;
use super::bytes::{self, OCamlBytes};
use super::compound::{CONS_TAG, ERROR_TAG, OK_TAG, SOME_TAG, block};
use super::runtime::{self, OCamlRuntime};
use super::view;

/// Something that can be passed to an OCaml closure that takes a `T`.
///
/// | Rust | `T` | OCaml |
/// |---|---|---|
/// | `isize`, `i64`, `i32` | `isize`, which is [`OCamlInt`] | `int`, of 63 bits: the highest of 64 is lost |
/// | `i64` | [`OCamlInt64`] | `int64` |
/// | `i32` | [`OCamlInt32`] | `int32` |
/// | `f64` | [`OCamlFloat`] | `float` |
/// | `bool`, `()` | the same | `bool`, `unit` |
/// | `&str`, `String` | `String` | `string` |
/// | `&[u8]`, `Vec<u8>` | [`OCamlBytes`] | `bytes` |
/// | `&[u8]` | [`OCamlBigarray`] | `Cstruct.buffer` |
/// | `&`[`Buffer`](super::Buffer) | [`OCamlCstruct`](super::OCamlCstruct) | `Cstruct.t` |
/// | `Rc<T>` of an [`Opaque`](super::Opaque) type | `T` | the type of its module |
/// | `Option<A>` | `Option<T>` | `option` |
/// | `Result<A, B>` | `Result<T, U>` | `result` |
/// | `Vec<A>`, `&[A]` | [`OCamlList<T>`] | `list` |
/// | `(A, B)`, `(A, B, C)`, `(A, B, C, D)` | `(T, U)` and so on | tuples |
/// | [`BoxRoot<T>`] | any | what it is a root of |
/// | a reference to any of these | the same | the same |
///
/// # Safety
///
/// [`raw`](Self::raw) gives a value of the OCaml type that `T` stands for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed to OCaml as `{T}`",
    label = "not a value of that OCaml type",
    note = "the documentation of `mirust::ocaml::Pass` has a table of what can be passed as what"
)]
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
pass_immediate!(isize, OCamlInt, |n| n << 1 | 1);
pass_immediate!(i64, OCamlInt, |n| (n as Raw) << 1 | 1);
pass_immediate!(i32, OCamlInt, |n| (n as Raw) << 1 | 1);
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

// SAFETY: what it refers to is passed.
unsafe impl<T, P: Pass<T>> Pass<T> for &P {
    type Kept<'a>
        = P::Kept<'a>
    where
        Self: 'a;
    #[inline]
    fn keep<'a>(&'a self, ocaml: &mut OCamlRuntime) -> P::Kept<'a> {
        (**self).keep(ocaml)
    }
    #[inline]
    unsafe fn raw(kept: &P::Kept<'_>) -> Raw {
        // SAFETY: the caller's promise.
        unsafe { P::raw(kept) }
    }
}

macro_rules! pass_copied {
    ($(
        $rust:ty => $ocaml:ty $(where $($name:ident as $part:ident)+)?,
        |$value:ident, $runtime:ident| $copy:expr;
    )*) => {$(
        // SAFETY: a copy of that type, rooted.
        unsafe impl$(<$($name: Pass<$part>, $part: 'static),+>)? Pass<$ocaml> for $rust {
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
    // SAFETY: we have the runtime. A number fits the minor heap, where there always is room.
    i64 => OCamlInt64, |n, _ocaml| unsafe { runtime::root(ocaml_sys::caml_copy_int64(*n)) };
    // SAFETY: as above.
    i32 => OCamlInt32, |n, _ocaml| unsafe { runtime::root(ocaml_sys::caml_copy_int32(*n)) };
    // SAFETY: as above.
    f64 => OCamlFloat, |x, _ocaml| unsafe { runtime::root(ocaml_sys::caml_copy_double(*x)) };
    Option<A> => Option<T> where A as T, |option, ocaml| match option {
        // SAFETY: the option without a value.
        None => unsafe { runtime::root(ocaml_sys::NONE) },
        Some(value) => {
            let value = part(value, ocaml);
            // SAFETY: the option with this value.
            unsafe { whole(ocaml, SOME_TAG, [value]) }
        }
    };
    Result<A, B> => Result<T, U> where A as T B as U, |result, ocaml| {
        let (tag, value) = match result {
            Ok(value) => (OK_TAG, part(value, ocaml)),
            Err(error) => (ERROR_TAG, part(error, ocaml)),
        };
        // SAFETY: the constructor with its argument.
        unsafe { whole(ocaml, tag, [value]) }
    };
    Vec<A> => OCamlList<T> where A as T, |parts, ocaml| list(parts, ocaml);
    &[A] => OCamlList<T> where A as T, |parts, ocaml| list(parts, ocaml);
    (A, B) => (T, U) where A as T B as U, |tuple, ocaml| {
        let parts = [part(&tuple.0, ocaml), part(&tuple.1, ocaml)];
        // SAFETY: a tuple of these types.
        unsafe { whole(ocaml, 0, parts) }
    };
    (A, B, C) => (T, U, V) where A as T B as U C as V, |tuple, ocaml| {
        let parts = [part(&tuple.0, ocaml), part(&tuple.1, ocaml), part(&tuple.2, ocaml)];
        // SAFETY: a tuple of these types.
        unsafe { whole(ocaml, 0, parts) }
    };
    (A, B, C, D) => (T, U, V, W) where A as T B as U C as V D as W, |tuple, ocaml| {
        let (a, b, c, d) = tuple;
        let parts = [part(a, ocaml), part(b, ocaml), part(c, ocaml), part(d, ocaml)];
        // SAFETY: a tuple of these types.
        unsafe { whole(ocaml, 0, parts) }
    };
}

/// What is to be inside another value, rooted while that is allocated.
fn part<T, P: Pass<T> + ?Sized>(value: &P, ocaml: &mut OCamlRuntime) -> BoxRoot<()> {
    let kept = value.keep(ocaml);
    // SAFETY: OCaml has not run since it was kept. The type exists for the compiler only.
    unsafe { runtime::root(P::raw(&kept)) }
}

/// A block of these parts.
///
/// # Safety
///
/// The type `T` has such blocks.
unsafe fn whole<T: 'static, const N: usize>(
    _ocaml: &mut OCamlRuntime,
    tag: u8,
    parts: [BoxRoot<()>; N],
) -> BoxRoot<T> {
    // SAFETY: we have the runtime. A few fields fit the minor heap; the block is rooted before anything is allocated.
    unsafe { runtime::root(block(tag, parts)) }
}

/// From its end, so that each tail is there before its head.
fn list<A: Pass<T>, T: 'static>(parts: &[A], ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlList<T>> {
    // SAFETY: a list's end.
    let mut list: BoxRoot<()> = unsafe { runtime::root(ocaml_sys::EMPTY_LIST) };
    for value in parts.iter().rev() {
        let head = part(value, ocaml);
        // SAFETY: a list's block, of a head and a tail.
        list = unsafe { whole(ocaml, CONS_TAG, [head, list]) };
    }
    // SAFETY: a list of such parts.
    unsafe { runtime::retype(list) }
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

/// Making an OCaml value of whatever can be passed to a closure ([`Pass`] lists that), for code that keeps it, or
/// returns it as it is.
///
/// If there is no memory for it, it panics: what Rust's frames hold is dropped.
pub trait ToOCaml<T: 'static>: Pass<T> {
    /// The value, rooted.
    fn to_boxroot(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<T> {
        // SAFETY: of that type.
        unsafe { runtime::retype(part(self, ocaml)) }
    }

    /// The value, for as long as OCaml does not run.
    fn to_ocaml<'a>(&self, ocaml: &'a mut OCamlRuntime) -> OCaml<'a, T> {
        let root = self.to_boxroot(ocaml);
        root.get(ocaml)
    }
}

impl<T: 'static, P: Pass<T>> ToOCaml<T> for P {}
