//! C's calls that make, name, connect and end sockets.

use alloc::rc::Rc;
use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::AtomicBool;

use super::address::{self, Said};
use super::answer::{number, status};
use super::block::{self, on_main};
use super::events::Events;
use super::family::{
    AF_INET, AF_INET6, AF_UNIX, Family, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_SEQPACKET,
    SOCK_STREAM, Type,
};
use super::memory;
use super::named;
use super::network::network;
use super::object::{Shutdown, Socket, downcast};
use super::pair::{self, Pair};
use super::parts::{Errno, Result};
use super::table::{self, Description, O_CLOEXEC, O_NONBLOCK};
use crate::errno::{
    EAFNOSUPPORT, EALREADY, EFAULT, EINPROGRESS, EINVAL, ENOTSOCK, EOPNOTSUPP, EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
};
use crate::stub::unsupported;

/// Flags that a socket's type may be combined with.
const SOCK_FLAGS: c_int = O_NONBLOCK | O_CLOEXEC;

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
    let network = network().ok_or_else(no_network)?;
    let flags = kind & SOCK_FLAGS;
    let make = match (kind & !SOCK_FLAGS, protocol) {
        (SOCK_STREAM, 0 | IPPROTO_TCP) => network.tcp,
        (SOCK_DGRAM, 0 | IPPROTO_UDP) => network.udp,
        (SOCK_STREAM | SOCK_DGRAM, _) => return Err(Errno(EPROTONOSUPPORT)),
        (3..=6, _) => return Err(Errno(ESOCKTNOSUPPORT)),
        _ => return Err(Errno(EINVAL)),
    };
    table::check_room()?;
    table::insert_both(make(family), flags)
}

/// An image has a network if its program refers to a C function for sockets. A call that gets here was made by a
/// SYSCALL instruction, which the linker does not see.
fn no_network() -> Errno {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let why = "the image has no network, as its program refers to no function for sockets: have it use one of std::net";
    unsupported(&LOGGED, "socket", why, EAFNOSUPPORT);
    Errno(EAFNOSUPPORT)
}

fn create_local(kind: c_int, protocol: c_int) -> Result<c_int> {
    let kind_of = match (kind & !SOCK_FLAGS, protocol) {
        (SOCK_STREAM, 0 | AF_UNIX) => Type::Stream,
        (SOCK_DGRAM, 0 | AF_UNIX) => Type::Datagram,
        (SOCK_STREAM | SOCK_DGRAM, _) => return Err(Errno(EPROTONOSUPPORT)),
        (3..=6, _) => return Err(Errno(ESOCKTNOSUPPORT)),
        _ => return Err(Errno(EINVAL)),
    };
    table::check_room()?;
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
        memory::need(memory::THING)?;
        on_main(|| socket.bind(address))
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    status(with_on_main(fd, |socket| {
        memory::need(memory::THING)?;
        socket.listen(usize::try_from(backlog).unwrap_or(4096))
    }))
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
        let (object, peer) = block::attempt(description, false, Events::IN, || {
            memory::need(memory::THING)?;
            socket.accept()
        })?;
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
        memory::need(memory::THING)?;
        match on_main(|| socket.connect(address)) {
            // EALREADY after a call that a handler has ended.
            Err(Errno(EINPROGRESS | EALREADY)) if !description.is_nonblocking() => {
                let limit = description.object.time_limit(false);
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
