//! Immutable bytes outside the OCaml heap.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::io::IoSlice;
use std::ops::{Deref, Range};
use std::panic::resume_unwind;
use std::rc::Rc;

use ocaml_interop::{BoxRoot, OCaml};
use ocaml_sys::{is_block, tag_val};

use super::bigarray::{OCamlBigarray, OCamlCstruct};
use super::compound::{ReturnPart, held_as_it_is};
use super::export::{Argument, Raw, Return, Rooted, Scope};
use super::pass::Pass;
use super::runtime::{self, OCamlRuntime, Unavailable, with_runtime};
use super::{bytes, owned, view};

/// Immutable bytes: cheap to clone, to slice and to keep.
///
/// They belong to the network stack, which has received them, or to a Rust value that was given to
/// [`own`](Self::own), or they are a copy of a `Cstruct.t` from OCaml. The stack sends them without a copy.
///
/// They cannot be written as long as the buffer exists, but a `Cstruct.t` is writable. So an OCaml function to which a
/// buffer is passed or returned gets a copy, with one exception: a `Vec<u8>` without another owner is handed to OCaml
/// in place. [`share`](Self::share) never copies, and leaves it to you to prevent writes.
///
/// Memory that OCaml has seen is freed, or the value dropped, when the last clone is gone and OCaml's collector has
/// found the memory unreachable.
#[derive(Clone)]
pub struct Buffer {
    /// The owner of the bytes. None for no bytes.
    memory: Option<Rc<Memory>>,
    bytes: *const u8,
    length: usize,
}

/// Whose the bytes are.
enum Memory {
    /// OCaml's, or a Rust value's that was lent to OCaml: the whole bigarray.
    OCaml(BoxRoot<OCamlBigarray>),
    /// Rust's, and the bigarray over all of them if OCaml has come to see them.
    Rust(Rc<Vec<u8>>, OnceCell<BoxRoot<OCamlBigarray>>),
}

/// The owner of bytes that OCaml comes to see while Rust goes on to hold them.
struct Shared(Rc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Buffer {
    /// No bytes.
    pub const fn empty() -> Self {
        Buffer { memory: None, bytes: std::ptr::dangling(), length: 0 }
    }

    /// The bytes of `owner`, in place: a `Vec<u8>`, `Bytes`, `String`, `&'static [u8]` and so on.
    ///
    /// OCaml's collector is told how many there are, and made to run if it is too slow. When neither language can reach
    /// them any more, a task drops the owner, outside the collector: see [`bytes_lent`](super::bytes_lent).
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
    /// As [`with_runtime`]; the owner is then dropped.
    pub fn own(owner: impl AsRef<[u8]> + 'static) -> Result<Buffer, Unavailable> {
        with_runtime(|ocaml| Buffer::own_in(ocaml, owner))
    }

    /// [`own`](Self::own) for what only the stack gets to see.
    pub(crate) fn lent(owner: impl AsRef<[u8]> + 'static) -> Result<Buffer, Unavailable> {
        with_runtime(|ocaml| {
            let (root, bytes, length) = lend(ocaml, owner);
            Buffer { memory: Some(Rc::new(Memory::OCaml(root))), bytes, length }
        })
    }

    /// [`own`](Self::own) for code that has the runtime, such as a function called by OCaml.
    pub fn own_in(ocaml: &mut OCamlRuntime, owner: impl AsRef<[u8]> + 'static) -> Buffer {
        // A vector is given to OCaml when OCaml is to have it.
        let mut owner = Some(owner);
        if let Some(bytes) = (&mut owner as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>() {
            return bytes.take().map_or_else(Buffer::empty, Buffer::of_vec);
        }
        let (root, bytes, length) = lend(ocaml, owner.expect("not a vector"));
        Buffer { memory: Some(Rc::new(Memory::OCaml(root))), bytes, length }
    }

    /// These bytes, of which OCaml knows nothing yet.
    fn of_vec(bytes: Vec<u8>) -> Buffer {
        let (start, length) = (bytes.as_ptr(), bytes.len());
        let memory = Memory::Rust(Rc::new(bytes), OnceCell::new());
        Buffer { memory: Some(Rc::new(memory)), bytes: start, length }
    }

    /// The bytes of `cstruct`. Panics if the value is something else.
    ///
    /// # Safety
    ///
    /// OCaml does not write to these bytes as long as the buffer or a clone of it exists. This holds for
    /// data that a network stack has received and handed out.
    pub unsafe fn new(cstruct: OCaml<'_, OCamlCstruct>) -> Self {
        // SAFETY: a valid value.
        let (bytes, length) = unsafe { located(cstruct.raw()) };
        if length == 0 {
            return Buffer::empty();
        }
        // SAFETY: the value is valid, and has such a field.
        let root = unsafe { runtime::root(view::buffer_of(cstruct.raw())) };
        Buffer { memory: Some(Rc::new(Memory::OCaml(root))), bytes, length }
    }

    /// A part of it, which shares the memory.
    ///
    /// # Panics
    ///
    /// If the range extends beyond the end.
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
        // SAFETY: `bytes` and `length` describe a part of what `memory` keeps alive and in place; nobody
        // writes to it, as `new` and `share` were promised. Without memory the length is zero.
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

/// Gives OCaml the bytes of a value: the bigarray, and where they are.
fn lend(
    ocaml: &mut OCamlRuntime,
    owner: impl AsRef<[u8]> + 'static,
) -> (BoxRoot<OCamlBigarray>, *const u8, usize) {
    owned::bound(ocaml);
    // SAFETY: we have the runtime, and root the value at once.
    unsafe {
        let (v_bytes, bytes, length) = owned::lend(owner);
        (runtime::root(v_bytes), bytes.as_ptr(), length)
    }
}

/// Where the bytes of a `Cstruct.t` are. Panics if the value is something else.
///
/// # Safety
///
/// A valid value.
unsafe fn located(v_cstruct: Raw) -> (*const u8, usize) {
    // The others that have bytes are no records, and those of a string would move.
    // SAFETY: a block has a header with its tag.
    let record = is_block(v_cstruct) && unsafe { tag_val(v_cstruct) } == 0;
    assert!(record, "not a Cstruct");
    // SAFETY: the caller's promise.
    let (bytes, length) = unsafe { bytes::locate(v_cstruct) };
    (bytes, length)
}

impl Buffer {
    /// A `Cstruct.t` of these bytes, where they are.
    ///
    /// # Safety
    ///
    /// OCaml does not write to them: never if they are a constant's, and otherwise not as long as Rust holds them,
    /// by this buffer, a clone of it or the owner that it was made of.
    pub unsafe fn share(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlCstruct> {
        let root = match self.memory.as_deref() {
            None => return view::empty(ocaml),
            Some(Memory::OCaml(root)) => root,
            Some(Memory::Rust(bytes, root)) => {
                root.get_or_init(|| lend(ocaml, Shared(Rc::clone(bytes))).0)
            }
        };
        view::cstruct(ocaml, root, self.bytes, self.length)
    }

    /// A `Cstruct.t` of a copy. Panics if there is no memory for it, so that a task that passes it ends alone.
    fn copied(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlCstruct> {
        view::copied(ocaml, self.length, &[IoSlice::new(self)])
            .unwrap_or_else(|| panic!("no memory for {} bytes that OCaml gets", self.length))
    }

    /// A `Cstruct.t` that OCaml may write to, and Rust does not see again.
    fn give_away(mut self, ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlCstruct> {
        match self.take_vec() {
            Some(whole) => {
                let (root, _, _) = lend(ocaml, whole);
                view::cstruct(ocaml, &root, self.bytes, self.length)
            }
            None => view::copied(ocaml, self.length, &[IoSlice::new(&self)])
                .unwrap_or_else(|| resume_unwind(Box::new(bytes::OutOfMemory))),
        }
    }

    /// The vector that the bytes are in, if nobody else has it or has come to see it. They stay where they are.
    fn take_vec(&mut self) -> Option<Vec<u8>> {
        let alone = match Rc::get_mut(self.memory.as_mut()?)? {
            Memory::Rust(bytes, root) if root.get().is_none() => Rc::get_mut(bytes)?,
            _ => return None,
        };
        Some(std::mem::take(alone))
    }
}

// SAFETY: a `Cstruct.t`, rooted.
unsafe impl Pass<OCamlCstruct> for &Buffer {
    type Kept<'a>
        = BoxRoot<OCamlCstruct>
    where
        Self: 'a;
    fn keep(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<OCamlCstruct> {
        self.copied(ocaml)
    }
    unsafe fn raw(kept: &BoxRoot<OCamlCstruct>) -> Raw {
        // SAFETY: read from the root when it is passed.
        unsafe { kept.get_raw() }
    }
}

// SAFETY: a `Cstruct.t`.
unsafe impl Return for Buffer {
    type Abi = Raw;
    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }
    unsafe fn give_value(self) -> Raw {
        // SAFETY: the caller may allocate on the OCaml heap. Nothing does between reading the value
        // and returning it.
        unsafe { self.give_away(runtime::handle()).get_raw() }
    }
}

// SAFETY: a copy in Rust's memory.
unsafe impl Argument for Buffer {
    type Abi = Raw;
    type Value<'a> = Buffer;
    unsafe fn receive(_: &Scope, abi: Raw) -> Buffer {
        // SAFETY: a valid value, of which this finds out whether it is a Cstruct.
        let (_, length) = unsafe { located(abi) };
        if length == 0 {
            return Buffer::empty();
        }
        // SAFETY: as above.
        Buffer::of_vec(unsafe { bytes::copy(abi) })
    }
}

// SAFETY: it refers to the OCaml heap through a root only.
unsafe impl Rooted for Buffer {}
held_as_it_is!(<> Buffer);
