//! Who may touch the OCaml heap, and when.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, ThreadId};

use ocaml_interop::OCamlRuntime;
use ocaml_interop::internal::recover_runtime_handle_mut;

/// OCaml was not started.
const ABSENT: u8 = 0;
/// No Rust code below us on the stack holds the runtime or a borrow of an OCaml value, unless it
/// lent the runtime to the OCaml code that runs.
const FREE: u8 = 1;
/// Somebody does.
const TAKEN: u8 = 2;

/// The state of the OCaml runtime.
///
/// A `&mut OCamlRuntime` is the permission to allocate on the OCaml heap and to run OCaml code,
/// both of which move values. There must be one at a time, and none while Rust borrows bytes of an
/// OCaml value. Whoever hands one out therefore takes the state from `FREE` to `TAKEN`; running
/// OCaml code out of Rust gives it back for that long.
///
/// Only OCaml's thread changes it. A thread-local would cost each call from OCaml twice as much as
/// this does, so that other threads are told apart in [`with_runtime`] alone.
static STATE: AtomicU8 = AtomicU8::new(ABSENT);

/// OCaml's thread.
static THREAD: OnceLock<ThreadId> = OnceLock::new();

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
pub(super) struct Restore(u8);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        STATE.store(self.0, Ordering::Relaxed);
    }
}

/// A load and a store: nobody else writes.
#[inline]
fn change(to: u8) -> Restore {
    let before = STATE.load(Ordering::Relaxed);
    STATE.store(to, Ordering::Relaxed);
    Restore(before)
}

/// OCaml code is about to run, or has begun to.
#[inline]
pub(super) fn lend() -> Restore {
    change(FREE)
}

/// Rust code that OCaml called is about to run.
#[inline]
pub(super) fn take() -> Restore {
    change(TAKEN)
}

/// OCaml runs in this thread from now on.
pub(super) fn started() {
    THREAD.get_or_init(|| {
        STATE.store(FREE, Ordering::Relaxed);
        thread::current().id()
    });
}

/// Whether OCaml runs in this thread.
pub fn is_started() -> bool {
    STATE.load(Ordering::Relaxed) != ABSENT && THREAD.get() == Some(&thread::current().id())
}

/// Runs `f` with the OCaml runtime. For Rust code that was not called by OCaml but by the executor:
/// tasks, and a Rust main.
///
/// # Errors
///
/// [`Unavailable`] says why not; `f` was not run then.
pub fn with_runtime<R>(f: impl FnOnce(&mut OCamlRuntime) -> R) -> Result<R, Unavailable> {
    if !is_started() {
        return Err(Unavailable::NotStarted);
    }
    if STATE.load(Ordering::Relaxed) == TAKEN {
        return Err(Unavailable::InUse);
    }
    let _taken = take();
    // SAFETY: OCaml was started in this thread. The state was FREE, so nobody else has the runtime,
    // and it is TAKEN until `f` has returned.
    Ok(f(unsafe { recover_runtime_handle_mut() }))
}
