//! Arguments that no correct program has: NULL, lengths that cannot be. They get the kernel's errors, and end no domain.

use alloc::vec;
use alloc::vec::Vec;
use core::ffi::{c_int, c_uint, c_void};
use core::ptr::{null, null_mut};

use super::host_tests::{C, either, same};
use super::parts::{Part, PartMut};
use super::{epoll, io, pipe, poll, socket, socket_options, timer};
use crate::errno;
use crate::layout::PollFd;

/// `struct iovec`.
type Vector = [usize; 2];

fn readv(c: &C, fd: c_int, list: &mut [Vector]) -> i64 {
    let (at, n) = (list.as_mut_ptr(), list.len() as c_int);
    either!(c, io::readv(fd, at.cast::<PartMut>(), n), host_libc::readv(fd, at.cast(), n))
}

fn writev(c: &C, fd: c_int, list: &[Vector]) -> i64 {
    let (at, n) = (list.as_ptr(), list.len() as c_int);
    either!(c, io::writev(fd, at.cast::<Part>(), n), host_libc::writev(fd, at.cast(), n))
}

#[test]
fn memory_that_is_none_is_refused() {
    same(|c| {
        let [a, b] = c.socketpair(1, 0o4000);
        let mut byte = 0u8;
        let at = (&raw mut byte).expose_provenance();
        let mut log = vec![c.write(a, b"xyz")];
        log.push(readv(c, b, &mut [[0, 1]]));
        log.push(readv(c, b, &mut [[at, usize::MAX]]));
        log.push(readv(c, b, &mut [[at, 1], [at, 1 << 63]]));
        log.push(readv(c, b, &mut [[at, 1], [0, 0]]));
        log.push(writev(c, a, &[[0, 1]]));
        log.push(writev(c, a, &[[at, 1 << 63]]));
        log.push(either!(c, io::write(a, null(), 1), host_libc::write(a, null(), 1)));
        log.push(either!(c, io::write(a, null(), 0), host_libc::write(a, null(), 0)));
        let p = (&raw mut byte).cast::<c_void>();
        log.push(either!(c, io::read(b, p, usize::MAX), host_libc::read(b, p, usize::MAX)));
        log.push(either!(c, io::readv(b, null_mut(), 1), host_libc::readv(b, null(), 1)));
        log.push(either!(
            c,
            socket::recvmsg(b, null_mut(), 0),
            host_libc::recvmsg(b, null_mut(), 0)
        ));
        log.push(either!(c, socket::sendmsg(a, null(), 0), host_libc::sendmsg(a, null(), 0)));
        log.extend([c.close(a), c.close(b)]);
        log
    });
}

#[test]
fn nowhere_to_answer_is_an_error_and_leaves_nothing_open() {
    same(|c| {
        let before = c.dup(c.eventfd(0, 0));
        let mut log: Vec<i64> = vec![
            either!(c, pipe::pipe2(null_mut(), 0), host_libc::pipe2(null_mut(), 0)),
            either!(
                c,
                socket::socketpair(1, 1, 0, null_mut()),
                host_libc::socketpair(1, 1, 0, null_mut())
            ),
        ];
        let after = c.dup(before as c_int);
        log.push(after - before);
        let t = c.timerfd(1, 0);
        log.push(either!(
            c,
            timer::timerfd_settime(t, 0, null(), null_mut()),
            host_libc::timerfd_settime(t, 0, null(), null_mut())
        ));
        log.push(either!(
            c,
            timer::timerfd_gettime(t, null_mut()),
            host_libc::timerfd_gettime(t, null_mut())
        ));
        let set = c.epoll();
        log.push(either!(
            c,
            epoll::epoll_wait(set, null_mut(), -1, 0),
            host_libc::epoll_wait(set, null_mut(), -1, 0)
        ));
        log.push(either!(
            c,
            poll::poll(null_mut::<PollFd>(), 1 << 31, 0),
            host_libc::poll(null_mut(), 1 << 31, 0)
        ));
        log.push(either!(c, io::fstat64(t, null_mut()), host_libc::fstat64(t, null_mut())));
        log.extend([after as c_int, before as c_int, t, set].map(|fd| c.close(fd)));
        log
    });
}

#[test]
fn lengths_of_addresses_and_options_that_cannot_be() {
    same(|c| {
        let [a, b] = c.socketpair(1, 0);
        let bytes = [1u8; 200];
        let p = bytes.as_ptr().cast::<c_void>();
        let mut log = Vec::new();
        for length in [0, 129, c_uint::MAX] {
            log.push(either!(c, socket::bind(a, p, length), host_libc::bind(a, p.cast(), length)));
        }
        for length in [3, c_uint::MAX] {
            log.push(either!(
                c,
                socket_options::setsockopt(a, 1, 9, p, length),
                host_libc::setsockopt(a, 1, 9, p, length)
            ));
            let (mut out, mut n) = ([0u8; 200], length);
            let (to, at) = (out.as_mut_ptr().cast::<c_void>(), &raw mut n);
            log.push(either!(
                c,
                socket_options::getsockopt(a, 1, 9, to, at),
                host_libc::getsockopt(a, 1, 9, to, at)
            ));
            log.push(either!(
                c,
                socket::getsockname(a, to, at),
                host_libc::getsockname(a, to.cast(), at)
            ));
        }
        log.extend([c.close(a), c.close(b)]);
        log
    });
}
