//! The balloon against a pretended Xen: what is a hole, and what the frames know of.

use super::*;
use crate::{
    fake::FakeXen,
    testing::{poll_once, run},
    xenstore::daemon,
};
use alloc::{rc::Rc, vec};
use core::{cell::RefCell, task::Poll};
use mirust_mem::fake::Ram;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What all domains here can have at most.
const MOST: usize = 16 * MIB;

struct Rig {
    store: Rc<daemon::Rig>,
    xen: &'static FakeXen,
    frames: &'static Frames,
    ram: &'static Ram,
    /// The first multiple of 2 MiB in it.
    base: usize,
    serve: RefCell<Pin<Box<dyn Future<Output = Error>>>>,
    /// What the listeners were told.
    told: Rc<RefCell<Vec<Resized>>>,
}

impl Rig {
    /// A domain that begins with `memory` bytes of what it can have.
    fn new(memory: usize) -> Rig {
        let store = Rc::new(daemon::Rig::new());
        let xen = store.world.xen;
        let ram: &Ram = Box::leak(Box::new(Ram::new((MOST + 2 * MIB) / PAGE_SIZE)));
        let base = ram.page(0).next_multiple_of(2 * MIB);
        let frames: &Frames = Box::leak(Box::new(Frames::new()));
        let own = base..base + memory;
        // SAFETY: the RAM lives for ever, and belongs to these frames and their balloon alone.
        unsafe { frames.init(core::slice::from_ref(&own), base + MOST).unwrap() };
        let hole = base + memory..base + MOST;
        let holes = core::iter::once(hole).filter(|hole| hole.start < hole.end).collect();
        let balloon = Balloon::new(xen, frames, holes, 0);
        let told = Rc::new(RefCell::new(Vec::new()));
        let listeners: &Listeners = Box::leak(Box::default());
        let sink = told.clone();
        listeners.add(move |resized| sink.borrow_mut().push(resized));
        let serve = balloon.serve(store.store.clone(), listeners, sleep);
        let rig = Rig { store, xen, frames, ram, base, serve: RefCell::new(Box::pin(serve)), told };
        rig.write(STATIC_MAX, MOST);
        rig.write(TARGET, memory);
        rig.settle();
        rig
    }

    fn write(&self, path: &str, bytes: usize) {
        let text = alloc::format!("{}", bytes / KIB);
        self.store.daemon.borrow_mut().change(path, text.as_bytes());
    }

    /// Until everything has been done that is to be done at once.
    fn settle(&self) {
        let mut steps = 0;
        run(
            core::future::poll_fn(|_| {
                steps += 1;
                assert!(poll_once(&mut *self.serve.borrow_mut()).is_pending(), "serves for ever");
                if steps == 300 { Poll::Ready(()) } else { Poll::Pending }
            }),
            || self.store.step(),
        );
    }

    /// The toolstack wants this.
    fn target(&self, bytes: usize) {
        self.write(TARGET, bytes);
        self.settle();
    }

    /// Bytes that Xen has of the domain's.
    fn holes(&self) -> usize {
        self.xen.holes().len() * PAGE_SIZE
    }

    fn free(&self) -> usize {
        self.frames.with(|frames| frames.stats().free).unwrap() * PAGE_SIZE
    }

    fn total(&self) -> usize {
        self.frames.with(|frames| frames.stats().total).unwrap() * PAGE_SIZE
    }

    /// Someone in the domain uses so much.
    fn use_memory(&self, bytes: usize) -> Frame {
        self.frames.with(|frames| frames.alloc(bytes / PAGE_SIZE, 1)).unwrap().unwrap()
    }
}

/// Half of a hundred turns for a second.
fn sleep(duration: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
    let mut left = 50 * duration.as_secs();
    Box::pin(core::future::poll_fn(move |_| {
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    }))
}

#[test]
fn memory_goes_and_comes_back() {
    let rig = Rig::new(MOST);
    let before = rig.total();
    assert_eq!(rig.holes(), 0);
    rig.target(9 * MIB);
    assert_eq!((rig.holes(), rig.total()), (7 * MIB, before - 7 * MIB));
    // The highest pages went, in large extents as far as possible.
    assert!(rig.xen.holes().iter().all(|hole| *hole >= rig.base + 9 * MIB));
    rig.target(12 * MIB + 64 * KIB);
    assert_eq!(rig.holes(), 4 * MIB - 64 * KIB);
    rig.target(MOST);
    assert_eq!((rig.holes(), rig.total()), (0, before));
    let told = rig.told.borrow();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0], Resized { bytes: before - 7 * MIB, short: 0 });
    assert_eq!(told[2], Resized { bytes: before, short: 0 });
}

#[test]
fn what_is_given_back_was_cleared() {
    let rig = Rig::new(MOST);
    rig.target(14 * MIB);
    let hole = rig.xen.holes()[17];
    // SAFETY: the pretended hole is memory of the test's, which nobody uses.
    let bytes = unsafe { core::slice::from_raw_parts(hole as *const u8, PAGE_SIZE) };
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn a_domain_that_begins_with_less_than_it_may_have_grows() {
    let rig = Rig::new(6 * MIB);
    assert_eq!(rig.holes(), 10 * MIB, "Xen is not to fill them in by itself");
    let before = rig.total();
    rig.target(11 * MIB);
    assert_eq!((rig.holes(), rig.total()), (5 * MIB, before + 5 * MIB));
    // What has come is memory like any other, and adjacent to the rest.
    rig.use_memory(10 * MIB);
    rig.target(MOST);
    assert_eq!(rig.holes(), 0);
}

#[test]
fn memory_in_use_stays_and_goes_when_it_is_let_go_of() {
    let rig = Rig::new(MOST);
    let used = rig.use_memory(10 * MIB);
    rig.target(8 * MIB);
    assert_eq!(rig.free(), LEAVE * PAGE_SIZE);
    let short = rig.told.borrow()[0].short;
    assert_eq!(rig.holes(), 8 * MIB - short);
    assert!((2 * MIB..3 * MIB).contains(&short), "{short}");
    // SAFETY: allocated above.
    rig.frames.with(|frames| unsafe { frames.free(used, 10 * MIB / PAGE_SIZE) });
    (0..5).for_each(|_| rig.settle());
    assert_eq!(rig.holes(), 8 * MIB);
    assert_eq!(rig.told.borrow().last().unwrap().short, 0);
}

#[test]
fn what_a_listener_lets_go_of_is_given_back_at_once() {
    let rig = Rig::new(MOST);
    let used = rig.use_memory(10 * MIB);
    let (frames, listeners) = (rig.frames, Listeners::default());
    listeners.add(move |resized| {
        if resized.short > 0 {
            // SAFETY: allocated above, and freed once: later no memory is short.
            frames.with(|frames| unsafe { frames.free(used, 10 * MIB / PAGE_SIZE) });
        }
    });
    let mut balloon = Balloon::new(rig.xen, frames, vec![], 0);
    run(balloon.follow(8 * MIB / PAGE_SIZE, &listeners), || {});
    assert_eq!((rig.holes(), balloon.short), (8 * MIB, 0));
}

#[test]
fn what_is_kept_for_the_collector_is_not_given_back() {
    let rig = Rig::new(MOST);
    rig.frames.with(|frames| frames.keep(512));
    rig.target(MIB);
    assert_eq!(rig.free(), (512 + LEAVE) * PAGE_SIZE);
}

#[test]
fn xen_may_have_less_than_it_was_given() {
    let rig = Rig::new(MOST);
    rig.target(8 * MIB);
    // Another domain has got the most of it, and what is left is in pieces.
    rig.xen.set_stock(300, 0);
    rig.target(MOST);
    assert_eq!(rig.holes(), 8 * MIB - 300 * PAGE_SIZE);
    rig.xen.set_stock(MOST, 9);
    (0..5).for_each(|_| rig.settle());
    assert_eq!(rig.holes(), 0);
}

#[test]
fn what_xen_does_not_take_is_no_hole() {
    let rig = Rig::new(MOST);
    rig.target(12 * MIB);
    rig.xen.refuse_release(true);
    let before = rig.total();
    rig.target(8 * MIB);
    (0..5).for_each(|_| rig.settle());
    assert_eq!(rig.holes(), 4 * MIB);
    assert!(rig.total() >= before - 2 * MIB, "it is not tried, and lost, again and again");
    rig.xen.refuse_release(false);
    rig.xen.set_stock(MOST, 9);
    rig.target(MOST);
    assert_eq!(rig.holes(), 0, "what is out can be had again");
}

#[test]
fn nonsense_and_absent_nodes_change_nothing() {
    let rig = Rig::new(MOST);
    for text in ["", "-1", "much", "99999999999999999999999999"] {
        rig.store.daemon.borrow_mut().change(TARGET, text.as_bytes());
        rig.settle();
        assert_eq!(rig.holes(), 0, "{text:?}");
    }
    rig.store.daemon.borrow_mut().remove(STATIC_MAX);
    rig.target(4 * MIB);
    assert_eq!(rig.holes(), 0);
    // More than there can be.
    rig.write(STATIC_MAX, MOST);
    rig.target(99 * MOST);
    assert_eq!((rig.holes(), rig.told.borrow().len()), (0, 0));
    assert!(rig.ram.range().contains(&rig.base));
}

#[test]
fn pages_that_can_never_be_had_count_as_out() {
    let rig = Rig::new(MOST);
    let mut balloon = Balloon::new(rig.xen, rig.frames, vec![], 100);
    let listeners = Listeners::default();
    run(balloon.follow(100, &listeners), || {});
    assert_eq!((rig.holes(), balloon.short), (0, 0));
    run(balloon.follow(0, &listeners), || {});
    assert_eq!(balloon.short, 100);
}
