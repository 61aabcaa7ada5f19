//! No call asks a socket anywhere but on the main stack: whoever makes it may be a thread.

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
use super::{io, poll, socket, socket_options, table};
use crate::layout::{PollFd, Stat};

/// A socket that is always ready, and insists on the main stack.
#[derive(Default)]
struct Strict {
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
        Family::Inet4
    }

    fn kind(&self) -> Type {
        Type::Stream
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
            socket::recv(fd, bytes, 4, 0),
            socket::send(fd, bytes, 4, 0),
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
