//! `cargo mirust`: an ordinary binary crate as a Xen unikernel.
//!
//! Cargo builds the crate as usual, for the Linux target, with this program as its linker ([`linker`]), which only
//! records what would have been linked ([`program`]). The image is linked from that ([`image`]) and from one object
//! with the runtime and C's symbols ([`home`]); all of its symbols are local except C's, so the program and the runtime
//! each have their own std. Build scripts and procedural macros run on the host, with the host's linker.

mod attach;
mod boot;
mod build;
mod calls;
mod console;
mod debug;
mod home;
mod image;
mod interrupt;
mod linker;
mod lock;
mod new;
mod options;
mod program;
mod size;
mod stamp;
mod test;
mod undefined;

use std::process::ExitCode;

use clap::Parser;
use options::{Cargo, Command};

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if linker::is_called_as_one(&arguments) {
        return done(linker::run(&arguments).map(|()| 0));
    }
    // Cargo passes the subcommand's name; without cargo there is none.
    if arguments.get(1).is_none_or(|first| first != "mirust") {
        arguments.insert(1, "mirust".into());
    }
    let Cargo::Mirust(command) = Cargo::parse_from(arguments);
    done(match command {
        Command::New(options) => new::new(&options).map(|()| 0),
        Command::Build(options) => build::build(&options).map(|_| 0),
        Command::Run(options) => boot::run(&options),
        Command::Test(options) => test::test(&options),
        Command::Size(options) => size::size(&options).map(|()| 0),
        Command::Debug(options) => debug::debug(&options),
        Command::Doctest(options) => test::doctest(&options),
    })
}

fn done(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(101)
        }
    }
}

/// A line of progress, in the manner of cargo's.
fn say(verb: &str, what: impl std::fmt::Display) {
    use std::io::IsTerminal;
    if std::io::stderr().is_terminal() {
        eprintln!("\x1b[1;32m{verb:>12}\x1b[0m {what}");
    } else {
        eprintln!("{verb:>12} {what}");
    }
}
