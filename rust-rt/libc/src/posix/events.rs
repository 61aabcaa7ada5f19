//! What a descriptor can be ready for, as the bits of `poll` and `epoll` (linux/eventpoll.h).

use core::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// A set of events.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Events(pub u32);

impl Events {
    /// There is something to read, or the end.
    pub const IN: Events = Events(0x1);
    /// There is something urgent to read; never the case here.
    pub const PRI: Events = Events(0x2);
    /// There is room to write.
    pub const OUT: Events = Events(0x4);
    /// Something failed.
    pub const ERR: Events = Events(0x8);
    /// The other end is gone.
    pub const HUP: Events = Events(0x10);
    /// The descriptor is not open (`poll` only).
    pub const NVAL: Events = Events(0x20);
    /// [`IN`](Self::IN) and [`OUT`](Self::OUT) under the names of STREAMS.
    pub const NORM: Events = Events(0x40 | 0x100);
    /// The peer will write no more.
    pub const RDHUP: Events = Events(0x2000);
    /// What is reported without being asked for.
    pub const ALWAYS: Events = Events(Self::ERR.0 | Self::HUP.0);
    /// Nothing.
    pub const NONE: Events = Events(0);

    /// Whether there is no event in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the sets have an event in common.
    pub const fn intersects(self, other: Events) -> bool {
        self.0 & other.0 != 0
    }

    /// These events if `condition` holds, or none.
    pub const fn when(self, condition: bool) -> Events {
        if condition { self } else { Events::NONE }
    }

    /// With the names of STREAMS added for those who asked by these.
    pub(super) fn under_all_names(self) -> Events {
        Events(self.0 | (self.0 & (Self::IN.0 | Self::OUT.0)) << 6)
    }

    /// What has to be asked for: the names of STREAMS as the others.
    pub(super) fn plain(self) -> Events {
        Events(self.0 | (self.0 & Self::NORM.0) >> 6)
    }
}

impl BitOr for Events {
    type Output = Events;
    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Events) {
        self.0 |= other.0;
    }
}

impl BitAnd for Events {
    type Output = Events;
    fn bitand(self, other: Events) -> Events {
        Events(self.0 & other.0)
    }
}

impl Not for Events {
    type Output = Events;
    fn not(self) -> Events {
        Events(!self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_host() {
        use host_libc as libc;
        let pairs = [
            (Events::IN, libc::EPOLLIN),
            (Events::PRI, libc::EPOLLPRI),
            (Events::OUT, libc::EPOLLOUT),
            (Events::ERR, libc::EPOLLERR),
            (Events::HUP, libc::EPOLLHUP),
            (Events::RDHUP, libc::EPOLLRDHUP),
            (Events::NORM, libc::EPOLLRDNORM | libc::EPOLLWRNORM),
            (Events::NVAL, libc::POLLNVAL.into()),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours.0, theirs as u32);
        }
    }

    #[test]
    fn the_names_of_streams_mean_the_same() {
        assert_eq!(Events(0x40).plain(), Events(0x41));
        assert_eq!(Events(0x100).plain(), Events(0x104));
        assert_eq!((Events::IN | Events::OUT).under_all_names(), Events(0x145));
        assert_eq!(Events::HUP.under_all_names(), Events::HUP);
    }
}
