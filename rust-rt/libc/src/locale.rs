//! `<locale.h>` and `<ctype.h>`: the C locale, and no other.

use core::ffi::{c_char, c_int, c_ushort, c_void};
use core::ptr;

/// What a `locale_t` points to: glibc's `struct __locale_struct`, of which macros of `<ctype.h>` and GNU's C++ library
/// read the tables.
#[cfg(feature = "posix")]
#[repr(C)]
struct Locale {
    data: [*const c_void; 13],
    classes: *const c_ushort,
    lower: *const c_int,
    upper: *const c_int,
    names: [*const c_char; 13],
}

#[cfg(feature = "posix")]
const _: () = assert!(size_of::<Locale>() == 232);

// SAFETY: the pointers are to static tables that nobody writes to.
#[cfg(feature = "posix")]
unsafe impl Sync for Locale {}

#[cfg(feature = "posix")]
static C_LOCALE: Locale = Locale {
    data: [ptr::null(); 13],
    classes: (&raw const CLASSES[BELOW]).cast(),
    lower: (&raw const LOWER[BELOW]).cast(),
    upper: (&raw const UPPER[BELOW]).cast(),
    names: [c"C".as_ptr(); 13],
};

/// OCaml's runtime, which is what an image without programs in C has, only passes it on: the tables would be 4 KB.
#[cfg(not(feature = "posix"))]
static C_LOCALE: u8 = 0;

/// The C locale, whatever its name: number formats never change.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn newlocale(
    _mask: c_int,
    _name: *const c_char,
    _base: *mut c_void,
) -> *const c_void {
    (&raw const C_LOCALE).cast()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn freelocale(_locale: *mut c_void) {}

/// The locale of before: the C locale.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn uselocale(_locale: *mut c_void) -> *const c_void {
    (&raw const C_LOCALE).cast()
}

/// `"C"` for a question, and for the two names of the C locale; NULL for others.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn setlocale(_category: c_int, name: *const c_char) -> *const c_char {
    // SAFETY: `name` is NULL or a C string.
    let known =
        name.is_null() || matches!(unsafe { super::cstr::bytes(name) }, b"" | b"C" | b"POSIX");
    if known { c"C".as_ptr() } else { ptr::null() }
}

/// The class bits of glibc's `<ctype.h>` on a little-endian machine.
const fn class(c: u8) -> c_ushort {
    let space = c == b' ' || (c >= b'\t' && c <= b'\r');
    (c.is_ascii_uppercase() as c_ushort) << 8
        | (c.is_ascii_lowercase() as c_ushort) << 9
        | (c.is_ascii_alphabetic() as c_ushort) << 10
        | (c.is_ascii_digit() as c_ushort) << 11
        | (c.is_ascii_hexdigit() as c_ushort) << 12
        | (space as c_ushort) << 13
        | ((c == b' ' || c.is_ascii_graphic()) as c_ushort) << 14
        | (c.is_ascii_graphic() as c_ushort) << 15
        | (c == b' ' || c == b'\t') as c_ushort
        | (c.is_ascii_control() as c_ushort) << 1
        | (c.is_ascii_punctuation() as c_ushort) << 2
        | (c.is_ascii_alphanumeric() as c_ushort) << 3
}

/// The macros of `<ctype.h>` index their tables from -128 (a negative `char`, EOF) to 255.
const BELOW: usize = 128;

static CLASSES: [c_ushort; BELOW + 256] = {
    let mut table = [0; BELOW + 256];
    let mut c = 0;
    while c < 256 {
        table[BELOW + c] = class(c as u8);
        c += 1;
    }
    table
};

static LOWER: [c_int; BELOW + 256] = cases(false);
static UPPER: [c_int; BELOW + 256] = cases(true);

const fn cases(upper: bool) -> [c_int; BELOW + 256] {
    let mut table = [0; BELOW + 256];
    let mut i = 0;
    while i < table.len() {
        let c = i as c_int - BELOW as c_int;
        let small = (c as u8).is_ascii_lowercase() && c >= 0;
        let capital = (c as u8).is_ascii_uppercase() && c >= 0;
        table[i] = match (upper, small, capital) {
            (true, true, _) => c - 32,
            (false, _, true) => c + 32,
            _ => c,
        };
        i += 1;
    }
    table
}

/// The address of a table's entry for character 0, as a variable that C reads.
#[repr(transparent)]
struct Table<T>(*const T);

// SAFETY: the pointer is to a static table that nobody writes to.
unsafe impl<T> Sync for Table<T> {}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __ctype_b_loc() -> *const *const c_ushort {
    static TABLE: Table<c_ushort> = Table((&raw const CLASSES[BELOW]).cast());
    (&raw const TABLE).cast()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __ctype_tolower_loc() -> *const *const c_int {
    static TABLE: Table<c_int> = Table((&raw const LOWER[BELOW]).cast());
    (&raw const TABLE).cast()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __ctype_toupper_loc() -> *const *const c_int {
    static TABLE: Table<c_int> = Table((&raw const UPPER[BELOW]).cast());
    (&raw const TABLE).cast()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn tolower(c: c_int) -> c_int {
    usize::try_from(c).ok().and_then(|c| LOWER.get(BELOW + c)).copied().unwrap_or(c)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn toupper(c: c_int) -> c_int {
    usize::try_from(c).ok().and_then(|c| UPPER.get(BELOW + c)).copied().unwrap_or(c)
}

/// Defines `isalpha` and its kin, each by its bit in [`class`].
macro_rules! functions {
    ($($name:ident $bit:literal;)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        extern "C" fn $name(c: c_int) -> c_int {
            let class = usize::try_from(c).ok().and_then(|c| CLASSES.get(BELOW + c));
            class.map_or(0, |class| c_int::from(class >> $bit & 1))
        }
    )*};
}

functions! {
    isblank 0;
    iscntrl 1;
    ispunct 2;
    isalnum 3;
    isupper 8;
    islower 9;
    isalpha 10;
    isdigit 11;
    isxdigit 12;
    isspace 13;
    isprint 14;
    isgraph 15;
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn isascii(c: c_int) -> c_int {
    (0..128).contains(&c).into()
}

/// The C locale.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn duplocale(_locale: *mut c_void) -> *const c_void {
    (&raw const C_LOCALE).cast()
}

/// `struct lconv`: ten strings, of which the first is the point of a number, and fourteen numbers that say nothing.
#[repr(C)]
struct Conventions {
    point: *const c_char,
    others: [*const c_char; 9],
    numbers: [c_char; 14],
}

// SAFETY: the strings are constants.
unsafe impl Sync for Conventions {}

const _: () = assert!(size_of::<Conventions>() == 96);

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn localeconv() -> *const c_void {
    static C: Conventions =
        Conventions { point: c".".as_ptr(), others: [c"".as_ptr(); 9], numbers: [c_char::MAX; 14] };
    (&raw const C).cast()
}

/// The name of the character set, the point of a number, and no answer to anything else.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn nl_langinfo(item: c_int) -> *const c_char {
    match item {
        14 => c"ANSI_X3.4-1968", // CODESET
        0x1_0000 => c".",        // RADIXCHAR
        _ => c"",
    }
    .as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    // SAFETY: the host's type; it takes nothing and gives a table that stays.
    unsafe extern "C" {
        #[link_name = "__ctype_b_loc"]
        safe fn host_classes() -> *const *const c_ushort;
    }

    /// The tables of a locale are where glibc has them.
    #[cfg(feature = "posix")]
    #[test]
    fn a_locale_has_the_tables_that_macros_read() {
        let words = newlocale(0, ptr::null(), ptr::null_mut()).cast::<*const c_void>();
        // SAFETY: the three pointers come after thirteen others, and are to tables of characters from -128 on.
        unsafe {
            assert_eq!(*words.add(13), (*__ctype_b_loc()).cast());
            assert_eq!((*words.add(14)).cast(), *__ctype_tolower_loc());
            assert_eq!((*words.add(15)).cast(), *__ctype_toupper_loc());
        }
    }

    #[test]
    fn character_classes_are_those_of_the_host() {
        for c in -128..256isize {
            // SAFETY: both tables reach from -128 to 255.
            let (ours, theirs) =
                unsafe { (*(*__ctype_b_loc()).offset(c), *(*host_classes()).offset(c)) };
            assert_eq!(ours, theirs, "{c}");
        }
        for c in -1..256 {
            // SAFETY: the functions take EOF and every byte.
            unsafe {
                assert_eq!(tolower(c), host_libc::tolower(c));
                assert_eq!(toupper(c), host_libc::toupper(c));
            }
        }
    }

    #[test]
    fn functions_and_conventions_are_those_of_the_host() {
        type Class = unsafe extern "C" fn(c_int) -> c_int;
        let classes: [(extern "C" fn(c_int) -> c_int, Class); 12] = [
            (isalnum, host_libc::isalnum),
            (isalpha, host_libc::isalpha),
            (isblank, host_libc::isblank),
            (iscntrl, host_libc::iscntrl),
            (isdigit, host_libc::isdigit),
            (isgraph, host_libc::isgraph),
            (islower, host_libc::islower),
            (isprint, host_libc::isprint),
            (ispunct, host_libc::ispunct),
            (isspace, host_libc::isspace),
            (isupper, host_libc::isupper),
            (isxdigit, host_libc::isxdigit),
        ];
        for (ours, theirs) in classes {
            for c in -1..256 {
                // SAFETY: EOF, or an octet.
                assert_eq!(ours(c) != 0, unsafe { theirs(c) } != 0, "{c}");
            }
        }
        assert_eq!((isascii(127), isascii(128), isascii(-1)), (1, 0, 0));
        // SAFETY: the structure begins with strings.
        unsafe {
            let (ours, theirs) = (localeconv().cast::<*const c_char>(), host_libc::localeconv());
            assert_eq!(
                super::super::cstr::bytes(*ours),
                super::super::cstr::bytes((*theirs).decimal_point)
            );
            let ours = super::super::cstr::bytes(nl_langinfo(host_libc::CODESET));
            assert_eq!(ours, super::super::cstr::bytes(host_libc::nl_langinfo(host_libc::CODESET)));
        }
    }
}
