//! UNIX-domain sockets: two ends that are connected only to each other, by `socketpair` or [by a name](super::named).

use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::net::SocketAddr;

use super::address::{Address, Name};
use super::events::Events;
use super::family::{Family, Type};
use super::memory::Reserved;
use super::named::{self, Listener};
use super::object::Object;
use super::object::{Received, Shutdown, Socket};
use super::options::Options;
use super::parts::{Errno, Part, PartMut, Result, room, scatter, total};
use super::pipe::{Buffer, CAPACITY, both};
use super::table::O_RDWR;
use super::watch::Watchers;
use crate::errno::{
    EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, EMSGSIZE, ENOTCONN, EOPNOTSUPP, EPERM,
    EPIPE, EPROTOTYPE,
};
use crate::layout::Stat;

/// Messages that wait for a reader, at most; one more than Linux's net.unix.max_dgram_qlen, as there.
const MOST_MESSAGES: usize = 11;

/// What was sent to a socket and not received.
enum Inbox {
    Bytes(Buffer),
    Messages {
        queue: RefCell<VecDeque<(Address, Vec<u8>)>>,
        bytes: Cell<usize>,
        reserved: Reserved,
    },
}

/// One end.
pub(super) struct Pair {
    kind: Type,
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

    /// Tells `other` when there is room here.
    pub(super) fn keep_informed(&self, other: &Pair) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|waiting| waiting.strong_count() > 0);
        if !waiting.iter().any(|waiting| Weak::ptr_eq(waiting, &other.own)) {
            waiting.push(Weak::clone(&other.own));
        }
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
                reserved.set(bytes.get() + n)?;
                bytes.set(bytes.get() + n);
                let message = parts.iter().flat_map(|part| part.iter().copied()).collect();
                queue.borrow_mut().push_back((from.name.get(), message));
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

    /// Sends to another end, which takes messages.
    fn send_message(&self, parts: &[Part], to: &Pair) -> Result<usize> {
        if to.kind != Type::Datagram {
            return Err(Errno(EPROTOTYPE));
        }
        // Who has a peer listens to nobody else.
        let chosen = to.peer.borrow().as_ref().is_none_or(|peer| Weak::ptr_eq(peer, &self.own));
        if !chosen {
            return Err(Errno(EPERM));
        }
        if to.deaf.get() {
            return Err(Errno(EPIPE));
        }
        to.put(parts, self)
    }

    /// Whether a stream can be written and read: it is connected, or was.
    fn check_connected(&self, error: c_int) -> Result {
        if self.kind == Type::Stream && !self.is_connected() {
            return Err(Errno(error));
        }
        Ok(())
    }
}

impl Object for Pair {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        if let Some(listener) = &*self.listener.borrow() {
            return Events::IN.when(!listener.is_empty()) & interest;
        }
        let stream = self.kind == Type::Stream;
        let ended = self.ended.get() || self.deaf.get();
        let other = self.other();
        let gone = other.is_none() && (stream || self.is_connected());
        let room = other.as_ref().is_none_or(|other| other.has_room());
        if let Some(other) = other.as_ref().filter(|_| !room) {
            other.keep_informed(self);
        }
        let both = (self.finished.get() || gone) && ended || stream && !self.is_connected();
        let ready = Events::IN.when(!self.is_empty() || ended)
            | Events::RDHUP.when(ended)
            | Events::HUP.when(both && (stream || !gone))
            | Events::ERR.when(self.error.get() != 0)
            | Events::OUT.when(room);
        ready & (interest | Events::ALWAYS)
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        self.receive(parts, false).map(|received| received.bytes)
    }

    fn write(&self, parts: &[Part]) -> Result<usize> {
        self.send(parts, None)
    }

    fn available(&self) -> Result<usize> {
        if self.listener.borrow().is_some() {
            return Err(Errno(EINVAL));
        }
        Ok(match &self.inbox {
            Inbox::Bytes(buffer) => buffer.len(),
            Inbox::Messages { queue, .. } => queue.borrow().front().map_or(0, |(_, m)| m.len()),
        })
    }

    fn stat(&self) -> Stat {
        Stat::socket()
    }

    fn socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }

    fn time_limit(&self, reading: bool) -> Option<u64> {
        self.options.time_limit(reading)
    }
}

impl Socket for Pair {
    fn family(&self) -> Family {
        Family::Unix
    }

    fn kind(&self) -> Type {
        self.kind
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind_name(&self, name: Option<Name>) -> Result {
        named::bind(self, name)
    }

    fn listen(&self, backlog: usize) -> Result {
        named::listen(self, backlog)
    }

    fn accept(&self) -> Result<(Rc<dyn Object>, Address)> {
        if self.kind != Type::Stream {
            return Err(Errno(EOPNOTSUPP));
        }
        let next = match &*self.listener.borrow() {
            Some(listener) => listener.next(),
            None => return Err(Errno(EINVAL)),
        };
        let next = next.ok_or(Errno(EAGAIN))?;
        self.tell_waiting();
        let peer = next.peer_name.get();
        Ok((next, peer))
    }

    fn connect_name(&self, name: &Name) -> Result {
        let to = named::find(name)?;
        match self.kind {
            Type::Stream => named::connect(self, &to),
            Type::Datagram if to.kind != self.kind => Err(Errno(EPROTOTYPE)),
            Type::Datagram => {
                self.join(&to);
                Ok(())
            }
        }
    }

    fn disconnect(&self) -> Result {
        if self.kind == Type::Stream {
            return Err(Errno(EINVAL));
        }
        self.peer.take();
        self.peer_name.set(Address::Unnamed);
        Ok(())
    }

    fn receive(&self, parts: &mut [PartMut], peek: bool) -> Result<Received> {
        self.check_connected(EINVAL)?;
        if self.kind == Type::Stream && room(parts) == 0 {
            return Ok(Received { bytes: 0, whole: 0, from: None });
        }
        if let Some(received) = self.take(parts, peek) {
            return Ok(received);
        }
        match self.take_error() {
            0 if self.ended.get() && self.kind == Type::Stream || self.deaf.get() => {
                Ok(Received { bytes: 0, whole: 0, from: None })
            }
            0 => Err(Errno(EAGAIN)),
            error => Err(Errno(error)),
        }
    }

    fn send(&self, parts: &[Part], to: Option<SocketAddr>) -> Result<usize> {
        if to.is_some() {
            return Err(Errno(EINVAL));
        }
        self.check_connected(ENOTCONN)?;
        if self.finished.get() {
            return Err(Errno(EPIPE));
        }
        let Some(other) = self.other() else {
            return Err(Errno(match (self.take_error(), self.kind) {
                (0, Type::Stream) => EPIPE,
                (0, Type::Datagram) if self.is_connected() => ECONNREFUSED,
                (0, Type::Datagram) => ENOTCONN,
                (error, _) => error,
            }));
        };
        if self.kind == Type::Datagram {
            return self.send_message(parts, &other);
        }
        if other.deaf.get() {
            return Err(Errno(EPIPE));
        }
        if total(parts) == 0 {
            return Ok(0);
        }
        other.put(parts, self)
    }

    fn send_to_name(&self, parts: &[Part], to: &Name) -> Result<usize> {
        match (self.kind, self.is_connected()) {
            (Type::Stream, true) => Err(Errno(EISCONN)),
            (Type::Stream, false) => Err(Errno(EOPNOTSUPP)),
            (Type::Datagram, _) if self.finished.get() => Err(Errno(EPIPE)),
            (Type::Datagram, _) => self.send_message(parts, &*named::find(to)?),
        }
    }

    fn shutdown(&self, how: Shutdown) -> Result {
        let other = self.other();
        if how.read {
            self.deaf.set(true);
        }
        if how.write {
            self.finished.set(true);
        }
        if let Some(other) = other.filter(|_| self.kind == Type::Stream) {
            if how.write {
                other.ended.set(true);
            }
            if how.read {
                other.finished.set(true);
            }
            other.watchers.notify(Events::IN | Events::OUT | Events::RDHUP);
        }
        self.watchers.notify(Events::IN | Events::OUT | Events::RDHUP);
        Ok(())
    }

    fn local(&self) -> Address {
        self.name.get()
    }

    fn peer(&self) -> Result<Address> {
        if self.is_connected() { Ok(self.peer_name.get()) } else { Err(Errno(ENOTCONN)) }
    }

    fn is_listening(&self) -> bool {
        self.listener.borrow().is_some()
    }

    fn take_error(&self) -> c_int {
        self.error.take()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        named::forget(self.name.get());
        // Connections that nobody accepted are reset.
        if let Some(listener) = self.listener.take() {
            while let Some(next) = listener.next() {
                next.other().inspect(|other| other.error.set(ECONNRESET));
            }
        }
        self.tell_waiting();
        if let Some(other) = self.other() {
            if self.kind == Type::Stream {
                if !self.is_empty() {
                    other.error.set(ECONNRESET);
                }
                other.ended.set(true);
                other.finished.set(true);
            }
            let all = Events::IN | Events::OUT | Events::RDHUP | Events::ALWAYS;
            other.watchers.notify(all);
        }
    }
}

/// Numbers of two connected sockets.
pub(super) fn create(kind: Type, flags: c_int) -> Result<[c_int; 2]> {
    let (a, b) = (Pair::new(kind), Pair::new(kind));
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
