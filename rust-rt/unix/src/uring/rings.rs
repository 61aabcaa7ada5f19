//! The two rings of Linux's io_uring (`linux/io_uring.h`), in memory shared with the kernel. Unlike a Xen backend, the
//! kernel is trusted.

use crate::{
    Errno, RawFd,
    sys::{Descriptor, timespec},
};
use core::{
    ffi::{c_long, c_void},
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicU32, Ordering},
};
use host_libc as libc;
use mirust_executor::time::Duration;

const SYS_SETUP: c_long = 425;
const SYS_ENTER: c_long = 426;
const OFFSET_RING: i64 = 0;
const OFFSET_SQES: i64 = 0x1000_0000;

/// Both rings are one mapping, since Linux 5.4 (`IORING_FEAT_SINGLE_MMAP`).
const FEATURE_SINGLE_MMAP: u32 = 1;
/// A wait can have a time limit, since Linux 5.11 (`IORING_FEAT_EXT_ARG`).
const FEATURE_TIME_LIMIT: u32 = 1 << 8;

/// The kernel does not interrupt the process when a request ends (`IORING_SETUP_COOP_TASKRUN`).
const SETUP_COOPERATIVE: u32 = 1 << 8;
/// It says in the ring that it has such work left (`IORING_SETUP_TASKRUN_FLAG`).
const SETUP_WORK_FLAG: u32 = 1 << 9;
/// Only one thread uses the ring (`IORING_SETUP_SINGLE_ISSUER`).
const SETUP_ONE_THREAD: u32 = 1 << 12;
/// It does that work only when it is asked for ends (`IORING_SETUP_DEFER_TASKRUN`).
const SETUP_DEFERRED: u32 = 1 << 13;
/// What is asked of the kernel, the best first: from Linux 6.1 on, from 5.19 on, and of any.
const SETUPS: [u32; 3] =
    [SETUP_ONE_THREAD | SETUP_DEFERRED | SETUP_WORK_FLAG, SETUP_COOPERATIVE | SETUP_WORK_FLAG, 0];

/// In the flags of the ring: the kernel has ends that it gives only when asked (`IORING_SQ_CQ_OVERFLOW`,
/// `IORING_SQ_TASKRUN`).
const WANTS_ENTER: u32 = 1 << 1 | 1 << 2;

const ENTER_GET_ENDS: c_long = 1;
const ENTER_TIME_LIMIT: c_long = 1 << 3;

/// What a request asks for (`IORING_OP_…`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Op {
    /// Fill vectors.
    ReadV = 1,
    /// Store vectors.
    WriteV = 2,
    /// Make data stable.
    Sync = 3,
    /// Wait until a descriptor is ready.
    Poll = 6,
    /// Change what is allocated.
    Allocate = 17,
    /// Fill one stretch of memory.
    Read = 22,
    /// Store one stretch of memory.
    Write = 23,
}

/// The caller says how many ends there is room for (<linux/io_uring.h>; since Linux 5.5).
const SETUP_CQSIZE: u32 = 1 << 3;

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
struct SqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: u32,
    user_addr: u64,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
struct CqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    reserved: u32,
    user_addr: u64,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq_off: SqOffsets,
    cq_off: CqOffsets,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
struct Sqe {
    opcode: u8,
    flags: u8,
    priority: u16,
    fd: i32,
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    rest: [u64; 3],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
struct Cqe {
    user_data: u64,
    res: i32,
    flags: u32,
}

const _: () = assert!(size_of::<Params>() == 120 && size_of::<Sqe>() == 64);
const _: () = assert!(size_of::<Cqe>() == 16);

/// A request. What its address points to must stay until its end has been taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub op: Op,
    pub fd: RawFd,
    pub offset: u64,
    /// Of vectors or memory: where they are. Of an allocation: how many bytes.
    pub addr: u64,
    /// Of vectors: how many. Of memory: how many bytes. Of an allocation: its mode.
    pub len: u32,
    /// Of a sync: that only data need to be stable. Of a poll: what for.
    pub flags: u32,
    pub id: u64,
}

/// What is passed by a wait with a time limit (`struct io_uring_getevents_arg`).
#[repr(C)]
struct WaitArgument {
    signals: u64,
    signals_size: u32,
    reserved: u32,
    time: u64,
}

const _: () = assert!(size_of::<WaitArgument>() == 24);

/// A pair of rings.
pub(super) struct Rings {
    ring: Mapping,
    sqes: Mapping,
    sq: SqOffsets,
    cq: CqOffsets,
    entries: u32,
    unsubmitted: u32,
    descriptor: Descriptor,
}

struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(fd: RawFd, offset: i64, len: usize) -> Result<Mapping, Errno> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let base = unsafe { libc::mmap(null_mut(), len, prot, flags, fd, offset) };
        match NonNull::new(base.cast()) {
            Some(base) if base.as_ptr() as isize != -1 => Ok(Mapping { base, len }),
            _ => Err(Errno::last()),
        }
    }

    /// A word that the kernel shares.
    fn word(&self, offset: u32) -> &AtomicU32 {
        assert!(offset as usize + 4 <= self.len && offset % 4 == 0, "a word of the ring");
        // SAFETY: inside the mapping, aligned, and the kernel accesses it as a word, too.
        unsafe { self.base.add(offset as usize).cast::<AtomicU32>().as_ref() }
    }

    /// Where an entry of a table is.
    fn entry<T>(&self, offset: u32, index: u32) -> NonNull<T> {
        let at = offset as usize + index as usize * size_of::<T>();
        assert!(at + size_of::<T>() <= self.len, "an entry of the ring");
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.base.add(at).cast() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; no reference to it is left, since they borrow `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast::<c_void>(), self.len) };
    }
}

impl Rings {
    /// Rings for this many requests not yet submitted, and for this many completions, both powers of two. They belong
    /// to the calling thread.
    ///
    /// # Errors
    ///
    /// Of a kernel that has no io_uring, or one from before Linux 5.11 (`ENOSYS`), or where the process may not use it.
    pub fn new(entries: u32, ends: u32) -> Result<Rings, Errno> {
        let mut last = Errno(libc::EINVAL);
        for flags in SETUPS {
            let flags = flags | SETUP_CQSIZE;
            let mut params = Params { flags, cq_entries: ends, ..Params::default() };
            // SAFETY: the kernel reads and writes the structure, whose layout is the header's.
            let fd = unsafe { libc::syscall(SYS_SETUP, c_long::from(entries), &raw mut params) };
            match RawFd::try_from(fd) {
                Ok(fd) if fd >= 0 => return Rings::map(Descriptor::from_raw(fd), &params),
                _ => last = Errno::last(),
            }
            // Only a flag that it does not know is a reason to ask for less.
            if last != Errno(libc::EINVAL) {
                break;
            }
        }
        Err(last)
    }

    fn map(descriptor: Descriptor, params: &Params) -> Result<Rings, Errno> {
        let Params { sq_off: sq, cq_off: cq, sq_entries, cq_entries, features, .. } = *params;
        let wanted = FEATURE_SINGLE_MMAP | FEATURE_TIME_LIMIT;
        if features & wanted != wanted {
            return Err(Errno(libc::ENOSYS));
        }
        let sq_len = sq.array as usize + 4 * sq_entries as usize;
        let cq_len = cq.cqes as usize + size_of::<Cqe>() * cq_entries as usize;
        let sqes_len = size_of::<Sqe>() * sq_entries as usize;
        let ring = Mapping::new(descriptor.raw(), OFFSET_RING, sq_len.max(cq_len))?;
        let sqes = Mapping::new(descriptor.raw(), OFFSET_SQES, sqes_len)?;
        Ok(Rings { ring, sqes, sq, cq, entries: sq_entries, unsubmitted: 0, descriptor })
    }

    /// Requests that the kernel has not been told of.
    pub fn unsubmitted(&self) -> u32 {
        self.unsubmitted
    }

    /// Puts a request into the ring. False if it is full.
    ///
    /// # Safety
    ///
    /// What the request points to must be valid until its end has been taken, and nobody else may use
    /// it.
    pub unsafe fn push(&mut self, request: &Request) -> bool {
        let tail = self.ring.word(self.sq.tail);
        let (head, at) = (self.ring.word(self.sq.head), tail.load(Ordering::Relaxed));
        if at.wrapping_sub(head.load(Ordering::Acquire)) >= self.entries {
            return false;
        }
        let index = at & self.ring.word(self.sq.ring_mask).load(Ordering::Relaxed);
        let sqe = Sqe {
            opcode: request.op as u8,
            fd: request.fd,
            off: request.offset,
            addr: request.addr,
            len: request.len,
            op_flags: request.flags,
            user_data: request.id,
            ..Sqe::default()
        };
        // SAFETY: an entry of the table, which the kernel does not read before the tail has passed it.
        unsafe { self.sqes.entry::<Sqe>(0, index).write(sqe) };
        self.ring.word(self.sq.array + 4 * index).store(index, Ordering::Relaxed);
        tail.store(at.wrapping_add(1), Ordering::Release);
        self.unsubmitted += 1;
        true
    }

    /// Whether the kernel has ends that are in the ring only after [`enter`](Self::enter).
    pub fn wants_enter(&self) -> bool {
        self.ring.word(self.sq.flags).load(Ordering::Relaxed) & WANTS_ENTER != 0
    }

    /// Tells the kernel of the requests that were put into the ring, and asks for ends: one system call.
    ///
    /// # Errors
    ///
    /// `EAGAIN` and `EBUSY` if the kernel cannot take more requests now, because of memory or of ends that were not
    /// taken.
    pub fn enter(&mut self) -> Result<(), Errno> {
        self.call(0, ENTER_GET_ENDS, 0, 0)
    }

    /// The same, and waits until a request has ended that was not taken, or until the time is over; without one, for as
    /// long as it takes. May return early.
    pub fn wait(&mut self, time: Option<Duration>) -> Result<(), Errno> {
        let time = time.map(timespec);
        let time = time.as_ref().map_or(0, |time| time as *const libc::timespec as u64);
        let argument = WaitArgument { signals: 0, signals_size: 0, reserved: 0, time };
        let (addr, size) = (&raw const argument as c_long, size_of::<WaitArgument>());
        match self.call(1, ENTER_GET_ENDS | ENTER_TIME_LIMIT, addr, size as c_long) {
            Err(Errno(libc::ETIME)) | Err(Errno::INTR) => Ok(()),
            result => result,
        }
    }

    fn call(
        &mut self,
        ends: c_long,
        flags: c_long,
        arg: c_long,
        size: c_long,
    ) -> Result<(), Errno> {
        let (fd, count) = (self.descriptor.raw(), c_long::from(self.unsubmitted));
        // SAFETY: what `arg` points to, if anything, and the time that this points to live through the call.
        let taken =
            unsafe { libc::syscall(SYS_ENTER, c_long::from(fd), count, ends, flags, arg, size) };
        match u32::try_from(taken) {
            Ok(taken) => {
                self.unsubmitted -= taken.min(self.unsubmitted);
                Ok(())
            }
            Err(_) => Err(Errno::last()),
        }
    }

    /// Takes the end of a request: its identifier and its result.
    pub fn pop(&mut self) -> Option<(u64, i32)> {
        let head = self.ring.word(self.cq.head);
        let at = head.load(Ordering::Relaxed);
        if at == self.ring.word(self.cq.tail).load(Ordering::Acquire) {
            return None;
        }
        let index = at & self.ring.word(self.cq.ring_mask).load(Ordering::Relaxed);
        // SAFETY: an entry of the table that the kernel has finished, as the tail says.
        let cqe = unsafe { self.ring.entry::<Cqe>(self.cq.cqes, index).read() };
        head.store(at.wrapping_add(1), Ordering::Release);
        Some((cqe.user_data, cqe.res))
    }
}
