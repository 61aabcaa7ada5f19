//! Suspension against a fake Xen: what is done in which order, and what comes of each failure.

use super::{shutdown::NODE, *};
use crate::{
    events::EventChannel,
    fake::{self, FakeXen, Suspension, World},
    gnttab::GrantError,
    hypervisor::GrantAccess,
    ring::bytes::Consumer,
    shared::SharedPage,
    testing::{poll_once, shared_page},
    wire::{DomId, GrantRef, bytering::CONSOLE_OUT},
    xenstore::daemon,
};
use alloc::{rc::Rc, string::ToString, vec::Vec};
use core::cell::{Cell, RefCell};
use mirust_executor::suspend::Part;
use std::sync::Mutex as Lock;

const CONSOLE_PFN: u64 = 0xfeff8;
const STORE_PFN: u64 = 0xfeffc;
const ELSEWHERE: Suspension = Suspension::Elsewhere { system_time: 77_000, wall: 2_000 };

std::thread_local! {
    static STIRRED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Notes what was mapped where.
struct NotedTables(&'static Lock<Vec<String>>);

// SAFETY: maps nothing, and nobody uses what it says that it has mapped.
unsafe impl PageTables for NotedTables {
    fn map(&mut self, page: VirtPage, frame: Frame, _: Prot) -> Result<(), OutOfMemory> {
        self.0.lock().unwrap().push(format!("map {:#x} to {:#x}", page.0, frame.0));
        Ok(())
    }
    fn unmap(&mut self, page: VirtPage) -> Option<Frame> {
        self.0.lock().unwrap().push(format!("unmap {:#x}", page.0));
        None
    }
    fn protect(&mut self, _: VirtPage, _: Prot) -> bool {
        true
    }
}

struct Rig {
    store: Rc<daemon::Rig>,
    xen: &'static FakeXen,
    events: &'static Events,
    clock: &'static Clock,
    grants: &'static GrantTable,
    console: &'static Console,
    /// The console's ring, as the daemon sees it.
    screen: SharedPage,
    suspend: Rc<Suspend>,
    hooks: Rc<Hooks>,
    mapped: &'static Lock<Vec<String>>,
    /// What the hooks were told.
    told: Rc<RefCell<Vec<String>>>,
}

fn ring(name: &'static str, pfn: u32, evtchn: u32, gfn: u64, page: usize) -> Ring {
    Ring { name, pfn, evtchn, at: Mutex::new(Gfn(gfn)), addr: page }
}

fn rig() -> Rig {
    let store = Rc::new(daemon::Rig::new());
    let World { xen, info, events, clock } = store.world;
    xen.set_max_frames(2);
    let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
    let (page, screen) = shared_page();
    let at = page.addr();
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    let console = &*Box::leak(Box::new(Console::new(xen, info, clock, page, channel, 4096)));
    let mapped = &*Box::leak(Box::new(Lock::default()));
    for (index, value) in [
        (abi::HVM_PARAM_CONSOLE_PFN, CONSOLE_PFN),
        (abi::HVM_PARAM_CONSOLE_EVTCHN, 2),
        (abi::HVM_PARAM_STORE_PFN, STORE_PFN),
        (abi::HVM_PARAM_STORE_EVTCHN, 1),
    ] {
        xen.set_param(index, value);
    }
    let console_ring =
        ring("console", abi::HVM_PARAM_CONSOLE_PFN, abi::HVM_PARAM_CONSOLE_EVTCHN, CONSOLE_PFN, at);
    let store_ring =
        ring("xenstore", abi::HVM_PARAM_STORE_PFN, abi::HVM_PARAM_STORE_EVTCHN, STORE_PFN, 0x5000);
    let suspend = Rc::new(Suspend {
        hypervisor: xen,
        info,
        events,
        clock,
        grants: Some(grants),
        console: Some((console, console_ring)),
        store: (store.store.clone(), store_ring),
        tables: Mutex::new(Box::new(NotedTables(mapped))),
        stir: |known| STIRRED.with_borrow_mut(|all| all.push(known.to_vec())),
    });
    let (hooks, told) = (Rc::new(Hooks::default()), Rc::default());
    let rig =
        Rig { store, xen, events, clock, grants, console, screen, suspend, hooks, mapped, told };
    rig.hook(Part::Program, "first", Ok(()));
    rig.hook(Part::Device, "disk", Ok(()));
    rig.hook(Part::Program, "second", Ok(()));
    rig.store.daemon.borrow_mut().change(NODE, b"suspend");
    rig
}

impl Rig {
    fn hook(&self, part: Part, name: &'static str, answer: Result<(), &'static str>) {
        let told = self.told.clone();
        self.hooks.before(
            part,
            Box::new(move || {
                told.borrow_mut().push(format!("before {name}"));
                Box::pin(async move { answer.map_err(String::from) })
            }),
        );
        let told = self.told.clone();
        self.hooks.after(
            part,
            Box::new(move |resumed| {
                let what = if resumed.cancelled { "cancelled" } else { "resumed" };
                told.borrow_mut().push(format!("{what} {name}"));
                Box::pin(async {})
            }),
        );
    }

    /// Follows the request. While the domain is frozen its ring is emptied, as the toolstack does it, unless it
    /// goes on here.
    fn request(&self, suspension: Suspension) -> Result<Resumed, Refusal> {
        self.xen.set_suspension(suspension);
        let store = self.store.clone();
        let screen = self.screen.addr();
        fake::meanwhile(move || {
            fake::advance(3_000_000_000);
            if let Suspension::Elsewhere { .. } = suspension {
                store.daemon.borrow_mut().introduce(&[("device/vif/0/backend", "elsewhere")]);
                let base = core::ptr::NonNull::new(screen as *mut u8).unwrap();
                // SAFETY: the leaked page of `shared_page`, seen once more.
                unsafe { SharedPage::new(base, 4096) }.clear();
            }
        });
        self.store.run(self.suspend.request(&self.hooks, sleep))
    }

    fn node(&self) -> Vec<u8> {
        self.store.daemon.borrow().tree[NODE].clone()
    }

    /// What the console's daemon finds.
    fn read(&self) -> String {
        let mut bytes = [0; 2048];
        let n = Consumer::attach(&self.screen, CONSOLE_OUT).pull(&self.screen, &mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    }
}

/// Ready after a number of polls, each of which stands for some time.
fn sleep(duration: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
    let mut left = 50 * duration.as_secs();
    Box::pin(poll_fn(move |_| {
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    }))
}

#[test]
fn what_xen_tells_of_time_goes_on_in_the_new_domain() {
    let rig = rig();
    rig.xen.emulate_tsc();
    rig.clock.begin(rig.xen);
    rig.request(ELSEWHERE).unwrap();
    let there = rig.clock.now();
    assert_eq!(rig.clock.recent(), Some(there));
    assert_eq!(rig.xen.open_ports().len(), 1);
}

#[test]
fn everything_comes_anew_in_its_order() {
    let rig = rig();
    let grant = rig.grants.share(DomId::DOM0, GrantAccess::ReadWrite).unwrap();
    rig.xen.take_trace();
    rig.xen.set_param(abi::HVM_PARAM_STORE_EVTCHN, 41);
    rig.xen.set_param(abi::HVM_PARAM_CONSOLE_EVTCHN, 42);
    let resumed = rig.request(ELSEWHERE).unwrap();
    assert!(!resumed.cancelled);
    let trace =
        ["param 0 = 0x2000000000000f3", "suspend", "param 0 = 0x0", "shared_info", "grant table 0"];
    assert_eq!(rig.xen.take_trace(), trace);
    let told = [
        "before second",
        "before first",
        "before disk",
        "resumed disk",
        "resumed first",
        "resumed second",
    ];
    assert_eq!(*rig.told.borrow(), told);
    assert_eq!(rig.suspend.store.0.channel().port(), Port(41));
    assert_eq!(rig.console.channel().port(), Port(42));
    assert_eq!(rig.events.with_ports(<[Port]>::to_vec), [Port(41), Port(42)]);
    assert!(rig.mapped.lock().unwrap().is_empty(), "no ring has moved");
    // The table grants nothing any more; its entry and its page come back all the same.
    assert!(grant.end().is_ok());
    assert_eq!(rig.grants.stats().used, 0);
    // The random numbers had something to be different by.
    let (rig_two, before) = (self::rig(), STIRRED.take());
    rig_two.request(Suspension::Elsewhere { system_time: 78_000, wall: 2_000 }).unwrap();
    assert_eq!(before.len(), 1);
    assert_ne!(before, STIRRED.take());
}

#[test]
fn cancelled_is_as_if_nothing_had_been() {
    let rig = rig();
    let grant = rig.grants.share(DomId::DOM0, GrantAccess::ReadWrite).unwrap();
    let channel = rig.events.alloc_unbound(DomId::DOM0).unwrap();
    let before = (rig.xen.open_ports(), rig.xen.table(), rig.clock.now());
    rig.xen.take_trace();
    let resumed = rig.request(Suspension::Cancelled).unwrap();
    assert!(resumed.cancelled);
    assert_eq!(resumed.away, Duration::from_secs(3));
    assert_eq!(rig.xen.take_trace(), ["param 0 = 0x2000000000000f3", "suspend", "param 0 = 0x0"]);
    assert!(!channel.is_stale());
    rig.xen.raise(channel.port());
    rig.events.dispatch();
    assert_eq!(channel.count(), 1);
    assert_eq!((rig.xen.open_ports(), rig.xen.table(), rig.clock.now()), before);
    assert_eq!(rig.told.borrow()[3..], ["cancelled disk", "cancelled first", "cancelled second"]);
    assert_eq!(rig.node(), b"", "acknowledged");
    assert!(grant.end().is_ok());
    assert_eq!(rig.store.run(rig.store.store.read(NODE)), Ok(Vec::new()));
}

#[test]
fn whoever_refuses_is_the_last_one_asked_and_the_request_is_not_acknowledged() {
    for part in [Part::Program, Part::Device] {
        let rig = rig();
        rig.hook(part, "careful", Err("a write is under way"));
        let refusal = rig.request(ELSEWHERE).unwrap_err();
        assert_eq!(refusal.to_string(), "a write is under way");
        assert_eq!(rig.node(), b"suspend");
        let asked: Vec<String> =
            rig.told.borrow().iter().filter(|t| t.starts_with("before")).cloned().collect();
        match part {
            Part::Program => assert_eq!(asked, ["before careful"]),
            Part::Device => {
                assert_eq!(asked, ["before second", "before first", "before careful"]);
            }
        }
        assert!(rig.told.borrow().contains(&"cancelled first".into()), "everybody knows");
        assert!(rig.xen.take_trace().is_empty());
    }
}

#[test]
fn a_hook_that_does_not_end_is_a_refusal() {
    let rig = rig();
    rig.hooks.before(Part::Program, Box::new(|| Box::pin(core::future::pending())));
    assert_eq!(rig.request(ELSEWHERE), Err(Refusal::Late));
    assert_eq!(rig.node(), b"suspend");
}

#[test]
fn hooks_that_do_not_end_afterwards_do_not_keep_the_domain() {
    let rig = rig();
    rig.hooks.after(Part::Device, Box::new(|_| Box::pin(core::future::pending())));
    assert!(rig.request(ELSEWHERE).is_ok());
}

#[test]
fn a_mapped_page_is_a_refusal_until_it_is_unmapped() {
    let rig = rig();
    rig.xen.offer(DomId(5), GrantRef(9));
    let mapped = rig.grants.map(DomId(5), GrantRef(9), GrantAccess::ReadOnly).unwrap();
    assert_eq!(rig.request(ELSEWHERE), Err(Refusal::Mapped(1)));
    assert_eq!(rig.node(), b"suspend");
    drop(mapped);
    assert!(rig.request(ELSEWHERE).is_ok());
}

#[test]
fn a_request_that_is_withdrawn_while_hooks_run_is_not_followed() {
    let rig = rig();
    let store = rig.store.clone();
    rig.hooks.before(
        Part::Device,
        Box::new(move || {
            store.daemon.borrow_mut().change(NODE, b"");
            Box::pin(async { Ok(()) })
        }),
    );
    assert_eq!(rig.request(ELSEWHERE), Err(Refusal::Withdrawn));
    assert!(rig.xen.take_trace().is_empty());
}

#[test]
fn xen_that_refuses_leaves_everything_as_it_is() {
    let rig = rig();
    let refusal = rig.request(Suspension::Refused(Errno::ENOSYS)).unwrap_err();
    assert_eq!(refusal, Refusal::Xen(Errno::ENOSYS));
    assert!(rig.told.borrow().contains(&"cancelled first".into()));
    assert_eq!(rig.xen.take_trace().last().unwrap(), "param 0 = 0x0");
    assert_eq!(rig.store.run(rig.store.store.read(NODE)), Ok(Vec::new()));
}

#[test]
#[should_panic(expected = "the domain has ended: Crash")]
fn without_shared_info_the_domain_ends() {
    let rig = rig();
    rig.xen.refuse_to_place(abi::XENMAPSPACE_shared_info);
    let _ = rig.request(ELSEWHERE);
}

#[test]
fn a_domain_without_a_ring_ends_with_a_word() {
    for (param, name) in
        [(abi::HVM_PARAM_STORE_PFN, "xenstore"), (abi::HVM_PARAM_CONSOLE_EVTCHN, "console")]
    {
        let rig = rig();
        rig.xen.set_param(param, 0);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = rig.request(ELSEWHERE);
        }));
        assert!(ended.is_err());
        let log = String::from_utf8(rig.xen.take_log()).unwrap();
        assert!(
            log.contains(&format!("cannot go on in the new domain: the new domain has no {name}"))
        );
    }
}

#[test]
fn a_smaller_grant_table_loses_what_does_not_fit_and_nothing_else() {
    let rig = rig();
    let grant = || rig.grants.share(DomId::DOM0, GrantAccess::ReadWrite);
    let mut all: Vec<_> = (0..600).map(|_| grant().unwrap()).collect();
    let lent = rig.grants.stats().entries;
    assert!(lent > 512);
    rig.xen.set_max_frames(1);
    rig.request(ELSEWHERE).unwrap();
    // What was granted is ended as ever, also where there is no entry any more.
    all.drain(..).for_each(|one| assert!(one.end().is_ok()));
    assert_eq!(rig.grants.stats().used, 0);
    let again: Vec<_> = core::iter::from_fn(|| grant().ok()).collect();
    assert_eq!(again.len(), 512 - 8, "one frame, but for the toolstack's entries");
    assert_eq!(grant().err(), Some(GrantError::TableFull));
}

#[test]
fn a_ring_that_has_moved_is_mapped_where_it_was() {
    let rig = rig();
    rig.xen.set_param(abi::HVM_PARAM_STORE_PFN, 0xfefff);
    rig.request(ELSEWHERE).unwrap();
    assert_eq!(*rig.mapped.lock().unwrap(), ["unmap 0x5000", "map 0x5000 to 0xfefff000"]);
    rig.mapped.lock().unwrap().clear();
    rig.store.daemon.borrow_mut().change(NODE, b"suspend");
    rig.request(ELSEWHERE).unwrap();
    assert!(rig.mapped.lock().unwrap().is_empty(), "it is there already");
}

#[test]
fn stale_channels_wake_once_and_do_not_close_those_of_the_same_number() {
    let rig = rig();
    rig.xen.set_next_port(5);
    let old = rig.events.alloc_unbound(DomId::DOM0).unwrap();
    let seen = old.count();
    let mut wait = old.wait(seen);
    assert!(poll_once(&mut wait).is_pending());
    rig.request(ELSEWHERE).unwrap();
    rig.xen.set_next_port(5);
    let new: EventChannel = rig.events.alloc_unbound(DomId::DOM0).unwrap();
    assert_eq!(old.port(), new.port());
    assert!(old.is_stale() && !new.is_stale());
    let Poll::Ready(seen) = poll_once(&mut wait) else { panic!("nobody tells of the end") };
    assert!(poll_once(&mut old.wait(seen)).is_pending(), "only once");
    rig.xen.raise(new.port());
    rig.events.dispatch();
    assert_eq!((new.count(), old.count()), (1, seen));
    rig.xen.take_sent();
    old.notify();
    old.raise();
    assert!(rig.xen.take_sent().is_empty());
    assert_eq!(rig.events.dispatch(), 0);
    drop(old);
    assert!(rig.xen.open_ports().contains(&new.port()));
    assert!(rig.events.with_ports(|ports| ports.contains(&new.port())));
}

#[test]
fn watches_come_again_and_calls_under_way_fail() {
    let rig = rig();
    let mut watch = rig.store.run(rig.store.store.watch("device/vif/0/backend")).unwrap();
    assert!(rig.store.run(watch.next()).is_ok());
    // Somebody whom the daemon does not answer, however long the domain waits for it.
    rig.store.daemon.borrow_mut().hold = true;
    let mut call = Box::pin(rig.store.store.read("device/vif/0/mac"));
    assert!(poll_once(&mut call).is_pending());
    let daemon = rig.store.clone();
    rig.hooks.before(
        Part::Program,
        Box::new(move || {
            // From now on it answers others.
            daemon.steps(2);
            daemon.daemon.borrow_mut().hold = false;
            Box::pin(async { Ok(()) })
        }),
    );
    rig.request(ELSEWHERE).unwrap();
    assert_eq!(poll_once(&mut call), Poll::Ready(Err(xenstore::Error::Broken)));
    rig.store.steps(4);
    assert_eq!(rig.store.run(watch.next()).as_deref(), Ok("device/vif/0/backend"));
    let read = rig.store.run(rig.store.store.read("device/vif/0/backend"));
    assert_eq!(read.as_deref(), Ok(&b"elsewhere"[..]));
}

#[test]
fn transactions_of_others_are_waited_for() {
    let rig = rig();
    let transaction = rig.store.run(rig.store.store.begin()).unwrap();
    assert!(!rig.store.store.is_quiet());
    let (store, done) = (rig.store.clone(), Rc::new(Cell::new(false)));
    let other = RefCell::new(Some(transaction));
    rig.xen.set_suspension(Suspension::Cancelled);
    let mut turns = 0;
    let request = rig.suspend.request(&rig.hooks, sleep);
    let (seen, xen) = (done.clone(), rig.xen);
    let result = crate::testing::run(request, || {
        turns += 1;
        if turns == 40 {
            assert!(xen.take_trace().is_empty(), "frozen in the middle of a transaction");
            let transaction = other.take().unwrap();
            store.run(transaction.commit()).unwrap();
            seen.set(true);
        }
        store.step();
    });
    assert!(result.is_ok() && done.get());
}

#[test]
fn the_monotonic_clock_stands_still_and_the_wall_clock_steps() {
    let rig = rig();
    fake::advance(9_000_000_000);
    let (now, wall) = (rig.clock.now(), rig.clock.wall());
    // A host that was started a moment ago: later than this domain was.
    let resumed = rig.request(ELSEWHERE).unwrap();
    assert_eq!(rig.clock.now(), now);
    assert_eq!(rig.clock.wall(), Duration::from_secs(2_000) + Duration::from_nanos(77_000));
    assert_eq!(resumed.away, rig.clock.wall() - wall);
    fake::advance(500);
    assert_eq!(rig.clock.now().as_nanos(), now.as_nanos() + 500);
    // Deadlines of before are as far away as they were, in the system time of this host.
    let deadline = now.saturating_add(Duration::from_secs(1));
    assert_eq!(rig.clock.deadline(deadline), 77_000 + 1_000_000_000);
    assert_eq!(rig.clock.deadline(mirust_executor::time::Instant::ZERO), 0);
    assert_eq!(rig.clock.deadline(mirust_executor::time::Instant::NEVER), u64::MAX);
    // And back on a host that has been up for long: the clock does not jump there either.
    rig.store.daemon.borrow_mut().change(NODE, b"suspend");
    let now = rig.clock.now();
    rig.request(Suspension::Elsewhere { system_time: 1 << 62, wall: 1 }).unwrap();
    assert_eq!(rig.clock.now(), now);
    assert_eq!(rig.clock.system_time(), 1 << 62);
}

#[test]
fn the_console_is_read_before_and_goes_on_after() {
    let rig = rig();
    rig.console.write(b"before\n");
    // The daemon reads it while the domain waits for that.
    let screen = rig.screen.addr();
    rig.hooks.before(
        Part::Device,
        Box::new(move || {
            let base = core::ptr::NonNull::new(screen as *mut u8).unwrap();
            // SAFETY: the leaked page of `shared_page`, seen once more.
            let screen = unsafe { SharedPage::new(base, 4096) };
            let n = Consumer::attach(&screen, CONSOLE_OUT).pull(&screen, &mut [0; 2048]);
            assert_eq!(n, Ok(8));
            Box::pin(async { Ok(()) })
        }),
    );
    rig.request(ELSEWHERE).unwrap();
    rig.console.write(b"after\n");
    assert_eq!(rig.read(), "after\r\n");
}
