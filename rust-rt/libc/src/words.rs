//! More of `<string.h>` and `<strings.h>`: what OCaml's runtime and Rust do not ask for, but other programs in C do.

use super::cstr::{bytes, len_at_most, strlen};
use core::cell::Cell;
use core::ffi::{c_char, c_int, c_long, c_void};
use core::ptr;

// SAFETY: the type is that of `stdlib.h`.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// The address of the octet `at` of what C calls writable, and passed as a constant.
fn place(s: &[u8], at: Option<usize>) -> *mut c_char {
    at.map_or(ptr::null_mut(), |at| s[at..].as_ptr().cast_mut().cast())
}

fn position(s: &[u8], needle: &[u8]) -> Option<usize> {
    (0..(s.len() + 1).saturating_sub(needle.len())).find(|&at| s[at..].starts_with(needle))
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strpbrk(s: *const c_char, set: *const c_char) -> *mut c_char {
    // SAFETY: both are C strings.
    let (s, set) = unsafe { (bytes(s), bytes(set)) };
    place(s, s.iter().position(|byte| set.contains(byte)))
}

/// In the C locale.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strcasestr(s: *const c_char, needle: *const c_char) -> *mut c_char {
    // SAFETY: both are C strings.
    let (s, needle) = unsafe { (bytes(s), bytes(needle)) };
    let mut starts = 0..(s.len() + 1).saturating_sub(needle.len());
    let found = starts.find(|&at| s[at..][..needle.len()].eq_ignore_ascii_case(needle));
    match found {
        // It may be behind the last octet.
        Some(0) => s.as_ptr().cast_mut().cast(),
        found => place(s, found),
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn memmem(
    s: *const c_void,
    n: usize,
    needle: *const c_void,
    length: usize,
) -> *mut c_void {
    if length == 0 {
        return s.cast_mut();
    }
    if n < length {
        return ptr::null_mut();
    }
    // SAFETY: that many octets are readable, by contract, and neither length is 0.
    let (s, needle) = unsafe {
        (
            core::slice::from_raw_parts(s.cast::<u8>(), n),
            core::slice::from_raw_parts(needle.cast::<u8>(), length),
        )
    };
    place(s, position(s, needle)).cast()
}

/// As `strchr`, but the end of the string if the octet is not in it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strchrnul(s: *const c_char, byte: c_int) -> *mut c_char {
    // SAFETY: a C string.
    let string = unsafe { bytes(s) };
    let at = string.iter().position(|&c| c == byte as u8).unwrap_or(string.len());
    s.wrapping_add(at).cast_mut()
}

/// Of a string that has the octet.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn rawmemchr(mut s: *const c_void, byte: c_int) -> *mut c_void {
    // SAFETY: the octet is there, by contract, and everything before it is readable.
    unsafe {
        while s.cast::<u8>().read() != byte as u8 {
            s = s.byte_add(1);
        }
    }
    s.cast_mut()
}

/// Puts a NUL behind the first word of `*rest`, moves that behind the NUL, and returns the word; NULL if there is none.
///
/// # Safety
///
/// `*rest` is NULL or a C string that can be written, `set` a C string.
unsafe fn split(rest: &Cell<*mut c_char>, set: *const c_char) -> *mut c_char {
    let word = rest.get();
    if word.is_null() {
        return word;
    }
    // SAFETY: as the caller says. The references are gone before the NUL is written.
    unsafe {
        let (s, set) = (bytes(word), bytes(set));
        let end = s.iter().position(|byte| set.contains(byte));
        rest.set(match end {
            Some(at) => {
                *word.add(at) = 0;
                word.add(at + 1)
            }
            None => ptr::null_mut(),
        });
    }
    word
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strsep(rest: *mut *mut c_char, set: *const c_char) -> *mut c_char {
    // SAFETY: the contract is the same.
    unsafe { split(Cell::from_mut(&mut *rest), set) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strtok_r(
    s: *mut c_char,
    set: *const c_char,
    rest: *mut *mut c_char,
) -> *mut c_char {
    // SAFETY: a C string that can be written, in which it then goes on; another C string.
    unsafe {
        let rest = Cell::from_mut(&mut *rest);
        let from = if s.is_null() { rest.get() } else { s };
        if from.is_null() {
            return from;
        }
        let (string, separators) = (bytes(from), bytes(set));
        match string.iter().position(|byte| !separators.contains(byte)) {
            Some(at) => {
                rest.set(from.add(at));
                split(rest, set)
            }
            None => {
                rest.set(ptr::null_mut());
                ptr::null_mut()
            }
        }
    }
}

/// Where `strtok` goes on.
struct Rest(Cell<*mut c_char>);

// SAFETY: C allows a call to race with no other.
unsafe impl Sync for Rest {}

static REST: Rest = Rest(Cell::new(ptr::null_mut()));

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strtok(s: *mut c_char, set: *const c_char) -> *mut c_char {
    // SAFETY: the contract is the same.
    unsafe { strtok_r(s, set, REST.0.as_ptr()) }
}

/// A copy of at most `max` octets and a NUL, for the caller to free; NULL when memory is exhausted.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strndup(s: *const c_char, max: usize) -> *mut c_char {
    // SAFETY: `s` is readable up to its NUL or for `max` octets, and the block has room for these and a NUL.
    unsafe {
        let n = len_at_most(s, max);
        let copy = malloc(n + 1).cast::<c_char>();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(s, copy, n);
            *copy.add(n) = 0;
        }
        copy
    }
}

/// In the C locale the transformed string is the string itself.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn strxfrm(dst: *mut c_char, src: *const c_char, n: usize) -> usize {
    // SAFETY: the contract is the same.
    unsafe { strlcpy(dst, src, n) }
}

/// As much of the string as there is room for, with its NUL. How long the string is.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strlcpy(
    dst: *mut c_char,
    src: *const c_char,
    room: usize,
) -> usize {
    // SAFETY: a C string, and room for that many octets.
    unsafe {
        let length = strlen(src);
        if let Some(most) = room.checked_sub(1) {
            let n = length.min(most);
            ptr::copy_nonoverlapping(src, dst, n);
            *dst.add(n) = 0;
        }
        length
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strlcat(
    dst: *mut c_char,
    src: *const c_char,
    room: usize,
) -> usize {
    // SAFETY: a C string, and room for that many octets, of which some are a string.
    unsafe {
        let length = len_at_most(dst, room);
        length + strlcpy(dst.add(length), src, room - length)
    }
}

/// `memcpy` that returns the end of the copy.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn mempcpy(
    dst: *mut c_void,
    src: *const c_void,
    n: usize,
) -> *mut c_void {
    // SAFETY: the contract is the same.
    unsafe { ptr::copy_nonoverlapping(src.cast::<u8>(), dst.cast::<u8>(), n) };
    dst.wrapping_byte_add(n)
}

/// Up to an octet, that one included; where the copy ends then, or NULL.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn memccpy(
    dst: *mut c_void,
    src: *const c_void,
    byte: c_int,
    n: usize,
) -> *mut c_void {
    for at in 0..n {
        // SAFETY: that many octets are readable and writable, by contract, as long as none was `byte`.
        unsafe {
            let copied = src.cast::<u8>().add(at).read();
            dst.cast::<u8>().add(at).write(copied);
            if copied == byte as u8 {
                return dst.byte_add(at + 1);
            }
        }
    }
    ptr::null_mut()
}

/// Is not left out, even if nobody reads the memory again.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn explicit_bzero(at: *mut c_void, n: usize) {
    // SAFETY: that many octets are writable, by contract.
    unsafe { at.cast::<u8>().write_bytes(0, n) };
    // SAFETY: an empty instruction, which may read them.
    unsafe { core::arch::asm!("/* {0} */", in(reg) at, options(nostack, preserves_flags)) };
}

/// Is not left out, as [`explicit_bzero`].
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn bzero(at: *mut c_void, n: usize) {
    // SAFETY: the contract is the same.
    unsafe { explicit_bzero(at, n) };
}

/// The number of the lowest bit that is set, from 1 on.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn ffs(bits: c_int) -> c_int {
    ffsl(c_long::from(bits))
}

/// As [`ffs`].
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn ffsl(bits: c_long) -> c_int {
    if bits == 0 { 0 } else { bits.trailing_zeros() as c_int + 1 }
}

/// Defines functions by another name, or with arguments that do not matter in the C locale.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*; $($more:ty),*) -> $result:ty = $other:path;)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        unsafe extern "C" fn $name($($argument: $type,)* $(_: $more),*) -> $result {
            // SAFETY: the contract is the same.
            #[allow(unused_unsafe)]
            unsafe {
                $other($($argument),*)
            }
        }
    )*};
}
pub(super) use functions;

functions! {
    strcoll(a: *const c_char, b: *const c_char;) -> c_int = super::string::strcmp;
    strcoll_l(a: *const c_char, b: *const c_char; *const c_void) -> c_int = super::string::strcmp;
    strxfrm_l(to: *mut c_char, s: *const c_char, n: usize; *const c_void) -> usize = strxfrm;
    strcasecmp_l(a: *const c_char, b: *const c_char; *const c_void) -> c_int = super::string::strcasecmp;
    index(s: *const c_char, byte: c_int;) -> *mut c_char = super::string::strchr;
    rindex(s: *const c_char, byte: c_int;) -> *mut c_char = super::string::strrchr;
    __strdup(s: *const c_char;) -> *mut c_char = super::string::strdup;
    __strndup(s: *const c_char, max: usize;) -> *mut c_char = strndup;
    __strtok_r(s: *mut c_char, set: *const c_char, rest: *mut *mut c_char;) -> *mut c_char = strtok_r;
    __mempcpy(dst: *mut c_void, src: *const c_void, n: usize;) -> *mut c_void = mempcpy;
    __rawmemchr(s: *const c_void, byte: c_int;) -> *mut c_void = rawmemchr;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::vec::Vec;

    /// Where in `s` it is.
    fn at(s: *const c_char, found: *mut c_char) -> Option<isize> {
        // SAFETY: it is in the string, or NULL.
        (!found.is_null()).then(|| unsafe { found.cast_const().offset_from(s) })
    }

    #[test]
    fn what_is_searched_is_found_where_the_host_finds_it() {
        for s in [c"", c"a", c"Hello, World", c"aaab", c"\xff\x80\x7f"] {
            for other in [c"", c"b", c"aab", c"WORLD", c", ", c"lo", c"\x80", c"aaaaaaaaaaaaaaaa"] {
                let (a, b) = (s.as_ptr(), other.as_ptr());
                let (n, m) = (s.count_bytes(), other.count_bytes());
                // SAFETY: C strings.
                unsafe {
                    assert_eq!(strpbrk(a, b), host_libc::strpbrk(a, b), "{s:?} {other:?}");
                    assert_eq!(strcasestr(a, b), host_libc::strcasestr(a, b), "{s:?} {other:?}");
                    let found = memmem(a.cast(), n, b.cast(), m);
                    assert_eq!(
                        found,
                        host_libc::memmem(a.cast(), n, b.cast(), m),
                        "{s:?} {other:?}"
                    );
                    assert_eq!(strcoll(a, b).signum(), host_libc::strcoll(a, b).signum());
                }
            }
            // SAFETY: C strings.
            unsafe {
                assert_eq!(
                    at(s.as_ptr(), strchrnul(s.as_ptr(), 0)),
                    Some(s.count_bytes() as isize)
                );
                assert_eq!(rawmemchr(s.as_ptr().cast(), 0), strchrnul(s.as_ptr(), 0).cast());
            }
        }
    }

    #[test]
    fn strings_fall_into_the_words_of_the_host() {
        type Next =
            unsafe extern "C" fn(*mut c_char, *const c_char, *mut *mut c_char) -> *mut c_char;
        let words = |text: &str, set: &std::ffi::CStr, next: Next| {
            let text = CString::new(text).unwrap().into_raw();
            let (mut rest, mut from, mut found) = (ptr::null_mut(), text, Vec::new());
            // SAFETY: a string that can be written, which is freed at the end.
            unsafe {
                loop {
                    let word = next(from, set.as_ptr(), &raw mut rest);
                    if word.is_null() {
                        break;
                    }
                    found.push(bytes(word).to_vec());
                    from = ptr::null_mut();
                }
                drop(CString::from_raw(text));
            }
            found
        };
        for text in ["", "   ", "one", " one  two,three ", "a,b,,c"] {
            for set in [c"", c" ", c" ,"] {
                assert_eq!(
                    words(text, set, strtok_r),
                    words(text, set, host_libc::strtok_r),
                    "{text}"
                );
            }
        }
        // Empty words count for the other one.
        let mut text = *b"a,,b\0";
        let mut rest: *mut c_char = text.as_mut_ptr().cast();
        let mut found = Vec::new();
        // SAFETY: a string that can be written.
        unsafe {
            while !rest.is_null() {
                found.push(bytes(strsep(&raw mut rest, c",".as_ptr())).to_vec());
            }
        }
        assert_eq!(found, [&b"a"[..], b"", b"b"]);
    }

    #[test]
    fn copies_end_where_there_is_no_more_room() {
        let mut to = [1 as c_char; 8];
        // SAFETY: there is room for eight octets.
        unsafe {
            assert_eq!(
                (strlcpy(to.as_mut_ptr(), c"four".as_ptr(), 8), bytes(to.as_ptr())),
                (4, &b"four"[..])
            );
            assert_eq!(
                (strlcat(to.as_mut_ptr(), c"teen".as_ptr(), 7), bytes(to.as_ptr())),
                (8, &b"fourte"[..])
            );
            assert_eq!(
                (strlcpy(to.as_mut_ptr(), c"x".as_ptr(), 0), bytes(to.as_ptr())),
                (1, &b"fourte"[..])
            );
            let copy = strndup(c"abcdef".as_ptr(), 3);
            assert_eq!(bytes(copy), b"abc");
            host_libc::free(copy.cast());
            let end = memccpy(to.as_mut_ptr().cast(), c"xyz".as_ptr().cast(), c_int::from(b'y'), 3);
            assert_eq!(
                (end, bytes(to.as_ptr())),
                (to.as_mut_ptr().wrapping_add(2).cast(), &b"xyurte"[..])
            );
            assert!(memccpy(to.as_mut_ptr().cast(), c"xyz".as_ptr().cast(), 1, 3).is_null());
            explicit_bzero(to.as_mut_ptr().cast(), 2);
            assert_eq!(to[..3], [0, 0, b'z' as c_char]);
        }
        assert_eq!((ffs(0), ffs(8), ffsl(1 << 40), ffs(-1)), (0, 4, 41, 1));
    }
}
