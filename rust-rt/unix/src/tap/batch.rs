//! Frames that leave together: one system call for all of them where the kernel has an io_uring, and otherwise one for
//! each.
//!
//! A frame wakes whoever waits for it. On the same processor he takes it from us when the system call returns, and so
//! whoever waits for the last frame would wait for all of the others, too.

use super::sys;
use crate::{
    Errno, RawFd,
    uring::{Op, Request, Rings, tolerate},
};
use alloc::vec::Vec;
use core::ptr::NonNull;
use host_libc as libc;

/// Frames that leave in one system call.
pub(super) const MOST: usize = 256;

/// Frames that are ready to leave.
#[derive(Default)]
pub(super) struct Batch {
    frames: Vec<NonNull<[u8]>>,
    rings: State,
}

/// The rings are made for the first two frames that leave together.
#[derive(Default)]
enum State {
    #[default]
    Unmade,
    Made(Rings),
    /// The kernel has none, or the process may not use it.
    Missing,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Adds a frame, the last one so far.
    ///
    /// # Safety
    ///
    /// The bytes must be valid and unchanged until the frame has been written, or is never written.
    pub(super) unsafe fn push(&mut self, frame: &[u8]) {
        self.frames.push(NonNull::from(frame));
    }

    /// Writes all frames, [`MOST`] of them at most, in order, to a descriptor that never blocks, and tells the length and
    /// the result of each, in any order. Returns the number of system calls.
    pub(super) fn write(
        &mut self,
        fd: RawFd,
        mut told: impl FnMut(usize, Result<usize, Errno>),
    ) -> u64 {
        let rings = if self.frames.len() > 1 { self.rings.get() } else { None };
        let together = rings.and_then(|rings| write_together(rings, fd, &self.frames, &mut told));
        let calls = together.unwrap_or_else(|| write_each(fd, &self.frames, &mut told));
        if self.frames.len() > 1 && together.is_none() {
            self.rings = State::Missing;
        }
        self.frames.clear();
        calls
    }
}

impl State {
    fn get(&mut self) -> Option<&mut Rings> {
        if let State::Unmade = self {
            *self = Rings::new(MOST as u32, 2 * MOST as u32).map_or(State::Missing, State::Made);
        }
        match self {
            State::Made(rings) => Some(rings),
            _ => None,
        }
    }
}

fn write_each(
    fd: RawFd,
    frames: &[NonNull<[u8]>],
    told: &mut impl FnMut(usize, Result<usize, Errno>),
) -> u64 {
    for frame in frames {
        // SAFETY: valid, as `push`'s caller promised.
        let frame = unsafe { frame.as_ref() };
        told(frame.len(), sys::write(fd, frame));
    }
    frames.len() as u64
}

/// None if the kernel has written nothing, since it may not do so without waiting.
fn write_together(
    rings: &mut Rings,
    fd: RawFd,
    frames: &[NonNull<[u8]>],
    told: &mut impl FnMut(usize, Result<usize, Errno>),
) -> Option<u64> {
    for (number, frame) in frames.iter().enumerate() {
        let request = Request {
            op: Op::Write,
            fd,
            offset: 0,
            addr: frame.cast::<u8>().as_ptr() as u64,
            len: frame.len() as u32,
            // Otherwise it would write later what finds no room now.
            flags: libc::RWF_NOWAIT as u32,
            id: number as u64,
        };
        // SAFETY: valid, as `push`'s caller promised, until all ends have been taken, below.
        assert!(unsafe { rings.push(&request) }, "the rings have room for all frames");
    }
    tolerate(rings.enter());
    let (mut calls, mut left, mut can) = (1, frames.len(), true);
    while left > 0 {
        match rings.pop() {
            Some((number, result)) => {
                left -= 1;
                can &= result != -libc::EOPNOTSUPP;
                if can {
                    let result = usize::try_from(result).map_err(|_| Errno(-result));
                    told(frames[number as usize].len(), result);
                }
            }
            // It had no memory for all of them.
            None => {
                calls += 1;
                tolerate(rings.wait(None));
            }
        }
    }
    can.then_some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        os::{fd::AsRawFd, unix::net::UnixDatagram},
        vec,
    };

    /// With an io_uring, where there is one, and without.
    fn batches() -> [Batch; 2] {
        if Rings::new(2, 4).is_err() {
            // Not by a macro, whose output nobody sees if the test passes.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: frames by io_uring, which this kernel does not allow"
            );
        }
        let without = Batch { rings: State::Missing, ..Batch::default() };
        [Batch::default(), without]
    }

    /// Two ends that keep frames apart, of which the first never blocks.
    fn pair() -> (UnixDatagram, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, theirs)
    }

    fn frames(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|n| vec![n as u8; 60 + n]).collect()
    }

    /// The results, in the frames' order, and how many system calls it took.
    fn write(
        batch: &mut Batch,
        to: &UnixDatagram,
        frames: &[Vec<u8>],
    ) -> (Vec<Result<usize, Errno>>, u64) {
        // SAFETY: they are there until they have been written, below.
        frames.iter().for_each(|frame| unsafe { batch.push(frame) });
        let mut results = vec![None; frames.len()];
        let calls = batch.write(to.as_raw_fd(), |len, result| {
            let frame = frames.iter().position(|frame| frame.len() == len).unwrap();
            assert_eq!(results[frame].replace(result), None);
        });
        assert_eq!(batch.len(), 0);
        (results.into_iter().map(|result| result.expect("one for each")).collect(), calls)
    }

    /// Takes frames until there are no more.
    fn all(from: &UnixDatagram) -> Vec<Vec<u8>> {
        let mut buffer = [0; 1000];
        let mut frames = Vec::new();
        while let Ok(len) = from.recv(&mut buffer) {
            frames.push(buffer[..len].to_vec());
        }
        frames
    }

    #[test]
    fn all_frames_leave_in_order_in_one_system_call() {
        let has_uring = Rings::new(2, 4).is_ok();
        for (mut batch, together) in batches().into_iter().zip([has_uring, false]) {
            let (ours, theirs) = pair();
            for count in [0, 1, 2, 8, 1] {
                let sent = frames(count);
                let lengths: Vec<_> = sent.iter().map(|frame| Ok(frame.len())).collect();
                let calls = if together { count.min(1) } else { count } as u64;
                assert_eq!(write(&mut batch, &ours, &sent), (lengths, calls));
                assert_eq!(all(&theirs), sent);
            }
        }
    }

    #[test]
    fn what_finds_no_room_is_told_and_not_written_later() {
        for mut batch in batches() {
            let (ours, theirs) = pair();
            // More than any such socket keeps, by default.
            let (sent, mut results) = (frames(MOST), Vec::new());
            while !results.contains(&Err(Errno::AGAIN)) {
                results.extend(write(&mut batch, &ours, &sent).0);
            }
            let taken = results.iter().filter(|result| result.is_ok()).count();
            assert!(results[..taken].iter().all(|result| result.is_ok()), "{results:?}");
            assert!(results[taken..].iter().all(|result| *result == Err(Errno::AGAIN)));
            assert_eq!(all(&theirs), sent.iter().cycle().take(taken).cloned().collect::<Vec<_>>());
            let one = frames(2);
            assert_eq!(write(&mut batch, &ours, &one).0, [Ok(60), Ok(61)]);
            assert_eq!(all(&theirs), one);
        }
    }

    #[test]
    fn each_frame_has_a_result_of_its_own() {
        for mut batch in batches() {
            let (ours, theirs) = pair();
            // The second is longer than a socket takes at once.
            let mut sent = frames(3);
            sent[1] = vec![0; 1 << 24];
            let (results, _) = write(&mut batch, &ours, &sent);
            assert_eq!(results, [Ok(60), Err(Errno(libc::EMSGSIZE)), Ok(62)]);
            assert_eq!(all(&theirs), [sent[0].clone(), sent[2].clone()]);
            drop(theirs);
            let (results, _) = write(&mut batch, &ours, &frames(2));
            assert!(results.iter().all(|result| result.is_err()), "{results:?}");
        }
    }
}
