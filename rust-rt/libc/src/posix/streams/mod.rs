//! Streams on descriptors: what `fopen` gives, and `stdin`.
//!
//! ```text
//!   C functions      calls · positions · lines · scan
//!   a stream         Opened: what every stream begins with (stdio.rs), a lock, and
//!   its buffer       buffer
//! ```
//!
//! `stdout` and `stderr` are not among them: they are the console's, in every image (`stdio.rs`). A thread that waits in the
//! middle of a call keeps the stream's lock.

mod buffer;
mod calls;
mod lines;
mod positions;
mod print;
mod scan;

use alloc::boxed::Box;
use core::cell::{Cell, UnsafeCell};
use core::ffi::c_int;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::parts::{Errno, Result};
use super::table::{O_ACCMODE, O_APPEND};
use crate::errno::{self, EBADF};
use crate::pthread::{RECURSIVE, pthread_mutex_lock, pthread_mutex_unlock};
use crate::stdio::{END, ERROR, File, Kind, OPENED, Stream};
use crate::threads::Mutex;
use buffer::Buffer;

const O_WRONLY: c_int = 1;

/// A stream on a descriptor.
#[repr(C)]
struct Opened {
    file: File,
    lock: UnsafeCell<Mutex>,
    /// `O_RDONLY`, `O_WRONLY` or `O_RDWR`, and `O_APPEND`.
    mode: Cell<c_int>,
    buffer: UnsafeCell<Buffer>,
}

// SAFETY: what is in the cells is used under the lock.
unsafe impl Sync for Opened {}

static KIND: Kind = Kind { put, flush };

static STDIN: Opened = Opened::new(0, 0);

#[allow(non_upper_case_globals)]
#[cfg_attr(not(test), unsafe(no_mangle))]
static stdin: Stream = Stream((&raw const STDIN).cast());

impl Opened {
    const fn new(fd: c_int, mode: c_int) -> Self {
        Opened {
            file: File::new(&KIND, fd),
            lock: UnsafeCell::new(Mutex {
                locked: 0,
                owner: 0,
                waiting: 0,
                unused: 0,
                kind: RECURSIVE,
                rest: [0; 5],
            }),
            mode: Cell::new(mode & (O_ACCMODE | O_APPEND)),
            buffer: UnsafeCell::new(Buffer::new()),
        }
    }

    /// A new one, which is flushed with the others.
    fn open(fd: c_int, mode: c_int) -> *const File {
        let file = Box::into_raw(Box::new(Opened::new(fd, mode))).cast::<File>();
        // SAFETY: the one just made.
        unsafe { &*file }.next.store(OPENED.load(Ordering::Relaxed), Ordering::Relaxed);
        OPENED.store(file, Ordering::Relaxed);
        file
    }

    /// Takes it out of those that are flushed.
    fn unlist(&self) {
        let mut place: &AtomicPtr<File> = &OPENED;
        loop {
            let at = place.load(Ordering::Relaxed);
            if at.is_null() {
                return;
            }
            // SAFETY: those in the list are there until they are taken out.
            let next = unsafe { &(*at).next };
            if core::ptr::eq(at, &raw const self.file) {
                return place.store(next.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            place = next;
        }
    }
}

/// A stream while it is locked.
struct Locked(&'static Opened);

impl Locked {
    /// EBADF for the console's streams.
    ///
    /// # Safety
    ///
    /// It is a stream that is open.
    unsafe fn of(stream: *const File) -> Result<Locked> {
        // SAFETY: as the caller says.
        let file = unsafe { &*stream };
        if !core::ptr::eq(file.kind, &raw const KIND) {
            return Err(Errno(EBADF));
        }
        // SAFETY: a stream of this kind is an Opened.
        let opened = unsafe { &*stream.cast::<Opened>() };
        // SAFETY: the mutex was made above.
        unsafe { pthread_mutex_lock(opened.lock.get()) };
        Ok(Locked(opened))
    }

    /// As [`of`](Self::of), of a stream for reading.
    ///
    /// # Safety
    ///
    /// It is a stream that is open.
    unsafe fn to_read(stream: *const File) -> Result<Locked> {
        // SAFETY: as the caller says.
        let locked = unsafe { Locked::of(stream) }?;
        if locked.0.mode.get() & O_ACCMODE == O_WRONLY {
            locked.0.file.note(ERROR);
            return Err(Errno(EBADF));
        }
        Ok(locked)
    }

    fn fd(&self) -> c_int {
        self.0.file.fd.get()
    }

    fn buffer(&mut self) -> &mut Buffer {
        // SAFETY: under the lock, which nothing takes that is called with the buffer.
        unsafe { &mut *self.0.buffer.get() }
    }

    /// Notes what ended a call: the stream's end, or an error.
    fn note(&self, answer: Result<bool>) -> Result {
        match answer {
            Ok(true) => self.0.file.note(END),
            Ok(false) => {}
            Err(error) => {
                self.0.file.note(ERROR);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What can be read without waiting again, after reading if there is nothing. None at the end, which counts from then on.
    fn unread(&mut self) -> Result<Option<&[u8]>> {
        let fd = self.fd();
        if self.buffer().unread().is_empty() {
            if self.0.file.has(END) {
                return Ok(None);
            }
            let more = self.buffer().fill(fd);
            self.note(more.map(|n| n == 0))?;
            if more == Ok(0) {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer().unread()))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: this thread locked it.
        unsafe { pthread_mutex_unlock(self.0.lock.get()) };
    }
}

/// What C gets of a function that returns EOF for an error.
fn or_end(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(|Errno(error)| errno::fail(error))
}

/// How many of the octets were written, or are going to be.
unsafe fn put(stream: *const File, bytes: &[u8]) -> usize {
    // SAFETY: as the caller says.
    let written = unsafe { Locked::of(stream) }.and_then(|mut locked| {
        let fd = locked.fd();
        let answer = match locked.0.mode.get() & O_ACCMODE {
            0 => Err(Errno(EBADF)),
            _ => locked.buffer().write(fd, bytes),
        };
        locked.note(answer.map(|()| false))
    });
    match written {
        Ok(()) => bytes.len(),
        Err(Errno(error)) => {
            errno::set(error);
            0
        }
    }
}

unsafe fn flush(stream: *const File) -> c_int {
    // SAFETY: as the caller says.
    or_end(unsafe { Locked::of(stream) }.and_then(|mut locked| {
        let fd = locked.fd();
        let answer = locked.buffer().flush(fd);
        locked.note(answer.map(|()| false)).map(|()| 0)
    }))
}

#[cfg(test)]
mod tests;
