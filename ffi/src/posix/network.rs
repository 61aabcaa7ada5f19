//! The network of the descriptors: the OCaml stack.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use mirust_rt::libc::posix::{Family, Interface, Network, Object, ResolveError, Resolving};

use super::{tcp, udp};
use crate::net;

/// What sockets and names are made of.
pub(super) const NETWORK: Network =
    Network { tcp, udp, resolve, name_servers: net::name_servers, interface };

fn tcp(family: Family) -> Rc<dyn Object> {
    Rc::new(tcp::TcpSocket::new(family))
}

fn udp(family: Family) -> Rc<dyn Object> {
    Rc::new(udp::Socket::new(family))
}

fn interface() -> Option<Interface> {
    let net::Interface { mac, addresses } = net::interface()?;
    Some(Interface { mac, addresses })
}

fn resolve(name: &str) -> Resolving {
    let name = name.to_owned();
    Box::pin(async move {
        match net::lookup_host(&name, 0).await {
            Ok(found) => Ok(found.iter().map(SocketAddr::ip).collect::<Vec<IpAddr>>()),
            Err(net::Error::NotFound) => Err(ResolveError::NotFound),
            Err(_) => Err(ResolveError::Unavailable),
        }
    })
}
