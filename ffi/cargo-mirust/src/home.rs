//! The checkout of Mirust that this command belongs to, and the objects that it links to programs.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::{say, stamp};

/// A checkout of Mirust: `MIRUST_HOME`, or the one that this command was built in.
pub struct Home {
    root: PathBuf,
}

/// What a program runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ground {
    /// The runtime, for programs that do not ask for the network.
    Plain,
    /// The runtime with OCaml and its network stack.
    Net,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ground::Plain => "plain",
            Ground::Net => "net",
        })
    }
}

/// The checkout that this command was built in, whether or not it still exists.
fn built_in() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package)
}

/// Paths in the checkout whose changes make the objects outdated.
const SOURCES: [&str; 5] = ["Cargo.lock", "Cargo.toml", "ffi", "ocaml-stubs", "rust-rt"];
/// Paths below these that are not part of the objects.
const OTHERS: [&str; 5] = ["cargo-mirust", "summon", "target", "tests", "benches"];

impl Home {
    /// Finds it.
    ///
    /// # Errors
    ///
    /// If it no longer exists, or is older or newer than this command.
    pub fn find() -> Result<Home> {
        let (root, whence) = match std::env::var_os("MIRUST_HOME") {
            Some(root) => (PathBuf::from(root), "MIRUST_HOME is"),
            None => (built_in().to_path_buf(), "this command was built in"),
        };
        if !root.join("ffi/link/program").exists() {
            bail!(
                "{whence} {}, where there is no checkout of Mirust\n\
                 clone it there, say in MIRUST_HOME where it is, or install the command of another checkout: \
                 cargo install --path CHECKOUT/ffi/cargo-mirust",
                root.display()
            );
        }
        let root = root.canonicalize().with_context(|| root.display().to_string())?;
        let package = root.join("ffi/cargo-mirust");
        if stamp::of(&package).ok() != env!("MIRUST_STAMP").parse().ok() {
            bail!(
                "this command was built from other sources than {} has now\n\
                 reinstall it by `make -C {} setup`, or by: cargo install --path {}",
                package.display(),
                root.display(),
                package.display(),
            );
        }
        Ok(Home { root })
    }

    /// A file of the checkout.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A command that runs with the project's toolchain.
    pub fn tool(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(self.file("tests/rig/env"));
        command.arg(program);
        command
    }

    /// The object that a program is linked with; built if it does not exist, or is older than its sources.
    ///
    /// # Errors
    ///
    /// The toolchain is missing, or the build failed. What went wrong is on standard error.
    pub fn ground(&self, ground: Ground) -> Result<Object> {
        let dir = self.file("build/program");
        let object = Object {
            file: dir.join(format!("{ground}.o")),
            symbols: dir.join(format!("{ground}.symbols")),
        };
        let made = modified(&object.file).min(modified(&object.symbols));
        let (changed, newest) = self.newest_source();
        if made.is_none_or(|made| changed > made) {
            say(
                "Preparing",
                format_args!(
                    "the runtime ({ground}); this is done once, and takes a minute or two"
                ),
            );
            let mut program = self.tool(self.file("ffi/link/program"));
            // What cargo and rustup are told of the user's crate is not about the runtime: flags, another compiler or
            // toolchain, a folder of vendored sources. They look for it where they are called, and in the environment.
            program.current_dir(&self.root);
            for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_the_crate(name)) {
                program.env_remove(name);
            }
            // Another command may be making it now: what is newer when that has ended stays as it is.
            program.arg("--unless-newer-than").arg(newest).arg(ground.to_string());
            let status = program.status();
            if !status.context("cannot run tests/rig/env")?.success() {
                bail!(
                    "the runtime could not be built (see above); if a tool is missing, run: make -C {} setup",
                    self.root.display()
                );
            }
        }
        Ok(object)
    }

    /// The symbols by which a program uses the network: [`Ground::Net`] alone has them.
    ///
    /// # Errors
    ///
    /// [`Home::ground`] has made nothing yet.
    pub fn symbols_of_network(&self) -> Result<Vec<String>> {
        let list = self.file("build/program/network.symbols");
        let text =
            fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The source that was changed last, and when.
    fn newest_source(&self) -> (SystemTime, PathBuf) {
        let mut newest = (SystemTime::UNIX_EPOCH, self.root.clone());
        for source in SOURCES {
            visit(&self.file(source), &mut newest);
        }
        newest
    }
}

/// Whether a variable says how cargo shall build what it is called for. `RUSTC_WRAPPER` does not: it is the machine's
/// cache of what was compiled, such as sccache.
fn is_of_the_crate(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let begins = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_"];
    let whole = [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ];
    whole.contains(&&*name) || begins.iter().any(|begin| name.starts_with(begin))
}

/// A relocatable object, and the list of the symbols that it exports.
pub struct Object {
    /// The object.
    pub file: PathBuf,
    /// One symbol per line.
    pub symbols: PathBuf,
}

/// When a file was last changed; None if there is none.
pub fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn visit(path: &Path, newest: &mut (SystemTime, PathBuf)) {
    let skipped = |name: &str| OTHERS.contains(&name) || name.starts_with('.');
    if path.file_name().and_then(|name| name.to_str()).is_some_and(skipped) {
        return;
    }
    if let Ok(entries) = fs::read_dir(path) {
        entries.flatten().for_each(|entry| visit(&entry.path(), newest));
    } else if let Some(time) = modified(path) {
        if time > newest.0 {
            *newest = (time, path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_built_as_if_for_nobody() {
        for name in ["RUSTC", "RUSTC_BOOTSTRAP", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_RUSTC"] {
            assert!(is_of_the_crate(OsStr::new(name)), "{name}");
        }
        for name in ["RUSTC_WRAPPER", "PATH", "CARGO_HOME", "RUSTUP_HOME"] {
            assert!(!is_of_the_crate(OsStr::new(name)), "{name}");
        }
    }

    /// It is printed where there is no checkout, so it has to be a path that a user knows.
    #[test]
    fn the_checkout_is_two_folders_up() {
        let root = built_in();
        assert!(!root.components().any(|part| part == std::path::Component::ParentDir));
        assert_eq!(root.join("ffi/cargo-mirust"), Path::new(env!("CARGO_MANIFEST_DIR")));
    }
}
