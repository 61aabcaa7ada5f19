//! `memcpy`, `memmove`, `memset`, `memcmp`.
//!
//! In assembly, because rustc compiles a copying loop, even one in `memcpy` itself, to a call of
//! `memcpy`. Three ranges of size: up to 128 bytes with overlapping loads from both ends and no
//! loop; then 64 bytes per turn; from [`REP_MIN`] on with `rep movsb`/`stosb`, whose start-up costs
//! more than that loop takes for less.

use super::asm::{asm_fn, symbol};
use super::process;
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

    "40:",
    "mov r8, rax", // the string instruction takes its byte in al
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret";
    rep_min = const REP_MIN,
);

unsafe extern "C" {
    #[cfg_attr(not(feature = "xen"), link_name = "mirust_host_memmove")]
    fn memmove(dst: *mut c_void, src: *const c_void, n: usize) -> *mut c_void;
    #[cfg_attr(not(feature = "xen"), link_name = "mirust_host_memset")]
    fn memset(dst: *mut c_void, byte: c_int, n: usize) -> *mut c_void;
}

#[cfg_attr(feature = "xen", unsafe(no_mangle))]
unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, n: usize) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { compare(a.cast(), b.cast(), n) }
}

/// Zero when the bytes are equal.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
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

/// `memcpy` of a fortified caller, which knows how many bytes the destination has.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
unsafe extern "C" fn __memcpy_chk(
    dst: *mut c_void,
    src: *const c_void,
    n: usize,
    room: usize,
) -> *mut c_void {
    process::check_room("memcpy", n, room);
    // SAFETY: the contract is the one of `memmove`, which allows more.
    unsafe { memmove(dst, src, n) }
}

/// `memmove` of a fortified caller.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
unsafe extern "C" fn __memmove_chk(
    dst: *mut c_void,
    src: *const c_void,
    n: usize,
    room: usize,
) -> *mut c_void {
    process::check_room("memmove", n, room);
    // SAFETY: the contract is the same.
    unsafe { memmove(dst, src, n) }
}

/// `memset` of a fortified caller.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
unsafe extern "C" fn __memset_chk(
    dst: *mut c_void,
    byte: c_int,
    n: usize,
    room: usize,
) -> *mut c_void {
    process::check_room("memset", n, room);
    // SAFETY: the contract is the same.
    unsafe { memset(dst, byte, n) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const SIZES: [usize; 24] = [
        0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 513, 2049,
        5000,
    ];

    fn pattern(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    #[test]
    fn memmove_is_right_for_all_alignments_and_overlaps() {
        for n in SIZES {
            for from in 0..33 {
                for to in (0..33).chain([from + n / 2, from + n + 70]) {
                    let mut ours = pattern(n * 2 + 160);
                    let mut expected = ours.clone();
                    expected.copy_within(from..from + n, to);
                    let p = ours.as_mut_ptr();
                    // SAFETY: `from + n` and `to + n` are at most `2 * n + 103`.
                    let r = unsafe { memmove(p.add(to).cast(), p.add(from).cast(), n) };
                    assert_eq!(r, p.wrapping_add(to).cast());
                    assert!(ours == expected, "n {n} from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn memset_writes_its_range_and_nothing_else() {
        for n in SIZES {
            for at in 0..17 {
                let mut ours = pattern(n + 40);
                let mut expected = ours.clone();
                expected[at..at + n].fill(0xa5);
                let p = ours.as_mut_ptr();
                // SAFETY: `at + n` is inside the vector. Bits above the low eight do not count.
                let r = unsafe { memset(p.add(at).cast(), 0x7a5, n) };
                assert_eq!(r, p.wrapping_add(at).cast());
                assert!(ours == expected, "n {n} at {at}");
            }
        }
    }

    #[test]
    fn memcmp_has_the_sign_of_the_first_different_byte() {
        for n in [1, 5, 15, 16, 17, 40, 64] {
            for at in 0..n {
                let (mut a, b) = (pattern(n), pattern(n));
                a[at] = b[at] ^ 0x80;
                // SAFETY: both vectors have `n` bytes.
                let (ours, same) = unsafe {
                    (
                        memcmp(a.as_ptr().cast(), b.as_ptr().cast(), n),
                        bcmp(a.as_ptr().cast(), b.as_ptr().cast(), at),
                    )
                };
                assert_eq!(ours.signum(), if a[at] > b[at] { 1 } else { -1 });
                assert_eq!(same, 0);
            }
        }
    }

    /// Nanoseconds per call, ours and the host's:
    /// `cargo test --release -p mirust-rt bench_mem -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn bench_mem() {
        type Copy = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> *mut c_void;
        type Set = unsafe extern "C" fn(*mut c_void, c_int, usize) -> *mut c_void;
        let mut dst = pattern(1 << 20);
        let src = pattern(1 << 20);
        let (d, s) = (dst.as_mut_ptr().cast::<c_void>(), src.as_ptr().cast::<c_void>());
        let time = |calls: usize, f: &mut dyn FnMut()| {
            let run = |f: &mut dyn FnMut()| {
                let start = std::time::Instant::now();
                (0..calls).for_each(|_| f());
                start.elapsed().as_nanos() as f64 / calls as f64
            };
            (0..7).map(|_| run(f)).fold(f64::MAX, f64::min)
        };
        for n in [1, 8, 24, 48, 100, 256, 512, 1024, 1500, 2048, 4096, 16384, 65536, 1 << 20] {
            let calls = (20_000_000 / (n + 100)).max(50);
            let copy = |f: Copy| {
                // SAFETY: both vectors have `n` bytes, and none is read meanwhile.
                time(calls, &mut || unsafe {
                    std::hint::black_box(f(std::hint::black_box(d), s, n));
                })
            };
            let (ours, theirs) = (copy(memmove), copy(host_libc::memcpy));
            let set = |f: Set| {
                // SAFETY: as above.
                time(calls, &mut || unsafe {
                    std::hint::black_box(f(std::hint::black_box(d), 1, n));
                })
            };
            let (ours_set, theirs_set) = (set(memset), set(host_libc::memset));
            std::println!(
                "{n:8}: copy {ours:9.1} / {theirs:9.1} = {:.2}   set {ours_set:9.1} / {theirs_set:9.1} = {:.2}",
                ours / theirs,
                ours_set / theirs_set
            );
        }
    }
}
