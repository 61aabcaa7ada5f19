//! The Rust side of the tests in `tests/ocaml`, and of the crossing benchmark.

mod bench;
mod bytes;
mod failures;
mod net;
mod promises;
mod resize;
mod service;
mod streams;
mod suspend;
mod tasks;
mod values;
