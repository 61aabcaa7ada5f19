//! Connections that end before their time.

use super::*;

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
fn notifications_about_nothing_end_in_a_disconnection() {
    let mut rig = Rig::honest();
    for _ in 0..3 {
        for _ in 0..STORM {
            rig.device.on_event(true, true);
        }
        // A frame shows that they were about something.
        rig.backend.send(pattern(60, 1), 0, None);
        assert_eq!(rig.receive().1.len(), 1);
    }
    assert_eq!(rig.device.info().link, Link::Up);
    for _ in 0..=STORM {
        rig.device.on_event(false, true);
        rig.receive();
    }
    assert_eq!((rig.device.info().link, rig.counters().lies), (Link::Down, 1));
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
