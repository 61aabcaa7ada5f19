//! The Rust crate beside the unikernel.

pub mod service;
