//! The Rust side of @NAME@.

pub mod greeter;
