//! Who may touch the OCaml heap, and when.

use std::cell::Cell;

use ocaml_interop::OCamlRuntime;
use ocaml_interop::internal::recover_runtime_handle_mut;

/// The state of the OCaml runtime as this thread may use it.
///
/// A `&mut OCamlRuntime` is the permission to allocate on the OCaml heap and to run OCaml code,
/// both of which move values. There must be one at a time, and none while Rust borrows bytes of an
/// OCaml value. Whoever hands one out therefore takes the state from `Free` to `Taken`; running
/// OCaml code out of Rust gives it back for that long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// OCaml was not started, or not in this thread.
    Absent,
    /// No Rust code below us on the stack holds the runtime or a borrow of an OCaml value, unless
    /// it lent the runtime to the OCaml code that runs.
    Free,
    /// Somebody does.
    Taken,
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Absent) };
}

/// OCaml cannot be used here and now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unavailable {
    /// OCaml was not started, or this is not the thread it was started in.
    NotStarted,
    /// The caller is inside a function that OCaml called, or inside [`with_runtime`]: the runtime,
    /// or bytes borrowed from it, are in use further up the stack.
    InUse,
}

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Unavailable::NotStarted => "OCaml is not running in this thread",
            Unavailable::InUse => "the OCaml runtime is in use further up the stack",
        })
    }
}

impl std::error::Error for Unavailable {}

/// Puts the state back when dropped.
pub(super) struct Restore(State);

impl Drop for Restore {
    fn drop(&mut self) {
        STATE.set(self.0);
    }
}

/// OCaml code is about to run, or has begun to.
pub(super) fn lend() -> Restore {
    Restore(STATE.replace(State::Free))
}

/// Rust code that OCaml called is about to run.
pub(super) fn take() -> Restore {
    Restore(STATE.replace(State::Taken))
}

/// OCaml runs in this thread from now on.
pub(super) fn started() {
    STATE.set(State::Free);
}

/// Whether OCaml runs in this thread.
pub fn is_started() -> bool {
    STATE.get() != State::Absent
}

/// Runs `f` with the OCaml runtime. For Rust code that was not called by OCaml but by the executor:
/// tasks, and a Rust main.
///
/// # Errors
///
/// [`Unavailable`] says why not; `f` was not run then.
pub fn with_runtime<R>(f: impl FnOnce(&mut OCamlRuntime) -> R) -> Result<R, Unavailable> {
    match STATE.get() {
        State::Absent => Err(Unavailable::NotStarted),
        State::Taken => Err(Unavailable::InUse),
        State::Free => {
            let _taken = take();
            // SAFETY: OCaml was started in this thread. The state was Free, so nobody else has the
            // runtime, and it is Taken until `f` has returned.
            Ok(f(unsafe { recover_runtime_handle_mut() }))
        }
    }
}
