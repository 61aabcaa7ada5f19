//! Errors by their numbers, and memory that a call reads from or writes to.

use alloc::vec::Vec;
use core::ffi::{c_int, c_void};
use core::ops::{Deref, DerefMut};

use crate::errno::{EFAULT, EINVAL, ENOMEM};

/// Bytes of one call at most, as in Linux (`MAX_RW_COUNT`): what is longer is used as far as this. (A slice of Rust's
/// has no more than `isize::MAX`.)
const MOST_BYTES: usize = 0x7fff_f000;

/// An error's number, as C's `errno` has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub c_int);

/// The result of an operation.
pub type Result<T = ()> = core::result::Result<T, Errno>;

/// Memory to write from: `struct iovec`.
#[repr(C)]
pub struct Part {
    base: *const u8,
    len: usize,
}

/// Memory to read into: `struct iovec`.
#[repr(C)]
pub struct PartMut {
    base: *mut u8,
    len: usize,
}

impl Part {
    /// Memory of a C caller.
    ///
    /// # Errors
    ///
    /// EFAULT for NULL, and for more than there can be.
    pub(super) fn of(base: *const c_void, len: usize) -> Result<Self> {
        if base.is_null() && len != 0 || isize::try_from(len).is_err() {
            return Err(Errno(EFAULT));
        }
        Ok(Part { base: base.cast(), len: len.min(MOST_BYTES) })
    }

    /// Whether this is memory at all.
    ///
    /// # Errors
    ///
    /// EINVAL for a negative length, EFAULT for NULL.
    pub(super) fn check(&self) -> Result {
        check(self.base, self.len)
    }

    /// The parts without their first `n` bytes.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(super) fn behind(parts: &[Part], mut n: usize) -> Result<Vec<Part>> {
        let mut rest = Vec::new();
        rest.try_reserve_exact(parts.len()).map_err(|_| Errno(ENOMEM))?;
        for part in parts {
            let skipped = n.min(part.len);
            n -= skipped;
            rest.push(Part::new(&part[skipped..]));
        }
        Ok(rest)
    }

    /// All of a slice. It must live as long as the part is used, which is inside one call.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Part { base: bytes.as_ptr(), len: bytes.len() }
    }
}

impl PartMut {
    /// Memory of a C caller.
    ///
    /// # Errors
    ///
    /// EFAULT for NULL, and for more than there can be.
    pub(super) fn of(base: *mut c_void, len: usize) -> Result<Self> {
        if base.is_null() && len != 0 || isize::try_from(len).is_err() {
            return Err(Errno(EFAULT));
        }
        Ok(PartMut { base: base.cast(), len: len.min(MOST_BYTES) })
    }

    /// As [`Part::check`].
    pub(super) fn check(&self) -> Result {
        check(self.base, self.len)
    }

    /// All of a slice. It must live as long as the part is used, which is inside one call.
    pub(super) fn new(bytes: &mut [u8]) -> Self {
        PartMut { base: bytes.as_mut_ptr(), len: bytes.len() }
    }
}

fn check(base: *const u8, len: usize) -> Result {
    if isize::try_from(len).is_err() {
        return Err(Errno(EINVAL));
    }
    if base.is_null() && len != 0 { Err(Errno(EFAULT)) } else { Ok(()) }
}

impl PartMut {
    /// The parts without their first `n` bytes.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub fn behind(parts: &mut [PartMut], mut n: usize) -> Result<Vec<PartMut>> {
        let mut rest = Vec::new();
        rest.try_reserve_exact(parts.len()).map_err(|_| Errno(ENOMEM))?;
        for part in parts {
            let skipped = n.min(part.len);
            n -= skipped;
            rest.push(PartMut::new(&mut part[skipped..]));
        }
        Ok(rest)
    }
}

impl Deref for Part {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: parts come from the callers of C functions, whose contract is that the memory is
        // readable during the call, or from `new`.
        unsafe { core::slice::from_raw_parts(self.base, self.len.min(MOST_BYTES)) }
    }
}

impl Deref for PartMut {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: as in `deref_mut`.
        unsafe { core::slice::from_raw_parts(self.base, self.len.min(MOST_BYTES)) }
    }
}

impl DerefMut for PartMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: parts come from the callers of C functions, whose contract is that the memory is
        // theirs and writable during the call, or from `new`.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.len.min(MOST_BYTES)) }
    }
}

/// The bytes of all parts.
pub fn total(parts: &[Part]) -> usize {
    parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len)).min(MOST_BYTES)
}

/// The room of all parts.
pub fn room(parts: &[PartMut]) -> usize {
    parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len)).min(MOST_BYTES)
}

/// Copies as much as fits into the parts, one after the other, and says how much.
pub fn scatter(mut bytes: &[u8], parts: &mut [PartMut]) -> usize {
    let all = bytes.len();
    for part in parts {
        let n = bytes.len().min(part.len());
        part[..n].copy_from_slice(&bytes[..n]);
        bytes = &bytes[n..];
    }
    all - bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_filled_one_after_the_other() {
        let (mut a, mut b, mut c) = ([0; 2], [0; 0], [0; 4]);
        let mut parts = [PartMut::new(&mut a), PartMut::new(&mut b), PartMut::new(&mut c)];
        assert_eq!(room(&parts), 6);
        assert_eq!(scatter(b"abcd", &mut parts), 4);
        assert_eq!(scatter(b"01234567", &mut parts), 6);
        assert_eq!((&a, &c), (b"01", b"2345"));
        assert_eq!(total(&[Part::new(b"ab"), Part::new(b""), Part::new(b"c")]), 3);
    }

    #[test]
    fn null_parts_of_no_length_are_empty() {
        let part = Part { base: core::ptr::null(), len: 0 };
        assert!(part.is_empty());
        let mut part = PartMut { base: core::ptr::null_mut(), len: 0 };
        assert!(part.is_empty() && part.deref_mut().is_empty());
    }
}
