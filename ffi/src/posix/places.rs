//! Places for accepted connections. How many there are depends on the memory.
//!
//! An unmodified program accepts everybody, and each connection costs it buffers of its own, whose allocation cannot
//! fail: a crowd of clients would end the domain. So accepted connections are limited in number. When all places are
//! taken, `accept` waits, and the connection that has most exhausted its patience is reset, so that clients that do
//! nothing do not keep others out.
//!
//! How much a program keeps of what its clients send is its own choice, and may be more than its memory. So when memory
//! is [short](super::shortage), connections that have read much have to wait before reading on, and newcomers wait to
//! be accepted, while one connection after the other is reset until there is memory again.
//!
//! A program may also have a thread for each connection, whose stack is far larger than what a place is reckoned with,
//! and `std::thread::spawn` ends the program if there is no memory for one. So a newcomer to such a program is accepted
//! only if there is; otherwise all places count as taken.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::rc::{Rc, Weak};
use std::task::Waker;

use mirust_rt::executor::add_waker;
use mirust_rt::mem::heap;

use super::shortage::{self, KEPT, LITTLE, Memory, Shortage};
use crate::local::domain_local;
use crate::patience::Patience;
use crate::time::{Duration, now, sleep};

/// The environment variable with the number of places.
const VARIABLE: &str = "MIRUST_CONNECTIONS";
/// By default there is one place for this many bytes of the domain's memory. A connection to axum whose client does not
/// read costs some 120 KiB, and as much again is left to the program.
const MEMORY_EACH: u64 = 320 * 1024;
const LEAST: usize = 32;

/// So many connections a program may have, whatever their threads take: beyond that it is the program itself that needs
/// more memory.
const ALWAYS: usize = 8;
/// Stacks that together take less than this part of the memory are not what it is short of.
const MANY_STACKS: u64 = 4;

/// Bytes without an answer that count as progress: single ones do not.
const WORTH_IT: u64 = 64 << 10;
/// How long `accept` waits before it looks for another one to reset, if nobody leaves: a program takes its time to
/// close.
const PROGRAMS_TIME: Duration = Duration::from_millis(20);
/// How long a program has to free what it keeps of a connection that was reset for want of memory, before another one
/// is.
const TIME_TO_FREE: Duration = Duration::from_millis(100);
/// How often that is looked for.
const LOOK: Duration = Duration::from_millis(1);

domain_local! {
    static PLACES: RefCell<Places> = const {
        RefCell::new(Places {
            asked: None,
            taken: Vec::new(),
            newcomers: Vec::new(),
            leaving: false,
            readers: Vec::new(),
            relief: None,
            last_relief: 0,
        })
    };
    static SHORTAGE: RefCell<Shortage> = const { RefCell::new(Shortage::new()) };
}

/// An accepted connection.
pub(super) trait Guest {
    /// Its account.
    fn place(&self) -> Option<&Place>;
    /// Resets the connection: the program finds out by an error.
    fn reset(&self);
    /// Tells the program's waiting calls to look again.
    fn notify(&self);
}

struct Places {
    /// What [`VARIABLE`] says, once it was looked at.
    asked: Option<Option<usize>>,
    taken: Vec<Weak<dyn Guest>>,
    /// Of listening sockets with a connection to accept.
    newcomers: Vec<Waker>,
    /// A connection was reset, and the program has some time to close it.
    leaving: bool,
    /// Of connections that wait for memory to read on.
    readers: Vec<Waker>,
    /// The number of the [relief](relieve) in progress, while connections wait for memory.
    relief: Option<u64>,
    last_relief: u64,
}

/// An accepted connection's account.
pub(super) struct Place {
    /// The client is in the middle of something when something was read since the last write, or a write was
    /// incomplete.
    patience: Patience,
    /// It has been reset to make room.
    left: Cell<bool>,
    /// Bytes that were read since the last write. At [`LITTLE`] or more it is among the readers of [`Shortage`].
    read: Cell<u64>,
    /// The last relief that it waited for.
    waited: Cell<u64>,
}

impl Place {
    pub(super) fn new() -> Self {
        Place {
            patience: Patience::new(now()),
            left: Cell::new(false),
            read: Cell::new(0),
            waited: Cell::new(0),
        }
    }

    /// This many bytes were read.
    pub(super) fn read(&self, bytes: usize) {
        self.patience.set_busy(true);
        let before = self.read.get();
        self.read.set(before.saturating_add(bytes as u64));
        if self.read.get() / WORTH_IT > before / WORTH_IT {
            self.patience.moved(now());
        }
        if before < LITTLE && self.read.get() >= LITTLE {
            SHORTAGE.with_borrow_mut(Shortage::came);
        }
    }

    /// Something was written: all that the program had, or what there was room for.
    pub(super) fn wrote(&self, all: bool) {
        self.forget();
        if self.patience.set_busy(!all) && all {
            self.patience.answered(now());
        } else {
            self.patience.moved(now());
        }
    }

    /// Whether it was reset to make room.
    pub(super) fn has_left(&self) -> bool {
        self.left.get()
    }

    /// It is to be reset.
    fn leave(&self) {
        self.left.set(true);
        self.forget();
    }

    /// What was read is no longer held against it.
    fn forget(&self) {
        if self.read.replace(0) >= LITTLE {
            SHORTAGE.with_borrow_mut(Shortage::went);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The number of places that a value of [`VARIABLE`] asks for.
fn number(value: &OsStr) -> Result<usize, String> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        format!("{VARIABLE}={value:?} is not a number of connections, and is ignored")
    })
}

fn asked() -> Option<usize> {
    number(&std::env::var_os(VARIABLE)?).inspect_err(|why| log::error!("{why}")).ok()
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

/// Threads: how many there are, the bytes of their stacks, and those that one more would take.
#[cfg(not(test))]
fn threads() -> [usize; 3] {
    let stats = mirust_fiber::stats();
    [stats.threads, stats.stack_bytes, stats.next_bytes]
}

#[cfg(test)]
fn threads() -> [usize; 3] {
    crate::platform::THREADS.get()
}

/// Whether there is memory for one more thread, beyond what is [kept](KEPT), or it is not the threads of `connections`
/// that have taken it.
fn is_memory_for_thread(connections: &[Weak<dyn Guest>]) -> bool {
    loop {
        let ([threads, stacks, next], Memory { total, free, .. }) = (threads(), memory());
        if (stacks as u64) < total / MANY_STACKS || free >= next as u64 + total / KEPT {
            return true;
        }
        let connections = connections.iter().filter(|socket| socket.strong_count() > 0).count();
        if connections < ALWAYS || threads < connections {
            return true;
        }
        if !heap::others_give_way() {
            return false;
        }
    }
}

/// Whether there is room for one more connection. If not, one is reset, and `newcomer` is woken when it is worth
/// another try.
pub(super) fn is_room(newcomer: &Waker) -> bool {
    if is_short(0) {
        PLACES.with_borrow_mut(|places| add_waker(&mut places.newcomers, newcomer));
        ask_for_relief();
        return false;
    }
    let worst = PLACES.with_borrow_mut(|places| {
        let most = most(*places.asked.get_or_insert_with(asked));
        if places.taken.len() >= most {
            places.taken.retain(|socket| socket.strong_count() > 0);
        }
        if places.taken.len() < most && is_memory_for_thread(&places.taken) {
            return Ok(());
        }
        add_waker(&mut places.newcomers, newcomer);
        if std::mem::replace(&mut places.leaving, true) {
            return Err(None);
        }
        let now = now();
        let stays = |socket: &Rc<dyn Guest>| socket.place().is_some_and(|place| !place.left.get());
        let tried =
            |socket: &Rc<dyn Guest>| socket.place().map_or(0, |place| place.patience.tried(now));
        Err(places.taken.iter().filter_map(Weak::upgrade).filter(stays).max_by_key(tried))
    });
    match worst {
        Ok(()) => return true,
        Err(None) => {}
        Err(Some(socket)) => {
            if let Some(place) = socket.place() {
                place.leave();
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
    SHORTAGE.with_borrow_mut(|shortage| shortage.note(memory, seconds()));
    PLACES.with_borrow_mut(|places| {
        // Where there are far more places than connections, those that have gone must not add up.
        if places.taken.len() == places.taken.capacity() {
            places.taken.retain(|socket| socket.strong_count() > 0);
            places.taken.reserve(places.taken.len() + LEAST);
        }
        places.taken.push(socket);
    });
}

/// Newcomers try again: a connection has been closed, or is taking too long.
pub(super) fn go_on() {
    let newcomers = PLACES.with_borrow_mut(|places| {
        places.leaving = false;
        std::mem::take(&mut places.newcomers)
    });
    newcomers.into_iter().for_each(Waker::wake);
}

/// Since boot.
fn seconds() -> u64 {
    now().as_nanos() / 1_000_000_000
}

fn memory() -> Memory {
    let [total, free, run] = crate::platform::free_memory();
    Memory { total, free, run }
}

/// Whether memory is short for a connection that has `read` this many bytes. Costs little if none has read much.
fn is_short(read: u64) -> bool {
    SHORTAGE.with_borrow_mut(|shortage| shortage.has_readers() && shortage.is_short(memory(), read))
}

/// Whether a connection may read on. If not, memory is short, and `reader` is woken when it is worth another try.
pub(super) fn may_read(place: &Place, reader: &Waker) -> bool {
    if place.read.get() < LITTLE || !is_short(place.read.get()) {
        return true;
    }
    let relief = ask_for_relief();
    if place.waited.replace(relief) != relief {
        PLACES.with_borrow_mut(|places| places.readers.push(reader.clone()));
    }
    false
}

/// Starts resetting connections until there is memory, unless that is in progress. Returns the relief's number.
fn ask_for_relief() -> u64 {
    let (number, begins) = PLACES.with_borrow_mut(|places| match places.relief {
        Some(number) => (number, false),
        None => {
            places.last_relief += 1;
            places.relief = Some(places.last_relief);
            (places.last_relief, true)
        }
    });
    if begins {
        crate::spawn(relieve());
    }
    number
}

/// Resets one connection after the other while memory is short, giving the owner of each a turn before the next. It is
/// a task because its caller is in the middle of using a socket.
async fn relieve() {
    while let Some((guest, read)) = next_to_leave() {
        if let Some(place) = guest.place() {
            place.leave();
        }
        guest.reset();
        guest.notify();
        let line = SHORTAGE.with_borrow_mut(|shortage| {
            let resets = shortage.count(seconds())?;
            Some(shortage::line(memory(), resets, read, VARIABLE))
        });
        if let Some(line) = line {
            log::warn!("{line}");
        }
        let socket = Rc::downgrade(&guest);
        drop(guest);
        let limit = now().saturating_add(TIME_TO_FREE);
        loop {
            // Also of one that is gone at once: its owner may free the rest after the socket.
            sleep(LOOK).await;
            if socket.strong_count() == 0 || now() >= limit {
                break;
            }
        }
    }
    let readers = PLACES.with_borrow_mut(|places| {
        places.relief = None;
        std::mem::take(&mut places.readers)
    });
    readers.into_iter().for_each(Waker::wake);
    go_on();
}

/// The connection that has read the most since it last wrote, with how much that was, if memory is short.
fn next_to_leave() -> Option<(Rc<dyn Guest>, u64)> {
    crate::platform::trim();
    let (guest, read) = PLACES.with_borrow_mut(|places| {
        let guests = places.taken.iter().filter_map(Weak::upgrade);
        shortage::chosen(guests.map(|guest| {
            let read = guest.place().map_or(0, |place| place.read.get());
            (guest, read)
        }))
    })?;
    is_short(read).then_some((guest, read))
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
