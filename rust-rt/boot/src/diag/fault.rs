//! What a CPU exception was, in words.

use crate::memory_map::{NULL_END, Range};
use core::fmt;

/// The parts of the image that a fault is explained by.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Machine code.
    pub text: Range,
    /// Constants.
    pub rodata: Range,
    /// Variables.
    pub data: Range,
    /// Unmapped pages below the boot stack.
    pub guard: Range,
    /// The thread whose stack has such pages where the access was.
    pub thread: Option<&'static str>,
}

/// A CPU exception. Displays as one line.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Number of the exception.
    pub vector: u64,
    /// Error code, 0 where the exception has none.
    pub error: u64,
    /// CR2: which address a page fault was about.
    pub address: u64,
    /// What lies where.
    pub parts: Parts,
}

/// Names of the exceptions (Intel SDM, volume 3, table 6-1).
const NAMES: [&str; 22] = [
    "divide error",
    "debug exception",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "floating-point unit not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack-segment fault",
    "general protection fault",
    "page fault",
    "reserved exception",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization exception",
    "control protection exception",
];

/// Vector of the page fault.
pub const PAGE_FAULT: u64 = 14;

impl Fault {
    fn page_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (present, write, fetch) =
            (self.error & 1 != 0, self.error & 2 != 0, self.error & 16 != 0);
        let inside = |part: Range| part.contains(Range { start: self.address, end: self.address });
        let what = if fetch {
            "jump to"
        } else if write {
            "write to"
        } else {
            "read from"
        };
        let owner = self.parts.thread.unwrap_or("");
        let (kind, place) = if !owner.is_empty() {
            ("stack overflow", "guard page below the stack of ")
        } else if self.address < NULL_END {
            ("page fault", "null page")
        } else if inside(self.parts.guard) {
            ("stack overflow", "guard page below the boot stack")
        } else if inside(self.parts.text) {
            ("page fault", "read-only text")
        } else if inside(self.parts.rodata) {
            ("page fault", "read-only data")
        } else if present && fetch {
            ("page fault", "data, not executable")
        } else if present {
            ("page fault", "protected page")
        } else {
            ("page fault", "not mapped")
        };
        write!(f, "{kind}: {what} {:#x} ({place}{owner})", self.address)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vector == PAGE_FAULT {
            return self.page_fault(f);
        }
        f.write_str(NAMES.get(self.vector as usize).unwrap_or(&"reserved exception"))?;
        if self.error != 0 { write!(f, " (error code {:#x})", self.error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn text(vector: u64, error: u64, address: u64) -> alloc::string::String {
        let parts = Parts {
            text: Range { start: 0x100000, end: 0x140000 },
            rodata: Range { start: 0x140000, end: 0x150000 },
            data: Range { start: 0x150000, end: 0x250000 },
            guard: Range { start: 0x250000, end: 0x254000 },
            thread: (address >> 40 == 0x44).then_some("thread 7"),
        };
        Fault { vector, error, address, parts }.to_string()
    }

    #[test]
    fn page_faults_say_what_and_where() {
        for (error, address, expected) in [
            (2, 0, "page fault: write to 0x0 (null page)"),
            (0, 0x18, "page fault: read from 0x18 (null page)"),
            (16, 0, "page fault: jump to 0x0 (null page)"),
            (
                2,
                0x4400_0000_0ff8,
                "stack overflow: write to 0x440000000ff8 (guard page below the stack of thread 7)",
            ),
            (2, 0x253ff8, "stack overflow: write to 0x253ff8 (guard page below the boot stack)"),
            (3, 0x100010, "page fault: write to 0x100010 (read-only text)"),
            (3, 0x140010, "page fault: write to 0x140010 (read-only data)"),
            (17, 0x140010, "page fault: jump to 0x140010 (read-only data)"),
            (17, 0x150010, "page fault: jump to 0x150010 (data, not executable)"),
            (1, 0x7000_0000_0000, "page fault: read from 0x700000000000 (protected page)"),
            (0, 0x7000_0000_0000, "page fault: read from 0x700000000000 (not mapped)"),
        ] {
            assert_eq!(text(PAGE_FAULT, error, address), expected);
        }
    }

    #[test]
    fn other_exceptions_have_names_and_error_codes() {
        assert_eq!(text(0, 0, 0), "divide error");
        assert_eq!(text(13, 0x18, 0), "general protection fault (error code 0x18)");
        assert_eq!(text(21, 0, 0), "control protection exception");
        assert_eq!(text(99, 0, 0), "reserved exception");
    }
}
