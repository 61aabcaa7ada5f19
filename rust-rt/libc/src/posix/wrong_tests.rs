//! Arguments that no correct program has: NULL, lengths that cannot be. They get the kernel's errors, and end no
//! domain.

use alloc::vec;
use alloc::vec::Vec;
use core::ffi::{c_int, c_uint, c_void};
use core::ptr::{null, null_mut};

use super::host_tests::{C, either, same};
use super::parts::{Part, PartMut};
use super::{
    block_tests, epoll, io, messages, pipe, poll, socket, socket_options, timer, transfer,
};
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
            transfer::recvmsg(b, null_mut(), 0),
            host_libc::recvmsg(b, null_mut(), 0)
        ));
        log.push(either!(c, transfer::sendmsg(a, null(), 0), host_libc::sendmsg(a, null(), 0)));
        log.extend([c.close(a), c.close(b)]);
        log
    });
}

/// `struct mmsghdr` with one part, and what its length is before.
fn message(part: &mut Vector) -> host_libc::mmsghdr {
    // SAFETY: zeroes are valid for it.
    let mut one: host_libc::mmsghdr = unsafe { core::mem::zeroed() };
    one.msg_hdr.msg_iov = core::ptr::from_mut(part).cast();
    one.msg_hdr.msg_iovlen = 1;
    one.msg_len = 99;
    one
}

fn receive(
    c: &C,
    fd: c_int,
    list: &mut [host_libc::mmsghdr],
    flags: c_int,
    limit: *mut host_libc::timespec,
) -> i64 {
    let (at, n) = (list.as_mut_ptr(), list.len() as c_uint);
    either!(
        c,
        messages::recvmmsg(fd, at.cast(), n, flags, limit.cast()),
        host_libc::recvmmsg(fd, at, n, flags, limit)
    )
}

#[test]
fn lists_of_messages_are_checked() {
    same(|c| {
        let [a, b] = c.socketpair(2, 0o4000);
        let none = null_mut();
        let mut log = vec![c.write(a, b"one")];
        for (fd, n) in [(b, 1), (b, 0), (-1, 0), (-1, 1)] {
            log.push(either!(
                c,
                messages::recvmmsg(fd, null_mut(), n, 0, none),
                host_libc::recvmmsg(fd, null_mut(), n, 0, null_mut())
            ));
            log.push(either!(
                c,
                messages::sendmmsg(fd, null_mut(), n, 0),
                host_libc::sendmmsg(fd, null_mut(), n, 0)
            ));
        }
        let event = c.eventfd(0, 0);
        log.push(receive(c, event, &mut [], 0, null_mut()));
        log.extend([c.close(event), c.close(a), c.close(b)]);
        log
    });
}

#[test]
fn a_time_limit_ends_a_list_of_messages() {
    block_tests::give_busy();
    same(|c| {
        let [a, b] = c.socketpair(2, 0);
        let mut log = Vec::new();
        for (seconds, nanoseconds) in [(0, 0), (1000, 0), (0, -1), (-1, 0), (0, 1_000_000_000)] {
            log.extend([c.write(a, b"one"), c.write(a, b"three")]);
            let mut limit = host_libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
            let mut buffers = [[0u8; 8]; 3];
            let mut parts = buffers.each_mut().map(|buf| [buf.as_mut_ptr().expose_provenance(), 8]);
            let mut list = parts.each_mut().map(message);
            // MSG_WAITFORONE.
            log.push(receive(c, b, &mut list, 0x10000, &raw mut limit));
            log.extend(list.map(|one| i64::from(one.msg_len)));
            log.push(i64::from(limit.tv_sec > 990));
            log.push(i64::from(limit.tv_sec == seconds && limit.tv_nsec == nanoseconds));
            while c.recv(b, &mut [0; 8], 0x40) > 0 {}
        }
        log.extend([c.close(a), c.close(b)]);
        log
    });
}

/// The first call has messages to report, the second one the error that ended it.
#[test]
fn an_error_behind_messages_is_reported_later() {
    same(|c| {
        let [a, b] = c.socketpair(2, 0o4000);
        let mut log = vec![c.write(a, b"one"), c.write(a, b"two")];
        let mut buffer = [0u8; 8];
        let mut good = [buffer.as_mut_ptr().expose_provenance(), 8];
        // No part is as long as that.
        let mut bad = [0usize, usize::MAX];
        let mut list = [message(&mut good), message(&mut bad)];
        log.push(receive(c, b, &mut list, 0, null_mut()));
        log.extend(list.map(|one| i64::from(one.msg_len)));
        log.extend([c.poll(b, 1), receive(c, b, &mut list[..1], 0, null_mut())]);
        log.extend([receive(c, b, &mut list[..1], 0, null_mut()), c.close(a), c.close(b)]);
        log
    });
}

/// Sends a byte with control data of this length, level and type, of which this many bytes are there.
fn send_with(c: &C, fd: c_int, header: [c_int; 4], length: usize) -> i64 {
    let control = [header, [0; 4]];
    let mut byte = *b"x";
    let mut part = [byte.as_mut_ptr().expose_provenance(), 1];
    let mut one = message(&mut part).msg_hdr;
    one.msg_control = control.as_ptr().cast_mut().cast();
    one.msg_controllen = length;
    let at = &raw const one;
    either!(c, transfer::sendmsg(fd, at.cast(), 0), host_libc::sendmsg(fd, at, 0))
}

#[test]
fn control_data_is_checked_and_descriptors_are_refused() {
    same(|c| {
        let [a, b] = c.socketpair(1, 0o4000);
        let mut log = Vec::new();
        for (header, length) in [
            ([15, 0, 1, 1], 32),
            ([24, 0, 1, 1], 20),
            ([24, 0, 1, 77], 32),
            ([20, 0, 9, 1], 32),
            ([20, 0, 9, 1], 8),
            ([0; 4], 0),
        ] {
            log.push(send_with(c, a, header, length));
        }
        log.extend([c.close(a), c.close(b)]);
        log
    });
    let ours = C { kernel: false };
    let [a, b] = ours.socketpair(1, 0o4000);
    assert_eq!(send_with(&ours, a, [20, 0, 1, 1], 24), -i64::from(errno::EOPNOTSUPP));
    assert_eq!(ours.read(b, &mut [0]), -i64::from(errno::EAGAIN));
    assert_eq!((ours.close(a), ours.close(b)), (0, 0));
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
        // The host's numbers are those of all tests, which run meanwhile.
        log.push(if c.is_host() { 1 } else { after - before });
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
