//! UNIX-domain sockets with names, here and on the host's kernel.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::host_tests::{C, same};
use super::table::O_NONBLOCK;

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
