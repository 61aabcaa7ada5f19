//! Files that a program writes, on a disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mirust_rt::libc::posix::{self, Errno, Result};
use mirust_rt::mem::{PAGE_SIZE, frames};

use super::disks::{cannot, mount_disk, mount_each, with_a_warning};
use crate::block::{self, SECTOR, store};
use crate::{domain, fiber, shutdown, time};

/// A change is committed so many seconds later, if nobody has asked for it before.
const DELAY: time::Duration = time::Duration::from_secs(5);
/// Bytes of the stack on which that is done, and on which the program ends.
const STACK: usize = 256 << 10;
/// The disk is so many times as large as the memory.
const DISK_SHARE: u64 = 2;
/// One of this many bytes of the memory may be in pages that are to be committed: half of what files may take.
const CHANGED_SHARE: usize = 8;

/// Puts the files of the disk that has this name below `path`, to be read and changed by `std::fs` and all others who
/// call C's functions. What has changed is on the disk after `fsync` (`File::sync_all`), at the latest five seconds later,
/// and when the program ends; whoever has changed more than an eighth of the memory before that waits. Of what is on the
/// disk, memory has what was asked for last. An empty disk, with zeros at its beginning, becomes an empty directory. What
/// else there is at `path` is hidden.
///
/// Waits for the disk, and says so after ten seconds. From then on, to read what is not in memory is to wait, which a
/// task cannot: it gets `EDEADLK` ([`spawn`](crate::fiber::spawn) a thread for that).
///
/// # Errors
///
/// If there is no such disk, or it holds something else, which stays as it is, or it is damaged or too small (it has to
/// be twice as large as the domain's memory), or the names of its files do not fit into memory; where nothing may wait,
/// in a task.
pub fn mount_persistent(name: &str, path: &str) -> io::Result<()> {
    let opened = block::open(name);
    let disk = opened.map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?;
    let info = fiber::block_on(with_a_warning(name, disk.ready())).map_err(cannot)?;
    let there = info.map_err(io::Error::other)?.sectors * SECTOR;
    let wanted = DISK_SHARE * memory() as u64;
    if there < wanted {
        let why = format!("it has {} MiB, and needs {}", there >> 20, wanted.div_ceil(1 << 20));
        return Err(io::Error::new(io::ErrorKind::StorageFull, why));
    }
    let store = store::Store::open(disk)?;
    let store = Box::new(OnDisk { store, bytes: there, awaited: Arc::default() });
    shutdown::end_by(end_elsewhere);
    posix::mount_store(path, store).map_err(|Errno(number)| io::Error::from_raw_os_error(number))
}

/// Bytes of memory that the domain has.
fn memory() -> usize {
    frames::stats().total * PAGE_SIZE
}

/// Ends the program by `end` on a stack of its own: the main stack may be in the middle of a commit, and what is to be
/// stored at the end has to wait for that. Without memory for a stack it ends here, and says what cannot be stored.
fn end_elsewhere(end: fn()) {
    let thread = thread::Builder::new().name("end".into()).stack_size(STACK);
    if thread.spawn(end).is_err() {
        end();
    }
}

/// As [`mount_disks`](super::mount_disks), where `:rw` may follow a path: such a disk has files that persist.
#[doc(hidden)]
pub fn mount_writable_disks(list: &str) {
    mount_each(list, mount_disk, mount_persistent);
}

/// A disk as the files see it.
struct OnDisk {
    store: store::Store,
    /// How large the disk is.
    bytes: u64,
    /// A commit is going to be made.
    awaited: Arc<AtomicBool>,
}

/// An error of a disk was said, and nothing has been stored since.
static FAILING: AtomicBool = AtomicBool::new(false);

/// A number of Linux for an error of the disk, which is in the log; or one that a function passed on.
struct Failed(Errno);

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        // It is tried again and again.
        if !FAILING.swap(true, Ordering::Relaxed) {
            log::error!("files on a disk: {error}");
        }
        Failed(Errno(if error.kind() == io::ErrorKind::StorageFull { ENOSPC } else { EIO }))
    }
}

struct Changes<'a, 'b>(&'a mut store::Changes<'b>);

impl posix::Changes for Changes<'_, '_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.0.put(key, value).map_err(errno)
    }

    fn remove(&mut self, first: &[u8], last: &[u8]) -> Result<u64> {
        self.0.remove(first, last).map_err(errno)
    }
}

fn errno(error: io::Error) -> Errno {
    Failed::from(error).0
}

impl posix::Store for OnDisk {
    fn each(&self, before: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> Result) -> Result {
        let each = self.store.each(before, |key, value| f(key, value).map_err(Failed));
        each.map_err(|Failed(error)| error)
    }

    fn get(&self, key: &[u8], f: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.store.get(key, f).map_err(errno)
    }

    fn pages(&self) -> u64 {
        // As much as the domain has by now, its balloon may have taken or given back since.
        store::room(self.bytes, (memory() / CHANGED_SHARE / PAGE_SIZE) as u64)
    }

    fn transact(&self, f: &mut dyn FnMut(&mut dyn posix::Changes) -> Result) -> Result {
        let result = self.store.transact(|changes| f(&mut Changes(changes)).map_err(Failed));
        result.map(|()| FAILING.store(false, Ordering::Relaxed)).map_err(|Failed(error)| error)
    }

    fn has_changes(&self) {
        commit_later(Arc::clone(&self.awaited));
    }
}

/// Has a commit made in a while, and again after one that has failed, unless that is `awaited` already: there is one
/// such thread at a time, however long a disk fails and whatever changes meanwhile.
fn commit_later(awaited: Arc<AtomicBool>) {
    if awaited.swap(true, Ordering::Relaxed) {
        return;
    }
    domain::spawn(async move {
        loop {
            time::sleep(DELAY).await;
            let awaited = Arc::clone(&awaited);
            let commit = move || {
                // What changes from here on is for the next one.
                awaited.store(false, Ordering::Relaxed);
                if posix::commit_files().is_err() {
                    commit_later(awaited);
                }
            };
            // Without memory for a thread it is tried again.
            let thread = thread::Builder::new().name("files".into()).stack_size(STACK);
            if thread.spawn(commit).is_ok() {
                break;
            }
        }
    });
}
