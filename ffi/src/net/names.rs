//! Names to addresses, and the domain's own.

use std::net::{IpAddr, SocketAddr};

use super::{Error, address, serve};

/// The addresses of a host, with `port`. A numeric address stands for itself; for everything else the name
/// servers announced by DHCP or router advertisements are asked.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn lookup_host(name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let names = serve::names()?;
    let promise = serve::start(&names.resolve, (name,));
    let found: Vec<Vec<u8>> = serve::reply(promise.await, |_, list| list.to_rust())?;
    let addresses = found.iter().filter_map(|bytes| address::decode(bytes));
    Ok(addresses.map(|found| SocketAddr::new(found.ip(), port)).collect())
}

/// The name servers from DHCP, router advertisements or boot parameters; none without a stack.
pub fn name_servers() -> Vec<IpAddr> {
    let Ok(names) = serve::names() else { return Vec::new() };
    let found: Result<Vec<Vec<u8>>, Error> =
        serve::call(&names.servers, ((),), |list| list.to_rust());
    let addresses = found.unwrap_or_default().into_iter();
    addresses.filter_map(|bytes| address::decode(&bytes)).map(|server| server.ip()).collect()
}

/// The device that the stack is on, as it is at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its address on the link.
    pub mac: [u8; 6],
    /// The domain's own addresses, each with the bits of its prefix, IPv6 last. By DHCP or router advertisements they
    /// come and go.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// The domain's own addresses; nothing without a stack.
pub fn interface() -> Option<Interface> {
    let names = serve::names().ok()?;
    let found: Vec<Vec<u8>> = serve::call(&names.interface, ((),), |list| list.to_rust()).ok()?;
    let (mac, addresses) = found.split_first()?;
    let own = |bytes: &Vec<u8>| {
        let address = address::decode(bytes)?;
        Some((address.ip(), u8::try_from(address.port()).ok()?))
    };
    Some(Interface {
        mac: mac.as_slice().try_into().ok()?,
        addresses: addresses.iter().filter_map(own).collect(),
    })
}
