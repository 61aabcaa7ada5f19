//! Rust values that OCaml owns.
//!
//! OCaml has a custom block that holds an `Rc<dyn Any>`. What becomes of it:
//!
//! 1. An exported function returns the value. The block is made, the collector is told the value's
//!    size, and a place in the queue of the dead is reserved.
//! 2. A function gets the block back. The type inside is compared with the one that is asked for: OCaml's
//!    types say that they agree, but a hand-written `external`, or `Obj.magic`, can say anything.
//! 3. The collector finds the block dead. Its finaliser moves the `Rc` to the queue and wakes a task. It neither
//!    allocates nor runs a destructor: that may call OCaml, panic, or take long, none of which is possible inside the
//!    collector.
//! 4. The task drops it, from the loop.
//!
//! OCaml code that never returns to the loop cannot pile up dead values: if there are many of them, or large ones,
//! making another value drops some first.

use std::any::{Any, type_name};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ocaml_interop::{BoxRoot, OCaml, OCamlRef};
use ocaml_sys::{custom_operations, field, is_block, tag_val};

use super::compound::{Part, ReturnPart, held_as_it_is};
use super::export::{Argument, Raw, Return, Rooted, Scope};
use super::pass::Pass;
use super::runtime::{self, OCamlRuntime};
use crate::domain;

/// A Rust type whose values OCaml can own.
///
/// `#[mirust::export]` on an `impl` block implements it. A value returned by an exported function moves to
/// OCaml, whose collector decides when it is dead; an `Rc<T>` is shared, and dropped with its last owner in
/// either language. As an argument it comes back borrowed (`&T`), or shared (`Rc<T>`) if OCaml can run
/// before the function returns. Rust only ever sees it through a shared reference: use `Cell` or `RefCell`
/// for what changes.
///
/// The destructor runs in the loop, some time after the last reference is gone; if OCaml creates many values
/// without a turn of the loop, it runs inside a call that creates another. At the end of the program it may
/// not run at all. A panic in it is only logged. A value that holds a [`BoxRoot`] of something that refers
/// to the value keeps itself alive for ever.
///
/// To OCaml the values are abstract: comparing or marshalling them raises as for any abstract type, and
/// `Hashtbl.hash` is the same for all. Passing a value where another type is expected raises `Mirust.Panic`.
///
/// ```
/// # fn compiles() {
/// use std::cell::Cell;
///
/// /// Counts.
/// struct Counter(Cell<isize>);
///
/// #[mirust::export]
/// impl Counter {
///     /// A counter that begins at `n`.
///     fn new(n: isize) -> Self {
///         Counter(Cell::new(n))
///     }
///
///     /// The next number.
///     fn next(&self) -> isize {
///         self.0.replace(self.0.get() + 1)
///     }
/// }
/// # }
/// ```
pub trait Opaque: Sized + 'static {
    /// The bytes that dropping the value would free, for the collector, which works harder the more memory it
    /// is told of. Called once, when OCaml gets the value. `#[mirust::export(size = …)]` names a function for
    /// it; by default it is the size of the value itself, without what it points to.
    fn size(&self) -> usize {
        size_of_val(self)
    }

    /// The value inside an OCaml value, for example one returned by an OCaml closure.
    ///
    /// # Panics
    ///
    /// If it is not of this type.
    fn shared(value: OCaml<'_, Self>) -> Rc<Self> {
        // SAFETY: a valid value; what is found in it is alive, and gets an owner here.
        unsafe { share(find::<Self>(value.raw())) }
    }
}

/// The dead that wait, and their bytes: where there are more, making a value drops some.
const MANY: usize = 1024;
const MANY_BYTES: usize = 1 << 20;
/// How many of them go in one turn of the task.
const BUDGET: usize = 256;

/// What OCaml has, and what it has given up.
struct Graveyard {
    /// Values that OCaml has, and those in `dead`.
    count: usize,
    /// There is room for all `count`.
    dead: VecDeque<Content>,
    /// What the collector was told of those in `dead`.
    dead_bytes: usize,
    /// Whether the task is there that buries them.
    tended: bool,
    /// What wakes it, if it waits.
    waker: Option<Waker>,
}

crate::local::domain_local! {
    /// Never dropped: OCaml may collect until the end.
    static GRAVEYARD: RefCell<ManuallyDrop<Graveyard>> = const {
        RefCell::new(ManuallyDrop::new(Graveyard {
            count: 0,
            dead: VecDeque::new(),
            dead_bytes: 0,
            tended: false,
            waker: None,
        }))
    };
}

fn graveyard<R>(f: impl FnOnce(&mut Graveyard) -> R) -> R {
    GRAVEYARD.with_borrow_mut(|g| f(g))
}

/// How many Rust values OCaml owns, or has given up and the loop has not dropped yet.
pub fn opaque_values() -> usize {
    graveyard(|g| g.count)
}

/// Makes room for another one.
fn expect_one() {
    let (tended, many) = graveyard(|g| {
        g.count += 1;
        // The finaliser, which runs inside the collector, finds room.
        g.dead.reserve(g.count - g.dead.len());
        let many = g.dead.len() > MANY || g.dead_bytes > MANY_BYTES;
        (std::mem::replace(&mut g.tended, true), many)
    });
    if !tended {
        domain::spawn(poll_fn(tend));
    }
    if many {
        // Two for one, so that there are fewer of them in the end.
        bury(2);
    }
}

/// Drops some of the dead. Their destructors may do anything, such as to make another.
fn bury(n: usize) {
    for _ in 0..n {
        let dead = graveyard(|g| {
            let dead = g.dead.pop_front();
            g.dead_bytes -= dead.as_ref().map_or(0, |dead| dead.size);
            dead
        });
        let Some(Content { value, .. }) = dead else { return };
        // The panic has been logged by then; its payload's destructor may panic once more.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
        }
        graveyard(|g| g.count -= 1);
    }
}

/// One turn of the task.
fn tend(cx: &mut Context<'_>) -> Poll<()> {
    bury(BUDGET);
    graveyard(|g| {
        if g.count == 0 {
            g.tended = false;
            g.waker = None;
            return Poll::Ready(());
        }
        if !g.dead.is_empty() {
            cx.waker().wake_by_ref();
        }
        g.waker = Some(cx.waker().clone());
        Poll::Pending
    })
}

/// The collector: this block is dead.
///
/// # Safety
///
/// Only the collector calls it, once, with a block that has the [`Operations`] of this file.
unsafe extern "C" fn finalise(block: Raw) {
    // SAFETY: a block of ours, which the collector finalises once.
    let dead = unsafe { content(block).read() };
    graveyard(|g| {
        g.dead_bytes += dead.size;
        g.dead.push_back(dead);
        if let Some(waker) = &g.waker {
            waker.wake_by_ref();
        }
    });
}

struct Operations(custom_operations);

// SAFETY: nobody writes to it.
unsafe impl Sync for Operations {}

/// The operations of all blocks. Without functions for them, comparing and marshalling raise.
static OPERATIONS: Operations = Operations(custom_operations {
    identifier: c"mirust".as_ptr().cast_mut().cast(),
    finalize: Some(finalise),
    compare: None,
    hash: None,
    serialize: None,
    deserialize: None,
    compare_ext: None,
    fixed_length: std::ptr::null(),
});

/// What a block holds, behind its operations.
struct Content {
    value: Rc<dyn Any>,
    /// What the collector was told.
    size: usize,
}

/// Where a block holds it.
///
/// # Safety
///
/// The block is one of ours.
unsafe fn content(block: Raw) -> *mut Content {
    // SAFETY: the fields behind the operations are in the same block.
    unsafe { field(block, 1) }.cast()
}

/// Gives the value to OCaml.
///
/// # Safety
///
/// As [`Return::give_value`].
unsafe fn give<T: Opaque>(value: Rc<T>) -> Raw {
    // What Rust keeps would not be freed by collecting the block.
    let size = if Rc::strong_count(&value) == 1 { value.size() } else { 0 };
    expect_one();
    let operations = (&raw const OPERATIONS.0).cast_mut();
    // SAFETY: the caller may allocate; OCaml does not write to the operations. The block comes back alive
    // and is filled here, before anything else is allocated; until it is dead, the collector does not
    // look at what it holds.
    unsafe {
        let block = ocaml_sys::caml_alloc_custom_mem(operations, size_of::<Content>(), size);
        content(block).write(Content { value, size });
        block
    }
}

/// What a block holds. Panics if it is no `T`.
///
/// # Safety
///
/// `raw` is a valid OCaml value; the pointer is good for as long as that is alive.
#[inline]
unsafe fn find<T: Opaque>(raw: Raw) -> *const T {
    /// The tag of a custom block (`caml/mlvalues.h`).
    const CUSTOM_TAG: u8 = 255;
    // SAFETY: a block has a header; a custom block begins with its operations, which are ours in a block
    // of ours alone.
    unsafe {
        if is_block(raw)
            && tag_val(raw) == CUSTOM_TAG
            && *field(raw, 0) == &raw const OPERATIONS.0 as Raw
        {
            let found = Rc::as_ptr(&(*content(raw)).value);
            if (*found).is::<T>() {
                return found.cast();
            }
        }
    }
    wrong::<T>()
}

/// Another owner of what was found.
///
/// # Safety
///
/// [`find`] found it, and its block is still alive.
#[inline]
unsafe fn share<T>(found: *const T) -> Rc<T> {
    // SAFETY: the pointer came out of an `Rc<T>`, one of whose owners is the block.
    unsafe {
        Rc::increment_strong_count(found);
        Rc::from_raw(found)
    }
}

#[cold]
fn wrong<T>() -> ! {
    panic!("the value is no {}", type_name::<T>())
}

// SAFETY: OCaml's caller has the block during the call, no OCaml code runs, and so nothing is collected.
unsafe impl<T: Opaque> Argument for &T {
    type Abi = Raw;
    type Value<'a> = &'a T;
    #[inline]
    unsafe fn receive(_: &Scope, raw: Raw) -> &T {
        // SAFETY: a valid value; what it holds is a T, and alive as above.
        unsafe { &*find::<T>(raw) }
    }
}

// SAFETY: an owner of its own.
unsafe impl<T: Opaque> Argument for Rc<T> {
    type Abi = Raw;
    type Value<'a> = Rc<T>;
    #[inline]
    unsafe fn receive(_: &Scope, raw: Raw) -> Rc<T> {
        // SAFETY: a valid value, and alive during the call.
        unsafe { share(find::<T>(raw)) }
    }
}

// SAFETY: it does not refer to the OCaml heap.
unsafe impl<T: Opaque> Rooted for Rc<T> {}

// SAFETY: passed as a value wherever it is.
unsafe impl<T: Opaque> Part for &T {
    unsafe fn receive_part(scope: &Scope, raw: Raw) -> &T {
        // SAFETY: the caller's promise.
        unsafe { <&T as Argument>::receive(scope, raw) }
    }
}

// SAFETY: as above.
unsafe impl<T: Opaque> Part for Rc<T> {
    unsafe fn receive_part(scope: &Scope, raw: Raw) -> Rc<T> {
        // SAFETY: the caller's promise.
        unsafe { <Rc<T> as Argument>::receive(scope, raw) }
    }
}

held_as_it_is!(
    <T: Opaque> T;
    <T: Opaque> Rc<T>;
);

// SAFETY: a custom block of the type's own.
unsafe impl<T: Opaque> Return for T {
    type Abi = Raw;
    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }
    unsafe fn give_value(self) -> Raw {
        // SAFETY: the caller's promise.
        unsafe { give(Rc::new(self)) }
    }
}

// SAFETY: as above.
unsafe impl<T: Opaque> Return for Rc<T> {
    type Abi = Raw;
    unsafe fn give(self) -> Raw {
        // SAFETY: OCaml called us, so we may allocate, and nothing else follows.
        unsafe { self.give_value() }
    }
    unsafe fn give_value(self) -> Raw {
        // SAFETY: the caller's promise.
        unsafe { give(self) }
    }
}

/// To a closure that takes the type: `BoxRoot<fn(Counter) -> isize>`.
// SAFETY: as above, rooted.
unsafe impl<T: Opaque> Pass<T> for Rc<T> {
    type Kept<'a> = BoxRoot<T>;
    fn keep(&self, _: &mut OCamlRuntime) -> BoxRoot<T> {
        // SAFETY: we have the runtime, so we may allocate; the block has the type that `T` stands for.
        unsafe { runtime::root(give(Rc::clone(self))) }
    }
    unsafe fn raw(kept: &BoxRoot<T>) -> Raw {
        let kept: OCamlRef<'_, T> = kept;
        // SAFETY: read from the root when it is passed.
        unsafe { kept.get_raw() }
    }
}
