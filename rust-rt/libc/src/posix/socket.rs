//! C's calls on sockets.

use alloc::rc::{Rc, Weak};
use core::ffi::{c_int, c_uint, c_void};

use super::address::{self, Said};
use super::answer::{number, size, status};
use super::block::{self, NEVER, on_main};
use super::control;
use super::events::Events;
use super::family::{
    AF_INET, AF_INET6, AF_UNIX, Family, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_STREAM, Type,
};
use super::io::{parts, parts_mut};
use super::named;
use super::network::network;
use super::object::{Received, Shutdown, Socket, downcast};
use super::pair::{self, Pair};
use super::parts::{Errno, Part, PartMut, Result, room};
use super::table::{self, Description, O_CLOEXEC, O_NONBLOCK};
use crate::errno::{
    EAFNOSUPPORT, EFAULT, EINPROGRESS, EINVAL, ENOTSOCK, EOPNOTSUPP, EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
};

const SOCK_SEQPACKET: c_int = 5;
/// Flags that a socket's type may be combined with.
const SOCK_FLAGS: c_int = O_NONBLOCK | O_CLOEXEC;
const MSG_OOB: c_int = 1;
const MSG_PEEK: c_int = 2;
const MSG_TRUNC: c_int = 0x20;
const MSG_DONTWAIT: c_int = 0x40;
const MSG_WAITALL: c_int = 0x100;

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
    number(create(family, kind, protocol))
}

fn create(family: c_int, kind: c_int, protocol: c_int) -> Result<c_int> {
    let family = match family {
        AF_UNIX => return create_local(kind, protocol),
        AF_INET => Family::Inet4,
        AF_INET6 => Family::Inet6,
        _ => return Err(Errno(EAFNOSUPPORT)),
    };
    let network = network().ok_or(Errno(EAFNOSUPPORT))?;
    let flags = kind & SOCK_FLAGS;
    let make = match (kind & !SOCK_FLAGS, protocol) {
        (SOCK_STREAM, 0 | IPPROTO_TCP) => network.tcp,
        (SOCK_DGRAM, 0 | IPPROTO_UDP) => network.udp,
        (SOCK_STREAM | SOCK_DGRAM, _) => return Err(Errno(EPROTONOSUPPORT)),
        (3..=6, _) => return Err(Errno(ESOCKTNOSUPPORT)),
        _ => return Err(Errno(EINVAL)),
    };
    table::insert_both(make(family), flags)
}

fn create_local(kind: c_int, protocol: c_int) -> Result<c_int> {
    let kind_of = match (kind & !SOCK_FLAGS, protocol) {
        (SOCK_STREAM, 0 | AF_UNIX) => Type::Stream,
        (SOCK_DGRAM, 0 | AF_UNIX) => Type::Datagram,
        (SOCK_STREAM | SOCK_DGRAM, _) => return Err(Errno(EPROTONOSUPPORT)),
        (3..=6, _) => return Err(Errno(ESOCKTNOSUPPORT)),
        _ => return Err(Errno(EINVAL)),
    };
    table::insert_both(Pair::new(kind_of), kind & SOCK_FLAGS)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn socketpair(
    family: c_int,
    kind: c_int,
    protocol: c_int,
    fds: *mut [c_int; 2],
) -> c_int {
    let made = match (family, kind & !SOCK_FLAGS, protocol) {
        (AF_UNIX, SOCK_STREAM, 0) => pair::create(Type::Stream, true, kind & SOCK_FLAGS),
        (AF_UNIX, SOCK_DGRAM | SOCK_SEQPACKET, 0) => {
            let in_sequence = kind & !SOCK_FLAGS == SOCK_SEQPACKET;
            pair::create(Type::Datagram, in_sequence, kind & SOCK_FLAGS)
        }
        (AF_UNIX, SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET, _) => Err(Errno(EPROTONOSUPPORT)),
        (AF_UNIX, 3..=6, _) => Err(Errno(ESOCKTNOSUPPORT)),
        (AF_UNIX, ..) => Err(Errno(EINVAL)),
        (AF_INET | AF_INET6, ..) => Err(Errno(EOPNOTSUPP)),
        _ => Err(Errno(EAFNOSUPPORT)),
    };
    status(made.and_then(|pair| {
        if fds.is_null() {
            pair.into_iter().try_for_each(table::close)?;
            return Err(Errno(EFAULT));
        }
        // SAFETY: two ints are writable there by contract.
        unsafe { *fds = pair }
        Ok(())
    }))
}

/// Calls `f` with a descriptor's socket. What `f` asks the socket for it asks [`on_main`].
pub(super) fn with<R>(
    fd: c_int,
    f: impl FnOnce(&Rc<Description>, &dyn Socket) -> Result<R>,
) -> Result<R> {
    let description = table::get(fd)?;
    f(&description, description.object.socket().ok_or(Errno(ENOTSOCK))?)
}

/// Calls `f`, which waits for nothing, with a descriptor's socket, on the main stack.
pub(super) fn with_on_main<R>(fd: c_int, f: impl FnOnce(&dyn Socket) -> Result<R>) -> Result<R> {
    with(fd, |_, socket| on_main(|| f(socket)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn bind(fd: c_int, address: *const c_void, length: c_uint) -> c_int {
    status(with(fd, |description, socket| {
        if let Some(pair) = downcast::<Pair>(&description.object) {
            // SAFETY: the contract is the same.
            return match unsafe { address::read_local(address, length)? } {
                // What it takes to find the place may wait for a disk.
                Said::Local(name) => {
                    let place = named::place(name)?;
                    on_main(|| named::bind(&pair, place))
                }
                _ => Err(Errno(EINVAL)),
            };
        }
        // SAFETY: the contract is the same.
        let said = unsafe { address::read(address, length)? };
        let address = address::for_family(socket.family(), said)?;
        on_main(|| socket.bind(address))
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    status(with_on_main(fd, |socket| socket.listen(usize::try_from(backlog).unwrap_or(4096))))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn accept(
    fd: c_int,
    address: *mut c_void,
    length: *mut c_uint,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { accept4(fd, address, length, 0) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut c_void,
    length: *mut c_uint,
    flags: c_int,
) -> c_int {
    number(with(fd, |description, socket| {
        if flags & !SOCK_FLAGS != 0 {
            return Err(Errno(EINVAL));
        }
        let (object, peer) = block::attempt(description, false, Events::IN, || socket.accept())?;
        // The connection is dropped in there if it gets no number.
        on_main(|| {
            // SAFETY: the contract is the same.
            unsafe { address::write(peer, socket.family(), address, length)? };
            table::insert_both(object, flags)
        })
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn connect(
    fd: c_int,
    address: *const c_void,
    length: c_uint,
) -> c_int {
    status(with(fd, |description, socket| {
        if let Some(pair) = downcast::<Pair>(&description.object) {
            // SAFETY: the contract is the same.
            return match unsafe { address::read_local(address, length)? } {
                Said::Nothing => on_main(|| socket.disconnect()),
                Said::Local(Some(name)) => {
                    let to = named::find(&name)?;
                    let connect = || named::connect(&pair, &to);
                    block::attempt(description, false, Events::OUT, connect)
                }
                _ => Err(Errno(EINVAL)),
            };
        }
        // SAFETY: the contract is the same.
        let address = match unsafe { address::read(address, length)? } {
            Said::Nothing => return on_main(|| socket.disconnect()),
            said => address::for_family(socket.family(), said)?,
        };
        match on_main(|| socket.connect(address)) {
            Err(Errno(EINPROGRESS)) if !description.is_nonblocking() => {
                let limit = description.object.time_limit(false).map_or(NEVER, block::after);
                let ready = block::wait_for(&description.object, Events::OUT, limit)?;
                if ready.is_empty() {
                    return Err(Errno(EINPROGRESS));
                }
                match on_main(|| socket.take_error()) {
                    0 => Ok(()),
                    error => Err(Errno(error)),
                }
            }
            other => other,
        }
    }))
}

/// Flags known to have no effect here are ignored.
fn receive(fd: c_int, parts: &mut [PartMut], flags: c_int) -> Result<Received> {
    with(fd, |description, socket| {
        if flags & MSG_OOB != 0 {
            return Err(Errno(EINVAL));
        }
        let (peek, once) = (flags & MSG_PEEK != 0, flags & MSG_DONTWAIT != 0);
        let wanted = room(parts);
        let mut received =
            block::attempt(description, once, Events::IN, || socket.receive(parts, peek))?;
        let all = flags & MSG_WAITALL != 0 && !peek && socket.kind() == Type::Stream;
        while all && received.bytes < wanted && received.bytes > 0 {
            let mut rest = PartMut::behind(parts, received.bytes);
            let more =
                block::attempt(description, once, Events::IN, || socket.receive(&mut rest, false));
            match more {
                Ok(Received { bytes: 0, .. }) | Err(_) => break,
                Ok(more) => received.bytes += more.bytes,
            }
        }
        Ok(received)
    })
}

/// The count that a call returns.
fn counted(received: &Received, flags: c_int) -> usize {
    if flags & MSG_TRUNC != 0 { received.whole.max(received.bytes) } else { received.bytes }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn recv(fd: c_int, buf: *mut c_void, n: usize, flags: c_int) -> isize {
    // SAFETY: the contract is the same.
    unsafe { recvfrom(fd, buf, n, flags, core::ptr::null_mut(), core::ptr::null_mut()) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn recvfrom(
    fd: c_int,
    buf: *mut c_void,
    n: usize,
    flags: c_int,
    address: *mut c_void,
    length: *mut c_uint,
) -> isize {
    size(PartMut::of(buf, n).and_then(|part| {
        let received = receive(fd, &mut [part], flags)?;
        // SAFETY: the contract is the same.
        unsafe { write_source(fd, &received, address, length)? };
        Ok(counted(&received, flags))
    }))
}

/// # Safety
///
/// As for [`address::write`].
unsafe fn write_source(
    fd: c_int,
    received: &Received,
    address: *mut c_void,
    length: *mut c_uint,
) -> Result {
    if address.is_null() {
        return Ok(());
    }
    match received.from {
        Some(from) => with(fd, |_, socket| {
            // SAFETY: the caller's promise.
            unsafe { address::write(from, socket.family(), address, length) }
        }),
        None if !length.is_null() => {
            // SAFETY: writable by contract.
            unsafe { *length = 0 };
            Ok(())
        }
        None => Ok(()),
    }
}

/// `struct msghdr`.
#[repr(C)]
pub(super) struct Message {
    name: *mut c_void,
    name_length: c_uint,
    parts: *mut c_void,
    count: usize,
    control: *mut c_void,
    control_length: usize,
    flags: c_int,
}

const _: () = assert!(size_of::<Message>() == 56);

#[cfg(test)]
impl Message {
    /// One of these parts, without an address.
    pub(super) fn of(parts: *mut c_void, count: usize) -> Self {
        let (name, control) = (core::ptr::null_mut(), core::ptr::null_mut());
        Message { name, name_length: 0, parts, count, control, control_length: 0, flags: 0 }
    }
}

/// There is no control data.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn recvmsg(fd: c_int, message: *mut Message, flags: c_int) -> isize {
    // SAFETY: NULL, or a message that nobody else accesses, by contract.
    let Some(message) = (unsafe { message.as_mut() }) else { return size(Err(Errno(EFAULT))) };
    // SAFETY: as many parts as it says.
    let list = unsafe { parts_mut(message.parts.cast(), message.count) };
    size(list.and_then(|list| {
        let received = receive(fd, list, flags)?;
        // SAFETY: the name is NULL or as long as it says.
        unsafe { write_source(fd, &received, message.name, &raw mut message.name_length)? };
        message.control_length = 0;
        message.flags = if received.whole > received.bytes { MSG_TRUNC } else { 0 };
        Ok(counted(&received, flags))
    }))
}

/// Where a message goes that does not go to the peer.
enum To {
    Inet(core::net::SocketAddr),
    Named(Rc<Pair>, Weak<Pair>),
}

/// The same of an address.
fn to(description: &Rc<Description>, socket: &dyn Socket, said: Said) -> Result<To> {
    let Some(pair) = downcast::<Pair>(&description.object) else {
        return address::for_family(socket.family(), said).map(To::Inet);
    };
    let Said::Local(Some(name)) = said else { return Err(Errno(EINVAL)) };
    on_main(|| pair.may_send_to_others())?;
    Ok(To::Named(pair, named::find(&name)?))
}

fn send_parts(fd: c_int, list: &[Part], flags: c_int, said: Option<Said>) -> Result<usize> {
    with(fd, |description, socket| {
        if flags & MSG_OOB != 0 {
            return Err(Errno(EOPNOTSUPP));
        }
        let to = said.map(|said| to(description, socket, said)).transpose()?;
        let once = flags & MSG_DONTWAIT != 0;
        let write = |list: &[Part]| {
            block::attempt(description, once, Events::OUT, || match &to {
                None => socket.send(list, None),
                Some(To::Inet(to)) => socket.send(list, Some(*to)),
                Some(To::Named(pair, to)) => named::send(pair, list, to),
            })
        };
        let all = super::parts::total(list);
        let mut sent = write(list)?;
        let whole = socket.kind() == Type::Stream && !once && !description.is_nonblocking();
        while whole && sent < all {
            match write(&Part::behind(list, sent)) {
                Ok(n) => sent += n,
                Err(_) => break,
            }
        }
        Ok(sent)
    })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn send(
    fd: c_int,
    bytes: *const c_void,
    n: usize,
    flags: c_int,
) -> isize {
    size(Part::of(bytes, n).and_then(|part| send_parts(fd, &[part], flags, None)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn sendto(
    fd: c_int,
    bytes: *const c_void,
    n: usize,
    flags: c_int,
    address: *const c_void,
    length: c_uint,
) -> isize {
    size(Part::of(bytes, n).and_then(|part| {
        // SAFETY: the contract is the same.
        let to = unsafe { destination(address, length)? };
        send_parts(fd, &[part], flags, to)
    }))
}

/// # Safety
///
/// As for [`address::read`].
unsafe fn destination(address: *const c_void, length: c_uint) -> Result<Option<Said>> {
    if address.is_null() || length == 0 {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { address::read(address, length) }.map(Some)
}

/// Control data that nothing here would use is ignored, as `setsockopt` supports none of it.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn sendmsg(fd: c_int, message: *const Message, flags: c_int) -> isize {
    // SAFETY: NULL or a message, by contract.
    let Some(message) = (unsafe { message.as_ref() }) else { return size(Err(Errno(EFAULT))) };
    // SAFETY: as many parts as it says.
    let list = unsafe { parts(message.parts.cast(), message.count) };
    size(list.and_then(|list| {
        let family = with(fd, |_, socket| Ok(socket.family()))?;
        // SAFETY: the control data is NULL or as long as it says, and so is the name.
        let to = unsafe {
            control::check(family, message.control, message.control_length)?;
            destination(message.name, message.name_length)?
        };
        send_parts(fd, list, flags, to)
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    status(with_on_main(fd, |socket| {
        let how = match how {
            0 => Shutdown { read: true, write: false },
            1 => Shutdown { read: false, write: true },
            2 => Shutdown { read: true, write: true },
            _ => return Err(Errno(EINVAL)),
        };
        socket.shutdown(how)
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getsockname(
    fd: c_int,
    address: *mut c_void,
    length: *mut c_uint,
) -> c_int {
    status(with_on_main(fd, |socket| {
        if address.is_null() || length.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: the contract is the same.
        unsafe { address::write(socket.local(), socket.family(), address, length) }
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getpeername(
    fd: c_int,
    address: *mut c_void,
    length: *mut c_uint,
) -> c_int {
    status(with_on_main(fd, |socket| {
        let peer = socket.peer()?;
        if address.is_null() || length.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: the contract is the same.
        unsafe { address::write(peer, socket.family(), address, length) }
    }))
}
