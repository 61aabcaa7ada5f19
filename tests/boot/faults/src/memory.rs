//! Memory through the real page tables: what works, and what must fault.

use mirust_rt::diag::console;
use mirust_rt::mem::heap::{Heap, LARGE, MIN_ALIGN};
use mirust_rt::mem::paging::Prot;
use mirust_rt::mem::vm::{self, MapError, WINDOW};
use mirust_rt::mem::{PAGE_SIZE, frames};
use std::ptr;

const MIB: usize = 1 << 20;

#[inline(never)]
pub fn reserved_page() -> i32 {
    let addr = vm::with(|space| space.reserve(MIB)).unwrap();
    // SAFETY: none: the fault is the test.
    unsafe { bytes(addr).write_volatile(1) };
    0
}

#[inline(never)]
pub fn read_only_page() -> i32 {
    let addr = vm::with(|space| space.map(MIB, Prot::Read)).unwrap();
    // SAFETY: the first access is allowed; the second one's fault is the test.
    unsafe { bytes(addr).write_volatile(bytes(addr).read_volatile()) };
    0
}

#[inline(never)]
pub fn decommitted_page() -> i32 {
    let addr = vm::with(|space| space.reserve(MIB)).unwrap();
    protect(addr, MIB, Prot::ReadWrite).unwrap();
    fill(addr, MIB, 7);
    // SAFETY: nothing uses the memory afterwards, but for the test.
    vm::with(|space| unsafe { space.map_fixed(addr, MIB, None, true) }).unwrap();
    // SAFETY: none: the fault is the test.
    unsafe { bytes(addr + 5).read_volatile() }.into()
}

fn bytes(addr: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(addr)
}

fn fill(addr: usize, len: usize, value: u8) {
    // SAFETY: only called for memory that is mapped.
    unsafe { bytes(addr).write_bytes(value, len) }
}

fn all(addr: usize, len: usize, value: u8) -> bool {
    // SAFETY: only called for memory that is mapped.
    (0..len).all(|i| unsafe { bytes(addr + i).read_volatile() } == value)
}

fn protect(addr: usize, len: usize, prot: Prot) -> Result<(), MapError> {
    // SAFETY: nothing here relies on an access that goes away.
    vm::with(|space| unsafe { space.protect(addr, len, prot) })
}

fn unmap(addr: usize, len: usize) -> Result<(), MapError> {
    // SAFETY: nothing here uses what is unmapped.
    vm::with(|space| unsafe { space.unmap(addr, len) })
}

/// Reserve, commit, decommit, and the contents after each.
pub fn address_space() -> i32 {
    let addr = vm::with(|space| space.reserve(1 << 40)).unwrap();
    assert!(WINDOW.contains(&addr));
    let free = frames::stats().free;
    protect(addr + 3 * MIB, MIB, Prot::ReadWrite).unwrap();
    assert!(all(addr + 3 * MIB, MIB, 0));
    fill(addr + 3 * MIB, MIB, 0xAA);
    protect(addr + 3 * MIB, MIB, Prot::None).unwrap();
    protect(addr + 3 * MIB, MIB, Prot::Read).unwrap();
    assert!(all(addr + 3 * MIB, MIB, 0xAA));
    // SAFETY: nothing uses the memory.
    vm::with(|space| unsafe { space.map_fixed(addr, 4 * MIB, Some(Prot::ReadWrite), true) })
        .unwrap();
    assert!(all(addr, 4 * MIB, 0));
    fill(addr, 4 * MIB, 0xBB);
    unmap(addr + MIB, MIB).unwrap();
    assert!(all(addr, MIB, 0xBB) && all(addr + 2 * MIB, 2 * MIB, 0xBB));
    unmap(addr, 1 << 40).unwrap();
    // Page tables stay.
    assert!(free - frames::stats().free < 16);

    let pool = vm::with(|space| space.map(MIB, Prot::ReadWrite)).unwrap();
    assert!(!WINDOW.contains(&pool) && all(pool, MIB, 0));
    fill(pool, MIB, 0xCC);
    unmap(pool, MIB).unwrap();
    let pool = vm::with(|space| space.map(MIB, Prot::ReadWrite)).unwrap();
    assert!(all(pool, MIB, 0));
    unmap(pool, MIB).unwrap();
    exhaustion();
    heap();
    console::print(format_args!("address space works\n"));
    0
}

/// More than there is fails, and is undone; most of it can be had, and leaves no holes.
fn exhaustion() {
    let total = frames::stats().total * PAGE_SIZE;
    let before = frames::stats().free;
    let most = total / 4096 * 3 * 1024;
    let addr = vm::with(|space| space.map(most, Prot::Read)).unwrap();
    unmap(addr, most).unwrap();
    assert!(frames::stats().largest_run * PAGE_SIZE >= most);
    let addr = vm::with(|space| space.reserve(2 * total)).unwrap();
    assert_eq!(protect(addr, 2 * total, Prot::ReadWrite), Err(MapError::OutOfRange));
    assert_eq!(vm::with(|space| space.map(2 * total, Prot::ReadWrite)), Err(MapError::OutOfRange));
    unmap(addr, 2 * total).unwrap();
    let tables = before - frames::stats().free;
    assert!(tables <= total / PAGE_SIZE / 512 + 16, "{tables} tables");
}

fn heap() {
    let free = frames::stats().free;
    for size in [1, 100, 5000, LARGE, 3 * MIB] {
        let block = Heap.alloc_zeroed(size, MIN_ALIGN).unwrap();
        // SAFETY: allocated with that size, and used until replaced or freed.
        unsafe {
            assert!(all(block.as_ptr().addr(), size, 0));
            block.write_bytes(0xDD, size);
            let block = Heap.realloc(block, size + 2 * LARGE, MIN_ALIGN).unwrap();
            assert!(all(block.as_ptr().addr(), size, 0xDD));
            Heap.free(block);
        }
    }
    Heap.trim();
    assert!(free - frames::stats().free <= 16);
    assert!(Heap.alloc(1 << 46, MIN_ALIGN).is_none());
}
