//! Numbers of `<stdlib.h>`: absolute values, quotients, and those that only look random.

use super::integer;
use core::ffi::{c_char, c_int, c_long, c_longlong, c_uint, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn abs(n: c_int) -> c_int {
    n.wrapping_abs()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn labs(n: c_long) -> c_long {
    n.wrapping_abs()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn llabs(n: c_longlong) -> c_longlong {
    n.wrapping_abs()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn imaxabs(n: i64) -> i64 {
    n.wrapping_abs()
}

/// A quotient and what is left, as a C structure.
#[repr(C)]
#[derive(PartialEq, Debug)]
struct Divided<T>(T, T);

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn div(a: c_int, b: c_int) -> Divided<c_int> {
    Divided(a.wrapping_div(b), a.wrapping_rem(b))
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn ldiv(a: c_long, b: c_long) -> Divided<c_long> {
    Divided(a.wrapping_div(b), a.wrapping_rem(b))
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn lldiv(a: c_longlong, b: c_longlong) -> Divided<c_longlong> {
    Divided(a.wrapping_div(b), a.wrapping_rem(b))
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn atoll(text: *const c_char) -> c_longlong {
    // SAFETY: the contract is the same.
    unsafe { integer::atol(text) }
}

/// An element that is `key` by this order, or NULL.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn bsearch(
    key: *const c_void,
    first: *const c_void,
    count: usize,
    size: usize,
    order: unsafe extern "C" fn(*const c_void, *const c_void) -> c_int,
) -> *mut c_void {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        let element = first.wrapping_byte_add(middle * size);
        // SAFETY: one of the elements, in the order that the caller sorted them by.
        match unsafe { order(key, element) } {
            0 => return element.cast_mut(),
            ..0 => high = middle,
            _ => low = middle + 1,
        }
    }
    ptr::null_mut()
}

/// The state of `rand` and of `random`.
static STATE: AtomicU64 = AtomicU64::new(1);

/// The next of a row of numbers that goes through all states.
fn next(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

/// 31 bits that only look random: the row of another C library than glibc.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn rand() -> c_int {
    let state = next(STATE.load(Ordering::Relaxed));
    STATE.store(state, Ordering::Relaxed);
    (state >> 33) as c_int
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn srand(seed: c_uint) {
    STATE.store(seed.into(), Ordering::Relaxed);
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn random() -> c_long {
    rand().into()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn srandom(seed: c_uint) {
    srand(seed);
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn rand_r(seed: *mut c_uint) -> c_int {
    // SAFETY: writable by contract.
    unsafe {
        let state = next(next(u64::from(*seed)));
        *seed = (state >> 32) as c_uint;
        (state >> 33) as c_int
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_those_of_the_host() {
        for (a, b) in [(7, 2), (-7, 2), (7, -2), (0, 5), (c_int::MIN, 3)] {
            assert_eq!(div(a, b), Divided(a / b, a % b));
            assert_eq!(ldiv(a.into(), b.into()), Divided(i64::from(a / b), i64::from(a % b)));
        }
        assert_eq!((abs(-3), labs(-4), llabs(5), imaxabs(i64::MIN)), (3, 4, 5, i64::MIN));
    }

    #[test]
    fn every_element_is_found_and_nothing_else() {
        unsafe extern "C" fn order(a: *const c_void, b: *const c_void) -> c_int {
            // SAFETY: numbers, both.
            unsafe { a.cast::<c_int>().read() - b.cast::<c_int>().read() }
        }
        let numbers: [c_int; 7] = [1, 3, 5, 7, 9, 11, 13];
        for count in 0..=numbers.len() {
            for key in 0..15 {
                // SAFETY: that many numbers are there, in order.
                let found = unsafe {
                    bsearch((&raw const key).cast(), numbers.as_ptr().cast(), count, 4, order)
                };
                let wanted = numbers[..count].iter().position(|&n| n == key);
                let at = wanted.map_or(ptr::null(), |at| numbers.as_ptr().wrapping_add(at));
                assert_eq!(found.cast_const().cast(), at);
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_row_again() {
        let row = || -> [c_int; 8] {
            srand(42);
            core::array::from_fn(|_| rand())
        };
        let first = row();
        assert_eq!(row(), first);
        assert!(first.iter().all(|&n| n >= 0) && first.windows(2).all(|two| two[0] != two[1]));
        let mut seed = 7;
        // SAFETY: writable.
        let two = unsafe { [rand_r(&raw mut seed), rand_r(&raw mut seed)] };
        assert_ne!(two[0], two[1]);
    }

    #[test]
    fn long_integers_have_all_their_bits() {
        // SAFETY: C strings.
        unsafe {
            assert_eq!(atoll(c"-9223372036854775808x".as_ptr()), i64::MIN);
        }
    }
}
