//! Who owns the program's main function.

use std::sync::atomic::{AtomicBool, Ordering};

static RUST: AtomicBool = AtomicBool::new(false);
#[cfg(feature = "xen")]
static C: AtomicBool = AtomicBool::new(false);

/// Rust's `main!` has begun.
pub(crate) fn rust_owns_main() {
    RUST.store(true, Ordering::Relaxed);
}

/// Whether it is Rust.
pub(crate) fn is_rust() -> bool {
    RUST.load(Ordering::Relaxed)
}

/// C's `main` has begun: to the loop that is as Rust's, but the parameters are the program's own.
#[cfg(feature = "xen")]
pub(crate) fn c_owns_main() {
    C.store(true, Ordering::Relaxed);
    rust_owns_main();
}

/// Whether it is C.
#[cfg(all(feature = "ocaml", feature = "xen"))]
pub(crate) fn is_c() -> bool {
    C.load(Ordering::Relaxed)
}

/// Whether it is C: not in a Linux process, where such a program is itself.
#[cfg(all(feature = "ocaml", not(feature = "xen")))]
pub(crate) fn is_c() -> bool {
    false
}
