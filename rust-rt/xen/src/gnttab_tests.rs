//! The grant table against a fake Xen and a peer that holds on.

use super::*;
use crate::{
    fake::{FakeXen, world},
    testing::Random,
};
use alloc::{boxed::Box, collections::BTreeSet};
use core::ptr::NonNull;

fn table() -> (&'static FakeXen, &'static GrantTable) {
    let xen = world().xen;
    (xen, Box::leak(Box::new(GrantTable::new(xen).unwrap())))
}

/// Xen's view of an entry: flags, domid, frame.
fn entry(xen: &FakeXen, gref: GrantRef) -> (SharedPage, usize) {
    let frame = xen.table()[gref.0 as usize / 512];
    let base = NonNull::new(xen.addr_of(frame).unwrap() as *mut u8).unwrap();
    // SAFETY: a frame of the table is never freed.
    (unsafe { SharedPage::new(base, PAGE_SIZE) }, gref.0 as usize % 512 * 8)
}

/// Bits as Xen sets them while the peer has the page mapped.
fn set_flags(xen: &FakeXen, gref: GrantRef, flags: u16) {
    let (page, at) = entry(xen, gref);
    page.store_u16(at, flags);
}

#[test]
fn entry_has_the_bytes_that_xen_reads() {
    let (xen, table) = table();
    let granted = table.share(DomId(3), GrantAccess::ReadOnly).unwrap();
    assert_eq!(granted.gref(), GrantRef(8), "the first eight are reserved");
    let (page, at) = entry(xen, granted.gref());
    let mut bytes = [0; 8];
    page.read(at, &mut bytes);
    let gfn = xen.gfn_of(granted.addr()).0 as u32;
    assert_eq!(bytes[..4], [5, 0, 3, 0], "permit_access | readonly, domid 3");
    assert_eq!(bytes[4..], gfn.to_le_bytes());
    granted.end().unwrap();
    assert_eq!(page.load_u16(at), 0);
}

#[test]
fn ended_grant_gives_back_what_the_peer_wrote() {
    let (_, table) = table();
    let granted = table.share(DomId(1), GrantAccess::ReadWrite).unwrap();
    granted.write(10, b"peer");
    let page = granted.end().unwrap();
    assert_eq!(&page[10..14], b"peer");
    assert_eq!(table.stats().used, 0);
}

#[test]
fn busy_grant_is_not_ended() {
    let (xen, table) = table();
    let granted = table.share(DomId(1), GrantAccess::ReadWrite).unwrap();
    let gref = granted.gref();
    for in_use in [abi::GTF_reading, abi::GTF_writing, abi::GTF_reading | abi::GTF_writing] {
        set_flags(xen, gref, (abi::GTF_permit_access | in_use) as u16);
        assert_eq!(table.end(gref), Err(Busy));
    }
    let granted = granted.end().unwrap_err();
    set_flags(xen, gref, abi::GTF_permit_access as u16);
    assert!(granted.end().is_ok());
}

#[test]
fn grant_dropped_while_busy_is_leaked_and_never_reused() {
    let (xen, table) = table();
    let granted = table.share(DomId(1), GrantAccess::ReadWrite).unwrap();
    let (gref, addr) = (granted.gref(), granted.addr());
    set_flags(xen, gref, (abi::GTF_permit_access | abi::GTF_writing) as u16);
    drop(granted);
    assert_eq!(table.stats().leaked, 1);
    let others: Vec<Granted> =
        (0..600).map(|_| table.share(DomId(1), GrantAccess::ReadWrite).unwrap()).collect();
    assert!(others.iter().all(|other| other.gref() != gref && other.addr() != addr));
}

#[test]
fn table_grows_to_its_limit_and_recovers() {
    let (xen, table) = table();
    xen.set_max_frames(2);
    let table = Box::leak(Box::new(GrantTable::new(table.hypervisor).unwrap()));
    // SAFETY: nobody uses the frame.
    let grant = || unsafe { table.grant(Gfn(7), DomId(0), GrantAccess::ReadWrite) };
    let grefs: Vec<GrantRef> = (0..1024 - 8).map(|_| grant().unwrap()).collect();
    assert_eq!(grefs.iter().map(|gref| gref.0).collect::<BTreeSet<_>>().len(), 1016);
    assert_eq!(grant(), Err(GrantError::TableFull));
    table.end(grefs[500]).unwrap();
    assert_eq!(grant(), Ok(grefs[500]));
}

#[test]
fn xen_that_refuses_to_grow_is_a_full_table() {
    let (xen, table) = table();
    xen.set_max_frames(0);
    assert_eq!(table.share(DomId(0), GrantAccess::ReadOnly).unwrap_err(), GrantError::TableFull);
}

#[test]
fn frame_above_16_tib_is_refused() {
    let (_, table) = table();
    let high = Gfn(1 << 32);
    // SAFETY: nothing is granted.
    let result = unsafe { table.grant(high, DomId(0), GrantAccess::ReadOnly) };
    assert_eq!(result, Err(GrantError::FrameTooHigh(high)));
}

#[test]
#[should_panic(expected = "ended twice")]
fn ending_twice_panics() {
    let (_, table) = table();
    // SAFETY: nobody uses the frame.
    let gref = unsafe { table.grant(Gfn(7), DomId(0), GrantAccess::ReadWrite) }.unwrap();
    table.end(gref).unwrap();
    let _ = table.end(gref);
}

#[test]
#[should_panic(expected = "ended twice")]
fn ending_a_reserved_entry_panics() {
    let (_, table) = table();
    let _granted = table.share(DomId(1), GrantAccess::ReadWrite).unwrap();
    let _ = table.end(GrantRef(1));
}

#[test]
fn random_grants_and_ends_stay_consistent() {
    let (xen, table) = table();
    let mut random = Random::new(3);
    let mut held: Vec<(Granted, bool)> = Vec::new();
    for _ in 0..5_000 {
        match random.below(4) {
            0 | 1 if held.len() < 900 => {
                held.push((table.share(DomId(2), GrantAccess::ReadWrite).unwrap(), false));
            }
            2 if !held.is_empty() => {
                // The peer maps or unmaps a page.
                let i = random.below(held.len());
                held[i].1 = !held[i].1;
                let in_use = if held[i].1 { abi::GTF_reading } else { 0 };
                set_flags(xen, held[i].0.gref(), (abi::GTF_permit_access | in_use) as u16);
            }
            3 if !held.is_empty() => {
                let (granted, busy) = held.swap_remove(random.below(held.len()));
                match granted.end() {
                    Ok(_) => assert!(!busy),
                    Err(granted) => {
                        assert!(busy);
                        held.push((granted, true));
                    }
                }
            }
            _ => {}
        }
        let grefs: BTreeSet<u32> = held.iter().map(|(granted, _)| granted.gref().0).collect();
        assert_eq!(grefs.len(), held.len());
        assert_eq!(table.stats().used, held.len());
    }
    // Let go of everything, so that nothing is leaked.
    for (granted, _) in held {
        set_flags(xen, granted.gref(), abi::GTF_permit_access as u16);
    }
    assert_eq!(table.stats().leaked, 0);
}

#[test]
fn lent_entries_are_given_out_by_whom_they_were_lent_to() {
    let (xen, table) = table();
    let ours = table.share(DomId(1), GrantAccess::ReadWrite).unwrap();
    let lent = table.lend(600).unwrap();
    assert_eq!(lent, 512..1112, "whole new frames, as far as asked for");
    let page = Box::leak(Box::new(Page::new().unwrap()));
    let grant = |gref: u32, access| {
        // SAFETY: a leaked page that nobody refers to.
        unsafe { table.grant_lent(GrantRef(gref), page.addr(), DomId(3), access) }
    };
    for not_lent in [0, ours.gref().0, 511, 1112, 1535, 70_000] {
        let refused = Err(GrantError::NotLent(GrantRef(not_lent)));
        assert_eq!(grant(not_lent, GrantAccess::ReadOnly), refused);
        assert_eq!(table.end_lent(GrantRef(not_lent)), Err(Busy));
    }
    grant(600, GrantAccess::ReadOnly).unwrap();
    assert_eq!(grant(600, GrantAccess::ReadOnly), Err(GrantError::NotLent(GrantRef(600))));
    let (entry, at) = entry(xen, GrantRef(600));
    assert_eq!(entry.load_u32(at + 4), xen.gfn_of(page.addr()).0 as u32);
    set_flags(xen, GrantRef(600), (abi::GTF_permit_access | abi::GTF_reading) as u16);
    assert_eq!(table.end_lent(GrantRef(600)), Err(Busy));
    set_flags(xen, GrantRef(600), abi::GTF_permit_access as u16);
    assert_eq!(table.end_lent(GrantRef(600)), Ok(()));
    assert_eq!(table.end_lent(GrantRef(600)), Ok(()), "there is nothing to end");
    grant(600, GrantAccess::ReadWrite).unwrap();

    // What is left is ours, and nothing that was lent: four frames less the reserved eight.
    let held: Vec<GrantRef> = core::iter::from_fn(|| {
        // SAFETY: as above.
        unsafe { table.grant_addr(page.addr(), DomId(1), GrantAccess::ReadOnly) }.ok()
    })
    .collect();
    assert_eq!(held.len(), 4 * 512 - 8 - 600 - 1);
    assert!(held.iter().all(|gref| !lent.contains(&gref.0)));
}

#[test]
fn a_table_that_cannot_grow_lends_what_there_is_or_nothing() {
    let (_, table) = table();
    let _ours = table.share(DomId(1), GrantAccess::ReadWrite).unwrap();
    assert_eq!(table.lend(9000), Ok(512..2048));
    assert_eq!(table.lend(1), Err(GrantError::TableFull));
}

#[test]
fn foreign_pages_are_mapped_one_behind_the_other_or_not_at_all() {
    let (xen, table) = table();
    for gref in 20..23 {
        xen.offer(DomId(4), GrantRef(gref));
    }
    let grants = |grefs: &[u32]| -> Vec<(DomId, GrantRef)> {
        grefs.iter().map(|gref| (DomId(4), GrantRef(*gref))).collect()
    };
    let run = table.map_run(&grants(&[22, 20, 21]), GrantAccess::ReadOnly).unwrap();
    assert_eq!(run.len(), 3 * PAGE_SIZE);
    let frames: Vec<Gfn> = (0..3).map(|page| xen.gfn_of(run.addr() + page * PAGE_SIZE)).collect();
    assert_eq!(xen.mapped(), frames);
    let addr = run.addr();
    drop(run);
    assert_eq!(xen.mapped(), []);
    let failed = table.map_run(&grants(&[20, 21, 99]), GrantAccess::ReadOnly);
    assert!(matches!(failed, Err(GrantError::Xen(_))));
    assert_eq!(xen.mapped(), []);
    // The holes are used again, and not for a single page.
    let single = table.map(DomId(4), GrantRef(20), GrantAccess::ReadWrite).unwrap();
    assert_ne!(single.addr(), addr);
    let again = table.map_run(&grants(&[20, 21, 22]), GrantAccess::ReadWrite).unwrap();
    assert_eq!(again.addr(), addr);
    let one = table.map_run(&grants(&[21]), GrantAccess::ReadWrite).unwrap();
    assert_eq!(one.len(), PAGE_SIZE);
}
