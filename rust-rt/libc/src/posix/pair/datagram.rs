//! Ends that exchange messages: with the peer that they have chosen, or with anybody.

use alloc::rc::Weak;

use super::super::address::Address;
use super::super::events::Events;
use super::super::family::Type;
use super::super::parts::{Errno, Part, Result};
use super::{Inbox, Pair};
use crate::errno::{
    ECONNREFUSED, ECONNRESET, EISCONN, ENOTCONN, EOPNOTSUPP, EPERM, EPIPE, EPROTOTYPE,
};

impl Pair {
    /// Whether it accepts messages from `from`: a socket with a peer accepts only that peer's.
    fn check_listens_to(&self, from: &Pair) -> Result {
        if self.kind != Type::Datagram {
            return Err(Errno(EPROTOTYPE));
        }
        let chosen = self.peer.borrow().as_ref().is_none_or(|peer| Weak::ptr_eq(peer, &from.own));
        if chosen { Ok(()) } else { Err(Errno(EPERM)) }
    }

    /// Makes another end the only one that this one exchanges messages with.
    ///
    /// # Errors
    ///
    /// EPROTOTYPE; EPERM if that one has chosen another.
    pub(in super::super) fn choose(&self, to: &Pair) -> Result {
        to.check_listens_to(self)?;
        let former = self.peer.take();
        if former.as_ref().is_some_and(|former| !Weak::ptr_eq(former, &to.own)) {
            self.part(former);
        }
        self.join(to);
        Ok(())
    }

    /// Has no peer any more, for messages. What the former one has sent is gone, and it hears of that.
    pub(super) fn part(&self, former: Option<Weak<Pair>>) {
        self.peer_name.set(Address::Unnamed);
        let Some(former) = former else { return };
        if let Inbox::Messages { queue, bytes, reserved } = &self.inbox {
            queue.take();
            bytes.set(0);
            // Less was available than before.
            let _ = reserved.set(0);
        }
        self.tell_waiting();
        if let Some(former) = former.upgrade() {
            former.watchers.notify(Events::OUT);
            let both = former.peer.borrow().as_ref().is_some_and(|p| Weak::ptr_eq(p, &self.own));
            if both {
                former.error.set(ECONNRESET);
                former.watchers.notify(Events::IN | Events::OUT | Events::ALWAYS);
            }
        }
    }

    /// Whether messages can be sent to others than the peer.
    ///
    /// # Errors
    ///
    /// EISCONN and EOPNOTSUPP for a stream; an error of the socket; EPIPE.
    pub(in super::super) fn may_send_to_others(&self) -> Result {
        match self.kind {
            Type::Stream => Err(Errno(if self.is_connected() { EISCONN } else { EOPNOTSUPP })),
            Type::Datagram => self.check_sends(),
        }
    }

    /// The same of any.
    fn check_sends(&self) -> Result {
        match self.error.take() {
            0 if self.finished.get() => Err(Errno(EPIPE)),
            0 => Ok(()),
            error => Err(Errno(error)),
        }
    }

    /// Sends to the peer, which takes messages.
    pub(super) fn send_to_peer(&self, parts: &[Part]) -> Result<usize> {
        let peer = self.peer.borrow().clone().ok_or(Errno(ENOTCONN))?;
        self.check_sends()?;
        let Some(peer) = peer.upgrade() else {
            self.part(self.peer.take());
            return Err(Errno(ECONNREFUSED));
        };
        self.send_message(parts, &peer)
    }

    /// Sends to another end, which takes messages.
    pub(in super::super) fn send_message(&self, parts: &[Part], to: &Pair) -> Result<usize> {
        to.check_listens_to(self)?;
        if to.deaf.get() {
            return Err(Errno(EPIPE));
        }
        to.put(parts, self)
    }
}
