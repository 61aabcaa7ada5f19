//! Listening for connections.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::octets::Octets;
use super::serve::{self, Listener, Tcp};
use super::wait::Wait;
use super::{Error, TcpStream, address};
use crate::ocaml::{BoxRoot, OCaml};

/// Half-open connections beyond which the listener answers with SYN cookies.
const BACKLOG: usize = 1024;

/// Waits for connections on a port. Dropping it resets connections that were not accepted, and refuses new ones.
#[must_use = "dropping it stops listening"]
pub struct TcpListener {
    stack: Rc<Tcp>,
    listener: Rc<BoxRoot<Listener>>,
    accepts: Wait,
}

impl TcpListener {
    /// Listens on the port of `address`; 0 means any free one. An unspecified address accepts connections
    /// to all of our addresses: `0.0.0.0` those of IPv4, `::` all.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::NotLocal`], [`Error::NoResources`], [`Error::Unavailable`].
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        Self::bind_with(address, BACKLOG)
    }

    /// [`bind`](Self::bind) with a different number of half-open connections beyond which the listener answers
    /// with SYN cookies; the default is 1024.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_with(address: SocketAddr, backlog: usize) -> Result<Self, Error> {
        let stack = serve::tcp()?;
        let accepts = Wait::new();
        let address = Octets::new(address::encode(address));
        let backlog = isize::try_from(backlog).unwrap_or(isize::MAX >> 1);
        let arguments = (address, backlog, accepts.token());
        let listener = serve::call(&stack.listen, arguments, serve::root)??;
        Ok(TcpListener { stack, listener: Rc::new(listener), accepts })
    }

    /// The address it was bound to, with the actual port.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        serve::call(&self.stack.listening, (&*self.listener,), serve::socket_address)?
    }

    /// The next connection, and its peer's address. Dropping the future loses nothing; if several tasks
    /// wait, one of them gets it.
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
        let flow = ready!(self.accepts.poll(cx, || {
            let next = |flow: OCaml<'_, Option<_>>| flow.to_option().map(OCaml::root);
            match serve::call(&self.stack.accept, (&*self.listener,), next) {
                Ok(None) => Poll::Pending,
                Ok(Some(flow)) => Poll::Ready(Ok(flow)),
                Err(error) => Poll::Ready(Err(error)),
            }
        }))?;
        let stream = TcpStream::new(&flow)?;
        let peer = stream.peer_addr()?;
        Poll::Ready(Ok((stream, peer)))
    }

    /// The connections, one after another.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let (stack, listener) = (Rc::clone(&self.stack), Rc::clone(&self.listener));
        serve::later(move || serve::call(&stack.unlisten, (&*listener,), |_| ()));
    }
}

/// The connections of a listener, as a [`Stream`](futures_core::Stream) as well; see
/// [`TcpListener::incoming`].
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

impl futures_core::Stream for Incoming<'_> {
    type Item = Result<TcpStream, Error>;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_accept(cx).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
