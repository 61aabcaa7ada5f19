//! A fake Xen, for tests of drivers: event channels, grants and time in ordinary
//! memory, with another end that the test plays. Misuse panics, so that a test fails.

use super::{
    abi,
    clock::Clock,
    events::Events,
    hypervisor::*,
    shared_info::{PORTS, SharedInfo},
};
use crate::{
    shared::SharedPage,
    testing::shared_page,
    wire::{DomId, Gfn, GrantRef, Port},
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::{
    mem::offset_of,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};
use mirust_mem::PAGE_SIZE;
use std::{cell::Cell, sync::Mutex};

std::thread_local! {
    /// The time stamp counter of the fake CPU: one tick is one nanosecond.
    static TSC: Cell<u64> = const { Cell::new(0) };
    /// What else happens while the domain is frozen.
    static MEANWHILE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

/// Has `f` called while the domain of this thread is frozen the next time.
pub fn meanwhile(f: impl FnOnce() + 'static) {
    MEANWHILE.set(Some(Box::new(f)));
}

/// Reads the fake counter.
pub fn tsc() -> u64 {
    TSC.get()
}

/// Moves the fake counter.
pub fn advance(ns: u64) {
    TSC.set(TSC.get() + ns);
}

/// What Xen and the other domains would know.
pub struct FakeXen {
    /// Xen's view of the shared_info page.
    info: SharedPage,
    state: Mutex<State>,
    /// Calls of `poll`.
    pub polls: AtomicU64,
}

#[derive(Default)]
struct State {
    next_port: u32,
    open: Vec<Port>,
    sent: Vec<Port>,
    refuse_bind: bool,
    frames: BTreeMap<u64, u64>,
    /// The same the other way round.
    gfns: BTreeMap<u64, u64>,
    log: Vec<u8>,
    max_frames: u32,
    /// Table frames that were placed, by index.
    table: Vec<Gfn>,
    /// Grants of other domains that can be mapped.
    foreign: Vec<(DomId, GrantRef)>,
    /// Mappings by handle.
    mapped: BTreeMap<u32, Gfn>,
    next_handle: u32,
    params: BTreeMap<u32, u64>,
    /// How the next suspension ends.
    suspension: Option<Suspension>,
    /// Where shared_info is to be placed again.
    homeless: Option<(u64, u64)>,
    refuse_place: Option<u32>,
    /// Calls that are about a suspension, in their order.
    trace: Vec<String>,
    /// Addresses of pages that were returned.
    holes: BTreeSet<u64>,
    /// Pages that Xen still has for this domain, and the largest order in which it has them.
    stock: (usize, u32),
    refuses_release: bool,
    /// Whether a look at the counter is an exit, and where the vCPU's runstate is told.
    emulates_tsc: bool,
    runstate: Option<SharedPage>,
}

/// How a suspension ends.
#[derive(Clone, Copy, Debug)]
pub enum Suspension {
    /// Xen refuses.
    Refused(Errno),
    /// The domain goes on where it was.
    Cancelled,
    /// It goes on in another domain, perhaps on another host.
    Elsewhere {
        /// System time.
        system_time: u64,
        /// The wall clock at system time zero, in seconds since 1970.
        wall: u64,
    },
}

/// All that a test of a driver needs.
#[derive(Clone, Copy)]
pub struct World {
    /// The hypervisor, and what a test may ask it to do.
    pub xen: &'static FakeXen,
    /// The domain's view of the shared_info page.
    pub info: &'static SharedInfo,
    /// The domain's event channels.
    pub events: &'static Events,
    /// The domain's clock, over [`tsc`].
    pub clock: &'static Clock,
}

/// A new world. Its parts are leaked: the drivers want them for ever.
pub fn world() -> World {
    let (page, peer) = shared_page();
    show_time(&peer, 0, 1_000_000);
    let state = State { next_port: 1, max_frames: 4, stock: (0, 9), ..State::default() };
    let xen: &'static FakeXen = Box::leak(Box::new(FakeXen {
        info: peer,
        state: Mutex::new(state),
        polls: AtomicU64::new(0),
    }));
    let info = &*Box::leak(Box::new(SharedInfo::new(page)));
    let events = &*Box::leak(Box::new(Events::new(xen, info)));
    let clock = &*Box::leak(Box::new(Clock::new(info, tsc)));
    World { xen, info, events, clock }
}

/// Has a shared_info page say what system time it is at a value of the counter: one nanosecond per tick.
fn show_time(info: &SharedPage, tsc: u64, system_time: u64) {
    let time = offset_of!(abi::shared_info, vcpu_info) + offset_of!(abi::vcpu_info, time);
    info.store_u32(time + offset_of!(abi::vcpu_time_info, tsc_to_system_mul), 1 << 31);
    info.store_u8(time + offset_of!(abi::vcpu_time_info, tsc_shift), 1);
    info.store_u64(time + offset_of!(abi::vcpu_time_info, tsc_timestamp), tsc);
    info.store_u64(time + offset_of!(abi::vcpu_time_info, system_time), system_time);
}

/// Where there is no memory, reads give all ones.
fn make_a_hole(page: &SharedPage) {
    (0..PAGE_SIZE).step_by(8).for_each(|at| page.store_u64(at, u64::MAX));
}

impl FakeXen {
    /// An event for `port`, as Xen delivers it to a domain with two-level event channels.
    pub fn raise(&self, port: Port) {
        let (word, bit) = (8 * (port.0 as usize / 64), 1 << (port.0 % 64));
        let pending = offset_of!(abi::shared_info, evtchn_pending);
        let mask = offset_of!(abi::shared_info, evtchn_mask);
        let vcpu = offset_of!(abi::shared_info, vcpu_info);
        if self.info.fetch_or_u64(pending + word, bit) & bit != 0 {
            return;
        }
        if self.info.load_u64(mask + word) & bit == 0 {
            let selector = vcpu + offset_of!(abi::vcpu_info, evtchn_pending_sel);
            self.info.fetch_or_u64(selector, 1 << (word / 8));
            self.info.store_u8(vcpu + offset_of!(abi::vcpu_info, evtchn_upcall_pending), 1);
        }
    }

    /// Whether the port's pending bit is set.
    pub fn is_pending(&self, port: Port) -> bool {
        let word = offset_of!(abi::shared_info, evtchn_pending) + 8 * (port.0 as usize / 64);
        self.info.load_u64(word) >> (port.0 % 64) & 1 == 1
    }

    /// Notifications that the domain has sent since the last call.
    pub fn take_sent(&self) -> Vec<Port> {
        core::mem::take(&mut self.state.lock().unwrap().sent)
    }

    /// The ports that are open.
    pub fn open_ports(&self) -> Vec<Port> {
        self.state.lock().unwrap().open.clone()
    }

    /// The next ports have numbers from `port` on.
    pub fn set_next_port(&self, port: u32) {
        self.state.lock().unwrap().next_port = port;
    }

    /// Emulates the time stamp counter from now on, so that each reading is an exit. Returns the port that the timer of
    /// a domain will get.
    pub fn emulate_tsc(&self) -> Port {
        let mut state = self.state.lock().unwrap();
        state.emulates_tsc = true;
        Port(state.next_port)
    }

    /// They are not, on the next host.
    pub fn emulate_no_tsc(&self) {
        self.state.lock().unwrap().emulates_tsc = false;
    }

    /// Refuses to bind ports from now on.
    pub fn refuse_bind(&self) {
        self.state.lock().unwrap().refuse_bind = true;
    }

    /// Sets an HVM parameter.
    pub fn set_param(&self, index: u32, value: u64) {
        self.state.lock().unwrap().params.insert(index, value);
    }

    /// Sets how the next suspension ends.
    pub fn set_suspension(&self, suspension: Suspension) {
        self.state.lock().unwrap().suspension = Some(suspension);
    }

    /// Refuses to put pages of this kind (`XENMAPSPACE_…`) in their places from now on.
    pub fn refuse_to_place(&self, space: u32) {
        self.state.lock().unwrap().refuse_place = Some(space);
    }

    /// Calls that are about a suspension, since the last time this was asked.
    pub fn take_trace(&self) -> Vec<String> {
        core::mem::take(&mut self.state.lock().unwrap().trace)
    }

    /// The domain goes on in another one, on the same host: shared_info is in its place, and nothing else.
    pub fn go_elsewhere(&self, info: &SharedInfo) {
        self.set_suspension(Suspension::Elsewhere { system_time: 1_000_000 + tsc(), wall: 0 });
        assert_eq!(self.suspend(), Ok(Woken::Elsewhere));
        let gfn = self.gfn_of(info.addr());
        // SAFETY: nothing is placed: it is a fake.
        unsafe { self.add_to_physmap(abi::XENMAPSPACE_shared_info, 0, gfn) }.expect("a place");
    }

    /// The memory behind a frame that the domain has used.
    fn page(&self, gfn: Gfn) -> SharedPage {
        let base = NonNull::new(self.addr_of(gfn).expect("a frame of the domain's") as *mut u8);
        // SAFETY: a page of the domain's that it has made shared, and that is never freed.
        unsafe { SharedPage::new(base.expect("no page is at zero"), PAGE_SIZE) }
    }

    /// Sets how many pages Xen has for this domain besides those that it returns, in extents up to this order.
    pub fn set_stock(&self, pages: usize, order: u32) {
        self.state.lock().unwrap().stock = (pages, order);
    }

    /// Whether Xen takes no pages back, as when it lacks memory for its own tables.
    pub fn refuse_release(&self, refuses: bool) {
        self.state.lock().unwrap().refuses_release = refuses;
    }

    /// Addresses of the pages that the domain has returned, and has not got again.
    pub fn holes(&self) -> Vec<usize> {
        self.state.lock().unwrap().holes.iter().map(|addr| *addr as usize).collect()
    }

    /// What went to Xen's log.
    pub fn take_log(&self) -> Vec<u8> {
        core::mem::take(&mut self.state.lock().unwrap().log)
    }

    /// Lets the grant table grow to `frames`.
    pub fn set_max_frames(&self, frames: u32) {
        self.state.lock().unwrap().max_frames = frames;
    }

    /// The address behind a frame number that the domain has used.
    pub fn addr_of(&self, gfn: Gfn) -> Option<usize> {
        self.state.lock().unwrap().frames.get(&gfn.0).map(|addr| *addr as usize)
    }

    /// Frames of the grant table, in order.
    pub fn table(&self) -> Vec<Gfn> {
        self.state.lock().unwrap().table.clone()
    }

    /// Another domain grants this one something.
    pub fn offer(&self, domid: DomId, gref: GrantRef) {
        self.state.lock().unwrap().foreign.push((domid, gref));
    }

    /// Frames that foreign pages are mapped over, in the order of their mapping.
    pub fn mapped(&self) -> Vec<Gfn> {
        self.state.lock().unwrap().mapped.values().copied().collect()
    }

    fn bind(&self) -> Result<Port, Errno> {
        let mut state = self.state.lock().unwrap();
        if state.refuse_bind {
            return Err(Errno::ENOSPC);
        }
        let port = Port(state.next_port);
        state.next_port += 1;
        state.open.push(port);
        Ok(port)
    }
}

impl Hypervisor for FakeXen {
    fn version(&self) -> u32 {
        4 << 16 | 20
    }

    fn features(&self) -> Result<u32, Errno> {
        Ok(u32::MAX)
    }

    fn domid(&self) -> Option<u32> {
        Some(7)
    }

    fn hvm_param(&self, index: u32) -> Result<u64, Errno> {
        self.state.lock().unwrap().params.get(&index).copied().ok_or(Errno::EINVAL)
    }

    fn set_hvm_param(&self, index: u32, value: u64) -> Result<(), Errno> {
        let mut state = self.state.lock().unwrap();
        state.params.insert(index, value);
        state.trace.push(format!("param {index} = {value:#x}"));
        Ok(())
    }

    unsafe fn add_to_physmap(&self, space: u32, index: u64, gfn: Gfn) -> Result<(), Errno> {
        let mut state = self.state.lock().unwrap();
        if state.refuse_place == Some(space) {
            return Err(Errno::EPERM);
        }
        if space == abi::XENMAPSPACE_shared_info {
            let (system_time, wall) = state.homeless.take().expect("shared_info has its place");
            state.trace.push("shared_info".into());
            self.info.clear();
            show_time(&self.info, tsc(), system_time);
            self.info.store_u32(offset_of!(abi::shared_info, wc_sec), wall as u32);
            return Ok(());
        }
        assert_eq!(space, abi::XENMAPSPACE_grant_table);
        if index != state.table.len() as u64 || index >= u64::from(state.max_frames) {
            return Err(Errno::EINVAL);
        }
        state.table.push(gfn);
        state.trace.push(format!("grant table {index}"));
        drop(state);
        self.page(gfn).clear();
        Ok(())
    }

    unsafe fn release(&self, extents: &[Gfn], order: u32) -> Result<usize, Errno> {
        if self.state.lock().unwrap().refuses_release {
            return Ok(0);
        }
        for gfn in extents {
            let addr = self.addr_of(*gfn).expect("a frame of the domain's") as u64;
            assert_eq!(addr >> 12 & ((1 << order) - 1), 0, "an extent is aligned");
            let mut state = self.state.lock().unwrap();
            for page in 0..1 << order {
                assert!(state.holes.insert(addr + (page << 12)), "returned twice");
            }
            state.stock.0 += 1 << order;
        }
        Ok(extents.len())
    }

    unsafe fn populate(&self, extents: &[Gfn], order: u32) -> Result<usize, Errno> {
        for (done, gfn) in extents.iter().enumerate() {
            let addr = self.addr_of(*gfn).expect("a frame of the domain's") as u64;
            assert_eq!(addr >> 12 & ((1 << order) - 1), 0, "an extent is aligned");
            let mut state = self.state.lock().unwrap();
            if state.stock.0 < 1 << order || state.stock.1 < order {
                return Ok(done);
            }
            state.stock.0 -= 1 << order;
            for page in 0..1 << order {
                assert!(state.holes.remove(&(addr + (page << 12))), "memory is lost");
            }
        }
        Ok(extents.len())
    }

    fn evtchn_alloc_unbound(&self, _remote: DomId) -> Result<Port, Errno> {
        self.bind()
    }

    fn evtchn_bind_interdomain(&self, _remote: DomId, _port: Port) -> Result<Port, Errno> {
        let port = self.bind()?;
        self.raise(port);
        Ok(port)
    }

    fn evtchn_bind_virq(&self, _virq: u32) -> Result<Port, Errno> {
        self.bind()
    }

    fn evtchn_close(&self, port: Port) -> Result<(), Errno> {
        let mut state = self.state.lock().unwrap();
        state.open.retain(|open| *open != port);
        Ok(())
    }

    fn evtchn_send(&self, port: Port) -> Result<(), Errno> {
        self.state.lock().unwrap().sent.push(port);
        Ok(())
    }

    fn poll(&self, ports: &[Port], deadline: u64) -> Result<(), Errno> {
        assert!(ports.len() <= 128 && ports.iter().all(|port| (port.0 as usize) < PORTS));
        self.polls.fetch_add(1, Ordering::Relaxed);
        if !ports.iter().any(|port| self.is_pending(*port)) {
            assert_ne!(deadline, 0, "the domain would sleep for ever");
            // System time is the counter plus the constant of `world`.
            TSC.set(TSC.get().max(deadline.saturating_sub(1_000_000)));
            if let Some(runstate) = &self.state.lock().unwrap().runstate {
                let since = offset_of!(abi::vcpu_runstate_info, state_entry_time);
                runstate.store_u64(since, TSC.get() + 1_000_000);
            }
        }
        Ok(())
    }

    unsafe fn tell_time(&self, runstate: usize, period: u64) -> Result<Port, Errno> {
        assert!(period >= 1_000_000, "Xen takes no shorter one");
        let size = size_of::<abi::vcpu_runstate_info>();
        assert_eq!(runstate / PAGE_SIZE, (runstate + size - 1) / PAGE_SIZE, "in one page");
        if !self.state.lock().unwrap().emulates_tsc {
            return Err(Errno::ENOSYS);
        }
        let base = NonNull::new(runstate as *mut u8).expect("nothing is at zero");
        // SAFETY: the caller vouches for it.
        let runstate = unsafe { SharedPage::new(base, size) };
        self.state.lock().unwrap().runstate = Some(runstate);
        self.bind()
    }

    fn shutdown(&self, reason: EndReason) -> Errno {
        panic!("the domain has ended: {reason:?}");
    }

    /// In another domain there are holes where Xen's pages were, and no port is open.
    fn suspend(&self) -> Result<Woken, Errno> {
        MEANWHILE.take().into_iter().for_each(|f| f());
        let mut state = self.state.lock().unwrap();
        state.trace.push("suspend".into());
        match state.suspension.take().expect("nobody has asked for a suspension") {
            Suspension::Refused(errno) => Err(errno),
            Suspension::Cancelled => {
                let tells = state.params.get(&abi::HVM_PARAM_CALLBACK_IRQ).is_some_and(|v| *v != 0);
                Ok(if tells { Woken::Here } else { Woken::Elsewhere })
            }
            Suspension::Elsewhere { system_time, wall } => {
                state.homeless = Some((system_time, wall));
                state.open.clear();
                state.runstate = None;
                let table = core::mem::take(&mut state.table);
                drop(state);
                make_a_hole(&self.info);
                table.into_iter().for_each(|gfn| make_a_hole(&self.page(gfn)));
                Ok(Woken::Elsewhere)
            }
        }
    }

    fn log(&self, bytes: &[u8]) {
        self.state.lock().unwrap().log.extend_from_slice(bytes);
    }

    fn grant_set_version_1(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn grant_max_frames(&self) -> Result<u32, GrantStatus> {
        Ok(self.state.lock().unwrap().max_frames)
    }

    unsafe fn grant_map(
        &self,
        domid: DomId,
        gref: GrantRef,
        _access: GrantAccess,
        gfn: Gfn,
    ) -> Result<MapHandle, GrantStatus> {
        let mut state = self.state.lock().unwrap();
        if !state.foreign.contains(&(domid, gref)) {
            return Err(GrantStatus(abi::GNTST_bad_gntref as i16));
        }
        assert!(state.mapped.values().all(|other| *other != gfn), "mapped over a mapping");
        let handle = state.next_handle;
        state.next_handle += 1;
        state.mapped.insert(handle, gfn);
        Ok(MapHandle(handle))
    }

    unsafe fn grant_unmap(&self, handle: MapHandle, gfn: Gfn) -> Result<(), GrantStatus> {
        match self.state.lock().unwrap().mapped.remove(&handle.0) {
            Some(mapped) if mapped == gfn => Ok(()),
            _ => Err(GrantStatus(abi::GNTST_bad_handle as i16)),
        }
    }

    unsafe fn grant_copy(
        &self,
        _from: (CopyEnd, u16),
        _to: (CopyEnd, u16),
        _len: u16,
    ) -> Result<(), GrantStatus> {
        Err(GrantStatus(abi::GNTST_general_error as i16))
    }

    /// Small numbers, as a real domain has them, in place of the host's addresses.
    fn gfn_of(&self, addr: usize) -> Gfn {
        let mut state = self.state.lock().unwrap();
        if let Some(gfn) = state.gfns.get(&(addr as u64)) {
            return Gfn(*gfn);
        }
        let gfn = 0x1000 + state.frames.len() as u64;
        state.frames.insert(gfn, addr as u64);
        state.gfns.insert(addr as u64, gfn);
        Gfn(gfn)
    }
}
