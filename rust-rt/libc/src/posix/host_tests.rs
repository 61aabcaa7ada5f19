//! The same calls here and on the host's kernel, for tests that compare them.

use alloc::vec::Vec;
use core::ffi::{c_int, c_short, c_ulong, c_void};
use core::fmt::Debug;

use super::epoll::Event;
use super::table::O_NONBLOCK;
use super::{epoll, eventfd, io, pipe, poll, socket, socket_options, timer, transfer};
use crate::errno;
use crate::layout::PollFd;

/// C functions by one of two implementations. An error is its number, negative.
pub(super) struct C {
    pub(super) kernel: bool,
}

/// Runs `f` with ours and with the host's, and compares what it returns. Descriptors do not have the
/// same numbers, so it must not return any.
pub(super) fn same<R: Debug + PartialEq>(f: impl Fn(&C) -> R) {
    let (ours, kernels) = (f(&C { kernel: false }), f(&C { kernel: true }));
    assert_eq!(ours, kernels, "ours, and the kernel's");
}

macro_rules! either {
    ($self:ident, $ours:expr, $kernels:expr) => {{
        // SAFETY: the arguments are as the function wants them; the buffers are the caller's slices.
        #[allow(unused_unsafe)]
        let (result, errno) = unsafe {
            if $self.kernel {
                ($kernels as i64, *host_libc::__errno_location())
            } else {
                ($ours as i64, errno::get())
            }
        };
        if result < 0 { -i64::from(errno) } else { result }
    }};
}

pub(super) use either;

impl C {
    pub(super) fn eventfd(&self, value: u32, flags: c_int) -> c_int {
        either!(self, eventfd::eventfd(value, flags), host_libc::eventfd(value, flags)) as c_int
    }

    pub(super) fn timerfd(&self, clock: c_int, flags: c_int) -> c_int {
        either!(self, timer::timerfd_create(clock, flags), host_libc::timerfd_create(clock, flags))
            as c_int
    }

    /// Two numbers, or an error and 0.
    pub(super) fn pipe(&self, flags: c_int) -> [c_int; 2] {
        let mut fds = [0; 2];
        let result = either!(
            self,
            pipe::pipe2(&raw mut fds, flags),
            host_libc::pipe2(fds.as_mut_ptr(), flags)
        );
        if result < 0 { [result as c_int, 0] } else { fds }
    }

    pub(super) fn socketpair(&self, kind: c_int, flags: c_int) -> [c_int; 2] {
        let mut fds = [0; 2];
        let kind = kind | flags & O_NONBLOCK;
        let result = either!(
            self,
            socket::socketpair(1, kind, 0, &raw mut fds),
            host_libc::socketpair(1, kind, 0, fds.as_mut_ptr())
        );
        if result < 0 { [result as c_int, 0] } else { fds }
    }

    /// SO_TYPE, or an error.
    pub(super) fn type_of(&self, fd: c_int) -> i64 {
        let (mut kind, mut length) = (0 as c_int, 4);
        let (value, size) = ((&raw mut kind).cast::<c_void>(), &raw mut length);
        let result = either!(
            self,
            socket_options::getsockopt(fd, 1, 3, value, size),
            host_libc::getsockopt(fd, 1, 3, value, size)
        );
        if result < 0 { result } else { i64::from(kind) }
    }

    pub(super) fn socket(&self, kind: c_int) -> c_int {
        either!(self, socket::socket(1, kind, 0), host_libc::socket(1, kind, 0)) as c_int
    }

    /// Binds, connects or sends `n` bytes to a UNIX-domain socket of this name, with these bytes of `sun_path`.
    pub(super) fn with_name(&self, call: &str, fd: c_int, name: &[u8]) -> i64 {
        let address = [&[1, 0], name].concat();
        let (at, n) = (address.as_ptr().cast::<c_void>(), address.len() as u32);
        match call {
            "bind" => either!(self, socket::bind(fd, at, n), host_libc::bind(fd, at.cast(), n)),
            "connect" => {
                either!(self, socket::connect(fd, at, n), host_libc::connect(fd, at.cast(), n))
            }
            message => {
                let (text, length) = (message.as_ptr().cast::<c_void>(), message.len());
                either!(
                    self,
                    transfer::sendto(fd, text, length, 0, at, n),
                    host_libc::sendto(fd, text.cast(), length, 0, at.cast(), n)
                )
            }
        }
    }

    pub(super) fn listen(&self, fd: c_int, backlog: c_int) -> i64 {
        either!(self, socket::listen(fd, backlog), host_libc::listen(fd, backlog))
    }

    /// A number, and the peer's address.
    pub(super) fn accept(&self, fd: c_int) -> (c_int, Vec<u8>) {
        self.addressed(|at, n| {
            let flags = O_NONBLOCK;
            either!(
                self,
                socket::accept4(fd, at, n, flags),
                host_libc::accept4(fd, at.cast(), n, flags)
            ) as c_int
        })
    }

    /// A message, or an error, and who sent it.
    pub(super) fn receive_from(&self, fd: c_int, buf: &mut [u8]) -> (c_int, Vec<u8>) {
        let (to, size) = (buf.as_mut_ptr().cast::<c_void>(), buf.len());
        self.addressed(|at, n| {
            either!(
                self,
                transfer::recvfrom(fd, to, size, 0, at, n),
                host_libc::recvfrom(fd, to.cast(), size, 0, at.cast(), n)
            ) as c_int
        })
    }

    /// The address of a socket, or of its peer.
    pub(super) fn name(&self, fd: c_int, peer: bool) -> (c_int, Vec<u8>) {
        self.addressed(|at, n| {
            if peer {
                either!(
                    self,
                    socket::getpeername(fd, at, n),
                    host_libc::getpeername(fd, at.cast(), n)
                ) as c_int
            } else {
                either!(
                    self,
                    socket::getsockname(fd, at, n),
                    host_libc::getsockname(fd, at.cast(), n)
                ) as c_int
            }
        })
    }

    fn addressed(&self, f: impl FnOnce(*mut c_void, *mut u32) -> c_int) -> (c_int, Vec<u8>) {
        let (mut address, mut n) = ([0u8; 128], 128);
        let result = f(address.as_mut_ptr().cast(), &raw mut n);
        let n = if result < 0 { 0 } else { n as usize };
        (result, address[..n].to_vec())
    }

    pub(super) fn is_host(&self) -> bool {
        self.kernel
    }

    pub(super) fn read(&self, fd: c_int, buf: &mut [u8]) -> i64 {
        let (at, n) = (buf.as_mut_ptr().cast::<c_void>(), buf.len());
        either!(self, io::read(fd, at, n), host_libc::read(fd, at.cast(), n))
    }

    pub(super) fn pread(&self, fd: c_int, buf: &mut [u8]) -> i64 {
        let (at, n) = (buf.as_mut_ptr().cast::<c_void>(), buf.len());
        either!(self, io::pread64(fd, at, n, 0), host_libc::pread64(fd, at.cast(), n, 0))
    }

    pub(super) fn write(&self, fd: c_int, bytes: &[u8]) -> i64 {
        let (at, n) = (bytes.as_ptr().cast::<c_void>(), bytes.len());
        // SIGPIPE is ignored by the test harness, as by every program of Rust.
        either!(self, io::write(fd, at, n), host_libc::write(fd, at.cast(), n))
    }

    pub(super) fn recv(&self, fd: c_int, buf: &mut [u8], flags: c_int) -> i64 {
        let (at, n) = (buf.as_mut_ptr().cast::<c_void>(), buf.len());
        either!(self, transfer::recv(fd, at, n, flags), host_libc::recv(fd, at.cast(), n, flags))
    }

    pub(super) fn shutdown(&self, fd: c_int, how: c_int) -> i64 {
        either!(self, socket::shutdown(fd, how), host_libc::shutdown(fd, how))
    }

    pub(super) fn close(&self, fd: c_int) -> i64 {
        either!(self, io::close(fd), host_libc::close(fd))
    }

    pub(super) fn dup(&self, fd: c_int) -> i64 {
        either!(self, io::dup(fd), host_libc::dup(fd))
    }

    pub(super) fn dup3(&self, fd: c_int, to: c_int, flags: c_int) -> i64 {
        either!(self, io::dup3(fd, to, flags), host_libc::dup3(fd, to, flags))
    }

    pub(super) fn lseek(&self, fd: c_int, offset: i64, whence: c_int) -> i64 {
        either!(self, io::lseek64(fd, offset, whence), host_libc::lseek64(fd, offset, whence))
    }

    pub(super) fn fcntl(&self, fd: c_int, command: c_int, argument: c_int) -> i64 {
        either!(
            self,
            // SAFETY: commands whose argument is a number.
            unsafe { io::fcntl(fd, command, argument as c_ulong) },
            host_libc::fcntl(fd, command, argument)
        )
    }

    pub(super) fn fionread(&self, fd: c_int) -> i64 {
        let mut n: c_int = -1;
        let at = &raw mut n;
        let result =
            either!(self, io::ioctl(fd, 0x541b, at), host_libc::ioctl(fd, host_libc::FIONREAD, at));
        if result < 0 { result } else { n.into() }
    }

    pub(super) fn fionbio(&self, fd: c_int, mut on: c_int) -> i64 {
        let at = &raw mut on;
        either!(self, io::ioctl(fd, 0x5421, at), host_libc::ioctl(fd, host_libc::FIONBIO, at))
    }

    /// What one descriptor is ready for now.
    pub(super) fn poll(&self, fd: c_int, events: c_short) -> i64 {
        self.poll_list(&mut [(fd, events)]).1[0].into()
    }

    /// The result, and what each is ready for now.
    pub(super) fn poll_list(&self, list: &mut [(c_int, c_short)]) -> (i64, Vec<c_short>) {
        let mut entries: Vec<PollFd> =
            list.iter().map(|&(fd, events)| PollFd { fd, events, revents: 0 }).collect();
        let (at, n) = (entries.as_mut_ptr(), entries.len() as c_ulong);
        let result = either!(self, poll::poll(at, n, 0), host_libc::poll(at.cast(), n, 0));
        (result, entries.iter().map(|entry| entry.revents).collect())
    }

    pub(super) fn epoll(&self) -> c_int {
        either!(self, epoll::epoll_create1(0), host_libc::epoll_create1(0)) as c_int
    }

    pub(super) fn epoll_ctl(
        &self,
        set: c_int,
        operation: c_int,
        fd: c_int,
        events: u32,
        data: u64,
    ) -> i64 {
        let event = Event { events, data };
        let at = &raw const event;
        either!(
            self,
            epoll::epoll_ctl(set, operation, fd, at),
            host_libc::epoll_ctl(set, operation, fd, at.cast_mut().cast())
        )
    }

    /// What is ready now, in the order of the data.
    pub(super) fn epoll_wait(&self, set: c_int, most: usize) -> (i64, Vec<(u64, u32)>) {
        let mut events = alloc::vec![Event { events: 0, data: 0 }; most];
        let (at, n) = (events.as_mut_ptr(), most as c_int);
        let result = either!(
            self,
            epoll::epoll_wait(set, at, n, 0),
            host_libc::epoll_wait(set, at.cast(), n, 0)
        );
        let found = events.iter().take(result.max(0) as usize);
        let mut found: Vec<_> = found.map(|event| (event.data, event.events)).collect();
        found.sort();
        (result, found)
    }
}
