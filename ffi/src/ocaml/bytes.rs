//! Bytes of OCaml values, borrowed where they are.

use std::panic::resume_unwind;

use ocaml_interop::{FromOCaml, OCaml};
use ocaml_sys::bigarray::{Bigarray, Kind};
use ocaml_sys::{Value as Raw, caml_string_length, field, is_block, string_val, tag_val};

use super::scope::{Scope, Span};

/// OCaml's type `bytes`.
///
/// Nobody promises that they are text, so that they become no `String`: `String::from_utf8` finds out.
pub struct OCamlBytes(());

impl OCamlBytes {
    /// The bytes, where they are, for as long as OCaml does not run.
    pub fn as_slice<'a>(value: &'a OCaml<'_, OCamlBytes>) -> &'a [u8] {
        // SAFETY: a valid value, as it borrows the runtime.
        let (start, length) = unsafe { locate(value.raw()) };
        if length == 0 {
            return &[];
        }
        // SAFETY: OCaml initialises its buffers. The borrow keeps it from running, so nobody writes to the bytes or
        // moves them, and an export has no `&mut [u8]` beside an `OCaml<T>`.
        unsafe { std::slice::from_raw_parts(start, length) }
    }
}

// SAFETY: a copy of what `bytes` hold.
unsafe impl FromOCaml<OCamlBytes> for Vec<u8> {
    fn from_ocaml(value: OCaml<'_, OCamlBytes>) -> Self {
        // SAFETY: a valid value, as it borrows the runtime.
        unsafe { copy(value.raw()) }
    }
}

/// Tags of OCaml's block headers (`caml/mlvalues.h`).
const STRING_TAG: u8 = 252;
const CUSTOM_TAG: u8 = 255;

/// Where the bytes of a `string`, `bytes`, bigarray or `Cstruct.t` are. Panics if the value is
/// none of these.
///
/// # Safety
///
/// `value` is a valid OCaml value.
#[inline]
pub(super) unsafe fn locate(value: Raw) -> (*mut u8, usize) {
    assert!(is_block(value), "not a buffer");
    // SAFETY: a block has a header with its tag.
    match unsafe { tag_val(value) } {
        // SAFETY: a string is where its value points, and has this length.
        STRING_TAG => unsafe { (string_val(value), caml_string_length(value)) },
        // SAFETY: the only custom blocks among the types that are allowed here.
        CUSTOM_TAG => unsafe { bigarray(value) },
        // Cstruct.t = { buffer; off; len }
        0 => {
            // SAFETY: the only record among the types that are allowed here; it has three fields.
            let (v_buffer, v_off, v_len) =
                unsafe { (*field(value, 0), *field(value, 1), *field(value, 2)) };
            // SAFETY: Cstruct's buffer is a bigarray of char.
            let (start, size) = unsafe { bigarray(v_buffer) };
            let (off, len) = (v_off >> 1, v_len >> 1);
            let inside =
                off >= 0 && len >= 0 && off.checked_add(len).is_some_and(|e| e as usize <= size);
            assert!(inside, "a Cstruct reaches beyond its buffer");
            // SAFETY: `off` is at most the size of the buffer.
            (unsafe { start.add(off as usize) }, len as usize)
        }
        tag => panic!("not a buffer: tag {tag}"),
    }
}

/// Where the bytes of a one-dimensional bigarray of bytes are.
///
/// # Safety
///
/// `value` is a bigarray.
#[inline]
unsafe fn bigarray(value: Raw) -> (*mut u8, usize) {
    // SAFETY: a bigarray's description follows the pointer to its custom operations.
    let description = unsafe { &*(field(value, 1) as *const Bigarray) };
    let kind = description.flags as i32 & Kind::KIND_MASK as i32;
    let bytes = [Kind::CHAR as i32, Kind::UINT8 as i32, Kind::SINT8 as i32].contains(&kind);
    assert!(bytes && description.num_dims == 1, "not a one-dimensional bigarray of bytes");
    // SAFETY: one dimension follows the fixed part.
    let size = unsafe { *description.dim.as_ptr() };
    (description.data.cast(), size as usize)
}

/// Borrows the bytes of an argument for reading.
///
/// # Safety
///
/// `value` is a valid OCaml value, and no OCaml code runs as long as the scope lives.
#[inline]
pub(super) unsafe fn shared(scope: &Scope, value: Raw) -> &[u8] {
    // SAFETY: the caller's promise.
    let (start, length) = unsafe { locate(value) };
    scope.borrow(Span::new((start, length), false));
    if length == 0 {
        return &[];
    }
    // SAFETY: OCaml initialises its buffers. The argument is alive during the call (its caller has
    // it), and the collector cannot move or free it: no OCaml code runs. The scope has no mutable
    // borrow that overlaps.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// Borrows the bytes of an argument for writing.
///
/// # Safety
///
/// As [`shared`].
#[inline]
#[allow(clippy::mut_from_ref)]
pub(super) unsafe fn exclusive(scope: &Scope, value: Raw) -> &mut [u8] {
    // SAFETY: the caller's promise.
    let (start, length) = unsafe { locate(value) };
    scope.borrow(Span::new((start, length), true));
    if length == 0 {
        return &mut [];
    }
    // SAFETY: as in `shared`; the scope has no borrow at all that overlaps.
    unsafe { std::slice::from_raw_parts_mut(start, length) }
}

/// Copies the bytes of an argument.
///
/// # Safety
///
/// `value` is a valid OCaml value.
#[inline]
pub(super) unsafe fn copy(value: Raw) -> Vec<u8> {
    // SAFETY: the caller's promise.
    let (start, length) = unsafe { locate(value) };
    if length == 0 {
        return Vec::new();
    }
    // SAFETY: as in `shared`, for as long as the copy takes. Nothing writes meanwhile.
    let bytes = unsafe { std::slice::from_raw_parts(start, length) };
    // How many there are can be a stranger's choice.
    let mut copy = Vec::new();
    if copy.try_reserve_exact(length).is_err() {
        resume_unwind(Box::new(OutOfMemory));
    }
    copy.extend_from_slice(bytes);
    copy
}

/// Longer strings are not made on OCaml's minor heap (`Max_young_wosize`).
const MINOR_WORDS: usize = 256;

/// A new OCaml string (or `bytes`) with these contents; none if there is no memory for it.
///
/// OCaml's own functions would raise instead, over the heads of Rust frames that have something to
/// drop. So they are used for what fits the minor heap only, where there always is room.
///
/// # Safety
///
/// The caller may allocate on the OCaml heap.
#[inline]
pub(super) unsafe fn allocate(bytes: &[u8]) -> Option<Raw> {
    // SAFETY: the type is that of OCaml's `alloc.h`.
    unsafe extern "C" {
        fn caml_alloc_initialized_string(length: usize, bytes: *const u8) -> Raw;
    }
    if bytes.len() / size_of::<Raw>() < MINOR_WORDS {
        // SAFETY: the bytes are not on the OCaml heap, or borrowed in a way that rules this out.
        return Some(unsafe { caml_alloc_initialized_string(bytes.len(), bytes.as_ptr()) });
    }
    // SAFETY: the caller's promise.
    unsafe { allocate_major(bytes) }
}

/// # Safety
///
/// As [`allocate`].
unsafe fn allocate_major(bytes: &[u8]) -> Option<Raw> {
    // SAFETY: the types are those of OCaml's `memory.h`.
    unsafe extern "C" {
        fn caml_alloc_shr_noexc(words: usize, tag: i32) -> Raw;
        fn caml_check_urgent_gc(value: Raw) -> Raw;
    }
    const WORD: usize = size_of::<Raw>();
    let words = bytes.len() / WORD + 1;
    // SAFETY: the caller may allocate. Zero is no value, but the answer that there is no memory.
    let value = unsafe { caml_alloc_shr_noexc(words, STRING_TAG.into()) };
    if value == 0 {
        return None;
    }
    // SAFETY: a fresh block of that many words, which are all initialised here, the way a string is: its
    // last byte says how many of the last word are not the string's, and the others of these are zero.
    // Then the collector, which the size may have made due, may run: it roots the value.
    unsafe {
        let start = string_val(value);
        start.add((words - 1) * WORD).cast::<usize>().write(0);
        start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        start.add(words * WORD - 1).write((words * WORD - 1 - bytes.len()) as u8);
        Some(caml_check_urgent_gc(value))
    }
}

/// The payload of the panic that becomes OCaml's `Out_of_memory`.
pub(super) struct OutOfMemory;

/// As [`allocate`], for a function that OCaml called: without memory, what its frames hold is dropped,
/// and OCaml gets `Out_of_memory`.
///
/// # Safety
///
/// As [`allocate`].
#[inline]
pub(super) unsafe fn allocate_or_raise(bytes: &[u8]) -> Raw {
    // SAFETY: the caller's promise.
    unsafe { allocate(bytes) }.unwrap_or_else(|| resume_unwind(Box::new(OutOfMemory)))
}
