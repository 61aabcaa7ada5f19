//! What one stream has read ahead, or has not written yet.

use alloc::vec::Vec;
use core::ffi::c_int;

use super::super::io;
use super::super::parts::{Errno, Part, PartMut, Result};
use crate::errno::{EINVAL, ENOMEM, ESPIPE};
use crate::stdio;

/// Octets in a buffer, unless `setvbuf` says otherwise.
pub(super) const SIZE: usize = 4096;
/// Room before what was read, for what is pushed back.
const ROOM: usize = 8;
/// Octets that are read ahead at most, for a call that sees no end of what it takes at once (`fscanf`).
const MOST: usize = 1 << 16;

const SEEK_CUR: c_int = 1;

/// Between a stream and its descriptor.
pub(super) struct Buffer {
    /// Empty until it is needed.
    bytes: Vec<u8>,
    /// What was read and not taken is `bytes[at..end]`, what is to be written `bytes[ROOM..end]`.
    at: usize,
    end: usize,
    writing: bool,
    size: usize,
    by_line: bool,
}

impl Buffer {
    pub(super) const fn new() -> Self {
        Buffer {
            bytes: Vec::new(),
            at: ROOM,
            end: ROOM,
            writing: false,
            size: SIZE,
            by_line: false,
        }
    }

    /// As `setvbuf` wants it, with one octet for no buffer at all. What is in it goes.
    pub(super) fn set(&mut self, fd: c_int, size: usize, by_line: bool) -> Result {
        self.settle(fd)?;
        (self.bytes, self.size, self.by_line) = (Vec::new(), size.max(1), by_line);
        Ok(())
    }

    fn prepare(&mut self) -> Result {
        if self.bytes.is_empty() { self.grow(ROOM + self.size) } else { Ok(()) }
    }

    fn grow(&mut self, to: usize) -> Result {
        let more = to - self.bytes.len();
        self.bytes.try_reserve_exact(more).map_err(|_| Errno(ENOMEM))?;
        self.bytes.resize(to, 0);
        Ok(())
    }

    /// What was read and not taken.
    pub(super) fn unread(&self) -> &[u8] {
        if self.writing { &[] } else { self.bytes.get(self.at..self.end).unwrap_or_default() }
    }

    /// Takes this many octets of what is unread.
    pub(super) fn take(&mut self, n: usize) {
        self.at += n;
    }

    /// Gives an octet back, to be read next. Whether there is room for it.
    pub(super) fn push_back(&mut self, fd: c_int, byte: u8) -> bool {
        if self.flush(fd).is_err() || self.prepare().is_err() || self.at == 0 {
            return false;
        }
        self.writing = false;
        self.at -= 1;
        self.bytes[self.at] = byte;
        true
    }

    /// Reads more behind what is unread, as much as `setvbuf` said at a time: how much; 0 at the end, and where nobody
    /// can want so much at once.
    pub(super) fn fill(&mut self, fd: c_int) -> Result<usize> {
        self.flush(fd)?;
        self.writing = false;
        self.prepare()?;
        if self.at > ROOM || self.at == self.end {
            let n = self.end - self.at;
            self.bytes.copy_within(self.at..self.end, ROOM);
            (self.at, self.end) = (ROOM, ROOM + n);
        }
        if self.end == self.bytes.len() {
            if self.end >= MOST {
                return Ok(0);
            }
            self.grow(2 * self.end)?;
        }
        let end = self.bytes.len().min(self.end + self.size);
        let n = read_some(fd, &mut self.bytes[self.end..end])?;
        self.end += n;
        Ok(n)
    }

    /// Reads until `to` is full: how much was read, and whether that was the end.
    pub(super) fn read(&mut self, fd: c_int, to: &mut [u8]) -> (usize, Result<bool>) {
        let mut done = 0;
        while done < to.len() {
            let rest = &mut to[done..];
            let n = self.unread().len().min(rest.len());
            rest[..n].copy_from_slice(&self.unread()[..n]);
            self.take(n);
            done += n;
            let rest = &mut rest[n..];
            if rest.is_empty() {
                break;
            }
            let more = if rest.len() < self.size {
                self.fill(fd)
            } else {
                let read = self.settle(fd).and_then(|()| read_some(fd, rest));
                done += *read.as_ref().unwrap_or(&0);
                read
            };
            match more {
                Ok(0) => return (done, Ok(true)),
                Ok(_) => {}
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(false))
    }

    /// Writes, at once or later: how much, and what ended it.
    pub(super) fn write(&mut self, fd: c_int, bytes: &[u8]) -> (usize, Result) {
        if let Err(error) = self.make_room(fd, bytes.len()) {
            return (0, Err(error));
        }
        if bytes.len() >= self.size {
            return write_all(fd, bytes);
        }
        self.bytes[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        let sent = if self.by_line && bytes.contains(&b'\n') { self.flush(fd) } else { Ok(()) };
        (if sent.is_ok() { bytes.len() } else { 0 }, sent)
    }

    /// Is for writing, and has room for that many octets, unless they are more than it ever has.
    fn make_room(&mut self, fd: c_int, n: usize) -> Result {
        if !self.writing {
            self.settle(fd)?;
            self.prepare()?;
            self.writing = true;
        }
        if n > self.bytes.len() - self.end { self.flush(fd) } else { Ok(()) }
    }

    /// Writes what is to be written. What cannot be is dropped.
    pub(super) fn flush(&mut self, fd: c_int) -> Result {
        if !self.writing || self.end == ROOM {
            return Ok(());
        }
        let end = core::mem::replace(&mut self.end, ROOM);
        write_all(fd, &self.bytes[ROOM..end]).1
    }

    /// Has nothing in it any more, and the descriptor where the stream is; before a file's beginning there is nothing,
    /// whatever was pushed back.
    pub(super) fn settle(&mut self, fd: c_int) -> Result {
        self.flush(fd)?;
        let unread = self.unread().len() as u64;
        self.writing = false;
        (self.at, self.end) = (ROOM, ROOM);
        let file = match io::file(fd) {
            // What cannot be sought has nowhere else to be.
            Err(Errno(ESPIPE)) => return Ok(()),
            file => file?,
        };
        let at = file.seek(0, SEEK_CUR)?;
        file.seek(-(unread.min(at) as i64), SEEK_CUR).map(|_| ())
    }

    /// Forgets what is unread.
    pub(super) fn forget(&mut self) {
        if !self.writing {
            (self.at, self.end) = (ROOM, ROOM);
        }
    }

    pub(super) fn seek(&mut self, fd: c_int, offset: i64, whence: c_int) -> Result<u64> {
        self.flush(fd)?;
        let unread = if whence == SEEK_CUR { self.unread().len() as i64 } else { 0 };
        let offset = offset.checked_sub(unread).ok_or(Errno(EINVAL))?;
        let at = io::file(fd)?.seek(offset, whence)?;
        self.writing = false;
        (self.at, self.end) = (ROOM, ROOM);
        Ok(at)
    }

    /// EINVAL before the beginning.
    pub(super) fn tell(&mut self, fd: c_int) -> Result<u64> {
        self.flush(fd)?;
        let at = io::file(fd)?.seek(0, SEEK_CUR)?;
        at.checked_sub(self.unread().len() as u64).ok_or(Errno(EINVAL))
    }
}

fn read_some(fd: c_int, to: &mut [u8]) -> Result<usize> {
    if fd == 0 {
        // A prompt must appear before the program waits for the answer.
        stdio::flush_console();
    }
    io::read_parts(fd, &mut [PartMut::new(to)])
}

/// How much was written, and what ended it.
pub(super) fn write_all(fd: c_int, bytes: &[u8]) -> (usize, Result) {
    let mut done = 0;
    while done < bytes.len() {
        match io::write_parts(fd, &[Part::new(&bytes[done..])]) {
            Ok(n) => done += n,
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}
