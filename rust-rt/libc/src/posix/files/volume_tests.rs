use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ffi::{CStr, c_int};
use core::future::{Future, pending, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::super::block::{Blocking, give};
use super::super::parts::{Errno, PartMut, Result};
use super::super::{io, table};
use super::calls::{lstat, open_at, open64, stat};
use super::directory::entries;
use super::lookup::AT_FDCWD;
use super::volume::{Found, Later, Volume};
use super::{add, mount_volume};
use crate::errno::{self, EBADF, EDEADLK, EIO, EISDIR, ENOENT, ENOTDIR, EROFS};
use crate::layout::Stat;

/// What is on the volume, by numbers: a name, what holds it, its type, its bytes.
const NODES: &[(&str, u64, u32, &[u8])] = &[
    ("", 0, 0o040_755, b""),
    ("greeting", 0, 0o100_644, b"Hello from afar"),
    ("sub", 0, 0o040_755, b""),
    ("deep", 2, 0o100_600, b"deep"),
    ("link", 2, 0o120_777, b"../greeting"),
    ("away", 2, 0o120_777, b"/etc/hosts"),
    ("socket", 0, 0o140_644, b""),
    ("large", 0, 0o100_644, &[7; 3 << 20]),
    ("etc", 0, 0o040_755, b""),
    ("hosts", 8, 0o100_644, b"never seen"),
    ("app.conf", 8, 0o100_644, b"seen"),
];

/// Answers at the second time that it is asked.
fn later<T: 'static>(value: impl FnOnce() -> Result<T> + 'static) -> Later<T> {
    let (mut asked, mut value) = (false, Some(value));
    Box::pin(poll_fn(move |cx| {
        if !core::mem::replace(&mut asked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(value.take().expect("asked once more")())
    }))
}

struct Memory {
    fails: Rc<Cell<bool>>,
}

impl Volume for Memory {
    fn lookup(&self, directory: u64, name: &[u8]) -> Later<Option<Found>> {
        let at = NODES
            .iter()
            .position(|n| n.0.as_bytes() == name && n.1 == directory && !n.0.is_empty());
        later(move || {
            Ok(at.map(|at| {
                let (_, _, mode, bytes) = NODES[at];
                let target = if mode >> 12 == 0o12 { bytes.into() } else { Vec::new() };
                let (number, size, modified) = (at as u64, bytes.len() as u64, 1_500_000_000);
                Found { number, mode, links: 1, size, modified, target }
            }))
        })
    }

    fn list(&self, directory: u64) -> Later<Vec<(Vec<u8>, u64, u32)>> {
        let inside =
            NODES.iter().enumerate().filter(move |(_, n)| n.1 == directory && !n.0.is_empty());
        let names = inside.map(|(at, n)| (n.0.into(), at as u64, n.2)).collect();
        later(move || Ok(names))
    }

    fn read(&self, file: u64, offset: u64, most: usize) -> Later<Vec<u8>> {
        let fails = Rc::clone(&self.fails);
        later(move || {
            if fails.get() {
                return Err(Errno(EIO));
            }
            let bytes = NODES[file as usize].3;
            let start = (offset as usize).min(bytes.len());
            Ok(bytes[start..][..most.min(bytes.len() - start)].into())
        })
    }
}

fn block_on(
    mut future: Pin<&mut dyn Future<Output = ()>>,
) -> core::result::Result<(), super::super::CannotBlock> {
    let mut cx = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut cx).is_pending() {}
    Ok(())
}

/// A volume at a path, where calls may wait. What it is set to fail by.
fn mounted(path: &str) -> Rc<Cell<bool>> {
    give(Blocking { block_on, sleep_until: |_| Box::pin(pending()), on_main: |f| f() });
    let fails = Rc::new(Cell::new(false));
    assert_eq!(mount_volume(path, Rc::new(Memory { fails: Rc::clone(&fails) }), 0), Ok(()));
    fails
}

fn open(path: &str) -> Result<c_int> {
    open_at(AT_FDCWD, path.as_bytes(), 0, 0)
}

fn contents(path: &str) -> Result<Vec<u8>> {
    let (fd, mut all, mut part) = (open(path)?, Vec::new(), [0; 7]);
    loop {
        let n = io::read_parts(fd, &mut [PartMut::new(&mut part)])?;
        if n == 0 {
            return table::close(fd).map(|()| all);
        }
        all.extend(&part[..n]);
    }
}

fn named(path: &str) -> Vec<(Box<[u8]>, u8)> {
    let fd = open(path).unwrap();
    let names = entries(fd).unwrap();
    let names = names.names.iter().map(|(name, _, kind)| (Box::from(&name[..]), *kind)).collect();
    table::close(fd).unwrap();
    names
}

#[test]
fn files_are_read_where_the_volume_is_seen() {
    mounted("/srv/data");
    assert_eq!(contents("/srv/data/greeting").unwrap(), b"Hello from afar");
    assert_eq!(contents("srv/data/sub/../sub/deep").unwrap(), b"deep");
    assert_eq!(contents("/srv/data/sub/link").unwrap(), b"Hello from afar");
    // A link that begins with a slash begins at the program's root, as on Linux.
    assert!(contents("/srv/data/sub/away").unwrap().starts_with(b"127.0.0.1"));
    for (path, error) in [
        ("/srv/data/nothing", ENOENT),
        ("/srv/data/nothing/x", ENOENT),
        ("/srv/data/greeting/x", ENOTDIR),
        ("/srv/data/socket", ENOENT),
    ] {
        assert_eq!(open(path), Err(Errno(error)), "{path}");
    }
    let fd = open("/srv/data/sub").unwrap();
    assert_eq!(io::read_parts(fd, &mut [PartMut::new(&mut [0; 4])]), Err(Errno(EISDIR)));
    // A directory is where other paths begin.
    let file = open_at(fd, b"deep", 0, 0).unwrap();
    assert_eq!(io::file(file).unwrap().read_at(&mut [PartMut::new(&mut [0; 9])], 1), Ok(3));
}

#[test]
fn places_in_files_are_found() {
    mounted("/");
    let fd = open("large").unwrap();
    let mut all = vec![0; 4 << 20];
    assert_eq!(io::lseek64(fd, 100, 0), 100);
    let n = io::read_parts(fd, &mut [PartMut::new(&mut all[..1]), PartMut::new(&mut [0; 2])]);
    assert_eq!((n, io::lseek64(fd, 0, 1)), (Ok(3), 103));
    assert_eq!(io::read_parts(fd, &mut [PartMut::new(&mut all)]), Ok((3 << 20) - 103));
    assert!(all[..(3 << 20) - 103].iter().all(|&byte| byte == 7));
    assert_eq!(io::read_parts(fd, &mut [PartMut::new(&mut all)]), Ok(0));
    assert_eq!(io::lseek64(fd, -1, 2), (3 << 20) - 1);
    assert_eq!(io::lseek64(fd, 1 << 40, 0), 1 << 40);
    assert_eq!(io::read_parts(fd, &mut [PartMut::new(&mut all)]), Ok(0));
    assert_eq!(io::lseek64(fd, 0, 1), 1 << 40);
}

#[test]
fn what_is_known_is_told() {
    mounted("/data");
    // SAFETY: all zeros are a `struct stat`.
    let mut about: Stat = unsafe { core::mem::zeroed() };
    // SAFETY: a path and a place for the answer.
    let mut ask = |path: &CStr, link| unsafe {
        let call = if link { lstat } else { stat };
        (call(path.as_ptr(), &raw mut about) == 0).then_some((
            about.mode,
            about.size,
            about.times[1].nanoseconds,
        ))
    };
    assert_eq!(ask(c"/data/greeting", false), Some((0o100_644, 15, 500_000_000)));
    assert_eq!(ask(c"/data/sub/link", true), Some((0o120_777, 11, 500_000_000)));
    assert_eq!(ask(c"/data/sub/link", false), Some((0o100_644, 15, 500_000_000)));
    assert_eq!(ask(c"/data/no", false), None);
}

#[test]
fn what_the_program_brought_is_seen_first() {
    assert!(add("etc/other.conf", b"other"));
    assert!(add("sub/deep", b"ours"));
    mounted("/");
    assert_eq!(contents("/etc/app.conf").unwrap(), b"seen");
    assert_eq!(contents("/etc/other.conf").unwrap(), b"other");
    assert!(contents("/etc/hosts").unwrap().starts_with(b"127.0.0.1"));
    assert_eq!(contents("/sub/deep").unwrap(), b"ours");
    assert_eq!(contents("/sub/link").unwrap(), b"Hello from afar");
    let names = named("/etc");
    let count = |name: &[u8]| names.iter().filter(|(found, _)| **found == *name).count();
    assert_eq!((count(b"hosts"), count(b"app.conf"), count(b"other.conf")), (1, 1, 1));
    assert!(named("/").contains(&(Box::from(&b"greeting"[..]), 8)));
    assert!(named("/sub").contains(&(Box::from(&b"link"[..]), 10)));
}

#[test]
fn nothing_can_be_written() {
    mounted("/data");
    let write = |path: &CStr, flags: c_int| {
        // SAFETY: a path.
        (unsafe { open64(path.as_ptr(), flags, 0) }, errno::get())
    };
    const O_CREAT: c_int = 0o100;
    assert_eq!(write(c"/data/greeting", 1), (-1, EROFS));
    assert_eq!(write(c"/data/new", 1 | O_CREAT), (-1, EROFS));
    assert_eq!(write(c"/data/sub", 2), (-1, EISDIR));
    let fd = open("/data/greeting").unwrap();
    assert_eq!(io::write_from(fd, b"x"), Err(Errno(EBADF)));
}

#[test]
fn errors_are_the_callers() {
    let fails = mounted("/data");
    let fd = open("/data/greeting").unwrap();
    fails.set(true);
    assert_eq!(io::read_parts(fd, &mut [PartMut::new(&mut [0; 4])]), Err(Errno(EIO)));
    fails.set(false);
    // Nothing was skipped.
    let mut start = [0; 5];
    assert_eq!(io::read_parts(fd, &mut [PartMut::new(&mut start)]), Ok(5));
    assert_eq!(&start, b"Hello");
}

#[test]
fn where_nothing_may_wait_it_is_said() {
    mounted("/data");
    let fd = open("/data/greeting").unwrap();
    give(Blocking {
        block_on: |_| Err(super::super::CannotBlock),
        sleep_until: |_| Box::pin(pending()),
        on_main: |f| f(),
    });
    assert_eq!(io::read_parts(fd, &mut [PartMut::new(&mut [0; 4])]), Err(Errno(EDEADLK)));
    assert_eq!(open("/data/greeting"), Err(Errno(EDEADLK)));
    // What is not on the volume can be read all the same.
    assert!(open("/etc/hosts").is_ok());
}
