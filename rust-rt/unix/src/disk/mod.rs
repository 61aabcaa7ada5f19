//! A file or a kernel device as a disk of a Linux process.
//!
//! Requests go through io_uring, so that the event loop continues while the kernel works on them. The file is opened
//! with `O_DIRECT` if possible, so that writes go to the disk and not to the page cache, and flushes are short. A flush
//! is `fdatasync`.

use crate::{
    Errno, RawFd,
    uring::{self, Request, User},
};
use alloc::{rc::Rc, vec::Vec};
use core::{
    cell::RefCell,
    future::poll_fn,
    ptr::NonNull,
    slice,
    task::{Poll, Waker},
};
use host_libc as libc;
use mirust_block::{
    Buffer, Counters, Device, Discard, Error, Fragment, Info, Io, Op, SECTOR, State,
    engine::{Ended, Engine, Part, locate},
};
use mirust_executor::{add_waker, domain};
use mirust_xen::ring::shadow::Shadow;

mod sys;

pub use sys::OpenError;

/// Requests that the kernel may have at the same time.
const DEPTH: u16 = 128;
/// Bytes of a request to the kernel.
const TRANSFER_MAX: usize = 1 << 20;
/// Only data, and the metadata needed to find it (`IORING_FSYNC_DATASYNC`).
const DATASYNC: u32 = 1;

/// A request that the kernel has.
struct InFlight {
    part: Part,
    /// Other flushes that end with it.
    more: Vec<Part>,
    op: Op,
    /// Read by the kernel until the request ends.
    vectors: Vec<libc::iovec>,
    /// A buffer of ours through which the caller's memory is copied, because that is not aligned.
    bounce: Option<Buffer>,
    covers: u64,
}

/// A file as a disk.
pub struct File {
    inner: RefCell<Inner>,
}

struct Inner {
    engine: Engine,
    fd: RawFd,
    /// None before the disk is open.
    user: Option<User>,
    in_flight: Shadow<InFlight>,
    /// Ends that the disk's task has not seen: a request's number, and the kernel's result.
    ends: Vec<(u32, i32)>,
    /// The required alignment of memory addresses.
    align: usize,
    /// Zeros to write.
    zeros: Buffer,
    work: bool,
    waker: Option<Waker>,
    watchers: Vec<Waker>,
}

/// Opens a file or a device as a disk; it is read-only if it cannot be written. The size is its current one, in whole
/// sectors. Until it is closed, nobody else can open it in this way, except that read-only users can share it.
pub fn open(path: &str) -> Result<Rc<File>, OpenError> {
    let sys::Opened { fd, read_only, bytes, sector_size, align, block } = sys::open(path)?;
    let uring = uring::uring().map_err(|errno| OpenError("io_uring", errno))?;
    let mut engine = Engine::new(path.into());
    let unit = u64::from(sector_size) / SECTOR;
    engine.info = Info {
        state: State::Up,
        sectors: bytes / SECTOR / unit * unit,
        sector_size,
        physical_sector_size: if block { sector_size } else { 4096 },
        read_only,
        cdrom: false,
        flush: true,
        discard: Some(Discard { granularity: sector_size.max(4096), alignment: 0, secure: false }),
        transfer_max: TRANSFER_MAX,
    };
    engine.counters.connections = 1;
    let zeros = Buffer::new(TRANSFER_MAX).map_err(|_| OpenError("memory", Errno(libc::ENOMEM)))?;
    let inner = Inner {
        engine,
        fd,
        user: None,
        in_flight: Shadow::new(DEPTH),
        ends: Vec::new(),
        align,
        zeros,
        work: false,
        waker: None,
        watchers: Vec::new(),
    };
    let file = Rc::new(File { inner: RefCell::new(inner) });
    let told = file.clone();
    let user = uring.user(Rc::new(move |request, result| told.ended(request, result)));
    file.inner.borrow_mut().user = Some(user);
    domain::spawn(run(file.clone()));
    Ok(file)
}

/// The disk's task.
async fn run(file: Rc<File>) {
    loop {
        file.turn();
        poll_fn(|cx| {
            let mut inner = file.inner.borrow_mut();
            if core::mem::take(&mut inner.work) {
                return Poll::Ready(());
            }
            if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                inner.waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

impl File {
    /// The kernel has ended a request.
    fn ended(&self, request: u32, result: i32) {
        let mut inner = self.inner.borrow_mut();
        inner.ends.push((request, result));
        inner.wake();
    }

    fn turn(&self) {
        self.inner.borrow_mut().turn();
        self.unlock_if_done();
        loop {
            let ended = self.inner.borrow_mut().engine.take_ended();
            if ended.is_empty() {
                return;
            }
            ended.into_iter().for_each(Ended::tell);
        }
    }
}

impl File {
    /// Others can open a closed disk as soon as the kernel has ended all requests.
    fn unlock_if_done(&self) {
        let inner = self.inner.borrow();
        if inner.engine.info.state == State::Closed && inner.in_flight.is_empty() {
            sys::unlock(inner.fd);
        }
    }
}

impl Inner {
    fn turn(&mut self) {
        let mut ends = core::mem::take(&mut self.ends);
        for (request, result) in ends.drain(..) {
            self.engine.counters.events += 1;
            let request = self.in_flight.take(request as u16).expect("the kernel answers once");
            self.finish(request, result);
        }
        self.ends = ends;
        let before = self.engine.counters.requests;
        self.pump();
        if self.engine.counters.requests > before {
            self.engine.counters.notifications += 1;
        }
    }

    fn pump(&mut self) {
        while self.in_flight.len() < DEPTH as usize {
            let mut flushes = self.engine.ready_flushes();
            let Some(part) = flushes.pop() else { break };
            let covers = self.engine.written();
            let (vectors, bounce) = Default::default();
            let record = InFlight { part, more: flushes, op: Op::Flush, vectors, bounce, covers };
            self.push(record, uring::Op::Sync, 0, 0);
        }
        while self.in_flight.len() < DEPTH as usize {
            let Some(&whole) = self.engine.queue.front() else { break };
            let mut part = whole;
            let io = self.engine.io(part.io);
            if !matches!(io.op, Op::Discard { .. }) {
                part.sectors = part.sectors.min((TRANSFER_MAX / SECTOR as usize) as u64);
            }
            let (op, offset) = (io.op, (io.sector + part.at) * SECTOR);
            let Ok((vectors, bounce)) = self.vectors(&part) else {
                self.engine.queue.pop_front();
                self.engine.answered(whole, Err(Error::NoMemory));
                continue;
            };
            let front = self.engine.queue.front_mut().expect("looked at above");
            front.at += part.sectors;
            front.sectors -= part.sectors;
            if front.sectors == 0 {
                self.engine.queue.pop_front();
            }
            let record = InFlight { part, more: Vec::new(), op, vectors, bounce, covers: 0 };
            match op {
                Op::Read if record.vectors.len() == 1 => {
                    self.push(record, uring::Op::Read, offset, 0);
                }
                Op::Read => self.push(record, uring::Op::ReadV, offset, 0),
                Op::Write | Op::Zero if record.vectors.len() == 1 => {
                    self.push(record, uring::Op::Write, offset, 0);
                }
                Op::Write | Op::Zero => self.push(record, uring::Op::WriteV, offset, 0),
                Op::Discard { .. } => {
                    let bytes = part.sectors * SECTOR;
                    self.push(record, uring::Op::Allocate, offset, bytes);
                }
                Op::Flush => unreachable!("flushes have a queue of their own"),
            }
        }
    }

    /// The memory of a part, in the kernel's format.
    fn vectors(&mut self, part: &Part) -> Result<(Vec<libc::iovec>, Option<Buffer>), Error> {
        let io = self.engine.io(part.io);
        let len = (part.sectors * SECTOR) as usize;
        match io.op {
            Op::Flush | Op::Discard { .. } => return Ok((Vec::new(), None)),
            Op::Zero => return Ok((alloc::vec![vector(self.zeros.addr(), len)], None)),
            Op::Read | Op::Write => {}
        }
        let vectors = pieces(&io.memory, part.at, len);
        let aligned = vectors.iter().all(|vector| vector.iov_base.addr() % self.align == 0);
        // As many as the kernel takes (`UIO_MAXIOV`).
        if aligned && vectors.len() <= 1024 {
            return Ok((vectors, None));
        }
        let mut bounce = Buffer::new(len).map_err(|_| Error::NoMemory)?;
        if io.op == Op::Write {
            copy(&vectors, &mut bounce, true);
            self.engine.counters.copied += len as u64;
        }
        Ok((alloc::vec![vector(bounce.addr(), len)], Some(bounce)))
    }

    fn push(&mut self, record: InFlight, op: uring::Op, offset: u64, bytes: u64) {
        let Ok(id) = self.in_flight.insert(record) else {
            unreachable!("the caller has looked for room")
        };
        let vectors = &self.in_flight.get(id).expect("just inserted").vectors;
        let (addr, len) = match op {
            uring::Op::Sync | uring::Op::Poll => (0, 0),
            uring::Op::Allocate => (bytes, sys::PUNCH_HOLE),
            uring::Op::Read | uring::Op::Write => {
                (vectors[0].iov_base as u64, vectors[0].iov_len as u32)
            }
            uring::Op::ReadV | uring::Op::WriteV => (vectors.as_ptr() as u64, vectors.len() as u32),
        };
        let flags = if op == uring::Op::Sync { DATASYNC } else { 0 };
        let request = Request { op, fd: self.fd, offset, addr, len, flags, id: id.into() };
        let user = self.user.as_ref().expect("the disk is open");
        // SAFETY: the vectors, and the memory that they name, stay in the record or with the request's memory until the
        // kernel has answered; the submitter has promised that nobody uses the latter.
        unsafe { user.push(request) };
        self.engine.counters.requests += 1;
    }

    /// Says what the kernel says: whoever has asked only learns that it failed.
    fn complain(&mut self, op: Op, result: i32) {
        let what = match op {
            Op::Read => "cannot be read",
            Op::Write | Op::Zero => "cannot be written",
            Op::Flush => "cannot be flushed",
            Op::Discard { .. } => "cannot be punched",
        };
        if result < 0 {
            self.engine.complain(format_args!("the file {what}: {}", Errno(-result)));
        } else {
            self.engine
                .complain(format_args!("the file {what}: it has been cut since it was opened"));
        }
    }

    fn finish(&mut self, request: InFlight, result: i32) {
        let InFlight { part, more, op, bounce, covers, .. } = request;
        if result == -libc::EAGAIN || result == -libc::EINTR {
            self.engine.requeue(more.into_iter().chain([part]).collect());
            return self.wake();
        }
        match op {
            Op::Flush => {
                if result < 0 {
                    self.complain(op, result);
                }
                let outcome = if result < 0 { Err(Error::Io) } else { Ok(()) };
                if outcome.is_ok() {
                    self.engine.flushed(covers);
                }
                more.into_iter().chain([part]).for_each(|part| self.engine.answered(part, outcome));
            }
            Op::Discard { .. } => {
                let outcome = match -result {
                    ..=0 => Ok(()),
                    libc::EOPNOTSUPP => {
                        self.engine.info.discard = None;
                        Err(Error::Unsupported)
                    }
                    _ => {
                        self.complain(op, result);
                        Err(Error::Io)
                    }
                };
                self.engine.answered(part, outcome);
            }
            Op::Read | Op::Write | Op::Zero => {
                // The kernel may do less than requested, and nothing at the end of a file that has shrunk.
                let unit = u64::from(self.engine.info.sector_size) / SECTOR;
                let done = u64::try_from(result).unwrap_or(0) / SECTOR / unit * unit;
                let done = done.min(part.sectors);
                if let (Some(mut bounce), Op::Read) = (bounce, op) {
                    let len = (done * SECTOR) as usize;
                    copy(
                        &pieces(&self.engine.io(part.io).memory, part.at, len),
                        &mut bounce,
                        false,
                    );
                    self.engine.counters.copied += done * SECTOR;
                }
                if done > 0 {
                    self.engine.answered(Part { sectors: done, ..part }, Ok(()));
                }
                if done < part.sectors {
                    let rest = Part { at: part.at + done, sectors: part.sectors - done, ..part };
                    if done > 0 {
                        self.engine.requeue(alloc::vec![rest]);
                    } else {
                        self.complain(op, result);
                        self.engine.answered(rest, Err(Error::Io));
                    }
                }
            }
        }
    }

    fn wake(&mut self) {
        if !core::mem::replace(&mut self.work, true) {
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }
}

/// Memory in the kernel's format.
fn vector(base: NonNull<u8>, len: usize) -> libc::iovec {
    libc::iovec { iov_base: base.as_ptr().cast(), iov_len: len }
}

/// The `len` bytes of a request's memory from its sector `at` on, in the kernel's format.
fn pieces(memory: &[Fragment], at: u64, len: usize) -> Vec<libc::iovec> {
    let (mut vectors, mut done) = (Vec::new(), 0);
    while done < len {
        let (addr, rest, _) = locate(memory, (at * SECTOR) as usize + done);
        let now = rest.min(len - done);
        vectors.push(vector(addr, now));
        done += now;
    }
    vectors
}

/// Copies between callers' memory and a buffer.
fn copy(vectors: &[libc::iovec], buffer: &mut Buffer, to_buffer: bool) {
    let mut at = 0;
    for vector in vectors {
        let here = &mut buffer[at..at + vector.iov_len];
        at += vector.iov_len;
        let base: *mut u8 = vector.iov_base.cast();
        if to_buffer {
            // SAFETY: memory of a request that has not ended: valid, and used by nobody else.
            here.copy_from_slice(unsafe { slice::from_raw_parts(base, vector.iov_len) });
        } else {
            // SAFETY: as above.
            unsafe { slice::from_raw_parts_mut(base, vector.iov_len) }.copy_from_slice(here);
        }
    }
}

impl Device for File {
    fn info(&self) -> Info {
        self.inner.borrow().engine.info
    }

    unsafe fn submit(&self, io: Io) {
        let mut inner = self.inner.borrow_mut();
        inner.engine.submit(io);
        inner.wake();
    }

    fn on_change(&self, waker: &Waker) {
        add_waker(&mut self.inner.borrow_mut().watchers, waker);
    }

    fn counters(&self) -> Counters {
        self.inner.borrow().engine.counters
    }

    fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.engine.close();
        inner.watchers.drain(..).for_each(Waker::wake);
        inner.wake();
        drop(inner);
        self.unlock_if_done();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        sys::close(self.inner.borrow().fd);
    }
}
