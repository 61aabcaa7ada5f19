use super::super::block_tests as testing;
use super::super::host_tests::C;
use super::super::host_tests::same;
use super::super::table::O_NONBLOCK;
use super::super::{io, pipe};
use super::entry::{EPOLLET, EPOLLONESHOT};
use super::*;
use alloc::vec;
use alloc::vec::Vec;

const IN: u32 = 1;
const OUT: u32 = 4;
const ADD: c_int = EPOLL_CTL_ADD;
const DEL: c_int = EPOLL_CTL_DEL;
const MOD: c_int = EPOLL_CTL_MOD;

fn close_all(c: &C, fds: &[c_int]) {
    for &fd in fds {
        assert_eq!(c.close(fd), 0);
    }
}

#[test]
fn levels_edges_and_single_shots_are_those_of_the_kernel() {
    for flags in [0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT] {
        same(|c| {
            let (set, [r, w]) = (c.epoll(), c.pipe(O_NONBLOCK));
            let mut buf = [0; 8];
            let mut log = vec![(c.epoll_ctl(set, ADD, r, IN | flags, 1), vec![])];
            let mut wait = || log.push(c.epoll_wait(set, 4));
            wait();
            c.write(w, b"a");
            (0..2).for_each(|_| wait());
            // An edge for each write, whether or not it was read.
            c.write(w, b"b");
            (0..2).for_each(|_| wait());
            c.read(r, &mut buf[..1]);
            wait();
            c.read(r, &mut buf);
            wait();
            c.epoll_ctl(set, MOD, r, IN | flags, 2);
            wait();
            c.write(w, b"c");
            c.epoll_ctl(set, MOD, r, IN | flags, 3);
            (0..2).for_each(|_| wait());
            c.close(w);
            (0..2).for_each(|_| wait());
            c.epoll_ctl(set, MOD, r, flags, 4);
            (0..2).for_each(|_| wait());
            close_all(c, &[r, set]);
            log
        });
    }
}

#[test]
fn writers_hear_of_room_and_of_readers_that_left() {
    for flags in [0, EPOLLET] {
        same(|c| {
            let (set, [r, w]) = (c.epoll(), c.pipe(O_NONBLOCK));
            let mut log = vec![(c.epoll_ctl(set, ADD, w, OUT | flags, 7), vec![])];
            log.push(c.epoll_wait(set, 1));
            c.write(w, &[0; 65536]);
            log.push(c.epoll_wait(set, 1));
            c.read(r, &mut [0; 65536]);
            (0..2).for_each(|_| log.push(c.epoll_wait(set, 1)));
            c.close(r);
            (0..2).for_each(|_| log.push(c.epoll_wait(set, 1)));
            close_all(c, &[w, set]);
            log
        });
    }
}

#[test]
fn errors_are_those_of_the_kernel() {
    same(|c| {
        let (set, other, event) = (c.epoll(), c.epoll(), c.eventfd(1, 0));
        let mut log = vec![
            c.epoll_ctl(set, ADD, event, IN, 1),
            c.epoll_ctl(set, ADD, event, IN, 1),
            c.epoll_ctl(set, DEL, event, 0, 0),
            c.epoll_ctl(set, DEL, event, 0, 0),
            c.epoll_ctl(set, MOD, event, IN, 1),
            c.epoll_ctl(set, 9, event, IN, 1),
            c.epoll_ctl(set, ADD, 999, IN, 1),
            c.epoll_ctl(999, ADD, event, IN, 1),
            c.epoll_ctl(event, ADD, set, IN, 1),
            c.epoll_ctl(set, ADD, set, IN, 1),
            c.epoll_ctl(set, ADD, other, IN, 1),
            c.epoll_ctl(other, ADD, set, IN, 1),
            c.epoll_wait(event, 1).0,
            c.epoll_wait(set, 0).0,
            c.epoll_wait(999, 1).0,
        ];
        log.extend([c.read(set, &mut [0; 8]), c.write(set, &[0; 8])]);
        close_all(c, &[set, other, event]);
        log
    });
}

#[test]
fn a_set_in_a_set_is_readable_when_somebody_in_it_is() {
    same(|c| {
        let (outer, inner, event) = (c.epoll(), c.epoll(), c.eventfd(0, O_NONBLOCK));
        let mut log = vec![(c.epoll_ctl(inner, ADD, event, IN, 1), vec![])];
        log.push((c.epoll_ctl(outer, ADD, inner, IN, 2), vec![]));
        log.push((c.poll(inner, 1), vec![]));
        log.push(c.epoll_wait(outer, 1));
        c.write(event, &1u64.to_ne_bytes());
        log.push((c.poll(inner, 1), vec![]));
        log.push(c.epoll_wait(outer, 1));
        log.push(c.epoll_wait(inner, 1));
        c.read(event, &mut [0; 8]);
        log.push(c.epoll_wait(outer, 1));
        close_all(c, &[outer, inner, event]);
        log
    });
}

#[test]
fn who_waits_longest_is_reported_first() {
    same(|c| {
        let set = c.epoll();
        let events: Vec<c_int> = (0..5).map(|_| c.eventfd(1, 0)).collect();
        for (data, &fd) in events.iter().enumerate() {
            c.epoll_ctl(set, ADD, fd, IN, data as u64);
        }
        let log: Vec<_> = (0..5).map(|_| c.epoll_wait(set, 2)).collect();
        close_all(c, &events);
        close_all(c, &[set]);
        log
    });
}

#[test]
fn closing_the_last_duplicate_leaves_the_set() {
    same(|c| {
        let (set, event) = (c.epoll(), c.eventfd(1, 0));
        let copy = c.dup(event) as c_int;
        c.epoll_ctl(set, ADD, event, IN, 1);
        c.close(event);
        let kept = c.epoll_wait(set, 2);
        c.close(copy);
        let gone = c.epoll_wait(set, 2);
        let again = c.eventfd(1, 0);
        let added = c.epoll_ctl(set, ADD, again, IN, 2);
        let log = (kept, gone, added, c.epoll_wait(set, 2));
        close_all(c, &[again, set]);
        log
    });
}

#[test]
fn a_wait_ends_with_the_event_or_with_its_time() {
    testing::give_busy();
    let (set, [r, w]) = (epoll_create1(0), pair());
    let event = Event { events: IN | EPOLLET, data: 5 };
    // SAFETY: the event is readable, and the list below writable.
    assert_eq!(unsafe { epoll_ctl(set, ADD, r, &raw const event) }, 0);
    let mut found = [Event { events: 0, data: 0 }; 2];
    // SAFETY: as above.
    let mut wait = |timeout| unsafe { epoll_wait(set, found.as_mut_ptr(), 2, timeout) };
    assert_eq!(wait(1), 0);
    testing::meanwhile(move || assert_eq!(io::write_from(w, b"x"), Ok(1)));
    assert_eq!(wait(-1), 1);
    testing::meanwhile(move || assert_eq!(table::close(w), Ok(())));
    assert_eq!(wait(1000), 1);
    assert_eq!((found[0].data, { found[0].events }), (5, 0x11));
}

fn pair() -> [c_int; 2] {
    let mut fds = [0; 2];
    // SAFETY: two ints are writable.
    assert_eq!(unsafe { pipe::pipe2(&raw mut fds, O_NONBLOCK) }, 0);
    fds
}

#[test]
fn sets_and_their_members_leave_nothing_behind() {
    let number = epoll_create1(0);
    let set = set(number).unwrap();
    let event = Event { events: IN, data: 0 };
    for _ in 0..1000 {
        let [r, w] = pair();
        for fd in [r, w] {
            // SAFETY: the event is readable.
            assert_eq!(unsafe { epoll_ctl(number, ADD, fd, &raw const event) }, 0);
        }
        assert_eq!(set.sizes(), (2, 2));
        table::close(r).unwrap();
        table::close(w).unwrap();
        assert_eq!(set.sizes(), (0, 0));
    }
    // The other way round: the set goes first.
    let [r, _] = pair();
    // SAFETY: the event is readable.
    assert_eq!(unsafe { epoll_ctl(number, ADD, r, &raw const event) }, 0);
    let reader = table::get(r).unwrap();
    assert_eq!(reader.object.watchers().count(), (1, 0));
    drop(set);
    table::close(number).unwrap();
    assert_eq!(reader.object.watchers().count(), (0, 0));
}
