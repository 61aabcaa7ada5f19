//! The runtime alone, for images and tests without Rust services of their own.
pub use mirust::*;
