//! The `printf` family against the host's, through the variadic trampolines.

use super::*;
use std::ffi::CString;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

// SAFETY: this crate defines them, under names that are not the host's.
unsafe extern "C" {
    #[link_name = "mirust_host_snprintf"]
    fn snprintf(buf: *mut c_char, size: usize, format: *const c_char, ...) -> c_int;
    #[link_name = "mirust_host___snprintf_chk"]
    fn snprintf_chk(
        buf: *mut c_char,
        size: usize,
        flag: c_int,
        room: usize,
        format: *const c_char,
        ...
    ) -> c_int;
    #[link_name = "mirust_host_sprintf"]
    fn sprintf(buf: *mut c_char, format: *const c_char, ...) -> c_int;
}

/// Compares what both write, and what both return, for one format and its arguments.
macro_rules! same {
    ($format:expr $(, $arg:expr)*) => {{
        let format: &str = $format;
        let c = CString::new(format).unwrap();
        let (mut ours, mut theirs) = ([1u8; 2000], [1u8; 2000]);
        // SAFETY: the arguments are those that the format names; the buffers are large enough.
        let (n, m) = unsafe {(
            snprintf(ours.as_mut_ptr().cast(), 2000, c.as_ptr() $(, $arg)*),
            host_libc::snprintf(theirs.as_mut_ptr().cast(), 2000, c.as_ptr() $(, $arg)*),
        )};
        let text = |b: &[u8]| String::from_utf8_lossy(b.split(|&c| c == 0).next().unwrap()).to_string();
        assert_eq!(
            (text(&ours), n), (text(&theirs), m),
            "{format}{}", String::new() $(+ &format!(" {:?}", $arg))*
        );
        assert!(ours == theirs);
    }};
}

const FLAGS: [&str; 14] =
    ["", "-", "+", " ", "#", "0", "-0", "+0", " 0", "#0", "-+#", "+ ", "#-", "0+#"];

#[test]
fn integers_are_those_of_the_host() {
    let values =
        [0u64, 1, 7, 8, 9, 42, 255, 256, 32767, 65535, 1 << 31, u32::MAX.into(), 1 << 63, u64::MAX];
    for flags in FLAGS {
        for width in ["", "1", "7", "30"] {
            for precision in ["", ".", ".0", ".1", ".5", ".25"] {
                for length in ["hh", "h", "", "l", "ll", "j", "z", "t"] {
                    for conversion in ["d", "i", "u", "x", "X", "o"] {
                        let format = format!("<%{flags}{width}{precision}{length}{conversion}>");
                        for value in values {
                            same!(&format, value);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn strings_characters_and_pointers_are_those_of_the_host() {
    let null = core::ptr::null::<c_char>();
    for flags in ["", "-"] {
        for width in ["", "2", "10"] {
            let spec = format!("{flags}{width}");
            for precision in ["", ".0", ".2", ".5", ".6", ".100"] {
                same!(&format!("%{spec}{precision}s|"), c"hello".as_ptr());
                same!(&format!("%{spec}{precision}s|"), null);
            }
            same!(&format!("%{spec}c|"), c_int::from(b'x'));
            same!(&format!("%{spec}p|"), null);
            same!(&format!("%{spec}p|"), 0xdead_beef_usize as *const u8);
        }
    }
    same!("100%% %d%%", 5);
    same!("no conversion");
    same!("");
}

#[test]
fn a_precision_bounds_what_is_read_of_a_string() {
    let bytes = [b'a'; 4]; // no NUL
    same!("%.4s", bytes.as_ptr());
    same!("%.*s", 3, bytes.as_ptr());
}

#[test]
fn stars_take_arguments_in_order() {
    same!("[%*d] [%-*d] [%*.*f] [%.*s]", 5, 42, 5, 42, 8, 2, 2.71f64, 2, c"abc".as_ptr());
    same!("[%*d] [%.*d]", -6, 42, -1, 42);
}

#[test]
fn arguments_beyond_the_registers_are_found() {
    same!(
        "%d %ld %f %d %f %f %d %f %f %f %d %f %f %f %d %f %s %f",
        1,
        2i64,
        0.5f64,
        3,
        1.5f64,
        2.5f64,
        4,
        3.5f64,
        4.5f64,
        5.5f64,
        5,
        6.5f64,
        7.5f64,
        8.5f64,
        6,
        9.5f64,
        c"end".as_ptr(),
        10.5f64
    );
}

#[test]
fn errno_and_the_count_so_far() {
    errno::set(errno::ENOENT);
    let (mut buf, mut short, mut long) = ([0u8; 64], 0i16, 0i64);
    // SAFETY: the arguments are those that the format names.
    let n = unsafe {
        sprintf(buf.as_mut_ptr().cast(), c"ab%hn: %m%ln".as_ptr(), &raw mut short, &raw mut long)
    };
    assert_eq!((short, long, n), (2, 29, 29));
    assert!(buf.starts_with(b"ab: No such file or directory\0"));
}

#[test]
fn a_small_buffer_keeps_what_fits_and_learns_the_length() {
    for size in 0..8 {
        let (mut ours, mut theirs) = ([1u8; 8], [1u8; 8]);
        // SAFETY: the buffers have eight bytes.
        unsafe {
            let n =
                snprintf(ours.as_mut_ptr().cast(), size, c"%d-%s".as_ptr(), 12, c"xyz".as_ptr());
            let m = host_libc::snprintf(
                theirs.as_mut_ptr().cast(),
                size,
                c"%d-%s".as_ptr(),
                12,
                c"xyz".as_ptr(),
            );
            assert_eq!((n, ours), (m, theirs));
        }
    }
}

#[test]
fn the_fortified_trampoline_passes_five_fixed_arguments() {
    let mut buf = [1u8; 16];
    // SAFETY: the buffer has 16 bytes, and the arguments are those that the format names.
    let n =
        unsafe { snprintf_chk(buf.as_mut_ptr().cast(), 16, 1, 16, c"%d %.1f".as_ptr(), 7, 2.5f64) };
    assert_eq!((n, &buf[..6]), (5, &b"7 2.5\0"[..]));
}

fn xorshift(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn doubles(random: usize) -> Vec<f64> {
    let mut values = std::vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        0.5,
        1.5,
        2.5,
        3.5,
        0.25,
        0.125,
        0.375,
        9.5,
        99.5,
        9.995,
        0.0001,
        0.00001,
        0.00009999995,
        123456.0,
        1234567.0,
        999999.5,
        1e15,
        1e16,
        1e17,
        1e22,
        1e23,
        1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::EPSILON,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        5e-324,
        2.225073858507201e-308,
        8.0,
        15.999999,
        1.9999999999999998,
        0.99999999999,
    ];
    // Ties: multiples of a small power of two.
    values.extend((1..200).map(|i| f64::from(i) / 16.0));
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for i in 0..random {
        let bits = xorshift(&mut seed);
        values.push(match i % 4 {
            0 => f64::from_bits(bits),
            1 => f64::from_bits(bits & !(0x7ff << 52)), // subnormal
            2 => (bits % 10_000_000) as f64 / 1000.0,
            _ => f64::from_bits(bits & !(0x7ff << 52) | (1023 + bits % 60) << 52),
        });
    }
    values
}

#[test]
fn doubles_are_those_of_the_host() {
    let values = doubles(1500);
    for conversion in ["e", "f", "g", "a", "E", "F", "G", "A"] {
        for precision in (0..=20).map(|p| format!(".{p}")).chain([String::new()]) {
            let format = format!("%{precision}{conversion}");
            for &value in &values {
                same!(&format, value);
            }
        }
    }
}

#[test]
fn flags_and_widths_of_doubles_are_those_of_the_host() {
    let values = doubles(40);
    for conversion in ["e", "f", "g", "a", "G"] {
        for flags in FLAGS {
            for rest in ["", "12", "25.3", ".0", "30.17", "8.1"] {
                let format = format!("<%{flags}{rest}{conversion}>");
                for &value in &values {
                    // glibc 2.41 forgets the zeros that `#` keeps when rounding carries into a new
                    // power of ten: `%#g` of 999999.5 is `1.e+06` there.
                    let general = conversion.eq_ignore_ascii_case("g");
                    if !(general && format.contains('#') && value.is_finite()) {
                        same!(&format, value);
                    }
                }
            }
        }
    }
}

#[test]
fn the_alternate_general_form_keeps_zeros() {
    for value in [0.0, 1.0, -1.25, 1e15, 1234567.0, 0.0001] {
        for format in ["%#g", "%#.0g", "%#.1g", "%#.10g", "%#.20G"] {
            same!(format, value);
        }
    }
    let mut buf = [0u8; 16];
    // SAFETY: the buffer has 16 bytes, and the argument is the one that the format names.
    unsafe { sprintf(buf.as_mut_ptr().cast(), c"%#g".as_ptr(), 999999.5f64) };
    assert!(buf.starts_with(b"1.00000e+06\0"));
}

#[test]
fn precisions_beyond_every_digit_are_those_of_the_host() {
    for value in [1.0, 5e-324, 2.225073858507201e-308, 0.1, 1e300] {
        for format in
            ["%.1074f", "%.1100f", "%.1500f", "%.900e", "%.1300e", "%.1200g", "%#.1200g", "%.40a"]
        {
            same!(format, value);
        }
    }
}
