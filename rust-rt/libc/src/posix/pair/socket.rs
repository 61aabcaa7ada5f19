//! What a program does with an end: reading, writing, names, and closing it.

use alloc::rc::Rc;
use core::ffi::c_int;
use core::net::SocketAddr;

use super::super::address::Address;
use super::super::block;
use super::super::events::Events;
use super::super::family::{Family, Type};
use super::super::named;
use super::super::object::{Object, Received, Shutdown, Socket};
use super::super::options::Options;
use super::super::parts::{Errno, Part, PartMut, Result, room, total};
use super::super::watch::Watchers;
use super::{Inbox, Pair};
use crate::errno::{EAGAIN, ECONNRESET, EINVAL, ENOTCONN, EOPNOTSUPP, EPIPE};
use crate::layout::Stat;

impl Object for Pair {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        if let Some(listener) = &*self.listener.borrow() {
            let deaf = self.deaf.get();
            let ready = Events::IN.when(!listener.is_empty() || deaf)
                | Events::RDHUP.when(deaf)
                | Events::HUP.when(deaf && self.finished.get())
                | Events::ERR.when(self.error.get() != 0);
            return ready & (interest | Events::ALWAYS);
        }
        let stream = self.in_sequence;
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
}

impl Socket for Pair {
    fn family(&self) -> Family {
        Family::Unix
    }

    fn kind(&self) -> Type {
        self.kind
    }

    fn is_in_sequence(&self) -> bool {
        self.in_sequence && self.kind == Type::Datagram
    }

    fn options(&self) -> &Options {
        &self.options
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
        // Linux says EINVAL only where it would wait for ever.
        let none = Errno(if self.deaf.get() && block::waits() { EINVAL } else { EAGAIN });
        let next = next.ok_or(none)?;
        self.tell_waiting();
        let peer = next.peer_name.get();
        Ok((next, peer))
    }

    fn disconnect(&self) -> Result {
        if self.kind == Type::Stream {
            return Err(Errno(EINVAL));
        }
        self.part(self.peer.take());
        Ok(())
    }

    fn receive(&self, parts: &mut [PartMut], peek: bool) -> Result<Received> {
        self.check_connected(EINVAL)?;
        if self.kind == Type::Stream && room(parts) == 0 {
            return Ok(Received { bytes: 0, whole: 0, from: None });
        }
        // A stream's error comes behind its bytes.
        let error = if self.kind == Type::Datagram { self.take_error() } else { 0 };
        if error != 0 {
            return Err(Errno(error));
        }
        if let Some(received) = self.take(parts, peek) {
            return Ok(received);
        }
        let ended = match self.in_sequence {
            true => self.ended.get() || self.deaf.get(),
            // Linux says so only where it would wait for ever.
            false => self.deaf.get() && block::waits(),
        };
        match self.take_error() {
            0 if ended => Ok(Received { bytes: 0, whole: 0, from: None }),
            0 => Err(Errno(EAGAIN)),
            error => Err(Errno(error)),
        }
    }

    fn send(&self, parts: &[Part], to: Option<SocketAddr>) -> Result<usize> {
        if to.is_some() {
            return Err(Errno(EINVAL));
        }
        if self.kind == Type::Datagram {
            return self.send_to_peer(parts);
        }
        self.check_connected(ENOTCONN)?;
        if self.finished.get() {
            return Err(Errno(EPIPE));
        }
        let Some(other) = self.other() else {
            return Err(Errno(match self.take_error() {
                0 => EPIPE,
                error => error,
            }));
        };
        if other.deaf.get() {
            return Err(Errno(EPIPE));
        }
        if total(parts) == 0 {
            return Ok(0);
        }
        other.put(parts, self)
    }

    fn shutdown(&self, how: Shutdown) -> Result {
        let other = self.other();
        if how.read {
            self.deaf.set(true);
        }
        if how.write {
            self.finished.set(true);
        }
        if let Some(other) = other.filter(|_| self.in_sequence) {
            if how.write {
                other.ended.set(true);
            }
            if how.read {
                other.finished.set(true);
            }
            other.watchers.notify(Events::IN | Events::OUT | Events::RDHUP);
        }
        self.watchers.notify(Events::IN | Events::OUT | Events::RDHUP);
        if how.read {
            self.tell_waiting();
        }
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

    fn put_error(&self, error: c_int) {
        self.error.set(error);
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
            if self.in_sequence {
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
