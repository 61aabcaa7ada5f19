//! What can go wrong with a connection.

use std::{fmt, io};

/// Why a network operation failed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The port has a listener or a socket already.
    InUse,
    /// The peer refused the connection; UDP: nobody has the port that a connected socket has sent to.
    Refused,
    /// The peer did not answer in time, to the attempt to connect or to data that was sent.
    TimedOut,
    /// The peer reset the connection.
    Reset,
    /// We reset the connection.
    Aborted,
    /// The connection, or this direction of it, is already closed.
    Closed,
    /// Out of ports or of memory for connections.
    NoResources,
    /// No route to the destination.
    NoRoute,
    /// The datagram is longer than any datagram can be.
    TooLong,
    /// The name has no address, or no server answered.
    NotFound,
    /// None of our addresses: nothing could come in there.
    NotLocal,
    /// The socket has no peer.
    NotConnected,
    /// There is no stack, or OCaml cannot be used here; see the module.
    Unavailable,
    /// The stack raised an exception, with this text.
    Stack(String),
}

impl Error {
    /// The corresponding kind of `std::io`.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Error::InUse => io::ErrorKind::AddrInUse,
            Error::Refused => io::ErrorKind::ConnectionRefused,
            Error::TimedOut => io::ErrorKind::TimedOut,
            Error::Reset => io::ErrorKind::ConnectionReset,
            Error::Aborted => io::ErrorKind::ConnectionAborted,
            Error::Closed => io::ErrorKind::BrokenPipe,
            Error::NoResources => io::ErrorKind::OutOfMemory,
            Error::NoRoute => io::ErrorKind::HostUnreachable,
            Error::TooLong => io::ErrorKind::InvalidInput,
            Error::NotFound => io::ErrorKind::NotFound,
            Error::NotLocal => io::ErrorKind::AddrNotAvailable,
            Error::NotConnected => io::ErrorKind::NotConnected,
            Error::Unavailable => io::ErrorKind::NetworkDown,
            Error::Stack(_) => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::InUse => "the port is in use",
            Error::Refused => "connection refused",
            Error::TimedOut => "timed out",
            Error::Reset => "connection reset by peer",
            Error::Aborted => "connection aborted",
            Error::Closed => "the connection is closed",
            Error::NoResources => "out of ports or of memory for connections",
            Error::NoRoute => "no route to the destination",
            Error::TooLong => "the datagram is too long",
            Error::NotFound => "no address of that name",
            Error::NotLocal => "none of our addresses",
            Error::NotConnected => "the socket has no peer",
            Error::Unavailable => "there is no network here and now",
            Error::Stack(exception) => exception,
        })
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}
