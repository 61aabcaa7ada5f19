//! `cargo mirust test`: a crate's own test binaries, each in a domain.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};

use crate::attach::Attached;
use crate::boot::{self, Domain};
use crate::build::{self, Workspace};
use crate::home::{Ground, Home};
use crate::image::{self, Executable};
use crate::options::{Boot, Build, Doctest, TARGET, Test};
use crate::{interrupt, say};

/// Of the variables that programs are given. Backtraces go to the console past the harness, which would hold back those
/// of tests that are to panic: `--env RUST_BACKTRACE=1` has them all the same.
const PASSED_ON: [&str; 1] = ["RUST_LOG"];

/// Builds and runs the tests. Gives 0 if all passed, else 101, as cargo does.
///
/// # Errors
///
/// The build fails, or nothing can be booted.
pub fn test(options: &Test) -> Result<u8> {
    let home = Home::find()?;
    let workspace = Workspace::load(&options.build)?;
    if options.doc {
        return documentation(options, &home, &workspace);
    }
    let mut arguments: Vec<OsString> = options.filter.iter().map(OsString::from).collect();
    arguments.extend(options.arguments.iter().cloned());
    let command_line = boot::command_line(&options.boot.env, &PASSED_ON, &arguments)?;
    let mut more = vec!["--no-run".to_owned()];
    more.extend(options.lib.then(|| "--lib".to_owned()));
    more.extend(options.tests.then(|| "--tests".to_owned()));
    more.extend(options.test.iter().flat_map(|name| ["--test".to_owned(), name.clone()]));
    let mut executables = workspace.cargo("test", &options.build, &more)?;
    // Programs are built along for integration tests, which cannot run them: a domain has no others.
    executables.retain(|executable| executable.is_test);
    if executables.is_empty() {
        bail!("there are no tests here but those in documentation: cargo mirust test --doc");
    }
    let domain = Domain {
        boot: &options.boot,
        memory: options.build.memory,
        ports: Vec::new(),
        command_line,
    };
    let mut failed = Vec::new();
    for executable in &executables {
        let what = described(executable);
        // A harness with other features has another name: only its link must not be disturbed.
        let lock = workspace.lock(&options.build)?;
        let image = image::link(&home, executable, &options.build);
        let image = image.and_then(|image| (!options.no_run).then(|| image.keep()).transpose());
        drop(lock);
        let image = match image {
            Ok(Some(image)) => image,
            Ok(None) => continue,
            Err(error) if options.no_fail_fast => {
                eprintln!("error: {error:#}");
                failed.push(what);
                continue;
            }
            Err(error) => return Err(error),
        };
        say("Running", format_args!("{what} in a domain"));
        let code = domain.run(&home, &image)?;
        if interrupt::came() {
            return Ok(code);
        }
        if code != 0 {
            say("Failed", format_args!("{what} (exit code {code})"));
            failed.push(what);
            if !options.no_fail_fast {
                break;
            }
        }
    }
    if failed.is_empty() {
        if is_all(options) && workspace.has_documentation_tests(&options.build) {
            say("Note", "tests in documentation are run by: cargo mirust test --doc");
        }
        return Ok(0);
    }
    bail!("tests failed: {}", failed.join(", "))
}

/// Whether no kind of tests was asked for.
fn is_all(options: &Test) -> bool {
    let Build { bin, bins, example, examples, .. } = &options.build;
    let some = options.lib || options.tests || *bins || *examples || options.no_run;
    !some && [bin, example, &options.test].iter().all(|names| names.is_empty())
}

fn described(executable: &Executable) -> String {
    let kind = if executable.is_integration_test { "the test" } else { "unit tests of" };
    format!("{kind} {}", executable.name)
}

/// Has cargo and rustdoc build and run the tests in documentation, with this program as their linker, and to run each.
fn documentation(options: &Test, home: &Home, workspace: &Workspace) -> Result<u8> {
    let version = version_of_cargo()?;
    if version < (1, 89) {
        bail!(
            "tests in documentation need cargo 1.89 or newer, whose rustdoc lets others run them; this is {}.{}",
            version.0,
            version.1
        );
    }
    // Rustdoc runs several at once, and each would find that it is not there.
    home.ground(Ground::Plain)?;
    let mut runner: Vec<String> = Vec::new();
    runner.push(std::env::current_exe().context("cannot find this program")?.display().to_string());
    runner.extend(["mirust".into(), "doctest".into()]);
    runner.extend(["--memory".into(), options.build.memory().to_string()]);
    runner.extend(options.boot.env.iter().flat_map(|variable| ["--env".into(), variable.clone()]));
    if let Some(seconds) = options.boot.timeout {
        runner.extend(["--timeout".into(), seconds.to_string()]);
    }
    let runner: Vec<String> = runner.iter().map(|word| build::toml(word)).collect();
    let mut cargo = workspace.command("test", &options.build)?;
    cargo.arg("--doc").arg("--config").arg(format!(
        "target.{}.runner=[{}]",
        TARGET,
        runner.join(",")
    ));
    cargo.args(options.no_fail_fast.then_some("--no-fail-fast"));
    cargo.args(&options.filter).arg("--").args(&options.arguments);
    let status = cargo.status().context("cannot run cargo")?;
    Ok(status.code().map_or(interrupt::CODE, |code| code as u8))
}

fn version_of_cargo() -> Result<(u32, u32)> {
    let output = build::cargo().arg("--version").output().context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = numbers.split('.').map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => bail!("cargo says that it is {text:?}"),
    }
}

/// Boots the program of one test in documentation. What it prints is shown by rustdoc if it fails.
///
/// # Errors
///
/// It needs what an image does not have, or cannot be booted.
pub fn doctest(options: &Doctest) -> Result<u8> {
    let home = Home::find()?;
    let executable = Executable {
        name: "the example".into(),
        package: std::env::current_dir().context("there is no current directory")?,
        images: options.file.with_extension("image"),
        attached: Attached::default(),
        file: options.file.clone(),
        is_test: false,
        is_integration_test: false,
    };
    let build = Build { memory: Some(options.memory), quiet: true, ..Build::default() };
    let image = image::link(&home, &executable, &build)?;
    let domain = Domain {
        boot: &Boot { qemu: true, ..options.boot.clone() },
        memory: Some(options.memory),
        ports: Vec::new(),
        command_line: boot::command_line(&options.boot.env, &PASSED_ON, &[])?,
    };
    domain.run(&home, &image)
}
