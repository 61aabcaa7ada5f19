//! What a network device and OCaml tell each other without a call, and the frames that arrive. Part of
//! `include/mirust.h`, like [`abi`](crate::abi).
//!
//! Each device has words, which OCaml has as a bigarray. When OCaml's part of a turn begins, they hold what has happened
//! at the device, and the descriptions of all frames that have arrived, which have been copied to the device's slab, or
//! are lent. Only if there is something to be done first (memory to be found, a slab to be replaced) has OCaml to ask for
//! the frames.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

use mirust_rt::net::pool::{Lease, Share};
use mirust_rt::net::{Device, Place, Received, RxChecksum, Slab};

use crate::devices::{Opened, opened};
use crate::ocaml::net as values;
use crate::ocaml::net::Value;
use crate::slabs::Slabs;

/// In MIRUST_NET_WORD_NEWS: there may be frames, which are to be asked for by `mirust_net_receive`.
pub const MIRUST_NET_FRAMES: isize = 1;
/// There is room again, after a frame or a reservation was refused.
pub const MIRUST_NET_ROOM: isize = 2;
/// Payload has been sent: `mirust_net_completed` has its number.
pub const MIRUST_NET_COMPLETED: isize = 4;
/// The link has changed: see `mirust_net_info`.
pub const MIRUST_NET_LINK: isize = 8;
/// Many pages are lent: release views that are not in use.
pub const MIRUST_NET_PRESSURE: isize = 16;
/// Frames are copied because so many pages are lent.
pub const MIRUST_NET_SHORTAGE: isize = 32;

/// Of a device's words, the one with what has happened: MIRUST_NET bits. OCaml sets it to 0. Before there is something,
/// `mirust_poll` reports MIRUST_READY_FOREIGN.
pub const MIRUST_NET_WORD_NEWS: isize = 0;
/// How many frames are described. OCaml sets it to 0 before it uses them; until then there will be no others.
pub const MIRUST_NET_WORD_COUNT: isize = 1;
/// How far the device got with them: 0 if these are all frames; 1 if there are more, for the next turn; 2 if the slab has
/// no room for the next one: replace it, and ask for the rest.
pub const MIRUST_NET_WORD_STATE: isize = 2;
/// Where the head of the next frame can be written without a call, in the bigarray of `mirust_net_heads`.
pub const MIRUST_NET_WORD_HEAD: isize = 3;
/// How many bytes there are for it; 0 if `mirust_net_reserve` is to be asked.
pub const MIRUST_NET_WORD_ROOM: isize = 4;
/// The first word of the first frame's description. It has four numbers: where the frame is, its length in bytes, the
/// state of its checksum (0 unknown, 1 valid, 2 blank), and, for a large segment, the payload bytes of each packet that it
/// stands for. A frame is at that offset in the slab; if the number is negative, get it by `mirust_net_view` before the
/// next frames are described.
pub const MIRUST_NET_WORD_FRAMES: isize = 5;
/// The numbers that describe one frame.
pub const MIRUST_NET_FRAME_FIELDS: isize = 4;
/// Frames that are described at a time, at most.
pub const MIRUST_NET_FRAMES_MOST: isize = 256;

const COUNT: usize =
    (MIRUST_NET_WORD_FRAMES + MIRUST_NET_FRAMES_MOST * MIRUST_NET_FRAME_FIELDS) as usize;

/// A device's words, which stay for ever.
pub(crate) struct Words(&'static [Cell<isize>; COUNT]);

impl Default for Words {
    fn default() -> Self {
        Words(Box::leak(Box::new([const { Cell::new(0) }; COUNT])))
    }
}

impl Words {
    pub(crate) fn get(&self, at: isize) -> isize {
        self.0[at as usize].get()
    }

    pub(crate) fn set(&self, at: isize, n: isize) {
        self.0[at as usize].set(n);
    }

    fn describe(&self, frame: usize, fields: [isize; MIRUST_NET_FRAME_FIELDS as usize]) {
        let at = MIRUST_NET_WORD_FRAMES as usize + frame * fields.len();
        self.0[at..][..fields.len()].iter().zip(fields).for_each(|(word, n)| word.set(n));
    }
}

/// What a device's frames are received into.
#[derive(Default)]
pub(crate) struct Receiving {
    /// Frames that were described and not yet viewed, by their number.
    lent: Vec<Option<Lease>>,
    slabs: Option<Slabs>,
    current: Option<Current>,
    /// The device has more frames than were described.
    more: bool,
}

/// The memory that frames are copied to at present: what is behind `used` nobody uses.
struct Current {
    base: NonNull<u8>,
    size: usize,
    used: usize,
    /// The count that has a reference for us, unless the memory is the spare one.
    share: Option<NonNull<Share>>,
}

impl Receiving {
    fn slabs(&mut self) -> &mut Slabs {
        self.slabs.as_mut().expect("mirust_net_spare comes first")
    }

    /// From now on frames go to the spare memory.
    fn spare(&mut self) {
        let (base, size) = (self.slabs().spare(), self.slabs().size());
        self.replace(Current { base, size, used: 0, share: None });
    }

    fn replace(&mut self, current: Current) {
        let before = self.current.replace(current);
        if let Some(share) = before.and_then(|before| before.share) {
            crate::slabs::give_back(share);
        }
    }

    fn has_slab(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.share.is_some())
    }

    /// Describes what has arrived.
    fn receive(&mut self, device: &dyn Device, words: &Words) {
        let Receiving { lent, current: Some(current), more, .. } = self else { return };
        lent.clear();
        // SAFETY: within the memory, which our reference keeps, or which is never freed. Nobody uses this part, so that
        // it may be borrowed as uninitialised.
        let memory = unsafe {
            let base = current.base.add(current.used).cast::<MaybeUninit<u8>>();
            slice::from_raw_parts_mut(base.as_ptr(), current.size - current.used)
        };
        let mut slab = Slab::new(memory);
        let mut count = 0;
        let received = device.receive(MIRUST_NET_FRAMES_MOST as usize, &mut slab, &mut |frame| {
            let at = match frame.place {
                Place::Slab(at) => (current.used + at) as isize,
                Place::Lent(lease) => {
                    lent.push(Some(lease));
                    -(lent.len() as isize)
                }
            };
            let checksum = match frame.checksum {
                RxChecksum::Unknown => 0,
                RxChecksum::Valid => 1,
                RxChecksum::Blank => 2,
            };
            words.describe(count, [at, frame.len as isize, checksum, frame.gso_size as isize]);
            count += 1;
        });
        current.used += slab.used();
        *more = received != Received::All;
        words.set(MIRUST_NET_WORD_COUNT, count as isize);
        let state = match received {
            Received::All => 0,
            Received::More => 1,
            Received::SlabFull => 2,
        };
        words.set(MIRUST_NET_WORD_STATE, state);
    }
}

impl Opened {
    /// Has the words say what has happened at the device since the last time, and what has arrived.
    pub(crate) fn take_in(&self) {
        let mut news = self.words.get(MIRUST_NET_WORD_NEWS) | self.device.news().bits() as isize;
        let mut receiving = self.receiving.borrow_mut();
        if news & MIRUST_NET_FRAMES != 0 || receiving.more {
            // Where OCaml can do something for the frames first, it is to. And it may not have come to the last ones.
            let first = news & (MIRUST_NET_PRESSURE | MIRUST_NET_SHORTAGE) != 0
                || !receiving.has_slab()
                || self.words.get(MIRUST_NET_WORD_COUNT) > 0;
            if first {
                news |= MIRUST_NET_FRAMES;
            } else {
                news &= !MIRUST_NET_FRAMES;
                receiving.receive(&*self.device, &self.words);
            }
        }
        self.words.set(MIRUST_NET_WORD_NEWS, news);
    }

    /// Has the words say where the next head can be written.
    pub(crate) fn offer_head(&self) {
        let (head, room) = self.device.next_head().unwrap_or((0, 0));
        self.words.set(MIRUST_NET_WORD_HEAD, head as isize);
        self.words.set(MIRUST_NET_WORD_ROOM, room as isize);
    }
}

/// A bigarray of `int` over the device's words: the one with the news and so on. It is valid for ever. Allocates on the
/// OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_words(handle: isize) -> Value {
    // SAFETY: they stay for ever. OCaml calls, which may allocate.
    unsafe { values::external_numbers(NonNull::from(opened(handle).words.0).cast(), COUNT) }
}

/// Makes the device's frames be copied to slabs of `size` bytes each. Returns a bigarray of as many, valid for ever: what
/// frames are copied to as long as there is no slab. An empty one if there is no memory. Allocates on the OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_spare(handle: isize, size: usize) -> Value {
    let spare = {
        let opened = opened(handle);
        let mut receiving = opened.receiving.borrow_mut();
        if receiving.slabs.is_none() {
            receiving.slabs = Slabs::new(size);
        }
        let spare = receiving.slabs.as_ref().map(|slabs| (slabs.spare(), slabs.size()));
        if spare.is_some() {
            receiving.spare();
        }
        spare
    };
    let (base, size) = spare.unwrap_or((NonNull::dangling(), 0));
    // SAFETY: valid for ever, or nothing is read or written there. OCaml calls, which may allocate.
    unsafe { values::external_bigarray(base, size) }
}

/// A bigarray of the memory that frames are copied to from now on: a slab. It is used again when OCaml has found it and
/// all parts of it dead; at most `most` are in use at a time. An empty one if so many are, or if there is no memory: then
/// frames are copied to that of `mirust_net_spare`, also if this raises. Allocates on the OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_slab(handle: isize, most: usize) -> Value {
    let opened = opened(handle);
    let (taken, size) = {
        let mut receiving = opened.receiving.borrow_mut();
        receiving.spare();
        (receiving.slabs().take(most), receiving.slabs().size())
    };
    let Some((base, share)) = taken else {
        // SAFETY: nothing is read or written there.
        return unsafe { values::external_bigarray(NonNull::dangling(), 0) };
    };
    // SAFETY: nobody else uses it, and the reference that was taken is for the bigarray.
    let v_slab = unsafe { values::slab(base, size, share) };
    crate::slabs::keep(share);
    let current = Current { base, size, used: 0, share: Some(share) };
    opened.receiving.borrow_mut().replace(current);
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
/// back to the device when neither the bigarray nor a part of it is referenced any more. Call it once for each. Allocates
/// on the OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_view(handle: isize, place: isize, length: usize) -> Value {
    let lease = {
        let opened = opened(handle);
        let mut receiving = opened.receiving.borrow_mut();
        let at = usize::try_from(-1 - place).expect("a place that is negative");
        let lease = receiving.lent.get_mut(at).and_then(Option::take);
        lease.expect("a frame that was not viewed yet")
    };
    // SAFETY: the lease covers the frame's bytes.
    unsafe { values::shared_bigarray(lease, length) }
}
