//! inotify, for files that never change: watching one is waiting for what does not happen. Servers that watch their
//! configuration begin with that. A file that the program can change itself cannot be watched: EOPNOTSUPP, and the log
//! says so.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::ffi::{c_char, c_int, c_uint};
use core::sync::atomic::AtomicBool;

use super::super::answer::{number, status};
use super::super::events::Events;
use super::super::memory;
use super::super::object::{Object, downcast};
use super::super::parts::{Errno, PartMut, Result, room, scatter};
use super::super::table::{self, O_CLOEXEC, O_NONBLOCK};
use super::super::watch::Watchers;
use super::calls::path_argument;
use super::lookup::{AT_FDCWD, find};
use crate::errno::{EAGAIN, EEXIST, EINVAL, ENOENT, ENOSPC, ENOTDIR, EOPNOTSUPP};
use crate::layout::Stat;
use crate::stub::unsupported;

const IN_ALL_EVENTS: c_uint = 0xfff;
const IN_IGNORED: u32 = 0x8000;
const IN_ONLYDIR: c_uint = 0x100_0000;
const IN_DONT_FOLLOW: c_uint = 0x200_0000;
const IN_MASK_CREATE: c_uint = 0x1000_0000;

/// `struct inotify_event` without a name: watch, mask, cookie, length.
const EVENT: usize = 16;

/// What `inotify_init` makes.
struct Inotify {
    /// Watches by device and inode.
    watched: RefCell<BTreeMap<(u64, u64), c_int>>,
    /// The number of the last one.
    last: Cell<c_int>,
    /// Those that were removed, which is an event.
    removed: RefCell<VecDeque<c_int>>,
    watchers: Watchers,
}

impl Inotify {
    /// Watches what a path leads to.
    fn add(&self, path: &[u8], mask: c_uint) -> Result<c_int> {
        if mask & IN_ALL_EVENTS == 0 {
            return Err(Errno(EINVAL));
        }
        let node = find(AT_FDCWD, path, mask & IN_DONT_FOLLOW == 0)?.node.ok_or(Errno(ENOENT))?;
        if mask & IN_ONLYDIR != 0 && !node.is_directory() {
            return Err(Errno(ENOTDIR));
        }
        if node.is_changeable() {
            static LOGGED: AtomicBool = AtomicBool::new(false);
            let why = "only files that never change can be watched; a watcher that polls works";
            unsupported(&LOGGED, "inotify_add_watch", why, EOPNOTSUPP);
            return Err(Errno(EOPNOTSUPP));
        }
        let mut watched = self.watched.borrow_mut();
        let which = (node.device, node.inode);
        match watched.get(&which) {
            Some(_) if mask & IN_MASK_CREATE != 0 => Err(Errno(EEXIST)),
            Some(&watch) => Ok(watch),
            // Each may become an event that nobody reads.
            None if watched.len() + self.removed.borrow().len() >= table::limit() => {
                Err(Errno(ENOSPC))
            }
            None => {
                memory::need(memory::THING)?;
                let watch = self.last.get().checked_add(1).ok_or(Errno(ENOSPC))?;
                self.last.set(watch);
                watched.insert(which, watch);
                Ok(watch)
            }
        }
    }

    fn remove(&self, watch: c_int) -> Result {
        let mut watched = self.watched.borrow_mut();
        let which = watched.iter().find_map(|(&which, &number)| (number == watch).then_some(which));
        watched.remove(&which.ok_or(Errno(EINVAL))?);
        drop(watched);
        self.removed.borrow_mut().push_back(watch);
        self.watchers.notify(Events::IN);
        Ok(())
    }
}

impl Object for Inotify {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        Events::IN.when(!self.removed.borrow().is_empty()) & (interest | Events::ALWAYS)
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        let mut removed = self.removed.borrow_mut();
        let n = removed.len().min(room(parts) / EVENT);
        if removed.is_empty() {
            return Err(Errno(EAGAIN));
        }
        if n == 0 {
            return Err(Errno(EINVAL));
        }
        let words = removed.drain(..n).flat_map(|watch| [watch as u32, IN_IGNORED, 0, 0]);
        Ok(scatter(&words.flat_map(u32::to_ne_bytes).collect::<alloc::vec::Vec<_>>(), parts))
    }

    fn available(&self) -> Result<usize> {
        Ok(self.removed.borrow().len() * EVENT)
    }

    fn stat(&self) -> Stat {
        Stat::anonymous()
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn inotify_init() -> c_int {
    inotify_init1(0)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn inotify_init1(flags: c_int) -> c_int {
    if flags & !(O_NONBLOCK | O_CLOEXEC) != 0 {
        return status(Err(Errno(EINVAL)));
    }
    let (watched, last, removed) = (RefCell::default(), Cell::new(0), RefCell::default());
    let inotify = Inotify { watched, last, removed, watchers: Watchers::new() };
    number(table::check_room().and_then(|()| table::insert(Rc::new(inotify), flags)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn inotify_add_watch(fd: c_int, path: *const c_char, mask: c_uint) -> c_int {
    number(inotify(fd).and_then(|inotify| {
        // SAFETY: a C string by contract.
        inotify.add(unsafe { path_argument(path) }?, mask)
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn inotify_rm_watch(fd: c_int, watch: c_int) -> c_int {
    status(inotify(fd).and_then(|inotify| inotify.remove(watch)))
}

/// EINVAL for what is something else.
fn inotify(fd: c_int) -> Result<Rc<Inotify>> {
    downcast(&table::get(fd)?.object).ok_or(Errno(EINVAL))
}

#[cfg(test)]
mod tests {
    use super::super::super::io;
    use super::super::archive_tests::put;
    use super::super::mount;
    use super::*;
    use crate::errno;
    use alloc::vec::Vec;
    use core::ffi::CStr;
    use host_libc as host;

    fn add(fd: c_int, path: &CStr, mask: c_uint) -> (c_int, c_int) {
        errno::set(0);
        // SAFETY: a C string.
        (unsafe { inotify_add_watch(fd, path.as_ptr(), mask) }, errno::get())
    }

    fn add_to_hosts(fd: c_int, path: &CStr, mask: c_uint) -> (c_int, c_int) {
        // SAFETY: a C string; errno is the thread's.
        unsafe {
            *host::__errno_location() = 0;
            (host::inotify_add_watch(fd, path.as_ptr(), mask), *host::__errno_location())
        }
    }

    #[test]
    fn watches_are_those_of_the_host() {
        let mut archive = Vec::new();
        put(&mut archive, "etc/passwd", 0o100_644, 1, b"x");
        put(&mut archive, "TRAILER!!!", 0, 0, b"");
        mount(archive.leak());
        let fd = inotify_init1(O_NONBLOCK | O_CLOEXEC);
        // SAFETY: nothing is passed but flags.
        let hosts = unsafe { host::inotify_init1(host::IN_NONBLOCK | host::IN_CLOEXEC) };
        for (path, mask) in [
            (c"/etc", host::IN_MODIFY),
            (c"/etc/passwd", host::IN_MODIFY | host::IN_CREATE),
            (c"/etc/../etc", host::IN_MODIFY | host::IN_ONLYDIR),
            (c"/etc/passwd", host::IN_MODIFY | host::IN_ONLYDIR),
            (c"/etc/passwd", host::IN_MODIFY | host::IN_MASK_CREATE),
            (c"/etc/passwd", 0),
            (c"/etc/none", host::IN_MODIFY),
            (c"", host::IN_MODIFY),
        ] {
            assert_eq!(add(fd, path, mask), add_to_hosts(hosts, path, mask), "{path:?} {mask:x}");
        }
        let read = |n: usize| {
            let (mut ours, mut its) = ([0; 64], [0; 64]);
            let got = io::read_into(fd, &mut ours[..n]).map_err(|Errno(error)| error);
            // SAFETY: the buffer has as many bytes.
            let hosts = match unsafe { host::read(hosts, its.as_mut_ptr().cast(), n) } {
                // SAFETY: errno is the thread's.
                -1 => Err(unsafe { *host::__errno_location() }),
                n => Ok(n as usize),
            };
            assert_eq!((got, ours), (hosts, its));
            got
        };
        assert_eq!(read(64), Err(EAGAIN));
        for watch in [2, 2, 99, 1] {
            // SAFETY: numbers only.
            assert_eq!(inotify_rm_watch(fd, watch), unsafe {
                host::inotify_rm_watch(hosts, watch)
            });
        }
        assert_eq!((read(15), read(20), read(64)), (Err(EINVAL), Ok(16), Ok(16)));
        // Numbers are not used again.
        let again = add(fd, c"/etc", host::IN_MODIFY);
        assert_eq!(again, add_to_hosts(hosts, c"/etc", host::IN_MODIFY));
        // SAFETY: ours.
        unsafe { host::close(hosts) };
        io::close(fd);
    }

    #[test]
    fn what_can_change_is_refused() {
        let fd = inotify_init();
        assert_eq!(add(fd, c"/tmp", 2), (-1, EOPNOTSUPP));
        assert_eq!(add(0, c"/etc", 2), (-1, EINVAL));
        assert_eq!(add(99, c"/etc", 2), (-1, errno::EBADF));
        assert_eq!((inotify_init1(1), errno::get()), (-1, EINVAL));
        io::close(fd);
    }
}
