//! A device whose frames come back: what is sent is received in the next turn.
//!
//! For tests and measurements of everything above a device, without privileges and without Xen. It
//! treats frames as netfront does: payload is kept until the turn is over, small frames are copied and
//! larger ones lent.

use super::{
    Counters, Device, Features, Info, Link, Mac, News, Place, Received, RxChecksum, RxFrame,
    SendError, Slab, TxFrame,
    device::{ETHERNET_HEADER, MAX_GSO},
    pool::Pool,
};
use alloc::{
    alloc::{Layout, alloc_zeroed},
    collections::VecDeque,
    rc::Rc,
    vec::Vec,
};
use core::{cell::RefCell, ptr::NonNull};
use mirust_executor::domain;
use mirust_mem::PAGE_SIZE;

/// Memory for the head of the frame at hand.
const HEAD_MAX: usize = 1 << 16;
/// Frames that may be on their way.
const RING: usize = 256;

/// See the head of the module.
pub struct Loopback {
    head: NonNull<u8>,
    /// Frames up to this size are copied.
    copy_max: usize,
    /// Frames to groups come back, too.
    groups: bool,
    inner: RefCell<Inner>,
}

struct Inner {
    info: Info,
    news: News,
    counters: Counters,
    pool: Pool,
    queue: VecDeque<Frame>,
    /// Numbers of payloads: those that can be given, those that are kept, those that are done.
    free: Vec<u16>,
    kept: Vec<u16>,
    done: VecDeque<u16>,
    full: bool,
}

struct Frame {
    bytes: Vec<u8>,
    checksum: RxChecksum,
    gso_size: u16,
}

/// A device that copies frames up to `copy_max` bytes, and has `pages` pages to lend larger ones from. Without
/// `groups`, broadcast and multicast frames do not come back, as on a network without other stations: otherwise
/// duplicate detection would find the domain's own addresses taken.
pub fn open(copy_max: usize, pages: usize, groups: bool) -> Rc<Loopback> {
    let features = Features { checksum: true, tso4: true, tso6: true };
    let info = Info { link: Link::Up, mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 1500, features };
    let layout = Layout::from_size_align(HEAD_MAX, 64).expect("a constant that is right");
    // SAFETY: the layout is not empty.
    let head = NonNull::new(unsafe { alloc_zeroed(layout) }).expect("memory");
    let inner = Inner {
        info,
        news: News::LINK,
        counters: Counters { links: 1, ..Counters::default() },
        pool: Pool::new(pages).expect("memory"),
        queue: VecDeque::new(),
        free: (0..RING as u16).collect(),
        kept: Vec::new(),
        done: VecDeque::new(),
        full: false,
    };
    Rc::new(Loopback { head, copy_max, groups, inner: RefCell::new(inner) })
}

impl Inner {
    /// Copies the frame into pages, if there are enough in a row.
    fn lend(&mut self, bytes: &[u8]) -> Option<Place> {
        let count = bytes.len().div_ceil(PAGE_SIZE);
        if self.pool.free() < count {
            self.pool.reclaim();
        }
        if self.pool.free() < self.pool.pages() / 4 {
            self.news |= News::PRESSURE;
        }
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let Some(page) = self.pool.take() else { break };
            if taken.last().is_some_and(|last: &super::pool::PageNo| last.plus(1) != page) {
                taken.drain(..).for_each(|page| self.pool.give_back(page));
            }
            taken.push(page);
        }
        if taken.len() < count {
            self.news |= News::SHORTAGE;
            taken.into_iter().for_each(|page| self.pool.give_back(page));
            return None;
        }
        let base = self.pool.addr(taken[0]).as_ptr();
        // SAFETY: the pages lie in a row, and nobody else has them.
        unsafe { base.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(Place::Lent(self.pool.lend(taken[0], count, 0)))
    }
}

impl Device for Loopback {
    fn info(&self) -> Info {
        self.inner.borrow().info
    }

    fn heads(&self) -> (NonNull<u8>, usize) {
        (self.head, HEAD_MAX)
    }

    fn reserve(&self, len: usize) -> Option<usize> {
        let mut inner = self.inner.borrow_mut();
        if inner.info.link == Link::Closed || len > inner.info.mtu + ETHERNET_HEADER {
            return None;
        }
        if inner.queue.len() == RING {
            inner.full = true;
            inner.counters.tx_full += 1;
            return None;
        }
        Some(0)
    }

    fn next_head(&self) -> Option<(usize, usize)> {
        let inner = self.inner.borrow();
        let free = inner.info.link != Link::Closed && inner.queue.len() < RING;
        free.then_some((0, inner.info.mtu + ETHERNET_HEADER))
    }

    unsafe fn send(&self, frame: &TxFrame<'_>) -> Result<Option<u16>, SendError> {
        let mut inner = self.inner.borrow_mut();
        let limit = if frame.gso_size > 0 { MAX_GSO } else { inner.info.mtu };
        if inner.info.link == Link::Closed {
            return Err(SendError::Closed);
        }
        if frame.head_len < ETHERNET_HEADER || frame.len() > limit + ETHERNET_HEADER {
            return Err(SendError::Length);
        }
        if inner.queue.len() == RING {
            inner.full = true;
            inner.counters.tx_full += 1;
            return Err(SendError::Full);
        }
        // SAFETY: `heads` is as large, was initialised, and nobody writes it during this call.
        let head = unsafe { core::slice::from_raw_parts(self.head.as_ptr(), frame.head_len) };
        let mut bytes = Vec::with_capacity(frame.len());
        bytes.extend_from_slice(head);
        for part in frame.payload {
            // SAFETY: valid, by the caller's promise, and nobody writes it during this call.
            bytes.extend(unsafe { core::slice::from_raw_parts(part.addr.as_ptr(), part.len) });
        }
        inner.counters.tx_frames += 1;
        inner.counters.tx_bytes += bytes.len() as u64;
        inner.counters.tx_gso += u64::from(frame.gso_size > 0);
        let checksum =
            if frame.checksum.is_some() { RxChecksum::Blank } else { RxChecksum::Unknown };
        // The lowest bit of the destination's first byte.
        if self.groups || bytes[0] & 1 == 0 {
            inner.queue.push_back(Frame { bytes, checksum, gso_size: frame.gso_size });
        }
        let kept = if frame.payload.is_empty() { None } else { inner.free.pop() };
        inner.kept.extend(kept);
        Ok(kept)
    }

    fn completed(&self) -> Option<u16> {
        let mut inner = self.inner.borrow_mut();
        let number = inner.done.pop_front()?;
        inner.free.push(number);
        Some(number)
    }

    fn flush(&self) {
        let mut inner = self.inner.borrow_mut();
        let kept = core::mem::take(&mut inner.kept);
        if !kept.is_empty() {
            inner.done.extend(kept);
            inner.news |= News::COMPLETED;
        }
        if !inner.queue.is_empty() {
            inner.news |= News::FRAMES;
        }
        if !inner.news.is_empty() {
            domain::signal_foreign();
        }
    }

    fn receive(&self, max: usize, slab: &mut Slab<'_>, out: &mut dyn FnMut(RxFrame)) -> Received {
        let mut inner = self.inner.borrow_mut();
        for _ in 0..max {
            let Some(Frame { bytes, checksum, gso_size }) = inner.queue.pop_front() else {
                return Received::All;
            };
            if core::mem::take(&mut inner.full) {
                inner.news |= News::ROOM;
            }
            let len = bytes.len();
            let lent = if len > self.copy_max { inner.lend(&bytes) } else { None };
            let place = match lent {
                Some(place) => place,
                None if slab.fits(len) => {
                    let to = slab.rest().as_mut_ptr().cast::<u8>();
                    // SAFETY: the slab is exclusive, and has so many bytes left.
                    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), len) };
                    inner.counters.rx_copied += len as u64;
                    Place::Slab(slab.take(len))
                }
                None => {
                    inner.queue.push_front(Frame { bytes, checksum, gso_size });
                    return Received::SlabFull;
                }
            };
            inner.counters.rx_frames += 1;
            inner.counters.rx_bytes += len as u64;
            inner.counters.rx_gso += u64::from(gso_size > 0);
            out(RxFrame { place, len, checksum, gso_size });
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
        inner.info.link = Link::Closed;
        inner.news |= News::LINK;
        inner.queue.clear();
        domain::signal_foreign();
    }
}
