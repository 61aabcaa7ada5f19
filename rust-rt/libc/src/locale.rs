//! `<locale.h>` and `<ctype.h>`: the C locale, and no other.

use core::ffi::{c_char, c_int, c_ushort, c_void};
use core::ptr;

/// What a `locale_t` points to.
static C_LOCALE: u8 = 0;

/// The C locale, whatever its name: number formats never change.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn newlocale(_mask: c_int, _name: *const c_char, _base: *mut c_void) -> *const c_void {
    (&raw const C_LOCALE).cast()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn freelocale(_locale: *mut c_void) {}

/// The locale of before: the C locale.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn uselocale(_locale: *mut c_void) -> *const c_void {
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

#[cfg(test)]
mod tests {
    use super::*;

    // SAFETY: the host's type; it takes nothing and gives a table that stays.
    unsafe extern "C" {
        #[link_name = "__ctype_b_loc"]
        safe fn host_classes() -> *const *const c_ushort;
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
}
