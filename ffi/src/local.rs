//! State that exists once per domain.
//!
//! In an image every thread belongs to the domain: all of them must see the same table of what OCaml awaits. There is
//! one thread of execution, so a plain static does, without thread-local storage. In a Linux process the domain belongs
//! to one thread of many; any other thread has a copy of its own, which is empty.

/// Declares it, in the form of `thread_local!` with constant values.
#[cfg(not(feature = "xen"))]
macro_rules! domain_local {
    ($($declaration:tt)*) => { ::std::thread_local! { $($declaration)* } };
}

/// Declares it, in the form of `thread_local!` with constant values.
#[cfg(feature = "xen")]
macro_rules! domain_local {
    ($($(#[$doc:meta])* static $name:ident: $type:ty = const $value:block;)*) => {$(
        $(#[$doc])*
        static $name: $crate::local::Local<$type> = $crate::local::Local::new($value);
    )*};
}

pub(crate) use domain_local;

#[cfg(feature = "xen")]
mod image {
    use std::cell::Cell;
    #[cfg(any(feature = "descriptors", feature = "ocaml"))]
    use std::cell::RefCell;

    /// As much of `std::thread::LocalKey` as is used here.
    pub(crate) struct Local<T>(T);

    // SAFETY: an image has one thread of execution, which is where its threads take turns; none of them
    // is switched away from inside the methods below, because nothing in there blocks.
    unsafe impl<T> Sync for Local<T> {}

    impl<T> Local<T> {
        pub(crate) const fn new(value: T) -> Self {
            Local(value)
        }
    }

    impl<T: Copy> Local<Cell<T>> {
        #[inline]
        pub(crate) fn get(&self) -> T {
            self.0.get()
        }

        #[inline]
        pub(crate) fn set(&self, value: T) {
            self.0.set(value)
        }
    }

    #[cfg(any(feature = "descriptors", feature = "ocaml"))]
    impl<T> Local<RefCell<T>> {
        #[inline]
        pub(crate) fn with_borrow_mut<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(&mut self.0.borrow_mut())
        }

        #[cfg(feature = "ocaml")]
        #[inline]
        pub(crate) fn with_borrow<R>(&self, f: impl FnOnce(&T) -> R) -> R {
            f(&self.0.borrow())
        }
    }
}

#[cfg(feature = "xen")]
pub(crate) use image::Local;
