//! When a program that never waits lets the domain have a turn.

use alloc::vec;
use alloc::vec::Vec;
use core::ffi::c_int;

use super::block_tests::{give_busy, stop_clock, turns};
use super::epoll::{self, Event};
use super::table::O_NONBLOCK;
use super::{eventfd, io, poll};
use crate::errno;
use crate::layout::PollFd;

const MS: u64 = 1_000_000;

/// A set with one member, which is never ready, and a counter to read and write.
struct Program {
    set: c_int,
    silent: c_int,
    counter: c_int,
}

impl Program {
    fn new() -> Self {
        give_busy();
        stop_clock(MS);
        let set = epoll::epoll_create1(0);
        let silent = eventfd::eventfd(0, O_NONBLOCK);
        let event = Event { events: 1, data: 0 };
        // SAFETY: an event is readable.
        assert_eq!(unsafe { epoll::epoll_ctl(set, 1, silent, &raw const event) }, 0);
        let program = Program { set, silent, counter: eventfd::eventfd(0, O_NONBLOCK) };
        turns();
        program
    }

    /// Writes and reads: two calls that succeed.
    fn work(&self, times: usize) {
        let mut bytes = 1u64.to_ne_bytes();
        for _ in 0..times {
            // SAFETY: there are eight bytes.
            unsafe {
                assert_eq!(io::write(self.counter, bytes.as_ptr().cast(), 8), 8);
                assert_eq!(io::read(self.counter, bytes.as_mut_ptr().cast(), 8), 8);
            }
        }
    }

    /// A read that finds nothing.
    fn read_nothing(&self) {
        let mut bytes = [0u8; 8];
        // SAFETY: there are eight bytes.
        assert_eq!(unsafe { io::read(self.counter, bytes.as_mut_ptr().cast(), 8) }, -1);
        assert_eq!(errno::get(), errno::EAGAIN);
    }

    /// The turns that a wait of no time takes.
    fn ask(&self) -> u32 {
        let mut event = Event { events: 0, data: 0 };
        // SAFETY: one event is writable.
        assert_eq!(unsafe { epoll::epoll_wait(self.set, &raw mut event, 1, 0) }, 0);
        turns()
    }

    /// The same by `poll`.
    fn ask_by_poll(&self) -> u32 {
        let mut list = [PollFd { fd: self.silent, events: 1, revents: 0 }];
        // SAFETY: one entry.
        assert_eq!(unsafe { poll::poll(list.as_mut_ptr(), 1, 0) }, 0);
        turns()
    }
}

#[test]
fn a_loop_that_only_asks_takes_a_turn_each_time() {
    let program = Program::new();
    let asked: Vec<u32> = (0..4).map(|_| program.ask() + program.ask_by_poll()).collect();
    assert_eq!(asked, [2; 4]);
    // Nor do a few reads and writes make it busy: what it has written may be what it waits for.
    program.work(3);
    assert_eq!(program.ask(), 1);
}

#[test]
fn a_busy_program_that_asks_in_between_takes_no_turn_until_its_time_is_used_up() {
    let program = Program::new();
    let mut ask = |at| {
        program.work(60);
        stop_clock(at);
        (program.ask(), turns())
    };
    let asked = [MS, 2 * MS, 4 * MS, 5 * MS - 1].map(&mut ask);
    assert_eq!(asked, [(0, 0); 4]);
    assert_eq!(ask(5 * MS), (1, 0));
    // From then on it has as much time again.
    assert_eq!([5 * MS, 9 * MS - 1, 9 * MS].map(&mut ask), [(0, 0), (0, 0), (1, 0)]);
}

#[test]
fn what_was_done_counts_once() {
    let program = Program::new();
    program.work(60);
    assert_eq!(vec![program.ask(), program.ask(), program.ask_by_poll()], [0, 1, 1]);
}

#[test]
fn many_vain_attempts_take_a_turn_unless_there_is_work_between_them() {
    let program = Program::new();
    (0..32).for_each(|_| program.read_nothing());
    assert_eq!(turns(), 0);
    program.read_nothing();
    assert_eq!(turns(), 1);
    let round = || {
        program.work(1);
        program.read_nothing();
        turns()
    };
    assert_eq!((0..200).map(|_| round()).sum::<u32>(), 0);
    stop_clock(6 * MS);
    assert_eq!((0..40).map(|_| round()).sum::<u32>(), 1);
}
