//! Suspension: the domain is frozen, and resumes as another one.
//!
//! `xl save` and `xl migrate` request it by `control/shutdown`, freeze the domain when it agrees, and make a new domain
//! from its memory, here or elsewhere. What Xen and the toolstack keep for a domain outside its memory is lost, and is
//! set up again:
//!
//! | what | afterwards |
//! |---|---|
//! | the hypercall page | filled again, by the call itself |
//! | `shared_info`, the frames of the grant table | their places are holes: Xen puts its pages there again |
//! | event channels | gone, but for those of the console and of xenstore, whose ports are HVM parameters |
//! | the rings of the console and of xenstore | empty pages, whose places are HVM parameters |
//! | grants, watches, transactions | gone |
//! | system time | the host's |
//! | the runstate's place, the periodic timer | told to Xen again, if it emulates the counter there |
//! | devices | their directories in xenstore are new: their drivers connect again |
//!
//! If the toolstack changes its mind, or has only taken a copy, the domain simply continues. The result of the
//! hypercall says which, but only in a domain that has set `HVM_PARAM_CALLBACK_IRQ`, from which libxenctrl concludes
//! that the domain understands it. As interrupts are never enabled, the parameter has no other effect.
//!
//! # Nothing is lost
//!
//! Before the domain agrees, the program's hooks have run, and disks and xenstore have answered all requests
//! ([`Suspend::request`]). Frames in flight are lost, as on any network.
//!
//! From the hypercall to the last line of `Suspend::freeze` nothing else runs: no task, no poll, no clock.

use super::{
    abi,
    clock::Clock,
    console::Console,
    early::EarlyConsole,
    events::{BindError, Events},
    gnttab::GrantTable,
    hypervisor::{EndReason, Errno, Hypervisor, Woken},
    sched,
    shared_info::SharedInfo,
    shutdown,
    xenstore::{self, Xenstore},
};
use crate::wire::{Gfn, Port};
use alloc::{boxed::Box, format, string::String};
use core::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};
use mirust_executor::{
    suspend::{Hooks, Resumed},
    time::Duration,
    yield_now,
};
use mirust_mem::{
    OutOfMemory,
    paging::{Frame, PageTables, Prot, VirtPage},
};
use spin::Mutex;

/// How long the hooks of program and devices may take before, and after. The toolstack waits for a minute.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long other requests may keep xenstore busy before they are interrupted.
const QUIET: Duration = Duration::from_secs(5);
/// An interrupt that never comes: the type is in the highest byte.
const CALLBACK: u64 = (abi::HVM_PARAM_CALLBACK_TYPE_VECTOR as u64) << 56 | 0xf3;

/// Why the domain is not suspended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There are mappings of other domains' pages, which would become holes.
    Mapped(usize),
    /// The program or a device refuses, and says why.
    Word(String),
    /// Something did not answer in time.
    Late,
    /// The toolstack has withdrawn the request.
    Withdrawn,
    /// Xenstore failed.
    Store(xenstore::Error),
    /// Xen refused.
    Xen(Errno),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Mapped(pages) => write!(f, "{pages} pages of other domains are mapped"),
            Refusal::Word(word) => f.write_str(word),
            Refusal::Late => {
                write!(f, "a hook has not ended within {} s", PATIENCE.as_secs())
            }
            Refusal::Withdrawn => f.write_str("the toolstack has withdrawn the request"),
            Refusal::Store(error) => write!(f, "xenstore: {error}"),
            Refusal::Xen(errno) => write!(f, "Xen refused: {errno}"),
        }
    }
}

impl core::error::Error for Refusal {}

/// Why the new domain cannot resume.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lost {
    SharedInfo(Errno),
    Ring(&'static str),
    Bind(BindError),
    Memory,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::SharedInfo(errno) => write!(f, "Xen refused the shared_info page: {errno}"),
            Lost::Ring(name) => write!(f, "the new domain has no {name}"),
            Lost::Bind(error) => error.fmt(f),
            Lost::Memory => f.write_str("no memory for a page table"),
        }
    }
}

impl From<OutOfMemory> for Lost {
    fn from(_: OutOfMemory) -> Self {
        Lost::Memory
    }
}

/// A ring that the toolstack makes for a domain: where it was found last, and how to find it again.
pub struct Ring {
    /// For messages.
    pub name: &'static str,
    /// The HVM parameter that has the number of its frame.
    pub pfn: u32,
    /// The HVM parameter that has its port.
    pub evtchn: u32,
    /// The frame, and the address at which it is mapped: the same number unless it has moved.
    pub at: Mutex<Gfn>,
    /// That address.
    pub addr: usize,
}

/// Changes the memory map of the image.
pub type Tables = Box<dyn PageTables + Send>;

/// Everything that is set up again.
pub struct Suspend {
    /// Xen.
    pub hypervisor: &'static dyn Hypervisor,
    /// The page that Xen shares.
    pub info: &'static SharedInfo,
    /// The event channels.
    pub events: &'static Events,
    /// The clock.
    pub clock: &'static Clock,
    /// The grant table, if there is one.
    pub grants: Option<&'static GrantTable>,
    /// The console, if there is one.
    pub console: Option<(&'static Console, Ring)>,
    /// Xenstore.
    pub store: (Xenstore, Ring),
    /// For rings that have moved.
    pub tables: Mutex<Tables>,
    /// Mixes something unique to this domain into the random numbers.
    pub stir: fn(&[u8]),
}

impl Suspend {
    /// Serves a request of the toolstack's: when everything agrees, freezes the domain, and reports when it
    /// resumes. `sleep` is the domain's.
    ///
    /// # Errors
    ///
    /// Why the domain was not suspended; it keeps running, and the hooks have been told.
    pub async fn request(
        &self,
        hooks: &Hooks,
        sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
    ) -> Result<Resumed, Refusal> {
        let result = match self.agree(hooks, sleep).await {
            Ok(()) => self.freeze(),
            Err(refusal) => Err(refusal),
        };
        let resumed = match &result {
            Ok(resumed) => *resumed,
            Err(_) => Resumed { away: Duration::ZERO, cancelled: true },
        };
        if within(sleep(PATIENCE), hooks.tell(resumed)).await.is_none() {
            log::error!(
                "a hook after the suspension has not ended within {} s",
                PATIENCE.as_secs()
            );
        }
        result
    }

    /// Runs the hooks, answers the toolstack, and waits until xenstore is idle.
    async fn agree(
        &self,
        hooks: &Hooks,
        sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
    ) -> Result<(), Refusal> {
        self.obstacle()?;
        match within(sleep(PATIENCE), hooks.ask()).await {
            None => return Err(Refusal::Late),
            Some(answer) => answer.map_err(Refusal::Word)?,
        }
        self.obstacle()?;
        let store = &self.store.0;
        match shutdown::take(store, |word| word == "suspend").await {
            Ok(word) if word == "suspend" => {}
            Ok(_) | Err(xenstore::Error::NotFound) => return Err(Refusal::Withdrawn),
            Err(error) => return Err(Refusal::Store(error)),
        }
        // A task between two requests that belong together gets a few turns to make the second.
        let quiet = async {
            let mut turns = 0;
            while turns < 3 {
                turns = if store.is_quiet() { turns + 1 } else { 0 };
                yield_now().await;
            }
        };
        if within(sleep(QUIET), quiet).await.is_none() {
            log::warn!("suspend: requests to xenstore are interrupted");
        }
        self.obstacle()
    }

    fn obstacle(&self) -> Result<(), Refusal> {
        match self.grants.map_or(0, GrantTable::mapped) {
            0 => Ok(()),
            pages => Err(Refusal::Mapped(pages)),
        }
    }

    /// Freezes the domain, and sets everything up again when it resumes.
    fn freeze(&self) -> Result<Resumed, Refusal> {
        let hypervisor = self.hypervisor;
        if let Some((console, _)) = &self.console {
            // What is in the ring would be lost.
            console.drain();
        }
        hypervisor.set_hvm_param(abi::HVM_PARAM_CALLBACK_IRQ, CALLBACK).map_err(Refusal::Xen)?;
        let stopped = self.clock.stop();
        let woken = hypervisor.suspend();
        // It is not meant to have any effect, and Xen would evaluate it at every event.
        let _ = hypervisor.set_hvm_param(abi::HVM_PARAM_CALLBACK_IRQ, 0);
        let cancelled = woken.map_err(Refusal::Xen)? == Woken::Here;
        let mut grants = Ok(());
        if !cancelled {
            // Nothing may be logged before the console's ring is there.
            if let Err(lost) = self.renew() {
                self.give_up(lost);
            }
            grants = self.grants.map_or(Ok(()), GrantTable::renew);
            self.clock.begin(hypervisor);
        }
        let away = self.clock.go_on(&stopped);
        self.stir_in();
        if !cancelled {
            if let Some((console, _)) = &self.console {
                console.renew();
            }
            self.store.0.renew();
        }
        if let Err(error) = grants {
            // Devices that find no entry say so.
            log::error!("the grant table is smaller here: {error}");
        }
        Ok(Resumed { away, cancelled })
    }

    /// Sets up everything that Xen has for the new domain.
    fn renew(&self) -> Result<(), Lost> {
        let gfn = self.hypervisor.gfn_of(self.info.addr());
        // SAFETY: the frame is the one that was given up for this page when the domain came up.
        unsafe { self.hypervisor.add_to_physmap(abi::XENMAPSPACE_shared_info, 0, gfn) }
            .map_err(Lost::SharedInfo)?;
        let store = (self.store.0.channel(), self.find(&self.store.1)?);
        match &self.console {
            None => self.events.renew(&[store]),
            Some((console, ring)) => {
                self.events.renew(&[store, (console.channel(), self.find(ring)?)])
            }
        }
        .map_err(Lost::Bind)
    }

    /// Finds a ring again, maps it where it was, and returns its port.
    fn find(&self, ring: &Ring) -> Result<Port, Lost> {
        let param = |index| self.hypervisor.hvm_param(index).ok().filter(|value| *value != 0);
        let (Some(pfn), Some(port)) = (param(ring.pfn), param(ring.evtchn)) else {
            return Err(Lost::Ring(ring.name));
        };
        let (port, now) = (u32::try_from(port).map_err(|_| Lost::Ring(ring.name))?, Gfn(pfn));
        let mut at = ring.at.lock();
        if *at != now {
            let frame = usize::try_from(now.addr()).map_err(|_| Lost::Ring(ring.name))?;
            let mut tables = self.tables.lock();
            tables.unmap(VirtPage(ring.addr));
            tables.map(VirtPage(ring.addr), Frame(frame), Prot::ReadWrite)?;
            *at = now;
        }
        Ok(Port(port))
    }

    /// Two domains made from one copy differ in their domids and in the time at which they resume.
    fn stir_in(&self) {
        let mut known = [0; 24];
        known[..8].copy_from_slice(&self.clock.system_time().to_le_bytes());
        known[8..16].copy_from_slice(&(self.clock.wall().as_nanos() as u64).to_le_bytes());
        known[16..20].copy_from_slice(&self.hypervisor.domid().unwrap_or(0).to_le_bytes());
        (self.stir)(&known);
    }

    /// Without these there are no clock and no events: the domain ends, with a message if there is a console.
    fn give_up(&self, lost: Lost) -> ! {
        let text = format!("cannot go on in the new domain: {lost}\n");
        self.hypervisor.log(text.as_bytes());
        if let Some((_, ring)) = &self.console {
            // SAFETY: the page is mapped there as long as there is the console, which nobody uses any more.
            if let Some(console) = unsafe { EarlyConsole::new(self.hypervisor, ring.addr) } {
                console.write(text.as_bytes());
                console.drain();
            }
        }
        sched::end(self.hypervisor, EndReason::Crash)
    }
}

/// The result of `future`, if it is ready within `limit`.
pub(crate) async fn within<T>(
    mut limit: Pin<Box<dyn Future<Output = ()>>>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
    })
    .await
}

impl fmt::Debug for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspend").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "suspend_tests.rs"]
mod tests;
