//! The C ABI of received frames. Part of `include/mirust.h`, like [`abi`](crate::abi).

use std::ptr::NonNull;

use crate::devices::opened;
use crate::ocaml::net as values;
use crate::ocaml::net::Value;

/// A bigarray of `int` over the device's words: the one with the news and so on. It is valid for ever. Allocates on the
/// OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_words(handle: isize) -> Value {
    let words = opened(handle).words.all();
    // SAFETY: they stay for ever. OCaml calls, which may allocate.
    unsafe { values::external_numbers(words.cast(), words.len()) }
}

/// Makes the device's frames be copied to slabs of `size` bytes each. Returns a bigarray of as many, valid for ever:
/// what frames are copied to as long as there is no slab. An empty one if there is no memory. Allocates on the OCaml
/// heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_spare(handle: isize, size: usize) -> Value {
    let spare = opened(handle).receiving.borrow_mut().start(size);
    let (base, size) = spare.unwrap_or((NonNull::dangling(), 0));
    // SAFETY: valid for ever, or nothing is read or written there. OCaml calls, which may allocate.
    unsafe { values::external_bigarray(base, size) }
}

/// A bigarray of the memory that frames are copied to from now on: a slab. It is reused when OCaml has found it and
/// all parts of it dead; at most `most` are in use at a time. If that many are, or if there is no memory, the result is
/// empty, and frames are copied to that of `mirust_net_spare`, as also if this raises. Allocates on the OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_slab(handle: isize, most: usize) -> Value {
    let opened = opened(handle);
    let taken = opened.receiving.borrow_mut().take(most);
    let Some(slab @ (base, size, share)) = taken else {
        // SAFETY: nothing is read or written there.
        return unsafe { values::external_bigarray(NonNull::dangling(), 0) };
    };
    // SAFETY: nobody else uses it, and the reference that was taken is for the bigarray.
    let v_slab = unsafe { values::slab(base, size, share) };
    opened.receiving.borrow_mut().go_on(slab);
    v_slab
}

/// Has the words describe the frames that have arrived, which MIRUST_NET_FRAMES wants to be asked for. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_receive(handle: isize) -> isize {
    let opened = opened(handle);
    opened.receiving.borrow_mut().receive(&*opened.device, &opened.words);
    0
}

/// A bigarray of the `length` bytes of a frame that was described with this (negative) place. The frame's memory goes
/// back to the device when neither the bigarray nor a part of it is referenced any more. Call it once for each.
/// Allocates on the OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_view(handle: isize, place: isize, length: usize) -> Value {
    let lease = opened(handle).receiving.borrow_mut().view(place);
    let lease = lease.expect("a frame that was described and not viewed yet");
    // SAFETY: the lease covers the frame's bytes.
    unsafe { values::shared_bigarray(lease, length) }
}
