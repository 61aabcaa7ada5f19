//! Linux's io_uring (`linux/io_uring.h`), as far as a disk needs it: requests on files that the kernel
//! works on while the loop goes on.
//!
//! Two rings in memory that the kernel shares. The kernel is trusted here: it is what the process stands
//! on.

use crate::{Errno, RawFd};
use core::{
    ffi::{c_int, c_long, c_void},
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicU32, Ordering},
};
use host_libc as libc;

const SYS_SETUP: c_long = 425;
const SYS_ENTER: c_long = 426;
const OFFSET_RING: i64 = 0;
const OFFSET_SQES: i64 = 0x1000_0000;
const FEATURE_SINGLE_MMAP: u32 = 1;

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
    /// Change what is allocated.
    Allocate = 17,
}

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
    /// Of vectors: where they are. Of an allocation: how many bytes.
    pub addr: u64,
    /// Of vectors: how many. Of an allocation: its mode.
    pub len: u32,
    /// Of a sync: that only data need to be stable.
    pub flags: u32,
    pub id: u64,
}

/// A pair of rings. Its descriptor is readable when requests have ended; whoever watches it owns it.
pub(crate) struct Uring {
    fd: RawFd,
    ring: Mapping,
    sqes: Mapping,
    sq: SqOffsets,
    cq: CqOffsets,
    entries: u32,
    /// Requests that the kernel has not been told of.
    pub unsubmitted: u32,
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
            _ => Err(last_error()),
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

fn last_error() -> Errno {
    // SAFETY: the C library gives each thread its own errno.
    Errno(unsafe { *libc::__errno_location() })
}

impl Uring {
    /// Rings for so many requests, a power of two. Returns the descriptor, too, which the caller closes.
    ///
    /// # Errors
    ///
    /// Of a kernel that has no io_uring, or where the process may not use it.
    pub fn new(entries: u32) -> Result<(Uring, RawFd), Errno> {
        let mut params = Params::default();
        // SAFETY: the kernel reads and writes the structure, whose layout is the header's.
        let fd = unsafe { libc::syscall(SYS_SETUP, c_long::from(entries), &raw mut params) };
        let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(last_error)?;
        let Params { sq_off: sq, cq_off: cq, sq_entries, cq_entries, features, .. } = params;
        let maps = if features & FEATURE_SINGLE_MMAP == 0 {
            // Older than Linux 5.4.
            Err(Errno(libc::ENOSYS))
        } else {
            let sq_len = sq.array as usize + 4 * sq_entries as usize;
            let cq_len = cq.cqes as usize + size_of::<Cqe>() * cq_entries as usize;
            let sqes_len = size_of::<Sqe>() * sq_entries as usize;
            Mapping::new(fd, OFFSET_RING, sq_len.max(cq_len))
                .and_then(|ring| Ok((ring, Mapping::new(fd, OFFSET_SQES, sqes_len)?)))
        };
        match maps {
            Ok((ring, sqes)) => {
                let entries = sq_entries;
                Ok((Uring { fd, ring, sqes, sq, cq, entries, unsubmitted: 0 }, fd))
            }
            Err(error) => {
                // SAFETY: opened above, and known to nobody else.
                unsafe { libc::close(fd) };
                Err(error)
            }
        }
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

    /// Tells the kernel of the requests that were put into the ring: one system call.
    pub fn submit(&mut self) -> Result<(), Errno> {
        while self.unsubmitted > 0 {
            let (count, none) = (c_long::from(self.unsubmitted), 0 as c_long);
            // SAFETY: no pointer but a null one is passed.
            let taken = unsafe {
                libc::syscall(
                    SYS_ENTER,
                    c_long::from(self.fd),
                    count,
                    none,
                    none,
                    0 as c_long,
                    none,
                )
            };
            match c_int::try_from(taken).unwrap_or(-1) {
                ..0 if last_error() == Errno::INTR => {}
                ..0 => return Err(last_error()),
                // It has no memory for more now.
                0 => return Err(Errno::AGAIN),
                taken => self.unsubmitted -= (taken as u32).min(self.unsubmitted),
            }
        }
        Ok(())
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
