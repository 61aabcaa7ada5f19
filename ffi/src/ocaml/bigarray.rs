//! Bigarrays of bytes: their layout, and how they are made over memory that is not OCaml's.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

use mirust_rt::net::pool::Share;
use ocaml_interop::bigarray::Array1;
use ocaml_sys::bigarray::{Bigarray, BigarrayProxy, Kind, Layout, Managed};
use ocaml_sys::{Value, field};

/// OCaml's type `Cstruct.t`.
pub struct OCamlCstruct(());

/// OCaml's type `Cstruct.buffer`: a one-dimensional bigarray of bytes.
pub type OCamlBigarray = Array1<u8>;

// A share is OCaml's proxy, which has an atomic count in OCaml 5.
const _: () = assert!(size_of::<Share>() == size_of::<BigarrayProxy>());
const _: () = assert!(std::mem::offset_of!(Share, count) == 0);
const _: () = assert!(size_of::<AtomicUsize>() == size_of::<usize>());

const BYTES: c_int = Kind::CHAR as c_int | Layout::C_LAYOUT as c_int;

// SAFETY: the types are those of OCaml's `custom.h` and `bigarray.h`.
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

/// A bigarray of `int` over memory that is valid for ever.
///
/// # Safety
///
/// It is, and the caller may allocate on the OCaml heap.
pub(crate) unsafe fn external_numbers(base: NonNull<isize>, len: usize) -> Value {
    let flags = Kind::CAML_INT as c_int | Layout::C_LAYOUT as c_int | Managed::EXTERNAL as c_int;
    // SAFETY: one dimension, as said; data that is given is not allocated.
    unsafe { caml_ba_alloc(flags, 1, base.as_ptr().cast(), &(len as isize)) }
}

/// `struct custom_operations` of `caml/custom.h`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Operations {
    pub(super) identifier: *const c_char,
    pub(super) finalize: Option<unsafe extern "C" fn(Value)>,
    /// Comparison, hashing, marshalling.
    pub(super) others: [*const c_void; 6],
}

// SAFETY: names and functions, which nobody changes.
unsafe impl Sync for Operations {}
// SAFETY: as above.
unsafe impl Send for Operations {}

// SAFETY: OCaml's `custom.h` declares it as a `struct custom_operations`, which nobody writes to.
unsafe extern "C" {
    /// Those of OCaml's own bigarrays.
    pub(super) static caml_ba_ops: Operations;
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
