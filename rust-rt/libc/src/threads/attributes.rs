//! Thread attributes. Using them makes a program one with threads.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::block::Block;
use super::objects::Attributes;
use super::required;
use crate::errno::{EINVAL, EOPNOTSUPP};

/// As `<pthread.h>` has them: 0 and 1.
const DETACHED: c_int = 1;

/// Bytes below a stack that stay unmapped, whatever size is requested.
const GUARD: usize = 16 << 10;

/// The default stack size that is reported: that of the host's library.
const ORDINARY: usize = 2 << 20;

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_init(attributes: *mut Attributes) -> c_int {
    required();
    let new = Attributes { stack: 0, detached: 0, scope: 0, guard: GUARD, low: 0, unused: [0; 3] };
    // SAFETY: writable by contract, here and below; and initialised by then.
    unsafe { attributes.write(new) };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_attr_destroy(_attributes: *mut Attributes) -> c_int {
    0
}

/// Any size; see `mirust-fiber` for what comes of it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_setstacksize(attributes: *mut Attributes, bytes: usize) -> c_int {
    // PTHREAD_STACK_MIN
    if bytes < 16 << 10 {
        return EINVAL;
    }
    // SAFETY: as above.
    unsafe { (*attributes).stack = bytes };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_getstacksize(
    attributes: *const Attributes,
    bytes: *mut usize,
) -> c_int {
    // SAFETY: as above.
    unsafe { *bytes = if (*attributes).stack == 0 { ORDINARY } else { (*attributes).stack } };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_setdetachstate(
    attributes: *mut Attributes,
    state: c_int,
) -> c_int {
    if !(0..=DETACHED).contains(&state) {
        return EINVAL;
    }
    // SAFETY: as above.
    unsafe { (*attributes).detached = state };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_getdetachstate(
    attributes: *const Attributes,
    state: *mut c_int,
) -> c_int {
    // SAFETY: as above.
    unsafe { *state = (*attributes).detached };
    0
}

/// Stored only: the guard has a fixed size.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_setguardsize(attributes: *mut Attributes, bytes: usize) -> c_int {
    // SAFETY: as above.
    unsafe { (*attributes).guard = bytes };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_getguardsize(
    attributes: *const Attributes,
    bytes: *mut usize,
) -> c_int {
    // SAFETY: as above.
    unsafe { *bytes = (*attributes).guard };
    0
}

/// EOPNOTSUPP: threads run on stacks of our own, which have guards and names.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_attr_setstack(
    _attributes: *mut Attributes,
    _low: *mut c_void,
    _bytes: usize,
) -> c_int {
    EOPNOTSUPP
}

/// The stack of the thread that `pthread_getattr_np` was asked for.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_attr_getstack(
    attributes: *const Attributes,
    low: *mut *mut c_void,
    bytes: *mut usize,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        *low = ptr::with_exposed_provenance_mut((*attributes).low);
        *bytes = (*attributes).stack;
    }
    0
}

/// Attributes of the thread, its stack among them. One that has not run yet has none to tell: EINVAL.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_getattr_np(thread: usize, attributes: *mut Attributes) -> c_int {
    // SAFETY: a thread, by contract.
    let block = unsafe { Block::of(thread) };
    let bounds = block.map_or_else(crate::host::main_stack, |block| block.bounds.get());
    if bounds.1 == 0 {
        return EINVAL;
    }
    let new = Attributes {
        stack: bounds.1 - bounds.0,
        detached: block.map_or(0, |block| c_int::from(block.detached.get())),
        scope: 0,
        guard: GUARD,
        low: bounds.0,
        unused: [0; 3],
    };
    // SAFETY: as above.
    unsafe { attributes.write(new) };
    0
}
