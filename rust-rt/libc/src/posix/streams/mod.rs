//! Streams on descriptors: what `fopen` gives, and `stdin`.
//!
//! ```text
//!   C functions      calls · positions · lines · scan · memory
//!   a stream         Opened: what every stream begins with (stdio.rs), a lock, and
//!   its buffer       buffer · pieces
//! ```
//!
//! `stdout` and `stderr` are not among them: they are the console's, in every image (`stdio.rs`). A thread that waits
//! in the middle of a call keeps the stream's lock. The end of the program waits for no lock.

mod buffer;
pub(super) mod calls;
pub(super) mod lines;
mod memory;
mod pieces;
mod positions;
mod print;
mod scan;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::{Cell, UnsafeCell};
use core::ffi::{c_char, c_int};
use core::sync::atomic::{AtomicPtr, Ordering};

use super::io;
use super::parts::{Errno, Result};
use super::table::{O_ACCMODE, O_APPEND};
use crate::asm::VaList;
use crate::errno::{self, EBADF, EDEADLK, ENOMEM};
use crate::pthread::{RECURSIVE, pthread_mutex_lock, pthread_mutex_trylock, pthread_mutex_unlock};
use crate::stdio::{END, ERROR, File, Kind, OPENED, Stream};
use crate::threads::objects::Mutex;
use buffer::Buffer;

const O_WRONLY: c_int = 1;

/// Where the contents of a stream go: a buffer of `size` bytes, or a block that grows, and its size.
#[derive(Clone, Copy)]
enum Target {
    Buffer(*mut u8, usize),
    Block(*mut *mut u8, *mut usize),
}

/// Copies what is in a file to the memory of a program. A pointer, for programs without such streams.
type Deliver = unsafe fn(Target, fd: c_int) -> Result;

/// A stream on a descriptor.
#[repr(C)]
struct Opened {
    file: File,
    lock: UnsafeCell<Mutex>,
    /// A call is in progress. This is possible even with the lock held, which takes all tasks of the executor for the
    /// main thread.
    busy: Cell<bool>,
    /// `O_RDONLY`, `O_WRONLY` or `O_RDWR`, and `O_APPEND`.
    mode: Cell<c_int>,
    /// How and where what its file holds goes when it is flushed, if it is a stream on memory.
    target: Cell<Option<(Deliver, Target)>>,
    /// There is something that has not been copied there.
    undelivered: Cell<bool>,
    buffer: UnsafeCell<Buffer>,
}

// SAFETY: what is in the cells is used under the lock.
unsafe impl Sync for Opened {}

static KIND: Kind = Kind { put, flush, print };

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
            busy: Cell::new(false),
            mode: Cell::new(mode & (O_ACCMODE | O_APPEND)),
            target: Cell::new(None),
            undelivered: Cell::new(false),
            buffer: UnsafeCell::new(Buffer::new()),
        }
    }

    /// A new one, which is flushed with the others.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    fn open(fd: c_int, mode: c_int) -> Result<*const File> {
        // A box that there may be no memory for.
        let mut memory = Vec::new();
        memory.try_reserve_exact(1).map_err(|_| Errno(ENOMEM))?;
        memory.push(Opened::new(fd, mode));
        let opened = Box::leak(memory.into_boxed_slice());
        opened[0].list();
        Ok((&raw const opened[0]).cast())
    }

    /// Has what its file holds copied there when it is flushed.
    fn deliver_to(&self, deliver: Deliver, target: Target) {
        self.target.set(Some((deliver, target)));
        self.undelivered.set(matches!(target, Target::Block(..)));
    }

    /// Has it flushed with the others.
    fn list(&self) {
        self.unlist();
        self.file.next.store(OPENED.load(Ordering::Relaxed), Ordering::Relaxed);
        OPENED.store((&raw const self.file).cast_mut(), Ordering::Relaxed);
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
    /// EBADF for the console's streams; EDEADLK for a task that finds another call of the main thread's at work.
    ///
    /// # Safety
    ///
    /// It is a stream that is open.
    unsafe fn of(stream: *const File) -> Result<Locked> {
        // SAFETY: as the caller says; the mutex was made with the stream.
        unsafe { Locked::by(stream, |lock| pthread_mutex_lock(lock)) }
    }

    /// As [`of`](Self::of), but EBUSY where others have it locked.
    ///
    /// # Safety
    ///
    /// It is a stream that is open.
    unsafe fn if_unused(stream: *const File) -> Result<Locked> {
        // SAFETY: as above.
        unsafe { Locked::by(stream, |lock| pthread_mutex_trylock(lock)) }
    }

    /// # Safety
    ///
    /// It is a stream that is open.
    unsafe fn by(stream: *const File, lock: impl FnOnce(*mut Mutex) -> c_int) -> Result<Locked> {
        // SAFETY: as the caller says.
        let file = unsafe { &*stream };
        if !core::ptr::eq(file.kind, &raw const KIND) {
            return Err(Errno(EBADF));
        }
        // SAFETY: a stream of this kind is an Opened.
        let opened = unsafe { &*stream.cast::<Opened>() };
        match lock(opened.lock.get()) {
            0 if opened.busy.replace(true) => {
                // SAFETY: it was just locked once more.
                unsafe { pthread_mutex_unlock(opened.lock.get()) };
                Err(Errno(EDEADLK))
            }
            0 => Ok(Locked(opened)),
            error => Err(Errno(error)),
        }
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
        // SAFETY: only the call that is at work has it.
        unsafe { &mut *self.0.buffer.get() }
    }

    /// Puts what was flushed where it is to be, if it is a stream on memory; nothing where nothing was written since the
    /// last time: the program may have left the memory by then.
    fn deliver(&self) -> Result {
        match self.0.target.get() {
            Some((deliver, target)) if self.0.undelivered.get() => {
                // SAFETY: the program keeps what it named when it made the stream, as long as it writes to it.
                unsafe { deliver(target, self.fd()) }?;
                self.0.undelivered.set(false);
                Ok(())
            }
            _ => Ok(()),
        }
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

    /// What can be read without waiting again, after reading if there is nothing. None at the end, which counts from
    /// then on.
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
        self.0.busy.set(false);
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
    let written = unsafe { Locked::of(stream) }.map(|mut locked| {
        let fd = locked.fd();
        let (n, answer) = match locked.0.mode.get() & O_ACCMODE {
            0 => (0, Err(Errno(EBADF))),
            _ => {
                locked.0.undelivered.set(true);
                locked.buffer().write(fd, bytes)
            }
        };
        (n, locked.note(answer.map(|()| false)))
    });
    match written {
        Ok((n, Ok(()))) => n,
        Ok((n, Err(Errno(error)))) => {
            errno::set(error);
            n
        }
        Err(Errno(error)) => {
            errno::set(error);
            0
        }
    }
}

/// Writes what is to be written. If the program asks for it, a stream that was read from has its file's offset where it
/// is itself, too.
unsafe fn flush(stream: *const File, waits: bool) -> c_int {
    // SAFETY: as the caller says.
    let locked = unsafe { if waits { Locked::of(stream) } else { Locked::if_unused(stream) } };
    let flushed = locked.map(|mut locked| {
        let fd = locked.fd();
        let is_read = waits && !locked.buffer().unread().is_empty() && io::file(fd).is_ok();
        let answer = if is_read { locked.buffer().settle(fd) } else { locked.buffer().flush(fd) };
        let answer = answer.and_then(|()| locked.deliver());
        locked.note(answer.map(|()| false)).map(|()| 0)
    });
    match flushed {
        Err(_) if !waits => 0,
        answer => or_end(answer.and_then(|answer| answer)),
    }
}

/// To a stream, which is locked meanwhile: what one call writes stays in one piece.
///
/// # Safety
///
/// That of [`printf::format`]; it is a stream on a descriptor, and open.
unsafe fn print(stream: *const File, text: *const c_char, args: &mut VaList) -> c_int {
    // SAFETY: as the caller says.
    unsafe {
        let lock = (*stream.cast::<Opened>()).lock.get();
        pthread_mutex_lock(lock);
        let n = pieces::format(text, args, |piece| match put(stream, piece) == piece.len() {
            true => Ok(()),
            false => Err(Errno(errno::get())),
        });
        pthread_mutex_unlock(lock);
        or_end(n)
    }
}

#[cfg(test)]
mod tests;
