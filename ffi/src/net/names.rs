//! Names to addresses.

use std::net::{IpAddr, SocketAddr};

use super::{Error, address, serve};

/// The addresses of a host, with `port`. A name that is an address is that address; everything else
/// is asked of the name servers that DHCP or router advertisements said.
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
