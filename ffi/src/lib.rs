//! Rust services inside a MirageOS-style unikernel.
