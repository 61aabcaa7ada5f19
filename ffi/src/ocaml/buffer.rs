//! Bytes outside of the OCaml heap, which both languages hold at a time.

use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

use ocaml_interop::bigarray::Array1;
use ocaml_interop::{BoxRoot, OCaml, OCamlRuntime};
use ocaml_sys::{is_block, tag_val};

use super::call::Pass;
use super::export::{Argument, Raw, Return, Rooted, Scope};
use super::runtime::{self, Unavailable, with_runtime};
use super::{bytes, owned, view};

/// OCaml's type `Cstruct.t`.
pub struct OCamlCstruct(());

/// OCaml's type `Cstruct.buffer`: a one-dimensional bigarray of bytes.
pub type OCamlBigarray = Array1<u8>;

/// Bytes that Rust and OCaml can both hold, in place: cheap to clone, to slice and to keep.
///
/// They are those of a `Cstruct.t` that came from OCaml, or of a Rust value that was given to
/// [`own`](Self::own), and OCaml functions take them as a `Cstruct.t`. The memory is outside of the OCaml
/// heap, where nothing moves; the root inside keeps it. It is freed, or the value dropped, when the last
/// clone is gone and OCaml's collector has found that nobody there holds it either.
#[derive(Clone)]
pub struct Buffer {
    /// The whole bigarray. None for no bytes.
    root: Option<Rc<BoxRoot<OCamlBigarray>>>,
    bytes: *const u8,
    length: usize,
}

impl Buffer {
    /// No bytes.
    pub const fn empty() -> Self {
        Buffer { root: None, bytes: std::ptr::dangling(), length: 0 }
    }

    /// The bytes of `owner`, where they are: a `Vec<u8>`, `Bytes`, `String`, `&'static [u8]` and so on.
    ///
    /// OCaml's collector is told how many there are, and made to run if it is too slow. The owner is dropped when neither language can
    /// reach them any more, by a task of the loop and not inside of the collector: see
    /// [`bytes_lent`](super::bytes_lent).
    ///
    /// ```
    /// # fn compiles() -> Result<(), mirust::ocaml::Unavailable> {
    /// use mirust::ocaml::Buffer;
    ///
    /// let buffer = Buffer::own(vec![0; 4096])?;
    /// let head = buffer.slice(0..16);
    /// # drop(head);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As of [`with_runtime`]; the owner is dropped then.
    pub fn own(owner: impl AsRef<[u8]> + 'static) -> Result<Buffer, Unavailable> {
        with_runtime(|ocaml| Buffer::own_in(ocaml, owner))
    }

    /// [`own`](Self::own) for those who have the runtime, such as a function that OCaml called.
    pub fn own_in(ocaml: &mut OCamlRuntime, owner: impl AsRef<[u8]> + 'static) -> Buffer {
        owned::bound(ocaml);
        // SAFETY: we have the runtime, and root the value at once.
        let (root, bytes, length) = unsafe {
            let (v_bytes, bytes, length) = owned::lend(owner);
            (runtime::root(v_bytes), bytes, length)
        };
        Buffer { root: Some(Rc::new(root)), bytes: bytes.as_ptr(), length }
    }

    /// The bytes of `cstruct`. Panics if the value is something else.
    ///
    /// # Safety
    ///
    /// OCaml does not write to these bytes as long as the buffer or a clone of it is there. So it is
    /// with what a network stack has received and given away.
    pub unsafe fn new(cstruct: OCaml<'_, OCamlCstruct>) -> Self {
        // The others that have bytes are no records, and those of a string would move.
        // SAFETY: a block has a header with its tag.
        let record = is_block(unsafe { cstruct.raw() }) && unsafe { tag_val(cstruct.raw()) } == 0;
        assert!(record, "not a Cstruct");
        // SAFETY: a valid value.
        let (bytes, length) = unsafe { bytes::locate(cstruct.raw()) };
        if length == 0 {
            return Buffer::empty();
        }
        // SAFETY: the value is valid, and has such a field.
        let root = unsafe { runtime::root(view::buffer_of(cstruct.raw())) };
        Buffer { root: Some(Rc::new(root)), bytes, length }
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

impl Buffer {
    /// A `Cstruct.t` of these bytes.
    fn cstruct(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlCstruct> {
        match &self.root {
            Some(root) => view::cstruct(ocaml, root, self.bytes, self.length),
            None => view::empty(ocaml),
        }
    }
}

impl Pass<OCamlCstruct> for &Buffer {
    type Kept<'a>
        = BoxRoot<OCamlCstruct>
    where
        Self: 'a;
    fn keep(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlCstruct> {
        self.cstruct(ocaml)
    }
    unsafe fn raw(kept: &BoxRoot<OCamlCstruct>) -> Raw {
        // SAFETY: read from the root when it is passed.
        unsafe { kept.get_raw() }
    }
}

impl Return for Buffer {
    type Abi = Raw;
    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }
    unsafe fn give_value(self) -> Raw {
        // SAFETY: the caller may allocate on the OCaml heap. Nothing does between reading the value
        // and returning it.
        unsafe { self.cstruct(ocaml_interop::internal::recover_runtime_handle_mut()).get_raw() }
    }
}

// SAFETY: the bytes stay where they are for as long as the root.
unsafe impl Argument for Buffer {
    type Abi = Raw;
    type Value<'a> = Buffer;
    unsafe fn receive(_: &Scope, abi: Raw) -> Buffer {
        // SAFETY: a valid value, of which `new` finds out whether it is a Cstruct. That OCaml writes to
        // its bytes no more is what the type of the argument says.
        unsafe { Buffer::new(OCaml::new(ocaml_interop::internal::recover_runtime_handle(), abi)) }
    }
}

// SAFETY: it refers to the OCaml heap through a root only.
unsafe impl Rooted for Buffer {}
