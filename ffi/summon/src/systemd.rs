//! What systemd gives a service and wants to hear of it: sd_listen_fds(3) and sd_notify(3).

use socket2::{Socket, Type};
use std::{
    env,
    ffi::OsString,
    net::SocketAddr,
    os::{
        fd::{FromRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net::UnixDatagram},
    },
};

/// Where the sockets begin.
const FIRST: i32 = 3;

/// The sockets that were inherited, each with its address; those of no address of the Internet are left out, with a
/// word.
///
/// # Safety
///
/// To be called once, before anything else opens a descriptor: those that the environment names are taken to be this
/// program's and nobody's else.
pub unsafe fn inherited() -> Vec<(SocketAddr, Socket)> {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<i32>().ok());
    // The variables may be meant for a parent of this process.
    if number("LISTEN_PID") != i32::try_from(std::process::id()).ok() {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, 100_000);
    let sockets = (FIRST..FIRST + count).filter_map(|fd| {
        // SAFETY: whoever set LISTEN_PID to this process's number opened them for it, and by this function's own
        // contract nothing here owns them yet.
        let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        // xl and what it leaves behind must not have them.
        let done = socket.set_cloexec(true).and_then(|()| socket.set_nonblocking(true));
        match (address, done) {
            (Some(address), Ok(())) => Some((address, socket)),
            (_, Err(error)) => {
                log::warn!("the inherited descriptor {fd}: {error}");
                None
            }
            (None, Ok(())) => {
                log::warn!("the inherited descriptor {fd} is no socket of the Internet");
                None
            }
        }
    });
    sockets.collect()
}

/// Whether an inherited socket is one for connections, or for datagrams.
pub fn is_of_type(socket: &Socket, kind: Type) -> bool {
    socket.r#type().is_ok_and(|found| found == kind)
}

/// Tells systemd, if it wants to hear: `READY=1`, `RELOADING=1`, `STOPPING=1`.
pub fn notify(what: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&path, what) {
        log::warn!("NOTIFY_SOCKET: {error}");
    }
}

fn send(path: &OsString, what: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match path.as_bytes().strip_prefix(b"@") {
        // A name that is no file.
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(what.as_bytes(), &address)
        }
        None => socket.send_to(what.as_bytes(), path),
    }
    .map(drop)
}
