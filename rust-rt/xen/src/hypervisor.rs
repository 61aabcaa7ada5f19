//! What Xen does for the domain, as a trait: the seam between the drivers and the hypercalls, so
//! that the drivers run in tests against a fake Xen.

use super::abi;
use crate::wire::{DomId, Gfn, GrantRef, Port};
use core::fmt;

/// Why Xen refused a hypercall: a positive number of `xen/errno.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub u32);

impl Errno {
    /// The operation or its arguments are not allowed to this domain.
    pub const EPERM: Errno = Errno(abi::XEN_EPERM);
    /// There is no such domain, port or page.
    pub const ENOENT: Errno = Errno(abi::XEN_ENOENT);
    /// An argument makes no sense to this Xen.
    pub const EINVAL: Errno = Errno(abi::XEN_EINVAL);
    /// Nothing is left of what was asked for.
    pub const ENOSPC: Errno = Errno(abi::XEN_ENOSPC);
    /// This Xen does not have the operation; or there is no Xen.
    pub const ENOSYS: Errno = Errno(abi::XEN_ENOSYS);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            abi::XEN_EPERM => "EPERM",
            abi::XEN_ENOENT => "ENOENT",
            abi::XEN_ESRCH => "ESRCH",
            abi::XEN_E2BIG => "E2BIG",
            abi::XEN_EAGAIN => "EAGAIN",
            abi::XEN_ENOMEM => "ENOMEM",
            abi::XEN_EACCES => "EACCES",
            abi::XEN_EFAULT => "EFAULT",
            abi::XEN_EBUSY => "EBUSY",
            abi::XEN_EEXIST => "EEXIST",
            abi::XEN_EINVAL => "EINVAL",
            abi::XEN_ENOSPC => "ENOSPC",
            abi::XEN_ENOSYS => "ENOSYS",
            other => return write!(f, "Xen error {other}"),
        };
        f.write_str(name)
    }
}

impl core::error::Error for Errno {}

/// Why a grant operation failed: a negative `GNTST_…` of `xen/grant_table.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrantStatus(pub i16);

impl fmt::Display for GrantStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 as i32 {
            abi::GNTST_general_error => "general error",
            abi::GNTST_bad_domain => "bad domain",
            abi::GNTST_bad_gntref => "bad grant reference",
            abi::GNTST_bad_handle => "bad handle",
            abi::GNTST_bad_virt_addr => "bad virtual address",
            abi::GNTST_bad_dev_addr => "bad device address",
            abi::GNTST_no_device_space => "no device space",
            abi::GNTST_permission_denied => "permission denied",
            abi::GNTST_bad_page => "bad page",
            abi::GNTST_bad_copy_arg => "bad copy argument",
            abi::GNTST_address_too_big => "address too big",
            abi::GNTST_eagain => "try again",
            abi::GNTST_no_space => "no space in the handle table",
            other => return write!(f, "grant status {other}"),
        };
        f.write_str(text)
    }
}

impl core::error::Error for GrantStatus {}

/// What a mapped or granted page may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GrantAccess {
    /// The peer reads only.
    ReadOnly,
    /// The peer reads and writes.
    ReadWrite,
}

/// Names a mapping of a foreign page (`grant_handle_t`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapHandle(pub u32);

/// One end of a grant copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyEnd {
    /// A page that `domid` has granted to this domain.
    Granted {
        /// Who granted it.
        domid: DomId,
        /// The entry in that domain's table.
        gref: GrantRef,
    },
    /// A page of this domain.
    Own(Gfn),
}

/// Why the domain ends (`SHUTDOWN_…` in `xen/sched.h`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum EndReason {
    /// The domain has done its work.
    Poweroff = abi::SHUTDOWN_poweroff,
    /// The domain wants to be started again.
    Reboot = abi::SHUTDOWN_reboot,
    /// The domain has failed: `on_crash` in its configuration says what follows.
    Crash = abi::SHUTDOWN_crash,
}

/// How a suspension has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// The domain goes on where it was, with all that it had.
    Here,
    /// This is another domain with the same memory: of what Xen has for it there is nothing yet.
    Elsewhere,
}

/// The hypercalls that the runtime makes, with their arguments typed.
///
/// None of them blocks, except for [`poll`](Self::poll); a [`suspend`](Self::suspend) takes no time that the domain
/// could tell.
pub trait Hypervisor: Sync {
    /// Major version in the upper, minor version in the lower 16 bits.
    fn version(&self) -> u32;

    /// The first 32 features, as a mask of `1 << XENFEAT_…`.
    fn features(&self) -> Result<u32, Errno>;

    /// The number of this domain, if Xen says it without being asked.
    fn domid(&self) -> Option<u32>;

    /// An HVM parameter of this domain (`HVM_PARAM_…` in `xen/hvm/params.h`).
    fn hvm_param(&self, index: u32) -> Result<u64, Errno>;

    /// Sets an HVM parameter of this domain.
    fn set_hvm_param(&self, index: u32, value: u64) -> Result<(), Errno>;

    /// Puts a page of Xen's (`XENMAPSPACE_…` in `xen/memory.h`) at `gfn`. What was there before is
    /// returned to Xen.
    ///
    /// # Safety
    ///
    /// The caller must own the frame `gfn`, never free it, and hold no reference into it.
    unsafe fn add_to_physmap(&self, space: u32, index: u64, gfn: Gfn) -> Result<(), Errno>;

    /// Returns the memory at `gfn` to Xen, which leaves a hole that can be mapped over.
    ///
    /// # Safety
    ///
    /// As for [`add_to_physmap`](Self::add_to_physmap).
    unsafe fn release_frame(&self, gfn: Gfn) -> Result<(), Errno> {
        // SAFETY: passed on to our caller.
        match unsafe { self.release(&[gfn], 0)? } {
            1 => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Returns memory to Xen, which leaves holes: extents of `1 << order` pages, whose first frames these are and
    /// multiples of that. Says how many extents from the first on were returned; of the next one a part may be.
    ///
    /// # Safety
    ///
    /// The caller must own the frames, and hold no reference into them.
    unsafe fn release(&self, extents: &[Gfn], order: u32) -> Result<usize, Errno>;

    /// Fills holes with memory, whatever is in there: extents as in [`release`](Self::release). Says how many from the
    /// first on were filled; fewer than all if Xen has no more memory, or the domain may not have it.
    ///
    /// # Safety
    ///
    /// The frames must be holes: memory that is there would be lost.
    unsafe fn populate(&self, extents: &[Gfn], order: u32) -> Result<usize, Errno>;

    /// Allocates a port that `remote` may bind to.
    fn evtchn_alloc_unbound(&self, remote: DomId) -> Result<Port, Errno>;

    /// Binds a new local port to a port that `remote` has allocated for this domain.
    fn evtchn_bind_interdomain(&self, remote: DomId, remote_port: Port) -> Result<Port, Errno>;

    /// Binds a new port to a virtual interrupt of vCPU 0 (`VIRQ_…` in `xen/xen.h`).
    fn evtchn_bind_virq(&self, virq: u32) -> Result<Port, Errno>;

    /// Closes a local port.
    fn evtchn_close(&self, port: Port) -> Result<(), Errno>;

    /// Notifies the other end of a port.
    fn evtchn_send(&self, port: Port) -> Result<(), Errno>;

    /// Blocks until one of at most 128 `ports` is pending or the system time (ns since the host
    /// booted) reaches `deadline`; a `deadline` of zero is none. Returns at once if a port is
    /// pending already. Only [`block`](super::sched::block) calls this.
    fn poll(&self, ports: &[Port], deadline: u64) -> Result<(), Errno>;

    /// If Xen emulates the time stamp counter of this domain, has it write vCPU 0's `struct vcpu_runstate_info`
    /// (`xen/vcpu.h`) to the address `runstate` whenever the vCPU is given a processor or loses it, and raise the
    /// returned port every `period` ns while it runs.
    ///
    /// # Safety
    ///
    /// The structure must be in one page, exist for ever, and be accessed as shared memory only.
    unsafe fn tell_time(&self, runstate: usize, period: u64) -> Result<Port, Errno>;

    /// Ends the domain. Returns only when Xen refuses.
    fn shutdown(&self, reason: EndReason) -> Errno;

    /// Freezes the domain, for the toolstack to take its memory and its CPU's registers. Only
    /// [`suspend`](super::suspend) calls this.
    fn suspend(&self) -> Result<Woken, Errno>;

    /// Writes to Xen's own log: the emergency console. Many hosts discard it.
    fn log(&self, bytes: &[u8]);

    /// Makes the grant table one of version 1.
    fn grant_set_version_1(&self) -> Result<(), Errno>;

    /// Frames that the grant table may grow to.
    fn grant_max_frames(&self) -> Result<u32, GrantStatus>;

    /// Maps a foreign page over the hole at `gfn`.
    ///
    /// # Safety
    ///
    /// `gfn` must be a hole left by [`release_frame`](Self::release_frame).
    unsafe fn grant_map(
        &self,
        domid: DomId,
        gref: GrantRef,
        access: GrantAccess,
        gfn: Gfn,
    ) -> Result<MapHandle, GrantStatus>;

    /// Ends a mapping; the hole is back.
    ///
    /// # Safety
    ///
    /// Nothing may use the mapping any more.
    unsafe fn grant_unmap(&self, handle: MapHandle, gfn: Gfn) -> Result<(), GrantStatus>;

    /// Copies `len` bytes, which must not cross the end of either page, between two pages. Offsets
    /// are in bytes.
    ///
    /// # Safety
    ///
    /// A destination of this domain's must be memory of which no Rust reference exists.
    unsafe fn grant_copy(
        &self,
        from: (CopyEnd, u16),
        to: (CopyEnd, u16),
        len: u16,
    ) -> Result<(), GrantStatus>;

    /// The frame of a page-aligned address that both languages use: the domain's memory is mapped
    /// one to one.
    fn gfn_of(&self, addr: usize) -> Gfn {
        Gfn::of_addr(addr as u64)
    }
}
