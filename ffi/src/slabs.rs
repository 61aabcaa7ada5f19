//! The memory that received frames are copied to: slabs, parts of which OCaml sees as bigarrays.
//!
//! A slab is reused as soon as OCaml's collector has found all of these bigarrays dead. So the kernel need not supply
//! fresh pages, each with a fault, for bytes that live only for a moment, and the collector need not hurry because of
//! memory that comes back by itself. The sooner they are found dead, the fewer slabs there are in turn: a few stay in
//! the processor's cache, to which a copy takes half the time.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use mirust_rt::net::pool::Share;

/// Slabs that are kept although nobody uses them; no more than may be in use, if that is less.
const IDLE: usize = 32;

/// After this many have been taken, those before are worth looking for: together they are about as large as a
/// processor's cache of its own.
const WORTH: usize = 4;

/// One that is there, in use or not.
struct Slab {
    base: NonNull<u8>,
    /// One reference is ours, the others are OCaml's.
    share: NonNull<Share>,
}

impl Slab {
    fn new(layout: Layout) -> Option<Self> {
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc(layout) })?;
        let share = Share { count: AtomicUsize::new(1), data: ptr::null_mut(), size: 0 };
        Some(Slab { base, share: NonNull::from(Box::leak(Box::new(share))) })
    }

    fn count(&self) -> &AtomicUsize {
        // SAFETY: it was leaked, and is freed in `free` only.
        unsafe { &self.share.as_ref().count }
    }

    fn is_idle(&self) -> bool {
        self.count().load(Ordering::Acquire) == 1
    }

    /// # Safety
    ///
    /// It is idle, and was made with this layout.
    unsafe fn free(self, layout: Layout) {
        // SAFETY: nobody else has a reference, so nobody can reach either; both come from `new`.
        unsafe {
            drop(Box::from_raw(self.share.as_ptr()));
            dealloc(self.base.as_ptr(), layout);
        }
    }
}

/// Takes another reference of a slab that is in use.
pub(crate) fn keep(share: NonNull<Share>) {
    // SAFETY: the slab is in use, so that it is not freed.
    unsafe { share.as_ref() }.count.fetch_add(1, Ordering::AcqRel);
}

/// Gives a reference back.
pub(crate) fn give_back(share: NonNull<Share>) {
    // SAFETY: the reference keeps it until now.
    unsafe { share.as_ref() }.count.fetch_sub(1, Ordering::AcqRel);
}

/// The slabs of a device, all of one size.
pub(crate) struct Slabs {
    layout: Layout,
    all: Vec<Slab>,
    /// Memory of the same size, which is always there.
    spare: NonNull<u8>,
    /// How many were taken since a collection was last asked for.
    taken: usize,
}

impl Slabs {
    /// None yet, but for the spare memory, if there is memory for that. They have `size` bytes, more than none.
    pub(crate) fn new(size: usize) -> Option<Self> {
        let layout = Layout::from_size_align(size, 64).expect("a size that memory has");
        // SAFETY: the layout is not empty.
        let spare = NonNull::new(unsafe { alloc(layout) })?;
        Some(Slabs { layout, all: Vec::new(), spare, taken: 0 })
    }

    /// Memory that stays for ever, for when there is no slab.
    pub(crate) fn spare(&self) -> NonNull<u8> {
        self.spare
    }

    /// Bytes of each.
    pub(crate) fn size(&self) -> usize {
        self.layout.size()
    }

    /// An unused slab, with one reference, which the caller owns; `None` if `most` are in use already, or if there is
    /// no memory.
    pub(crate) fn take(&mut self, most: usize) -> Option<(NonNull<u8>, NonNull<Share>)> {
        let idle = self.all.iter().filter(|slab| slab.is_idle()).count();
        if self.all.len() - idle >= most {
            return None;
        }
        if idle == 0 {
            self.all.try_reserve(1).ok()?;
            self.all.push(Slab::new(self.layout)?);
        }
        // The same few again and again, which are in the processor's cache.
        let slab = self.all.iter().find(|slab| slab.is_idle())?;
        slab.count().fetch_add(1, Ordering::AcqRel);
        let taken = (slab.base, slab.share);
        self.taken += 1;
        // One at a time: the crowd that they were for may come again. If there may be fewer now, their memory is
        // wanted.
        if idle > IDLE + 1 || self.all.len() > most {
            if let Some(i) = self.all.iter().rposition(Slab::is_idle) {
                // SAFETY: it is idle, and all have this layout.
                unsafe { self.all.swap_remove(i).free(self.layout) };
            }
        }
        Some(taken)
    }

    /// Whether OCaml should now look for those that are dead; then not again before as many more have been taken.
    pub(crate) fn collect(&mut self) -> bool {
        let due = self.taken >= WORTH;
        if due {
            self.taken = 0;
        }
        due
    }

    /// Whether a byte is in one of them.
    pub(crate) fn hold(&self, byte: NonNull<u8>) -> bool {
        let size = self.layout.size();
        self.all.iter().any(|slab| (byte.addr().get().wrapping_sub(slab.base.addr().get())) < size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a slab back, as OCaml's collector does.
    fn give((_, share): (NonNull<u8>, NonNull<Share>)) {
        give_back(share);
    }

    #[test]
    fn what_is_given_back_is_used_again() {
        let mut slabs = Slabs::new(4096).expect("memory");
        let one = slabs.take(2).expect("a slab");
        let other = slabs.take(2).expect("a slab");
        assert_ne!(one.0, other.0);
        assert!(slabs.take(2).is_none(), "there may be two");
        give(other);
        let again = slabs.take(2).expect("a slab");
        assert_eq!(again.0, other.0);
        give(one);
        assert!(slabs.take(1).is_none(), "there may be one only now");
        give(again);
        assert!(slabs.take(2).is_some());
        assert_eq!(slabs.all.len(), 2);
    }

    #[test]
    fn no_more_are_kept_than_there_may_be() {
        let mut slabs = Slabs::new(4096).expect("memory");
        let crowd: Vec<_> = (0..20).map(|_| slabs.take(20).expect("a slab")).collect();
        crowd.into_iter().for_each(give);
        for _ in 0..20 {
            give(slabs.take(3).expect("a slab"));
        }
        assert_eq!(slabs.all.len(), 3);
    }

    #[test]
    fn after_a_few_slabs_the_dead_are_worth_looking_for() {
        let mut slabs = Slabs::new(4096).expect("memory");
        for _ in 0..3 {
            for _ in 0..WORTH {
                assert!(!slabs.collect());
                give(slabs.take(1).expect("a slab"));
            }
            assert!(slabs.collect());
        }
    }

    #[test]
    fn bytes_are_in_a_slab_or_not() {
        let mut slabs = Slabs::new(4096).expect("memory");
        let [(one, _), (other, _)] = [(); 2].map(|()| slabs.take(2).expect("a slab"));
        // SAFETY: within the slabs, and at the end of one.
        let (last, behind) = unsafe { (one.add(4095), one.add(4096)) };
        assert!(slabs.hold(one) && slabs.hold(last) && slabs.hold(other));
        assert!(!slabs.hold(slabs.spare()));
        assert!(!slabs.hold(behind) || behind == other);
    }

    #[test]
    fn a_part_keeps_the_whole() {
        let mut slabs = Slabs::new(4096).expect("memory");
        let whole = slabs.take(1).expect("a slab");
        keep(whole.1);
        give(whole);
        assert!(slabs.take(1).is_none());
        give(whole);
        assert!(slabs.take(1).is_some());
    }

    #[test]
    fn after_a_crowd_memory_goes_back() {
        let mut slabs = Slabs::new(4096).expect("memory");
        let crowd: Vec<_> = (0..100).map(|_| slabs.take(100).expect("a slab")).collect();
        crowd.into_iter().for_each(give);
        for _ in 0..100 {
            give(slabs.take(100).expect("a slab"));
        }
        assert_eq!(slabs.all.len(), IDLE + 1);
    }
}
