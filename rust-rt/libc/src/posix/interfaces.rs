//! Network interfaces: `lo`, and `eth0` if the image has a network.
//!
//! `getifaddrs` has an entry for each link address and for each address, as on Linux. What takes a netlink socket there
//! is missing here.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::address::{self, Address};
use super::answer::status;
use super::block::on_main;
use super::family::Family;
use super::memory;
use super::network::network;
use super::parts::Errno;
use crate::errno::{self, EFAULT, ENOBUFS, ENODEV, ENXIO};

const AF_PACKET: u16 = 17;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;
const IFF_UP: c_uint = 0x1;
const IFF_BROADCAST: c_uint = 0x2;
const IFF_LOOPBACK: c_uint = 0x8;
const IFF_RUNNING: c_uint = 0x40;
const IFF_LOWER_UP: c_uint = 0x1_0000;

/// Bytes of an interface's name with its end (IFNAMSIZ).
const NAME: usize = 16;

/// `struct ifaddrs`.
#[repr(C)]
pub(super) struct InterfaceAddress {
    next: *mut InterfaceAddress,
    name: *mut c_char,
    flags: c_uint,
    address: *mut c_void,
    netmask: *mut c_void,
    broadcast: *mut c_void,
    /// Of a link, its [`Counters`].
    data: *mut c_void,
}

/// `struct rtnl_link_stats`, Linux's counters of a link. All are 0, but programs print them without checking whether
/// they exist.
type Counters = [u32; 24];

/// Room for either address.
type Bytes = [u8; address::INET6];

/// An entry with what it points to.
#[repr(C)]
struct Entry {
    /// First, so that a pointer to it is one to the whole.
    c: InterfaceAddress,
    name: [u8; NAME],
    /// Address, mask, broadcast address.
    addresses: [Bytes; 3],
    counters: Counters,
}

/// An interface as it is at the moment.
struct Link {
    name: &'static CStr,
    index: c_uint,
    flags: c_uint,
    kind: u16,
    mac: [u8; 6],
    addresses: Vec<(IpAddr, u8)>,
}

const LOOPBACK: (&CStr, c_uint) = (c"lo", 1);
const ETHERNET: (&CStr, c_uint) = (c"eth0", 2);

fn links() -> Vec<Link> {
    let mut links = Vec::from([Link {
        name: LOOPBACK.0,
        index: LOOPBACK.1,
        flags: IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_LOWER_UP,
        kind: ARPHRD_LOOPBACK,
        mac: [0; 6],
        addresses: [(Ipv4Addr::LOCALHOST.into(), 8), (Ipv6Addr::LOCALHOST.into(), 128)].into(),
    }]);
    if let Some(device) = network().and_then(|network| on_main(network.interface)) {
        links.push(Link {
            name: ETHERNET.0,
            index: ETHERNET.1,
            // Groups cannot be joined, so IFF_MULTICAST would be a promise that is not kept.
            flags: IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_LOWER_UP,
            kind: ARPHRD_ETHER,
            mac: device.mac,
            addresses: device.addresses,
        });
    }
    links
}

/// `struct sockaddr_ll`, the address of a link: the family, a protocol, the interface, its kind, a kind of packets, the
/// length of the address, and that.
fn link_bytes(link: &Link, mac: [u8; 6]) -> Bytes {
    let mut bytes = [0; address::INET6];
    bytes[..2].copy_from_slice(&AF_PACKET.to_ne_bytes());
    bytes[4..8].copy_from_slice(&link.index.to_ne_bytes());
    bytes[8..10].copy_from_slice(&link.kind.to_ne_bytes());
    bytes[11] = mac.len() as u8;
    bytes[12..18].copy_from_slice(&mac);
    bytes
}

fn inet_bytes(link: &Link, ip: IpAddr) -> Bytes {
    let socket: SocketAddr = match ip {
        // An address that is only unique on its link needs to say which (RFC 4007 section 6).
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddrV6::new(ip, 0, 0, link.index).into()
        }
        ip => SocketAddr::new(ip, 0),
    };
    let family = if ip.is_ipv4() { Family::Inet4 } else { Family::Inet6 };
    let (whole, n) = address::encode(Address::Inet(socket), family);
    let mut bytes = [0; address::INET6];
    bytes[..n].copy_from_slice(&whole[..n]);
    bytes
}

/// An address whose first bits are ones.
fn mask(ip: IpAddr, bits: u8) -> IpAddr {
    let zeroes = |all: u32| all.saturating_sub(bits.into());
    match ip {
        IpAddr::V4(_) => Ipv4Addr::from(u32::MAX.checked_shl(zeroes(32)).unwrap_or(0)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(u128::MAX.checked_shl(zeroes(128)).unwrap_or(0)).into(),
    }
}

/// The address for all on the same network; IPv6 has none, and a network of one or two hosts neither (RFC 3021).
fn broadcast(link: &Link, ip: IpAddr, bits: u8) -> Option<IpAddr> {
    match (ip, mask(ip, bits)) {
        (IpAddr::V4(ip), IpAddr::V4(mask)) if link.flags & IFF_BROADCAST != 0 && bits < 31 => {
            Some(Ipv4Addr::from(u32::from(ip) | !u32::from(mask)).into())
        }
        _ => None,
    }
}

/// The entries in Linux's order: those of links, then addresses.
fn entries(links: &[Link]) -> Vec<(&Link, [Option<Bytes>; 3])> {
    let mut entries: Vec<_> = links
        .iter()
        .map(|link| {
            let to_all = if link.flags & IFF_BROADCAST == 0 { [0; 6] } else { [0xff; 6] };
            (link, [Some(link_bytes(link, link.mac)), None, Some(link_bytes(link, to_all))])
        })
        .collect();
    for v4 in [true, false] {
        for link in links {
            let own = link.addresses.iter().filter(|(ip, _)| ip.is_ipv4() == v4);
            entries.extend(own.map(|&(ip, bits)| {
                let mask = inet_bytes(link, mask(ip, bits));
                let broadcast = broadcast(link, ip, bits).map(|ip| inet_bytes(link, ip));
                (link, [Some(inet_bytes(link, ip)), Some(mask), broadcast])
            }));
        }
    }
    entries
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getifaddrs(list: *mut *mut InterfaceAddress) -> c_int {
    if list.is_null() {
        return status(Err(Errno(EFAULT)));
    }
    // For some twenty addresses, which is more than an interface has.
    if let Err(error) = memory::need(4 * memory::THING) {
        return status(Err(error));
    }
    let links = links();
    let mut next = core::ptr::null_mut();
    for (link, addresses) in entries(&links).into_iter().rev() {
        let mut name = [0; NAME];
        let text = link.name.to_bytes();
        name[..text.len()].copy_from_slice(text);
        let there = addresses.map(|address| address.is_some());
        let c = InterfaceAddress {
            next,
            name: core::ptr::null_mut(),
            flags: link.flags,
            address: core::ptr::null_mut(),
            netmask: core::ptr::null_mut(),
            broadcast: core::ptr::null_mut(),
            data: core::ptr::null_mut(),
        };
        let addresses = addresses.map(|address| address.unwrap_or([0; address::INET6]));
        let is_link = addresses[0][..2] == AF_PACKET.to_ne_bytes();
        let counters = [0; 24];
        let entry = Box::into_raw(Box::new(Entry { c, name, addresses, counters }));
        // SAFETY: just made, and nobody else's. The pointers are to parts of what stays where it is.
        unsafe {
            let parts = (&raw mut (*entry).addresses).cast::<Bytes>();
            let pointer = |i: usize| match there[i] {
                true => parts.add(i).cast::<c_void>(),
                false => core::ptr::null_mut(),
            };
            (*entry).c.name = (&raw mut (*entry).name).cast();
            (*entry).c.address = pointer(0);
            (*entry).c.netmask = pointer(1);
            (*entry).c.broadcast = pointer(2);
            if is_link {
                (*entry).c.data = (&raw mut (*entry).counters).cast();
            }
        }
        next = entry.cast();
    }
    // SAFETY: writable by contract.
    unsafe { *list = next };
    0
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn freeifaddrs(list: *mut InterfaceAddress) {
    let mut at = list.cast::<Entry>();
    while !at.is_null() {
        // SAFETY: `getifaddrs` made each of the list, and this is its last use, by contract.
        let entry = unsafe { Box::from_raw(at) };
        at = entry.c.next.cast();
    }
}

/// Both interfaces have their numbers whether there is a network or not.
const NAMES: [(&CStr, c_uint); 2] = [LOOPBACK, ETHERNET];

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn if_nametoindex(name: *const c_char) -> c_uint {
    // SAFETY: a C string by contract.
    let name = unsafe { CStr::from_ptr(name) };
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map_or_else(
        || {
            errno::set(ENODEV);
            0
        },
        |&(_, index)| index,
    )
}

/// Into a buffer of 16 bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn if_indextoname(index: c_uint, buf: *mut c_char) -> *mut c_char {
    let Some((name, _)) = NAMES.iter().find(|(_, known)| *known == index) else {
        errno::set(ENXIO);
        return core::ptr::null_mut();
    };
    let bytes = name.to_bytes_with_nul();
    // SAFETY: the caller gives 16 bytes, and the names are shorter.
    unsafe { buf.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    buf
}

/// `struct if_nameindex`.
#[repr(C)]
pub(super) struct NameAndIndex {
    index: c_uint,
    name: *const c_char,
}

/// The list, which ends with an entry of zeroes.
type Names = [NameAndIndex; NAMES.len() + 1];

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn if_nameindex() -> *mut NameAndIndex {
    if memory::need(memory::THING).is_err() {
        errno::set(ENOBUFS);
        return core::ptr::null_mut();
    }
    let end = NameAndIndex { index: 0, name: core::ptr::null() };
    let [lo, eth0] = NAMES.map(|(name, index)| NameAndIndex { index, name: name.as_ptr() });
    Box::into_raw(Box::<Names>::new([lo, eth0, end])).cast()
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn if_freenameindex(list: *mut NameAndIndex) {
    if !list.is_null() {
        // SAFETY: `if_nameindex` made it, and this is its last use, by contract.
        drop(unsafe { Box::from_raw(list.cast::<Names>()) });
    }
}

#[cfg(test)]
mod tests;
