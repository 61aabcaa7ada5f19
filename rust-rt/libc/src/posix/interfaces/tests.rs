use alloc::string::{String, ToString};
use alloc::{format, vec};
use core::mem::offset_of;

use super::super::block_tests as testing;
use super::super::network::{Interface, Network, give_network};
use super::*;

/// `struct sockaddr_ll` as it is read here.
#[repr(C)]
#[derive(Clone, Copy)]
struct LinkAddress {
    family: u16,
    protocol: u16,
    index: c_int,
    kind: u16,
    packet: u8,
    length: u8,
    address: [u8; 8],
}

#[test]
fn layouts_are_the_hosts() {
    assert_eq!(size_of::<InterfaceAddress>(), size_of::<host_libc::ifaddrs>());
    for (ours, hosts) in [
        (offset_of!(InterfaceAddress, flags), offset_of!(host_libc::ifaddrs, ifa_flags)),
        (offset_of!(InterfaceAddress, address), offset_of!(host_libc::ifaddrs, ifa_addr)),
        (offset_of!(InterfaceAddress, netmask), offset_of!(host_libc::ifaddrs, ifa_netmask)),
        (offset_of!(InterfaceAddress, broadcast), offset_of!(host_libc::ifaddrs, ifa_ifu)),
        (offset_of!(LinkAddress, index), offset_of!(host_libc::sockaddr_ll, sll_ifindex)),
        (offset_of!(LinkAddress, kind), offset_of!(host_libc::sockaddr_ll, sll_hatype)),
        (offset_of!(LinkAddress, length), offset_of!(host_libc::sockaddr_ll, sll_halen)),
        (offset_of!(LinkAddress, address), offset_of!(host_libc::sockaddr_ll, sll_addr)),
    ] {
        assert_eq!(ours, hosts);
    }
    assert_eq!(size_of::<NameAndIndex>(), size_of::<host_libc::if_nameindex>());
    assert_eq!(NAME, host_libc::IFNAMSIZ);
}

/// What a program reads at such a pointer.
unsafe fn text(address: *const c_void) -> String {
    if address.is_null() {
        return "-".to_string();
    }
    // SAFETY: every address begins with its family, and the rest has the length that this says.
    unsafe {
        if address.cast::<u16>().read_unaligned() == AF_PACKET {
            let link = address.cast::<LinkAddress>().read_unaligned();
            assert_eq!((link.length, link.protocol, link.packet), (6, 0, 0));
            return format!("{} {} {:02x?}", link.index, link.kind, &link.address[..6]);
        }
        let length = if address.cast::<u16>().read_unaligned() == 2 { 16 } else { 28 };
        match address::read(address, length).expect("an address") {
            address::Said::Inet(SocketAddr::V6(ip)) => format!("{} {}", ip.ip(), ip.scope_id()),
            address::Said::Inet(SocketAddr::V4(ip)) => ip.ip().to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn listed() -> Vec<String> {
    let mut list = core::ptr::null_mut();
    let mut found = Vec::new();
    // SAFETY: the list is walked before it is freed.
    unsafe {
        assert_eq!(getifaddrs(&raw mut list), 0);
        let mut at = list;
        while let Some(entry) = at.as_ref() {
            let name = CStr::from_ptr(entry.name).to_str().expect("text");
            // Without counters of a link, programs that print them would read at NULL.
            let is_link = entry.address.cast::<u16>().read() == AF_PACKET;
            let counters = entry.data.cast::<Counters>().as_ref();
            assert_eq!(counters, is_link.then_some(&[0; 24]));
            let [address, mask, all] =
                [entry.address, entry.netmask, entry.broadcast].map(|part| text(part));
            found.push(format!("{name} {:x}: {address}, {mask}, {all}", entry.flags));
            at = entry.next;
        }
        freeifaddrs(list);
    }
    found
}

#[test]
fn links_then_addresses_with_masks_and_broadcast_addresses() {
    testing::give_busy();
    let loopback = [
        "lo 10049: 1 772 [00, 00, 00, 00, 00, 00], -, 1 772 [00, 00, 00, 00, 00, 00]",
        "lo 10049: 127.0.0.1, 255.0.0.0, -",
        "lo 10049: ::1 0, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 0, -",
    ];
    assert_eq!(listed(), loopback);
    give_network(Network {
        tcp: |_| unreachable!(),
        udp: |_| unreachable!(),
        resolve: |_| unreachable!(),
        name_servers: Vec::new,
        interface: || {
            let own = [("10.1.2.3", 20), ("192.0.2.1", 31), ("fe80::5", 64), ("2001:db8::5", 0)];
            let addresses = own.iter().map(|&(ip, bits)| (ip.parse().expect("an address"), bits));
            Some(Interface { mac: [2, 0, 0, 0, 0, 9], addresses: addresses.collect() })
        },
    });
    let all = vec![
        loopback[0],
        "eth0 10043: 2 1 [02, 00, 00, 00, 00, 09], -, 2 1 [ff, ff, ff, ff, ff, ff]",
        loopback[1],
        "eth0 10043: 10.1.2.3, 255.255.240.0, 10.1.15.255",
        "eth0 10043: 192.0.2.1, 255.255.255.254, -",
        loopback[2],
        "eth0 10043: fe80::5 2, ffff:ffff:ffff:ffff:: 0, -",
        "eth0 10043: 2001:db8::5 0, :: 0, -",
    ];
    assert_eq!(listed(), all);
}

/// The loopback interface is that of the host, but for the host's counters.
#[test]
fn the_loopback_interface_has_the_hosts_number_and_flags() {
    // SAFETY: the names are C strings, and the buffers are long enough.
    unsafe {
        assert_eq!(if_nametoindex(c"lo".as_ptr()), host_libc::if_nametoindex(c"lo".as_ptr()));
        assert_eq!((if_nametoindex(c"eth7".as_ptr()), errno::get()), (0, ENODEV));
        assert_eq!(host_libc::if_nametoindex(c"eth7".as_ptr()), 0);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(ENODEV));
        let mut name = [0; NAME];
        assert_eq!(if_indextoname(2, name.as_mut_ptr()), name.as_mut_ptr());
        assert_eq!(CStr::from_ptr(name.as_ptr()), c"eth0");
        assert!(if_indextoname(9, name.as_mut_ptr()).is_null());
        assert_eq!(errno::get(), ENXIO);
        assert!(host_libc::if_indextoname(99_999, name.as_mut_ptr()).is_null());
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(ENXIO));
    }
}

#[test]
fn names_end_with_zeroes() {
    let list = if_nameindex();
    // SAFETY: the list has two entries and its end, and is freed after its last use.
    unsafe {
        let entries = core::slice::from_raw_parts(list, 3);
        assert_eq!([entries[0].index, entries[1].index, entries[2].index], [1, 2, 0]);
        assert_eq!(CStr::from_ptr(entries[0].name), c"lo");
        assert_eq!(CStr::from_ptr(entries[1].name), c"eth0");
        assert!(entries[2].name.is_null());
        if_freenameindex(list);
    }
}
