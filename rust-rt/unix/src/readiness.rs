//! What a descriptor is ready for, as its users see it.

use host_libc as libc;

/// What a descriptor is ready for. Errors and hang-ups make it ready for everything: the next system call has
/// the reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Readiness {
    pub(crate) fn of(events: i32) -> Self {
        let broken = libc::EPOLLERR | libc::EPOLLHUP;
        Readiness {
            readable: events & (broken | libc::EPOLLIN | libc::EPOLLRDHUP) != 0,
            writable: events & (broken | libc::EPOLLOUT) != 0,
        }
    }
}
