//! Bigarrays, as devices pass them.

use std::ptr::NonNull;

use mirust_rt::mem::PAGE_SIZE;
use mirust_rt::net::Fragment;
use mirust_rt::net::pool::{Lease, Share};
use ocaml_sys::{field, is_block};

use super::bigarray::{bigarray, caml_ba_ops};
use super::bytes::locate;

pub(crate) use super::bigarray::{external_bigarray, external_numbers};

/// An OCaml value.
pub type Value = ocaml_sys::Value;

/// A pair of a number and a value.
///
/// # Safety
///
/// The value is valid, and the caller may allocate on the OCaml heap.
pub(crate) unsafe fn pair(number: isize, v: Value) -> Value {
    // SAFETY: the value is rooted while the pair is allocated, and a fresh block is initialised before
    // anything else is allocated.
    unsafe {
        let second = super::runtime::root::<()>(v);
        let v_pair = ocaml_sys::caml_alloc_tuple(2);
        ocaml_sys::caml_initialize(field(v_pair, 0), number << 1 | 1);
        ocaml_sys::caml_initialize(field(v_pair, 1), second.get_raw());
        v_pair
    }
}

/// A bigarray of the first `len` bytes that were lent. It holds the lease.
///
/// A bigarray that shares its memory with others refers to a *proxy*, which counts them; when one
/// is collected, OCaml decrements the count, and would free the memory at zero. Here the proxy is
/// the lease's share. The pool's own reference keeps its count above zero, so that the pool finds out
/// by looking, and OCaml's `free` is never called.
///
/// # Safety
///
/// This many bytes were lent, and the caller may allocate on the OCaml heap.
pub(crate) unsafe fn shared_bigarray(lease: Lease, len: usize) -> Value {
    let (base, share) = lease.into_raw();
    let pages = len.div_ceil(PAGE_SIZE) * PAGE_SIZE;
    // SAFETY: the count has the reference of the lease for it.
    unsafe { bigarray(&caml_ba_ops, base, len, share, pages) }
}

/// OCaml's collector decides on its pace by the size of what is gained, and of a part of a slab it is told one in this
/// many bytes. For slabs are not to set the pace: most die young, the small collection is asked for after a few of
/// them, between turns, when hardly a frame is in use, and their number is bounded.
const SLAB_SHARE: usize = 4;

/// A bigarray of a part of a slab. The slab's count is its proxy, as in [`shared_bigarray`].
///
/// # Safety
///
/// The memory stays, and a reference of the count is for this bigarray. The caller may allocate on the OCaml heap.
pub(crate) unsafe fn slab(base: NonNull<u8>, len: usize, share: NonNull<Share>) -> Value {
    // SAFETY: the caller's promise.
    unsafe { bigarray(&caml_ba_ops, base, len, share.as_ptr(), len / SLAB_SHARE) }
}

/// Where the bytes of a bigarray are, and how many.
///
/// # Safety
///
/// `v_bytes` is a bigarray of bytes with one dimension.
pub(crate) unsafe fn bytes_of(v_bytes: Value) -> (NonNull<u8>, usize) {
    // SAFETY: the caller's promise; `locate` checks the kind.
    let (base, len) = unsafe { locate(v_bytes) };
    (NonNull::new(base).unwrap_or(NonNull::dangling()), len)
}

/// Where the bytes of a `Cstruct.t list` are.
///
/// # Safety
///
/// `v_list` is a value of that type.
pub(crate) unsafe fn fragments(v_list: Value, out: &mut Vec<Fragment>) {
    // SAFETY: the caller's promise.
    unsafe { pieces(v_list, &mut |addr, len| out.push(Fragment { addr, len })) }
}

/// Calls `each` with where the bytes of the parts of a `Cstruct.t list` are, and how many. Empty parts are
/// left out.
///
/// # Safety
///
/// `v_list` is a value of that type.
pub(crate) unsafe fn pieces(mut v_list: Value, each: &mut dyn FnMut(NonNull<u8>, usize)) {
    // SAFETY: `is_block` looks at the value itself; the cells of a list have two fields.
    while is_block(v_list) {
        // SAFETY: as above.
        let (v_first, v_rest) = unsafe { (*field(v_list, 0), *field(v_list, 1)) };
        // SAFETY: a Cstruct, whose bounds `locate` checks.
        let (base, len) = unsafe { locate(v_first) };
        if let (Some(addr), true) = (NonNull::new(base), len > 0) {
            each(addr, len);
        }
        v_list = v_rest;
    }
}
