//! What a program does with a connection: reading, writing, and asking which of them it can.

use std::io::IoSlice;
use std::task::{Context, Poll};

use mirust_rt::libc::errno::{EAGAIN, ENOMEM, EPIPE};
use mirust_rt::libc::posix::{Errno, Events, Part, PartMut, Result, room, scatter, total};

use super::{READING, TcpSocket};
use crate::net::{self, TcpStream};
use crate::posix::places;

impl TcpSocket {
    pub(super) fn read_parts(
        &self,
        stream: &mut TcpStream,
        parts: &mut [PartMut],
    ) -> Result<usize> {
        if self.ended.get().read || self.broken.get() {
            return Ok(0);
        }
        let waker = self.watchers.waker(READING);
        if let Some(place) = &self.place {
            // Also what had arrived before is of no use any more.
            if place.has_left() {
                return self.fail(&net::Error::Reset);
            }
            if !places::may_read(place, &waker) {
                return Err(Errno(EAGAIN));
            }
        }
        let mut cx = Context::from_waker(&waker);
        let (wanted, mut read) = (room(parts), 0);
        let mut rest: Vec<PartMut>;
        let mut left = parts;
        // Until there is no more: after a short read, callers expect a notification of more data without
        // reading again.
        loop {
            let n = match stream.poll_copy(&mut cx, |bytes| scatter(bytes, left)) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(error)) if read == 0 => return self.fail(&error),
                // It will fail again the next time.
                Poll::Ready(Err(_)) => break,
                Poll::Pending if read == 0 => return Err(Errno(EAGAIN)),
                Poll::Pending => return Ok(read),
            };
            read += n;
            if let Some(place) = &self.place {
                place.read(n);
            }
            if read == wanted {
                // What comes next must give notice all the same: callers may wait for the peer's end without reading
                // on.
                match stream.poll_fill(&mut cx) {
                    Poll::Ready(Ok(())) if !stream.rest().is_empty() => {}
                    Poll::Pending => {}
                    Poll::Ready(_) => self.watchers.notify(READING),
                }
                return Ok(read);
            }
            let Ok(behind) = PartMut::behind(left, n) else {
                // What there is besides can be read next.
                self.watchers.notify(READING);
                return Ok(read);
            };
            rest = behind;
            left = &mut rest;
        }
        if read > 0 {
            self.watchers.notify(READING);
        }
        Ok(read)
    }

    pub(super) fn write_parts(&self, stream: &mut TcpStream, parts: &[Part]) -> Result<usize> {
        if self.ended.get().write || self.broken.get() {
            return Err(Errno(EPIPE));
        }
        let waker = self.watchers.waker(Events::OUT);
        let mut cx = Context::from_waker(&waker);
        let (wanted, mut written) = (total(parts), 0);
        let mut slices = Vec::new();
        slices.try_reserve_exact(parts.len()).map_err(|_| Errno(ENOMEM))?;
        slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        let mut left = &mut slices[..];
        while written < wanted {
            match stream.poll_write_vectored(&mut cx, left) {
                Poll::Ready(Ok(n)) => {
                    written += n;
                    IoSlice::advance_slices(&mut left, n);
                }
                Poll::Ready(Err(error)) if written == 0 => return self.fail(&error),
                Poll::Pending if written == 0 => return Err(Errno(EAGAIN)),
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if let Some(place) = &self.place {
            place.wrote(written == wanted);
        }
        Ok(written)
    }

    pub(super) fn poll_connected(&self, stream: &mut TcpStream, interest: Events) -> Events {
        let ended = self.ended.get();
        let broken =
            (READING | Events::OUT | Events::ERR | Events::HUP) & (interest | Events::ALWAYS);
        if self.broken.get() || self.has_left() {
            return broken;
        }
        let mut ready = Events::OUT.when(ended.write);
        let waker = self.watchers.waker(READING);
        let may_read = || self.place.as_ref().is_none_or(|place| places::may_read(place, &waker));
        if interest.intersects(READING) && may_read() {
            match stream.poll_fill(&mut Context::from_waker(&waker)) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) if stream.rest().is_empty() => {
                    ready |= READING | Events::HUP.when(ended.write);
                }
                Poll::Ready(Ok(())) => ready |= Events::IN,
                Poll::Ready(Err(_)) => return broken,
            }
        }
        if ended.read {
            ready |= READING | Events::HUP.when(ended.write);
        }
        if interest.intersects(Events::OUT) && !ended.write {
            let waker = self.watchers.waker(Events::OUT);
            match stream.poll_writable(&mut Context::from_waker(&waker)) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => ready |= Events::OUT,
                Poll::Ready(Err(_)) => return broken,
            }
        }
        ready & (interest | Events::ALWAYS)
    }
}
