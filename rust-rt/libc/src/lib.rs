//! The libc layer: the C symbols that OCaml's runtime, Rust's std and the unwinder refer to.
//!
//! `docs/libc.md` lists them, and says what is exact, what is refused and what is missing. The
//! layer is the cargo feature `libc` of `mirust-rt`. It takes memory from `mirust-mem`, and reaches
//! the domain through [`host`] alone.
//!
//! With the feature `posix`, descriptors stand for everything that they do on Linux (see `posix`); without it,
//! only for the console (see `fs`).
//!
//! Every exported function has the contract of its namesake in ISO C or POSIX, and is called by
//! object code on the one thread of execution, never from an exception handler. Comments say where
//! the meaning here is narrower. In an image (feature `symbols`) the functions carry their C names; on
//! the host they do not, and the tests compare them with the host's C library.
#![no_std]
#![cfg_attr(not(feature = "symbols"), allow(dead_code))]
#![allow(clippy::missing_safety_doc, reason = "a C function's contract is that of its namesake")]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod allocated;
mod asm;
mod basic_calls;
mod calendar;
mod cstr;
mod cxx;
mod deliver;
mod die;
mod dl;
mod double;
pub mod env;
pub mod errno;
pub mod exceptions;
mod fnmatch;
mod fortify;
#[cfg(not(any(
    all(feature = "posix", any(test, feature = "symbols")),
    feature = "posix-on-unix"
)))]
mod fs;
mod handlers;
pub mod host;
mod integer;
mod interrupt;
mod keys;
pub mod layout;
#[cfg(test)]
mod limited;
mod locale;
mod malloc;
mod math;
mod mem;
mod mmap;
mod numbers;
#[cfg(any(all(feature = "posix", any(test, feature = "symbols")), feature = "posix-on-unix"))]
pub mod posix;
mod printf;
mod process;
mod pthread;
mod random;
pub mod rdrand;
mod room;
mod scanf;
mod search;
mod setjmp;
pub mod signal;
mod sort;
mod stack_signals;
mod states;
mod stdio;
mod strftime;
mod string;
mod stub;
mod syscall;
pub mod threads;
mod time;
mod timespec;
mod wide;
mod words;

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
