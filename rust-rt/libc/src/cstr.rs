//! Strings that end in NUL, as the other files read them.

use super::asm::asm_fn;
use core::ffi::c_char;

// rdi: the string. Aligned 16-byte loads never cross into a page that the string is not in.
asm_fn!("strlen":
    "mov rax, rdi",
    "and rax, -16",
    "pxor xmm0, xmm0",
    "movdqa xmm1, [rax]",
    "pcmpeqb xmm1, xmm0",
    "pmovmskb edx, xmm1",
    "mov ecx, edi",
    "and ecx, 15",
    "shr edx, cl", // drops the bytes before the string
    "test edx, edx",
    "jnz 3f",
    "2:",
    "add rax, 16",
    "movdqa xmm1, [rax]",
    "pcmpeqb xmm1, xmm0",
    "pmovmskb edx, xmm1",
    "test edx, edx",
    "jz 2b",
    "bsf edx, edx",
    "sub rax, rdi",
    "add rax, rdx",
    "ret",
    "3:",
    "bsf eax, edx",
    "ret";
);

// SAFETY: the assembly above defines it, by C's contract.
unsafe extern "C" {
    /// Bytes before the NUL.
    #[cfg_attr(not(feature = "symbols"), link_name = "mirust_host_strlen")]
    pub(super) fn strlen(s: *const c_char) -> usize;
}

/// The length of the string, or `max` when there is no NUL in that many bytes.
///
/// # Safety
///
/// `s` is readable up to its NUL or for `max` bytes.
pub(super) unsafe fn len_at_most(s: *const c_char, max: usize) -> usize {
    // SAFETY: as the caller says.
    unsafe { find(s.cast(), 0, 0..max) }.unwrap_or(max)
}

/// The index of the first of `n` bytes, or of the last one, that is `byte`.
///
/// # Safety
///
/// The bytes are readable up to the one that is found.
pub(super) unsafe fn find(
    s: *const u8,
    byte: u8,
    mut indices: impl Iterator<Item = usize>,
) -> Option<usize> {
    // SAFETY: as the caller says.
    indices.find(|&i| unsafe { *s.add(i) } == byte)
}

/// The string without its NUL.
///
/// # Safety
///
/// `s` is a C string that nobody writes to during `'a`.
pub(crate) unsafe fn bytes<'a>(s: *const c_char) -> &'a [u8] {
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts(s.cast(), strlen(s)) }
}
