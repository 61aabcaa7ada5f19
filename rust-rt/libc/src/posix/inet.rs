//! `<arpa/inet.h>`: addresses as text and as octets.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::fmt::Write;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ptr;

use super::family::{AF_INET, AF_INET6};
use crate::errno::{self, EAFNOSUPPORT, ENOSPC};

/// 1; 0 if it is no address, and -1 for other families.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn inet_pton(
    family: c_int,
    text: *const c_char,
    to: *mut c_void,
) -> c_int {
    // SAFETY: a C string, and room for an address of that family.
    unsafe {
        let text = CStr::from_ptr(text).to_str().unwrap_or("");
        match family {
            AF_INET => text.parse::<Ipv4Addr>().map_or(0, |address| {
                to.cast::<[u8; 4]>().write_unaligned(address.octets());
                1
            }),
            AF_INET6 => text.parse::<Ipv6Addr>().map_or(0, |address| {
                to.cast::<[u8; 16]>().write_unaligned(address.octets());
                1
            }),
            _ => errno::fail(EAFNOSUPPORT),
        }
    }
}

/// Text of at most 45 octets and a NUL.
struct Text {
    bytes: [u8; 46],
    used: usize,
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let room = self.bytes[self.used..45].get_mut(..s.len()).ok_or(core::fmt::Error)?;
        room.copy_from_slice(s.as_bytes());
        self.used += s.len();
        Ok(())
    }
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn inet_ntop(
    family: c_int,
    from: *const c_void,
    to: *mut c_char,
    room: c_uint,
) -> *const c_char {
    let mut text = Text { bytes: [0; 46], used: 0 };
    // SAFETY: an address of that family, and so much room.
    unsafe {
        let written = match family {
            AF_INET => write!(text, "{}", Ipv4Addr::from(from.cast::<[u8; 4]>().read_unaligned())),
            AF_INET6 => {
                let address = from.cast::<[u8; 16]>().read_unaligned();
                match address {
                    // As glibc has it: an IPv4 address in the last four, unless the others go on with zeroes there.
                    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, v4 @ ..] if v4[..2] != [0; 2] => {
                        write!(text, "::{}", Ipv4Addr::from(v4))
                    }
                    _ => write!(text, "{}", Ipv6Addr::from(address)),
                }
            }
            _ => {
                errno::set(EAFNOSUPPORT);
                return ptr::null();
            }
        };
        if written.is_err() || text.used >= room as usize {
            errno::set(ENOSPC);
            return ptr::null();
        }
        to.cast::<u8>().copy_from_nonoverlapping(text.bytes.as_ptr(), text.used + 1);
    }
    to
}

/// An IPv4 address of one to four numbers, each in decimal, octal or hexadecimal, the last for all octets that are
/// left.
fn parse(text: &[u8]) -> Option<u32> {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    let mut parts = text[..end].split(|&c| c == b'.');
    let (mut address, mut bits) = (0u32, 32);
    loop {
        let part = parts.next()?;
        let number = crate::integer::parse(part, 0, false);
        let whole = number.length == part.len() && part.first().is_some_and(u8::is_ascii_digit);
        let value = number.magnitude.filter(|_| whole)?;
        let last = parts.clone().next().is_none();
        let room = if last { bits } else { 8 };
        if bits == 0 || value >> room != 0 {
            return None;
        }
        bits -= room;
        address |= (value as u32).checked_shl(bits).unwrap_or(0);
        if last {
            return Some(address);
        }
    }
}

/// 1, or 0 if it is no address.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn inet_aton(text: *const c_char, to: *mut u32) -> c_int {
    // SAFETY: a C string, and room for an address.
    unsafe {
        parse(CStr::from_ptr(text).to_bytes()).map_or(0, |address| {
            *to = address.to_be();
            1
        })
    }
}

/// The address, or that of all ones.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn inet_addr(text: *const c_char) -> u32 {
    // SAFETY: a C string.
    parse(unsafe { CStr::from_ptr(text) }.to_bytes()).map_or(u32::MAX, u32::to_be)
}

/// What `inet_ntoa` returns a pointer to.
struct Last(UnsafeCell<[c_char; 16]>);

// SAFETY: C allows a call to race with no other.
unsafe impl Sync for Last {}

static LAST: Last = Last(UnsafeCell::new([0; 16]));

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn inet_ntoa(address: u32) -> *const c_char {
    // SAFETY: an address, and room for its text.
    unsafe { inet_ntop(AF_INET, (&raw const address).cast(), LAST.0.get().cast(), 16) }
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) extern "C" fn htonl(n: u32) -> u32 {
    n.to_be()
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) extern "C" fn htons(n: u16) -> u16 {
    n.to_be()
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) extern "C" fn ntohl(n: u32) -> u32 {
    u32::from_be(n)
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) extern "C" fn ntohs(n: u16) -> u16 {
    u16::from_be(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    // SAFETY: the types are those of `arpa/inet.h`.
    mod host {
        use core::ffi::{c_char, c_int, c_uint, c_void};
        // SAFETY: as above.
        unsafe extern "C" {
            pub fn inet_pton(family: c_int, text: *const c_char, to: *mut c_void) -> c_int;
            pub fn inet_ntop(
                f: c_int,
                from: *const c_void,
                to: *mut c_char,
                n: c_uint,
            ) -> *const c_char;
            pub fn inet_aton(text: *const c_char, to: *mut u32) -> c_int;
        }
    }

    #[test]
    fn addresses_are_those_of_the_host() {
        let texts = [
            c"1.2.3.4",
            c"127.1",
            c"0x7f.1",
            c"010.1.1.1",
            c"1.2.3.4.5",
            c"256.1",
            c"4294967295",
            c"4294967296",
            c"",
            c"1..2",
            c"1.2.3.4 x",
            c"a",
            c"::",
            c"::1",
            c"fe80::1",
            c"::ffff:1.2.3.4",
            c"::1.2.3.4",
            c"::0.1.2.3",
            c"::1:0",
            c"::1:2",
            c"::1:1.2.3.4",
            c"1:2:3:4:5:6:7:8",
            c"1::2::3",
            c"2001:db8::0:1",
            c"0.0.0.0",
            c"-1",
            c"1.",
        ];
        for text in texts {
            let (mut a, mut b) = (7, 7);
            // SAFETY: C strings, and room for addresses and their text.
            unsafe {
                let p = text.as_ptr();
                assert_eq!(inet_aton(p, &raw mut a), host::inet_aton(p, &raw mut b), "{text:?}");
                assert_eq!(a, b, "{text:?}");
                for family in [AF_INET, AF_INET6, 99] {
                    let (mut a, mut b) = ([7u8; 16], [7u8; 16]);
                    let (x, y) = (a.as_mut_ptr().cast(), b.as_mut_ptr().cast());
                    assert_eq!(inet_pton(family, p, x), host::inet_pton(family, p, y), "{text:?}");
                    assert_eq!(a, b, "{text:?}");
                    for room in [0, 8, 16, 46] {
                        let (mut a, mut b) = ([0 as c_char; 46], [0 as c_char; 46]);
                        let ours = inet_ntop(family, x, a.as_mut_ptr(), room);
                        let theirs = host::inet_ntop(family, y, b.as_mut_ptr(), room);
                        assert_eq!(
                            (ours.is_null(), a),
                            (theirs.is_null(), b),
                            "{text:?} {family} {room}"
                        );
                    }
                }
                assert_eq!(inet_addr(p), if inet_aton(p, &raw mut a) == 1 { a } else { u32::MAX });
            }
        }
        // SAFETY: the shared text.
        assert_eq!(unsafe { CStr::from_ptr(inet_ntoa(htonl(0x7f00_0001))) }, c"127.0.0.1");
        assert_eq!(
            (htons(0x1234).to_ne_bytes(), ntohl(htonl(7)), ntohs(htons(7))),
            ([0x12, 0x34], 7, 7)
        );
    }
}
