//! The traits of `embedded-io-async`.
//!
//! ```
//! use embedded_io_async::{BufRead, Write};
//!
//! async fn answer<S: BufRead + Write>(mut stream: S) -> Result<(), S::Error> {
//!     let n = stream.fill_buf().await?.len();
//!     stream.consume(n);
//!     stream.write_all(b"I see\n").await
//! }
//!
//! # fn compiles(stream: mirust::net::TcpStream) {
//! mirust::spawn(answer(stream));
//! # }
//! ```

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{BufRead, ErrorKind, ErrorType, Read, ReadReady, Write};

use super::{Error, OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::InUse => ErrorKind::AddrInUse,
            Error::NotLocal => ErrorKind::AddrNotAvailable,
            Error::Refused => ErrorKind::ConnectionRefused,
            Error::TimedOut => ErrorKind::TimedOut,
            Error::Reset => ErrorKind::ConnectionReset,
            Error::Aborted => ErrorKind::ConnectionAborted,
            Error::Closed => ErrorKind::BrokenPipe,
            Error::NoResources => ErrorKind::OutOfMemory,
            Error::TooLong => ErrorKind::InvalidInput,
            Error::NotFound => ErrorKind::NotFound,
            Error::NotConnected => ErrorKind::NotConnected,
            Error::NoRoute | Error::Unavailable | Error::Stack(_) => ErrorKind::Other,
        }
    }
}

macro_rules! reading {
    ($($type:ty),*) => {$(
        impl Read for $type {
            async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
                <$type>::read(self, buf).await
            }
        }

        impl BufRead for $type {
            async fn fill_buf(&mut self) -> Result<&[u8], Error> {
                poll_fn(|cx| self.poll_fill(cx)).await?;
                Ok(self.rest())
            }

            fn consume(&mut self, n: usize) {
                <$type>::consume(self, n);
            }
        }

        impl ReadReady for $type {
            fn read_ready(&mut self) -> Result<bool, Error> {
                match self.poll_fill(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(filled) => filled.map(|()| true),
                    Poll::Pending => Ok(false),
                }
            }
        }
    )*};
}

macro_rules! writing {
    ($($type:ty),*) => {$(
        impl Write for $type {
            async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
                <$type>::write(self, buf).await
            }

            async fn flush(&mut self) -> Result<(), Error> {
                <$type>::flush(self).await
            }
        }
    )*};
}

macro_rules! errors {
    ($($type:ty),*) => {$(
        impl ErrorType for $type {
            type Error = Error;
        }
    )*};
}

errors!(TcpStream, ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);
reading!(TcpStream, ReadHalf<'_>, OwnedReadHalf);
writing!(TcpStream, WriteHalf<'_>, OwnedWriteHalf);
