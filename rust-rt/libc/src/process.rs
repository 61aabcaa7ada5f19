//! The process that an image looks like: its end, its limits and its identity.

use super::die::die;
use super::errno::{self, ECHILD, EINVAL, ENOENT, ENOMEM};
use super::states;
use super::stub::stubs;
use super::threads::block::{Block, Handler, MAIN, living, number};
use super::threads::table::fibers;
use super::{cstr, host, stdio};
use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};
use spin::Mutex;

/// What runs at exit, the last one registered first.
static AT_EXIT: Mutex<Vec<Handler>> = Mutex::new(Vec::new());

/// What is done last of all, when streams have written what they had.
#[cfg(feature = "posix")]
static AT_THE_END: Mutex<Option<fn()>> = Mutex::new(None);

/// Has `f` called when the program ends by itself, whether exit handlers run or not. It may wait.
#[cfg(feature = "posix")]
pub(crate) fn at_the_end(f: fn()) {
    *AT_THE_END.lock() = Some(f);
}

/// Ends the domain.
fn end(code: c_int) -> ! {
    #[cfg(feature = "posix")]
    call(&AT_THE_END);
    (host::get().exit)(code)
}

/// Calls what is done last. It stays there: a thread that ends the program while another does has to wait for the same.
#[cfg(feature = "posix")]
fn call(last: &Mutex<Option<fn()>>) {
    // The lock is not held while it runs.
    let last = *last.lock();
    if let Some(last) = last {
        last();
    }
}

/// Runs the exit handlers and ends the domain: a clean poweroff for code 0. The handlers may
/// register others, and may call `exit` again.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn exit(code: c_int) -> ! {
    loop {
        // The lock is not held while the handler runs.
        let handler = AT_EXIT.lock().pop();
        let Some(Handler { function, argument }) = handler else { break };
        // SAFETY: the caller that registered the function promised that it can be called now, with this argument.
        unsafe { function(argument) };
    }
    stdio::flush_all();
    end(code)
}

/// Ends the domain without running exit handlers, and without what streams on files still have to write. The console,
/// which is no file, has all that was written to it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn _exit(code: c_int) -> ! {
    stdio::flush_console();
    end(code)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn abort() -> ! {
    die(format_args!("abort() was called"))
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn atexit(function: unsafe extern "C" fn()) -> c_int {
    // SAFETY: the System V ABI lets a function be called with an argument that it ignores.
    let function = unsafe {
        core::mem::transmute::<unsafe extern "C" fn(), unsafe extern "C" fn(*mut c_void)>(function)
    };
    register(function, core::ptr::null_mut())
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __cxa_atexit(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    _dso: *mut c_void,
) -> c_int {
    register(function, argument)
}

/// Destructors of thread-local variables: they run when their thread ends, the main stack's with the
/// domain.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __cxa_thread_atexit_impl(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    _dso: *mut c_void,
) -> c_int {
    match Block::current() {
        Some(block) => {
            let mut handlers = block.destructors.take();
            let result = push(&mut handlers, function, argument);
            block.destructors.set(handlers);
            result
        }
        None => register(function, argument),
    }
}

fn register(function: unsafe extern "C" fn(*mut c_void), argument: *mut c_void) -> c_int {
    push(&mut AT_EXIT.lock(), function, argument)
}

fn push(
    handlers: &mut Vec<Handler>,
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
) -> c_int {
    if handlers.try_reserve(1).is_err() {
        return errno::fail(ENOMEM);
    }
    handlers.push(Handler { function, argument });
    0
}

/// The handle of the image among shared objects, of which there are no others.
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static __dso_handle: u8 = 0;

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __assert_fail(
    assertion: *const c_char,
    file: *const c_char,
    line: c_uint,
    function: *const c_char,
) -> ! {
    let text = |s: *const c_char| match s.is_null() {
        true => "?",
        // SAFETY: the compiler passes C strings, or NULL for the function.
        false => core::str::from_utf8(unsafe { cstr::bytes(s) }).unwrap_or("?"),
    };
    let (assertion, file, function) = (text(assertion), text(file), text(function));
    die(format_args!("{file}:{line}: {function}: assertion failed: {assertion}"))
}

/// Called when a function finds its canary overwritten.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __stack_chk_fail() -> ! {
    die(format_args!("stack smashing detected"))
}

const PAGE_SIZE: c_int = 4096;

/// The page size, one processor, pages of memory, 100 ticks a second, and the least and a good size of a stack for
/// handlers of signals; EINVAL for all else.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        2 => 100,                                             // _SC_CLK_TCK
        30 => PAGE_SIZE.into(),                               // _SC_PAGESIZE
        83 | 84 => 1, // _SC_NPROCESSORS_CONF, _SC_NPROCESSORS_ONLN
        85 => (memory().0 / mirust_mem::PAGE_SIZE) as c_long, // _SC_PHYS_PAGES
        86 => (memory().1 / mirust_mem::PAGE_SIZE) as c_long, // _SC_AVPHYS_PAGES
        249 => states::least_stack() as c_long, // _SC_MINSIGSTKSZ
        250 => 4 * states::least_stack() as c_long, // _SC_SIGSTKSZ
        _ => errno::fail(EINVAL).into(),
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn getpagesize() -> c_int {
    PAGE_SIZE
}

/// The page size, and the least size of a stack for handlers of signals; ENOENT for all else.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn getauxval(kind: c_ulong) -> c_ulong {
    match kind {
        6 => PAGE_SIZE as c_ulong,              // AT_PAGESZ
        51 => states::least_stack() as c_ulong, // AT_MINSIGSTKSZ
        _ => {
            errno::set(ENOENT);
            0
        }
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn getpid() -> c_int {
    MAIN
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn gettid() -> c_int {
    number()
}

/// No parent: 0, as for process 1 of a container.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn getppid() -> c_int {
    0
}

/// Lets other threads go first. In a task of the executor, or without threads, it does nothing.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn sched_yield() -> c_int {
    if let Some(fibers) = fibers() {
        (fibers.yield_now)();
    }
    0
}

/// Processor 0.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn sched_getcpu() -> c_int {
    0
}

/// The number of processors in the set of `size` bytes.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __sched_cpucount(size: usize, set: *const c_void) -> c_int {
    // SAFETY: the caller's set has that many bytes.
    let set = unsafe { core::slice::from_raw_parts(set.cast::<u8>(), size) };
    set.iter().map(|byte| byte.count_ones() as c_int).sum()
}

/// 0 for a set that contains processor 0, the only one; EINVAL for any other.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sched_setaffinity(
    _pid: c_int,
    size: usize,
    set: *const c_void,
) -> c_int {
    // SAFETY: the caller's set has that many bytes.
    match unsafe { core::slice::from_raw_parts(set.cast::<u8>(), size) } {
        [first, ..] if first & 1 != 0 => 0,
        _ => errno::fail(EINVAL),
    }
}

/// `struct sysinfo`.
#[repr(C)]
pub(crate) struct System {
    uptime: c_long,
    loads: [c_ulong; 3],
    /// Of memory: all, free, shared, in buffers, then both of swap.
    memory: [c_ulong; 6],
    processes: u16,
    high: [c_ulong; 2],
    unit: c_uint,
}

const _: () = assert!(size_of::<System>() == 112);

/// The domain's memory, in bytes, and how much of it is free.
pub(crate) fn memory() -> (usize, usize) {
    let frames = mirust_mem::frames::stats();
    (frames.total * mirust_mem::PAGE_SIZE, frames.free * mirust_mem::PAGE_SIZE)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sysinfo(system: *mut System) -> c_int {
    let (total, free) = memory();
    let uptime = ((host::get().monotonic_ns)() / crate::timespec::NS_PER_S) as c_long;
    let memory = [total as c_ulong, free as c_ulong, 0, 0, 0, 0];
    let processes = living() as u16;
    let answer = System { uptime, loads: [0; 3], memory, processes, high: [0; 2], unit: 1 };
    // SAFETY: writable by contract.
    unsafe { system.write(answer) };
    0
}

/// EINVAL for everything that Linux has here: names, limits and traits of processes.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn prctl(_option: c_int) -> c_int {
    errno::fail(EINVAL)
}

/// One processor, in a set of `size` bytes.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sched_getaffinity(
    _pid: c_int,
    size: usize,
    set: *mut c_void,
) -> c_int {
    // SAFETY: the contract is the same.
    match unsafe { only_processor(size, set) } {
        0 => 0,
        error => errno::fail(error),
    }
}

/// # Safety
///
/// `set` has `size` bytes.
pub(super) unsafe fn only_processor(size: usize, set: *mut c_void) -> c_int {
    if size == 0 {
        return EINVAL;
    }
    // SAFETY: as the caller says.
    unsafe {
        set.write_bytes(0, size);
        set.cast::<u8>().write(1);
    }
    0
}

/// Waits for a child: a process without children, as here, is told so at once. Runtimes ask on the off chance.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn waitpid(_child: c_int, _status: *mut c_int, _options: c_int) -> c_int {
    errno::fail(ECHILD)
}

/// As [`waitpid`].
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn waitid(_kind: c_int, _child: c_uint, _info: *mut c_void, _options: c_int) -> c_int {
    errno::fail(ECHILD)
}

/// Remembers nothing: nobody can fork, which is when these functions would be called.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_atfork(
    _prepare: *const c_void,
    _parent: *const c_void,
    _child: *const c_void,
) -> c_int {
    0
}

stubs! {
    ENOSYS system(*const c_char) -> c_int = -1, "an image has no other programs";
    ENOSYS getcontext(*mut c_void) -> c_int = -1, "only threads have stacks of their own";
    ENOSYS setcontext(*const c_void) -> c_int = -1, "only threads have stacks of their own";
    ENOSYS swapcontext(*mut c_void, *const c_void) -> c_int = -1,
        "only threads have stacks of their own";
    ENOSYS makecontext(*mut c_void, *const c_void, c_int) -> () = (),
        "only threads have stacks of their own";
    ENOSYS shmget(c_int, usize, c_int) -> c_int = -1, "there is no other process to share memory with";
    ENOSYS shmat(c_int, *const c_void, c_int) -> *mut c_void = core::ptr::without_provenance_mut(usize::MAX),
        "there is no other process to share memory with";
    ENOSYS shmdt(*const c_void) -> c_int = -1, "there is no other process to share memory with";
    ENOSYS shmctl(c_int, c_int, *mut c_void) -> c_int = -1, "there is no other process to share memory with";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_children_to_wait_for() {
        assert_eq!(waitpid(-1, core::ptr::null_mut(), 0), -1);
        assert_eq!(errno::get(), ECHILD);
        errno::set(0);
        assert_eq!(waitid(0, 1, core::ptr::null_mut(), 0), -1);
        assert_eq!(errno::get(), ECHILD);
    }

    #[test]
    fn neither_contexts_nor_shared_memory_can_be_had() {
        errno::set(0);
        assert_eq!((getcontext(core::ptr::null_mut()), errno::get()), (-1, errno::ENOSYS));
        errno::set(0);
        assert_eq!((shmget(1, 4096, 0), errno::get()), (-1, errno::ENOSYS));
        assert_eq!(shmat(1, core::ptr::null(), 0).addr(), usize::MAX);
    }

    #[test]
    fn exit_handlers_run_last_first_and_may_register_others() {
        static TRACE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
        unsafe extern "C" fn note(argument: *mut c_void) {
            TRACE.lock().push(argument.addr());
            if argument.addr() == 2 {
                __cxa_atexit(note, core::ptr::without_provenance_mut(9), core::ptr::null_mut());
            }
        }
        unsafe extern "C" fn plain() {
            TRACE.lock().push(100);
        }
        __cxa_atexit(note, core::ptr::without_provenance_mut(1), core::ptr::null_mut());
        __cxa_thread_atexit_impl(note, core::ptr::without_provenance_mut(2), core::ptr::null_mut());
        // SAFETY: `plain` can be called at any time.
        unsafe { atexit(plain) };
        while let Some(handler) = { AT_EXIT.lock().pop() } {
            // SAFETY: both functions can be called at any time.
            unsafe { (handler.function)(handler.argument) };
        }
        assert_eq!(*TRACE.lock(), [100, 2, 9, 1]);
    }

    #[test]
    #[cfg(feature = "posix")]
    fn who_ends_the_program_while_another_does_waits_for_the_same() {
        static TIMES: Mutex<u32> = Mutex::new(0);
        let last: Mutex<Option<fn()>> = Mutex::new(Some(|| *TIMES.lock() += 1));
        for times in 1..3 {
            call(&last);
            assert_eq!(*TIMES.lock(), times);
        }
    }

    #[test]
    fn there_is_one_processor() {
        let mut set = [0xffu8; 128];
        // SAFETY: the set has 128 bytes.
        unsafe {
            assert_eq!(sched_getaffinity(0, 128, set.as_mut_ptr().cast()), 0);
            assert_eq!(__sched_cpucount(128, set.as_ptr().cast()), 1);
        }
        assert_eq!(sysconf(host_libc::_SC_NPROCESSORS_ONLN), 1);
        assert_eq!(sysconf(host_libc::_SC_NPROCESSORS_CONF), 1);
        assert_eq!(sysconf(host_libc::_SC_PAGESIZE), 4096);
        let least = getauxval(host_libc::AT_MINSIGSTKSZ) as c_long;
        assert!(least > 2048);
        let sizes = [249, 250].map(|name| sysconf(name));
        assert_eq!(sizes, [least, 4 * least]);
        assert_eq!(sysconf(host_libc::_SC_OPEN_MAX), -1);
    }
}
