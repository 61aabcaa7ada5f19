//! Saved states on the host's disk. Each is restored at most once: afterwards the domain's disks and peers have moved
//! on.
//!
//! ```text
//!   NAME.saving     xl save is running, or was interrupted: useless
//!   NAME.saved      the domain is asleep
//!   NAME.restoring  xl restore is running, or was interrupted: the domain may have run since
//! ```

use crate::{
    config::{General, Plan},
    xl,
};
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The saved state of one domain.
pub struct Store<'a> {
    directory: &'a Path,
    name: &'a str,
}

impl<'a> Store<'a> {
    pub fn new(directory: &'a Path, name: &'a str) -> Self {
        Store { directory, name }
    }

    fn file(&self, stage: &str) -> PathBuf {
        self.directory.join(format!("{}.{stage}", self.name))
    }

    /// Saves the domain, which the toolstack knows as `domain`.
    ///
    /// # Errors
    ///
    /// The directory cannot be written, or what xl said. The domain may still be running.
    pub async fn save(&self, general: &General, domain: &str) -> Result<(), String> {
        // The states contain everything that was in the domains' memory.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.directory).map_err(
            |error| format!("{}: {error} (`state` under [summon])", self.directory.display()),
        )?;
        let (saving, saved) = (self.file("saving"), self.file("saved"));
        let done = xl::save(general, domain, &saving).await;
        if done.is_err() {
            // There may be no file, or part of one.
            let _ = fs::remove_file(&saving);
        }
        done?;
        fs::rename(&saving, &saved).map_err(|error| format!("{}: {error}", saved.display()))
    }

    /// Takes the state to restore the domain from, if there is one, and renames it so that it is never used again.
    pub fn take(&self, plan: &Plan) -> Option<PathBuf> {
        let (saved, restoring) = (self.file("saved"), self.file("restoring"));
        match fs::remove_file(&restoring) {
            Ok(()) => log::warn!(
                "{}: was being restored when this program ended last; that state is not used again",
                self.name
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                log::warn!("{}: {error}", restoring.display());
                return None;
            }
        }
        let when = fs::metadata(&saved).and_then(|data| data.modified()).ok()?;
        if let Some(newer) = newer(plan, when) {
            log::info!(
                "{}: {} has changed since it was saved, so the state is not used",
                self.name,
                newer.display()
            );
            let _ = fs::remove_file(&saved);
            return None;
        }
        match fs::rename(&saved, &restoring) {
            Ok(()) => Some(restoring),
            Err(error) => {
                log::warn!("{}: {error}", saved.display());
                None
            }
        }
    }

    /// Removes the state that `take` returned.
    pub fn drop_taken(&self) {
        let restoring = self.file("restoring");
        if let Err(error) = fs::remove_file(&restoring) {
            log::warn!("{}: {error}", restoring.display());
        }
    }

    /// Puts back the state that `take` returned.
    pub fn put_back(&self) {
        let saved = self.file("saved");
        if let Err(error) = fs::rename(self.file("restoring"), &saved) {
            log::warn!("{}: {error}", saved.display());
        }
    }

    /// Removes the state of a domain that is running after all.
    pub fn drop_stale(&self) {
        if fs::remove_file(self.file("saved")).is_ok() {
            log::warn!("{}: runs, though it was saved; the state is removed", self.name);
        }
    }
}

/// The domain's configuration or its kernel, if it has changed since then: a new version was installed in order to run.
fn newer(plan: &Plan, than: SystemTime) -> Option<PathBuf> {
    let kernel = fs::read_to_string(&plan.config).ok().and_then(|text| kernel(&text));
    [Some(plan.config.clone()), kernel].into_iter().flatten().find(|path| {
        fs::metadata(path).and_then(|data| data.modified()).is_ok_and(|changed| changed > than)
    })
}

/// The kernel that an xl configuration names, if it is written as a plain string.
fn kernel(text: &str) -> Option<PathBuf> {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "kernel").then(|| value.trim())
    })?;
    let quote = value.chars().next().filter(|c| "\"'".contains(*c))?;
    value[1..].split(quote).next().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_of_a_configuration() {
        let text = "# kernel = \"no\"\nname = 'a'\nkernel = \"/boot/a.elf\" # yes\n";
        assert_eq!(kernel(text), Some("/boot/a.elf".into()));
        assert_eq!(kernel("kernel='/b'"), Some("/b".into()));
        assert_eq!(kernel("kernel = nonsense"), None);
        assert_eq!(kernel("memory = 32"), None);
    }
}
