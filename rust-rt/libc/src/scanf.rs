//! `sscanf`: integers, floating-point numbers, characters, words, sets of characters and `%n`.
//!
//! A conversion that is not implemented (wide characters) ends the scan, as input that does not match does. An image
//! without files has less of this: there, OCaml's runtime is all that scans.

use super::asm::{VaList, variadic};
use super::{cstr, double, integer};
use core::ffi::{c_char, c_int};
use core::iter::Peekable;

variadic!("sscanf", 2 => vsscanf);
variadic!("__isoc99_sscanf", 2 => vsscanf);
variadic!("__isoc23_sscanf", 2 => vsscanf);

/// Whether there is what OCaml's runtime has no use for.
const ALL: bool = cfg!(any(test, feature = "posix"));

/// The number of arguments assigned, or EOF when the input ends before the first assignment.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn vsscanf(
    input: *const c_char,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: both are C strings that nobody writes to meanwhile, and the list is started.
    unsafe { scan::<false>(&mut Input::new(cstr::bytes(input)), cstr::bytes(format), &mut *args) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __isoc99_vsscanf(
    input: *const c_char,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { vsscanf(input, format, args) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __isoc23_vsscanf(
    input: *const c_char,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { vsscanf(input, format, args) }
}

/// What is scanned.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    /// Behind what was taken of it.
    pub(super) at: usize,
    /// Its end made a difference: with more of it, more might have been taken.
    pub(super) short: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Input { bytes, at: 0, short: false }
    }
}

/// Scans, and says whether the input was `short` if there is `MORE` of it somewhere.
///
/// # Safety
///
/// `args` has the pointers that the format names.
pub(super) unsafe fn scan<const MORE: bool>(
    input: &mut Input<'_>,
    format: &[u8],
    args: &mut VaList,
) -> c_int {
    let Input { bytes: input, at, short } = input;
    let mut assigned = 0;
    let mut format = format.iter().copied().peekable();
    while let Some(c) = format.next() {
        let rest = &input[*at..];
        if integer::spaces(&[c]) == 1 {
            *at += integer::spaces(rest);
            *short |= MORE && *at == input.len();
            continue;
        }
        if c != b'%' {
            match rest.first() {
                Some(&first) if first == c => *at += 1,
                first => {
                    *short |= MORE && first.is_none();
                    return result(assigned, first.is_none());
                }
            }
            continue;
        }
        let Some(conversion) = Conversion::parse(&mut format) else { break };
        if conversion.letter == b'n' {
            if conversion.store {
                // SAFETY: the argument points to an integer of this length.
                unsafe { store_integer(args.integer(), conversion.length, *at as u64) };
            }
            continue;
        }
        let skip = if matches!(conversion.letter, b'c' | b'[') { 0 } else { integer::spaces(rest) };
        *at += skip;
        let rest = &input[*at..];
        if rest.is_empty() {
            *short |= MORE;
            return result(assigned, true);
        }
        if conversion.letter == b'%' && rest[0] == b'%' {
            *at += 1;
            continue;
        }
        // SAFETY: the next argument is the one for this conversion.
        let taken = unsafe { conversion.apply(rest, args) };
        *short |= MORE && conversion.is_short(rest, taken);
        if taken == 0 {
            return assigned;
        }
        *at += taken;
        assigned += c_int::from(conversion.store);
    }
    assigned
}

/// What follows a `%`.
struct Conversion {
    /// No `*`: the result goes to an argument.
    store: bool,
    /// How many characters it takes at most; 0 for any number.
    width: usize,
    /// Bytes of the argument's integer.
    length: usize,
    letter: u8,
    /// The characters of `%[`, a bit each.
    set: [u64; 4],
}

impl Conversion {
    /// Takes it from the format; nothing if that ends too early.
    fn parse(format: &mut Peekable<impl Iterator<Item = u8>>) -> Option<Conversion> {
        let store = format.next_if_eq(&b'*').is_none();
        let mut width = 0usize;
        while let Some(digit) = format.next_if(u8::is_ascii_digit) {
            width = width.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
        }
        let mut length = 4usize;
        while let Some(modifier) = format.next_if(|c| b"hljztqL".contains(c)) {
            length = match modifier {
                b'h' => length / 2,
                b'L' if ALL => 16,
                _ => 8,
            };
        }
        let letter = format.next()?;
        let set = if ALL && letter == b'[' { characters(format)? } else { [0; 4] };
        Some(Conversion { store, width, length, letter, set })
    }

    /// Converts the beginning of `rest`, which is not empty, and stores the result. How many characters that took;
    /// 0 if they do not match.
    ///
    /// # Safety
    ///
    /// The next of `args` points to what this conversion stores.
    unsafe fn apply(&self, rest: &[u8], args: &mut VaList) -> usize {
        let Conversion { store, width, length, letter, ref set } = *self;
        let field = &rest[..if width == 0 { rest.len() } else { width.min(rest.len()) }];
        match letter {
            b'd' | b'i' | b'u' | b'x' | b'X' | b'o' | b'p' => {
                let base = match letter {
                    b'i' => 0,
                    b'o' => 8,
                    b'd' | b'u' => 10,
                    _ => 16,
                };
                let length = if letter == b'p' { 8 } else { length };
                let number = integer::parse(field, base, false);
                if number.length > 0 && store {
                    let magnitude = number.magnitude.unwrap_or(u64::MAX);
                    let value = if number.negative { magnitude.wrapping_neg() } else { magnitude };
                    // SAFETY: the argument points to an integer of this length.
                    unsafe { store_integer(args.integer(), length, value) };
                }
                number.length
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
                let (value, taken) = double::parse(field);
                if taken > 0 && store {
                    // SAFETY: the argument points to a float, or a double with the modifier l, or a long double with L.
                    unsafe {
                        match (args.integer(), length) {
                            (to, 16) if ALL => store_long_double(to, value),
                            (to, 8) => *(to as *mut f64) = value,
                            (to, _) => *(to as *mut f32) = value as f32,
                        }
                    }
                }
                taken
            }
            // With the modifier l, they are for wide characters.
            b'c' | b's' | b'[' if !ALL && letter != b'[' || ALL && length != 8 => {
                let n = match letter {
                    b'c' => width.max(1).min(rest.len()),
                    b'[' if ALL => field.iter().take_while(|&&c| has(set, c)).count(),
                    _ => field.iter().take_while(|&&c| integer::spaces(&[c]) == 0).count(),
                };
                if n > 0 && store {
                    // SAFETY: the argument has room for the field, and a word for its NUL.
                    unsafe {
                        let to = args.integer() as *mut u8;
                        to.copy_from_nonoverlapping(field.as_ptr(), n);
                        if letter != b'c' {
                            *to.add(n) = 0;
                        }
                    }
                }
                n
            }
            _ => 0,
        }
    }

    /// Whether more behind `rest`, of which `taken` were taken, might have been taken too.
    fn is_short(&self, rest: &[u8], taken: usize) -> bool {
        let most = if self.letter == b'c' { self.width.max(1) } else { self.width };
        if most != 0 && most <= rest.len() {
            return false;
        }
        taken == rest.len()
            || match self.letter {
                b'i' | b'x' | b'X' | b'p' => is_begun(rest, taken, Begun::Integer),
                b'd' | b'u' | b'o' => is_begun(rest, taken, Begun::Decimal),
                b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
                    is_begun(rest, taken, Begun::Float)
                }
                _ => false,
            }
    }
}

/// What may be the beginning of what.
#[derive(Clone, Copy, PartialEq)]
enum Begun {
    /// Of digits alone.
    Decimal,
    /// Of digits, behind `0x` perhaps.
    Integer,
    Float,
}

/// Whether what was not taken goes with what was, and with something that is still to come: `0` and `x`, or `1` and
/// `e-`.
fn is_begun(text: &[u8], taken: usize, what: Begun) -> bool {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let number = &text[sign..];
    let left = &text[taken.max(sign)..];
    let is = |text: &[u8], word: &[u8]| text.eq_ignore_ascii_case(word);
    let begins = |word: &[u8]| word.get(..number.len()).is_some_and(|word| is(number, word));
    let hexadecimal = number.get(..2).is_some_and(|text| is(text, b"0x"));
    if number.is_empty() {
        return true;
    }
    match what {
        Begun::Decimal => false,
        Begun::Integer => is(number, b"0x"),
        Begun::Float => {
            let exponent = if hexadecimal { b'p' } else { b'e' };
            let in_exponent = taken > 0
                && left.first().is_some_and(|c| c.to_ascii_lowercase() == exponent)
                && matches!(left[1..], [] | [b'+' | b'-']);
            let in_payload = number.get(..4).is_some_and(|text| is(text, b"nan("))
                && number[4..].iter().all(|&c| c.is_ascii_alphanumeric() || c == b'_');
            in_exponent
                || in_payload
                || [&b"infinity"[..], b"nan", b".", b"0x."].into_iter().any(begins)
        }
    }
}

fn has(set: &[u64; 4], c: u8) -> bool {
    set[usize::from(c / 64)] >> (c % 64) & 1 != 0
}

/// Takes a set of characters from the format, up to its `]`, which is one of them if it comes first. In `a-z` are all
/// between the two.
fn characters(format: &mut Peekable<impl Iterator<Item = u8>>) -> Option<[u64; 4]> {
    let mut set = [0u64; 4];
    let inverted = format.next_if_eq(&b'^').is_some();
    let mut last = None;
    loop {
        let mut c = format.next()?;
        let mut first = c;
        match last {
            Some(_) if c == b']' => break,
            Some(low) if c == b'-' && format.peek() != Some(&b']') => {
                (first, c) = (low, format.next()?);
            }
            _ => {}
        }
        (first..=c).for_each(|c| set[usize::from(c / 64)] |= 1 << (c % 64));
        last = Some(c);
    }
    Some(if inverted { set.map(|bits| !bits) } else { set })
}

/// EOF when the input has `ended` before anything was assigned.
fn result(assigned: c_int, ended: bool) -> c_int {
    if ended && assigned == 0 { -1 } else { assigned }
}

/// # Safety
///
/// `to` is the address of a `long double`.
unsafe fn store_long_double(to: u64, value: f64) {
    // SAFETY: as the caller says, of 10 bytes that count; the x87 stack is empty between functions, and is again after
    // the pop.
    unsafe {
        core::arch::asm!("fld qword ptr [{from}]", "fstp tbyte ptr [{to}]",
            from = in(reg) &raw const value, to = in(reg) to, options(nostack));
    }
}

/// # Safety
///
/// `to` is the address of an integer of `length` bytes.
unsafe fn store_integer(to: u64, length: usize, value: u64) {
    // SAFETY: as the caller says.
    unsafe {
        match length {
            1 => *(to as *mut u8) = value as u8,
            2 => *(to as *mut u16) = value as u16,
            4 => *(to as *mut u32) = value as u32,
            _ => *(to as *mut u64) = value,
        }
    }
}

#[cfg(test)]
mod tests {
    // SAFETY: this crate defines it, under a name that is not the host's.
    unsafe extern "C" {
        #[link_name = "mirust_host_sscanf"]
        fn sscanf(input: *const i8, format: *const i8, ...) -> i32;
    }

    /// What a format assigns to memory, and what is returned.
    macro_rules! same {
        ($input:expr, $format:expr) => {{
            let (mut ours, mut theirs) = ([[0x55u8; 32]; 3], [[0x55u8; 32]; 3]);
            // SAFETY: three arguments of 32 bytes are room for every conversion below.
            let (n, m) = unsafe {
                let ([a, b, c], [x, y, z]) = (&mut ours, &mut theirs);
                (
                    sscanf($input.as_ptr(), $format.as_ptr(), a, b, c),
                    host_libc::sscanf($input.as_ptr(), $format.as_ptr(), x, y, z),
                )
            };
            assert_eq!((n, ours), (m, theirs), "{:?} {:?}", $input, $format);
        }};
    }

    #[test]
    fn results_are_those_of_the_host() {
        for input in [
            c"", c" ", c"42", c" -7 8", c"0x1f,9", c"017", c"abc def", c"=4096k", c"=0x10M", c"%5",
            c"1.5e3x",
        ] {
            for format in [
                c"%d",
                c"%i",
                c"%u",
                c"%x",
                c"%o",
                c"%d %d",
                c"%2d%d",
                c"%*d%d",
                c"%hd",
                c"%hhd",
                c"%ld",
                c"%s",
                c"%3s%s",
                c"%c",
                c"%2c",
                c" %c%n",
                c"=%u%c",
                c"=0x%x%c",
                c"=%lu%c",
                c"%d,%d",
                c"%i,%d",
                c"%%%d",
                c"%lf",
                c"%f%c",
                c"%3lf%s",
                c"%n",
                c"x",
                c"%s %d",
                c"%d%n",
                c"%[0-9]%s",
                c"%[^ ]%c",
                c"%2[a-c]%[^]]",
                c"%[]a]",
                c" %[a-]",
                c"%*[a-z]%s",
                c"%Lf%Ld",
            ] {
                same!(input, format);
            }
        }
    }

    #[test]
    fn wide_characters_are_not_scanned_as_narrow_ones() {
        let mut to = [0x55u8; 32];
        for format in [c"%ls", c"%lc", c"%l[a-z]"] {
            // SAFETY: 32 bytes are room for every conversion here.
            let n = unsafe { sscanf(c"abc".as_ptr(), format.as_ptr(), &mut to) };
            assert_eq!((n, to), (0, [0x55; 32]));
        }
    }
}
