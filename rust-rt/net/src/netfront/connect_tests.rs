//! The device's task against a xenstore and a backend that are only pretended.

use super::{super::backend::Backend as Rings, *};
use crate::{Device, Slab, TxFrame};
use alloc::{string::ToString, vec::Vec};
use core::mem::MaybeUninit;
use mirust_xen::testing::{Random, poll_once};
use mirust_xen::wire::{GrantRef, netif::status};
use mirust_xen::{
    fake::{FakeXen, World, world},
    gnttab::GrantTable,
    xenstore::daemon,
};

const FRONT: &str = "device/vif/0";

/// A driver domain's side of xenstore, which does what Linux's netback does.
struct Netback {
    path: String,
    front: State,
    rings: Option<Rings>,
}

struct Rig {
    store: daemon::Rig,
    xen: &'static FakeXen,
    events: &'static Events,
    grants: &'static GrantTable,
    device: Rc<Netfront>,
    task: Pin<Box<dyn Future<Output = ()>>>,
    ended: bool,
    back: Netback,
}

/// Ready after a number of polls, each of which stands for some time.
fn sleep(duration: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
    let mut left = 20 * duration.as_secs();
    Box::pin(poll_fn(move |_| {
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    }))
}

impl Rig {
    fn new() -> Rig {
        let World { xen, events, .. } = world();
        xen.set_max_frames(8);
        let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
        let limits = Limits { receive_pages: 64, send_pages: 16, trusting: false };
        let device = Rc::new(Netfront::new("vif0".into(), limits, grants, || {}).unwrap());
        let store = daemon::Rig::new();
        let task = Task {
            device: device.clone(),
            front: FRONT.into(),
            store: store.store.clone(),
            events,
            sleep,
        };
        let back = Netback { path: String::new(), front: State::Unknown, rings: None };
        Rig { store, xen, events, grants, device, task: Box::pin(task.run()), ended: false, back }
    }

    fn set(&self, path: &str, value: &str) {
        self.store.daemon.borrow_mut().change(path, value.as_bytes());
    }

    fn get(&self, path: &str) -> Option<String> {
        let daemon = self.store.daemon.borrow();
        daemon.tree.get(path).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn front(&self, name: &str) -> Option<String> {
        self.get(&format!("{FRONT}/{name}"))
    }

    fn back_node(&self, name: &str) -> String {
        format!("{}/{name}", self.back.path)
    }

    fn front_state(&self) -> State {
        self.front("state").map_or(State::Unknown, |state| state.parse().unwrap())
    }

    fn back_state(&self) -> State {
        self.get(&self.back_node("state")).map_or(State::Unknown, |state| state.parse().unwrap())
    }

    /// The toolstack makes the device, with a backend of this number.
    fn attach(&mut self, number: u32) {
        self.back = Netback {
            path: format!("/local/domain/3/backend/vif/{number}/0"),
            front: State::Unknown,
            rings: None,
        };
        self.set(&self.back_node("state"), "1");
        self.set(&self.back_node("online"), "1");
        for feature in [
            "feature-rx-copy",
            "feature-sg",
            "feature-gso-tcpv4",
            "feature-gso-tcpv6",
            "feature-ipv6-csum-offload",
            "feature-split-event-channels",
        ] {
            self.set(&self.back_node(feature), "1");
        }
        self.set(&format!("{FRONT}/mac"), "00:16:3e:01:02:03");
        self.set(&format!("{FRONT}/backend-id"), "3");
        self.set(&format!("{FRONT}/state"), "1");
        self.set(&format!("{FRONT}/backend"), &self.back.path);
        self.set(&self.back_node("state"), "2");
    }

    /// The toolstack unplugs it: it asks, waits, and removes what there was.
    fn detach(&mut self) {
        self.set(&self.back_node("online"), "0");
        self.set(&self.back_node("state"), "5");
        self.steps(200);
        assert_eq!(self.front_state(), State::Closed);
        assert_eq!(self.back_state(), State::Closed);
        self.store.daemon.borrow_mut().remove(FRONT);
        self.store.daemon.borrow_mut().remove(&self.back.path.clone());
        self.steps(50);
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.store.step();
            self.events.dispatch();
            self.ended = self.ended || poll_once(&mut self.task).is_ready();
            self.netback();
        }
    }

    /// What netback does when the frontend's state has changed.
    fn netback(&mut self) {
        let front = self.front_state();
        if front == self.back.front {
            return;
        }
        self.back.front = front;
        let next = match (front, self.back_state()) {
            (State::Initialising, State::Closed | State::Closing) => "2",
            (State::Connected, State::InitWait) => {
                let number = |name| self.front(name).unwrap().parse::<u32>().unwrap();
                let (tx, rx) = (number("tx-ring-ref"), number("rx-ring-ref"));
                self.back.rings = Some(Rings::new(self.xen, GrantRef(tx), GrantRef(rx)));
                "4"
            }
            (State::Closing, _) => "5",
            (State::Closed, State::Unknown) => return,
            (State::Closed, _) => "6",
            _ => return,
        };
        if next != "4" {
            self.back.rings = None;
        }
        self.set(&self.back_node("state"), next);
    }

    fn up(&self) -> bool {
        self.device.info().link == Link::Up
    }

    /// A frame each way.
    fn works(&mut self) {
        assert!(self.up(), "{:?} {:?}", self.front_state(), self.back_state());
        let head = self.device.reserve(60).expect("room");
        let frame = TxFrame { head, head_len: 60, payload: &[], checksum: None, gso_size: 0 };
        // SAFETY: there is no payload.
        unsafe { self.device.send(&frame) }.expect("sent");
        self.device.flush();
        let rings = self.back.rings.as_mut().expect("connected");
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

#[test]
fn connects_and_publishes_what_it_can() {
    let mut rig = Rig::new();
    rig.steps(20);
    assert!(!rig.up(), "there is no device yet");
    rig.attach(1);
    rig.set(&format!("{FRONT}/mtu"), "9000");
    rig.steps(100);
    rig.works();
    let info = rig.device.info();
    assert_eq!((info.mac.to_string().as_str(), info.mtu), ("00:16:3e:01:02:03", 9000));
    assert!(info.features.tso4 && info.features.tso6 && info.features.checksum);
    for feature in ["request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv6"] {
        assert_eq!(rig.front(feature).as_deref(), Some("1"), "{feature}");
    }
    assert_eq!(rig.front("request-multicast-control").as_deref(), Some("0"));
    assert!(rig.front("event-channel-tx") != rig.front("event-channel-rx"));
}

#[test]
fn backend_is_asked_to_filter_once_a_group_is_joined() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.set(&rig.back_node("feature-multicast-control"), "1");
    rig.set(&rig.back_node("feature-dynamic-multicast-control"), "1");
    rig.steps(100);
    let request = |rig: &Rig| rig.front("request-multicast-control").unwrap();
    assert_eq!(request(&rig), "0");
    let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
    rig.device.multicast(group, true);
    rig.device.multicast(group, true);
    rig.device.flush();
    rig.steps(50);
    assert_eq!(request(&rig), "1");
    let sent = rig.back.rings.as_mut().unwrap().take_all();
    assert_eq!(sent.iter().map(|sent| sent.group).collect::<Vec<_>>(), [Some((2, group.0))]);
    rig.works();
    // The next backend hears of it before it is connected.
    rig.detach();
    rig.attach(2);
    rig.set(&rig.back_node("feature-multicast-control"), "1");
    rig.steps(100);
    assert_eq!(request(&rig), "1");
    assert_eq!(rig.back.rings.as_mut().unwrap().take_all().len(), 1);
    rig.works();
}

#[test]
fn single_event_channel_and_no_offload() {
    let mut rig = Rig::new();
    rig.attach(1);
    for feature in ["feature-split-event-channels", "feature-sg", "feature-gso-tcpv4"] {
        rig.set(&rig.back_node(feature), "0");
    }
    rig.steps(100);
    rig.works();
    assert!(rig.front("event-channel").is_some() && rig.front("event-channel-tx").is_none());
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
fn backend_that_closes_and_stays_is_connected_again() {
    let mut rig = Rig::new();
    rig.attach(1);
    rig.steps(100);
    for _ in 0..3 {
        rig.works();
        rig.set(&rig.back_node("state"), "5");
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
    rig.store.daemon.borrow_mut().remove(&rig.back.path.clone());
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
    rig.back.rings.as_ref().unwrap().rx.store_u32(8, 12345);
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
    rig.back.front = State::Closing;
    for _ in 0..1000 {
        rig.store.step();
        if poll_once(&mut rig.task).is_ready() {
            assert_eq!(rig.front_state(), State::Closed);
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
    assert_eq!(rig.front_state(), State::Closed);
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
    const VALUES: &[&str] = &[
        "",
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "-1",
        "65536",
        "4294967296",
        "x",
        "00:16:3e:01:02:0g",
        "/",
        "//",
        "/local/domain/9/backend",
        "\u{fffd}",
        "1 ",
        "0x1",
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
            let value = VALUES[random.below(VALUES.len())];
            if random.below(2) == 0 {
                rig.set(&format!("{FRONT}/{}", NODES[random.below(NODES.len())]), value);
            } else {
                rig.set(&format!("{path}/{}", BACK[random.below(BACK.len())]), value);
            }
            if random.below(20) == 0 {
                rig.store.daemon.borrow_mut().remove(FRONT);
            }
            // The frontend may be at any point of what it does. The pretended netback is strict, so
            // that it takes part only if the frontend has published something.
            for _ in 0..random.below(30) {
                rig.store.step();
                rig.events.dispatch();
                let _ = poll_once(&mut rig.task);
            }
        }
        // An honest toolstack gets it to work again.
        rig.store.daemon.borrow_mut().remove(FRONT);
        rig.store.daemon.borrow_mut().remove(path);
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
    let daemon = rig.store.daemon.borrow();
    let written: Vec<&String> = daemon.tree.keys().collect();
    let known = ["/local/domain/0/secret", FRONT, &rig.back.path];
    assert!(written.iter().all(|node| known.iter().any(|known| node.starts_with(known))));
}
