//! The formatter of the `printf` family: ISO C 7.21.6.1, in the C locale.
//!
//! Floating point comes from `core::fmt`, whose digits are exact for every precision and rounded
//! half to even, as glibc's are. Left out: wide characters and positional (`%1$d`) arguments, which
//! fail with EILSEQ and EINVAL.

use super::asm::VaList;
use super::cstr;
use super::errno::{self, EILSEQ, EINVAL, EOVERFLOW};
use core::ffi::{c_char, c_int};

mod float;

/// Where formatted bytes go.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

/// Formats `args` and returns how many bytes that makes, or -1 with `errno` set.
///
/// # Safety
///
/// `format` is a C string, and `args` has the arguments that it names.
pub(super) unsafe fn format(out: &mut dyn Sink, format: *const c_char, args: &mut VaList) -> c_int {
    // SAFETY: as the caller says; nobody writes to a format meanwhile.
    let mut format = unsafe { cstr::bytes(format) };
    let mut out = Counted { sink: out, count: 0 };
    while let Some(at) = format.iter().position(|&c| c == b'%') {
        out.put(&format[..at]);
        format = &format[at..];
        // SAFETY: as the caller says.
        let (spec, length) = unsafe { Spec::parse(format, args) };
        // SAFETY: as the caller says.
        if let Err(error) = unsafe { spec.convert(&mut out, &format[..length], args) } {
            return errno::fail(error);
        }
        format = &format[length..];
    }
    out.put(format);
    c_int::try_from(out.count).unwrap_or_else(|_| errno::fail(EOVERFLOW))
}

struct Counted<'a> {
    sink: &'a mut dyn Sink,
    count: usize,
}

impl Counted<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.count += bytes.len();
        self.sink.put(bytes);
    }

    fn fill(&mut self, byte: u8, mut n: usize) {
        let block = [byte; 32];
        while n > 0 {
            let part = n.min(block.len());
            self.put(&block[..part]);
            n -= part;
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Length {
    Char,
    Short,
    Int,
    Long,
    LongDouble,
}

/// One conversion specification.
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    length: Length,
    conversion: u8,
}

/// A converted number, in the order of its parts. Padding zeros go behind `prefix`.
#[derive(Default)]
struct Number<'a> {
    prefix: &'a [u8],
    zeros: usize,
    digits: &'a [u8],
    more_zeros: usize,
    suffix: &'a [u8],
}

impl Spec {
    /// Parses `%...` and returns how long it is.
    ///
    /// # Safety
    ///
    /// `args` has an `int` for every `*`.
    unsafe fn parse(text: &[u8], args: &mut VaList) -> (Spec, usize) {
        let mut spec = Spec {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: 0,
            precision: None,
            length: Length::Int,
            conversion: 0,
        };
        let peek = |at: usize| text.get(at).copied().unwrap_or(0);
        let mut at = 1;
        loop {
            match peek(at) {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                b'0' => spec.zero = true,
                b'\'' => {} // the C locale has no thousands' separator
                _ => break,
            }
            at += 1;
        }
        let mut number = |at: &mut usize| {
            if peek(*at) == b'*' {
                *at += 1;
                // SAFETY: the caller has an `int` for it.
                return unsafe { args.integer() } as c_int as isize;
            }
            let mut value = 0isize;
            while peek(*at).is_ascii_digit() {
                let digit = isize::from(peek(*at) - b'0');
                value = (value * 10 + digit).min(c_int::MAX as isize);
                *at += 1;
            }
            value
        };
        let width = number(&mut at);
        spec.left |= width < 0;
        spec.width = width.unsigned_abs();
        if peek(at) == b'.' {
            at += 1;
            // A negative precision counts as none.
            spec.precision = usize::try_from(number(&mut at)).ok();
        }
        let (length, skip) = match (peek(at), peek(at + 1)) {
            (b'h', b'h') => (Length::Char, 2),
            (b'h', _) => (Length::Short, 1),
            (b'l', b'l') => (Length::Long, 2),
            (b'l' | b'j' | b'z' | b't' | b'q', _) => (Length::Long, 1),
            (b'L', _) => (Length::LongDouble, 1),
            _ => (Length::Int, 0),
        };
        spec.length = length;
        at += skip;
        spec.conversion = peek(at);
        (spec, (at + 1).min(text.len()))
    }

    /// # Safety
    ///
    /// `args` has the argument that the specification names.
    unsafe fn convert(
        &self,
        out: &mut Counted,
        text: &[u8],
        args: &mut VaList,
    ) -> Result<(), c_int> {
        // SAFETY, here and below: the caller has an argument of the conversion's type.
        match self.conversion {
            b'%' => out.put(b"%"),
            b'd' | b'i' => {
                // SAFETY: as above.
                let value = self.signed(unsafe { args.integer() });
                self.integer(out, value.unsigned_abs(), self.sign(value < 0));
            }
            b'u' | b'x' | b'X' | b'o' => {
                // SAFETY: as above.
                let value = self.unsigned(unsafe { args.integer() });
                self.integer(out, value, b"");
            }
            b'p' => {
                // SAFETY: as above.
                match unsafe { args.integer() } {
                    0 => self.text(out, b"(nil)"),
                    address => {
                        let spec = Spec { alternate: true, conversion: b'x', ..*self };
                        spec.integer(out, address, b"");
                    }
                }
            }
            b'c' | b's' if self.length == Length::Long => return Err(EILSEQ),
            b'c' => {
                // SAFETY: as above.
                let c = unsafe { args.integer() } as u8;
                Spec { precision: None, ..*self }.text(out, &[c]);
            }
            b's' => {
                // SAFETY: as above.
                let s = unsafe { args.integer() } as *const c_char;
                let max = self.precision.unwrap_or(usize::MAX);
                if s.is_null() {
                    // As glibc does: whole or not at all.
                    self.text(out, if max < 6 { b"" } else { b"(null)" });
                } else {
                    // SAFETY: the argument is a string, or as long as the precision.
                    let s = unsafe {
                        core::slice::from_raw_parts(s.cast::<u8>(), cstr::len_at_most(s, max))
                    };
                    self.text(out, s);
                }
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
                // SAFETY: as above.
                let value = unsafe {
                    match self.length {
                        Length::LongDouble => args.long_double(),
                        _ => args.double(),
                    }
                };
                self.float(out, value);
            }
            b'm' => self.text(out, errno::text(errno::get()).to_bytes()),
            b'n' => {
                // SAFETY: as above; the argument points to an integer of the given length.
                unsafe {
                    let at = args.integer();
                    match self.length {
                        Length::Char => *(at as *mut i8) = out.count as i8,
                        Length::Short => *(at as *mut i16) = out.count as i16,
                        Length::Int => *(at as *mut i32) = out.count as i32,
                        _ => *(at as *mut i64) = out.count as i64,
                    }
                }
            }
            b'$' => return Err(EINVAL),
            // Not a conversion: shown as it is written.
            _ => out.put(text),
        }
        Ok(())
    }

    fn signed(&self, value: u64) -> i64 {
        match self.length {
            Length::Char => i64::from(value as i8),
            Length::Short => i64::from(value as i16),
            Length::Int => i64::from(value as i32),
            _ => value as i64,
        }
    }

    fn unsigned(&self, value: u64) -> u64 {
        match self.length {
            Length::Char => u64::from(value as u8),
            Length::Short => u64::from(value as u16),
            Length::Int => u64::from(value as u32),
            _ => value,
        }
    }

    fn sign(&self, negative: bool) -> &'static [u8] {
        match (negative, self.plus, self.space) {
            (true, ..) => b"-",
            (_, true, _) => b"+",
            (_, _, true) => b" ",
            _ => b"",
        }
    }

    fn text(&self, out: &mut Counted, text: &[u8]) {
        Spec { zero: false, ..*self }.number(out, Number { digits: text, ..Number::default() });
    }

    /// Pads `number` to the width.
    fn number(&self, out: &mut Counted, number: Number) {
        let Number { prefix, zeros, digits, more_zeros, suffix } = number;
        let length = prefix.len() + zeros + digits.len() + more_zeros + suffix.len();
        let padding = self.width.saturating_sub(length);
        let (before, inside, after) = match (self.left, self.zero) {
            (true, _) => (0, 0, padding),
            (_, true) => (0, padding, 0),
            _ => (padding, 0, 0),
        };
        out.fill(b' ', before);
        out.put(prefix);
        out.fill(b'0', inside + zeros);
        out.put(digits);
        out.fill(b'0', more_zeros);
        out.put(suffix);
        out.fill(b' ', after);
    }

    fn integer(&self, out: &mut Counted, value: u64, sign: &[u8]) {
        let (base, set) = match self.conversion {
            b'x' => (16, b"0123456789abcdef"),
            b'X' => (16, b"0123456789ABCDEF"),
            b'o' => (8, b"0123456789abcdef"),
            _ => (10, b"0123456789abcdef"),
        };
        let mut buf = [0; 22]; // u64::MAX in octal
        let mut at = buf.len();
        let mut rest = value;
        while rest > 0 {
            at -= 1;
            buf[at] = set[(rest % base) as usize];
            rest /= base;
        }
        let digits = &buf[at..];
        let mut zeros = self.precision.unwrap_or(1).saturating_sub(digits.len());
        let prefix: &[u8] = match self.conversion {
            b'x' if self.alternate && value != 0 => b"0x",
            b'X' if self.alternate && value != 0 => b"0X",
            b'o' if self.alternate && zeros == 0 => {
                zeros = 1;
                b""
            }
            _ => sign,
        };
        // The flag 0 does not count when there is a precision.
        let spec = Spec { zero: self.zero && self.precision.is_none(), ..*self };
        spec.number(out, Number { prefix, zeros, digits, ..Number::default() });
    }
}
