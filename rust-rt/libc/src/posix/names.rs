//! `getaddrinfo`: names of hosts and services.
//!
//! A numeric address stands for itself. Next comes `/etc/hosts` (the ramdisk's or the program's, or else a built-in one
//! that knows `localhost`), then the name servers from DHCP or router advertisements. IPv4 addresses come first: an
//! image often has only a link-local IPv6 address, and a program that tries one address after another should not begin
//! with unreachable ones.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::{self, Address};
use super::block::{self, NEVER};
use super::family::{
    AF_INET, AF_INET6, AF_UNSPEC, Family, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_STREAM,
};
use super::files;
use super::network::{HOSTS, ResolveError, network};
use super::parts::Errno;
use super::services;
use crate::{errno, room};

/// `struct addrinfo`.
#[repr(C)]
pub(super) struct Info {
    flags: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
    length: c_uint,
    address: *mut c_void,
    name: *mut c_char,
    next: *mut Info,
}

/// An answer with what it points to.
#[repr(C)]
struct Answer {
    info: Info,
    bytes: [u8; address::INET6],
    /// The canonical name, if it was asked for.
    name: Option<Box<[u8]>>,
}

const AI_PASSIVE: c_int = 1;
const AI_CANONNAME: c_int = 2;
const AI_NUMERICHOST: c_int = 4;
const AI_NUMERICSERV: c_int = 0x400;
const EAI_NONAME: c_int = -2;
const EAI_AGAIN: c_int = -3;
const EAI_FAMILY: c_int = -6;
const EAI_SOCKTYPE: c_int = -7;
const EAI_SERVICE: c_int = -8;
const EAI_MEMORY: c_int = -10;
const EAI_SYSTEM: c_int = -11;

/// Blocks until the name servers have answered.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const Info,
    result: *mut *mut Info,
) -> c_int {
    // SAFETY: NULL or C strings by contract.
    let text = |s: *const c_char| (!s.is_null()).then(|| unsafe { CStr::from_ptr(s) }.to_bytes());
    // SAFETY: NULL or readable by contract.
    let hints = unsafe { hints.as_ref() };
    let wanted = hints.map_or((0, AF_UNSPEC, 0, 0), |h| (h.flags, h.family, h.kind, h.protocol));
    if !room::is_there(room::THING) {
        return EAI_MEMORY;
    }
    match find(text(node), text(service), wanted) {
        Ok(answers) => {
            // SAFETY: writable by contract.
            unsafe { *result = chain(answers) };
            0
        }
        Err(error) => error,
    }
}

type Answers = Vec<(SocketAddr, c_int, c_int, Option<Box<[u8]>>)>;

fn find(
    node: Option<&[u8]>,
    service: Option<&[u8]>,
    (flags, family, kind, protocol): (c_int, c_int, c_int, c_int),
) -> Result<Answers, c_int> {
    if !matches!(family, AF_UNSPEC | AF_INET | AF_INET6) {
        return Err(EAI_FAMILY);
    }
    if node.is_none() && service.is_none() {
        return Err(EAI_NONAME);
    }
    let kinds = kinds(kind, protocol)?;
    let port = service.map_or(Ok(0), |service| port(service, flags))?;
    let suits = |ip: &IpAddr| match family {
        AF_INET => ip.is_ipv4(),
        AF_INET6 => ip.is_ipv6(),
        _ => true,
    };
    let found = match node {
        None if flags & AI_PASSIVE != 0 => {
            vec_of([Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()])
        }
        None => vec_of([Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]),
        Some(name) => addresses(name, flags)?,
    };
    let mut answers = Answers::new();
    // For the answers twice, as they are collected here and then given to C, and for the name.
    let each = 4 * size_of::<Answer>() * kinds.len();
    if !room::is_there(found.len() * each + 2 * node.map_or(0, <[u8]>::len) + room::THING) {
        return Err(EAI_MEMORY);
    }
    for ip in found.into_iter().filter(suits) {
        for &(kind, protocol) in &kinds {
            let first = answers.is_empty() && flags & AI_CANONNAME != 0;
            let name = node.filter(|_| first).map(|name| [name, b"\0"].concat().into());
            answers.push((SocketAddr::new(ip, port), kind, protocol, name));
        }
    }
    if answers.is_empty() { Err(EAI_NONAME) } else { Ok(answers) }
}

fn vec_of(both: [IpAddr; 2]) -> Vec<IpAddr> {
    both.into()
}

/// The socket types for which answers are given.
fn kinds(kind: c_int, protocol: c_int) -> Result<Vec<(c_int, c_int)>, c_int> {
    let all = [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)];
    if !matches!(kind, 0 | SOCK_STREAM | SOCK_DGRAM) {
        return Err(EAI_SOCKTYPE);
    }
    let suit = all
        .into_iter()
        .filter(|&(k, p)| (kind == 0 || kind == k) && (protocol == 0 || protocol == p));
    let suit: Vec<_> = suit.collect();
    if suit.is_empty() { Err(EAI_SOCKTYPE) } else { Ok(suit) }
}

/// A number, or the name of a well-known service.
fn port(service: &[u8], flags: c_int) -> Result<u16, c_int> {
    let text = core::str::from_utf8(service).map_err(|_| EAI_SERVICE)?;
    if let Ok(port) = text.parse() {
        return Ok(port);
    }
    match text {
        _ if flags & AI_NUMERICSERV != 0 => Err(EAI_NONAME),
        name => services::port(name.as_bytes()).ok_or(EAI_SERVICE),
    }
}

fn addresses(name: &[u8], flags: c_int) -> Result<Vec<IpAddr>, c_int> {
    let name = core::str::from_utf8(name).map_err(|_| EAI_NONAME)?;
    if let Ok(ip) = name.parse() {
        return Ok([ip].into());
    }
    // A scope (RFC 4007 section 11) makes no difference to the one interface.
    if let Some(Ok(ip)) = name.split_once('%').map(|(ip, _)| ip.parse::<Ipv6Addr>()) {
        return Ok([ip.into()].into());
    }
    if flags & AI_NUMERICHOST != 0 {
        return Err(EAI_NONAME);
    }
    let known = in_hosts(files::contents(b"/etc/hosts").unwrap_or(HOSTS), name);
    if !known.is_empty() {
        return Ok(known);
    }
    let Some(network) = network() else { return Err(EAI_AGAIN) };
    let mut resolving = (network.resolve)(name);
    match block::until(NEVER, None, |cx| resolving.as_mut().poll(cx)) {
        Ok(Some(Ok(mut found))) => {
            found.sort_by_key(IpAddr::is_ipv6);
            Ok(found)
        }
        Ok(Some(Err(ResolveError::NotFound))) => Err(EAI_NONAME),
        Ok(Some(Err(ResolveError::Unavailable)) | None) => Err(EAI_AGAIN),
        Err(Errno(error)) => {
            errno::set(error);
            Err(EAI_SYSTEM)
        }
    }
}

/// The addresses of a name in the text of a file like `/etc/hosts`, in its order.
fn in_hosts(text: &[u8], name: &str) -> Vec<IpAddr> {
    let Ok(text) = core::str::from_utf8(text) else { return Vec::new() };
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
    lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let ip = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
        })
        .collect()
}

/// The list for C, in order.
fn chain(answers: Answers) -> *mut Info {
    let mut next = core::ptr::null_mut();
    for (socket, kind, protocol, name) in answers.into_iter().rev() {
        let family = if socket.is_ipv4() { Family::Inet4 } else { Family::Inet6 };
        let (whole, length) = address::encode(Address::Inet(socket), family);
        let mut bytes = [0; address::INET6];
        bytes[..length].copy_from_slice(&whole[..length]);
        let info = Info {
            flags: 0,
            family: if socket.is_ipv4() { AF_INET } else { AF_INET6 },
            kind,
            protocol,
            length: length as c_uint,
            address: core::ptr::null_mut(),
            name: core::ptr::null_mut(),
            next,
        };
        let answer = Box::into_raw(Box::new(Answer { info, bytes, name }));
        // SAFETY: just made, and nobody else's. The pointers are to parts of what stays where it is.
        unsafe {
            (*answer).info.address = (&raw mut (*answer).bytes).cast();
            if let Some(name) = &mut (*answer).name {
                (*answer).info.name = name.as_mut_ptr().cast();
            }
        }
        // The whole is freed by a pointer to its first field.
        next = answer.cast();
    }
    next
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn freeaddrinfo(list: *mut Info) {
    let mut at = list.cast::<Answer>();
    while !at.is_null() {
        // SAFETY: `getaddrinfo` made each of the list by `chain`, and this is its last use, by contract.
        let answer = unsafe { Box::from_raw(at) };
        at = answer.info.next.cast();
    }
}

/// The text is static.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn gai_strerror(error: c_int) -> *const c_char {
    let text = match error {
        0 => c"Success",
        EAI_NONAME => c"Name or service not known",
        EAI_AGAIN => c"Temporary failure in name resolution",
        EAI_FAMILY => c"ai_family not supported",
        EAI_SOCKTYPE => c"ai_socktype not supported",
        EAI_SERVICE => c"Servname not supported for ai_socktype",
        EAI_MEMORY => c"Memory allocation failure",
        EAI_SYSTEM => c"System error",
        _ => c"Unknown error",
    };
    text.as_ptr()
}

/// Nothing is cached here, so there is nothing to reload.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) extern "C" fn __res_init() -> c_int {
    0
}

#[cfg(test)]
mod tests {
    use super::super::block_tests as testing;
    use super::super::network::{Network, give_network, resolver_configuration};
    use super::*;
    use alloc::string::String;
    use alloc::vec;
    use core::mem::offset_of;

    #[test]
    fn the_layout_is_the_hosts() {
        assert_eq!(size_of::<Info>(), size_of::<host_libc::addrinfo>());
        assert_eq!(offset_of!(Info, address), offset_of!(host_libc::addrinfo, ai_addr));
        assert_eq!(offset_of!(Info, next), offset_of!(host_libc::addrinfo, ai_next));
    }

    fn look_up(
        node: Option<&str>,
        service: Option<&str>,
        wanted: (c_int, c_int, c_int, c_int),
    ) -> Result<Vec<String>, c_int> {
        let found = find(node.map(str::as_bytes), service.map(str::as_bytes), wanted)?;
        Ok(found.iter().map(|(a, kind, ..)| alloc::format!("{a} {kind}")).collect())
    }

    #[test]
    fn literals_hosts_and_servers_in_this_order() {
        testing::give_busy();
        give_network(Network {
            tcp: |_| unreachable!(),
            udp: |_| unreachable!(),
            resolve: |name| {
                let found = match name {
                    "example.org" => {
                        Ok(vec!["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()])
                    }
                    _ => Err(ResolveError::NotFound),
                };
                Box::pin(core::future::ready(found))
            },
            name_servers: || vec!["10.0.0.1".parse().unwrap()],
            interface: || None,
        });
        let tcp = (0, AF_UNSPEC, SOCK_STREAM, 0);
        assert_eq!(look_up(Some("10.1.2.3"), Some("80"), tcp), Ok(vec!["10.1.2.3:80 1".into()]));
        assert_eq!(look_up(Some("fe80::1%eth0"), None, tcp), Ok(vec!["[fe80::1]:0 1".into()]));
        let localhost = vec!["127.0.0.1:443 1".into(), "[::1]:443 1".into()];
        assert_eq!(look_up(Some("LocalHost"), Some("https"), tcp), Ok(localhost));
        let both = vec!["192.0.2.1:0 1".into(), "[2001:db8::1]:0 1".into()];
        assert_eq!(look_up(Some("example.org"), None, tcp), Ok(both));
        let six = (0, AF_INET6, 0, IPPROTO_UDP);
        assert_eq!(look_up(Some("example.org"), None, six), Ok(vec!["[2001:db8::1]:0 2".into()]));
        let any = vec!["0.0.0.0:8080 1".into(), "[::]:8080 1".into()];
        assert_eq!(look_up(None, Some("8080"), (AI_PASSIVE, 0, SOCK_STREAM, 0)), Ok(any));
        for (node, service, wanted, error) in [
            (Some("nobody.example"), None, tcp, EAI_NONAME),
            (Some("example.org"), None, (AI_NUMERICHOST, 0, 0, 0), EAI_NONAME),
            (Some("10.0.0.1"), None, (0, AF_INET6, 0, 0), EAI_NONAME),
            (Some("10.0.0.1"), Some("nonsense"), tcp, EAI_SERVICE),
            (Some("10.0.0.1"), None, (0, 1, 0, 0), EAI_FAMILY),
            (Some("10.0.0.1"), None, (0, 0, 3, 0), EAI_SOCKTYPE),
            (None, None, tcp, EAI_NONAME),
        ] {
            assert_eq!(look_up(node, service, wanted), Err(error), "{node:?}");
        }
        assert_eq!(resolver_configuration(), b"nameserver 10.0.0.1\n");
    }

    #[test]
    fn the_list_of_c_is_freed_whole() {
        let mut list = core::ptr::null_mut();
        let hints = Info {
            flags: AI_CANONNAME,
            family: AF_UNSPEC,
            kind: 0,
            protocol: 0,
            length: 0,
            address: core::ptr::null_mut(),
            name: core::ptr::null_mut(),
            next: core::ptr::null_mut(),
        };
        // SAFETY: the arguments are as `getaddrinfo` wants them, and the list is used before it is freed.
        unsafe {
            let node = c"127.0.0.1".as_ptr();
            assert_eq!(getaddrinfo(node, core::ptr::null(), &raw const hints, &raw mut list), 0);
            assert_eq!(CStr::from_ptr((*list).name), c"127.0.0.1");
            assert_eq!((*list).length, 16);
            assert_eq!(
                address::read((*list).address, 16),
                Ok(address::Said::Inet("127.0.0.1:0".parse().unwrap()))
            );
            assert!(!(*list).next.is_null() && (*(*list).next).next.is_null());
            freeaddrinfo(list);
        }
    }
}
