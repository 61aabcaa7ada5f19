//! `qsort` and `qsort_r`.

use core::ffi::{c_int, c_void};
use core::ptr;

/// C's order of two elements: negative, zero or positive.
type Order = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;
/// The same, that gets what the caller of `qsort_r` has for it.
type OrderWith = unsafe extern "C" fn(*const c_void, *const c_void, *mut c_void) -> c_int;

/// Elements of one size, one behind the other.
struct Elements {
    first: *mut u8,
    size: usize,
    order: OrderWith,
    with: *mut c_void,
}

impl Elements {
    /// Whether the element `a` comes before the element `b`.
    ///
    /// # Safety
    ///
    /// Both are indices of elements.
    unsafe fn is_less(&self, a: usize, b: usize) -> bool {
        // SAFETY: both are in bounds, and `order` takes pointers to elements.
        unsafe {
            let (a, b) = (self.first.add(a * self.size), self.first.add(b * self.size));
            (self.order)(a.cast(), b.cast(), self.with) < 0
        }
    }

    /// # Safety
    ///
    /// Both are indices of elements, and not the same.
    unsafe fn swap(&self, a: usize, b: usize) {
        // SAFETY: both are in bounds, and different elements do not overlap.
        unsafe {
            let (a, b) = (self.first.add(a * self.size), self.first.add(b * self.size));
            ptr::swap_nonoverlapping(a, b, self.size);
        }
    }

    /// Makes the first `count` elements a heap below `place`, in which none is less than those below it. They are
    /// one already but for the element at `place`.
    ///
    /// # Safety
    ///
    /// There are `count` elements.
    unsafe fn sink(&self, mut place: usize, count: usize) {
        loop {
            let mut child = 2 * place + 1;
            if child >= count {
                return;
            }
            // SAFETY: `place` < `child` < `count`, and the child's neighbour is looked at if it is below `count`, too.
            unsafe {
                if child + 1 < count && self.is_less(child, child + 1) {
                    child += 1;
                }
                if !self.is_less(place, child) {
                    return;
                }
                self.swap(place, child);
            }
            place = child;
        }
    }
}

/// Sorts `count` elements of `size` bytes by a heap: without memory of its own, and in n log n steps whatever order
/// they come in. Equal elements may change places, as C allows.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn qsort(first: *mut c_void, count: usize, size: usize, order: Order) {
    // SAFETY: a function of two arguments may be called with three by the System V ABI. The rest is the same.
    unsafe {
        let order = core::mem::transmute::<Order, OrderWith>(order);
        qsort_r(first, count, size, order, ptr::null_mut());
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn qsort_r(
    first: *mut c_void,
    count: usize,
    size: usize,
    order: OrderWith,
    with: *mut c_void,
) {
    let elements = Elements { first: first.cast(), size, order, with };
    for place in (0..count / 2).rev() {
        // SAFETY: the caller's array has `count` elements.
        unsafe { elements.sink(place, count) };
    }
    for last in (1..count).rev() {
        // SAFETY: as above, and `last` is neither 0 nor beyond the end.
        unsafe {
            elements.swap(0, last);
            elements.sink(0, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    unsafe extern "C" fn by_first_byte(a: *const c_void, b: *const c_void) -> c_int {
        // SAFETY: both are elements of three bytes.
        unsafe { c_int::from(a.cast::<u8>().read()) - c_int::from(b.cast::<u8>().read()) }
    }

    #[test]
    fn the_order_gets_what_is_for_it() {
        unsafe extern "C" fn downwards(
            a: *const c_void,
            b: *const c_void,
            n: *mut c_void,
        ) -> c_int {
            // SAFETY: both are bytes, and the last is a counter.
            unsafe {
                *n.cast::<u32>() += 1;
                c_int::from(b.cast::<u8>().read()) - c_int::from(a.cast::<u8>().read())
            }
        }
        let (mut bytes, mut n) = (*b"sorted downwards", 0u32);
        // SAFETY: so many elements of one byte.
        unsafe {
            qsort_r(bytes.as_mut_ptr().cast(), 16, 1, downwards, (&raw mut n).cast());
        }
        assert!(n > 15);
        assert_eq!(&bytes, b"wwtssrrooneddda ");
    }

    #[test]
    fn elements_of_odd_size_are_sorted_whole() {
        for count in 0..40_u32 {
            // Numbers without order, of which some come twice.
            let key = |i: u32| (i.wrapping_mul(2_654_435_761) >> 27) as u8;
            let mut elements: Vec<[u8; 3]> =
                (0..count).map(|i| [key(i), i as u8, !key(i)]).collect();
            let mut wanted = elements.clone();
            // SAFETY: the vector has so many elements of that size.
            unsafe { qsort(elements.as_mut_ptr().cast(), elements.len(), 3, by_first_byte) };
            assert!(elements.is_sorted_by_key(|element| element[0]));
            wanted.sort();
            elements.sort();
            assert_eq!(elements, wanted);
        }
    }
}
