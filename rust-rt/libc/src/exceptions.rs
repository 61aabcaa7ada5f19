//! Signals of CPU exceptions, by the rules of sigaction(2): where a program has a handler for one, the handler is
//! called instead of the image's report, with the registers of what was interrupted, and may change them. What compiles
//! code at run time lives on this: an access out of bounds or a division by zero becomes an error of the compiled
//! program.
//!
//! The handler runs on the stack of what was interrupted, or on the thread's alternate one. When it returns,
//! `mirust_signal_return` loads the registers that it has left. An exception in a handler calls the handler again.
//! Where there is no room for a handler, as on a stack that has overflowed, the exception is reported.

use super::handlers::{self, CONTEXT, Context, Information};
use super::states::{FRAME, XSAVE, save_states, states_size};
use super::threads;
use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use mirust_mem::PAGE_SIZE;

/// What the entry code of an exception has saved, from the lowest address up: the registers from R15 to RAX, and from
/// `VECTOR` on what the CPU has pushed.
pub type Saved = [u64; 22];

/// The vector of a page fault.
const PAGE_FAULT: u64 = 14;

const RSI: usize = 10;
const RDI: usize = 9;
const RDX: usize = 11;
const VECTOR: usize = 15;
const ERROR: usize = 16;
const RIP: usize = 17;
const CS: usize = 18;
const RFLAGS: usize = 19;
const RSP: usize = 20;
const SS: usize = 21;

/// Where the first 18 words of `gregs` are in [`Saved`]: R8 to R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, flags.
const REGISTERS: [usize; 18] =
    [7, 6, 5, 4, 3, 2, 1, 0, RDI, RSI, 8, 13, RDX, 14, 12, RSP, RIP, RFLAGS];

/// Where they are in `ucontext_t`, in words; after them the segments, the error code, the vector, the mask of signals,
/// the address, and a pointer to the states of the vector registers.
const GREGS: usize = 5;
const SEGMENTS: usize = GREGS + 18;
const STATES: usize = GREGS + 23;

/// Calls the program's handler of an exception; see [`receiver`].
pub type Receiver = unsafe fn(saved: &mut Saved, vectors: *const u8, address: u64) -> bool;

/// Nothing where no handler was ever set: such a program has no code for this.
static RECEIVER: spin::Once<Receiver> = spin::Once::new();

/// What exceptions are to be given to first. It is given the saved registers, what FXSAVE has written, and for a page
/// fault the address; true if the program goes on with the registers as they are then.
///
/// To call it, these must be the registers of what was interrupted, and the stack must not be that of the latter.
pub fn receiver() -> Option<Receiver> {
    RECEIVER.get().copied()
}

/// Has exceptions call handlers from now on.
pub(super) fn receive() {
    RECEIVER.call_once(|| deliver);
}

/// Whether the signal is one that exceptions raise.
pub(super) fn is_raised(number: c_int) -> bool {
    matches!(number, SIGILL | SIGTRAP | SIGBUS | SIGFPE | SIGSEGV)
}

const SIGILL: c_int = 4;
const SIGTRAP: c_int = 5;
const SIGBUS: c_int = 7;
const SIGFPE: c_int = 8;
const SIGSEGV: c_int = 11;

/// The signal of an exception, and its `si_code`.
fn signal_of(vector: u64, error: u64) -> Option<(c_int, c_int)> {
    const SI_KERNEL: c_int = 0x80;
    Some(match vector {
        0 => (SIGFPE, 1),                                         // FPE_INTDIV
        3 => (SIGTRAP, SI_KERNEL),                                // the instruction INT3
        6 => (SIGILL, 2),                                         // ILL_ILLOPN
        12 => (SIGBUS, SI_KERNEL),                                // an address that no stack has
        13 => (SIGSEGV, SI_KERNEL),                               // no address is known
        PAGE_FAULT => (SIGSEGV, 1 + c_int::from(error & 1 != 0)), // SEGV_MAPERR, SEGV_ACCERR
        16 | 19 => (SIGFPE, 7),                                   // FPE_FLTINV, for one
        17 => (SIGBUS, 1),                                        // BUS_ADRALN
        _ => return None,
    })
}

/// What lies on the handler's stack, from the lowest address up; then come the states of the vector registers.
#[repr(C)]
struct Frame {
    /// Where the handler returns to.
    back: usize,
    context: Context,
    information: Information,
}

const _: () = assert!(size_of::<Frame>() == FRAME);

const FLAGS_DOWN: u64 = 1 << 10 | 1 << 8 | 1 << 18; // direction, single step, alignment check

/// A handler is being called.
static BUSY: AtomicBool = AtomicBool::new(false);

/// See [`receiver`].
unsafe fn deliver(saved: &mut Saved, vectors: *const u8, address: u64) -> bool {
    let Some((number, code)) = signal_of(saved[VECTOR], saved[ERROR]) else { return false };
    // There is no room for a handler on that stack: this is an exception of the code below.
    if BUSY.swap(true, Ordering::Relaxed) {
        return false;
    }
    let Some((handler, on_alternate)) = handlers::take_handler(number) else {
        BUSY.store(false, Ordering::Relaxed);
        return false;
    };
    let alternate = handlers::alternate().get();
    let fault = (saved[VECTOR] == PAGE_FAULT).then_some(address as usize);
    let Some((at, states)) = place(saved[RSP] as usize, alternate, on_alternate, fault) else {
        // Still busy: what goes wrong in the report is no business of the program's.
        return false;
    };
    let mut context: Context = [0; CONTEXT];
    for (to, from) in context[GREGS..].iter_mut().zip(REGISTERS) {
        *to = saved[from];
    }
    context[SEGMENTS] = saved[CS] | saved[SS] << 48;
    context[SEGMENTS + 1] = saved[ERROR];
    context[SEGMENTS + 2] = saved[VECTOR];
    context[SEGMENTS + 4] = address;
    context[STATES] = states as u64;
    let from = if saved[VECTOR] == PAGE_FAULT { address } else { saved[RIP] };
    let information = Information::new(number, code, from);
    let frame = ptr::with_exposed_provenance_mut::<Frame>(at);
    let back = mirust_signal_return as unsafe extern "C" fn() as usize;
    // SAFETY: below the stack pointer and what lies there, or on a stack that the program gave for this. Should the
    // stack have no such room, the exception is reported, as one that came in the middle of this.
    unsafe {
        frame.write(Frame { back, context, information });
        save_states(vectors, ptr::with_exposed_provenance_mut(states));
    }
    saved[RDI] = number as u64;
    saved[RSI] = (at + core::mem::offset_of!(Frame, information)) as u64;
    saved[RDX] = (at + core::mem::offset_of!(Frame, context)) as u64;
    saved[RIP] = handler as u64;
    saved[RSP] = at as u64;
    saved[RFLAGS] &= !FLAGS_DOWN;
    BUSY.store(false, Ordering::Relaxed);
    true
}

/// Where the frame goes, and the states above it: on the alternate stack, or below what was interrupted, which may be
/// on the alternate stack already. None if there is no room, which is what a page fault at the end of a stack is about.
fn place(
    rsp: usize,
    (base, size): (usize, usize),
    on_alternate: bool,
    fault: Option<usize>,
) -> Option<(usize, usize)> {
    let is_there = (base..base + size).contains(&rsp);
    let goes_there = on_alternate && size != 0 && !is_there;
    // Functions may use this much below their stack without reserving it (System V ABI, 3.2.2).
    let top = if goes_there { base + size } else { rsp.checked_sub(128)? };
    let states = top.checked_sub(states_size())? & !63;
    // As after a call: the return address lies 8 bytes below a multiple of 16.
    let at = (states.checked_sub(size_of::<Frame>())? & !15).checked_sub(8)?;
    let has_room = if is_there || goes_there {
        at >= base
    } else {
        // The stack ends at the address, or within the page that a function touches for its variables.
        !fault.is_some_and(|address| {
            (at..rsp.saturating_add(PAGE_SIZE)).contains(&address) || is_below_a_stack(address)
        })
    };
    has_room.then_some((at, states))
}

/// Whether the address is in the guard of a thread's stack.
fn is_below_a_stack(address: usize) -> bool {
    // SAFETY: nothing runs after the report that there is then.
    threads::fibers().is_some_and(|fibers| unsafe { (fibers.stack_owner)(address) }.is_some())
}

// SAFETY: the assembly below defines it; it is never called from Rust, only its address is used.
unsafe extern "C" {
    /// Where handlers return to, with the stack pointer at their context.
    fn mirust_signal_return();
}

core::arch::global_asm!(
    ".pushsection .text.mirust_signal_return,\"ax\",@progbits",
    ".globl mirust_signal_return",
    ".type mirust_signal_return, @function",
    ".cfi_startproc",
    // Backtraces of a handler end here. They look for what is in front of a return address.
    ".cfi_undefined rip",
    "nop",
    "mirust_signal_return:",
    "mov rdi, qword ptr [rsp + 224]",
    "cmp byte ptr [rip + {xsave}], 0",
    "je 2f",
    "mov eax, -1",
    "mov edx, -1",
    "xrstor64 [rdi]",
    "jmp 3f",
    "2:",
    "fxrstor64 [rdi]",
    "3:",
    "mov rcx, rsp",
    // What IRETQ takes: from SS down to RIP.
    "movzx eax, word ptr [rcx + 190]",
    "push rax",
    "push qword ptr [rcx + 160]",
    "push qword ptr [rcx + 176]",
    "movzx eax, word ptr [rcx + 184]",
    "push rax",
    "push qword ptr [rcx + 168]",
    "mov r8, qword ptr [rcx + 40]",
    "mov r9, qword ptr [rcx + 48]",
    "mov r10, qword ptr [rcx + 56]",
    "mov r11, qword ptr [rcx + 64]",
    "mov r12, qword ptr [rcx + 72]",
    "mov r13, qword ptr [rcx + 80]",
    "mov r14, qword ptr [rcx + 88]",
    "mov r15, qword ptr [rcx + 96]",
    "mov rdi, qword ptr [rcx + 104]",
    "mov rsi, qword ptr [rcx + 112]",
    "mov rbp, qword ptr [rcx + 120]",
    "mov rbx, qword ptr [rcx + 128]",
    "mov rdx, qword ptr [rcx + 136]",
    "mov rax, qword ptr [rcx + 144]",
    "mov rcx, qword ptr [rcx + 152]",
    "iretq",
    ".cfi_endproc",
    ".size mirust_signal_return, . - mirust_signal_return",
    ".popsection",
    xsave = sym XSAVE,
);

#[cfg(test)]
mod tests {
    use super::super::states::least_stack;
    use super::*;

    const STACK: usize = 0x10_0000;

    #[test]
    fn a_handler_has_room_on_the_smallest_alternate_stack() {
        let stack = (STACK, least_stack());
        let (at, states) = place(0x8000, stack, true, Some(0x7ff8)).unwrap();
        assert!(at >= STACK + 1024 && states + states_size() <= STACK + least_stack());
        assert_eq!((at % 16, states % 64), (8, 0));
        // Not asked for.
        assert!(place(0x8000, stack, false, None).is_some_and(|(at, _)| at < 0x8000 - 128));
    }

    #[test]
    fn nothing_is_written_below_an_alternate_stack() {
        let small = (STACK, states_size() + 1024);
        assert_eq!(place(0x8000, small, true, None), None);
        // In a handler on it, whether or not this one asks for it.
        let stack = (STACK, 0x10000);
        assert!(place(STACK + 0xf000, stack, false, None).is_some());
        assert_eq!(place(STACK + 0x200, stack, false, None), None);
        assert_eq!(place(STACK + 0x200, stack, true, None), None);
    }

    #[test]
    fn no_handler_runs_on_a_stack_that_has_overflowed() {
        let at = |address| place(STACK, (0, 0), true, Some(address)).is_some();
        assert_eq!([STACK - 8, STACK - 512, STACK, STACK + 64].map(at), [false; 4]);
        assert_eq!([0, STACK - 0x10000, STACK + 0x10000].map(at), [true; 3]);
        // Nor on one that there cannot be.
        assert_eq!([0, 64, 512].map(|rsp| place(rsp, (0, 0), false, None)), [None; 3]);
    }

    #[test]
    fn exceptions_are_the_signals_that_linux_has_for_them() {
        assert_eq!(signal_of(12, 0), Some((host_libc::SIGBUS, host_libc::SI_KERNEL)));
        assert_eq!(signal_of(13, 0), Some((host_libc::SIGSEGV, host_libc::SI_KERNEL)));
        let faults = [0, 2, 3].map(|error| signal_of(14, error).unwrap());
        assert_eq!(faults, [1, 1, 2].map(|code| (host_libc::SIGSEGV, code)));
        assert_eq!(signal_of(1, 0), None);
    }
}
