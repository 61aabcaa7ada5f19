//! The device's task against a xenstore and a backend that are only pretended.

use super::{super::backend::Backend as Ring, *};
use crate::{Device, Disk, Error};
use alloc::{vec, vec::Vec};
use mirust_xen::{
    fake::{FakeXen, World, world},
    gnttab::GrantTable,
    testing::{Random, poll_once},
    wire::GrantRef,
    xenstore::daemon,
};

const FRONT: &str = "device/vbd/51712";
const DISK: usize = 1 << 20;

/// A driver domain's side of xenstore, which does what Linux's blkback does.
struct Blkback {
    path: String,
    front: State,
    ring: Option<Ring>,
    /// It answers requests.
    serves: bool,
    disk: Vec<u8>,
}

struct Rig {
    store: daemon::Rig,
    xen: &'static FakeXen,
    events: &'static Events,
    grants: &'static GrantTable,
    device: Rc<Blkfront>,
    disk: Disk,
    task: Pin<Box<dyn Future<Output = ()>>>,
    back: Blkback,
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
    fn new(options: Options) -> Rig {
        let World { xen, events, .. } = world();
        xen.set_max_frames(8);
        let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
        let device = Rc::new(Blkfront::new("xvda".into(), options, grants));
        let store = daemon::Rig::new();
        let task = Task {
            device: device.clone(),
            front: FRONT.into(),
            handle: 51712,
            store: store.store.clone(),
            events,
            sleep,
        };
        let back = Blkback {
            path: String::new(),
            front: State::Unknown,
            ring: None,
            serves: true,
            disk: vec![0; DISK],
        };
        let disk = Disk::new(device.clone());
        Rig { store, xen, events, grants, device, disk, task: Box::pin(task.run()), back }
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
        self.back.path = format!("/local/domain/3/backend/vbd/{number}/51712");
        self.back.front = State::Unknown;
        self.set(&self.back_node("state"), "1");
        self.set(&self.back_node("online"), "1");
        self.set(&self.back_node("max-ring-page-order"), "4");
        self.set(&format!("{FRONT}/backend-id"), "3");
        self.set(&format!("{FRONT}/state"), "1");
        self.set(&format!("{FRONT}/backend"), &self.back.path);
        self.set(&self.back_node("state"), "2");
    }

    /// The toolstack asks for the device to be unplugged.
    fn ask_to_detach(&mut self) {
        self.set(&self.back_node("online"), "0");
        self.set(&self.back_node("state"), "5");
    }

    /// And removes what there was.
    fn remove(&mut self) {
        self.store.daemon.borrow_mut().remove(FRONT);
        self.store.daemon.borrow_mut().remove(&self.back.path.clone());
        self.steps(50);
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.store.step();
            self.events.dispatch();
            let _ = poll_once(&mut self.task);
            self.blkback();
        }
    }

    /// What blkback does when the frontend's state has changed, and with its requests.
    fn blkback(&mut self) {
        if let (true, Some(ring)) = (self.back.serves, &mut self.back.ring) {
            if ring.serve() {
                let port = self.front("event-channel").unwrap().parse().unwrap();
                self.xen.raise(mirust_xen::wire::Port(port));
            }
        }
        let front = self.front_state();
        if front == self.back.front {
            return;
        }
        self.back.front = front;
        let next = match (front, self.back_state()) {
            (State::Initialising, State::Closed | State::Closing) => "2",
            (State::Initialised, State::InitWait) => {
                self.connect();
                "4"
            }
            (State::Closing, _) => "5",
            (State::Closed, State::Unknown) => return,
            (State::Closed, _) => "6",
            _ => return,
        };
        if next != "4" {
            self.let_go();
        }
        self.set(&self.back_node("state"), next);
    }

    fn connect(&mut self) {
        let number = |name: &str| self.front(name).unwrap().parse::<u32>().unwrap();
        let refs: Vec<GrantRef> = match self.front("ring-page-order") {
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
            let node = self.back_node(name);
            if self.get(&node).is_none() {
                self.set(&node, value);
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
        panic!("never ready: {:?} {:?}", self.front_state(), self.back_state());
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
    assert_eq!(rig.front_state(), State::Connected);
    // A ring for 64 requests takes two pages.
    assert_eq!(rig.front("ring-page-order").as_deref(), Some("1"));
    assert_eq!(rig.front("num-ring-pages").as_deref(), Some("2"));
    assert!(rig.front("ring-ref1").is_some() && rig.front("ring-ref").is_none());
    assert_eq!(rig.front("protocol").as_deref(), Some("x86_64-abi"));
    assert_eq!(rig.front("feature-persistent").as_deref(), Some("0"));
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
        rig.set(&rig.back_node(name), "0");
    }
    rig.set(&rig.back_node("info"), "4");
    rig.steps(200);
    assert!(rig.up() && rig.front("ring-ref").is_some() && rig.front("ring-page-order").is_none());
    assert_eq!(rig.front("feature-persistent").as_deref(), Some("1"));
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
    rig.set(&rig.back_node("info"), "3");
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
    rig.set(&rig.back_node("sectors"), "1000");
    rig.set(&rig.back_node("state"), "4");
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
        rig.ask_to_detach();
        rig.steps(400);
        assert_eq!((rig.front_state(), rig.back_state()), (State::Closed, State::Closed));
        assert_eq!(poll_once(&mut write).is_ready(), rig.back.serves);
        rig.remove();
        assert!(!rig.up());
        assert_eq!(rig.grants.stats().used, 0);
        if !rig.back.serves {
            rig.attach(10 + number as u32);
            rig.back.serves = true;
            assert_eq!(rig.run(write), Ok(()));
            rig.ask_to_detach();
            rig.steps(400);
            rig.remove();
        }
        assert_eq!(rig.back.disk[offset as usize..][..512], [number as u8; 512]);
    }
    assert_eq!(rig.device.counters().lies, 0);
}

#[test]
fn backend_that_closes_and_stays_is_connected_again() {
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    for _ in 0..3 {
        rig.works();
        rig.set(&rig.back_node("state"), "5");
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
    rig.store.daemon.borrow_mut().remove(&rig.back.path.clone());
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
    rig.back.front = State::Closed;
    rig.back.serves = false;
    let disk = rig.disk.clone();
    let mut read: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(async move { disk.read_at(0, &mut [0; 512]).await });
    assert!(poll_once(&mut read).is_pending());
    for _ in 0..2000 {
        rig.store.step();
        rig.events.dispatch();
        let _ = poll_once(&mut rig.task);
    }
    assert_eq!(rig.front_state(), State::Closed);
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
    assert_eq!(rig.front_state(), State::Closed);
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
        "513",
        "65536",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "x",
        "/",
        "/local/domain/9/backend",
        "\u{fffd}",
        "1 ",
        "0x1",
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
            let value = VALUES[random.below(VALUES.len())];
            if random.below(2) == 0 {
                rig.set(&format!("{FRONT}/{}", NODES[random.below(NODES.len())]), value);
            } else {
                rig.set(&format!("{path}/{}", BACK[random.below(BACK.len())]), value);
            }
            if random.below(20) == 0 {
                rig.store.daemon.borrow_mut().remove(FRONT);
            }
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
    let mut rig = Rig::new(Options::default());
    rig.attach(1);
    rig.works();
    let daemon = rig.store.daemon.borrow();
    let known = ["/local/domain/0/secret", FRONT, &rig.back.path];
    assert!(daemon.tree.keys().all(|node| known.iter().any(|known| node.starts_with(known))));
}
