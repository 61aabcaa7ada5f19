//! Errors end as errors to the caller, and to that caller only.

use super::*;

fn ready<T: core::fmt::Debug>(rig: &Rig, future: &mut Running<T>) -> T {
    rig.device.turn();
    match poll_once(future) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("not ready"),
    }
}

#[test]
fn what_the_disk_cannot_do_is_refused() {
    let end = DISK as u64;
    let mut rig = Rig::new(Info { sector_size: 4096, discard: None, ..INFO }, FEATURES);
    let disk = rig.disk.clone();
    assert_eq!(rig.run(disk.write_at(512, &[0; 4096])), Err(Error::Misaligned));
    assert_eq!(rig.run(disk.write_at(0, &[0; 512])), Err(Error::Misaligned));
    assert_eq!(rig.run(disk.write_at(0, &[0; 100])), Err(Error::Misaligned));
    assert_eq!(rig.run(disk.write_at(end, &[0; 4096])), Err(Error::OutOfRange));
    assert_eq!(rig.run(disk.write_at(end - 4096, &[0; 8192])), Err(Error::OutOfRange));
    assert_eq!(rig.run(disk.read_at(u64::MAX - 7, &mut [0; 9])), Err(Error::OutOfRange));
    assert_eq!(rig.run(disk.read_at(end - 1, &mut [0; 2])), Err(Error::OutOfRange));
    assert_eq!(rig.run(disk.read_at(end - 1, &mut [0; 1])), Ok(()));
    assert_eq!(rig.run(disk.discard(0, 4096, false)), Err(Error::Unsupported));
    assert_eq!(rig.run(disk.zero(0, u64::MAX - 4095)), Err(Error::OutOfRange));

    let mut rig = Rig::new(Info { read_only: true, ..INFO }, FEATURES);
    let disk = rig.disk.clone();
    assert_eq!(rig.run(disk.write_at(0, &[0; 512])), Err(Error::ReadOnly));
    assert_eq!(rig.run(disk.discard(0, 512, false)), Err(Error::ReadOnly));
    assert_eq!(rig.run(disk.zero(0, 512)), Err(Error::ReadOnly));
    assert_eq!(rig.run(disk.read_at(0, &mut [0; 512])), Ok(()));
    assert_eq!(rig.run(disk.flush()), Ok(()));
    assert!(rig.backend.log.iter().all(|(operation, ..)| *operation != 1));
}

#[test]
fn secure_discard_only_where_it_is_offered() {
    let discard = Some(Discard { granularity: 512, alignment: 0, secure: false });
    let mut rig = Rig::new(Info { discard, ..INFO }, FEATURES);
    let disk = rig.disk.clone();
    assert_eq!(rig.run(disk.discard(0, 512, true)), Err(Error::Unsupported));
    assert_eq!(rig.run(disk.discard(0, 512, false)), Ok(()));
    // The backend thinks better of it.
    let mut discard = rig.start(async move { disk.discard(0, 512, false).await });
    let asked = rig.asked();
    rig.backend.answer(&asked[0], status::NOT_SUPPORTED);
    assert_eq!(ready(&rig, &mut discard), Err(Error::Unsupported));
    assert_eq!(rig.device.info().discard, None);
}

#[test]
fn failure_is_told_and_the_next_request_works() {
    let mut rig = Rig::honest();
    for status in [status::ERROR, status::NOT_SUPPORTED, -77, 1, i16::MAX, i16::MIN] {
        let mut read = rig.read(0, 512);
        let mut write = rig.write(4096, vec![1; 512]);
        for asked in rig.asked() {
            rig.backend.answer(&asked, status);
        }
        assert_eq!(ready(&rig, &mut read), Err(Error::Io));
        assert_eq!(ready(&rig, &mut write), Err(Error::Io));
        let disk = rig.disk.clone();
        assert_eq!(rig.run(disk.write_at(0, &[1; 512])), Ok(()));
    }
    assert_eq!(rig.device.counters().errors, 12);
    rig.assert_quiet();
}

#[test]
fn neighbours_do_not_suffer_from_each_other() {
    let mut rig = Rig::honest();
    let disk = rig.disk.clone();
    let mut writes: Vec<Running<_>> = (0..3u64)
        .map(|n| -> Running<_> {
            let disk = disk.clone();
            Box::pin(async move { disk.write_at(n * 512, &[n as u8 + 1; 512]).await })
        })
        .collect();
    writes.iter_mut().for_each(|write| assert!(poll_once(write).is_pending()));
    rig.device.turn();
    let asked = rig.asked();
    assert_eq!(asked.len(), 1);
    rig.backend.answer(&asked[0], status::ERROR);
    rig.device.turn();
    // Each for itself now; the one in the middle is to blame.
    let asked = rig.asked();
    assert_eq!(asked.iter().map(|asked| asked.sector).collect::<Vec<_>>(), [0, 1, 2]);
    for asked in asked {
        let status = if asked.sector == 1 { status::ERROR } else { rig.backend.perform(&asked) };
        rig.backend.answer(&asked, status);
    }
    let results: Vec<_> = writes.iter_mut().map(|write| ready(&rig, write)).collect();
    assert_eq!(results, [Ok(()), Err(Error::Io), Ok(())]);
}

#[test]
fn disk_that_shrinks_and_grows() {
    let mut rig = Rig::honest();
    let mut far = rig.read(DISK as u64 - 512, 512);
    rig.device.resize(100);
    // It is with the backend already, which knows best.
    for asked in rig.asked() {
        rig.backend.answer(&asked, status::ERROR);
    }
    assert_eq!(ready(&rig, &mut far), Err(Error::Io));
    let disk = rig.disk.clone();
    assert_eq!(disk.len(), 51200);
    assert_eq!(rig.run(disk.read_at(51200, &mut [0; 1])), Err(Error::OutOfRange));
    rig.device.resize(200);
    assert_eq!(rig.run(disk.read_at(51200, &mut [0; 1])), Ok(()));
}

#[test]
fn what_waits_for_a_disk_that_comes_back_smaller_is_out_of_range() {
    let mut rig = Rig::honest();
    rig.device.stop();
    rig.device.end(true);
    let mut write = rig.write(DISK as u64 - 512, vec![1; 512]);
    let mut near = rig.write(0, vec![1; 512]);
    rig.reconnect(Info { sectors: 100, ..INFO }, FEATURES);
    assert_eq!(ready(&rig, &mut write), Err(Error::OutOfRange));
    rig.backend.serve();
    assert_eq!(ready(&rig, &mut near), Ok(()));
}

#[test]
fn closed_disk_says_so() {
    let mut rig = Rig::honest();
    let mut read = rig.read(0, 512);
    rig.device.close();
    rig.device.end(true);
    assert_eq!(ready(&rig, &mut read), Err(Error::Closed));
    let mut late = rig.write(0, vec![0; 512]);
    rig.device.tell();
    assert_eq!(ready(&rig, &mut late), Err(Error::Closed));
    assert_eq!(rig.grants.stats().used, 0);
}

#[test]
fn grants_that_run_out_are_waited_for() {
    let mut rig = Rig::honest();
    rig.xen.set_max_frames(1);
    let taken: Vec<_> = core::iter::from_fn(|| {
        rig.grants.share(PEER, mirust_xen::hypervisor::GrantAccess::ReadOnly).ok()
    })
    .collect();
    let disk = rig.disk.clone();
    assert_eq!(rig.run(disk.write_at(0, &pattern(64 * 4096, 1))), Err(Error::NoMemory));
    drop(taken);
    assert_eq!(rig.run(disk.write_at(0, &pattern(64 * 4096, 1))), Ok(()));
    assert!(rig.backend.disk[..64 * 4096] == pattern(64 * 4096, 1));
    rig.assert_quiet();
}
