//! `cargo mirust test`: a crate's own test binaries, each in a domain.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::boot::{self, Domain};
use crate::build::Workspace;
use crate::home::Home;
use crate::options::Test;
use crate::{image, say};

/// Builds and runs the tests. Gives 0 if all passed, else 101, as cargo does.
///
/// # Errors
///
/// The build fails, or nothing can be booted.
pub fn test(options: &Test) -> Result<u8> {
    let home = Home::find()?;
    let workspace = Workspace::load(&options.build)?;
    let mut more = vec!["--no-run".to_owned()];
    more.extend(options.lib.then(|| "--lib".to_owned()));
    more.extend(options.tests.then(|| "--tests".to_owned()));
    more.extend(options.test.iter().flat_map(|name| ["--test".to_owned(), name.clone()]));
    let mut executables = workspace.cargo("test", &options.build, &more)?;
    // Programs are built along for integration tests, which cannot run them: a domain has no others.
    executables.retain(|executable| executable.is_test);
    if executables.is_empty() {
        bail!("there are no test binaries; documentation tests do not run in a domain");
    }
    let mut arguments: Vec<OsString> = options.filter.iter().map(OsString::from).collect();
    arguments.extend(options.arguments.iter().cloned());
    let domain = Domain {
        boot: &options.boot,
        memory: options.build.memory,
        ports: Vec::new(),
        command_line: boot::command_line(&options.boot.env, &arguments)?,
    };
    let mut failed = Vec::new();
    for executable in &executables {
        let image = image::link(&home, &workspace, executable, &options.build)?;
        if options.no_run {
            continue;
        }
        say("Running", format_args!("the tests of {} in a domain", executable.name));
        let code = domain.run(&home, &image)?;
        if code != 0 {
            say("Failed", format_args!("the tests of {} (exit code {code})", executable.name));
            failed.push(executable.name.as_str());
            if !options.no_fail_fast {
                break;
            }
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    bail!("tests failed: {}", failed.join(", "))
}
