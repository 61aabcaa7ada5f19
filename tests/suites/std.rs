//! The unit tests of std's `net` and `thread`, which say `crate` where they mean std.

#![feature(addr_parse_ascii, core_io_borrowed_buf, io_error_uncategorized, ip, read_buf, tcp_deferaccept)]
#![feature(tcp_linger, thread_id_value, thread_spawn_hook)]
#![cfg(test)]

pub use std::*;

pub mod net {
    pub use std::net::*;

    pub mod test;
    mod ip_addr {
        mod tests;
    }
    mod socket_addr {
        mod tests;
    }
    mod tcp {
        mod tests;
    }
    mod udp {
        mod tests;
    }
}

pub mod thread {
    pub use std::thread::*;

    mod tests;

    /// What the system calls this thread.
    pub fn current_os_id() -> u64 {
        // SAFETY: the type is that of `unistd.h`, and the function has no conditions.
        unsafe extern "C" {
            safe fn gettid() -> i32;
        }
        u64::from(gettid().unsigned_abs())
    }
}
