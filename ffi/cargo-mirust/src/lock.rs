//! One build at a time of those whose images go to the same directory.
//!
//! Cargo lets go of its own lock before the images of what it has built are linked. By then another build might have put
//! a program with other features in the place of this one's, and the files of an image might be of both.

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
        let path = dir.join(".mirust-lock");
        let file = fs::create_dir_all(dir)
            .and_then(|()| File::create(&path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err((file, Errno::EWOULDBLOCK)) => {
                say("Waiting", format_args!("for another build in {}", dir.display()));
                Flock::lock(file, FlockArg::LockExclusive)
            }
            done => done,
        };
        // Some file systems have no locks. Cargo goes on there, too.
        Ok(Lock { _file: file.ok() })
    }
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
        drop(first);
        second.recv().unwrap();
        waiting.join().unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
