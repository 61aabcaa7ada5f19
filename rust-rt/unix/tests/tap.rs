//! A TAP interface in a network namespace of the test's own. One thread owns the domain, so there is no harness.

use host_libc as libc;
use mirust_net::{Device, Fragment, Link, SendError, TxFrame};
use mirust_unix::tap::{self, Tap};
use std::{io, process::Command, ptr::NonNull, rc::Rc};

/// Of Ethernet; for experiments (IEEE 802).
const TYPE: u16 = 0x88b5;
const CASES: &[(&str, fn())] = &[
    ("frames_leave_at_the_flush_in_order", frames_leave_at_the_flush_in_order),
    ("more_frames_than_there_is_room_for", more_frames_than_there_is_room_for),
    ("a_head_is_used_once", a_head_is_used_once),
    ("an_interface_that_is_down_takes_nothing", an_interface_that_is_down_takes_nothing),
    ("an_interface_is_deleted_before_the_flush", an_interface_is_deleted_before_the_flush),
];

fn main() {
    if let Err(why) = own_namespace() {
        println!(
            "test tap ... SKIPPED, cannot make a network namespace with a TAP interface: {why}"
        );
        return;
    }
    for (name, case) in CASES {
        case();
        println!("test {name} ... ok");
    }
}

fn own_namespace() -> io::Result<()> {
    // SAFETY: both take and return integers.
    let (root, flags) = unsafe { (libc::geteuid() == 0, libc::CLONE_NEWNET) };
    let flags = if root { flags } else { flags | libc::CLONE_NEWUSER };
    // SAFETY: as above; the process has one thread.
    if unsafe { libc::unshare(flags) } != 0 {
        return Err(io::Error::last_os_error());
    }
    std::fs::File::options().read(true).write(true).open("/dev/net/tun").map(drop)?;
    Command::new("ip").arg("-V").output().map(drop)
}

fn ip(arguments: &str) {
    assert!(
        Command::new("ip").args(arguments.split(' ')).status().unwrap().success(),
        "{arguments}"
    );
}

/// An interface that is up, and what the kernel gets from it of the test's frames.
fn open(name: &str) -> (Rc<Tap>, Receiver) {
    let tap = tap::open(name, None).unwrap();
    ip(&format!("link set dev {name} up"));
    let receiver = Receiver::new();
    (tap, receiver)
}

struct Receiver(i32);

impl Receiver {
    fn new() -> Self {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK;
        // SAFETY: takes integers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, TYPE.to_be().into()) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        Receiver(fd)
    }

    /// The numbers and lengths of the frames that have arrived.
    fn all(&self) -> Vec<(u16, usize)> {
        let mut frames = Vec::new();
        let mut buffer = [0u8; 70000];
        loop {
            // SAFETY: the buffer has room for as much.
            let len = unsafe { libc::recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let Ok(len) = usize::try_from(len) else { return frames };
            let number = u16::from_be_bytes([buffer[14], buffer[15]]);
            assert!(buffer[16..len].iter().all(|octet| *octet == number as u8), "frame {number}");
            frames.push((number, len));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // SAFETY: ours, and not used any more.
        unsafe { libc::close(self.0) };
    }
}

/// Sends a frame with a number, of so many octets, of which 20 are the head's.
fn send(tap: &Tap, number: u16, len: usize) -> Result<Option<u16>, SendError> {
    let (head, most) = tap.next_head().ok_or(SendError::Closed)?;
    assert!(most >= 20);
    send_at(tap, head, number, len)
}

fn send_at(tap: &Tap, at: usize, number: u16, len: usize) -> Result<Option<u16>, SendError> {
    let mut head = [number as u8; 20];
    head[..12].fill(0xff);
    head[12..14].copy_from_slice(&TYPE.to_be_bytes());
    head[14..16].copy_from_slice(&number.to_be_bytes());
    // SAFETY: within the memory that heads are reserved from, and this one was.
    unsafe { tap.heads().0.add(at).cast().write(head) };
    let mut payload = vec![number as u8; len - head.len()];
    let part = Fragment { addr: NonNull::new(payload.as_mut_ptr()).unwrap(), len: payload.len() };
    let frame = TxFrame { head: at, head_len: 20, payload: &[part], checksum: None, gso_size: 0 };
    // SAFETY: the payload is there until the call returns, and a TAP interface needs it no longer.
    unsafe { tap.send(&frame) }
}

/// Long frames do not wait, but those before them go first.
fn frames_leave_at_the_flush_in_order() {
    let (tap, receiver) = open("order");
    tap.flush();
    for (number, len) in [(0, 60), (1, 600), (2, 1514), (3, 60)] {
        assert_eq!(send(&tap, number, len), Ok(None));
    }
    assert_eq!(receiver.all(), [(0, 60), (1, 600), (2, 1514)]);
    tap.flush();
    assert_eq!(receiver.all(), [(3, 60)]);
    tap.flush();
    assert_eq!(receiver.all(), []);
    assert_eq!((tap.counters().tx_frames, tap.counters().tx_bytes), (4, 60 + 600 + 1514 + 60));
    // A head that was reserved before a flush is good after it.
    let (head, _) = tap.next_head().unwrap();
    tap.flush();
    assert_eq!(send_at(&tap, head, 4, 60), Ok(None));
    assert_eq!(send(&tap, 5, 61), Ok(None));
    tap.flush();
    assert_eq!(receiver.all(), [(4, 60), (5, 61)]);
}

fn more_frames_than_there_is_room_for() {
    for len in [60, 1000] {
        let (tap, receiver) = open(&format!("room{len}"));
        let mut arrived = Vec::new();
        for number in 0..700 {
            assert_eq!(send(&tap, number, len), Ok(None));
            arrived.extend(receiver.all());
        }
        assert!(!arrived.is_empty());
        tap.flush();
        arrived.extend(receiver.all());
        assert!(arrived.into_iter().eq((0..700).map(|number| (number, len))));
        assert_eq!(tap.counters().tx_frames, 700);
        tap.close();
    }
}

fn a_head_is_used_once() {
    let (tap, receiver) = open("once");
    let (head, _) = tap.next_head().unwrap();
    assert_eq!(send_at(&tap, head, 1, 60), Ok(None));
    for head in [head, head + 64] {
        let frame = TxFrame { head, head_len: 20, payload: &[], checksum: None, gso_size: 0 };
        // SAFETY: there is no payload.
        assert_eq!(unsafe { tap.send(&frame) }, Err(SendError::Length));
    }
    tap.flush();
    assert_eq!(receiver.all(), [(1, 60)]);
}

fn an_interface_that_is_down_takes_nothing() {
    let (tap, receiver) = open("lies");
    (0..3).for_each(|number| assert_eq!(send(&tap, number, 60), Ok(None)));
    ip("link set dev lies down");
    tap.flush();
    assert_eq!(send(&tap, 3, 1514), Ok(None));
    assert_eq!((tap.counters().tx_frames, tap.counters().tx_dropped), (0, 4));
    assert_eq!(tap.info().link, Link::Up);
    ip("link set dev lies up");
    (4..6).for_each(|number| assert_eq!(send(&tap, number, 60), Ok(None)));
    tap.flush();
    assert_eq!(receiver.all(), [(4, 60), (5, 60)]);
}

fn an_interface_is_deleted_before_the_flush() {
    for (name, frames) in [("gone1", 1), ("gone2", 2)] {
        let (tap, _receiver) = open(name);
        (0..frames).for_each(|number| assert_eq!(send(&tap, number, 60), Ok(None)));
        ip(&format!("link del dev {name}"));
        tap.flush();
        assert_eq!((tap.counters().tx_frames, tap.counters().tx_dropped), (0, frames.into()));
        assert_eq!(tap.info().link, Link::Closed);
        assert_eq!(send(&tap, 9, 60), Err(SendError::Closed));
    }
}
