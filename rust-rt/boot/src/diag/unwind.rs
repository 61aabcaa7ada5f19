//! Where the unwinder of libgcc finds the unwind tables of the image.
//!
//! libgcc asks `_dl_find_object` for the table that covers an address; std's own symboliser, and
//! older libgcc, walk the objects with `dl_iterate_phdr`. An image is one object.

use core::ffi::{c_char, c_int, c_void};

// SAFETY: symbols of the link script; only their addresses are used.
unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __image_start: u8;
    static __image_end: u8;
    static __eh_frame_hdr_start: u8;
    static __eh_frame_hdr_end: u8;
}

/// `struct dl_find_object` of glibc's <dlfcn.h> (x86-64).
#[repr(C)]
pub struct DlFindObject {
    flags: u64,
    map_start: *const u8,
    map_end: *const u8,
    link_map: *const c_void,
    eh_frame_hdr: *const u8,
    reserved: [u64; 7],
}

const _: () = assert!(size_of::<DlFindObject>() == 96);

/// Fills `result` for the object that contains `address`: 0 if the image does, else -1.
///
/// # Safety
///
/// `result` must be valid for writes.
#[unsafe(no_mangle)]
unsafe extern "C" fn _dl_find_object(address: *const u8, result: *mut DlFindObject) -> c_int {
    let (start, end) = (&raw const __text_start, &raw const __text_end);
    if !(start..end).contains(&address) {
        return -1;
    }
    // SAFETY: the caller passes a valid structure.
    unsafe {
        result.write(DlFindObject {
            flags: 0,
            map_start: &raw const __image_start,
            map_end: &raw const __image_end,
            link_map: core::ptr::null(),
            eh_frame_hdr: &raw const __eh_frame_hdr_start,
            reserved: [0; 7],
        });
    }
    0
}

/// `Elf64_Phdr` of <elf.h>.
#[repr(C)]
pub struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
}

/// `struct dl_phdr_info` of glibc's <link.h>.
#[repr(C)]
pub struct PhdrInfo {
    addr: u64,
    name: *const c_char,
    headers: *const ProgramHeader,
    count: u16,
    adds: u64,
    subs: u64,
    tls_module: usize,
    tls_data: *mut c_void,
}

const PT_LOAD: u32 = 1;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// Calls `callback` once, with the headers of the text and of the unwind table.
///
/// # Safety
///
/// `callback` must be sound to call with `data`.
#[unsafe(no_mangle)]
unsafe extern "C" fn dl_iterate_phdr(
    callback: unsafe extern "C" fn(*mut PhdrInfo, usize, *mut c_void) -> c_int,
    data: *mut c_void,
) -> c_int {
    let header = |kind, flags, start: *const u8, end: *const u8| ProgramHeader {
        kind,
        flags,
        offset: 0,
        vaddr: start as u64,
        paddr: start as u64,
        filesz: end as u64 - start as u64,
        memsz: end as u64 - start as u64,
        align: 4096,
    };
    let headers = [
        header(PT_LOAD, 5, &raw const __text_start, &raw const __text_end),
        header(PT_GNU_EH_FRAME, 4, &raw const __eh_frame_hdr_start, &raw const __eh_frame_hdr_end),
    ];
    let mut info = PhdrInfo {
        addr: 0,
        name: c"".as_ptr(),
        headers: headers.as_ptr(),
        count: headers.len() as u16,
        adds: 1,
        subs: 0,
        tls_module: 0,
        tls_data: core::ptr::null_mut(),
    };
    // SAFETY: the caller vouches for the callback; `info` and `headers` outlive the call.
    unsafe { callback(&raw mut info, size_of::<PhdrInfo>(), data) }
}
