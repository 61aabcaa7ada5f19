//! Formatted output in pieces: one for most texts, whatever they are made of.

use core::ffi::{c_char, c_int};

use super::super::parts::Result;
use crate::asm::VaList;
use crate::printf::{self, Sink};

/// What is formatted is passed on in pieces of this many octets, so that most text is one.
const PIECE: usize = 1024;

struct Pieces<F> {
    bytes: [u8; PIECE],
    used: usize,
    pass_on: F,
    result: Result,
}

impl<F: FnMut(&[u8]) -> Result> Pieces<F> {
    fn end(&mut self) {
        let used = core::mem::take(&mut self.used);
        if used > 0 && self.result.is_ok() {
            self.result = (self.pass_on)(&self.bytes[..used]);
        }
    }
}

impl<F: FnMut(&[u8]) -> Result> Sink for Pieces<F> {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.used == PIECE {
                self.end();
            }
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - self.used));
            self.bytes[self.used..][..now.len()].copy_from_slice(now);
            (self.used, bytes) = (self.used + now.len(), rest);
        }
    }
}

/// How many octets that makes; -1 with `errno` if the format is wrong.
///
/// # Errors
///
/// Why they could not be passed on.
///
/// # Safety
///
/// That of [`printf::format`].
pub(super) unsafe fn format(
    format: *const c_char,
    args: &mut VaList,
    pass_on: impl FnMut(&[u8]) -> Result,
) -> Result<c_int> {
    let mut pieces = Pieces { bytes: [0; PIECE], used: 0, pass_on, result: Ok(()) };
    // SAFETY: as the caller says.
    let n = unsafe { printf::format(&mut pieces, format, args) };
    pieces.end();
    pieces.result.map(|()| n)
}
