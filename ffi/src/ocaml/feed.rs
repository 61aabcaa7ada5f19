//! Giving OCaml a stream whose elements Rust makes.
//!
//! OCaml has a stream that asks for one element at a time. Each time it asks, a task polls Rust's
//! stream until it has one, as for any other future that OCaml awaits (`future.rs`). Between two
//! elements nothing of it is in the executor.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ocaml_interop::OCaml;
use ocaml_sys::is_exception_result;

use super::compound::ReturnPart;
use super::export::{Raw, Return, launch};
use super::named::Named;
use super::promise::OCamlPromise;
use super::runtime::{self, OCamlRuntime};
use super::slots::Slots;
use crate::domain;

/// Returned by an exported function that gives OCaml an `'a Lwt_stream.t`.
///
/// Rust's stream is polled, in the loop, only when OCaml waits for an element: OCaml sets the pace. A panic
/// rejects that element's promise and ends the stream.
///
/// The stream is dropped when it ends. It is also dropped, from the loop, when OCaml's collector has found
/// its own end of the stream unreachable, unless an element is being waited for.
///
/// A program with hand-written externals calls `Mirust.Streams.enable ()` first; `mirust-bindgen` writes that itself.
///
/// ```
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
///
/// use mirust::ocaml::Feed;
///
/// struct Countdown(isize);
///
/// impl futures_core::Stream for Countdown {
///     type Item = isize;
///     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<isize>> {
///         self.0 -= 1;
///         Poll::Ready((self.0 >= 0).then_some(self.0))
///     }
/// }
///
/// /// `external countdown : (int [@untagged]) -> int Lwt_stream.t = …`
/// #[mirust::export]
/// fn countdown(from: isize) -> Feed<isize> {
///     Feed::new(Countdown(from))
/// }
/// ```
pub struct Feed<T> {
    stream: Pin<Box<dyn Stream<Item = T>>>,
}

impl<T: ReturnPart> Feed<T> {
    /// A stream for OCaml, with the elements of this one.
    pub fn new(stream: impl Stream<Item = T> + 'static) -> Self {
        Feed { stream: Box::pin(stream) }
    }
}

/// A stream that OCaml has.
struct Fed<T> {
    token: Cell<isize>,
    /// Out while it is polled; none when it has ended.
    stream: RefCell<Option<Pin<Box<dyn Stream<Item = T>>>>>,
}

/// A [`Fed`] of any type.
trait Source {
    /// OCaml's promise of the next element.
    fn pull(self: Rc<Self>, ocaml: &mut OCamlRuntime) -> Raw;
}

impl<T: ReturnPart + 'static> Source for Fed<T> {
    fn pull(self: Rc<Self>, ocaml: &mut OCamlRuntime) -> Raw {
        launch(ocaml, Next(self))
    }
}

crate::local::domain_local! {
    /// What OCaml has. Never dropped, as there is nobody left to ask for anything then.
    static FED: RefCell<ManuallyDrop<Slots<Rc<dyn Source>>>> =
        const { RefCell::new(ManuallyDrop::new(Slots::new())) };
}

fn fed<R>(f: impl FnOnce(&mut Slots<Rc<dyn Source>>) -> R) -> R {
    FED.with_borrow_mut(|slots| f(slots))
}

/// The next element.
struct Next<T>(Rc<Fed<T>>);

impl<T: ReturnPart + 'static> Future for Next<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        /// Puts the stream back, unless its poll panicked: then it is dropped in a task of its own,
        /// as its destructors may panic as well.
        struct Out<'a, T: 'static>(&'a Fed<T>, Option<Pin<Box<dyn Stream<Item = T>>>>);
        impl<T> Drop for Out<'_, T> {
            fn drop(&mut self) {
                let Some(stream) = self.1.take() else { return };
                if std::thread::panicking() {
                    fed(|f| f.remove(self.0.token.get()));
                    domain::spawn(async move { drop(stream) });
                } else {
                    self.0.stream.replace(Some(stream));
                }
            }
        }
        // It is not borrowed while its code runs.
        let mut out = Out(&self.0, self.0.stream.take());
        let Some(stream) = &mut out.1 else { return Poll::Ready(None) };
        let element = ready!(stream.as_mut().poll_next(cx));
        if element.is_none() {
            let ended = (out.1.take(), fed(|f| f.remove(self.0.token.get())));
            drop(ended);
        }
        Poll::Ready(element)
    }
}

/// Programs without streams do not have Lwt's.
pub(super) const STREAMS: &str = "a program with streams has to call Mirust.Streams.enable";

static CREATE: Named = Named::with_remedy(c"mirust_stream_create", STREAMS);

// SAFETY: a feed is in Rust's memory.
unsafe impl<T: ReturnPart + 'static> ReturnPart for Feed<T> {
    type Held = Self;
    fn hold(self) -> Self {
        self
    }
}

// SAFETY: an `'a Lwt_stream.t`, as OCaml makes it.
unsafe impl<T: ReturnPart + 'static> Return for Feed<T> {
    type Abi = Raw;

    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }

    unsafe fn give_value(self) -> Raw {
        let new = Rc::new(Fed { token: Cell::new(-1), stream: RefCell::new(Some(self.stream)) });
        let token = fed(|f| f.insert(new.clone()));
        new.token.set(token);
        // SAFETY: the caller may allocate, which is to have the runtime, and nobody else has it.
        let ocaml = unsafe { runtime::handle() };
        // SAFETY: the function takes an int.
        let stream = unsafe { CREATE.call(ocaml, || token << 1 | 1) };
        assert!(!is_exception_result(stream), "OCaml could not make a stream");
        stream
    }
}

/// OCaml: the next element, as an option.
#[crate::export(unsafe_symbol = "mirust_ocaml_stream_pull")]
fn pull(ocaml: &mut OCamlRuntime, token: isize) -> OCaml<'_, OCamlPromise<()>> {
    let next = match fed(|f| f.get_mut(token).cloned()) {
        Some(source) => source.pull(ocaml),
        None => launch(ocaml, std::future::ready(None::<()>)),
    };
    // SAFETY: a promise that was made just now.
    unsafe { OCaml::new(ocaml, next) }
}

/// OCaml: its stream is gone. Rust's is dropped in the loop, not inside this call.
#[crate::export(unsafe_symbol = "mirust_ocaml_stream_drop")]
fn gone(token: isize) {
    if let Some(source) = fed(|f| f.remove(token)) {
        domain::spawn(async move { drop(source) });
    }
}

/// How many streams OCaml has that Rust feeds.
pub fn streams_fed() -> usize {
    fed(|f| f.len())
}
