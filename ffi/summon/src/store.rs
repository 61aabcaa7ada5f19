//! Saved states on the host's disk. Each is restored once at most: afterwards the domain's disks and peers are no longer as
//! the state remembers them.
//!
//! ```text
//!   NAME.saving     xl save is at work, or was interrupted: worth nothing
//!   NAME.saved      the domain is asleep
//!   NAME.restoring  xl restore is at work, or was interrupted: the domain may have run since
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

/// Where the states of one domain are.
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

    /// Saves the domain.
    ///
    /// # Errors
    ///
    /// The directory cannot be written, or what xl said. The domain may have gone on.
    pub async fn save(&self, general: &General) -> Result<(), String> {
        // The states have all that the domains know.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.directory).map_err(
            |error| format!("{}: {error} (`state` under [summon])", self.directory.display()),
        )?;
        let (saving, saved) = (self.file("saving"), self.file("saved"));
        let done = xl::save(general, self.name, &saving).await;
        if done.is_err() {
            // There may be none, or a part of one.
            let _ = fs::remove_file(&saving);
        }
        done?;
        fs::rename(&saving, &saved).map_err(|error| format!("{}: {error}", saved.display()))
    }

    /// The state to restore the domain from, if it was saved, under a name that says that it is used up.
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

    /// Removes what `take` gave.
    pub fn drop_taken(&self) {
        let restoring = self.file("restoring");
        if let Err(error) = fs::remove_file(&restoring) {
            log::warn!("{}: {error}", restoring.display());
        }
    }

    /// Puts back what `take` gave.
    pub fn put_back(&self) {
        let saved = self.file("saved");
        if let Err(error) = fs::rename(self.file("restoring"), &saved) {
            log::warn!("{}: {error}", saved.display());
        }
    }

    /// Removes a state of a domain that runs all the same.
    pub fn drop_stale(&self) {
        if fs::remove_file(self.file("saved")).is_ok() {
            log::warn!("{}: runs, though it was saved; the state is removed", self.name);
        }
    }
}

/// The domain's configuration or its kernel, if that has changed since then: whoever brings a new version wants it run.
fn newer(plan: &Plan, than: SystemTime) -> Option<PathBuf> {
    let kernel = fs::read_to_string(&plan.config).ok().and_then(|text| kernel(&text));
    [Some(plan.config.clone()), kernel].into_iter().flatten().find(|path| {
        fs::metadata(path).and_then(|data| data.modified()).is_ok_and(|changed| changed > than)
    })
}

/// The kernel that a configuration of xl's names, in its simplest form.
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
