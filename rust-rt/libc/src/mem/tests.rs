//! The blocks of memory against Rust's slices, and a measurement against the host.

use super::*;
use std::vec::Vec;

const SIZES: [usize; 24] = [
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 513, 2049, 5000,
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
/// `cargo test --release -p mirust-libc bench_mem -- --ignored --nocapture`.
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
