use super::super::eventfd::eventfd;
use super::super::host_tests::{C, either, same};
use super::super::{block_tests as testing, io, socket};
use super::*;
use crate::errno;
use alloc::vec;

impl C {
    /// Waits with these descriptors in the three sets. What is found, the descriptors that are left in each set by
    /// their place in the list, and whether time is left.
    fn select(&self, sets: [&[c_int]; 3], us: Option<i64>) -> (i64, [Vec<bool>; 3], bool) {
        let mut bits = [[0u64; 16]; 3];
        let mut count = 0;
        for (bits, fds) in bits.iter_mut().zip(sets) {
            for &fd in fds {
                bits[fd as usize / 64] |= 1 << (fd % 64);
                count = count.max(fd + 1);
            }
        }
        let mut time = Time { seconds: 0, microseconds: us.unwrap_or(0) };
        let limit = if us.is_some() { &raw mut time } else { core::ptr::null_mut() };
        let [read, write, other] = &mut bits;
        let [read, write, other] = [read, write, other].map(|bits| bits.as_mut_ptr());
        let found = either!(
            self,
            select(count, read, write, other, limit),
            host_libc::select(count, read.cast(), write.cast(), other.cast(), limit.cast())
        );
        let left = |i: usize| {
            let there = |&fd: &c_int| bits[i][fd as usize / 64] >> (fd % 64) & 1 != 0;
            sets[i].iter().map(there).collect()
        };
        (found, [left(0), left(1), left(2)], time.microseconds > 0)
    }
}

/// A number that no descriptor here or of the test's process ever gets, and that the kernel looks at: it leaves those
/// out that are beyond its table, which has room for 64 at least.
const NOBODYS: c_int = 63;

#[test]
fn sets_say_what_is_ready_as_on_the_host() {
    testing::give_busy();
    same(|c| {
        let [r, w] = c.pipe(0);
        let event = c.eventfd(0, 0);
        let mut log = vec![c.select([&[r, event], &[w], &[r]], Some(0))];
        // Nothing comes, and no time is left.
        log.push(c.select([&[r], &[], &[]], Some(2000)));
        c.write(w, b"x");
        log.push(c.select([&[r, event], &[w, event], &[r, w]], None));
        log.push(c.select([&[r, event], &[], &[]], Some(900_000)));
        c.close(w);
        let mut byte = [0];
        c.read(r, &mut byte);
        // The end can be read, too.
        log.push(c.select([&[r], &[], &[r]], None));
        // Nor is that anything out of the ordinary.
        log.push(c.select([&[event], &[], &[r]], Some(2000)));
        c.close(r);
        log.push(c.select([&[event, NOBODYS], &[], &[]], Some(0)));
        c.close(event);
        // An error leaves the sets alone; who waits for nothing waits for the time.
        log.push(c.select([&[], &[], &[]], Some(1000)));
        log.push(c.select([&[], &[], &[]], Some(-1)));
        log
    });
}

/// Both directions of a socket have ended, which is no reason to write; what it has sent is in the way of more until
/// the peer reads that.
#[test]
fn an_end_that_nobody_asks_about_hides_nothing() {
    testing::give_busy();
    let (mut fds, mut set) = ([0; 2], [0u64; 2]);
    // SAFETY: there is room for two.
    assert_eq!(unsafe { socket::socketpair(1, 1 | table::O_NONBLOCK, 0, &raw mut fds) }, 0);
    let [ours, peers] = fds;
    while io::write_from(ours, &[0; 4096]).is_ok() {}
    assert_eq!([socket::shutdown(peers, 1), socket::shutdown(ours, 1)], [0, 0]);
    testing::meanwhile(move || while io::read_into(peers, &mut [0; 4096]).is_ok_and(|n| n > 0) {});
    set[0] = 1 << ours;
    let null = core::ptr::null_mut();
    let mut limit = Time { seconds: 10, microseconds: 0 };
    // SAFETY: the set has 128 bits, and there are fewer descriptors; NULL is a set without.
    let found = unsafe { select(ours + 1, null, set.as_mut_ptr(), null, &raw mut limit) };
    assert_eq!((found, set[0]), (1, 1 << ours));
    for fd in fds {
        io::close(fd);
    }
}

#[test]
fn more_descriptors_than_a_word_has_bits() {
    testing::give_busy();
    let fds: Vec<c_int> = (0..70).map(|i| eventfd(u32::from(i % 2 == 1), 0)).collect();
    let most = fds.iter().copied().max().expect("some");
    let mut bits = [0u64; 16];
    for &fd in &fds {
        bits[fd as usize / 64] |= 1 << (fd % 64);
    }
    let null = core::ptr::null_mut();
    // SAFETY: the set has 1024 bits, and there are fewer descriptors.
    unsafe {
        assert!(most < 1024);
        assert_eq!(
            pselect(most + 1, bits.as_mut_ptr(), null, null, core::ptr::null(), null.cast()),
            35
        );
    }
    for (i, &fd) in fds.iter().enumerate() {
        assert_eq!(bits[fd as usize / 64] >> (fd % 64) & 1, i as u64 % 2, "{i}");
        io::close(fd);
    }
    // SAFETY: NULL is a set without descriptors.
    unsafe {
        assert_eq!(
            (select(-1, null, null, null, core::ptr::null_mut()), errno::get()),
            (-1, EINVAL)
        );
    }
}
