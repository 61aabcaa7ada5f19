//! Calls that wait while a signal comes, here and on the host's kernel: which of them end, and which go on.

use core::cell::Cell;
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::host_tests::{C, either};
use super::kernel::system_call;
use super::{block_tests, epoll, io, poll, select, socket, socket_options};
use crate::layout::PollFd;
use crate::threads::block::Block;
use crate::timespec::Timespec;
use crate::{errno, signal};
use core::ptr::{null, null_mut};

/// Without SA_RESTART, and with it; no other test uses these.
const SIGNALS: [c_int; 2] = [40, 41];

std::thread_local! {
    static HANDLED: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn handler(_: c_int) {
    HANDLED.set(HANDLED.get() + 1);
}

/// A second signal is let come by the mask of before, when the first one has ended the call.
#[test]
fn the_error_of_a_wait_with_another_mask_is_not_that_of_a_handler() {
    const SIGNALS: [c_int; 2] = [43, 44];
    extern "C" fn fails(_: c_int) {
        HANDLED.set(HANDLED.get() + 1);
        errno::set(errno::EBADF);
    }
    block_tests::give_busy();
    let mut set = [0u64; 16];
    set[0] = 1 << (SIGNALS[1] - 1);
    for signal in SIGNALS {
        signal::signal(signal, fails as extern "C" fn(c_int) as usize);
    }
    block_tests::meanwhile(|| {
        for signal in SIGNALS.into_iter().rev() {
            // SAFETY: there is a handler.
            assert_eq!(unsafe { signal::kill(0, signal) }, 0);
        }
    });
    // SAFETY: no entries, and a set.
    let n = unsafe { poll::ppoll(null_mut(), 0, null(), set.as_ptr()) };
    assert_eq!((n, errno::get(), HANDLED.get()), (-1, errno::EINTR, 2));
}

/// Sets the handlers, on both sides.
fn set_handlers() {
    for (signal, flags) in SIGNALS.into_iter().zip([0, host_libc::SA_RESTART]) {
        // SAFETY: the action is valid, for both, which have the same layout.
        unsafe {
            let mut action: host_libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = handler as extern "C" fn(c_int) as usize;
            action.sa_flags = flags;
            assert_eq!(host_libc::sigaction(signal, &raw const action, null_mut()), 0);
            assert_eq!(signal::sigaction(signal, (&raw const action).cast(), null_mut()), 0);
        }
    }
}

/// What the call returns during which this signal comes, and then, if it is not to end by that, what ends it.
fn with_signal(c: &C, signal: c_int, then: Option<c_int>, call: &dyn Fn(&C) -> i64) -> i64 {
    if !c.kernel {
        // SAFETY: there is a handler.
        block_tests::meanwhile(move || unsafe {
            assert_eq!(signal::kill(0, signal), 0);
        });
        if let Some(fd) = then {
            block_tests::meanwhile(move || assert_eq!(io::write_from(fd, b"x"), Ok(1)));
        }
        return call(c);
    }
    let done = AtomicBool::new(false);
    // SAFETY: it is the number of this thread.
    let (process, thread) = unsafe { (host_libc::getpid(), host_libc::gettid()) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Until it was heard, or, of a call that goes on, a few times.
            for i in 0.. {
                // SAFETY: there is a handler.
                unsafe { host_libc::syscall(host_libc::SYS_tgkill, process, thread, signal) };
                std::thread::sleep(Duration::from_millis(1));
                if done.load(Ordering::Relaxed) {
                    return;
                }
                if let (Some(fd), 10) = (then, i) {
                    // SAFETY: a byte.
                    unsafe { host_libc::write(fd, c"x".as_ptr().cast(), 1) };
                    return;
                }
            }
        });
        let result = call(c);
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// Whether a call ends by a handler without SA_RESTART is the same for all; whether by one with it, is said.
fn ends(what: &str, always: bool, call: impl Fn(&C) -> i64, then: c_int, c: &C) {
    let interrupted = -i64::from(errno::EINTR);
    assert_eq!(with_signal(c, SIGNALS[0], None, &call), interrupted, "{what}, {}", c.kernel);
    let (then, expected) = if always { (None, interrupted) } else { (Some(then), 1) };
    assert_eq!(with_signal(c, SIGNALS[1], then, &call), expected, "{what}, {}", c.kernel);
}

#[test]
fn a_handler_ends_the_calls_that_it_ends_on_linux() {
    block_tests::give_busy();
    set_handlers();
    for c in [C { kernel: false }, C { kernel: true }] {
        let [r, w] = c.pipe(0);
        ends("read", false, |c| c.read(r, &mut [0; 8]), w, &c);
        let [a, b] = c.socketpair(1, 0);
        ends("recv", false, |c| c.recv(a, &mut [0; 8], 0), b, &c);
        let limit = [1000i64, 0];
        let (at, n) = ((&raw const limit).cast::<core::ffi::c_void>(), size_of_val(&limit) as u32);
        let set = either!(
            c,
            socket_options::setsockopt(a, 1, 20, at, n),
            host_libc::setsockopt(a, 1, host_libc::SO_RCVTIMEO, at.cast(), n)
        );
        assert_eq!(set, 0);
        ends("recv with a time limit", true, |c| c.recv(a, &mut [0; 8], 0), b, &c);

        let mut entry = PollFd { fd: r, events: 1, revents: 0 };
        let entry = &raw mut entry;
        let poll =
            |c: &C| either!(c, poll::poll(entry, 1, -1), host_libc::poll(entry.cast(), 1, -1));
        ends("poll", true, poll, w, &c);
        let long = Timespec::from_ns(1_000_000_000_000);
        let long = &raw const long;
        let ppoll = |c: &C| {
            either!(
                c,
                poll::ppoll(entry, 1, long, null()),
                host_libc::ppoll(entry.cast(), 1, long.cast(), null())
            )
        };
        ends("ppoll", true, ppoll, w, &c);
        let select = |c: &C| {
            let mut set = [0u64; 16];
            set[r as usize / 64] |= 1 << (r % 64);
            let (n, none) = (r + 1, null_mut::<u64>());
            let at = set.as_mut_ptr();
            either!(
                c,
                select::select(n, at, none, none, null_mut()),
                host_libc::select(n, at.cast(), none.cast(), none.cast(), null_mut())
            )
        };
        ends("select", true, select, w, &c);
        let set = c.epoll();
        c.epoll_ctl(set, 1, r, 1, 0);
        let wait = |c: &C| {
            let mut event = epoll::Event { events: 0, data: 0 };
            let at = &raw mut event;
            either!(
                c,
                epoll::epoll_wait(set, at, 1, -1),
                host_libc::epoll_wait(set, at.cast(), 1, -1)
            )
        };
        ends("epoll_wait", true, wait, w, &c);
        let nanosleep = |c: &C| {
            let at = long.expose_provenance();
            // SAFETY: the time is readable.
            let ours = || match unsafe { system_call(35, [at, 0, 0, 0, 0, 0]) } {
                error @ ..0 => errno::fail(-error as c_int),
                _ => 0,
            };
            either!(c, ours(), host_libc::nanosleep(long.cast(), null_mut()))
        };
        ends("nanosleep", true, nanosleep, w, &c);
        ends("pause", true, |c| either!(c, signal::pause(), host_libc::pause()), w, &c);

        let listener = c.socket(1);
        let name = b"\0interrupted";
        assert_eq!((c.with_name("bind", listener, name), c.listen(listener, 1)), (0, 0));
        let accept = |c: &C| {
            let none = null_mut::<core::ffi::c_void>();
            either!(
                c,
                socket::accept(listener, none, null_mut()),
                host_libc::accept(listener, none.cast(), null_mut())
            )
        };
        assert_eq!(with_signal(&c, SIGNALS[0], None, &accept), -i64::from(errno::EINTR));
        for fd in [r, w, a, b, set, listener] {
            c.close(fd);
        }
    }
}

/// The pattern of servers that look at a flag: the signal is blocked but while they wait.
#[test]
fn a_blocked_signal_comes_when_the_mask_of_a_wait_lets_it() {
    block_tests::give_busy();
    set_handlers();
    let [signal, _] = SIGNALS;
    let [none, one] = [0, 1u64 << (signal - 1)].map(|bits| {
        let mut set = [0u64; 16];
        set[0] = bits;
        set
    });
    for c in [C { kernel: false }, C { kernel: true }] {
        let [r, w] = c.pipe(0);
        let mask = |how, set: &[u64; 16]| {
            let at = set.as_ptr();
            either!(
                c,
                signal::sigprocmask(how, at.cast(), null_mut()),
                host_libc::pthread_sigmask(how, at.cast(), null_mut())
            )
        };
        let waits = |set: &[u64; 16]| {
            let mut entry = PollFd { fd: r, events: 1, revents: 0 };
            let (entry, short) = (&raw mut entry, Timespec::from_ns(1_000_000));
            let short = &raw const short;
            let set = set.as_ptr();
            either!(
                c,
                poll::ppoll(entry, 1, short, set),
                host_libc::ppoll(entry.cast(), 1, short.cast(), set.cast())
            )
        };
        let send = || either!(c, signal::raise(signal), host_libc::raise(signal));
        let pending = || {
            let mut set = [0u64; 16];
            let at = set.as_mut_ptr();
            let done = either!(c, signal::sigpending(at.cast()), host_libc::sigpending(at.cast()));
            (done, set[0] & one[0] != 0)
        };
        let interrupted = -i64::from(errno::EINTR);
        let limit = Timespec::from_ns(0);
        let wait_for = || {
            let (set, at) = (one.as_ptr(), &raw const limit);
            either!(
                c,
                signal::sigtimedwait(set.cast(), null_mut(), at),
                host_libc::sigtimedwait(set.cast(), null_mut(), at.cast())
            )
        };
        assert_eq!((mask(0, &one), send(), pending()), (0, 0, (0, true)));
        assert_eq!((waits(&one), waits(&none), waits(&none)), (0, interrupted, 0));
        // What is ready counts first, and the signal waits on.
        assert_eq!((send(), c.write(w, b"x"), waits(&none), pending()), (0, 1, 1, (0, true)));
        assert_eq!((wait_for(), pending()), (i64::from(signal), (0, false)));
        assert_eq!(wait_for(), -i64::from(errno::EAGAIN));
        // The handler runs before the mask's change is done.
        let before = HANDLED.get();
        assert_eq!((send(), mask(1, &one)), (0, 0));
        assert_eq!(HANDLED.get(), before + 1);
        for fd in [r, w] {
            c.close(fd);
        }
    }
}

#[test]
fn sigwait_gets_what_comes_meanwhile() {
    block_tests::give_busy();
    const SIGNAL: c_int = 42;
    let mut set = [0u64; 16];
    set[0] = 1 << (SIGNAL - 1);
    let mut got = 0;
    // SAFETY: a set, and what is written to.
    unsafe {
        signal::sigprocmask(0, set.as_ptr().cast(), null_mut());
        block_tests::meanwhile(|| assert_eq!(signal::kill(0, SIGNAL), 0));
        assert_eq!((signal::sigwait(set.as_ptr().cast(), &raw mut got), got), (0, SIGNAL));
        assert_eq!(signal::sigpending(set.as_mut_ptr().cast()), 0);
    }
    assert_eq!(set[0], 0);
}

/// It comes when the time is over already, and the stack that waits is ready, but has not run.
#[test]
fn a_signal_that_is_left_to_a_wait_is_taken_by_it_or_by_the_next() {
    const SIGNALS: [c_int; 2] = [45, 46];
    block_tests::give_late(|| {
        for signal in SIGNALS {
            // SAFETY: it is blocked.
            assert_eq!(unsafe { signal::kill(0, signal) }, 0);
        }
    });
    let mut set = [0u64; 16];
    set[0] = SIGNALS.into_iter().map(|signal| 1 << (signal - 1)).sum();
    let (set, limit) = (set.as_ptr().cast(), Timespec::from_ns(1));
    // SAFETY: a set, and a time.
    let wait = || unsafe { signal::sigtimedwait(set, null_mut(), &raw const limit) };
    // SAFETY: a set.
    unsafe { signal::sigprocmask(0, set, null_mut()) };
    assert_eq!(wait(), SIGNALS[0]);
    Block::run_thread(|| assert_eq!(wait(), SIGNALS[1]));
}
