//! What an image says about itself: the console, the log, and the report of its own end.

pub mod console;
#[cfg(feature = "xen")]
pub mod unwind;
