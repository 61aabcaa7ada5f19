//! What a program does with a socket: its C calls, as far as they concern TCP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};

use mirust_rt::libc::errno::{EAGAIN, EALREADY, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, EPIPE};
use mirust_rt::libc::layout::Stat;
use mirust_rt::libc::posix::{
    Address, Errno, Events, Family, Object, Options, Part, PartMut, Received, Result, Shutdown,
    Socket, Type, Watchers, room, scatter,
};

use super::{READING, State, TcpSocket};
use crate::net::TcpStream;
use crate::posix::error::number;
use crate::posix::places::{self, Place};

impl Object for TcpSocket {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        self.advance();
        match &mut *self.state.borrow_mut() {
            State::Connecting(_) => Events::NONE,
            State::Connected(stream) => self.poll_connected(stream, interest),
            State::Listening(listener, next) => {
                if !interest.intersects(Events::IN) {
                    return Events::NONE;
                }
                match self.await_next(listener, next) {
                    Ok(has_room) => Events::IN.when(has_room && next.is_some()),
                    Err(_) => Events::ERR,
                }
            }
            // As on Linux: a socket that was never connected counts as hung up.
            State::New | State::Bound(_) => {
                let error =
                    READING.when(self.error.get() != 0) | Events::ERR.when(self.error.get() != 0);
                (Events::OUT | Events::HUP | error) & (interest | Events::ALWAYS)
            }
        }
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        self.connected(|stream| match room(parts) {
            0 => Ok(0),
            _ => self.read_parts(stream, parts),
        })
    }

    fn write(&self, parts: &[Part]) -> Result<usize> {
        self.connected(|stream| self.write_parts(stream, parts))
    }

    fn available(&self) -> Result<usize> {
        if self.is_listening() {
            return Err(Errno(EINVAL));
        }
        self.poll(Events::IN);
        Ok(match &*self.state.borrow() {
            State::Connected(stream) => stream.rest().len(),
            _ => 0,
        })
    }

    fn stat(&self) -> Stat {
        Stat::socket()
    }

    fn socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }
}

impl Socket for TcpSocket {
    fn family(&self) -> Family {
        self.family
    }

    fn kind(&self) -> Type {
        Type::Stream
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn options_changed(&self) {
        self.apply();
    }

    fn bind(&self, address: SocketAddr) -> Result {
        let mut state = self.state.borrow_mut();
        if !matches!(*state, State::New) {
            return Err(Errno(EINVAL));
        }
        *state = State::Bound(self.bind_listener(address)?);
        Ok(())
    }

    fn listen(&self, _backlog: usize) -> Result {
        let mut state = self.state.borrow_mut();
        let listener = match std::mem::replace(&mut *state, State::New) {
            State::New => self.bind_listener(self.family.unspecified())?,
            State::Bound(listener) => listener,
            other => {
                let listening = matches!(other, State::Listening(..));
                *state = other;
                return if listening { Ok(()) } else { Err(Errno(EINVAL)) };
            }
        };
        *state = State::Listening(listener, None);
        drop(state);
        self.watchers.notify(Events::IN);
        Ok(())
    }

    fn accept(&self) -> Result<(Rc<dyn Object>, Address)> {
        let mut state = self.state.borrow_mut();
        let State::Listening(listener, next) = &mut *state else { return Err(Errno(EINVAL)) };
        if !self.await_next(listener, next).map_err(|error| number(&error))? {
            return Err(Errno(EAGAIN));
        }
        let Some((stream, peer)) = next.take() else { return Err(Errno(EAGAIN)) };
        drop(state);
        let socket = TcpSocket::with(self.family, State::Connected(stream), Some(Place::new()));
        socket.options.inherit(&self.options);
        socket.apply();
        let socket = Rc::new(socket);
        places::take(&socket);
        Ok((socket, Address::Inet(peer)))
    }

    fn connect(&self, mut address: SocketAddr) -> Result {
        // The unspecified address means this host.
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        self.advance();
        let mut state = self.state.borrow_mut();
        match &*state {
            State::New | State::Bound(_) => {}
            State::Connecting(_) => return Err(Errno(EALREADY)),
            State::Connected(_) | State::Listening(..) => return Err(Errno(EISCONN)),
        }
        match self.error.take() {
            0 => {}
            error => return Err(Errno(error)),
        }
        *state = State::Connecting(Box::pin(TcpStream::connect(address)));
        drop(state);
        self.advance();
        match (&*self.state.borrow(), self.error.take()) {
            (State::Connecting(_), _) => Err(Errno(EINPROGRESS)),
            (_, 0) => Ok(()),
            (_, error) => Err(Errno(error)),
        }
    }

    fn receive(&self, parts: &mut [PartMut], peek: bool) -> Result<Received> {
        let bytes = if peek {
            self.connected(|stream| {
                let waker = self.watchers.waker(READING);
                match stream.poll_fill(&mut Context::from_waker(&waker)) {
                    Poll::Pending => Err(Errno(EAGAIN)),
                    Poll::Ready(Ok(())) => Ok(scatter(stream.rest(), parts)),
                    Poll::Ready(Err(error)) => self.fail(&error),
                }
            })?
        } else {
            self.read(parts)?
        };
        Ok(Received { bytes, whole: bytes, from: None })
    }

    fn send(&self, parts: &[Part], _to: Option<SocketAddr>) -> Result<usize> {
        match &*self.state.borrow() {
            State::New | State::Bound(_) if self.error.get() == 0 => return Err(Errno(EPIPE)),
            _ => {}
        }
        self.write(parts)
    }

    fn shutdown(&self, how: Shutdown) -> Result {
        self.connected(|stream| {
            let before = self.ended.get();
            self.ended
                .set(Shutdown { read: before.read || how.read, write: before.write || how.write });
            let which = match (how.read, how.write) {
                (true, true) => std::net::Shutdown::Both,
                (true, false) => std::net::Shutdown::Read,
                _ => std::net::Shutdown::Write,
            };
            stream.shutdown(which).map_err(|error| number(&error))
        })
        .map_err(|error| if error == Errno(EAGAIN) { Errno(ENOTCONN) } else { error })?;
        self.watchers.notify(READING | Events::OUT | Events::HUP);
        Ok(())
    }

    fn local(&self) -> Address {
        let address = match &*self.state.borrow() {
            State::Bound(listener) | State::Listening(listener, _) => listener.local_addr().ok(),
            State::Connected(stream) => stream.local_addr().ok(),
            State::New | State::Connecting(_) => None,
        };
        Address::Inet(address.unwrap_or(self.family.unspecified()))
    }

    fn peer(&self) -> Result<Address> {
        self.advance();
        match &*self.state.borrow() {
            State::Connected(stream) if !self.broken.get() => {
                stream.peer_addr().map(Address::Inet).map_err(|error| number(&error))
            }
            _ => Err(Errno(ENOTCONN)),
        }
    }

    fn is_listening(&self) -> bool {
        matches!(*self.state.borrow(), State::Listening(..))
    }

    fn take_error(&self) -> i32 {
        self.advance();
        self.error.take()
    }
}
