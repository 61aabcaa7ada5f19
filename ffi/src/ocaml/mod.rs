//! The language boundary: the only module that touches OCaml values.
//!
//! Values and roots are [`ocaml_interop`]'s: an [`OCaml<'a, T>`](OCaml) is valid until OCaml code runs, because it
//! borrows the [`OCamlRuntime`] that is needed for that; a [`BoxRoot<T>`](BoxRoot) is valid for as long as it is kept.
//! The runtime itself, what is made in Rust ([`Pass`], [`ToOCaml`]) and everything else here is this module's own.
//!
//! **OCaml calls Rust**: [`#[mirust::export]`](macro@crate::export) makes C functions of Rust functions, and
//! `mirust-bindgen` the OCaml module that declares them; [`Argument`] and [`Return`] list the types. Bytes
//! are borrowed in place. A panic becomes the OCaml exception `Mirust.Panic`.
//!
//! **OCaml owns Rust values**: the values of an [`Opaque`] type are reference-counted, and OCaml's collector
//! holds one of the references.
//!
//! **Rust calls OCaml**: a closure that was passed as `BoxRoot<fn(A) -> R>` is a [`Closure`]; an OCaml
//! exception is an `Err`. Tasks, which are not called by OCaml, get the runtime by [`with_runtime`].
//!
//! **Futures are promises**: an exported `async fn` returns an `'a Lwt.t` to OCaml, and an OCaml
//! promise is a [`Promise`] in Rust. Cancelling or dropping the one ends the other. At the lowest level
//! there is a [`Completion`]: a token that OCaml passes along, and that wakes its promise.
//!
//! **Streams** cross in both directions, one element at a time and at the reader's pace: [`Feed`] turns a
//! [`Stream`](futures_core::Stream) into an `'a Lwt_stream.t`, [`LwtStream`] does the reverse.
//!
//! Do not use ocaml-interop's own `export` attribute with an OCaml exception registered as
//! `rust_panic_exn`: it keeps that exception without a root.

mod bigarray;
mod buffer;
mod bytes;
mod call;
mod collect;
mod completion;
mod compound;
pub mod export;
mod feed;
mod future;
mod named;
pub(crate) mod net;
mod opaque;
mod owned;
mod parcel;
mod pass;
mod promise;
mod reserve;
mod runtime;
mod scope;
mod slots;
mod start;
mod stream;
pub(crate) mod view;

#[cfg(doctest)]
mod misuse;

pub use bigarray::{OCamlBigarray, OCamlCstruct};
pub use buffer::Buffer;
pub use bytes::OCamlBytes;
pub use call::{Closure, Exception};
pub use completion::Completion;
pub use compound::{Part, ReturnPart};
pub use export::{Argument, Return, Rooted};
pub use feed::{Feed, streams_fed};
pub use future::futures_awaited;
pub use ocaml_interop::{
    BoxRoot, FromOCaml, OCaml, OCamlFloat, OCamlInt, OCamlInt32, OCamlInt64, OCamlList, OCamlRef,
};
pub use opaque::{Opaque, opaque_values};
pub use owned::bytes_lent;
pub use pass::{Pass, ToOCaml};
pub use promise::{AsyncClosure, OCamlPromise, Promise, PromiseError, promises_awaited};
pub use runtime::{OCamlRuntime, Unavailable, from_thread, is_started, with_runtime};
pub use start::{StartError, start};
pub use stream::{LwtStream, OCamlStream};

pub(crate) use pass::copy;
pub(crate) use runtime::taken;
pub(crate) use slots::Slots;
pub(crate) use start::{init, run_toplevel, shutdown, step};
#[cfg(not(feature = "xen"))]
pub(crate) use start::{mirust_foreign_ready, mirust_foreign_turn};
