//! What an image says about itself: the console, the log, and the report of its own end.

pub mod console;
pub mod fault;
pub mod log;
mod panic;
pub mod symbols;

#[cfg(feature = "xen")]
pub mod backtrace;
#[cfg(feature = "xen")]
mod report;
#[cfg(feature = "xen")]
mod trap;
#[cfg(feature = "xen")]
mod unwind;

#[cfg(all(feature = "xen", feature = "libc"))]
pub(crate) use panic::last_panic;
pub use panic::note_panic;
#[cfg(feature = "xen")]
pub use report::fatal;
