//! Datagrams.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::connection::buffer;
use super::octets::Octets;
use super::serve::{self, Datagram, Reply, Socket, Udp};
use super::stats;
use super::wait::Wait;
use super::{Error, address, numbers};
use crate::ocaml::view;
use crate::ocaml::{BoxRoot, Buffer, OCaml, OCamlCstruct, Pass, with_runtime};

/// Bytes of the longest datagram. OCaml knows it as well, and says so of longer ones; they need not
/// be copied for that.
const MAX_DATAGRAM: usize = 0xffff - 8 - 20;

/// A UDP port. Dropping it frees the port.
#[must_use = "dropping it closes the socket"]
pub struct UdpSocket {
    stack: Rc<Udp>,
    socket: Rc<BoxRoot<Socket>>,
    receives: Wait,
    /// The only peer, if there is one.
    peer: Cell<Option<SocketAddr>>,
    /// Was received, and looked at only.
    peeked: RefCell<Option<(Buffer, SocketAddr)>>,
    /// OCaml knows already that nobody needs it any more.
    closed: bool,
}

impl UdpSocket {
    /// Binds to the port of `address`; 0 means any free one. An unspecified address accepts datagrams to all of
    /// our addresses: `0.0.0.0` those of IPv4, `::` all.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::NotLocal`], [`Error::NoResources`], [`Error::Unavailable`].
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let stack = serve::udp()?;
        let receives = Wait::new();
        let address = Octets::new(address::encode(address));
        let socket = serve::call(&stack.bind, (address, receives.token()), serve::root)??;
        let (peer, peeked) = (Cell::default(), RefCell::default());
        Ok(UdpSocket { stack, socket: Rc::new(socket), receives, peer, peeked, closed: false })
    }

    /// The address it was bound to, with the actual port.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        serve::call(&self.stack.local, (&*self.socket,), serve::socket_address)?
    }

    /// From now on datagrams from others are dropped, including those that have already arrived, and
    /// [`send`](Self::send) sends to this peer. Nothing is sent to the peer for this. If the peer's host answers a
    /// datagram by saying that nobody has that port, the next attempt to receive fails with [`Error::Refused`].
    pub fn connect(&self, peer: SocketAddr) {
        self.peer.set(Some(peer));
        self.tell_peer(address::encode(peer));
    }

    /// Takes a [`connect`](Self::connect) back.
    pub fn disconnect(&self) {
        self.peer.set(None);
        self.tell_peer(Vec::new());
    }

    /// Tells OCaml, which compares refusals with it.
    fn tell_peer(&self, octets: Vec<u8>) {
        // It can only fail when OCaml has ended, and then nothing comes in.
        let _ = serve::call(&self.stack.connect, (&*self.socket, Octets::new(octets)), |_| ());
    }

    /// The peer that [`connect`](Self::connect) set.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer.get()
    }

    /// The time to live (IPv6: the hop limit) of what is sent from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn set_ttl(&self, ttl: u8) -> Result<(), Error> {
        serve::call(&self.stack.set_ttl, (&*self.socket, isize::from(ttl)), |_| ())
    }

    /// The next datagram, in the stack's memory, and its source. Dropping the future loses nothing; if
    /// several tasks wait, one of them gets it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], of a [connected](Self::connect) socket; [`Error::Unavailable`].
    pub async fn recv_chunk(&self) -> Result<(Buffer, SocketAddr), Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next datagram, as much of it as fits, and its source.
    ///
    /// # Errors
    ///
    /// As [`recv_chunk`](Self::recv_chunk).
    pub async fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let (datagram, source) = self.recv_chunk().await?;
        Ok((copy(&datagram, buf), source))
    }

    /// The next datagram from the peer, as much of it as fits.
    ///
    /// # Errors
    ///
    /// As [`recv_chunk`](Self::recv_chunk); [`Error::NotConnected`] without a [`connect`](Self::connect) before.
    pub async fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.peer.get().ok_or(Error::NotConnected)?;
        self.recv_from(buf).await.map(|(n, _)| n)
    }

    /// What the next call will receive, and its source, without consuming it.
    ///
    /// # Errors
    ///
    /// As [`recv_chunk`](Self::recv_chunk).
    pub async fn peek(&self) -> Result<(Buffer, SocketAddr), Error> {
        let found = self.recv_chunk().await?;
        *self.peeked.borrow_mut() = Some(found.clone());
        Ok(found)
    }

    /// [`recv_chunk`](Self::recv_chunk) for futures written by hand.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Result<(Buffer, SocketAddr), Error>> {
        loop {
            let peeked = self.peeked.borrow_mut().take();
            let (datagram, source) = match peeked {
                Some(peeked) => peeked,
                None => ready!(self.receives.poll(cx, || self.next()))?,
            };
            if self.peer.get().is_none_or(|peer| peer == source) {
                return Poll::Ready(Ok((datagram, source)));
            }
        }
    }

    fn next(&self) -> Poll<Result<(Buffer, SocketAddr), Error>> {
        let next = |reply: OCaml<'_, Reply<Option<Datagram>>>| match reply.to_result() {
            Ok(datagram) => datagram.to_option().map(|datagram| {
                let (payload, source) = datagram.to_tuple();
                Ok((buffer(payload), serve::socket_address(source)?))
            }),
            Err(number) => Some(Err(numbers::error(number.to_i64()))),
        };
        match serve::call(&self.stack.receive, (&*self.socket,), next) {
            Ok(None) => Poll::Pending,
            Ok(Some(datagram)) => Poll::Ready(datagram),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoute`], [`Error::TooLong`], [`Error::NoResources`], [`Error::Unavailable`].
    pub async fn send_to(&self, bytes: &[u8], address: SocketAddr) -> Result<(), Error> {
        let n = bytes.len();
        if n > MAX_DATAGRAM {
            return Err(Error::TooLong);
        }
        let view = with_runtime(|ocaml| view::copied(ocaml, n, &[IoSlice::new(bytes)]));
        stats::count_sent(n);
        self.send_view(view?.ok_or(Error::NoResources)?, address).await
    }

    /// Sends the bytes of `owner` as a datagram, without a copy.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    pub async fn send_owned_to(
        &self,
        owner: impl AsRef<[u8]> + 'static,
        address: SocketAddr,
    ) -> Result<(), Error> {
        self.send_chunk_to(&Buffer::lent(owner)?, address).await
    }

    /// Sends a buffer as a datagram, without a copy.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    pub async fn send_chunk_to(&self, bytes: &Buffer, address: SocketAddr) -> Result<(), Error> {
        // SAFETY: the stack writes to nothing that it sends.
        let view = with_runtime(|ocaml| unsafe { bytes.share(ocaml) })?;
        self.send_view(view, address).await
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to); [`Error::NotConnected`] without a [`connect`](Self::connect)
    /// before.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.send_to(bytes, self.peer.get().ok_or(Error::NotConnected)?).await
    }

    async fn send_view(
        &self,
        view: impl Pass<OCamlCstruct>,
        address: SocketAddr,
    ) -> Result<(), Error> {
        let address = Octets::new(address::encode(address));
        let promise = serve::start(&self.stack.send, (&*self.socket, address, view));
        serve::reply(promise.await, |_, _| ())
    }
}

/// Copies as much as fits.
pub(super) fn copy(datagram: &[u8], buf: &mut [u8]) -> usize {
    let n = datagram.len().min(buf.len());
    buf[..n].copy_from_slice(&datagram[..n]);
    stats::count_received(n);
    n
}

impl std::fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UdpSocket").field("local", &self.local_addr().ok()).finish()
    }
}

impl UdpSocket {
    /// What dropping it does, at once instead of in the next turn: its port is free when this returns. For a caller who
    /// expects that OCaml code runs.
    #[cfg(all(feature = "posix", any(feature = "xen", feature = "posix-on-unix")))]
    pub(crate) fn close(mut self) {
        self.closed = true;
        // It can only fail when OCaml has ended, and its sockets with it.
        let _ = serve::call(&self.stack.close, (&*self.socket,), |_| ());
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (stack, socket) = (Rc::clone(&self.stack), Rc::clone(&self.socket));
        serve::later(move || serve::call(&stack.close, (&*socket,), |_| ()));
    }
}
