//! What the platforms offer under different names, under one.

#[cfg(not(feature = "xen"))]
mod platform {
    use mirust_rt::unix;

    use crate::abi::MirustMemStats;

    pub use unix::{NAME, command_line, console_write, error_write};

    /// Fills the buffer; false without a source of randomness.
    pub fn random(buf: &mut [u8]) -> bool {
        unix::random(buf);
        true
    }

    /// The kernel keeps the memory of a process.
    pub fn mem_stats() -> MirustMemStats {
        MirustMemStats { total: 0, free: 0, heap: 0, mapped: 0 }
    }

    /// Ends the process with SIGABRT.
    pub fn abort(_reason: &str) -> ! {
        std::process::abort()
    }
}

#[cfg(feature = "xen")]
mod platform {
    use crate::abi::MirustMemStats;

    pub use mirust_rt::diag::console::write as console_write;
    pub use mirust_rt::diag::console::write as error_write;

    /// The platform's name.
    pub const NAME: &str = "xen";

    /// The kernel's command line.
    pub fn command_line() -> String {
        String::new()
    }

    /// Fills the buffer; false without a source of randomness.
    pub fn random(buf: &mut [u8]) -> bool {
        unsafe extern "C" {
            fn getentropy(buf: *mut u8, len: usize) -> i32;
        }
        // SAFETY: each chunk is writable and as long as said; 256 is the most per call.
        buf.chunks_mut(256).all(|c| unsafe { getentropy(c.as_mut_ptr(), c.len()) } == 0)
    }

    /// The memory of the domain.
    pub fn mem_stats() -> MirustMemStats {
        MirustMemStats { total: 0, free: 0, heap: 0, mapped: 0 }
    }

    /// Ends the domain as crashed.
    pub fn abort(_reason: &str) -> ! {
        std::process::abort()
    }
}

pub use platform::*;
