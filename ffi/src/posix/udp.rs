//! UDP sockets.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use mirust_rt::libc::errno::{
    EAGAIN, ECONNREFUSED, EDESTADDRREQ, EINVAL, EMSGSIZE, ENOBUFS, ENOTCONN,
};
use mirust_rt::libc::layout::Stat;
use mirust_rt::libc::posix::{
    Address, Errno, Events, Family, Object, Options, Part, PartMut, Received, Result, Shutdown,
    Socket as _, Type, Watchers, need, scatter, total,
};

use super::error::number;
use super::stack::on_main;
use crate::net::UdpSocket;
use crate::ocaml::Buffer;

/// How many datagrams of a socket may wait for the link address of their next hop, and beyond how many bytes of these
/// no further one is accepted (so less than 128 KiB wait). An attacker could otherwise make a server queue any number
/// of answers to addresses that do not exist.
const MOST_SENDING: usize = 64;
const MOST_BYTES: usize = 64 * 1024;
/// Bytes of the longest datagram.
const LONGEST: usize = 0xffff - 8 - 20;

/// A socket for UDP.
pub(super) struct Socket {
    family: Family,
    /// Nothing before there is a port.
    socket: RefCell<Option<Rc<UdpSocket>>>,
    peer: Cell<Option<SocketAddr>>,
    /// SO_ERROR: that nobody has the peer's port.
    error: Cell<i32>,
    /// Was received, and looked at only.
    next: RefCell<Option<(Buffer, SocketAddr)>>,
    /// Datagrams that wait, and their bytes.
    sending: Rc<Cell<(usize, usize)>>,
    ended: Cell<Shutdown>,
    options: Options,
    watchers: Rc<Watchers>,
}

impl Socket {
    pub(super) fn new(family: Family) -> Self {
        Socket {
            family,
            socket: RefCell::default(),
            peer: Cell::new(None),
            error: Cell::new(0),
            next: RefCell::default(),
            sending: Rc::default(),
            ended: Cell::new(Shutdown { read: false, write: false }),
            options: Options::default(),
            watchers: Rc::default(),
        }
    }

    /// The port, any one if there was none.
    fn port(&self) -> Result<Rc<UdpSocket>> {
        let mut socket = self.socket.borrow_mut();
        if let Some(socket) = &*socket {
            return Ok(Rc::clone(socket));
        }
        let bound = UdpSocket::bind(self.family.unspecified()).map_err(|error| number(&error))?;
        let bound = Rc::new(bound);
        *socket = Some(Rc::clone(&bound));
        drop(socket);
        self.set_ttl(&bound);
        Ok(bound)
    }

    fn set_ttl(&self, socket: &UdpSocket) {
        if self.options.ttl.get() != 0 {
            // Without a stack there is nothing to send either.
            let _ = socket.set_ttl(self.options.ttl.get());
        }
    }

    /// Whether a datagram is there; it is kept. An error of the socket is too.
    fn fill(&self) -> Result<bool> {
        let mut next = self.next.borrow_mut();
        if next.is_some() {
            return Ok(true);
        }
        let Some(socket) = self.socket.borrow().clone() else { return Ok(false) };
        let waker = self.watchers.waker(Events::IN | Events::ERR);
        loop {
            match socket.poll_recv(&mut Context::from_waker(&waker)) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(crate::net::Error::Refused)) => self.error.set(ECONNREFUSED),
                Poll::Ready(Err(error)) => return Err(number(&error)),
                Poll::Ready(Ok(datagram)) => {
                    *next = Some(datagram);
                    return Ok(true);
                }
            }
        }
    }

    /// The socket's error, which is reported once, by whichever call comes next.
    fn check(&self) -> Result<bool> {
        let there = self.fill()?;
        match self.error.take() {
            0 => Ok(there),
            error => Err(Errno(error)),
        }
    }

    /// Whether one more datagram may wait.
    fn may_send(&self) -> bool {
        let (count, bytes) = self.sending.get();
        count < MOST_SENDING && bytes < MOST_BYTES
    }

    /// Starts to send. What has to wait, for a link address, goes on as a task.
    fn start(&self, bytes: Vec<u8>, to: SocketAddr) -> Result {
        let socket = self.port()?;
        let length = bytes.len();
        let mut sending = Box::pin(async move { socket.send_to(&bytes, to).await });
        match sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(sent) => sent.map_err(|error| number(&error)),
            Poll::Pending => {
                let (count, watchers) = (Rc::clone(&self.sending), Rc::clone(&self.watchers));
                let (datagrams, sum) = count.get();
                count.set((datagrams + 1, sum + length));
                crate::spawn(async move {
                    // An error now would come too late for the program, as on Linux.
                    let _ = sending.await;
                    let (datagrams, sum) = count.get();
                    count.set((datagrams - 1, sum - length));
                    watchers.notify(Events::OUT);
                });
                Ok(())
            }
        }
    }
}

impl Object for Socket {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        let mut ready = Events::OUT.when(self.may_send());
        if self.ended.get().read {
            ready |= Events::IN | Events::RDHUP;
            ready |= Events::HUP.when(self.ended.get().write);
        }
        // A refusal is for everybody who watches; only a socket with a peer has any.
        if interest.intersects(Events::IN) || self.peer.get().is_some() {
            match self.fill() {
                Ok(there) => ready |= Events::IN.when(there),
                Err(_) => ready |= Events::ERR,
            }
            ready |= Events::ERR.when(self.error.get() != 0);
        }
        ready & (interest | Events::ALWAYS)
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        self.receive(parts, false).map(|received| received.bytes)
    }

    fn write(&self, parts: &[Part]) -> Result<usize> {
        self.send(parts, None)
    }

    /// The length of the next datagram.
    fn available(&self) -> Result<usize> {
        self.fill()?;
        Ok(self.next.borrow().as_ref().map_or(0, |(bytes, _)| bytes.len()))
    }

    fn stat(&self) -> Stat {
        Stat::socket()
    }

    fn socket(&self) -> Option<&dyn mirust_rt::libc::posix::Socket> {
        Some(self)
    }
}

impl mirust_rt::libc::posix::Socket for Socket {
    fn family(&self) -> Family {
        self.family
    }

    fn kind(&self) -> Type {
        Type::Datagram
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn options_changed(&self) {
        if let Some(socket) = &*self.socket.borrow() {
            self.set_ttl(socket);
        }
    }

    fn bind(&self, address: SocketAddr) -> Result {
        if self.socket.borrow().is_some() {
            return Err(Errno(EINVAL));
        }
        let socket = UdpSocket::bind(address).map_err(|error| number(&error))?;
        self.set_ttl(&socket);
        *self.socket.borrow_mut() = Some(Rc::new(socket));
        self.watchers.notify(Events::IN);
        Ok(())
    }

    fn connect(&self, address: SocketAddr) -> Result {
        self.port()?.connect(address);
        self.peer.set(Some(address));
        // What others had sent before is not the peer's.
        self.next.take();
        Ok(())
    }

    fn disconnect(&self) -> Result {
        self.peer.set(None);
        if let Some(socket) = &*self.socket.borrow() {
            socket.disconnect();
        }
        Ok(())
    }

    fn receive(&self, parts: &mut [PartMut], peek: bool) -> Result<Received> {
        if !self.check()? {
            if self.ended.get().read {
                return Ok(Received { bytes: 0, whole: 0, from: None });
            }
            return Err(Errno(EAGAIN));
        }
        let mut next = self.next.borrow_mut();
        let Some((bytes, from)) = &*next else { return Err(Errno(EAGAIN)) };
        let from = Some(Address::Inet(*from));
        let received = Received { bytes: scatter(bytes, parts), whole: bytes.len(), from };
        if !peek {
            *next = None;
        }
        Ok(received)
    }

    fn send(&self, parts: &[Part], to: Option<SocketAddr>) -> Result<usize> {
        let to = to.or(self.peer.get()).ok_or(Errno(EDESTADDRREQ))?;
        let n = total(parts);
        if n > LONGEST {
            return Err(Errno(EMSGSIZE));
        }
        if self.ended.get().write {
            return Err(Errno(mirust_rt::libc::errno::EPIPE));
        }
        if self.peer.get().is_some() {
            // A program that never receives finds out here that nobody is there.
            self.check()?;
        }
        if !self.may_send() {
            return Err(Errno(EAGAIN));
        }
        // How long an answer is can be a stranger's choice.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(n).map_err(|_| Errno(ENOBUFS))?;
        // For a port, and the datagram's way there.
        need(4096)?;
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        self.start(bytes, to)?;
        Ok(n)
    }

    fn shutdown(&self, how: Shutdown) -> Result {
        self.peer.get().ok_or(Errno(ENOTCONN))?;
        let before = self.ended.get();
        self.ended
            .set(Shutdown { read: before.read || how.read, write: before.write || how.write });
        self.watchers.notify(Events::IN | Events::OUT | Events::HUP);
        Ok(())
    }

    fn take_error(&self) -> i32 {
        // What cannot be asked has no error of its own.
        let _ = self.fill();
        self.error.take()
    }

    fn put_error(&self, error: i32) {
        self.error.set(error);
    }

    fn local(&self) -> Address {
        let bound = self.socket.borrow().as_ref().and_then(|socket| socket.local_addr().ok());
        Address::Inet(bound.unwrap_or(self.family.unspecified()))
    }

    fn peer(&self) -> Result<Address> {
        self.peer.get().map(Address::Inet).ok_or(Errno(ENOTCONN))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let (socket, next) = (self.socket.take(), self.next.take());
        // The last to let go of it may be a thread.
        on_main(move || {
            drop(next);
            // Unless a datagram of its own is on its way, its port is free now, as `close` promises elsewhere.
            if let Some(socket) = socket.and_then(Rc::into_inner) {
                socket.close();
            }
        });
    }
}
