//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The only target that there is: rustc's std for it asks for a C library, which the runtime has.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What cargo calls.
#[derive(Parser)]
#[command(bin_name = "cargo", styles = clap::builder::Styles::styled())]
pub enum Cargo {
    /// Builds, boots and tests an ordinary binary crate as a Xen unikernel
    #[command(subcommand, version, display_name = "cargo-mirust")]
    Mirust(Command),
}

/// What most want of `run`.
const EXAMPLES: &str = "\
Examples:
  cargo mirust run --release -p 8080:80        then: curl http://127.0.0.1:8080/
  cargo mirust run --qemu --bin tool -- --verbose 'two words'
  cargo mirust run --env RUST_BACKTRACE=1 --memory 256";

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Writes a starter application
    New(New),
    /// Builds the image of each binary: NAME.elf, NAME.elf.dbg and NAME.cfg in target/mirust/PROFILE
    Build(Build),
    /// Builds one binary and boots it: on this machine's Xen, or on one inside QEMU
    #[command(after_help = EXAMPLES)]
    Run(Run),
    /// Builds the tests, and runs each test binary inside a domain
    Test(Test),
    /// Says what an image is made of, in bytes, by crate
    Size(Build),
    /// Boots one binary on QEMU, with gdb attached and stopped where `main` begins
    Debug(Debug),
    #[command(hide = true)]
    Doctest(Doctest),
}

/// What to build: cargo's own options.
#[derive(Args, Default, Clone)]
pub struct Build {
    /// Package to build (see `cargo help pkgid`)
    #[arg(short, long, value_name = "SPEC", help_heading = "Selection")]
    pub package: Vec<String>,
    /// Build all packages of the workspace
    #[arg(long, help_heading = "Selection")]
    pub workspace: bool,
    /// Leave a package out (with --workspace)
    #[arg(long, value_name = "SPEC", help_heading = "Selection")]
    pub exclude: Vec<String>,
    /// Build this binary only
    #[arg(long, value_name = "NAME", help_heading = "Selection")]
    pub bin: Vec<String>,
    /// Build all binaries
    #[arg(long, help_heading = "Selection")]
    pub bins: bool,
    /// Build this example
    #[arg(long, value_name = "NAME", help_heading = "Selection")]
    pub example: Vec<String>,
    /// Build all examples
    #[arg(long, help_heading = "Selection")]
    pub examples: bool,

    /// Features to activate, separated by spaces or commas
    #[arg(short = 'F', long, help_heading = "Features")]
    pub features: Vec<String>,
    /// Activate all features
    #[arg(long, help_heading = "Features")]
    pub all_features: bool,
    /// Do not activate the feature `default`
    #[arg(long, help_heading = "Features")]
    pub no_default_features: bool,

    /// Build with optimizations
    #[arg(short, long, help_heading = "Compilation")]
    pub release: bool,
    /// Build with this profile
    #[arg(long, value_name = "PROFILE", conflicts_with = "release", help_heading = "Compilation")]
    pub profile: Option<String>,
    /// Directory for build artifacts; images are in its mirust/PROFILE
    #[arg(long, value_name = "DIR", help_heading = "Compilation")]
    pub target_dir: Option<PathBuf>,
    /// Number of jobs at once
    #[arg(short, long, value_name = "N", help_heading = "Compilation")]
    pub jobs: Option<String>,
    /// Do not stop at the first crate that fails to build
    #[arg(long, help_heading = "Compilation")]
    pub keep_going: bool,
    /// Only there to be refused with a reason: see [`target`]
    #[arg(long, value_name = "TRIPLE", hide = true, value_parser = target)]
    pub target: Option<String>,
    /// Memory of the domain, in MiB (in NAME.cfg); by default 64, or what `xl.cfg` says
    #[arg(long, value_name = "MIB", help_heading = "Image", value_parser = memory)]
    pub memory: Option<u32>,

    /// Link also calls for other processes or users, which then fail when they are made; of tests, any call that a
    /// domain does not have
    #[arg(long, help_heading = "Image")]
    pub allow_missing: bool,

    /// Put this folder into the image, at the same path from the root or at PATH; in Cargo.toml: `files`
    /// under [package.metadata.mirust]
    #[arg(long, value_name = "DIR[:PATH]", help_heading = "Image")]
    pub files: Vec<String>,
    /// Read files from this disk of the domain, at PATH, or with `:rw` write them too; in Cargo.toml: `disks` under
    /// [package.metadata.mirust]
    #[arg(long, value_name = "DEVICE:PATH[:rw]", help_heading = "Image")]
    pub disk: Vec<String>,

    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH", help_heading = "Manifest")]
    pub manifest_path: Option<PathBuf>,
    /// Assert that Cargo.lock will remain unchanged
    #[arg(long, help_heading = "Manifest")]
    pub locked: bool,
    /// Run without accessing the network
    #[arg(long, help_heading = "Manifest")]
    pub offline: bool,
    /// The same as --locked and --offline
    #[arg(long, help_heading = "Manifest")]
    pub frozen: bool,
    /// Ignore the packages' `rust-version`
    #[arg(long, help_heading = "Manifest")]
    pub ignore_rust_version: bool,
    /// Override a configuration value of cargo
    #[arg(long, value_name = "KEY=VALUE|PATH")]
    pub config: Vec<String>,
    /// Use verbose output (-vv very verbose)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colors in cargo's messages: auto, always, never
    #[arg(long, value_name = "WHEN")]
    pub color: Option<String>,
    /// Do not print cargo's messages
    #[arg(short, long)]
    pub quiet: bool,
}

/// The target that an image is built for, as `--target` may say: there is one.
fn target(name: &str) -> Result<String, String> {
    if name == TARGET {
        return Ok(name.to_owned());
    }
    Err(format!(
        "an image is always built for {}, whose std the runtime serves; leave --target out",
        TARGET
    ))
}

/// MiB of memory that a domain has if nobody says how much.
pub const MEMORY: u32 = 64;

impl Build {
    /// MiB of memory that the option asks for, or else a domain has.
    pub fn memory(&self) -> u32 {
        self.memory.unwrap_or(MEMORY)
    }
}

/// Memory of a domain, in MiB.
fn memory(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(mib @ 4..) => Ok(mib),
        Ok(_) => {
            Err("no image fits into less than 4 MiB; most programs are at ease with 64, which \
                      they have if --memory is left out"
                .into())
        }
        Err(_) => Err(format!("write a whole number of MiB, from 4 to {}: --memory 128", u32::MAX)),
    }
}

/// How to boot.
#[derive(Args, Clone)]
pub struct Boot {
    /// Boot on QEMU without Xen: immediate, but the only addresses on the network are the domain's own
    #[arg(long, help_heading = "Boot")]
    pub qemu: bool,
    /// Environment variable of the program; RUST_BACKTRACE and RUST_LOG are passed on if they are set
    #[arg(short, long, value_name = "NAME=VALUE", help_heading = "Boot")]
    pub env: Vec<String>,
    /// End the domain after this time; the exit code is then 124
    #[arg(long, value_name = "SECONDS", help_heading = "Boot", value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: Option<u32>,
}

/// `cargo mirust run`.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub build: Build,
    #[command(flatten)]
    pub boot: Boot,
    /// Forward 127.0.0.1:HOST of this machine, or the next free port, to PORT of the domain
    /// (`-p 8080:80` does the same, as no package has such a name)
    #[arg(long, value_name = "HOST:PORT[/udp]", help_heading = "Boot")]
    pub publish: Vec<String>,
    /// Arguments of the program
    #[arg(trailing_var_arg = true)]
    pub arguments: Vec<OsString>,
}

/// `cargo mirust test`.
#[derive(Args)]
pub struct Test {
    #[command(flatten)]
    pub build: Build,
    #[command(flatten)]
    pub boot: Boot,
    /// Test the library's unit tests only
    #[arg(long, help_heading = "Selection")]
    pub lib: bool,
    /// Test this integration test
    #[arg(long, value_name = "NAME", help_heading = "Selection")]
    pub test: Vec<String>,
    /// Test all integration tests
    #[arg(long, help_heading = "Selection")]
    pub tests: bool,
    /// Run the library's documentation tests instead, each in a domain of its own, on QEMU without Xen
    #[arg(long, help_heading = "Selection", conflicts_with_all = ["lib", "test", "tests", "no_run"])]
    pub doc: bool,
    /// Run all test binaries, even if one fails
    #[arg(long)]
    pub no_fail_fast: bool,
    /// Build, and do not run
    #[arg(long)]
    pub no_run: bool,
    /// Run only tests whose name contains this
    pub filter: Option<String>,
    /// Arguments of the test binaries
    #[arg(last = true)]
    pub arguments: Vec<OsString>,
}

/// What `cargo mirust test --doc` makes cargo run instead of a test.
#[derive(Args)]
pub struct Doctest {
    #[command(flatten)]
    pub boot: Boot,
    /// MiB of memory of the domain
    #[arg(long)]
    pub memory: u32,
    /// The program
    pub file: PathBuf,
}

/// `cargo mirust debug`.
#[derive(Args)]
pub struct Debug {
    #[command(flatten)]
    pub build: Build,
    /// Environment variable of the program
    #[arg(short, long, value_name = "NAME=VALUE", help_heading = "Boot")]
    pub env: Vec<String>,
    /// The TCP port of 127.0.0.1 on which QEMU waits for gdb
    #[arg(long, value_name = "PORT", default_value_t = 1234, help_heading = "Boot",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Do not start gdb: only wait for one
    #[arg(long, help_heading = "Boot")]
    pub no_gdb: bool,
    /// Arguments of the program
    #[arg(trailing_var_arg = true)]
    pub arguments: Vec<OsString>,
}

/// `cargo mirust new`.
#[derive(Args)]
pub struct New {
    /// The directory to create
    pub path: PathBuf,
    /// The name of the package, if it is not that of the directory
    #[arg(long)]
    pub name: Option<String>,
    /// What to write: a server on std::net or on axum, or a minimal program
    #[arg(long, value_enum, default_value = "std")]
    pub kind: Kind,
}

/// Kinds of new applications.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Kind {
    /// `fn main` that prints
    Hello,
    /// A server on std::net and std::thread
    Std,
    /// A server on axum and tokio
    Axum,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Command, String> {
        let words = ["cargo", "mirust"].iter().chain(line);
        match Cargo::try_parse_from(words) {
            Ok(Cargo::Mirust(command)) => Ok(command),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn arguments_of_the_program_need_no_dashes_as_in_cargo() {
        for line in
            [&["run", "--release", "one", "--two"][..], &["run", "--release", "--", "one", "--two"]]
        {
            let Ok(Command::Run(run)) = parsed(line) else { panic!("{line:?}") };
            assert!(run.build.release);
            assert_eq!(run.arguments, ["one", "--two"]);
        }
    }

    #[test]
    fn another_target_and_a_domain_without_memory_are_refused() {
        assert!(parsed(&["build", "--target", "x86_64-unknown-linux-gnu"]).is_ok());
        let error = parsed(&["build", "--target", "x86_64-unknown-linux-musl"]).err();
        assert!(error.is_some_and(|error| error.contains("leave --target out")));
        for (memory, remedy) in [
            ("0", "64"),
            ("3", "64"),
            ("1G", "--memory 128"),
            ("-1", "--memory 128"),
            ("5000000000", "to 4294967295"),
        ] {
            let error = parsed(&["run", &format!("--memory={memory}")]).err();
            assert!(error.is_some_and(|error| error.contains(remedy)), "{memory}");
        }
        assert!(parsed(&["run", "--memory", "4"]).is_ok());
        assert!(parsed(&["run", "--timeout", "0"]).is_err());
    }
}
