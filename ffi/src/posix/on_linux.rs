//! The functions of this module that programs call, for a Linux process: there descriptors, files and mounts are
//! Linux's.

use std::io;

use crate::fs::Files;

/// Mounts nothing: on Linux `mount -o loop` does.
///
/// # Errors
///
/// Always [`Unsupported`](io::ErrorKind::Unsupported), so that the program can look for its files elsewhere.
pub fn mount_disk(_name: &str, _path: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "on Linux the program has Linux's files"))
}

/// As [`mount_disk`].
///
/// # Errors
///
/// As there.
#[cfg(feature = "redb")]
pub fn mount_persistent(name: &str, path: &str) -> io::Result<()> {
    mount_disk(name, path)
}

/// As [`mount_disk`].
///
/// # Errors
///
/// As there.
pub fn mount_files(_files: &Files, path: &str) -> io::Result<()> {
    mount_disk("", path)
}
