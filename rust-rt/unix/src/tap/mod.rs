//! A TAP interface of Linux (`linux/if_tun.h`), with offloads by a virtio-net header in front of each frame.
//!
//! Frames are read straight into the receiver's slab and written from where they lie: the kernel
//! copies, once each way. That header lies in front of the frame both ways, and what is short is written from one place:
//! a list of places costs the kernel more than the copy. Short frames wait there for each other, until the flush, or
//! until a long one follows.

mod batch;
mod error;
mod header;
mod sys;

pub use error::OpenError;

use crate::lookahead::Lookahead;
use crate::process;
use crate::reactor::reactor;
use crate::readiness::Readiness;
use crate::sys::Errno;
use crate::watch::Watch;
use alloc::{
    alloc::{Layout, alloc_zeroed},
    rc::Rc,
    string::String,
    vec::Vec,
};
use batch::Batch;
use core::{
    cell::RefCell,
    ptr::{self, NonNull},
    slice,
};
use host_libc as libc;
use mirust_executor::domain;
use mirust_net::{
    Counters, Device, Features, Fragment, Info, Link, Mac, News, Place, Received, RxFrame,
    SendError, Slab, TxFrame,
    device::{ETHERNET_HEADER, MAX_GSO},
};
use sys::Vector;

/// Room for a frame's virtio-net header, which ends where the frame begins.
const HEADER: usize = 16;
/// Memory for the frames that wait, and for the head of the next one.
const HEADS: usize = HEADER + (1 << 16);
/// The most payload that is copied behind its head.
const COPIED: usize = 1024;
/// Pieces that one system call takes (`UIO_MAXIOV`), without the headers.
const PIECES_MAX: usize = 1000;

/// A TAP interface.
pub struct Tap {
    name: String,
    head: NonNull<u8>,
    inner: RefCell<Inner>,
}

struct Inner {
    /// `None` once the device is closed.
    fd: Option<Rc<Watch>>,
    info: Info,
    news: News,
    counters: Counters,
    full: bool,
    /// All frames were taken, as far as is known: the next ones are news.
    drained: bool,
    /// Frames that the last `receive` found.
    last: usize,
    /// What is there now has come one by one of late.
    alone: bool,
    lookahead: Lookahead,
    /// Where the head at hand begins, and how many bytes it may have: none if there is no such head.
    reserved: (usize, usize),
    /// Where the next one begins: behind those that wait.
    next: usize,
    /// Frames that wait for the flush.
    waiting: Batch,
    /// Where a frame lies; kept for its allocation.
    vectors: Vec<Vector>,
}

/// Opens the interface `name`; makes it if it does not exist. `mac` is the address of this end, which
/// is not the interface's own (that is the kernel's end); without one it is made up at random.
pub fn open(name: &str, mac: Option<Mac>) -> Result<Rc<Tap>, OpenError> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        return Err(OpenError::Name);
    }
    let fd = sys::open_tap(name)?;
    let mac = mac.unwrap_or_else(|| {
        let mut octets = [0; 6];
        process::random(&mut octets);
        // Locally administered, and not a group.
        octets[0] = octets[0] & 0xfc | 2;
        Mac(octets)
    });
    let features = Features { checksum: true, tso4: true, tso6: true };
    let info = Info { link: Link::Up, mac, mtu: sys::mtu(name).unwrap_or(1500), features };
    let layout = Layout::from_size_align(HEADS, 64).expect("a constant that is right");
    // SAFETY: the layout is not empty.
    let head = NonNull::new(unsafe { alloc_zeroed(layout) })
        .ok_or(OpenError::System("memory", Errno(libc::ENOMEM)))?;
    let inner = Inner {
        fd: None,
        info,
        news: News::LINK,
        counters: Counters { links: 1, ..Counters::default() },
        full: false,
        drained: true,
        last: 0,
        alone: false,
        lookahead: Lookahead::default(),
        reserved: (HEADER, 0),
        next: HEADER,
        waiting: Batch::default(),
        vectors: Vec::new(),
    };
    let tap = Rc::new(Tap { name: name.into(), head, inner: RefCell::new(inner) });
    let this = Rc::downgrade(&tap);
    let told = move |ready| {
        if let Some(tap) = this.upgrade() {
            tap.ready(ready);
        }
    };
    let watch = Watch::new(fd, told).map_err(|errno| OpenError::System("epoll", errno))?;
    watch.want(true, false).map_err(|errno| OpenError::System("epoll", errno))?;
    tap.inner.borrow_mut().fd = Some(Rc::new(watch));
    domain::signal_foreign();
    Ok(tap)
}

impl Tap {
    /// The device ends, and says why.
    fn fail(&self, what: &str, error: Errno) {
        if self.inner.borrow().fd.is_some() {
            log::error!("{}: the interface {what}: {error}; the device is closed", self.name);
            self.close();
        }
    }

    /// Puts a frame's payload behind its head, which ends at `end`, with the header at `start`; all of it leaves with the
    /// next flush.
    ///
    /// # Safety
    ///
    /// The payload must be valid, and fit there.
    unsafe fn put_off(&self, start: usize, end: usize, payload: &[Fragment]) {
        let mut inner = self.inner.borrow_mut();
        let (base, mut at) = (self.head.as_ptr(), end);
        for part in payload {
            // SAFETY: it can be read and fits, by the caller's promise. Frames that wait are in front of this head, and
            // behind it is nothing.
            unsafe { ptr::copy(part.addr.as_ptr(), base.add(at), part.len) };
            at += part.len;
        }
        // SAFETY: all of it has been written, and stays until it has left: the next head is behind it.
        unsafe { inner.waiting.push(slice::from_raw_parts(base.add(start), at - start)) };
        inner.next = at.next_multiple_of(8) + HEADER;
        inner.reserved.1 = 0;
        let next = inner.info.mtu + ETHERNET_HEADER + COPIED;
        let full = inner.waiting.len() == batch::MOST || inner.next + next > HEADS;
        drop(inner);
        if full {
            self.flush();
        }
    }

    /// Writes a frame, its payload from where it lies.
    ///
    /// # Safety
    ///
    /// The payload must be valid for reads.
    unsafe fn write(&self, start: usize, end: usize, payload: &[Fragment]) -> Result<usize, Errno> {
        let mut inner = self.inner.borrow_mut();
        let Inner { fd, counters, vectors, .. } = &mut *inner;
        let Some(fd) = fd else { return Err(Errno(libc::EBADFD)) };
        counters.syscalls += 1;
        vectors.clear();
        // SAFETY: within `heads`.
        vectors.push(Vector::new(unsafe { self.head.as_ptr().add(start) }, end - start));
        vectors.extend(payload.iter().map(|part| Vector::new(part.addr.as_ptr(), part.len)));
        // SAFETY: the first is valid, the rest by the caller's promise; the kernel only reads.
        unsafe { sys::writev(fd.as_raw_fd(), vectors) }
    }

    /// There is something to read, or room to write: tells the stack.
    fn ready(&self, ready: Readiness) {
        let mut inner = self.inner.borrow_mut();
        let mut news = News::default();
        if ready.readable && inner.drained {
            inner.drained = false;
            inner.alone = inner.last <= 1 && (reactor().slept() || inner.lookahead.is_vain());
            inner.counters.events += 1;
            news |= News::FRAMES;
        }
        if ready.writable && inner.full {
            inner.full = false;
            news |= News::ROOM;
        }
        inner.news |= news;
        drop(inner);
        if news.is_empty() {
            // It was told, and the stack has not come to it yet: the kernel need not repeat it.
            self.watch();
        } else {
            domain::signal_foreign();
        }
    }

    /// The stack has all frames, and is told of the next.
    fn drained(&self) {
        self.inner.borrow_mut().drained = true;
        self.watch();
    }

    /// Has what the device waits for be told.
    fn watch(&self) {
        let inner = self.inner.borrow();
        let wanted = inner.fd.as_ref().map(|fd| fd.want(inner.drained, inner.full));
        drop(inner);
        if let Some(Err(error)) = wanted {
            self.fail("cannot be waited for", error);
        }
    }
}

/// Whether an error will pass: the kernel had no memory, or a signal came in between.
fn passes(error: Errno) -> bool {
    matches!(error, Errno::INTR | Errno(libc::ENOMEM | libc::ENOBUFS))
}

/// Whether an error says that there is no such interface any more.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno(libc::EBADFD | libc::ENODEV))
}

impl Device for Tap {
    fn info(&self) -> Info {
        self.inner.borrow().info
    }

    fn heads(&self) -> (NonNull<u8>, usize) {
        (self.head, HEADS)
    }

    fn reserve(&self, len: usize) -> Option<usize> {
        let (at, most) = self.next_head()?;
        (len <= most).then_some(at)
    }

    fn next_head(&self) -> Option<(usize, usize)> {
        let mut inner = self.inner.borrow_mut();
        inner.fd.as_ref()?;
        inner.reserved = (inner.next, inner.info.mtu + ETHERNET_HEADER);
        Some(inner.reserved)
    }

    unsafe fn send(&self, frame: &TxFrame<'_>) -> Result<Option<u16>, SendError> {
        let inner = self.inner.borrow();
        if inner.fd.is_none() {
            return Err(SendError::Closed);
        }
        let len = frame.len();
        let limit = if frame.gso_size > 0 { MAX_GSO } else { inner.info.mtu };
        let (at, most) = inner.reserved;
        if frame.head != at
            || frame.head_len < ETHERNET_HEADER
            || frame.head_len > most
            || len > limit + ETHERNET_HEADER
            || frame.payload.len() > PIECES_MAX
        {
            return Err(SendError::Length);
        }
        let (start, end) = (at - header::LEN, at + frame.head_len);
        let base = self.head.as_ptr();
        // SAFETY: `heads` is as large, was initialised, and nobody writes it during this call.
        let head = unsafe { slice::from_raw_parts(base.add(at), frame.head_len) };
        let header = header::emit(frame, head);
        // SAFETY: the place in front of the head is there for it, and is nobody else's.
        unsafe { ptr::copy_nonoverlapping(header.as_ptr(), base.add(start), header::LEN) };
        drop(inner);
        let payload = len - frame.head_len;
        if payload <= COPIED && frame.gso_size == 0 && end + payload <= HEADS {
            // SAFETY: the payload is valid, by the caller's promise, and there is room for it.
            unsafe { self.put_off(start, end, frame.payload) };
            return Ok(None);
        }
        // What waits goes first.
        self.flush();
        // SAFETY: by the caller's promise.
        match unsafe { self.write(start, end, frame.payload) } {
            Ok(_) => {
                let counters = &mut self.inner.borrow_mut().counters;
                counters.tx_frames += 1;
                counters.tx_bytes += len as u64;
                counters.tx_gso += u64::from(frame.gso_size > 0);
                Ok(None)
            }
            Err(Errno::AGAIN) => {
                let mut inner = self.inner.borrow_mut();
                inner.full = true;
                inner.counters.tx_full += 1;
                drop(inner);
                self.watch();
                Err(SendError::Full)
            }
            Err(error) if is_gone(error) => {
                self.fail("is gone", error);
                Err(SendError::Closed)
            }
            // The interface is down, or the kernel is out of memory: as on a cable, it is lost.
            Err(_) => {
                self.inner.borrow_mut().counters.tx_dropped += 1;
                Ok(None)
            }
        }
    }

    fn completed(&self) -> Option<u16> {
        None
    }

    fn flush(&self) {
        let mut inner = self.inner.borrow_mut();
        let Inner { fd: Some(fd), waiting, counters, .. } = &mut *inner else { return };
        let mut gone = None;
        let calls = waiting.write(fd.as_raw_fd(), |len, result| match result {
            Ok(_) => {
                counters.tx_frames += 1;
                counters.tx_bytes += (len - header::LEN) as u64;
            }
            // Lost as on a cable, too, where the kernel has no room: but of that it has as much as memory.
            Err(error) => {
                counters.tx_dropped += 1;
                gone = gone.or(is_gone(error).then_some(error));
            }
        });
        counters.syscalls += calls;
        inner.next = HEADER;
        drop(inner);
        if let Some(error) = gone {
            self.fail("is gone", error);
        }
    }

    fn receive(&self, max: usize, slab: &mut Slab<'_>, out: &mut dyn FnMut(RxFrame)) -> Received {
        let Some(fd) = self.inner.borrow().fd.clone() else { return Received::All };
        let alone = core::mem::take(&mut self.inner.borrow_mut().alone);
        for frames in 0..max {
            self.inner.borrow_mut().last = frames;
            // It is cheaper to be told of another one, which there hardly is, than to ask.
            if alone && frames == 1 {
                self.inner.borrow_mut().lookahead.skip();
                self.drained();
                return Received::All;
            }
            if !slab.fits(header::LEN + Slab::ROOM) {
                return Received::SlabFull;
            }
            let mut inner = self.inner.borrow_mut();
            inner.counters.syscalls += 1;
            let len = match sys::read(fd.as_raw_fd(), slab.rest()) {
                Ok(len) => len,
                Err(Errno::INTR) => continue,
                // It would come again at once, and for ever: a deleted interface is always ready.
                Err(error) if error != Errno::AGAIN && !passes(error) => {
                    drop(inner);
                    self.fail("is gone or cannot be read", error);
                    return Received::All;
                }
                Err(error) => {
                    if error != Errno::AGAIN {
                        inner.counters.rx_dropped += 1;
                    }
                    if frames == 1 {
                        inner.lookahead.miss();
                    }
                    drop(inner);
                    self.drained();
                    return Received::All;
                }
            };
            if frames > 0 {
                inner.lookahead.hit();
            }
            let Some(len) = len.checked_sub(header::LEN).filter(|len| *len >= ETHERNET_HEADER)
            else {
                inner.counters.rx_dropped += 1;
                continue;
            };
            // SAFETY: the kernel has written that much.
            let header = unsafe { slab.rest().as_ptr().cast::<[u8; header::LEN]>().read() };
            let (checksum, gso_size) = header::parse(&header);
            let at = slab.take(header::LEN + len) + header::LEN;
            inner.counters.rx_frames += 1;
            inner.counters.rx_bytes += len as u64;
            inner.counters.rx_gso += u64::from(gso_size > 0);
            drop(inner);
            out(RxFrame { place: Place::Slab(at), len, checksum, gso_size });
        }
        Received::More
    }

    fn news(&self) -> News {
        core::mem::take(&mut self.inner.borrow_mut().news)
    }

    fn counters(&self) -> Counters {
        self.inner.borrow().counters
    }

    fn multicast(&self, _group: Mac, _join: bool) {}

    fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        if inner.fd.take().is_some() {
            inner.info.link = Link::Closed;
            inner.news |= News::LINK;
            domain::signal_foreign();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_interface_can_have_are_refused() {
        for name in ["", "sixteen-bytes-xx", "a\0b"] {
            assert_eq!(open(name, None).err(), Some(OpenError::Name));
        }
    }
}
