//! Rust services inside a MirageOS-style unikernel.
//!
//! A program is a `staticlib` crate that depends on this one, alone or together with an OCaml program. The
//! image (or, for development, the Linux process) has one thread and one event loop, shared by both
//! languages:
//!
//! - [`spawn`], [`time`], [`shutdown_requested`] and [`suspend`] belong to the executor: futures run when OCaml has
//!   nothing to do, and OCaml's promises when no future is ready.
//! - [`export`](macro@export) and [`ocaml`] are the language boundary.
//! - [`main!`] makes Rust the owner of the program's main function; without it, OCaml owns it.
//! - [`log`] is the usual facade. Its lines look like those of OCaml's `Logs`, and go to the same console.
//! - [`abi`] is the interface for OCaml; `include/mirust.h` is the same for a C compiler.
//!
//! The executor is independent of the futures that it runs, so channels, streams and combinators of
//! other crates work unchanged: `futures` (`select!`, `mpsc`, `StreamExt`) and
//! `async-channel` are in the tests.
//!
//! A panic in a task ends only that task: its [`JoinHandle`] gets the error, and a line appears on the console. A panic
//! in a function called by OCaml becomes an exception there.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `ocaml` (on) | [`export`](macro@export), [`ocaml`] and [`net`]; without it the image has no OCaml runtime, and needs [`main!`] |
//! | `xen` | an image instead of a Linux process; `make xen` sets it |
//! | `net` | the OCaml network stack, for a program that has no OCaml of its own: [`net::up`] |
//! | `posix` | sockets and files for programs written for Linux: std, mio, tokio; in an image only |
//! | `descriptors` | `posix` without sockets, which needs no OCaml |
//! | `posix-on-unix` | `posix` in a Linux process, for benchmarks |
//! | `tokio`, `futures-io`, `embedded-io-async` | these crates' traits on the streams of [`net`] |
//! | `hyper` | hyper's executor and timer |
//! | `embedded-nal-async` | a whole stack under these traits |
//! | `redb` | disks as storage for the database redb |
//!
//! ```
//! # fn compiles() {
//! mirust::spawn(async {
//!     mirust::time::sleep(mirust::time::Duration::from_millis(10)).await;
//!     mirust::log::info!("{} is ten milliseconds older", mirust::platform_name());
//! });
//! # }
//! ```

// The macros of this crate expand to paths that begin with its name.
extern crate self as mirust;

pub mod abi;
pub mod args;
pub mod block;
#[cfg(feature = "ocaml")]
pub mod devices;
#[cfg(feature = "ocaml")]
pub mod disks;
pub mod entry;
#[cfg(feature = "ocaml")]
pub mod files;
#[cfg(feature = "ocaml")]
pub mod frames;
pub mod fs;
mod local;
mod logger;
pub mod memory;
#[cfg(feature = "ocaml")]
mod mirage;
#[cfg(feature = "ocaml")]
pub mod net;
#[cfg(feature = "ocaml")]
pub mod ocaml;
mod owner;
mod panic;
pub mod patience;
mod platform;
#[cfg(all(feature = "descriptors", any(feature = "xen", feature = "posix-on-unix")))]
pub mod posix;
#[cfg(all(feature = "descriptors", not(any(feature = "xen", feature = "posix-on-unix"))))]
#[path = "posix/on_linux.rs"]
pub mod posix;
// The parts of an image's socket layer that do not depend on sockets are tested on Linux.
#[cfg(all(test, not(any(feature = "xen", feature = "posix-on-unix"))))]
#[path = "posix/places.rs"]
mod places;
#[cfg(feature = "ocaml")]
pub mod receive;
mod setup;
#[cfg(all(test, not(any(feature = "xen", feature = "posix-on-unix"))))]
#[path = "posix/shortage.rs"]
mod shortage;
mod shutdown;
#[cfg(feature = "ocaml")]
mod slabs;
pub mod suspend;
pub mod time;
pub mod token;
pub mod turn;

// What touches no OCaml value is also tested without OCaml.
#[cfg(all(test, not(feature = "ocaml")))]
#[allow(dead_code)]
#[path = "."]
mod without_ocaml {
    #[path = "net/address.rs"]
    mod address;
    #[path = "net/error.rs"]
    mod error;
    #[path = "ocaml/slots.rs"]
    mod slots;
}

/// Xenstore, the tree in which domains and their toolstack find each other.
///
/// [`store`](xenstore::store) returns the client, or an error where there is no Xen (on Unix).
pub mod xenstore {
    pub use mirust_rt::xen::store;
    pub use mirust_rt::xen::xenstore::{Error, Transaction, Watch, Xenstore};
}

/// Blocking calls, on the main stack and on threads.
///
/// In a Linux process only the main thread can make them; [threads](std::thread) are the system's there.
pub mod fiber {
    pub use mirust_fiber::{
        CannotBlock, Stats, block_on, block_on_until, on_main, set_limit, set_seed, stats, wait,
        yield_now,
    };
}

pub use log;

pub use args::{args, args_os};
pub use mirust_rt::domain::{self, block_on, shutdown_reason, spawn, stats, yield_now};
pub use mirust_rt::executor::{JoinError, JoinHandle};
pub use mirust_rt::poll::PollStats;
pub use mirust_rt::shutdown::ShutdownReason;
pub use shutdown::{on_shutdown, shutdown_requested};

/// Exports a Rust function, or the methods of a type, to OCaml.
///
/// The function itself is unchanged; the attribute adds a C function `mirust_export_NAME` for an OCaml
/// `external`, where `NAME` is the function's name or the one given as `name = "…"`. The tool
/// `mirust-bindgen` reads the source file, and writes an OCaml module with the externals and the
/// documentation of everything exported in it. A rule in a dune file runs it:
///
/// ```lisp
/// (rule
///  (targets greeter.ml greeter.mli)
///  (deps src/greeter.rs)
///  (action
///   (run mirust-bindgen src/greeter.rs)))
/// ```
///
/// In OCaml a function has its Rust name, except that `new` becomes `create`, and that other OCaml
/// keywords get an underscore appended.
///
/// Arguments and results have types that implement [`ocaml::Argument`] and [`ocaml::Return`]. If the first argument is
/// `&mut OCamlRuntime`, the function may allocate on the OCaml heap and call closures; all its other arguments are then
/// rooted or owned. Without it, arguments can be borrowed from the OCaml heap, where nothing moves during the call.
///
/// A panic becomes the exception `Mirust.Panic`.
///
/// An `async fn` returns an `'a Lwt.t` to OCaml. Its future becomes a task: it first runs in the next turn
/// of the loop, not inside the call; cancelling the promise (`Lwt.cancel`) drops it; a panic rejects
/// the promise. Its arguments are owned or rooted.
///
/// ```
/// use mirust::ocaml::{BoxRoot, Closure, OCamlRuntime};
///
/// /// `external sum : bytes -> (int [@untagged]) = "mirust_native_only" "mirust_export_sum"`
/// #[mirust::export]
/// fn sum(#[ocaml(bytes)] data: &[u8]) -> isize {
///     data.iter().map(|&b| b as isize).sum()
/// }
///
/// /// `external twice : (int -> int) -> (int [@untagged]) -> (int [@untagged]) = …`
/// #[mirust::export]
/// fn twice(ocaml: &mut OCamlRuntime, f: BoxRoot<fn(isize) -> isize>, n: isize) -> isize {
///     match f.call(ocaml, (n,)) {
///         Ok(doubled) => doubled.to_i64() as isize,
///         Err(exception) => panic!("{exception}"),
///     }
/// }
///
/// /// `external parse_later : string -> (int, string) result Lwt.t = "mirust_export_parse_later"`
/// #[mirust::export]
/// async fn parse_later(number: String) -> Result<isize, String> {
///     mirust::time::sleep(mirust::time::Duration::from_millis(10)).await;
///     number.parse().map_err(|error| format!("{number:?}: {error}"))
/// }
/// ```
///
/// # Types
///
/// On an `impl` block the attribute exports all its functions, and makes the type [`Opaque`](ocaml::Opaque): OCaml owns
/// its values. The OCaml module gets a submodule named after the type, with an abstract `t`. A method takes `&self`, or
/// `self: Rc<Self>` if it is async or takes the runtime. Its `NAME` begins with that of the type (`tcp_stream_read`).
/// `#[mirust::export(size = path)]` tells the collector how large a value is. Methods that are not for OCaml go into
/// another block.
///
/// # Other OCaml types
///
/// Bytes are a `string` in OCaml, or `bytes` if they are written to; `#[ocaml(bytes)]`, `#[ocaml(cstruct)]` and
/// `#[ocaml(bigarray)]` before an argument choose another buffer type. Any other argument that is passed as a value can
/// be given an OCaml type with `#[ocaml(type = "…")]`, and a result with `#[mirust::export(returns = "…")]`; these
/// types are not checked. Everything else is checked: what is spelled `String` has to be Rust's `String`, and so on.
///
/// # Calls that cost nothing
///
/// `#[export(noalloc)]` is for an external marked `[@@noalloc]`: numbers and borrowed bytes in, a number, `bool` or
/// nothing out. It costs no more than a C call, but a panic in it ends the program, because OCaml cannot handle an
/// exception there.
#[cfg(feature = "ocaml")]
pub use mirust_macros::export;

/// The name of the platform: `xen` or `unix`.
pub fn platform_name() -> &'static str {
    platform::NAME
}

/// Both languages allocate from one heap.
#[cfg(feature = "xen")]
#[global_allocator]
static HEAP: mirust_rt::mem::heap::Heap = mirust_rt::mem::heap::Heap;

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
