//! The C symbols that MirageOS's library `mirage-xen` declares as externals, so that its drivers and
//! its loop run on this runtime unmodified. (Interface: the `external`s of mirage-xen 9.0, and
//! `caml_get_wall_clock` of mirage-ptime.) An image that refers to none of them contains none: the linker drops
//! unused functions.
//!
//! | module | what |
//! |---|---|
//! | `turn` | the loop's two calls, clocks |
//! | `ports` | event channels |
//! | `grants` | pages for other domains, and of other domains |
//! | `rings` | xenstore's and the console's page, neither of which is the domain's own |
//! | `lifecycle` | what a suspension would cut off |
//! | `machine` | command line, memory figures |
//!
//! # Mirage's loop
//!
//! Mirage's loop calls `demux_pending`, and blocks in `block_domain`. Both are `[@@noalloc]`: OCaml has not saved its
//! state, so nothing inside may allocate on its heap, call it, or raise. Rust tasks may need to do all three. So these
//! two functions only check and block, and run no tasks: if there is work for Rust, `demux_pending` returns true,
//! Mirage's loop runs its hooks, and one of them, installed by the OCaml library `mirage-mirust.loop`, takes a turn in
//! an ordinary call. There, tasks run, and promises of Rust's futures are resolved. In a program without that
//! library, tasks run inside `demux_pending`, and find OCaml unavailable.
//!
//! # Errors
//!
//! Where mirage-xen's own C raises `Failure` or `Out_of_memory`, so do these. Without a Xen below, event
//! channels, grants and the rings fail; clocks and the loop work.
//!
//! # Safety
//!
//! OCaml alone calls these functions, with values of the types that the `external` in each one's documentation
//! names.
#![allow(clippy::missing_safety_doc, reason = "the same for all: above")]

mod bells;
mod grants;
mod lifecycle;
mod machine;
mod ports;
mod rings;
mod turn;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ocaml::{is_started, taken};
use crate::panic::message;

/// An OCaml value.
type Value = ocaml_sys::Value;

const UNIT: Value = 1;

/// An exception to raise.
enum Failed {
    /// `Failure`, with this message.
    Because(Cow<'static, str>),
    /// `Out_of_memory`.
    OutOfMemory,
}

impl Failed {
    fn because(what: impl std::fmt::Display) -> Failed {
        Failed::Because(Cow::Owned(what.to_string()))
    }
}

const NO_XEN: Failed = Failed::Because(Cow::Borrowed("there is no Xen below"));

fn int(v: Value) -> isize {
    v >> 1
}

fn bool(v: Value) -> bool {
    v != 1
}

const fn of_int(n: isize) -> Value {
    n << 1 | 1
}

/// A number of an unsigned type that OCaml passes.
fn number<T: TryFrom<isize>>(v: Value, what: &'static str) -> Result<T, Failed> {
    T::try_from(int(v)).map_err(|_| Failed::Because(Cow::Borrowed(what)))
}

/// Runs the body of a function that OCaml calls; what went wrong, panics included, becomes an
/// exception.
///
/// # Safety
///
/// To be called by a C function that OCaml calls, with nothing left to drop in its frame.
unsafe fn enter(body: impl FnOnce() -> Result<Value, Failed>) -> Value {
    // A program may have none of our OCaml libraries, which do this before anything else.
    if !is_started() {
        crate::abi::mirust_init();
    }
    let result = taken(|| catch_unwind(AssertUnwindSafe(body)));
    let failed = match result {
        Ok(Ok(value)) => return value,
        Ok(Err(failed)) => failed,
        Err(payload) => Failed::because(message(&*payload)),
    };
    // SAFETY: the caller's promise; `failed` is consumed.
    unsafe { raise(failed) }
}

/// Raises in OCaml.
///
/// # Safety
///
/// OCaml called us, and no frame between it and this one has anything to drop.
unsafe fn raise(failed: Failed) -> ! {
    // SAFETY: the types are those of OCaml's `alloc.h` and `fail.h`.
    unsafe extern "C" {
        fn caml_alloc_initialized_string(length: usize, bytes: *const u8) -> Value;
        fn caml_failwith_value(message: Value) -> !;
        fn caml_raise_out_of_memory() -> !;
    }
    match failed {
        // SAFETY: OCaml called us. The jump is over frames that have nothing to drop.
        Failed::OutOfMemory => unsafe { caml_raise_out_of_memory() },
        Failed::Because(text) => {
            // SAFETY: the caller's promise: we may allocate.
            let v_text = unsafe { caml_alloc_initialized_string(text.len(), text.as_ptr()) };
            drop(text);
            // SAFETY: a string; the jump as above.
            unsafe { caml_failwith_value(v_text) }
        }
    }
}
