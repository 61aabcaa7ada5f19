//! The network that the image gives.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::{self, Write};
use core::future::Future;
use core::net::IpAddr;
use core::pin::Pin;

use super::block::on_main;
use super::family::Family;
use super::local::local;
use super::object::Object;

/// Why a name has no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResolveError {
    /// There is none of that name.
    NotFound,
    /// Nobody answered.
    Unavailable,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResolveError::NotFound => "no address of that name",
            ResolveError::Unavailable => "no name server answered",
        })
    }
}

impl core::error::Error for ResolveError {}

/// The addresses of a name, some time.
pub type Resolving = Pin<Box<dyn Future<Output = core::result::Result<Vec<IpAddr>, ResolveError>>>>;

/// What gives sockets that reach others. Without it there are only pairs.
#[derive(Clone, Copy)]
pub struct Network {
    /// A socket for TCP.
    pub tcp: fn(Family) -> Rc<dyn Object>,
    /// A socket for UDP.
    pub udp: fn(Family) -> Rc<dyn Object>,
    /// Asks for the addresses of a name.
    pub resolve: fn(&str) -> Resolving,
    /// The name servers.
    pub name_servers: fn() -> Vec<IpAddr>,
    /// The interface that others are reached by; nothing if there is none.
    pub interface: fn() -> Option<Interface>,
}

/// A network interface, as it is at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its address on the link.
    pub mac: [u8; 6],
    /// The domain's own addresses, each with the bits of its prefix.
    pub addresses: Vec<(IpAddr, u8)>,
}

local! {
    static NETWORK: Cell<Option<Network>> = Cell::new(None);
}

/// Gives the network, before the program begins.
pub fn give_network(network: Network) {
    NETWORK.with(|given| given.set(Some(network)));
}

pub(super) fn network() -> Option<Network> {
    NETWORK.with(Cell::get)
}

/// What `/etc/hosts` is if nobody brought one.
pub(super) const HOSTS: &[u8] = b"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// What `/etc/resolv.conf` is if nobody brought one: the name servers that the stack knows.
pub(super) fn resolver_configuration() -> Vec<u8> {
    let servers = network().map_or(Vec::new(), |network| on_main(network.name_servers));
    let mut text = String::new();
    for server in servers {
        // A string can be written to.
        let _ = writeln!(text, "nameserver {server}");
    }
    text.into_bytes()
}
