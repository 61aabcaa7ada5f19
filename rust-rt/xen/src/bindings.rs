// Generated from Xen's public headers by tests/xen-abi: `make header` writes it anew.

pub const __HYPERVISOR_memory_op: u32 = 12;
pub const __HYPERVISOR_xen_version: u32 = 17;
pub const __HYPERVISOR_console_io: u32 = 18;
pub const __HYPERVISOR_grant_table_op: u32 = 20;
pub const __HYPERVISOR_vcpu_op: u32 = 24;
pub const __HYPERVISOR_sched_op: u32 = 29;
pub const __HYPERVISOR_event_channel_op: u32 = 32;
pub const __HYPERVISOR_hvm_op: u32 = 34;
pub const VIRQ_TIMER: u32 = 0;
pub const VIRQ_DEBUG: u32 = 1;
pub const VIRQ_CONSOLE: u32 = 2;
pub const VIRQ_DOM_EXC: u32 = 3;
pub const VIRQ_TBUF: u32 = 4;
pub const VIRQ_DEBUGGER: u32 = 6;
pub const VIRQ_XENOPROF: u32 = 7;
pub const VIRQ_CON_RING: u32 = 8;
pub const VIRQ_PCPU_STATE: u32 = 9;
pub const VIRQ_MEM_EVENT: u32 = 10;
pub const VIRQ_ARGO: u32 = 11;
pub const VIRQ_ENOMEM: u32 = 12;
pub const VIRQ_XENPMU: u32 = 13;
pub const VIRQ_ARCH_0: u32 = 16;
pub const VIRQ_ARCH_1: u32 = 17;
pub const VIRQ_ARCH_2: u32 = 18;
pub const VIRQ_ARCH_3: u32 = 19;
pub const VIRQ_ARCH_4: u32 = 20;
pub const VIRQ_ARCH_5: u32 = 21;
pub const VIRQ_ARCH_6: u32 = 22;
pub const VIRQ_ARCH_7: u32 = 23;
pub const CONSOLEIO_write: u32 = 0;
pub const XENFEAT_writable_page_tables: u32 = 0;
pub const XENFEAT_writable_descriptor_tables: u32 = 1;
pub const XENFEAT_auto_translated_physmap: u32 = 2;
pub const XENFEAT_supervisor_mode_kernel: u32 = 3;
pub const XENFEAT_pae_pgdir_above_4gb: u32 = 4;
pub const XENFEAT_mmu_pt_update_preserve_ad: u32 = 5;
pub const XENFEAT_highmem_assist: u32 = 6;
pub const XENFEAT_gnttab_map_avail_bits: u32 = 7;
pub const XENFEAT_hvm_callback_vector: u32 = 8;
pub const XENFEAT_hvm_safe_pvclock: u32 = 9;
pub const XENFEAT_hvm_pirqs: u32 = 10;
pub const XENFEAT_dom0: u32 = 11;
pub const XENFEAT_memory_op_vnode_supported: u32 = 13;
pub const XENFEAT_ARM_SMCCC_supported: u32 = 14;
pub const XENFEAT_linux_rsdp_unrestricted: u32 = 15;
pub const XENFEAT_not_direct_mapped: u32 = 16;
pub const XENFEAT_direct_mapped: u32 = 17;
pub const XENFEAT_runstate_phys_area: u32 = 18;
pub const XENFEAT_vcpu_time_phys_area: u32 = 19;
pub const XENFEAT_dm_msix_all_writes: u32 = 20;
pub const XENFEAT_NR_SUBMAPS: u32 = 1;
pub const XENVER_version: u32 = 0;
pub const XENVER_extraversion: u32 = 1;
pub const XENVER_get_features: u32 = 6;
pub const XENMEM_decrease_reservation: u32 = 1;
pub const XENMEM_populate_physmap: u32 = 6;
pub const XENMEM_current_reservation: u32 = 3;
pub const XENMAPSPACE_shared_info: u32 = 0;
pub const XENMAPSPACE_grant_table: u32 = 1;
pub const XENMEM_add_to_physmap: u32 = 7;
pub const XENMEM_memory_map: u32 = 9;
pub const EVTCHNOP_bind_interdomain: u32 = 0;
pub const EVTCHNOP_bind_virq: u32 = 1;
pub const EVTCHNOP_close: u32 = 3;
pub const EVTCHNOP_send: u32 = 4;
pub const EVTCHNOP_alloc_unbound: u32 = 6;
pub const SCHEDOP_shutdown: u32 = 2;
pub const SCHEDOP_poll: u32 = 3;
pub const SHUTDOWN_poweroff: u32 = 0;
pub const SHUTDOWN_reboot: u32 = 1;
pub const SHUTDOWN_suspend: u32 = 2;
pub const SHUTDOWN_crash: u32 = 3;
pub const SHUTDOWN_watchdog: u32 = 4;
pub const SHUTDOWN_soft_reset: u32 = 5;
pub const SHUTDOWN_MAX: u32 = 5;
pub const VCPUOP_set_periodic_timer: u32 = 6;
pub const VCPUOP_register_runstate_phys_area: u32 = 14;
pub const GNTTAB_NR_RESERVED_ENTRIES: u32 = 8;
pub const GTF_invalid: u32 = 0;
pub const GTF_permit_access: u32 = 1;
pub const GTF_accept_transfer: u32 = 2;
pub const GTF_transitive: u32 = 3;
pub const GTF_type_mask: u32 = 3;
pub const GTF_readonly: u32 = 4;
pub const GTF_reading: u32 = 8;
pub const GTF_writing: u32 = 16;
pub const GTF_PWT: u32 = 32;
pub const GTF_PCD: u32 = 64;
pub const GTF_PAT: u32 = 128;
pub const GTF_sub_page: u32 = 256;
pub const GTF_transfer_committed: u32 = 4;
pub const GTF_transfer_completed: u32 = 8;
pub const GNTTABOP_map_grant_ref: u32 = 0;
pub const GNTTABOP_unmap_grant_ref: u32 = 1;
pub const GNTTABOP_copy: u32 = 5;
pub const GNTTABOP_query_size: u32 = 6;
pub const GNTTABOP_set_version: u32 = 8;
pub const GNTCOPY_source_gref: u32 = 1;
pub const GNTCOPY_dest_gref: u32 = 2;
pub const GNTMAP_host_map: u32 = 2;
pub const GNTMAP_readonly: u32 = 4;
pub const GNTST_okay: u32 = 0;
pub const GNTST_general_error: i32 = -1;
pub const GNTST_bad_domain: i32 = -2;
pub const GNTST_bad_gntref: i32 = -3;
pub const GNTST_bad_handle: i32 = -4;
pub const GNTST_bad_virt_addr: i32 = -5;
pub const GNTST_bad_dev_addr: i32 = -6;
pub const GNTST_no_device_space: i32 = -7;
pub const GNTST_permission_denied: i32 = -8;
pub const GNTST_bad_page: i32 = -9;
pub const GNTST_bad_copy_arg: i32 = -10;
pub const GNTST_address_too_big: i32 = -11;
pub const GNTST_eagain: i32 = -12;
pub const GNTST_no_space: i32 = -13;
pub const HVMOP_set_param: u32 = 0;
pub const HVMOP_get_param: u32 = 1;
pub const HVM_PARAM_CALLBACK_IRQ: u32 = 0;
pub const HVM_PARAM_CALLBACK_TYPE_VECTOR: u32 = 2;
pub const HVM_PARAM_STORE_PFN: u32 = 1;
pub const HVM_PARAM_STORE_EVTCHN: u32 = 2;
pub const HVM_PARAM_CONSOLE_PFN: u32 = 17;
pub const HVM_PARAM_CONSOLE_EVTCHN: u32 = 18;
pub const XEN_CPUID_TSC_EMULATED: u32 = 1;
pub const XS_WRITE_NONE: &[u8; 5] = b"NONE\0";
pub const XS_WRITE_CREATE: &[u8; 7] = b"CREATE\0";
pub const XS_WRITE_CREATE_EXCL: &[u8; 12] = b"CREATE|EXCL\0";
pub const XENSTORE_RING_SIZE: u32 = 1024;
pub const XENSTORE_PAYLOAD_MAX: u32 = 4096;
pub const XENSTORE_ABS_PATH_MAX: u32 = 3072;
pub const XENSTORE_REL_PATH_MAX: u32 = 2048;
pub const XENSTORE_SERVER_FEATURE_RECONNECTION: u32 = 1;
pub const XENSTORE_SERVER_FEATURE_ERROR: u32 = 2;
pub const XENSTORE_CONNECTED: u32 = 0;
pub const XENSTORE_RECONNECT: u32 = 1;
pub const XENSTORE_ERROR_NONE: u32 = 0;
pub const XENSTORE_ERROR_COMM: u32 = 1;
pub const XENSTORE_ERROR_RINGIDX: u32 = 2;
pub const XENSTORE_ERROR_PROTO: u32 = 3;
pub const NETIF_RSP_DROPPED: i32 = -2;
pub const NETIF_RSP_ERROR: i32 = -1;
pub const NETIF_RSP_OKAY: u32 = 0;
pub const BLKIF_OP_READ: u32 = 0;
pub const BLKIF_OP_WRITE: u32 = 1;
pub const BLKIF_OP_WRITE_BARRIER: u32 = 2;
pub const BLKIF_OP_FLUSH_DISKCACHE: u32 = 3;
pub const BLKIF_OP_RESERVED_1: u32 = 4;
pub const BLKIF_OP_DISCARD: u32 = 5;
pub const BLKIF_OP_INDIRECT: u32 = 6;
pub const BLKIF_MAX_SEGMENTS_PER_REQUEST: u32 = 11;
pub const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST: u32 = 8;
pub const BLKIF_DISCARD_SECURE: u32 = 1;
pub const BLKIF_RSP_EOPNOTSUPP: i32 = -2;
pub const BLKIF_RSP_ERROR: i32 = -1;
pub const BLKIF_RSP_OKAY: u32 = 0;
pub const VDISK_CDROM: u32 = 1;
pub const VDISK_REMOVABLE: u32 = 2;
pub const VDISK_READONLY: u32 = 4;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct arch_vcpu_info {
    pub cr2: ::core::ffi::c_ulong,
    pub pad: ::core::ffi::c_ulong,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of arch_vcpu_info"][::core::mem::size_of::<arch_vcpu_info>() - 16usize];
    ["Alignment of arch_vcpu_info"][::core::mem::align_of::<arch_vcpu_info>() - 8usize];
    [
        "Offset of field: arch_vcpu_info::cr2",
    ][::core::mem::offset_of!(arch_vcpu_info, cr2) - 0usize];
    [
        "Offset of field: arch_vcpu_info::pad",
    ][::core::mem::offset_of!(arch_vcpu_info, pad) - 8usize];
};
pub type xen_pfn_t = ::core::ffi::c_ulong;
pub type xen_ulong_t = ::core::ffi::c_ulong;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct arch_shared_info {
    pub max_pfn: ::core::ffi::c_ulong,
    pub pfn_to_mfn_frame_list_list: xen_pfn_t,
    pub nmi_reason: ::core::ffi::c_ulong,
    pub p2m_cr3: ::core::ffi::c_ulong,
    pub p2m_vaddr: ::core::ffi::c_ulong,
    pub p2m_generation: ::core::ffi::c_ulong,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of arch_shared_info"][::core::mem::size_of::<arch_shared_info>() - 48usize];
    [
        "Alignment of arch_shared_info",
    ][::core::mem::align_of::<arch_shared_info>() - 8usize];
    [
        "Offset of field: arch_shared_info::max_pfn",
    ][::core::mem::offset_of!(arch_shared_info, max_pfn) - 0usize];
    [
        "Offset of field: arch_shared_info::pfn_to_mfn_frame_list_list",
    ][::core::mem::offset_of!(arch_shared_info, pfn_to_mfn_frame_list_list) - 8usize];
    [
        "Offset of field: arch_shared_info::nmi_reason",
    ][::core::mem::offset_of!(arch_shared_info, nmi_reason) - 16usize];
    [
        "Offset of field: arch_shared_info::p2m_cr3",
    ][::core::mem::offset_of!(arch_shared_info, p2m_cr3) - 24usize];
    [
        "Offset of field: arch_shared_info::p2m_vaddr",
    ][::core::mem::offset_of!(arch_shared_info, p2m_vaddr) - 32usize];
    [
        "Offset of field: arch_shared_info::p2m_generation",
    ][::core::mem::offset_of!(arch_shared_info, p2m_generation) - 40usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct __guest_handle_void {
    pub p: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of __guest_handle_void",
    ][::core::mem::size_of::<__guest_handle_void>() - 8usize];
    [
        "Alignment of __guest_handle_void",
    ][::core::mem::align_of::<__guest_handle_void>() - 8usize];
    [
        "Offset of field: __guest_handle_void::p",
    ][::core::mem::offset_of!(__guest_handle_void, p) - 0usize];
};
impl Default for __guest_handle_void {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct __guest_handle_xen_pfn_t {
    pub p: *mut xen_pfn_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of __guest_handle_xen_pfn_t",
    ][::core::mem::size_of::<__guest_handle_xen_pfn_t>() - 8usize];
    [
        "Alignment of __guest_handle_xen_pfn_t",
    ][::core::mem::align_of::<__guest_handle_xen_pfn_t>() - 8usize];
    [
        "Offset of field: __guest_handle_xen_pfn_t::p",
    ][::core::mem::offset_of!(__guest_handle_xen_pfn_t, p) - 0usize];
};
impl Default for __guest_handle_xen_pfn_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type domid_t = u16;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct vcpu_time_info {
    pub version: u32,
    pub pad0: u32,
    pub tsc_timestamp: u64,
    pub system_time: u64,
    pub tsc_to_system_mul: u32,
    pub tsc_shift: i8,
    pub flags: u8,
    pub pad1: [u8; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vcpu_time_info"][::core::mem::size_of::<vcpu_time_info>() - 32usize];
    ["Alignment of vcpu_time_info"][::core::mem::align_of::<vcpu_time_info>() - 8usize];
    [
        "Offset of field: vcpu_time_info::version",
    ][::core::mem::offset_of!(vcpu_time_info, version) - 0usize];
    [
        "Offset of field: vcpu_time_info::pad0",
    ][::core::mem::offset_of!(vcpu_time_info, pad0) - 4usize];
    [
        "Offset of field: vcpu_time_info::tsc_timestamp",
    ][::core::mem::offset_of!(vcpu_time_info, tsc_timestamp) - 8usize];
    [
        "Offset of field: vcpu_time_info::system_time",
    ][::core::mem::offset_of!(vcpu_time_info, system_time) - 16usize];
    [
        "Offset of field: vcpu_time_info::tsc_to_system_mul",
    ][::core::mem::offset_of!(vcpu_time_info, tsc_to_system_mul) - 24usize];
    [
        "Offset of field: vcpu_time_info::tsc_shift",
    ][::core::mem::offset_of!(vcpu_time_info, tsc_shift) - 28usize];
    [
        "Offset of field: vcpu_time_info::flags",
    ][::core::mem::offset_of!(vcpu_time_info, flags) - 29usize];
    [
        "Offset of field: vcpu_time_info::pad1",
    ][::core::mem::offset_of!(vcpu_time_info, pad1) - 30usize];
};
pub type vcpu_time_info_t = vcpu_time_info;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct vcpu_info {
    pub evtchn_upcall_pending: u8,
    pub evtchn_upcall_mask: u8,
    pub evtchn_pending_sel: xen_ulong_t,
    pub arch: arch_vcpu_info,
    pub time: vcpu_time_info_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vcpu_info"][::core::mem::size_of::<vcpu_info>() - 64usize];
    ["Alignment of vcpu_info"][::core::mem::align_of::<vcpu_info>() - 8usize];
    [
        "Offset of field: vcpu_info::evtchn_upcall_pending",
    ][::core::mem::offset_of!(vcpu_info, evtchn_upcall_pending) - 0usize];
    [
        "Offset of field: vcpu_info::evtchn_upcall_mask",
    ][::core::mem::offset_of!(vcpu_info, evtchn_upcall_mask) - 1usize];
    [
        "Offset of field: vcpu_info::evtchn_pending_sel",
    ][::core::mem::offset_of!(vcpu_info, evtchn_pending_sel) - 8usize];
    [
        "Offset of field: vcpu_info::arch",
    ][::core::mem::offset_of!(vcpu_info, arch) - 16usize];
    [
        "Offset of field: vcpu_info::time",
    ][::core::mem::offset_of!(vcpu_info, time) - 32usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct shared_info {
    pub vcpu_info: [vcpu_info; 32usize],
    pub evtchn_pending: [xen_ulong_t; 64usize],
    pub evtchn_mask: [xen_ulong_t; 64usize],
    pub wc_version: u32,
    pub wc_sec: u32,
    pub wc_nsec: u32,
    pub wc_sec_hi: u32,
    pub arch: arch_shared_info,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of shared_info"][::core::mem::size_of::<shared_info>() - 3136usize];
    ["Alignment of shared_info"][::core::mem::align_of::<shared_info>() - 8usize];
    [
        "Offset of field: shared_info::vcpu_info",
    ][::core::mem::offset_of!(shared_info, vcpu_info) - 0usize];
    [
        "Offset of field: shared_info::evtchn_pending",
    ][::core::mem::offset_of!(shared_info, evtchn_pending) - 2048usize];
    [
        "Offset of field: shared_info::evtchn_mask",
    ][::core::mem::offset_of!(shared_info, evtchn_mask) - 2560usize];
    [
        "Offset of field: shared_info::wc_version",
    ][::core::mem::offset_of!(shared_info, wc_version) - 3072usize];
    [
        "Offset of field: shared_info::wc_sec",
    ][::core::mem::offset_of!(shared_info, wc_sec) - 3076usize];
    [
        "Offset of field: shared_info::wc_nsec",
    ][::core::mem::offset_of!(shared_info, wc_nsec) - 3080usize];
    [
        "Offset of field: shared_info::wc_sec_hi",
    ][::core::mem::offset_of!(shared_info, wc_sec_hi) - 3084usize];
    [
        "Offset of field: shared_info::arch",
    ][::core::mem::offset_of!(shared_info, arch) - 3088usize];
};
impl Default for shared_info {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub const XEN_EPERM: xen_errno = 1;
pub const XEN_ENOENT: xen_errno = 2;
pub const XEN_ESRCH: xen_errno = 3;
pub const XEN_EIO: xen_errno = 5;
pub const XEN_ENXIO: xen_errno = 6;
pub const XEN_E2BIG: xen_errno = 7;
pub const XEN_ENOEXEC: xen_errno = 8;
pub const XEN_EBADF: xen_errno = 9;
pub const XEN_ECHILD: xen_errno = 10;
pub const XEN_EAGAIN: xen_errno = 11;
pub const XEN_EWOULDBLOCK: xen_errno = 11;
pub const XEN_ENOMEM: xen_errno = 12;
pub const XEN_EACCES: xen_errno = 13;
pub const XEN_EFAULT: xen_errno = 14;
pub const XEN_EBUSY: xen_errno = 16;
pub const XEN_EEXIST: xen_errno = 17;
pub const XEN_EXDEV: xen_errno = 18;
pub const XEN_ENODEV: xen_errno = 19;
pub const XEN_ENOTDIR: xen_errno = 20;
pub const XEN_EISDIR: xen_errno = 21;
pub const XEN_EINVAL: xen_errno = 22;
pub const XEN_ENFILE: xen_errno = 23;
pub const XEN_EMFILE: xen_errno = 24;
pub const XEN_ENOSPC: xen_errno = 28;
pub const XEN_EROFS: xen_errno = 30;
pub const XEN_EMLINK: xen_errno = 31;
pub const XEN_EDOM: xen_errno = 33;
pub const XEN_ERANGE: xen_errno = 34;
pub const XEN_EDEADLK: xen_errno = 35;
pub const XEN_EDEADLOCK: xen_errno = 35;
pub const XEN_ENAMETOOLONG: xen_errno = 36;
pub const XEN_ENOLCK: xen_errno = 37;
pub const XEN_ENOSYS: xen_errno = 38;
pub const XEN_ENOTEMPTY: xen_errno = 39;
pub const XEN_ENODATA: xen_errno = 61;
pub const XEN_ETIME: xen_errno = 62;
pub const XEN_EBADMSG: xen_errno = 74;
pub const XEN_EOVERFLOW: xen_errno = 75;
pub const XEN_EILSEQ: xen_errno = 84;
pub const XEN_ENOTSOCK: xen_errno = 88;
pub const XEN_EMSGSIZE: xen_errno = 90;
pub const XEN_EOPNOTSUPP: xen_errno = 95;
pub const XEN_EADDRINUSE: xen_errno = 98;
pub const XEN_EADDRNOTAVAIL: xen_errno = 99;
pub const XEN_ENOBUFS: xen_errno = 105;
pub const XEN_EISCONN: xen_errno = 106;
pub const XEN_ENOTCONN: xen_errno = 107;
pub const XEN_ETIMEDOUT: xen_errno = 110;
pub const XEN_ECONNREFUSED: xen_errno = 111;
pub type xen_errno = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct xen_feature_info {
    pub submap_idx: u32,
    pub submap: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of xen_feature_info"][::core::mem::size_of::<xen_feature_info>() - 8usize];
    [
        "Alignment of xen_feature_info",
    ][::core::mem::align_of::<xen_feature_info>() - 4usize];
    [
        "Offset of field: xen_feature_info::submap_idx",
    ][::core::mem::offset_of!(xen_feature_info, submap_idx) - 0usize];
    [
        "Offset of field: xen_feature_info::submap",
    ][::core::mem::offset_of!(xen_feature_info, submap) - 4usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct xen_memory_reservation {
    pub extent_start: __guest_handle_xen_pfn_t,
    pub nr_extents: xen_ulong_t,
    pub extent_order: ::core::ffi::c_uint,
    pub mem_flags: ::core::ffi::c_uint,
    pub domid: domid_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of xen_memory_reservation",
    ][::core::mem::size_of::<xen_memory_reservation>() - 32usize];
    [
        "Alignment of xen_memory_reservation",
    ][::core::mem::align_of::<xen_memory_reservation>() - 8usize];
    [
        "Offset of field: xen_memory_reservation::extent_start",
    ][::core::mem::offset_of!(xen_memory_reservation, extent_start) - 0usize];
    [
        "Offset of field: xen_memory_reservation::nr_extents",
    ][::core::mem::offset_of!(xen_memory_reservation, nr_extents) - 8usize];
    [
        "Offset of field: xen_memory_reservation::extent_order",
    ][::core::mem::offset_of!(xen_memory_reservation, extent_order) - 16usize];
    [
        "Offset of field: xen_memory_reservation::mem_flags",
    ][::core::mem::offset_of!(xen_memory_reservation, mem_flags) - 20usize];
    [
        "Offset of field: xen_memory_reservation::domid",
    ][::core::mem::offset_of!(xen_memory_reservation, domid) - 24usize];
};
impl Default for xen_memory_reservation {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct xen_add_to_physmap {
    pub domid: domid_t,
    pub size: u16,
    pub space: ::core::ffi::c_uint,
    pub idx: xen_ulong_t,
    pub gpfn: xen_pfn_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of xen_add_to_physmap",
    ][::core::mem::size_of::<xen_add_to_physmap>() - 24usize];
    [
        "Alignment of xen_add_to_physmap",
    ][::core::mem::align_of::<xen_add_to_physmap>() - 8usize];
    [
        "Offset of field: xen_add_to_physmap::domid",
    ][::core::mem::offset_of!(xen_add_to_physmap, domid) - 0usize];
    [
        "Offset of field: xen_add_to_physmap::size",
    ][::core::mem::offset_of!(xen_add_to_physmap, size) - 2usize];
    [
        "Offset of field: xen_add_to_physmap::space",
    ][::core::mem::offset_of!(xen_add_to_physmap, space) - 4usize];
    [
        "Offset of field: xen_add_to_physmap::idx",
    ][::core::mem::offset_of!(xen_add_to_physmap, idx) - 8usize];
    [
        "Offset of field: xen_add_to_physmap::gpfn",
    ][::core::mem::offset_of!(xen_add_to_physmap, gpfn) - 16usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct xen_memory_map {
    pub nr_entries: ::core::ffi::c_uint,
    pub buffer: __guest_handle_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of xen_memory_map"][::core::mem::size_of::<xen_memory_map>() - 16usize];
    ["Alignment of xen_memory_map"][::core::mem::align_of::<xen_memory_map>() - 8usize];
    [
        "Offset of field: xen_memory_map::nr_entries",
    ][::core::mem::offset_of!(xen_memory_map, nr_entries) - 0usize];
    [
        "Offset of field: xen_memory_map::buffer",
    ][::core::mem::offset_of!(xen_memory_map, buffer) - 8usize];
};
impl Default for xen_memory_map {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type evtchn_port_t = u32;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct __guest_handle_evtchn_port_t {
    pub p: *mut evtchn_port_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of __guest_handle_evtchn_port_t",
    ][::core::mem::size_of::<__guest_handle_evtchn_port_t>() - 8usize];
    [
        "Alignment of __guest_handle_evtchn_port_t",
    ][::core::mem::align_of::<__guest_handle_evtchn_port_t>() - 8usize];
    [
        "Offset of field: __guest_handle_evtchn_port_t::p",
    ][::core::mem::offset_of!(__guest_handle_evtchn_port_t, p) - 0usize];
};
impl Default for __guest_handle_evtchn_port_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct evtchn_alloc_unbound {
    pub dom: domid_t,
    pub remote_dom: domid_t,
    pub port: evtchn_port_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of evtchn_alloc_unbound",
    ][::core::mem::size_of::<evtchn_alloc_unbound>() - 8usize];
    [
        "Alignment of evtchn_alloc_unbound",
    ][::core::mem::align_of::<evtchn_alloc_unbound>() - 4usize];
    [
        "Offset of field: evtchn_alloc_unbound::dom",
    ][::core::mem::offset_of!(evtchn_alloc_unbound, dom) - 0usize];
    [
        "Offset of field: evtchn_alloc_unbound::remote_dom",
    ][::core::mem::offset_of!(evtchn_alloc_unbound, remote_dom) - 2usize];
    [
        "Offset of field: evtchn_alloc_unbound::port",
    ][::core::mem::offset_of!(evtchn_alloc_unbound, port) - 4usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct evtchn_bind_interdomain {
    pub remote_dom: domid_t,
    pub remote_port: evtchn_port_t,
    pub local_port: evtchn_port_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of evtchn_bind_interdomain",
    ][::core::mem::size_of::<evtchn_bind_interdomain>() - 12usize];
    [
        "Alignment of evtchn_bind_interdomain",
    ][::core::mem::align_of::<evtchn_bind_interdomain>() - 4usize];
    [
        "Offset of field: evtchn_bind_interdomain::remote_dom",
    ][::core::mem::offset_of!(evtchn_bind_interdomain, remote_dom) - 0usize];
    [
        "Offset of field: evtchn_bind_interdomain::remote_port",
    ][::core::mem::offset_of!(evtchn_bind_interdomain, remote_port) - 4usize];
    [
        "Offset of field: evtchn_bind_interdomain::local_port",
    ][::core::mem::offset_of!(evtchn_bind_interdomain, local_port) - 8usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct evtchn_bind_virq {
    pub virq: u32,
    pub vcpu: u32,
    pub port: evtchn_port_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of evtchn_bind_virq"][::core::mem::size_of::<evtchn_bind_virq>() - 12usize];
    [
        "Alignment of evtchn_bind_virq",
    ][::core::mem::align_of::<evtchn_bind_virq>() - 4usize];
    [
        "Offset of field: evtchn_bind_virq::virq",
    ][::core::mem::offset_of!(evtchn_bind_virq, virq) - 0usize];
    [
        "Offset of field: evtchn_bind_virq::vcpu",
    ][::core::mem::offset_of!(evtchn_bind_virq, vcpu) - 4usize];
    [
        "Offset of field: evtchn_bind_virq::port",
    ][::core::mem::offset_of!(evtchn_bind_virq, port) - 8usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct evtchn_close {
    pub port: evtchn_port_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of evtchn_close"][::core::mem::size_of::<evtchn_close>() - 4usize];
    ["Alignment of evtchn_close"][::core::mem::align_of::<evtchn_close>() - 4usize];
    [
        "Offset of field: evtchn_close::port",
    ][::core::mem::offset_of!(evtchn_close, port) - 0usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct evtchn_send {
    pub port: evtchn_port_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of evtchn_send"][::core::mem::size_of::<evtchn_send>() - 4usize];
    ["Alignment of evtchn_send"][::core::mem::align_of::<evtchn_send>() - 4usize];
    [
        "Offset of field: evtchn_send::port",
    ][::core::mem::offset_of!(evtchn_send, port) - 0usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct sched_shutdown {
    pub reason: ::core::ffi::c_uint,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of sched_shutdown"][::core::mem::size_of::<sched_shutdown>() - 4usize];
    ["Alignment of sched_shutdown"][::core::mem::align_of::<sched_shutdown>() - 4usize];
    [
        "Offset of field: sched_shutdown::reason",
    ][::core::mem::offset_of!(sched_shutdown, reason) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sched_poll {
    pub ports: __guest_handle_evtchn_port_t,
    pub nr_ports: ::core::ffi::c_uint,
    pub timeout: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of sched_poll"][::core::mem::size_of::<sched_poll>() - 24usize];
    ["Alignment of sched_poll"][::core::mem::align_of::<sched_poll>() - 8usize];
    [
        "Offset of field: sched_poll::ports",
    ][::core::mem::offset_of!(sched_poll, ports) - 0usize];
    [
        "Offset of field: sched_poll::nr_ports",
    ][::core::mem::offset_of!(sched_poll, nr_ports) - 8usize];
    [
        "Offset of field: sched_poll::timeout",
    ][::core::mem::offset_of!(sched_poll, timeout) - 16usize];
};
impl Default for sched_poll {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct vcpu_runstate_info {
    pub state: ::core::ffi::c_int,
    pub state_entry_time: u64,
    pub time: [u64; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of vcpu_runstate_info",
    ][::core::mem::size_of::<vcpu_runstate_info>() - 48usize];
    [
        "Alignment of vcpu_runstate_info",
    ][::core::mem::align_of::<vcpu_runstate_info>() - 8usize];
    [
        "Offset of field: vcpu_runstate_info::state",
    ][::core::mem::offset_of!(vcpu_runstate_info, state) - 0usize];
    [
        "Offset of field: vcpu_runstate_info::state_entry_time",
    ][::core::mem::offset_of!(vcpu_runstate_info, state_entry_time) - 8usize];
    [
        "Offset of field: vcpu_runstate_info::time",
    ][::core::mem::offset_of!(vcpu_runstate_info, time) - 16usize];
};
pub type vcpu_runstate_info_t = vcpu_runstate_info;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct __guest_handle_vcpu_runstate_info_t {
    pub p: *mut vcpu_runstate_info_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of __guest_handle_vcpu_runstate_info_t",
    ][::core::mem::size_of::<__guest_handle_vcpu_runstate_info_t>() - 8usize];
    [
        "Alignment of __guest_handle_vcpu_runstate_info_t",
    ][::core::mem::align_of::<__guest_handle_vcpu_runstate_info_t>() - 8usize];
    [
        "Offset of field: __guest_handle_vcpu_runstate_info_t::p",
    ][::core::mem::offset_of!(__guest_handle_vcpu_runstate_info_t, p) - 0usize];
};
impl Default for __guest_handle_vcpu_runstate_info_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct vcpu_register_runstate_memory_area {
    pub addr: vcpu_register_runstate_memory_area__bindgen_ty_1,
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union vcpu_register_runstate_memory_area__bindgen_ty_1 {
    pub h: __guest_handle_vcpu_runstate_info_t,
    pub v: *mut vcpu_runstate_info,
    pub p: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of vcpu_register_runstate_memory_area__bindgen_ty_1",
    ][::core::mem::size_of::<vcpu_register_runstate_memory_area__bindgen_ty_1>()
        - 8usize];
    [
        "Alignment of vcpu_register_runstate_memory_area__bindgen_ty_1",
    ][::core::mem::align_of::<vcpu_register_runstate_memory_area__bindgen_ty_1>()
        - 8usize];
    [
        "Offset of field: vcpu_register_runstate_memory_area__bindgen_ty_1::h",
    ][::core::mem::offset_of!(vcpu_register_runstate_memory_area__bindgen_ty_1, h)
        - 0usize];
    [
        "Offset of field: vcpu_register_runstate_memory_area__bindgen_ty_1::v",
    ][::core::mem::offset_of!(vcpu_register_runstate_memory_area__bindgen_ty_1, v)
        - 0usize];
    [
        "Offset of field: vcpu_register_runstate_memory_area__bindgen_ty_1::p",
    ][::core::mem::offset_of!(vcpu_register_runstate_memory_area__bindgen_ty_1, p)
        - 0usize];
};
impl Default for vcpu_register_runstate_memory_area__bindgen_ty_1 {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of vcpu_register_runstate_memory_area",
    ][::core::mem::size_of::<vcpu_register_runstate_memory_area>() - 8usize];
    [
        "Alignment of vcpu_register_runstate_memory_area",
    ][::core::mem::align_of::<vcpu_register_runstate_memory_area>() - 8usize];
    [
        "Offset of field: vcpu_register_runstate_memory_area::addr",
    ][::core::mem::offset_of!(vcpu_register_runstate_memory_area, addr) - 0usize];
};
impl Default for vcpu_register_runstate_memory_area {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct vcpu_set_periodic_timer {
    pub period_ns: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of vcpu_set_periodic_timer",
    ][::core::mem::size_of::<vcpu_set_periodic_timer>() - 8usize];
    [
        "Alignment of vcpu_set_periodic_timer",
    ][::core::mem::align_of::<vcpu_set_periodic_timer>() - 8usize];
    [
        "Offset of field: vcpu_set_periodic_timer::period_ns",
    ][::core::mem::offset_of!(vcpu_set_periodic_timer, period_ns) - 0usize];
};
pub type grant_ref_t = u32;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct grant_entry_v1 {
    pub flags: u16,
    pub domid: domid_t,
    pub frame: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of grant_entry_v1"][::core::mem::size_of::<grant_entry_v1>() - 8usize];
    ["Alignment of grant_entry_v1"][::core::mem::align_of::<grant_entry_v1>() - 4usize];
    [
        "Offset of field: grant_entry_v1::flags",
    ][::core::mem::offset_of!(grant_entry_v1, flags) - 0usize];
    [
        "Offset of field: grant_entry_v1::domid",
    ][::core::mem::offset_of!(grant_entry_v1, domid) - 2usize];
    [
        "Offset of field: grant_entry_v1::frame",
    ][::core::mem::offset_of!(grant_entry_v1, frame) - 4usize];
};
pub type grant_handle_t = u32;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct gnttab_map_grant_ref {
    pub host_addr: u64,
    pub flags: u32,
    pub ref_: grant_ref_t,
    pub dom: domid_t,
    pub status: i16,
    pub handle: grant_handle_t,
    pub dev_bus_addr: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of gnttab_map_grant_ref",
    ][::core::mem::size_of::<gnttab_map_grant_ref>() - 32usize];
    [
        "Alignment of gnttab_map_grant_ref",
    ][::core::mem::align_of::<gnttab_map_grant_ref>() - 8usize];
    [
        "Offset of field: gnttab_map_grant_ref::host_addr",
    ][::core::mem::offset_of!(gnttab_map_grant_ref, host_addr) - 0usize];
    [
        "Offset of field: gnttab_map_grant_ref::flags",
    ][::core::mem::offset_of!(gnttab_map_grant_ref, flags) - 8usize];
    [
        "Offset of field: gnttab_map_grant_ref::ref_",
    ][::core::mem::offset_of!(gnttab_map_grant_ref, ref_) - 12usize];
    [
        "Offset of field: gnttab_map_grant_ref::dom",
    ][::core::mem::offset_of!(gnttab_map_grant_ref, dom) - 16usize];
    [
        "Offset of field: gnttab_map_grant_ref::status",
    ][::core::mem::offset_of!(gnttab_map_grant_ref, status) - 18usize];
    [
        "Offset of field: gnttab_map_grant_ref::handle",
    ][::core::mem::offset_of!(gnttab_map_grant_ref, handle) - 20usize];
    [
        "Offset of field: gnttab_map_grant_ref::dev_bus_addr",
    ][::core::mem::offset_of!(gnttab_map_grant_ref, dev_bus_addr) - 24usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct gnttab_unmap_grant_ref {
    pub host_addr: u64,
    pub dev_bus_addr: u64,
    pub handle: grant_handle_t,
    pub status: i16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of gnttab_unmap_grant_ref",
    ][::core::mem::size_of::<gnttab_unmap_grant_ref>() - 24usize];
    [
        "Alignment of gnttab_unmap_grant_ref",
    ][::core::mem::align_of::<gnttab_unmap_grant_ref>() - 8usize];
    [
        "Offset of field: gnttab_unmap_grant_ref::host_addr",
    ][::core::mem::offset_of!(gnttab_unmap_grant_ref, host_addr) - 0usize];
    [
        "Offset of field: gnttab_unmap_grant_ref::dev_bus_addr",
    ][::core::mem::offset_of!(gnttab_unmap_grant_ref, dev_bus_addr) - 8usize];
    [
        "Offset of field: gnttab_unmap_grant_ref::handle",
    ][::core::mem::offset_of!(gnttab_unmap_grant_ref, handle) - 16usize];
    [
        "Offset of field: gnttab_unmap_grant_ref::status",
    ][::core::mem::offset_of!(gnttab_unmap_grant_ref, status) - 20usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct gnttab_copy {
    pub source: gnttab_copy_gnttab_copy_ptr,
    pub dest: gnttab_copy_gnttab_copy_ptr,
    pub len: u16,
    pub flags: u16,
    pub status: i16,
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct gnttab_copy_gnttab_copy_ptr {
    pub u: gnttab_copy_gnttab_copy_ptr__bindgen_ty_1,
    pub domid: domid_t,
    pub offset: u16,
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union gnttab_copy_gnttab_copy_ptr__bindgen_ty_1 {
    pub ref_: grant_ref_t,
    pub gmfn: xen_pfn_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of gnttab_copy_gnttab_copy_ptr__bindgen_ty_1",
    ][::core::mem::size_of::<gnttab_copy_gnttab_copy_ptr__bindgen_ty_1>() - 8usize];
    [
        "Alignment of gnttab_copy_gnttab_copy_ptr__bindgen_ty_1",
    ][::core::mem::align_of::<gnttab_copy_gnttab_copy_ptr__bindgen_ty_1>() - 8usize];
    [
        "Offset of field: gnttab_copy_gnttab_copy_ptr__bindgen_ty_1::ref_",
    ][::core::mem::offset_of!(gnttab_copy_gnttab_copy_ptr__bindgen_ty_1, ref_) - 0usize];
    [
        "Offset of field: gnttab_copy_gnttab_copy_ptr__bindgen_ty_1::gmfn",
    ][::core::mem::offset_of!(gnttab_copy_gnttab_copy_ptr__bindgen_ty_1, gmfn) - 0usize];
};
impl Default for gnttab_copy_gnttab_copy_ptr__bindgen_ty_1 {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of gnttab_copy_gnttab_copy_ptr",
    ][::core::mem::size_of::<gnttab_copy_gnttab_copy_ptr>() - 16usize];
    [
        "Alignment of gnttab_copy_gnttab_copy_ptr",
    ][::core::mem::align_of::<gnttab_copy_gnttab_copy_ptr>() - 8usize];
    [
        "Offset of field: gnttab_copy_gnttab_copy_ptr::u",
    ][::core::mem::offset_of!(gnttab_copy_gnttab_copy_ptr, u) - 0usize];
    [
        "Offset of field: gnttab_copy_gnttab_copy_ptr::domid",
    ][::core::mem::offset_of!(gnttab_copy_gnttab_copy_ptr, domid) - 8usize];
    [
        "Offset of field: gnttab_copy_gnttab_copy_ptr::offset",
    ][::core::mem::offset_of!(gnttab_copy_gnttab_copy_ptr, offset) - 10usize];
};
impl Default for gnttab_copy_gnttab_copy_ptr {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of gnttab_copy"][::core::mem::size_of::<gnttab_copy>() - 40usize];
    ["Alignment of gnttab_copy"][::core::mem::align_of::<gnttab_copy>() - 8usize];
    [
        "Offset of field: gnttab_copy::source",
    ][::core::mem::offset_of!(gnttab_copy, source) - 0usize];
    [
        "Offset of field: gnttab_copy::dest",
    ][::core::mem::offset_of!(gnttab_copy, dest) - 16usize];
    [
        "Offset of field: gnttab_copy::len",
    ][::core::mem::offset_of!(gnttab_copy, len) - 32usize];
    [
        "Offset of field: gnttab_copy::flags",
    ][::core::mem::offset_of!(gnttab_copy, flags) - 34usize];
    [
        "Offset of field: gnttab_copy::status",
    ][::core::mem::offset_of!(gnttab_copy, status) - 36usize];
};
impl Default for gnttab_copy {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct gnttab_query_size {
    pub dom: domid_t,
    pub nr_frames: u32,
    pub max_nr_frames: u32,
    pub status: i16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of gnttab_query_size"][::core::mem::size_of::<gnttab_query_size>() - 16usize];
    [
        "Alignment of gnttab_query_size",
    ][::core::mem::align_of::<gnttab_query_size>() - 4usize];
    [
        "Offset of field: gnttab_query_size::dom",
    ][::core::mem::offset_of!(gnttab_query_size, dom) - 0usize];
    [
        "Offset of field: gnttab_query_size::nr_frames",
    ][::core::mem::offset_of!(gnttab_query_size, nr_frames) - 4usize];
    [
        "Offset of field: gnttab_query_size::max_nr_frames",
    ][::core::mem::offset_of!(gnttab_query_size, max_nr_frames) - 8usize];
    [
        "Offset of field: gnttab_query_size::status",
    ][::core::mem::offset_of!(gnttab_query_size, status) - 12usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct gnttab_set_version {
    pub version: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of gnttab_set_version",
    ][::core::mem::size_of::<gnttab_set_version>() - 4usize];
    [
        "Alignment of gnttab_set_version",
    ][::core::mem::align_of::<gnttab_set_version>() - 4usize];
    [
        "Offset of field: gnttab_set_version::version",
    ][::core::mem::offset_of!(gnttab_set_version, version) - 0usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct xen_hvm_param {
    pub domid: domid_t,
    pub pad: u16,
    pub index: u32,
    pub value: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of xen_hvm_param"][::core::mem::size_of::<xen_hvm_param>() - 16usize];
    ["Alignment of xen_hvm_param"][::core::mem::align_of::<xen_hvm_param>() - 8usize];
    [
        "Offset of field: xen_hvm_param::domid",
    ][::core::mem::offset_of!(xen_hvm_param, domid) - 0usize];
    [
        "Offset of field: xen_hvm_param::pad",
    ][::core::mem::offset_of!(xen_hvm_param, pad) - 2usize];
    [
        "Offset of field: xen_hvm_param::index",
    ][::core::mem::offset_of!(xen_hvm_param, index) - 4usize];
    [
        "Offset of field: xen_hvm_param::value",
    ][::core::mem::offset_of!(xen_hvm_param, value) - 8usize];
};
pub type XENCONS_RING_IDX = u32;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct xencons_interface {
    pub in_: [::core::ffi::c_char; 1024usize],
    pub out: [::core::ffi::c_char; 2048usize],
    pub in_cons: XENCONS_RING_IDX,
    pub in_prod: XENCONS_RING_IDX,
    pub out_cons: XENCONS_RING_IDX,
    pub out_prod: XENCONS_RING_IDX,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of xencons_interface",
    ][::core::mem::size_of::<xencons_interface>() - 3088usize];
    [
        "Alignment of xencons_interface",
    ][::core::mem::align_of::<xencons_interface>() - 4usize];
    [
        "Offset of field: xencons_interface::in_",
    ][::core::mem::offset_of!(xencons_interface, in_) - 0usize];
    [
        "Offset of field: xencons_interface::out",
    ][::core::mem::offset_of!(xencons_interface, out) - 1024usize];
    [
        "Offset of field: xencons_interface::in_cons",
    ][::core::mem::offset_of!(xencons_interface, in_cons) - 3072usize];
    [
        "Offset of field: xencons_interface::in_prod",
    ][::core::mem::offset_of!(xencons_interface, in_prod) - 3076usize];
    [
        "Offset of field: xencons_interface::out_cons",
    ][::core::mem::offset_of!(xencons_interface, out_cons) - 3080usize];
    [
        "Offset of field: xencons_interface::out_prod",
    ][::core::mem::offset_of!(xencons_interface, out_prod) - 3084usize];
};
impl Default for xencons_interface {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub const XS_CONTROL: xsd_sockmsg_type = 0;
pub const XS_DIRECTORY: xsd_sockmsg_type = 1;
pub const XS_READ: xsd_sockmsg_type = 2;
pub const XS_GET_PERMS: xsd_sockmsg_type = 3;
pub const XS_WATCH: xsd_sockmsg_type = 4;
pub const XS_UNWATCH: xsd_sockmsg_type = 5;
pub const XS_TRANSACTION_START: xsd_sockmsg_type = 6;
pub const XS_TRANSACTION_END: xsd_sockmsg_type = 7;
pub const XS_INTRODUCE: xsd_sockmsg_type = 8;
pub const XS_RELEASE: xsd_sockmsg_type = 9;
pub const XS_GET_DOMAIN_PATH: xsd_sockmsg_type = 10;
pub const XS_WRITE: xsd_sockmsg_type = 11;
pub const XS_MKDIR: xsd_sockmsg_type = 12;
pub const XS_RM: xsd_sockmsg_type = 13;
pub const XS_SET_PERMS: xsd_sockmsg_type = 14;
pub const XS_WATCH_EVENT: xsd_sockmsg_type = 15;
pub const XS_ERROR: xsd_sockmsg_type = 16;
pub const XS_IS_DOMAIN_INTRODUCED: xsd_sockmsg_type = 17;
pub const XS_RESUME: xsd_sockmsg_type = 18;
pub const XS_SET_TARGET: xsd_sockmsg_type = 19;
pub const XS_RESET_WATCHES: xsd_sockmsg_type = 21;
pub const XS_DIRECTORY_PART: xsd_sockmsg_type = 22;
pub const XS_TYPE_COUNT: xsd_sockmsg_type = 23;
pub const XS_INVALID: xsd_sockmsg_type = 65535;
pub type xsd_sockmsg_type = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct xsd_sockmsg {
    pub type_: u32,
    pub req_id: u32,
    pub tx_id: u32,
    pub len: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of xsd_sockmsg"][::core::mem::size_of::<xsd_sockmsg>() - 16usize];
    ["Alignment of xsd_sockmsg"][::core::mem::align_of::<xsd_sockmsg>() - 4usize];
    [
        "Offset of field: xsd_sockmsg::type_",
    ][::core::mem::offset_of!(xsd_sockmsg, type_) - 0usize];
    [
        "Offset of field: xsd_sockmsg::req_id",
    ][::core::mem::offset_of!(xsd_sockmsg, req_id) - 4usize];
    [
        "Offset of field: xsd_sockmsg::tx_id",
    ][::core::mem::offset_of!(xsd_sockmsg, tx_id) - 8usize];
    [
        "Offset of field: xsd_sockmsg::len",
    ][::core::mem::offset_of!(xsd_sockmsg, len) - 12usize];
};
pub type XENSTORE_RING_IDX = u32;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct xenstore_domain_interface {
    pub req: [::core::ffi::c_char; 1024usize],
    pub rsp: [::core::ffi::c_char; 1024usize],
    pub req_cons: XENSTORE_RING_IDX,
    pub req_prod: XENSTORE_RING_IDX,
    pub rsp_cons: XENSTORE_RING_IDX,
    pub rsp_prod: XENSTORE_RING_IDX,
    pub server_features: u32,
    pub connection: u32,
    pub error: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of xenstore_domain_interface",
    ][::core::mem::size_of::<xenstore_domain_interface>() - 2076usize];
    [
        "Alignment of xenstore_domain_interface",
    ][::core::mem::align_of::<xenstore_domain_interface>() - 4usize];
    [
        "Offset of field: xenstore_domain_interface::req",
    ][::core::mem::offset_of!(xenstore_domain_interface, req) - 0usize];
    [
        "Offset of field: xenstore_domain_interface::rsp",
    ][::core::mem::offset_of!(xenstore_domain_interface, rsp) - 1024usize];
    [
        "Offset of field: xenstore_domain_interface::req_cons",
    ][::core::mem::offset_of!(xenstore_domain_interface, req_cons) - 2048usize];
    [
        "Offset of field: xenstore_domain_interface::req_prod",
    ][::core::mem::offset_of!(xenstore_domain_interface, req_prod) - 2052usize];
    [
        "Offset of field: xenstore_domain_interface::rsp_cons",
    ][::core::mem::offset_of!(xenstore_domain_interface, rsp_cons) - 2056usize];
    [
        "Offset of field: xenstore_domain_interface::rsp_prod",
    ][::core::mem::offset_of!(xenstore_domain_interface, rsp_prod) - 2060usize];
    [
        "Offset of field: xenstore_domain_interface::server_features",
    ][::core::mem::offset_of!(xenstore_domain_interface, server_features) - 2064usize];
    [
        "Offset of field: xenstore_domain_interface::connection",
    ][::core::mem::offset_of!(xenstore_domain_interface, connection) - 2068usize];
    [
        "Offset of field: xenstore_domain_interface::error",
    ][::core::mem::offset_of!(xenstore_domain_interface, error) - 2072usize];
};
impl Default for xenstore_domain_interface {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type RING_IDX = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_tx_request {
    pub gref: grant_ref_t,
    pub offset: u16,
    pub flags: u16,
    pub id: u16,
    pub size: u16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of netif_tx_request"][::core::mem::size_of::<netif_tx_request>() - 12usize];
    [
        "Alignment of netif_tx_request",
    ][::core::mem::align_of::<netif_tx_request>() - 4usize];
    [
        "Offset of field: netif_tx_request::gref",
    ][::core::mem::offset_of!(netif_tx_request, gref) - 0usize];
    [
        "Offset of field: netif_tx_request::offset",
    ][::core::mem::offset_of!(netif_tx_request, offset) - 4usize];
    [
        "Offset of field: netif_tx_request::flags",
    ][::core::mem::offset_of!(netif_tx_request, flags) - 6usize];
    [
        "Offset of field: netif_tx_request::id",
    ][::core::mem::offset_of!(netif_tx_request, id) - 8usize];
    [
        "Offset of field: netif_tx_request::size",
    ][::core::mem::offset_of!(netif_tx_request, size) - 10usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct netif_extra_info {
    pub type_: u8,
    pub flags: u8,
    pub u: netif_extra_info__bindgen_ty_1,
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union netif_extra_info__bindgen_ty_1 {
    pub gso: netif_extra_info__bindgen_ty_1__bindgen_ty_1,
    pub mcast: netif_extra_info__bindgen_ty_1__bindgen_ty_2,
    pub hash: netif_extra_info__bindgen_ty_1__bindgen_ty_3,
    pub pad: [u16; 3usize],
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_extra_info__bindgen_ty_1__bindgen_ty_1 {
    pub size: u16,
    pub type_: u8,
    pub pad: u8,
    pub features: u16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_extra_info__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::size_of::<netif_extra_info__bindgen_ty_1__bindgen_ty_1>() - 6usize];
    [
        "Alignment of netif_extra_info__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::align_of::<netif_extra_info__bindgen_ty_1__bindgen_ty_1>() - 2usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_1::size",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_1, size)
        - 0usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_1::type_",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_1, type_)
        - 2usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_1::pad",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_1, pad)
        - 3usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_1::features",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_1, features)
        - 4usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_extra_info__bindgen_ty_1__bindgen_ty_2 {
    pub addr: [u8; 6usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_extra_info__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::size_of::<netif_extra_info__bindgen_ty_1__bindgen_ty_2>() - 6usize];
    [
        "Alignment of netif_extra_info__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::align_of::<netif_extra_info__bindgen_ty_1__bindgen_ty_2>() - 1usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_2::addr",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_2, addr)
        - 0usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_extra_info__bindgen_ty_1__bindgen_ty_3 {
    pub type_: u8,
    pub algorithm: u8,
    pub value: [u8; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_extra_info__bindgen_ty_1__bindgen_ty_3",
    ][::core::mem::size_of::<netif_extra_info__bindgen_ty_1__bindgen_ty_3>() - 6usize];
    [
        "Alignment of netif_extra_info__bindgen_ty_1__bindgen_ty_3",
    ][::core::mem::align_of::<netif_extra_info__bindgen_ty_1__bindgen_ty_3>() - 1usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_3::type_",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_3, type_)
        - 0usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_3::algorithm",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_3, algorithm)
        - 1usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1__bindgen_ty_3::value",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1__bindgen_ty_3, value)
        - 2usize];
};
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_extra_info__bindgen_ty_1",
    ][::core::mem::size_of::<netif_extra_info__bindgen_ty_1>() - 6usize];
    [
        "Alignment of netif_extra_info__bindgen_ty_1",
    ][::core::mem::align_of::<netif_extra_info__bindgen_ty_1>() - 2usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1::gso",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1, gso) - 0usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1::mcast",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1, mcast) - 0usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1::hash",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1, hash) - 0usize];
    [
        "Offset of field: netif_extra_info__bindgen_ty_1::pad",
    ][::core::mem::offset_of!(netif_extra_info__bindgen_ty_1, pad) - 0usize];
};
impl Default for netif_extra_info__bindgen_ty_1 {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of netif_extra_info"][::core::mem::size_of::<netif_extra_info>() - 8usize];
    [
        "Alignment of netif_extra_info",
    ][::core::mem::align_of::<netif_extra_info>() - 2usize];
    [
        "Offset of field: netif_extra_info::type_",
    ][::core::mem::offset_of!(netif_extra_info, type_) - 0usize];
    [
        "Offset of field: netif_extra_info::flags",
    ][::core::mem::offset_of!(netif_extra_info, flags) - 1usize];
    [
        "Offset of field: netif_extra_info::u",
    ][::core::mem::offset_of!(netif_extra_info, u) - 2usize];
};
impl Default for netif_extra_info {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_tx_response {
    pub id: u16,
    pub status: i16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of netif_tx_response"][::core::mem::size_of::<netif_tx_response>() - 4usize];
    [
        "Alignment of netif_tx_response",
    ][::core::mem::align_of::<netif_tx_response>() - 2usize];
    [
        "Offset of field: netif_tx_response::id",
    ][::core::mem::offset_of!(netif_tx_response, id) - 0usize];
    [
        "Offset of field: netif_tx_response::status",
    ][::core::mem::offset_of!(netif_tx_response, status) - 2usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_rx_request {
    pub id: u16,
    pub pad: u16,
    pub gref: grant_ref_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of netif_rx_request"][::core::mem::size_of::<netif_rx_request>() - 8usize];
    [
        "Alignment of netif_rx_request",
    ][::core::mem::align_of::<netif_rx_request>() - 4usize];
    [
        "Offset of field: netif_rx_request::id",
    ][::core::mem::offset_of!(netif_rx_request, id) - 0usize];
    [
        "Offset of field: netif_rx_request::pad",
    ][::core::mem::offset_of!(netif_rx_request, pad) - 2usize];
    [
        "Offset of field: netif_rx_request::gref",
    ][::core::mem::offset_of!(netif_rx_request, gref) - 4usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_rx_response {
    pub id: u16,
    pub offset: u16,
    pub flags: u16,
    pub status: i16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of netif_rx_response"][::core::mem::size_of::<netif_rx_response>() - 8usize];
    [
        "Alignment of netif_rx_response",
    ][::core::mem::align_of::<netif_rx_response>() - 2usize];
    [
        "Offset of field: netif_rx_response::id",
    ][::core::mem::offset_of!(netif_rx_response, id) - 0usize];
    [
        "Offset of field: netif_rx_response::offset",
    ][::core::mem::offset_of!(netif_rx_response, offset) - 2usize];
    [
        "Offset of field: netif_rx_response::flags",
    ][::core::mem::offset_of!(netif_rx_response, flags) - 4usize];
    [
        "Offset of field: netif_rx_response::status",
    ][::core::mem::offset_of!(netif_rx_response, status) - 6usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub union netif_tx_sring_entry {
    pub req: netif_tx_request,
    pub rsp: netif_tx_response,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_tx_sring_entry",
    ][::core::mem::size_of::<netif_tx_sring_entry>() - 12usize];
    [
        "Alignment of netif_tx_sring_entry",
    ][::core::mem::align_of::<netif_tx_sring_entry>() - 4usize];
    [
        "Offset of field: netif_tx_sring_entry::req",
    ][::core::mem::offset_of!(netif_tx_sring_entry, req) - 0usize];
    [
        "Offset of field: netif_tx_sring_entry::rsp",
    ][::core::mem::offset_of!(netif_tx_sring_entry, rsp) - 0usize];
};
impl Default for netif_tx_sring_entry {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct netif_tx_sring {
    pub req_prod: RING_IDX,
    pub req_event: RING_IDX,
    pub rsp_prod: RING_IDX,
    pub rsp_event: RING_IDX,
    pub pvt: netif_tx_sring__bindgen_ty_1,
    pub __pad: [u8; 44usize],
    pub ring: [netif_tx_sring_entry; 1usize],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union netif_tx_sring__bindgen_ty_1 {
    pub netif: netif_tx_sring__bindgen_ty_1__bindgen_ty_1,
    pub tapif_user: netif_tx_sring__bindgen_ty_1__bindgen_ty_2,
    pub pvt_pad: [u8; 4usize],
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_tx_sring__bindgen_ty_1__bindgen_ty_1 {
    pub smartpoll_active: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_tx_sring__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::size_of::<netif_tx_sring__bindgen_ty_1__bindgen_ty_1>() - 1usize];
    [
        "Alignment of netif_tx_sring__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::align_of::<netif_tx_sring__bindgen_ty_1__bindgen_ty_1>() - 1usize];
    [
        "Offset of field: netif_tx_sring__bindgen_ty_1__bindgen_ty_1::smartpoll_active",
    ][::core::mem::offset_of!(
        netif_tx_sring__bindgen_ty_1__bindgen_ty_1, smartpoll_active
    ) - 0usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_tx_sring__bindgen_ty_1__bindgen_ty_2 {
    pub msg: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_tx_sring__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::size_of::<netif_tx_sring__bindgen_ty_1__bindgen_ty_2>() - 1usize];
    [
        "Alignment of netif_tx_sring__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::align_of::<netif_tx_sring__bindgen_ty_1__bindgen_ty_2>() - 1usize];
    [
        "Offset of field: netif_tx_sring__bindgen_ty_1__bindgen_ty_2::msg",
    ][::core::mem::offset_of!(netif_tx_sring__bindgen_ty_1__bindgen_ty_2, msg) - 0usize];
};
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_tx_sring__bindgen_ty_1",
    ][::core::mem::size_of::<netif_tx_sring__bindgen_ty_1>() - 4usize];
    [
        "Alignment of netif_tx_sring__bindgen_ty_1",
    ][::core::mem::align_of::<netif_tx_sring__bindgen_ty_1>() - 1usize];
    [
        "Offset of field: netif_tx_sring__bindgen_ty_1::netif",
    ][::core::mem::offset_of!(netif_tx_sring__bindgen_ty_1, netif) - 0usize];
    [
        "Offset of field: netif_tx_sring__bindgen_ty_1::tapif_user",
    ][::core::mem::offset_of!(netif_tx_sring__bindgen_ty_1, tapif_user) - 0usize];
    [
        "Offset of field: netif_tx_sring__bindgen_ty_1::pvt_pad",
    ][::core::mem::offset_of!(netif_tx_sring__bindgen_ty_1, pvt_pad) - 0usize];
};
impl Default for netif_tx_sring__bindgen_ty_1 {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of netif_tx_sring"][::core::mem::size_of::<netif_tx_sring>() - 76usize];
    ["Alignment of netif_tx_sring"][::core::mem::align_of::<netif_tx_sring>() - 4usize];
    [
        "Offset of field: netif_tx_sring::req_prod",
    ][::core::mem::offset_of!(netif_tx_sring, req_prod) - 0usize];
    [
        "Offset of field: netif_tx_sring::req_event",
    ][::core::mem::offset_of!(netif_tx_sring, req_event) - 4usize];
    [
        "Offset of field: netif_tx_sring::rsp_prod",
    ][::core::mem::offset_of!(netif_tx_sring, rsp_prod) - 8usize];
    [
        "Offset of field: netif_tx_sring::rsp_event",
    ][::core::mem::offset_of!(netif_tx_sring, rsp_event) - 12usize];
    [
        "Offset of field: netif_tx_sring::pvt",
    ][::core::mem::offset_of!(netif_tx_sring, pvt) - 16usize];
    [
        "Offset of field: netif_tx_sring::__pad",
    ][::core::mem::offset_of!(netif_tx_sring, __pad) - 20usize];
    [
        "Offset of field: netif_tx_sring::ring",
    ][::core::mem::offset_of!(netif_tx_sring, ring) - 64usize];
};
impl Default for netif_tx_sring {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union netif_rx_sring_entry {
    pub req: netif_rx_request,
    pub rsp: netif_rx_response,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_rx_sring_entry",
    ][::core::mem::size_of::<netif_rx_sring_entry>() - 8usize];
    [
        "Alignment of netif_rx_sring_entry",
    ][::core::mem::align_of::<netif_rx_sring_entry>() - 4usize];
    [
        "Offset of field: netif_rx_sring_entry::req",
    ][::core::mem::offset_of!(netif_rx_sring_entry, req) - 0usize];
    [
        "Offset of field: netif_rx_sring_entry::rsp",
    ][::core::mem::offset_of!(netif_rx_sring_entry, rsp) - 0usize];
};
impl Default for netif_rx_sring_entry {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct netif_rx_sring {
    pub req_prod: RING_IDX,
    pub req_event: RING_IDX,
    pub rsp_prod: RING_IDX,
    pub rsp_event: RING_IDX,
    pub pvt: netif_rx_sring__bindgen_ty_1,
    pub __pad: [u8; 44usize],
    pub ring: [netif_rx_sring_entry; 1usize],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union netif_rx_sring__bindgen_ty_1 {
    pub netif: netif_rx_sring__bindgen_ty_1__bindgen_ty_1,
    pub tapif_user: netif_rx_sring__bindgen_ty_1__bindgen_ty_2,
    pub pvt_pad: [u8; 4usize],
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_rx_sring__bindgen_ty_1__bindgen_ty_1 {
    pub smartpoll_active: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_rx_sring__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::size_of::<netif_rx_sring__bindgen_ty_1__bindgen_ty_1>() - 1usize];
    [
        "Alignment of netif_rx_sring__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::align_of::<netif_rx_sring__bindgen_ty_1__bindgen_ty_1>() - 1usize];
    [
        "Offset of field: netif_rx_sring__bindgen_ty_1__bindgen_ty_1::smartpoll_active",
    ][::core::mem::offset_of!(
        netif_rx_sring__bindgen_ty_1__bindgen_ty_1, smartpoll_active
    ) - 0usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct netif_rx_sring__bindgen_ty_1__bindgen_ty_2 {
    pub msg: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_rx_sring__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::size_of::<netif_rx_sring__bindgen_ty_1__bindgen_ty_2>() - 1usize];
    [
        "Alignment of netif_rx_sring__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::align_of::<netif_rx_sring__bindgen_ty_1__bindgen_ty_2>() - 1usize];
    [
        "Offset of field: netif_rx_sring__bindgen_ty_1__bindgen_ty_2::msg",
    ][::core::mem::offset_of!(netif_rx_sring__bindgen_ty_1__bindgen_ty_2, msg) - 0usize];
};
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of netif_rx_sring__bindgen_ty_1",
    ][::core::mem::size_of::<netif_rx_sring__bindgen_ty_1>() - 4usize];
    [
        "Alignment of netif_rx_sring__bindgen_ty_1",
    ][::core::mem::align_of::<netif_rx_sring__bindgen_ty_1>() - 1usize];
    [
        "Offset of field: netif_rx_sring__bindgen_ty_1::netif",
    ][::core::mem::offset_of!(netif_rx_sring__bindgen_ty_1, netif) - 0usize];
    [
        "Offset of field: netif_rx_sring__bindgen_ty_1::tapif_user",
    ][::core::mem::offset_of!(netif_rx_sring__bindgen_ty_1, tapif_user) - 0usize];
    [
        "Offset of field: netif_rx_sring__bindgen_ty_1::pvt_pad",
    ][::core::mem::offset_of!(netif_rx_sring__bindgen_ty_1, pvt_pad) - 0usize];
};
impl Default for netif_rx_sring__bindgen_ty_1 {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of netif_rx_sring"][::core::mem::size_of::<netif_rx_sring>() - 72usize];
    ["Alignment of netif_rx_sring"][::core::mem::align_of::<netif_rx_sring>() - 4usize];
    [
        "Offset of field: netif_rx_sring::req_prod",
    ][::core::mem::offset_of!(netif_rx_sring, req_prod) - 0usize];
    [
        "Offset of field: netif_rx_sring::req_event",
    ][::core::mem::offset_of!(netif_rx_sring, req_event) - 4usize];
    [
        "Offset of field: netif_rx_sring::rsp_prod",
    ][::core::mem::offset_of!(netif_rx_sring, rsp_prod) - 8usize];
    [
        "Offset of field: netif_rx_sring::rsp_event",
    ][::core::mem::offset_of!(netif_rx_sring, rsp_event) - 12usize];
    [
        "Offset of field: netif_rx_sring::pvt",
    ][::core::mem::offset_of!(netif_rx_sring, pvt) - 16usize];
    [
        "Offset of field: netif_rx_sring::__pad",
    ][::core::mem::offset_of!(netif_rx_sring, __pad) - 20usize];
    [
        "Offset of field: netif_rx_sring::ring",
    ][::core::mem::offset_of!(netif_rx_sring, ring) - 64usize];
};
impl Default for netif_rx_sring {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct blkif_request_segment {
    pub gref: grant_ref_t,
    pub first_sect: u8,
    pub last_sect: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of blkif_request_segment",
    ][::core::mem::size_of::<blkif_request_segment>() - 8usize];
    [
        "Alignment of blkif_request_segment",
    ][::core::mem::align_of::<blkif_request_segment>() - 4usize];
    [
        "Offset of field: blkif_request_segment::gref",
    ][::core::mem::offset_of!(blkif_request_segment, gref) - 0usize];
    [
        "Offset of field: blkif_request_segment::first_sect",
    ][::core::mem::offset_of!(blkif_request_segment, first_sect) - 4usize];
    [
        "Offset of field: blkif_request_segment::last_sect",
    ][::core::mem::offset_of!(blkif_request_segment, last_sect) - 5usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct blkif_request {
    pub operation: u8,
    pub nr_segments: u8,
    pub handle: u16,
    pub id: u64,
    pub sector_number: u64,
    pub seg: [blkif_request_segment; 11usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of blkif_request"][::core::mem::size_of::<blkif_request>() - 112usize];
    ["Alignment of blkif_request"][::core::mem::align_of::<blkif_request>() - 8usize];
    [
        "Offset of field: blkif_request::operation",
    ][::core::mem::offset_of!(blkif_request, operation) - 0usize];
    [
        "Offset of field: blkif_request::nr_segments",
    ][::core::mem::offset_of!(blkif_request, nr_segments) - 1usize];
    [
        "Offset of field: blkif_request::handle",
    ][::core::mem::offset_of!(blkif_request, handle) - 2usize];
    [
        "Offset of field: blkif_request::id",
    ][::core::mem::offset_of!(blkif_request, id) - 8usize];
    [
        "Offset of field: blkif_request::sector_number",
    ][::core::mem::offset_of!(blkif_request, sector_number) - 16usize];
    [
        "Offset of field: blkif_request::seg",
    ][::core::mem::offset_of!(blkif_request, seg) - 24usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct blkif_request_discard {
    pub operation: u8,
    pub flag: u8,
    pub handle: u16,
    pub id: u64,
    pub sector_number: u64,
    pub nr_sectors: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of blkif_request_discard",
    ][::core::mem::size_of::<blkif_request_discard>() - 32usize];
    [
        "Alignment of blkif_request_discard",
    ][::core::mem::align_of::<blkif_request_discard>() - 8usize];
    [
        "Offset of field: blkif_request_discard::operation",
    ][::core::mem::offset_of!(blkif_request_discard, operation) - 0usize];
    [
        "Offset of field: blkif_request_discard::flag",
    ][::core::mem::offset_of!(blkif_request_discard, flag) - 1usize];
    [
        "Offset of field: blkif_request_discard::handle",
    ][::core::mem::offset_of!(blkif_request_discard, handle) - 2usize];
    [
        "Offset of field: blkif_request_discard::id",
    ][::core::mem::offset_of!(blkif_request_discard, id) - 8usize];
    [
        "Offset of field: blkif_request_discard::sector_number",
    ][::core::mem::offset_of!(blkif_request_discard, sector_number) - 16usize];
    [
        "Offset of field: blkif_request_discard::nr_sectors",
    ][::core::mem::offset_of!(blkif_request_discard, nr_sectors) - 24usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct blkif_request_indirect {
    pub operation: u8,
    pub indirect_op: u8,
    pub nr_segments: u16,
    pub id: u64,
    pub sector_number: u64,
    pub handle: u16,
    pub indirect_grefs: [grant_ref_t; 8usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of blkif_request_indirect",
    ][::core::mem::size_of::<blkif_request_indirect>() - 64usize];
    [
        "Alignment of blkif_request_indirect",
    ][::core::mem::align_of::<blkif_request_indirect>() - 8usize];
    [
        "Offset of field: blkif_request_indirect::operation",
    ][::core::mem::offset_of!(blkif_request_indirect, operation) - 0usize];
    [
        "Offset of field: blkif_request_indirect::indirect_op",
    ][::core::mem::offset_of!(blkif_request_indirect, indirect_op) - 1usize];
    [
        "Offset of field: blkif_request_indirect::nr_segments",
    ][::core::mem::offset_of!(blkif_request_indirect, nr_segments) - 2usize];
    [
        "Offset of field: blkif_request_indirect::id",
    ][::core::mem::offset_of!(blkif_request_indirect, id) - 8usize];
    [
        "Offset of field: blkif_request_indirect::sector_number",
    ][::core::mem::offset_of!(blkif_request_indirect, sector_number) - 16usize];
    [
        "Offset of field: blkif_request_indirect::handle",
    ][::core::mem::offset_of!(blkif_request_indirect, handle) - 24usize];
    [
        "Offset of field: blkif_request_indirect::indirect_grefs",
    ][::core::mem::offset_of!(blkif_request_indirect, indirect_grefs) - 28usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct blkif_response {
    pub id: u64,
    pub operation: u8,
    pub status: i16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of blkif_response"][::core::mem::size_of::<blkif_response>() - 16usize];
    ["Alignment of blkif_response"][::core::mem::align_of::<blkif_response>() - 8usize];
    [
        "Offset of field: blkif_response::id",
    ][::core::mem::offset_of!(blkif_response, id) - 0usize];
    [
        "Offset of field: blkif_response::operation",
    ][::core::mem::offset_of!(blkif_response, operation) - 8usize];
    [
        "Offset of field: blkif_response::status",
    ][::core::mem::offset_of!(blkif_response, status) - 10usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub union blkif_sring_entry {
    pub req: blkif_request,
    pub rsp: blkif_response,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of blkif_sring_entry",
    ][::core::mem::size_of::<blkif_sring_entry>() - 112usize];
    [
        "Alignment of blkif_sring_entry",
    ][::core::mem::align_of::<blkif_sring_entry>() - 8usize];
    [
        "Offset of field: blkif_sring_entry::req",
    ][::core::mem::offset_of!(blkif_sring_entry, req) - 0usize];
    [
        "Offset of field: blkif_sring_entry::rsp",
    ][::core::mem::offset_of!(blkif_sring_entry, rsp) - 0usize];
};
impl Default for blkif_sring_entry {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct blkif_sring {
    pub req_prod: RING_IDX,
    pub req_event: RING_IDX,
    pub rsp_prod: RING_IDX,
    pub rsp_event: RING_IDX,
    pub pvt: blkif_sring__bindgen_ty_1,
    pub __pad: [u8; 44usize],
    pub ring: [blkif_sring_entry; 1usize],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union blkif_sring__bindgen_ty_1 {
    pub netif: blkif_sring__bindgen_ty_1__bindgen_ty_1,
    pub tapif_user: blkif_sring__bindgen_ty_1__bindgen_ty_2,
    pub pvt_pad: [u8; 4usize],
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct blkif_sring__bindgen_ty_1__bindgen_ty_1 {
    pub smartpoll_active: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of blkif_sring__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::size_of::<blkif_sring__bindgen_ty_1__bindgen_ty_1>() - 1usize];
    [
        "Alignment of blkif_sring__bindgen_ty_1__bindgen_ty_1",
    ][::core::mem::align_of::<blkif_sring__bindgen_ty_1__bindgen_ty_1>() - 1usize];
    [
        "Offset of field: blkif_sring__bindgen_ty_1__bindgen_ty_1::smartpoll_active",
    ][::core::mem::offset_of!(blkif_sring__bindgen_ty_1__bindgen_ty_1, smartpoll_active)
        - 0usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct blkif_sring__bindgen_ty_1__bindgen_ty_2 {
    pub msg: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of blkif_sring__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::size_of::<blkif_sring__bindgen_ty_1__bindgen_ty_2>() - 1usize];
    [
        "Alignment of blkif_sring__bindgen_ty_1__bindgen_ty_2",
    ][::core::mem::align_of::<blkif_sring__bindgen_ty_1__bindgen_ty_2>() - 1usize];
    [
        "Offset of field: blkif_sring__bindgen_ty_1__bindgen_ty_2::msg",
    ][::core::mem::offset_of!(blkif_sring__bindgen_ty_1__bindgen_ty_2, msg) - 0usize];
};
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of blkif_sring__bindgen_ty_1",
    ][::core::mem::size_of::<blkif_sring__bindgen_ty_1>() - 4usize];
    [
        "Alignment of blkif_sring__bindgen_ty_1",
    ][::core::mem::align_of::<blkif_sring__bindgen_ty_1>() - 1usize];
    [
        "Offset of field: blkif_sring__bindgen_ty_1::netif",
    ][::core::mem::offset_of!(blkif_sring__bindgen_ty_1, netif) - 0usize];
    [
        "Offset of field: blkif_sring__bindgen_ty_1::tapif_user",
    ][::core::mem::offset_of!(blkif_sring__bindgen_ty_1, tapif_user) - 0usize];
    [
        "Offset of field: blkif_sring__bindgen_ty_1::pvt_pad",
    ][::core::mem::offset_of!(blkif_sring__bindgen_ty_1, pvt_pad) - 0usize];
};
impl Default for blkif_sring__bindgen_ty_1 {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of blkif_sring"][::core::mem::size_of::<blkif_sring>() - 176usize];
    ["Alignment of blkif_sring"][::core::mem::align_of::<blkif_sring>() - 8usize];
    [
        "Offset of field: blkif_sring::req_prod",
    ][::core::mem::offset_of!(blkif_sring, req_prod) - 0usize];
    [
        "Offset of field: blkif_sring::req_event",
    ][::core::mem::offset_of!(blkif_sring, req_event) - 4usize];
    [
        "Offset of field: blkif_sring::rsp_prod",
    ][::core::mem::offset_of!(blkif_sring, rsp_prod) - 8usize];
    [
        "Offset of field: blkif_sring::rsp_event",
    ][::core::mem::offset_of!(blkif_sring, rsp_event) - 12usize];
    [
        "Offset of field: blkif_sring::pvt",
    ][::core::mem::offset_of!(blkif_sring, pvt) - 16usize];
    [
        "Offset of field: blkif_sring::__pad",
    ][::core::mem::offset_of!(blkif_sring, __pad) - 20usize];
    [
        "Offset of field: blkif_sring::ring",
    ][::core::mem::offset_of!(blkif_sring, ring) - 64usize];
};
impl Default for blkif_sring {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
