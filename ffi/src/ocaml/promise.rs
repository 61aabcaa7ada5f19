//! Awaiting an OCaml promise in Rust.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ocaml_interop::{BoxRoot, FromOCaml, OCaml};
use ocaml_sys::{extract_exception, field, is_exception_result, is_long, tag_val};

use super::call::{Closure, Exception};
use super::export::{Argument, Raw, Rooted, Scope};
use super::named::Named;
use super::runtime::{self, Unavailable, with_runtime};
use super::slots::Slots;
use crate::domain;

/// OCaml's type `'a Lwt.t`, in types such as `BoxRoot<fn(String) -> OCamlPromise<isize>>`.
pub struct OCamlPromise<T>(PhantomData<T>);

/// An OCaml promise (`'a Lwt.t`) as a future.
///
/// Exported functions take it as an argument, [`AsyncClosure::call_async`] returns it, and
/// [`Promise::new`] makes one of any value of that type. OCaml is told of the future when it is first
/// polled. When the promise is resolved the task is woken, and runs from the loop, never inside the
/// OCaml code that resolved it.
///
/// Dropping the future before it is ready cancels the promise (`Lwt.cancel`), also from the loop;
/// [`detach`](Self::detach) lets it continue.
///
/// Poll it only in tasks and in a Rust main, that is, not while the OCaml runtime is in use further up the
/// stack.
///
/// ```
/// # fn compiles() {
/// use mirust::ocaml::Promise;
///
/// /// `external report : string Lwt.t -> unit = "report"`
/// #[mirust::export]
/// fn report(answer: Promise<String>) {
///     mirust::spawn(async move {
///         match answer.to_rust::<String>().await {
///             Ok(answer) => mirust::log::info!("{answer}"),
///             Err(error) => mirust::log::error!("{error}"),
///         }
///     });
/// }
/// # }
/// ```
#[must_use = "dropping it cancels the promise"]
pub struct Promise<T: 'static> {
    /// None when the result was given, and if there never was a promise.
    promise: Option<BoxRoot<OCamlPromise<T>>>,
    /// Our entry of `WAITING`; `NOBODY` as long as OCaml does not know that anybody waits.
    token: isize,
    /// Why there never was a promise.
    failed: Option<Box<PromiseError>>,
}

/// No token.
const NOBODY: isize = -1;

/// Why there is no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PromiseError {
    /// The promise was rejected with this exception.
    Raised(Exception),
    /// The promise was cancelled.
    Cancelled,
    /// The OCaml runtime could not be used when the future was first polled.
    Unavailable(Unavailable),
}

impl fmt::Display for PromiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PromiseError::Raised(exception) => exception.fmt(f),
            PromiseError::Cancelled => f.write_str("the promise was cancelled"),
            PromiseError::Unavailable(unavailable) => unavailable.fmt(f),
        }
    }
}

impl std::error::Error for PromiseError {}

/// Stands for any OCaml type.
type Any = ();

/// What a token stands for: a task that waits, or a result that it has not fetched yet.
enum Wait {
    Pending(Waker),
    Settled(Settled),
}

/// An error is boxed, so that the common case is moved about quickly.
type Settled = Result<BoxRoot<Any>, Box<PromiseError>>;

crate::local::domain_local! {
    /// All tokens in use. Never dropped: roots must not outlive OCaml.
    static WAITING: RefCell<ManuallyDrop<Slots<Wait>>> =
        const { RefCell::new(ManuallyDrop::new(Slots::new())) };
}

fn waiting<R>(f: impl FnOnce(&mut Slots<Wait>) -> R) -> R {
    WAITING.with_borrow_mut(|slots| f(slots))
}

static WATCH: Named = Named::new(c"mirust_promise_watch");
static CANCEL: Named = Named::new(c"mirust_promise_cancel");

/// The values of `Future.outcome` in `ocaml-stubs/mirust/future.ml`.
const PENDING: Raw = 1;
const CANCELLED: Raw = 3;
const RETURNED_TAG: u8 = 0;

/// Reads a `Future.outcome`; nothing if it is pending.
///
/// # Safety
///
/// `outcome` is a valid value of that type, and OCaml has not run since it was made.
unsafe fn read_outcome(outcome: Raw) -> Option<Settled> {
    if is_long(outcome) {
        debug_assert!(outcome == PENDING || outcome == CANCELLED);
        return (outcome == CANCELLED).then(|| Err(Box::new(PromiseError::Cancelled)));
    }
    // SAFETY: a block with one field, by the type.
    let (tag, value) = unsafe { (tag_val(outcome), *field(outcome, 0)) };
    if tag == RETURNED_TAG {
        // SAFETY: OCaml runs in this thread and has not moved the value.
        return Some(Ok(unsafe { runtime::root(value) }));
    }
    // SAFETY: the other block holds an exception.
    Some(Err(Box::new(PromiseError::Raised(unsafe { Exception::new(value) }))))
}

/// OCaml: the promise that `token` waits for has this value.
#[crate::export(unsafe_symbol = "mirust_ocaml_promise_returned")]
fn returned(token: isize, value: OCaml<'_, Any>) {
    // SAFETY: a valid value, and nothing has run or allocated since OCaml passed it.
    settle(token, || Ok(unsafe { runtime::root(value.raw()) }));
}

/// OCaml: the promise that `token` waits for has no value, but this `Future.outcome`.
#[crate::export(unsafe_symbol = "mirust_ocaml_promise_rejected")]
fn rejected(token: isize, outcome: OCaml<'_, Any>) {
    // SAFETY: OCaml passed a `Future.outcome` just now.
    if let Some(result) = unsafe { read_outcome(outcome.raw()) } {
        settle(token, || result);
    }
}

/// Nothing runs here but the waker, which queues a task.
fn settle(token: isize, result: impl FnOnce() -> Settled) {
    let entry = waiting(|w| {
        w.get_mut(token).map(|entry| std::mem::replace(entry, Wait::Settled(result())))
    });
    // Nobody is there if the future was dropped in the meantime.
    if let Some(Wait::Pending(waker)) = entry {
        waker.wake();
    }
}

impl<T> Promise<T> {
    /// The future of a promise.
    pub fn new(promise: OCaml<'_, OCamlPromise<T>>) -> Self {
        Promise::of(BoxRoot::new(promise))
    }

    fn of(promise: BoxRoot<OCamlPromise<T>>) -> Self {
        Promise { promise: Some(promise), token: NOBODY, failed: None }
    }

    fn failed(error: PromiseError) -> Self {
        Promise { promise: None, token: NOBODY, failed: Some(Box::new(error)) }
    }

    /// Stops waiting for the promise without cancelling it.
    pub fn detach(mut self) {
        self.promise = None;
        if self.token != NOBODY {
            waiting(|w| w.remove(self.token));
        }
    }

    /// Waits for the result and converts it.
    ///
    /// # Errors
    ///
    /// [`PromiseError`], as for the future itself.
    pub async fn to_rust<R: FromOCaml<T>>(self) -> Result<R, PromiseError> {
        let root = self.await?;
        with_runtime(|ocaml| root.get(ocaml).to_rust()).map_err(PromiseError::Unavailable)
    }

    /// Tells OCaml that `token` waits. The result, if it is there already.
    fn watch(promise: &BoxRoot<OCamlPromise<T>>, token: isize) -> Option<Settled> {
        let watched = with_runtime(|ocaml| {
            // SAFETY: the function takes a promise, read from its root here, and an int.
            let v = unsafe { WATCH.call2(ocaml, || (promise.get_raw(), token << 1 | 1)) };
            if is_exception_result(v) {
                // SAFETY: an encoded exception that arrived just now.
                let exception = unsafe { Exception::new(extract_exception(v)) };
                return Some(Err(Box::new(PromiseError::Raised(exception))));
            }
            // SAFETY: an outcome that arrived just now.
            unsafe { read_outcome(v) }
        });
        watched.unwrap_or_else(|error| Some(Err(Box::new(PromiseError::Unavailable(error)))))
    }
}

impl<T> Future for Promise<T> {
    type Output = Result<BoxRoot<T>, PromiseError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(promise) = &self.promise else {
            let error = self.failed.take();
            return Poll::Ready(
                Err(*error.expect("a promise was polled after it gave its result")),
            );
        };
        let settled = if self.token == NOBODY {
            let token = waiting(|w| w.insert(Wait::Pending(cx.waker().clone())));
            let settled = Self::watch(promise, token);
            match settled {
                Some(_) => drop(waiting(|w| w.remove(token))),
                None => self.token = token,
            }
            settled
        } else {
            waiting(|w| match w.get_mut(self.token) {
                Some(Wait::Pending(waker)) => {
                    waker.clone_from(cx.waker());
                    None
                }
                _ => match w.remove(self.token) {
                    Some(Wait::Settled(settled)) => Some(settled),
                    _ => None,
                },
            })
        };
        let Some(settled) = settled else { return Poll::Pending };
        self.promise = None;
        self.token = NOBODY;
        match settled {
            // SAFETY: only the type in the root's name changes: the value came from an 'a Lwt.t whose
            // 'a is T.
            Ok(root) => Poll::Ready(Ok(unsafe { runtime::retype(root) })),
            Err(error) => Poll::Ready(Err(*error)),
        }
    }
}

/// A `Promise` holds no reference into itself.
impl<T> Unpin for Promise<T> {}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let Some(promise) = self.promise.take() else { return };
        let unsettled = self.token == NOBODY
            || matches!(waiting(|w| w.remove(self.token)), Some(Wait::Pending(_)));
        if unsettled {
            cancel(promise);
        }
    }
}

/// Cancels the promise from a task, because a caller that drops a future does not expect OCaml code to run inside the
/// drop.
fn cancel<T>(promise: BoxRoot<OCamlPromise<T>>) {
    domain::spawn(async move {
        loop {
            let cancelled = with_runtime(|ocaml| {
                // SAFETY: the function takes a promise, which is read from its root here. It does
                // not raise.
                unsafe { CANCEL.call(ocaml, || promise.get_raw()) }
            });
            match cancelled {
                // A `block_on` below a function that OCaml called: its turn will end.
                Err(Unavailable::InUse) => domain::yield_now().await,
                Ok(_) | Err(Unavailable::NotStarted) => return,
            }
        }
    });
}

/// How many futures wait for OCaml promises, or have not fetched the result yet.
pub fn promises_awaited() -> usize {
    waiting(|w| w.len())
}

// SAFETY: the promise is rooted.
unsafe impl<T: 'static> Argument for Promise<T> {
    type Abi = Raw;
    type Value<'a> = Promise<T>;
    unsafe fn receive(_: &Scope, raw: Raw) -> Promise<T> {
        // SAFETY: a valid promise, by the contract of `receive`.
        Promise::of(unsafe { runtime::root(raw) })
    }
}

// SAFETY: as above.
unsafe impl<T: 'static> Rooted for Promise<T> {}

/// Calls of OCaml closures that return promises, for Rust code that awaits the result.
pub trait AsyncClosure<Arguments, R: 'static> {
    /// Calls the closure now. An exception that it raises instead of returning a promise becomes the
    /// promise's error.
    ///
    /// For tasks and a Rust main; elsewhere the result is [`PromiseError::Unavailable`].
    fn call_async(&self, arguments: Arguments) -> Promise<R>;
}

impl<Arguments, R: 'static, C: Closure<Arguments, OCamlPromise<R>>> AsyncClosure<Arguments, R>
    for C
{
    fn call_async(&self, arguments: Arguments) -> Promise<R> {
        let called = with_runtime(|ocaml| match self.call(ocaml, arguments) {
            Ok(promise) => Promise::new(promise),
            Err(exception) => Promise::failed(PromiseError::Raised(exception)),
        });
        called.unwrap_or_else(|error| Promise::failed(PromiseError::Unavailable(error)))
    }
}
