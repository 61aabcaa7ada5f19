//! Bits of libc: the C symbols that OCaml's runtime, Rust's std and the unwinder refer to.
//!
//! `docs/libc.md` lists them, and says what is exact, what is refused and what is missing. The
//! layer is the cargo feature `libc`. It reaches the domain through [`host`] alone, and the rest of
//! the crate uses its [`errno`] for the symbols that `mem` exports.
//!
//! Every exported function has the contract of its namesake in ISO C or POSIX, and is called by
//! object code on the one thread of execution, never from an exception handler. Comments say where
//! the meaning here is narrower. In an image (feature `xen`) the functions carry their C names; on
//! the host they do not, and the tests compare them with the host's C library.
#![cfg_attr(not(feature = "xen"), allow(dead_code))]

mod asm;
mod calendar;
mod double;
pub mod env;
pub mod errno;
mod fs;
pub mod host;
mod integer;
mod locale;
mod math;
mod mem;
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
