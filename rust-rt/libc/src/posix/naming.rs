//! `getnameinfo`: what an address is called. Name servers are not asked, so that it is the name in `/etc/hosts` or the
//! address in figures; a port is always its number.

use alloc::format;
use alloc::string::String;
use core::ffi::{c_char, c_int, c_uint, c_void};
use core::net::IpAddr;

use super::address::{self, Said};
use super::files;
use super::network::HOSTS;
use crate::room;

const NI_NUMERICHOST: c_int = 1;
const NI_NAMEREQD: c_int = 8;
const EAI_NONAME: c_int = -2;
const EAI_FAMILY: c_int = -6;
const EAI_MEMORY: c_int = -10;
const EAI_OVERFLOW: c_int = -12;

/// # Safety
///
/// The address has `length` bytes; each of the others is NULL or has as many bytes as said.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getnameinfo(
    address: *const c_void,
    length: c_uint,
    host: *mut c_char,
    host_size: c_uint,
    service: *mut c_char,
    service_size: c_uint,
    flags: c_int,
) -> c_int {
    // SAFETY: as the caller says.
    let Ok(Said::Inet(socket)) = (unsafe { address::read(address, length) }) else {
        return EAI_FAMILY;
    };
    // SAFETY: as the caller says.
    let put = |text: &str, to: *mut c_char, size: c_uint| unsafe { put(text.as_bytes(), to, size) };
    let named = || match socket.ip() {
        _ if host.is_null() || host_size == 0 => Ok(()),
        ip => put(&name(ip, flags)?, host, host_size),
    };
    if !room::is_there(room::THING) {
        return EAI_MEMORY;
    }
    let numbered = || put(&format!("{}", socket.port()), service, service_size);
    named().and_then(|()| numbered()).map_or_else(|error| error, |()| 0)
}

fn name(ip: IpAddr, flags: c_int) -> Result<String, c_int> {
    let text = files::contents(b"/etc/hosts").unwrap_or(HOSTS);
    let known = if flags & NI_NUMERICHOST == 0 { in_hosts(text, ip) } else { None };
    match known {
        Some(name) => Ok(name.into()),
        None if flags & (NI_NUMERICHOST | NI_NAMEREQD) == NI_NAMEREQD => Err(EAI_NONAME),
        None => Ok(format!("{ip}")),
    }
}

/// The first name of an address in the text of a file like `/etc/hosts`.
fn in_hosts(text: &[u8], ip: IpAddr) -> Option<&str> {
    let lines = core::str::from_utf8(text).ok()?.lines();
    lines.filter_map(|line| line.split('#').next()).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()?.parse() == Ok(ip)).then(|| words.next())?
    })
}

/// # Safety
///
/// NULL, or so many bytes are writable there.
unsafe fn put(text: &[u8], to: *mut c_char, size: c_uint) -> Result<(), c_int> {
    if to.is_null() || size == 0 {
        return Ok(());
    }
    if text.len() >= size as usize {
        return Err(EAI_OVERFLOW);
    }
    // SAFETY: there is room for the text and its end.
    unsafe {
        to.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
        *to.add(text.len()) = 0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::address::{Address, encode};
    use super::super::family::Family;
    use super::*;
    use alloc::string::ToString;
    use core::ffi::CStr;

    /// The answer, and both texts.
    fn ask(socket: &str, room: c_uint, flags: c_int) -> Result<[String; 2], c_int> {
        let socket: core::net::SocketAddr = socket.parse().unwrap();
        let family = if socket.is_ipv4() { Family::Inet4 } else { Family::Inet6 };
        let (bytes, n) = encode(Address::Inet(socket), family);
        let (mut host, mut service) = ([1 as c_char; 64], [1 as c_char; 64]);
        let (h, s) = (host.as_mut_ptr(), service.as_mut_ptr());
        // SAFETY: the address is there, and both buffers have the room; then they hold C strings.
        unsafe {
            match getnameinfo(bytes.as_ptr().cast(), n as c_uint, h, room, s, 64, flags) {
                0 => Ok([h, s].map(|text| CStr::from_ptr(text).to_str().unwrap().to_string())),
                error => Err(error),
            }
        }
    }

    #[test]
    fn addresses_have_names_or_figures() {
        let both = |host: &str, service: &str| Ok([host.to_string(), service.to_string()]);
        assert_eq!(ask("127.0.0.1:80", 64, 0), both("localhost", "80"));
        assert_eq!(ask("127.0.0.1:80", 64, NI_NUMERICHOST), both("127.0.0.1", "80"));
        assert_eq!(ask("[2001:db8::1]:65535", 64, 2), both("2001:db8::1", "65535"));
        assert_eq!(ask("192.0.2.1:1", 64, NI_NAMEREQD), Err(EAI_NONAME));
        assert_eq!(ask("192.0.2.1:1", 9, 0), Err(EAI_OVERFLOW));
        assert_eq!(ask("192.0.2.1:1", 10, 0), both("192.0.2.1", "1"));
        // SAFETY: too short for an address; no buffers.
        let wrong = unsafe {
            getnameinfo(
                [0u8; 2].as_ptr().cast(),
                2,
                core::ptr::null_mut(),
                0,
                core::ptr::null_mut(),
                0,
                0,
            )
        };
        assert_eq!(wrong, EAI_FAMILY);
    }
}
