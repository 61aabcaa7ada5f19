//! Floating-point numbers from text: the `strtod` family, in the C locale.

use super::errno::{self, ERANGE};
use super::{cstr, integer};
use core::ffi::{c_char, c_void};

/// A floating-point number after optional spaces, correctly rounded, and how many bytes it took
/// (0: there is none).
pub(super) fn parse(text: &[u8]) -> (f64, usize) {
    let mut at = integer::spaces(text);
    let negative = text.get(at) == Some(&b'-');
    at += usize::from(matches!(text.get(at), Some(b'-' | b'+')));
    let rest = &text[at..];
    let (value, length) =
        named(rest).or_else(|| hexadecimal(rest)).unwrap_or_else(|| decimal(rest));
    if length == 0 {
        return (0.0, 0);
    }
    (if negative { -value } else { value }, at + length)
}

fn named(text: &[u8]) -> Option<(f64, usize)> {
    let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    if starts(b"infinity") {
        Some((f64::INFINITY, 8))
    } else if starts(b"inf") {
        Some((f64::INFINITY, 3))
    } else if starts(b"nan") {
        // A payload in parentheses is read and ignored.
        let payload = text.get(3) == Some(&b'(');
        let name =
            text[3..].iter().skip(1).take_while(|c| c.is_ascii_alphanumeric() || **c == b'_');
        let end = 4 + name.count();
        Some((f64::NAN, if payload && text.get(end) == Some(&b')') { end + 1 } else { 3 }))
    } else {
        None
    }
}

fn digits(text: &[u8], radix: u32) -> usize {
    text.iter().take_while(|&&c| char::from(c).is_digit(radix)).count()
}

/// The length of `letter`, an optional sign and at least one digit, or 0.
fn exponent(text: &[u8], letter: u8) -> usize {
    if text.first().is_none_or(|c| c.to_ascii_lowercase() != letter) {
        return 0;
    }
    let sign = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    match digits(&text[1 + sign..], 10) {
        0 => 0,
        n => 1 + sign + n,
    }
}

fn decimal(text: &[u8]) -> (f64, usize) {
    let whole = digits(text, 10);
    let mut at = whole;
    let mut fraction = 0;
    if text.get(at) == Some(&b'.') {
        fraction = digits(&text[at + 1..], 10);
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return (0.0, 0);
    }
    let mantissa = at;
    at += exponent(&text[at..], b'e');
    // The syntax is a subset of what `parse` takes, and ASCII.
    let value = core::str::from_utf8(&text[..at]).ok().and_then(|t| t.parse().ok()).unwrap_or(0.0);
    let zero = text[..mantissa].iter().all(|c| matches!(c, b'0' | b'.'));
    check_range(value, zero);
    (value, at)
}

/// ERANGE for a number that overflowed or came out as 0.
fn check_range(value: f64, zero: bool) {
    if value.is_infinite() || value == 0.0 && !zero {
        errno::set(ERANGE);
    }
}

/// `0x1.8p3`: bits beyond the 53 of a double are rounded half to even, once.
fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    if text.get(..2).is_none_or(|t| !t.eq_ignore_ascii_case(b"0x")) {
        return None;
    }
    let (mut mantissa, mut scale, mut sticky) = (0u64, 0i64, false);
    let mut digit = |c: u8, fraction: bool| {
        let digit = u64::from(char::from(c).to_digit(16).unwrap_or(0));
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            scale -= if fraction { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            scale += if fraction { 0 } else { 4 };
        }
    };
    let whole = digits(&text[2..], 16);
    let mut at = 2 + whole;
    text[2..at].iter().for_each(|&c| digit(c, false));
    let mut fraction = 0;
    if text.get(at) == Some(&b'.') {
        fraction = digits(&text[at + 1..], 16);
        text[at + 1..][..fraction].iter().for_each(|&c| digit(c, true));
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None; // the number is the 0 before the x
    }
    let length = exponent(&text[at..], b'p');
    if length > 0 {
        let exponent = integer::parse(&text[at + 1..at + length], 10, false);
        let magnitude = exponent.magnitude.unwrap_or(1 << 40).min(1 << 40) as i64;
        scale += if exponent.negative { -magnitude } else { magnitude };
    }
    let value = scaled(mantissa, scale, sticky);
    check_range(value, mantissa == 0);
    Some((value, at + length))
}

/// `mantissa * 2^scale`, where `sticky` stands for lower bits that are not all zero.
fn scaled(mantissa: u64, scale: i64, sticky: bool) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    // The top bit at position 63, so that the value is 1.xxx times 2^exponent.
    let shift = mantissa.leading_zeros();
    let (mantissa, exponent) = (mantissa << shift, scale - i64::from(shift) + 63);
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // A normal number keeps 53 bits, a subnormal one fewer; below half of the smallest, none.
    let drop = 11 + (-1022 - exponent).clamp(0, 54) as u32;
    let (kept, rest, half) = match drop {
        64 => (0, mantissa, 1 << 63),
        65.. => return 0.0,
        _ => (mantissa >> drop, mantissa & ((1 << drop) - 1), 1 << (drop - 1)),
    };
    let up = rest > half || rest == half && (sticky || kept & 1 == 1);
    // A carry moves into the exponent, up to infinity, as the encoding wants it.
    let biased = if exponent < -1022 { 0 } else { (exponent + 1022) as u64 };
    f64::from_bits((biased << 52) + kept + u64::from(up))
}

/// Parses at `text`, and stores where the number ends.
///
/// # Safety
///
/// `text` is a C string; `end` is NULL or writable.
unsafe fn double_at(text: *const c_char, end: *mut *const c_char) -> f64 {
    // SAFETY: as the caller says.
    unsafe {
        let (value, length) = parse(cstr::bytes(text));
        integer::store_end(end, text.wrapping_add(length));
        value
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strtod(text: *const c_char, end: *mut *const c_char) -> f64 {
    // SAFETY: the contract is the same.
    unsafe { double_at(text, end) }
}

/// `strtod` in the C locale, whatever the locale.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strtod_l(
    text: *const c_char,
    end: *mut *const c_char,
    _locale: *mut c_void,
) -> f64 {
    // SAFETY: the contract is the same.
    unsafe { double_at(text, end) }
}

/// Rounded twice: to a double first.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strtof(text: *const c_char, end: *mut *const c_char) -> f32 {
    // SAFETY: the contract is the same.
    unsafe { double_at(text, end) as f32 }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn atof(text: *const c_char) -> f64 {
    // SAFETY: `text` is a C string.
    unsafe { double_at(text, core::ptr::null_mut()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::format;

    fn same_double(text: &str) {
        let c = CString::new(text).unwrap();
        let (mut end, mut host_end) = (core::ptr::null(), core::ptr::null_mut());
        // SAFETY: `c` is a C string, the ends are writable.
        let (ours, theirs) = unsafe {
            (strtod(c.as_ptr(), &raw mut end), host_libc::strtod(c.as_ptr(), &raw mut host_end))
        };
        assert_eq!(end, host_end.cast_const(), "{text:?}");
        let same = ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan();
        assert!(same, "{text:?}: {ours:e} {theirs:e}");
    }

    #[test]
    fn odd_spellings_end_where_the_host_ends() {
        for text in [
            "",
            " ",
            "+",
            "-",
            ".",
            "-.",
            "e5",
            ".e5",
            "1",
            " \t\n1",
            "1.",
            ".5",
            "1.5x",
            "1e",
            "1e+",
            "1e+x",
            "1e5",
            "1.e-5",
            "0x",
            "0x.",
            "0xg",
            "0x1",
            "0x1p",
            "0x1p+",
            "0x.8p1",
            "0x1.8",
            "-0x1.8p-3z",
            "inf",
            "INFINITY",
            "infinit",
            "-inf",
            "nan",
            "nan(",
            "nan()",
            "nan(abc_1)",
            "nan(a b)",
            "na",
            "1e400",
            "-1e400",
            "1e-400",
            "0e999999999999999999999",
            "1e999999999999999999999",
            "1e-99999999999999999999",
            "0x1p99999999999999999999",
            "0x1p-99999999999999999999",
            "1_000",
            "١",
            "- 1",
            "--1",
            "0x0p9",
            "-0",
        ] {
            same_double(text);
        }
    }

    #[test]
    fn doubles_are_correctly_rounded() {
        let mut seed = 88172645463325252u64;
        for _ in 0..20_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let value = f64::from_bits(seed);
            for text in [format!("{value:e}"), format!("{value:.30e}"), format!("{value:.3e}")] {
                same_double(&text);
            }
            let (a, b) = (seed >> 32, seed as u32);
            for exponent in [a as i32 % 1100, -1022, -1030, -1075, 960] {
                same_double(&format!("0x{a:x}.{b:08x}p{exponent}"));
            }
        }
        // Halfway cases, with and without something behind them.
        for tail in ["", "0", "1", "00000000000000000001"] {
            for last in ["0", "1", "2", "3", "f"] {
                same_double(&format!("0x1.000000000000{last}8{tail}p0"));
                same_double(&format!("0x0.000000000000{last}8{tail}p-1022"));
                same_double(&format!("0x1.fffffffffffff8{tail}p1023"));
                same_double(&format!("0x0.8{tail}p-1074"));
            }
        }
    }
}
