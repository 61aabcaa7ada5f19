//! The device's task against a fake xenstore and a fake backend.

use super::{super::backend::Backend as Ring, *};
use crate::{Device, Disk, Error};
use alloc::{string::String, vec, vec::Vec};
use mirust_executor::suspend::{Hooks, Resumed};
use mirust_xen::{
    fake::{FakeXen, World, world},
    gnttab::GrantTable,
    shared_info::SharedInfo,
    testing::{Random, poll_once},
    wire::GrantRef,
    xenbus::fake::{NONSENSE, Toolstack, sleep},
};

const FRONT: &str = "device/vbd/51712";
const DISK: usize = 1 << 20;

/// A driver domain, which does what Linux's blkback does.
struct Blkback {
    ring: Option<Ring>,
    /// It answers requests.
    serves: bool,
    disk: Vec<u8>,
}

struct Rig {
    bus: Toolstack,
    xen: &'static FakeXen,
    info: &'static SharedInfo,
    hooks: Hooks,
    events: &'static Events,
    grants: &'static GrantTable,
    device: Rc<Blkfront>,
    disk: Disk,
    task: Pin<Box<dyn Future<Output = ()>>>,
    back: Blkback,
}

impl Rig {
    fn new(options: Options) -> Rig {
        let World { xen, events, info, .. } = world();
        xen.set_max_frames(8);
        let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
        let device = Rc::new(Blkfront::new("xvda".into(), options, grants));
        let (bus, hooks) = (Toolstack::new(FRONT), Hooks::default());
        suspend::attach(&device, &hooks, sleep);
        let task = Task {
            device: device.clone(),
            front: End::new(bus.store.store.clone(), FRONT.into()),
            handle: 51712,
            events,
            sleep,
        };
        let back = Blkback { ring: None, serves: true, disk: vec![0; DISK] };
        let disk = Disk::new(device.clone());
        let task = Box::pin(task.run());
        Rig { bus, xen, info, hooks, events, grants, device, disk, task, back }
    }

    /// The toolstack makes the device, with a backend of this number.
    fn attach(&mut self, number: u32) {
        let path = format!("/local/domain/3/backend/vbd/{number}/51712");
        self.bus.attach(path, &[], &[("max-ring-page-order", "4")]);
    }

    /// Asks the disk whether the domain may be frozen.
    fn ask(&mut self) -> Result<(), String> {
        let hooks = core::mem::take(&mut self.hooks);
        let answer = {
            let mut ask = Box::pin(hooks.ask());
            loop {
                if let Poll::Ready(answer) = poll_once(&mut ask) {
                    break answer;
                }
                self.steps(1);
            }
        };
        self.hooks = hooks;
        answer
    }

    /// The domain goes on.
    fn tell(&mut self, cancelled: bool) {
        let resumed = Resumed { away: Duration::ZERO, cancelled };
        assert!(poll_once(&mut Box::pin(self.hooks.tell(resumed))).is_ready());
    }

    /// The domain goes on in another one, where the toolstack has made the disk with a backend of this number.
    fn go_elsewhere(&mut self, number: u32) {
        self.xen.go_elsewhere(self.info);
        self.events.renew(&[]).unwrap();
        self.grants.renew().unwrap();
        self.bus.store.daemon.borrow_mut().introduce(&[]);
        self.attach(number);
        self.let_go();
        self.bus.store.store.renew();
        self.tell(false);
    }

    /// And removes what there was.
    fn remove(&mut self) {
        self.bus.remove();
        self.steps(50);
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.bus.store.step();
            self.events.dispatch();
            let _ = poll_once(&mut self.task);
            self.blkback();
        }
    }

    /// What blkback does when the frontend's state has changed, and with its requests.
    fn blkback(&mut self) {
        if let (true, Some(ring)) = (self.back.serves, &mut self.back.ring) {
            if ring.serve() {
                let port = self.bus.front("event-channel").unwrap().parse().unwrap();
                self.xen.raise(mirust_xen::wire::Port(port));
            }
        }
        let Some(next) = self.bus.reaction(State::Initialised) else { return };
        if next == State::Connected {
            self.connect();
        } else {
            self.let_go();
        }
        self.bus.answer(next);
    }

    fn connect(&mut self) {
        let number = |name: &str| self.bus.front(name).unwrap().parse::<u32>().unwrap();
        let refs: Vec<GrantRef> = match self.bus.front("ring-page-order") {
            None => vec![GrantRef(number("ring-ref"))],
            Some(order) => (0..1 << order.parse::<u32>().unwrap())
                .map(|n| GrantRef(number(&format!("ring-ref{n}"))))
                .collect(),
        };
        let mut ring = Ring::new(self.xen, &refs, 0);
        ring.disk = core::mem::take(&mut self.back.disk);
        ring.arm();
        self.back.ring = Some(ring);
        for (name, value) in [
            ("sectors", "2048"),
            ("sector-size", "512"),
            ("info", "0"),
            ("feature-flush-cache", "1"),
            ("feature-barrier", "1"),
            ("feature-discard", "1"),
            ("feature-max-indirect-segments", "256"),
        ] {
            let node = self.bus.back_node(name);
            if self.bus.get(&node).is_none() {
                self.bus.set(&node, value);
            }
        }
    }

    fn let_go(&mut self) {
        if let Some(mut ring) = self.back.ring.take() {
            self.back.disk = core::mem::take(&mut ring.disk);
        }
    }

    fn up(&self) -> bool {
        self.device.info().state == DiskState::Up
    }

    fn run<T>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        let mut future: Pin<Box<dyn Future<Output = T>>> = Box::pin(future);
        for _ in 0..2000 {
            if let Poll::Ready(result) = poll_once(&mut future) {
                return result;
            }
            self.steps(1);
        }
        panic!("never ready: {:?} {:?}", self.bus.front_state(), self.bus.back_state());
    }

    /// Bytes each way.
    fn works(&mut self) {
        let disk = self.disk.clone();
        self.run(async move {
            disk.ready().await.unwrap();
            let data: Vec<u8> = (0..9000 / 512 * 512).map(|n| n as u8).collect();
            disk.write_at(4096, &data).await.unwrap();
            disk.flush().await.unwrap();
            let mut out = vec![0; data.len()];
            disk.read_at(4096, &mut out).await.unwrap();
            assert_eq!(out, data);
        });
    }
}

#[test]
fn names_have_the_numbers_of_the_toolstack() {
    let numbers = [
        ("xvda", Some(51712)),
        ("xvdb", Some(51728)),
        ("xvda1", Some(51713)),
        ("xvdp15", Some(51967)),
        ("xvdq", Some(1 << 28 | 16 << 8)),
        ("xvda16", Some(1 << 28 | 16)),
        ("51712", Some(51712)),
        ("xvd", None),
        ("xvdA", None),
        ("xvda0", None),
        ("xvda256", None),
        ("xvdäh", None),
        ("hda", None),
        ("", None),
    ];
    for (name, number) in numbers {
        assert_eq!(number_of(name), number, "{name:?}");
    }
}

#[test]
fn connects_and_publishes_what_it_can() {
    let mut rig = Rig::new(Options::default());
    rig.steps(20);
    assert!(!rig.up(), "there is no device yet");
    rig.attach(1);
    rig.works();
    assert_eq!(rig.bus.front_state(), State::Connected);
    // A ring for 64 requests takes two pages.
    assert_eq!(rig.bus.front("ring-page-order").as_deref(), Some("1"));
    assert_eq!(rig.bus.front("num-ring-pages").as_deref(), Some("2"));
    assert!(rig.bus.front("ring-ref1").is_some() && rig.bus.front("ring-ref").is_none());
    assert_eq!(rig.bus.front("protocol").as_deref(), Some("x86_64-abi"));
    assert_eq!(rig.bus.front("feature-persistent").as_deref(), Some("0"));
    let info = rig.device.info();
    assert_eq!((info.sectors, info.sector_size, info.transfer_max), (2048, 512, 1 << 20));
    assert!(info.flush && info.discard.is_some_and(|discard| !discard.secure));
}

#[test]
fn backend_without_any_feature() {
    let mut rig = Rig::new(Options { depth: 512, persistent: true, ..Options::default() });
    rig.attach(1);
    for name in [
        "max-ring-page-order",
        "feature-flush-cache",
        "feature-barrier",
        "feature-discard",
        "feature-max-indirect-segments",
    ] {
        rig.bus.set(&rig.bus.back_node(name), "0");
    }
    rig.bus.set(&rig.bus.back_node("info"), "4");
    rig.steps(200);
    assert!(
        rig.up()
            && rig.bus.front("ring-ref").is_some()
            && rig.bus.front("ring-page-order").is_none()
    );
    assert_eq!(rig.bus.front("feature-persistent").as_deref(), Some("1"));
    let info = rig.device.info();
    assert!(info.read_only && !info.flush && info.discard.is_none());
    assert_eq!(info.transfer_max, 11 * 4096);
    let disk = rig.disk.clone();
    assert_eq!(rig.run(async move { disk.write_at(0, &[0; 512]).await }), Err(Error::ReadOnly));
}

#[test]
fn cd_is_read_only() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.bus.set(&rig.bus.back_node("info"), "3");
    rig.steps(200);
    let info = rig.device.info();
    assert!(info.read_only && info.cdrom);
}

#[test]
fn size_changes_while_it_is_in_use() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    // As blkback tells it.
    rig.bus.set(&rig.bus.back_node("sectors"), "1000");
    rig.bus.set(&rig.bus.back_node("state"), "4");
    rig.steps(50);
    assert_eq!(rig.disk.len(), 512_000);
    rig.works();
}

#[test]
fn unplugged_in_the_middle_of_work_and_plugged_in_again() {
    let mut rig = Rig::new(Options::default());
    for number in 1..5u64 {
        rig.attach(number as u32);
        rig.back.serves = true;
        rig.works();
        let disk = rig.disk.clone();
        let offset = 512 * number;
        let mut write: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(async move { disk.write_at(offset, &[number as u8; 512]).await });
        // It answers what it has before it closes, or it does not.
        rig.back.serves = number % 2 == 0;
        assert!(poll_once(&mut write).is_pending());
        rig.steps(3);
        rig.bus.ask_to_detach();
        rig.steps(400);
        assert_eq!((rig.bus.front_state(), rig.bus.back_state()), (State::Closed, State::Closed));
        assert_eq!(poll_once(&mut write).is_ready(), rig.back.serves);
        rig.remove();
        assert!(!rig.up());
        assert_eq!(rig.grants.stats().used, 0);
        if !rig.back.serves {
            rig.attach(10 + number as u32);
            rig.back.serves = true;
            assert_eq!(rig.run(write), Ok(()));
            rig.bus.ask_to_detach();
            rig.steps(400);
            rig.remove();
        }
        assert_eq!(rig.back.disk[offset as usize..][..512], [number as u8; 512]);
    }
    assert_eq!(rig.device.counters().lies, 0);
}

#[test]
fn plugged_into_a_backend_that_can_do_less() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    assert_eq!(rig.device.info().transfer_max, 1 << 20);
    // More than the next backend takes in one request, and more requests than its ring has slots.
    rig.back.serves = false;
    let write = |at: u64, len: usize| -> Pin<Box<dyn Future<Output = _>>> {
        let disk = rig.disk.clone();
        let data: Vec<u8> = (0..len).map(|n| (n / 512) as u8 ^ at as u8).collect();
        Box::pin(async move { disk.write_at(512 * at, &data).await })
    };
    let mut writes = vec![write(0, 300_032)];
    writes.extend((0..60).map(|n| write(600 + 2 * n, 512)));
    assert!(writes.iter_mut().all(|write| poll_once(write).is_pending()));
    rig.steps(3);
    rig.bus.ask_to_detach();
    rig.steps(400);
    rig.remove();
    rig.attach(2);
    for name in ["max-ring-page-order", "feature-max-indirect-segments", "feature-flush-cache"] {
        rig.bus.set(&rig.bus.back_node(name), "0");
    }
    rig.back.serves = true;
    for write in writes {
        assert_eq!(rig.run(write), Ok(()));
    }
    assert_eq!(rig.device.info().transfer_max, 11 * 4096);
    let ring = rig.back.ring.as_ref().expect("connected");
    for (n, sector) in ring.disk[..300_032].chunks(512).enumerate() {
        assert_eq!(sector, [n as u8; 512]);
    }
    for n in 0..60 {
        assert_eq!(ring.disk[512 * (600 + 2 * n)..][..512], [(600 + 2 * n) as u8; 512]);
    }
    assert_eq!(rig.device.counters().lies, 0);
}

#[test]
fn nothing_is_under_way_when_the_domain_is_frozen_and_nothing_is_lost() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    for round in 0..6u64 {
        let cancelled = round % 3 == 2;
        let disk = rig.disk.clone();
        let write = |at: u64| {
            let disk = disk.clone();
            let data = [at as u8; 512];
            Box::pin(async move { disk.write_at(512 * at, &data).await })
        };
        let (mut before, mut during) = (write(100 + round), write(200 + round));
        assert!(poll_once(&mut before).is_pending());
        rig.steps(1);
        assert_eq!(rig.ask(), Ok(()));
        assert_eq!(poll_once(&mut before), Poll::Ready(Ok(())), "answered before");
        // Somebody who does not know writes on.
        assert!(poll_once(&mut during).is_pending());
        rig.steps(20);
        assert!(!rig.device.is_busy(), "nothing is issued");
        if cancelled {
            rig.tell(true);
        } else {
            rig.go_elsewhere(1 + round as u32 % 2);
        }
        assert_eq!(rig.run(during), Ok(()));
        rig.works();
        for at in [100 + round, 200 + round] {
            let ring = rig.back.ring.as_ref().expect("connected");
            assert_eq!(ring.disk[512 * at as usize..][..512], [at as u8; 512]);
        }
    }
    let counters = rig.device.counters();
    assert_eq!((counters.lies, counters.reissued), (0, 0));
    assert_eq!(rig.grants.stats().leaked, 0);
}

#[test]
fn backend_that_does_not_answer_keeps_the_domain_from_being_frozen() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    rig.back.serves = false;
    let disk = rig.disk.clone();
    let mut write: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(async move { disk.write_at(0, &[1; 512]).await });
    assert!(poll_once(&mut write).is_pending());
    rig.steps(1);
    assert_eq!(rig.ask(), Err("xvda: the backend has not answered for 10 s".into()));
    rig.tell(true);
    rig.back.serves = true;
    assert_eq!(rig.run(write), Ok(()));
    rig.works();
}

#[test]
fn backend_that_closes_and_stays_is_connected_again() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    for _ in 0..3 {
        rig.works();
        rig.bus.set(&rig.bus.back_node("state"), "5");
        rig.steps(300);
    }
    rig.works();
    assert_eq!(rig.device.counters().connections, 4);
}

#[test]
fn driver_domain_that_dies_is_replaced() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    rig.back.serves = false;
    let disk = rig.disk.clone();
    let mut write: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(async move { disk.write_at(0, &[5; 512]).await });
    assert!(poll_once(&mut write).is_pending());
    rig.steps(5);
    // Nobody is left to follow the protocol.
    rig.bus.store.daemon.borrow_mut().remove(&rig.bus.back);
    rig.let_go();
    rig.steps(200);
    assert!(!rig.up() && poll_once(&mut write).is_pending());
    rig.attach(2);
    rig.back.serves = true;
    assert_eq!(rig.run(write), Ok(()));
    rig.works();
}

#[test]
fn broken_ring_is_replaced_by_a_new_one() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    let ring = rig.back.ring.as_ref().unwrap();
    ring.ring.store_u32(8, 12345);
    let disk = rig.disk.clone();
    let read = async move { disk.read_at(0, &mut [0; 512]).await };
    assert_eq!(rig.run(read), Ok(()));
    assert_eq!((rig.device.counters().lies, rig.device.counters().connections), (1, 2));
    rig.works();
}

#[test]
fn no_other_connection_while_the_backend_does_not_let_go() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    rig.back.ring.as_ref().unwrap().ring.store_u32(8, 12345);
    // It hears nothing any more, and may still perform what it was asked for.
    rig.bus.seen = State::Closed;
    rig.back.serves = false;
    let disk = rig.disk.clone();
    let mut read: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(async move { disk.read_at(0, &mut [0; 512]).await });
    assert!(poll_once(&mut read).is_pending());
    for _ in 0..2000 {
        rig.bus.store.step();
        rig.events.dispatch();
        let _ = poll_once(&mut rig.task);
    }
    assert_eq!(rig.bus.front_state(), State::Closed);
    assert!(poll_once(&mut read).is_pending());
    assert!(!rig.up() && rig.grants.stats().used > 0);
    // A disk that is closed has nothing to lose.
    rig.device.close();
    rig.steps(2000);
    assert_eq!(poll_once(&mut read), Poll::Ready(Err(Error::Closed)));
    assert_eq!(rig.grants.stats().used, 0);
}

#[test]
fn closed_disk_says_so() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    rig.disk.close();
    rig.steps(300);
    assert_eq!(rig.bus.front_state(), State::Closed);
    assert_eq!(rig.grants.stats().used, 0);
    let disk = rig.disk.clone();
    assert_eq!(rig.run(async move { disk.flush().await }), Err(Error::Closed));
    let disk = rig.disk.clone();
    assert_eq!(rig.run(async move { disk.ready().await }), Err(Error::Closed));
}

#[test]
fn nonsense_in_xenstore_costs_only_the_device() {
    const NODES: &[&str] = &["backend", "backend-id", "state", "trusted"];
    const BACK: &[&str] = &[
        "state",
        "online",
        "sectors",
        "sector-size",
        "physical-sector-size",
        "info",
        "max-ring-page-order",
        "feature-flush-cache",
        "feature-max-indirect-segments",
        "discard-granularity",
        "feature-discard",
    ];
    let runs = if cfg!(miri) { 2 } else { 20 };
    for seed in 1..=runs {
        std::println!("seed {seed}");
        let mut random = Random::new(seed);
        let mut rig = Rig::new(Options::default());
        let path = "/local/domain/3/backend/vbd/1/51712";
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
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    let daemon = rig.bus.store.daemon.borrow();
    let known = ["/local/domain/0/secret", FRONT, &rig.bus.back];
    assert!(daemon.tree.keys().all(|node| known.iter().any(|known| node.starts_with(known))));
}
