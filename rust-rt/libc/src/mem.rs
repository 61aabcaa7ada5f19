//! `memcpy`, `memmove`, `memset`, `memcmp`.
//!
//! In assembly, because rustc compiles a copying loop, even one in `memcpy` itself, to a call of
//! `memcpy`. Three ranges of size: up to 128 bytes with overlapping loads from both ends and no
//! loop; then 64 bytes per turn; from [`REP_MIN`] on with `rep movsb`/`stosq`, whose start-up costs
//! more than that loop takes for less.

use super::asm::{asm_fn, symbol};
use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8};
use core::ffi::{c_int, c_void};

/// From this size on the string instructions win (measured by the `bench` test below).
const REP_MIN: usize = 2048;

// rdi: destination, rsi: source, rdx: length; rax: the destination again. All loads of a block
// come before its stores, so the ranges may overlap; memcpy is the same code.
asm_fn!("memmove":
    concat!(".globl ", symbol!("memcpy")),
    concat!(".set ", symbol!("memcpy"), ", ", symbol!("memmove")),
    "mov rax, rdi",
    "cmp rdx, 16",
    "jb 20f",
    "cmp rdx, 32",
    "ja 10f",
    "movups xmm0, [rsi]",
    "movups xmm1, [rsi + rdx - 16]",
    "movups [rdi], xmm0",
    "movups [rdi + rdx - 16], xmm1",
    "ret",

    "10:", // 33 to 128
    "cmp rdx, 128",
    "ja 30f",
    "movups xmm0, [rsi]",
    "movups xmm1, [rsi + 16]",
    "movups xmm2, [rsi + rdx - 32]",
    "movups xmm3, [rsi + rdx - 16]",
    "cmp rdx, 64",
    "jbe 11f",
    "movups xmm4, [rsi + 32]",
    "movups xmm5, [rsi + 48]",
    "movups xmm6, [rsi + rdx - 64]",
    "movups xmm7, [rsi + rdx - 48]",
    "movups [rdi + 32], xmm4",
    "movups [rdi + 48], xmm5",
    "movups [rdi + rdx - 64], xmm6",
    "movups [rdi + rdx - 48], xmm7",
    "11:",
    "movups [rdi], xmm0",
    "movups [rdi + 16], xmm1",
    "movups [rdi + rdx - 32], xmm2",
    "movups [rdi + rdx - 16], xmm3",
    "ret",

    "20:", // 0 to 15
    "cmp edx, 8",
    "jb 21f",
    "mov rcx, [rsi]",
    "mov r8, [rsi + rdx - 8]",
    "mov [rdi], rcx",
    "mov [rdi + rdx - 8], r8",
    "ret",
    "21:",
    "cmp edx, 4",
    "jb 22f",
    "mov ecx, [rsi]",
    "mov r8d, [rsi + rdx - 4]",
    "mov [rdi], ecx",
    "mov [rdi + rdx - 4], r8d",
    "ret",
    "22:",
    "test edx, edx",
    "jz 23f",
    "movzx ecx, byte ptr [rsi]",
    "cmp edx, 1",
    "je 24f",
    "movzx r8d, word ptr [rsi + rdx - 2]",
    "mov [rdi + rdx - 2], r8w",
    "24:",
    "mov [rdi], cl",
    "23:",
    "ret",

    "30:", // 129 and more
    "mov rcx, rdi",
    "sub rcx, rsi",
    "cmp rcx, rdx",
    "jb 40f", // the destination begins inside the source: backwards
    "cmp rdx, {rep_min}",
    "jae 50f",
    "31:", // forwards: the first 16 and the last 64 bytes are stored at the end
    "movups xmm4, [rsi + rdx - 64]",
    "movups xmm5, [rsi + rdx - 48]",
    "movups xmm6, [rsi + rdx - 32]",
    "movups xmm7, [rsi + rdx - 16]",
    "movups xmm8, [rsi]",
    "lea r8, [rdi + rdx - 64]", // where the tail goes
    "lea rcx, [rdi + 16]",
    "and rcx, -16", // stores are aligned from here on
    "mov r9, rcx",
    "sub r9, rdi",
    "add rsi, r9",
    "32:",
    "movups xmm0, [rsi]",
    "movups xmm1, [rsi + 16]",
    "movups xmm2, [rsi + 32]",
    "movups xmm3, [rsi + 48]",
    "movaps [rcx], xmm0",
    "movaps [rcx + 16], xmm1",
    "movaps [rcx + 32], xmm2",
    "movaps [rcx + 48], xmm3",
    "add rsi, 64",
    "add rcx, 64",
    "cmp rcx, r8",
    "jb 32b",
    "movups [r8], xmm4",
    "movups [r8 + 16], xmm5",
    "movups [r8 + 32], xmm6",
    "movups [r8 + 48], xmm7",
    "movups [rdi], xmm8",
    "ret",

    "40:", // backwards: the last 16 and the first 64 bytes are stored at the end
    "movups xmm4, [rsi]",
    "movups xmm5, [rsi + 16]",
    "movups xmm6, [rsi + 32]",
    "movups xmm7, [rsi + 48]",
    "movups xmm8, [rsi + rdx - 16]",
    "lea r8, [rdi + rdx - 16]", // where the last 16 go
    "lea rcx, [rdi + rdx - 1]",
    "and rcx, -16", // the end of the aligned stores
    "mov r9, rcx",
    "sub r9, rdi",
    "add rsi, r9",
    "lea r9, [rdi + 64]",
    "41:",
    "movups xmm0, [rsi - 16]",
    "movups xmm1, [rsi - 32]",
    "movups xmm2, [rsi - 48]",
    "movups xmm3, [rsi - 64]",
    "movaps [rcx - 16], xmm0",
    "movaps [rcx - 32], xmm1",
    "movaps [rcx - 48], xmm2",
    "movaps [rcx - 64], xmm3",
    "sub rsi, 64",
    "sub rcx, 64",
    "cmp rcx, r9",
    "ja 41b",
    "movups [rdi], xmm4",
    "movups [rdi + 16], xmm5",
    "movups [rdi + 32], xmm6",
    "movups [rdi + 48], xmm7",
    "movups [r8], xmm8",
    "ret",

    "50:", // `rep movsb` is slow when the ranges overlap
    "mov rcx, rsi",
    "sub rcx, rdi",
    "cmp rcx, rdx",
    "jb 31b",
    "mov rcx, rdx",
    "rep movsb",
    "ret";
    rep_min = const REP_MIN,
);

// rdi: destination, esi: the byte, rdx: length; rax: the destination again.
asm_fn!("memset":
    "mov rax, rdi",
    "movzx esi, sil",
    "mov rcx, 0x0101010101010101",
    "imul rsi, rcx",
    "cmp rdx, 16",
    "jb 20f",
    "movq xmm0, rsi",
    "punpcklqdq xmm0, xmm0",
    "cmp rdx, 128",
    "ja 30f",
    "movups [rdi], xmm0",
    "movups [rdi + rdx - 16], xmm0",
    "cmp rdx, 32",
    "jbe 10f",
    "movups [rdi + 16], xmm0",
    "movups [rdi + rdx - 32], xmm0",
    "cmp rdx, 64",
    "jbe 10f",
    "movups [rdi + 32], xmm0",
    "movups [rdi + 48], xmm0",
    "movups [rdi + rdx - 64], xmm0",
    "movups [rdi + rdx - 48], xmm0",
    "10:",
    "ret",

    "20:", // 0 to 15
    "cmp edx, 8",
    "jb 21f",
    "mov [rdi], rsi",
    "mov [rdi + rdx - 8], rsi",
    "ret",
    "21:",
    "cmp edx, 4",
    "jb 22f",
    "mov [rdi], esi",
    "mov [rdi + rdx - 4], esi",
    "ret",
    "22:",
    "test edx, edx",
    "jz 23f",
    "mov [rdi], sil",
    "cmp edx, 1",
    "je 23f",
    "mov [rdi + rdx - 2], si",
    "23:",
    "ret",

    "30:", // 129 and more
    "cmp rdx, {rep_min}",
    "jae 40f",
    "movups [rdi], xmm0",
    "lea r8, [rdi + rdx - 64]",
    "lea rcx, [rdi + 16]",
    "and rcx, -16",
    "31:",
    "movaps [rcx], xmm0",
    "movaps [rcx + 16], xmm0",
    "movaps [rcx + 32], xmm0",
    "movaps [rcx + 48], xmm0",
    "add rcx, 64",
    "cmp rcx, r8",
    "jb 31b",
    "movups [r8], xmm0",
    "movups [r8 + 16], xmm0",
    "movups [r8 + 32], xmm0",
    "movups [r8 + 48], xmm0",
    "ret",

    "40:", // both ends, and between them whole aligned words: an emulator takes a turn for each
    "mov r8, rax", // the string instruction takes its word in rax
    "movups [rdi], xmm0",
    "movups [rdi + rdx - 16], xmm0",
    "lea rcx, [rdi + rdx]",
    "add rdi, 16",
    "and rdi, -16",
    "sub rcx, rdi",
    "shr rcx, 3",
    "mov rax, rsi",
    "rep stosq",
    "mov rax, r8",
    "ret";
    rep_min = const REP_MIN,
);

// SAFETY: the assembly above defines both, by C's contract.
unsafe extern "C" {
    #[cfg_attr(not(feature = "symbols"), link_name = "mirust_host_memmove")]
    pub(super) fn memmove(dst: *mut c_void, src: *const c_void, n: usize) -> *mut c_void;
    #[cfg_attr(not(feature = "symbols"), link_name = "mirust_host_memset")]
    pub(super) fn memset(dst: *mut c_void, byte: c_int, n: usize) -> *mut c_void;
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, n: usize) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { compare(a.cast(), b.cast(), n) }
}

/// Zero when the bytes are equal.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, n: usize) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { compare(a.cast(), b.cast(), n) }
}

/// Compares 16 bytes per turn; the sign is that of the first different byte, taken as unsigned.
///
/// # Safety
///
/// `n` bytes are readable at both.
unsafe fn compare(a: *const u8, b: *const u8, n: usize) -> c_int {
    let mut i = 0;
    while i + 16 <= n {
        // SAFETY: the caller vouches for `n` bytes at both pointers and `i + 16 <= n`; the loads
        // are unaligned ones.
        let equal = unsafe {
            let (x, y) = (_mm_loadu_si128(a.add(i).cast()), _mm_loadu_si128(b.add(i).cast()));
            _mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) as u32
        };
        if equal != 0xffff {
            let at = i + equal.trailing_ones() as usize;
            // SAFETY: `at < i + 16 <= n`.
            return unsafe { c_int::from(*a.add(at)) - c_int::from(*b.add(at)) };
        }
        i += 16;
    }
    while i < n {
        // SAFETY: `i < n`.
        let (x, y) = unsafe { (*a.add(i), *b.add(i)) };
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
        i += 1;
    }
    0
}

#[cfg(test)]
mod tests;
