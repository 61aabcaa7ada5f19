//! Return values of C functions.

use core::ffi::c_int;

use super::parts::{Errno, Part, Result};
use crate::errno;

/// What C gets: a number, or -1 and `errno`.
pub(super) fn number(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(|Errno(errno)| errno::fail(errno))
}

/// What C gets: a size, or -1 and `errno`.
pub(super) fn size(result: Result<usize>) -> isize {
    result.map_or_else(|Errno(errno)| errno::fail(errno) as isize, |n| n as isize)
}

/// What C gets: 0, or -1 and `errno`.
pub(super) fn status(result: Result) -> c_int {
    number(result.map(|()| 0))
}

/// The first bytes of the parts, which have as many.
pub(super) fn gather<const N: usize>(parts: &[Part]) -> [u8; N] {
    let mut bytes = parts.iter().flat_map(|part| part.iter().copied());
    core::array::from_fn(|_| bytes.next().unwrap_or(0))
}
