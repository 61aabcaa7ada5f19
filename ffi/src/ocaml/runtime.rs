//! Access to the OCaml heap: who has it, and when.

use std::cell::Cell;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use ocaml_interop::internal::{recover_runtime_handle, recover_runtime_handle_mut};
use ocaml_interop::{BoxRoot, OCaml};
use ocaml_sys::Value as Raw;

use crate::{domain, turn};

/// The OCaml runtime. An exclusive reference is the right to allocate on the OCaml heap, to call closures and to make
/// OCaml values ([`ToOCaml`](super::ToOCaml)); a shared one is enough to read what is rooted.
///
/// It lends ocaml-interop's own handle for reading only. What that crate does with an exclusive one is not safe here:
/// an allocation that fails would raise an OCaml exception through Rust's frames, and a boxed value would be dropped
/// inside the collector.
#[repr(transparent)]
pub struct OCamlRuntime(ocaml_interop::OCamlRuntime);

impl Deref for OCamlRuntime {
    type Target = ocaml_interop::OCamlRuntime;

    #[inline]
    fn deref(&self) -> &ocaml_interop::OCamlRuntime {
        &self.0
    }
}

/// The handle.
///
/// # Safety
///
/// The caller is in OCaml's thread, and nobody else has it for as long.
#[inline]
pub(super) unsafe fn handle<'a>() -> &'a mut OCamlRuntime {
    // SAFETY: the caller's promise; both types have the same layout.
    unsafe { &mut *ptr::from_mut(recover_runtime_handle_mut()).cast() }
}

/// OCaml was not started.
const ABSENT: u8 = 0;
/// No Rust code below us on the stack holds the runtime or a borrow of an OCaml value, unless it
/// lent the runtime to the OCaml code that runs.
const FREE: u8 = 1;
/// Somebody does.
const TAKEN: u8 = 2;
/// Nobody does, but there are frames of OCaml's on the stack that we were called from: it has lent the
/// runtime out, or is where it runs from. To most this is the same as `FREE`.
const LENT: u8 = 3;

/// The state of the OCaml runtime.
///
/// A `&mut OCamlRuntime` is the permission to allocate on the OCaml heap and to run OCaml code,
/// both of which move values. There must be one at a time, and none while Rust borrows bytes of an
/// OCaml value. Code that hands one out therefore takes the state from `FREE` to `TAKEN`; calling
/// OCaml from Rust gives it back for the duration of the call.
///
/// Only OCaml's thread changes it. A thread-local would cost each call from OCaml twice as much as
/// this does, so that other threads are distinguished in [`with_runtime`] alone.
static STATE: AtomicU8 = AtomicU8::new(ABSENT);

/// Whether OCaml code has run since [`with_runtime`] began.
static RAN: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this is OCaml's thread. In an image that is the main stack, tasks included: the only stack on
    /// which a frame of OCaml's ever is, so that no thread with one is switched away from.
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Why OCaml cannot be used here and now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unavailable {
    /// OCaml was not started, or this is not the thread it was started in.
    NotStarted,
    /// The caller is inside a function called by OCaml, or inside [`with_runtime`]: the runtime, or bytes
    /// borrowed from it, are in use further up the stack.
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

/// Rust code that OCaml called runs: the state is `TAKEN` until this is dropped, and `LENT` then, which
/// it was before.
///
/// That it is not merely put back matters when OCaml raises through Rust frames, as it does when an
/// allocation on its heap fails: nothing is dropped then, and the next call sets the state right.
pub(super) struct Taken(());

#[inline]
pub(super) fn take() -> Taken {
    STATE.store(TAKEN, Ordering::Relaxed);
    Taken(())
}

/// Runs `f` with the runtime taken: for code that OCaml called.
#[inline]
pub(crate) fn taken<R>(f: impl FnOnce() -> R) -> R {
    let _taken = take();
    f()
}

impl Drop for Taken {
    #[inline]
    fn drop(&mut self) {
        STATE.store(LENT, Ordering::Relaxed);
    }
}

/// Code inside [`with_runtime`] runs: the state is `TAKEN` until this is dropped, and then what it was before: `FREE`,
/// or `LENT`, as in a task that an exchange runs, with OCaml's step below it on the stack.
struct Held(u8);

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        STATE.store(self.0, Ordering::Relaxed);
    }
}

/// OCaml code runs that Rust called, which had taken the runtime and lends it out until this is
/// dropped.
pub(super) struct Lent(());

#[inline]
pub(super) fn lend() -> Lent {
    RAN.store(true, Ordering::Relaxed);
    STATE.store(LENT, Ordering::Relaxed);
    Lent(())
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        STATE.store(TAKEN, Ordering::Relaxed);
    }
}

/// OCaml runs in this thread from now on.
pub(super) fn started() {
    if !HERE.replace(true) {
        STATE.store(LENT, Ordering::Relaxed);
    }
}

/// The toplevel of a Rust-owned program has returned: no frame of OCaml's is left.
pub(super) fn returned() {
    STATE.store(FREE, Ordering::Relaxed);
}

/// Whether OCaml could be entered from here without being on the stack already. If OCaml does not run,
/// or its loop is that of the program, this is about the future: it may be started, and it never returns.
pub(super) fn is_clear() -> bool {
    match STATE.load(Ordering::Relaxed) {
        FREE => crate::owner::is_rust(),
        state => state == ABSENT,
    }
}

/// Whether OCaml runs in this thread.
pub fn is_started() -> bool {
    HERE.get()
}

/// Runs `f` with the OCaml runtime. For Rust code called by the executor and not by OCaml: tasks, and a
/// Rust main.
///
/// # Errors
///
/// [`Unavailable`], with the reason; `f` is then not run.
pub fn with_runtime<R>(f: impl FnOnce(&mut OCamlRuntime) -> R) -> Result<R, Unavailable> {
    // Of a call inside another: what ran before counts for the outer one.
    let before = RAN.swap(false, Ordering::Relaxed);
    let in_poll = !turn::ocaml_looks();
    let result = hold(|ocaml| {
        if in_poll {
            // Which may have slept since the time was last said.
            turn::forget_time();
        }
        f(ocaml)
    });
    let ran = RAN.fetch_or(before, Ordering::Relaxed);
    let result = result?;
    if ran && in_poll {
        // We are inside a poll, which knows what OCaml had to do when it began. What OCaml has to do
        // now, a promise that was paused or a new sleeper, it must go and see.
        domain::signal_foreign();
    }
    Ok(result)
}

/// As [`with_runtime`], for the loop itself: what OCaml has to do after its own turn it has said.
pub(super) fn hold<R>(f: impl FnOnce(&mut OCamlRuntime) -> R) -> Result<R, Unavailable> {
    if !is_started() {
        return Err(Unavailable::NotStarted);
    }
    let before = STATE.load(Ordering::Relaxed);
    if before == TAKEN {
        return Err(Unavailable::InUse);
    }
    STATE.store(TAKEN, Ordering::Relaxed);
    let _held = Held(before);
    // SAFETY: OCaml was started in this thread. The state was not TAKEN, so nobody else has the runtime,
    // and it is TAKEN until `f` has returned.
    Ok(f(unsafe { handle() }))
}

/// Runs `f` with the OCaml runtime, from any thread of an image: on the main stack, while this thread waits.
/// On the main stack it is the same as [`with_runtime`].
///
/// # Errors
///
/// [`Unavailable`].
///
/// # Panics
///
/// If `f` does, with its payload.
pub fn from_thread<R>(f: impl FnOnce(&mut OCamlRuntime) -> R) -> Result<R, Unavailable> {
    match mirust_fiber::on_main(|| with_runtime(f)) {
        Ok(result) => result,
        Err(mirust_fiber::CannotBlock::Panicked(payload)) => std::panic::resume_unwind(payload),
        // An ordinary call needs not block.
        Err(mirust_fiber::CannotBlock::InTask) => Err(Unavailable::InUse),
    }
}

/// Roots a value. Does not allocate on the OCaml heap.
///
/// # Safety
///
/// `value` is valid now and has the type that `T` stands for; the caller is in OCaml's thread.
#[inline]
pub(super) unsafe fn root<T: 'static>(value: Raw) -> BoxRoot<T> {
    // SAFETY: the caller's promise.
    BoxRoot::new(unsafe { OCaml::new(recover_runtime_handle(), value) })
}

/// The same root under another type.
///
/// # Safety
///
/// The value has the type that `T` stands for.
#[inline]
pub(super) unsafe fn retype<A: 'static, T: 'static>(root: BoxRoot<A>) -> BoxRoot<T> {
    // SAFETY: both are the same pointer; the type exists for the compiler only.
    unsafe { std::mem::transmute(root) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_an_exchange_runs_leaves_ocaml_on_the_stack() {
        let state = || STATE.load(Ordering::Relaxed);
        started();
        hold(|_| assert_eq!(state(), TAKEN)).unwrap();
        assert_eq!(state(), LENT);
        assert!(!is_clear());
        returned();
        // The loop's step, a task in its exchange, and what Rust is called for afterwards.
        hold(|_| {
            let _lent = lend();
            hold(|_| assert!(hold(|_| ()).is_err())).unwrap();
            assert_eq!(state(), LENT);
        })
        .unwrap();
        assert_eq!(state(), FREE);
    }
}
