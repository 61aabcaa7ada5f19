//! Bits of libc: the C symbols that OCaml's runtime, Rust's std and the unwinder refer to.
#![cfg_attr(not(feature = "xen"), allow(dead_code))]

mod asm;
mod calendar;
pub mod env;
pub mod errno;
mod fs;
pub mod host;
mod locale;
mod math;
mod mem;
mod number;
mod printf;
mod process;
mod pthread;
pub(crate) mod random;
mod scanf;
mod signal;
mod stdio;
mod string;
mod stub;
mod syscall;
mod time;
