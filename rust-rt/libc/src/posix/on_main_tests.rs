//! Calls reach a socket only on the main stack, even if a thread makes them.

use alloc::rc::Rc;
use alloc::vec;
use core::ffi::c_int;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::ptr;

use super::address::Address;
use super::block_tests::{give_busy, is_on_main};
use super::epoll::{self, Event};
use super::events::Events;
use super::family::{AF_INET, Family, Type};
use super::object::{Object, Received, Shutdown, Socket};
use super::options::Options;
use super::parts::{Part, PartMut, Result, total};
use super::watch::Watchers;
use super::{io, poll, socket, socket_options, table, transfer};
use crate::layout::{PollFd, Stat};

/// A socket that is always ready, and insists on the main stack: IPv4's for TCP, or one of another kind.
#[derive(Default)]
struct Strict {
    other: Option<(Family, Type)>,
    options: Options,
    watchers: Watchers,
}

const NOWHERE: Address = Address::Inet(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)));

#[track_caller]
fn here<T>(value: T) -> T {
    assert!(is_on_main());
    value
}

impl Object for Strict {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        here(interest & (Events::IN | Events::OUT))
    }

    fn read(&self, _parts: &mut [PartMut]) -> Result<usize> {
        here(Ok(1))
    }

    fn write(&self, parts: &[Part]) -> Result<usize> {
        here(Ok(total(parts)))
    }

    fn stat(&self) -> Stat {
        Stat::socket()
    }

    fn available(&self) -> Result<usize> {
        here(Ok(1))
    }

    fn socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }
}

impl Socket for Strict {
    fn family(&self) -> Family {
        self.other.map_or(Family::Inet4, |(family, _)| family)
    }

    fn kind(&self) -> Type {
        self.other.map_or(Type::Stream, |(_, kind)| kind)
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn options_changed(&self) {
        here(());
    }

    fn bind(&self, _address: SocketAddr) -> Result {
        here(Ok(()))
    }

    fn listen(&self, _backlog: usize) -> Result {
        here(Ok(()))
    }

    fn accept(&self) -> Result<(Rc<dyn Object>, Address)> {
        here(Ok((Rc::new(Strict::default()), NOWHERE)))
    }

    fn connect(&self, _address: SocketAddr) -> Result {
        here(Ok(()))
    }

    fn disconnect(&self) -> Result {
        here(Ok(()))
    }

    fn receive(&self, _parts: &mut [PartMut], _peek: bool) -> Result<Received> {
        here(Ok(Received { bytes: 1, whole: 1, from: None }))
    }

    fn send(&self, parts: &[Part], _to: Option<SocketAddr>) -> Result<usize> {
        here(Ok(total(parts)))
    }

    fn shutdown(&self, _how: Shutdown) -> Result {
        here(Ok(()))
    }

    fn local(&self) -> Address {
        here(NOWHERE)
    }

    fn peer(&self) -> Result<Address> {
        here(Ok(NOWHERE))
    }

    fn is_listening(&self) -> bool {
        here(true)
    }

    fn take_error(&self) -> c_int {
        here(0)
    }
}

#[test]
fn every_call_asks_on_the_main_stack() {
    const SOL_SOCKET: c_int = 1;
    const SO_KEEPALIVE: c_int = 9;
    const SO_ACCEPTCONN: c_int = 30;
    const SO_ERROR: c_int = 4;
    const FIONREAD: u64 = 0x541b;
    give_busy();
    assert!(!is_on_main());
    let fd = table::insert_both(Rc::new(Strict::default()), 0).unwrap();
    let (mut address, mut length) = ([0u8; 16], 16);
    address[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
    let (at, n) = (address.as_mut_ptr().cast(), &raw mut length);
    let mut buf = [0u8; 4];
    let bytes = buf.as_mut_ptr().cast();
    let (mut word, mut size) = (1, 4);
    let value = (&raw mut word).cast();
    // SAFETY: every pointer is to a variable above that is as long as the call is told.
    let answers = unsafe {
        vec![
            socket::bind(fd, at, 16),
            socket::listen(fd, 8),
            socket::connect(fd, at, 16),
            socket::getsockname(fd, at, n),
            socket::getpeername(fd, at, n),
            socket_options::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, value, 4),
            socket_options::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, &raw mut size),
            socket_options::getsockopt(fd, SOL_SOCKET, SO_ERROR, value, &raw mut size),
            io::ioctl(fd, FIONREAD, &raw mut word),
            socket::shutdown(fd, 2),
        ]
    };
    assert_eq!(answers, [0; 10]);
    // SAFETY: as above.
    let sizes = unsafe {
        vec![
            transfer::recv(fd, bytes, 4, 0),
            transfer::send(fd, bytes, 4, 0),
            io::read(fd, bytes, 4),
            io::write(fd, bytes, 4),
        ]
    };
    assert_eq!(sizes, [1, 4, 1, 4]);
    // SAFETY: NULL is no address.
    let accepted = unsafe { socket::accept(fd, ptr::null_mut(), ptr::null_mut()) };
    let mut list = [PollFd { fd, events: 1, revents: 0 }];
    // SAFETY: one entry.
    assert_eq!(unsafe { poll::poll(list.as_mut_ptr(), 1, -1) }, 1);
    let set = epoll::epoll_create1(0);
    let mut event = Event { events: 1, data: 0 };
    // SAFETY: an event is read, and another one written.
    unsafe {
        assert_eq!(epoll::epoll_ctl(set, 1, fd, &raw const event), 0);
        assert_eq!(epoll::epoll_wait(set, &raw mut event, 1, -1), 1);
    }
    for fd in [set, accepted, fd] {
        assert_eq!(io::close(fd), 0);
    }
}

/// What options are at first, and after each of these calls, is what the host's kernel says of them.
#[test]
fn options_that_are_only_kept_are_the_hosts() {
    use host_libc as host;
    give_busy();
    let kinds = [
        (host::AF_INET, Family::Inet4, host::SOCK_DGRAM, Type::Datagram),
        (host::AF_INET6, Family::Inet6, host::SOCK_DGRAM, Type::Datagram),
    ];
    let options = [
        (host::IPPROTO_IP, host::IP_MULTICAST_TTL, &[-1, 0, 7, 255, 256][..]),
        (host::IPPROTO_IP, host::IP_MULTICAST_LOOP, &[0, 5]),
        (host::IPPROTO_IPV6, host::IPV6_MULTICAST_HOPS, &[-2, -1, 0, 255]),
        (host::IPPROTO_IPV6, host::IPV6_MULTICAST_LOOP, &[0, 1, 2]),
    ];
    for (domain, family, number, kind) in kinds {
        // SAFETY: no pointers.
        let theirs = unsafe { host::socket(domain, number, 0) };
        assert!(theirs >= 0);
        let strict = Strict { other: Some((family, kind)), ..Strict::default() };
        let ours = table::insert_both(Rc::new(strict), 0).unwrap();
        for (level, option, values) in options {
            // Here a socket of IPv6 has one value for both.
            if (level == host::IPPROTO_IPV6) != (family == Family::Inet6) {
                continue;
            }
            let compare = |after: Option<c_int>| {
                let (mut a, mut b, mut n, mut m) = (-9, -9, 4, 4);
                // SAFETY: both results are as long as the calls are told.
                let answers = unsafe {
                    (
                        socket_options::getsockopt(
                            ours,
                            level,
                            option,
                            (&raw mut a).cast(),
                            &mut n,
                        ),
                        host::getsockopt(theirs, level, option, (&raw mut b).cast(), &mut m),
                    )
                };
                assert_eq!((answers.0, a), (answers.1, b), "{domain} {option} after {after:?}");
            };
            compare(None);
            for value in values {
                let at = ptr::from_ref(value).cast();
                // SAFETY: four bytes are readable.
                let answers = unsafe {
                    (
                        socket_options::setsockopt(ours, level, option, at, 4),
                        host::setsockopt(theirs, level, option, at, 4),
                    )
                };
                assert_eq!(answers.0, answers.1, "{domain} {option} {value}");
                compare(Some(*value));
            }
        }
        io::close(ours);
        // SAFETY: nobody else has it.
        unsafe { host::close(theirs) };
    }
}
