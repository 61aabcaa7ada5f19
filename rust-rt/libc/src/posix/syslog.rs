//! `<syslog.h>`: what a program would tell a daemon goes to the image's own log.

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int};

use super::local::local;
use crate::asm::{VaList, variadic};
use crate::stdio::print_to;

/// The longest message, as syslog's (RFC 3164 section 4.1).
const LONGEST: usize = 1024;

struct Settings {
    /// What messages begin with: the caller's text, or NULL.
    name: Cell<*const c_char>,
    /// Which priorities are logged, a bit each.
    mask: Cell<c_int>,
}

local! {
    static SETTINGS: Settings = Settings { name: Cell::new(core::ptr::null()), mask: Cell::new(0xff) };
}

/// The text must stay where it is. Options and facilities make no difference.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn openlog(name: *const c_char, _options: c_int, _facility: c_int) {
    SETTINGS.with(|settings| settings.name.set(name));
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn closelog() {
    openlog(core::ptr::null(), 0, 0);
}

/// 0 only asks.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn setlogmask(mask: c_int) -> c_int {
    SETTINGS.with(|settings| {
        let before = settings.mask.get();
        settings.mask.set(if mask == 0 { before } else { mask });
        before
    })
}

variadic!("syslog", 2 => vsyslog);
variadic!("__syslog_chk", 3 => __vsyslog_chk);

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn vsyslog(priority: c_int, format: *const c_char, args: *mut VaList) {
    let (name, mask) = SETTINGS.with(|settings| (settings.name.get(), settings.mask.get()));
    let urgency = priority & 7;
    if mask & 1 << urgency == 0 {
        return;
    }
    let mut text = [0 as c_char; LONGEST];
    // SAFETY: a C string, and a list with what that names; the buffer is as long as said, and then has a C string. The
    // name is one, too.
    let (text, name) = unsafe {
        print_to(text.as_mut_ptr(), LONGEST, format, args);
        let name = (!name.is_null()).then(|| CStr::from_ptr(name));
        (CStr::from_ptr(text.as_ptr()), name.and_then(|name| name.to_str().ok()))
    };
    let level = match urgency {
        0..=3 => log::Level::Error,
        4 => log::Level::Warn,
        5 | 6 => log::Level::Info,
        _ => log::Level::Debug,
    };
    let text = alloc::string::String::from_utf8_lossy(text.to_bytes().trim_ascii_end());
    log::log!(target: name.unwrap_or("syslog"), level, "{text}");
}

#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn __vsyslog_chk(
    priority: c_int,
    _flag: c_int,
    format: *const c_char,
    args: *mut VaList,
) {
    // SAFETY: the contract is the same.
    unsafe { vsyslog(priority, format, args) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use std::sync::Mutex;

    // SAFETY: this crate defines it, under a name that is not the host's.
    unsafe extern "C" {
        #[link_name = "mirust_host_syslog"]
        fn syslog(priority: c_int, format: *const c_char, ...);
    }

    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Log;

    impl log::Log for Log {
        fn enabled(&self, _: &log::Metadata) -> bool {
            true
        }
        fn log(&self, record: &log::Record) {
            if !record.target().starts_with("libc") {
                let (level, target) = (record.level(), record.target());
                let text = std::format!("{level} {target}: {}", record.args());
                SAID.lock().unwrap().push(text);
            }
        }
        fn flush(&self) {}
    }

    #[test]
    fn messages_are_logged_by_their_urgency() {
        log::set_logger(&Log).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
        crate::errno::set(2);
        // SAFETY: the arguments are those of the formats.
        unsafe {
            syslog(3, c"cannot open %s: %m".as_ptr(), c"/etc/x".as_ptr());
            openlog(c"daemon".as_ptr(), 1, 3 << 3);
            syslog(3 << 3 | 4, c"%d left\n".as_ptr(), 7);
            assert_eq!((setlogmask(0x0f), setlogmask(0)), (0xff, 0x0f));
            syslog(6, c"not this one".as_ptr());
            setlogmask(0xff);
            syslog(6, c"this one".as_ptr());
            closelog();
            syslog(7, c"small".as_ptr());
        }
        log::set_max_level(log::LevelFilter::Off);
        let said: Vec<String> = SAID.lock().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "ERROR syslog: cannot open /etc/x: No such file or directory",
                "WARN daemon: 7 left",
                "INFO daemon: this one",
                "DEBUG syslog: small",
            ]
        );
    }
}
