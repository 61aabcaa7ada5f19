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

mod connection;
mod socket;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use mirust_rt::libc::errno::{EAGAIN, ECONNRESET, ENOTCONN};
use mirust_rt::libc::posix::{Errno, Events, Family, Options, Result, Shutdown, Watchers};

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
        // A connection that was reset to make room reports the same error as one that its peer has reset.
        Err(if self.has_left() { Errno(ECONNRESET) } else { number(error) })
    }

    fn has_left(&self) -> bool {
        self.place.as_ref().is_some_and(Place::has_left)
    }

    fn bind_listener(&self, address: SocketAddr) -> Result<TcpListener> {
        TcpListener::bind(address).map_err(|error| number(&error))
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
