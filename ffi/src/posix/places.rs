//! Places for accepted connections. How many there are depends on the memory.
//!
//! An unmodified program accepts everybody, and each connection costs it buffers of its own, whose allocation cannot fail: a
//! crowd of clients would end the domain. So accepted connections are limited in number. When all places are taken,
//! `accept` waits, and the connection that has most exhausted its patience is reset, so that clients that do nothing do
//! not keep others out.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;

use crate::local::domain_local;
use crate::time::{Duration, Instant, now, sleep};

/// The environment variable with the number of places.
const VARIABLE: &str = "MIRUST_CONNECTIONS";
/// By default there is one for so many bytes of the domain's memory. A connection to axum whose client does not read costs some
/// 120 KiB, and as much again is left to the program.
const MEMORY_EACH: u64 = 320 * 1024;
const LEAST: usize = 32;

/// The patience with a client that has never been answered, or that is in the middle of a request or an answer.
const WITH_A_STRANGER: u128 = Duration::from_millis(10).as_nanos();
/// With any other, for each answer that it has had, up to [`MOST_ANSWERS`].
const FOR_EACH_ANSWER: u128 = Duration::from_secs(1).as_nanos();
const MOST_ANSWERS: u32 = 600;

/// How long `accept` waits before it looks for another one to reset, if nobody leaves: a program takes its time to close.
const PROGRAMS_TIME: Duration = Duration::from_millis(20);

domain_local! {
    static PLACES: RefCell<Places> = const {
        RefCell::new(Places { asked: None, taken: Vec::new(), newcomers: Vec::new(), leaving: false })
    };
}

/// An accepted connection.
pub(super) trait Guest {
    /// Its account.
    fn place(&self) -> Option<&Place>;
    /// Resets the connection: the program finds out by an error.
    fn reset(&self);
}

struct Places {
    /// What [`VARIABLE`] says, once it was looked at.
    asked: Option<Option<usize>>,
    taken: Vec<Weak<dyn Guest>>,
    /// Of listening sockets that have somebody to accept.
    newcomers: Vec<Waker>,
    /// A connection was reset, and the program has some time to close it.
    leaving: bool,
}

/// An accepted connection's account.
pub(super) struct Place {
    /// When something was last read or written.
    moved: Cell<Instant>,
    /// Something was read since the last write, or a write was incomplete.
    busy: Cell<bool>,
    answers: Cell<u32>,
    /// It has been reset to make room.
    left: Cell<bool>,
}

impl Place {
    pub(super) fn new() -> Self {
        Place {
            moved: Cell::new(now()),
            busy: Cell::new(false),
            answers: Cell::new(0),
            left: Cell::new(false),
        }
    }

    /// Something was read.
    pub(super) fn read(&self) {
        self.moved.set(now());
        self.busy.set(true);
    }

    /// Something was written: all that the program had, or what there was room for.
    pub(super) fn wrote(&self, all: bool) {
        self.moved.set(now());
        if self.busy.replace(!all) && all {
            self.answers.set(self.answers.get().saturating_add(1));
        }
    }

    /// How much of the patience is exhausted, in thousandths.
    fn tried(&self, now: Instant) -> u128 {
        let patience = match self.answers.get() {
            0 => WITH_A_STRANGER,
            _ if self.busy.get() => WITH_A_STRANGER,
            answers => FOR_EACH_ANSWER * u128::from(answers.min(MOST_ANSWERS)),
        };
        now.duration_since(self.moved.get()).as_nanos() * 1000 / patience
    }
}

/// The number of places, unless that was `asked` for: by the memory that there is now, which the toolstack may change.
fn most(asked: Option<usize>) -> usize {
    let by_memory = || match crate::platform::mem_stats().total {
        // A process: the kernel's memory is none of ours to divide.
        0 => usize::MAX,
        total => (total / MEMORY_EACH) as usize,
    };
    asked.unwrap_or_else(by_memory).max(LEAST)
}

/// Whether there is room for one more connection. If not, somebody has to leave, and `newcomer` is woken when it is
/// worth another try.
pub(super) fn is_room(newcomer: &Waker) -> bool {
    let worst = PLACES.with_borrow_mut(|places| {
        let asked = || std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
        let most = most(*places.asked.get_or_insert_with(asked));
        if places.taken.len() >= most {
            places.taken.retain(|socket| socket.strong_count() > 0);
        }
        if places.taken.len() < most {
            return Ok(());
        }
        // A program may ask again and again.
        if !places.newcomers.iter().any(|other| other.will_wake(newcomer)) {
            places.newcomers.push(newcomer.clone());
        }
        if std::mem::replace(&mut places.leaving, true) {
            return Err(None);
        }
        let now = now();
        let stays = |socket: &Rc<dyn Guest>| socket.place().is_some_and(|place| !place.left.get());
        let tried = |socket: &Rc<dyn Guest>| socket.place().map_or(0, |place| place.tried(now));
        Err(places.taken.iter().filter_map(Weak::upgrade).filter(stays).max_by_key(tried))
    });
    match worst {
        Ok(()) => return true,
        Err(None) => {}
        Err(Some(socket)) => {
            if let Some(place) = socket.place() {
                place.left.set(true);
            }
            socket.reset();
            crate::spawn(async {
                sleep(PROGRAMS_TIME).await;
                go_on();
            });
        }
    }
    false
}

/// A place for a connection that was just accepted.
pub(super) fn take<G: Guest + 'static>(socket: &Rc<G>) {
    let socket: Weak<G> = Rc::downgrade(socket);
    PLACES.with_borrow_mut(|places| {
        // Where there are far more places than connections, those that have gone must not add up.
        if places.taken.len() == places.taken.capacity() {
            places.taken.retain(|socket| socket.strong_count() > 0);
            places.taken.reserve(places.taken.len() + LEAST);
        }
        places.taken.push(socket);
    });
}

/// Newcomers try again: somebody has left, or takes too long to.
pub(super) fn go_on() {
    let newcomers = PLACES.with_borrow_mut(|places| {
        places.leaving = false;
        std::mem::take(&mut places.newcomers)
    });
    newcomers.into_iter().for_each(Waker::wake);
}
