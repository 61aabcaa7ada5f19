//! Kinds of sockets, and their numbers.

use core::ffi::c_int;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `AF_UNIX`, `AF_INET`, `AF_INET6`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Within the domain: pairs, and names that are files or abstract.
    Unix,
    /// IPv4.
    Inet4,
    /// IPv6, and IPv4 as well where an address is unspecified.
    Inet6,
}

impl Family {
    /// The address of a socket that has none.
    pub fn unspecified(self) -> SocketAddr {
        let ip: IpAddr = match self {
            Family::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            Family::Unix | Family::Inet4 => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, 0)
    }
}

/// `SOCK_STREAM`, `SOCK_DGRAM`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// Bytes in order.
    Stream,
    /// Messages.
    Datagram,
}

pub(super) const AF_UNSPEC: c_int = 0;
pub(super) const AF_UNIX: c_int = 1;
pub(super) const AF_INET: c_int = 2;
pub(super) const AF_INET6: c_int = 10;
pub(super) const SOCK_STREAM: c_int = 1;
pub(super) const SOCK_DGRAM: c_int = 2;
pub(super) const SOCK_SEQPACKET: c_int = 5;
pub(super) const IPPROTO_TCP: c_int = 6;
pub(super) const IPPROTO_UDP: c_int = 17;
