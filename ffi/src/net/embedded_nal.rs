//! The traits of `embedded-nal-async`.
//!
//! ```
//! use embedded_nal_async::{AddrType, Dns, TcpConnect};
//! use mirust::net::embedded_nal::Network;
//!
//! async fn ask<N>(network: &N, name: &str) -> Option<()>
//! where
//!     N: TcpConnect + Dns,
//! {
//!     let ip = network.get_host_by_name(name, AddrType::Either).await.ok()?;
//!     let connection = network.connect((ip, 80).into()).await.ok()?;
//! #   drop(connection);
//!     Some(())
//! }
//!
//! # fn compiles() {
//! mirust::spawn(async { ask(&Network, "example.org").await });
//! # }
//! ```

use std::net::{IpAddr, SocketAddr};

use embedded_nal_async::{AddrType, ConnectedUdp, Dns, TcpConnect, UdpStack, UnconnectedUdp};

use super::{Error, TcpStream, UdpSocket, lookup_host};

/// The stack that OCaml serves.
#[derive(Clone, Copy, Default, Debug)]
pub struct Network;

impl TcpConnect for Network {
    type Error = Error;
    type Connection<'a> = TcpStream;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpStream, Error> {
        TcpStream::connect(remote).await
    }
}

/// Addresses of names. Names of addresses are not looked up: that is [`Error::NotFound`].
impl Dns for Network {
    type Error = Error;

    async fn get_host_by_name(&self, host: &str, kind: AddrType) -> Result<IpAddr, Error> {
        let found = lookup_host(host, 0).await?;
        let suits = |ip: &IpAddr| match kind {
            AddrType::IPv4 => ip.is_ipv4(),
            AddrType::IPv6 => ip.is_ipv6(),
            AddrType::Either => true,
        };
        found.iter().map(SocketAddr::ip).find(suits).ok_or(Error::NotFound)
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Error> {
        Err(Error::NotFound)
    }
}

/// A socket is bound to the address that it is given, unspecified or not, and a port: the stack picks
/// the source address of each datagram, and does not say which of our addresses one was sent to.
impl UdpStack for Network {
    type Error = Error;
    type Connected = UdpSocket;
    type UniquelyBound = UdpSocket;
    type MultiplyBound = UdpSocket;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, UdpSocket), Error> {
        let (local, socket) = self.bind_single(local).await?;
        socket.connect(remote);
        Ok((local, socket))
    }

    async fn bind_single(&self, local: SocketAddr) -> Result<(SocketAddr, UdpSocket), Error> {
        let socket = UdpSocket::bind(local)?;
        Ok((socket.local_addr()?, socket))
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        UdpSocket::bind(local)
    }
}

impl ConnectedUdp for UdpSocket {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        UdpSocket::send(self, data).await
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.peer_addr().ok_or(Error::NotConnected)?;
        self.receive_whole(buffer).await.map(|(n, _)| n)
    }
}

impl UnconnectedUdp for UdpSocket {
    type Error = Error;

    /// `local` is the address that the socket is bound to, or unspecified.
    async fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        data: &[u8],
    ) -> Result<(), Error> {
        debug_assert!(
            local.port() == 0 || Ok(local.port()) == self.local_addr().map(|a| a.port()),
            "a datagram from another port than the socket's"
        );
        self.send_to(data, remote).await
    }

    async fn receive_into(
        &mut self,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        let (n, remote) = self.receive_whole(buffer).await?;
        Ok((n, self.local_addr()?, remote))
    }
}

impl UdpSocket {
    /// A datagram, as much of it as fits; its whole length, and its source.
    async fn receive_whole(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let (datagram, source) = self.recv_chunk().await?;
        super::udp::copy(&datagram, buffer);
        Ok((datagram.len(), source))
    }
}
