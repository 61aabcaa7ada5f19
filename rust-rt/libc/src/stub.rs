//! Calls that an image does not support: an honest `errno`, and one line in the log.

use super::errno;
use core::ffi::c_int;
use core::fmt::Display;
use core::sync::atomic::{AtomicBool, Ordering};

/// Defines C functions that fail: `ERRNO name(types) -> result; "why"`, which the log shows once.
macro_rules! stubs {
    ($($errno:ident $name:ident($($type:ty),*) -> $result:ty = $value:expr, $why:literal;)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        extern "C" fn $name($(_: $type),*) -> $result {
            static LOGGED: core::sync::atomic::AtomicBool =
                core::sync::atomic::AtomicBool::new(false);
            $crate::stub::unsupported(
                &LOGGED, stringify!($name), $why, $crate::errno::$errno);
            $value
        }
    )*};
}
pub(super) use stubs;

/// Sets `errno`, and logs the call unless `logged` says that this was done.
pub(super) fn unsupported(logged: &AtomicBool, name: impl Display, why: &str, errno: c_int) {
    // A call before the logger is there does not count as logged.
    if log::log_enabled!(log::Level::Warn) && !logged.swap(true, Ordering::Relaxed) {
        let text = errno::text(errno).to_str().unwrap_or("");
        log::warn!(target: "libc", "{name}: {text}: {why}");
    }
    errno::set(errno);
}
