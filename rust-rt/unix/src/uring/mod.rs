//! Requests to the kernel that end later: one io_uring of the process, which its disks share.
//!
//! While the kernel has any of them, the event loop waits here. Then one system call tells the kernel of new requests,
//! waits, and brings the ends of others; the descriptor that the loop waits for otherwise is polled by one more
//! request.

use crate::{
    Errno, RawFd,
    reactor::{Found, Place, reactor},
};
use alloc::{rc::Rc, vec::Vec};
use core::cell::{Cell, RefCell};
use host_libc as libc;
use mirust_executor::{owned::Owned, time::Duration};

mod rings;

use rings::Rings;
pub(crate) use rings::{Op, Request};

/// Requests that can be put into the ring before the kernel has to be told.
const ENTRIES: u32 = 256;

/// How many ends the ring has room for. Older kernels take no request while there are more, and they are taken in
/// [`dispatch`](Place::dispatch) only: fifteen disks (`DEPTH` there) may be busy at once. The rings are memory that the
/// process locks, of which older kernels allow 64 KiB.
const ENDS: u32 = 2048;

/// How many requests are submitted at once: a disk is idle while it waits for more of them to be prepared.
const BATCH: u32 = 8;

/// How many turns of the loop may go by before the kernel is told. If the loop waits earlier, that tells it as well.
const TURNS: u8 = 4;

/// The user of the poll.
const POLL: u32 = u32::MAX;

static URING: Owned<Uring> = Owned::new();

/// Called when a request has ended, with its number and the kernel's result, an errno if it is negative. Runs inside
/// [`dispatch`](mirust_executor::platform::Platform::dispatch).
pub(crate) type Told = Rc<dyn Fn(u32, i32)>;

/// The process's io_uring.
pub(crate) struct Uring {
    rings: RefCell<Rings>,
    users: RefCell<Vec<Told>>,
    /// Users' requests that have not ended.
    in_flight: Cell<usize>,
    /// Whether there is a request that polls the loop's descriptor.
    polls: Cell<bool>,
    /// Turns of the loop that an untold request has seen.
    turns: Cell<u8>,
}

/// The process's io_uring, set up at the first call.
///
/// # Errors
///
/// Of a kernel that has none, or one from before Linux 5.11, or where the process may not use it.
pub(crate) fn uring() -> Result<&'static Uring, Errno> {
    let rings = if URING.is_made() { None } else { Some(Rings::new(ENTRIES, ENDS)?) };
    let uring = URING.get_or_init(|| Uring {
        rings: RefCell::new(rings.expect("made just now")),
        users: RefCell::default(),
        in_flight: Cell::new(0),
        polls: Cell::new(false),
        turns: Cell::new(0),
    });
    reactor().set_place(uring);
    Ok(uring)
}

impl Uring {
    /// Registers a user, for as long as the process lives.
    pub(crate) fn user(&'static self, told: Told) -> User {
        let mut users = self.users.borrow_mut();
        users.push(told);
        User { uring: self, number: users.len() as u32 - 1 }
    }

    /// Puts a request into the ring, and tells the kernel if there are enough.
    ///
    /// # Safety
    ///
    /// As for [`Rings::push`].
    unsafe fn push(&self, request: &Request) {
        let mut rings = self.rings.borrow_mut();
        // SAFETY: by the caller's promise.
        while !unsafe { rings.push(request) } {
            // Full: the kernel takes them when it can.
            tolerate(rings.enter());
        }
        if rings.unsubmitted() >= BATCH {
            tolerate(rings.enter());
        }
    }
}

/// Transient errors are ignored: what needs the call tries again.
fn tolerate(result: Result<(), Errno>) {
    match result {
        Ok(()) | Err(Errno::INTR | Errno::AGAIN | Errno(libc::EBUSY)) => {}
        Err(error) => panic!("io_uring: {error}"),
    }
}

impl Place for Uring {
    fn dispatch(&self) -> Found {
        let mut rings = self.rings.borrow_mut();
        if rings.unsubmitted() > 0 {
            self.turns.set(self.turns.get() + 1);
        }
        if self.turns.get() >= TURNS || rings.wants_enter() {
            self.turns.set(0);
            tolerate(rings.enter());
        }
        drop(rings);
        let mut found = Found { ends: 0, descriptor: false };
        loop {
            let end = self.rings.borrow_mut().pop();
            let Some((id, result)) = end else { return found };
            let (user, number) = ((id >> 32) as u32, id as u32);
            if user == POLL {
                self.polls.set(false);
                found.descriptor = true;
                continue;
            }
            found.ends += 1;
            self.in_flight.set(self.in_flight.get() - 1);
            let told = self.users.borrow()[user as usize].clone();
            told(number, result);
        }
    }

    fn wait(&self, descriptor: RawFd, time: Option<Duration>) -> bool {
        if self.in_flight.get() == 0 {
            return false;
        }
        let poll = Request {
            op: Op::Poll,
            fd: descriptor,
            offset: 0,
            addr: 0,
            len: 0,
            flags: libc::POLLIN as u32,
            id: u64::from(POLL) << 32,
        };
        let mut rings = self.rings.borrow_mut();
        self.turns.set(0);
        // SAFETY: it points to nothing.
        if self.polls.get() || unsafe { rings.push(&poll) } {
            self.polls.set(true);
            tolerate(rings.wait(time));
        } else {
            tolerate(rings.enter());
        }
        true
    }
}

/// A client of the ring, which makes requests.
pub(crate) struct User {
    uring: &'static Uring,
    number: u32,
}

impl User {
    /// Makes a request. Its end is reported with `request.id` (32 bits), never inside this call.
    ///
    /// # Safety
    ///
    /// What the request points to must stay valid until its end is reported, and must not be used otherwise.
    pub(crate) unsafe fn push(&self, request: Request) {
        let id = u64::from(self.number) << 32 | request.id;
        self.uring.in_flight.set(self.uring.in_flight.get() + 1);
        // SAFETY: by the caller's promise.
        unsafe { self.uring.push(&Request { id, ..request }) };
    }
}
