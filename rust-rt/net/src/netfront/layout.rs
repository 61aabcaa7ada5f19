//! Which part of a frame's payload is copied and which is granted, as a plan that touches nothing.
//!
//! A slot holds bytes of one page. Whole pages of payload are granted where they lie. At the edges of a
//! fragment there are parts of pages, which share them with other data of the program. A grant is of a whole
//! page, so these parts are copied: behind the head, or to a page that takes the end of a fragment and the
//! beginning of the next. (Xen's advisory XSA-403 is about frontends that do otherwise.)
//!
//! For a backend that may see everything, only short parts are copied, where a slot costs the backend more
//! than the copy costs us.

use crate::Fragment;
use alloc::vec::Vec;
use mirust_mem::PAGE_SIZE;

/// A stretch of payload, and what to do with it. The stretches of a plan are in the order of the
/// frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stretch {
    /// Copy it behind what was copied last.
    Copy { addr: usize, len: usize },
    /// Copy it to a new page.
    CopyNew { addr: usize, len: usize },
    /// Grant it; it lies within a page.
    Grant { addr: usize, len: usize },
}

/// What a plan needs, apart from the head.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Cost {
    /// Slots of the ring.
    pub slots: usize,
    /// New pages to copy to.
    pub pages: usize,
    /// Bytes that are copied.
    pub copied: usize,
}

/// How much is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Copying {
    /// All parts of pages.
    Parts,
    /// Parts of pages up to this many bytes, if there is a page for them.
    UpTo(usize),
    /// Everything.
    All,
}

/// Plans for a payload, where `room` bytes are left behind the head. The plan goes to `out`.
pub(super) fn plan(
    payload: &[Fragment],
    mut room: usize,
    copying: Copying,
    out: &mut Vec<Stretch>,
) -> Cost {
    out.clear();
    let mut cost = Cost::default();
    let mut pieces = payload.iter().flat_map(pieces).peekable();
    while let Some((mut addr, mut len)) = pieces.next() {
        let limit = match copying {
            Copying::UpTo(limit) => limit,
            Copying::Parts if len == PAGE_SIZE => 0,
            Copying::Parts | Copying::All => PAGE_SIZE,
        };
        if !matches!(copying, Copying::UpTo(_)) && limit > 0 {
            while len > 0 {
                let now = if room > 0 { len.min(room) } else { len.min(PAGE_SIZE) };
                if room > 0 {
                    out.push(Stretch::Copy { addr, len: now });
                    room -= now;
                } else {
                    out.push(Stretch::CopyNew { addr, len: now });
                    cost.slots += 1;
                    cost.pages += 1;
                    room = PAGE_SIZE - now;
                }
                cost.copied += now;
                (addr, len) = (addr + now, len - now);
            }
            continue;
        }
        let with_next =
            pieces.peek().is_some_and(|next| next.1 <= limit && len + next.1 <= PAGE_SIZE);
        if len <= limit && len <= room {
            out.push(Stretch::Copy { addr, len });
            cost.copied += len;
            room -= len;
        } else if len <= limit && with_next {
            out.push(Stretch::CopyNew { addr, len });
            cost.slots += 1;
            cost.pages += 1;
            cost.copied += len;
            room = PAGE_SIZE - len;
        } else {
            out.push(Stretch::Grant { addr, len });
            cost.slots += 1;
            // What follows in the frame cannot go before this.
            room = 0;
        }
    }
    cost
}

/// A fragment, cut at the ends of pages.
fn pieces(fragment: &Fragment) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (mut addr, mut left) = (fragment.addr.as_ptr() as usize, fragment.len);
    core::iter::from_fn(move || {
        let len = left.min(PAGE_SIZE - addr % PAGE_SIZE);
        let piece = (addr, len);
        (addr, left) = (addr + len, left - len);
        (len > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::{Stretch::*, *};
    use core::ptr::NonNull;
    use mirust_xen::testing::Random;

    const HEAD: usize = PAGE_SIZE - 66;

    fn fragment(addr: usize, len: usize) -> Fragment {
        Fragment { addr: NonNull::new(addr as *mut u8).unwrap(), len }
    }

    fn planned(payload: &[Fragment], copying: Copying) -> (Vec<Stretch>, Cost) {
        let mut out = Vec::new();
        let cost = plan(payload, HEAD, copying, &mut out);
        (out, cost)
    }

    #[test]
    fn small_payload_goes_behind_the_head_wherever_it_lies() {
        let payload = [fragment(0x10ff0, 1448)];
        let (out, cost) = planned(&payload, Copying::UpTo(2048));
        assert_eq!(out, [Copy { addr: 0x10ff0, len: 16 }, Copy { addr: 0x11000, len: 1432 }]);
        assert_eq!(cost, Cost { slots: 0, pages: 0, copied: 1448 });
    }

    #[test]
    fn whole_pages_are_granted() {
        let payload = [fragment(0x10000, 3 * PAGE_SIZE)];
        let (out, cost) = planned(&payload, Copying::UpTo(2048));
        let pages = [0x10000, 0x11000, 0x12000].map(|addr| Grant { addr, len: PAGE_SIZE });
        assert_eq!((&out[..], cost), (&pages[..], Cost { slots: 3, ..Cost::default() }));
    }

    #[test]
    fn edges_of_two_fragments_share_a_page() {
        let payload = [fragment(0x10000, 5000), fragment(0x20f00, 5000)];
        let (out, cost) = planned(&payload, Copying::UpTo(2048));
        let expected = [
            Grant { addr: 0x10000, len: 4096 },
            CopyNew { addr: 0x11000, len: 904 },
            Copy { addr: 0x20f00, len: 256 },
            Grant { addr: 0x21000, len: 4096 },
            Grant { addr: 0x22000, len: 648 },
        ];
        assert_eq!(out, expected);
        assert_eq!(cost, Cost { slots: 4, pages: 1, copied: 1160 });
    }

    #[test]
    fn every_plan_has_all_bytes_in_order_and_nothing_leaves_a_page() {
        let mut random = Random::new(5);
        let mut out = Vec::new();
        for _ in 0..5000 {
            let payload: Vec<Fragment> = (0..random.below(20))
                .map(|n| fragment(0x10_0000 * (n + 1) + random.below(9000), random.below(9000)))
                .collect();
            let head = random.below(PAGE_SIZE + 1);
            let copying = match random.below(3) {
                0 => Copying::All,
                _ => Copying::UpTo(random.below(PAGE_SIZE + 1)),
            };
            let cost = plan(&payload, head, copying, &mut out);
            let mut seen = Cost::default();
            let mut room = head;
            let mut bytes = payload.iter().flat_map(pieces);
            let mut expected = (0, 0);
            for stretch in &out {
                let (addr, len) = match *stretch {
                    Copy { addr, len } => {
                        room = room.checked_sub(len).expect("the page is full");
                        seen.copied += len;
                        (addr, len)
                    }
                    CopyNew { addr, len } => {
                        (seen.slots, seen.pages) = (seen.slots + 1, seen.pages + 1);
                        seen.copied += len;
                        room = PAGE_SIZE - len;
                        (addr, len)
                    }
                    Grant { addr, len } => {
                        seen.slots += 1;
                        room = 0;
                        assert!(addr % PAGE_SIZE + len <= PAGE_SIZE && copying != Copying::All);
                        (addr, len)
                    }
                };
                if expected.1 == 0 {
                    expected = bytes.next().unwrap();
                }
                assert_eq!(expected.0, addr);
                expected = (addr + len, expected.1 - len);
            }
            assert!(expected.1 == 0 && bytes.next().is_none());
            assert_eq!(seen, cost);
        }
    }
}
