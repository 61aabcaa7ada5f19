//! The C ABI of disks. Part of `include/mirust.h`, like [`abi`](crate::abi).
//!
//! A disk is a number that `mirust_block_open` returned. A request carries a token; when the request has ended, the
//! token is among the completions, and `mirust_block_result` returns its result.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};

use mirust_rt::block::{Counters, Device, Error, Fragment, Info, Io, Op, State};

use crate::abi::fill_struct;
use crate::block::{self, Options};
use crate::domain;
use crate::ocaml::net as values;
use crate::ocaml::net::Value;

/// In `flags` of a MirustBlockInfo: the disk is read-only.
pub const MIRUST_BLOCK_READ_ONLY: u64 = 1;
/// It is a CD.
pub const MIRUST_BLOCK_CDROM: u64 = 2;
/// The disk has a cache, so that flushes are needed.
pub const MIRUST_BLOCK_FLUSH: u64 = 4;
/// Sectors can be discarded.
pub const MIRUST_BLOCK_DISCARD: u64 = 8;
/// Sectors can be discarded so that no copy remains.
pub const MIRUST_BLOCK_SECURE_DISCARD: u64 = 16;

/// What `mirust_block_submit` can ask for: fill the memory.
pub const MIRUST_BLOCK_OP_READ: isize = 0;
/// Store the memory.
pub const MIRUST_BLOCK_OP_WRITE: isize = 1;
/// Make all writes before this request stable.
pub const MIRUST_BLOCK_OP_FLUSH: isize = 2;
/// Write zeros.
pub const MIRUST_BLOCK_OP_ZERO: isize = 3;
/// Discard the sectors.
pub const MIRUST_BLOCK_OP_DISCARD: isize = 4;
/// Discard the sectors so that no copy remains.
pub const MIRUST_BLOCK_OP_SECURE_DISCARD: isize = 5;

/// Result of a request: sectors that the disk does not have.
pub const MIRUST_BLOCK_OUT_OF_RANGE: isize = -1;
/// Not a whole number of the disk's sectors.
pub const MIRUST_BLOCK_MISALIGNED: isize = -2;
/// The disk cannot be written.
pub const MIRUST_BLOCK_ERROR_READ_ONLY: isize = -3;
/// The disk cannot do this.
pub const MIRUST_BLOCK_UNSUPPORTED: isize = -4;
/// The disk or its medium failed.
pub const MIRUST_BLOCK_IO: isize = -5;
/// Of a flush: the backend has vanished with unflushed writes.
pub const MIRUST_BLOCK_LOST: isize = -6;
/// No memory for the request.
pub const MIRUST_BLOCK_NO_MEMORY: isize = -7;
/// The disk is closed.
pub const MIRUST_BLOCK_CLOSED: isize = -8;

/// The state of a disk.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MirustBlockInfo {
    /// 0: down, requests wait; 1: up; 2: closed for good. Before it was first up, the other fields mean nothing.
    pub state: u64,
    /// The size, in units of 512 bytes.
    pub sectors: u64,
    /// Bytes of the disk's own sectors, 512 to 4096: what requests have to be aligned to.
    pub sector_size: u64,
    /// Bytes that the medium itself writes at a time.
    pub physical_sector_size: u64,
    /// MIRUST_BLOCK_READ_ONLY and the like.
    pub flags: u64,
    /// Granularity of discards, in bytes.
    pub discard_granularity: u64,
    /// Bytes from the disk's beginning to the first such unit.
    pub discard_alignment: u64,
    /// Bytes of the largest request that the disk takes in one piece. Larger ones are split.
    pub transfer_max: u64,
}

/// What a disk has counted since it was opened.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MirustBlockStats {
    /// Successful reads.
    pub reads: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Successful writes, including zeros.
    pub writes: u64,
    /// Their bytes.
    pub written_bytes: u64,
    /// Successful flushes.
    pub flushes: u64,
    /// Successful discards.
    pub discards: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests as the backend saw them, after splitting and merging.
    pub requests: u64,
    /// Bytes that were copied.
    pub copied: u64,
    /// Pages granted to the backend.
    pub grants: u64,
    /// Notifications sent: one hypercall each. On Unix, times that requests were given to the kernel.
    pub notifications: u64,
    /// Notifications received.
    pub events: u64,
    /// Protocol violations by the peer.
    pub lies: u64,
    /// Times the disk was connected.
    pub connections: u64,
    /// Requests that were issued again on a new connection.
    pub reissued: u64,
}

const _: () = assert!(size_of::<MirustBlockStats>() == size_of::<Counters>());

thread_local! {
    static DISKS: RefCell<Vec<Rc<dyn Device>>> = const { RefCell::new(Vec::new()) };
    /// Of requests that have ended, by their token; taken when OCaml collects that.
    static RESULTS: RefCell<HashMap<isize, isize>> = RefCell::default();
}

fn disk(handle: isize) -> Rc<dyn Device> {
    DISKS.with_borrow(|disks| {
        let disk = usize::try_from(handle).ok().and_then(|handle| disks.get(handle));
        Rc::clone(disk.expect("a disk that was opened"))
    })
}

fn code(result: Result<(), Error>) -> isize {
    match result {
        Ok(()) => 0,
        Err(Error::OutOfRange) => MIRUST_BLOCK_OUT_OF_RANGE,
        Err(Error::Misaligned) => MIRUST_BLOCK_MISALIGNED,
        Err(Error::ReadOnly) => MIRUST_BLOCK_ERROR_READ_ONLY,
        Err(Error::Unsupported) => MIRUST_BLOCK_UNSUPPORTED,
        Err(Error::Io) => MIRUST_BLOCK_IO,
        Err(Error::Lost) => MIRUST_BLOCK_LOST,
        Err(Error::NoMemory) => MIRUST_BLOCK_NO_MEMORY,
        Err(Error::Closed) => MIRUST_BLOCK_CLOSED,
    }
}

/// Opens a disk. The name is one that a parameter `--disk=NAME:DEVICE` gives to a device, or a device:
/// on Xen what the toolstack calls it (`xvda`) or its number, on Unix the path of a file or a device.
/// `depth` limits the requests that the backend has at the same time; 0 leaves it to the disk.
/// With `persistent` 1 the backend may keep pages mapped, and all data is copied.
///
/// Returns the disk's number, or -1; the log then says why. It may be connected later.
///
/// # Safety
///
/// `name` must be valid for reads of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_block_open(
    name: *const u8,
    length: usize,
    depth: isize,
    persistent: isize,
) -> isize {
    crate::setup::init();
    // SAFETY: the caller's promise.
    let name = String::from_utf8_lossy(unsafe { crate::abi::bytes(name, length) });
    let mut options = Options { persistent: persistent != 0, ..Options::default() };
    if let Some(depth) = usize::try_from(depth).ok().filter(|depth| *depth > 0) {
        options.depth = depth;
    }
    match block::device(&name, options) {
        Ok(device) => DISKS.with_borrow_mut(|disks| {
            disks.push(device);
            disks.len() as isize - 1
        }),
        Err(error) => {
            log::error!("disk {name}: {error}");
            -1
        }
    }
}

/// Copies what is known about the disk, a MirustBlockInfo, to the buffer, as much of it as fits. Returns
/// the struct's size in bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_block_info(handle: isize, buffer: *mut u8, length: usize) -> isize {
    let Info { state, sectors, sector_size, physical_sector_size, discard, .. } =
        disk(handle).info();
    let Info { read_only, cdrom, flush, transfer_max, .. } = disk(handle).info();
    let flag = |set, bit| if set { bit } else { 0 };
    let info = MirustBlockInfo {
        state: match state {
            State::Down => 0,
            State::Up => 1,
            State::Closed => 2,
        },
        sectors,
        sector_size: sector_size.into(),
        physical_sector_size: physical_sector_size.into(),
        flags: flag(read_only, MIRUST_BLOCK_READ_ONLY)
            | flag(cdrom, MIRUST_BLOCK_CDROM)
            | flag(flush, MIRUST_BLOCK_FLUSH)
            | flag(discard.is_some(), MIRUST_BLOCK_DISCARD)
            | flag(discard.is_some_and(|d| d.secure), MIRUST_BLOCK_SECURE_DISCARD),
        discard_granularity: discard.map_or(0, |discard| discard.granularity.into()),
        discard_alignment: discard.map_or(0, |discard| discard.alignment.into()),
        transfer_max: transfer_max as u64,
    };
    // SAFETY: the caller's promise; the struct is all u64.
    unsafe { fill_struct(buffer, length, &info) }
}

/// Copies the disk's counters, a MirustBlockStats, to the buffer, as much of it as fits. Returns the
/// struct's size in bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_block_stats(
    handle: isize,
    buffer: *mut u8,
    length: usize,
) -> isize {
    let counters = disk(handle).counters();
    // SAFETY: the caller's promise; the struct is all u64, the fields those of MirustBlockStats.
    unsafe { fill_struct(buffer, length, &counters) }
}

/// Completes `token` when the state or the size of the disk changes: once. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_block_on_change(handle: isize, token: isize) -> isize {
    struct Token(u64);
    impl Wake for Token {
        fn wake(self: Arc<Self>) {
            domain::complete(self.0);
        }
    }
    let waker = Waker::from(Arc::new(Token(token as u64)));
    disk(handle).on_change(&waker);
    0
}

/// Submits a request: `operation` is MIRUST_BLOCK_OP_READ and the like, `sector` and `sectors` are in
/// units of 512 bytes, `memory` is a `Cstruct.t list` of that many sectors in total, which is empty unless
/// the request is a read or a write. Returns 0.
///
/// When the request has ended, `token` completes, and `mirust_block_result` MUST be called with it. The
/// memory MUST stay referenced until then, and MUST NOT be used. Whole pages of it are not copied.
///
/// # Safety
///
/// `memory` must be a value of that type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_block_submit(
    handle: isize,
    operation: isize,
    sector: isize,
    sectors: isize,
    memory: Value,
    token: isize,
) -> isize {
    let mut fragments = Vec::new();
    // SAFETY: the caller's promise.
    unsafe {
        values::pieces(memory, &mut |addr, len| {
            fragments.push(Fragment { addr, len, alone: false });
        });
    }
    let done = Box::new(move |result, _| {
        RESULTS.with_borrow_mut(|results| results.insert(token, code(result)));
        domain::complete(token as u64);
    });
    let op = match operation {
        MIRUST_BLOCK_OP_READ => Op::Read,
        MIRUST_BLOCK_OP_WRITE => Op::Write,
        MIRUST_BLOCK_OP_FLUSH => Op::Flush,
        MIRUST_BLOCK_OP_ZERO => Op::Zero,
        MIRUST_BLOCK_OP_DISCARD => Op::Discard { secure: false },
        MIRUST_BLOCK_OP_SECURE_DISCARD => Op::Discard { secure: true },
        other => panic!("there is no operation {other}"),
    };
    // Negative numbers are beyond every disk.
    let (sector, sectors) = (sector as u64, sectors as u64);
    let io = Io { op, sector, sectors, memory: fragments, buffer: None, done };
    // SAFETY: bigarrays do not move, and the caller keeps these until the token comes back.
    unsafe { disk(handle).submit(io) };
    0
}

/// The result of the request with this token: 0, or MIRUST_BLOCK_OUT_OF_RANGE and the like. Call it once,
/// when the token has completed.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_block_result(token: isize) -> isize {
    let result = RESULTS.with_borrow_mut(|results| results.remove(&token));
    result.expect("the token of a request that has ended")
}

/// How many bytes of a bigarray of bytes lie before its first whole page.
///
/// # Safety
///
/// `buffer` must be such a bigarray.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_block_align(buffer: Value) -> isize {
    // SAFETY: the caller's promise.
    let (base, _) = unsafe { values::bytes_of(buffer) };
    let page = mirust_rt::mem::PAGE_SIZE;
    (base.as_ptr() as usize).next_multiple_of(page) as isize - base.as_ptr() as isize
}

/// Closes the disk. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_block_close(handle: isize) -> isize {
    disk(handle).close();
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The struct in the header has the fields of the runtime's, in the same order.
    #[test]
    fn stats_are_the_counters() {
        let text = include_str!("disks.rs");
        let (_, rest) = text.split_once("pub struct MirustBlockStats {").unwrap();
        let (body, _) = rest.split_once("\n}").unwrap();
        let fields: Vec<&str> = body
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub "))
            .filter_map(|line| line.strip_suffix(": u64,"))
            .collect();
        assert_eq!(fields, Counters::NAMES);
    }
}
