//! Names that change while a call waits for the disk that is seen below their directory.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ffi::{CStr, c_int};
use core::future::{Future, pending, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::super::block::{Blocking, give};
use super::super::memory::{For, used};
use super::super::parts::Result;
use super::super::{CannotBlock, io, table};
use super::calls::{lstat, open_at};
use super::changes::{link, rename, rmdir, unlink};
use super::lookup::AT_FDCWD;
use super::mount_volume;
use super::volume::{Found, Later, Volume};
use crate::errno::{self, ENOENT};
use crate::layout::Stat;

/// An empty volume; what happens while it is asked for a name, once.
#[derive(Default)]
struct Slow(RefCell<Option<Event>>);

/// A name, and what happens.
type Event = (Vec<u8>, Box<dyn FnOnce()>);

impl Volume for Rc<Slow> {
    fn lookup(&self, _: u64, name: &[u8]) -> Later<Option<Found>> {
        let mut event = match &mut *self.0.borrow_mut() {
            event if event.as_ref().is_some_and(|(waited, _)| waited == name) => event.take(),
            _ => None,
        };
        Box::pin(poll_fn(move |_| match event.take() {
            Some((_, happens)) => {
                happens();
                Poll::Pending
            }
            None => Poll::Ready(Ok(None)),
        }))
    }

    fn list(&self, _: u64) -> Later<Vec<(Vec<u8>, u64, u32)>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn read(&self, _: u64, _: u64, _: usize) -> Later<Vec<u8>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

fn block_on(
    mut future: Pin<&mut dyn Future<Output = ()>>,
) -> core::result::Result<(), CannotBlock> {
    let mut cx = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut cx).is_pending() {}
    Ok(())
}

/// A volume below `/tmp`.
fn mounted() -> Rc<Slow> {
    give(Blocking { block_on, sleep_until: |_| Box::pin(pending()), on_main: |f| f() });
    let slow = Rc::new(Slow::default());
    assert_eq!(mount_volume("/tmp", Rc::new(Rc::clone(&slow)), 0), Ok(()));
    slow
}

fn on(slow: &Slow, name: &str, happens: impl FnOnce() + 'static) {
    slow.0.replace(Some((name.into(), Box::new(happens))));
}

/// Writes a file, which is made if it is not there.
fn put(path: &str, text: &[u8]) {
    let fd = open_at(AT_FDCWD, path.as_bytes(), 0o101, 0o644).unwrap();
    assert_eq!(io::write_from(fd, text), Ok(text.len()));
    table::close(fd).unwrap();
}

fn text(path: &str) -> Result<Vec<u8>> {
    let fd = open_at(AT_FDCWD, path.as_bytes(), 0, 0)?;
    let mut buf = [0; 20];
    let n = io::read_into(fd, &mut buf).unwrap();
    table::close(fd).map(|()| buf[..n].into())
}

fn answer(result: c_int) -> c_int {
    if result < 0 { -errno::get() } else { result }
}

fn links(path: &CStr) -> u64 {
    let mut stat = Stat::anonymous();
    // SAFETY: a C string, and the place for an answer.
    assert_eq!(unsafe { lstat(path.as_ptr(), &raw mut stat) }, 0);
    stat.links
}

macro_rules! call {
    ($function:ident $($path:literal),+) => {
        // SAFETY: C strings.
        answer(unsafe { $function($($path.as_ptr()),+) })
    };
}

#[test]
fn what_is_renamed_is_what_has_the_name_at_last() {
    let slow = mounted();
    put("/tmp/a", b"first");
    on(&slow, "b", || {
        assert_eq!(call!(unlink c"/tmp/a"), 0);
        put("/tmp/a", b"second");
    });
    assert_eq!((call!(rename c"/tmp/a", c"/tmp/b"), text("/tmp/b")), (0, Ok(b"second".into())));
    // It goes, and has another name that stays.
    assert_eq!((call!(link c"/tmp/b", c"/tmp/other"), links(c"/tmp/other")), (0, 2));
    on(&slow, "c", || assert_eq!(call!(unlink c"/tmp/b"), 0));
    assert_eq!(call!(rename c"/tmp/b", c"/tmp/c"), -ENOENT);
    assert_eq!((links(c"/tmp/other"), call!(unlink c"/tmp/other"), used(For::Files)), (1, 0, 0));
}

#[test]
fn what_is_put_where_a_file_is_to_be_made_stays() {
    let slow = mounted();
    on(&slow, "new", || put("/tmp/new", b"theirs"));
    put("/tmp/new", b"our");
    assert_eq!(text("/tmp/new"), Ok(b"ourirs".into()));
    on(&slow, "d", || assert_eq!(call!(link c"/tmp/new", c"/tmp/d"), 0));
    put("/tmp/d", b"t");
    assert_eq!((text("/tmp/new"), links(c"/tmp/d")), (Ok(b"turirs".into()), 2));
    // A rename replaces what has been put there, as if it had come later.
    put("/tmp/a", b"renamed");
    on(&slow, "e", || assert_eq!(call!(link c"/tmp/new", c"/tmp/e"), 0));
    assert_eq!((call!(rename c"/tmp/a", c"/tmp/e"), text("/tmp/e")), (0, Ok(b"renamed".into())));
    assert_eq!(links(c"/tmp/new"), 2);
    on(&slow, "f", || assert_eq!(call!(unlink c"/tmp/e"), 0));
    assert_eq!(call!(link c"/tmp/e", c"/tmp/f"), -ENOENT);
    assert_eq!(
        (call!(rmdir c"/tmp/f"), call!(unlink c"/tmp/d"), call!(unlink c"/tmp/new")),
        (-ENOENT, 0, 0)
    );
    assert_eq!(used(For::Files), 0);
}
