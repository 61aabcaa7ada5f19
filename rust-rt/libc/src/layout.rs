//! Structures of C that several files share.

use crate::timespec::Timespec;
use core::ffi::{c_int, c_long, c_short};

/// `struct stat`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) links: u64,
    pub(crate) mode: u32,
    pub(crate) owner: [u32; 3],
    pub(crate) special: u64,
    pub(crate) size: i64,
    pub(crate) block_size: c_long,
    pub(crate) blocks: i64,
    /// Access, modification, change.
    pub(crate) times: [Timespec; 3],
    pub(crate) rest: [c_long; 3],
}

const _: () = assert!(size_of::<Stat>() == 144);

impl Stat {
    /// Something of this type and mode, of no size.
    pub(crate) fn new(mode: u32) -> Self {
        Stat {
            device: 0,
            inode: 0,
            links: 1,
            mode,
            owner: [0; 3],
            special: 0,
            size: 0,
            block_size: 4096,
            blocks: 0,
            times: [Timespec::from_ns(0); 3],
            rest: [0; 3],
        }
    }

    /// A pipe's end, readable and writable for its owner.
    pub fn fifo() -> Self {
        Stat::new(0o010_600)
    }

    /// A socket.
    pub fn socket() -> Self {
        Stat::new(0o140_777)
    }

    /// What is neither a file nor a socket: an eventfd, an epoll set.
    pub fn anonymous() -> Self {
        Stat::new(0o600)
    }
}

/// `struct pollfd`.
#[repr(C)]
pub struct PollFd {
    pub(crate) fd: c_int,
    pub(crate) events: c_short,
    pub(crate) revents: c_short,
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn layouts_are_those_of_the_host() {
        assert_eq!(size_of::<Stat>(), size_of::<host_libc::stat64>());
        assert_eq!(offset_of!(Stat, mode), offset_of!(host_libc::stat64, st_mode));
        assert_eq!(offset_of!(Stat, size), offset_of!(host_libc::stat64, st_size));
        assert_eq!(offset_of!(Stat, block_size), offset_of!(host_libc::stat64, st_blksize));
        assert_eq!(offset_of!(Stat, times), offset_of!(host_libc::stat64, st_atime));
        assert_eq!(size_of::<PollFd>(), size_of::<host_libc::pollfd>());
    }
}
