//! Where signals go: to the handler, for the first stack that does not block the signal, the main one before the others;
//! or to whoever waits for it. One that all block stays until somebody takes it.

use super::handlers::{
    CONTEXT, Context, FLAGS, HANDLERS, Information, SA_RESETHAND, SIG_DFL, SIG_IGN, SIGNALS,
    is_none, report,
};
use super::interrupt::{Wait, interrupt, look_again};
use super::stack_signals::{self, Ends, Signals};
use super::threads::block::Block;
use super::{die, errno, process};
use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::Ordering;

pub(crate) const SIGBUS: c_int = 7;
pub(crate) const SIGSEGV: c_int = 11;

/// The handler of a signal; `number` is one.
pub(crate) fn handler(number: c_int) -> usize {
    match (HANDLERS[number as usize].load(Ordering::Relaxed), number) {
        (SIG_DFL, SIGBUS | SIGSEGV) => report as extern "C" fn(c_int) as usize,
        (handler, _) => handler,
    }
}

/// `si_code`: by `kill`, by `raise`.
pub(crate) const SI_USER: c_int = 0;
pub(crate) const SI_TKILL: c_int = -6;

/// What `signal` sets, as glibc's does.
pub(crate) const SA_RESTART: c_int = 0x1000_0000;

/// SIGKILL and SIGSTOP, which nobody can block or wait for.
pub(crate) const UNBLOCKABLE: u64 = 1 << 8 | 1 << 18;

pub(crate) fn bit(signal: c_int) -> Option<u64> {
    (1..SIGNALS as c_int).contains(&signal).then(|| 1 << (signal - 1))
}

/// Told of each signal that is kept for who takes it: descriptors are, where one for signals was ever made.
#[cfg(feature = "posix")]
static KEPT: spin::Once<fn(u64)> = spin::Once::new();

/// Has `told` called with each signal that is kept.
#[cfg(feature = "posix")]
pub(crate) fn tell(told: fn(u64)) {
    KEPT.call_once(|| told);
    awaits_requests();
}

/// `si_code` of a signal that was sent by `kill` or not.
pub(crate) fn code(by_kill: bool) -> c_int {
    if by_kill { SI_USER } else { SI_TKILL }
}

/// Sends a signal to a stack, or to the program, which is to the first one that does not block it. False if there is no
/// such signal.
///
/// # Safety
///
/// The handler can be called now.
pub(crate) unsafe fn send(signal: c_int, code: c_int, to: Option<&Signals>) -> bool {
    let Some(bit) = bit(signal) else { return false };
    let is_wanted = to.map_or_else(stack_signals::wanted, |to| to.wanted.get()) & bit != 0;
    let taker = match to {
        _ if is_wanted => None,
        Some(to) => (to.blocked.get() & bit == 0).then_some(to),
        None => stack_signals::find(|one| one.blocked.get() & bit == 0),
    };
    if let Some(taker) = taker {
        // SAFETY: the caller's promise.
        unsafe { call(signal, code, taker) };
        return true;
    }
    to.map_or(stack_signals::program(), |to| &to.own).keep(bit, code == SI_USER);
    if is_wanted {
        // All of them, as the first may take another signal before it finds this one.
        stack_signals::find(|one| {
            if one.wanted.get() & bit != 0 {
                look_again(one);
            }
            false
        });
    }
    #[cfg(feature = "posix")]
    if let Some(told) = KEPT.get() {
        told(bit);
    }
    true
}

/// Calls the handler, for this stack, which may be gone when that returns. A signal without one ends the domain, but for
/// those that are ignored.
///
/// # Safety
///
/// The handler can be called now.
unsafe fn call(signal: c_int, code: c_int, taker: *const Signals) {
    const SIGCHLD: c_int = 17;
    const SIGCONT: c_int = 18;
    const SIGURG: c_int = 23;
    const SIGWINCH: c_int = 28;
    match (handler(signal), signal) {
        (SIG_IGN, _) | (SIG_DFL, SIGCHLD | SIGCONT | SIGURG | SIGWINCH) => {}
        (handler, _) if is_none(handler) => die::die(format_args!("signal {signal} was raised")),
        (handler, _) => {
            type Handler = unsafe extern "C" fn(c_int, *mut Information, *mut Context);
            let mut information = Information::new(signal, code, process::getpid() as u64);
            let mut context = [0; CONTEXT];
            let flags = FLAGS[signal as usize].load(Ordering::Relaxed);
            // Before the call, in which it may send the signal again, for what is done without a handler.
            if flags & SA_RESETHAND != 0 {
                HANDLERS[signal as usize].store(SIG_DFL, Ordering::Relaxed);
            }
            // The stack that the handler runs on may be about to return from a call that has failed: with EINTR, say, after
            // which the mask of before lets this signal come.
            let error = errno::get();
            // SAFETY: the handler was installed as a function of one argument, or of three, which
            // may be called with three by the System V ABI.
            unsafe {
                let handler = core::mem::transmute::<usize, Handler>(handler);
                handler(signal, &raw mut information, &raw mut context);
            }
            errno::set(error);
            // Only now, as whoever is woken looks for what the handler has done. The handler may have let others run: the
            // taker among them, to its end, whereupon who joins it has freed it. Then it is not in the list.
            if let Some(taker) = stack_signals::find(|one| ptr::eq(one, taker)) {
                interrupt(taker, flags & SA_RESTART != 0);
            }
        }
    }
}

/// Calls the handlers of what was sent while it was blocked, and is not any more.
pub(crate) fn catch_up() {
    let own = Block::signals();
    let next = || {
        let of = !own.blocked.get();
        // Whoever waits for a signal of the program's may have been woken for it, and not have run yet.
        own.own.take(of).or_else(|| stack_signals::program().take(of & !stack_signals::wanted()))
    };
    while let Some((bit, by_kill)) = next() {
        // SAFETY: here the program expects that handlers are called.
        unsafe { call(bit.trailing_zeros() as c_int + 1, code(by_kill), own) };
    }
}

/// Asks the program to end, if it may take signals at all: one that has never set a handler, nor blocked a signal, does
/// not contain what does so.
static ASK: spin::Once<fn() -> bool> = spin::Once::new();

/// The program may want to be told that it is asked to end.
pub(crate) fn awaits_requests() {
    ASK.call_once(|| {
        || {
            const SIGINT: c_int = 2;
            const SIGTERM: c_int = 15;
            let taken = stack_signals::main().blocked.get() | stack_signals::wanted();
            let blocked = |signal| taken & bit(signal).unwrap_or_default() != 0;
            let awaited = |signal: &c_int| blocked(*signal) || !is_none(handler(*signal));
            let asked = [SIGTERM, SIGINT].into_iter().find(awaited);
            // SAFETY: every stack of the program waits in a call meanwhile, where Linux could call a handler as well.
            asked.is_some_and(|signal| unsafe { send(signal, SI_USER, None) })
        }
    });
}

/// Tells the program that it is asked to end, if it waits for that: SIGTERM, as on Linux, or SIGINT if it waits for that
/// alone, since both ask for the same here; by a handler, or because it has blocked the signal, which it then reads
/// from a descriptor or gets from `sigwait`. False if it does neither.
pub fn ask_to_end() -> bool {
    ASK.get().is_some_and(|ask| ask())
}

/// The stack that runs has another mask, until this is dropped.
pub(crate) struct Masked(u64);

impl Masked {
    /// # Safety
    ///
    /// `mask` is NULL, for no other mask, or the first word of a set.
    pub(crate) unsafe fn by(mask: *const u64) -> Self {
        let blocked = &Block::signals().blocked;
        // SAFETY: as the caller says.
        let mask = unsafe { mask.as_ref() };
        Masked(blocked.replace(mask.map_or(blocked.get(), |mask| mask & !UNBLOCKABLE)))
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        Block::signals().blocked.set(self.0);
        catch_up();
    }
}

/// The stack that runs waits from now on in a call that handlers end, for the first time perhaps that of a signal that
/// was sent before. `place` is the address at which it waits, or 0.
pub(crate) fn wait(ends: Ends, place: usize) -> Wait {
    let wait = Wait::begin(ends, place);
    catch_up();
    wait
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use core::cell::Cell;

    /// Sets the handler of a signal that no other test uses.
    fn set_handler(signal: c_int, handler: extern "C" fn(c_int)) {
        HANDLERS[signal as usize].store(handler as usize, Ordering::Relaxed);
    }

    #[test]
    fn a_thread_that_ends_while_the_handler_runs_is_left_alone() {
        const SIGNAL: c_int = 50;
        std::thread_local! {
            static THREAD: &'static Signals = Box::leak(Box::new(Signals::new()));
        }
        extern "C" fn handler(_: c_int) {
            THREAD.with(|&thread| stack_signals::end(thread));
        }
        set_handler(SIGNAL, handler);
        let thread = THREAD.with(|&thread| thread);
        stack_signals::begin(thread, 0);
        thread.wait.set(Some(Ends::Always));
        // SAFETY: the handler can be called.
        assert!(unsafe { send(SIGNAL, SI_TKILL, Some(thread)) });
        assert!(!thread.over.get());
    }

    #[test]
    fn what_is_sent_to_the_main_stack_is_for_no_other() {
        const SIGNAL: c_int = 51;
        std::thread_local! {
            static CALLED: Cell<u32> = const { Cell::new(0) };
        }
        extern "C" fn handler(_: c_int) {
            CALLED.set(CALLED.get() + 1);
        }
        set_handler(SIGNAL, handler);
        let catch_up_on_thread = || {
            Block::run_thread(|| {
                Block::signals().blocked.set(0);
                catch_up();
            });
            CALLED.take()
        };
        let blocked = bit(SIGNAL).unwrap();
        let main = stack_signals::main();
        main.blocked.set(blocked);
        // SAFETY: the handler can be called.
        let sent = |code, to| unsafe { send(SIGNAL, code, to) };
        assert!(sent(SI_TKILL, Some(main)));
        assert_eq!((catch_up_on_thread(), main.pending()), (0, blocked));
        main.blocked.set(0);
        catch_up();
        assert_eq!((CALLED.take(), main.pending()), (1, 0));
        // What is for the program is for anybody, but for one who waits for it already.
        main.blocked.set(blocked);
        assert!(sent(SI_USER, None));
        main.wanted.set(blocked);
        assert_eq!((catch_up_on_thread(), main.pending()), (0, blocked));
        main.wanted.set(0);
        assert_eq!((catch_up_on_thread(), main.pending()), (1, 0));
    }
}
