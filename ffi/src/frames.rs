//! What a network device and OCaml tell each other without a call, and received frames. Part of `include/mirust.h`,
//! like [`abi`](crate::abi).
//!
//! Each device has an array of words, which OCaml sees as a bigarray. When OCaml's part of a turn begins, it holds what
//! has happened at the device and the descriptions of all frames that have arrived; these have been copied to the
//! device's slab, or are lent. OCaml has to ask for the frames only if something must be done first (memory found, a
//! slab replaced).

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

use mirust_rt::net::pool::{Lease, Share};
use mirust_rt::net::{Device, Place, Received, RxChecksum, Slab};

use crate::slabs::Slabs;

/// In MIRUST_NET_WORD_NEWS: there may be frames; call `mirust_net_receive` to get them.
pub const MIRUST_NET_FRAMES: isize = 1;
/// There is room again, after a frame or a reservation was refused.
pub const MIRUST_NET_ROOM: isize = 2;
/// Payload has been sent: `mirust_net_completed` has its number.
pub const MIRUST_NET_COMPLETED: isize = 4;
/// The link has changed: see `mirust_net_info`.
pub const MIRUST_NET_LINK: isize = 8;
/// Many pages are lent, or several slabs are full: release views that are not in use.
pub const MIRUST_NET_PRESSURE: isize = 16;
/// Frames are copied because so many pages are lent.
pub const MIRUST_NET_SHORTAGE: isize = 32;

/// Index of the word with what has happened at the device: MIRUST_NET bits. OCaml sets it to 0. When something happens,
/// `mirust_poll` reports MIRUST_READY_FOREIGN first.
pub const MIRUST_NET_WORD_NEWS: isize = 0;
/// How many frames are described. OCaml sets it to 0 before it uses them; until then no others are described.
pub const MIRUST_NET_WORD_COUNT: isize = 1;
/// How far the device got: 0 if these are all frames; 1 if there are more, for the next turn; 2 if the slab has no room
/// for the next one: replace it, and ask for the rest.
pub const MIRUST_NET_WORD_STATE: isize = 2;
/// Where the head of the next frame can be written without a call, in the bigarray of `mirust_net_heads`.
pub const MIRUST_NET_WORD_HEAD: isize = 3;
/// How many bytes there are for it; if 0, call `mirust_net_reserve`.
pub const MIRUST_NET_WORD_ROOM: isize = 4;
/// The first word of the first frame's description. It has four numbers: where the frame is, its length in bytes, the
/// state of its checksum (0 unknown, 1 valid, 2 blank), and, for a large segment, the payload bytes of each packet that
/// it stands for. Get it by `mirust_net_view` before the next frames are described. If the first number is not
/// negative, it is an offset in the slab, or in the memory of `mirust_net_spare` as long as there is no slab.
pub const MIRUST_NET_WORD_FRAMES: isize = 5;
/// The numbers that describe one frame.
pub const MIRUST_NET_FRAME_FIELDS: isize = 4;
/// Frames that are described at a time, at most.
pub const MIRUST_NET_FRAMES_MOST: isize = 256;

const COUNT: usize =
    (MIRUST_NET_WORD_FRAMES + MIRUST_NET_FRAMES_MOST * MIRUST_NET_FRAME_FIELDS) as usize;

/// A device's words, which are never freed.
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

    /// All of them.
    pub(crate) fn all(&self) -> NonNull<[Cell<isize>]> {
        NonNull::from(&self.0[..])
    }

    /// Says where the next head can be written.
    pub(crate) fn offer_head(&self, device: &dyn Device) {
        let (head, room) = device.next_head().unwrap_or((0, 0));
        self.set(MIRUST_NET_WORD_HEAD, head as isize);
        self.set(MIRUST_NET_WORD_ROOM, room as isize);
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

/// The memory that frames are copied to at present: what follows `used` is free.
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

    /// From now on frames are received into slabs of this size, and as long as there is no slab, into the spare memory,
    /// which is returned. None if there is no memory.
    pub(crate) fn start(&mut self, size: usize) -> Option<(NonNull<u8>, usize)> {
        if self.slabs.is_none() {
            self.slabs = Slabs::new(size);
        }
        let spare = self.slabs.as_ref().map(|slabs| (slabs.spare(), slabs.size()))?;
        self.spare();
        Some(spare)
    }

    /// From now on frames go to a free slab. If `most` slabs are in use, or there is no memory, they go to the spare
    /// memory, and false is returned.
    pub(crate) fn next_slab(&mut self, most: usize) -> bool {
        self.spare();
        let size = self.slabs().size();
        let taken = self.slabs().take(most);
        if let Some((base, share)) = taken {
            self.replace(Current { base, size, used: 0, share: Some(share) });
        }
        taken.is_some()
    }

    /// The lent frame that was described with this place, once.
    pub(crate) fn lent(&mut self, place: isize) -> Option<Lease> {
        let at = usize::try_from(-1 - place).ok()?;
        self.lent.get_mut(at)?.take()
    }

    /// This many bytes at this place in the slab, with a reference of its count for the caller. None if they are not in
    /// it, or there is no slab.
    pub(crate) fn part(&self, place: isize, len: usize) -> Option<(NonNull<u8>, NonNull<Share>)> {
        let Current { base, size, share, .. } = self.current.as_ref()?;
        let (place, share) = (usize::try_from(place).ok()?, (*share)?);
        if len > size.checked_sub(place)? {
            return None;
        }
        crate::slabs::keep(share);
        // SAFETY: within the slab.
        Some((unsafe { base.add(place) }, share))
    }

    /// Whether a byte is in a slab, the present one or another.
    pub(crate) fn holds(&self, byte: NonNull<u8>) -> bool {
        self.slabs.as_ref().is_some_and(|slabs| slabs.hold(byte))
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
    pub(crate) fn receive(&mut self, device: &dyn Device, words: &Words) {
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

    /// Describes in the words what has happened at the device since the last time, and what has arrived.
    pub(crate) fn take_in(&mut self, device: &dyn Device, words: &Words) {
        let mut news = words.get(MIRUST_NET_WORD_NEWS) | device.news().bits() as isize;
        if self.slabs.as_mut().is_some_and(Slabs::collect) {
            news |= MIRUST_NET_PRESSURE;
        }
        if news & MIRUST_NET_FRAMES != 0 || self.more {
            // If OCaml can make room for the frames first, it should. And it may not have taken the last ones yet.
            let first = news & (MIRUST_NET_PRESSURE | MIRUST_NET_SHORTAGE) != 0
                || !self.has_slab()
                || words.get(MIRUST_NET_WORD_COUNT) > 0;
            if first {
                news |= MIRUST_NET_FRAMES;
            } else {
                news &= !MIRUST_NET_FRAMES;
                self.receive(device, words);
            }
        }
        words.set(MIRUST_NET_WORD_NEWS, news);
    }
}
