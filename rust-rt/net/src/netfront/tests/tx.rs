//! What is sent, as an honest backend sees it.

use super::*;

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
    let mut rig = Rig::new(ALL, Limits { trusting: true, ..Limits::default() });
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
fn granted_pages_have_nothing_but_payload() {
    let mut rig = Rig::honest();
    let payload = pattern(60_000, 2);
    let start = payload.as_ptr() as usize;
    for parts in [
        &[&payload[100..30_000], &payload[30_000..]][..],
        &[&payload[1..3]],
        &[payload],
        &[&payload[..2000], &payload[5000..9000], &payload[20_000..24_097]],
    ] {
        rig.send(&head(66), parts, 1448).unwrap();
        rig.device.flush();
        let before = rig.backend.granted();
        let sent = rig.backend.take().unwrap();
        assert!(sent.bytes == [&head(66)[..], &parts.concat()].concat());
        for page in before {
            // Where the pattern lies, a whole page is within one of the parts.
            let page = page.addr();
            let ours = page + PAGE_SIZE > start && page < start + payload.len();
            let within = parts.iter().any(|part| {
                let part = part.as_ptr_range();
                part.start as usize <= page && page + PAGE_SIZE <= part.end as usize
            });
            assert!(!ours || within, "a page with something else in it is granted");
        }
        rig.backend.answer(&sent, status::OKAY);
        rig.device.flush();
        while rig.device.completed().is_some() {}
    }
    // Whole pages are not copied, and no more than their rest is.
    assert!(rig.counters().tx_copied < 4 * 2 * 4096 + 10_000);
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
    let mut sum = crate::checksum::Sum::default();
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
fn nobody_is_woken_for_copies_that_were_sent() {
    let mut rig = Rig::honest();
    let once = |rig: &mut Rig, parts: &[&'static [u8]]| {
        rig.send(&head(66), parts, 0).unwrap();
        rig.device.flush();
        let frame = rig.backend.take().unwrap();
        rig.backend.answer(&frame, status::OKAY)
    };
    // A new ring wants to hear of the first answer in any case.
    once(&mut rig, &[]);
    for _ in 0..3 * 256 {
        assert!(!once(&mut rig, &[pattern(100, 0)]));
    }
    assert_eq!(rig.counters().tx_frames, 769);
    // Nor are answers left in the ring for it: the pages for copies served again and again.
    assert_eq!(rig.counters().tx_full, 0);
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

#[test]
fn a_group_joined_while_the_ring_is_full_is_told_when_there_is_room() {
    let mut rig = Rig::honest();
    // A new ring wants to hear of the first answer in any case.
    rig.send(&head(60), &[], 0).unwrap();
    rig.device.flush();
    rig.backend.take_all();
    rig.device.flush();
    for _ in 0..Limits::default().send_pages {
        rig.send(&head(60), &[], 0).unwrap();
    }
    let (joined, left) = (Mac([0x33, 0x33, 0, 0, 0, 1]), Mac([0x33, 0x33, 0, 0, 0, 2]));
    rig.device.multicast(left, true);
    rig.device.multicast(joined, true);
    rig.device.multicast(left, false);
    rig.device.flush();
    let mut notified = false;
    while let Some(frame) = rig.backend.take() {
        assert_eq!(frame.group, None);
        notified |= rig.backend.answer(&frame, status::OKAY);
    }
    assert!(notified);
    rig.device.on_event(true, false);
    assert!(rig.device.news().contains(News::ROOM), "the stack looks, and flushes");
    rig.device.flush();
    let told: Vec<_> = rig.backend.take_all().iter().map(|sent| sent.group).collect();
    assert_eq!(told, [Some((2, joined.0))]);
}

#[test]
fn a_backend_that_cannot_filter_is_not_told_of_groups() {
    let mut rig = Rig::new(Offload { filter: false, ..ALL }, Limits::default());
    rig.device.multicast(Mac([0x33, 0x33, 0, 0, 0, 1]), true);
    rig.device.flush();
    assert!(rig.backend.take().is_none());
}
