//! One build at a time of those whose images go to the same directory, and one command for each image that is kept.
//!
//! Cargo lets go of its own lock before the images of what it has built are linked. By then another build might have
//! put a program with other features in the place of this one's, and the files of an image might be of both.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::say;

/// Held until it is dropped, or the process ends.
pub struct Lock {
    _file: Option<Flock<File>>,
}

impl Lock {
    /// Waits until nobody else has it.
    ///
    /// # Errors
    ///
    /// The directory cannot be written to.
    pub fn take(dir: &Path) -> Result<Lock> {
        let file = match Flock::lock(file(dir)?, FlockArg::LockExclusiveNonblock) {
            Err((file, Errno::EWOULDBLOCK)) => {
                say("Waiting", format_args!("for another build in {}", dir.display()));
                Flock::lock(file, FlockArg::LockExclusive)
            }
            done => done,
        };
        // Some file systems have no locks. Cargo goes on there, too.
        Ok(Lock { _file: file.ok() })
    }

    /// Takes it, if it is certain that nobody else has it.
    pub fn try_take(dir: &Path) -> Option<Lock> {
        let file = Flock::lock(file(dir).ok()?, FlockArg::LockExclusiveNonblock);
        Some(Lock { _file: Some(file.ok()?) })
    }
}

/// The file that is locked.
fn file(dir: &Path) -> Result<File> {
    let path = dir.join(".mirust-lock");
    fs::create_dir_all(dir)
        .and_then(|()| File::create(&path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn who_comes_second_waits() {
        let dir = std::env::temp_dir().join(format!("mirust-lock-{}", std::process::id()));
        let first = Lock::take(&dir).unwrap();
        let (told, second) = mpsc::channel();
        let there = dir.clone();
        let waiting = std::thread::spawn(move || {
            let _lock = Lock::take(&there).unwrap();
            told.send(()).unwrap();
        });
        assert!(second.recv_timeout(Duration::from_millis(100)).is_err());
        assert!(Lock::try_take(&dir).is_none());
        drop(first);
        second.recv().unwrap();
        waiting.join().unwrap();
        assert!(Lock::try_take(&dir).is_some());
        fs::remove_dir_all(dir).unwrap();
    }
}
