//! Memory of Rust that OCaml reads where it is.
//!
//! A Rust value that owns some bytes is boxed and lent to OCaml as a bigarray over these bytes:
//!
//! 1. [`lend`] boxes it behind a [`Head`], which stands where OCaml looks for the *proxy* of a bigarray
//!    that shares its memory: a reference count. OCaml increments it for each part that is cut out of
//!    the bigarray (`Bigarray.Array1.sub` and the like), and a part has the operations of the whole.
//! 2. When the collector finds the bigarray or a part of it dead it calls [`finalize`], which decrements
//!    the count. At the last one nobody in OCaml can reach the bytes any more.
//! 3. The value's own `drop` can be anybody's code, which has no place inside the collector. So the
//!    value is put on a list, and a task drops it; a panic there loses nothing but that value.
//!
//! The operations are OCaml's own for bigarrays but for the finaliser. A lent bigarray is compared, hashed
//! and marshalled like any other; what is unmarshalled is a copy.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use mirust_rt::net::pool::Share;
use ocaml_sys::bigarray::Bigarray;
use ocaml_sys::{Value, field};

use super::bigarray::{Operations, bigarray, caml_ba_ops};
use super::named::Named;
use super::runtime::OCamlRuntime;
use crate::domain;

/// OCaml's `()`.
const UNIT: Value = 1;

fn operations() -> &'static Operations {
    static OURS: OnceLock<Operations> = OnceLock::new();
    // SAFETY: a constant of OCaml's runtime.
    OURS.get_or_init(|| Operations { finalize: Some(finalize), ..unsafe { caml_ba_ops } })
}

/// What stands before the value that owns the bytes.
#[repr(C)]
struct Head {
    /// The proxy. One reference is our own, so that OCaml's finaliser for bigarrays, which frees what
    /// the proxy says, would not find the last one even if it came to be called.
    share: Share,
    len: usize,
    /// In the list of those that are to be dropped.
    next: *mut Head,
    drop: unsafe fn(*mut Head),
}

#[repr(C)]
struct Owner<T> {
    head: Head,
    value: T,
}

const _: () = assert!(std::mem::offset_of!(Head, share) == 0);
const _: () = assert!(std::mem::offset_of!(Owner<u8>, head) == 0);

/// What OCaml holds.
static LENT: (AtomicUsize, AtomicUsize) = (AtomicUsize::new(0), AtomicUsize::new(0));

/// Lent bytes at which OCaml is asked to collect, at least.
const MUCH: usize = 32 << 20;

/// Lent bytes at which it is asked next.
static TOO_MUCH: AtomicUsize = AtomicUsize::new(MUCH);

static COLLECT: Named = Named::new(c"mirust_collect");

/// Values whose bytes nobody can reach, linked by `next`.
static DEAD: AtomicPtr<Head> = AtomicPtr::new(ptr::null_mut());

/// A bigarray over the bytes of `value`, which is dropped some time after OCaml has lost the bigarray
/// and all parts of it. Also where the bytes are, and how many. A value that panics when it is asked for its
/// bytes is leaked.
///
/// # Safety
///
/// The caller may allocate on the OCaml heap.
pub(super) unsafe fn lend<T: AsRef<[u8]> + 'static>(value: T) -> (Value, NonNull<u8>, usize) {
    let share = Share { count: AtomicUsize::new(2), data: ptr::null_mut(), size: 0 };
    let head = Head { share, len: 0, next: ptr::null_mut(), drop: drop_owner::<T> };
    let owner = Box::into_raw(Box::new(Owner { head, value }));
    // SAFETY: just made, and used through this pointer alone. The bytes are asked for once, when the
    // value has its final place; they stay where they are as long as nobody changes or drops it.
    let (base, len) = unsafe {
        // OCaml may come to own a vector, and write to it.
        match (&mut (*owner).value as &mut dyn Any).downcast_mut::<Vec<u8>>() {
            Some(bytes) => (NonNull::from(&mut bytes[..]).cast::<u8>(), bytes.len()),
            None => {
                let bytes = (*owner).value.as_ref();
                (NonNull::from(bytes).cast::<u8>(), bytes.len())
            }
        }
    };
    // SAFETY: as above.
    unsafe { (*owner).head.len = len };
    LENT.0.fetch_add(1, Ordering::Relaxed);
    LENT.1.fetch_add(len, Ordering::Relaxed);
    let proxy: *const Share = owner.cast();
    // SAFETY: the bytes stay until `finalize` has seen the count come down, and the collector hears of
    // them as it does of its own.
    let v_bytes = unsafe { bigarray(operations(), base, len, proxy, len) };
    (v_bytes, base, len)
}

/// Has OCaml collect if much is lent. Its own pace usually sees to that, but OCaml 5 holds it back after
/// collections that somebody forced.
pub(super) fn bound(ocaml: &mut OCamlRuntime) {
    if LENT.1.load(Ordering::Relaxed) < TOO_MUCH.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: the function takes unit. What it may raise came from somebody's finaliser.
    unsafe { COLLECT.call(ocaml, || UNIT) };
    // What is left is in use. It may double before the next try.
    let left = LENT.1.load(Ordering::Relaxed);
    TOO_MUCH.store(MUCH.max(2 * left), Ordering::Relaxed);
}

/// # Safety
///
/// The head of an owner of a `T`, from its box, to which nothing refers any more.
unsafe fn drop_owner<T>(head: *mut Head) {
    // SAFETY: the caller's promise; the head is the owner's first field.
    drop(unsafe { Box::from_raw(head.cast::<Owner<T>>()) });
}

/// OCaml: this bigarray, lent or cut out of a lent one, is dead. Runs inside the collector, where
/// nothing may be allocated on the OCaml heap.
///
/// # Safety
///
/// Only the collector calls it, once for each bigarray that has the operations of this file.
unsafe extern "C" fn finalize(v_bytes: Value) {
    // SAFETY: a bigarray, whose description follows the pointer to its operations.
    let proxy = unsafe { (*field(v_bytes, 1).cast::<Bigarray>()).proxy };
    let head = proxy.cast::<Head>().cast_mut();
    // SAFETY: only bigarrays of `lend` and parts of them have these operations, and so this proxy; it
    // stays until its count has come down.
    if unsafe { (*head).share.count.fetch_sub(1, Ordering::AcqRel) } != 2 {
        return;
    }
    // SAFETY: nobody else refers to it now.
    let len = unsafe { (*head).len };
    LENT.0.fetch_sub(1, Ordering::Relaxed);
    LENT.1.fetch_sub(len, Ordering::Relaxed);
    let mut first = DEAD.load(Ordering::Relaxed);
    loop {
        // SAFETY: as above.
        unsafe { (*head).next = first };
        match DEAD.compare_exchange_weak(first, head, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => first = now,
        }
    }
    if first.is_null() {
        domain::spawn(async { bury() });
    }
}

/// Drops the values that nobody needs.
fn bury() {
    let mut next = DEAD.swap(ptr::null_mut(), Ordering::Acquire);
    while !next.is_null() {
        let head = next;
        // SAFETY: taking the list gave us everything on it.
        let drop = unsafe {
            next = (*head).next;
            (*head).drop
        };
        // SAFETY: as above, and dropped once. The panic hook has said what there is to say.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| unsafe { drop(head) })) {
            // It may panic as well when it is dropped.
            std::mem::forget(payload);
        }
    }
}

/// How many values of Rust have their bytes with OCaml, and how many bytes that is: given to
/// [`Buffer::own`](super::Buffer::own), and not yet found dead by OCaml's collector.
pub fn bytes_lent() -> (usize, usize) {
    (LENT.0.load(Ordering::Relaxed), LENT.1.load(Ordering::Relaxed))
}
