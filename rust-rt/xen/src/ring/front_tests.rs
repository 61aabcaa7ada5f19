//! The frontend ring against a backend in ordinary memory that also lies.

use super::*;
use crate::{
    ring::shadow::Shadow,
    testing::{Random, shared_page},
};
use alloc::{boxed::Box, vec::Vec};

/// A request of 12 bytes and a response of 4, as network transmit has them.
struct Toy;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Reply {
    id: u16,
    status: i16,
}

impl Protocol for Toy {
    const SLOT: usize = 12;
    type Request = u16;
    type Response = Reply;

    fn emit(id: &u16, slot: &mut [u8]) {
        slot[8..10].copy_from_slice(&id.to_le_bytes());
    }

    fn parse(slot: &[u8]) -> Reply {
        Reply {
            id: u16::from_le_bytes([slot[0], slot[1]]),
            status: i16::from_le_bytes([slot[2], slot[3]]),
        }
    }
}

type Ring = FrontRing<Toy, Box<SharedPage>>;

/// An honest backend, as `io/ring.h` has it, with hooks to lie.
struct Backend {
    page: SharedPage,
    consumed: u32,
    produced: u32,
}

impl Backend {
    fn take(&mut self) -> Option<u16> {
        if self.page.load_u32(REQ_PROD) == self.consumed {
            return None;
        }
        let mut slot = [0; 12];
        self.page.read(Ring::offset_in(Ring::SLOTS, self.consumed), &mut slot);
        self.consumed = self.consumed.wrapping_add(1);
        Some(u16::from_le_bytes([slot[8], slot[9]]))
    }

    /// Final check before the backend sleeps.
    fn arm(&mut self) -> bool {
        self.page.store_u32(REQ_EVENT, self.consumed.wrapping_add(1));
        self.page.load_u32(REQ_PROD) != self.consumed
    }

    /// Answers and tells whether the frontend has to be notified.
    fn answer(&mut self, id: u16, status: i16) -> bool {
        let mut slot = [0; 4];
        slot[..2].copy_from_slice(&id.to_le_bytes());
        slot[2..].copy_from_slice(&status.to_le_bytes());
        self.page.write(Ring::offset_in(Ring::SLOTS, self.produced), &slot);
        let old = self.produced;
        self.produced = old.wrapping_add(1);
        self.page.store_u32(RSP_PROD, self.produced);
        let event = self.page.load_u32(RSP_EVENT);
        self.produced.wrapping_sub(event) < self.produced.wrapping_sub(old)
    }
}

fn pair() -> (Ring, Backend) {
    let (page, peer) = shared_page();
    (Ring::new(Box::new(page)), Backend { page: peer, consumed: 0, produced: 0 })
}

#[test]
fn ring_has_as_many_slots_as_xen_computes() {
    // (4096 - 64) / 12 = 336, rounded down to a power of two.
    assert_eq!(Ring::SLOTS, 256);
}

#[test]
fn request_is_invisible_until_published() {
    let (mut ring, mut backend) = pair();
    ring.push(&5).unwrap();
    assert_eq!(backend.take(), None);
    assert!(ring.publish());
    assert_eq!(backend.take(), Some(5));
}

#[test]
fn second_request_does_not_notify_a_busy_backend() {
    let (mut ring, mut backend) = pair();
    ring.push(&1).unwrap();
    assert!(ring.publish(), "req_event starts at 1");
    ring.push(&2).unwrap();
    assert!(!ring.publish());
    while backend.take().is_some() {}
    assert!(!backend.arm());
    ring.push(&3).unwrap();
    assert!(ring.publish());
}

#[test]
fn backend_that_arms_late_finds_the_request_itself() {
    let (mut ring, mut backend) = pair();
    ring.push(&1).unwrap();
    assert!(ring.publish());
    assert_eq!(backend.take(), Some(1));
    ring.push(&2).unwrap();
    assert!(!ring.publish());
    assert!(backend.arm());
}

#[test]
fn full_ring_refuses_and_recovers() {
    let (mut ring, mut backend) = pair();
    for id in 0..256 {
        ring.push(&id).unwrap();
    }
    assert_eq!(ring.push(&256), Err(Full));
    let _ = ring.publish();
    let id = backend.take().unwrap();
    backend.answer(id, 0);
    assert_eq!(ring.push(&256), Err(Full), "an answer frees its slot when it is taken");
    assert_eq!(ring.pop(), Ok(Some(Reply { id: 0, status: 0 })));
    assert_eq!(ring.push(&256), Ok(()));
}

#[test]
fn response_between_the_last_look_and_arm_is_not_lost() {
    let (mut ring, mut backend) = pair();
    for id in [1, 2] {
        ring.push(&id).unwrap();
    }
    let _ = ring.publish();
    assert!(backend.answer(1, 0), "rsp_event starts at 1");
    assert!(ring.pop().unwrap().is_some());
    assert_eq!(ring.pop(), Ok(None));
    assert!(!backend.answer(2, 0), "the frontend has not asked for this one");
    assert_eq!(ring.arm(), Ok(true));
    assert!(ring.pop().unwrap().is_some());
    assert_eq!(ring.arm(), Ok(false));
    ring.push(&3).unwrap();
    let _ = ring.publish();
    assert!(backend.answer(3, 0));
}

#[test]
fn more_answers_than_requests_are_corrupt() {
    let (mut ring, backend) = pair();
    ring.push(&1).unwrap();
    let _ = ring.publish();
    backend.page.store_u32(RSP_PROD, 2);
    assert_eq!(ring.pop().err(), Some(Corrupt));
    backend.page.store_u32(RSP_PROD, 1);
    assert_eq!(ring.pop().err(), Some(Corrupt), "a broken ring stays broken");
    assert_eq!(ring.arm(), Err(Corrupt));
}

#[test]
fn answer_to_an_unpublished_request_is_corrupt() {
    let (mut ring, mut backend) = pair();
    ring.push(&1).unwrap();
    backend.answer(1, 0);
    assert_eq!(ring.pop().err(), Some(Corrupt));
}

#[test]
fn index_that_goes_back_is_corrupt() {
    let (mut ring, mut backend) = pair();
    for id in 0..4 {
        ring.push(&id).unwrap();
    }
    let _ = ring.publish();
    backend.answer(0, 0);
    backend.answer(1, 0);
    assert!(ring.pop().unwrap().is_some());
    assert!(ring.pop().unwrap().is_some());
    backend.page.store_u32(RSP_PROD, 1);
    assert_eq!(ring.pop().err(), Some(Corrupt));
}

#[test]
fn indices_wrap_at_32_bits() {
    let (mut ring, mut backend) = pair();
    let start = u32::MAX - 3;
    for index in [&mut ring.produced, &mut ring.published, &mut ring.consumed, &mut ring.answered] {
        *index = start;
    }
    for index in [&mut backend.consumed, &mut backend.produced] {
        *index = start;
    }
    for offset in [REQ_PROD, RSP_PROD] {
        backend.page.store_u32(offset, start);
    }
    for id in 0..600 {
        ring.push(&id).unwrap();
        let _ = ring.publish();
        assert_eq!(backend.take(), Some(id));
        backend.answer(id, 1);
        assert_eq!(ring.pop(), Ok(Some(Reply { id, status: 1 })));
    }
}

/// A long random walk: an honest backend loses nothing, and whenever both sides sleep a
/// notification is on its way.
#[test]
fn random_walk_loses_no_request_and_no_wakeup() {
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let (mut ring, mut backend) = pair();
        let mut shadow = Shadow::new(256);
        let (mut awake_front, mut awake_back) = (true, true);
        let (mut sent, mut done) = (0u32, 0);
        let mut held = Vec::new();
        while done < 2_000 {
            match random.below(4) {
                0 if awake_front && sent < 2_000 => {
                    let Ok(id) = shadow.insert(sent) else { continue };
                    if ring.push(&id).is_err() {
                        shadow.take(id);
                        continue;
                    }
                    sent += 1;
                    awake_back |= ring.publish();
                }
                1 if awake_front => {
                    while let Some(reply) = ring.pop().unwrap() {
                        shadow.take(reply.id).expect("an honest backend answers once");
                        done += 1;
                    }
                    if sent == 2_000 || ring.free() == 0 {
                        awake_front = ring.arm().unwrap();
                    }
                }
                2 if awake_back => {
                    held.extend(backend.take());
                    if !held.is_empty() {
                        let reply = held.swap_remove(random.below(held.len()));
                        awake_front |= backend.answer(reply, 0);
                    }
                }
                3 if awake_back && held.is_empty() => awake_back = backend.arm(),
                _ => assert!(awake_front || awake_back || done == 2_000, "both sleep, seed {seed}"),
            }
        }
        assert!(shadow.is_empty());
    }
}

/// A backend that writes anything anywhere gets errors or garbage values, never a panic, and never
/// an answer more than was asked for.
#[test]
fn random_liar_cannot_panic_the_frontend() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let (mut ring, backend) = pair();
        let mut shadow = Shadow::new(64);
        let mut asked = 0;
        for _ in 0..200 {
            if let Ok(id) = shadow.insert(()) {
                asked += u32::from(ring.push(&id).is_ok());
            }
            let _ = ring.publish();
            for _ in 0..random.below(4) {
                let value = [random.bits() as u32, random.below(300) as u32][random.below(2)];
                backend.page.store_u32(4 * random.below(1024), value);
            }
            while let Ok(Some(reply)) = ring.pop() {
                let _ = shadow.take(reply.id);
            }
            let _ = ring.arm();
            assert!(ring.consumed <= asked);
        }
    }
}
