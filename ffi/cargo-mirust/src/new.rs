//! `cargo mirust new`: an ordinary crate, to begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::options::{Kind, New};

/// What cargo's new crate gets: its `main.rs`, and its dependencies.
fn parts(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Hello => (include_str!("../templates/hello.rs"), ""),
        Kind::Std => (include_str!("../templates/std.rs"), ""),
        Kind::Axum => (
            include_str!("../templates/axum.rs"),
            "axum = \"0.8\"\ntokio = { version = \"1\", features = [\"macros\", \"net\", \"rt-multi-thread\"] }\n",
        ),
    }
}

/// The manifest with these dependencies.
fn with_dependencies(manifest: &str, dependencies: &str) -> String {
    let is_table =
        |line: &&str| line.split('#').next().is_some_and(|l| l.trim() == "[dependencies]");
    // In a workspace, other tables may follow.
    match manifest.split_inclusive('\n').find(is_table) {
        _ if dependencies.is_empty() => manifest.to_owned(),
        Some(table) if table.ends_with('\n') => {
            manifest.replacen(table, &format!("{table}{dependencies}"), 1)
        }
        Some(_) => format!("{manifest}\n{dependencies}"),
        None => format!("{manifest}\n[dependencies]\n{dependencies}"),
    }
}

/// A path as it is typed at a shell.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-=./:,+@%".contains(c);
    if path.chars().all(plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// The checkout of Mirust that a new path would be in: cargo would make the crate a member of Mirust's own workspace.
fn checkout_around(path: &Path) -> Option<PathBuf> {
    // Cargo makes the directories above it that do not exist either.
    let there =
        path.ancestors().skip(1).find_map(|dir| Path::new(".").join(dir).canonicalize().ok())?;
    there.ancestors().find(|dir| dir.join("ffi/link/program").exists()).map(Path::to_path_buf)
}

/// Has cargo make the crate, and fills it.
///
/// # Errors
///
/// The directory exists or would be in a checkout of Mirust, or its name cannot be a crate's: cargo said so.
pub fn new(options: &New) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let here = options.path.display().to_string();
    if options.path.exists() {
        bail!(
            "{here} exists already; choose another path\n\
             (a crate that is there needs nothing: cd {} && cargo mirust run --release)",
            quoted(&here)
        );
    }
    if let Some(checkout) = checkout_around(&options.path) {
        let name = options.path.file_name().unwrap_or_default();
        bail!(
            "{here} is inside the checkout of Mirust, {}\n\
             choose a place beside it: cargo mirust new {}",
            checkout.display(),
            quoted(&checkout.with_file_name(name).display().to_string())
        );
    }
    let mut new = Command::new(cargo);
    new.args(["new", "--quiet", "--bin"]).arg(&options.path);
    if let Some(name) = &options.name {
        new.arg("--name").arg(name);
    }
    let made = new.status();
    if !made.context("cannot run cargo")?.success() {
        bail!("nothing was written");
    }
    let (main, dependencies) = parts(options.kind);
    let path = |name: &str| options.path.join(name);
    fs::write(path("src/main.rs"), main).context("cannot write src/main.rs")?;
    let manifest = fs::read_to_string(path("Cargo.toml")).context("cannot read Cargo.toml")?;
    let manifest = with_dependencies(&manifest, dependencies);
    fs::write(path("Cargo.toml"), manifest).context("cannot write Cargo.toml")?;
    let ports = match options.kind {
        Kind::Hello => "",
        Kind::Std | Kind::Axum => " -p 8080:8080",
    };
    println!("{here}: Cargo.toml, src/main.rs");
    println!("next: cd {} && cargo mirust run --release{ports}", quoted(&here));
    println!("      cargo run                 # as a Linux process");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_crate_is_not_inside_the_checkout() {
        let checkout = Path::new("../..").canonicalize().unwrap();
        for inside in ["new", "not/there/new", "../../new"] {
            assert_eq!(checkout_around(Path::new(inside)).as_ref(), Some(&checkout), "{inside}");
        }
        for outside in ["../../../new", "/new", "/not/there/new"] {
            assert_eq!(checkout_around(Path::new(outside)), None, "{outside}");
        }
    }

    #[test]
    fn dependencies_are_added_with_and_without_their_table() {
        let with = |manifest| with_dependencies(manifest, "a = \"1\"\n");
        let table = "[package]\n\n[dependencies]\na = \"1\"\n";
        assert_eq!(with("[package]\n"), table);
        assert_eq!(with("[package]\n\n[dependencies]"), table);
        assert_eq!(with("[package]\n\n[dependencies]\n"), table);
        assert_eq!(
            with("[dependencies] # none\n\n[lints]\nworkspace = true\n"),
            "[dependencies] # none\na = \"1\"\n\n[lints]\nworkspace = true\n"
        );
        assert_eq!(with_dependencies("[package]\n", ""), "[package]\n");
    }
}
