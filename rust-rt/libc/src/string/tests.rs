//! Strings against the host's C library.

use super::*;
use std::ffi::CString;
use std::vec::Vec;

const STRINGS: [&std::ffi::CStr; 8] =
    [c"", c"a", c"A", c"ab", c"abc", c"aBcab\xff", c"aaaaaaaaaaaaaaaaaaaaaaaab", c"xyz\x80"];

#[test]
fn strlen_is_right_for_all_alignments() {
    let buf = CString::new(std::vec![b'x'; 100]).unwrap();
    for at in 0..=100 {
        // SAFETY: `at` is inside the string or at its NUL.
        unsafe {
            let s = buf.as_ptr().add(at);
            assert_eq!(strlen(s), 100 - at);
            assert_eq!(strnlen(s, 7), (100 - at).min(7));
        }
    }
}

#[test]
fn strlen_does_not_see_a_nul_before_the_string() {
    let buf = [0u8, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the string at index 4 has three bytes.
    assert_eq!(unsafe { strlen(buf.as_ptr().add(4).cast()) }, 3);
}

#[test]
fn comparisons_and_searches_are_those_of_the_host() {
    for a in STRINGS {
        for b in STRINGS {
            let (p, q) = (a.as_ptr(), b.as_ptr());
            // SAFETY: both are C strings.
            unsafe {
                assert_eq!(strcmp(p, q).signum(), host_libc::strcmp(p, q).signum());
                assert_eq!(strcasecmp(p, q).signum(), host_libc::strcasecmp(p, q).signum());
                for n in 0..5 {
                    assert_eq!(
                        strncmp(p, q, n).signum(),
                        host_libc::strncmp(p, q, n).signum(),
                        "{a:?} {b:?} {n}"
                    );
                }
                assert_eq!(strstr(p, q), host_libc::strstr(p, q), "{a:?} {b:?}");
                assert_eq!(strspn(p, q), host_libc::strspn(p, q), "{a:?} {b:?}");
                assert_eq!(strcspn(p, q), host_libc::strcspn(p, q), "{a:?} {b:?}");
            }
        }
        for byte in [0, b'a', b'b', b'z', 0xff] {
            let (p, byte, n) = (a.as_ptr(), c_int::from(byte), a.to_bytes().len());
            // SAFETY: `a` is a C string of `n` bytes.
            unsafe {
                assert_eq!(strchr(p, byte), host_libc::strchr(p, byte));
                assert_eq!(strrchr(p, byte), host_libc::strrchr(p, byte));
                assert_eq!(memchr(p.cast(), byte, n), host_libc::memchr(p.cast(), byte, n));
            }
        }
    }
}

#[test]
fn copies_are_those_of_the_host() {
    for a in STRINGS {
        for n in 0..30 {
            let run = |f: &dyn Fn(*mut c_char) -> *mut c_char| {
                let mut buf: Vec<c_char> = std::vec![1; 80];
                buf[3] = 0;
                assert_eq!(f(buf.as_mut_ptr()), buf.as_mut_ptr());
                buf
            };
            let p = a.as_ptr();
            // SAFETY: the buffer has room for three bytes, the string or `n` bytes, and a NUL.
            unsafe {
                assert_eq!(run(&|d| strncpy(d, p, n)), run(&|d| host_libc::strncpy(d, p, n)));
                assert_eq!(run(&|d| strncat(d, p, n)), run(&|d| host_libc::strncat(d, p, n)));
                assert_eq!(run(&|d| strcat(d, p)), run(&|d| host_libc::strcat(d, p)));
                assert_eq!(run(&|d| strcpy(d, p)), run(&|d| host_libc::strcpy(d, p)));
            }
        }
    }
}
