//! The device against a backend in memory, honest first, then lying.

use super::{backend::*, *};
use crate::{
    mem::PAGE_SIZE,
    net::{Fragment, Place, RxChecksum, TxChecksum},
    testing::Random,
    wire::{GrantRef, netif::*},
    xen::fake::{FakeXen, World, world},
};
use alloc::{boxed::Box, vec};
use core::mem::MaybeUninit;

const ALL: Offload = Offload {
    checksum4: true,
    checksum6: true,
    tso4: true,
    tso6: true,
    sg: true,
    untrusted: false,
};
const PEER: DomId = DomId(3);

struct Rig {
    device: Netfront,
    backend: Backend,
    xen: &'static FakeXen,
    grants: &'static GrantTable,
    events: &'static crate::xen::events::Events,
    slab: Vec<MaybeUninit<u8>>,
}

impl Rig {
    fn new(offload: Offload, limits: Limits) -> Rig {
        let World { xen, events, .. } = world();
        xen.set_max_frames(8);
        let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
        let device = Netfront::new("vif0".into(), limits, grants, || {}).unwrap();
        let slab = vec![MaybeUninit::new(0); 1 << 17];
        let mut rig = Rig {
            backend: connect(&device, xen, events, offload),
            device,
            xen,
            grants,
            events,
            slab,
        };
        rig.backend.arm();
        xen.take_sent();
        rig
    }

    fn honest() -> Rig {
        Rig::new(ALL, Limits::default())
    }

    fn connect(&mut self, offload: Offload) {
        self.backend = connect(&self.device, self.xen, self.events, offload);
    }

    /// Sends a frame; its head is `head`, its payload `parts`.
    fn send(
        &self,
        head: &[u8],
        parts: &[&'static [u8]],
        gso_size: u16,
    ) -> Result<Option<u16>, SendError> {
        self.send_with(
            head,
            parts,
            gso_size,
            (gso_size > 0).then_some(TxChecksum { start: 34, offset: 16 }),
        )
    }

    fn send_with(
        &self,
        head: &[u8],
        parts: &[&'static [u8]],
        gso_size: u16,
        checksum: Option<TxChecksum>,
    ) -> Result<Option<u16>, SendError> {
        let Some(at) = self.device.reserve(head.len()) else { return Err(SendError::Full) };
        let (base, _) = self.device.heads();
        // SAFETY: reserved, and not read by anybody yet.
        unsafe { base.add(at).copy_from_nonoverlapping(NonNull::from(head).cast(), head.len()) };
        let payload: Vec<Fragment> = parts
            .iter()
            .map(|part| Fragment { addr: NonNull::from(*part).cast(), len: part.len() })
            .collect();
        let frame =
            TxFrame { head: at, head_len: head.len(), payload: &payload, checksum, gso_size };
        // SAFETY: the payload is static.
        unsafe { self.device.send(&frame) }
    }

    fn receive(&mut self) -> (Received, Vec<RxFrame>) {
        let mut frames = Vec::new();
        let mut slab = Slab::new(&mut self.slab);
        let received = self.device.receive(64, &mut slab, &mut |frame| frames.push(frame));
        (received, frames)
    }

    fn bytes(&self, frame: &RxFrame) -> Vec<u8> {
        match &frame.place {
            Place::Slab(at) => {
                let part = &self.slab[*at..at + frame.len];
                // SAFETY: written by `receive`.
                part.iter().map(|byte| unsafe { byte.assume_init() }).collect()
            }
            Place::Lent(lease) => {
                // SAFETY: lent, so that nobody writes it.
                unsafe { core::slice::from_raw_parts(lease.addr().as_ptr(), frame.len) }.to_vec()
            }
        }
    }

    fn counters(&self) -> Counters {
        self.device.counters()
    }
}

fn connect(
    device: &Netfront,
    xen: &'static FakeXen,
    events: &'static crate::xen::events::Events,
    offload: Offload,
) -> Backend {
    let channel = || events.alloc_unbound(PEER).unwrap();
    let channels = Rc::new(Channels::Split { tx: channel(), rx: channel() });
    device.prepare(PEER, offload, channels).unwrap();
    let (tx, rx) = device.ring_refs().unwrap();
    device.up(Mac([0, 0x16, 0x3e, 1, 2, 3]), 1500, offload.features());
    device.news();
    Backend::new(xen, GrantRef(tx), GrantRef(rx))
}

/// Bytes that tell where they come from, in memory that a grant can point to.
fn pattern(len: usize, seed: u8) -> &'static [u8] {
    let layout = alloc::alloc::Layout::from_size_align(len, PAGE_SIZE).unwrap();
    // SAFETY: the layout is not empty, and the memory is leaked and written before it is borrowed.
    unsafe {
        let base = alloc::alloc::alloc(layout);
        for i in 0..len {
            base.add(i).write((i * 7 + i / 256) as u8 ^ seed);
        }
        core::slice::from_raw_parts(base, len)
    }
}

fn head(len: usize) -> Vec<u8> {
    let mut head: Vec<u8> = (0..len).map(|i| i as u8 ^ 0x55).collect();
    head[12..14].copy_from_slice(&[8, 0]);
    head
}

#[test]
fn small_frame_is_one_slot_and_one_notification() {
    let mut rig = Rig::honest();
    let payload = pattern(100, 1);
    assert_eq!(rig.send(&head(54), &[&payload[..60], &payload[60..]], 0), Ok(None));
    assert_eq!(rig.backend.take(), None, "not before the flush");
    rig.device.flush();
    assert_eq!(rig.xen.take_sent().len(), 1);
    let sent = rig.backend.take().unwrap();
    assert_eq!(sent.bytes, [&head(54), payload].concat());
    assert_eq!((sent.flags, sent.ids.len(), sent.extras), (0, 1, 0));
    rig.backend.answer(&sent, status::OKAY);
    rig.device.flush();
    assert_eq!(rig.xen.take_sent().len(), 0, "nothing new, nobody to tell");
    assert_eq!(rig.counters().tx_copied, 100);
}

#[test]
fn large_segment_is_sent_from_where_it_lies() {
    let mut rig = Rig::honest();
    let payload = pattern(60_000, 2);
    // Not aligned, and in two pieces.
    let parts = [&payload[100..30_000], &payload[30_000..]];
    let id = rig.send(&head(66), &parts, 1448).unwrap().expect("kept");
    rig.device.flush();
    let sent = rig.backend.take().unwrap();
    assert!(sent.bytes == [&head(66), &payload[100..]].concat());
    assert_eq!(sent.gso, Some((1, 1448)));
    assert_eq!(sent.flags, tx_flags::CSUM_BLANK | tx_flags::DATA_VALIDATED);
    assert_eq!((rig.counters().tx_copied, rig.device.completed()), (0, None));
    rig.backend.answer(&sent, status::OKAY);
    rig.device.flush();
    assert_eq!((rig.device.completed(), rig.device.completed()), (Some(id), None));
    let before = rig.grants.stats().used;
    assert_eq!(
        rig.counters().grants - rig.counters().grant_ends,
        before as u64 - 2,
        "but the rings"
    );
}

#[test]
fn payload_in_too_many_pieces_is_copied() {
    let mut rig = Rig::honest();
    let payload = pattern(40_000, 3);
    let parts: Vec<&[u8]> = payload.chunks(1000).collect();
    assert_eq!(rig.send(&head(66), &parts, 1448), Ok(None));
    rig.device.flush();
    let sent = rig.backend.take().unwrap();
    assert!(sent.bytes == [&head(66), payload].concat());
    assert_eq!(sent.ids.len(), 10);
}

#[test]
fn untrusted_backend_sees_nothing_but_frames() {
    let mut rig = Rig::new(Offload { untrusted: true, ..ALL }, Limits::default());
    let payload = pattern(10_000, 4);
    assert_eq!(rig.send(&head(66), &[payload], 1448), Ok(None));
    rig.device.flush();
    assert!(rig.backend.take().unwrap().bytes == [&head(66), payload].concat());
    assert_eq!(rig.counters().tx_copied, 10_000);
}

#[test]
fn checksum_is_completed_for_a_backend_that_does_not() {
    let mut rig = Rig::new(Offload { checksum4: false, ..ALL }, Limits::default());
    let payload = pattern(333, 5);
    let checksum = Some(TxChecksum { start: 34, offset: 6 });
    assert_eq!(rig.send_with(&head(42), &[payload], 0, checksum), Ok(None));
    rig.device.flush();
    let sent = rig.backend.take().unwrap();
    assert_eq!(sent.flags, 0);
    let mut sum = crate::net::checksum::Sum::default();
    sum.add(&head(42)[34..]);
    sum.add(payload);
    assert_eq!(sent.bytes[40..42], sum.finish());
}

#[test]
fn frames_that_cannot_be_sent_are_refused() {
    let rig = Rig::new(Offload { tso4: false, ..ALL }, Limits::default());
    assert_eq!(rig.send(&head(14), &[pattern(1501, 0)], 0), Err(SendError::Length));
    assert_eq!(rig.send(&head(14), &[pattern(1500, 0)], 0), Ok(None));
    assert_eq!(rig.send(&head(66), &[pattern(5000, 0)], 1448), Err(SendError::Length));
    let rig = Rig::honest();
    assert_eq!(rig.send(&head(66), &[pattern(65_535, 0)], 1448), Err(SendError::Length));
    assert_eq!(
        rig.send(&head(66), &[pattern(65_535 - 66, 0)], 1448).map(|id| id.is_some()),
        Ok(true)
    );
    assert_eq!(rig.device.reserve(1515), None);
}

#[test]
fn full_ring_turns_away_and_tells_when_there_is_room() {
    let mut rig = Rig::honest();
    let mut sent = 0;
    while rig.send(&head(60), &[], 0).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, Limits::default().send_pages);
    assert_eq!(rig.send(&head(60), &[], 0), Err(SendError::Full));
    rig.device.flush();
    assert!(!rig.device.news().contains(News::ROOM));
    let mut notified = false;
    for _ in 0..sent / 2 {
        let frame = rig.backend.take().unwrap();
        notified |= rig.backend.answer(&frame, status::OKAY);
    }
    assert!(notified, "somebody waits for room");
    rig.device.on_event(true, false);
    assert!(rig.device.news().contains(News::ROOM));
    assert_eq!(rig.send(&head(60), &[], 0), Ok(None));
}

#[test]
fn last_payload_comes_back_although_nothing_follows() {
    let mut rig = Rig::honest();
    for _ in 0..3 {
        rig.send(&head(66), &[pattern(5000, 0)], 1448).unwrap();
    }
    rig.device.flush();
    let frames: Vec<Sent> = core::iter::from_fn(|| rig.backend.take()).collect();
    let notified: Vec<bool> =
        frames.iter().map(|frame| rig.backend.answer(frame, status::OKAY)).collect();
    assert_eq!(notified, [false, false, true]);
    rig.device.on_event(true, false);
    assert!(rig.device.news().contains(News::COMPLETED));
    assert_eq!(core::iter::from_fn(|| rig.device.completed()).count(), 3);
}

#[test]
fn frames_are_received_in_every_shape() {
    let mut rig = Rig::honest();
    let sizes = [14, 60, 512, 513, 1514, 4096, 4097, 9014, 65_535];
    for (n, size) in sizes.into_iter().enumerate() {
        let frame = pattern(size, n as u8);
        let (flags, gso) = match n % 3 {
            0 => (0, None),
            1 => (rx_flags::CSUM_BLANK | rx_flags::DATA_VALIDATED, Some((1, 1448))),
            _ => (rx_flags::DATA_VALIDATED, None),
        };
        assert!(rig.backend.send(frame, flags, gso));
        let (received, frames) = rig.receive();
        assert_eq!((received, frames.len()), (Received::All, 1));
        assert!(rig.bytes(&frames[0]) == frame, "{size} bytes");
        let expected = [RxChecksum::Unknown, RxChecksum::Blank, RxChecksum::Valid][n % 3];
        assert_eq!(frames[0].checksum, expected);
        assert_eq!(frames[0].gso_size, gso.map_or(0, |gso| gso.1));
        let lent = matches!(frames[0].place, Place::Lent(_));
        assert_eq!(lent, size > 512, "{size} bytes");
        rig.device.flush();
    }
    let counters = rig.counters();
    assert_eq!((counters.rx_frames, counters.lies), (9, 0));
    // Small frames, and the first page of large segments of more than one.
    assert_eq!(counters.rx_copied, 14 + 60 + 512 + 4096);
}

#[test]
fn backend_cannot_reach_a_frame_that_was_lent() {
    let mut rig = Rig::honest();
    let (id, page) = rig.backend.take_page().unwrap();
    page.as_ref().unwrap().write(0, &[1; 1514]);
    rig.backend.write_rx(rx_response(id, 0, 0, 1514));
    rig.backend.publish_rx();
    let (_, frames) = rig.receive();
    let lent = match &frames[0].place {
        Place::Lent(lease) => lease.addr().as_ptr() as usize,
        Place::Slab(_) => panic!("copied"),
    };
    // No entry of the grant table has that page.
    let granted = (0..2048).filter_map(|gref| backend::page(rig.xen, GrantRef(gref)));
    assert!(granted.into_iter().all(|page| page.addr() != lent));
}

#[test]
fn pages_still_in_use_are_copied_and_not_lent() {
    let mut rig = Rig::honest();
    let at = 64;
    let gref = GrantRef(rig.backend.rx.load_u32(at + 4));
    assert!(rig.backend.send(pattern(1514, 9), 0, None));
    let (table, entry) = entry(rig.xen, gref).unwrap();
    // As Xen marks it while the page is mapped.
    table.store_u16(entry, table.load_u16(entry) | 0x18);
    let (_, frames) = rig.receive();
    assert!(matches!(frames[0].place, Place::Slab(_)));
    assert!(rig.bytes(&frames[0]) == pattern(1514, 9));
    assert_eq!(rig.counters().lies, 1);
}

#[test]
fn ring_never_runs_dry_while_frames_are_held() {
    let limits = Limits { receive_pages: 128, send_pages: 16 };
    let mut rig = Rig::new(ALL, limits);
    let mut held = Vec::new();
    let mut pressed = 0;
    for n in 0..1000 {
        assert!(rig.backend.send(pattern(1514, n as u8), 0, None), "frame {n}");
        let (_, frames) = rig.receive();
        held.extend(frames.into_iter().filter(|frame| matches!(frame.place, Place::Lent(_))));
        rig.device.flush();
        pressed += usize::from(rig.device.news().contains(News::PRESSURE));
        assert!(rig.backend.posted() >= 32);
    }
    assert_eq!(rig.counters().rx_frames, 1000);
    assert!(held.len() < 96 && pressed >= 1);
    held.clear();
    rig.backend.send(pattern(1514, 1), 0, None);
    // Given back, they are noticed with the next ones that are asked for.
    let (_, frames) = rig.receive();
    drop(frames);
}

#[test]
fn malformed_frames_are_dropped_and_the_next_one_is_not() {
    use rx_flags::*;
    let cases: &[&[[u8; 8]]] = &[
        // Outside of the page; errors; too short.
        &[rx_response(0, 4000, 0, 97)],
        &[rx_response(0, 0xffff, 0, 0x7fff)],
        &[rx_response(0, 0, 0, -1)],
        &[rx_response(0, 0, 0, -2)],
        &[rx_response(0, 0, 0, 13)],
        &[rx_response(0, 0, 0, 0)],
        // Another slot's identifier.
        &[rx_response(77, 0, 0, 100)],
        // Extra info that is none.
        &[rx_response(0, 0, EXTRA_INFO, 100), [9, 0, 0, 0, 0, 0, 0, 0]],
        &[rx_response(0, 0, EXTRA_INFO, 100), [1, 0, 0, 0, 1, 0, 0, 0]],
        &[rx_response(0, 0, EXTRA_INFO, 100), [1, 0, 1, 0, 7, 0, 0, 0]],
        &[
            rx_response(0, 0, EXTRA_INFO | MORE_DATA, 100),
            [2, 1, 0, 0, 0, 0, 0, 0],
            [4, 0, 0, 0, 0, 0, 0, 0],
            rx_response(3, 0, 0, 5),
        ],
    ];
    for case in cases {
        let mut rig = Rig::honest();
        for slot in *case {
            rig.backend.take_page().unwrap();
            rig.backend.write_rx(*slot);
        }
        rig.backend.publish_rx();
        assert!(rig.backend.send(pattern(70, 1), 0, None));
        let (_, frames) = rig.receive();
        assert_eq!(frames.len(), 1, "{case:?}");
        assert!(rig.bytes(&frames[0]) == pattern(70, 1));
        let counters = rig.counters();
        let is_error = case.len() == 1 && case[0][7] >= 0x80;
        assert_eq!((counters.rx_dropped, counters.lies), (1, u64::from(!is_error)), "{case:?}");
        assert_eq!(rig.device.info().link, Link::Up);
    }
}

#[test]
fn chain_without_end_is_dropped_as_a_whole() {
    let mut rig = Rig::honest();
    for n in 0..100 {
        let (id, _) = rig.backend.take_page().unwrap();
        let more = if n < 99 { rx_flags::MORE_DATA } else { 0 };
        rig.backend.write_rx(rx_response(id, 0, more, 4096));
    }
    rig.backend.publish_rx();
    assert!(rig.backend.send(pattern(70, 1), 0, None));
    assert_eq!(rig.receive().1.len(), 1);
    assert_eq!(rig.counters().rx_dropped, 1);
}

#[test]
fn chain_may_arrive_in_parts() {
    let mut rig = Rig::honest();
    let frame = pattern(9000, 6);
    for (n, piece) in frame.chunks(PAGE_SIZE).enumerate() {
        let (id, page) = rig.backend.take_page().unwrap();
        page.unwrap().write(0, piece);
        let more = if n < 2 { rx_flags::MORE_DATA } else { 0 };
        rig.backend.write_rx(rx_response(id, 0, more, piece.len() as i16));
        rig.backend.publish_rx();
        let (_, frames) = rig.receive();
        assert_eq!(frames.len(), usize::from(n == 2));
        if n == 2 {
            assert!(rig.bytes(&frames[0]) == frame);
        }
        rig.device.flush();
    }
}

#[test]
fn full_slab_keeps_the_frame_for_the_next_call() {
    let mut rig = Rig::honest();
    rig.backend.send(pattern(200, 1), 0, None);
    rig.backend.send(pattern(200, 2), 0, None);
    let mut count = 0;
    let received =
        rig.device.receive(64, &mut Slab::new(&mut rig.slab[..300]), &mut |_| count += 1);
    assert_eq!((received, count), (Received::SlabFull, 1));
    rig.device.flush();
    assert!(rig.device.news().contains(News::FRAMES));
    let (_, frames) = rig.receive();
    assert!(rig.bytes(&frames[0]) == pattern(200, 2));
}

#[test]
fn ring_that_makes_no_sense_takes_the_link_down_and_nothing_else() {
    let lies: &[fn(&mut Rig)] = &[
        |rig| rig.backend.rx.store_u32(8, 300),
        |rig| rig.backend.rx.store_u32(8, u32::MAX),
        |rig| rig.backend.tx.store_u32(8, 1),
        |rig| {
            rig.send(&head(60), &[], 0).unwrap();
            rig.device.flush();
            rig.backend.write_tx(99, 0);
            rig.backend.publish_tx();
        },
        |rig| {
            rig.send(&head(60), &[], 0).unwrap();
            rig.device.flush();
            rig.backend.write_tx(0, status::NULL);
            rig.backend.publish_tx();
        },
        |rig| {
            // The same answer twice.
            rig.send(&head(60), &[], 0).unwrap();
            rig.send(&head(60), &[], 0).unwrap();
            rig.device.flush();
            rig.backend.write_tx(0, status::OKAY);
            rig.backend.write_tx(0, status::OKAY);
            rig.backend.publish_tx();
        },
    ];
    for (n, lie) in lies.iter().enumerate() {
        let mut rig = Rig::honest();
        lie(&mut rig);
        rig.device.on_event(true, true);
        rig.receive();
        rig.device.flush();
        assert_eq!((rig.device.info().link, rig.counters().lies), (Link::Down, 1), "lie {n}");
        assert_eq!(rig.send(&head(60), &[], 0), Err(SendError::Full));
        rig.device.end();
        assert_eq!(rig.grants.stats().used, 0);
        // And it can be connected again.
        rig.connect(ALL);
        rig.send(&head(60), &[], 0).unwrap();
        rig.device.flush();
        assert_eq!(rig.backend.take_all().len(), 1);
    }
}

#[test]
fn frames_in_flight_are_counted_and_their_payload_comes_back() {
    let rig = Rig::honest();
    let id = rig.send(&head(66), &[pattern(50_000, 0)], 1448).unwrap();
    rig.send(&head(60), &[], 0).unwrap();
    rig.device.flush();
    rig.device.stop();
    rig.device.end();
    assert_eq!(rig.counters().tx_dropped, 2);
    assert_eq!(rig.device.completed(), id);
    assert_eq!(rig.grants.stats().used, 0);
}

#[test]
fn payload_that_a_dead_backend_still_maps_is_kept_until_it_does_not() {
    let mut rig = Rig::honest();
    let id = rig.send(&head(66), &[pattern(5000, 0)], 1448).unwrap();
    rig.device.flush();
    let mapped: Vec<_> = (0..2048)
        .filter(|gref| backend::page(rig.xen, GrantRef(*gref)).is_some())
        .filter_map(|gref| entry(rig.xen, GrantRef(gref)))
        .collect();
    mapped.iter().for_each(|(table, at)| table.store_u16(*at, table.load_u16(*at) | 8));
    rig.device.stop();
    rig.device.end();
    assert_eq!(rig.device.completed(), None);
    mapped.iter().for_each(|(table, at)| table.store_u16(*at, table.load_u16(*at) & !8));
    rig.connect(ALL);
    assert_eq!(rig.device.completed(), id);
}

#[test]
fn groups_are_joined_again_on_every_connection() {
    let mut rig = Rig::honest();
    let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
    rig.device.multicast(group, true);
    rig.device.flush();
    assert_eq!(rig.backend.take_all()[0].group, Some((2, group.0)));
    rig.device.stop();
    rig.device.end();
    rig.connect(ALL);
    assert_eq!(rig.backend.take_all()[0].group, Some((2, group.0)));
    rig.device.multicast(group, false);
    rig.device.flush();
    assert_eq!(rig.backend.take_all()[0].group, Some((3, group.0)));
    assert_eq!(rig.device.info().link, Link::Up);
}

/// Does what `choose` says, on both sides, lies included: `choose(n)` is a number below `n`. A fuzzer
/// can choose as well. What must hold whatever happens is asserted here and in the device.
fn drive(steps: usize, choose: &mut dyn FnMut(usize) -> usize) {
    let limits = Limits { receive_pages: 64 + choose(300), send_pages: 16 + choose(64) };
    let mut rig = Rig::new(Offload { untrusted: choose(8) == 0, ..ALL }, limits);
    let payload = pattern(70_000, 1);
    let (mut held, mut kept) = (Vec::new(), alloc::collections::BTreeSet::new());
    for _ in 0..steps {
        match choose(16) {
            0..=2 => {
                let (len, pieces) = (choose(60_000), 1 + choose(24));
                let start = choose(4096);
                let piece = (len / pieces).max(1);
                let parts: Vec<&[u8]> = payload[start..start + len].chunks(piece).collect();
                let gso = if len > 1400 { 1448 } else { 0 };
                if let Ok(Some(id)) = rig.send(&head(54 + choose(100)), &parts, gso) {
                    assert!(kept.insert(id), "a number is in use twice");
                }
            }
            3..=5 => rig.device.flush(),
            6 | 7 => {
                let (_, frames) = rig.receive();
                frames.iter().for_each(|frame| assert!(rig.bytes(frame).len() == frame.len));
                held.extend(frames.into_iter().filter(|f| matches!(f.place, Place::Lent(_))));
            }
            8 => held.truncate(choose(held.len() + 1)),
            9 => {
                let gso = (choose(2) == 0).then_some((1 + choose(2) as u8, 1448));
                rig.backend.send(&payload[..14 + choose(65_000)], choose(4) as u16, gso);
            }
            10 => {
                if let Some(sent) = rig.backend.take() {
                    rig.backend.answer(&sent, choose(4) as i16 - 2);
                }
            }
            // From here on it lies: slots, identifiers, indices, the whole page.
            11 => {
                rig.backend.lied = true;
                for _ in 0..choose(5) {
                    let page = rig.backend.take_page();
                    let id = page.map_or(0, |(id, _)| id) ^ (choose(16) / 15 * 3) as u16;
                    let (offset, flags) = (choose(5000) as u16, choose(64) as u16);
                    let status = choose(4200) as i16 - 10;
                    rig.backend.write_rx(rx_response(id, offset, flags, status));
                }
                if rig.backend.posted() < 1 << 31 {
                    rig.backend.publish_rx();
                }
            }
            12 if choose(8) == 0 => {
                rig.backend.lied = true;
                rig.backend.write_tx(choose(300) as u16, choose(5) as i16 - 2);
                rig.backend.publish_tx();
            }
            13 if choose(8) == 0 => {
                rig.backend.lied = true;
                let ring = if choose(2) == 0 { &rig.backend.tx } else { &rig.backend.rx };
                let value = ring.load_u32(8).wrapping_add(choose(600) as u32).wrapping_sub(20);
                ring.store_u32([4, 8, 12][choose(3)], value);
            }
            14 if choose(4) == 0 => {
                rig.backend.lied = true;
                let ring = if choose(2) == 0 { &rig.backend.tx } else { &rig.backend.rx };
                ring.store_u32(64 + 4 * choose(1008), choose(1 << 32) as u32);
            }
            _ => rig.device.on_event(choose(2) == 0, choose(2) == 0),
        }
        while let Some(id) = rig.device.completed() {
            assert!(kept.remove(&id), "completed what was not sent");
        }
        if rig.device.info().link == Link::Down {
            rig.device.end();
            while let Some(id) = rig.device.completed() {
                assert!(kept.remove(&id), "completed what was not sent");
            }
            assert!(kept.is_empty(), "payload was lost");
            assert_eq!(rig.grants.stats().used, 0, "a grant was left behind");
            rig.connect(ALL);
        }
    }
    drop(held);
    rig.device.stop();
    rig.device.end();
    assert_eq!((rig.grants.stats().used, rig.grants.stats().leaked), (0, 0));
}

#[test]
fn no_lie_costs_more_than_the_device() {
    let runs = if cfg!(miri) { 2 } else { 500 };
    for seed in 1..=runs {
        let mut random = Random::new(seed);
        drive(60, &mut |limit| random.below(limit));
    }
}
