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

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::sides::{fill_side, write_side};
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
            fill_side!($type);
        }
    )*};
}

macro_rules! writing {
    ($($type:ty),*) => {$(
        impl AsyncWrite for $type {
            fn is_write_vectored(&self) -> bool {
                true
            }

            write_side!($type, poll_shutdown);
        }
    )*};
}

reading!(TcpStream, ReadHalf<'_>, OwnedReadHalf);
writing!(TcpStream, WriteHalf<'_>, OwnedWriteHalf);
