//! Names of UNIX-domain sockets: files in a directory that the program may [write](super::files), and abstract ones.
//! Both ends are in the domain, as no other process is.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use core::cell::{Cell, RefCell};

use super::address::{Address, Name};
use super::family::Type;
use super::files::{self, SocketPlace};
use super::local::local;
use super::memory;
use super::object::{Object, Socket};
use super::pair::{Listener, Pair};
use super::parts::{Errno, Part, Result};
use crate::errno::{EADDRINUSE, EAGAIN, ECONNREFUSED, EINVAL, EISCONN, EOPNOTSUPP, EPROTOTYPE};

/// Connections that have not been accepted, at most: Linux's net.core.somaxconn.
const MOST_PENDING: usize = 4096;

local! {
    /// The sockets with abstract names.
    static ABSTRACT: RefCell<BTreeMap<Name, Weak<Pair>>> = RefCell::new(BTreeMap::new());
}

local! {
    /// The last name that was chosen for a socket.
    static CHOSEN: Cell<u32> = Cell::new(0);
}

/// Where a socket is to have its name.
pub(super) enum Place {
    /// It does not matter: an abstract name of five digits.
    Any,
    Abstract(Name),
    File(Name, SocketPlace),
}

/// The place of a name, with none for any. Waits where a disk has to be asked.
///
/// # Errors
///
/// Those of finding where a file may be made; EADDRINUSE if there is one.
pub(super) fn place(name: Option<Name>) -> Result<Place> {
    let Some(name) = name else { return Ok(Place::Any) };
    Ok(match name.path() {
        Some(path) => Place::File(name, SocketPlace::of(path)?),
        None => Place::Abstract(name),
    })
}

/// Gives a socket a name.
///
/// # Errors
///
/// EINVAL if it has one, but for any name that one will do; EADDRINUSE; for a file those of making one.
pub(super) fn bind(socket: &Pair, place: Place) -> Result {
    if socket.name.get() != Address::Unnamed {
        return if matches!(place, Place::Any) { Ok(()) } else { Err(Errno(EINVAL)) };
    }
    memory::need(memory::THING)?;
    let own = || Weak::clone(&socket.own);
    let name = match place {
        Place::File(name, file) => {
            file.put(own())?;
            name
        }
        Place::Abstract(name) if take(name, own()) => name,
        Place::Abstract(_) => return Err(Errno(EADDRINUSE)),
        Place::Any => loop {
            let number = CHOSEN.with(|chosen| {
                chosen.set((chosen.get() + 1) % (1 << 20));
                chosen.get()
            });
            let name = Name::of(alloc::format!("\0{number:05x}").as_bytes())?;
            if take(name, own()) {
                break name;
            }
        },
    };
    socket.name.set(Address::Local(name));
    Ok(())
}

/// Takes an abstract name, if nobody has it.
fn take(name: Name, socket: Weak<Pair>) -> bool {
    ABSTRACT.with(|names| {
        let mut names = names.borrow_mut();
        let free = !names.contains_key(&name);
        if free {
            names.insert(name, socket);
        }
        free
    })
}

/// The socket of this name is gone. A file stays, as on Linux.
pub(super) fn forget(name: Address) {
    let Address::Local(name) = name else { return };
    ABSTRACT.with(|names| {
        let mut names = names.borrow_mut();
        // An accepted connection has its listener's name.
        if names.get(&name).is_some_and(|socket| socket.strong_count() == 0) {
            names.remove(&name);
        }
    });
}

/// The socket of a name, which may be closed before it is used. Waits where a disk has to be asked.
///
/// # Errors
///
/// ECONNREFUSED if there is none; those of looking for a file.
pub(super) fn find(name: &Name) -> Result<Weak<Pair>> {
    let found = match name.path() {
        Some(path) => files::socket(path)?,
        None => ABSTRACT.with(|names| names.borrow().get(name).cloned()),
    };
    found.ok_or(Errno(ECONNREFUSED))
}

/// What was found, if it is still there.
fn open(socket: &Weak<Pair>) -> Result<Rc<Pair>> {
    socket.upgrade().ok_or(Errno(ECONNREFUSED))
}

/// Sends a datagram to a socket that was found.
///
/// # Errors
///
/// As `sendto`.
pub(super) fn send(socket: &Pair, parts: &[Part], to: &Weak<Pair>) -> Result<usize> {
    socket.may_send_to_others()?;
    socket.send_message(parts, &*open(to)?)
}

/// Connects a socket with one that was found.
///
/// # Errors
///
/// As `connect`; EAGAIN if that one has as many connections as it wants.
pub(super) fn connect(socket: &Pair, to: &Weak<Pair>) -> Result {
    let to = open(to)?;
    match socket.kind() {
        Type::Stream => connect_stream(socket, &to),
        Type::Datagram => socket.choose(&to),
    }
}

/// Accepts connections from now on.
///
/// # Errors
///
/// EOPNOTSUPP for datagrams; EINVAL without a name, or if it is connected.
pub(super) fn listen(socket: &Pair, backlog: usize) -> Result {
    if socket.kind() != Type::Stream {
        return Err(Errno(EOPNOTSUPP));
    }
    if socket.is_connected() || socket.name.get() == Address::Unnamed {
        return Err(Errno(EINVAL));
    }
    let backlog = backlog.min(MOST_PENDING);
    let mut listener = socket.listener.borrow_mut();
    match &*listener {
        Some(listener) => listener.set_backlog(backlog),
        None => *listener = Some(Listener::new(backlog)),
    }
    Ok(())
}

/// Connects a stream with one that listens; it need not have been accepted yet.
///
/// # Errors
///
/// EISCONN; EINVAL if it listens itself; ECONNREFUSED if the other does not, or was told to receive nothing more;
/// EPROTOTYPE; EAGAIN if the other has as many as it wants; ENOBUFS.
fn connect_stream(socket: &Pair, to: &Rc<Pair>) -> Result {
    if socket.is_connected() {
        return Err(Errno(EISCONN));
    }
    if socket.is_listening() {
        return Err(Errno(EINVAL));
    }
    if to.kind() != Type::Stream {
        return Err(Errno(EPROTOTYPE));
    }
    {
        let listener = to.listener.borrow();
        let listener = listener.as_ref().filter(|_| !to.is_deaf()).ok_or(Errno(ECONNREFUSED))?;
        if listener.is_full() {
            to.keep_informed(socket);
            return Err(Errno(EAGAIN));
        }
        let end = listener.push()?;
        end.name.set(to.name.get());
        end.join(socket);
        socket.join(&end);
    }
    to.watchers().notify(super::events::Events::IN);
    Ok(())
}
