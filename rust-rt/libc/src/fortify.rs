//! Functions of fortified callers (`_FORTIFY_SOURCE`): the caller knows how many bytes the destination has.

use super::asm::{VaList, variadic};
use super::cstr::strlen;
use super::die::die;
use super::stdio::print_to;
use super::wide::{self, Wide};
use super::{cxx, mem, string, words};
use core::ffi::{c_char, c_int, c_long, c_void};

/// Ends the domain when a fortified function would write `n` bytes into `room`.
pub(super) fn check_room(function: &str, n: usize, room: usize) {
    if n > room {
        die(format_args!("{function}: buffer overflow: {n} bytes for {room}"));
    }
}

/// Defines what fortified callers call: as another function, which writes this much into this much room.
macro_rules! checked {
    (
        ($export:meta)
        $($name:ident($($parameter:ident: $type:ty),*) -> $result:ty
            = $function:path[$($argument:expr),*]: $n:expr, $room:expr;)*
    ) => {$(
        #[cfg_attr($export, unsafe(no_mangle))]
        unsafe extern "C" fn $name($($parameter: $type),*) -> $result {
            // SAFETY: the contract is the same, and the room is checked first.
            #[allow(unused_unsafe)]
            unsafe {
                $crate::fortify::check_room(stringify!($name), $n, $room);
                $function($($argument),*)
            }
        }
    )*};
}
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
pub(super) use checked;

checked! {
    (feature = "symbols")
    __memcpy_chk(to: *mut c_void, from: *const c_void, n: usize, room: usize) -> *mut c_void
        = mem::memmove[to, from, n]: n, room;
    __memmove_chk(to: *mut c_void, from: *const c_void, n: usize, room: usize) -> *mut c_void
        = mem::memmove[to, from, n]: n, room;
    __mempcpy_chk(to: *mut c_void, from: *const c_void, n: usize, room: usize) -> *mut c_void
        = words::mempcpy[to, from, n]: n, room;
    __memset_chk(to: *mut c_void, byte: c_int, n: usize, room: usize) -> *mut c_void
        = mem::memset[to, byte, n]: n, room;
    __explicit_bzero_chk(to: *mut c_void, n: usize, room: usize) -> ()
        = words::explicit_bzero[to, n]: n, room;
    __strcpy_chk(to: *mut c_char, from: *const c_char, room: usize) -> *mut c_char
        = string::strcpy[to, from]: strlen(from) + 1, room;
    __stpcpy_chk(to: *mut c_char, from: *const c_char, room: usize) -> *mut c_char
        = string::stpcpy[to, from]: strlen(from) + 1, room;
    __strncpy_chk(to: *mut c_char, from: *const c_char, n: usize, room: usize) -> *mut c_char
        = string::strncpy[to, from, n]: n, room;
    __strcat_chk(to: *mut c_char, from: *const c_char, room: usize) -> *mut c_char
        = string::strcat[to, from]: strlen(to) + strlen(from) + 1, room;
    __strncat_chk(to: *mut c_char, from: *const c_char, n: usize, room: usize) -> *mut c_char
        = string::strncat[to, from, n]: strlen(to) + string::strnlen(from, n) + 1, room;
    __strlcpy_chk(to: *mut c_char, from: *const c_char, n: usize, room: usize) -> usize
        = words::strlcpy[to, from, n]: n, room;
    __strlcat_chk(to: *mut c_char, from: *const c_char, n: usize, room: usize) -> usize
        = words::strlcat[to, from, n]: n, room;
    __wmemcpy_chk(to: *mut Wide, from: *const Wide, n: usize, room: usize) -> *mut Wide
        = wide::wmemcpy[to, from, n]: n, room;
    __wmemmove_chk(to: *mut Wide, from: *const Wide, n: usize, room: usize) -> *mut Wide
        = wide::wmemmove[to, from, n]: n, room;
    __wmemset_chk(to: *mut Wide, wide: Wide, n: usize, room: usize) -> *mut Wide
        = wide::wmemset[to, wide, n]: n, room;
    __wcscpy_chk(to: *mut Wide, from: *const Wide, room: usize) -> *mut Wide
        = wide::wcscpy[to, from]: wide::wcslen(from) + 1, room;
    __mbstowcs_chk(to: *mut Wide, from: *const c_char, n: usize, room: usize) -> usize
        = wide::mbstowcs[to, from, n]: n, room;
    __wcstombs_chk(to: *mut c_char, from: *const Wide, n: usize, room: usize) -> usize
        = wide::wcstombs[to, from, n]: n, room;
    __mbsrtowcs_chk(to: *mut Wide, from: *mut *const c_char, n: usize, state: *mut c_void, room: usize) -> usize
        = wide::mbsrtowcs[to, from, n, state]: n, room;
    __wcsrtombs_chk(to: *mut c_char, from: *mut *const Wide, n: usize, state: *mut c_void, room: usize) -> usize
        = wide::wcsrtombs[to, from, n, state]: n, room;
    __mbsnrtowcs_chk(to: *mut Wide, from: *mut *const c_char, most: usize, n: usize, state: *mut c_void, room: usize) -> usize
        = cxx::mbsnrtowcs[to, from, most, n, state]: n, room;
    __wcsnrtombs_chk(to: *mut c_char, from: *mut *const Wide, most: usize, n: usize, state: *mut c_void, room: usize) -> usize
        = cxx::wcsnrtombs[to, from, most, n, state]: n, room;
    __wctomb_chk(to: *mut c_char, wide: Wide, room: usize) -> c_int
        = wide::wctomb[to, wide]: 1, room;
    __wcrtomb_chk(to: *mut c_char, wide: Wide, state: *mut c_void, room: usize) -> usize
        = wide::wcrtomb[to, wide, state]: 1, room;
}

/// The word of an `fd_set` that has a descriptor, which must be one of those that fit.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __fdelt_chk(fd: c_long) -> c_long {
    const FD_SETSIZE: c_long = 1024;
    if !(0..FD_SETSIZE).contains(&fd) {
        die(format_args!(
            "__fdelt_chk: descriptor {fd} is none of the {FD_SETSIZE} that an fd_set has"
        ));
    }
    fd / 64
}

variadic!("__sprintf_chk", 4 => __vsprintf_chk);
variadic!("__snprintf_chk", 5 => __vsnprintf_chk);

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __vsnprintf_chk(
    buf: *mut c_char,
    size: usize,
    _flag: c_int,
    room: usize,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    check_room("__vsnprintf_chk", size, room);
    // SAFETY: the contract is the same.
    unsafe { print_to(buf, size, format, args) }
}

/// Ends the domain when the text does not fit into `room`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __vsprintf_chk(
    buf: *mut c_char,
    _flag: c_int,
    room: usize,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the buffer has `room` bytes, or an unknown number that is enough (usize::MAX).
    let n = unsafe { print_to(buf, room.min(isize::MAX as usize), format, args) };
    check_room("__vsprintf_chk", usize::try_from(n).map_or(0, |n| n + 1), room);
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_done() {
        let mut to = [7u8; 8];
        let at = to.as_mut_ptr().cast::<c_char>();
        // SAFETY: eight bytes, of which the functions are told.
        unsafe {
            assert_eq!(__stpcpy_chk(at, c"abc".as_ptr(), 8), at.add(3));
            assert_eq!(__strncat_chk(at, c"defgh".as_ptr(), 4, 8), at);
            assert_eq!(to, *b"abcdefg\0");
            assert_eq!(__mempcpy_chk(at.cast(), b"xyz".as_ptr().cast(), 3, 3), at.add(3).cast());
            assert_eq!(__strlcpy_chk(at.add(3), c"123456".as_ptr(), 5, 5), 6);
        }
        assert_eq!(to, *b"xyz1234\0");
        let (text, mut wide) = (c"wide", [7; 5]);
        let (mut from, mut back) = (text.as_ptr(), wide.as_ptr());
        // SAFETY: as above.
        unsafe {
            let none = core::ptr::null_mut();
            assert_eq!(__mbsnrtowcs_chk(wide.as_mut_ptr(), &raw mut from, 2, 5, none, 5), 2);
            assert_eq!(__mbsrtowcs_chk(wide.as_mut_ptr().add(2), &raw mut from, 3, none, 3), 2);
            assert_eq!((from.is_null(), wide), (true, [119, 105, 100, 101, 0]));
            assert_eq!(__wcsnrtombs_chk(at, &raw mut back, 1, 8, none, 8), 1);
            assert_eq!(__wcsrtombs_chk(at.add(1), &raw mut back, 7, none, 7), 3);
            assert_eq!(__wctomb_chk(at.add(5), 33, 3), 1);
        }
        assert_eq!(to, *b"wide\x00!4\0".first_chunk().unwrap());
        assert_eq!((__fdelt_chk(63), __fdelt_chk(1023)), (0, 15));
    }
}
