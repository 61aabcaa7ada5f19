//! Bits of libc: the C symbols that OCaml's runtime, Rust's std and the unwinder refer to.
#![cfg_attr(not(feature = "xen"), allow(dead_code))]

mod asm;
pub mod errno;
pub mod host;
mod mem;
mod number;
mod printf;
mod process;
pub(crate) mod random;
mod scanf;
mod stdio;
mod string;
