//! Awaiting a Rust future in OCaml.
//!
//! One future that OCaml awaits goes through these steps:
//!
//! 1. OCaml calls an exported `async fn`. [`launch`] spawns the future as a task, which does not run
//!    yet, and has OCaml make the promise, which knows the future by its token.
//! 2. The loop runs the task. Its result waits in the table; the completion queue tells OCaml.
//! 3. OCaml's loop takes the completion out of the queue, calls [`take`], which converts the result
//!    there and then, and resolves the promise.
//!
//! So no OCaml value waits anywhere, and nobody's code runs inside somebody else's call. If OCaml
//! cancels the promise between 1 and 3, the task is aborted and its future dropped in the loop.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use ocaml_interop::{OCaml, OCamlRuntime};
use ocaml_sys::is_exception_result;

use super::export::{Raw, Return};
use super::named::Named;
use super::slots::Slots;
use crate::JoinHandle;
use crate::domain;

/// A future that OCaml awaits.
enum Awaited {
    Running {
        /// The task; none while it is being spawned.
        task: Option<JoinHandle<()>>,
        /// What tells OCaml (`Completion.token`); none before OCaml has made its promise.
        completion: Option<isize>,
    },
    Finished(Box<dyn Answer>),
}

thread_local! {
    /// What OCaml awaits. Never dropped, as there is nobody left to await anything then.
    static AWAITED: RefCell<ManuallyDrop<Slots<Awaited>>> =
        const { RefCell::new(ManuallyDrop::new(Slots::new())) };
}

fn awaited<R>(f: impl FnOnce(&mut Slots<Awaited>) -> R) -> R {
    AWAITED.with_borrow_mut(|slots| f(slots))
}

/// The result of a future, or its panic.
trait Answer {
    /// Converts it; panics with the future's panic.
    ///
    /// # Safety
    ///
    /// The caller may allocate on the OCaml heap.
    unsafe fn give(self: Box<Self>) -> Raw;
}

impl<R: Return> Answer for Result<R, Box<dyn Any + Send>> {
    unsafe fn give(self: Box<Self>) -> Raw {
        match *self {
            // SAFETY: the caller's promise.
            Ok(value) => unsafe { value.give_value() },
            Err(payload) => resume_unwind(payload),
        }
    }
}

/// Catches the panics of a future.
struct Caught<F>(F);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the field is pinned as the whole is; nothing moves it.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            // Not polled again: its task ends with this.
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}

static CREATE: Named = Named::new(c"mirust_future_create");

/// Spawns the future and gives OCaml's promise of its result.
#[doc(hidden)]
pub fn launch<F>(ocaml: &mut OCamlRuntime, future: F) -> Raw
where
    F: Future<Output: Return> + 'static,
{
    let token = awaited(|a| a.insert(Awaited::Running { task: None, completion: None }));
    let handle = domain::spawn(async move { finish(token, Caught(future).await) });
    awaited(|a| {
        if let Some(Awaited::Running { task, .. }) = a.get_mut(token) {
            *task = Some(handle);
        }
    });
    // SAFETY: the function takes an int.
    let promise = unsafe { CREATE.call(ocaml, || token << 1 | 1) };
    assert!(!is_exception_result(promise), "OCaml could not make a promise");
    promise
}

/// The task has a result.
fn finish<R: Return + 'static>(token: isize, result: Result<R, Box<dyn Any + Send>>) {
    let answer = Box::new(result);
    let before = awaited(|a| {
        a.get_mut(token).map(|entry| std::mem::replace(entry, Awaited::Finished(answer)))
    });
    if let Some(Awaited::Running { completion: Some(completion), .. }) = before {
        domain::complete(completion as u64);
    }
}

/// OCaml: this completion tells of that future.
#[crate::export(noalloc, name = "mirust_ocaml_future_bind")]
fn bind(token: isize, told_by: isize) -> isize {
    awaited(|a| {
        if let Some(Awaited::Running { completion, .. }) = a.get_mut(token) {
            *completion = Some(told_by);
        }
    });
    0
}

/// OCaml: the result, once. A panic of the future is raised here.
#[crate::export(name = "mirust_ocaml_future_take")]
fn take(ocaml: &mut OCamlRuntime, token: isize) -> OCaml<'_, ()> {
    let Some(Awaited::Finished(answer)) = awaited(|a| a.remove(token)) else {
        panic!("OCaml took the result of a future that has none");
    };
    // SAFETY: we have the runtime. The value is of a type that the external says.
    unsafe { OCaml::new(ocaml, answer.give()) }
}

/// OCaml: nobody awaits it any more. The future is dropped in the loop, not inside this call.
#[crate::export(name = "mirust_ocaml_future_cancel")]
fn cancel(token: isize) {
    match awaited(|a| a.remove(token)) {
        Some(Awaited::Running { task: Some(task), .. }) => task.abort(),
        Some(Awaited::Finished(answer)) => {
            // Its destructor is somebody's code as well.
            domain::spawn(async move { drop(answer) });
        }
        Some(Awaited::Running { task: None, .. }) | None => {}
    }
}

/// How many futures OCaml awaits, or has not fetched the result of.
pub fn futures_awaited() -> usize {
    awaited(|a| a.len())
}
