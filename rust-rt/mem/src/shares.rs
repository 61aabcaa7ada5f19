//! How much memory each of the runtime's own queues may take.
//!
//! Whatever others can fill is bounded, and the bounds have to fit into the domain: 16 KiB are nothing in a gigabyte,
//! and a megabyte is an eighth of the smallest domain. This is the one place that turns the size of the memory into
//! such bounds; the queues get plain numbers. OCaml's `Mirust.Budget` divides the network's memory by the same rule,
//! from what is free when it starts; everything else is decided here.

use crate::{PAGE_SIZE, frames};

const KIB: usize = 1024;

/// Bounds in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shares {
    /// Output that waits for the console's daemon.
    pub console: usize,
    /// Events of xenstore that wait for its second client.
    pub xenstore: usize,
    /// Pages that the other end of a network device writes frames to.
    pub receive: usize,
    /// Pages for heads of frames that are sent, and what is copied to be sent.
    pub send: usize,
}

impl Shares {
    /// Of this many bytes of memory: thousandths of it, no less than what makes each of them useful, and no more
    /// than any program has been seen to fill.
    pub const fn of(memory: usize) -> Shares {
        Shares {
            console: share(memory, 4, 16 * KIB, 256 * KIB),
            xenstore: share(memory, 2, 16 * KIB, 256 * KIB),
            receive: share(memory, 75, 512 * KIB, 3072 * KIB),
            send: share(memory, 20, 128 * KIB, 768 * KIB),
        }
    }

    /// Of this domain's memory. Where it is somebody else's (a process), the most.
    pub fn get() -> Shares {
        match frames::stats().total {
            0 => Shares::of(usize::MAX),
            pages => Shares::of(pages * PAGE_SIZE),
        }
    }
}

const fn share(memory: usize, thousandths: usize, least: usize, most: usize) -> usize {
    let bytes = memory / 1000 * thousandths;
    if memory / 1000 > most || bytes > most {
        most
    } else if bytes < least {
        least
    } else {
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_with_the_memory_between_their_bounds() {
        let mut before = Shares::of(0);
        assert_eq!(before.console, 16 * KIB);
        for shift in 20..40 {
            let Shares { console, xenstore, receive, send } = Shares::of(1 << shift);
            assert!(console >= before.console && xenstore >= before.xenstore);
            assert!(receive >= before.receive && send >= before.send);
            before = Shares { console, xenstore, receive, send };
        }
        assert_eq!(before, Shares::of(usize::MAX));
        assert_eq!(before.receive, 768 * PAGE_SIZE);
    }

    /// All that the runtime takes for itself leaves the smallest domain that runs OCaml to its program.
    #[test]
    fn together_they_are_a_small_part() {
        for mib in [8, 16, 32, 64, 256] {
            let Shares { console, xenstore, receive, send } = Shares::of(mib << 20);
            assert!(8 * (console + xenstore + receive + send) <= mib << 20, "{mib} MiB");
        }
    }
}
