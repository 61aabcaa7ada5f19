//! Addresses as they cross: the bytes of the address and of the port, in network order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) fn encode(address: SocketAddr) -> Vec<u8> {
    let mut bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend(address.port().to_be_bytes());
    bytes
}

/// Nothing if it has neither the length of an IPv4 address nor that of an IPv6 address.
pub(super) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip = match ip.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn bytes_in_network_order() {
        let v4 = "10.0.0.2:8080".parse().expect("an address");
        assert_eq!(encode(v4), [10, 0, 0, 2, 0x1f, 0x90]);
        let v6 = "[fe80::2]:1".parse().expect("an address");
        let bytes = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        assert_eq!(encode(v6), bytes);
        assert_eq!(decode(&encode(v4)), Some(v4));
        assert_eq!(decode(&bytes), Some(v6));
    }

    #[test]
    fn other_lengths_are_no_addresses() {
        for n in (0..20).filter(|n| ![6, 18].contains(n)) {
            assert_eq!(decode(&vec![0; n]), None, "{n}");
        }
    }
}
