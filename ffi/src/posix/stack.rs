//! The way to the stack that OCaml is on.

/// Calls `f` on the main stack, where OCaml is: directly, if that is the caller's.
///
/// # Panics
///
/// If `f` does, with its payload.
pub(super) fn on_main<R>(f: impl FnOnce() -> R) -> R {
    match mirust_fiber::on_main(f) {
        Ok(result) => result,
        Err(mirust_fiber::CannotBlock::Panicked(payload)) => std::panic::resume_unwind(payload),
        Err(mirust_fiber::CannotBlock::InTask) => unreachable!("a mere call does not block"),
    }
}
