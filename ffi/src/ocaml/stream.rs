//! Awaiting the elements of an OCaml stream in Rust.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use ocaml_interop::{BoxRoot, FromOCaml, OCaml};
use ocaml_sys::{extract_exception, field, is_exception_result, is_long};

use super::call::Exception;
use super::export::{Argument, Raw, Rooted, Scope};
use super::feed::STREAMS;
use super::named::Named;
use super::promise::{OCamlPromise, Promise, PromiseError};
use super::runtime::{self, with_runtime};

/// OCaml's type `'a Lwt_stream.t`, in types such as `BoxRoot<fn(()) -> OCamlStream<String>>`.
pub struct OCamlStream<T>(PhantomData<T>);

/// An OCaml stream (`'a Lwt_stream.t`) as a [`Stream`] of its elements.
///
/// Exported functions take it as an argument, and [`LwtStream::new`] makes one of any value of that
/// type. An element is requested only when Rust waits for it, so that OCaml produces elements at
/// Rust's pace. An exception is the last element.
///
/// Dropping it cancels the wait for an element, if there is one (`Lwt.cancel`, from the loop), and releases
/// its root of the stream.
///
/// Poll it only in tasks and in a Rust main, like a [`Promise`]. As with [`Feed`](super::Feed), the program has to
/// call `Mirust.Streams.enable ()` before.
///
/// ```
/// # fn compiles() {
/// use mirust::ocaml::LwtStream;
///
/// /// `external total : int Lwt_stream.t -> int Lwt.t = "total"`
/// #[mirust::export]
/// async fn total(mut numbers: LwtStream<isize>) -> isize {
///     let mut sum = 0;
///     while let Some(Ok(n)) = numbers.next_to_rust::<i64>().await {
///         sum += n as isize;
///     }
///     sum
/// }
/// # }
/// ```
#[must_use = "nothing is read unless it is polled"]
pub struct LwtStream<T: 'static> {
    /// None when there are no more elements.
    stream: Option<BoxRoot<OCamlStream<T>>>,
    /// The element that OCaml was asked for.
    next: Option<Promise<Option<T>>>,
}

static GET: Named = Named::with_remedy(c"mirust_stream_get", STREAMS);

impl<T> LwtStream<T> {
    /// The elements of a stream.
    pub fn new(stream: OCaml<'_, OCamlStream<T>>) -> Self {
        LwtStream { stream: Some(BoxRoot::new(stream)), next: None }
    }

    /// Waits for the next element. `None` when there are no more.
    ///
    /// Dropping the future loses no element: the next call waits for the same one.
    pub async fn next(&mut self) -> Option<Result<BoxRoot<T>, PromiseError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the next element and converts it.
    pub async fn next_to_rust<R: FromOCaml<T>>(&mut self) -> Option<Result<R, PromiseError>> {
        let converted = match self.next().await? {
            Ok(root) => with_runtime(|ocaml| root.get(ocaml).to_rust()),
            Err(error) => return Some(Err(error)),
        };
        Some(converted.map_err(PromiseError::Unavailable))
    }

    /// Asks OCaml for the next element.
    fn get(stream: &BoxRoot<OCamlStream<T>>) -> Result<Promise<Option<T>>, PromiseError> {
        with_runtime(|ocaml| {
            // SAFETY: the function takes a stream, which is read from its root here.
            let v = unsafe { GET.call(ocaml, || stream.get_raw()) };
            if is_exception_result(v) {
                // SAFETY: an encoded exception that arrived just now.
                let exception = unsafe { Exception::new(extract_exception(v)) };
                return Err(PromiseError::Raised(exception));
            }
            // SAFETY: the promise of an element that arrived just now.
            Ok(Promise::new(unsafe { OCaml::<OCamlPromise<Option<T>>>::new(ocaml, v) }))
        })
        .unwrap_or_else(|error| Err(PromiseError::Unavailable(error)))
    }
}

/// The element of an option, if it has one.
fn element<T>(option: BoxRoot<Option<T>>) -> Option<BoxRoot<T>> {
    // SAFETY: read from its root, and used before anything can run in OCaml.
    let v: Raw = unsafe { option.get_raw() };
    if is_long(v) {
        return None;
    }
    // SAFETY: `Some` is a block with one field, which holds a `T`. Only OCaml's thread has roots.
    Some(unsafe { runtime::root(*field(v, 0)) })
}

impl<T> Stream for LwtStream<T> {
    type Item = Result<BoxRoot<T>, PromiseError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(stream) = &this.stream else { return Poll::Ready(None) };
        let result = match &mut this.next {
            Some(next) => Pin::new(next).poll(cx),
            None => match Self::get(stream) {
                Ok(next) => Pin::new(this.next.insert(next)).poll(cx),
                Err(error) => Poll::Ready(Err(error)),
            },
        };
        let Poll::Ready(result) = result else { return Poll::Pending };
        this.next = None;
        let item = match result {
            Ok(option) => element(option).map(Ok),
            Err(error) => {
                this.stream = None;
                return Poll::Ready(Some(Err(error)));
            }
        };
        if item.is_none() {
            this.stream = None;
        }
        Poll::Ready(item)
    }
}

impl<T> FusedStream for LwtStream<T> {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

/// Nothing refers into a `LwtStream`.
impl<T> Unpin for LwtStream<T> {}

// SAFETY: the stream is rooted.
unsafe impl<T: 'static> Argument for LwtStream<T> {
    type Abi = Raw;
    type Value<'a> = LwtStream<T>;
    unsafe fn receive(_: &Scope, raw: Raw) -> LwtStream<T> {
        // SAFETY: a valid stream, by the contract of `receive`.
        LwtStream { stream: Some(unsafe { runtime::root(raw) }), next: None }
    }
}

// SAFETY: as above.
unsafe impl<T: 'static> Rooted for LwtStream<T> {}
