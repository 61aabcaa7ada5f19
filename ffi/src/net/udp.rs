//! Datagrams.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::serve::{self, Datagram, Socket, Udp};
use super::tcp::Octets;
use super::{Error, address};
use crate::ocaml::{BoxRoot, Buffer, Promise, with_runtime};

/// A UDP port. Dropping it frees the port.
pub struct UdpSocket {
    stack: Rc<Udp>,
    socket: Rc<BoxRoot<Socket>>,
    /// Kept from call to call, so that dropping the future of `recv_from` loses nothing.
    receiving: RefCell<Option<Promise<Datagram>>>,
}

impl UdpSocket {
    /// Takes the port of `address`; 0 is any free one.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::NoResources`], [`Error::Unavailable`].
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let stack = serve::udp()?;
        let address = Octets::new(address::encode(address));
        let socket = serve::call(&stack.bind, (address,), serve::root)??;
        Ok(UdpSocket { stack, socket: Rc::new(socket), receiving: RefCell::default() })
    }

    /// The address it was bound to, with the port that was found.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        serve::call(&self.stack.local, (&*self.socket,), serve::socket_address)?
    }

    /// The next datagram, where the stack has it, and its source.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub async fn recv_chunk(&self) -> Result<(Buffer, SocketAddr), Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next datagram, as much of it as fits, and its source.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub async fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let (datagram, source) = self.recv_chunk().await?;
        let n = datagram.len().min(buf.len());
        buf[..n].copy_from_slice(&datagram[..n]);
        serve::count_copy(n);
        Ok((n, source))
    }

    /// [`recv_chunk`](Self::recv_chunk) for futures written by hand.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Result<(Buffer, SocketAddr), Error>> {
        let mut receiving = self.receiving.borrow_mut();
        let promise =
            receiving.get_or_insert_with(|| serve::start(&self.stack.receive, (&*self.socket,)));
        let settled = ready!(Pin::new(promise).poll(cx));
        *receiving = None;
        let root = settled?;
        let datagram = with_runtime(|ocaml| {
            let (payload, source) = root.get(ocaml).to_tuple();
            // SAFETY: the stack gives received frames away, and writes to them no more.
            let payload = unsafe { Buffer::new(payload) };
            serve::socket_address(source).map(|source| (payload, source))
        });
        Poll::Ready(datagram?)
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoute`], [`Error::TooLong`], [`Error::Unavailable`].
    pub async fn send_to(&self, bytes: &[u8], address: SocketAddr) -> Result<(), Error> {
        let address = Octets::new(address::encode(address));
        serve::count_copy(bytes.len());
        let promise = serve::start(&self.stack.send, (&*self.socket, address, bytes));
        serve::reply(promise.await, |_, _| ())
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let (stack, socket) = (Rc::clone(&self.stack), Rc::clone(&self.socket));
        serve::later(move || serve::call(&stack.close, (&*socket,), |_| ()));
    }
}
