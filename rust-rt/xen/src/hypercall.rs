//! The hypercalls: the only module with hypercall assembly.
//!
//! Xen fills a page of the image with one stub per hypercall, which uses the instruction that fits
//! the CPU. Arguments go in rdi, rsi, rdx, r10 and r8, the result comes in rax: negative numbers are
//! errors (Xen, `arch-x86/xen-x86_64.h`).

use super::{
    abi,
    hypervisor::{
        CopyEnd, EndReason, Errno, GrantAccess, GrantStatus, Hypervisor, MapHandle, Woken,
    },
};
use crate::cpuid::{cpuid, hypervisor_leaf};
use crate::wire::{DomId, Gfn, GrantRef, Port};
use core::{
    arch::{asm, global_asm},
    sync::atomic::{AtomicU32, Ordering},
};

global_asm!(
    // Executable, and written by Xen through the physical address only.
    // No bytes of the image, and aligned by its link script: an alignment here would be one of the file too.
    ".section .mirust_hypercall_page, \"ax\", @nobits",
    ".globl mirust_hypercall_page",
    ".type mirust_hypercall_page, @function",
    "mirust_hypercall_page:",
    ".skip 4096",
    ".size mirust_hypercall_page, 4096",
    ".text",
);

// SAFETY: the assembly above reserves it, a page. Rust never reads it: Xen fills it, and calls go to its
// addresses.
unsafe extern "C" {
    static mirust_hypercall_page: [u8; 4096];
}

/// CPUID leaf of Xen, once the hypercall page is filled; zero before.
static LEAF: AtomicU32 = AtomicU32::new(0);

/// The real Xen below this domain.
#[derive(Debug)]
pub struct Xen(());

impl Xen {
    /// Finds Xen by CPUID and has it fill the hypercall page. `None` on another machine.
    pub fn detect() -> Option<&'static Xen> {
        if LEAF.load(Ordering::Relaxed) == 0 {
            let leaf = hypervisor_leaf(b"XenVMMXenVMM")?;
            fill_page(leaf);
            LEAF.store(leaf, Ordering::Relaxed);
        }
        Some(&Xen(()))
    }

    /// The domain's memory map, for boot where `start_info` has none: as many entries of an E820
    /// map (address, size and type, little-endian, without padding) as Xen has or `entries` holds.
    pub fn memory_map(&self, entries: &mut [[u8; 20]]) -> Result<usize, Errno> {
        let mut arg =
            abi::xen_memory_map { nr_entries: entries.len() as u32, ..Default::default() };
        arg.buffer.p = entries.as_mut_ptr().cast();
        // SAFETY: the structure of this command; it points to the entries, and says how many.
        unsafe { operation(abi::__HYPERVISOR_memory_op, abi::XENMEM_memory_map, &mut arg)? };
        Ok((arg.nr_entries as usize).min(entries.len()))
    }
}

/// Has Xen fill the hypercall page.
fn fill_page(leaf: u32) {
    let msr = cpuid(leaf + 2, 0).ebx;
    let page = &raw const mirust_hypercall_page as u64;
    // SAFETY: the MSR is the one that Xen names for this purpose, and the page is reserved for it; the
    // image is mapped one to one.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") page as u32, in("edx") (page >> 32) as u32);
    }
}

impl Xen {
    /// How many pages the domain has. With `maxmem` above `memory` these are fewer than its memory map says: Xen fills
    /// in a page when it is first used, and ends a domain that uses more (`XENMEM_current_reservation` in
    /// xen/memory.h).
    pub fn reservation(&self) -> Result<u64, Errno> {
        let mut domid = SELF;
        // SAFETY: the command takes the number of a domain.
        unsafe {
            operation(abi::__HYPERVISOR_memory_op, abi::XENMEM_current_reservation, &mut domid)
        }
    }
}

/// # Safety
///
/// The arguments must be what hypercall `number` expects, and a pointer among them must be good
/// for what Xen does with it.
unsafe fn hypercall(number: u32, args: [u64; 3]) -> i64 {
    let result;
    // SAFETY: the page was filled when the only `Xen` was made. Each stub is 32 bytes long and
    // returns; a debug build of Xen may destroy the argument registers.
    unsafe {
        asm!(
            "call {entry}",
            entry = in(reg) (&raw const mirust_hypercall_page as u64) + 32 * u64::from(number),
            inlateout("rdi") args[0] => _,
            inlateout("rsi") args[1] => _,
            inlateout("rdx") args[2] => _,
            lateout("rax") result,
            lateout("rcx") _,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
    }
    result
}

fn check(result: i64) -> Result<u64, Errno> {
    u64::try_from(result).map_err(|_| Errno(result.unsigned_abs() as u32))
}

/// A hypercall with a command and a structure that Xen reads and writes.
///
/// # Safety
///
/// `T` must be the structure that `command` expects, and pointers inside it must be valid.
unsafe fn operation<T>(number: u32, command: u32, arg: &mut T) -> Result<u64, Errno> {
    // SAFETY: by the caller; `arg` is exclusive for the time of the call.
    check(unsafe { hypercall(number, [command.into(), arg as *mut T as u64, 0]) })
}

/// An operation on vCPU 0.
///
/// # Safety
///
/// As for [`operation`].
unsafe fn vcpu_operation<T>(command: u32, arg: &mut T) -> Result<u64, Errno> {
    let args = [command.into(), 0, arg as *mut T as u64];
    // SAFETY: by the caller; `arg` is exclusive for the time of the call.
    check(unsafe { hypercall(abi::__HYPERVISOR_vcpu_op, args) })
}

/// A grant table operation on one structure.
///
/// # Safety
///
/// As for [`operation`].
unsafe fn grant_operation<T>(command: u32, arg: &mut T) -> Result<(), GrantStatus> {
    let args = [command.into(), arg as *mut T as u64, 1];
    // SAFETY: by the caller; the count of structures is one.
    match check(unsafe { hypercall(abi::__HYPERVISOR_grant_table_op, args) }) {
        Ok(_) => Ok(()),
        Err(_) => Err(GrantStatus(abi::GNTST_general_error as i16)),
    }
}

fn status(status: i16) -> Result<(), GrantStatus> {
    if status as i32 == abi::GNTST_okay as i32 { Ok(()) } else { Err(GrantStatus(status)) }
}

/// Memory for holes, or holes for memory. Says for how many extents that was done.
///
/// # Safety
///
/// Nobody may use memory that is given up, and memory is given to holes only.
unsafe fn exchange(command: u32, extents: &[Gfn], order: u32) -> Result<usize, Errno> {
    let mut arg = abi::xen_memory_reservation {
        nr_extents: extents.len() as u64,
        extent_order: order,
        domid: SELF,
        ..Default::default()
    };
    // Xen only reads the frames, since the memory map is translated; `Gfn` is transparent.
    arg.extent_start.p = extents.as_ptr().cast_mut().cast();
    // SAFETY: the structure of these commands; the frames live until it returns.
    let done = unsafe { operation(abi::__HYPERVISOR_memory_op, command, &mut arg)? };
    Ok(done as usize)
}

/// Ends or freezes the domain. What is returned for a domain that was frozen is the toolstack's to choose.
fn stop(reason: u32) -> Result<u64, Errno> {
    let mut arg = abi::sched_shutdown { reason };
    // SAFETY: the structure of this command.
    unsafe { operation(abi::__HYPERVISOR_sched_op, abi::SCHEDOP_shutdown, &mut arg) }
}

const SELF: u16 = DomId::SELF.0;

impl Hypervisor for Xen {
    fn version(&self) -> u32 {
        let args = [abi::XENVER_version.into(), 0, 0];
        // SAFETY: the command has no argument.
        unsafe { hypercall(abi::__HYPERVISOR_xen_version, args) as u32 }
    }

    fn features(&self) -> Result<u32, Errno> {
        let mut arg = abi::xen_feature_info::default();
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_xen_version, abi::XENVER_get_features, &mut arg)? };
        Ok(arg.submap)
    }

    /// Xen's fifth leaf has it, and a flag that it does (`arch-x86/cpuid.h`, `XEN_HVM_CPUID_DOMID_PRESENT`).
    fn domid(&self) -> Option<u32> {
        let leaf = cpuid(LEAF.load(Ordering::Relaxed) + 4, 0);
        (leaf.eax >> 4 & 1 == 1).then_some(leaf.ecx)
    }

    fn hvm_param(&self, index: u32) -> Result<u64, Errno> {
        let mut arg = abi::xen_hvm_param { domid: SELF, index, ..Default::default() };
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_hvm_op, abi::HVMOP_get_param, &mut arg)? };
        Ok(arg.value)
    }

    fn set_hvm_param(&self, index: u32, value: u64) -> Result<(), Errno> {
        let mut arg = abi::xen_hvm_param { domid: SELF, index, value, ..Default::default() };
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_hvm_op, abi::HVMOP_set_param, &mut arg)? };
        Ok(())
    }

    unsafe fn add_to_physmap(&self, space: u32, index: u64, gfn: Gfn) -> Result<(), Errno> {
        let mut arg = abi::xen_add_to_physmap {
            domid: SELF,
            space,
            idx: index,
            gpfn: gfn.0,
            ..Default::default()
        };
        // SAFETY: the structure of this command; the caller owns the frame.
        unsafe { operation(abi::__HYPERVISOR_memory_op, abi::XENMEM_add_to_physmap, &mut arg)? };
        Ok(())
    }

    unsafe fn release(&self, extents: &[Gfn], order: u32) -> Result<usize, Errno> {
        // SAFETY: the caller owns the frames.
        unsafe { exchange(abi::XENMEM_decrease_reservation, extents, order) }
    }

    unsafe fn populate(&self, extents: &[Gfn], order: u32) -> Result<usize, Errno> {
        // SAFETY: the caller says that they are holes.
        unsafe { exchange(abi::XENMEM_populate_physmap, extents, order) }
    }

    fn evtchn_alloc_unbound(&self, remote: DomId) -> Result<Port, Errno> {
        let mut arg =
            abi::evtchn_alloc_unbound { dom: SELF, remote_dom: remote.0, ..Default::default() };
        let command = abi::EVTCHNOP_alloc_unbound;
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_event_channel_op, command, &mut arg)? };
        Ok(Port(arg.port))
    }

    fn evtchn_bind_interdomain(&self, remote: DomId, remote_port: Port) -> Result<Port, Errno> {
        let mut arg = abi::evtchn_bind_interdomain {
            remote_dom: remote.0,
            remote_port: remote_port.0,
            ..Default::default()
        };
        let command = abi::EVTCHNOP_bind_interdomain;
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_event_channel_op, command, &mut arg)? };
        Ok(Port(arg.local_port))
    }

    fn evtchn_bind_virq(&self, virq: u32) -> Result<Port, Errno> {
        let mut arg = abi::evtchn_bind_virq { virq, ..Default::default() };
        let command = abi::EVTCHNOP_bind_virq;
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_event_channel_op, command, &mut arg)? };
        Ok(Port(arg.port))
    }

    fn evtchn_close(&self, port: Port) -> Result<(), Errno> {
        let mut arg = abi::evtchn_close { port: port.0 };
        let command = abi::EVTCHNOP_close;
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_event_channel_op, command, &mut arg)? };
        Ok(())
    }

    fn evtchn_send(&self, port: Port) -> Result<(), Errno> {
        let mut arg = abi::evtchn_send { port: port.0 };
        let command = abi::EVTCHNOP_send;
        // SAFETY: the structure of this command.
        unsafe { operation(abi::__HYPERVISOR_event_channel_op, command, &mut arg)? };
        Ok(())
    }

    fn poll(&self, ports: &[Port], deadline: u64) -> Result<(), Errno> {
        let mut arg = abi::sched_poll {
            // Xen only reads the ports; `Port` is transparent.
            ports: abi::__guest_handle_evtchn_port_t { p: ports.as_ptr().cast_mut().cast() },
            nr_ports: ports.len() as u32,
            timeout: deadline,
        };
        // SAFETY: the structure of this command; the ports live until it returns.
        unsafe { operation(abi::__HYPERVISOR_sched_op, abi::SCHEDOP_poll, &mut arg)? };
        Ok(())
    }

    unsafe fn tell_time(&self, runstate: usize, period: u64) -> Result<Port, Errno> {
        // Xen's fourth leaf is about time.
        if cpuid(LEAF.load(Ordering::Relaxed) + 3, 0).eax & abi::XEN_CPUID_TSC_EMULATED == 0 {
            return Err(Errno::ENOSYS);
        }
        let mut area = abi::vcpu_register_runstate_memory_area::default();
        area.addr.p = runstate as u64;
        // SAFETY: the structure of this command; the caller vouches for the address.
        unsafe { vcpu_operation(abi::VCPUOP_register_runstate_phys_area, &mut area)? };
        // First: without the port, the timer would wake the domain for nobody.
        let port = self.evtchn_bind_virq(abi::VIRQ_TIMER)?;
        let mut timer = abi::vcpu_set_periodic_timer { period_ns: period };
        // SAFETY: the structure of this command.
        let set = unsafe { vcpu_operation(abi::VCPUOP_set_periodic_timer, &mut timer) };
        if let Err(error) = set {
            // Fails only if there is no such port.
            let _ = self.evtchn_close(port);
            return Err(error);
        }
        Ok(port)
    }

    fn shutdown(&self, reason: EndReason) -> Errno {
        match stop(reason as u32) {
            Ok(_) => Errno::EINVAL,
            Err(error) => error,
        }
    }

    fn suspend(&self) -> Result<Woken, Errno> {
        match stop(abi::SHUTDOWN_suspend)? {
            0 => {
                // Another Xen may want another instruction, from the next call on.
                if let Some(leaf) = hypervisor_leaf(b"XenVMMXenVMM") {
                    LEAF.store(leaf, Ordering::Relaxed);
                    fill_page(leaf);
                }
                Ok(Woken::Elsewhere)
            }
            _ => Ok(Woken::Here),
        }
    }

    fn log(&self, bytes: &[u8]) {
        for &byte in bytes {
            // SAFETY: for an HVM or PVH domain Xen itself takes the bytes written to port 0xe9, a
            // line at a time, and nothing else is there.
            unsafe { asm!("out dx, al", in("dx") 0xe9u16, in("al") byte, options(nomem, nostack)) }
        }
    }

    fn grant_set_version_1(&self) -> Result<(), Errno> {
        let mut arg = abi::gnttab_set_version { version: 1 };
        let args = [abi::GNTTABOP_set_version.into(), &raw mut arg as u64, 1];
        // SAFETY: the structure of this command, once.
        check(unsafe { hypercall(abi::__HYPERVISOR_grant_table_op, args) }).map(drop)
    }

    fn grant_max_frames(&self) -> Result<u32, GrantStatus> {
        let mut arg = abi::gnttab_query_size { dom: SELF, ..Default::default() };
        // SAFETY: the structure of this command.
        unsafe { grant_operation(abi::GNTTABOP_query_size, &mut arg)? };
        status(arg.status)?;
        Ok(arg.max_nr_frames)
    }

    unsafe fn grant_map(
        &self,
        domid: DomId,
        gref: GrantRef,
        access: GrantAccess,
        gfn: Gfn,
    ) -> Result<MapHandle, GrantStatus> {
        let readonly = match access {
            GrantAccess::ReadOnly => abi::GNTMAP_readonly,
            GrantAccess::ReadWrite => 0,
        };
        let mut arg = abi::gnttab_map_grant_ref {
            host_addr: gfn.addr(),
            flags: abi::GNTMAP_host_map | readonly,
            ref_: gref.0,
            dom: domid.0,
            ..Default::default()
        };
        // SAFETY: the structure of this command; the caller vouches for the hole.
        unsafe { grant_operation(abi::GNTTABOP_map_grant_ref, &mut arg)? };
        status(arg.status)?;
        Ok(MapHandle(arg.handle))
    }

    unsafe fn grant_unmap(&self, handle: MapHandle, gfn: Gfn) -> Result<(), GrantStatus> {
        let mut arg = abi::gnttab_unmap_grant_ref {
            host_addr: gfn.addr(),
            handle: handle.0,
            ..Default::default()
        };
        // SAFETY: the structure of this command; the caller no longer uses the mapping.
        unsafe { grant_operation(abi::GNTTABOP_unmap_grant_ref, &mut arg)? };
        status(arg.status)
    }

    unsafe fn grant_copy(
        &self,
        from: (CopyEnd, u16),
        to: (CopyEnd, u16),
        len: u16,
    ) -> Result<(), GrantStatus> {
        type Pointer = abi::gnttab_copy_gnttab_copy_ptr;
        let end = |(end, offset): (CopyEnd, u16), granted: u32| {
            let mut pointer = Pointer { domid: SELF, offset, ..Default::default() };
            let flag = match end {
                CopyEnd::Granted { domid, gref } => {
                    pointer.domid = domid.0;
                    pointer.u.ref_ = gref.0;
                    granted
                }
                CopyEnd::Own(gfn) => {
                    pointer.u.gmfn = gfn.0;
                    0
                }
            };
            (pointer, flag as u16)
        };
        let (source, source_flag) = end(from, abi::GNTCOPY_source_gref);
        let (dest, dest_flag) = end(to, abi::GNTCOPY_dest_gref);
        let flags = source_flag | dest_flag;
        let mut arg = abi::gnttab_copy { source, dest, len, flags, ..Default::default() };
        // SAFETY: the structure of this command; the caller vouches for the destination.
        unsafe { grant_operation(abi::GNTTABOP_copy, &mut arg)? };
        status(arg.status)
    }
}
