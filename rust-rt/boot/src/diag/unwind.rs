//! Where the unwinder of libgcc finds the unwind tables of the image.
//!
//! libgcc's unwinder asks `_Unwind_Find_FDE` for the table of a function. libgcc's version of that first finds the
//! object, with `_dl_find_object` or by walking all objects, and keeps trees of those registered at run time: some 12
//! KB, which an image, being one object, does not need. Std's own symboliser walks the objects with `dl_iterate_phdr`.
//!
//! Which function is `_dl_find_object` is the link script's choice: [`mirust_find_object`], unless the image
//! has frames that OCaml's tables describe: then [`mirust_find_frame`].

use super::functions::{self, Function};
use super::ocaml_frames::{self, Made};
use core::cell::UnsafeCell;
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
unsafe extern "C" fn mirust_find_object(address: *const u8, result: *mut DlFindObject) -> c_int {
    if !in_text(address) {
        return -1;
    }
    // SAFETY: the caller passes a valid structure.
    unsafe { result.write(DlFindObject::with_table(table())) };
    0
}

// SAFETY: the type is that of OCaml's runtime: a list that ends with a null pointer. The symbol exists wherever
// `mirust_find_frame` is linked, which only images with trimmed OCaml code ask for.
unsafe extern "C" {
    static caml_frametable: [*const u8; 0];
}

struct Shared(UnsafeCell<Made>);

// SAFETY: `mirust_find_frame` alone uses it, and says why not twice at once.
unsafe impl Sync for Shared {}

static MADE: Shared = Shared(UnsafeCell::new(Made::new()));

/// As [`mirust_find_object`]; where no function of the image's own table contains the address, OCaml's frame tables
/// are asked.
///
/// # Safety
///
/// `result` must be valid for writes. The tables hold until the next call.
#[unsafe(no_mangle)]
unsafe extern "C" fn mirust_find_frame(address: *const u8, result: *mut DlFindObject) -> c_int {
    if !in_text(address) {
        return -1;
    }
    let mut found = table();
    // SAFETY: the linker wrote the image's table, and the compiler OCaml's.
    let size = unsafe {
        if functions::find(found, address).is_some() {
            None
        } else {
            ocaml_frames::frame_size((&raw const caml_frametable).cast(), address as u64 + 1)
        }
    };
    if let Some(size) = size {
        // SAFETY: an image has one CPU, whose threads take turns at calls that block: none of them is made between
        // here and libgcc's use of the table. The address is in the text.
        found = unsafe {
            let other = ocaml_frames::on_other_stack(address);
            let base = if other { ocaml_frames::RBX } else { ocaml_frames::RSP };
            (*MADE.0.get()).fill(address, base, size)
        };
    }
    // SAFETY: the caller passes a valid structure.
    unsafe { result.write(DlFindObject::with_table(found)) };
    0
}

/// `struct dwarf_eh_bases` of libgcc: what addresses in a function's table may count from.
#[repr(C)]
pub struct Bases {
    text: *const u8,
    data: *const u8,
    function: *const u8,
}

// SAFETY: the link script says which of the functions above it is, and both have this type.
unsafe extern "C" {
    fn _dl_find_object(address: *const u8, result: *mut DlFindObject) -> c_int;
}

/// The entry in `.eh_frame` of the function that contains `address`, and in `bases` where the function begins; null if
/// no table has it.
///
/// # Safety
///
/// `bases` must be valid for writes. The entry holds until the next call.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Unwind_Find_FDE(address: *const u8, bases: *mut Bases) -> *const u8 {
    let mut object = DlFindObject::with_table(table());
    // SAFETY: `object` is valid for writes; what it then has is the image's table, or one made for this address.
    let found = unsafe {
        if _dl_find_object(address, &raw mut object) != 0 {
            return core::ptr::null();
        }
        functions::find(object.eh_frame_hdr, address)
    };
    let Some(Function { start, entry }) = found else { return core::ptr::null() };
    // No table counts from where the text or the data begins: such encodings are for other processors.
    let found = Bases { text: core::ptr::null(), data: core::ptr::null(), function: start };
    // SAFETY: the caller passes a valid structure.
    unsafe { bases.write(found) };
    entry
}

/// Whether the image has code there.
fn in_text(address: *const u8) -> bool {
    (&raw const __text_start..&raw const __text_end).contains(&address)
}

/// The image's own `.eh_frame_hdr`.
fn table() -> *const u8 {
    &raw const __eh_frame_hdr_start
}

impl DlFindObject {
    /// The image, with this `.eh_frame_hdr`.
    fn with_table(eh_frame_hdr: *const u8) -> Self {
        DlFindObject {
            flags: 0,
            map_start: &raw const __image_start,
            map_end: &raw const __image_end,
            link_map: core::ptr::null(),
            eh_frame_hdr,
            reserved: [0; 7],
        }
    }
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
