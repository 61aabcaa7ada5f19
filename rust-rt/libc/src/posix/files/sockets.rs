//! Files that are the names of UNIX-domain sockets.

use alloc::rc::Weak;

use super::super::pair::Pair;
use super::super::parts::{Errno, Result};
use super::calls::{AT_FDCWD, find};
use super::entry::{Entry, MASK};
use super::tree::Kind;
use crate::errno::{EADDRINUSE, EBUSY, ENOENT};

const SOCKET: u32 = 0o140_000;

/// Where a socket is to have its name.
pub(in super::super) struct SocketPlace(Entry);

impl SocketPlace {
    /// The place that a path leads to, in a directory that the program may write. A link there is not followed, as
    /// the name is taken then. Waits where somebody else has to be asked.
    ///
    /// # Errors
    ///
    /// EADDRINUSE if there is anything; ENOENT also for a path that ends with a slash; EROFS.
    pub(in super::super) fn of(path: &[u8]) -> Result<SocketPlace> {
        let end = path.iter().rposition(|&c| c != b'/').map_or(path.len(), |at| at + 1);
        let entry = match find(AT_FDCWD, &path[..end], false).and_then(Entry::of) {
            // The root.
            Err(Errno(EBUSY)) => return Err(Errno(EADDRINUSE)),
            entry => entry?,
        };
        if entry.node.is_some() {
            return Err(Errno(EADDRINUSE));
        }
        if end < path.len() {
            return Err(Errno(ENOENT));
        }
        entry.directory()?;
        Ok(SocketPlace(entry))
    }

    /// Makes the file. Does not wait.
    ///
    /// # Errors
    ///
    /// ENOSPC; ENOENT if the directory was removed.
    pub(in super::super) fn put(&self, socket: Weak<Pair>) -> Result {
        self.0.make(SOCKET | 0o777 & !MASK, Kind::Socket(socket)).map(|_| ())
    }
}

/// The UNIX-domain socket of this name; nothing if what has it is not one. Waits where somebody else has to be asked.
pub(in super::super) fn socket(path: &[u8]) -> Result<Option<Weak<Pair>>> {
    let node = find(AT_FDCWD, path, true)?.node.ok_or(Errno(ENOENT))?;
    Ok(match &node.kind {
        Kind::Socket(socket) => Some(Weak::clone(socket)),
        _ => None,
    })
}
