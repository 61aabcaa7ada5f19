//! `<signal.h>`: the only signals are those that a program sends to itself, with `raise` and `kill`, those of
//! [CPU exceptions](super::exceptions), and the [request to end](ask_to_end).
//!
//! A CPU exception for which the program has set no handler is reported by the image and ends the domain. SIGSEGV and
//! SIGBUS appear to have a handler from the start: so Rust's std does not install one of its own, which would need a
//! stack and a guard page in each thread.

pub use super::deliver::ask_to_end;
use super::deliver::{
    Masked, SA_RESTART, SI_TKILL, SI_USER, UNBLOCKABLE, awaits_requests, bit, catch_up, code,
    handler, send,
};
use super::errno::{self, EAGAIN, EINTR, EINVAL, ENOMEM, ENOSYS, EPERM, ESRCH};
use super::handlers::{FLAGS, HANDLERS, Information, SIGNALS, alternate, is_none};
use super::stack_signals;
use super::states;
use super::stub::unsupported;
use super::threads::block::Block;
use super::timespec::Timespec;
use super::{exceptions, host, process};
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

/// `sigset_t`: 1024 bits, of which Linux uses the first 64; bit 0 is signal 1.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Set {
    bits: u64,
    rest: [u64; 15],
}

impl Set {
    fn new(bits: u64) -> Self {
        Set { bits, rest: [0; 15] }
    }
}

/// `struct sigaction`.
#[repr(C)]
pub(crate) struct Action {
    handler: usize,
    mask: Set,
    flags: c_int,
    restorer: usize,
}

const _: () = assert!(size_of::<Action>() == 152);

/// Sets a handler.
fn set(signal: c_int, handler: usize, flags: c_int) {
    if !is_none(handler) {
        awaits_requests();
    }
    HANDLERS[signal as usize].store(handler, Ordering::Relaxed);
    FLAGS[signal as usize].store(flags, Ordering::Relaxed);
    if exceptions::is_raised(signal) && !is_none(handler) {
        exceptions::receive();
    }
}

/// The first signal without a meaning of its own (`SIGRTMIN`): C libraries keep two for themselves.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __libc_current_sigrtmin() -> c_int {
    34
}

/// The last one (`SIGRTMAX`).
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __libc_current_sigrtmax() -> c_int {
    SIGNALS as c_int - 1
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sigaction(
    signal: c_int,
    new: *const Action,
    old: *mut Action,
) -> c_int {
    if bit(signal).is_none() {
        return errno::fail(EINVAL);
    }
    let before = Action {
        handler: handler(signal),
        mask: Set::new(0),
        flags: FLAGS[signal as usize].load(Ordering::Relaxed),
        restorer: 0,
    };
    // SAFETY: each is NULL or valid by contract; `new` is read before `old`, which may be the same,
    // is written.
    unsafe {
        if !new.is_null() {
            set(signal, (*new).handler, (*new).flags);
        }
        if !old.is_null() {
            *old = before;
        }
    }
    0
}

/// The handler of before, or SIG_ERR.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn signal(signal: c_int, handler: usize) -> usize {
    if bit(signal).is_none() {
        return errno::fail(EINVAL) as usize;
    }
    let before = self::handler(signal);
    set(signal, handler, SA_RESTART);
    before
}

fn sent(was: bool) -> c_int {
    if was { 0 } else { errno::fail(EINVAL) }
}

/// To the stack that runs.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn raise(signal: c_int) -> c_int {
    // SAFETY: the contract is the same.
    sent(unsafe { send(signal, SI_TKILL, Some(Block::signals())) })
}

/// A signal to the program itself, or, with the signal 0, only the question whether there is such a process. Nobody
/// else is there: `ESRCH`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn kill(to: c_int, signal: c_int) -> c_int {
    let own = process::getpid();
    if signal != 0 && bit(signal).is_none() {
        return errno::fail(EINVAL);
    }
    // 0 is the own group; -1 is everybody else.
    if to != 0 && to != own {
        return errno::fail(ESRCH);
    }
    // SAFETY: the contract is the same.
    if signal == 0 { 0 } else { sent(unsafe { send(signal, SI_USER, None) }) }
}

/// Sets the stack on which handlers of exceptions run that ask for it; others do not interrupt anything. ENOMEM if it
/// is smaller than what `sysconf` answers for `_SC_MINSIGSTKSZ`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigaltstack(new: *const Stack, old: *mut Stack) -> c_int {
    const SS_ONSTACK: c_int = 1;
    const SS_DISABLE: c_int = 2;
    let here = (&raw const new).addr();
    let (base, size) = alternate().get();
    let is_on = (base..base + size).contains(&here);
    let flags = if size == 0 { SS_DISABLE } else { c_int::from(is_on) * SS_ONSTACK };
    let before = Stack { base: core::ptr::with_exposed_provenance_mut(base), flags, size };
    // SAFETY: each is NULL or valid by contract; `new` is read before `old`, which may be the same, is written.
    unsafe {
        if !new.is_null() {
            let Stack { base, flags, size } = new.read();
            let next = match flags & !i32::MIN {
                _ if is_on => return errno::fail(EPERM),
                SS_DISABLE => (0, 0),
                0 | SS_ONSTACK if base.addr().checked_add(size).is_none() => {
                    return errno::fail(EINVAL);
                }
                0 | SS_ONSTACK if size < states::least_stack() => return errno::fail(ENOMEM),
                0 | SS_ONSTACK => (base.expose_provenance(), size),
                _ => return errno::fail(EINVAL),
            };
            alternate().set(next);
        }
        if !old.is_null() {
            *old = before;
        }
    }
    0
}

/// `stack_t`.
#[repr(C)]
struct Stack {
    base: *mut c_void,
    flags: c_int,
    size: usize,
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigemptyset(set: *mut Set) -> c_int {
    // SAFETY: `set` is writable by contract.
    unsafe { *set = Set::new(0) };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigfillset(set: *mut Set) -> c_int {
    // SAFETY: `set` is writable by contract.
    unsafe { *set = Set::new(u64::MAX) };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigaddset(set: *mut Set, signal: c_int) -> c_int {
    let Some(bit) = bit(signal) else { return errno::fail(EINVAL) };
    // SAFETY: `set` is initialised by contract.
    unsafe { (*set).bits |= bit };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigdelset(set: *mut Set, signal: c_int) -> c_int {
    let Some(bit) = bit(signal) else { return errno::fail(EINVAL) };
    // SAFETY: `set` is initialised by contract.
    unsafe { (*set).bits &= !bit };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigismember(set: *const Set, signal: c_int) -> c_int {
    let Some(bit) = bit(signal) else { return errno::fail(EINVAL) };
    // SAFETY: `set` is initialised by contract.
    c_int::from(unsafe { (*set).bits } & bit != 0)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sigprocmask(how: c_int, new: *const Set, old: *mut Set) -> c_int {
    // SAFETY: the contract is the same.
    match unsafe { change_mask(how, new, old) } {
        0 => 0,
        error => errno::fail(error),
    }
}

/// `sigprocmask` that returns the error.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_sigmask(how: c_int, new: *const Set, old: *mut Set) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { change_mask(how, new, old) }
}

/// # Safety
///
/// `new` is NULL or initialised, `old` is NULL or writable.
unsafe fn change_mask(how: c_int, new: *const Set, old: *mut Set) -> c_int {
    let blocked = &Block::signals().blocked;
    let before = blocked.get();
    // SAFETY: as the caller says; `new` is read before `old`, which may be the same, is written.
    unsafe {
        if !new.is_null() {
            let bits = (*new).bits;
            let after = match how {
                0 => before | bits,  // SIG_BLOCK
                1 => before & !bits, // SIG_UNBLOCK
                2 => bits,           // SIG_SETMASK
                _ => return EINVAL,
            };
            awaits_requests();
            blocked.set(after & !UNBLOCKABLE);
        }
        if !old.is_null() {
            *old = Set::new(before);
        }
    }
    catch_up();
    0
}

/// Waits until `taken` gives something, which is asked for whenever a signal comes. EINTR if a handler runs before.
///
/// # Errors
///
/// EINTR; EDEADLK where nothing may wait.
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
fn wait<T>(
    _function: &str,
    deadline: u64,
    mut taken: impl FnMut() -> Option<T>,
) -> Result<Option<T>, c_int> {
    super::posix::wait_for_signal(deadline, &mut || taken())
}

/// Where there are no threads no signal can come: that ends the domain.
#[cfg(not(all(feature = "posix", any(test, feature = "symbols"))))]
fn wait<T>(
    function: &str,
    deadline: u64,
    mut taken: impl FnMut() -> Option<T>,
) -> Result<Option<T>, c_int> {
    use super::die;
    use super::threads::{Waited, table};
    let Some(threads) = table::get() else { die::deadlock(function) };
    let mut result = None;
    let mut is = || {
        result = taken();
        result.is_some()
    };
    match ((threads.until)(deadline, &mut is), result) {
        (Waited::Woken, None) => Err(EINTR),
        (Waited::Refused, None) => Err(errno::EDEADLK),
        (_, result) => Ok(result),
    }
}

/// As an error of a function that can only fail.
fn interrupted(waited: Result<Option<()>, c_int>) -> c_int {
    errno::fail(waited.err().unwrap_or(EINTR))
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn pause() -> c_int {
    interrupted(wait("pause", u64::MAX, || None))
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigsuspend(mask: *const Set) -> c_int {
    awaits_requests();
    // SAFETY: a set by contract.
    let _masked = unsafe { Masked::by(mask.cast()) };
    interrupted(wait("sigsuspend", u64::MAX, || None))
}

/// Waits for a signal of the set: its number, and whether it came by `kill`; nothing at the deadline.
///
/// # Safety
///
/// The set is initialised.
unsafe fn accept(
    function: &str,
    set: *const Set,
    deadline: u64,
) -> Result<Option<(c_int, bool)>, c_int> {
    awaits_requests();
    // SAFETY: as the caller says.
    let of = unsafe { (*set).bits } & !UNBLOCKABLE;
    let own = Block::signals();
    own.wanted.set(of);
    let waited = wait(function, deadline, || own.take(of));
    own.wanted.set(0);
    let accepted = match waited {
        Ok(Some(accepted)) => Some(accepted),
        // It may be there all the same: the time is over, this stack is made ready, and before it runs the signal is sent,
        // and left to who waits for it. As on Linux, that is in time.
        missed => match own.take(of) {
            None => missed?,
            late => late,
        },
    };
    Ok(accepted.map(|(bit, by_kill)| (bit.trailing_zeros() as c_int + 1, by_kill)))
}

/// Gives the error; a handler of another signal does not end it, as with glibc.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sigwait(set: *const Set, signal: *mut c_int) -> c_int {
    loop {
        // SAFETY: initialised by contract.
        match unsafe { accept("sigwait", set, u64::MAX) } {
            Ok(Some((number, _))) => {
                // SAFETY: writable by contract.
                unsafe { *signal = number };
                return 0;
            }
            Err(EINTR) | Ok(None) => {}
            Err(error) => return error,
        }
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn sigwaitinfo(set: *const Set, information: *mut Information) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { sigtimedwait(set, information, core::ptr::null()) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sigtimedwait(
    set: *const Set,
    information: *mut Information,
    limit: *const Timespec,
) -> c_int {
    // SAFETY: NULL or readable by contract.
    let Some(limit) = (unsafe { Timespec::limit(limit) }) else { return errno::fail(EINVAL) };
    let now = host::get().monotonic_ns;
    let deadline = limit.map_or(u64::MAX, |ns| now().saturating_add(ns));
    // SAFETY: initialised by contract.
    match unsafe { accept("sigtimedwait", set, deadline) } {
        Ok(Some((number, by_kill))) => {
            if !information.is_null() {
                // SAFETY: writable by contract.
                unsafe {
                    *information = Information::new(number, code(by_kill), process::getpid() as u64)
                };
            }
            number
        }
        Ok(None) => errno::fail(EAGAIN),
        Err(error) => errno::fail(error),
    }
}

/// Those that were sent, and are blocked.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn sigpending(set: *mut Set) -> c_int {
    // SAFETY: writable by contract.
    unsafe { *set = Set::new(Block::signals().pending()) };
    0
}

/// Returns the error.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_kill(thread: usize, signal: c_int) -> c_int {
    // SAFETY: a thread, by contract.
    let to = unsafe { Block::of(thread) }.map_or(stack_signals::main(), |block| &block.signals);
    // SAFETY: the contract is the same.
    if signal == 0 || unsafe { send(signal, SI_TKILL, Some(to)) } { 0 } else { EINVAL }
}

/// `struct itimerval`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Timer([i64; 4]);

/// Timers are not set, and can be stopped.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn getitimer(which: c_int, current: *mut Timer) -> c_int {
    if !(0..=2).contains(&which) {
        return errno::fail(EINVAL);
    }
    // SAFETY: writable by contract.
    unsafe { *current = Timer([0; 4]) };
    0
}

/// Stops a timer that does not run; none can be set, since no signal comes by itself.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn setitimer(which: c_int, new: *const Timer, old: *mut Timer) -> c_int {
    // SAFETY: each is NULL or valid by contract.
    unsafe {
        if new.as_ref().is_some_and(|new| new.0[2..] != [0; 2]) {
            refuse_timer("setitimer");
            return -1;
        }
        if old.is_null() { 0 } else { getitimer(which, old) }
    }
}

/// 0: there was none before. It does not come; C has no way to say so, but for the log.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn alarm(seconds: core::ffi::c_uint) -> core::ffi::c_uint {
    if seconds != 0 {
        refuse_timer("alarm");
    }
    0
}

fn refuse_timer(name: &str) {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    unsupported(&LOGGED, name, "signals come only from the program itself: use timerfd", ENOSYS);
}

#[cfg(test)]
mod tests {
    use super::super::deliver::SIGBUS;
    use super::super::handlers::{Context, SIG_DFL, SIG_IGN};
    use super::*;
    use core::sync::atomic::{AtomicI32, AtomicU64};

    #[test]
    fn timers_that_send_signals_are_refused_and_can_be_stopped() {
        let (stopped, mut before) = (Timer([0; 4]), Timer([7; 4]));
        let set = Timer([0, 0, 1, 0]);
        // SAFETY: the timers are valid.
        unsafe {
            assert_eq!(setitimer(0, &raw const stopped, &raw mut before), 0);
            assert_eq!(before.0, [0; 4]);
            assert_eq!((setitimer(0, &raw const set, &raw mut before), errno::get()), (-1, ENOSYS));
            assert_eq!((getitimer(3, &raw mut before), errno::get()), (-1, EINVAL));
        }
        errno::set(0);
        assert_eq!((alarm(0), errno::get(), alarm(1), errno::get()), (0, 0, 0, ENOSYS));
    }

    #[test]
    fn a_handler_is_remembered_and_called_by_raise() {
        static CAUGHT: AtomicI32 = AtomicI32::new(0);
        extern "C" fn handler(signal: c_int) {
            CAUGHT.store(signal, Ordering::Relaxed);
        }
        let address = handler as extern "C" fn(c_int) as usize;
        let mut action = Action { handler: address, mask: Set::new(1), flags: 4, restorer: 0 };
        // SAFETY: the actions are valid, and the handler takes the signal.
        unsafe {
            assert_eq!(sigaction(10, &raw const action, core::ptr::null_mut()), 0);
            assert_eq!(raise(10), 0);
            assert_eq!(sigaction(10, core::ptr::null(), &raw mut action), 0);
        }
        assert_eq!((action.handler, action.flags), (address, 4));
        assert_eq!(CAUGHT.load(Ordering::Relaxed), 10);
        assert_eq!((signal(10, SIG_IGN), signal(65, SIG_IGN)), (address, usize::MAX));
    }

    /// signal-hook aborts the program if a handler of this kind gets no information.
    #[test]
    fn a_handler_with_three_arguments_learns_who_sent_the_signal() {
        static SEEN: AtomicU64 = AtomicU64::new(0);
        static CODE: AtomicI32 = AtomicI32::new(0);
        unsafe extern "C" fn handler(
            signal: c_int,
            info: *mut host_libc::siginfo_t,
            context: *mut Context,
        ) {
            // SAFETY: `raise` gives both; the layout is the host's.
            unsafe {
                let info = &*info;
                assert_eq!((info.si_signo, info.si_errno), (signal, 0));
                CODE.store(info.si_code, Ordering::Relaxed);
                assert_eq!((info.si_pid(), info.si_uid()), (process::getpid(), 0));
                assert_eq!((*context)[0], 0);
            }
            SEEN.fetch_add(1, Ordering::Relaxed);
        }
        let address = handler as unsafe extern "C" fn(_, _, _) as usize;
        let action = Action { handler: address, mask: Set::new(0), flags: 4, restorer: 0 };
        // SAFETY: the action is valid, and its handler takes three arguments.
        unsafe {
            assert_eq!(sigaction(12, &raw const action, core::ptr::null_mut()), 0);
            assert_eq!((raise(12), CODE.load(Ordering::Relaxed)), (0, host_libc::SI_TKILL));
            for to in [process::getpid(), 0] {
                assert_eq!((kill(to, 12), CODE.load(Ordering::Relaxed)), (0, host_libc::SI_USER));
            }
            assert_eq!(kill(0, 0), 0);
            assert_eq!((kill(99, 12), errno::get()), (-1, ESRCH));
            assert_eq!((kill(0, 65), errno::get()), (-1, EINVAL));
        }
        assert_eq!(SEEN.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_handler_for_one_signal_is_none_for_the_next() {
        static CALLED: AtomicI32 = AtomicI32::new(0);
        extern "C" fn handler(signal: c_int) {
            CALLED.fetch_add(1, Ordering::Relaxed);
            // SAFETY: without a handler this signal (SIGURG) is ignored.
            assert_eq!(unsafe { raise(signal) }, 0);
        }
        let address = handler as extern "C" fn(c_int) as usize;
        let flags = host_libc::SA_RESETHAND;
        let mut action = Action { handler: address, mask: Set::new(0), flags, restorer: 0 };
        // SAFETY: the actions are valid, and the handler takes the signal.
        unsafe {
            assert_eq!(sigaction(23, &raw const action, core::ptr::null_mut()), 0);
            assert_eq!((raise(23), raise(23)), (0, 0));
            assert_eq!(sigaction(23, core::ptr::null(), &raw mut action), 0);
        }
        assert_eq!((action.handler, CALLED.load(Ordering::Relaxed)), (SIG_DFL, 1));
        // By `signal` it stays.
        assert_eq!((signal(23, address), SA_RESTART), (SIG_DFL, host_libc::SA_RESTART));
        // SAFETY: as before.
        unsafe { assert_eq!(sigaction(23, core::ptr::null(), &raw mut action), 0) };
        assert_eq!((action.flags, signal(23, SIG_DFL)), (SA_RESTART, address));
    }

    #[test]
    fn who_is_asked_to_end_gets_the_signal_that_it_has_a_handler_for() {
        static CAUGHT: AtomicI32 = AtomicI32::new(0);
        extern "C" fn handler(signal: c_int) {
            CAUGHT.store(signal, Ordering::Relaxed);
        }
        let (int, term) = (host_libc::SIGINT, host_libc::SIGTERM);
        let address = handler as extern "C" fn(c_int) as usize;
        let asked = || (ask_to_end(), CAUGHT.swap(0, Ordering::Relaxed));
        assert_eq!(asked(), (false, 0));
        signal(int, address);
        assert_eq!(asked(), (true, int));
        signal(term, address);
        assert_eq!(asked(), (true, term));
        signal(int, SIG_DFL);
        assert_eq!(asked(), (true, term));
        // On Linux it would not end at all.
        signal(term, SIG_IGN);
        assert_eq!(asked(), (false, 0));
    }

    #[test]
    fn exceptions_seem_to_have_a_handler_until_there_is_one() {
        assert_ne!(signal(SIGBUS, SIG_IGN), SIG_DFL);
        assert_eq!(signal(SIGBUS, SIG_DFL), SIG_IGN);
        let seen = signal(SIGBUS, SIG_DFL);
        assert_eq!(signal(SIGBUS, seen), seen);
    }

    #[test]
    fn an_alternate_stack_is_remembered() {
        // No exception uses it.
        let base = core::ptr::without_provenance_mut::<c_void>(0x10000);
        let least = states::least_stack();
        let set = |flags, size| {
            let new = Stack { base, flags, size };
            let mut old = Stack { base, flags: 7, size: 7 };
            // SAFETY: the stacks are valid, and no exception uses them.
            let result = unsafe { sigaltstack(&raw const new, &raw mut old) };
            (result, old.flags, old.size)
        };
        assert_eq!(set(0, 1 << 16), (0, host_libc::SS_DISABLE, 0));
        assert_eq!(set(0, least), (0, 0, 1 << 16));
        assert_eq!((set(0, least - 1).0, errno::get()), (-1, ENOMEM));
        assert_eq!((set(0, usize::MAX).0, errno::get()), (-1, EINVAL));
        assert_eq!((set(8, 1 << 16).0, errno::get()), (-1, EINVAL));
        assert_eq!(alternate().get(), (base.addr(), least));
        assert_eq!(set(2, 0), (0, 0, least));
        assert_eq!(alternate().get(), (0, 0));
    }

    #[test]
    fn masks_are_remembered() {
        let (mut set, mut old) = (Set::new(99), Set::new(99));
        // SAFETY: the sets are initialised.
        unsafe {
            sigemptyset(&raw mut set);
            assert_eq!((sigaddset(&raw mut set, 64), sigaddset(&raw mut set, 0)), (0, -1));
            assert_eq!(pthread_sigmask(0, &raw const set, core::ptr::null_mut()), 0);
            assert_eq!(sigprocmask(2, &raw const set, &raw mut old), 0);
            assert_eq!((sigismember(&raw const old, 64), sigismember(&raw const old, 1)), (1, 0));
            assert_eq!(pthread_sigmask(7, &raw const set, core::ptr::null_mut()), EINVAL);
        }
    }

    #[test]
    fn layouts_are_those_of_the_host() {
        assert_eq!(size_of::<Action>(), size_of::<host_libc::sigaction>());
        assert_eq!(
            core::mem::offset_of!(Action, flags),
            core::mem::offset_of!(host_libc::sigaction, sa_flags)
        );
        assert_eq!(size_of::<Information>(), size_of::<host_libc::siginfo_t>());
        assert_eq!(size_of::<Context>(), size_of::<host_libc::ucontext_t>());
        assert_eq!(size_of::<Stack>(), size_of::<host_libc::stack_t>());
        assert_eq!(size_of::<Set>(), size_of::<host_libc::sigset_t>());
    }
}
