//! Connections and who listens for them.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::serve::{self, Flow, Flows, Listener, Reply, Tcp};
use super::{Error, Shutdown, address};
use crate::ocaml::{BoxRoot, Buffer, Closure, OCaml, OCamlCstruct, Promise};
use crate::time::Duration;

/// Bytes that one write takes over at most.
const WRITE_LIMIT: usize = 64 * 1024;
/// Connections that may be opening before the listener answers with SYN cookies.
const BACKLOG: isize = 1024;

/// Waits for connections on a port.
pub struct TcpListener {
    stack: Rc<Tcp>,
    listener: Rc<BoxRoot<Listener>>,
    /// Kept from call to call, so that dropping the future of `accept` loses no connection.
    accepting: RefCell<Option<Promise<Flow>>>,
}

impl TcpListener {
    /// Listens on the port of `address`; 0 is any free one. An unspecified address takes connections
    /// to each of our addresses: `0.0.0.0` those of IPv4, `::` all.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::NoResources`], [`Error::Unavailable`].
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let stack = serve::tcp()?;
        let address = address::encode(address);
        let listener = crate::ocaml::with_runtime(|ocaml| {
            match stack.listen.call(ocaml, (text(address), BACKLOG)) {
                Ok(reply) => serve::root(reply),
                Err(exception) => Err(Error::Stack(exception.to_string())),
            }
        })??;
        Ok(TcpListener { stack, listener: Rc::new(listener), accepting: RefCell::default() })
    }

    /// The address it was bound to, with the port that was found.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        serve::call(&self.stack.listening, (&*self.listener,), serve::socket_address)?
    }

    /// The next connection, and its peer's address. To be awaited by one task at a time; dropping the
    /// future loses nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]; no peer can make it fail.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), Error> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// [`accept`](Self::accept) for futures written by hand.
    pub fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(TcpStream, SocketAddr), Error>> {
        let mut accepting = self.accepting.borrow_mut();
        let promise =
            accepting.get_or_insert_with(|| serve::start(&self.stack.accept, (&*self.listener,)));
        let settled = ready!(Pin::new(promise).poll(cx));
        *accepting = None;
        let stream = TcpStream::new(settled?)?;
        let peer = stream.peer_addr()?;
        Poll::Ready(Ok((stream, peer)))
    }

    /// The connections, one after the other.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let (stack, listener) = (Rc::clone(&self.stack), Rc::clone(&self.listener));
        let accepting = self.accepting.take();
        crate::spawn(async move {
            // It can only fail when OCaml has ended, and the listener with it.
            let _ = serve::call(&stack.unlisten, (&*listener,), |_| ());
            // A connection on its way to an `accept` that was given up is reset like the others.
            if let Some(mut accepting) = accepting {
                let now = poll_fn(|cx| Poll::Ready(Pin::new(&mut accepting).poll(cx))).await;
                if let Poll::Ready(Ok(flow)) = now {
                    let _ = TcpStream::new(flow).map(TcpStream::abort);
                }
            }
        });
    }
}

/// The connections of a listener; see [`TcpListener::incoming`].
pub struct Incoming<'a>(&'a TcpListener);

impl Incoming<'_> {
    /// The next connection. There is always one more.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::accept`].
    pub async fn next(&mut self) -> Result<TcpStream, Error> {
        self.0.accept().await.map(|(stream, _)| stream)
    }
}

/// A connection. Dropping it, or both halves of it, closes it.
pub struct TcpStream {
    shared: Rc<Shared>,
}

/// What both halves share. No method of this module is entered twice at a time.
struct Shared {
    stack: Rc<Flows>,
    flow: Rc<BoxRoot<Flow>>,
    read: RefCell<Reading>,
    /// A write that the stack has not taken over. The bytes are already in its memory.
    write: RefCell<Option<Promise<Reply<()>>>>,
}

#[derive(Default)]
struct Reading {
    promise: Option<Promise<Reply<OCamlCstruct>>>,
    /// Received and not read.
    rest: Buffer,
    end: bool,
}

/// A received buffer.
fn buffer(cstruct: OCaml<'_, OCamlCstruct>) -> Buffer {
    // SAFETY: the stack gives received frames away, and writes to them no more.
    unsafe { Buffer::new(cstruct) }
}

/// OCaml's strings are bytes; the boundary's type for them is `String` or `Vec<u8>`.
fn text(bytes: Vec<u8>) -> Octets {
    Octets(bytes)
}

pub(super) use octets::Octets;

mod octets {
    use crate::ocaml::{BoxRoot, OCamlRuntime, Pass, ToOCaml};

    /// Bytes for an OCaml function that takes a `string`.
    pub(in crate::net) struct Octets(pub(super) Vec<u8>);

    impl Octets {
        pub(in crate::net) fn new(bytes: Vec<u8>) -> Self {
            Octets(bytes)
        }
    }

    impl Pass<String> for Octets {
        type Kept<'a> = BoxRoot<String>;
        fn keep(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<String> {
            ToOCaml::<String>::to_boxroot(&self.0, ocaml)
        }
        unsafe fn raw(kept: &BoxRoot<String>) -> crate::ocaml::export::Raw {
            // SAFETY: read from the root when it is passed.
            unsafe { kept.get_raw() }
        }
    }
}

impl TcpStream {
    fn new(flow: BoxRoot<Flow>) -> Result<Self, Error> {
        let stack = serve::flows()?;
        let (read, write) = (RefCell::default(), RefCell::default());
        let shared = Shared { stack, flow: Rc::new(flow), read, write };
        Ok(TcpStream { shared: Rc::new(shared) })
    }

    /// Connects to a peer.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::TimedOut`], [`Error::NoResources`], [`Error::Unavailable`].
    pub async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let stack = serve::tcp()?;
        let promise = serve::start(&stack.connect, (text(address::encode(address)),));
        let flow = serve::reply(promise.await, |_, flow| flow.root())?;
        TcpStream::new(flow)
    }

    /// [`connect`](Self::connect) with a time limit.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_timeout(address: SocketAddr, limit: Duration) -> Result<Self, Error> {
        let connect = Self::connect(address);
        crate::time::timeout(limit, connect).await.unwrap_or(Err(Error::TimedOut))
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        let s = &*self.shared;
        serve::call(&s.stack.peer, (&*s.flow,), serve::socket_address)?
    }

    /// Our address.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        let s = &*self.shared;
        serve::call(&s.stack.local, (&*s.flow,), serve::socket_address)?
    }

    /// Whether small writes are sent at once instead of being collected (Nagle, RFC 1122 section
    /// 4.2.3.4).
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn set_nodelay(&self, nodelay: bool) -> Result<(), Error> {
        self.shared.set(0, nodelay.into())
    }

    /// Probes the peer after so much silence, every second, nine times; None does not.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn set_keepalive(&self, after: Option<Duration>) -> Result<(), Error> {
        self.shared.set(1, after.map_or(0, nanoseconds))
    }

    /// How long written data may stay unacknowledged before the connection is given up (RFC 5482).
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn set_user_timeout(&self, limit: Duration) -> Result<(), Error> {
        self.shared.set(2, nanoseconds(limit))
    }

    /// Reads what has arrived, at least one byte, and no more than fits; 0 is the end.
    ///
    /// # Errors
    ///
    /// [`Error::Reset`], [`Error::TimedOut`], [`Error::Aborted`].
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        poll_fn(|cx| self.shared.poll_read(cx, buf)).await
    }

    /// Takes what has arrived, as the stack has it, without a copy; no bytes are the end.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_chunk(&mut self) -> Result<Buffer, Error> {
        poll_fn(|cx| self.shared.poll_chunk(cx)).await
    }

    /// What the next read will find, without taking it. It shares the stack's memory.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn peek(&mut self) -> Result<Buffer, Error> {
        poll_fn(|cx| self.poll_peek(cx)).await
    }

    /// Writes some bytes, at least one, and says how many: when the stack has room for more. That is
    /// before the peer has them.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Reset`], [`Error::TimedOut`], [`Error::Aborted`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        poll_fn(|cx| self.shared.poll_write(cx, bytes)).await
    }

    /// Writes all bytes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.shared.write_all(bytes).await
    }

    /// Waits until the stack has taken over all that was written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll_flush(cx)).await
    }

    /// Ends one direction: after `Write` the peer reads the end of what was written.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        self.shared.shutdown(how)
    }

    /// Resets the connection; what was written may be lost.
    pub fn abort(self) {
        self.shared.close(true);
    }

    /// A half to read and a half to write, for two tasks. The write half ends its direction when it
    /// is dropped.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let reader = OwnedReadHalf(TcpStream { shared: Rc::clone(&self.shared) });
        (reader, OwnedWriteHalf(self))
    }

    /// [`read`](Self::read) for futures written by hand.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        self.shared.poll_read(cx, buf)
    }

    /// [`read_chunk`](Self::read_chunk) for futures written by hand.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Buffer, Error>> {
        self.shared.poll_chunk(cx)
    }

    /// [`peek`](Self::peek) for futures written by hand.
    pub fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Result<Buffer, Error>> {
        ready!(self.shared.poll_fill(cx))?;
        Poll::Ready(Ok(self.shared.read.borrow().rest.clone()))
    }

    /// Takes `n` bytes that [`peek`](Self::peek) found.
    ///
    /// # Panics
    ///
    /// If it found fewer.
    pub fn consume(&mut self, n: usize) {
        self.shared.read.borrow_mut().rest.advance(n);
    }

    /// [`write`](Self::write) for futures written by hand.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        self.shared.poll_write(cx, bytes)
    }

    /// [`flush`](Self::flush) for futures written by hand.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.poll_flush(cx)
    }
}

/// Reads from a connection; see [`TcpStream::into_split`].
pub struct OwnedReadHalf(TcpStream);

impl OwnedReadHalf {
    /// See [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.read(buf).await
    }

    /// See [`TcpStream::read_chunk`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub async fn read_chunk(&mut self) -> Result<Buffer, Error> {
        self.0.read_chunk().await
    }
}

/// Writes to a connection; see [`TcpStream::into_split`].
pub struct OwnedWriteHalf(TcpStream);

impl OwnedWriteHalf {
    /// See [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes).await
    }

    /// See [`TcpStream::flush`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().await
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        let (stack, flow) = (Rc::clone(&self.0.shared.stack), Rc::clone(&self.0.shared.flow));
        serve::later(move || serve::call(&stack.shutdown, (&*flow, 1_isize), |_| ()));
    }
}

fn nanoseconds(duration: Duration) -> isize {
    isize::try_from(duration.as_nanos()).unwrap_or(isize::MAX >> 1)
}

impl Shared {
    /// Options by number, as in `mirust_rust.ml`.
    fn set(&self, option: isize, value: isize) -> Result<(), Error> {
        serve::call(&self.stack.set, (&*self.flow, option, value), |_| ())
    }

    /// Waits until there is something to read, or the end is.
    fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut read = self.read.borrow_mut();
        if !read.rest.is_empty() || read.end {
            return Poll::Ready(Ok(()));
        }
        // Kept from call to call: a read that nobody waits for any more has not lost its bytes.
        let promise =
            read.promise.get_or_insert_with(|| serve::start(&self.stack.read, (&*self.flow,)));
        let settled = ready!(Pin::new(promise).poll(cx));
        read.promise = None;
        read.rest = serve::reply(settled, |_, cstruct| buffer(cstruct))?;
        read.end = read.rest.is_empty();
        Poll::Ready(Ok(()))
    }

    fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Result<Buffer, Error>> {
        ready!(self.poll_fill(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.read.borrow_mut().rest)))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_fill(cx))?;
        let rest = &mut self.read.borrow_mut().rest;
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        rest.advance(n);
        serve::count_copy(n);
        Poll::Ready(Ok(n))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        // One write at a time is what bounds the memory.
        ready!(self.poll_flush(cx))?;
        let n = bytes.len().min(WRITE_LIMIT);
        if n == 0 {
            return Poll::Ready(Ok(0));
        }
        serve::count_copy(n);
        let promise = serve::start(&self.stack.write, (&*self.flow, &bytes[..n]));
        *self.write.borrow_mut() = Some(promise);
        // The stack has the bytes, whether it has room for them already or not.
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(n)),
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut write = self.write.borrow_mut();
        let Some(promise) = &mut *write else { return Poll::Ready(Ok(())) };
        let settled = ready!(Pin::new(promise).poll(cx));
        *write = None;
        Poll::Ready(serve::reply(settled, |_, _| ()))
    }

    async fn write_all(&self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        let how: isize = match how {
            Shutdown::Read => 0,
            Shutdown::Write => 1,
            Shutdown::Both => 2,
        };
        serve::call(&self.stack.shutdown, (&*self.flow, how), |_| ())
    }

    fn close(&self, abort: bool) {
        let (stack, flow) = (Rc::clone(&self.stack), Rc::clone(&self.flow));
        // What waits for room is written first.
        let write = self.write.borrow_mut().take();
        crate::spawn(async move {
            if let (Some(write), false) = (write, abort) {
                let _ = write.await;
            }
            let _ = serve::call(&stack.close, (&*flow, abort), |_| ());
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody waits for what comes; it must not be cancelled half way.
        if let Some(read) = self.read.borrow_mut().promise.take() {
            read.detach();
        }
        self.close(false);
    }
}
