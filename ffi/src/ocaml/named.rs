//! OCaml functions that the OCaml library has registered by name.

use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use ocaml_sys::Value as Raw;

use super::runtime::{self, OCamlRuntime};

/// A function known by name. Its root is looked up once: OCaml never moves or removes it.
pub(super) struct Named {
    name: &'static CStr,
    /// What is to be done if it is missing.
    remedy: &'static str,
    root: AtomicPtr<Raw>,
}

impl Named {
    pub(super) const fn new(name: &'static CStr) -> Self {
        Self::with_remedy(name, "is the library linked?")
    }

    /// One that a program has to ask for.
    pub(super) const fn with_remedy(name: &'static CStr, remedy: &'static str) -> Self {
        Named { name, remedy, root: AtomicPtr::new(null_mut()) }
    }

    /// The closure now. Panics if nothing has that name.
    #[inline]
    fn closure(&self) -> Raw {
        let mut root = self.root.load(Ordering::Relaxed);
        if root.is_null() {
            // SAFETY: a C string; the result is null or points to a root that stays.
            root = unsafe { ocaml_sys::caml_named_value(self.name.as_ptr()) }.cast_mut();
            assert!(!root.is_null(), "OCaml has no {:?}: {}", self.name, self.remedy);
            self.root.store(root, Ordering::Relaxed);
        }
        // SAFETY: not null, and a root of OCaml's.
        unsafe { *root }
    }

    /// Calls it with one argument. The result may be an encoded exception.
    ///
    /// # Safety
    ///
    /// `argument` gives a value of the type that the function takes; it is called last of all.
    #[inline]
    pub(super) unsafe fn call(&self, _: &mut OCamlRuntime, argument: impl FnOnce() -> Raw) -> Raw {
        let closure = self.closure();
        let _lent = runtime::lend();
        // SAFETY: the caller's promise; its borrow of the runtime is lent to what runs now.
        unsafe { ocaml_sys::caml_callback_exn(closure, argument()) }
    }

    /// Calls it with two arguments. The result may be an encoded exception.
    ///
    /// # Safety
    ///
    /// As [`call`](Self::call).
    #[inline]
    pub(super) unsafe fn call2(
        &self,
        _: &mut OCamlRuntime,
        arguments: impl FnOnce() -> (Raw, Raw),
    ) -> Raw {
        let closure = self.closure();
        let _lent = runtime::lend();
        let (first, second) = arguments();
        // SAFETY: as in `call`.
        unsafe { ocaml_sys::caml_callback2_exn(closure, first, second) }
    }
}
