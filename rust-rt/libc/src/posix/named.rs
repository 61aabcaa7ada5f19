//! Names of UNIX-domain sockets: files in a directory that the program may [write](super::files), and abstract ones. Both
//! ends are in the domain, as no other process is.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use core::cell::{Cell, RefCell};

use super::address::{Address, Name};
use super::family::Type;
use super::files;
use super::local::local;
use super::pair::{Listener, Pair};
use super::parts::{Errno, Result};
use crate::errno::{
    EADDRINUSE, EAGAIN, ECONNREFUSED, EEXIST, EINVAL, EISCONN, EOPNOTSUPP, EPROTOTYPE,
};

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

/// Gives a socket a name, an abstract one of five digits if it does not matter which.
///
/// # Errors
///
/// EINVAL if it has one; EADDRINUSE; for a file those of making one.
pub(super) fn bind(socket: &Pair, name: Option<Name>) -> Result {
    if socket.name.get() != Address::Unnamed {
        return Err(Errno(EINVAL));
    }
    let own = Weak::clone(&socket.own);
    let name = match name {
        Some(name) => {
            match name.path() {
                Some(path) => files::put_socket(path, own).map_err(|Errno(errno)| {
                    Errno(if errno == EEXIST { EADDRINUSE } else { errno })
                })?,
                None if !take(name, own) => return Err(Errno(EADDRINUSE)),
                None => {}
            }
            name
        }
        None => loop {
            let number = CHOSEN.with(|chosen| {
                chosen.set((chosen.get() + 1) % (1 << 20));
                chosen.get()
            });
            let name = Name::of(alloc::format!("\0{number:05x}").as_bytes())?;
            if take(name, Weak::clone(&own)) {
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

/// The socket of a name.
///
/// # Errors
///
/// ECONNREFUSED if there is none; those of looking for a file.
pub(super) fn find(name: &Name) -> Result<Rc<Pair>> {
    let found = match name.path() {
        Some(path) => files::socket(path)?,
        None => ABSTRACT.with(|names| names.borrow().get(name).cloned()),
    };
    found.and_then(|socket| socket.upgrade()).ok_or(Errno(ECONNREFUSED))
}

/// Accepts connections from now on.
///
/// # Errors
///
/// EOPNOTSUPP for datagrams; EINVAL without a name, or if it is connected.
pub(super) fn listen(socket: &Pair, backlog: usize) -> Result {
    use super::object::Socket;
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
/// EISCONN; EINVAL if it listens itself; ECONNREFUSED if the other does not; EPROTOTYPE; EAGAIN if the other has as many
/// as it wants.
pub(super) fn connect(socket: &Pair, to: &Rc<Pair>) -> Result {
    use super::object::{Object, Socket};
    if socket.is_connected() {
        return Err(Errno(EISCONN));
    }
    if socket.is_listening() {
        return Err(Errno(EINVAL));
    }
    if to.kind() != Type::Stream {
        return Err(Errno(EPROTOTYPE));
    }
    let end = Pair::new(Type::Stream);
    {
        let listener = to.listener.borrow();
        let Some(listener) = &*listener else { return Err(Errno(ECONNREFUSED)) };
        if listener.is_full() {
            to.keep_informed(socket);
            return Err(Errno(EAGAIN));
        }
        end.name.set(to.name.get());
        end.join(socket);
        socket.join(&end);
        listener.push(end);
    }
    to.watchers().notify(super::events::Events::IN);
    Ok(())
}
