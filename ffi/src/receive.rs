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

/// Has frames be copied to a slab that nobody uses, from now on. It is used again when OCaml has found all views of it
/// dead; at most `most` are in use at a time. Returns 1; 0 if this many are, or if there is no memory: then frames are
/// copied to that of `mirust_net_spare`.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_slab(handle: isize, most: usize) -> isize {
    opened(handle).receiving.borrow_mut().next_slab(most).into()
}

/// Whether the bytes of this bigarray are in one of the device's slabs: 1 or 0.
///
/// # Safety
///
/// It must be a bigarray of bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_net_in_slab(handle: isize, v_bytes: Value) -> isize {
    // SAFETY: promised by the caller.
    let (base, len) = unsafe { values::bytes_of(v_bytes) };
    (len > 0 && opened(handle).receiving.borrow().holds(base)).into()
}

/// Has the words describe the frames that have arrived, which MIRUST_NET_FRAMES wants to be asked for. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_receive(handle: isize) -> isize {
    let opened = opened(handle);
    opened.receiving.borrow_mut().receive(&*opened.device, &opened.words);
    0
}

/// A bigarray of the `length` bytes of a frame that was described with this place, or of another part of the slab. What
/// is behind the last frame that was described may change: later frames are copied there. The frame's memory goes back
/// to the device when neither the bigarray nor a part of it is referenced any more. If the place is negative, call it
/// once. Allocates on the OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_view(handle: isize, place: isize, length: usize) -> Value {
    let opened = opened(handle);
    if place < 0 {
        let lease = opened.receiving.borrow_mut().lent(place);
        let lease = lease.expect("a frame that was described and not viewed yet");
        // SAFETY: the lease covers the frame's bytes.
        return unsafe { values::shared_bigarray(lease, length) };
    }
    let part = opened.receiving.borrow().part(place, length);
    let (base, share) = part.expect("a part of the slab");
    // SAFETY: as long as there is a reference, of which this one is for the bigarray, the memory stays, and frames are
    // written only behind those that were described. OCaml may have that part in its bigarray, but reads nothing where
    // no frame was described to it, and does not run while one is written.
    unsafe { values::slab(base, length, share) }
}
