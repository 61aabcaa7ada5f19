//! Flushes, and what may be issued in which order, also over connections that end.

use super::*;

fn operations(asked: &[Asked]) -> Vec<(u8, u64)> {
    asked.iter().map(|asked| (asked.operation, asked.sector)).collect()
}

#[test]
fn flush_waits_for_the_writes_before_it_and_for_nothing_else() {
    let mut rig = Rig::honest();
    let mut read = rig.read(0, 512);
    let mut first = rig.write(512 * 10, vec![1; 512]);
    let mut flush = rig.flush();
    let mut late = rig.write(512 * 20, vec![2; 512]);
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(0, 0), (1, 10), (1, 20)]);
    rig.backend.answer(&asked[1], status::OKAY);
    rig.device.turn();
    assert_eq!(poll_once(&mut first), Poll::Ready(Ok(())));
    let flushes = rig.asked();
    assert_eq!(operations(&flushes), [(3, 0)]);
    rig.backend.answer(&flushes[0], status::OKAY);
    rig.device.turn();
    assert_eq!(poll_once(&mut flush), Poll::Ready(Ok(())));
    assert!(poll_once(&mut read).is_pending() && poll_once(&mut late).is_pending());
}

#[test]
fn flushes_that_wait_together_are_one() {
    let mut rig = Rig::honest();
    let _write = rig.write(0, vec![1; 512]);
    let mut flushes: Vec<_> = (0..5).map(|_| rig.flush()).collect();
    let asked = rig.asked();
    assert_eq!(asked.len(), 1);
    rig.backend.answer(&asked[0], status::OKAY);
    rig.device.turn();
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(3, 0)]);
    rig.backend.answer(&asked[0], status::OKAY);
    rig.device.turn();
    flushes.iter_mut().for_each(|flush| assert_eq!(poll_once(flush), Poll::Ready(Ok(()))));
    assert_eq!(rig.device.counters().flushes, 5);
}

#[test]
fn barrier_where_only_that_is_offered() {
    let flush = FlushBy::Operation(Operation::WriteBarrier, false);
    let mut rig = Rig::new(INFO, Features { flush, ..FEATURES });
    let disk = rig.disk.clone();
    assert_eq!(rig.run(disk.flush()), Ok(()));
    assert_eq!(rig.backend.log, [(2, 0, 0)]);
    // And if it turns out not to be there, nobody is told that data are stable.
    let mut flush = rig.flush();
    let asked = rig.asked();
    rig.backend.answer(&asked[0], status::NOT_SUPPORTED);
    rig.device.turn();
    assert_eq!(poll_once(&mut flush), Poll::Ready(Err(Error::Unsupported)));
    assert_eq!(rig.run(disk.flush()), Err(Error::Unsupported));
}

#[test]
fn barrier_in_place_of_a_flush_that_is_refused() {
    let flush = FlushBy::Operation(Operation::FlushDiskcache, true);
    let mut rig = Rig::new(INFO, Features { flush, ..FEATURES });
    let mut first = rig.flush();
    let mut second = rig.flush();
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(3, 0), (3, 0)]);
    asked.iter().for_each(|asked| {
        rig.backend.answer(asked, status::NOT_SUPPORTED);
    });
    rig.device.turn();
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(2, 0)]);
    rig.backend.answer(&asked[0], status::OKAY);
    rig.device.turn();
    assert_eq!(poll_once(&mut first), Poll::Ready(Ok(())));
    assert_eq!(poll_once(&mut second), Poll::Ready(Ok(())));
}

#[test]
fn disk_without_a_cache_needs_no_flush_but_the_writes_have_to_end() {
    let info = Info { flush: false, ..INFO };
    let mut rig = Rig::new(info, Features { flush: FlushBy::Nothing, ..FEATURES });
    let _write = rig.write(0, vec![1; 512]);
    let mut flush = rig.flush();
    assert!(poll_once(&mut flush).is_pending());
    rig.backend.serve();
    rig.device.turn();
    rig.device.turn();
    assert_eq!(poll_once(&mut flush), Poll::Ready(Ok(())));
    assert_eq!(rig.backend.log.len(), 1);
}

#[test]
fn requests_in_flight_are_issued_again_and_flushes_still_wait() {
    let mut rig = Rig::honest();
    let mut first = rig.write(0, pattern(512, 1));
    let mut second = rig.write(8192, pattern(512, 2));
    let mut flush = rig.flush();
    let mut read = rig.read(0, 512);
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(1, 0), (1, 16), (0, 0)]);
    // Only the second is answered, and the backend goes.
    rig.backend.perform(&asked[1]);
    rig.backend.answer(&asked[1], status::OKAY);
    rig.device.turn();
    rig.device.stop();
    rig.device.end(true);
    assert_eq!(poll_once(&mut second), Poll::Ready(Ok(())));
    assert_eq!(rig.grants.stats().used, 0);
    let mut later = rig.write(16384, pattern(512, 3));
    rig.reconnect(INFO, FEATURES);
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(1, 0), (0, 0), (1, 32)]);
    for asked in &asked {
        rig.backend.perform(asked);
        rig.backend.answer(asked, status::OKAY);
    }
    rig.device.turn();
    assert_eq!(poll_once(&mut first), Poll::Ready(Ok(())));
    assert_eq!(poll_once(&mut later), Poll::Ready(Ok(())));
    assert_eq!(poll_once(&mut read), Poll::Ready(Ok(pattern(512, 1))));
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(3, 0)]);
    rig.backend.answer(&asked[0], status::OKAY);
    rig.device.turn();
    assert_eq!(poll_once(&mut flush), Poll::Ready(Ok(())));
    assert_eq!(rig.device.counters().reissued, 2);
    rig.assert_quiet();
}

#[test]
fn backend_that_vanishes_with_unflushed_writes_fails_the_next_flush_once() {
    let mut rig = Rig::honest();
    let disk = rig.disk.clone();
    assert_eq!(rig.run(disk.write_at(0, &pattern(512, 1))), Ok(()));
    assert_eq!(rig.run(disk.flush()), Ok(()));
    // Everything was flushed: nothing can be lost.
    rig.device.stop();
    rig.device.end(false);
    rig.reconnect(INFO, FEATURES);
    assert_eq!(rig.run(disk.flush()), Ok(()));

    assert_eq!(rig.run(disk.write_at(0, &pattern(512, 2))), Ok(()));
    rig.device.stop();
    rig.device.end(false);
    rig.reconnect(INFO, FEATURES);
    assert_eq!(rig.run(disk.flush()), Err(Error::Lost));
    assert_eq!(rig.run(disk.flush()), Ok(()));

    // One that closes in good order loses nothing.
    assert_eq!(rig.run(disk.write_at(0, &pattern(512, 3))), Ok(()));
    rig.device.stop();
    rig.device.end(true);
    rig.reconnect(INFO, FEATURES);
    assert_eq!(rig.run(disk.flush()), Ok(()));
}

#[test]
fn write_that_ends_while_a_flush_is_under_way_is_not_covered_by_it() {
    let mut rig = Rig::honest();
    let mut flush = rig.flush();
    let mut write = rig.write(0, vec![1; 512]);
    let asked = rig.asked();
    assert_eq!(operations(&asked), [(3, 0), (1, 0)]);
    rig.backend.answer(&asked[1], status::OKAY);
    rig.backend.answer(&asked[0], status::OKAY);
    rig.device.turn();
    assert_eq!(poll_once(&mut flush), Poll::Ready(Ok(())));
    assert_eq!(poll_once(&mut write), Poll::Ready(Ok(())));
    rig.device.stop();
    rig.device.end(false);
    rig.reconnect(INFO, FEATURES);
    let disk = rig.disk.clone();
    assert_eq!(rig.run(disk.flush()), Err(Error::Lost));
}
