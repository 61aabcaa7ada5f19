//! Who owns the program's main function.

use std::sync::atomic::{AtomicBool, Ordering};

static RUST: AtomicBool = AtomicBool::new(false);

/// Rust's `main!` has begun.
pub(crate) fn rust_owns_main() {
    RUST.store(true, Ordering::Relaxed);
}

/// Whether it is Rust.
pub(crate) fn is_rust() -> bool {
    RUST.load(Ordering::Relaxed)
}
