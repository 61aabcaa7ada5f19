//! Brings up everything that Xen gives to a domain, in order.

use super::{
    abi,
    balloon::Balloon,
    clock::{self, Clock},
    console::Console,
    events::{BindError, Events},
    gnttab::GrantTable,
    hypervisor::{EndReason, Errno, Hypervisor},
    page::Page,
    platform::XenPlatform,
    shared_info::SharedInfo,
    suspend::{Ring, Suspend, Tables},
    xenstore::{self, Xenstore},
};
use crate::{
    shared::SharedPage,
    wire::{Gfn, Port},
};
use alloc::boxed::Box;
use core::{fmt, ops::Range, pin::Pin, ptr::NonNull};
use mirust_executor::{domain, platform::Platform, time::Duration};
use mirust_mem::{
    OutOfMemory, PAGE_SIZE, frames,
    paging::{Frame, PageTables, Prot, VirtPage},
    shares::Shares,
};
use spin::{Mutex, Once};

/// What the domain stands on. Each part may be missing, as far as a domain can do without.
struct Drivers {
    hypervisor: &'static dyn Hypervisor,
    events: &'static Events,
    grants: Option<&'static GrantTable>,
    console: Option<&'static Console>,
    xenstore: Option<Xenstore>,
    platform: XenPlatform,
    /// Without xenstore nobody could ask for it.
    suspend: Option<Suspend>,
}

static DRIVERS: Once<Drivers> = Once::new();

/// Why the image cannot run on this Xen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitError {
    /// Xen lacks a feature that the runtime cannot do without.
    Missing(&'static str),
    /// No memory for a page.
    OutOfMemory,
    /// Xen refused a hypercall.
    Xen(&'static str, Errno),
    /// An event channel could not be used.
    Bind(BindError),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::Missing(feature) => write!(f, "this Xen lacks {feature}"),
            InitError::OutOfMemory => f.write_str("no memory for Xen's pages"),
            InitError::Xen(what, errno) => write!(f, "Xen refused {what}: {errno}"),
            InitError::Bind(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for InitError {}

impl From<OutOfMemory> for InitError {
    fn from(_: OutOfMemory) -> Self {
        InitError::OutOfMemory
    }
}

/// Brings everything up, once there is a heap. From then on [`write_console`] reaches Xen's console,
/// and the result is what the domain's poll stands on; [`spawn_drivers`] is to follow.
///
/// `tables` maps the pages of the console and of xenstore, which lie outside RAM. `stir` is called, with a few
/// bytes that no other domain has, when the domain goes on after a suspension: random numbers must not be those of
/// another domain that was made of the same copy.
pub fn init(
    hypervisor: &'static dyn Hypervisor,
    mut tables: Tables,
    stir: fn(&[u8]),
) -> Result<&'static dyn Platform, InitError> {
    let features = hypervisor.features().map_err(|errno| InitError::Xen("its features", errno))?;
    for (bit, name) in [
        (abi::XENFEAT_auto_translated_physmap, "translated memory: the guest is not PVH or HVM"),
        (abi::XENFEAT_hvm_safe_pvclock, "a paravirtual clock for PVH guests"),
    ] {
        if features >> bit & 1 == 0 {
            return Err(InitError::Missing(name));
        }
    }
    let info: &SharedInfo = Box::leak(Box::new(shared_info(hypervisor)?));
    let events: &Events = Box::leak(Box::new(Events::new(hypervisor, info)));
    let clock: &Clock = Box::leak(Box::new(Clock::new(info, clock::rdtsc)));
    clock.begin(hypervisor);

    let mut ring = |name, pfn, port| ring(hypervisor, &mut *tables, name, pfn, port);
    let console = ring("console", abi::HVM_PARAM_CONSOLE_PFN, abi::HVM_PARAM_CONSOLE_EVTCHN)?;
    let store = ring("xenstore", abi::HVM_PARAM_STORE_PFN, abi::HVM_PARAM_STORE_EVTCHN)?;
    let console = match console {
        None => None,
        Some((ring, page, port)) => {
            let channel = events.adopt(port).map_err(InitError::Bind)?;
            let limit = Shares::get().console;
            let console = Console::new(hypervisor, info, clock, page, channel, limit);
            Some((&*Box::leak(Box::new(console)), ring))
        }
    };
    let store = match store {
        None => None,
        Some((ring, page, port)) => {
            Some((Xenstore::new(page, events.adopt(port).map_err(InitError::Bind)?), ring))
        }
    };
    let grants = match GrantTable::new(hypervisor) {
        Ok(table) => Some(&*Box::leak(Box::new(table))),
        Err(error) => {
            log::error!("no grant table: {error}");
            None
        }
    };
    let platform = XenPlatform::new(hypervisor, events, clock);
    let xenstore = store.as_ref().map(|(store, _)| store.clone());
    let shown = console.as_ref().map(|(console, _)| *console);
    let tables = Mutex::new(tables);
    let suspend = store.map(|store| Suspend {
        hypervisor,
        info,
        events,
        clock,
        grants,
        console,
        store,
        tables,
        stir,
    });
    let drivers = DRIVERS.call_once(|| Drivers {
        hypervisor,
        events,
        grants,
        console: shown,
        xenstore,
        platform,
        suspend,
    });
    Ok(&drivers.platform)
}

/// Puts Xen's shared_info in place of a page of ours.
fn shared_info(hypervisor: &dyn Hypervisor) -> Result<SharedInfo, InitError> {
    let page = Page::new()?;
    let gfn = hypervisor.gfn_of(page.addr());
    let shared = page.into_shared();
    // SAFETY: the page was consumed, is never freed, and only shared accesses to it remain.
    unsafe { hypervisor.add_to_physmap(abi::XENMAPSPACE_shared_info, 0, gfn) }
        .map_err(|errno| InitError::Xen("the shared_info page", errno))?;
    Ok(SharedInfo::new(shared))
}

/// A ring that the toolstack has made; `None` if it has not made this one.
fn ring(
    hypervisor: &dyn Hypervisor,
    tables: &mut dyn PageTables,
    name: &'static str,
    pfn: u32,
    evtchn: u32,
) -> Result<Option<(Ring, SharedPage, Port)>, InitError> {
    let param = |index| hypervisor.hvm_param(index).unwrap_or(0);
    let gfn = Gfn(param(pfn));
    let (Ok(addr), Ok(port)) = (usize::try_from(gfn.addr()), u32::try_from(param(evtchn))) else {
        return Ok(None);
    };
    let Some(base) = NonNull::new(core::ptr::with_exposed_provenance_mut(addr)) else {
        return Ok(None);
    };
    if port == 0 {
        return Ok(None);
    }
    tables.map(VirtPage(addr), Frame(addr), Prot::ReadWrite)?;
    // SAFETY: just mapped, one to one, and never unmapped; Rust has no references to there, because
    // the toolstack places these pages outside the domain's RAM.
    let page = unsafe { SharedPage::new(base, PAGE_SIZE) };
    let ring = Ring { name, pfn, evtchn, at: Mutex::new(gfn), addr };
    Ok(Some((ring, page, Port(port))))
}

/// Spawns the tasks that serve the console, xenstore and requests to shut down, to suspend or to change the size of the
/// memory. Once, after the domain's poll was made from what [`init`] returned.
///
/// `holes` are the parts of its RAM that the domain begins without, as physical addresses below the reach of the
/// image's frames; `beyond` is how many pages there are above it.
///
/// Generic for the sake of the image's size: the code of these tasks is made where this is called, and is as small as
/// that of boot.
pub fn spawn_drivers(holes: impl IntoIterator<Item = Range<usize>>, beyond: usize) {
    let Some(drivers) = DRIVERS.get() else { return };
    if let Some(console) = drivers.console {
        domain::spawn(console.run());
    }
    if let Some(suspend) = &drivers.suspend {
        let store = &suspend.store.0;
        domain::spawn(store.run());
        let requests =
            super::shutdown::serve(store.clone(), domain::request_shutdown, follow_suspend);
        serve("requests to shut down", Box::pin(requests));
        let balloon =
            Balloon::new(drivers.hypervisor, &frames::FRAMES, holes.into_iter().collect(), beyond);
        let sizes = balloon.serve(store.clone(), domain::resize_listeners(), sleep);
        serve("wishes for another size of the memory", Box::pin(sizes));
    }
}

/// Spawns something that ends only with an error.
fn serve(what: &'static str, ends: Pin<Box<dyn Future<Output = xenstore::Error>>>) {
    domain::spawn(async move {
        let error = ends.await;
        log::error!("{what} are not heard: {error}");
    });
}

fn sleep(duration: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(domain::sleep(duration))
}

/// Follows a request to suspend the domain, and says what has come of it.
async fn follow_suspend() {
    let Some(suspend) = DRIVERS.get().and_then(|drivers| drivers.suspend.as_ref()) else { return };
    match suspend.request(domain::suspend_hooks(), sleep).await {
        Ok(resumed) => {
            let ms = resumed.away.as_millis() as u64;
            let what = if resumed.cancelled { "goes on here" } else { "goes on" };
            log::info!("suspend: the domain {what} after {ms} ms");
        }
        Err(refusal) => log::error!("suspend refused: {refusal}"),
    }
}

/// Whether there is a Xen below, and [`init`] has succeeded.
pub fn present() -> bool {
    DRIVERS.is_completed()
}

/// The domain's event channels. `None` without Xen.
pub fn events() -> Option<&'static Events> {
    DRIVERS.get().map(|drivers| drivers.events)
}

/// The domain's grant table. `None` without Xen.
pub fn grants() -> Option<&'static GrantTable> {
    DRIVERS.get()?.grants
}

/// The domain's console. `None` without Xen, or if the domain has none.
pub fn console() -> Option<&'static Console> {
    DRIVERS.get()?.console
}

/// The domain's xenstore; [`Error::Unavailable`](xenstore::Error::Unavailable) without Xen, or if
/// the domain has none.
pub fn store() -> Result<Xenstore, xenstore::Error> {
    let drivers = DRIVERS.get().ok_or(xenstore::Error::Unavailable)?;
    drivers.xenstore.clone().ok_or(xenstore::Error::Unavailable)
}

/// Ends the domain, after the console's last bytes are out.
///
/// # Panics
///
/// Without Xen.
pub fn end(reason: EndReason) -> ! {
    let drivers = DRIVERS.get().expect("there is no Xen to end the domain");
    if let Some(console) = drivers.console {
        console.drain();
    }
    super::sched::end(drivers.hypervisor, reason)
}

/// Writes to the domain's console. Without one, nothing.
pub fn write_console(bytes: &[u8]) {
    if let Some(console) = console() {
        console.write(bytes);
    }
}
