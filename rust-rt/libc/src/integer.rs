//! Integers from text: the `strtol` family, in the C locale.

use super::cstr;
use super::errno::{self, EINVAL, ERANGE};
use core::ffi::{c_char, c_int, c_long, c_longlong, c_ulong, c_ulonglong};

/// An integer as it is written, and how many bytes that took (0: there is none).
#[derive(PartialEq, Debug)]
pub(super) struct Integer {
    pub(super) negative: bool,
    /// None when it does not fit.
    pub(super) magnitude: Option<u64>,
    pub(super) length: usize,
}

/// How many bytes of space (`isspace` in the C locale) the text starts with.
pub(super) fn spaces(text: &[u8]) -> usize {
    text.iter().take_while(|c| matches!(c, b' ' | b'\t'..=b'\r')).count()
}

/// Parses an integer after optional spaces. Base 0 takes it from a prefix, `0x` or `0` (and `0b`,
/// C23's, when `binary`).
pub(super) fn parse(text: &[u8], mut base: u32, binary: bool) -> Integer {
    let mut at = spaces(text);
    let peek = |at: usize| text.get(at).copied().unwrap_or(0);
    let negative = peek(at) == b'-';
    at += usize::from(matches!(peek(at), b'-' | b'+'));
    let is_digit = |c: u8, base: u32| char::from(c).is_digit(base);
    let prefixed = |letter: u8, base: u32| {
        peek(at) == b'0' && peek(at + 1) | 0x20 == letter && is_digit(peek(at + 2), base)
    };
    if matches!(base, 0 | 16) && prefixed(b'x', 16) {
        (base, at) = (16, at + 2);
    } else if binary && matches!(base, 0 | 2) && prefixed(b'b', 2) {
        (base, at) = (2, at + 2);
    } else if base == 0 {
        base = if peek(at) == b'0' { 8 } else { 10 };
    }
    let mut digits = text[at..].iter().map_while(|&c| char::from(c).to_digit(base));
    let count = digits.clone().count();
    let magnitude = digits
        .try_fold(0u64, |value, digit| value.checked_mul(base.into())?.checked_add(digit.into()));
    Integer { negative, magnitude, length: if count == 0 { 0 } else { at + count } }
}

impl Integer {
    fn signed(&self) -> i64 {
        let magnitude = self.magnitude.map_or(i128::MAX, i128::from);
        let value = if self.negative { -magnitude } else { magnitude };
        i64::try_from(value).unwrap_or_else(|_| {
            errno::set(ERANGE);
            if self.negative { i64::MIN } else { i64::MAX }
        })
    }

    fn unsigned(&self) -> u64 {
        match self.magnitude {
            Some(magnitude) if self.negative => magnitude.wrapping_neg(),
            Some(magnitude) => magnitude,
            None => {
                errno::set(ERANGE);
                u64::MAX
            }
        }
    }
}

/// Parses at `text`, and stores where the number ends.
///
/// # Safety
///
/// `text` is a C string; `end` is NULL or writable.
unsafe fn integer_at(
    text: *const c_char,
    end: *mut *const c_char,
    base: c_int,
    binary: bool,
) -> Integer {
    let integer = if matches!(base, 0 | 2..=36) {
        // SAFETY: as the caller says.
        parse(unsafe { cstr::bytes(text) }, base as u32, binary)
    } else {
        errno::set(EINVAL);
        Integer { negative: false, magnitude: Some(0), length: 0 }
    };
    // SAFETY: as the caller says.
    unsafe { store_end(end, text.wrapping_add(integer.length)) };
    integer
}

/// # Safety
///
/// `end` is NULL or writable.
pub(super) unsafe fn store_end(end: *mut *const c_char, at: *const c_char) {
    if !end.is_null() {
        // SAFETY: as the caller says.
        unsafe { *end = at };
    }
}

macro_rules! strtol_family {
    ($($name:ident -> $type:ty, $value:ident, $binary:literal;)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        pub(super) unsafe extern "C" fn $name(
            text: *const c_char,
            end: *mut *const c_char,
            base: c_int,
        ) -> $type {
            // SAFETY: the contract is the same.
            unsafe { integer_at(text, end, base, $binary) }.$value()
        }
    )*};
}

strtol_family! {
    strtol -> c_long, signed, false;
    strtoll -> c_longlong, signed, false;
    strtoul -> c_ulong, unsigned, false;
    strtoull -> c_ulonglong, unsigned, false;
    strtoimax -> i64, signed, false;
    strtoumax -> u64, unsigned, false;
    __isoc23_strtol -> c_long, signed, true;
    __isoc23_strtoll -> c_longlong, signed, true;
    __isoc23_strtoul -> c_ulong, unsigned, true;
    __isoc23_strtoull -> c_ulonglong, unsigned, true;
    __isoc23_strtoimax -> i64, signed, true;
    __isoc23_strtoumax -> u64, unsigned, true;
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn atoi(text: *const c_char) -> c_int {
    // SAFETY: `text` is a C string.
    parse(unsafe { cstr::bytes(text) }, 10, false).signed() as c_int
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn atol(text: *const c_char) -> c_long {
    // SAFETY: `text` is a C string.
    parse(unsafe { cstr::bytes(text) }, 10, false).signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::format;
    use std::string::String;

    #[test]
    fn integers_are_those_of_the_host() {
        let texts = [
            "",
            "0",
            "-0",
            "42",
            " +42",
            "-42abc",
            "0x1F",
            "0x",
            "0xg",
            "08",
            "017",
            "zz",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "18446744073709551616",
            "-18446744073709551616",
            "99999999999999999999999",
            "0b101",
            "- 1",
            "\u{b}7",
        ];
        for text in texts {
            let c = CString::new(text).unwrap();
            for base in [0, 2, 8, 10, 16, 36, 1, 37] {
                let p = c.as_ptr();
                let (mut a, mut b) = (core::ptr::null(), core::ptr::null_mut());
                let context = || -> String { format!("{text:?} base {base}") };
                // SAFETY: `c` is a C string, the ends are writable.
                unsafe {
                    let (ours, theirs) =
                        (strtol(p, &raw mut a, base), host_libc::strtol(p, &raw mut b, base));
                    assert_eq!(ours, theirs, "{}", context());
                    if matches!(base, 0 | 2..=36) {
                        assert_eq!(a, b.cast_const(), "{}", context());
                    }
                    let (ours, theirs) =
                        (strtoul(p, &raw mut a, base), host_libc::strtoul(p, &raw mut b, base));
                    assert_eq!(ours, theirs, "{}", context());
                }
            }
        }
    }

    #[test]
    fn overflow_sets_erange_and_c23_knows_binary() {
        errno::set(0);
        // SAFETY: the texts are C strings.
        unsafe {
            assert_eq!(
                strtol(c"99999999999999999999".as_ptr(), core::ptr::null_mut(), 10),
                i64::MAX
            );
            assert_eq!(errno::get(), ERANGE);
            assert_eq!(__isoc23_strtol(c"0b101".as_ptr(), core::ptr::null_mut(), 0), 5);
            assert_eq!(strtol(c"0b101".as_ptr(), core::ptr::null_mut(), 0), 0);
        }
    }
}
