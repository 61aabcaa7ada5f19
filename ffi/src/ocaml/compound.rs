//! Options, results, lists and tuples, whose parts are converted one by one.

use ocaml_interop::{BoxRoot, OCaml};
use ocaml_sys::{field, is_block};

use super::export::{Argument, Raw, Return, Rooted, Scope};
use super::runtime;

/// An [`Argument`] that can be a part of another one: all but [`OCaml<T>`](super::OCaml) and promises.
///
/// # Safety
///
/// As [`Argument`].
pub unsafe trait Part: Argument {
    /// Converts it from a value, where OCaml has no say in how it is passed.
    ///
    /// # Safety
    ///
    /// As [`Argument::receive`]: `raw` is a value of the OCaml type that belongs to this one, and no
    /// OCaml code has run since it came from OCaml.
    unsafe fn receive_part<'a>(scope: &'a Scope, raw: Raw) -> Self::Value<'a>;
}

macro_rules! boxed_number {
    ($($ty:ty, |$raw:ident| $unbox:expr);*) => {$(
        // SAFETY: a plain number.
        unsafe impl Part for $ty {
            #[inline]
            unsafe fn receive_part(_: &Scope, $raw: Raw) -> $ty {
                $unbox
            }
        }
    )*};
}

boxed_number!(
    isize, |raw| raw >> 1;
    // SAFETY: OCaml's boxed numbers are custom blocks, whose operations come first.
    i64, |raw| unsafe { *field(raw, 1).cast::<i64>() };
    // SAFETY: as above.
    i32, |raw| unsafe { *field(raw, 1).cast::<i32>() };
    // SAFETY: a float is where its value points.
    f64, |raw| unsafe { *field(raw, 0).cast::<f64>() }
);

/// What is passed as a value is the same inside another one.
macro_rules! value_part {
    ($(<$($generics:ident $(: $bound:path)?),*> $ty:ty);* $(;)?) => {$(
        // SAFETY: as the type's `Argument`.
        unsafe impl<$($generics $(: $bound)?),*> Part for $ty {
            #[inline]
            unsafe fn receive_part<'a>(scope: &'a Scope, raw: Raw) -> Self::Value<'a> {
                // SAFETY: the caller's promise.
                unsafe { <$ty as Argument>::receive(scope, raw) }
            }
        }
    )*};
}

value_part!(
    <> bool;
    <> ();
    <> &str;
    <> &[u8];
    <> &mut [u8];
    <> Vec<u8>;
    <> String;
    <T: Part> Option<T>;
    <T: Part> Vec<T>;
    <A: Part, B: Part> (A, B);
    <A: Part, B: Part, C: Part> (A, B, C);
    <A: Part, B: Part, C: Part, D: Part> (A, B, C, D);
);

// SAFETY: as its `Argument`.
unsafe impl<T: 'static> Part for BoxRoot<T> {
    #[inline]
    unsafe fn receive_part(scope: &Scope, raw: Raw) -> BoxRoot<T> {
        // SAFETY: the caller's promise.
        unsafe { <BoxRoot<T> as Argument>::receive(scope, raw) }
    }
}

// SAFETY: the part is read from its block, and valid for as long as that.
unsafe impl<T: Part> Argument for Option<T> {
    type Abi = Raw;
    type Value<'a> = Option<T::Value<'a>>;
    const WRITES: bool = T::WRITES;
    #[inline]
    unsafe fn receive<'a>(scope: &'a Scope, raw: Raw) -> Self::Value<'a> {
        // SAFETY: `Some` is a block with one field, of the part's type.
        is_block(raw).then(|| unsafe { T::receive_part(scope, *field(raw, 0)) })
    }
}

// SAFETY: as above.
unsafe impl<T: Part> Argument for Vec<T> {
    type Abi = Raw;
    type Value<'a> = Vec<T::Value<'a>>;
    const WRITES: bool = T::WRITES;
    unsafe fn receive<'a>(scope: &'a Scope, mut raw: Raw) -> Self::Value<'a> {
        let mut parts = Vec::new();
        while is_block(raw) {
            // SAFETY: a list that is not empty is a block of its head and its tail.
            unsafe {
                parts.push(T::receive_part(scope, *field(raw, 0)));
                raw = *field(raw, 1);
            }
        }
        parts
    }
}

// SAFETY: an option or a list of what is rooted is in Rust's memory, or nowhere.
unsafe impl<T: Part + Rooted> Rooted for Option<T> {}
// SAFETY: as above.
unsafe impl<T: Part + Rooted> Rooted for Vec<T> {}

macro_rules! tuple {
    ($($name:ident $value:ident $n:literal),+) => {
        // SAFETY: the parts are read from their block, and valid for as long as that.
        unsafe impl<$($name: Part),+> Argument for ($($name,)+) {
            type Abi = Raw;
            type Value<'a> = ($($name::Value<'a>,)+);
            const WRITES: bool = $($name::WRITES)||+;
            #[inline]
            unsafe fn receive<'a>(scope: &'a Scope, raw: Raw) -> Self::Value<'a> {
                // SAFETY: a tuple is a block with its parts in this order.
                unsafe { ($($name::receive_part(scope, *field(raw, $n)),)+) }
            }
        }
        // SAFETY: as above, and each part is rooted.
        unsafe impl<$($name: Part + Rooted),+> Rooted for ($($name,)+) {}
        // SAFETY: a block of its parts, which are of their types.
        unsafe impl<$($name: ReturnPart),+> Return for ($($name,)+) {
            type Abi = Raw;
            unsafe fn give(self) -> Raw {
                // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
                unsafe { self.give_value() }
            }
            unsafe fn give_value(self) -> Raw {
                let ($($value,)+) = self.hold();
                // SAFETY: the caller's promise; the parts are held.
                unsafe { block(0, [$(root($value)),+]) }
            }
        }
        // SAFETY: all parts are held.
        unsafe impl<$($name: ReturnPart),+> ReturnPart for ($($name,)+) {
            type Held = ($($name::Held,)+);
            fn hold(self) -> Self::Held {
                let ($($value,)+) = self;
                ($($value.hold(),)+)
            }
        }
    };
}

tuple!(A a 0, B b 1);
tuple!(A a 0, B b 1, C c 2);
tuple!(A a 0, B b 1, C c 2, D d 3);

/// A [`Return`] that can be a part of another one: all but promises.
///
/// The whole is a block, for which OCaml allocates, and so are most parts; each allocation may move what is not
/// rooted. So first of all the parts are [held](Self::hold), and then converted.
///
/// # Safety
///
/// What [`hold`](Self::hold) gives refers to the OCaml heap through roots only, and is of the same OCaml type.
pub unsafe trait ReturnPart: Return {
    /// The same, for as long as it is kept.
    type Held: ReturnPart;

    /// Roots what is not rooted. Allocates nothing on the OCaml heap.
    fn hold(self) -> Self::Held;
}

/// What is a number or in Rust's memory, and needs no root.
macro_rules! held_as_it_is {
    ($(<$($generics:ident $(: $bound:path)?),*> $ty:ty);* $(;)?) => {$(
        // SAFETY: it does not refer to the OCaml heap, or through a root.
        unsafe impl<$($generics $(: $bound)?),*> ReturnPart for $ty {
            type Held = Self;
            #[inline]
            fn hold(self) -> Self {
                self
            }
        }
    )*};
}
pub(super) use held_as_it_is;

held_as_it_is!(
    <> isize;
    <> i64;
    <> i32;
    <> f64;
    <> bool;
    <> ();
    <> Vec<u8>;
    <> String;
);

// SAFETY: rooted.
unsafe impl<T: 'static> ReturnPart for BoxRoot<T> {
    type Held = Self;
    fn hold(self) -> Self {
        self
    }
}

// SAFETY: rooted.
unsafe impl<T: 'static> ReturnPart for OCaml<'_, T> {
    type Held = BoxRoot<T>;
    fn hold(self) -> BoxRoot<T> {
        self.root()
    }
}

// SAFETY: the part is held.
unsafe impl<T: ReturnPart> ReturnPart for Option<T> {
    type Held = Option<T::Held>;
    fn hold(self) -> Self::Held {
        self.map(T::hold)
    }
}

// SAFETY: as above.
unsafe impl<T: ReturnPart, E: ReturnPart> ReturnPart for Result<T, E> {
    type Held = Result<T::Held, E::Held>;
    fn hold(self) -> Self::Held {
        self.map(T::hold).map_err(E::hold)
    }
}

// SAFETY: all parts are held.
unsafe impl<T: ReturnPart> ReturnPart for Vec<T> {
    type Held = Vec<T::Held>;
    fn hold(self) -> Self::Held {
        self.into_iter().map(T::hold).collect()
    }
}

/// Tags of OCaml's constructors with an argument.
pub(super) const SOME_TAG: u8 = 0;
pub(super) const CONS_TAG: u8 = 0;
pub(super) const OK_TAG: u8 = 0;
pub(super) const ERROR_TAG: u8 = 1;

// SAFETY: as of a tuple.
unsafe impl<T: ReturnPart> Return for Option<T> {
    type Abi = Raw;
    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }
    unsafe fn give_value(self) -> Raw {
        match self {
            None => ocaml_sys::NONE,
            // SAFETY: the caller's promise.
            Some(value) => unsafe { block(SOME_TAG, [root(value)]) },
        }
    }
}

// SAFETY: as of a tuple.
unsafe impl<T: ReturnPart, E: ReturnPart> Return for Result<T, E> {
    type Abi = Raw;
    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }
    unsafe fn give_value(self) -> Raw {
        match self {
            // SAFETY: the caller's promise.
            Ok(value) => unsafe { block(OK_TAG, [root(value)]) },
            // SAFETY: as above.
            Err(error) => unsafe { block(ERROR_TAG, [root(error)]) },
        }
    }
}

// SAFETY: a list's blocks have a part and a list each.
unsafe impl<T: ReturnPart> Return for Vec<T> {
    type Abi = Raw;
    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }
    /// From its end, so that each tail is there before its head.
    unsafe fn give_value(self) -> Raw {
        let mut list = ocaml_sys::EMPTY_LIST;
        for part in self.hold().into_iter().rev() {
            // SAFETY: the caller's promise; the parts are held, and the list is rooted before anything is allocated.
            unsafe {
                let tail: BoxRoot<()> = runtime::root(list);
                list = block(CONS_TAG, [root(part), tail]);
            }
        }
        list
    }
}

/// Converts a part, and roots it.
///
/// # Safety
///
/// As [`Return::give_value`].
unsafe fn root(value: impl Return) -> BoxRoot<()> {
    // SAFETY: the caller's promise.
    unsafe { runtime::root(value.give_value()) }
}

/// A block with these fields.
///
/// # Safety
///
/// As [`Return::give_value`].
pub(super) unsafe fn block<const N: usize>(tag: u8, fields: [BoxRoot<()>; N]) -> Raw {
    // SAFETY: the caller's promise. The fields are rooted while their block is allocated; a block from
    // `caml_alloc` is initialised, and may be of either generation, which `caml_modify` minds.
    unsafe {
        let block = ocaml_sys::caml_alloc(N, tag);
        for (i, value) in fields.iter().enumerate() {
            ocaml_sys::caml_modify(field(block, i), value.get_raw());
        }
        block
    }
}
