//! The traits of `futures-io`.
//!
//! ```
//! use futures_io::AsyncRead;
//!
//! fn takes_any_reader(reader: impl AsyncRead) {
//! #   drop(reader);
//! }
//!
//! # fn compiles(stream: mirust::net::TcpStream) {
//! takes_any_reader(stream);
//! # }
//! ```

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

macro_rules! reading {
    ($($type:ty),*) => {$(
        impl AsyncRead for $type {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                <$type>::poll_read(&mut self, cx, buf).map_err(io::Error::from)
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

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.finish().map_err(io::Error::from))
            }
        }
    )*};
}

reading!(TcpStream, ReadHalf<'_>, OwnedReadHalf);
writing!(TcpStream, WriteHalf<'_>, OwnedWriteHalf);
