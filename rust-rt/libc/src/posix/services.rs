//! Well-known services and protocols, as in `/etc/services` and `/etc/protocols`: the few that programs ask for.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int};
use core::ptr::{null, null_mut};

use crate::errno::ERANGE;

const TCP: u8 = 1;
const UDP: u8 = 2;
const BOTH: u8 = TCP | UDP;

/// Name, another one, port, and by what it is served.
type Service = (&'static CStr, Option<&'static CStr>, u16, u8);

const SERVICES: [Service; 35] = [
    (c"echo", None, 7, BOTH),
    (c"discard", Some(c"sink"), 9, BOTH),
    (c"daytime", None, 13, BOTH),
    (c"ftp-data", None, 20, TCP),
    (c"ftp", None, 21, TCP),
    (c"ssh", None, 22, TCP),
    (c"telnet", None, 23, TCP),
    (c"smtp", Some(c"mail"), 25, TCP),
    (c"time", Some(c"timserver"), 37, BOTH),
    (c"domain", None, 53, BOTH),
    (c"bootps", None, 67, UDP),
    (c"bootpc", None, 68, UDP),
    (c"tftp", None, 69, UDP),
    (c"http", Some(c"www"), 80, TCP),
    (c"kerberos", Some(c"kerberos5"), 88, BOTH),
    (c"pop3", Some(c"pop-3"), 110, TCP),
    (c"sunrpc", Some(c"portmapper"), 111, BOTH),
    (c"ntp", None, 123, UDP),
    (c"imap2", Some(c"imap"), 143, TCP),
    (c"snmp", None, 161, BOTH),
    (c"ldap", None, 389, BOTH),
    (c"https", None, 443, BOTH),
    (c"submissions", Some(c"ssmtp"), 465, TCP),
    (c"syslog", None, 514, UDP),
    (c"submission", None, 587, TCP),
    (c"ldaps", None, 636, BOTH),
    (c"rsync", None, 873, TCP),
    (c"ftps", None, 990, TCP),
    (c"imaps", None, 993, TCP),
    (c"pop3s", None, 995, TCP),
    (c"socks", None, 1080, TCP),
    (c"mysql", None, 3306, TCP),
    (c"postgresql", Some(c"postgres"), 5432, TCP),
    (c"xmpp-client", Some(c"jabber-client"), 5222, TCP),
    (c"http-alt", Some(c"webcache"), 8080, BOTH),
];

const PROTOCOLS: [(&CStr, &CStr, c_int); 7] = [
    (c"ip", c"IP", 0),
    (c"icmp", c"ICMP", 1),
    (c"tcp", c"TCP", 6),
    (c"udp", c"UDP", 17),
    (c"ipv6", c"IPv6", 41),
    (c"ipv6-icmp", c"IPv6-ICMP", 58),
    (c"sctp", c"SCTP", 132),
];

/// The port of a service of this name.
pub(super) fn port(name: &[u8]) -> Option<u16> {
    let is = |known: &CStr| known.to_bytes() == name;
    let found = SERVICES.iter().find(|&&(first, other, ..)| is(first) || other.is_some_and(is));
    found.map(|&(_, _, port, _)| port)
}

/// `struct servent`.
#[repr(C)]
struct ServiceEntry {
    name: *const c_char,
    aliases: *mut *const c_char,
    /// In the network's order.
    port: c_int,
    protocol: *const c_char,
}

/// `struct protoent`.
#[repr(C)]
struct ProtocolEntry {
    name: *const c_char,
    aliases: *mut *const c_char,
    number: c_int,
}

/// An answer, and the list of aliases in it.
struct Answer<T>(UnsafeCell<T>, UnsafeCell<[*const c_char; 2]>);
// SAFETY: an image has one thread of execution; C's callers know that the next call overwrites the answer.
unsafe impl<T> Sync for Answer<T> {}

static SERVICE: Answer<ServiceEntry> = Answer(
    UnsafeCell::new(ServiceEntry { name: null(), aliases: null_mut(), port: 0, protocol: null() }),
    UnsafeCell::new([null(); 2]),
);
static PROTOCOL: Answer<ProtocolEntry> = Answer(
    UnsafeCell::new(ProtocolEntry { name: null(), aliases: null_mut(), number: 0 }),
    UnsafeCell::new([null(); 2]),
);

/// Finds a service that is served by this protocol, or by whichever if that is NULL.
///
/// # Safety
///
/// `protocol` is NULL or a C string.
unsafe fn find(
    is: impl Fn(&Service) -> bool,
    protocol: *const c_char,
) -> Option<(&'static Service, &'static CStr)> {
    // SAFETY: as the caller says.
    let wanted = (!protocol.is_null()).then(|| unsafe { CStr::from_ptr(protocol) });
    let by = [(TCP, c"tcp"), (UDP, c"udp")];
    let all = SERVICES.iter().filter(|service| is(service));
    let mut all = all.flat_map(|service| by.map(|(bit, name)| (service, bit, name)));
    let fits = |&(service, bit, name): &(&Service, u8, &CStr)| {
        service.3 & bit != 0 && wanted.is_none_or(|wanted| wanted == name)
    };
    all.find(fits).map(|(service, _, name)| (service, name))
}

/// Fills in an entry, with the list of aliases at `list`.
///
/// # Safety
///
/// Both are writable, the list for two pointers.
unsafe fn fill(
    (&(name, other, port, _), protocol): (&'static Service, &'static CStr),
    entry: *mut ServiceEntry,
    list: *mut *const c_char,
) {
    // SAFETY: as the caller says.
    unsafe {
        *list = other.map_or(null(), CStr::as_ptr);
        *list.add(1) = null();
        *entry = ServiceEntry {
            name: name.as_ptr(),
            aliases: list,
            port: port.to_be().into(),
            protocol: protocol.as_ptr(),
        };
    }
}

fn service(found: Option<(&'static Service, &'static CStr)>) -> *mut ServiceEntry {
    let Some(found) = found else { return null_mut() };
    // SAFETY: the one thread of execution; nobody has a reference.
    unsafe { fill(found, SERVICE.0.get(), SERVICE.1.get().cast()) };
    SERVICE.0.get()
}

/// The same in the caller's memory. ERANGE if there is too little of it.
///
/// # Safety
///
/// `size` bytes at `buf`, and both others, are writable.
unsafe fn service_in(
    found: Option<(&'static Service, &'static CStr)>,
    entry: *mut ServiceEntry,
    (buf, size): (*mut c_char, usize),
    result: *mut *mut ServiceEntry,
) -> c_int {
    let before = buf.align_offset(align_of::<*const c_char>());
    // SAFETY: as the caller says, and the list fits behind what aligns it.
    unsafe {
        *result = null_mut();
        let Some(found) = found else { return 0 };
        if before.saturating_add(2 * size_of::<*const c_char>()) > size {
            return ERANGE;
        }
        fill(found, entry, buf.add(before).cast());
        *result = entry;
    }
    0
}

/// # Safety
///
/// `name` is a C string.
unsafe fn is_named(name: *const c_char) -> impl Fn(&Service) -> bool {
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(name) };
    move |&(first, other, ..)| first == name || other == Some(name)
}

fn is_at(port: c_int) -> impl Fn(&Service) -> bool {
    move |&(_, _, at, _)| c_int::from(at.to_be()) == port
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getservbyname(
    name: *const c_char,
    protocol: *const c_char,
) -> *mut ServiceEntry {
    // SAFETY: C strings by contract, the latter perhaps NULL.
    service(unsafe { find(is_named(name), protocol) })
}

/// The port is in the network's order.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getservbyport(port: c_int, protocol: *const c_char) -> *mut ServiceEntry {
    // SAFETY: as above.
    service(unsafe { find(is_at(port), protocol) })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getservbyname_r(
    name: *const c_char,
    protocol: *const c_char,
    entry: *mut ServiceEntry,
    buf: *mut c_char,
    size: usize,
    result: *mut *mut ServiceEntry,
) -> c_int {
    // SAFETY: as above, and there is as much memory as is said.
    unsafe { service_in(find(is_named(name), protocol), entry, (buf, size), result) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getservbyport_r(
    port: c_int,
    protocol: *const c_char,
    entry: *mut ServiceEntry,
    buf: *mut c_char,
    size: usize,
    result: *mut *mut ServiceEntry,
) -> c_int {
    // SAFETY: as above.
    unsafe { service_in(find(is_at(port), protocol), entry, (buf, size), result) }
}

fn protocol(is: impl Fn(&CStr, &CStr, c_int) -> bool) -> *mut ProtocolEntry {
    let found = PROTOCOLS.iter().find(|&&(name, alias, number)| is(name, alias, number));
    let Some(&(name, alias, number)) = found else { return null_mut() };
    let aliases = PROTOCOL.1.get();
    // SAFETY: the one thread of execution; nobody has a reference.
    unsafe {
        *aliases = [alias.as_ptr(), null()];
        let entry = ProtocolEntry { name: name.as_ptr(), aliases: aliases.cast(), number };
        PROTOCOL.0.get().write(entry);
    }
    PROTOCOL.0.get()
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getprotobyname(name: *const c_char) -> *mut ProtocolEntry {
    // SAFETY: a C string by contract.
    let wanted = unsafe { CStr::from_ptr(name) };
    protocol(|name, alias, _| name == wanted || alias == wanted)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn getprotobynumber(wanted: c_int) -> *mut ProtocolEntry {
    protocol(|_, _, number| number == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use std::sync::Mutex;

    /// Both libraries have one place for the answer.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// Name, port and protocol of an entry; both libraries have the same layout.
    unsafe fn read(entry: *const host_libc::servent) -> Option<(Vec<u8>, u16, Vec<u8>)> {
        // SAFETY: NULL or an entry with C strings.
        unsafe {
            let entry = entry.as_ref()?;
            let text = |at: *const c_char| CStr::from_ptr(at).to_bytes().to_vec();
            Some((text(entry.s_name), u16::from_be(entry.s_port as u16), text(entry.s_proto)))
        }
    }

    #[test]
    fn services_are_those_that_the_host_has() {
        let _one = ONE_AT_A_TIME.lock();
        let mut compared = 0;
        for (name, other, port, _) in SERVICES {
            for protocol in [null(), c"tcp".as_ptr(), c"udp".as_ptr()] {
                for name in [Some(name), other].into_iter().flatten() {
                    // SAFETY: C strings; each answer is read before the next is asked for.
                    let (ours, theirs) = unsafe {
                        let ours = read(getservbyname(name.as_ptr(), protocol).cast());
                        (ours, read(host_libc::getservbyname(name.as_ptr(), protocol)))
                    };
                    // A machine may have no such list, or the other protocol, too.
                    if let (Some((_, ours, _)), Some((_, theirs, _))) = (ours, theirs) {
                        compared += 1;
                        assert_eq!(ours, theirs, "{name:?}");
                    }
                }
                // SAFETY: as above.
                let by_port = unsafe { read(getservbyport(port.to_be().into(), protocol).cast()) };
                assert!(by_port.is_none_or(|(_, found, _)| found == port));
            }
        }
        std::println!("{compared} names are known to the host, too");
        // SAFETY: as above.
        unsafe {
            let http = read(getservbyname(c"www".as_ptr(), null()).cast());
            assert_eq!(http, Some((b"http".to_vec(), 80, b"tcp".to_vec())));
            assert!(getservbyname(c"http".as_ptr(), c"udp".as_ptr()).is_null());
            assert!(getservbyname(c"nothing".as_ptr(), null()).is_null());
        }
        assert_eq!((port(b"www"), port(b"domain"), port(b"x")), (Some(80), Some(53), None));
    }

    #[test]
    fn an_answer_is_in_the_callers_memory() {
        let mut entry =
            ServiceEntry { name: null(), aliases: null_mut(), port: 0, protocol: null() };
        let (mut result, mut buf) = (null_mut(), [0 as c_char; 40]);
        let at = &raw mut entry;
        // Wherever the memory begins. SAFETY: it is as long as said.
        (0..8).for_each(|start| unsafe {
            let buf = buf.as_mut_ptr().add(start);
            let ask = |port: u16, size, result: *mut *mut ServiceEntry| {
                getservbyport_r(port.to_be().into(), null(), at, buf, size, result)
            };
            assert_eq!((ask(25, 32, &raw mut result), result), (0, at));
            assert_eq!(CStr::from_ptr(*(*at).aliases), c"mail");
            assert!((*(*at).aliases.add(1)).is_null());
            assert_eq!((ask(25, 15, &raw mut result), result), (ERANGE, null_mut()));
            assert_eq!((ask(1, 32, &raw mut result), result), (0, null_mut()));
            let found = getservbyname_r(c"ntp".as_ptr(), null(), at, buf, 32, &raw mut result);
            assert_eq!((found, (*at).port), (0, c_int::from(123u16.to_be())));
            assert!((*(*at).aliases).is_null());
        });
    }

    #[test]
    fn protocols_have_numbers_and_names() {
        let _one = ONE_AT_A_TIME.lock();
        for (name, alias, number) in PROTOCOLS {
            for wanted in [name, alias] {
                // SAFETY: C strings; the answers are read before others are asked for.
                unsafe {
                    let ours = getprotobyname(wanted.as_ptr()).as_ref().map(|entry| entry.number);
                    assert_eq!(ours, Some(number));
                    let theirs = host_libc::getprotobyname(wanted.as_ptr()).as_ref();
                    assert!(theirs.is_none_or(|entry| entry.p_proto == number));
                }
            }
            // SAFETY: as above.
            assert_eq!(unsafe { CStr::from_ptr((*getprotobynumber(number)).name) }, name);
        }
        assert!(getprotobynumber(254).is_null());
        assert_eq!(size_of::<ServiceEntry>(), size_of::<host_libc::servent>());
        assert_eq!(size_of::<ProtocolEntry>(), size_of::<host_libc::protoent>());
    }
}
