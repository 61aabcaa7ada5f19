//! Segments, and the table of exceptions.
//!
//! All segments are flat. Exceptions run on one of three separate stacks (IST), so that an overflow of the boot stack,
//! and a fault during the report of another, can still be reported. Only the 32 exception vectors have gates: no
//! interrupt is ever enabled.

use core::arch::asm;
use core::cell::UnsafeCell;

/// The code segment's selector. That of the data is the next one.
pub(super) const CODE: u16 = 0x08;
const TSS: u16 = 0x18;
const STACK_SIZE: usize = 16 << 10;

const DOUBLE_FAULT: usize = 8;
const PAGE_FAULT: usize = 14;

/// What boot writes once, before anything else looks at it, and the CPU reads from then on.
#[repr(transparent)]
struct Table<T>(UnsafeCell<T>);
// SAFETY: one thread of execution; written only by `init`, which is called once.
unsafe impl<T> Sync for Table<T> {}

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);
// SAFETY: only the CPU and the code that runs on the stack use it.
unsafe impl Sync for Stack {}

/// Intel SDM, volume 3, 8.7 (64-bit TSS), with the reserved words that make the offsets.
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: [u32; 3],
}
const _: () = assert!(size_of::<TaskState>() == 104);

#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

static STACKS: [Stack; 3] = [const { Stack(UnsafeCell::new([0; STACK_SIZE])) }; 3];
static TASK: Table<TaskState> = Table(UnsafeCell::new(TaskState {
    reserved0: 0,
    rsp: [0; 3],
    reserved1: 0,
    ist: [0; 7],
    reserved2: [0; 3],
}));
static GDT: Table<[u64; 5]> =
    Table(UnsafeCell::new([0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0]));
static IDT: Table<[[u64; 2]; 32]> = Table(UnsafeCell::new([[0; 2]; 32]));

// SAFETY: the assembly in diag/trap.rs defines it: 32 addresses, never written to.
unsafe extern "C" {
    /// Addresses of the entry points, in the order of the vectors (diag/trap.rs).
    static mirust_trap_entries: [u64; 32];
}

/// Loads GDT, TSS and IDT. Called once, first of all.
pub fn init() {
    // SAFETY: called once, and the CPU does not read the tables before they are loaded below. The
    // selectors match the GDT's order; base and limits are those of the statics.
    unsafe {
        let task = TASK.0.get();
        for (i, stack) in STACKS.iter().enumerate() {
            (*task).ist[i] = stack.0.get() as u64 + STACK_SIZE as u64;
        }
        let base = task as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        let gdt = GDT.0.get();
        // An available 64-bit TSS, whose base is spread over the descriptor.
        (*gdt)[3] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        (*gdt)[4] = base >> 32;

        let idt = IDT.0.get();
        for (vector, gate) in (*idt).iter_mut().enumerate() {
            let ist = match vector {
                DOUBLE_FAULT => 1,
                PAGE_FAULT => 2,
                _ => 3,
            };
            let entry = mirust_trap_entries[vector];
            // A present interrupt gate.
            *gate = [
                entry & 0xffff
                    | u64::from(CODE) << 16
                    | ist << 32
                    | 0x8e << 40
                    | (entry >> 16 & 0xffff) << 48,
                entry >> 32,
            ];
        }

        let gdt = Pointer { limit: size_of::<[u64; 5]>() as u16 - 1, base: gdt as u64 };
        let idt = Pointer { limit: size_of::<[[u64; 2]; 32]>() as u16 - 1, base: idt as u64 };
        // The code and data selectors are those that the entry code has loaded already.
        asm!(
            "lgdt [{gdt}]", "lidt [{idt}]", "ltr {tss:x}",
            gdt = in(reg) &gdt, idt = in(reg) &idt, tss = in(reg) TSS,
            options(nostack, preserves_flags)
        );
    }
}
