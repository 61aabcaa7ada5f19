//! `%e`, `%f`, `%g` and `%a`.

use super::{Counted, Number, Spec};
use core::fmt::Write;

impl Spec {
    pub(super) fn float(&self, out: &mut Counted, value: f64) {
        let sign = self.sign(value.is_sign_negative());
        let upper = self.conversion.is_ascii_uppercase();
        if !value.is_finite() {
            let digits: &[u8] = match (value.is_nan(), upper) {
                (true, false) => b"nan",
                (true, true) => b"NAN",
                (false, false) => b"inf",
                (false, true) => b"INF",
            };
            let number = Number { prefix: sign, digits, ..Number::default() };
            return Spec { zero: false, ..*self }.number(out, number);
        }
        let value = f64::from_bits(value.to_bits() & !(1 << 63));
        let (mut digits, mut suffix) = (Text::<1500>::new(), Text::<8>::new());
        let more_zeros = match self.conversion.to_ascii_lowercase() {
            b'a' => {
                let mut prefix = Text::<3>::new();
                prefix.push(sign);
                prefix.push(if upper { b"0X" } else { b"0x" });
                let more_zeros = self.hexadecimal(value, &mut digits, &mut suffix);
                return self.number(
                    out,
                    Number {
                        prefix: prefix.bytes(),
                        digits: digits.bytes(),
                        more_zeros,
                        suffix: suffix.bytes(),
                        ..Number::default()
                    },
                );
            }
            b'e' => {
                let precision = self.precision.unwrap_or(6);
                let exponent = digits.scientific(value, precision);
                suffix.exponent(exponent, self.conversion);
                precision.saturating_sub(MAX_PRECISION)
            }
            b'f' => {
                let precision = self.precision.unwrap_or(6);
                digits.fixed(value, precision);
                precision.saturating_sub(MAX_PRECISION)
            }
            _ => self.general(value, &mut digits, &mut suffix),
        };
        if self.alternate && !digits.bytes().contains(&b'.') {
            digits.push(b".");
        }
        self.number(
            out,
            Number {
                prefix: sign,
                digits: digits.bytes(),
                more_zeros,
                suffix: suffix.bytes(),
                ..Number::default()
            },
        );
    }

    /// `%g`: the shorter style for the exponent, without trailing zeros.
    fn general(&self, value: f64, digits: &mut Text<1500>, suffix: &mut Text<8>) -> usize {
        let precision = self.precision.unwrap_or(6).max(1);
        let exponent = digits.scientific(value, precision - 1);
        let scientific = exponent < -4 || exponent >= precision as i64;
        let mut places = precision - 1;
        if scientific {
            suffix.exponent(exponent, self.conversion - 2); // g to e, G to E
        } else {
            places = (precision as i64 - 1 - exponent) as usize;
            digits.length = 0;
            digits.fixed(value, places);
        }
        if self.alternate {
            return places.saturating_sub(MAX_PRECISION);
        }
        if digits.bytes().contains(&b'.') {
            while digits.bytes().ends_with(b"0") {
                digits.length -= 1;
            }
            if digits.bytes().ends_with(b".") {
                digits.length -= 1;
            }
        }
        0
    }

    /// `%a`, behind the `0x`. Subnormal numbers keep a leading 0, as in glibc.
    fn hexadecimal(&self, value: f64, digits: &mut Text<1500>, suffix: &mut Text<8>) -> usize {
        let (biased, fraction) = (value.to_bits() >> 52, value.to_bits() & ((1 << 52) - 1));
        let exponent = match (biased, fraction) {
            (0, 0) => 0,
            (0, _) => -1022,
            _ => biased as i64 - 1023,
        };
        let mut mantissa = u64::from(biased != 0) << 52 | fraction;
        let places = match self.precision {
            None => 13 - ((mantissa.trailing_zeros() / 4).min(13) as usize),
            Some(precision) => precision.min(13),
        };
        // Half to even, on the digits that are not shown.
        let dropped = 4 * (13 - places);
        if dropped > 0 {
            let (rest, half) = (mantissa & ((1 << dropped) - 1), 1 << (dropped - 1));
            mantissa >>= dropped;
            mantissa += u64::from(rest > half || rest == half && mantissa & 1 == 1);
            mantissa <<= dropped;
        }
        let upper = self.conversion == b'A';
        let digit = |d: u64| char::from_digit(d as u32, 16).unwrap_or('0');
        let mut push = |c: char| {
            let c = if upper { c.to_ascii_uppercase() } else { c };
            digits.push(&[c as u8]);
        };
        push(digit(mantissa >> 52));
        if places > 0 || self.alternate || self.precision.is_some_and(|p| p > 0) {
            push('.');
        }
        for place in 1..=places {
            push(digit(mantissa >> (52 - 4 * place) & 0xf));
        }
        suffix.push(&[self.conversion + (b'p' - b'a'), if exponent < 0 { b'-' } else { b'+' }]);
        let _ = write!(suffix, "{}", exponent.unsigned_abs());
        self.precision.unwrap_or(0).saturating_sub(13)
    }
}

/// No `double` has a digit other than 0 further behind the point: the smallest is 2^-1074.
const MAX_PRECISION: usize = 1080;

/// Text of at most `N` bytes; `core::fmt` never writes more here than 309 digits, a point and
/// `MAX_PRECISION` digits.
struct Text<const N: usize> {
    buf: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    fn new() -> Self {
        Text { buf: [0; N], length: 0 }
    }

    fn bytes(&self) -> &[u8] {
        &self.buf[..self.length]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buf[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn fixed(&mut self, value: f64, precision: usize) {
        let _ = write!(self, "{value:.*}", precision.min(MAX_PRECISION));
    }

    /// Writes `d.ddd` and returns the exponent.
    fn scientific(&mut self, value: f64, precision: usize) -> i64 {
        let _ = write!(self, "{value:.*e}", precision.min(MAX_PRECISION));
        let at = self.bytes().iter().rposition(|&c| c == b'e').unwrap_or(self.length);
        let exponent = core::str::from_utf8(&self.buf[at + 1..self.length]);
        let exponent = exponent.ok().and_then(|e| e.parse().ok()).unwrap_or(0);
        self.length = at;
        exponent
    }

    /// Writes `e+dd`, with at least two digits.
    fn exponent(&mut self, exponent: i64, letter: u8) {
        self.push(&[letter, if exponent < 0 { b'-' } else { b'+' }]);
        let _ = write!(self, "{:02}", exponent.unsigned_abs());
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        self.push(s.as_bytes());
        Ok(())
    }
}
