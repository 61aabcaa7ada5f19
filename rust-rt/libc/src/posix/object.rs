//! What a descriptor refers to, and what else it can do if it is a socket.

use alloc::rc::Rc;
use core::any::{Any, TypeId};
use core::ffi::c_int;
use core::net::SocketAddr;

use super::address::Address;
use super::events::Events;
use super::family::{Family, Type};
use super::options::Options;
use super::parts::{Errno, Part, PartMut, Result};
use super::watch::Watchers;
use crate::errno::{EINVAL, EISCONN, ENOTTY, EOPNOTSUPP};
use crate::layout::Stat;

/// What a descriptor refers to. Methods never block: what is not possible yet fails with EAGAIN, and the object then
/// notifies its watchers when it may have become possible. Methods may be re-entered by what they call, so none holds
/// a borrow during such a call.
pub trait Object: Any {
    /// The receivers of its notifications.
    fn watchers(&self) -> &Watchers;

    /// Which events of `interest`, and of [`Events::ALWAYS`], have occurred. From now on the object sends notifications
    /// for the others.
    fn poll(&self, interest: Events) -> Events;

    /// Reads into the parts; 0 is the end.
    ///
    /// # Errors
    ///
    /// EAGAIN, or what `read` gives on Linux.
    fn read(&self, _parts: &mut [PartMut]) -> Result<usize> {
        Err(Errno(EINVAL))
    }

    /// Reads from what is far away, and waits for it: nothing if the object is not of that kind. Not called on the main
    /// stack alone.
    fn read_from_afar(&self, _parts: &mut [PartMut]) -> Option<Result<usize>> {
        None
    }

    /// Writes to what is far away, as `read_from_afar` reads.
    fn write_to_afar(&self, _parts: &[Part]) -> Option<Result<usize>> {
        None
    }

    /// Writes what it has room for.
    ///
    /// # Errors
    ///
    /// EAGAIN, or what `write` gives on Linux.
    fn write(&self, _parts: &[Part]) -> Result<usize> {
        Err(Errno(EINVAL))
    }

    /// The answer to `fstat`.
    fn stat(&self) -> Stat;

    /// Bytes that can be read at once (FIONREAD).
    ///
    /// # Errors
    ///
    /// ENOTTY where Linux does not report it.
    fn available(&self) -> Result<usize> {
        Err(Errno(ENOTTY))
    }

    /// Whether poll and epoll make sense; epoll refuses the others, which are always ready.
    fn can_wait(&self) -> bool {
        true
    }

    /// The same as a socket, if it is one.
    fn socket(&self) -> Option<&dyn Socket> {
        None
    }

    /// The limit of a blocking read, or of a blocking write, in nanoseconds. Only sockets can have one.
    fn time_limit(&self, reading: bool) -> Option<u64> {
        self.socket()?.options().time_limit(reading)
    }

    /// The descriptor's flags have changed (`fcntl` with F_SETFL).
    fn set_flags(&self, _flags: c_int) {}
}

/// The object as one of a type of this module.
pub(super) fn downcast<T: Object>(object: &Rc<dyn Object>) -> Option<Rc<T>> {
    // Casting to `Rc<dyn Any>` would say this without `unsafe`, but needs Rust 1.86.
    ((**object).type_id() == TypeId::of::<T>()).then(|| {
        // SAFETY: the object's type is `T`, so that its address is that of a `T` in an `Rc`.
        unsafe { Rc::from_raw(Rc::into_raw(Rc::clone(object)).cast::<T>()) }
    })
}

/// Which direction to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shutdown {
    /// Nothing more is read.
    pub read: bool,
    /// Nothing more is written.
    pub write: bool,
}

/// What was received.
pub struct Received {
    /// Bytes that were copied.
    pub bytes: usize,
    /// Bytes of the whole message, which may not have fitted into the buffer.
    pub whole: usize,
    /// The sender; none for a stream.
    pub from: Option<Address>,
}

/// The additional operations of a socket. As with [`Object`], none blocks.
pub trait Socket {
    /// What it was made as.
    fn family(&self) -> Family;

    /// What it was made as.
    fn kind(&self) -> Type;

    /// Whether its messages are those of a connection (SOCK_SEQPACKET).
    fn is_in_sequence(&self) -> bool {
        false
    }

    /// What `setsockopt` has set.
    fn options(&self) -> &Options;

    /// Some of the options have changed.
    fn options_changed(&self) {}

    /// Binds to an address.
    ///
    /// # Errors
    ///
    /// As `bind`.
    fn bind(&self, _address: SocketAddr) -> Result {
        Err(Errno(EINVAL))
    }

    /// Accepts connections from now on.
    ///
    /// # Errors
    ///
    /// As `listen`.
    fn listen(&self, _backlog: usize) -> Result {
        Err(Errno(EOPNOTSUPP))
    }

    /// The next connection.
    ///
    /// # Errors
    ///
    /// As `accept`.
    fn accept(&self) -> Result<(Rc<dyn Object>, Address)> {
        Err(Errno(EOPNOTSUPP))
    }

    /// Begins to connect.
    ///
    /// # Errors
    ///
    /// As `connect`; EINPROGRESS if it takes time, after which the socket is writable, or has an error.
    fn connect(&self, _address: SocketAddr) -> Result {
        Err(Errno(EISCONN))
    }

    /// Removes the peer set by `connect`, for datagrams.
    ///
    /// # Errors
    ///
    /// As `connect` with AF_UNSPEC.
    fn disconnect(&self) -> Result {
        Err(Errno(EINVAL))
    }

    /// Receives, or only peeks.
    ///
    /// # Errors
    ///
    /// As `recvfrom`.
    fn receive(&self, parts: &mut [PartMut], peek: bool) -> Result<Received>;

    /// Sends to the peer set by `connect`, or to another address.
    ///
    /// # Errors
    ///
    /// As `sendto`.
    fn send(&self, parts: &[Part], to: Option<SocketAddr>) -> Result<usize>;

    /// Ends directions.
    ///
    /// # Errors
    ///
    /// As `shutdown`.
    fn shutdown(&self, how: Shutdown) -> Result;

    /// Our address.
    fn local(&self) -> Address;

    /// The peer's.
    ///
    /// # Errors
    ///
    /// ENOTCONN.
    fn peer(&self) -> Result<Address>;

    /// Whether it listens.
    fn is_listening(&self) -> bool {
        false
    }

    /// The error that SO_ERROR reports, once; 0 if there is none.
    fn take_error(&self) -> c_int {
        0
    }

    /// Has an error reported by the next call, as a call that has something else to say could not.
    fn put_error(&self, _error: c_int) {}
}
