//! The stack that OCaml serves: its functions, as OCaml passed them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::{Error, address};
use crate::ocaml::{
    AsyncClosure, BoxRoot, Closure, OCaml, OCamlBigarray, OCamlCstruct, OCamlList, OCamlPromise,
    OCamlRuntime, Promise, PromiseError, Unavailable, with_runtime,
};

/// OCaml's `('a, error) result`.
pub(super) type Reply<T> = Result<T, isize>;

/// OCaml's `('a, error) result Lwt.t`.
type Later<T> = OCamlPromise<Reply<T>>;

/// OCaml's `TCP.flow`.
pub(super) struct Flow(());
/// OCaml's `listener`.
pub(super) struct Listener(());
/// OCaml's `socket`.
pub(super) struct Socket(());
/// OCaml's `Cstruct.t * string`: a datagram and its source.
pub(super) type Datagram = (OCamlCstruct, String);

/// What is done with listeners, and to get a connection.
pub(super) struct Tcp {
    pub(super) listen: BoxRoot<fn(String, isize) -> Reply<Listener>>,
    pub(super) accept: BoxRoot<fn(Listener) -> OCamlPromise<Flow>>,
    pub(super) listening: BoxRoot<fn(Listener) -> String>,
    pub(super) unlisten: BoxRoot<fn(Listener) -> ()>,
    pub(super) connect: BoxRoot<fn(String) -> Later<Flow>>,
}

/// What is done with a connection.
pub(super) struct Flows {
    pub(super) peer: BoxRoot<fn(Flow) -> String>,
    pub(super) local: BoxRoot<fn(Flow) -> String>,
    pub(super) read: BoxRoot<fn(Flow) -> Later<OCamlCstruct>>,
    pub(super) write: BoxRoot<fn(Flow, OCamlBigarray) -> Later<()>>,
    pub(super) shutdown: BoxRoot<fn(Flow, isize) -> ()>,
    pub(super) close: BoxRoot<fn(Flow, bool) -> ()>,
    pub(super) set: BoxRoot<fn(Flow, isize, isize) -> ()>,
}

type Send = BoxRoot<fn(Socket, String, OCamlBigarray) -> Later<()>>;

/// What is done with UDP.
pub(super) struct Udp {
    pub(super) bind: BoxRoot<fn(String) -> Reply<Socket>>,
    pub(super) local: BoxRoot<fn(Socket) -> String>,
    pub(super) receive: BoxRoot<fn(Socket) -> OCamlPromise<Datagram>>,
    pub(super) send: Send,
    pub(super) close: BoxRoot<fn(Socket) -> ()>,
}

/// The addresses of a name.
pub(super) type Resolve = BoxRoot<fn(String) -> Later<OCamlList<String>>>;

/// Everything that OCaml has passed so far; none of it before it has passed it.
#[derive(Default)]
struct Served {
    tcp: Option<Rc<Tcp>>,
    flows: Option<Rc<Flows>>,
    udp: Option<Rc<Udp>>,
    resolve: Option<Rc<Resolve>>,
    waiting: Vec<Waker>,
}

thread_local! {
    /// Never dropped: roots must not outlive OCaml.
    static SERVED: RefCell<ManuallyDrop<Served>> = RefCell::default();
    static COPIED: Cell<u64> = const { Cell::new(0) };
}

fn served<R>(f: impl FnOnce(&mut Served) -> R) -> R {
    SERVED.with_borrow_mut(|served| f(served))
}

pub(super) fn tcp() -> Result<Rc<Tcp>, Error> {
    served(|s| s.tcp.clone()).ok_or(Error::Unavailable)
}

pub(super) fn flows() -> Result<Rc<Flows>, Error> {
    served(|s| s.flows.clone()).ok_or(Error::Unavailable)
}

pub(super) fn udp() -> Result<Rc<Udp>, Error> {
    served(|s| s.udp.clone()).ok_or(Error::Unavailable)
}

pub(super) fn resolver() -> Result<Rc<Resolve>, Error> {
    served(|s| s.resolve.clone()).ok_or(Error::Unavailable)
}

/// Waits until OCaml has given its stack to Rust; at once if it has.
pub async fn ready() {
    poll_fn(|cx| {
        served(|s| {
            if s.tcp.is_some() {
                return Poll::Ready(());
            }
            s.waiting.push(cx.waker().clone());
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

/// Bytes that were copied on their way between Rust and the stack, since boot.
pub fn copied() -> u64 {
    COPIED.get()
}

pub(super) fn count_copy(bytes: usize) {
    COPIED.set(COPIED.get() + bytes as u64);
}

#[crate::export(name = "mirust_ocaml_net_serve_tcp")]
fn serve_tcp(
    listen: BoxRoot<fn(String, isize) -> Reply<Listener>>,
    accept: BoxRoot<fn(Listener) -> OCamlPromise<Flow>>,
    listening: BoxRoot<fn(Listener) -> String>,
    unlisten: BoxRoot<fn(Listener) -> ()>,
    connect: BoxRoot<fn(String) -> Later<Flow>>,
) {
    let tcp = Tcp { listen, accept, listening, unlisten, connect };
    // It is the last part that OCaml passes.
    let waiting = served(|s| {
        s.tcp = Some(Rc::new(tcp));
        std::mem::take(&mut s.waiting)
    });
    waiting.into_iter().for_each(Waker::wake);
}

#[crate::export(name = "mirust_ocaml_net_serve_flow")]
fn serve_flow(
    peer: BoxRoot<fn(Flow) -> String>,
    local: BoxRoot<fn(Flow) -> String>,
    read: BoxRoot<fn(Flow) -> Later<OCamlCstruct>>,
    write: BoxRoot<fn(Flow, OCamlBigarray) -> Later<()>>,
    shutdown: BoxRoot<fn(Flow, isize) -> ()>,
    close: BoxRoot<fn(Flow, bool) -> ()>,
    set: BoxRoot<fn(Flow, isize, isize) -> ()>,
) {
    let flows = Flows { peer, local, read, write, shutdown, close, set };
    served(|s| s.flows = Some(Rc::new(flows)));
}

#[crate::export(name = "mirust_ocaml_net_serve_udp")]
fn serve_udp(
    bind: BoxRoot<fn(String) -> Reply<Socket>>,
    local: BoxRoot<fn(Socket) -> String>,
    receive: BoxRoot<fn(Socket) -> OCamlPromise<Datagram>>,
    send: Send,
    close: BoxRoot<fn(Socket) -> ()>,
) {
    served(|s| s.udp = Some(Rc::new(Udp { bind, local, receive, send, close })));
}

#[crate::export(name = "mirust_ocaml_net_serve_names")]
fn serve_names(resolve: Resolve) {
    served(|s| s.resolve = Some(Rc::new(resolve)));
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
    with_runtime(|ocaml| match closure.call(ocaml, arguments) {
        Ok(value) => Ok(convert(value)),
        Err(exception) => Err(Error::Stack(exception.to_string())),
    })?
}

/// Roots what a reply holds.
pub(super) fn root<T>(reply: OCaml<'_, Reply<T>>) -> Result<BoxRoot<T>, Error> {
    reply.to_result().map(OCaml::root).map_err(|code| Error::from_code(code.to_i64()))
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
        result.map(|v| convert(ocaml, v)).map_err(|code| Error::from_code(code.to_i64()))
    })?
}

/// An address that OCaml passed.
pub(super) fn socket_address(value: OCaml<'_, String>) -> Result<SocketAddr, Error> {
    address::decode(value.as_bytes()).ok_or_else(|| Error::Stack("a bad address".into()))
}

/// Has the loop do something with OCaml: whoever drops a socket does not expect OCaml code to run.
pub(super) fn later(f: impl FnOnce() -> Result<(), Error> + 'static) {
    crate::spawn(async move {
        // It can only fail when OCaml has ended, and its sockets with it.
        let _ = f();
    });
}
