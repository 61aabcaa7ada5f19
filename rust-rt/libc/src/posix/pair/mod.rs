//! UNIX-domain sockets: two ends that are connected only to each other, by `socketpair` or [by a name](super::named).

use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;

use super::address::Address;
use super::events::Events;
use super::family::Type;
use super::memory::{self, Reserved};
use super::object::Received;
use super::options::Options;
use super::parts::{Errno, Part, PartMut, Result, scatter, total};
use super::pipe::{Buffer, CAPACITY, both};
use super::table::{self, O_RDWR};
use super::watch::Watchers;
use crate::errno::{EAGAIN, EMSGSIZE, ENOMEM};

mod datagram;
mod file;
mod socket;

pub(super) use file::Remembered;

/// Messages that wait for a reader, at most; one more than Linux's net.unix.max_dgram_qlen, as there.
const MOST_MESSAGES: usize = 11;

/// What an end takes of the memory before anything is sent to it: itself, who watches it, and its place in a queue. An
/// open one is paid for by its descriptor; one that nobody has accepted has none, and counts as a buffer.
const END: usize = 640;

const _: () = assert!(size_of::<Pair>() + 128 <= END);

/// What was sent to a socket and not received.
enum Inbox {
    Bytes(Buffer),
    Messages {
        queue: RefCell<VecDeque<(Address, Vec<u8>)>>,
        bytes: Cell<usize>,
        reserved: Reserved,
    },
}

/// Connections that have not been accepted, the oldest first, and how many there may be.
pub(super) struct Listener {
    pending: RefCell<VecDeque<(Rc<Pair>, Reserved)>>,
    backlog: Cell<usize>,
}

impl Listener {
    /// There are none yet.
    pub(super) fn new(backlog: usize) -> Listener {
        Listener { pending: RefCell::default(), backlog: Cell::new(backlog) }
    }

    pub(super) fn set_backlog(&self, backlog: usize) {
        self.backlog.set(backlog);
    }

    /// One more than the backlog, as Linux has it.
    pub(super) fn is_full(&self) -> bool {
        self.pending.borrow().len() > self.backlog.get()
    }

    /// An end of a new connection, which is the last to be accepted.
    ///
    /// # Errors
    ///
    /// ENOBUFS, ENOMEM.
    pub(super) fn push(&self) -> Result<Rc<Pair>> {
        let space = Reserved::default();
        space.set(END)?;
        let mut pending = self.pending.borrow_mut();
        pending.try_reserve(1).map_err(|_| Errno(ENOMEM))?;
        memory::need(memory::THING)?;
        let end = Pair::new(Type::Stream);
        pending.push_back((Rc::clone(&end), space));
        Ok(end)
    }

    fn is_empty(&self) -> bool {
        self.pending.borrow().is_empty()
    }

    fn next(&self) -> Option<Rc<Pair>> {
        let mut pending = self.pending.borrow_mut();
        let (next, _) = pending.pop_front()?;
        if pending.is_empty() {
            *pending = VecDeque::new();
        }
        Some(next)
    }
}

/// One end.
pub(super) struct Pair {
    kind: Type,
    /// Of a connection: either end hears of what the other one ends.
    in_sequence: bool,
    inbox: Inbox,
    /// This end.
    pub(super) own: Weak<Pair>,
    /// The end that is connected with; it may be gone.
    peer: RefCell<Option<Weak<Pair>>>,
    /// The name of that end.
    peer_name: Cell<Address>,
    /// The name of this one.
    pub(super) name: Cell<Address>,
    /// Connections that nobody has accepted yet, of an end that listens.
    pub(super) listener: RefCell<Option<Listener>>,
    /// Ends that found no room here, and want to know when there is some.
    waiting: RefCell<Vec<Weak<Pair>>>,
    /// The peer will write no more.
    ended: Cell<bool>,
    /// We will write no more.
    finished: Cell<bool>,
    /// We will read no more.
    deaf: Cell<bool>,
    error: Cell<c_int>,
    options: Options,
    watchers: Watchers,
}

impl Pair {
    /// An end that is not connected, and has no name.
    pub(super) fn new(kind: Type) -> Rc<Self> {
        Pair::of(kind, kind == Type::Stream)
    }

    fn of(kind: Type, in_sequence: bool) -> Rc<Self> {
        let inbox = match kind {
            Type::Stream => Inbox::Bytes(Buffer::default()),
            Type::Datagram => Inbox::Messages {
                queue: RefCell::default(),
                bytes: Cell::new(0),
                reserved: Reserved::default(),
            },
        };
        Rc::new_cyclic(|own| Pair {
            kind,
            in_sequence,
            inbox,
            own: Weak::clone(own),
            peer: RefCell::default(),
            peer_name: Cell::new(Address::Unnamed),
            name: Cell::new(Address::Unnamed),
            listener: RefCell::default(),
            waiting: RefCell::default(),
            ended: Cell::new(false),
            finished: Cell::new(false),
            deaf: Cell::new(false),
            error: Cell::new(0),
            options: Options::default(),
            watchers: Watchers::new(),
        })
    }

    /// Connects it with another end, in this direction.
    pub(super) fn join(&self, other: &Pair) {
        self.peer.replace(Some(Weak::clone(&other.own)));
        self.peer_name.set(other.name.get());
        self.watchers.notify(Events::IN | Events::OUT | Events::ALWAYS);
    }

    /// Whether it was connected, with an end that may be gone.
    pub(super) fn is_connected(&self) -> bool {
        self.peer.borrow().is_some()
    }

    /// The program will read no more from it.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    fn other(&self) -> Option<Rc<Pair>> {
        self.peer.borrow().as_ref().and_then(Weak::upgrade)
    }

    fn is_empty(&self) -> bool {
        match &self.inbox {
            Inbox::Bytes(buffer) => buffer.len() == 0,
            Inbox::Messages { queue, .. } => queue.borrow().is_empty(),
        }
    }

    fn has_room(&self) -> bool {
        match &self.inbox {
            // A quarter, as Linux has it.
            Inbox::Bytes(buffer) => buffer.room() >= CAPACITY / 4,
            Inbox::Messages { queue, bytes, .. } => {
                queue.borrow().len() < MOST_MESSAGES && bytes.get() < CAPACITY
            }
        }
    }

    /// Tells `other` when there is room here; at once if there is no memory to remember that, so that it asks again.
    pub(super) fn keep_informed(&self, other: &Pair) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|waiting| waiting.strong_count() > 0);
        if waiting.iter().any(|waiting| Weak::ptr_eq(waiting, &other.own)) {
            return;
        }
        if memory::reserve(&mut waiting, 1).is_ok() {
            return waiting.push(Weak::clone(&other.own));
        }
        drop(waiting);
        other.watchers.notify(Events::OUT);
    }

    /// There is room, or never will be.
    pub(super) fn tell_waiting(&self) {
        let waiting = self.waiting.take();
        for other in waiting.iter().filter_map(Weak::upgrade) {
            other.watchers.notify(Events::OUT);
        }
    }

    /// Stores what `from` sends.
    fn put(&self, parts: &[Part], from: &Pair) -> Result<usize> {
        let n = match &self.inbox {
            Inbox::Bytes(buffer) => buffer.put(parts, 1)?,
            Inbox::Messages { queue, bytes, reserved } => {
                let n = total(parts);
                if n > CAPACITY {
                    return Err(Errno(EMSGSIZE));
                }
                if !self.has_room() {
                    self.keep_informed(from);
                    return Err(Errno(EAGAIN));
                }
                let (mut message, mut queue) = (Vec::new(), queue.borrow_mut());
                memory::reserve(&mut message, n)?;
                queue.try_reserve(1).map_err(|_| Errno(ENOMEM))?;
                reserved.set(bytes.get() + n)?;
                bytes.set(bytes.get() + n);
                parts.iter().for_each(|part| message.extend_from_slice(part));
                queue.push_back((from.name.get(), message));
                n
            }
        };
        self.watchers.notify(Events::IN);
        Ok(n)
    }

    /// Removes a message or bytes.
    fn take(&self, parts: &mut [PartMut], peek: bool) -> Option<Received> {
        if self.is_empty() {
            return None;
        }
        let had_room = self.has_room();
        let received = match &self.inbox {
            Inbox::Bytes(buffer) => {
                let n = buffer.take(parts, peek);
                Received { bytes: n, whole: n, from: None }
            }
            Inbox::Messages { queue, bytes, reserved } => {
                let mut queue = queue.borrow_mut();
                let (from, message) = queue.front()?;
                let (n, whole) = (scatter(message, parts), message.len());
                let from = Some(*from).filter(|from| *from != Address::Unnamed);
                if !peek {
                    queue.pop_front();
                    bytes.set(bytes.get() - whole);
                    // Less was available than before.
                    let _ = reserved.set(bytes.get());
                }
                Received { bytes: n, whole, from }
            }
        };
        if !had_room && self.has_room() {
            self.other().inspect(|other| other.watchers.notify(Events::OUT));
            self.tell_waiting();
        }
        Some(received)
    }

    /// Whether a stream can be written and read: it is connected, or was.
    fn check_connected(&self, error: c_int) -> Result {
        if self.kind == Type::Stream && !self.is_connected() {
            return Err(Errno(error));
        }
        Ok(())
    }
}

/// Numbers of two connected sockets. Messages are those of a connection if they are `in_sequence`, as a stream always
/// is.
pub(super) fn create(kind: Type, in_sequence: bool, flags: c_int) -> Result<[c_int; 2]> {
    table::check_room()?;
    let (a, b) = (Pair::of(kind, in_sequence), Pair::of(kind, in_sequence));
    a.join(&b);
    b.join(&a);
    both(a, flags | O_RDWR, b, flags | O_RDWR)
}

#[cfg(test)]
mod tests {
    use super::super::host_tests::same;
    use super::super::table::O_NONBLOCK;
    use alloc::vec;

    /// IN, OUT and RDHUP.
    const ALL: i16 = 0x2005;

    #[test]
    fn a_pair_says_its_type_as_the_kernels_does() {
        same(|c| {
            let both = |kind| {
                let pair = c.socketpair(kind, 0);
                let types = pair.map(|fd| c.type_of(fd));
                assert_eq!(pair.map(|fd| c.close(fd)), [0; 2]);
                types
            };
            // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET.
            let types = [1, 2, 5].map(both);
            assert_eq!(types, [[1; 2], [2; 2], [5; 2]]);
            types
        });
    }

    #[test]
    fn a_stream_is_as_the_kernels() {
        same(|c| {
            let [a, b] = c.socketpair(1, O_NONBLOCK);
            let mut buf = [0; 8];
            let mut log = vec![c.poll(a, ALL), c.read(a, &mut buf), c.write(a, b"hello")];
            log.extend([c.poll(b, ALL), c.recv(b, &mut buf[..2], 2), c.read(b, &mut buf[..3])]);
            log.extend([c.fionread(b), c.write(b, b"back"), c.shutdown(a, 1), c.poll(b, ALL)]);
            log.extend([
                c.write(a, b"x"),
                c.read(b, &mut buf),
                c.read(b, &mut buf),
                c.poll(a, ALL),
            ]);
            log.extend([c.read(a, &mut buf), c.shutdown(b, 1), c.poll(a, ALL), c.poll(b, ALL)]);
            log.extend([
                c.close(b),
                c.poll(a, ALL),
                c.read(a, &mut buf),
                c.write(a, b"x"),
                c.close(a),
            ]);
            (log, buf)
        });
    }

    #[test]
    fn a_peer_that_leaves_data_behind_has_reset() {
        same(|c| {
            let [a, b] = c.socketpair(1, O_NONBLOCK);
            let mut log = vec![c.write(a, b"unread"), c.close(b), c.poll(a, ALL)];
            log.extend([c.write(a, b"x"), c.write(a, b"x"), c.read(a, &mut [0]), c.close(a)]);
            log
        });
        same(|c| {
            let [a, b] = c.socketpair(1, O_NONBLOCK);
            vec![c.shutdown(a, 2), c.poll(a, ALL), c.poll(b, ALL), c.close(a), c.close(b)]
        });
    }

    #[test]
    fn messages_in_sequence_end_as_a_stream_does() {
        same(|c| {
            let [a, b] = c.socketpair(5, O_NONBLOCK);
            let mut buf = [0; 8];
            let mut log = vec![c.write(a, b"one"), c.write(a, b"two"), c.read(b, &mut buf[..2])];
            log.extend([c.shutdown(a, 1), c.poll(a, ALL), c.poll(b, ALL), c.write(a, b"x")]);
            log.extend([c.read(b, &mut buf), c.read(b, &mut buf), c.write(b, b"back")]);
            log.extend([c.shutdown(b, 0), c.read(b, &mut buf), c.close(b), c.poll(a, ALL)]);
            log.extend([c.read(a, &mut buf), c.read(a, &mut buf), c.write(a, b"x"), c.close(a)]);
            let [a, b] = c.socketpair(5, O_NONBLOCK);
            log.extend([c.write(a, b"unread"), c.close(b), c.poll(a, ALL), c.read(a, &mut buf)]);
            log.extend([c.read(a, &mut buf), c.write(a, b"x"), c.close(a)]);
            (log, buf)
        });
    }

    #[test]
    fn datagrams_keep_their_borders() {
        same(|c| {
            let [a, b] = c.socketpair(2, O_NONBLOCK);
            let mut buf = [0; 8];
            let mut log = vec![c.write(a, b"one"), c.write(a, b""), c.write(a, b"three")];
            log.extend([c.poll(b, ALL), c.recv(b, &mut buf, 2), c.recv(b, &mut buf[..2], 0x20)]);
            log.extend([c.read(b, &mut buf), c.read(b, &mut buf), c.read(b, &mut buf)]);
            log.extend([c.close(b), c.write(a, b"x"), c.close(a)]);
            (log, buf)
        });
    }
}
