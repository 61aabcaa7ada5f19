//! The system calls of a TAP interface; by number, as in [`crate::sys`].

use super::error::OpenError;
use crate::sys::{Descriptor, Errno, RawFd, check_size};
use core::{
    ffi::{CStr, c_ulong},
    mem::MaybeUninit,
};
use host_libc as libc;

/// A stretch of memory, for the kernel.
#[repr(transparent)]
pub(super) struct Vector(libc::iovec);

impl Vector {
    pub(super) fn new(base: *mut u8, len: usize) -> Self {
        Vector(libc::iovec { iov_base: base.cast(), iov_len: len })
    }
}

/// Reads into the buffer; as many bytes of it as are returned are initialised then.
pub(super) fn read(fd: RawFd, buffer: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
    let (start, len) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the buffer is valid for writes, and nobody else's.
    check_size(unsafe { libc::syscall(libc::SYS_read, fd, start, len) } as isize)
}

pub(super) fn write(fd: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the bytes are valid for reads.
    check_size(unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) } as isize)
}

/// # Safety
///
/// The vectors must be valid for reads.
pub(super) unsafe fn writev(fd: RawFd, vectors: &[Vector]) -> Result<usize, Errno> {
    let (list, count) = (vectors.as_ptr(), vectors.len());
    // SAFETY: as the caller promised; a vector is one of the kernel's.
    check_size(unsafe { libc::syscall(libc::SYS_writev, fd, list, count) } as isize)
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: all zeros is a value of this structure of integers.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

/// # Safety
///
/// `argument` must be what the request takes.
unsafe fn ioctl(
    fd: RawFd,
    what: &'static str,
    code: c_ulong,
    argument: *mut libc::c_void,
) -> Result<(), OpenError> {
    // SAFETY: as the caller promised.
    let result = unsafe { libc::syscall(libc::SYS_ioctl, fd, code, argument) };
    check_size(result as isize).map(drop).map_err(|errno| OpenError::System(what, errno))
}

pub(super) fn open_tap(name: &str) -> Result<Descriptor, OpenError> {
    const PATH: &CStr = c"/dev/net/tun";
    let flags = libc::O_RDWR | libc::O_CLOEXEC;
    // SAFETY: the path ends in a zero byte.
    let raw = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, PATH.as_ptr(), flags) };
    let raw = check_size(raw as isize).map_err(OpenError::NoTun)? as RawFd;
    let fd = Descriptor::from_raw(raw);
    let mut tap = request(name);
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    tap.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF takes an ifreq.
    let set = unsafe { ioctl(raw, "TUNSETIFF", libc::TUNSETIFF, (&raw mut tap).cast()) };
    let set = set.map_err(|error| match error {
        OpenError::System(_, Errno(libc::EPERM)) => OpenError::NotPermitted(name.into()),
        error => error,
    });
    let offload = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    let offload = core::ptr::without_provenance_mut(offload as usize);
    // SAFETY: TUNSETOFFLOAD takes a number.
    let set =
        set.and_then(|()| unsafe { ioctl(raw, "TUNSETOFFLOAD", libc::TUNSETOFFLOAD, offload) });
    set.map(|()| fd)
}

/// The MTU of an interface.
pub(super) fn mtu(name: &str) -> Option<usize> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: takes three integers.
    let socket = unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, kind, 0) };
    let socket = check_size(socket as isize).ok()? as RawFd;
    let mut request = request(name);
    // SAFETY: SIOCGIFMTU takes an ifreq.
    let result =
        unsafe { ioctl(socket, "SIOCGIFMTU", libc::SIOCGIFMTU, (&raw mut request).cast()) };
    // SAFETY: opened above, and not used any more.
    unsafe { libc::syscall(libc::SYS_close, socket) };
    // SAFETY: SIOCGIFMTU has set this member.
    result.ok().and_then(|()| usize::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok())
}
