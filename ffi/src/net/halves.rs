//! Halves of a connection, and the methods that they share with the whole.

use std::fmt;
use std::future::poll_fn;
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::connection::{Connection, Reading};
use super::error::Error;
use super::stream::TcpStream;
use crate::ocaml::Buffer;

/// Reads from a connection; see [`TcpStream::split`].
pub struct ReadHalf<'a> {
    pub(super) connection: &'a Connection,
    pub(super) reading: &'a mut Reading,
}

/// Writes to a connection; see [`TcpStream::split`].
pub struct WriteHalf<'a> {
    pub(super) connection: &'a Connection,
}

/// Reads from a connection; see [`TcpStream::into_split`].
pub struct OwnedReadHalf {
    pub(super) connection: Rc<Connection>,
    pub(super) reading: Reading,
}

/// Writes to a connection, and ends that direction when it is dropped; see [`TcpStream::into_split`].
pub struct OwnedWriteHalf {
    connection: Rc<Connection>,
    /// The two halves belong to different connections.
    alone: bool,
}

/// Halves of two connections.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl TcpStream {
    /// A half to read and a half to write, for the two branches of one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let TcpStream { connection, reading } = self;
        (ReadHalf { connection, reading }, WriteHalf { connection })
    }

    /// A half to read and a half to write, for two tasks. The write half ends its direction when it
    /// is dropped.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let TcpStream { connection, reading } = self;
        let writer = OwnedWriteHalf::new(Rc::clone(&connection));
        (OwnedReadHalf { connection, reading }, writer)
    }
}

impl OwnedReadHalf {
    /// The connection to which both halves belong.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with both halves, if they belong to two connections.
    pub fn reunite(self, mut writer: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Rc::ptr_eq(&self.connection, &writer.connection) {
            return Err(ReuniteError(self, writer));
        }
        writer.alone = false;
        Ok(TcpStream { connection: self.connection, reading: self.reading })
    }
}

impl OwnedWriteHalf {
    pub(super) fn new(connection: Rc<Connection>) -> Self {
        OwnedWriteHalf { connection, alone: true }
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.alone {
            self.connection.finish_later();
        }
    }
}

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("halves of two connections")
    }
}

impl std::error::Error for ReuniteError {}

macro_rules! connection {
    ($($type:ty),*) => {$(
        impl $type {
            /// The peer's address.
            ///
            /// # Errors
            ///
            /// [`Error::Unavailable`].
            pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
                self.connection.peer_addr()
            }

            /// Our address.
            ///
            /// # Errors
            ///
            /// [`Error::Unavailable`].
            pub fn local_addr(&self) -> Result<SocketAddr, Error> {
                self.connection.local_addr()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).field("peer", &self.peer_addr().ok()).finish()
            }
        }
    )*};
}

macro_rules! reading {
    ($($type:ty),*) => {$(
        impl $type {
            /// Reads what has arrived, at least one byte and at most what fits; 0 means end of file.
            ///
            /// # Errors
            ///
            /// [`Error::Reset`], [`Error::TimedOut`], [`Error::Aborted`].
            pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
                poll_fn(|cx| self.poll_read(cx, buf)).await
            }

            /// Takes what has arrived from the stack without a copy; an empty buffer means end of file.
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read).
            pub async fn read_chunk(&mut self) -> Result<Buffer, Error> {
                poll_fn(|cx| self.poll_chunk(cx)).await
            }

            /// What the next read will return, without consuming it. It shares the stack's memory.
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read).
            pub async fn peek(&mut self) -> Result<Buffer, Error> {
                poll_fn(|cx| self.poll_peek(cx)).await
            }

            /// [`read`](Self::read) for futures written by hand.
            pub fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<Result<usize, Error>> {
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                self.poll_copy(cx, |bytes| {
                    let n = bytes.len().min(buf.len());
                    buf[..n].copy_from_slice(&bytes[..n]);
                    n
                })
            }

            /// [`read_chunk`](Self::read_chunk) for futures written by hand.
            pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Buffer, Error>> {
                self.connection.poll_chunk(&mut self.reading, cx)
            }

            /// [`peek`](Self::peek) for futures written by hand.
            pub fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Result<Buffer, Error>> {
                ready!(self.connection.poll_fill(&mut self.reading, cx))?;
                Poll::Ready(Ok(self.reading.rest().clone()))
            }

            /// Consumes `n` bytes that [`peek`](Self::peek) found.
            ///
            /// # Panics
            ///
            /// If it found fewer.
            pub fn consume(&mut self, n: usize) {
                self.connection.consume(&mut self.reading, n);
            }

            /// Waits until [`rest`](Self::rest) is not empty, or for the end of file.
            #[allow(dead_code)] // for the traits
            pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
                self.connection.poll_fill(&mut self.reading, cx)
            }

            /// What has arrived and was peeked at, but not consumed.
            #[allow(dead_code)] // for the traits
            pub(crate) fn rest(&self) -> &[u8] {
                self.reading.rest()
            }

            /// Has `copy` copy from what has arrived, and say how much it took. 0 is the end, for which
            /// it is not called.
            pub(crate) fn poll_copy(
                &mut self,
                cx: &mut Context<'_>,
                copy: impl FnOnce(&[u8]) -> usize,
            ) -> Poll<Result<usize, Error>> {
                self.connection.poll_copy(&mut self.reading, cx, copy)
            }
        }
    )*};
}

macro_rules! writing {
    ($($type:ty),*) => {$(
        impl $type {
            /// Writes some bytes, at least one, once the stack has room for them. Returns how many. They are copied,
            /// and sent later.
            ///
            /// # Errors
            ///
            /// [`Error::Closed`], [`Error::Reset`], [`Error::TimedOut`], [`Error::Aborted`];
            /// [`Error::NoResources`] if there is no memory for the copy.
            pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
                poll_fn(|cx| self.poll_write(cx, bytes)).await
            }

            /// Writes all bytes.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
                while !bytes.is_empty() {
                    let n = self.write(bytes).await?;
                    bytes = &bytes[n..];
                }
                Ok(())
            }

            /// Writes some of the bytes of all these slices as if they were one, so that they leave together.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            pub async fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<usize, Error> {
                poll_fn(|cx| self.poll_write_vectored(cx, parts)).await
            }

            /// Writes all of a buffer without a copy, for example one that was received from another connection. The
            /// stack holds it until it is acknowledged, but never more of it at a time than it has room for.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            pub async fn write_chunk(&mut self, mut bytes: Buffer) -> Result<(), Error> {
                poll_fn(|cx| self.poll_write_chunk(cx, &mut bytes)).await
            }

            /// Writes all bytes of `owner` without a copy: a `Vec<u8>`, `Bytes`, `&'static [u8]` and so on. The owner
            /// is dropped some time after all of it has been acknowledged; see [`Buffer::own`]. For a few hundred bytes
            /// [`write_all`](Self::write_all) costs no more.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            pub async fn write_owned(
                &mut self,
                owner: impl AsRef<[u8]> + 'static,
            ) -> Result<(), Error> {
                let bytes = Buffer::lent(owner)?;
                self.write_chunk(bytes).await
            }

            /// Waits until the stack has taken everything that was written: returns at once, since each write does
            /// that.
            ///
            /// # Errors
            ///
            /// None.
            pub async fn flush(&mut self) -> Result<(), Error> {
                Ok(())
            }

            /// Ends this direction: the peer reads end of file after what was written.
            ///
            /// # Errors
            ///
            /// [`Error::Unavailable`].
            pub fn finish(&self) -> Result<(), Error> {
                self.connection.shutdown(Shutdown::Write)
            }

            /// Waits until there is room to write, or writing fails.
            #[allow(dead_code)] // for the sockets of C
            pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
                self.connection.poll_room(cx, 1).map_ok(|_| ())
            }

            /// [`write`](Self::write) for futures written by hand.
            pub fn poll_write(
                &mut self,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<Result<usize, Error>> {
                self.connection.poll_write(cx, &[IoSlice::new(bytes)])
            }

            /// [`write_vectored`](Self::write_vectored) for futures written by hand.
            pub fn poll_write_vectored(
                &mut self,
                cx: &mut Context<'_>,
                parts: &[IoSlice<'_>],
            ) -> Poll<Result<usize, Error>> {
                self.connection.poll_write(cx, parts)
            }

            /// [`write_chunk`](Self::write_chunk) for futures written by hand. What was written is removed
            /// from the buffer, which is empty when everything was written.
            pub fn poll_write_chunk(
                &mut self,
                cx: &mut Context<'_>,
                bytes: &mut Buffer,
            ) -> Poll<Result<(), Error>> {
                self.connection.poll_give(cx, bytes)
            }
        }
    )*};
}

connection!(TcpStream, ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);
reading!(TcpStream, ReadHalf<'_>, OwnedReadHalf);
writing!(TcpStream, WriteHalf<'_>, OwnedWriteHalf);
