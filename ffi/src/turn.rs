//! A turn of the loop, as the two languages share it. Part of `include/mirust.h`, like [`abi`](crate::abi).
//!
//! What each of them needs from the other in every turn is in an array of words that both read and write without a
//! call: the time, whether there are completions, and the tokens of the tasks that OCaml has woken. OCaml's part of a
//! turn begins with `begin` and ends with `end`, whichever language owns the loop.

use std::cell::Cell;
#[cfg(feature = "ocaml")]
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mirust_rt::poll::Ready;

use crate::{domain, time};

/// Index of the word with the time, in nanoseconds since boot, in the array that `mirust_turn_words` gives: when
/// OCaml's part of the turn began, or when the last `mirust_turn_look` or `mirust_exchange` in it returned; up to 10 ms
/// earlier where Xen emulates the time stamp counter. 0 if that may be long ago, as in code that a Rust task calls
/// inside a poll: call `mirust_turn_look` then.
pub const MIRUST_TURN_NOW: isize = 0;
/// The word that is 1 if there were completions to collect at that time, and otherwise 0.
pub const MIRUST_TURN_COMPLETIONS: isize = 1;
/// The word with the number of tokens behind it. OCaml adds one, and Rust takes all.
pub const MIRUST_TURN_WOKEN: isize = 2;
/// The first of the words with the tokens of the tasks that OCaml wakes: what they have waited for is worth a retry.
pub const MIRUST_TURN_TOKENS: isize = 3;
/// How many tokens there is room for.
pub const MIRUST_TURN_TOKENS_MAX: isize = 253;

const COUNT: usize = (MIRUST_TURN_TOKENS + MIRUST_TURN_TOKENS_MAX) as usize;

/// Only the domain's thread uses them, in either language.
static WORDS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

fn word(at: isize) -> &'static AtomicU64 {
    &WORDS[at as usize]
}

/// How many of the tokens are taken already, while they are being taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Set while OCaml will look for new work by itself, after the tasks that run now: no signal is needed.
static LOOKS: AtomicBool = AtomicBool::new(false);

crate::local::domain_local! {
    /// Wakes the task that a token stands for. Set by the module that uses tokens, so that programs without it do not
    /// link it.
    static WAKE: Cell<fn(isize)> = const { Cell::new(|_| ()) };
    /// What network devices do when OCaml's part begins (true) or goes on (false). Set by the first one.
    static BEGIN: Cell<fn(bool)> = const { Cell::new(|_| ()) };
    /// What they do when it ends.
    static END: Cell<fn()> = const { Cell::new(|| ()) };
}

/// The words, brought up to date, as bytes.
#[cfg(feature = "ocaml")]
pub(crate) fn words() -> (NonNull<u8>, usize) {
    look();
    (NonNull::from(&WORDS).cast(), size_of_val(&WORDS))
}

/// Sets the function that wakes the task that a token stands for.
#[cfg(feature = "ocaml")]
pub(crate) fn set_wake(wake: fn(isize)) {
    WAKE.set(wake);
}

/// Sets what network devices do when OCaml's part of a turn begins, or goes on, and when it ends.
#[cfg(feature = "ocaml")]
pub(crate) fn set_devices(begin: fn(bool), end: fn()) {
    BEGIN.set(begin);
    END.set(end);
}

/// Whether OCaml will look for what it has to do, without a signal.
#[cfg(feature = "ocaml")]
pub(crate) fn ocaml_looks() -> bool {
    LOOKS.load(Ordering::Relaxed)
}

/// OCaml's part of the turn begins.
pub(crate) fn begin() {
    look();
    BEGIN.get()(true);
}

/// OCaml's part of the turn has ended.
pub(crate) fn end() {
    wake_all();
    END.get()();
}

/// Marks the time in the words as old, so that code that needs it reads the clock.
#[cfg(feature = "ocaml")]
pub(crate) fn forget_time() {
    word(MIRUST_TURN_NOW).store(0, Ordering::Relaxed);
}

/// Puts the current time into the words.
fn tell_time() {
    word(MIRUST_TURN_NOW).store(domain::recent_now().as_nanos(), Ordering::Relaxed);
}

/// Brings the words up to date.
fn look() {
    tell_time();
    tell_completions();
}

fn tell_completions() {
    word(MIRUST_TURN_COMPLETIONS).store(domain::has_completions().into(), Ordering::Relaxed);
}

fn wake_all() {
    // A waker may be any code; it may call OCaml, which may wake others: their tokens are appended. If there is no room
    // for them, this is called again from inside, takes the rest, and starts over.
    loop {
        let next = TAKEN.load(Ordering::Relaxed);
        if next == word(MIRUST_TURN_WOKEN).load(Ordering::Relaxed) {
            break;
        }
        TAKEN.store(next + 1, Ordering::Relaxed);
        WAKE.get()(word(MIRUST_TURN_TOKENS + next as isize).load(Ordering::Relaxed) as isize);
    }
    word(MIRUST_TURN_WOKEN).store(0, Ordering::Relaxed);
    TAKEN.store(0, Ordering::Relaxed);
}

/// Puts the time into the word MIRUST_TURN_NOW, as that describes it. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_turn_look() -> isize {
    tell_time();
    0
}

/// Ends OCaml's part of a turn, as `mirust_poll` does first: wakes the tasks whose tokens are there, and sends what is
/// waiting to be sent. For when no poll follows, and to make room for more tokens. Returns 0. Wakers may run any code,
/// so this is not for `[@@noalloc]`.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_turn_end() -> isize {
    end();
    0
}

/// Wakes the tasks whose tokens are there, and runs up to `most` of the ready Rust tasks, within a time budget: so what
/// OCaml has made ready in its part of the turn is answered in the same turn. It handles no events and fires no timers.
/// Returns how many more tasks were ready; 0 if time ran out first, and inside a poll: the rest run in the next poll.
///
/// For OCaml's loop, in the middle of its part: if the tasks give OCaml something to do, nothing reports that, and
/// OCaml has to look for it afterwards. They may run OCaml code, so this is not for `[@@noalloc]`.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_exchange(most: isize) -> isize {
    wake_all();
    LOOKS.store(true, Ordering::Relaxed);
    let turn = domain::run_tasks(most.max(0) as usize);
    LOOKS.store(false, Ordering::Relaxed);
    if turn.run > 0 {
        tell_time();
    }
    tell_completions();
    BEGIN.get()(false);
    turn.more as isize
}

/// Handles events, fires timers and runs Rust tasks until OCaml has something to do or
/// `deadline_ns` (nanoseconds since boot; 2^62-1 and above mean never) has passed; blocks only
/// while neither language has anything to do. With a deadline in the past it never blocks. Returns MIRUST_READY bits.
///
/// First, what OCaml has sent in its part of the turn goes out. At the end, the words are brought up to date.
///
/// Rust tasks run inside and may run OCaml code, so this is not for `[@@noalloc]`.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_poll(deadline_ns: u64) -> isize {
    end();
    let ready = domain::poll(time::deadline(deadline_ns));
    if !ready.contains(Ready::NESTED) {
        begin();
    }
    ready.bits() as isize
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = MIRUST_TURN_TOKENS_MAX as u64;

    crate::local::domain_local! {
        static WOKEN: Cell<[u8; COUNT]> = const { Cell::new([0; COUNT]) };
    }

    /// As OCaml does.
    fn wake(token: u64) {
        if word(MIRUST_TURN_WOKEN).load(Ordering::Relaxed) == MOST {
            wake_all();
        }
        let n = word(MIRUST_TURN_WOKEN).fetch_add(1, Ordering::Relaxed);
        word(MIRUST_TURN_TOKENS + n as isize).store(token, Ordering::Relaxed);
    }

    #[test]
    fn a_waker_that_wakes_another_when_there_is_no_room_loses_nobody() {
        WAKE.set(|token| {
            let mut woken = WOKEN.get();
            woken[token as usize] += 1;
            WOKEN.set(woken);
            if token == 100 {
                (0..3).for_each(|i| wake(MOST + i));
            }
        });
        (0..MOST).for_each(wake);
        wake_all();
        let woken = WOKEN.get();
        assert!(woken.iter().all(|times| *times == 1), "{woken:?}");
        assert_eq!(word(MIRUST_TURN_WOKEN).load(Ordering::Relaxed), 0);
    }
}
