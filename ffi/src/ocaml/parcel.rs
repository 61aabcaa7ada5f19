//! A result of any type, on its way to OCaml.

use std::any::Any;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::resume_unwind;

use super::export::{Raw, Return};

/// What a future gave, or the payload of its panic.
pub(super) type Outcome<R> = Result<R, Box<dyn Any + Send>>;

/// Room for results that need no allocation: a `Result<String, isize>` fits.
type Space = MaybeUninit<[usize; 3]>;

/// An [`Outcome`] whose type the holder does not know.
pub(super) struct Parcel {
    space: Space,
    handling: &'static Handling,
    /// What is inside belongs to OCaml's thread.
    _here: PhantomData<*const ()>,
}

/// How one type is handled. Both take it out of the space.
struct Handling {
    give: unsafe fn(Space) -> Raw,
    discard: unsafe fn(Space),
}

/// The handling of outcomes of `R`.
struct Of<R>(PhantomData<R>);

impl<R: Return> Of<R> {
    const FITS: bool = size_of::<Outcome<R>>() <= size_of::<Space>()
        && align_of::<Outcome<R>>() <= align_of::<Space>();

    const HANDLING: &'static Handling = &Handling { give: Self::give, discard: Self::discard };

    fn pack(outcome: Outcome<R>) -> Space {
        let mut space = Space::uninit();
        if Self::FITS {
            // SAFETY: it fits, as the constant says.
            unsafe { space.as_mut_ptr().cast::<Outcome<R>>().write(outcome) }
        } else {
            // SAFETY: a pointer fits.
            unsafe { space.as_mut_ptr().cast::<Box<Outcome<R>>>().write(Box::new(outcome)) }
        }
        space
    }

    /// # Safety
    ///
    /// The space is from `pack`, and is not used again.
    unsafe fn unpack(space: Space) -> Outcome<R> {
        if Self::FITS {
            // SAFETY: `pack` wrote it there.
            unsafe { space.as_ptr().cast::<Outcome<R>>().read() }
        } else {
            // SAFETY: as above.
            *unsafe { space.as_ptr().cast::<Box<Outcome<R>>>().read() }
        }
    }

    /// # Safety
    ///
    /// As [`unpack`](Self::unpack), and the caller may allocate on the OCaml heap.
    unsafe fn give(space: Space) -> Raw {
        // SAFETY: the caller's promise.
        match unsafe { Self::unpack(space) } {
            // SAFETY: as above.
            Ok(value) => unsafe { value.give_value() },
            Err(payload) => resume_unwind(payload),
        }
    }

    /// # Safety
    ///
    /// As [`unpack`](Self::unpack).
    unsafe fn discard(space: Space) {
        // SAFETY: the caller's promise.
        drop(unsafe { Self::unpack(space) });
    }
}

impl Parcel {
    pub(super) fn new<R: Return>(outcome: Outcome<R>) -> Self {
        Parcel { space: Of::pack(outcome), handling: Of::<R>::HANDLING, _here: PhantomData }
    }

    /// Converts the value; panics with the future's panic.
    ///
    /// # Safety
    ///
    /// The caller may allocate on the OCaml heap.
    pub(super) unsafe fn give(self) -> Raw {
        let this = ManuallyDrop::new(self);
        // SAFETY: the handling is that of the type in the space, which is not used again.
        unsafe { (this.handling.give)(this.space) }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        // SAFETY: as in `give`, which does not drop the parcel.
        unsafe { (self.handling.discard)(self.space) }
    }
}
