//! A TAP interface of Linux (`linux/if_tun.h`), with offloads by a virtio-net header in front of each frame.
//!
//! Frames are read straight into the receiver's slab and written from where they lie: the kernel copies, once each way.
//! That header lies in front of the frame both ways, and what is short is written from one place: a list of places
//! costs the kernel more than the copy.

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
use core::{
    cell::RefCell,
    ptr::{self, NonNull},
};
use host_libc as libc;
use mirust_executor::domain;
use mirust_net::{
    Counters, Device, Features, Info, Link, Mac, News, Place, Received, RxFrame, SendError, Slab,
    TxFrame,
    device::{ETHERNET_HEADER, MAX_GSO},
};
use sys::Vector;

/// Where the head of the frame at hand begins, behind its virtio-net header.
const HEAD: usize = 16;
/// Memory for both.
const HEAD_MAX: usize = HEAD + (1 << 16);
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
    /// It was said that the interface is down.
    down: bool,
    /// All frames were taken, as far as is known: the next ones are news.
    drained: bool,
    /// Frames that the last `receive` found.
    last: usize,
    /// What is there now has come one by one of late.
    alone: bool,
    lookahead: Lookahead,
    reserved: usize,
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
    let layout = Layout::from_size_align(HEAD_MAX, 64).expect("a constant that is right");
    // SAFETY: the layout is not empty.
    let head = NonNull::new(unsafe { alloc_zeroed(layout) })
        .ok_or(OpenError::System("memory", Errno(libc::ENOMEM)))?;
    let inner = Inner {
        fd: None,
        info,
        news: News::LINK,
        counters: Counters { links: 1, ..Counters::default() },
        full: false,
        down: false,
        drained: true,
        last: 0,
        alone: false,
        lookahead: Lookahead::default(),
        reserved: 0,
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

    /// Gives a frame to the kernel: in one piece if little of it has to be copied for that.
    ///
    /// # Safety
    ///
    /// The head is in what was reserved, and the payload valid.
    unsafe fn write(
        &self,
        fd: &Watch,
        frame: &TxFrame<'_>,
        vectors: &mut Vec<Vector>,
    ) -> Result<usize, Errno> {
        let payload = frame.len() - frame.head_len;
        let (start, end) = (HEAD - header::LEN, HEAD + frame.head_len);
        let base = self.head.as_ptr();
        // SAFETY: `heads` is as large, was initialised, and nobody writes it during this call.
        let head = unsafe { core::slice::from_raw_parts(base.add(HEAD), frame.head_len) };
        let header = header::emit(frame, head);
        // SAFETY: the place in front of the head is there for it, and is nobody else's.
        unsafe { ptr::copy_nonoverlapping(header.as_ptr(), base.add(start), header::LEN) };
        if payload <= COPIED && end + payload <= HEAD_MAX {
            let mut at = end;
            for part in frame.payload {
                // SAFETY: the caller promises that the bytes can be read. All of them together fit behind the head,
                // which nobody uses: only one frame at a time has been reserved.
                unsafe { ptr::copy(part.addr.as_ptr(), base.add(at), part.len) };
                at += part.len;
            }
            // SAFETY: header, head and payload have just been written there.
            let frame = unsafe { core::slice::from_raw_parts(base.add(start), at - start) };
            sys::write(fd.as_raw_fd(), frame)
        } else {
            vectors.clear();
            // SAFETY: within `heads`.
            vectors.push(Vector::new(unsafe { base.add(start) }, end - start));
            let parts = frame.payload.iter();
            vectors.extend(parts.map(|part| Vector::new(part.addr.as_ptr(), part.len)));
            // SAFETY: the first is valid, the rest by the caller's promise; the kernel only reads.
            unsafe { sys::writev(fd.as_raw_fd(), vectors) }
        }
    }

    /// The stack has taken all frames, and is notified of the next one.
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

impl Device for Tap {
    fn info(&self) -> Info {
        self.inner.borrow().info
    }

    fn heads(&self) -> (NonNull<u8>, usize) {
        (self.head, HEAD_MAX)
    }

    fn reserve(&self, len: usize) -> Option<usize> {
        let mut inner = self.inner.borrow_mut();
        if len > inner.info.mtu + ETHERNET_HEADER || inner.fd.is_none() {
            return None;
        }
        inner.reserved = len;
        Some(HEAD)
    }

    fn next_head(&self) -> Option<(usize, usize)> {
        let mut inner = self.inner.borrow_mut();
        inner.fd.as_ref()?;
        inner.reserved = inner.info.mtu + ETHERNET_HEADER;
        Some((HEAD, inner.reserved))
    }

    unsafe fn send(&self, frame: &TxFrame<'_>) -> Result<Option<u16>, SendError> {
        let mut inner = self.inner.borrow_mut();
        let Some(fd) = inner.fd.clone() else { return Err(SendError::Closed) };
        let len = frame.len();
        let limit = if frame.gso_size > 0 { MAX_GSO } else { inner.info.mtu };
        let pieces = frame.payload.len();
        if frame.head_len < ETHERNET_HEADER
            || frame.head_len > inner.reserved
            || len > limit + ETHERNET_HEADER
            || pieces > PIECES_MAX
        {
            return Err(SendError::Length);
        }
        // SAFETY: as the caller promised; the head was checked.
        let written = unsafe { self.write(&fd, frame, &mut inner.vectors) };
        inner.counters.syscalls += 1;
        match written {
            Ok(_) => {
                inner.counters.tx_frames += 1;
                inner.counters.tx_bytes += len as u64;
                inner.counters.tx_gso += u64::from(frame.gso_size > 0);
                inner.down = false;
                Ok(None)
            }
            Err(Errno::AGAIN) => {
                inner.full = true;
                inner.counters.tx_full += 1;
                drop(inner);
                self.watch();
                Err(SendError::Full)
            }
            // There is no such interface any more.
            Err(error @ Errno(libc::EBADFD | libc::ENODEV)) => {
                drop(inner);
                self.fail("is gone", error);
                Err(SendError::Closed)
            }
            // The interface is down, or the kernel is out of memory: as on a cable, it is lost.
            Err(error) => {
                inner.counters.tx_dropped += 1;
                if error == Errno(libc::EIO) && !core::mem::replace(&mut inner.down, true) {
                    log::warn!(
                        "{name}: the interface is down, and what is sent is lost; as root: ip link set {name} up",
                        name = self.name
                    );
                }
                Ok(None)
            }
        }
    }

    fn completed(&self) -> Option<u16> {
        None
    }

    fn flush(&self) {}

    fn receive(&self, max: usize, slab: &mut Slab<'_>, out: &mut dyn FnMut(RxFrame)) -> Received {
        let Some(fd) = self.inner.borrow().fd.clone() else { return Received::All };
        let alone = core::mem::take(&mut self.inner.borrow_mut().alone);
        for frames in 0..max {
            self.inner.borrow_mut().last = frames;
            // Another frame is unlikely: being notified of it is cheaper than asking.
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
