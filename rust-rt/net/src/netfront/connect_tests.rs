//! The device's task against a fake xenstore and a fake backend.

use super::{super::backend::Backend as Rings, *};
use crate::{Device, Slab, TxFrame};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::mem::MaybeUninit;
use mirust_xen::testing::{Random, poll_once};
use mirust_xen::wire::{GrantRef, netif::status};
use mirust_xen::{
    fake::{FakeXen, World, world},
    gnttab::GrantTable,
    shared_info::SharedInfo,
    xenbus::fake::{NONSENSE, Toolstack, sleep},
};

const FRONT: &str = "device/vif/0";

struct Rig {
    bus: Toolstack,
    xen: &'static FakeXen,
    info: &'static SharedInfo,
    events: &'static Events,
    grants: &'static GrantTable,
    device: Rc<Netfront>,
    task: Pin<Box<dyn Future<Output = ()>>>,
    ended: bool,
    /// Those of the backend, while it is connected.
    rings: Option<Rings>,
}

impl Rig {
    fn new() -> Rig {
        let World { xen, events, info, .. } = world();
        xen.set_max_frames(8);
        let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
        let limits = Limits { receive_pages: 64, send_pages: 16, trusting: false };
        let device = Rc::new(Netfront::new("vif0".into(), limits, grants, || {}).unwrap());
        let bus = Toolstack::new(FRONT);
        let task = Task {
            device: device.clone(),
            front: End::new(bus.store.store.clone(), FRONT.into()),
            events,
            sleep,
        };
        Rig {
            bus,
            xen,
            info,
            events,
            grants,
            device,
            task: Box::pin(task.run()),
            ended: false,
            rings: None,
        }
    }

    /// The toolstack makes the device, with a backend of this number.
    fn attach(&mut self, number: u32) {
        self.rings = None;
        let can = [
            "feature-rx-copy",
            "feature-sg",
            "feature-gso-tcpv4",
            "feature-gso-tcpv6",
            "feature-ipv6-csum-offload",
            "feature-split-event-channels",
        ];
        let path = format!("/local/domain/3/backend/vif/{number}/0");
        self.bus.attach(path, &[("mac", "00:16:3e:01:02:03")], &can.map(|feature| (feature, "1")));
    }

    /// The toolstack unplugs it: it asks, waits, and removes what there was.
    fn detach(&mut self) {
        self.bus.ask_to_detach();
        self.steps(200);
        assert_eq!(self.bus.front_state(), State::Closed);
        assert_eq!(self.bus.back_state(), State::Closed);
        self.bus.remove();
        self.steps(50);
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.bus.store.step();
            self.events.dispatch();
            self.ended = self.ended || poll_once(&mut self.task).is_ready();
            self.netback();
        }
    }

    fn netback(&mut self) {
        let Some(next) = self.bus.reaction(State::Connected) else { return };
        self.rings = (next == State::Connected).then(|| {
            let gref = |name| GrantRef(self.bus.front(name).unwrap().parse().unwrap());
            Rings::new(self.xen, gref("tx-ring-ref"), gref("rx-ring-ref"))
        });
        self.bus.answer(next);
    }

    /// The domain goes on in another one, where the toolstack has made the device with a backend of this number.
    fn go_elsewhere(&mut self, number: u32) {
        self.xen.go_elsewhere(self.info);
        self.events.renew(&[]).unwrap();
        self.grants.renew().unwrap();
        self.bus.store.daemon.borrow_mut().introduce(&[]);
        self.attach(number);
        self.bus.store.store.renew();
    }

    fn up(&self) -> bool {
        self.device.info().link == Link::Up
    }

    /// A frame each way.
    fn works(&mut self) {
        assert!(self.up(), "{:?} {:?}", self.bus.front_state(), self.bus.back_state());
        let head = self.device.reserve(60).expect("room");
        let frame = TxFrame { head, head_len: 60, payload: &[], checksum: None, gso_size: 0 };
        // SAFETY: there is no payload.
        unsafe { self.device.send(&frame) }.expect("sent");
        self.device.flush();
        let rings = self.rings.as_mut().expect("connected");
        let sent = rings.take().expect("a frame");
        rings.answer(&sent, status::OKAY);
        assert!(rings.send(&[7; 100], 0, None));
        let mut memory = [MaybeUninit::new(0); 200];
        let mut count = 0;
        self.device.receive(9, &mut Slab::new(&mut memory), &mut |_| count += 1);
        assert_eq!(count, 1);
        self.device.flush();
    }
}

/// Each step is one visit to xenstore and one of the backend. A client that asks for one node after the other needs 46.
#[test]
fn the_link_is_up_after_five_visits_to_xenstore() {
    let mut rig = Rig::new();
    rig.attach(0);
    let mut visits = 0;
    while rig.device.info_link() != Link::Up {
        visits += 1;
        assert!(visits <= 100, "no link");
        rig.steps(1);
    }
    assert!(visits <= 5, "{visits} visits");
}

#[test]
fn connects_again_in_another_domain() {
    // The number of the domain is part of the backend's name, and may be the same on another host.
    for number in [2, 1] {
        let mut rig = Rig::new();
        rig.attach(1);
        rig.steps(100);
        rig.works();
        let posted = rig.device.counters().grants;
        for round in 0..3 {
            // A frame is under way, which is lost.
            let head = rig.device.reserve(60).expect("room");
            let frame = TxFrame { head, head_len: 60, payload: &[], checksum: None, gso_size: 0 };
            // SAFETY: there is no payload.
            unsafe { rig.device.send(&frame) }.expect("sent");
            rig.device.flush();
            rig.go_elsewhere(number + round);
            rig.steps(100);
            rig.works();
        }
        let counters = rig.device.counters();
        assert_eq!((counters.links, counters.lies), (4, 0));
        assert!(posted > 0 && counters.grants - counters.grant_ends <= posted, "grants are lost");
        assert_eq!(rig.grants.stats().leaked, 0);
    }
}

#[test]
fn goes_elsewhere_at_any_moment_and_connects() {
    for moment in 0..60 {
        let mut rig = Rig::new();
        rig.attach(1);
        rig.steps(moment);
        rig.go_elsewhere(1 + moment as u32 % 2);
        rig.steps(300);
        rig.works();
        assert_eq!(rig.grants.stats().leaked, 0, "moment {moment}");
    }
}

#[test]
fn connects_and_publishes_what_it_can() {
    let mut rig = Rig::new();
    rig.steps(20);
    assert!(!rig.up(), "there is no device yet");
    rig.attach(1);
    rig.bus.set(&format!("{FRONT}/mtu"), "9000");
    rig.steps(100);
    rig.works();
    let info = rig.device.info();
    assert_eq!((info.mac.to_string().as_str(), info.mtu), ("00:16:3e:01:02:03", 9000));
    assert!(info.features.tso4 && info.features.tso6 && info.features.checksum);
    for feature in ["request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv6"] {
        assert_eq!(rig.bus.front(feature).as_deref(), Some("1"), "{feature}");
    }
    assert_eq!(rig.bus.front("request-multicast-control").as_deref(), Some("0"));
    assert!(rig.bus.front("event-channel-tx") != rig.bus.front("event-channel-rx"));
}

#[test]
fn backend_is_asked_to_filter_once_a_group_is_joined() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.bus.set(&rig.bus.back_node("feature-multicast-control"), "1");
    rig.bus.set(&rig.bus.back_node("feature-dynamic-multicast-control"), "1");
    rig.steps(100);
    let request = |rig: &Rig| rig.bus.front("request-multicast-control").unwrap();
    assert_eq!(request(&rig), "0");
    let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
    rig.device.multicast(group, true);
    rig.device.multicast(group, true);
    rig.device.flush();
    rig.steps(50);
    assert_eq!(request(&rig), "1");
    let sent = rig.rings.as_mut().unwrap().take_all();
    assert_eq!(sent.iter().map(|sent| sent.group).collect::<Vec<_>>(), [Some((2, group.0))]);
    rig.works();
    // The next backend hears of it before it is connected.
    rig.detach();
    rig.attach(2);
    rig.bus.set(&rig.bus.back_node("feature-multicast-control"), "1");
    rig.steps(100);
    assert_eq!(request(&rig), "1");
    assert_eq!(rig.rings.as_mut().unwrap().take_all().len(), 1);
    rig.works();
}

#[test]
fn a_group_joined_at_any_time_makes_the_backend_filter() {
    for when in 0..100 {
        let mut rig = Rig::new();
        rig.attach(1);
        rig.bus.set(&rig.bus.back_node("feature-multicast-control"), "1");
        rig.bus.set(&rig.bus.back_node("feature-dynamic-multicast-control"), "1");
        rig.steps(when);
        rig.device.multicast(Mac([0x33, 0x33, 0, 0, 0, 1]), true);
        rig.steps(150);
        assert_eq!(rig.bus.front("request-multicast-control").as_deref(), Some("1"), "{when}");
    }
}

#[test]
fn single_event_channel_and_no_offload() {
    let mut rig = Rig::new();
    rig.attach(1);
    for feature in ["feature-split-event-channels", "feature-sg", "feature-gso-tcpv4"] {
        rig.bus.set(&rig.bus.back_node(feature), "0");
    }
    rig.steps(100);
    rig.works();
    assert!(
        rig.bus.front("event-channel").is_some() && rig.bus.front("event-channel-tx").is_none()
    );
    let features = rig.device.info().features;
    assert!(!features.tso4 && !features.tso6);
}

#[test]
fn unplugged_and_plugged_in_again() {
    let mut rig = Rig::new();
    for number in 1..5 {
        rig.attach(number);
        rig.steps(100);
        rig.works();
        rig.detach();
        assert!(!rig.up());
        assert_eq!(rig.grants.stats().used, 0);
    }
    assert_eq!(rig.device.counters().links, 4);
    assert_eq!(rig.device.counters().lies, 0);
}

#[test]
fn plugged_into_another_network() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.bus.set(&format!("{FRONT}/mtu"), "9000");
    rig.steps(100);
    rig.works();
    let before = rig.device.info();
    assert!(before.features.tso4 && before.mtu == 9000);
    rig.detach();
    rig.attach(2);
    rig.bus.set(&format!("{FRONT}/mac"), "00:16:3e:0a:0b:0c");
    rig.bus.set(&format!("{FRONT}/mtu"), "1280");
    for feature in ["feature-sg", "feature-split-event-channels"] {
        rig.bus.set(&rig.bus.back_node(feature), "0");
    }
    rig.steps(100);
    rig.works();
    let now = rig.device.info();
    assert_eq!((now.mac, now.mtu), (before.mac, 1280), "neighbours and stack know the address");
    assert!(!now.features.tso4 && !now.features.tso6);
    assert_eq!(rig.device.reserve(1281 + ETHERNET_HEADER), None);
    assert_eq!(rig.device.counters().lies, 0);
}

#[test]
fn backend_that_closes_and_stays_is_connected_again() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.steps(100);
    for _ in 0..3 {
        rig.works();
        rig.bus.set(&rig.bus.back_node("state"), "5");
        rig.steps(300);
    }
    rig.works();
}

#[test]
fn driver_domain_that_dies_is_replaced() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.steps(100);
    rig.works();
    // Nobody is left to follow the protocol.
    rig.bus.store.daemon.borrow_mut().remove(&rig.bus.back);
    rig.steps(200);
    assert!(!rig.up());
    rig.attach(2);
    rig.steps(300);
    rig.works();
}

#[test]
fn broken_ring_is_replaced_by_a_new_one() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.steps(100);
    rig.rings.as_ref().unwrap().rx.store_u32(8, 12345);
    rig.device.flush();
    assert!(!rig.up());
    rig.steps(600);
    rig.works();
    assert_eq!(rig.device.counters().lies, 1);
}

#[test]
fn backend_that_does_not_let_go_is_not_waited_for_for_ever() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.steps(100);
    rig.device.close();
    // It hears nothing any more.
    rig.bus.seen = State::Closing;
    for _ in 0..1000 {
        rig.bus.store.step();
        if poll_once(&mut rig.task).is_ready() {
            assert_eq!(rig.bus.front_state(), State::Closed);
            return;
        }
    }
    panic!("still waiting");
}

#[test]
fn closed_device_says_so_and_ends() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.steps(100);
    rig.device.close();
    rig.steps(200);
    assert_eq!(rig.bus.front_state(), State::Closed);
    assert!(rig.ended);
    assert_eq!(rig.device.info().link, Link::Closed);
    assert_eq!(rig.grants.stats().used, 0);
}

#[test]
fn nonsense_in_xenstore_costs_only_the_device() {
    const NODES: &[&str] = &["mac", "mtu", "backend", "backend-id", "state", "trusted"];
    const BACK: &[&str] = &[
        "state",
        "online",
        "feature-rx-copy",
        "feature-sg",
        "feature-gso-tcpv4",
        "feature-split-event-channels",
        "feature-multicast-control",
    ];
    let runs = if cfg!(miri) { 2 } else { 30 };
    for seed in 1..=runs {
        let mut random = Random::new(seed);
        let mut rig = Rig::new();
        let path = "/local/domain/3/backend/vif/1/0";
        for round in 0..40 {
            if round % 10 == 0 {
                rig.attach(1);
            }
            let value = NONSENSE[random.below(NONSENSE.len())];
            if random.below(2) == 0 {
                rig.bus.set(&format!("{FRONT}/{}", NODES[random.below(NODES.len())]), value);
            } else {
                rig.bus.set(&format!("{path}/{}", BACK[random.below(BACK.len())]), value);
            }
            if random.below(20) == 0 {
                rig.bus.store.daemon.borrow_mut().remove(FRONT);
            }
            // The frontend may be at any point of what it does. The fake netback is strict, so
            // that it takes part only if the frontend has published something.
            for _ in 0..random.below(30) {
                rig.bus.store.step();
                rig.events.dispatch();
                let _ = poll_once(&mut rig.task);
            }
        }
        // An honest toolstack gets it to work again.
        rig.bus.store.daemon.borrow_mut().remove(FRONT);
        rig.bus.store.daemon.borrow_mut().remove(path);
        rig.steps(2000);
        rig.attach(2);
        rig.steps(3000);
        rig.works();
    }
}

#[test]
fn every_path_of_the_frontend_is_its_own() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.steps(100);
    let daemon = rig.bus.store.daemon.borrow();
    let written: Vec<&String> = daemon.tree.keys().collect();
    let known = ["/local/domain/0/secret", FRONT, &rig.bus.back];
    assert!(written.iter().all(|node| known.iter().any(|known| node.starts_with(known))));
}
