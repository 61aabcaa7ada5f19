//! Names to addresses.

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
