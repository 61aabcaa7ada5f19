//! What GNU's C++ library calls besides: functions of locales by the names that glibc has for itself, texts of other
//! languages, which there are none of, numbers wider than a `double`, and wide streams.

use super::asm::asm_fn;
use super::calendar::Tm;
use super::errno::{self, EILSEQ};
use super::stub::stubs;
use super::wide::{self, Wide};
use super::words::functions;
use super::{double, locale, math, strftime, string};
use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

functions! {
    __newlocale(mask: c_int, name: *const c_char, base: *mut c_void;) -> *const c_void = locale::newlocale;
    __duplocale(of: *mut c_void;) -> *const c_void = locale::duplocale;
    __freelocale(locale: *mut c_void;) -> () = locale::freelocale;
    __uselocale(locale: *mut c_void;) -> *const c_void = locale::uselocale;
    __nl_langinfo_l(item: c_int; *const c_void) -> *const c_char = locale::nl_langinfo;
    nl_langinfo_l(item: c_int; *const c_void) -> *const c_char = locale::nl_langinfo;
    __strcoll_l(a: *const c_char, b: *const c_char; *const c_void) -> c_int = string::strcmp;
    __strxfrm_l(to: *mut c_char, s: *const c_char, n: usize; *const c_void) -> usize = super::words::strlcpy;
    __strftime_l(to: *mut c_char, room: usize, format: *const c_char, date: *const Tm, locale: *const c_void;) -> usize
        = strftime::strftime_l;
    __strtod_l(text: *const c_char, end: *mut *const c_char; *const c_void) -> f64 = double::strtod;
    __strtof_l(text: *const c_char, end: *mut *const c_char; *const c_void) -> f32 = double::strtof;
    strtof_l(text: *const c_char, end: *mut *const c_char; *const c_void) -> f32 = double::strtof;
    __wcscoll_l(a: *const Wide, b: *const Wide; *const c_void) -> c_int = wide::wcscmp;
    wcscoll(a: *const Wide, b: *const Wide;) -> c_int = wide::wcscmp;
    __wcsxfrm_l(to: *mut Wide, s: *const Wide, n: usize; *const c_void) -> usize = copy_wide;
    __iswctype_l(wide: c_uint, class: c_ulong; *const c_void) -> c_int = wide::iswctype;
    __wctype_l(name: *const c_char; *const c_void) -> c_ulong = wide::wctype;
    __towlower_l(wide: c_uint; *const c_void) -> c_uint = wide::towlower;
    __towupper_l(wide: c_uint; *const c_void) -> c_uint = wide::towupper;
}

/// Copies as much as there is room for, with a NUL, and says how long the whole is.
///
/// # Safety
///
/// A wide string, and room for `n` characters.
unsafe fn copy_wide(to: *mut Wide, from: *const Wide, n: usize) -> usize {
    // SAFETY: as the caller says.
    unsafe {
        let length = wide::wcslen(from);
        if n > 0 {
            let fits = length.min(n - 1);
            wide::wmemcpy(to, from, fits);
            *to.add(fits) = 0;
        }
        length
    }
}

/// `mbsrtowcs` that reads at most this many octets.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn mbsnrtowcs(
    to: *mut Wide,
    from: *mut *const c_char,
    octets: usize,
    most: usize,
    state: *mut c_void,
) -> usize {
    // SAFETY: the contract is the same, and a character is an octet. Nothing is read behind a NUL.
    unsafe {
        if !to.is_null() {
            return wide::mbsrtowcs(to, from, most.min(octets), state);
        }
        let text =
            core::slice::from_raw_parts((*from).cast::<u8>(), string::strnlen(*from, octets));
        if text.is_ascii() { text.len() } else { errno::fail(EILSEQ) as usize }
    }
}

/// `wcsrtombs` that reads at most this many characters.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn wcsnrtombs(
    to: *mut c_char,
    from: *mut *const Wide,
    characters: usize,
    most: usize,
    state: *mut c_void,
) -> usize {
    // SAFETY: as above.
    unsafe {
        if !to.is_null() {
            return wide::wcsrtombs(to, from, most.min(characters), state);
        }
        let length = (0..characters).find(|&n| *(*from).add(n) == 0).unwrap_or(characters);
        let text = core::slice::from_raw_parts(*from, length);
        let is_ascii = text.iter().all(|&wide| (0..128).contains(&wide));
        if is_ascii { length } else { errno::fail(EILSEQ) as usize }
    }
}

/// One processor, on which threads give way only where they say so: counts need not be atomic.
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static __libc_single_threaded: u8 = 1;

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn get_nprocs() -> c_int {
    1
}

/// A text in the user's language, which is that of the program.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn gettext(text: *const c_char) -> *const c_char {
    text
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn dgettext(_domain: *const c_char, text: *const c_char) -> *const c_char {
    text
}

stubs! {
    ENOENT bindtextdomain(*const c_char, *const c_char) -> *const c_char = core::ptr::null(),
        "there are no texts in other languages";
    ENOENT bind_textdomain_codeset(*const c_char, *const c_char) -> *const c_char = core::ptr::null(),
        "there are no texts in other languages";
    EINVAL iconv_open(*const c_char, *const c_char) -> *mut c_void = core::ptr::without_provenance_mut(usize::MAX),
        "there is no other character set than ASCII";
    EBADF iconv(*mut c_void, *mut *mut c_char, *mut usize, *mut *mut c_char, *mut usize) -> usize = usize::MAX,
        "there is no other character set than ASCII";
    EBADF iconv_close(*mut c_void) -> c_int = -1, "there is no other character set than ASCII";
    ENOSYS getwc(*mut c_void) -> c_uint = c_uint::MAX, "no stream is wide";
    ENOSYS putwc(Wide, *mut c_void) -> c_uint = c_uint::MAX, "no stream is wide";
    ENOSYS ungetwc(c_uint, *mut c_void) -> c_uint = c_uint::MAX, "no stream is wide";
    ENOSYS __wcsftime_l(*mut Wide, usize, *const Wide, *const c_void, *const c_void) -> usize = 0, "dates are not wide";
}

// A `long double` is returned on the stack of the x87, which Rust cannot do: as wide as a `double`.
asm_fn!("strtold":
    "sub rsp, 24", ".cfi_adjust_cfa_offset 24", "call {strtod}", "movsd qword ptr [rsp + 8], xmm0", "fld qword ptr [rsp + 8]", "add rsp, 24", "ret";
    strtod = sym double::strtod);
asm_fn!("strtold_l":
    "sub rsp, 24", ".cfi_adjust_cfa_offset 24", "call {strtod}", "movsd qword ptr [rsp + 8], xmm0", "fld qword ptr [rsp + 8]", "add rsp, 24", "ret";
    strtod = sym double::strtod);
asm_fn!("frexpl":
    "fld tbyte ptr [rsp + 8]", "sub rsp, 24", ".cfi_adjust_cfa_offset 24", "fstp qword ptr [rsp + 8]", "movsd xmm0, qword ptr [rsp + 8]",
    "call {frexp}", "movsd qword ptr [rsp + 8], xmm0", "fld qword ptr [rsp + 8]", "add rsp, 24", "ret";
    frexp = sym math::frexp);

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    #[test]
    fn wide_strings_are_cut_where_there_is_no_more_room() {
        let text: [Wide; 4] = [97, 98, 99, 0];
        let mut to = [9; 4];
        // SAFETY: room as said, and strings that end.
        unsafe {
            assert_eq!(__wcsxfrm_l(to.as_mut_ptr(), text.as_ptr(), 3, ptr::null()), 3);
            assert_eq!(to, [97, 98, 0, 9]);
            assert_eq!(__wcsxfrm_l(to.as_mut_ptr(), text.as_ptr(), 4, ptr::null()), 3);
            assert_eq!(
                (to, __wcsxfrm_l(ptr::null_mut(), text.as_ptr(), 0, ptr::null())),
                (text, 3)
            );
        }
    }

    #[test]
    fn conversions_read_no_more_than_they_may() {
        let octets = [b'a' as c_char, b'b' as c_char, -1];
        let wide: [Wide; 3] = [97, 98, 300];
        let (mut to_wide, mut to) = ([0; 3], [0; 3]);
        // SAFETY: arrays of the lengths that are said.
        unsafe {
            let mut from = octets.as_ptr();
            assert_eq!(mbsnrtowcs(ptr::null_mut(), &raw mut from, 2, 0, ptr::null_mut()), 2);
            assert_eq!(
                mbsnrtowcs(ptr::null_mut(), &raw mut from, 3, 0, ptr::null_mut()),
                usize::MAX
            );
            assert_eq!(mbsnrtowcs(to_wide.as_mut_ptr(), &raw mut from, 2, 3, ptr::null_mut()), 2);
            assert_eq!((to_wide, from), ([97, 98, 0], octets.as_ptr().add(2)));
            let mut from = wide.as_ptr();
            assert_eq!(wcsnrtombs(ptr::null_mut(), &raw mut from, 2, 0, ptr::null_mut()), 2);
            assert_eq!(
                wcsnrtombs(ptr::null_mut(), &raw mut from, 3, 0, ptr::null_mut()),
                usize::MAX
            );
            assert_eq!(wcsnrtombs(to.as_mut_ptr(), &raw mut from, 2, 3, ptr::null_mut()), 2);
            assert_eq!((to, from), ([97, 98, 0], wide.as_ptr().add(2)));
        }
    }
}
