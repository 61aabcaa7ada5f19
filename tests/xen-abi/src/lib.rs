//! Nothing: see `tests/bindings.rs`.
