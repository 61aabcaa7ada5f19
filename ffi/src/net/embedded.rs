//! The traits of `embedded-io-async`.

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use super::{Error, TcpStream};

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::InUse => ErrorKind::AddrInUse,
            Error::Refused => ErrorKind::ConnectionRefused,
            Error::TimedOut => ErrorKind::TimedOut,
            Error::Reset => ErrorKind::ConnectionReset,
            Error::Aborted => ErrorKind::ConnectionAborted,
            Error::Closed => ErrorKind::BrokenPipe,
            Error::NoResources => ErrorKind::OutOfMemory,
            Error::TooLong => ErrorKind::InvalidInput,
            Error::NotFound => ErrorKind::NotFound,
            Error::NoRoute | Error::Unavailable | Error::Stack(_) => ErrorKind::Other,
        }
    }
}

impl ErrorType for TcpStream {
    type Error = Error;
}

impl Read for TcpStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        TcpStream::read(self, buf).await
    }
}

impl Write for TcpStream {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        TcpStream::write(self, buf).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        TcpStream::flush(self).await
    }
}
