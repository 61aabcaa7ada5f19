//! `<search.h>`: trees of keys that a program compares, and look-ups in arrays.
//!
//! The trees are treaps: each node has a random rank, and none is below one of a lower rank, so that a tree is about as
//! deep as one that is balanced, whatever order the keys come in. Nobody who chooses keys can foresee the ranks: else the
//! tree could be made a list, and its recursive walks would need more stack than there is.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::host;

// SAFETY: the types are those of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
}

/// C's order of two keys: negative, zero or positive.
type Order = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

/// What C code sees of it is the key, to which its address points.
#[repr(C)]
struct Node {
    key: *const c_void,
    /// Those with lesser keys, and those with greater ones.
    below: [*mut Node; 2],
    rank: u32,
}

/// Which way a key goes at a node, or nothing if it is the node's.
///
/// # Safety
///
/// The node is one, and `order` takes both keys.
unsafe fn way(node: *const Node, key: *const c_void, order: Order) -> Option<usize> {
    // SAFETY: as the caller says.
    match unsafe { order(key, (*node).key) } {
        0 => None,
        n => Some(usize::from(n > 0)),
    }
}

/// The place where the key's node is, or would be: in the root or in the node above. And that node, if there is one.
///
/// # Safety
///
/// A tree, and `order` takes its keys.
unsafe fn find(
    root: *mut *mut Node,
    key: *const c_void,
    order: Order,
) -> (*mut *mut Node, *mut Node) {
    let (mut place, mut above) = (root, ptr::null_mut());
    // SAFETY: nodes of the tree, as the caller says.
    unsafe {
        while let Some(way) = (*place).as_ref().and_then(|node| way(node, key, order)) {
            above = *place;
            place = &raw mut (*above).below[way];
        }
    }
    (place, above)
}

fn random() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let mut x = LAST.load(Ordering::Relaxed);
    if x == 0 {
        let mut seed = 0x9e37_79b9_u32.to_ne_bytes();
        // Without a source of random numbers it is always the same.
        let _ = (host::get().random)(&mut seed);
        x = u32::from_ne_bytes(seed).max(1);
    }
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    LAST.store(x, Ordering::Relaxed);
    x
}

/// The node of the key, which is made if there is none. NULL if there is no memory for it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn tsearch(key: *const c_void, root: *mut *mut Node, order: Order) -> *mut Node {
    if root.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: a tree of such nodes, or NULL, and `order` takes its keys, by contract.
    unsafe {
        let (found, _) = find(root, key, order);
        if !(*found).is_null() {
            return *found;
        }
        let node = malloc(size_of::<Node>()).cast::<Node>();
        if node.is_null() {
            return node;
        }
        node.write(Node { key, below: [ptr::null_mut(); 2], rank: random() });
        // Its place is above the first node of a lower rank; what is there goes below it, split by the key.
        let mut place = root;
        while !(*place).is_null() && (**place).rank >= (*node).rank {
            let way = way(*place, key, order).unwrap_or(0);
            place = &raw mut (**place).below[way];
        }
        let mut rest = *place;
        *place = node;
        // Where what is less, and what is greater, is to go.
        let mut ends = [0, 1].map(|side| &raw mut (*node).below[side]);
        while !rest.is_null() {
            let greater = way(rest, key, order).unwrap_or(0) == 0;
            let side = usize::from(greater);
            *ends[side] = rest;
            ends[side] = &raw mut (*rest).below[1 - side];
            rest = *ends[side];
        }
        for end in ends {
            *end = ptr::null_mut();
        }
        node
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn tfind(key: *const c_void, root: *const *mut Node, order: Order) -> *mut Node {
    // SAFETY: as for `tsearch`; nothing is written.
    unsafe { if root.is_null() { ptr::null_mut() } else { *find(root.cast_mut(), key, order).0 } }
}

/// Gives the node above the one that is gone, the root's own address if that was the root, or NULL if there was none.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn tdelete(
    key: *const c_void,
    root: *mut *mut Node,
    order: Order,
) -> *mut c_void {
    if root.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: as for `tsearch`.
    unsafe {
        let (mut place, above) = find(root, key, order);
        let gone = *place;
        if gone.is_null() {
            return ptr::null_mut();
        }
        // What was below it, the higher rank first.
        let mut pair = (*gone).below;
        free(gone.cast());
        while pair.iter().all(|half| !half.is_null()) {
            let first = usize::from((*pair[1]).rank > (*pair[0]).rank);
            *place = pair[first];
            place = &raw mut (*pair[first]).below[1 - first];
            pair[first] = *place;
        }
        *place = if pair[0].is_null() { pair[1] } else { pair[0] };
        if above.is_null() { root.cast() } else { above.cast() }
    }
}

/// Which visit of a node this is: before, between and after those below it, or the only one.
const PREORDER: c_int = 0;
const POSTORDER: c_int = 1;
const ENDORDER: c_int = 2;
const LEAF: c_int = 3;

/// Visits all nodes, the least key first.
///
/// # Safety
///
/// A tree, or NULL.
unsafe fn walk(node: *const Node, depth: c_int, visit: &mut dyn FnMut(*const Node, c_int, c_int)) {
    // SAFETY: as the caller says.
    let Some(below) = (unsafe { node.as_ref() }).map(|node| node.below) else { return };
    if below.iter().all(|half| half.is_null()) {
        return visit(node, LEAF, depth);
    }
    visit(node, PREORDER, depth);
    // SAFETY: as above, here and below.
    unsafe { walk(below[0], depth + 1, visit) };
    visit(node, POSTORDER, depth);
    // SAFETY: as above.
    unsafe { walk(below[1], depth + 1, visit) };
    visit(node, ENDORDER, depth);
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn twalk(
    root: *const Node,
    action: unsafe extern "C" fn(*const Node, c_int, c_int),
) {
    // SAFETY: a tree, and a function that may be called with its nodes, by contract.
    unsafe { walk(root, 0, &mut |node, which, depth| action(node, which, depth)) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn twalk_r(
    root: *const Node,
    action: unsafe extern "C" fn(*const Node, c_int, *mut c_void),
    with: *mut c_void,
) {
    // SAFETY: as for `twalk`.
    unsafe { walk(root, 0, &mut |node, which, _| action(node, which, with)) }
}

/// Frees the tree, and its keys by the function.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn tdestroy(root: *mut Node, free_key: unsafe extern "C" fn(*mut c_void)) {
    // SAFETY: a tree or NULL, by contract, which nobody uses any more.
    unsafe {
        let Some(&Node { key, below, .. }) = root.as_ref() else { return };
        for half in below {
            tdestroy(half, free_key);
        }
        free_key(key.cast_mut());
        free(root.cast());
    }
}

/// The first element of an array that is equal to the key, or NULL.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn lfind(
    key: *const c_void,
    first: *const c_void,
    count: *const usize,
    size: usize,
    order: Order,
) -> *mut c_void {
    // SAFETY: so many elements of that size, which `order` takes, by contract.
    let at = |i: usize| unsafe { first.add(i * size) };
    // SAFETY: as above.
    let found = (0..unsafe { *count }).map(at).find(|&at| unsafe { order(key, at) } == 0);
    found.unwrap_or(ptr::null()).cast_mut()
}

/// As [`lfind`]; a key that is not there is added behind the last element.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn lsearch(
    key: *const c_void,
    first: *mut c_void,
    count: *mut usize,
    size: usize,
    order: Order,
) -> *mut c_void {
    // SAFETY: as above; there is room for one more, by contract.
    unsafe {
        let found = lfind(key, first, count, size, order);
        if !found.is_null() {
            return found;
        }
        let new = first.add(*count * size);
        new.copy_from_nonoverlapping(key, size);
        *count += 1;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    unsafe extern "C" fn by_number(a: *const c_void, b: *const c_void) -> c_int {
        // SAFETY: keys are numbers in their own place.
        c_int::from(a.addr() > b.addr()) - c_int::from(a.addr() < b.addr())
    }

    fn key(number: usize) -> *const c_void {
        ptr::without_provenance(number)
    }

    unsafe extern "C" fn collect(node: *const Node, which: c_int, to: *mut c_void) {
        if which == POSTORDER || which == LEAF {
            // SAFETY: a node and a vector.
            unsafe { (*to.cast::<Vec<usize>>()).push((*node).key.addr()) };
        }
    }

    fn all(root: *const Node) -> Vec<usize> {
        let mut all = Vec::new();
        // SAFETY: a tree.
        unsafe { twalk_r(root, collect, (&raw mut all).cast()) };
        all
    }

    #[test]
    fn a_tree_is_the_set_of_what_was_added_and_not_deleted() {
        let (mut root, mut set) = (ptr::null_mut(), BTreeSet::new());
        let mut x = 1usize;
        for i in 0..3000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = 1 + (x >> 33) % 300;
            // SAFETY: a tree of such keys.
            unsafe {
                if i % 3 == 2 {
                    let gone = tdelete(key(n), &raw mut root, by_number);
                    assert_eq!(!gone.is_null(), set.remove(&n));
                } else {
                    let node = tsearch(key(n), &raw mut root, by_number);
                    assert_eq!((*node).key, key(n));
                    set.insert(n);
                }
                let found = tfind(key(n), &raw const root, by_number);
                assert_eq!(!found.is_null(), set.contains(&n));
            }
        }
        assert_eq!(all(root), Vec::from_iter(set));
        unsafe extern "C" fn nothing(_: *mut c_void) {}
        // SAFETY: a tree.
        unsafe { tdestroy(root, nothing) };
    }

    #[test]
    fn keys_in_order_do_not_make_a_deep_tree() {
        let mut root = ptr::null_mut();
        let mut deepest = 0;
        // SAFETY: a tree of such keys.
        unsafe {
            for n in 1..=4096 {
                tsearch(key(n), &raw mut root, by_number);
            }
            walk(root, 0, &mut |_, _, depth| deepest = deepest.max(depth));
            assert_eq!(all(root).len(), 4096);
            for n in 1..=4096 {
                tdelete(key(n), &raw mut root, by_number);
            }
        }
        assert!(root.is_null());
        assert!(deepest < 64, "{deepest}");
    }

    #[test]
    fn arrays_are_searched_and_grow_as_the_hosts_do() {
        unsafe extern "C" fn bytes(a: *const c_void, b: *const c_void) -> c_int {
            // SAFETY: both are bytes.
            unsafe { c_int::from(a.cast::<u8>().read()) - c_int::from(b.cast::<u8>().read()) }
        }
        let (mut array, mut n) = (*b"abc.....", 3usize);
        let first = array.as_mut_ptr().cast::<c_void>();
        // SAFETY: eight bytes, of which `n` are in use.
        unsafe {
            let at = |found: *mut c_void| found.addr().wrapping_sub(first.addr());
            assert_eq!(at(lfind(b"c".as_ptr().cast(), first, &raw const n, 1, bytes)), 2);
            assert!(lfind(b"x".as_ptr().cast(), first, &raw const n, 1, bytes).is_null());
            for (byte, place) in [(b"x", 3), (b"a", 0), (b"x", 3), (b"y", 4)] {
                assert_eq!(at(lsearch(byte.as_ptr().cast(), first, &raw mut n, 1, bytes)), place);
            }
        }
        assert_eq!((n, &array), (5, b"abcxy..."));
    }
}
