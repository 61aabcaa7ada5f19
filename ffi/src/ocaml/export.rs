//! What `#[mirust::export]` expands to: how values come in and go out, and how a panic leaves.

use std::any::Any;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ocaml_interop::internal::recover_runtime_handle;
use ocaml_interop::{BoxRoot, OCaml, RawOCaml};

use super::{bytes, runtime};
use crate::panic::message;

pub use super::scope::Scope;

/// An OCaml value as the machine passes it.
pub type Raw = RawOCaml;

/// The exception that carries a panic, as `ocaml-stubs/mirust/panic.ml` registers it.
const PANIC_EXCEPTION: &CStr = c"mirust_panic";

/// Runs the body of an exported function; a panic becomes OCaml's exception.
///
/// # Safety
///
/// To be called by a C function that OCaml calls, with nothing left to drop in its frame.
#[doc(hidden)]
#[inline]
pub unsafe fn enter<R>(body: impl FnOnce(&Scope) -> R) -> R {
    let result = {
        let _taken = runtime::take();
        catch_unwind(AssertUnwindSafe(|| body(&Scope::new())))
    };
    match result {
        Ok(value) => value,
        // SAFETY: OCaml called us, and no frame between it and this one has anything to drop.
        Err(payload) => unsafe { raise(payload) },
    }
}

/// Runs the body of an exported function that OCaml calls as `[@@noalloc]`. A panic ends the
/// program: there is no way to raise out of such a call.
///
/// # Safety
///
/// As [`enter`].
#[doc(hidden)]
#[inline]
pub unsafe fn enter_noalloc<R>(body: impl FnOnce(&Scope) -> R) -> R {
    let _taken = runtime::take();
    body(&Scope::new())
}

/// Raises the panic in OCaml.
///
/// ocaml-interop has its own way for this, which keeps the exception's constructor in a static that
/// is no root: after the first compaction it dangles. Here the constructor is looked up each time
/// (the table it stands in is a root), and the payload is dropped before the jump.
///
/// # Safety
///
/// OCaml called us, and no frame between it and this one has anything to drop.
#[cold]
unsafe fn raise(payload: Box<dyn Any + Send>) -> ! {
    // SAFETY: the types are those of OCaml's `alloc.h` and `fail.h`.
    unsafe extern "C" {
        fn caml_alloc_initialized_string(length: usize, bytes: *const u8) -> Raw;
        fn caml_raise_with_arg(constructor: Raw, argument: Raw) -> !;
        fn caml_failwith_value(message: Raw) -> !;
        fn caml_raise_out_of_memory() -> !;
    }
    if payload.is::<bytes::OutOfMemory>() {
        drop(payload);
        // SAFETY: OCaml called us. The jump is over frames that have nothing to drop.
        unsafe { caml_raise_out_of_memory() }
    }
    let text = message(&*payload);
    // SAFETY: OCaml runs in this thread; the string is copied.
    let v_text = unsafe { caml_alloc_initialized_string(text.len(), text.as_ptr()) };
    // A payload may have a destructor of its own, and that may panic: then it is leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    // SAFETY: the name is a C string; the result is null or points to a root, which is read here,
    // after the allocation above. Both functions root their arguments, and jump to OCaml's handler
    // over frames that, the caller promises, have nothing to drop.
    unsafe {
        let constructor = ocaml_sys::caml_named_value(PANIC_EXCEPTION.as_ptr());
        match constructor.as_ref() {
            Some(v_constructor) => caml_raise_with_arg(*v_constructor, v_text),
            None => caml_failwith_value(v_text),
        }
    }
}

/// A type that an exported function can take.
///
/// | Rust | OCaml's `external` |
/// |---|---|
/// | `isize` | `(int [@untagged])` |
/// | `i64`, `i32`, `f64` | `(int64 [@unboxed])`, `(int32 [@unboxed])`, `(float [@unboxed])` |
/// | `bool`, `()` | `bool`, `unit` |
/// | `String`, `&str` | `string`; a panic if it is not UTF-8 |
/// | `Vec<u8>`, `&[u8]` | `string`, `bytes`, a one-dimensional `char` bigarray, or `Cstruct.t` |
/// | `&mut [u8]` | the same without `string` |
/// | `&T`, `Rc<T>` | the type of an [`Opaque`](super::Opaque) `T`, borrowed or shared |
/// | `Option<T>`, `Vec<T>`, tuples of 2 to 4 | `option`, `list`, tuples of most of these |
/// | [`Buffer`](super::Buffer) | `Cstruct.t`, copied: OCaml may write to its own |
/// | [`BoxRoot<T>`] | any value, rooted |
/// | [`Promise<T>`](super::Promise) | `'a Lwt.t` |
/// | [`LwtStream<T>`](super::LwtStream) | `'a Lwt_stream.t` |
/// | [`OCaml<T>`] | any value, not rooted |
///
/// # Safety
///
/// [`receive`](Self::receive) must give a value that stays valid while no OCaml code runs, and for
/// no longer than `'a`.
pub unsafe trait Argument {
    /// What the C function takes.
    type Abi;
    /// What the Rust function is given, for a call that lasts `'a`.
    type Value<'a>;
    /// Whether OCaml passes it as a machine number, and not as a value.
    const NUMBER: bool = false;
    /// Whether Rust may write to what it borrows.
    const WRITES: bool = false;
    /// Whether Rust can find bytes in it that the call does not know to be borrowed.
    const UNSEEN: bool = false;

    /// Converts it.
    ///
    /// # Safety
    ///
    /// `abi` comes from OCaml, has the OCaml type that belongs to this one, and no OCaml code has
    /// run since.
    unsafe fn receive<'a>(scope: &'a Scope, abi: Self::Abi) -> Self::Value<'a>;
}

/// An [`Argument`] that stays valid while OCaml code runs.
///
/// # Safety
///
/// The value must refer to the OCaml heap only through roots.
#[diagnostic::on_unimplemented(
    message = "`{Self}` borrows from the OCaml heap, which moves when OCaml runs",
    label = "a function that takes the runtime, or is async, cannot borrow",
    note = "take `BoxRoot<T>`, `String`, `Vec<u8>` or the `Rc<T>` of an opaque type, or leave out the \
            `&mut OCamlRuntime` or `async`"
)]
pub unsafe trait Rooted: Argument {}

#[doc(hidden)]
pub use super::future::launch;

#[doc(hidden)]
pub const fn assert_rooted<T: Rooted>() {}

/// Being the type that OCaml is told of.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `{T}`, though it is written so",
    label = "OCaml would be told of another type",
    note = "call it something else, or give its OCaml type: `#[ocaml(type = \"…\")]` for an argument, \
            `returns = \"…\"` for a result"
)]
pub trait Same<T: ?Sized> {}
impl<T: ?Sized> Same<T> for T {}

#[doc(hidden)]
pub const fn assert_same<T: ?Sized + Same<U>, U: ?Sized>() {}

/// Bytes that are borrowed are compared with each other at each call. Those inside a value are not known.
#[doc(hidden)]
pub const fn assert_apart<A: Argument, B: Argument>() {
    const {
        assert!(
            !(A::WRITES && B::UNSEEN),
            "an `OCaml<T>` can contain the bytes that a `&mut [u8]` is: take a `BoxRoot<T>` instead"
        )
    }
}

#[doc(hidden)]
pub const fn assert_argument_is_value<T: Argument>() {
    const { assert!(!T::NUMBER, "a number's OCaml type is the table's") }
}

#[doc(hidden)]
pub const fn assert_result_is_value<T: Return>() {
    const { assert!(!T::NUMBER, "a number's OCaml type is the table's") }
}

macro_rules! plain_argument {
    ($($ty:ty, |$value:ident| $boxed:expr);*) => {$(
        // SAFETY: a plain number.
        unsafe impl Argument for $ty {
            type Abi = $ty;
            type Value<'a> = $ty;
            const NUMBER: bool = true;
            #[inline]
            unsafe fn receive(_: &Scope, abi: $ty) -> $ty {
                abi
            }
        }
        // SAFETY: a plain number.
        unsafe impl Rooted for $ty {}
        // SAFETY: a plain number, or one in its box.
        unsafe impl Return for $ty {
            type Abi = $ty;
            const NUMBER: bool = true;
            #[inline]
            unsafe fn give(self) -> $ty {
                self
            }
            unsafe fn give_value(self) -> Raw {
                let $value = self;
                $boxed
            }
        }
    )*};
}

plain_argument!(
    isize, |n| n << 1 | 1;
    // SAFETY: the caller of `give_value` may allocate.
    i64, |n| unsafe { ocaml_sys::caml_copy_int64(n) };
    // SAFETY: as above.
    i32, |n| unsafe { ocaml_sys::caml_copy_int32(n) };
    // SAFETY: as above.
    f64, |x| unsafe { ocaml_sys::caml_copy_double(x) }
);

macro_rules! value_argument {
    (<$($generics:ident $(: $bound:lifetime)?),*> $ty:ty => $value:ty, |$scope:ident, $raw:ident| $receive:expr) => {
        // SAFETY: see the expression.
        unsafe impl<$($generics $(: $bound)?),*> Argument for $ty {
            type Abi = Raw;
            type Value<'a> = $value;
            #[inline]
            #[allow(clippy::needless_lifetimes)]
            unsafe fn receive<'a>($scope: &'a Scope, $raw: Raw) -> $value {
                $receive
            }
        }
    };
}

value_argument!(<> bool => bool, |_scope, raw| raw >> 1 != 0);
value_argument!(<> () => (), |_scope, _raw| ());
// SAFETY (also below): `raw` is a value of the right type, by the contract of `receive`, and what
// is read from it is copied, rooted, or borrowed for as long as the scope.
value_argument!(<> &str => &'a str, |scope, raw| {
    // SAFETY: as above.
    let b = unsafe { bytes::shared(scope, raw) };
    std::str::from_utf8(b).expect("a string argument is not UTF-8")
});
value_argument!(<> &[u8] => &'a [u8], |scope, raw| {
    // SAFETY: as above.
    unsafe { bytes::shared(scope, raw) }
});
// SAFETY: as above.
unsafe impl Argument for &mut [u8] {
    type Abi = Raw;
    type Value<'a> = &'a mut [u8];
    const WRITES: bool = true;
    #[inline]
    unsafe fn receive(scope: &Scope, raw: Raw) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { bytes::exclusive(scope, raw) }
    }
}
value_argument!(<> Vec<u8> => Vec<u8>, |_scope, raw| {
    // SAFETY: as above.
    unsafe { bytes::copy(raw) }
});
value_argument!(<> String => String, |_scope, raw| {
    // SAFETY: as above.
    String::from_utf8(unsafe { bytes::copy(raw) }).expect("a string argument is not UTF-8")
});
// SAFETY: as above.
unsafe impl<T: 'static> Argument for OCaml<'_, T> {
    type Abi = Raw;
    type Value<'a> = OCaml<'a, T>;
    const UNSEEN: bool = true;
    #[inline]
    unsafe fn receive(_: &Scope, raw: Raw) -> OCaml<'_, T> {
        // SAFETY: as above. Nothing can allocate before the call is over: its scope took the runtime.
        unsafe { OCaml::new(recover_runtime_handle(), raw) }
    }
}
value_argument!(<T: 'static> BoxRoot<T> => BoxRoot<T>, |_scope, raw| {
    // SAFETY: as above. Making a root does not allocate on the OCaml heap.
    BoxRoot::new(unsafe { OCaml::new(recover_runtime_handle(), raw) })
});

// SAFETY: none of these refers to the OCaml heap but through a root.
unsafe impl Rooted for bool {}
// SAFETY: as above.
unsafe impl Rooted for () {}
// SAFETY: as above.
unsafe impl Rooted for String {}
// SAFETY: as above.
unsafe impl Rooted for Vec<u8> {}
// SAFETY: as above.
unsafe impl<T: 'static> Rooted for BoxRoot<T> {}

/// A type that an exported function can return: the owned types among those of [`Argument`], an
/// [`Opaque`](super::Opaque) type, `Option` (`option`), `Result` (`result`), `Vec` (`list`) and tuples of
/// these, [`Feed<T>`](super::Feed) for an `'a Lwt_stream.t`, and [`OCaml<T>`] for everything else.
///
/// The result of an exported `async fn` becomes the value of an `'a Lwt.t`, in which an OCaml `int`
/// stands for `isize`, and `int64`, `int32` and `float` for the other numbers.
///
/// # Safety
///
/// [`give`](Self::give) and [`give_value`](Self::give_value) return values of the OCaml type that is declared for this
/// one.
pub unsafe trait Return {
    /// What the C function returns.
    type Abi;
    /// Whether OCaml takes it as a machine number, and not as a value.
    const NUMBER: bool = false;

    /// Converts it; may allocate on the OCaml heap.
    ///
    /// # Safety
    ///
    /// To be called last in a function that OCaml called.
    unsafe fn give(self) -> Self::Abi;

    /// Converts it to a value, where the C function has no say in how it is passed: as the result
    /// of an async function, and inside another value.
    ///
    /// # Safety
    ///
    /// The caller may allocate on the OCaml heap, and roots the result before the next allocation.
    unsafe fn give_value(self) -> Raw;
}

/// `give` for the types whose ABI is a value.
macro_rules! value_return {
    (<$($generics:ident $(: $bound:path)?),*> $ty:ty, |$value:ident| $give:expr) => {
        // SAFETY: see the expression.
        unsafe impl<$($generics $(: $bound)?),*> Return for $ty {
            type Abi = Raw;
            #[inline]
            unsafe fn give(self) -> Raw {
                // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
                unsafe { self.give_value() }
            }
            #[inline]
            unsafe fn give_value(self) -> Raw {
                let $value = self;
                $give
            }
        }
    };
}

value_return!(<T> OCaml<'_, T>, |value| {
    // SAFETY: nothing allocates between reading the value and returning it.
    unsafe { value.raw() }
});
value_return!(<T> BoxRoot<T>, |root| {
    // SAFETY: as above.
    unsafe { root.get_raw() }
});
value_return!(<> bool, |b| (b as Raw) << 1 | 1);
value_return!(<> (), |_unit| 1);
value_return!(<> Vec<u8>, |v| {
    // SAFETY: the caller of `give_value` may allocate.
    unsafe { bytes::allocate_or_raise(&v) }
});
value_return!(<> String, |s| {
    // SAFETY: as above.
    unsafe { bytes::allocate_or_raise(s.as_bytes()) }
});
