//! `setsockopt` and `getsockopt`.

use core::ffi::{c_int, c_long, c_uint, c_void};

use super::answer::status;
use super::family::{
    AF_INET, AF_INET6, AF_UNIX, Family, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_SEQPACKET,
    SOCK_STREAM, Type,
};
use super::object::Socket;
use super::parts::{Errno, Result};
use super::socket::with_on_main;
use crate::errno::{EDOM, EFAULT, EINVAL, ENOPROTOOPT, EOPNOTSUPP};

const SOL_SOCKET: c_int = 1;
const IPPROTO_IP: c_int = 0;
const IPPROTO_IPV6: c_int = 41;
const SO_REUSEADDR: c_int = 2;
const SO_TYPE: c_int = 3;
const SO_ERROR: c_int = 4;
const SO_BROADCAST: c_int = 6;
const SO_SNDBUF: c_int = 7;
const SO_RCVBUF: c_int = 8;
const SO_KEEPALIVE: c_int = 9;
const SO_LINGER: c_int = 13;
const SO_REUSEPORT: c_int = 15;
const SO_PEERCRED: c_int = 17;
const SO_RCVTIMEO: c_int = 20;
const SO_SNDTIMEO: c_int = 21;
const SO_ACCEPTCONN: c_int = 30;
const SO_PROTOCOL: c_int = 38;
const SO_DOMAIN: c_int = 39;
const TCP_NODELAY: c_int = 1;
const TCP_KEEPIDLE: c_int = 4;
const TCP_KEEPINTVL: c_int = 5;
const TCP_KEEPCNT: c_int = 6;
const TCP_QUICKACK: c_int = 12;
const TCP_USER_TIMEOUT: c_int = 18;
const IP_TOS: c_int = 1;
const IP_TTL: c_int = 2;
const IPV6_UNICAST_HOPS: c_int = 16;
const IP_MULTICAST_TTL: c_int = 33;
const IP_MULTICAST_LOOP: c_int = 34;
const IPV6_MULTICAST_HOPS: c_int = 18;
const IPV6_MULTICAST_LOOP: c_int = 19;
const IPV6_V6ONLY: c_int = 26;
const IPV6_TCLASS: c_int = 67;
/// What a program wants to be told with each datagram: level and option, in the order of `Options`'s `wants`.
const WANTS: [(c_int, c_int); 4] =
    [(IPPROTO_IP, 8), (IPPROTO_IP, 13), (IPPROTO_IPV6, 49), (IPPROTO_IPV6, 66)];

/// Least sizes of buffers, for sending and for receiving.
const LEAST: [u32; 2] = [2304, 4608];
/// Largest, before they are doubled: Linux's net.core.rmem_max.
const LARGEST: u32 = 212_992;

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: c_uint,
) -> c_int {
    status(with_on_main(fd, |socket| {
        if value.is_null() {
            return Err(Errno(EFAULT));
        }
        if c_int::try_from(length).is_err() {
            return Err(Errno(EINVAL));
        }
        // SAFETY: that many bytes are readable by contract.
        let bytes = unsafe { core::slice::from_raw_parts(value.cast::<u8>(), length as usize) };
        set(socket, level, option, bytes)?;
        socket.options_changed();
        Ok(())
    }))
}

/// The two numbers of `struct linger`, or of another option the one.
fn int(bytes: &[u8], at: usize) -> Result<c_int> {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map(c_int::from_ne_bytes).ok_or(Errno(EINVAL))
}

fn long(bytes: &[u8], at: usize) -> Result<c_long> {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map(c_long::from_ne_bytes).ok_or(Errno(EINVAL))
}

/// -1, as [`set`] has it, is Linux's own.
fn group_ttl(ttl: u32) -> u8 {
    u8::try_from(ttl).unwrap_or(1)
}

/// Which of [`WANTS`] an option is; those of IPv6 are only for its sockets.
fn want(socket: &dyn Socket, level: c_int, option: c_int) -> Option<usize> {
    let own = level == IPPROTO_IP || socket.family() == Family::Inet6;
    WANTS.iter().position(|&want| want == (level, option)).filter(|_| own)
}

fn set(socket: &dyn Socket, level: c_int, option: c_int, bytes: &[u8]) -> Result {
    let options = socket.options();
    let inet = socket.family() != Family::Unix;
    let tcp = inet && socket.kind() == Type::Stream;
    let flag = || int(bytes, 0).map(|n| n != 0);
    let groups = inet && !tcp;
    let within = |low: c_int, high: c_int| match int(bytes, 0)? {
        n if (low..=high).contains(&n) => Ok(n as u32),
        _ => Err(Errno(EINVAL)),
    };
    match (level, option) {
        (SOL_SOCKET, SO_REUSEADDR) => options.reuse_address.set(flag()?),
        (SOL_SOCKET, SO_REUSEPORT) => options.reuse_port.set(flag()?),
        (SOL_SOCKET, SO_BROADCAST) => options.broadcast.set(flag()?),
        (SOL_SOCKET, SO_KEEPALIVE) => options.keepalive.set(flag()?),
        (SOL_SOCKET, SO_RCVBUF | SO_SNDBUF) => {
            let which = usize::from(option == SO_SNDBUF);
            // Doubled, as Linux doubles it for its book-keeping.
            let size = (int(bytes, 0)? as u32).min(LARGEST) * 2;
            options.buffers[which].set(size.max(LEAST[which]));
        }
        (SOL_SOCKET, SO_LINGER) => {
            let (on, seconds) = (int(bytes, 0)? != 0, int(bytes, 4)?);
            options.linger.set(on.then_some(seconds as u32));
        }
        (SOL_SOCKET, SO_RCVTIMEO | SO_SNDTIMEO) => {
            let (seconds, microseconds) = (long(bytes, 0)?, long(bytes, 8)?);
            if !(0..1_000_000).contains(&microseconds) {
                return Err(Errno(EDOM));
            }
            let ns = u64::try_from(seconds).map_or(0, |s| s.saturating_mul(1_000_000_000));
            let ns = ns.saturating_add(microseconds as u64 * 1000);
            options.timeouts[usize::from(option == SO_SNDTIMEO)].set(ns);
        }
        (IPPROTO_TCP, TCP_NODELAY) if tcp => options.nodelay.set(flag()?),
        (IPPROTO_TCP, TCP_KEEPIDLE) if tcp => options.keep_idle.set(within(1, 32767)?),
        (IPPROTO_TCP, TCP_KEEPINTVL) if tcp => options.keep_interval.set(within(1, 32767)?),
        (IPPROTO_TCP, TCP_KEEPCNT) if tcp => options.keep_count.set(within(1, 127)?),
        (IPPROTO_TCP, TCP_USER_TIMEOUT) if tcp => options.user_timeout.set(within(0, c_int::MAX)?),
        (IPPROTO_TCP, TCP_QUICKACK) if tcp => options.quick_acknowledgements.set(flag()?),
        // BSD's programs give one byte.
        (IPPROTO_IP, IP_MULTICAST_LOOP) if groups => options.group_loop.set(match bytes {
            [byte] => *byte != 0,
            _ => flag()?,
        }),
        (IPPROTO_IP, IP_MULTICAST_TTL) if groups => options.group_ttl.set(match bytes {
            [byte] => *byte,
            _ => group_ttl(within(-1, 255)?),
        }),
        (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) if groups && socket.family() == Family::Inet6 => {
            options.group_loop.set(within(0, 1)? != 0);
        }
        (IPPROTO_IPV6, IPV6_MULTICAST_HOPS) if groups && socket.family() == Family::Inet6 => {
            options.group_ttl.set(group_ttl(within(-1, 255)?));
        }
        (IPPROTO_IP, IP_TTL) if inet => match int(bytes, 0)? {
            -1 => options.ttl.set(0),
            _ => options.ttl.set(within(1, 255)? as u8),
        },
        (IPPROTO_IPV6, IPV6_UNICAST_HOPS) if socket.family() == Family::Inet6 => {
            match int(bytes, 0)? {
                -1 => options.ttl.set(0),
                _ => options.ttl.set(within(0, 255)? as u8),
            }
        }
        (IPPROTO_IPV6, IPV6_V6ONLY) if socket.family() == Family::Inet6 => {
            options.only_v6.set(flag()?);
        }
        (IPPROTO_IP, IP_TOS) if inet => options.service.set(within(0, 255)?),
        (IPPROTO_IPV6, IPV6_TCLASS) if socket.family() == Family::Inet6 => {
            options.service.set(within(-1, 255)?);
        }
        (level, option) if inet && want(socket, level, option).is_some() => {
            if let Some(want) = want(socket, level, option) {
                options.wants[want].set(flag()?);
            }
        }
        (SOL_SOCKET | IPPROTO_TCP | IPPROTO_IP | IPPROTO_IPV6, _) if inet => {
            return Err(Errno(ENOPROTOOPT));
        }
        (SOL_SOCKET, _) => return Err(Errno(ENOPROTOOPT)),
        (_, _) if inet => return Err(Errno(ENOPROTOOPT)),
        (_, _) => return Err(Errno(EOPNOTSUPP)),
    }
    Ok(())
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    length: *mut c_uint,
) -> c_int {
    status(with_on_main(fd, |socket| {
        let (bytes, n) = get(socket, level, option)?;
        if value.is_null() || length.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: readable by contract.
        if c_int::try_from(unsafe { *length }).is_err() {
            return Err(Errno(EINVAL));
        }
        // SAFETY: as many bytes are writable as the length says, by contract.
        unsafe {
            let fits = n.min(*length as usize);
            value.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), fits);
            *length = fits as c_uint;
        }
        Ok(())
    }))
}

/// An option's bytes, and how many there are.
fn get(socket: &dyn Socket, level: c_int, option: c_int) -> Result<([u8; 16], usize)> {
    let options = socket.options();
    let inet = socket.family() != Family::Unix;
    let tcp = inet && socket.kind() == Type::Stream;
    let groups = inet && !tcp;
    // Linux's net.ipv4.ip_default_ttl.
    let ttl = || if options.ttl.get() == 0 { 64 } else { c_int::from(options.ttl.get()) };
    let mut bytes = [0; 16];
    let number = match (level, option) {
        (SOL_SOCKET, SO_LINGER) => {
            let seconds = options.linger.get();
            bytes[..4].copy_from_slice(&c_int::from(seconds.is_some()).to_ne_bytes());
            bytes[4..8].copy_from_slice(&seconds.unwrap_or(0).to_ne_bytes());
            return Ok((bytes, 8));
        }
        (SOL_SOCKET, SO_RCVTIMEO | SO_SNDTIMEO) => {
            let ns = options.timeouts[usize::from(option == SO_SNDTIMEO)].get();
            bytes[..8].copy_from_slice(&(ns / 1_000_000_000).to_ne_bytes());
            bytes[8..].copy_from_slice(&(ns % 1_000_000_000 / 1000).to_ne_bytes());
            return Ok((bytes, 16));
        }
        (SOL_SOCKET, SO_PEERCRED) if !inet => {
            // Process, user and group: this program's own, since it is at both ends.
            let connected = socket.peer().is_ok();
            let process: c_int = if connected { crate::process::getpid() } else { 0 };
            let user: c_int = if connected { 0 } else { -1 };
            for (word, number) in bytes.chunks_exact_mut(4).zip([process, user, user]) {
                word.copy_from_slice(&number.to_ne_bytes());
            }
            return Ok((bytes, 12));
        }
        (SOL_SOCKET, SO_REUSEADDR) => options.reuse_address.get().into(),
        (SOL_SOCKET, SO_REUSEPORT) => options.reuse_port.get().into(),
        (SOL_SOCKET, SO_BROADCAST) => options.broadcast.get().into(),
        (SOL_SOCKET, SO_KEEPALIVE) => options.keepalive.get().into(),
        (SOL_SOCKET, SO_RCVBUF) => options.buffers[0].get() as c_int,
        (SOL_SOCKET, SO_SNDBUF) => options.buffers[1].get() as c_int,
        (SOL_SOCKET, SO_ERROR) => socket.take_error(),
        (SOL_SOCKET, SO_ACCEPTCONN) => socket.is_listening().into(),
        (SOL_SOCKET, SO_TYPE) => match socket.kind() {
            Type::Stream => SOCK_STREAM,
            Type::Datagram if socket.is_in_sequence() => SOCK_SEQPACKET,
            Type::Datagram => SOCK_DGRAM,
        },
        (SOL_SOCKET, SO_PROTOCOL) => match (inet, socket.kind()) {
            (false, _) => 0,
            (true, Type::Stream) => IPPROTO_TCP,
            (true, Type::Datagram) => IPPROTO_UDP,
        },
        (SOL_SOCKET, SO_DOMAIN) => match socket.family() {
            Family::Unix => AF_UNIX,
            Family::Inet4 => AF_INET,
            Family::Inet6 => AF_INET6,
        },
        (IPPROTO_TCP, TCP_NODELAY) if tcp => options.nodelay.get().into(),
        (IPPROTO_TCP, TCP_KEEPIDLE) if tcp => options.keep_idle.get() as c_int,
        (IPPROTO_TCP, TCP_KEEPINTVL) if tcp => options.keep_interval.get() as c_int,
        (IPPROTO_TCP, TCP_KEEPCNT) if tcp => options.keep_count.get() as c_int,
        (IPPROTO_TCP, TCP_USER_TIMEOUT) if tcp => options.user_timeout.get() as c_int,
        (IPPROTO_TCP, TCP_QUICKACK) if tcp => options.quick_acknowledgements.get().into(),
        (IPPROTO_IP, IP_MULTICAST_LOOP) if groups => options.group_loop.get().into(),
        (IPPROTO_IP, IP_MULTICAST_TTL) if groups => options.group_ttl.get().into(),
        (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) if groups && socket.family() == Family::Inet6 => {
            options.group_loop.get().into()
        }
        (IPPROTO_IPV6, IPV6_MULTICAST_HOPS) if groups && socket.family() == Family::Inet6 => {
            options.group_ttl.get().into()
        }
        (level, option) if inet && want(socket, level, option).is_some() => {
            want(socket, level, option).is_some_and(|want| options.wants[want].get()).into()
        }
        (IPPROTO_IP, IP_TTL) if inet => ttl(),
        (IPPROTO_IPV6, IPV6_UNICAST_HOPS) if socket.family() == Family::Inet6 => ttl(),
        (IPPROTO_IPV6, IPV6_V6ONLY) if socket.family() == Family::Inet6 => {
            options.only_v6.get().into()
        }
        (IPPROTO_IP, IP_TOS) if inet => options.service.get() as c_int,
        (IPPROTO_IPV6, IPV6_TCLASS) if socket.family() == Family::Inet6 => {
            options.service.get() as c_int
        }
        (SOL_SOCKET, _) => return Err(Errno(ENOPROTOOPT)),
        (_, _) if inet => return Err(Errno(ENOPROTOOPT)),
        (_, _) => return Err(Errno(EOPNOTSUPP)),
    };
    bytes[..4].copy_from_slice(&number.to_ne_bytes());
    Ok((bytes, 4))
}
