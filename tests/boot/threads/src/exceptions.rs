//! Handlers of CPU exceptions, and memory whose access changes: what programs that compile code at run time live on.

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::thread;

pub fn run() {
    crate::each(&[
        ("a handler goes on elsewhere", elsewhere),
        ("a handler mends the page, and the access is made again", again),
        ("a handler on an alternate stack", alternate),
        ("an exception on a thread", || thread::spawn(elsewhere).join().unwrap()),
        ("code that is written and then executed", code),
    ]);
}

/// Crashes: the handler leaves the exception to the image.
pub fn passed_on() {
    extern "C" fn pass(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
        println!("not mine");
        // SAFETY: a valid signal.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
    }
    handle(libc::SIGSEGV, pass, 0);
    store(ptr::without_provenance_mut(0x2000), 1);
}

/// Crashes: there is no room for the handler, which is not called.
pub fn no_room() {
    handle(libc::SIGSEGV, unexpected, 0);
    crate::crashes::overflow();
}

/// Crashes: the same without a thread.
pub fn no_room_on_main() {
    handle(libc::SIGSEGV, unexpected, 0);
    println!("{}", crate::crashes::dig(0));
}

extern "C" fn unexpected(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    println!("called on a stack that has overflowed");
    std::process::exit(0);
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn handle(signal: c_int, handler: Handler, flags: c_int) {
    // SAFETY: all zeroes is a valid action, and the handler is one of three arguments.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | flags;
        assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
    }
}

fn store(at: *mut u32, value: u32) {
    // SAFETY: there is nothing at the address, or what the test has put there.
    unsafe { asm!("mov dword ptr [{at}], {value:e}", at = in(reg) at, value = in(reg) value) }
}

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static ADDRESS: AtomicUsize = AtomicUsize::new(0);

/// Notes what came, uses vector registers, and goes on at the address in R11, with 42 in RAX.
extern "C" fn jump(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: both are what sigaction(2) says.
    unsafe {
        SIGNAL.store(signal, Ordering::Relaxed);
        CODE.store((*info).si_code, Ordering::Relaxed);
        ADDRESS.store((*info).si_addr().addr(), Ordering::Relaxed);
        asm!("xorps xmm7, xmm7", out("xmm7") _);
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        registers[libc::REG_RIP as usize] = registers[libc::REG_R11 as usize];
        registers[libc::REG_RAX as usize] = 42;
    }
}

/// An instruction that causes an exception, between values in registers that must be kept.
macro_rules! interrupted {
    ($instruction:literal, $rdi:expr) => {{
        let (result, kept, vector): (u64, u64, u64);
        // SAFETY: the handler goes on behind the instruction.
        unsafe {
            asm!(
                "lea r11, [rip + 2f]", "mov r12, 12", "movq xmm7, r12", "mov qword ptr [rsp - 128], r12",
                "xor eax, eax", "xor edx, edx",
                $instruction,
                "2:",
                "movq {vector}, xmm7", "cmp qword ptr [rsp - 128], r12", "je 3f", "mov r12, 0", "3:",
                vector = out(reg) vector,
                in("rdi") $rdi, out("rax") result, out("rdx") _, out("r11") _, out("r12") kept, out("xmm7") _,
            );
        }
        assert_eq!((result, kept, vector), (42, 12, 12));
        [&SIGNAL, &CODE].map(|seen| seen.load(Ordering::Relaxed))
    }};
}

fn elsewhere() {
    for signal in [libc::SIGSEGV, libc::SIGFPE, libc::SIGILL] {
        handle(signal, jump, 0);
    }
    for round in 0..3 {
        assert_eq!(interrupted!("mov rax, [rdi]", 0x2000 + round), [libc::SIGSEGV, 1]);
        assert_eq!(ADDRESS.load(Ordering::Relaxed), 0x2000 + round);
        assert_eq!(interrupted!("div rdx", 0), [libc::SIGFPE, 1]);
        assert_eq!(interrupted!("ud2", 0), [libc::SIGILL, 2]);
        // An address that no pointer has.
        assert_eq!(interrupted!("mov rax, [rdi]", 1usize << 60), [libc::SIGSEGV, 128]);
    }
}

fn map(len: usize) -> *mut u8 {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory.
    let memory = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    memory.cast()
}

fn again() {
    extern "C" fn mend(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        // SAFETY: the page is the test's own.
        unsafe {
            CODE.store((*info).si_code, Ordering::Relaxed);
            let page = (*info).si_addr().map_addr(|address| address & !4095);
            assert_eq!(libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_WRITE), 0);
        }
    }
    handle(libc::SIGSEGV, mend, 0);
    let memory = map(3 * 4096);
    for (access, code) in [(libc::PROT_NONE, 1), (libc::PROT_READ, 2)] {
        let at = memory.wrapping_add(4096 + 8).cast::<u32>();
        store(at, 7);
        // SAFETY: memory of this test, to which it has no references.
        unsafe {
            assert_eq!(libc::mprotect(memory.add(4096).cast(), 4096, access), 0);
            store(at.add(1), 8);
            assert_eq!((at.read(), at.add(1).read(), CODE.load(Ordering::Relaxed)), (7, 8, code));
        }
    }
    // SAFETY: nobody uses it any more.
    assert_eq!(unsafe { libc::munmap(memory.cast(), 3 * 4096) }, 0);
}

fn alternate() {
    static AT: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn note(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        AT.store((&raw const signal).addr(), Ordering::Relaxed);
        jump(signal, info, context);
    }
    let memory = map(1 << 16);
    let mut stack = libc::stack_t { ss_sp: memory.cast(), ss_flags: 0, ss_size: 1 << 16 };
    // SAFETY: the stack is memory of this test.
    assert_eq!(unsafe { libc::sigaltstack(&stack, ptr::null_mut()) }, 0);
    handle(libc::SIGFPE, note, libc::SA_ONSTACK);
    assert_eq!(interrupted!("div rdx", 0), [libc::SIGFPE, 1]);
    assert!((memory.addr()..memory.addr() + (1 << 16)).contains(&AT.load(Ordering::Relaxed)));
    stack.ss_flags = libc::SS_DISABLE;
    // SAFETY: the stack is no longer one, and nobody uses it.
    unsafe {
        assert_eq!(libc::sigaltstack(&stack, ptr::null_mut()), 0);
        assert_eq!(libc::munmap(memory.cast(), 1 << 16), 0);
    }
    handle(libc::SIGFPE, note, libc::SA_ONSTACK);
    assert_eq!(interrupted!("div rdx", 0), [libc::SIGFPE, 1]);
    assert!(!(memory.addr()..memory.addr() + (1 << 16)).contains(&AT.load(Ordering::Relaxed)));
}

fn code() {
    for round in 0..100u8 {
        let memory = map(4096);
        // SAFETY: `mov eax, round; ret`, in memory of this test.
        unsafe {
            memory.copy_from([0xb8, round, 0, 0, 0, 0xc3].as_ptr(), 6);
            assert_eq!(libc::mprotect(memory.cast(), 4096, libc::PROT_READ | libc::PROT_EXEC), 0);
            let function: extern "C" fn() -> u32 = std::mem::transmute(memory);
            assert_eq!(function(), u32::from(round));
            assert_eq!(libc::munmap(memory.cast(), 4096), 0);
        }
    }
}
