//! The system calls of a disk.

use crate::{Errno, RawFd};
use alloc::ffi::CString;
use core::{ffi::c_int, fmt, ptr};
use host_libc as libc;
use mirust_block::SECTOR;

/// Give back, and leave the size (`FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`).
pub const PUNCH_HOLE: u32 = 0x03;
/// Of a block device: its size in bytes (`BLKGETSIZE64`), its logical sectors (`BLKSSZGET`).
const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;
const BLKSSZGET: libc::c_ulong = 0x1268;
/// `statx` tells what direct transfers have to be aligned to (`STATX_DIOALIGN`).
const STATX_DIOALIGN: u32 = 0x2000;

/// Times that a file is tried that somebody else uses, a hundredth of a second apart.
const LOCK_TRIES: u32 = 200;

/// Why a file could not be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenError(pub(super) &'static str, pub(super) Errno);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

impl core::error::Error for OpenError {}

pub struct Opened {
    pub fd: RawFd,
    pub read_only: bool,
    pub bytes: u64,
    pub sector_size: u32,
    pub align: usize,
    pub block: bool,
}

pub fn close(fd: RawFd) {
    // SAFETY: ours, and not used any more.
    unsafe { libc::close(fd) };
}

fn try_open(path: &CString, flags: c_int) -> Result<RawFd, Errno> {
    // SAFETY: the path ends in a zero byte.
    let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) };
    if fd < 0 { Err(Errno::last()) } else { Ok(fd) }
}

/// Keeps other processes off the file. Requests of a process that was killed go on for a while, during which the kernel
/// keeps its lock, so this waits a little before it gives up.
fn lock(fd: RawFd, read_only: bool) -> Result<(), OpenError> {
    let how = if read_only { libc::LOCK_SH } else { libc::LOCK_EX };
    for wait in 0..=LOCK_TRIES {
        // SAFETY: no memory is passed.
        if unsafe { libc::flock(fd, how | libc::LOCK_NB) } == 0 {
            return Ok(());
        }
        match Errno::last() {
            // Wait, and try again.
            Errno(libc::EWOULDBLOCK) if wait < LOCK_TRIES => {
                let pause = libc::timespec { tv_sec: 0, tv_nsec: 10_000_000 };
                // SAFETY: a time to read, and none to write.
                unsafe { libc::nanosleep(&pause, ptr::null_mut()) };
            }
            error @ Errno(libc::EWOULDBLOCK) => {
                return Err(OpenError("somebody else uses it", error));
            }
            Errno(libc::EINTR) => {}
            // A filesystem without locks.
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Lets others use the file.
pub fn unlock(fd: RawFd) {
    // SAFETY: no memory is passed.
    unsafe { libc::flock(fd, libc::LOCK_UN) };
}

pub fn open(path: &str) -> Result<Opened, OpenError> {
    let path = CString::new(path).map_err(|_| OpenError("open", Errno(libc::EINVAL)))?;
    let mut last = Errno(libc::EINVAL);
    for (flags, read_only, direct) in [
        (libc::O_RDWR | libc::O_DIRECT, false, true),
        (libc::O_RDWR, false, false),
        (libc::O_RDONLY | libc::O_DIRECT, true, true),
        (libc::O_RDONLY, true, false),
    ] {
        match try_open(&path, flags) {
            Ok(fd) => {
                return lock(fd, read_only)
                    .and_then(|()| describe(fd, read_only, direct))
                    .inspect_err(|_| close(fd));
            }
            Err(error) => last = error,
        }
    }
    Err(OpenError("open", last))
}

fn describe(fd: RawFd, read_only: bool, direct: bool) -> Result<Opened, OpenError> {
    // SAFETY: all zeros is a value of this structure of integers.
    let mut stat: libc::statx = unsafe { core::mem::zeroed() };
    let mask = libc::STATX_SIZE | libc::STATX_TYPE | STATX_DIOALIGN;
    // SAFETY: an empty path means the descriptor; the structure is writable.
    let result = unsafe { libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, mask, &mut stat) };
    if result < 0 {
        return Err(OpenError("statx", Errno::last()));
    }
    let kind = u32::from(stat.stx_mode) & libc::S_IFMT;
    let block = kind == libc::S_IFBLK;
    if !block && kind != libc::S_IFREG {
        return Err(OpenError("neither a file nor a block device", Errno(libc::EINVAL)));
    }
    let (mut bytes, mut sector_size) = (stat.stx_size, SECTOR as u32);
    if block {
        let mut size: c_int = 0;
        // SAFETY: the requests write a 64-bit number and an int.
        let failed = unsafe {
            libc::ioctl(fd, BLKGETSIZE64, &raw mut bytes) < 0
                || libc::ioctl(fd, BLKSSZGET, &raw mut size) < 0
        };
        if failed {
            return Err(OpenError("size of the device", Errno::last()));
        }
        sector_size = size as u32;
    }
    let mut align = 1;
    if direct {
        // Kernels before 6.1 do not say: a page is enough for all.
        let told = stat.stx_mask & STATX_DIOALIGN != 0 && stat.stx_dio_offset_align > 0;
        let (memory, offset) = if told {
            (stat.stx_dio_mem_align, stat.stx_dio_offset_align)
        } else {
            (4096, if block { sector_size } else { 4096 })
        };
        align = memory.max(1) as usize;
        sector_size = sector_size.max(offset);
    }
    if !sector_size.is_power_of_two() || sector_size > 4096 {
        return Err(OpenError("sectors of more than 4096 bytes", Errno(libc::EINVAL)));
    }
    Ok(Opened { fd, read_only, bytes, sector_size, align, block })
}
