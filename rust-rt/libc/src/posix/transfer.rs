//! C's calls that receive from sockets and send to them.

use alloc::rc::{Rc, Weak};
use core::ffi::{c_int, c_uint, c_void};

use super::address::{self, Said};
use super::answer::size;
use super::block::{self, on_main};
use super::control;
use super::events::Events;
use super::family::Type;
use super::io::{parts, parts_mut};
use super::named;
use super::object::{Received, Socket, downcast};
use super::pair::Pair;
use super::parts::{Errno, Part, PartMut, Result, room, total};
use super::socket::with;
use super::table::Description;
use crate::errno::{EFAULT, EINVAL, EOPNOTSUPP};

const MSG_OOB: c_int = 1;
const MSG_PEEK: c_int = 2;
const MSG_TRUNC: c_int = 0x20;
pub(super) const MSG_DONTWAIT: c_int = 0x40;
const MSG_WAITALL: c_int = 0x100;

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
            let Ok(mut rest) = PartMut::behind(parts, received.bytes) else { break };
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
        let all = total(list);
        let mut sent = write(list)?;
        let whole = socket.kind() == Type::Stream && !once && !description.is_nonblocking();
        while whole && sent < all {
            match Part::behind(list, sent).and_then(|rest| write(&rest)) {
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
