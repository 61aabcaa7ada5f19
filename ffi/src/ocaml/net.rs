//! Bigarrays, as devices pass them.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

use mirust_rt::mem::PAGE_SIZE;
use mirust_rt::net::Fragment;
use mirust_rt::net::pool::{Lease, Share};
use ocaml_sys::bigarray::{Bigarray, BigarrayProxy, Kind, Layout, Managed};
use ocaml_sys::{field, is_block};

use super::bytes::locate;
use super::owned::{Operations, caml_ba_ops};

/// An OCaml value.
pub type Value = ocaml_sys::Value;

// A share is OCaml's proxy, which has an atomic count in OCaml 5.
const _: () = assert!(size_of::<Share>() == size_of::<BigarrayProxy>());
const _: () = assert!(std::mem::offset_of!(Share, count) == 0);
const _: () = assert!(size_of::<AtomicUsize>() == size_of::<usize>());

const BYTES: c_int = Kind::CHAR as c_int | Layout::C_LAYOUT as c_int;

unsafe extern "C" {
    fn caml_alloc_custom_mem(ops: *const Operations, size: usize, memory: usize) -> Value;
    fn caml_ba_alloc(flags: c_int, dims: c_int, data: *mut c_void, dim: *const isize) -> Value;
}

/// A bigarray over memory that is valid for ever.
///
/// # Safety
///
/// It is, and the caller may allocate on the OCaml heap.
pub(crate) unsafe fn external_bigarray(base: NonNull<u8>, len: usize) -> Value {
    let flags = BYTES | Managed::EXTERNAL as c_int;
    // SAFETY: one dimension, as said; data that is given is not allocated.
    unsafe { caml_ba_alloc(flags, 1, base.as_ptr().cast(), &(len as isize)) }
}

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

/// A bigarray of `len` bytes at `base` that knows what becomes of them when it is dead: by its
/// operations, and by a proxy if it is not null. `memory` bytes are gained then, which makes the
/// collector hurry; `caml_ba_alloc` would not count what it did not allocate.
///
/// # Safety
///
/// The bytes stay until then, a reference of the proxy's count is for this bigarray, and the caller may
/// allocate on the OCaml heap.
pub(super) unsafe fn bigarray(
    operations: &'static Operations,
    base: NonNull<u8>,
    len: usize,
    proxy: *const Share,
    memory: usize,
) -> Value {
    let size = size_of::<Bigarray>() + size_of::<isize>();
    // SAFETY: the operations of bigarrays, and the size of one with one dimension.
    let v_bytes = unsafe { caml_alloc_custom_mem(operations, size, memory) };
    // SAFETY: a fresh block of this size, whose contents follow the pointer to its operations.
    unsafe {
        let description = field(v_bytes, 1).cast::<Bigarray>();
        description.write(Bigarray {
            data: base.as_ptr().cast(),
            num_dims: 1,
            flags: (BYTES | Managed::MANAGED as c_int) as isize,
            proxy: proxy.cast::<BigarrayProxy>(),
            dim: [],
        });
        description.add(1).cast::<isize>().write(len as isize);
    }
    v_bytes
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
/// So many bytes were lent, and the caller may allocate on the OCaml heap.
pub(crate) unsafe fn shared_bigarray(lease: Lease, len: usize) -> Value {
    let (base, share) = lease.into_raw();
    let pages = len.div_ceil(PAGE_SIZE) * PAGE_SIZE;
    // SAFETY: the count has the reference of the lease for it.
    unsafe { bigarray(&caml_ba_ops, base, len, share, pages) }
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

/// Where the numbers of a bigarray are, and how many.
///
/// # Safety
///
/// `v_numbers` is a bigarray of `int` with one dimension.
pub(crate) unsafe fn numbers_of(v_numbers: Value) -> (NonNull<isize>, usize) {
    // SAFETY: a bigarray's description follows the pointer to its custom operations.
    let description = unsafe { &*field(v_numbers, 1).cast::<Bigarray>() };
    let kind = description.flags as i32 & Kind::KIND_MASK as i32;
    let fits = kind == Kind::CAML_INT as i32 && description.num_dims == 1;
    assert!(fits, "not a one-dimensional bigarray of int");
    // SAFETY: one dimension follows the fixed part.
    let len = unsafe { *description.dim.as_ptr() };
    (NonNull::new(description.data.cast()).unwrap_or(NonNull::dangling()), len as usize)
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
