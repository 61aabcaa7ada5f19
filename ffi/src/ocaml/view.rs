//! What crosses between `mirust::net` and the modules in `ocaml-stubs/rust`: views of bytes, and
//! records of numbers.

use std::ffi::c_void;
use std::io::IoSlice;
use std::ptr::{self, NonNull};

use ocaml_interop::{BoxRoot, OCaml};
use ocaml_sys::bigarray::Bigarray;
use ocaml_sys::{Value as Raw, field, is_block, is_long, tag_val, wosize_val};

use super::bigarray::{OCamlBigarray, OCamlCstruct, bigarray, caml_ba_ops};
use super::bytes;
use super::runtime::{self, OCamlRuntime};

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// Fields of `Cstruct.t = { buffer; off; len }`.
const BUFFER: usize = 0;
const OFF: usize = 1;
const LEN: usize = 2;

/// The bigarray of a `Cstruct.t`. Panics if the value is something else.
///
/// # Safety
///
/// `v_cstruct` is a valid value.
pub(super) unsafe fn buffer_of(v_cstruct: Raw) -> Raw {
    // SAFETY: a block has a header with its tag and size.
    let fits =
        is_block(v_cstruct) && unsafe { tag_val(v_cstruct) == 0 && wosize_val(v_cstruct) == 3 };
    assert!(fits, "not a Cstruct");
    // SAFETY: it has three fields.
    unsafe { *field(v_cstruct, BUFFER) }
}

/// Replaces a root of a bigarray by one of a `Cstruct.t` on it.
///
/// # Safety
///
/// The bigarray has `off + len` bytes.
unsafe fn view(
    _ocaml: &mut OCamlRuntime,
    root: BoxRoot<OCamlBigarray>,
    off: usize,
    len: usize,
) -> BoxRoot<OCamlCstruct> {
    // SAFETY: we have the runtime. The block is young, so its fields are written as they are; the
    // bigarray is read from its root after the allocation, and the new root made before the next one.
    unsafe {
        let v_view = ocaml_sys::caml_alloc(3, 0);
        field(v_view, BUFFER).write(root.get_raw());
        field(v_view, OFF).write((off << 1 | 1) as Raw);
        field(v_view, LEN).write((len << 1 | 1) as Raw);
        runtime::root(v_view)
    }
}

/// A `Cstruct.t` of the `len` bytes at `start`, which lie in the bigarray.
pub(super) fn cstruct(
    ocaml: &mut OCamlRuntime,
    root: &BoxRoot<OCamlBigarray>,
    start: *const u8,
    len: usize,
) -> BoxRoot<OCamlCstruct> {
    // SAFETY: a bigarray, whose description follows the pointer to its custom operations.
    let base = unsafe { (*field(root.get_raw(), 1).cast::<Bigarray>()).data };
    let off = start as usize - base as usize;
    // SAFETY: the root is of a bigarray; it is not kept but for the call.
    let copy = unsafe { runtime::root(root.get_raw()) };
    // SAFETY: the bytes lie in it.
    unsafe { view(ocaml, copy, off, len) }
}

/// A `Cstruct.t` of no bytes.
pub(super) fn empty(ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlCstruct> {
    copied(ocaml, 0, &[]).expect("no bytes need no memory")
}

/// A `Cstruct.t` with the first `len` bytes of `parts`, of which there are this many, in memory that OCaml
/// frees. Nothing if there is no such memory; OCaml's own allocation would raise then.
pub(crate) fn copied(
    ocaml: &mut OCamlRuntime,
    len: usize,
    parts: &[IoSlice<'_>],
) -> Option<BoxRoot<OCamlCstruct>> {
    let root = copied_bytes(ocaml, len, parts)?;
    // SAFETY: all of it.
    Some(unsafe { view(ocaml, root, 0, len) })
}

/// The same as a bigarray.
pub(super) fn copied_bytes(
    _ocaml: &mut OCamlRuntime,
    len: usize,
    parts: &[IoSlice<'_>],
) -> Option<BoxRoot<OCamlBigarray>> {
    // SAFETY: no more than a call of malloc, which may give null for no bytes.
    let base = NonNull::new(unsafe { malloc(len.max(1)) }.cast::<u8>())?;
    let mut at = 0;
    for part in parts {
        let n = part.len().min(len - at);
        // SAFETY: fresh memory of `len` bytes, of which `at` are used.
        unsafe { ptr::copy_nonoverlapping(part.as_ptr(), base.as_ptr().add(at), n) };
        at += n;
    }
    assert_eq!(at, len, "fewer bytes than were said");
    // SAFETY: we have the runtime. The memory is from malloc and belongs to the bigarray, whose
    // operations are those that give it to free; it is rooted at once.
    Some(unsafe { runtime::root(bigarray(&caml_ba_ops, base, len, ptr::null(), len)) })
}

/// Looks at the bytes of a `Cstruct.t` for as long as `f` takes.
pub(crate) fn inspect<R>(cstruct: &OCaml<'_, OCamlCstruct>, f: impl FnOnce(&[u8]) -> R) -> R {
    // SAFETY: a valid value.
    let (start, length) = unsafe { bytes::locate(cstruct.raw()) };
    if length == 0 {
        return f(&[]);
    }
    // SAFETY: the borrow of the runtime that the value holds keeps OCaml from running, so nobody
    // writes to the bytes and no collection frees them.
    f(unsafe { std::slice::from_raw_parts(start, length) })
}

/// OCaml's type `reading`.
pub(crate) struct OCamlReading(());

/// What a stream has to read.
pub(crate) enum Reading<'a> {
    /// Nothing yet; a waker will be called.
    Wait,
    /// The peer's end.
    End,
    /// These bytes.
    Data(OCaml<'a, OCamlCstruct>),
    /// These bytes, and nothing behind them yet; a waker will be called when there is.
    Last(OCaml<'a, OCamlCstruct>),
    /// An error, by its number.
    Failed(i64),
}

/// What has arrived for a stream whose reader waited, which is taken from OCaml's record.
///
/// # Safety
///
/// The root is of a `stream`.
pub(crate) unsafe fn take_arrived<'a, T>(
    ocaml: &'a OCamlRuntime,
    stream: &BoxRoot<T>,
) -> Option<OCaml<'a, OCamlReading>> {
    const ARRIVED: usize = 3;
    const WAIT: Raw = 1;
    // SAFETY: the type is that of `memory.h`.
    unsafe extern "C" {
        fn caml_modify(field: *mut Raw, value: Raw);
    }
    // SAFETY: the record has this field, by the caller's promise. Nothing allocates in here, so that it stays where it
    // is; what was in the field is kept by nobody then, and the borrow of the runtime keeps the collector away.
    unsafe {
        let field = field(stream.get_raw(), ARRIVED);
        let v_reading = *field;
        if v_reading == WAIT {
            return None;
        }
        caml_modify(field, WAIT);
        Some(OCaml::new(ocaml, v_reading))
    }
}

/// Reads a `reading`.
pub(crate) fn reading(value: OCaml<'_, OCamlReading>) -> Reading<'_> {
    const END: Raw = 3;
    const DATA_TAG: u8 = 0;
    const FAILED_TAG: u8 = 1;
    // SAFETY: a valid value, and nothing allocates as long as it is borrowed.
    let v_reading = unsafe { value.raw() };
    if is_long(v_reading) {
        return if v_reading == END { Reading::End } else { Reading::Wait };
    }
    // SAFETY: the other constructors have one field.
    let (tag, v_field) = unsafe { (tag_val(v_reading), *field(v_reading, 0)) };
    if tag == FAILED_TAG {
        return Reading::Failed((v_field >> 1) as i64);
    }
    // SAFETY: a `Cstruct.t` by the type, valid for as long as the reading is.
    let data = unsafe { OCaml::new(ocaml_interop::internal::recover_runtime_handle(), v_field) };
    if tag == DATA_TAG { Reading::Data(data) } else { Reading::Last(data) }
}

/// The fields of a record of `N` integers.
pub(crate) fn numbers<T, const N: usize>(record: OCaml<'_, T>) -> [i64; N] {
    // SAFETY: a valid value, and nothing allocates as long as it is borrowed.
    let v_record = unsafe { record.raw() };
    // SAFETY: a block has a header with its size.
    let fits = is_block(v_record) && unsafe { wosize_val(v_record) } == N;
    assert!(fits, "not a record of {N} fields");
    std::array::from_fn(|i| {
        // SAFETY: one of the record's fields.
        let v_field = unsafe { *field(v_record, i) };
        assert!(is_long(v_field), "not a record of integers");
        (v_field >> 1) as i64
    })
}
