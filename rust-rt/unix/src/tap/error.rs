//! Errors of opening an interface.

use crate::sys::Errno;
use alloc::string::String;
use core::fmt;
use host_libc as libc;

/// Why an interface could not be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Interfaces have 1 to 15 bytes for a name.
    Name,
    /// Making the interface of this name takes the capability `CAP_NET_ADMIN`; using one that belongs to the
    /// user does not. The text has the command by which root makes one.
    NotPermitted(String),
    /// There is nothing to ask for an interface, or this user may not.
    NoTun(Errno),
    /// What was attempted, and the system call's error.
    System(&'static str, Errno),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Name => f.write_str("not the name of a network interface"),
            OpenError::NotPermitted(name) => {
                // SAFETY: takes nothing, and cannot fail.
                let user = unsafe { libc::syscall(libc::SYS_geteuid) };
                write!(f, "not permitted; as root: ip tuntap add dev {name} mode tap user {user}")
            }
            OpenError::NoTun(errno) => {
                write!(f, "/dev/net/tun: {errno}; as root: modprobe tun; chmod 666 /dev/net/tun")
            }
            OpenError::System(what, errno) => write!(f, "{what}: {errno}"),
        }
    }
}

impl core::error::Error for OpenError {}
