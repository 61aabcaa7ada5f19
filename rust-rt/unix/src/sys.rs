//! System calls of the process and its event loop, each behind a function that is safe to call.
//!
//! Those on descriptors are made by number: C's functions may be those of `mirust-libc`, which has descriptors of its
//! own (feature `posix-on-unix`).

use host_libc as libc;

use core::ffi::{CStr, c_int};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr;

use mirust_executor::time::Duration;

/// A file descriptor's number; it owns nothing.
pub type RawFd = c_int;

/// A system call failed; the number is `errno`'s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// Nothing to read now, or no room to write.
    pub const AGAIN: Errno = Errno(libc::EAGAIN);
    /// A signal came in between.
    pub const INTR: Errno = Errno(libc::EINTR);

    /// That of the call that has just failed.
    pub(crate) fn last() -> Self {
        // SAFETY: the C library gives each thread its own errno, valid while the thread lives.
        Errno(unsafe { *libc::__errno_location() })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 128];
        // SAFETY: the buffer is writable and so long; the function writes a string into it that ends with a zero byte.
        unsafe { libc::strerror_r(self.0, text.as_mut_ptr().cast(), text.len()) };
        let text = CStr::from_bytes_until_nul(&text).ok().and_then(|text| text.to_str().ok());
        write!(f, "{} (errno {})", text.unwrap_or("system call failed"), self.0)
    }
}

impl core::error::Error for Errno {}

fn check(result: c_int) -> Result<c_int, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

pub(crate) fn check_size(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// A descriptor that is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Descriptor(RawFd);

impl Descriptor {
    /// Owns `fd` from now on.
    pub(crate) fn from_raw(fd: RawFd) -> Self {
        Descriptor(fd)
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: we own the number and this is its last use. An error leaves nothing to repair.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// Time on one of the system's clocks.
pub(crate) fn clock(id: libc::clockid_t) -> Duration {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is writable. The ids used here exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(id, &mut ts) };
    Duration::new(ts.tv_sec.max(0) as u64, ts.tv_nsec as u32)
}

pub(crate) fn epoll_create() -> Result<Descriptor, Errno> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::syscall(libc::SYS_epoll_create1, libc::EPOLL_CLOEXEC) } as c_int)
        .map(Descriptor)
}

/// Adds, changes or removes (`op`) what `epoll` watches `fd` for.
pub(crate) fn epoll_ctl(
    epoll: &Descriptor,
    op: c_int,
    fd: RawFd,
    events: c_int,
    token: u64,
) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events: events as u32, u64: token };
    // SAFETY: `event` lives through the call; the kernel copies it.
    check(unsafe { libc::syscall(libc::SYS_epoll_ctl, epoll.0, op, fd, &mut event) } as c_int)
        .map(drop)
}

/// Events that are pending now.
pub(crate) fn epoll_pending<'a>(
    epoll: &Descriptor,
    buf: &'a mut [libc::epoll_event],
) -> Result<&'a [libc::epoll_event], Errno> {
    let len = c_int::try_from(buf.len()).unwrap_or(c_int::MAX);
    // SAFETY: the kernel writes at most `len` events, and the buffer has room for them.
    let n =
        check(unsafe { libc::syscall(libc::SYS_epoll_wait, epoll.0, buf.as_mut_ptr(), len, 0) }
            as c_int)?;
    Ok(&buf[..n as usize])
}

/// A time in the kernel's format.
pub(crate) fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Blocks until there are events, a signal comes or `timeout` is over; without one, for as long as it takes. Returns
/// how many events there are now in `buf`.
pub(crate) fn epoll_wait_until(
    epoll: &Descriptor,
    buf: &mut [libc::epoll_event],
    timeout: Option<Duration>,
) -> Result<usize, Errno> {
    let len = c_int::try_from(buf.len()).unwrap_or(c_int::MAX);
    let ts = timeout.map(timespec);
    let ts = ts.as_ref().map_or(ptr::null(), |ts| ts as *const _);
    let (call, mask) = (libc::SYS_epoll_pwait2, ptr::null::<u8>());
    // SAFETY: the kernel writes at most `len` events, and the buffer has room for them; `ts` is null or points to a
    // timespec that lives through the call; a null signal mask leaves the mask alone.
    check_size(unsafe { libc::syscall(call, epoll.0, buf.as_mut_ptr(), len, ts, mask, 0) } as isize)
}

/// Blocks until `fd` is ready for `events` (`POLLIN`, …), a signal comes or `timeout` is over;
/// without one, for as long as it takes. Returns what it is ready for, errors and hang-ups
/// included; 0 if for nothing.
pub(crate) fn ppoll(fd: RawFd, events: i16, timeout: Option<Duration>) -> Result<i16, Errno> {
    let mut pollfd = libc::pollfd { fd, events, revents: 0 };
    let ts = timeout.map(timespec);
    let ts = ts.as_ref().map_or(ptr::null(), |ts| ts as *const _);
    // SAFETY: one pollfd is passed and lives through the call; `ts` is null or points to a
    // timespec that does; a null signal mask leaves the mask alone.
    check(unsafe { libc::syscall(libc::SYS_ppoll, &mut pollfd, 1, ts, ptr::null::<u8>(), 0) }
        as c_int)?;
    Ok(pollfd.revents)
}

/// Whether `fd` is ready for `events`, or broken, now.
pub(crate) fn ppoll_now(fd: RawFd, events: i16) -> Result<bool, Errno> {
    match ppoll(fd, events, Some(Duration::ZERO)) {
        Ok(ready) => Ok(ready != 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A counter that is readable when it is not zero.
pub(crate) fn eventfd() -> Result<Descriptor, Errno> {
    let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
    // SAFETY: no pointer is passed.
    check(unsafe { libc::syscall(libc::SYS_eventfd2, 0, flags) } as c_int).map(Descriptor)
}

fn termination() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; both signal numbers are valid.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        set.assume_init()
    }
}

/// Stops SIGTERM and SIGINT from ending the process, and makes them readable instead.
pub(crate) fn termination_fd() -> Result<Descriptor, Errno> {
    let set = termination();
    // SAFETY: `set` is initialised, and the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) };
    // SAFETY: as above; -1 asks for a new descriptor.
    check(unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
        .map(Descriptor)
}

/// Lets SIGTERM and SIGINT end the process again.
pub(crate) fn restore_termination() {
    // SAFETY: the set is initialised, and the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &termination(), ptr::null_mut()) };
}

pub(crate) fn set_nonblocking(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: F_GETFL and F_SETFL take and return integers.
    unsafe {
        let flags = check(libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFL) as c_int)?;
        let flags = flags | libc::O_NONBLOCK;
        check(libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFL, flags) as c_int).map(drop)
    }
}

pub(crate) fn open_read(path: &core::ffi::CStr) -> Result<Descriptor, Errno> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path ends in a zero byte.
    check(unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) } as c_int)
        .map(Descriptor)
}

pub(crate) fn read(fd: RawFd, buf: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most the buffer's length.
    check_size(unsafe { libc::syscall(libc::SYS_read, fd, buf.as_mut_ptr(), buf.len()) } as isize)
}

pub(crate) fn write(fd: RawFd, buf: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads at most the buffer's length.
    check_size(unsafe { libc::syscall(libc::SYS_write, fd, buf.as_ptr(), buf.len()) } as isize)
}

pub(crate) fn getrandom(buf: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most the buffer's length.
    check_size(unsafe { libc::getrandom(buf.as_mut_ptr().cast(), buf.len(), 0) })
}

/// Ends the process; registered exit functions run first.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: the one thread that may call this is not inside an exit function already.
    unsafe { libc::exit(code) }
}

/// Bytes that `malloc` has given out, to whatever language.
pub(crate) fn allocated() -> usize {
    // SAFETY: no pointer is passed; the call takes the locks that it needs.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
