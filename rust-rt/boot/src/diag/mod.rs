//! What an image says about itself: the console, the log, and the report of its own end.

pub use crate::{console, log};

pub mod fault;
mod panic;
pub mod symbols;

#[cfg(feature = "image")]
pub mod backtrace;
#[cfg(any(feature = "image", test))]
mod functions;
#[cfg(any(feature = "image", test))]
mod ocaml_frames;
#[cfg(feature = "image")]
mod report;
#[cfg(feature = "image")]
mod trap;
#[cfg(feature = "image")]
mod unwind;

pub use panic::note_panic;
#[cfg(feature = "image")]
pub use report::{fatal, fatal_shortage};
#[cfg(all(feature = "image", feature = "libc"))]
pub(crate) use {panic::last_panic, report::MaybeOutOfMemory};
