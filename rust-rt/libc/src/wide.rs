//! Wide characters, `<wchar.h>` and `<wctype.h>`, in the C locale: each octet of a string below 128 is the character of
//! that number, and the others are none (EILSEQ), as in glibc. A wide character takes four octets.

use super::errno::{self, EILSEQ};
use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use core::ptr;

pub(super) type Wide = c_int;

const WEOF: c_uint = c_uint::MAX;

/// The octet of a wide character, if it has one.
fn octet(wide: Wide) -> Option<u8> {
    u8::try_from(wide).ok().filter(u8::is_ascii)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wcslen(s: *const Wide) -> usize {
    let mut n = 0;
    // SAFETY: there is a NUL, and everything before it is readable.
    while unsafe { s.add(n).read() } != 0 {
        n += 1;
    }
    n
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wcscpy(dst: *mut Wide, src: *const Wide) -> *mut Wide {
    // SAFETY: there is room for the string and its NUL.
    unsafe { dst.copy_from_nonoverlapping(src, wcslen(src) + 1) };
    dst
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn wcsncmp(a: *const Wide, b: *const Wide, most: usize) -> c_int {
    for at in 0..most {
        // SAFETY: no NUL came before.
        let (x, y) = unsafe { (a.add(at).read(), b.add(at).read()) };
        if x != y || x == 0 {
            return if x == y {
                0
            } else if x < y {
                -1
            } else {
                1
            };
        }
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wcscmp(a: *const Wide, b: *const Wide) -> c_int {
    // SAFETY: the contract is that of `wcsncmp` without a bound.
    unsafe { wcsncmp(a, b, usize::MAX) }
}

/// Finds the NUL too.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn wcschr(s: *const Wide, wide: Wide) -> *mut Wide {
    // SAFETY: the string and its NUL are readable.
    unsafe { wmemchr(s, wide, wcslen(s) + 1) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn wcsrchr(s: *const Wide, wide: Wide) -> *mut Wide {
    // SAFETY: the string and its NUL are readable.
    let at = unsafe { core::slice::from_raw_parts(s, wcslen(s) + 1) };
    at.iter().rposition(|&c| c == wide).map_or(ptr::null_mut(), |at| s.wrapping_add(at).cast_mut())
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn wmemchr(s: *const Wide, wide: Wide, n: usize) -> *mut Wide {
    for at in 0..n {
        // SAFETY: that many are readable, up to the one that is found.
        if unsafe { s.add(at).read() } == wide {
            return s.wrapping_add(at).cast_mut();
        }
    }
    ptr::null_mut()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn wmemcmp(a: *const Wide, b: *const Wide, n: usize) -> c_int {
    for at in 0..n {
        // SAFETY: that many are readable.
        let (x, y) = unsafe { (a.add(at).read(), b.add(at).read()) };
        if x != y {
            return if x < y { -1 } else { 1 };
        }
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wmemcpy(dst: *mut Wide, src: *const Wide, n: usize) -> *mut Wide {
    // SAFETY: that many are readable and writable, and do not overlap.
    unsafe { dst.copy_from_nonoverlapping(src, n) };
    dst
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wmemmove(dst: *mut Wide, src: *const Wide, n: usize) -> *mut Wide {
    // SAFETY: that many are readable and writable.
    unsafe { dst.copy_from(src, n) };
    dst
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wmemset(dst: *mut Wide, wide: Wide, n: usize) -> *mut Wide {
    for at in 0..n {
        // SAFETY: that many are writable.
        unsafe { dst.add(at).write(wide) };
    }
    dst
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn btowc(c: c_int) -> c_uint {
    octet(c).map_or(WEOF, c_uint::from)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn wctob(wide: c_uint) -> c_int {
    octet(wide as Wide).map_or(-1, c_int::from)
}

/// The most octets of a character.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __ctype_get_mb_cur_max() -> usize {
    1
}

/// There are no states between characters: they have an octet each.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn mbsinit(_state: *const c_void) -> c_int {
    1
}

/// 1, 0 for the NUL, -2 for no octet at all, or -1 and EILSEQ.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn mbrtowc(
    to: *mut Wide,
    from: *const c_char,
    n: usize,
    _state: *mut c_void,
) -> usize {
    if from.is_null() {
        return 0;
    }
    if n == 0 {
        return -2isize as usize;
    }
    // SAFETY: there is an octet, and `to` is NULL or writable.
    unsafe {
        match *from as u8 {
            c @ ..128 => {
                if !to.is_null() {
                    *to = c.into();
                }
                usize::from(c != 0)
            }
            _ => errno::fail(EILSEQ) as usize,
        }
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn mbtowc(to: *mut Wide, from: *const c_char, n: usize) -> c_int {
    // SAFETY: the contract is the same.
    (unsafe { mbrtowc(to, from, n, ptr::null_mut()) } as c_int).max(-1)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn mbrlen(from: *const c_char, n: usize, state: *mut c_void) -> usize {
    // SAFETY: the contract is the same.
    unsafe { mbrtowc(ptr::null_mut(), from, n, state) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn mblen(from: *const c_char, n: usize) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { mbtowc(ptr::null_mut(), from, n) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wcrtomb(to: *mut c_char, wide: Wide, _state: *mut c_void) -> usize {
    if to.is_null() {
        return 1;
    }
    match octet(wide) {
        Some(c) => {
            // SAFETY: there is room for an octet.
            unsafe { *to = c as c_char };
            1
        }
        None => errno::fail(EILSEQ) as usize,
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wctomb(to: *mut c_char, wide: Wide) -> c_int {
    // SAFETY: the contract is the same.
    if to.is_null() { 0 } else { unsafe { wcrtomb(to, wide, ptr::null_mut()) as c_int } }
}

/// Converts up to `most` characters, and the NUL if it comes before. `from` then is where to go on, or NULL behind the
/// NUL; it does not move if nothing is stored (`to` is NULL).
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn mbsrtowcs(
    to: *mut Wide,
    from: *mut *const c_char,
    most: usize,
    _state: *mut c_void,
) -> usize {
    let most = if to.is_null() { usize::MAX } else { most };
    // SAFETY: a C string, of which nothing is read behind its NUL, and room for `most`, or NULL.
    unsafe {
        let mut at = *from;
        for n in 0..most {
            let c = *at as u8;
            if !c.is_ascii() {
                return errno::fail(EILSEQ) as usize;
            }
            at = if c == 0 { ptr::null() } else { at.add(1) };
            if !to.is_null() {
                *to.add(n) = c.into();
                *from = at;
            }
            if c == 0 {
                return n;
            }
        }
    }
    most
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn mbstowcs(
    to: *mut Wide,
    mut from: *const c_char,
    most: usize,
) -> usize {
    // SAFETY: the contract is the same.
    unsafe { mbsrtowcs(to, &raw mut from, most, ptr::null_mut()) }
}

/// As [`mbsrtowcs`], the other way.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wcsrtombs(
    to: *mut c_char,
    from: *mut *const Wide,
    most: usize,
    _state: *mut c_void,
) -> usize {
    let most = if to.is_null() { usize::MAX } else { most };
    // SAFETY: a wide string, of which nothing is read behind its NUL, and room for `most`, or NULL.
    unsafe {
        let mut at = *from;
        for n in 0..most {
            let Some(c) = octet(*at) else { return errno::fail(EILSEQ) as usize };
            at = if c == 0 { ptr::null() } else { at.add(1) };
            if !to.is_null() {
                *to.add(n) = c as c_char;
                *from = at;
            }
            if c == 0 {
                return n;
            }
        }
    }
    most
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wcstombs(
    to: *mut c_char,
    mut from: *const Wide,
    most: usize,
) -> usize {
    // SAFETY: the contract is the same.
    unsafe { wcsrtombs(to, &raw mut from, most, ptr::null_mut()) }
}

/// Defines the classes of wide characters, each with its name and how Rust asks for it.
macro_rules! functions {
    ($($name:ident $class:literal $is:ident;)*) => {
        $(
            #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
            extern "C" fn $name(wide: c_uint) -> c_int {
                octet(wide as Wide).is_some_and($is).into()
            }
        )*

        /// The number of a class of this name, from 1 on; 0 for others.
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        pub(super) unsafe extern "C" fn wctype(name: *const c_char) -> c_ulong {
            // SAFETY: a C string.
            let name = unsafe { super::cstr::bytes(name) };
            [$($class),*].iter().position(|class| class.as_bytes() == name).map_or(0, |at| at as c_ulong + 1)
        }

        /// Whether it is in the class that `wctype` has given.
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        pub(super) extern "C" fn iswctype(wide: c_uint, class: c_ulong) -> c_int {
            let classes: &[extern "C" fn(c_uint) -> c_int] = &[$($name),*];
            let class = (class as usize).checked_sub(1).and_then(|class| classes.get(class));
            class.map_or(0, |class| class(wide))
        }
    };
}

fn is_alnum(c: u8) -> bool {
    c.is_ascii_alphanumeric()
}
fn is_alpha(c: u8) -> bool {
    c.is_ascii_alphabetic()
}
fn is_blank(c: u8) -> bool {
    c == b' ' || c == b'\t'
}
fn is_cntrl(c: u8) -> bool {
    c.is_ascii_control()
}
fn is_digit(c: u8) -> bool {
    c.is_ascii_digit()
}
fn is_graph(c: u8) -> bool {
    c.is_ascii_graphic()
}
fn is_lower(c: u8) -> bool {
    c.is_ascii_lowercase()
}
fn is_print(c: u8) -> bool {
    c == b' ' || c.is_ascii_graphic()
}
fn is_punct(c: u8) -> bool {
    c.is_ascii_punctuation()
}
fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t'..=b'\r')
}
fn is_upper(c: u8) -> bool {
    c.is_ascii_uppercase()
}
fn is_xdigit(c: u8) -> bool {
    c.is_ascii_hexdigit()
}

functions! {
    iswalnum "alnum" is_alnum;
    iswalpha "alpha" is_alpha;
    iswblank "blank" is_blank;
    iswcntrl "cntrl" is_cntrl;
    iswdigit "digit" is_digit;
    iswgraph "graph" is_graph;
    iswlower "lower" is_lower;
    iswprint "print" is_print;
    iswpunct "punct" is_punct;
    iswspace "space" is_space;
    iswupper "upper" is_upper;
    iswxdigit "xdigit" is_xdigit;
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn towlower(wide: c_uint) -> c_uint {
    octet(wide as Wide).map_or(wide, |c| c.to_ascii_lowercase().into())
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn towupper(wide: c_uint) -> c_uint {
    octet(wide as Wide).map_or(wide, |c| c.to_ascii_uppercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // SAFETY: the types are those of `wchar.h` and `wctype.h`.
    unsafe extern "C" {
        fn wctype(name: *const c_char) -> c_ulong;
        safe fn iswctype(wide: c_uint, class: c_ulong) -> c_int;
        safe fn towupper(wide: c_uint) -> c_uint;
        safe fn btowc(c: c_int) -> c_uint;
        fn mbrtowc(to: *mut Wide, from: *const c_char, n: usize, state: *mut c_void) -> usize;
        fn wcsrtombs(
            to: *mut c_char,
            from: *mut *const Wide,
            n: usize,
            state: *mut c_void,
        ) -> usize;
        fn mbsrtowcs(
            to: *mut Wide,
            from: *mut *const c_char,
            n: usize,
            state: *mut c_void,
        ) -> usize;
    }

    #[test]
    fn classes_and_cases_are_those_of_the_host() {
        for name in [
            c"alnum", c"alpha", c"blank", c"cntrl", c"digit", c"graph", c"lower", c"print",
            c"punct", c"space", c"upper", c"xdigit",
        ] {
            // SAFETY: a C string.
            let (ours, theirs) = unsafe { (super::wctype(name.as_ptr()), wctype(name.as_ptr())) };
            for wide in (0..300).chain([WEOF, 0x1_f600]) {
                let both = (super::iswctype(wide, ours) != 0, iswctype(wide, theirs) != 0);
                assert_eq!(both.0, both.1, "{name:?} {wide}");
            }
        }
        for wide in 0..300 {
            assert_eq!(
                (super::towupper(wide), super::btowc(wide as c_int)),
                (towupper(wide), btowc(wide as c_int))
            );
        }
        // SAFETY: a C string.
        assert_eq!((unsafe { super::wctype(c"other".as_ptr()) }, super::iswctype(65, 0)), (0, 0));
    }

    #[test]
    fn strings_are_converted_as_the_host_does() {
        for text in [c"", c"abc", c"ab\xe4c"] {
            for room in [0, 1, 3, 9] {
                let (mut a, mut b) = ([7 as Wide; 10], [7 as Wide; 10]);
                let (mut x, mut y, mut state) = (text.as_ptr(), text.as_ptr(), [0u64; 2]);
                // SAFETY: C strings, and room for more than is said.
                unsafe {
                    let ours = super::mbsrtowcs(a.as_mut_ptr(), &raw mut x, room, ptr::null_mut());
                    let theirs =
                        mbsrtowcs(b.as_mut_ptr(), &raw mut y, room, state.as_mut_ptr().cast());
                    assert_eq!((ours, x, &a), (theirs, y, &b), "{text:?} {room}");
                    let ours = super::mbrtowc(a.as_mut_ptr(), text.as_ptr(), room, ptr::null_mut());
                    let theirs =
                        mbrtowc(b.as_mut_ptr(), text.as_ptr(), room, state.as_mut_ptr().cast());
                    assert_eq!((ours, &a), (theirs, &b), "{text:?} {room}");
                }
            }
        }
        for text in [&[0][..], &[97, 98, 0], &[97, 0xe4, 98, 0]] {
            for room in [0, 1, 3, 9] {
                let (mut a, mut b) = ([7 as c_char; 10], [7 as c_char; 10]);
                let (mut x, mut y, mut state) = (text.as_ptr(), text.as_ptr(), [0u64; 2]);
                // SAFETY: wide strings, and room for more than is said.
                unsafe {
                    let ours = super::wcsrtombs(a.as_mut_ptr(), &raw mut x, room, ptr::null_mut());
                    let theirs =
                        wcsrtombs(b.as_mut_ptr(), &raw mut y, room, state.as_mut_ptr().cast());
                    assert_eq!((ours, x, &a), (theirs, y, &b), "{text:?} {room}");
                }
            }
        }
    }

    #[test]
    fn wide_strings_are_copied_and_compared() {
        let (a, b) = ([97, 98, 99, 0], [97, 98, 100, 0]);
        let mut to = [0; 4];
        // SAFETY: wide strings, and room for three and a NUL.
        unsafe {
            assert_eq!((wcslen(a.as_ptr()), wcscmp(a.as_ptr(), b.as_ptr())), (3, -1));
            assert_eq!(
                (wcsncmp(b.as_ptr(), a.as_ptr(), 2), wcsncmp(b.as_ptr(), a.as_ptr(), 3)),
                (0, 1)
            );
            assert_eq!((wcscpy(to.as_mut_ptr(), a.as_ptr()), to), (to.as_mut_ptr(), a));
            assert_eq!(wcschr(a.as_ptr(), 0), a.as_ptr().wrapping_add(3).cast_mut());
            assert_eq!(wcsrchr(a.as_ptr(), 98), a.as_ptr().wrapping_add(1).cast_mut());
            assert!(wcschr(a.as_ptr(), 120).is_null());
            wmemset(to.as_mut_ptr(), 9, 2);
            wmemmove(to.as_mut_ptr().add(1), to.as_ptr(), 3);
            assert_eq!(to, [9, 9, 9, 99]);
            assert_eq!(wmemcmp(to.as_ptr(), to.as_ptr().add(1), 2), 0);
        }
    }
}
