//! Unwinding OCaml's frames by the tables that its collector has, in place of `.eh_frame`.
//!
//! `ffi/link/trim` takes the unwind tables of OCaml functions out of an image. The collector's tables have, for
//! each return address in OCaml code, the size of the frame it returns to, which is all that an unwinder needs:
//! OCaml code keeps no register for its caller. libgcc wants to see DWARF, so [`Made`] is the few bytes that say the
//! same of one frame; `unwind.rs` hands them over.
//!
//! Two kinds of address have no entry: where a CPU exception happened, and where a C function that OCaml calls
//! without telling the collector (`caml_modify`, for one) returns to. The size is then that of the nearest entry,
//! which is nearly always one of the same function; otherwise the backtrace ends early or has a wrong line. Such a
//! C function runs on C's stack, and OCaml's stack pointer is meanwhile in `rbx`.

/// The frame of the OCaml function to which `address` returns, in bytes with the return address; or that of the nearest
/// return address, if that is near. None for code that is not OCaml's.
///
/// # Safety
///
/// `tables` must be a list of OCaml's frame tables, with a null pointer as its end.
pub(super) unsafe fn frame_size(mut tables: *const *const u8, address: u64) -> Option<u16> {
    let mut nearest = None;
    let mut least = NEAR + 1;
    loop {
        // SAFETY: up to its null pointer the list is as the caller says.
        let table = unsafe { *tables };
        if table.is_null() {
            return nearest;
        }
        tables = tables.wrapping_add(1);
        // SAFETY: a table begins with the number of its descriptors.
        let count = unsafe { table.cast::<u64>().read() };
        let mut at = table.wrapping_add(8);
        for _ in 0..count {
            // SAFETY: `at` is the next of `count` descriptors.
            let descriptor = unsafe { Descriptor::read(at) };
            at = at.wrapping_add(descriptor.length);
            let distance = descriptor.returns_to.abs_diff(address);
            if descriptor.size != NO_SIZE && distance < least {
                least = distance;
                nearest = Some(descriptor.size & !FLAGS);
                if distance == 0 {
                    return nearest;
                }
            }
        }
    }
}

/// Whether the code behind the call at `address` first goes back to OCaml's stack, by `mov rsp, rbx`.
///
/// # Safety
///
/// `address` must be in the image's text.
pub(super) unsafe fn on_other_stack(address: *const u8) -> bool {
    // SAFETY: text goes on behind a function of OCaml, if only with the runtime's own.
    let next: [u8; 3] = unsafe { address.wrapping_add(1).cast::<[u8; 3]>().read() };
    next == [0x48, 0x89, 0xdc]
}

/// How far from a return address its function is believed to reach, in bytes.
const NEAR: u64 = 4096;
/// The size of frames that are no OCaml function's.
const NO_SIZE: u16 = 0xffff;
/// Bits of a size that say what follows: source locations, lengths of allocations.
const FLAGS: u16 = HAS_LOCATIONS | HAS_LENGTHS;
const HAS_LOCATIONS: u16 = 1;
const HAS_LENGTHS: u16 = 2;

/// What a frame table says of one return address: `frame_descr` of OCaml's `caml/stack.h`.
struct Descriptor {
    returns_to: u64,
    size: u16,
    /// Of the descriptor itself, up to the next.
    length: usize,
}

impl Descriptor {
    /// # Safety
    ///
    /// There must be a descriptor at `at`.
    unsafe fn read(at: *const u8) -> Self {
        let half = |offset: usize| {
            // SAFETY: every descriptor has two numbers of 16 bits behind the address.
            unsafe { at.wrapping_add(offset).cast::<u16>().read_unaligned() }
        };
        // SAFETY: a descriptor begins with the return address.
        let returns_to = unsafe { at.cast::<u64>().read_unaligned() };
        let (size, live) = (half(8), usize::from(half(10)));
        let mut length = 12 + 2 * live;
        let mut locations = 1;
        if size != NO_SIZE {
            if size & HAS_LENGTHS != 0 {
                // SAFETY: the flag says that the number of allocations is here.
                let allocations = unsafe { *at.wrapping_add(length) };
                locations = usize::from(allocations);
                length += 1 + locations;
            }
            if size & HAS_LOCATIONS != 0 {
                length = length.next_multiple_of(4) + 4 * locations;
            }
        }
        Descriptor { returns_to, size, length: length.next_multiple_of(8) }
    }
}

/// A table with the frame of one address.
#[repr(C, align(8))]
pub(super) struct Made {
    /// `.eh_frame_hdr`: its version and encodings, where `.eh_frame` is, and the function and entry of its only line.
    header: [u8; 4],
    eh_frame: i32,
    count: u32,
    function: i32,
    entry: i32,
    cie: [u8; 28],
    /// Its length, the distance to the CIE, where the function begins, how long it is, and no augmentation.
    fde: [i32; 5],
}

/// Numbers of registers in DWARF.
pub(super) const RBX: u8 = 3;
pub(super) const RSP: u8 = 7;

/// Addresses relative to where they are, of 32 bits (`DW_EH_PE_pcrel | DW_EH_PE_sdata4`); a plain number of 32 bits;
/// a table relative to the header.
const HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];

impl Made {
    /// Of no address.
    pub(super) const fn new() -> Self {
        Made {
            header: HEADER,
            eh_frame: 0,
            count: 1,
            function: 0,
            entry: 0,
            cie: [0; 28],
            fde: [0; 5],
        }
    }

    /// Describes a frame of `size` bytes above the address in register `base`, which runs at `address`; gives the
    /// header.
    pub(super) fn fill(&mut self, address: *const u8, base: u8, size: u16) -> *const u8 {
        let (low, high) = (size as u8 & 0x7f | 0x80, size >> 7);
        self.cie = [
            24,
            0,
            0,
            0, // bytes that follow
            0,
            0,
            0,
            0,
            1,
            b'z',
            b'R',
            0, // a CIE that says how addresses are written
            1,
            0x78,
            16,
            1,
            0x1b, // units of 1 and -8 bytes, the return address is column 16
            0x0c,
            base,
            low,
            high as u8 & 0x7f | 0x80,
            (high >> 7) as u8, // the frame ends at base + size
            0x90,
            1, // the return address is just below
            0,
            0,
            0,
            0,
        ];
        let from = |here: *const i32| (address as isize - here as isize) as i32;
        let header = (&raw const self.header).cast::<u8>();
        self.function = from(header.cast());
        self.eh_frame = size_of::<i32>() as i32 * 4;
        self.entry = core::mem::offset_of!(Made, fde) as i32;
        self.fde = [16, 4 + size_of_val(&self.cie) as i32, from(&raw const self.fde[2]), 1, 0];
        header
    }
}

#[cfg(test)]
mod tests {
    use super::super::functions::find;
    use super::*;
    use alloc::vec::Vec;

    /// A descriptor with `live` live values, the lengths of `lengths` allocations, and locations if `located`.
    fn descriptor(
        table: &mut Vec<u8>,
        returns_to: u64,
        size: u16,
        live: u16,
        lengths: u8,
        located: bool,
    ) {
        let flags = u16::from(located) | if lengths > 0 { 2 } else { 0 };
        table.extend(returns_to.to_le_bytes());
        table.extend((size | flags).to_le_bytes());
        table.extend(live.to_le_bytes());
        table.extend(core::iter::repeat_n(0xee, 2 * usize::from(live)));
        if lengths > 0 {
            table.push(lengths);
            table.extend(core::iter::repeat_n(0xee, lengths.into()));
        }
        if located {
            table.resize(table.len().next_multiple_of(4), 0);
            table.extend(core::iter::repeat_n(0xee, 4 * usize::from(lengths.max(1))));
        }
        table.resize(table.len().next_multiple_of(8), 0);
    }

    fn tables() -> [Vec<u8>; 2] {
        let mut first = Vec::from(3u64.to_le_bytes());
        descriptor(&mut first, 0x1000, 16, 0, 0, true);
        descriptor(&mut first, 0x1010, 32, 3, 5, true);
        descriptor(&mut first, 0x1020, 48, 1, 2, false);
        let mut second = Vec::from(2u64.to_le_bytes());
        second.extend(0x2000u64.to_le_bytes());
        second.extend([0xff, 0xff, 0, 0, 0, 0, 0, 0]);
        descriptor(&mut second, 0x2010, 1024, 2, 0, false);
        [first, second]
    }

    fn size(address: u64) -> Option<u16> {
        let tables = tables();
        let list = [tables[0].as_ptr(), tables[1].as_ptr(), core::ptr::null()];
        // SAFETY: two tables, made above, and the end.
        unsafe { frame_size(list.as_ptr(), address) }
    }

    #[test]
    fn a_return_address_has_the_size_of_its_frame() {
        assert_eq!(size(0x1000), Some(16));
        assert_eq!(size(0x1010), Some(32));
        assert_eq!(size(0x1020), Some(48));
        assert_eq!(size(0x2010), Some(1024));
    }

    #[test]
    fn another_address_has_that_of_the_nearest() {
        assert_eq!(size(0x1013), Some(32));
        assert_eq!(size(0x101d), Some(48));
        assert_eq!(size(0), Some(16));
        // But far away it is code of somebody else's.
        assert_eq!(size(0x2010 + 4097), None);
        // Where OCaml was entered there is no frame of OCaml's.
        assert_eq!(size(0x2000), Some(1024));
    }

    #[test]
    fn without_tables_there_is_no_frame() {
        // SAFETY: an empty list.
        assert_eq!(unsafe { frame_size([core::ptr::null()].as_ptr(), 0x1000) }, None);
    }

    #[test]
    fn a_call_on_another_stack_is_seen_by_what_follows() {
        // The last byte of the call, then `mov rsp, rbx`, or something else.
        for (code, other) in [([0, 0x48, 0x89, 0xdc], true), ([0, 0x48, 0x89, 0xd8], false)] {
            // SAFETY: four bytes, of which three are behind the address.
            assert_eq!(unsafe { on_other_stack(code.as_ptr()) }, other);
        }
    }

    #[test]
    fn a_made_table_covers_its_address_alone() {
        let mut made = Made::new();
        // The stack may be further than 2 GiB from any code.
        let near = &raw const made.cie[0];
        let header = made.fill(near, RBX, 0x4008);
        // SAFETY: just made.
        unsafe {
            assert!(find(header, near).is_some());
            assert!(find(header, near.wrapping_add(1)).is_none());
            assert!(find(header, near.wrapping_sub(1)).is_none());
        }
        // DW_CFA_def_cfa of rbx with 0x4008 in groups of seven bits.
        assert_eq!(made.cie[17..22], [0x0c, 3, 0x88, 0x80, 1]);
        made.fill(near, RSP, 16);
        assert_eq!(made.cie[17..22], [0x0c, 7, 0x90, 0x80, 0]);
    }
}
