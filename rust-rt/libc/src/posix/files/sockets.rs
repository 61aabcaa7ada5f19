//! Files that are the names of UNIX-domain sockets.

use alloc::rc::Weak;

use super::super::pair::{Pair, Remembered};
use super::super::parts::{Errno, Result};
use super::entry::{Entry, MASK};
use super::lookup::{AT_FDCWD, find};
use super::node::Kind;
use crate::errno::{EADDRINUSE, EEXIST, ENOENT};

const SOCKET: u32 = 0o140_000;

/// Where a socket is to have its name.
pub(in super::super) struct SocketPlace(Entry);

impl SocketPlace {
    /// The place that a path leads to, in a directory that the program may write. A link there is not followed, as
    /// the name is taken then. Waits if a volume has to be searched.
    ///
    /// # Errors
    ///
    /// EADDRINUSE if there is anything; ENOENT also for a path that ends with a slash; EROFS.
    pub(in super::super) fn of(path: &[u8]) -> Result<SocketPlace> {
        let entry = Entry::free(AT_FDCWD, path, false).map_err(taken)?;
        entry.directory()?;
        Ok(SocketPlace(entry))
    }

    /// Makes the file. Does not wait.
    ///
    /// # Errors
    ///
    /// ENOSPC; ENOENT if the directory was removed, EADDRINUSE if something has been put there.
    pub(in super::super) fn put(&self, socket: Weak<Pair>) -> Result {
        let socket = Kind::Socket(Remembered::new(socket)?);
        self.0.make(SOCKET | 0o777 & !MASK, socket).map(|_| ()).map_err(taken)
    }
}

/// What `bind` says of a name that is taken.
fn taken(Errno(errno): Errno) -> Errno {
    Errno(if errno == EEXIST { EADDRINUSE } else { errno })
}

/// The UNIX-domain socket of this name; `None` if it names something else. Waits if a volume has to be searched.
pub(in super::super) fn socket(path: &[u8]) -> Result<Option<Weak<Pair>>> {
    let node = find(AT_FDCWD, path, true)?.node.ok_or(Errno(ENOENT))?;
    Ok(match &node.kind {
        Kind::Socket(named) => Some(named.end()),
        _ => None,
    })
}
