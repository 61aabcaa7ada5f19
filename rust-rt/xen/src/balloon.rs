//! The domain's memory follows `memory/target` (`xl mem-set`), down and up again.
//!
//! Pages that are given back leave holes in the domain's memory; pages that are taken fill holes again. The domain has
//! at most what its memory map says, which is `maxmem`; if `memory` is less than that, it begins with holes. Xen would
//! fill these by itself at their first use, up to `memory` in all (populate on demand), and beyond that end the domain:
//! so they are turned into real holes before anything else.
//!
//! Only unused pages are given back, and not the last of them: the reserve for OCaml's collector and a little for
//! everything else stay. The rest is tried again, less and less often, until it is done or the toolstack changes the
//! target. Pages are cleared first, since Xen may give them to another domain as they are.
//!
//! Whole 2 MiB go and come as such: Xen keeps one entry for them in the domain's tables, which are from a small pool of
//! pages, in place of a table.
//!
//! Source: Xen's `docs/misc/xenstore-paths.pandoc` and `xen/memory.h`.

use super::{
    hypervisor::Hypervisor,
    suspend::within,
    xenstore::{Error, Xenstore},
};
use crate::wire::Gfn;
use alloc::{boxed::Box, vec::Vec};
use core::{ops::Range, pin::Pin};
use mirust_executor::{
    resize::{Listeners, Resized},
    time::Duration,
    yield_now,
};
use mirust_mem::{
    PAGE_SIZE,
    frames::{self, Frames},
    paging::Frame,
};

/// What the toolstack wants the domain to have, in KiB.
pub const TARGET: &str = "memory/target";
/// What it can have at most, in KiB.
const STATIC_MAX: &str = "memory/static-max";

/// A starting domain has more urgent requests to xenstore.
const LATER: Duration = Duration::from_secs(1);
/// Until what could not be done is tried again the first time, and at last.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(32)];
/// Nobody looks before unless there is a reason.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Free pages that stay.
const LEAVE: usize = 64;
/// Pages of a large extent, and the binary logarithm of that.
const LARGE: (usize, u32) = (512, 9);
/// Extents in one hypercall.
const BATCH: usize = 64;

/// The memory that the domain could have and does not.
pub struct Balloon {
    hypervisor: &'static dyn Hypervisor,
    frames: &'static Frames,
    /// Holes: disjoint physical addresses, the last ones to be filled first, and each from its start on.
    holes: Vec<Range<usize>>,
    /// Pages of them, and of those that can never be had.
    out: usize,
    /// What could not be done last, in pages.
    short: usize,
    /// What was wanted when Xen last refused pages. These are lost, so it is not asked again for the same.
    refused: Option<usize>,
}

impl Balloon {
    /// Of a domain with these `holes` in its RAM, physical addresses below the reach of `frames`, and with `beyond`
    /// more pages above it.
    pub fn new(
        hypervisor: &'static dyn Hypervisor,
        frames: &'static Frames,
        holes: Vec<Range<usize>>,
        beyond: usize,
    ) -> Balloon {
        let out = holes.iter().map(|hole| hole.len() / PAGE_SIZE).sum::<usize>() + beyond;
        Balloon { hypervisor, frames, holes, out, short: 0, refused: None }
    }

    /// Follows the node, and tells `listeners`. Ends only with the error that makes that impossible.
    pub async fn serve(
        mut self,
        store: Xenstore,
        listeners: &Listeners,
        sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
    ) -> Error {
        self.renounce();
        sleep(LATER).await;
        let mut watch = match store.watch(TARGET).await {
            Ok(watch) => watch,
            Err(error) => return error,
        };
        let mut pause = PAUSES[0];
        loop {
            // The first event comes at once, and one after each broken connection.
            let rest = if self.short == 0 { DAY } else { pause };
            let event = within(sleep(rest), watch.next()).await;
            pause = if event.is_some() { PAUSES[0] } else { PAUSES[1].min(2 * pause) };
            // A node that is missing or makes no sense asks for nothing.
            if let Ok(out) = wanted(&store).await {
                self.follow(out, listeners).await;
            }
        }
    }

    /// Gives up the pages that Xen would populate on demand.
    fn renounce(&self) {
        for hole in &self.holes {
            let mut at = hole.start;
            while at < hole.end {
                let pages = in_unit(at, hole.end);
                // SAFETY: boot has not given these pages to the allocator.
                unsafe { self.release(at, pages) };
                at += pages * PAGE_SIZE;
            }
        }
    }

    /// Gives back or takes pages until `wanted` are out, as far as that is possible.
    async fn follow(&mut self, wanted: usize, listeners: &Listeners) {
        let before = (self.out, self.short);
        let mut told = before;
        loop {
            self.reach(wanted).await;
            self.short = wanted.abs_diff(self.out);
            if (self.out, self.short) == told {
                break;
            }
            told = (self.out, self.short);
            // A listener may release memory.
            listeners.tell(Resized {
                bytes: self.frames.with(|frames| frames.stats().total).unwrap_or(0) * PAGE_SIZE,
                short: wanted.saturating_sub(self.out) * PAGE_SIZE,
            });
        }
        if told != before {
            let kib = |pages: usize| pages * (PAGE_SIZE / 1024);
            log::info!("memory: {} of {} KiB are given back", kib(self.out), kib(wanted));
        }
        if self.short != 0 && self.short != before.1 {
            let why = if self.out < wanted { "in use" } else { "not available" };
            log::warn!("memory: the rest is {why}");
        }
    }

    async fn reach(&mut self, wanted: usize) {
        while self.out != wanted {
            let before = self.out;
            if self.out > wanted {
                self.take(before - wanted);
            } else if self.refused != Some(wanted) && !self.give(wanted - before) {
                self.refused = Some(wanted);
            }
            if self.out == before {
                break;
            }
            yield_now().await;
        }
    }

    /// Gives some pages to Xen, at most `n` and at most a large extent. False if it refused some.
    #[inline(never)]
    fn give(&mut self, n: usize) -> bool {
        // There must be room to note them first.
        if self.holes.try_reserve(1).is_err() {
            return true;
        }
        let found = self.frames.with(|frames| frames.withdraw(n, LEAVE, LARGE.0)).flatten();
        let Some((frame, offered)) = found else { return true };
        // SAFETY: withdrawn from the allocator, so that nothing else uses them.
        let n = unsafe {
            frames::zero(frame, offered);
            self.release(frame.0, offered)
        };
        // An empty hole would hide those before it.
        if n == 0 {
            return false;
        }
        self.out += n;
        let (start, end) = (frame.0, frame.0 + n * PAGE_SIZE);
        match self.holes.last_mut() {
            Some(last) if last.start == end => last.start = start,
            _ => self.holes.push(start..end),
        }
        n == offered
    }

    /// Takes some pages from Xen, at most `n` and at most a large extent.
    #[inline(never)]
    fn take(&mut self, n: usize) {
        let Some(hole) = self.holes.last_mut() else { return };
        let start = hole.start;
        let n = n.min(in_unit(start, hole.end));
        // SAFETY: parts of a hole.
        let n = unsafe { self.exchange(start, n, Way::In) };
        if n == 0 {
            return;
        }
        let hole = self.holes.last_mut().expect("the one that is being filled");
        hole.start += n * PAGE_SIZE;
        if hole.start == hole.end {
            self.holes.pop();
        }
        self.out -= n;
        // SAFETY: RAM of the domain's again, in the place of pages that were withdrawn, or that boot left to us.
        self.frames.with(|frames| unsafe { frames.supply(Frame(start), n) });
    }

    /// Gives pages to Xen, and says how many it took. The others are lost: nobody knows what they are.
    ///
    /// # Safety
    ///
    /// The pages are nobody's.
    #[inline(never)]
    unsafe fn release(&self, start: usize, pages: usize) -> usize {
        // SAFETY: by the caller.
        let done = unsafe { self.exchange(start, pages, Way::Out) };
        if done < pages {
            log::error!("memory: Xen does not take {} pages back", pages - done);
        }
        done
    }

    /// Fills holes, or makes them: by one large extent if the pages are that, and else one by one. Says for how many,
    /// from the first on, that was done.
    ///
    /// # Safety
    ///
    /// The pages are holes, or nobody's.
    #[inline(never)]
    unsafe fn exchange(&self, start: usize, pages: usize, way: Way) -> usize {
        let call = |extents: &[Gfn], order| {
            // SAFETY: by the caller.
            let done = unsafe {
                match way {
                    Way::In => self.hypervisor.populate(extents, order),
                    Way::Out => self.hypervisor.release(extents, order),
                }
            };
            done.unwrap_or(0)
        };
        let large = pages == LARGE.0 && start % (LARGE.0 * PAGE_SIZE) == 0;
        let mut extents = [Gfn(0); BATCH];
        let mut done = 0;
        while done < pages {
            let n = BATCH.min(pages - done);
            for (extent, page) in extents.iter_mut().zip(done..) {
                *extent = self.hypervisor.gfn_of(start + page * PAGE_SIZE);
            }
            if large && done == 0 && call(&extents[..1], LARGE.1) == 1 {
                return pages;
            }
            let some = call(&extents[..n], 0);
            done += some;
            if some < n {
                break;
            }
        }
        done
    }
}

/// Which way memory goes.
#[derive(Clone, Copy)]
enum Way {
    /// From Xen to the domain.
    In,
    /// From the domain to Xen.
    Out,
}

/// Pages from `start` up to `end`, or to where a large extent begins.
fn in_unit(start: usize, end: usize) -> usize {
    let unit = LARGE.0 * PAGE_SIZE;
    ((start / unit + 1) * unit).min(end).saturating_sub(start) / PAGE_SIZE
}

/// How many pages the toolstack wants to be out.
async fn wanted(store: &Xenstore) -> Result<usize, Error> {
    let mut kib = [0usize; 2];
    for (kib, node) in kib.iter_mut().zip([STATIC_MAX, TARGET]) {
        *kib = store.read_parsed(node).await?;
    }
    Ok(kib[0].saturating_sub(kib[1]) / (PAGE_SIZE / 1024))
}

#[cfg(test)]
#[path = "balloon_tests.rs"]
mod tests;
