//! The traits of `futures-io`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{Shutdown, TcpStream};

impl futures_io::AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        TcpStream::poll_read(&mut self, cx, buf).map_err(io::Error::from)
    }
}

impl futures_io::AsyncWrite for TcpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        TcpStream::poll_write(&mut self, cx, buf).map_err(io::Error::from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        TcpStream::poll_flush(&mut self, cx).map_err(io::Error::from)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(TcpStream::poll_flush(&mut self, cx))?;
        Poll::Ready(self.shutdown(Shutdown::Write).map_err(io::Error::from))
    }
}
