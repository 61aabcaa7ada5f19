//! TCP sockets.
//!
//! ```text
//!                 bind            listen
//!   ┌─────┐ ────────────► BOUND ─────────► LISTENING ──► accept gives CONNECTED ones
//!   │ NEW │                 │ connect
//!   └─────┘ ───────────► CONNECTING ─────► CONNECTED
//!     ▲       connect       │
//!     └─────────────────────┘ failed: SO_ERROR says why
//! ```
//!
//! A port is taken by `bind`, as programs expect the error there; the stack then has a listener already,
//! but no turn of the loop comes between `bind` and `listen` in a program that does not wait there.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use mirust_rt::libc::errno::{
    EAGAIN, EALREADY, ECONNRESET, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, EPIPE,
};
use mirust_rt::libc::layout::Stat;
use mirust_rt::libc::posix::{
    Address, Errno, Events, Family, Object, Options, Part, PartMut, Received, Result, Shutdown,
    Socket, Type, Watchers, room, scatter, total,
};

use super::error::number;
use super::places::{self, Guest, Place};
use super::stack::on_main;
use crate::net::{self, TcpListener, TcpStream};
use crate::time::Duration;

type Opening = Pin<Box<dyn Future<Output = core::result::Result<TcpStream, net::Error>>>>;

#[derive(Default)]
enum State {
    #[default]
    New,
    Bound(TcpListener),
    Listening(TcpListener, Option<(TcpStream, SocketAddr)>),
    Connecting(Opening),
    Connected(TcpStream),
}

/// A socket for TCP.
pub(super) struct TcpSocket {
    family: Family,
    state: RefCell<State>,
    /// SO_ERROR.
    error: Cell<i32>,
    /// An error of the connection has been reported: from then on there is only end of file.
    broken: Cell<bool>,
    /// Directions that we have ended.
    ended: Cell<Shutdown>,
    /// What was set at the stack: nodelay, seconds of silence before probes, user timeout in ms.
    applied: Cell<(bool, u32, u32)>,
    /// Of a connection that was accepted.
    place: Option<Place>,
    options: Options,
    watchers: Watchers,
}

/// Everything that reading can bring.
const READING: Events = Events(Events::IN.0 | Events::RDHUP.0);

impl TcpSocket {
    pub(super) fn new(family: Family) -> Self {
        Self::with(family, State::New, None)
    }

    fn with(family: Family, state: State, place: Option<Place>) -> Self {
        TcpSocket {
            family,
            state: RefCell::new(state),
            error: Cell::new(0),
            broken: Cell::new(false),
            ended: Cell::new(Shutdown { read: false, write: false }),
            applied: Cell::new((false, 0, 0)),
            place,
            options: Options::default(),
            watchers: Watchers::new(),
        }
    }

    /// Fills `next` if there is a connection, and says whether there is a place for it as well. If anything is missing,
    /// watchers are told later.
    fn await_next(
        &self,
        listener: &TcpListener,
        next: &mut Option<(TcpStream, SocketAddr)>,
    ) -> core::result::Result<bool, net::Error> {
        let waker = self.watchers.waker(Events::IN);
        if next.is_none() {
            match listener.poll_accept(&mut Context::from_waker(&waker)) {
                Poll::Ready(accepted) => *next = Some(accepted?),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(places::is_room(&waker))
    }

    /// Continues opening a connection.
    fn advance(&self) {
        let mut state = self.state.borrow_mut();
        let State::Connecting(opening) = &mut *state else { return };
        let waker = self.watchers.waker(Events::OUT | READING);
        match opening.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(Ok(stream)) => {
                *state = State::Connected(stream);
                drop(state);
                self.apply();
            }
            Poll::Ready(Err(error)) => {
                let Errno(error) = number(&error);
                self.error.set(error);
                *state = State::New;
            }
        }
    }

    /// Passes changed options to the stack.
    fn apply(&self) {
        let State::Connected(stream) = &*self.state.borrow() else { return };
        let options = &self.options;
        let silence = if options.keepalive.get() { options.keep_idle.get() } else { 0 };
        let wanted = (options.nodelay.get(), silence, options.user_timeout.get());
        let (nodelay, keep, timeout) = self.applied.replace(wanted);
        // A connection that is gone takes no options, and needs none.
        if nodelay != wanted.0 {
            let _ = stream.set_nodelay(wanted.0);
        }
        if keep != silence {
            let after = Duration::from_secs(silence.into());
            let _ = stream.set_keepalive((silence != 0).then_some(after));
        }
        if timeout != wanted.2 {
            let _ = stream.set_user_timeout(Duration::from_millis(wanted.2.into()));
        }
    }

    /// Calls `f` with the connection.
    fn connected<R>(&self, f: impl FnOnce(&mut TcpStream) -> Result<R>) -> Result<R> {
        self.advance();
        match &mut *self.state.borrow_mut() {
            State::Connected(stream) => f(stream),
            State::Connecting(_) => Err(Errno(EAGAIN)),
            _ => Err(Errno(match self.error.take() {
                0 => ENOTCONN,
                error => error,
            })),
        }
    }

    /// An error of the connection, which is reported once.
    fn fail<T>(&self, error: &net::Error) -> Result<T> {
        self.broken.set(true);
        // Who was reset to make room learns what it would have if the peer had done that.
        Err(if self.has_left() { Errno(ECONNRESET) } else { number(error) })
    }

    fn has_left(&self) -> bool {
        self.place.as_ref().is_some_and(Place::has_left)
    }

    fn read_parts(&self, stream: &mut TcpStream, parts: &mut [PartMut]) -> Result<usize> {
        if self.ended.get().read || self.broken.get() {
            return Ok(0);
        }
        let waker = self.watchers.waker(READING);
        if let Some(place) = &self.place {
            // Also what had arrived before is of no use any more.
            if place.has_left() {
                return self.fail(&net::Error::Reset);
            }
            if !places::may_read(place, &waker) {
                return Err(Errno(EAGAIN));
            }
        }
        let mut cx = Context::from_waker(&waker);
        let (wanted, mut read) = (room(parts), 0);
        let mut rest: Vec<PartMut>;
        let mut left = parts;
        // Until there is no more: after a short read, callers expect a notification of more data without
        // reading again.
        loop {
            let n = match stream.poll_copy(&mut cx, |bytes| scatter(bytes, left)) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(error)) if read == 0 => return self.fail(&error),
                // It will fail again the next time.
                Poll::Ready(Err(_)) => break,
                Poll::Pending if read == 0 => return Err(Errno(EAGAIN)),
                Poll::Pending => return Ok(read),
            };
            read += n;
            if let Some(place) = &self.place {
                place.read(n);
            }
            if read == wanted {
                // What comes next must give notice all the same: callers may wait for the peer's end without reading on.
                match stream.poll_fill(&mut cx) {
                    Poll::Ready(Ok(())) if !stream.rest().is_empty() => {}
                    Poll::Pending => {}
                    Poll::Ready(_) => self.watchers.notify(READING),
                }
                return Ok(read);
            }
            rest = PartMut::behind(left, n);
            left = &mut rest;
        }
        if read > 0 {
            self.watchers.notify(READING);
        }
        Ok(read)
    }

    fn write_parts(&self, stream: &mut TcpStream, parts: &[Part]) -> Result<usize> {
        if self.ended.get().write || self.broken.get() {
            return Err(Errno(EPIPE));
        }
        let waker = self.watchers.waker(Events::OUT);
        let mut cx = Context::from_waker(&waker);
        let (wanted, mut written) = (total(parts), 0);
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut left = &mut slices[..];
        while written < wanted {
            match stream.poll_write_vectored(&mut cx, left) {
                Poll::Ready(Ok(n)) => {
                    written += n;
                    IoSlice::advance_slices(&mut left, n);
                }
                Poll::Ready(Err(error)) if written == 0 => return self.fail(&error),
                Poll::Pending if written == 0 => return Err(Errno(EAGAIN)),
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if let Some(place) = &self.place {
            place.wrote(written == wanted);
        }
        Ok(written)
    }

    fn bind_listener(&self, address: SocketAddr) -> Result<TcpListener> {
        TcpListener::bind(address).map_err(|error| number(&error))
    }

    fn unspecified(&self) -> SocketAddr {
        let ip: IpAddr = match self.family {
            Family::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, 0)
    }

    fn poll_connected(&self, stream: &mut TcpStream, interest: Events) -> Events {
        let ended = self.ended.get();
        let broken =
            (READING | Events::OUT | Events::ERR | Events::HUP) & (interest | Events::ALWAYS);
        if self.broken.get() || self.has_left() {
            return broken;
        }
        let mut ready = Events::OUT.when(ended.write);
        let waker = self.watchers.waker(READING);
        let may_read = || self.place.as_ref().is_none_or(|place| places::may_read(place, &waker));
        if interest.intersects(READING) && may_read() {
            match stream.poll_fill(&mut Context::from_waker(&waker)) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) if stream.rest().is_empty() => {
                    ready |= READING | Events::HUP.when(ended.write);
                }
                Poll::Ready(Ok(())) => ready |= Events::IN,
                Poll::Ready(Err(_)) => return broken,
            }
        }
        if ended.read {
            ready |= READING | Events::HUP.when(ended.write);
        }
        if interest.intersects(Events::OUT) && !ended.write {
            let waker = self.watchers.waker(Events::OUT);
            match stream.poll_writable(&mut Context::from_waker(&waker)) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => ready |= Events::OUT,
                Poll::Ready(Err(_)) => return broken,
            }
        }
        ready & (interest | Events::ALWAYS)
    }
}

impl Guest for TcpSocket {
    /// If it was accepted.
    fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    fn reset(&self) {
        if let Ok(state) = self.state.try_borrow() {
            if let State::Connected(stream) = &*state {
                stream.reset();
            }
        }
    }

    fn notify(&self) {
        self.watchers.notify(READING | Events::OUT | Events::ERR | Events::HUP);
    }
}

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

    fn time_limit(&self, reading: bool) -> Option<u64> {
        self.options.time_limit(reading)
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
            State::New => self.bind_listener(self.unspecified())?,
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
        Address::Inet(address.unwrap_or(self.unspecified()))
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

impl Drop for TcpSocket {
    fn drop(&mut self) {
        let (state, reset) = (self.state.take(), self.options.linger.get() == Some(0));
        // The last owner may be a thread.
        let was_accepted = self.place.is_some();
        on_main(move || {
            match state {
                State::Connected(stream) if reset => stream.abort(),
                state => drop(state),
            }
            if was_accepted {
                places::go_on();
            }
        });
    }
}
