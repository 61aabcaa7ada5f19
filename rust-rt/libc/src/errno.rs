//! `errno`, its values on Linux x86-64 and their texts.

use core::ffi::{CStr, c_char, c_int};

/// What belongs to the thread that runs: two words, see [`own`](crate::threads::own).
#[repr(C)]
pub(super) struct Own {
    errno: c_int,
    /// The thread's number; 0 for the main stack.
    pub(super) number: c_int,
    /// What else it has, a `Block` of `threads`; null for the main stack.
    pub(super) block: *const (),
}

const _: () = assert!(size_of::<Own>() == size_of::<[usize; 2]>());

const MAIN: Own = Own { errno: 0, number: 0, block: core::ptr::null() };

#[cfg(not(test))]
struct Only(core::cell::UnsafeCell<Own>);
// SAFETY: an image has one thread of execution, and no reference to the words is ever made.
#[cfg(not(test))]
unsafe impl Sync for Only {}
#[cfg(not(test))]
static OWN: Only = Only(core::cell::UnsafeCell::new(MAIN));

// The test harness runs threads; an image has one thread of execution.
#[cfg(test)]
std::thread_local! {
    static OWN: core::cell::UnsafeCell<Own> = const { core::cell::UnsafeCell::new(MAIN) };
}

/// The words of the thread that runs.
#[inline]
pub(super) fn own() -> *mut Own {
    #[cfg(not(test))]
    return OWN.0.get();
    #[cfg(test)]
    OWN.with(|own| own.get())
}

/// Where callers of our functions look for `errno`: in our variable, but in a Linux process, where only the functions
/// on descriptors are ours, in its C library's.
fn place() -> *mut c_int {
    #[cfg(all(feature = "posix-on-unix", not(any(test, feature = "symbols"))))]
    mod of_the_process {
        // SAFETY: the type is that of glibc's `errno.h`.
        unsafe extern "C" {
            pub(super) safe fn __errno_location() -> *mut super::c_int;
        }
    }
    #[cfg(all(feature = "posix-on-unix", not(any(test, feature = "symbols"))))]
    use of_the_process::__errno_location;
    __errno_location()
}

/// Sets `errno`. Usable in every calling context.
pub fn set(errno: c_int) {
    // SAFETY: `place` returns a pointer that is valid for as long as the thread lives, and no reference to the
    // variable exists.
    unsafe { *place() = errno }
}

/// The `errno` of the last C function that failed.
pub fn get() -> c_int {
    // SAFETY: as in `set`.
    unsafe { *place() }
}

/// Sets `errno` and returns the -1 that goes with it.
pub(super) fn fail(errno: c_int) -> c_int {
    set(errno);
    -1
}

/// Where C's `errno` macro finds the variable.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn __errno_location() -> *mut c_int {
    // SAFETY: only the place of a field is computed.
    unsafe { &raw mut (*own()).errno }
}

/// The text of `errno`, or of an unknown one.
pub(super) fn text(errno: c_int) -> &'static CStr {
    let text = usize::try_from(errno).ok().and_then(|i| TEXTS.get(i)).copied();
    text.filter(|t| !t.is_empty()).unwrap_or(c"Unknown error")
}

/// The text is static and must not be written to.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn strerror(errno: c_int) -> *const c_char {
    text(errno).as_ptr()
}

/// GNU's `strerror_r`: the text is static, and the buffer not used.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn strerror_r(errno: c_int, _buf: *mut c_char, _len: usize) -> *const c_char {
    text(errno).as_ptr()
}

/// POSIX's `strerror_r`: the text is copied, and cut off when `len` is too small.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __xpg_strerror_r(errno: c_int, buf: *mut c_char, len: usize) -> c_int {
    let text = text(errno).to_bytes();
    if len == 0 {
        return ERANGE;
    }
    let n = text.len().min(len - 1);
    // SAFETY: the caller owns `len` bytes at `buf`; `n` is less than that, and `text` is static.
    unsafe {
        buf.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), n);
        *buf.add(n) = 0;
    }
    if n < text.len() { ERANGE } else { 0 }
}

macro_rules! errnos {
    ($($value:literal $name:ident $text:literal)*) => {
        $(#[doc = $text] pub const $name: c_int = $value;)*

        const TEXTS: [&CStr; 134] = {
            let mut texts = [c""; 134];
            texts[0] = c"Success";
            $(texts[$value] = match CStr::from_bytes_with_nul(concat!($text, "\0").as_bytes()) {
                Ok(text) => text,
                Err(_) => panic!("a text with a NUL inside"),
            };)*
            texts
        };
    };
}

errnos! {
    1 EPERM "Operation not permitted"
    2 ENOENT "No such file or directory"
    3 ESRCH "No such process"
    4 EINTR "Interrupted system call"
    5 EIO "Input/output error"
    6 ENXIO "No such device or address"
    7 E2BIG "Argument list too long"
    8 ENOEXEC "Exec format error"
    9 EBADF "Bad file descriptor"
    10 ECHILD "No child processes"
    11 EAGAIN "Resource temporarily unavailable"
    12 ENOMEM "Cannot allocate memory"
    13 EACCES "Permission denied"
    14 EFAULT "Bad address"
    15 ENOTBLK "Block device required"
    16 EBUSY "Device or resource busy"
    17 EEXIST "File exists"
    18 EXDEV "Invalid cross-device link"
    19 ENODEV "No such device"
    20 ENOTDIR "Not a directory"
    21 EISDIR "Is a directory"
    22 EINVAL "Invalid argument"
    23 ENFILE "Too many open files in system"
    24 EMFILE "Too many open files"
    25 ENOTTY "Inappropriate ioctl for device"
    26 ETXTBSY "Text file busy"
    27 EFBIG "File too large"
    28 ENOSPC "No space left on device"
    29 ESPIPE "Illegal seek"
    30 EROFS "Read-only file system"
    31 EMLINK "Too many links"
    32 EPIPE "Broken pipe"
    33 EDOM "Numerical argument out of domain"
    34 ERANGE "Numerical result out of range"
    35 EDEADLK "Resource deadlock avoided"
    36 ENAMETOOLONG "File name too long"
    37 ENOLCK "No locks available"
    38 ENOSYS "Function not implemented"
    39 ENOTEMPTY "Directory not empty"
    40 ELOOP "Too many levels of symbolic links"
    42 ENOMSG "No message of desired type"
    43 EIDRM "Identifier removed"
    61 ENODATA "No data available"
    62 ETIME "Timer expired"
    71 EPROTO "Protocol error"
    74 EBADMSG "Bad message"
    75 EOVERFLOW "Value too large for defined data type"
    84 EILSEQ "Invalid or incomplete multibyte or wide character"
    87 EUSERS "Too many users"
    88 ENOTSOCK "Socket operation on non-socket"
    89 EDESTADDRREQ "Destination address required"
    90 EMSGSIZE "Message too long"
    91 EPROTOTYPE "Protocol wrong type for socket"
    92 ENOPROTOOPT "Protocol not available"
    93 EPROTONOSUPPORT "Protocol not supported"
    94 ESOCKTNOSUPPORT "Socket type not supported"
    95 EOPNOTSUPP "Operation not supported"
    96 EPFNOSUPPORT "Protocol family not supported"
    97 EAFNOSUPPORT "Address family not supported by protocol"
    98 EADDRINUSE "Address already in use"
    99 EADDRNOTAVAIL "Cannot assign requested address"
    100 ENETDOWN "Network is down"
    101 ENETUNREACH "Network is unreachable"
    102 ENETRESET "Network dropped connection on reset"
    103 ECONNABORTED "Software caused connection abort"
    104 ECONNRESET "Connection reset by peer"
    105 ENOBUFS "No buffer space available"
    106 EISCONN "Transport endpoint is already connected"
    107 ENOTCONN "Transport endpoint is not connected"
    108 ESHUTDOWN "Cannot send after transport endpoint shutdown"
    109 ETOOMANYREFS "Too many references: cannot splice"
    110 ETIMEDOUT "Connection timed out"
    111 ECONNREFUSED "Connection refused"
    112 EHOSTDOWN "Host is down"
    113 EHOSTUNREACH "No route to host"
    114 EALREADY "Operation already in progress"
    115 EINPROGRESS "Operation now in progress"
    116 ESTALE "Stale file handle"
    122 EDQUOT "Disk quota exceeded"
    125 ECANCELED "Operation canceled"
    130 EOWNERDEAD "Owner died"
    131 ENOTRECOVERABLE "State not recoverable"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn texts_are_those_of_the_host() {
        for (errno, text) in TEXTS.iter().enumerate().filter(|(_, t)| !t.is_empty()) {
            // SAFETY: the host's strerror returns a C string that lives until the next call.
            let host = unsafe { CStr::from_ptr(host_libc::strerror(errno as c_int)) };
            assert_eq!(*text, host, "errno {errno}");
        }
    }

    #[test]
    fn a_short_buffer_gets_a_cut_text() {
        let mut buf = [1 as c_char; 8];
        // SAFETY: the buffer is as long as said.
        let (whole, cut) = unsafe {
            (__xpg_strerror_r(EIO, buf.as_mut_ptr(), 8), __xpg_strerror_r(EIO, buf.as_mut_ptr(), 4))
        };
        assert_eq!((whole, cut), (ERANGE, ERANGE));
        let text: String = buf[..3].iter().map(|&c| c as u8 as char).collect();
        assert_eq!((text.as_str(), buf[3]), ("Inp", 0));
    }
}
