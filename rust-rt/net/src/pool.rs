//! Pages into which frames are received, and which are lent to the readers of the frames.
//!
//! The pages lie in one row and are used in the order of their addresses, round and round. A frame
//! that fills several pages, taken one after the other, therefore usually lies in one piece, and can
//! be handed on without a copy.
//!
//! # Leases
//!
//! A run of pages that holds a frame is lent as a whole. Its first page has a [`Share`], a reference
//! count: one for the pool, one for each holder of the frame. The pool looks at the count when it is
//! short of pages, and takes back every run whose count has come down to its own one. Nobody has to
//! call the pool, so a garbage collector can hold a frame, in another language too: that is why a
//! share's layout is fixed.

use alloc::{
    alloc::{Layout, alloc_zeroed},
    boxed::Box,
    vec,
    vec::Vec,
};
use core::{
    ffi::c_void,
    fmt,
    ptr::{self, NonNull},
    sync::atomic::{AtomicUsize, Ordering},
};
use mirust_mem::{OutOfMemory, PAGE_SIZE};

/// A reference count that other languages can take part in. The layout is that of OCaml's
/// `struct caml_ba_proxy` (`caml/bigarray.h`).
#[derive(Debug)]
#[repr(C)]
pub struct Share {
    /// Holders, and one for the pool, so that nobody else ever sees it reach zero.
    pub count: AtomicUsize,
    /// Not used here. A holder that found the count zero would free this.
    pub data: *mut c_void,
    /// As `data`.
    pub size: usize,
}

// SAFETY: the pointer is never used; the rest is an atomic and a number.
unsafe impl Sync for Share {}
// SAFETY: as above.
unsafe impl Send for Share {}

/// The right to read the bytes of a lent run. Dropping it gives the run back.
pub struct Lease {
    addr: NonNull<u8>,
    share: &'static Share,
}

impl Lease {
    /// The first byte of what was lent.
    pub fn addr(&self) -> NonNull<u8> {
        self.addr
    }

    /// Hands over the holder's reference: the new owner has to decrement the count in the end.
    pub fn into_raw(self) -> (NonNull<u8>, &'static Share) {
        let raw = (self.addr, self.share);
        core::mem::forget(self);
        raw
    }

    /// The way back.
    ///
    /// # Safety
    ///
    /// The parts come from [`into_raw`](Self::into_raw), once.
    pub unsafe fn from_raw(addr: NonNull<u8>, share: &'static Share) -> Lease {
        Lease { addr, share }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.share.count.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.addr).finish()
    }
}

/// The number of a page in the pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PageNo(u16);

impl PageNo {
    /// The page with this number.
    pub fn new(index: usize) -> PageNo {
        PageNo(u16::try_from(index).expect("a pool has at most 65535 pages"))
    }

    /// The page `n` places further on, if the pool were endless.
    pub fn plus(self, n: usize) -> PageNo {
        PageNo((self.0 as usize + n).min(u16::MAX as usize) as u16)
    }

    /// The number itself.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Free,
    /// With its user.
    Taken,
    /// The first of a lent run of this many pages.
    Lent(u16),
    /// Another one of such a run.
    LentRest,
}

/// The pages.
pub struct Pool {
    base: NonNull<u8>,
    shares: &'static [Share],
    states: Vec<State>,
    free: usize,
    lent: usize,
    /// Where the search for the next free page begins.
    next: usize,
}

impl Pool {
    /// A pool of at most 65535 pages. They are never given back to the system, because a lease may
    /// outlive the pool; a device has one pool for as long as it exists.
    pub fn new(pages: usize) -> Result<Pool, OutOfMemory> {
        assert!(pages > 0 && pages <= u16::MAX as usize, "so many pages have no numbers");
        let layout = Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE)
            .expect("65535 pages are far less than the address space");
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(OutOfMemory)?;
        let share = || Share { count: AtomicUsize::new(1), data: ptr::null_mut(), size: 0 };
        let shares = Box::leak((0..pages).map(|_| share()).collect::<Box<[_]>>());
        Ok(Pool { base, shares, states: vec![State::Free; pages], free: pages, lent: 0, next: 0 })
    }

    /// Pages that can be taken.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Pages that are lent, as far as the pool has noticed.
    pub fn lent(&self) -> usize {
        self.lent
    }

    /// All pages.
    pub fn pages(&self) -> usize {
        self.states.len()
    }

    /// The address of a page.
    pub fn addr(&self, page: PageNo) -> NonNull<u8> {
        assert!(page.index() < self.states.len(), "no such page");
        // SAFETY: within the allocation.
        unsafe { self.base.add(page.index() * PAGE_SIZE) }
    }

    /// The next free page, in the order of addresses.
    pub fn take(&mut self) -> Option<PageNo> {
        if self.free == 0 {
            return None;
        }
        let pages = self.states.len();
        let after = self.next..pages;
        let at = after.chain(0..self.next).find(|&i| self.states[i] == State::Free)?;
        self.states[at] = State::Taken;
        self.free -= 1;
        self.next = (at + 1) % pages;
        Some(PageNo(at as u16))
    }

    /// Gives a page back that was taken.
    pub fn give_back(&mut self, page: PageNo) {
        assert_eq!(self.states[page.index()], State::Taken, "a page that was not taken");
        self.states[page.index()] = State::Free;
        self.free += 1;
    }

    /// Takes a certain page, which is free.
    pub fn set_aside(&mut self, page: PageNo) {
        assert_eq!(self.states[page.index()], State::Free, "a page that is not free");
        self.states[page.index()] = State::Taken;
        self.free -= 1;
    }

    /// Lends `count` pages from `first` on, all of them taken, and in them what lies from `offset`
    /// (in the first) on.
    pub fn lend(&mut self, first: PageNo, count: usize, offset: usize) -> Lease {
        let run = &mut self.states[first.index()..first.index() + count];
        assert!(run.iter().all(|state| *state == State::Taken), "a page that was not taken");
        assert!(offset < PAGE_SIZE);
        run.fill(State::LentRest);
        run[0] = State::Lent(count as u16);
        self.lent += count;
        let share = &self.shares[first.index()];
        share.count.fetch_add(1, Ordering::Relaxed);
        // SAFETY: within the first page of the run.
        Lease { addr: unsafe { self.addr(first).add(offset) }, share }
    }

    /// Takes back the runs whose leases have ended. Looks at every page.
    pub fn reclaim(&mut self) {
        let mut at = 0;
        while at < self.states.len() && self.lent > 0 {
            let State::Lent(count) = self.states[at] else {
                at += 1;
                continue;
            };
            let count = count as usize;
            // Acquire: what the last holder did with the bytes is over.
            if self.shares[at].count.load(Ordering::Acquire) == 1 {
                self.states[at..at + count].fill(State::Free);
                self.free += count;
                self.lent -= count;
            }
            at += count;
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Pool");
        f.field("pages", &self.pages()).field("free", &self.free).field("lent", &self.lent).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mirust_xen::testing::Random;

    #[test]
    fn pages_are_taken_in_the_order_of_addresses() {
        let mut pool = Pool::new(4).unwrap();
        let pages: Vec<_> = (0..4).map(|_| pool.take().unwrap()).collect();
        assert_eq!(pages, [0, 1, 2, 3].map(PageNo));
        assert_eq!(pool.take(), None);
        assert_eq!(
            pool.addr(pages[3]).as_ptr() as usize - pool.addr(pages[0]).as_ptr() as usize,
            12288
        );
        pool.give_back(pages[2]);
        pool.give_back(pages[1]);
        assert_eq!([pool.take(), pool.take()], [Some(PageNo(1)), Some(PageNo(2))]);
    }

    #[test]
    fn lent_pages_come_back_when_the_last_holder_lets_go() {
        let mut pool = Pool::new(3).unwrap();
        let first = pool.take().unwrap();
        pool.take().unwrap();
        let lease = pool.lend(first, 2, 100);
        assert_eq!(lease.addr().as_ptr() as usize, pool.addr(first).as_ptr() as usize + 100);
        pool.reclaim();
        assert_eq!((pool.free(), pool.lent()), (1, 2));
        // A second holder, as another language would make one.
        let (addr, share) = lease.into_raw();
        share.count.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the parts of the lease above.
        drop(unsafe { Lease::from_raw(addr, share) });
        pool.reclaim();
        assert_eq!((pool.free(), pool.lent()), (1, 2));
        share.count.fetch_sub(1, Ordering::Relaxed);
        pool.reclaim();
        assert_eq!((pool.free(), pool.lent()), (3, 0));
    }

    #[test]
    fn no_page_has_two_users() {
        let mut random = Random::new(3);
        let mut pool = Pool::new(32).unwrap();
        let (mut taken, mut leases) = (Vec::<PageNo>::new(), Vec::<(Lease, usize)>::new());
        for _ in 0..20_000 {
            match random.below(5) {
                0 | 1 => taken.extend(pool.take()),
                2 if !taken.is_empty() => {
                    let at = random.below(taken.len());
                    pool.give_back(taken.swap_remove(at));
                }
                3 if !taken.is_empty() => {
                    let at = random.below(taken.len());
                    let page = taken.swap_remove(at);
                    leases.push((pool.lend(page, 1, 0), page.index()));
                }
                _ => {
                    if !leases.is_empty() {
                        let at = random.below(leases.len());
                        leases.swap_remove(at);
                    }
                    pool.reclaim();
                }
            }
            let used: Vec<usize> =
                taken.iter().map(|p| p.index()).chain(leases.iter().map(|l| l.1)).collect();
            let distinct: alloc::collections::BTreeSet<_> = used.iter().collect();
            assert_eq!(distinct.len(), used.len());
            assert_eq!(taken.len() + pool.lent() + pool.free(), 32);
        }
    }

    #[test]
    #[should_panic(expected = "not taken")]
    fn a_page_that_was_not_taken_cannot_be_given_back() {
        Pool::new(1).unwrap().give_back(PageNo(0));
    }
}
