//! Awaiting a Rust future in OCaml.
//!
//! A future that OCaml awaits goes through these steps:
//!
//! 1. OCaml calls an exported `async fn`. [`launch`] spawns the future as a task, which does not run
//!    yet, and makes OCaml create the promise, which knows the future by its token.
//! 2. The loop runs the task. Its result waits in the table; the completion queue tells OCaml.
//! 3. OCaml's loop takes the completion from the queue, calls [`take`], which only then converts the result,
//!    and resolves the promise.
//!
//! So no OCaml value has to be kept, and no user code runs inside another call. If OCaml cancels the promise
//! between 1 and 3, the task is aborted and its future dropped in the loop.

use std::cell::RefCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use ocaml_interop::OCaml;
use ocaml_sys::is_exception_result;

use super::export::{Raw, Return};
use super::named::Named;
use super::parcel::{Outcome, Parcel};
use super::runtime::OCamlRuntime;
use super::slots::Slots;
use crate::JoinHandle;
use crate::domain;
use crate::token::MIRUST_COMPLETION_FUTURE;

/// A future that OCaml awaits.
enum Awaited {
    Running(JoinHandle<()>),
    Finished(Parcel),
}

crate::local::domain_local! {
    /// The futures that OCaml awaits. Never dropped, as nothing could await them then.
    static AWAITED: RefCell<ManuallyDrop<Slots<Awaited>>> =
        const { RefCell::new(ManuallyDrop::new(Slots::new())) };
}

fn awaited<R>(f: impl FnOnce(&mut Slots<Awaited>) -> R) -> R {
    AWAITED.with_borrow_mut(|slots| f(slots))
}

/// A future that OCaml awaits under a token, as a task: a panic is a result too.
struct Launched<F> {
    token: isize,
    future: F,
}

impl<F: Future<Output: Return>> Future for Launched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let token = self.token;
        // SAFETY: the field is pinned as the whole is; nothing moves it.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.future) };
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            // Not polled again: its task ends with this.
            Err(payload) => Err(payload),
        };
        finish(token, outcome);
        Poll::Ready(())
    }
}

static CREATE: Named = Named::new(c"mirust_future_create");

/// Spawns the future and returns OCaml's promise of its result.
#[doc(hidden)]
pub fn launch<F>(ocaml: &mut OCamlRuntime, future: F) -> Raw
where
    F: Future<Output: Return> + 'static,
{
    let token = awaited(|a| {
        a.insert_with(|token| Awaited::Running(domain::spawn(Launched { token, future })))
    });
    // SAFETY: the function takes an int.
    let promise = unsafe { CREATE.call(ocaml, || token << 1 | 1) };
    assert!(!is_exception_result(promise), "OCaml could not make a promise");
    promise
}

/// The completion queue's entry for a future: negative, to distinguish it from OCaml's own tokens.
const fn completion(token: isize) -> u64 {
    (MIRUST_COMPLETION_FUTURE - token) as u64
}

/// The task has a result.
#[inline(always)]
fn finish<R: Return>(token: isize, outcome: Outcome<R>) {
    // It stays here, to be dropped here, if OCaml cancelled it in the very poll in which it ended.
    let mut outcome = Some(outcome);
    let running = awaited(|a| {
        let entry = a.get_mut(token)?;
        let finished = Awaited::Finished(Parcel::new(outcome.take()?));
        Some(std::mem::replace(entry, finished))
    });
    if running.is_some() {
        domain::complete(completion(token));
    }
}

/// OCaml: the result, once. A panic of the future is raised here.
#[crate::export(unsafe_symbol = "mirust_ocaml_future_take")]
fn take(ocaml: &mut OCamlRuntime, token: isize) -> OCaml<'_, ()> {
    match awaited(|a| a.remove(token)) {
        // SAFETY: we have the runtime. The value is of a type that the external says.
        Some(Awaited::Finished(answer)) => unsafe { OCaml::new(ocaml, answer.give()) },
        _ => panic!("OCaml took the result of a future that has none"),
    }
}

/// OCaml: nobody awaits it any more. The future is dropped in the loop, not inside this call.
#[crate::export(unsafe_symbol = "mirust_ocaml_future_cancel")]
fn cancel(token: isize) {
    match awaited(|a| a.remove(token)) {
        Some(Awaited::Running(task)) => task.abort(),
        Some(Awaited::Finished(answer)) => {
            // Its destructor is somebody's code as well.
            domain::spawn(async move { drop(answer) });
        }
        None => {}
    }
}

/// How many futures OCaml awaits, or has not fetched the result of.
pub fn futures_awaited() -> usize {
    awaited(|a| a.len())
}
