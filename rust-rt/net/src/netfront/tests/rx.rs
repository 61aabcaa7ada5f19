//! What is received, and what an honest backend would not send.

use super::*;

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
    let limits = Limits { receive_pages: 128, send_pages: 16, trusting: false };
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
        // Outside the page; errors; too short.
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
fn slots_without_bytes_add_nothing() {
    let more = rx_flags::MORE_DATA;
    let slot = |rig: &mut Rig, offset, flags, bytes: &[u8]| {
        let (id, page) = rig.backend.take_page().unwrap();
        page.unwrap().write(offset as usize % PAGE_SIZE, bytes);
        rig.backend.write_rx(rx_response(id, offset, flags, bytes.len() as i16));
    };
    let frame = pattern(2000, 7);
    // In front, in the middle, behind; at the page's beginning and at its end.
    for empty in [0, 1, 4095, 4096] {
        let mut rig = Rig::honest();
        slot(&mut rig, empty, more, &[]);
        slot(&mut rig, 96, more, &frame[..1000]);
        slot(&mut rig, empty, more, &[]);
        slot(&mut rig, 0, more, &frame[1000..]);
        slot(&mut rig, empty, 0, &[]);
        // Nothing but such slots is no frame.
        slot(&mut rig, empty, more, &[]);
        slot(&mut rig, empty, 0, &[]);
        rig.backend.publish_rx();
        let (_, frames) = rig.receive();
        assert_eq!(frames.len(), 1);
        assert!(rig.bytes(&frames[0]) == frame, "{empty}");
        assert_eq!(rig.counters().lies, 1);
        assert!(rig.backend.send(frame, 0, None), "and it goes on");
        assert_eq!(rig.receive().1.len(), 1);
    }
}
