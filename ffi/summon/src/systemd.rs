//! What systemd passes to a service, and wants to hear from it: sd_listen_fds(3) and sd_notify(3).

use socket2::{Socket, Type};
use std::{
    env,
    ffi::OsString,
    fs,
    net::SocketAddr,
    os::{
        fd::{FromRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, fs::FileTypeExt, net::UnixDatagram},
    },
};

/// The first inherited descriptor.
const FIRST: i32 = 3;

/// The inherited sockets, each with its address. Sockets that are not IP sockets are left out, with a warning.
///
/// # Safety
///
/// Must be called once, before anything else opens a descriptor: it takes ownership of the descriptors that the
/// environment names.
pub unsafe fn inherited() -> Vec<(SocketAddr, Socket)> {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<i32>().ok());
    // The variables may have been meant for a parent of this process.
    if number("LISTEN_PID") != i32::try_from(std::process::id()).ok() {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, 100_000);
    let sockets = (FIRST..FIRST + count).filter_map(|fd| {
        // Reading a link of /proc neither opens nor owns the descriptor.
        let file = fs::metadata(format!("/proc/self/fd/{fd}"));
        if !file.is_ok_and(|file| file.file_type().is_socket()) {
            log::warn!("the inherited descriptor {fd} is not a socket");
            return None;
        }
        // SAFETY: the descriptor is open, as was just seen. LISTEN_PID names this process, so it was opened for it, and
        // by this function's contract nothing owns it yet.
        let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        // Neither xl nor the processes that it leaves behind may inherit them.
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

/// Whether an inherited socket has this type.
pub fn is_of_type(socket: &Socket, kind: Type) -> bool {
    socket.r#type().is_ok_and(|found| found == kind)
}

/// Notifies systemd, if it asked for that: `READY=1`, `STOPPING=1`.
pub fn notify(what: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&path, what) {
        log::warn!("NOTIFY_SOCKET: {error}");
    }
}

fn send(path: &OsString, what: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match path.as_bytes().strip_prefix(b"@") {
        // An abstract name, not a file.
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(what.as_bytes(), &address)
        }
        None => socket.send_to(what.as_bytes(), path),
    }
    .map(drop)
}
