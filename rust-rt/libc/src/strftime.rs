//! Dates in words: `strftime`, `asctime`, `ctime`, in the C locale.

use super::calendar::{Shared, Tm, gmtime_r};
use super::cstr;
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

/// Text of a length that is known before.
struct Text<'a> {
    to: &'a mut [u8],
    used: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.put(s.as_bytes())
    }
}

impl Text<'_> {
    fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        let room = self.to.get_mut(self.used..).and_then(|rest| rest.get_mut(..bytes.len()));
        room.ok_or(fmt::Error)?.copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }
}

fn name(names: &[&'static str], at: c_int) -> &'static str {
    usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or("?")
}

fn short(name: &'static str) -> &'static str {
    name.get(..3).unwrap_or(name)
}

/// The year and the week of ISO 8601, which begins on the Monday of the week with the year's first Thursday.
fn iso_week(tm: &Tm) -> (i64, c_int) {
    let days_of =
        |year: i64| 365 + c_int::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let year = i64::from(tm.year) + 1900;
    // Of the Thursday in the same week.
    let thursday = tm.yearday - (tm.weekday + 6) % 7 + 3;
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

fn number(text: &mut Text<'_>, n: i64, width: usize, own: u8, pad: Pad) -> fmt::Result {
    match pad.unwrap_or(own) {
        b'-' => write!(text, "{n}"),
        b'_' => write!(text, "{n:width$}"),
        _ => write!(text, "{n:0width$}"),
    }
}

fn convert(text: &mut Text<'_>, letter: u8, pad: Pad, upper: bool, tm: &Tm) -> fmt::Result {
    let year = i64::from(tm.year) + 1900;
    let twelve = i64::from((tm.hour + 11) % 12 + 1);
    let start = text.used;
    let of = |n: c_int| i64::from(n);
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
        b'j' => number(text, of(tm.yearday) + 1, 3, b'0', pad)?,
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
        b'u' => number(text, of((tm.weekday + 6) % 7) + 1, 1, b'0', pad)?,
        b'U' => number(text, of((tm.yearday + 7 - tm.weekday) / 7), 2, b'0', pad)?,
        b'V' => number(text, of(iso_week(tm).1), 2, b'0', pad)?,
        b'w' => number(text, of(tm.weekday), 1, b'0', pad)?,
        b'W' => number(text, of((tm.yearday + 7 - (tm.weekday + 6) % 7) / 7), 2, b'0', pad)?,
        b'y' => number(text, year.rem_euclid(100), 2, b'0', pad)?,
        b'Y' => number(text, year, 1, b'0', pad)?,
        b'z' => text.write_str("+0000")?,
        b'Z' => text.write_str("UTC")?,
        other => text.put(&[b'%', other][usize::from(other == b'%')..])?,
    }
    if upper && letter != b'P' {
        text.to[start..text.used].make_ascii_uppercase();
    }
    Ok(())
}

fn all(text: &mut Text<'_>, mut format: &[u8], tm: &Tm) -> fmt::Result {
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

/// How many octets that makes; 0 if there is no room for them and a NUL. Widths (`%10d`) are left out.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strftime(
    to: *mut c_char,
    room: usize,
    format: *const c_char,
    tm: *const Tm,
) -> usize {
    let Some(most) = room.checked_sub(1) else { return 0 };
    // SAFETY: room for so many octets, a C string, and a date.
    unsafe {
        // Nobody has put anything there yet.
        to.write_bytes(0, room);
        let to = core::slice::from_raw_parts_mut(to.cast::<u8>(), most);
        let mut text = Text { to, used: 0 };
        all(&mut text, cstr::bytes(format), &*tm).map_or(0, |()| text.used)
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strftime_l(
    to: *mut c_char,
    room: usize,
    format: *const c_char,
    tm: *const Tm,
    _locale: *const c_void,
) -> usize {
    // SAFETY: the contract is the same.
    unsafe { strftime(to, room, format, tm) }
}

/// Into 26 octets.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn asctime_r(tm: *const Tm, to: *mut c_char) -> *mut c_char {
    // SAFETY: the caller has so much room; a year of more digits than four is left out.
    unsafe { strftime(to, 26, c"%a %b %e %H:%M:%S %Y\n".as_ptr(), tm) };
    to
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn ctime_r(time: *const i64, to: *mut c_char) -> *mut c_char {
    let mut tm = core::mem::MaybeUninit::<Tm>::uninit();
    // SAFETY: a time, and a place for a date.
    let tm = unsafe { gmtime_r(time, tm.as_mut_ptr()) };
    // SAFETY: a date, unless it is NULL.
    if tm.is_null() { core::ptr::null_mut() } else { unsafe { asctime_r(tm, to) } }
}

/// What `asctime` and `ctime` return a pointer to.
static LAST: Shared<[c_char; 26]> = Shared(UnsafeCell::new([0; 26]));

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn asctime(tm: *const Tm) -> *mut c_char {
    // SAFETY: the contract is the same, and the shared one has 26 octets.
    unsafe { asctime_r(tm, LAST.0.get().cast()) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn ctime(time: *const i64) -> *mut c_char {
    // SAFETY: the contract is the same, and the shared one has 26 octets.
    unsafe { ctime_r(time, LAST.0.get().cast()) }
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
                    assert_eq!((n, &a[..n]), (m, &b[..m]), "{format:?} of {time}");
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
}
