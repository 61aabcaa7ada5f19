//! Bytes outside of the OCaml heap, which both languages hold at a time.

use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

use ocaml_interop::bigarray::Array1;
use ocaml_interop::{BoxRoot, OCaml};

use super::bytes;
use super::runtime;

/// OCaml's type `Cstruct.t`.
pub struct OCamlCstruct(());

/// OCaml's type `Cstruct.buffer`: a one-dimensional bigarray of bytes.
pub type OCamlBigarray = Array1<u8>;

/// Bytes of a `Cstruct.t`, in place: cheap to clone, to slice and to keep.
///
/// The memory is outside of the OCaml heap, where nothing moves; the root inside keeps it from being
/// freed. OCaml frees it after the last clone is dropped.
#[derive(Clone)]
pub struct Buffer {
    /// Only kept, for the memory. None for no bytes.
    _root: Option<Rc<BoxRoot<OCamlCstruct>>>,
    bytes: *const u8,
    length: usize,
}

impl Buffer {
    /// No bytes.
    pub const fn empty() -> Self {
        Buffer { _root: None, bytes: std::ptr::dangling(), length: 0 }
    }

    /// The bytes of `cstruct`. Panics if the value is something else.
    ///
    /// # Safety
    ///
    /// OCaml does not write to these bytes as long as the buffer or a clone of it is there. So it is
    /// with what a network stack has received and given away.
    pub unsafe fn new(cstruct: OCaml<'_, OCamlCstruct>) -> Self {
        // SAFETY: a valid value.
        let (bytes, length) = unsafe { bytes::locate(cstruct.raw()) };
        if length == 0 {
            return Buffer::empty();
        }
        // SAFETY: the value is valid, and has this type.
        let root = unsafe { runtime::root(cstruct.raw()) };
        Buffer { _root: Some(Rc::new(root)), bytes, length }
    }

    /// A part of it, which shares the memory.
    ///
    /// # Panics
    ///
    /// If the range reaches beyond the end.
    pub fn slice(&self, range: Range<usize>) -> Buffer {
        assert!(range.start <= range.end && range.end <= self.length, "beyond the buffer's end");
        let mut part = self.clone();
        // SAFETY: the start is at most the length.
        part.bytes = unsafe { part.bytes.add(range.start) };
        part.length = range.end - range.start;
        part
    }

    /// Drops the first `n` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.length, "beyond the buffer's end");
        if n == self.length {
            // Nothing is left to keep.
            *self = Buffer::empty();
        } else {
            // SAFETY: less than the length.
            self.bytes = unsafe { self.bytes.add(n) };
            self.length -= n;
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `bytes` and `length` describe a part of the memory that the root keeps alive and in
        // place; nobody writes to it, as `new` was promised. Without a root the length is zero.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer::empty()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.length)
    }
}
