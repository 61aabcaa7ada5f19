//! The overflow of the main stack, in words. SIGSEGV then ends the process, of which a shell says little.
//!
//! The handler has a stack of its own. It only tells what it can be sure of, and leaves everything else to the handler
//! that was there before, such as OCaml's: the instruction is tried again, and fails again.

use host_libc as libc;

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::fmt::{self, Write};
use core::mem::{self, MaybeUninit};
use core::ptr;

use crate::process::error_write;

/// An access so close to the stack's end was to the stack: of a large frame, compilers touch every page in turn.
const NEAR: usize = 4096;
const STACK: usize = 64 * 1024;

/// What only the main thread uses.
struct Own<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: as the type says.
unsafe impl<T> Sync for Own<T> {}

static STACK_OF_HANDLER: Own<[u8; STACK]> = Own(UnsafeCell::new(MaybeUninit::uninit()));
static BEFORE: Own<libc::sigaction> = Own(UnsafeCell::new(MaybeUninit::uninit()));

/// Has an overflow of the main stack reported on standard error. Called on the main thread, and again when somebody
/// else may have installed a handler for SIGSEGV.
pub fn report_stack_overflow() {
    let handler = handle as extern "C" fn(c_int, *const libc::siginfo_t, *const c_void);
    // SAFETY: all structures are C's, for which zeroes are values, and live through the calls. The handler does only
    // what one may do, and its stack is nobody else's.
    unsafe {
        let mut stack: libc::stack_t = mem::zeroed();
        libc::sigaltstack(ptr::null(), &mut stack);
        if stack.ss_flags & libc::SS_DISABLE != 0 {
            stack = libc::stack_t {
                ss_sp: STACK_OF_HANDLER.0.get().cast(),
                ss_flags: 0,
                ss_size: STACK,
            };
            libc::sigaltstack(&stack, ptr::null_mut());
        }
        let mut before: libc::sigaction = mem::zeroed();
        libc::sigaction(libc::SIGSEGV, ptr::null(), &mut before);
        if before.sa_sigaction == handler as usize {
            return;
        }
        (*BEFORE.0.get()).write(before);
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut());
    }
}

extern "C" fn handle(signal: c_int, info: *const libc::siginfo_t, context: *const c_void) {
    // SAFETY: the kernel passes both to a handler of this kind, and what was there before was stored before this
    // handler was installed.
    unsafe {
        let at = (*info).si_addr().addr();
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        if at.abs_diff(registers[libc::REG_RSP as usize] as usize) < NEAR {
            tell(at);
            libc::signal(signal, libc::SIG_DFL);
        } else {
            libc::sigaction(signal, (*BEFORE.0.get()).as_ptr(), ptr::null_mut());
        }
    }
}

fn tell(at: usize) {
    let mut line = Line { bytes: [0; 120], len: 0 };
    // There is room for it.
    let _ = writeln!(
        line,
        "crashed: stack overflow: access to {at:#x}, below the main stack (`ulimit -s`)"
    );
    error_write(&line.bytes[..line.len]);
}

/// A line that takes no memory.
struct Line {
    bytes: [u8; 120],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
