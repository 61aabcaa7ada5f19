//! Dates in words: `strftime`, `asctime`, `ctime`, in the C locale.

use super::calendar::{Shared, Tm, gmtime_r};
use super::cstr;
use super::errno::{self, EOVERFLOW};
use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Text that fits, behind which nothing is written.
struct Text {
    to: *mut u8,
    room: usize,
    used: usize,
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.put(s.as_bytes())
    }
}

impl Text {
    /// # Safety
    ///
    /// This many octets are writable as long as this is used.
    unsafe fn new(to: *mut c_char, room: usize) -> Self {
        Text { to: to.cast(), room, used: 0 }
    }

    fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        if bytes.len() > self.room - self.used {
            return Err(fmt::Error);
        }
        // SAFETY: there is room, as was just seen; nobody else has it.
        unsafe { self.to.add(self.used).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.used += bytes.len();
        Ok(())
    }

    fn from(&mut self, start: usize) -> &mut [u8] {
        // SAFETY: that many octets were written.
        unsafe { core::slice::from_raw_parts_mut(self.to.add(start), self.used - start) }
    }
}

fn name(names: &[&'static str], at: c_int) -> &'static str {
    usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or("?")
}

fn short(name: &'static str) -> &'static str {
    name.get(..3).unwrap_or(name)
}

/// The year and the week of ISO 8601, which begins on the Monday of the week with the year's first Thursday.
fn iso_week(tm: &Tm) -> (i64, i64) {
    let days_of =
        |year: i64| 365 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let year = i64::from(tm.year) + 1900;
    let (yearday, weekday) = (i64::from(tm.yearday), i64::from(tm.weekday));
    // Of the Thursday in the same week.
    let thursday = yearday - (weekday + 6) % 7 + 3;
    if thursday < 0 {
        (year - 1, (thursday + days_of(year - 1)) / 7 + 1)
    } else if thursday >= days_of(year) {
        (year + 1, 1)
    } else {
        (year, thursday / 7 + 1)
    }
}

/// What a conversion pads with, instead of its own way; `-` for nothing.
type Pad = Option<u8>;

fn number(text: &mut Text, n: i64, width: usize, own: u8, pad: Pad) -> fmt::Result {
    match pad.unwrap_or(own) {
        b'-' => write!(text, "{n}"),
        b'_' => write!(text, "{n:width$}"),
        _ => write!(text, "{n:0width$}"),
    }
}

fn convert(text: &mut Text, letter: u8, pad: Pad, upper: bool, tm: &Tm) -> fmt::Result {
    // Whatever the program has put into a date, sums have room.
    let of = |n: c_int| i64::from(n);
    let (year, yearday, weekday) = (of(tm.year) + 1900, of(tm.yearday), of(tm.weekday));
    let twelve = (of(tm.hour) + 11) % 12 + 1;
    let start = text.used;
    match letter {
        b'a' => text.write_str(short(name(&DAYS, tm.weekday)))?,
        b'A' => text.write_str(name(&DAYS, tm.weekday))?,
        b'b' | b'h' => text.write_str(short(name(&MONTHS, tm.month)))?,
        b'B' => text.write_str(name(&MONTHS, tm.month))?,
        b'c' => all(text, b"%a %b %e %H:%M:%S %Y", tm)?,
        b'C' => number(text, year.div_euclid(100), 2, b'0', pad)?,
        b'd' => number(text, of(tm.day), 2, b'0', pad)?,
        b'D' | b'x' => all(text, b"%m/%d/%y", tm)?,
        b'e' => number(text, of(tm.day), 2, b'_', pad)?,
        b'F' => all(text, b"%Y-%m-%d", tm)?,
        b'g' => number(text, iso_week(tm).0.rem_euclid(100), 2, b'0', pad)?,
        b'G' => number(text, iso_week(tm).0, 1, b'0', pad)?,
        b'H' => number(text, of(tm.hour), 2, b'0', pad)?,
        b'I' => number(text, twelve, 2, b'0', pad)?,
        b'j' => number(text, yearday + 1, 3, b'0', pad)?,
        b'k' => number(text, of(tm.hour), 2, b'_', pad)?,
        b'l' => number(text, twelve, 2, b'_', pad)?,
        b'm' => number(text, of(tm.month) + 1, 2, b'0', pad)?,
        b'M' => number(text, of(tm.minute), 2, b'0', pad)?,
        b'n' => text.write_str("\n")?,
        b'p' => text.write_str(if tm.hour < 12 { "AM" } else { "PM" })?,
        b'P' => text.write_str(if tm.hour < 12 { "am" } else { "pm" })?,
        b'r' => all(text, b"%I:%M:%S %p", tm)?,
        b'R' => all(text, b"%H:%M", tm)?,
        b's' => write!(text, "{}", super::calendar::time_of(*tm))?,
        b'S' => number(text, of(tm.second), 2, b'0', pad)?,
        b't' => text.write_str("\t")?,
        b'T' | b'X' => all(text, b"%H:%M:%S", tm)?,
        b'u' => number(text, (weekday + 6) % 7 + 1, 1, b'0', pad)?,
        b'U' => number(text, (yearday + 7 - weekday) / 7, 2, b'0', pad)?,
        b'V' => number(text, iso_week(tm).1, 2, b'0', pad)?,
        b'w' => number(text, weekday, 1, b'0', pad)?,
        b'W' => number(text, (yearday + 7 - (weekday + 6) % 7) / 7, 2, b'0', pad)?,
        b'y' => number(text, year.rem_euclid(100), 2, b'0', pad)?,
        b'Y' => number(text, year, 1, b'0', pad)?,
        b'z' => text.write_str("+0000")?,
        b'Z' => text.write_str("UTC")?,
        other => text.put(&[b'%', other][usize::from(other == b'%')..])?,
    }
    if upper && letter != b'P' {
        text.from(start).make_ascii_uppercase();
    }
    Ok(())
}

fn all(text: &mut Text, mut format: &[u8], tm: &Tm) -> fmt::Result {
    while let Some((&c, rest)) = format.split_first() {
        format = rest;
        if c != b'%' {
            text.put(&[c])?;
            continue;
        }
        let (mut pad, mut upper) = (None, false);
        loop {
            let Some((&c, rest)) = format.split_first() else { return text.put(b"%") };
            format = rest;
            match c {
                b'-' | b'_' | b'0' => pad = Some(c),
                b'^' => upper = true,
                // Other locales' ways.
                b'E' | b'O' | b'#' => {}
                letter => break convert(text, letter, pad, upper, tm)?,
            }
        }
    }
    Ok(())
}

/// # Safety
///
/// There is room for that many octets.
unsafe fn write(to: *mut c_char, room: usize, format: &[u8], tm: &Tm) -> Option<usize> {
    // SAFETY: as the caller says.
    let mut text = unsafe { Text::new(to, room) };
    all(&mut text, format, tm).and_then(|()| text.put(b"\0")).ok().map(|()| text.used - 1)
}

/// How many octets that makes; 0 if there is no room for them and a NUL. Widths (`%10d`) are left out.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strftime(
    to: *mut c_char,
    room: usize,
    format: *const c_char,
    tm: *const Tm,
) -> usize {
    // SAFETY: room for that many octets, a C string, and a date.
    unsafe { write(to, room, cstr::bytes(format), &*tm) }.unwrap_or(0)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strftime_l(
    to: *mut c_char,
    room: usize,
    format: *const c_char,
    tm: *const Tm,
    _locale: *const c_void,
) -> usize {
    // SAFETY: the contract is the same.
    unsafe { strftime(to, room, format, tm) }
}

/// # Safety
///
/// There is room for that many octets, and a date.
unsafe fn as_text(tm: *const Tm, to: *mut c_char, room: usize) -> *mut c_char {
    // SAFETY: as the caller says.
    match unsafe { write(to, room, b"%a %b %e %H:%M:%S %Y\n", &*tm) } {
        Some(_) => to,
        None => {
            errno::set(EOVERFLOW);
            core::ptr::null_mut()
        }
    }
}

/// Into 26 octets. NULL with EOVERFLOW for a year of more than four digits.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn asctime_r(tm: *const Tm, to: *mut c_char) -> *mut c_char {
    // SAFETY: the contract is the same.
    unsafe { as_text(tm, to, 26) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn ctime_r(time: *const i64, to: *mut c_char) -> *mut c_char {
    let mut tm = core::mem::MaybeUninit::<Tm>::uninit();
    // SAFETY: a time, and a place for a date.
    let tm = unsafe { gmtime_r(time, tm.as_mut_ptr()) };
    // SAFETY: a date, unless it is NULL.
    if tm.is_null() { core::ptr::null_mut() } else { unsafe { asctime_r(tm, to) } }
}

/// What `asctime` and `ctime` return a pointer to: room for every year.
const ROOM: usize = 64;
static LAST: Shared<[c_char; ROOM]> = Shared(UnsafeCell::new([0; ROOM]));

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn asctime(tm: *const Tm) -> *mut c_char {
    // SAFETY: the contract is the same, and the shared one has so much room.
    unsafe { as_text(tm, LAST.0.get().cast(), ROOM) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn ctime(time: *const i64) -> *mut c_char {
    let mut tm = core::mem::MaybeUninit::<Tm>::uninit();
    // SAFETY: a time, and a place for a date.
    let tm = unsafe { gmtime_r(time, tm.as_mut_ptr()) };
    // SAFETY: a date, unless it is NULL.
    if tm.is_null() { core::ptr::null_mut() } else { unsafe { asctime(tm) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::format;

    #[test]
    fn dates_read_as_the_host_writes_them() {
        let formats: std::vec::Vec<CString> = b"aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%"
            .iter()
            .flat_map(|&c| ["", "-", "_", "^", "0"].map(|flag| format!("<%{flag}{}>", c as char)))
            .map(|format| CString::new(format).unwrap())
            .collect();
        for day in (-1000..1000).map(|day| day * 137).chain(-800..800) {
            let time = i64::from(day) * 86_400 + i64::from(day) * 977 % 86_400;
            let mut tm = core::mem::MaybeUninit::<Tm>::uninit();
            // SAFETY: writable, and the host's structure is the same.
            unsafe { gmtime_r(&raw const time, tm.as_mut_ptr()) };
            for format in &formats {
                let flagged = format.as_bytes()[2];
                let unclear = b"CGYz".iter().any(|c| format.as_bytes().contains(c))
                    && b"-_0".contains(&flagged)
                    || format.as_bytes().ends_with(b"Z>")
                    || format.as_bytes().ends_with(b"s>");
                if unclear {
                    continue;
                }
                let (mut a, mut b) = ([1 as c_char; 64], [1 as c_char; 64]);
                // SAFETY: room for 64 octets, and a date.
                unsafe {
                    let n = strftime(a.as_mut_ptr(), 64, format.as_ptr(), tm.as_ptr());
                    let m = host_libc::strftime(
                        b.as_mut_ptr(),
                        64,
                        format.as_ptr(),
                        tm.as_ptr().cast(),
                    );
                    // Nothing is written behind it.
                    assert_eq!((n, a), (m, b), "{format:?} of {time}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_room_is_nothing() {
        let (time, mut text) = (951_782_400, [1 as c_char; 26]);
        // SAFETY: room for 26 octets.
        unsafe {
            let text = cstr::bytes(ctime_r(&raw const time, text.as_mut_ptr()));
            assert_eq!(text, b"Tue Feb 29 00:00:00 2000\n");
            let mut tm = core::mem::MaybeUninit::<Tm>::uninit();
            gmtime_r(&raw const time, tm.as_mut_ptr());
            let mut short = [1 as c_char; 5];
            assert_eq!(strftime(short.as_mut_ptr(), 5, c"%Y".as_ptr(), tm.as_ptr()), 4);
            assert_eq!(strftime(short.as_mut_ptr(), 4, c"%Y".as_ptr(), tm.as_ptr()), 0);
            assert_eq!(cstr::bytes(asctime(tm.as_ptr())), text);
            assert_eq!(strftime(short.as_mut_ptr(), 0, c"".as_ptr(), tm.as_ptr()), 0);
        }
    }

    #[test]
    fn dates_that_are_none_do_no_harm() {
        // SAFETY: the types are those of `time.h`.
        unsafe extern "C" {
            #[link_name = "asctime_r"]
            fn host_asctime_r(tm: *const Tm, to: *mut c_char) -> *mut c_char;
            #[link_name = "asctime"]
            fn host_asctime(tm: *const Tm) -> *mut c_char;
        }
        let (mut a, mut b) = ([1 as c_char; 64], [1 as c_char; 64]);
        // SAFETY: room for that many octets, and dates.
        unsafe {
            let mut tm = core::mem::MaybeUninit::<Tm>::zeroed().assume_init();
            (tm.day, tm.year) = (1, 10_000 - 1900);
            assert!(asctime_r(&raw const tm, a.as_mut_ptr()).is_null());
            assert_eq!(errno::get(), EOVERFLOW);
            assert!(host_asctime_r(&raw const tm, b.as_mut_ptr()).is_null());
            assert_eq!(
                cstr::bytes(asctime(&raw const tm)),
                cstr::bytes(host_asctime(&raw const tm))
            );
            for n in [c_int::MAX, c_int::MIN] {
                (tm.year, tm.month, tm.day, tm.hour, tm.minute, tm.second) = (n, n, n, n, n, n);
                (tm.weekday, tm.yearday) = (n, n);
                let all = c"%a%b%c%C%d%e%g%G%H%I%j%k%l%m%M%p%r%S%u%U%V%w%W%x%X%y%Y";
                let mut text = [0 as c_char; 512];
                assert_ne!(strftime(text.as_mut_ptr(), 512, all.as_ptr(), &raw const tm), 0);
            }
        }
    }
}
