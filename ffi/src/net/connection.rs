//! A connection, as shared by a stream and its halves.

use std::cell::Cell;
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::Error;
use super::numbers::{self, FIRST_ERROR, NOT_TAKEN, Setting, Side};
use super::serve::{self, Flow, Stream, Streams};
use super::stats::{self, TcpInfo};
use super::wait::Wait;
use crate::ocaml::view::{self, Reading as Answer};
use crate::ocaml::{BoxRoot, Buffer, OCaml, OCamlCstruct, OCamlRuntime, Pass, with_runtime};
use crate::time::Duration;

/// The most bytes that one call copies.
const COPY_LIMIT: usize = 64 * 1024;

/// Closes the connection when it is dropped.
pub(super) struct Connection {
    streams: Rc<Streams>,
    stream: Rc<BoxRoot<Stream>>,
    reads: Wait,
    writes: Wait,
    /// Bytes that the stack had room for after the last write. It has more, if there were
    /// acknowledgements since, or less, if memory became short.
    room: Cell<usize>,
    /// The reader has received something, and not read all of it.
    unread: Cell<bool>,
}

/// The reader's part of it.
#[derive(Default)]
pub(super) struct Reading {
    /// Received and not read.
    rest: Buffer,
    end: bool,
}

/// The result of offering bytes to the stack.
enum Offer {
    Taken,
    /// There is less room than expected.
    NoRoom,
}

fn error(number: i64) -> Error {
    numbers::error(FIRST_ERROR - number)
}

/// A received buffer.
pub(super) fn buffer(cstruct: OCaml<'_, OCamlCstruct>) -> Buffer {
    // SAFETY: the stack gives received frames away, and writes to them no more.
    unsafe { Buffer::new(cstruct) }
}

impl Reading {
    /// What can be read without calling OCaml.
    pub(super) fn rest(&self) -> &Buffer {
        &self.rest
    }
}

impl Connection {
    pub(super) fn new(flow: &BoxRoot<Flow>) -> Result<Self, Error> {
        let streams = serve::streams()?;
        let (reads, writes) = (Wait::new(), Wait::new());
        let tokens = (reads.token(), writes.token());
        let stream = serve::call(&streams.attach, (flow, tokens.0, tokens.1), |v| v.root())?;
        let (room, unread) = (Cell::new(0), Cell::new(false));
        Ok(Connection { streams, stream: Rc::new(stream), reads, writes, room, unread })
    }

    /// Takes what has arrived since OCaml's last answer was to wait, and asks it otherwise. No bytes mean end of file.
    fn poll_next<R>(
        &self,
        cx: &mut Context<'_>,
        end: R,
        take: impl FnOnce(OCaml<'_, OCamlCstruct>) -> R,
    ) -> Poll<Result<R, Error>> {
        self.reads.poll_ahead(cx, |ahead| {
            let answer = serve::call_unless(
                // SAFETY: OCaml's `attach` made it a stream.
                |ocaml| unsafe { view::take_arrived(ocaml, &self.stream) },
                &self.streams.read,
                (&*self.stream,),
                |v| match view::reading(v) {
                    Answer::Wait => Poll::Pending,
                    Answer::End => Poll::Ready(Ok(end)),
                    Answer::Data(data) => Poll::Ready(Ok(take(data))),
                    Answer::Last(data) => {
                        *ahead = true;
                        Poll::Ready(Ok(take(data)))
                    }
                    Answer::Failed(number) => Poll::Ready(Err(numbers::error(number))),
                },
            );
            answer.unwrap_or_else(|error| Poll::Ready(Err(error)))
        })
    }

    /// Waits until there is something in `reading`, or end of file.
    pub(super) fn poll_fill(
        &self,
        reading: &mut Reading,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if reading.rest.is_empty() && !reading.end {
            reading.rest = ready!(self.poll_next(cx, Buffer::empty(), buffer))?;
            reading.end = reading.rest.is_empty();
            self.unread.set(!reading.end);
        }
        Poll::Ready(Ok(()))
    }

    /// Removes what has been read of what there is.
    pub(super) fn consume(&self, reading: &mut Reading, n: usize) {
        reading.rest.advance(n);
        self.unread.set(!reading.rest.is_empty());
    }

    /// Takes what there is, without a copy.
    pub(super) fn poll_chunk(
        &self,
        reading: &mut Reading,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Buffer, Error>> {
        ready!(self.poll_fill(reading, cx))?;
        self.unread.set(false);
        Poll::Ready(Ok(std::mem::take(&mut reading.rest)))
    }

    /// Makes `copy` copy from what there is, and return how much it took. It is not called at end of file, where the
    /// result is 0. Data that has just arrived needs no root if all of it is taken.
    pub(super) fn poll_copy(
        &self,
        reading: &mut Reading,
        cx: &mut Context<'_>,
        copy: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<Result<usize, Error>> {
        let n = if !reading.rest.is_empty() {
            let n = copy(&reading.rest);
            self.consume(reading, n);
            n
        } else if reading.end {
            0
        } else {
            let Reading { rest, end } = reading;
            let taken = self.poll_next(cx, None, |data| {
                let (n, whole) = view::inspect(&data, |bytes| {
                    let n = copy(bytes);
                    (n, n == bytes.len())
                });
                if !whole {
                    *rest = buffer(data);
                    rest.advance(n);
                    self.unread.set(true);
                }
                Some(n)
            });
            let taken = ready!(taken)?;
            *end = taken.is_none();
            taken.unwrap_or(0)
        };
        stats::count_received(n);
        Poll::Ready(Ok(n))
    }

    /// Waits for room for `wanted` bytes, or for as many as the stack accepts: at least one.
    pub(super) fn poll_room(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<usize, Error>> {
        if self.room.get() >= wanted {
            return Poll::Ready(Ok(wanted));
        }
        self.writes.poll(cx, || {
            let room = serve::call(&self.streams.room, (&*self.stream,), |n| n.to_i64());
            Poll::Ready(match room {
                Ok(0) => return Poll::Pending,
                Ok(room @ 1..) => {
                    self.room.set(room as usize);
                    Ok(wanted.min(room as usize))
                }
                Ok(number) => Err(error(number)),
                Err(error) => Err(error),
            })
        })
    }

    /// Offers bytes, for which there was room.
    fn offer(
        &self,
        ocaml: &mut OCamlRuntime,
        view: impl Pass<OCamlCstruct>,
    ) -> Result<Offer, Error> {
        use crate::ocaml::Closure;
        self.writes.set_asked(true);
        let answer = self.streams.write.call(ocaml, (&*self.stream, view));
        let room = answer.map(|n| n.to_i64()).map_err(|e| Error::Stack(e.to_string()));
        // At 0 it will call.
        if room != Ok(0) {
            self.writes.set_asked(false);
        }
        match room? {
            room @ 0.. => {
                self.room.set(room as usize);
                Ok(Offer::Taken)
            }
            NOT_TAKEN => {
                self.room.set(0);
                Ok(Offer::NoRoom)
            }
            number => Err(error(number)),
        }
    }

    /// Copies some of the bytes to memory of the stack, at least one.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let wanted = parts.iter().map(|part| part.len()).sum::<usize>().min(COPY_LIMIT);
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        loop {
            let n = ready!(self.poll_room(cx, wanted))?;
            let offer = with_runtime(|ocaml| {
                let view = view::copied(ocaml, n, parts).ok_or(Error::NoResources)?;
                self.offer(ocaml, view)
            })?;
            stats::count_sent(n);
            if let Offer::Taken = offer? {
                return Poll::Ready(Ok(n));
            }
        }
    }

    /// Passes the bytes to the stack without a copy. Those that it has accepted are removed.
    pub(super) fn poll_give(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut Buffer,
    ) -> Poll<Result<(), Error>> {
        while !bytes.is_empty() {
            let n = ready!(self.poll_room(cx, bytes.len()))?;
            let part = bytes.slice(0..n);
            if let Offer::Taken = with_runtime(|ocaml| {
                // SAFETY: the stack writes to nothing that it sends.
                let view = unsafe { part.share(ocaml) };
                self.offer(ocaml, view)
            })?? {
                bytes.advance(n);
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        let side = match how {
            Shutdown::Read => Side::Read,
            Shutdown::Write => Side::Write,
            Shutdown::Both => Side::Both,
        };
        if how != Shutdown::Write {
            self.unread.set(false);
        }
        serve::call(&self.streams.shutdown, (&*self.stream, side), |_| ())
    }

    /// Ends our direction, in the loop.
    pub(super) fn finish_later(&self) {
        let (streams, stream) = (Rc::clone(&self.streams), Rc::clone(&self.stream));
        serve::later(move || serve::call(&streams.shutdown, (&*stream, Side::Write), |_| ()));
    }

    /// Closes or resets the connection, in the loop.
    pub(super) fn close(&self, abort: bool) {
        let (streams, stream) = (Rc::clone(&self.streams), Rc::clone(&self.stream));
        serve::later(move || serve::call(&streams.close, (&*stream, abort), |_| ()));
    }

    pub(super) fn peer_addr(&self) -> Result<SocketAddr, Error> {
        serve::call(&serve::options()?.peer, (&*self.stream,), serve::socket_address)?
    }

    pub(super) fn local_addr(&self) -> Result<SocketAddr, Error> {
        serve::call(&serve::options()?.local, (&*self.stream,), serve::socket_address)?
    }

    pub(super) fn set(&self, setting: Setting, value: isize) -> Result<(), Error> {
        serve::call(&serve::options()?.set, (&*self.stream, setting, value), |_| ())
    }

    pub(super) fn info(&self) -> Result<TcpInfo, Error> {
        let numbers = serve::call(&serve::options()?.info, (&*self.stream,), view::numbers)?;
        Ok(TcpInfo::from_numbers(numbers))
    }
}

/// As an OCaml time; 146 years mean for ever.
pub(super) fn nanoseconds(duration: Duration) -> isize {
    isize::try_from(duration.as_nanos()).unwrap_or(isize::MAX >> 1)
}

impl Drop for Connection {
    fn drop(&mut self) {
        // OCaml knows of what it has itself.
        self.close(self.unread.get());
    }
}
