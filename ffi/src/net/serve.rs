//! The stack that OCaml serves: its functions, as OCaml passed them.
//!
//! The tables here define them for both languages: `make header` generates `ocaml-stubs/rust/served.ml` from them, in
//! which every function has its name as a label, and its type.

use std::cell::RefCell;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};

use mirust_rt::executor::add_waker;

use super::numbers::{self, Setting, Side};
use super::stats::{Gauges, TcpInfo, TcpStats, UdpStats};
use super::{Error, address};
use crate::ocaml::view::OCamlReading;
use crate::ocaml::{
    AsyncClosure, BoxRoot, Closure, OCaml, OCamlCstruct, OCamlInt, OCamlList, OCamlPromise,
    OCamlRuntime, Promise, PromiseError, Unavailable, with_runtime,
};

/// OCaml's `('a, error) result`.
pub(super) type Reply<T> = Result<T, isize>;

/// OCaml's `('a, error) result Lwt.t`.
type Later<T> = OCamlPromise<Reply<T>>;

/// OCaml's type `Mirust_stack.Stack.TCP.flow`; see [`TcpStream::from_ocaml`](super::TcpStream::from_ocaml).
pub struct Flow(());
/// OCaml's `stream`.
pub(super) struct Stream(());
/// OCaml's `listener`.
pub(super) struct Listener(());
/// OCaml's `socket`.
pub(super) struct Socket(());
/// OCaml's record of numbers that becomes a `T`.
pub(super) struct Record<T>(PhantomData<T>);
/// OCaml's `Cstruct.t * string`: a datagram and its source.
pub(super) type Datagram = (OCamlCstruct, String);

/// Defines what OCaml serves at a time: a structure of its functions, and what OCaml calls to pass them.
macro_rules! served {
    ($(#[$doc:meta])* $name:ident in $slot:ident by $symbol:literal, $export:ident {
        $($field:ident: fn($($argument:ty),*) -> $result:ty,)*
    }) => {
        $(#[$doc])*
        pub(super) struct $name { $(pub(super) $field: BoxRoot<fn($($argument),*) -> $result>,)* }

        #[crate::export(unsafe_symbol = $symbol)]
        fn $export($($field: BoxRoot<fn($($argument),*) -> $result>),*) {
            served(|s| s.$slot = Some(Rc::new($name { $($field),* })));
        }

        pub(super) fn $slot() -> Result<Rc<$name>, Error> {
            served(|s| s.$slot.clone()).ok_or(Error::Unavailable)
        }
    };
}

served! {
    /// What is done with listeners, and to get a connection.
    Tcp in tcp by "mirust_ocaml_net_serve_tcp", serve_tcp {
        listen: fn(String, isize, isize) -> Reply<Listener>,
        accept: fn(Listener) -> Option<Flow>,
        listening: fn(Listener) -> String,
        unlisten: fn(Listener) -> (),
        connect: fn(String) -> Later<Flow>,
    }
}

served! {
    /// What is done with a connection all the time.
    Streams in streams by "mirust_ocaml_net_serve_stream", serve_stream {
        attach: fn(Flow, isize, isize) -> Stream,
        read: fn(Stream) -> OCamlReading,
        room: fn(Stream) -> OCamlInt,
        write: fn(Stream, OCamlCstruct) -> OCamlInt,
        shutdown: fn(Stream, Side) -> (),
        close: fn(Stream, bool) -> (),
    }
}

served! {
    /// What is done with a connection now and then.
    Options in options by "mirust_ocaml_net_serve_options", serve_options {
        peer: fn(Stream) -> String,
        local: fn(Stream) -> String,
        set: fn(Stream, Setting, isize) -> (),
        info: fn(Stream) -> Record<TcpInfo>,
    }
}

served! {
    /// What is done with UDP.
    Udp in udp by "mirust_ocaml_net_serve_udp", serve_udp {
        bind: fn(String, isize) -> Reply<Socket>,
        local: fn(Socket) -> String,
        connect: fn(Socket, String) -> (),
        receive: fn(Socket) -> Reply<Option<Datagram>>,
        send: fn(Socket, String, OCamlCstruct) -> Later<()>,
        set_ttl: fn(Socket, isize) -> (),
        close: fn(Socket) -> (),
    }
}

served! {
    /// Names.
    Names in names by "mirust_ocaml_net_serve_names", serve_names {
        resolve: fn(String) -> Later<OCamlList<String>>,
        servers: fn(()) -> OCamlList<String>,
        interface: fn(()) -> OCamlList<String>,
    }
}

served! {
    /// Counters.
    Figures in figures by "mirust_ocaml_net_serve_figures", serve_figures {
        tcp: fn(()) -> Record<TcpStats>,
        udp: fn(()) -> Record<UdpStats>,
        gauges: fn(()) -> Record<Gauges>,
    }
}

/// Everything that OCaml has passed so far; none of it before it has passed it.
struct Served {
    tcp: Option<Rc<Tcp>>,
    streams: Option<Rc<Streams>>,
    options: Option<Rc<Options>>,
    udp: Option<Rc<Udp>>,
    names: Option<Rc<Names>>,
    figures: Option<Rc<Figures>>,
    ready: bool,
    waiting: Vec<Waker>,
}

crate::local::domain_local! {
    /// Never dropped: roots must not outlive OCaml.
    static SERVED: RefCell<ManuallyDrop<Served>> = const {
        RefCell::new(ManuallyDrop::new(Served {
            tcp: None,
            streams: None,
            options: None,
            udp: None,
            names: None,
            figures: None,
            ready: false,
            waiting: Vec::new(),
        }))
    };
}

fn served<R>(f: impl FnOnce(&mut Served) -> R) -> R {
    SERVED.with_borrow_mut(|served| f(served))
}

/// OCaml has passed everything.
#[crate::export(unsafe_symbol = "mirust_ocaml_net_served")]
fn all_served(_: ()) {
    let waiting = served(|s| {
        s.ready = true;
        std::mem::take(&mut s.waiting)
    });
    waiting.into_iter().for_each(Waker::wake);
}

/// Waits until OCaml has given its stack to Rust; at once if it has.
pub async fn ready() {
    poll_fn(|cx| {
        served(|s| {
            if s.ready {
                return Poll::Ready(());
            }
            add_waker(&mut s.waiting, cx.waker());
            Poll::Pending
        })
    })
    .await;
}

/// Starts the OCaml program, and waits until it has given its stack to Rust. For a Rust main, which
/// calls it once. With the crate's feature `net` the OCaml program can be left out: the build then
/// links one that brings the network up, by the boot parameters `--ipv4=`, `--dhcp`, and so on.
///
/// # Errors
///
/// [`Error::Unavailable`] if OCaml was started before.
pub async fn up() -> Result<(), Error> {
    crate::ocaml::start().map_err(|_| Error::Unavailable)?;
    ready().await;
    Ok(())
}

impl From<PromiseError> for Error {
    fn from(error: PromiseError) -> Self {
        match error {
            PromiseError::Raised(exception) => Error::Stack(exception.to_string()),
            PromiseError::Cancelled => Error::Aborted,
            PromiseError::Unavailable(_) => Error::Unavailable,
        }
    }
}

impl From<Unavailable> for Error {
    fn from(_: Unavailable) -> Self {
        Error::Unavailable
    }
}

/// Calls a function that answers at once, and makes something of the result.
pub(super) fn call<A, T: 'static, R>(
    closure: &impl Closure<A, T>,
    arguments: A,
    convert: impl FnOnce(OCaml<'_, T>) -> R,
) -> Result<R, Error> {
    call_unless(|_| None, closure, arguments, convert)
}

/// As [`call`], unless there is a result without a call.
pub(super) fn call_unless<A, T: 'static, R>(
    known: impl FnOnce(&OCamlRuntime) -> Option<OCaml<'_, T>>,
    closure: &impl Closure<A, T>,
    arguments: A,
    convert: impl FnOnce(OCaml<'_, T>) -> R,
) -> Result<R, Error> {
    with_runtime(|ocaml| {
        if let Some(value) = known(ocaml) {
            return Ok(convert(value));
        }
        match closure.call(ocaml, arguments) {
            Ok(value) => Ok(convert(value)),
            Err(exception) => Err(Error::Stack(exception.to_string())),
        }
    })?
}

/// Roots what a reply holds.
pub(super) fn root<T>(reply: OCaml<'_, Reply<T>>) -> Result<BoxRoot<T>, Error> {
    reply.to_result().map(OCaml::root).map_err(|code| numbers::error(code.to_i64()))
}

/// Calls a function that promises, and gives the promise.
pub(super) fn start<A, T: 'static>(closure: &impl AsyncClosure<A, T>, arguments: A) -> Promise<T> {
    closure.call_async(arguments)
}

/// Makes something of a settled promise of a reply.
pub(super) fn reply<T: 'static, R>(
    settled: Result<BoxRoot<Reply<T>>, PromiseError>,
    convert: impl FnOnce(&OCamlRuntime, OCaml<'_, T>) -> R,
) -> Result<R, Error> {
    let root = settled?;
    with_runtime(|ocaml| {
        let ocaml = &*ocaml;
        let result = root.get(ocaml).to_result();
        result.map(|v| convert(ocaml, v)).map_err(|code| numbers::error(code.to_i64()))
    })?
}

/// An address that OCaml passed.
pub(super) fn socket_address(value: OCaml<'_, String>) -> Result<SocketAddr, Error> {
    address::decode(value.as_bytes()).ok_or_else(|| Error::Stack("a bad address".into()))
}

/// Runs `f` as a task, because a caller that drops a socket does not expect OCaml code to run inside the drop.
pub(super) fn later(f: impl FnOnce() -> Result<(), Error> + 'static) {
    crate::spawn(async move {
        // It can only fail when OCaml has ended, and its sockets with it.
        let _ = f();
    });
}
