//! The traits of `tokio`: those alone, which need nothing of its runtime.
//!
//! ```
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! async fn greet(mut stream: mirust::net::TcpStream) -> std::io::Result<()> {
//!     let mut name = [0; 4];
//!     stream.read_exact(&mut name).await?;
//!     AsyncWriteExt::write_all(&mut stream, b"Hello ").await?;
//!     AsyncWriteExt::write_all(&mut stream, &name).await
//! }
//!
//! # fn compiles(stream: mirust::net::TcpStream) {
//! mirust::spawn(greet(stream));
//! # }
//! ```

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

macro_rules! reading {
    ($($type:ty),*) => {$(
        impl AsyncRead for $type {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if buf.remaining() == 0 {
                    return Poll::Ready(Ok(()));
                }
                let copied = self.poll_copy(cx, |bytes| {
                    let n = bytes.len().min(buf.remaining());
                    buf.put_slice(&bytes[..n]);
                    n
                });
                copied.map_ok(|_| ()).map_err(io::Error::from)
            }
        }

        impl AsyncBufRead for $type {
            fn poll_fill_buf(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<&[u8]>> {
                let this = self.get_mut();
                ready!(this.poll_fill(cx))?;
                Poll::Ready(Ok(this.rest()))
            }

            fn consume(mut self: Pin<&mut Self>, n: usize) {
                <$type>::consume(&mut self, n);
            }
        }
    )*};
}

macro_rules! writing {
    ($($type:ty),*) => {$(
        impl AsyncWrite for $type {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                <$type>::poll_write(&mut self, cx, buf).map_err(io::Error::from)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                parts: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                <$type>::poll_write_vectored(&mut self, cx, parts).map_err(io::Error::from)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.finish().map_err(io::Error::from))
            }
        }
    )*};
}

reading!(TcpStream, ReadHalf<'_>, OwnedReadHalf);
writing!(TcpStream, WriteHalf<'_>, OwnedWriteHalf);
