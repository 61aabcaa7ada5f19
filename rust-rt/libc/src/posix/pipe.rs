//! `pipe`: bytes from one end to the other.

use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use core::cell::{Cell, RefCell};
use core::ffi::c_int;

use super::answer::status;
use super::events::Events;
use super::memory::Reserved;
use super::object::Object;
use super::parts::{Errno, Part, PartMut, Result, room, total};
use super::table::{self, O_CLOEXEC, O_NONBLOCK, O_WRONLY};
use super::watch::Watchers;
use crate::errno::{EAGAIN, EBADF, EFAULT, EINVAL, ENOMEM, EPIPE};
use crate::layout::Stat;

/// Bytes that a pipe holds at most, as on Linux.
pub(super) const CAPACITY: usize = 64 * 1024;
/// Writes of up to this many bytes are atomic (`PIPE_BUF`).
const WHOLE: usize = 4096;

/// The buffer. Memory is allocated on demand, and freed when the buffer is empty.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: RefCell<VecDeque<u8>>,
    reserved: Reserved,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    pub(super) fn room(&self) -> usize {
        CAPACITY - self.len()
    }

    /// Stores what there is room for; EAGAIN if there is none, ENOBUFS and ENOMEM if there is no memory.
    pub(super) fn put(&self, parts: &[Part], least: usize) -> Result<usize> {
        let n = total(parts).min(self.room());
        if n < least || n == 0 {
            return Err(Errno(EAGAIN));
        }
        let mut bytes = self.bytes.borrow_mut();
        self.reserved.set(bytes.len() + n)?;
        bytes.try_reserve(n).map_err(|_| {
            // Not more than before.
            let _ = self.reserved.set(bytes.len());
            Errno(ENOMEM)
        })?;
        let mut left = n;
        for part in parts {
            let part = &part[..left.min(part.len())];
            bytes.extend(part);
            left -= part.len();
        }
        Ok(n)
    }

    /// Removes what fits into the parts; only copies it if `peek`.
    pub(super) fn take(&self, parts: &mut [PartMut], peek: bool) -> usize {
        let mut bytes = self.bytes.borrow_mut();
        let mut taken = 0;
        for part in parts {
            let n = part.len().min(bytes.len() - taken);
            for (to, from) in part.iter_mut().zip(bytes.range(taken..taken + n)) {
                *to = *from;
            }
            taken += n;
        }
        if !peek {
            bytes.drain(..taken);
            if bytes.is_empty() {
                *bytes = VecDeque::new();
            }
            // Less was available than before.
            let _ = self.reserved.set(bytes.len());
        }
        taken
    }
}

/// What both ends share.
#[derive(Default)]
struct Pipe {
    buffer: Buffer,
    reader: RefCell<Weak<Reader>>,
    writer: RefCell<Weak<Writer>>,
    reader_gone: Cell<bool>,
    writer_gone: Cell<bool>,
}

/// The end to read from.
struct Reader {
    pipe: Rc<Pipe>,
    watchers: Watchers,
}

/// The end to write to.
struct Writer {
    pipe: Rc<Pipe>,
    watchers: Watchers,
}

impl Object for Reader {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        let ready = Events::IN.when(self.pipe.buffer.len() > 0)
            | Events::HUP.when(self.pipe.writer_gone.get());
        ready & (interest | Events::ALWAYS)
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        if room(parts) == 0 {
            return Ok(0);
        }
        let had_room = self.pipe.buffer.room() >= WHOLE;
        match self.pipe.buffer.take(parts, false) {
            0 if self.pipe.writer_gone.get() => Ok(0),
            0 => Err(Errno(EAGAIN)),
            n => {
                if !had_room && self.pipe.buffer.room() >= WHOLE {
                    let writer = self.pipe.writer.borrow().upgrade();
                    writer.inspect(|w| w.watchers.notify(Events::OUT));
                }
                Ok(n)
            }
        }
    }

    fn write(&self, _: &[Part]) -> Result<usize> {
        Err(Errno(EBADF))
    }

    fn available(&self) -> Result<usize> {
        Ok(self.pipe.buffer.len())
    }

    fn stat(&self) -> Stat {
        Stat::fifo()
    }
}

impl Object for Writer {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        let ready = Events::OUT.when(self.pipe.buffer.room() >= WHOLE)
            | Events::ERR.when(self.pipe.reader_gone.get());
        ready & (interest | Events::ALWAYS)
    }

    fn read(&self, _: &mut [PartMut]) -> Result<usize> {
        Err(Errno(EBADF))
    }

    fn write(&self, parts: &[Part]) -> Result<usize> {
        let wanted = total(parts);
        if wanted == 0 {
            return Ok(0);
        }
        if self.pipe.reader_gone.get() {
            return Err(Errno(EPIPE));
        }
        let n = self.pipe.buffer.put(parts, if wanted <= WHOLE { wanted } else { 1 })?;
        let reader = self.pipe.reader.borrow().upgrade();
        reader.inspect(|r| r.watchers.notify(Events::IN));
        Ok(n)
    }

    fn available(&self) -> Result<usize> {
        Ok(self.pipe.buffer.len())
    }

    fn stat(&self) -> Stat {
        Stat::fifo()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.pipe.reader_gone.set(true);
        let writer = self.pipe.writer.borrow().upgrade();
        writer.inspect(|w| w.watchers.notify(Events::OUT | Events::ERR));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.pipe.writer_gone.set(true);
        let reader = self.pipe.reader.borrow().upgrade();
        reader.inspect(|r| r.watchers.notify(Events::IN | Events::HUP));
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pipe(fds: *mut [c_int; 2]) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { pipe2(fds, 0) }
}

/// Only O_NONBLOCK and O_CLOEXEC are known: EINVAL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pipe2(fds: *mut [c_int; 2], flags: c_int) -> c_int {
    if fds.is_null() {
        return status(Err(Errno(EFAULT)));
    }
    status(create(flags).map(|pair| {
        // SAFETY: two ints are writable there by contract.
        unsafe { *fds = pair }
    }))
}

fn create(flags: c_int) -> Result<[c_int; 2]> {
    if flags & !(O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno(EINVAL));
    }
    table::check_room()?;
    let pipe = Rc::new(Pipe::default());
    let reader = Rc::new(Reader { pipe: Rc::clone(&pipe), watchers: Watchers::new() });
    let writer = Rc::new(Writer { pipe: Rc::clone(&pipe), watchers: Watchers::new() });
    *pipe.reader.borrow_mut() = Rc::downgrade(&reader);
    *pipe.writer.borrow_mut() = Rc::downgrade(&writer);
    both(reader, flags, writer, flags | O_WRONLY)
}

/// Numbers for two objects, or for none.
pub(super) fn both(
    a: Rc<dyn Object>,
    flags_a: c_int,
    b: Rc<dyn Object>,
    flags_b: c_int,
) -> Result<[c_int; 2]> {
    let first = table::insert(a, flags_a)?;
    let second = table::insert(b, flags_b).inspect_err(|_| {
        let _ = table::close(first);
    })?;
    Ok([first, second])
}

#[cfg(test)]
mod tests {
    use super::super::host_tests::same;
    use super::super::{block_tests, io};
    use super::*;
    use alloc::vec;

    #[test]
    fn bytes_ends_and_errors_are_those_of_the_kernel() {
        same(|c| {
            let [r, w] = c.pipe(O_NONBLOCK);
            let mut buf = [0; 8];
            let mut log = vec![c.poll(r, 5), c.poll(w, 5), c.read(r, &mut buf)];
            log.extend([
                c.write(w, b"hello"),
                c.poll(r, 5),
                c.fionread(r),
                c.read(r, &mut buf[..3]),
            ]);
            log.extend([
                c.read(r, &mut buf),
                c.write(r, b"x"),
                c.read(w, &mut buf),
                c.write(w, b""),
            ]);
            log.extend([c.read(r, &mut []), c.write(w, b"end"), c.close(w), c.poll(r, 5)]);
            log.extend([c.read(r, &mut buf), c.poll(r, 5), c.read(r, &mut buf), c.close(r)]);
            (log, buf)
        });
        same(|c| {
            let [r, w] = c.pipe(O_NONBLOCK);
            let log = vec![c.close(r), c.poll(w, 4), c.write(w, b"x"), c.write(w, b""), c.close(w)];
            log
        });
        same(|c| c.pipe(O_NONBLOCK | 1));
    }

    #[test]
    fn a_full_pipe_takes_parts_of_what_is_long_and_short_things_whole() {
        same(|c| {
            let [r, w] = c.pipe(O_NONBLOCK);
            let long = vec![7; 60_000];
            let mut buf = vec![0; 70_000];
            let mut log = vec![c.write(w, &long), c.write(w, &[1; 4096]), c.poll(w, 4)];
            log.extend([
                c.write(w, &[2; 4096]),
                c.close(w),
                c.read(r, &mut buf[..65536]),
                c.close(r),
            ]);
            log
        });
    }

    #[test]
    fn a_blocking_read_waits_for_the_other_end() {
        block_tests::give_busy();
        let [r, w] = create(0).unwrap();
        block_tests::meanwhile(move || assert_eq!(io::write_from(w, b"late"), Ok(4)));
        let mut buf = [0; 8];
        assert_eq!(io::read_into(r, &mut buf), Ok(4));
        block_tests::meanwhile(move || assert_eq!(table::close(w), Ok(())));
        assert_eq!(io::read_into(r, &mut buf), Ok(0));
    }

    #[test]
    fn buffers_give_their_memory_back() {
        let [r, w] = create(O_NONBLOCK).unwrap();
        assert_eq!(io::write_from(w, &[0; 4096]), Ok(4096));
        let pipe =
            super::super::object::downcast::<Writer>(&table::get(w).unwrap().object).unwrap();
        assert!(pipe.pipe.buffer.bytes.borrow().capacity() >= 4096);
        assert_eq!(io::read_into(r, &mut [0; 4096]), Ok(4096));
        assert_eq!(pipe.pipe.buffer.bytes.borrow().capacity(), 0);
    }
}
