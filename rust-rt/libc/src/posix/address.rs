//! Socket addresses as C has them.

use core::ffi::{c_int, c_uint, c_void};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::family::{AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, Family};
use super::parts::{Errno, Result};
use crate::errno::{EAFNOSUPPORT, EFAULT, EINVAL};

/// Whose address it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address {
    /// A UNIX-domain socket without a name.
    Unnamed,
    /// The name of a UNIX-domain socket.
    Local(Name),
    /// An address of the network.
    Inet(SocketAddr),
}

/// The name of a UNIX-domain socket: a path, or, if it begins with a zero, an abstract one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    bytes: [u8; LOCAL - 2],
    length: u8,
}

impl core::fmt::Debug for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.bytes().escape_ascii())
    }
}

impl Name {
    /// # Errors
    ///
    /// EINVAL for more bytes than `sun_path` has.
    pub(super) fn of(name: &[u8]) -> Result<Name> {
        let mut bytes = [0; LOCAL - 2];
        bytes.get_mut(..name.len()).ok_or(Errno(EINVAL))?.copy_from_slice(name);
        Ok(Name { bytes, length: name.len() as u8 })
    }

    /// The whole name, of a path without the zero at its end.
    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The path, if it is one.
    pub(super) fn path(&self) -> Option<&[u8]> {
        Some(self.bytes()).filter(|bytes| bytes.first() != Some(&0))
    }
}

/// What a C caller says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// AF_UNSPEC.
    Nothing,
    /// An address of the network.
    Inet(SocketAddr),
    /// AF_UNIX, without a name if it does not matter which.
    Local(Option<Name>),
}

/// Bytes of the longest address, `struct sockaddr_un`.
const LONGEST: usize = LOCAL;
/// Bytes of `struct sockaddr_un`.
const LOCAL: usize = 110;
/// Bytes of the longest address of the network, `struct sockaddr_in6`.
pub(super) const INET6: usize = 28;
/// Bytes of `struct sockaddr_storage`: no address is longer.
const STORAGE: usize = 128;
/// Bytes of `struct sockaddr_in`.
const INET: usize = 16;

/// An address of a C caller.
///
/// # Safety
///
/// NULL, or `length` bytes are readable there.
pub(super) unsafe fn read(address: *const c_void, length: c_uint) -> Result<Said> {
    if address.is_null() {
        return Err(Errno(EFAULT));
    }
    let length = length as usize;
    if !(2..=STORAGE).contains(&length) {
        return Err(Errno(EINVAL));
    }
    // SAFETY: as the caller says.
    let bytes = unsafe { core::slice::from_raw_parts(address.cast::<u8>(), length) };
    decode(bytes)
}

/// An address of a C caller for a UNIX-domain socket, to which any other family is a mistake.
///
/// # Safety
///
/// As for [`read`].
pub(super) unsafe fn read_local(address: *const c_void, length: c_uint) -> Result<Said> {
    // SAFETY: the caller's promise.
    unsafe { read(address, length) }.map_err(|error| match error {
        Errno(EAFNOSUPPORT) => Errno(EINVAL),
        error => error,
    })
}

fn decode(bytes: &[u8]) -> Result<Said> {
    let short = Errno(EINVAL);
    let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or(short);
    let family = u16::from_ne_bytes([bytes[0], bytes[1]]);
    let port = || match bytes.get(2..4) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(short),
    };
    match i32::from(family) {
        AF_UNSPEC => Ok(Said::Nothing),
        AF_UNIX if bytes.len() > LOCAL => Err(short),
        AF_UNIX => match &bytes[2..] {
            [] => Ok(Said::Local(None)),
            name @ [0, ..] => Name::of(name).map(|name| Said::Local(Some(name))),
            path => {
                let path = path.split(|&c| c == 0).next().unwrap_or_default();
                Name::of(path).map(|name| Said::Local(Some(name)))
            }
        },
        AF_INET if bytes.len() < INET => Err(short),
        AF_INET => {
            let ip: [u8; 4] = word(4)?;
            Ok(Said::Inet(SocketAddrV4::new(Ipv4Addr::from(ip), port()?).into()))
        }
        AF_INET6 if bytes.len() < INET6 - 4 => Err(short),
        AF_INET6 => {
            let ip: [u8; 16] = bytes[8..24].try_into().map_err(|_| short)?;
            let flow = u32::from_ne_bytes(word(4)?);
            // Old programs leave the scope out.
            let scope = word(24).map_or(0, u32::from_ne_bytes);
            let address = SocketAddrV6::new(Ipv6Addr::from(ip), port()?, flow, scope);
            Ok(Said::Inet(address.into()))
        }
        _ => Err(Errno(EAFNOSUPPORT)),
    }
}

/// The address of the network that a socket of this family is given, as it takes it.
///
/// # Errors
///
/// EAFNOSUPPORT.
pub(super) fn for_family(family: Family, said: Said) -> Result<SocketAddr> {
    let Said::Inet(address) = said else { return Err(Errno(EAFNOSUPPORT)) };
    match (family, address) {
        (Family::Inet4, SocketAddr::V4(_)) => Ok(address),
        // An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2).
        (Family::Inet6, SocketAddr::V6(v6)) => Ok(match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
            None => address,
        }),
        _ => Err(Errno(EAFNOSUPPORT)),
    }
}

/// The bytes of an address as a socket of this family shows it, and how many they are.
pub(super) fn encode(address: Address, family: Family) -> ([u8; LONGEST], usize) {
    let mut bytes = [0; LONGEST];
    let address = match (address, family) {
        (Address::Unnamed, _) => {
            bytes[..2].copy_from_slice(&(AF_UNIX as u16).to_ne_bytes());
            return (bytes, 2);
        }
        (Address::Local(name), _) => {
            bytes[..2].copy_from_slice(&(AF_UNIX as u16).to_ne_bytes());
            bytes[2..].copy_from_slice(&name.bytes);
            // A path has its zero, if there is room for one.
            let zero = usize::from(name.path().is_some());
            return (bytes, (2 + name.bytes().len() + zero).min(LOCAL));
        }
        (Address::Inet(SocketAddr::V4(v4)), Family::Inet6) => {
            // Unspecified as well: what is bound to it takes both.
            let unspecified = v4.ip().is_unspecified();
            let ip = if unspecified { Ipv6Addr::UNSPECIFIED } else { v4.ip().to_ipv6_mapped() };
            SocketAddr::new(ip.into(), v4.port())
        }
        (Address::Inet(address), _) => address,
    };
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            bytes[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
            bytes[4..8].copy_from_slice(&v4.ip().octets());
            (bytes, INET)
        }
        SocketAddr::V6(v6) => {
            bytes[..2].copy_from_slice(&(AF_INET6 as u16).to_ne_bytes());
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (bytes, INET6)
        }
    }
}

/// Gives a C caller an address, as much of it as fits, and its whole length.
///
/// # Safety
///
/// `address` is NULL, or `*length` bytes are writable there; `length` is writable then.
pub(super) unsafe fn write(
    address: Address,
    family: Family,
    to: *mut c_void,
    length: *mut c_uint,
) -> Result {
    if to.is_null() {
        return Ok(());
    }
    if length.is_null() {
        return Err(Errno(EFAULT));
    }
    let (bytes, n) = encode(address, family);
    // SAFETY: readable, as the caller says.
    if c_int::try_from(unsafe { *length }).is_err() {
        return Err(Errno(EINVAL));
    }
    // SAFETY: as the caller says.
    unsafe {
        let fits = n.min(*length as usize);
        to.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), fits);
        *length = n as c_uint;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn literal_bytes() {
        let v4: SocketAddr = "10.0.0.2:8080".parse().unwrap();
        let mut bytes = [0; LONGEST];
        bytes[..8].copy_from_slice(&[2, 0, 0x1f, 0x90, 10, 0, 0, 2]);
        assert_eq!(encode(Address::Inet(v4), Family::Inet4), (bytes, 16));
        assert_eq!(decode(&bytes[..16]), Ok(Said::Inet(v4)));
        let v6: SocketAddr = SocketAddrV6::new("fe80::2".parse().unwrap(), 1, 7, 3).into();
        let (bytes, n) = encode(Address::Inet(v6), Family::Inet6);
        assert_eq!((n, &bytes[..4]), (28, &[10, 0, 0, 1][..]));
        assert_eq!(decode(&bytes[..28]), Ok(Said::Inet(v6)));
        assert_eq!(encode(Address::Unnamed, Family::Unix).1, 2);
    }

    #[test]
    fn names_are_paths_or_abstract() {
        let round = |bytes: &[u8]| {
            let Ok(Said::Local(Some(name))) = decode(bytes) else { panic!("{bytes:?}") };
            let (bytes, n) = encode(Address::Local(name), Family::Unix);
            (name.path().map(<[u8]>::to_vec), bytes[..n].to_vec())
        };
        assert_eq!(
            round(b"\x01\0/tmp/a\0rest"),
            (Some(b"/tmp/a".into()), b"\x01\0/tmp/a\0".into())
        );
        assert_eq!(round(b"\x01\0/tmp/a"), (Some(b"/tmp/a".into()), b"\x01\0/tmp/a\0".into()));
        assert_eq!(round(b"\x01\0\0ab\0"), (None, b"\x01\0\0ab\0".into()));
        let long = [[1, 0].as_slice(), &[b'x'; 108]].concat();
        assert_eq!(round(&long), (Some(vec![b'x'; 108]), long));
        assert_eq!(decode(&[1, 0]), Ok(Said::Local(None)));
    }

    #[test]
    fn ipv4_dresses_as_ipv6_and_undresses() {
        let v4: SocketAddr = "10.0.0.2:80".parse().unwrap();
        let (bytes, n) = encode(Address::Inet(v4), Family::Inet6);
        let mapped = decode(&bytes[..n]).unwrap();
        assert_eq!(mapped, Said::Inet("[::ffff:10.0.0.2]:80".parse().unwrap()));
        assert_eq!(for_family(Family::Inet6, mapped), Ok(v4));
        assert_eq!(for_family(Family::Inet4, mapped), Err(Errno(EAFNOSUPPORT)));
        assert_eq!(for_family(Family::Inet6, Said::Inet(v4)), Err(Errno(EAFNOSUPPORT)));
        assert_eq!(for_family(Family::Inet4, Said::Local(None)), Err(Errno(EAFNOSUPPORT)));
        let any = Address::Inet("0.0.0.0:80".parse().unwrap());
        let (bytes, n) = encode(any, Family::Inet6);
        assert_eq!(decode(&bytes[..n]), Ok(Said::Inet("[::]:80".parse().unwrap())));
    }

    #[test]
    fn short_and_foreign_ones_are_refused() {
        let (bytes, _) = encode(Address::Inet("10.0.0.2:1".parse().unwrap()), Family::Inet4);
        assert_eq!(decode(&bytes[..15]), Err(Errno(EINVAL)));
        assert_eq!(decode(&[16, 0, 0]), Err(Errno(EAFNOSUPPORT)));
        assert_eq!(decode(&[0, 0]), Ok(Said::Nothing));
        assert_eq!(decode(&[[1, 0].as_slice(), &[b'x'; 109]].concat()), Err(Errno(EINVAL)));
        // SAFETY: NULL is allowed, and two bytes are there.
        unsafe {
            assert_eq!(read(core::ptr::null(), 16), Err(Errno(EFAULT)));
            assert_eq!(read([2u8, 0].as_ptr().cast(), 1), Err(Errno(EINVAL)));
        }
    }
}
