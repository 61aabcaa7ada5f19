//! `cargo mirust build`: cargo's build, then an image of each program that it made.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Artifact, Message, Metadata, MetadataCommand, Package, TargetKind};

use crate::attach::Attached;
use crate::home::Home;
use crate::image::{self, Executable, Image};
use crate::linker;
use crate::lock::Lock;
use crate::options::{Build, TARGET};

/// Builds, and gives the images. Nobody else replaces them as long as the lock is held.
///
/// # Errors
///
/// Cargo's build fails, there is nothing to build, or a program needs what an image does not have.
pub fn build(options: &Build) -> Result<(Vec<Image>, Lock)> {
    let home = Home::find()?;
    let workspace = Workspace::load(options)?;
    let lock = workspace.lock(options)?;
    let executables = workspace.cargo("build", options, &[])?;
    if executables.is_empty() {
        bail!("{}", workspace.no_program(options));
    }
    let images = executables.iter().map(|executable| image::link(&home, executable, options));
    Ok((images.collect::<Result<_>>()?, lock))
}

/// Bytes of a program's name, at most: a file's name has 255, and the longest that is made of it is
/// NAME-HASH.files.PID.new, with a hash of 16 and a process's number of 7 at most.
const LONGEST_NAME: usize = 255 - 17 - 18;

/// Variables by which build scripts compile the library that comes with their crate, instead of linking the machine's,
/// which an image cannot have: zlib's own, and those of the crate pkg-config.
const OWN_COPIES: [&str; 7] = [
    "LIBZ_SYS_STATIC",
    "BZIP2_NO_PKG_CONFIG",
    "LIBCURL_NO_PKG_CONFIG",
    "LIBGIT2_NO_PKG_CONFIG",
    "LIBLZMA_NO_PKG_CONFIG",
    "LIBPCRE2_8_NO_PKG_CONFIG",
    "LIBZSTD_NO_PKG_CONFIG",
];

/// That a program's name is longer than that.
fn too_long(name: &str, is_bin: bool) -> String {
    let start: String = name.chars().take(40).collect();
    let remedy = if is_bin {
        "give it a shorter one in Cargo.toml, below [[bin]]: name = \"short\", path = \"src/main.rs\""
    } else {
        "rename its file"
    };
    format!(
        "the name of a program is too long: {start}… has {} bytes, and may have {LONGEST_NAME}, as files are named after \
         it\n{remedy}",
        name.len()
    )
}

/// The crates around, and where their builds go.
pub struct Workspace {
    metadata: Metadata,
    target_dir: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    ///
    /// There is no manifest, or a wrong one.
    pub fn load(options: &Build) -> Result<Workspace> {
        if let Some(port) = options.package.iter().find(|value| is_no_package(value)) {
            bail!(
                "{port} is not a package: no name begins with a digit\n\
                 if it is to be a port, only `cargo mirust run` forwards ports: -p 8080:80"
            );
        }
        let mut command = MetadataCommand::new();
        command.no_deps();
        if let Some(path) = &options.manifest_path {
            command.manifest_path(path);
        }
        // The target directory, for one.
        command.other_options(
            options
                .config
                .iter()
                .flat_map(|value| ["--config".into(), value.clone()])
                .collect::<Vec<_>>(),
        );
        let metadata = match command.exec() {
            Ok(metadata) => metadata,
            Err(cargo_metadata::Error::CargoMetadata { stderr }) => {
                let said = stderr.trim_start_matches("error: ").trim_end();
                let hint = if said.contains("could not find `Cargo.toml`") {
                    "\ngo to the folder of a crate, or name its manifest by --manifest-path; a crate to begin with is \
                     written by: cargo mirust new PATH"
                } else {
                    ""
                };
                bail!("{said}{hint}");
            }
            Err(error) => return Err(error).context("cannot ask cargo about the crate"),
        };
        let target_dir = match &options.target_dir {
            Some(dir) => dir.clone(),
            None => metadata.target_directory.clone().into(),
        }
        .join("mirust");
        // Without `..` and symbolic links: by its path a program is recognised as one that was built there.
        let target_dir = std::fs::create_dir_all(&target_dir)
            .and_then(|()| target_dir.canonicalize())
            .with_context(|| {
                format!(
                    "cannot write to {}; choose another directory: --target-dir DIR",
                    target_dir.display()
                )
            })?;
        if target_dir.to_str().is_none_or(|path| path.contains('\n')) {
            bail!(
                "cannot build in {target_dir:?}: the path has a line break, or is not UTF-8\n\
                 choose another directory: --target-dir DIR"
            );
        }
        Ok(Workspace { metadata, target_dir })
    }

    /// Waits until no other build writes to where the images of this one go.
    ///
    /// # Errors
    ///
    /// The target directory cannot be written to.
    pub fn lock(&self, options: &Build) -> Result<Lock> {
        let directory = match options.profile.as_deref() {
            Some("dev" | "test") => "debug",
            Some("bench") => "release",
            Some(name) => name,
            None if options.release => "release",
            None => "debug",
        };
        Lock::take(&self.target_dir.join(directory))
    }

    /// The packages that a command is about if it names none: that of the current directory, or, as in cargo, the
    /// root's, the `default-members`, or all.
    pub fn packages(&self, options: &Build) -> Vec<&Package> {
        let all = self.metadata.workspace_packages();
        if options.workspace {
            return all;
        }
        if !options.package.is_empty() {
            return all
                .into_iter()
                .filter(|package| options.package.iter().any(|name| *name == *package.name))
                .collect();
        }
        let here = match &options.manifest_path {
            Some(path) => path.canonicalize().ok(),
            None => std::env::current_dir().ok(),
        };
        // The innermost one; a virtual workspace has none.
        let around = all
            .into_iter()
            .filter(|package| {
                let dir = package.manifest_path.parent().and_then(|dir| dir.canonicalize().ok());
                dir.is_some_and(|dir| here.as_ref().is_some_and(|here| here.starts_with(dir)))
            })
            .max_by_key(|package| package.manifest_path.as_str().len());
        let is_root = |package: &Package| {
            self.metadata.root_package().is_some_and(|root| root.id == package.id)
        };
        match around {
            Some(package) if !is_root(package) => vec![package],
            _ => self.metadata.workspace_default_packages(),
        }
    }

    /// Whether a package that is meant has a library in whose documentation there may be tests.
    pub fn has_documentation_tests(&self, options: &Build) -> bool {
        self.packages(options)
            .iter()
            .flat_map(|package| &package.targets)
            .any(|target| target.doctest)
    }

    /// Why there was no program.
    fn no_program(&self, options: &Build) -> String {
        let packages = self.packages(options);
        let library = packages.iter().find(|package| {
            package
                .targets
                .iter()
                .any(|target| target.is_lib() || target.is_kind(TargetKind::StaticLib))
        });
        match library {
            Some(package) => format!(
                "{} is a library, and an image is made of a program\n\
                 give it a src/main.rs, or build one of its examples: --example NAME\n\
                 (a staticlib crate that depends on `mirust` is built by: make xen APP={})",
                package.name,
                package.manifest_path.parent().map_or("DIR", |dir| dir.as_str())
            ),
            None => "there is no program to build: src/main.rs is missing".into(),
        }
    }

    /// Runs a cargo command that builds, and gives the programs that it built.
    ///
    /// # Errors
    ///
    /// It fails; its own messages were printed.
    pub fn cargo(
        &self,
        command: &str,
        options: &Build,
        more: &[String],
    ) -> Result<Vec<Executable>> {
        let targets = self.packages(options).into_iter().flat_map(|package| &package.targets);
        if let Some(target) = targets
            .filter(|target| target.is_bin() || target.is_example() || target.is_test())
            .find(|target| target.name.len() > LONGEST_NAME)
        {
            bail!("{}", too_long(&target.name, target.is_bin()));
        }
        let mut cargo = self.command(command, options)?;
        cargo.args(more).args(["--message-format", "json-render-diagnostics"]);
        let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
        let mut executables = Vec::new();
        let mut wrong = None;
        let output = child.stdout.take().context("cargo has no output")?;
        for message in Message::parse_stream(BufReader::new(output)) {
            match message.context("cannot read cargo's messages")? {
                Message::CompilerArtifact(artifact) => match self.executable(artifact, options) {
                    Ok(executable) => executables.extend(executable),
                    // Cargo goes on, and would complain if nobody listened any more.
                    Err(error) => wrong = wrong.or(Some(error)),
                },
                Message::TextLine(line) => println!("{line}"),
                _ => {}
            }
        }
        let status = child.wait().context("cannot wait for cargo")?;
        if let Some(error) = wrong {
            return Err(error);
        }
        if !status.success() {
            bail!("cargo {command} failed");
        }
        // Cargo names them as they are done.
        executables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(executables)
    }

    /// A command of cargo's that builds for images.
    ///
    /// # Errors
    ///
    /// The target directory cannot be written to.
    pub fn command(&self, command: &str, options: &Build) -> Result<Command> {
        let mut cargo = cargo();
        cargo.arg(command).args(arguments(options)).args(["--target", TARGET]);
        cargo.arg("--target-dir").arg(&self.target_dir);
        // Where programs are told from what runs on this machine. Cargo's configuration may name another place.
        cargo.env("CARGO_BUILD_BUILD_DIR", &self.target_dir);
        let linker = toml(&self.linker()?.display().to_string());
        cargo.arg("--config").arg(format!("target.{TARGET}.linker={linker}"));
        for profile in self.profiles(options) {
            cargo.arg("--config").arg(format!("profile.{profile}.split-debuginfo=\"off\""));
        }
        let own_copies = OWN_COPIES.into_iter().filter(|name| std::env::var_os(name).is_none());
        cargo.envs(own_copies.map(|name| (name, "1")));
        Ok(cargo)
    }

    /// The profiles that a build may use, in which debug information must not be split: rustc would look for its parts
    /// in what the linker wrote, and gdb beside NAME.elf.dbg.
    fn profiles<'a>(&self, options: &'a Build) -> Vec<&'a str> {
        let mut profiles = vec!["dev", "release", "test"];
        // One that the manifest does not define is cargo's error, and must not be half defined here.
        if let Some(name) = options.profile.as_deref().filter(|name| !profiles.contains(name)) {
            let manifest = std::fs::read_to_string(self.metadata.workspace_root.join("Cargo.toml"));
            if manifest.unwrap_or_default().contains(&format!("[profile.{name}]")) {
                profiles.push(name);
            }
        }
        profiles
    }

    fn executable(&self, artifact: Artifact, options: &Build) -> Result<Option<Executable>> {
        let Some(file) = artifact.executable.map(PathBuf::from) else { return Ok(None) };
        // Programs that run while others are built are the host's. TARGET/release/NAME goes to release/NAME.elf.
        let within = file.strip_prefix(self.target_dir.join(TARGET)).ok();
        let Some(images) = within.and_then(Path::parent) else { return Ok(None) };
        let package = artifact.manifest_path.parent().map(PathBuf::from).unwrap_or_default();
        let manifest =
            self.metadata.packages.iter().find(|p| p.manifest_path == artifact.manifest_path);
        let [files, disks] = manifest.map_or(Ok([const { Vec::new() }; 2]), asked_by)?;
        let attached = Attached::read(options, &package, files.into_iter(), disks.into_iter())?;
        Ok(Some(Executable {
            images: self.target_dir.join(images),
            package,
            attached,
            file,
            is_test: artifact.profile.test,
            is_integration_test: artifact.target.is_test(),
            name: artifact.target.name,
        }))
    }

    /// The path by which rustc calls this program as a linker. It stays the same when the command is
    /// installed anew, so that cargo does not build everything again.
    fn linker(&self) -> Result<PathBuf> {
        let this = std::env::current_exe().context("cannot find this program")?;
        let link = self.target_dir.join(linker::NAME);
        if std::fs::read_link(&link).is_ok_and(|to| to == this) {
            return Ok(link);
        }
        // By a name of our own first: another build may do the same at this moment.
        let new = self.target_dir.join(format!("{}.{}", linker::NAME, std::process::id()));
        std::os::unix::fs::symlink(&this, &new)
            .and_then(|()| std::fs::rename(&new, &link))
            .with_context(|| format!("cannot make {}", link.display()))?;
        Ok(link)
    }
}

/// `files` and `disks` of `[package.metadata.mirust]`: a list of texts, or one text.
///
/// # Errors
///
/// There is something else. Cargo leaves the table to us, so nobody else would notice a slip.
fn asked_by(package: &Package) -> Result<[Vec<&str>; 2]> {
    let mut asked = [const { Vec::new() }; 2];
    let Some(table) = package.metadata.get("mirust") else { return Ok(asked) };
    let place = || format!("{}: [package.metadata.mirust]", package.manifest_path);
    let Some(table) = table.as_object() else { bail!("{} is no table", place()) };
    for (key, value) in table {
        let list = match key.as_str() {
            "files" => &mut asked[0],
            "disks" => &mut asked[1],
            "memory" => bail!("{} has no `memory`: it is the option --memory", place()),
            other => bail!("{} has no `{other}`: there are `files` and `disks`", place()),
        };
        let texts: Option<Vec<&str>> = match value.as_array() {
            Some(values) => values.iter().map(|value| value.as_str()).collect(),
            None => value.as_str().map(|text| Vec::from([text])),
        };
        match texts {
            Some(texts) => *list = texts,
            None => bail!("{}: `{key}` is a list of texts, not {value}", place()),
        }
    }
    Ok(asked)
}

/// A text as TOML has it, whose escapes are not Rust's: in Rust's, an accent that is a character of its own has one.
pub fn toml(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        _ if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// Whether no package can have this name, nor an id that begins so: it may be meant as a port.
pub fn is_no_package(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
}

/// The cargo that called this command, or else the one in `PATH`.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Cargo's own options.
fn arguments(options: &Build) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut flag = |name: &str, given: bool| all.extend(given.then(|| name.to_owned()));
    flag("--workspace", options.workspace);
    flag("--bins", options.bins);
    flag("--examples", options.examples);
    flag("--all-features", options.all_features);
    flag("--no-default-features", options.no_default_features);
    flag("--release", options.release);
    flag("--locked", options.locked);
    flag("--offline", options.offline);
    flag("--frozen", options.frozen);
    flag("--quiet", options.quiet);
    flag("--keep-going", options.keep_going);
    flag("--ignore-rust-version", options.ignore_rust_version);
    for _ in 0..options.verbose {
        flag("--verbose", true);
    }
    let mut list = |name: &str, values: &[String]| {
        all.extend(values.iter().flat_map(|value| [name.to_owned(), value.clone()]));
    };
    list("--package", &options.package);
    list("--exclude", &options.exclude);
    list("--bin", &options.bin);
    list("--example", &options.example);
    list("--features", &options.features);
    list("--config", &options.config);
    list("--profile", options.profile.as_slice());
    list("--jobs", options.jobs.as_slice());
    list("--color", options.color.as_slice());
    if let Some(path) = &options.manifest_path {
        all.extend(["--manifest-path".to_owned(), path.display().to_string()]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for by a package whose manifest ends so, or what is wrong with it.
    fn asked(name: &str, lines: &str) -> Result<[Vec<String>; 2], String> {
        let dir = std::env::temp_dir().join(format!("asked-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("src")).unwrap();
        std::fs::write(dir.join("src/main.rs"), "fn main() {}").unwrap();
        let manifest = format!("[package]\nname = \"{name}\"\n[workspace]\n{lines}\n");
        std::fs::write(dir.join("Cargo.toml"), manifest).unwrap();
        let metadata =
            MetadataCommand::new().no_deps().manifest_path(dir.join("Cargo.toml")).exec().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let lists = asked_by(&metadata.packages[0]);
        let own = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        lists.map(|lists| lists.map(own)).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_are_written_as_toml_has_them() {
        assert_eq!(
            toml("cafe\u{301} \"a\\b\"\t\u{7f}"),
            "\"cafe\u{301} \\\"a\\\\b\\\"\\u0009\\u007f\""
        );
    }

    #[test]
    fn a_name_that_is_too_long_is_said_with_what_to_do() {
        let name = "n".repeat(LONGEST_NAME + 1);
        let text = too_long(&name, true);
        assert!(text.contains("has 221 bytes") && text.contains("[[bin]]"), "{text}");
        assert!(text.lines().all(|line| line.len() < 160), "{text}");
        assert!(too_long(&name, false).ends_with("rename its file"));
    }

    #[test]
    fn a_manifest_asks_for_files_and_disks_and_slips_are_errors() {
        let table = "[package.metadata.mirust]\n";
        let of = |name, lines: &str| asked(name, &format!("{table}{lines}"));
        assert_eq!(asked("none", ""), Ok([vec![], vec![]]));
        let both = of("both", "files = [\"a\", \"b:/c\"]\ndisks = \"xvdb:/srv\"");
        assert_eq!(both, Ok([vec!["a".into(), "b:/c".into()], vec!["xvdb:/srv".into()]]));
        for (name, lines, wrong) in [
            ("slip", "file = [\"a\"]", "has no `file`: there are `files` and `disks`"),
            ("number", "files = [1]", "`files` is a list of texts, not [1]"),
            ("memory", "memory = 128", "the option --memory"),
        ] {
            let error = of(name, lines).unwrap_err();
            assert!(error.contains(wrong) && error.contains("Cargo.toml"), "{error}");
        }
        let error = asked("flat", "[package.metadata]\nmirust = 1").unwrap_err();
        assert!(error.contains("is no table"), "{error}");
    }
}
