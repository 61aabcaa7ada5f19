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

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use super::sides::{fill_side, write_side};
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
            fill_side!($type);
        }
    )*};
}

macro_rules! writing {
    ($($type:ty),*) => {$(
        impl AsyncWrite for $type {
            write_side!($type, poll_close);
        }
    )*};
}

reading!(TcpStream, ReadHalf<'_>, OwnedReadHalf);
writing!(TcpStream, WriteHalf<'_>, OwnedWriteHalf);
