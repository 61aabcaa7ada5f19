//! Memory that ends in the middle of a call: it says so, and everything is as it was.

use core::ffi::{c_char, c_int, c_long};
use core::ptr;

use super::epoll::{Event, epoll_create1, epoll_ctl};
use super::files::calls::{access, chdir, getcwd, open64, realpath, stat64};
use super::files::{changes, directory, nameless};
use super::io::{close, dup2, fcntl, read, write};
use super::memory::{For, used};
use super::parts::Part;
use super::{block_tests, eventfd, interfaces, names, naming, pipe, poll, select, socket};
use super::{table, timer, transfer};
use crate::errno::{self, ENOBUFS, ENOENT, ENOMEM, ENOSPC};
use crate::layout::{PollFd, Stat};
use crate::limited;

/// Bytes with which every call here succeeds.
const ENOUGH: usize = 160 << 10;

/// What a call is given: the descriptors of its preparation.
type Given = [c_int; 2];

const NOTHING: fn() -> Given = || [-1; 2];

fn forget(given: Given, answer: c_long) {
    for fd in given.into_iter().chain([answer as c_int]).filter(|&fd| fd > 2) {
        close(fd);
    }
}

/// Calls with less and less missing, from no memory at all on. Each time everything but the call itself has memory:
/// `before` prepares it, and `after` takes back what it has done.
fn each(name: &str, before: fn() -> Given, call: fn(Given) -> c_long, after: fn(Given, c_long)) {
    let state = || (table::count(), used(For::Buffers), used(For::Files));
    // What is made once is there.
    let given = before();
    let answer = call(given);
    assert!(answer >= 0, "{name}: error {}", errno::get());
    after(given, answer);
    let (mut refused, mut allowed) = (0, 0);
    for left in (0..8 << 10).step_by(16).chain((8 << 10..ENOUGH).step_by(1024)) {
        let outside = state();
        let given = before();
        let inside = state();
        errno::set(0);
        let (answer, error) = limited::with(left, || (call(given), errno::get()));
        if answer < 0 {
            assert!([ENOMEM, ENOBUFS, ENOSPC].contains(&error), "{name} with {left}: {error}");
            assert_eq!(state(), inside, "{name} with {left}");
            refused += 1;
        } else {
            allowed += 1;
        }
        after(given, answer);
        assert_eq!(state(), outside, "{name} with {left}, afterwards");
    }
    assert!(refused > 0 && allowed > 0, "{name}: {refused} refused, {allowed} not");
}

fn long(n: c_int) -> c_long {
    n.into()
}

/// What functions that return an error, and none for success, say.
fn reported(error: c_int) -> c_long {
    if error == 0 {
        return 0;
    }
    errno::set(if error == -10 { ENOMEM } else { error });
    -1
}

fn file(path: *const c_char) -> c_int {
    // SAFETY: a C string.
    unsafe { open64(path, 0o102, 0o600) }
}

fn gone(path: *const c_char) {
    // SAFETY: a C string.
    unsafe {
        changes::unlink(path);
        assert_eq!((access(path, 0), errno::get()), (-1, ENOENT));
    }
}

fn ends() -> Given {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    assert_eq!(unsafe { pipe::pipe2(&raw mut ends, table::O_NONBLOCK) }, 0);
    ends
}

fn pair(kind: c_int) -> Given {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    assert_eq!(unsafe { socket::socketpair(1, kind | table::O_NONBLOCK, 0, &raw mut ends) }, 0);
    ends
}

/// `struct sockaddr_un` with an abstract name.
static NAME: [u8; 7] = *b"\x01\0\0name";

#[test]
fn descriptors() {
    block_tests::give_busy();
    each("eventfd", NOTHING, |_| long(eventfd::eventfd(0, 0)), forget);
    each("epoll_create1", NOTHING, |_| long(epoll_create1(0)), forget);
    each("timerfd_create", NOTHING, |_| long(timer::timerfd_create(1, 0)), forget);
    // SAFETY: a C string.
    let memfd = |_| long(unsafe { nameless::memfd_create(c"name".as_ptr(), 0) });
    each("memfd_create", NOTHING, memfd, forget);
    each("socket", NOTHING, |_| long(socket::socket(1, 1, 0)), forget);
    each(
        "pipe",
        NOTHING,
        |_| {
            let mut ends = [0; 2];
            // SAFETY: room for two.
            match unsafe { pipe::pipe(&raw mut ends) } {
                0 => long(ends[0] | ends[1] << 16),
                _ => -1,
            }
        },
        |_, answer| {
            if answer >= 0 {
                forget([answer as c_int & 0xffff, answer as c_int >> 16], -1);
            }
        },
    );
    each(
        "socketpair",
        NOTHING,
        |_| {
            let mut ends = [0; 2];
            // SAFETY: room for two.
            match unsafe { socket::socketpair(1, 2, 0, &raw mut ends) } {
                0 => long(ends[0] | ends[1] << 16),
                _ => -1,
            }
        },
        |_, answer| {
            if answer >= 0 {
                forget([answer as c_int & 0xffff, answer as c_int >> 16], -1);
            }
        },
    );
    // The table keeps the room that it has had.
    let [reader, _] = ends();
    // SAFETY: a command without a pointer.
    let copy = |to: c_int| unsafe { [dup2(reader, to), fcntl(reader, 0, to as _)] };
    assert_eq!((limited::with(4000, || copy(900)), errno::get()), ([-1, -1], ENOMEM));
    assert_eq!(copy(900), [900, 901]);
}

#[test]
fn files() {
    block_tests::give_busy();
    // SAFETY: paths are C strings, and buffers as long as is said, in all of these.
    unsafe {
        each("open", NOTHING, |_| long(open64(c"/etc/hosts".as_ptr(), 0, 0)), forget);
        each(
            "open, of what is made when it is opened",
            NOTHING,
            |_| long(open64(c"/proc/self/auxv".as_ptr(), 0, 0)),
            forget,
        );
        each("open of a directory", NOTHING, |_| long(open64(c"/tmp".as_ptr(), 0, 0)), forget);
        each(
            "open of a new file",
            NOTHING,
            |_| long(file(c"/tmp/a".as_ptr())),
            |given, answer| {
                if answer >= 0 {
                    changes::unlink(c"/tmp/a".as_ptr());
                }
                gone(c"/tmp/a".as_ptr());
                forget(given, answer);
            },
        );
        each(
            "stat",
            NOTHING,
            |_| {
                let mut stat = core::mem::MaybeUninit::<Stat>::uninit();
                long(stat64(c"/proc/self/stat".as_ptr(), stat.as_mut_ptr()))
            },
            |_, _| {},
        );
        each("access", NOTHING, |_| long(access(c"/etc".as_ptr(), 0)), |_, _| {});
        each(
            "opendir",
            NOTHING,
            |_| match directory::opendir(c"/proc".as_ptr()) {
                at if at.is_null() => -1,
                at => at.expose_provenance() as c_long,
            },
            |_, answer| {
                if answer > 0 {
                    directory::closedir(ptr::with_exposed_provenance_mut(answer as usize));
                }
            },
        );
        each(
            "getdents64",
            || [open64(c"/proc".as_ptr(), 0, 0), -1],
            |given| {
                let mut buf = [0u8; 4096];
                match directory::read_directory(given[0], buf.as_mut_ptr().cast(), buf.len()) {
                    Ok(n) => n as c_long,
                    Err(super::Errno(error)) => reported(error),
                }
            },
            |given, _| forget(given, -1),
        );
        each(
            "realpath",
            NOTHING,
            |_| {
                let mut buf = [0 as c_char; 4096];
                if realpath(c"/proc/self/stat".as_ptr(), buf.as_mut_ptr()).is_null() {
                    -1
                } else {
                    0
                }
            },
            |_, _| {},
        );
        each(
            "mkdir",
            NOTHING,
            |_| long(changes::mkdir(c"/tmp/d".as_ptr(), 0o755)),
            |_, _| {
                changes::rmdir(c"/tmp/d".as_ptr());
                gone(c"/tmp/d".as_ptr());
            },
        );
        each(
            "chdir",
            NOTHING,
            |_| long(chdir(c"/proc/self".as_ptr())),
            |_, _| assert_eq!(chdir(c"/".as_ptr()), 0),
        );
        each(
            "getcwd",
            || [chdir(c"/proc/self".as_ptr()), -1],
            |_| {
                let mut buf = [0 as c_char; 64];
                if getcwd(buf.as_mut_ptr(), buf.len()).is_null() { -1 } else { 0 }
            },
            |_, _| assert_eq!(chdir(c"/".as_ptr()), 0),
        );
        each(
            "symlink",
            NOTHING,
            |_| long(changes::symlink(c"/somewhere/else".as_ptr(), c"/tmp/s".as_ptr())),
            |_, _| gone(c"/tmp/s".as_ptr()),
        );
        each(
            "rename",
            || [file(c"/tmp/a".as_ptr()), -1],
            |_| long(changes::rename(c"/tmp/a".as_ptr(), c"/tmp/bb".as_ptr())),
            |given, answer| {
                let there = if answer < 0 { c"/tmp/a" } else { c"/tmp/bb" };
                assert_eq!(access(there.as_ptr(), 0), 0);
                changes::unlink(there.as_ptr());
                gone(c"/tmp/a".as_ptr());
                gone(c"/tmp/bb".as_ptr());
                forget(given, -1);
            },
        );
        each(
            "link",
            || [file(c"/tmp/a".as_ptr()), -1],
            |_| long(changes::link(c"/tmp/a".as_ptr(), c"/tmp/b".as_ptr())),
            |given, _| {
                changes::unlink(c"/tmp/a".as_ptr());
                gone(c"/tmp/b".as_ptr());
                forget(given, -1);
            },
        );
        each(
            "unlink",
            || [file(c"/tmp/a".as_ptr()), -1],
            |_| long(changes::unlink(c"/tmp/a".as_ptr())),
            |given, answer| {
                if answer < 0 {
                    assert_eq!(access(c"/tmp/a".as_ptr(), 0), 0);
                }
                gone(c"/tmp/a".as_ptr());
                forget(given, -1);
            },
        );
    }
}

#[test]
fn contents() {
    block_tests::give_busy();
    fn new() -> Given {
        let fd = file(c"/tmp/c".as_ptr());
        gone(c"/tmp/c".as_ptr());
        [fd, -1]
    }
    fn done(given: Given, _: c_long) {
        forget(given, -1);
    }
    each(
        "write of three pages, or as many as there is memory for",
        new,
        |given| {
            // SAFETY: so many bytes.
            let n = unsafe { write(given[0], [7u8; 12_000].as_ptr().cast(), 12_000) };
            if n > 0 { 0 } else { n as c_long }
        },
        done,
    );
    each("fallocate", new, |given| long(changes::fallocate64(given[0], 0, 0, 40_000)), done);
    each(
        "ftruncate",
        || {
            let given = new();
            assert_eq!(changes::fallocate64(given[0], 0, 0, 40_000), 0);
            given
        },
        |given| long(changes::ftruncate64(given[0], 5000)),
        done,
    );
    each(
        "mmap",
        || {
            let given = new();
            // SAFETY: a byte.
            assert_eq!(unsafe { write(given[0], c"x".as_ptr().cast(), 1) }, 1);
            given
        },
        |given| {
            // SAFETY: not at a fixed address.
            let at = unsafe { crate::mmap::mmap(ptr::null_mut(), 5000, 3, 1, given[0], 0) };
            if at.addr() == usize::MAX { -1 } else { at.expose_provenance() as c_long }
        },
        |given, answer| {
            if answer > 0 {
                let at = ptr::with_exposed_provenance_mut(answer as usize);
                // SAFETY: mapped above, and not used any more.
                assert_eq!(unsafe { crate::mmap::munmap(at, 5000) }, 0);
            }
            forget(given, -1);
        },
    );
}

#[test]
fn waiting_and_sending() {
    block_tests::give_busy();
    each(
        "epoll_ctl",
        || [epoll_create1(0), eventfd::eventfd(1, 0)],
        |given| {
            let event = Event { events: 1, data: 5 };
            // SAFETY: an event.
            long(unsafe { epoll_ctl(given[0], 1, given[1], &raw const event) })
        },
        |given, answer| {
            // SAFETY: no event is needed.
            let removed = unsafe { epoll_ctl(given[0], 2, given[1], ptr::null()) };
            assert_eq!(removed, if answer < 0 { -1 } else { 0 });
            forget(given, -1);
        },
    );
    each(
        "poll",
        ends,
        |given| {
            let mut list = [const { PollFd { fd: 0, events: 4, revents: 0 } }; 100];
            list.iter_mut().for_each(|entry| entry.fd = given[1]);
            // SAFETY: so many entries.
            long(unsafe { poll::poll(list.as_mut_ptr(), 100, 1000) })
        },
        |given, _| forget(given, -1),
    );
    each(
        "poll that waits",
        ends,
        |given| {
            let mut entry = PollFd { fd: given[0], events: 1, revents: 0 };
            // SAFETY: one entry.
            long(unsafe { poll::poll(&raw mut entry, 1, 0).max(poll::poll(&raw mut entry, 1, 1)) })
        },
        |given, _| forget(given, -1),
    );
    each(
        "select",
        ends,
        |given| {
            let mut set = [0u64; 16];
            set[given[1] as usize / 64] |= 1 << (given[1] % 64);
            let null = ptr::null_mut();
            // SAFETY: a set of so many bits.
            long(unsafe { select::select(1024, null, set.as_mut_ptr(), null, null.cast()) })
        },
        |given, _| forget(given, -1),
    );
    each(
        "write to a pipe",
        ends,
        // SAFETY: so many bytes.
        |given| unsafe { write(given[1], [7u8; 6000].as_ptr().cast(), 6000) } as c_long,
        |given, _| forget(given, -1),
    );
    each(
        "writev",
        ends,
        |given| {
            let bytes = [7u8; 100];
            let parts = [(); 600].map(|()| Part::new(&bytes));
            // SAFETY: so many parts of so many bytes.
            unsafe { super::io::writev(given[1], parts.as_ptr(), 600) as c_long }
        },
        |given, _| forget(given, -1),
    );
    each(
        "send of a datagram",
        || pair(2),
        // SAFETY: so many bytes.
        |given| unsafe { transfer::send(given[0], [7u8; 600].as_ptr().cast(), 600, 0) } as c_long,
        |given, answer| {
            let mut buf = [0u8; 700];
            // SAFETY: so many bytes.
            let n = unsafe { read(given[1], buf.as_mut_ptr().cast(), 700) } as c_long;
            assert_eq!(n, answer);
            forget(given, -1);
        },
    );
}

#[test]
fn connections() {
    block_tests::give_busy();
    fn bind(fd: c_int) -> c_int {
        // SAFETY: an address of this length.
        unsafe { socket::bind(fd, NAME.as_ptr().cast(), NAME.len() as _) }
    }
    fn connect(fd: c_int) -> c_int {
        // SAFETY: as above.
        unsafe { socket::connect(fd, NAME.as_ptr().cast(), NAME.len() as _) }
    }
    fn new() -> Given {
        [socket::socket(1, 1 | table::O_NONBLOCK, 0), -1]
    }
    fn listening() -> Given {
        let [server, _] = new();
        assert_eq!((bind(server), socket::listen(server, 9)), (0, 0));
        [server, new()[0]]
    }
    each("bind", new, |given| long(bind(given[0])), |given, _| forget(given, -1));
    each(
        "listen",
        || {
            let given = new();
            assert_eq!(bind(given[0]), 0);
            given
        },
        |given| long(socket::listen(given[0], 9)),
        |given, _| forget(given, -1),
    );
    each("connect", listening, |given| long(connect(given[1])), |given, _| forget(given, -1));
    each(
        "accept",
        || {
            let given = listening();
            assert_eq!(connect(given[1]), 0);
            given
        },
        // SAFETY: no address is wanted.
        |given| long(unsafe { socket::accept(given[0], ptr::null_mut(), ptr::null_mut()) }),
        |given, answer| {
            if answer < 0 {
                // It still waits there.
                // SAFETY: as above.
                let fd = unsafe { socket::accept(given[0], ptr::null_mut(), ptr::null_mut()) };
                assert!(fd > 2);
                close(fd);
            }
            forget(given, answer);
        },
    );
}

#[test]
fn names_and_variables() {
    block_tests::give_busy();
    each(
        "getaddrinfo",
        NOTHING,
        |_| {
            let mut list = ptr::null_mut();
            // SAFETY: C strings, and a list to write.
            unsafe {
                let error = names::getaddrinfo(
                    c"127.0.0.1".as_ptr(),
                    c"80".as_ptr(),
                    ptr::null(),
                    &raw mut list,
                );
                names::freeaddrinfo(list);
                reported(error)
            }
        },
        |_, _| {},
    );
    each(
        "getnameinfo",
        NOTHING,
        |_| {
            let address = *b"\x02\0\0\x50\x7f\0\0\x01\0\0\0\0\0\0\0\0";
            let (mut host, mut port) = ([0 as c_char; 64], [0 as c_char; 16]);
            let (to, service) = (host.as_mut_ptr(), port.as_mut_ptr());
            // SAFETY: an address of this length, and buffers of those.
            reported(unsafe {
                naming::getnameinfo(address.as_ptr().cast(), 16, to, 64, service, 16, 3)
            })
        },
        |_, _| {},
    );
    each(
        "getifaddrs",
        NOTHING,
        |_| {
            let mut list = ptr::null_mut();
            // SAFETY: a list to write.
            unsafe {
                let answer = interfaces::getifaddrs(&raw mut list);
                interfaces::freeifaddrs(list);
                long(answer)
            }
        },
        |_, _| {},
    );
}
