//! UNIX-domain sockets with names, here and on the host's kernel.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::future::{poll_fn, ready};
use core::mem::replace;
use core::task::Poll;

use super::files::{Found, Later, Volume, changes, mount_volume};
use super::host_tests::{C, either, same};
use super::memory::{For, Reserved, share, used};
use super::table::O_NONBLOCK;
use super::{block_tests, socket};
use crate::errno::{self, ENOBUFS, ENOENT};

const STREAM: i32 = 1 | O_NONBLOCK;
const DATAGRAM: i32 = 2 | O_NONBLOCK;
const ALL: i16 = 0x2005;

/// Runs `f` on both, with a directory of its own that has the same length on both.
fn in_directory<R: core::fmt::Debug + PartialEq>(name: &str, f: impl Fn(&C, &str) -> R) {
    let directory = format!("/tmp/mirust-{name}-{}", std::process::id());
    same(|c| {
        if c.is_host() {
            std::fs::create_dir(&directory).unwrap();
        } else {
            let path = alloc::ffi::CString::new(&*directory).unwrap();
            // SAFETY: a C string.
            assert_eq!(unsafe { super::files::changes::mkdir(path.as_ptr(), 0o755) }, 0);
        }
        let result = f(c, &directory);
        if c.is_host() {
            std::fs::remove_dir_all(&directory).unwrap();
        }
        result
    });
}

fn path(directory: &str, name: &str) -> Vec<u8> {
    format!("{directory}/{name}\0").into_bytes()
}

/// What was received, or an error, and the sender's address.
fn receive(c: &C, fd: i32) -> (i32, Vec<u8>, String) {
    let mut buf = [0; 16];
    let (n, from) = c.receive_from(fd, &mut buf);
    let text = String::from_utf8(buf[..n.max(0) as usize].to_vec()).unwrap();
    (n, from, text)
}

#[test]
fn streams_connect_by_a_path() {
    in_directory("streams", |c, directory| {
        let (a, none) = (path(directory, "a"), path(directory, "none"));
        let (listener, client) = (c.socket(STREAM), c.socket(STREAM));
        let mut log = vec![c.listen(listener, 1), c.with_name("bind", listener, &a)];
        log.extend([c.with_name("bind", listener, &none), c.with_name("bind", client, &a)]);
        log.extend([c.poll(client, ALL), c.with_name("connect", client, &a)]);
        log.extend([c.listen(listener, 1), c.poll(listener, ALL)]);
        let mut names = vec![c.accept(listener), c.name(listener, false), c.name(client, true)];
        log.extend([c.read(client, &mut [0]), c.write(client, b"x")]);
        let ended = c.socket(STREAM);
        log.extend([
            c.shutdown(ended, 2),
            c.write(ended, b"x"),
            c.poll(ended, ALL),
            c.close(ended),
        ]);
        log.extend([c.with_name("connect", client, &none), c.with_name("connect", client, &a)]);
        log.extend([c.with_name("connect", client, &a), c.with_name("to", client, &a)]);
        log.extend([c.poll(listener, ALL), c.write(client, b"early")]);
        // One more than the backlog fits.
        let (second, third) = (c.socket(STREAM), c.socket(STREAM));
        log.extend([c.with_name("connect", second, &a), c.with_name("connect", third, &a)]);
        let (accepted, peer) = c.accept(listener);
        names.extend([(0, peer), c.name(accepted, false), c.name(accepted, true)]);
        names.extend([c.name(client, false), c.name(client, true)]);
        let mut buf = [0; 8];
        log.extend([c.read(accepted, &mut buf), c.write(accepted, b"answer")]);
        log.extend([c.read(client, &mut buf[..3]), c.close(accepted), c.poll(client, ALL)]);
        log.extend([c.read(client, &mut buf), c.read(client, &mut buf)]);
        log.extend([c.with_name("connect", third, &a), c.close(listener)]);
        log.extend([c.poll(second, ALL), c.read(second, &mut [0]), c.read(second, &mut [0])]);
        let last = c.socket(STREAM);
        log.extend([c.with_name("connect", last, &a), c.with_name("bind", last, &a)]);
        log.extend([client, second, third, last].map(|fd| c.close(fd)));
        (log, names, buf)
    });
}

#[test]
fn datagrams_have_senders() {
    in_directory("datagrams", |c, directory| {
        let (a, b) = (path(directory, "a"), path(directory, "b"));
        let [one, two, three] = [0; 3].map(|_| c.socket(DATAGRAM));
        let mut log = vec![c.with_name("bind", one, &a), c.with_name("to a", three, &a)];
        log.extend([c.write(two, b"x"), c.with_name("bind", two, &b)]);
        log.extend([c.with_name("again", two, &a), c.with_name("to nobody", two, b"/none\0")]);
        let mut got = vec![receive(c, one), receive(c, one), receive(c, one)];
        log.extend([c.with_name("connect", one, &b), c.write(one, b"answer")]);
        log.extend([c.with_name("refused", three, &a), c.with_name("taken", two, &a)]);
        got.extend([receive(c, two), receive(c, one)]);
        let names =
            [c.name(one, false), c.name(one, true), c.name(two, true), c.name(three, false)];
        // Until there is no room, and then again.
        let full = (0..20).map(|_| c.write(one, b"many")).filter(|&n| n == 4).count();
        log.extend([c.poll(one, 4), c.close(two), c.write(one, b"x"), c.close(one)]);
        log.extend([c.with_name("gone", three, &a), c.close(three), c.listen(three, 1)]);
        (log, got, names, full)
    });
}

#[test]
fn abstract_names_end_with_their_sockets() {
    let name = format!("\0mirust-{}", std::process::id()).into_bytes();
    same(|c| {
        let (listener, client) = (c.socket(STREAM), c.socket(STREAM));
        let mut log = vec![c.with_name("connect", client, &name)];
        log.extend([c.with_name("bind", listener, &name), c.listen(listener, 5)]);
        log.extend([c.with_name("bind", client, &name), c.with_name("connect", client, &name)]);
        let (accepted, peer) = c.accept(listener);
        let names = [(0, peer), c.name(accepted, false), c.name(client, true)];
        let second = c.socket(STREAM);
        log.extend([c.close(listener), c.with_name("connect", second, &name)]);
        log.extend([c.with_name("bind", second, &name), c.close(second)]);
        log.extend([c.write(client, b"still"), c.read(accepted, &mut [0; 9])]);
        log.extend([c.close(client), c.close(accepted)]);
        // Any name: five digits.
        let any = c.socket(DATAGRAM);
        log.extend([c.with_name("bind", any, b""), c.name(any, false).1.len() as i64]);
        log.push(c.close(any));
        (log, names)
    });
}

/// The kernel's rules for paths: what a name is that cannot be bound, and that neither a slash nor a link helps.
#[test]
fn a_path_is_bound_as_a_new_file() {
    in_directory("paths", |c, directory| {
        let name = |name: &str| path(directory, name);
        let link = alloc::ffi::CString::from_vec_with_nul(name("dangling")).unwrap();
        let target = c"nowhere".as_ptr();
        let mut log = vec![either!(
            c,
            changes::symlink(target, link.as_ptr()),
            host_libc::symlink(target, link.as_ptr())
        )];
        let fd = c.socket(DATAGRAM);
        for at in ["new/", "dangling", "dangling/", ".", "..", "none/x", "new/.", "new//"] {
            log.push(c.with_name("bind", fd, &name(at)));
        }
        log.extend([c.with_name("bind", fd, b"/\0"), c.with_name("bind", fd, &name("a"))]);
        // Bound already: only any name will do, though there is one.
        log.extend([c.with_name("bind", fd, b""), c.with_name("bind", fd, &name("a"))]);
        log.extend([c.with_name("bind", fd, &name("b")), c.with_name("bind", fd, b"\0b")]);
        let other = c.socket(DATAGRAM);
        log.extend([c.with_name("connect", other, &name("a/")), c.with_name("bind", other, b"")]);
        log.extend([c.with_name("bind", other, b""), c.close(fd), c.close(other)]);
        log
    });
}

#[test]
fn an_address_has_its_length_and_family() {
    same(|c| {
        let fd = c.socket(DATAGRAM);
        let mut long = vec![0; 120];
        long[..2].copy_from_slice(b"/x");
        let mut log = vec![c.with_name("bind", fd, &long), c.with_name("connect", fd, &long)];
        log.extend([c.with_name("send", fd, &long), c.with_name("send", fd, &long[..108])]);
        let unknown = [99u8; 16];
        let at = unknown.as_ptr().cast::<c_void>();
        log.push(either!(c, socket::bind(fd, at, 16), host_libc::bind(fd, at.cast(), 16)));
        log.push(either!(c, socket::connect(fd, at, 16), host_libc::connect(fd, at.cast(), 16)));
        log.push(c.close(fd));
        log
    });
}

#[test]
fn shutdown_ends_a_listener() {
    let name = format!("\0mirust-shut-{}", std::process::id()).into_bytes();
    for how in 0..3 {
        same(|c| {
            let [listener, early, late] = [0; 3].map(|_| c.socket(STREAM));
            let mut log = vec![c.with_name("bind", listener, &name), c.listen(listener, 5)];
            log.extend([c.with_name("connect", early, &name), c.shutdown(listener, how)]);
            log.extend([c.poll(listener, ALL), c.with_name("connect", late, &name)]);
            // Who is there already is let in.
            let (accepted, _) = c.accept(listener);
            log.extend([c.write(accepted, b"x"), c.read(early, &mut [0]), c.poll(listener, ALL)]);
            log.push(c.accept(listener).0.min(0).into());
            // Also with another backlog.
            log.extend([c.listen(listener, 6), c.with_name("connect", late, &name)]);
            log.extend([accepted, early, late, listener].map(|fd| c.close(fd)));
            log
        });
    }
}

#[test]
fn shutdown_wakes_who_waits_and_nobody_waits_after_it() {
    block_tests::give_busy();
    let shut = |c: &C, fd: i32| {
        if c.is_host() {
            // SAFETY: no pointers.
            std::thread::spawn(move || unsafe {
                std::thread::sleep(core::time::Duration::from_millis(20));
                host_libc::shutdown(fd, 0)
            });
        } else {
            block_tests::meanwhile(move || assert_eq!(socket::shutdown(fd, 0), 0));
        }
    };
    let name = format!("\0mirust-wake-{}", std::process::id()).into_bytes();
    same(|c| {
        let listener = c.socket(1);
        let mut log = vec![c.with_name("bind", listener, &name), c.listen(listener, 0)];
        shut(c, listener);
        log.extend([c.accept(listener).0.into(), c.accept(listener).0.into(), c.close(listener)]);
        let [a, b] = c.socketpair(2, 0);
        shut(c, a);
        let mut byte = [0];
        log.extend([c.read(a, &mut byte), c.read(a, &mut byte), c.recv(a, &mut byte, 0)]);
        // Without waiting there is nothing, which is no end.
        log.extend([c.recv(a, &mut byte, 0x40), c.poll(a, ALL), c.write(b, b"x")]);
        log.extend([c.close(a), c.close(b)]);
        log
    });
}

#[test]
fn datagrams_choose_peers_that_did_not_choose_others() {
    in_directory("chosen", |c, directory| {
        let (a, b) = (path(directory, "a"), path(directory, "b"));
        let [one, two, three] = [0; 3].map(|_| c.socket(DATAGRAM));
        let mut log = vec![c.with_name("bind", one, &a), c.with_name("bind", two, &b)];
        log.extend([c.with_name("connect", one, &b), c.with_name("connect", three, &a)]);
        log.extend([c.with_name("connect", two, &a), c.write(two, b"to one")]);
        // Who leaves loses what the other has sent, and the other hears of it once.
        log.extend([c.with_name("connect", one, &a), c.poll(one, ALL), c.poll(two, ALL)]);
        let mut got = vec![receive(c, one), receive(c, two), receive(c, two)];
        log.extend([c.write(two, b"x"), c.poll(two, ALL), c.with_name("connect", three, &b)]);
        let unspecified = [0u8; 2];
        let at = unspecified.as_ptr().cast::<c_void>();
        log.push(either!(c, socket::connect(two, at, 2), host_libc::connect(two, at.cast(), 2)));
        log.extend([c.write(two, b"x"), c.with_name("connect", three, &b)]);
        got.push(c.name(two, true).1.is_empty().then(|| receive(c, two)).unwrap());
        log.extend([one, two, three].map(|fd| c.close(fd)));
        (log, got)
    });
}

#[test]
fn a_peer_that_is_gone_is_noticed_once() {
    in_directory("gone", |c, directory| {
        let a = path(directory, "a");
        let [one, two] = [0; 2].map(|_| c.socket(DATAGRAM));
        let mut log = vec![c.with_name("bind", one, &a), c.with_name("connect", two, &a)];
        log.extend([c.close(one), c.poll(two, ALL)]);
        let mut names = vec![c.name(two, true)];
        log.extend([c.write(two, b"x"), c.write(two, b"x"), c.poll(two, ALL)]);
        names.push(c.name(two, true));
        log.extend([c.with_name("connect", two, &a), c.close(two)]);
        (log, names)
    });
}

/// Asks a disk for each name that is not the program's: nothing is there, but that takes a while.
struct Empty;

impl Volume for Empty {
    fn lookup(&self, _: u64, _: &[u8]) -> Later<Option<Found>> {
        let mut asked = false;
        Box::pin(poll_fn(move |_| {
            if replace(&mut asked, true) { Poll::Ready(Ok(None)) } else { Poll::Pending }
        }))
    }

    fn list(&self, _: u64) -> Later<Vec<(Vec<u8>, u64, u32)>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn read(&self, _: u64, _: u64, _: usize) -> Later<Vec<u8>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

#[test]
fn looking_for_a_name_may_wait_for_a_disk() {
    block_tests::give_strict();
    assert_eq!(mount_volume("/tmp", Rc::new(Empty), 0), Ok(()));
    let ours = C { kernel: false };
    let [listener, client] = [0; 2].map(|_| ours.socket(1));
    let datagram = ours.socket(DATAGRAM);
    let mut log = vec![ours.with_name("connect", client, b"/tmp/none\0")];
    log.extend([ours.with_name("to none", datagram, b"/tmp/none\0")]);
    log.extend([ours.with_name("bind", listener, b"/tmp/name\0"), ours.listen(listener, 1)]);
    log.push(ours.with_name("connect", client, b"/tmp/name\0"));
    log.extend([listener, client, datagram].map(|fd| ours.close(fd)));
    assert_eq!(log, [-i64::from(ENOENT), -i64::from(ENOENT), 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_socket_is_paid_for_as_long_as_a_file_has_its_name() {
    let ours = C { kernel: false };
    let (before, fd) = (used(For::Files), ours.socket(DATAGRAM));
    assert_eq!(ours.with_name("bind", fd, b"/tmp/paid\0"), 0);
    assert_eq!(ours.close(fd), 0);
    assert!(used(For::Files) - before >= 2 * size_of::<super::pair::Pair>());
    // SAFETY: a C string.
    assert_eq!(unsafe { changes::unlink(c"/tmp/paid".as_ptr()) }, 0);
    assert_eq!(used(For::Files), before);
}

#[test]
fn what_nobody_has_accepted_is_paid_for() {
    let ours = C { kernel: false };
    let name = b"\0paid";
    let listener = ours.socket(STREAM);
    assert_eq!((ours.with_name("bind", listener, name), ours.listen(listener, 10)), (0, 0));
    let before = used(For::Buffers);
    let clients = [0; 4].map(|_| ours.socket(STREAM));
    let connect = |at: usize| ours.with_name("connect", clients[at], name);
    assert_eq!((connect(0), connect(1)), (0, 0));
    let end = (used(For::Buffers) - before) / 2;
    assert!(end >= size_of::<super::pair::Pair>());
    let rest = Reserved::default();
    rest.set(share(For::Buffers) - used(For::Buffers) - end + 1).unwrap();
    assert_eq!((connect(2), ours.poll(clients[2], ALL)), (-i64::from(ENOBUFS), 0x14));
    let (accepted, _) = ours.accept(listener);
    assert_eq!((connect(2), connect(3)), (0, -i64::from(ENOBUFS)));
    drop(rest);
    assert_eq!((ours.close(listener), used(For::Buffers)), (0, before));
    clients.iter().chain([&accepted]).for_each(|&fd| assert_eq!(ours.close(fd), 0));
}
