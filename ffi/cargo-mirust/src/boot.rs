//! `cargo mirust run` and `debug`: boots an image, and ends as it does.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::build::{self, Workspace};
use crate::console;
use crate::home::{Ground, Home};
use crate::image::Image;
use crate::options::{Boot, Build, Debug, Run};
use crate::say;

/// How to boot an image.
pub struct Domain<'a> {
    /// The options.
    pub boot: &'a Boot,
    /// MiB of memory.
    pub memory: u32,
    /// Ports, as [`port`] gives them.
    pub ports: Vec<Port>,
    /// Environment and arguments, as one line.
    pub command_line: String,
}

/// A port of the domain that this machine shall have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    host: u16,
    domain: u16,
    udp: bool,
}

/// `cargo mirust run`. Gives the exit code of the program.
///
/// # Errors
///
/// The build fails, or nothing can be booted.
pub fn run(options: &Run) -> Result<u8> {
    let mut build = options.build.clone();
    let (ports, packages): (Vec<_>, Vec<_>) =
        build.package.drain(..).partition(|value| port(value).is_ok());
    build.package = packages;
    let ports =
        ports.iter().chain(&options.publish).map(|value| port(value)).collect::<Result<_>>()?;
    let image = build_one(&mut build)?;
    let domain = Domain {
        boot: &options.boot,
        memory: build.memory,
        ports,
        command_line: command_line(&options.boot.env, &options.arguments)?,
    };
    domain.run(&Home::find()?, &image)
}

/// Builds the one program that is meant: by name, or by the package's `default-run`, or the only one.
fn build_one(options: &mut Build) -> Result<Image> {
    if options.bin.is_empty() && options.example.is_empty() {
        let workspace = Workspace::load(options)?;
        let packages = workspace.packages(options);
        let default = packages.iter().find_map(|package| package.default_run.clone());
        let bins: Vec<String> = packages
            .iter()
            .flat_map(|package| &package.targets)
            .filter(|target| target.is_bin())
            .map(|target| target.name.clone())
            .collect();
        match (default, bins.as_slice()) {
            (Some(name), _) => options.bin = vec![name],
            (None, [_, _, ..]) => bail!(
                "there are several programs: {}\nsay which by --bin, or by `default-run` in Cargo.toml",
                bins.join(", ")
            ),
            _ => {}
        }
    }
    let mut images = build::build(options)?;
    match images.len() {
        1 => Ok(images.remove(0)),
        _ => bail!("one program at a time: say which by --bin NAME or --example NAME"),
    }
}

impl Domain<'_> {
    /// Boots `image`, shows its console, and gives its exit code.
    ///
    /// # Errors
    ///
    /// It cannot be booted.
    pub fn run(&self, home: &Home, image: &Image) -> Result<u8> {
        // The guest is asked to end by whoever boots it; until then this program stays.
        let _ = ctrlc::set_handler(|| {});
        if self.boot.qemu {
            if image.ground == Ground::Net || !self.ports.is_empty() {
                say("Note", "on QEMU alone there is no network; leave out --qemu to have one");
            }
            say("Booting", format_args!("{} on QEMU", image.name));
            let child = self.start(self.qemu(home, image))?;
            return Ok(match console::follow(home, image, child)? {
                // isa-debug-exit reports 2 * status + 1.
                Some(status) if status & 1 == 1 => (status >> 1) as u8,
                Some(status) => status as u8,
                None => bail!("QEMU was ended by a signal"),
            });
        }
        let cfg = self.configuration(image)?;
        let mut command = Command::new(home.file("tests/rig/xen-run"));
        command.arg("--cfg").arg(&cfg).arg("--memory").arg(self.memory.to_string());
        if !self.command_line.is_empty() {
            command.arg("--cmdline").arg(&self.command_line);
        }
        if let Some(seconds) = self.boot.timeout {
            command.arg("--timeout").arg(seconds.to_string());
        }
        command.arg(&image.elf).stdin(Stdio::null());
        let status = console::follow(home, image, self.start(command)?)?;
        let _ = fs::remove_file(cfg);
        status.map(|status| status as u8).context("the rig was ended by a signal")
    }

    fn start(&self, mut command: Command) -> Result<Child> {
        command.stdout(Stdio::piped()).spawn().context("cannot boot the image")
    }

    /// The image's configuration, and lines for the ports: `xen-run` reads them.
    fn configuration(&self, image: &Image) -> Result<PathBuf> {
        let mut cfg = fs::read_to_string(image.cfg())
            .with_context(|| format!("cannot read {}", image.cfg().display()))?;
        for port in &self.ports {
            let kind = match (port.udp, port.domain) {
                (true, _) => "udp",
                // Only for what is said about it: an address for the browser.
                (false, 80 | 3000 | 5000 | 8000 | 8080) => "http",
                (false, _) => "tcp",
            };
            cfg += &format!("# forward: {}:{} {kind}\n", port.host, port.domain);
        }
        if !self.ports.is_empty() && image.ground == Ground::Plain {
            bail!("{} does not ask for the network, so it has no ports", image.name);
        }
        let file = image.elf.with_extension(format!("run-{}.cfg", std::process::id()));
        fs::write(&file, cfg).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    fn qemu(&self, home: &Home, image: &Image) -> Command {
        let mut command = Command::new(home.file("tests/rig/env"));
        command.arg("--rig");
        if let Some(seconds) = self.boot.timeout {
            command.args(["timeout", "--kill-after=5"]).arg(seconds.to_string());
        }
        qemu(&mut command, &image.elf, self.memory, &self.command_line);
        command
    }
}

/// QEMU's command, with the console on standard output. The processor has random numbers, for hash tables.
fn qemu(command: &mut Command, elf: &Path, memory: u32, command_line: &str) {
    command.args(["qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-cpu", "qemu64,+rdrand"]);
    command.arg("-m").arg(memory.to_string());
    command.args(["-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4"]);
    command.arg("-kernel").arg(elf).arg("-append").arg(command_line);
    command.stdin(Stdio::null());
}

/// `cargo mirust debug`.
///
/// # Errors
///
/// The build fails, or QEMU or gdb cannot be run.
pub fn debug(options: &Debug) -> Result<u8> {
    let mut build = options.build.clone();
    let image = build_one(&mut build)?;
    let home = Home::find()?;
    let mut command = Command::new(home.file("tests/rig/env"));
    command.arg("--rig");
    let line = command_line(&options.env, &options.arguments)?;
    qemu(&mut command, &image.elf, build.memory, &line);
    command.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{}", options.port)]);
    let mut machine = command.spawn().context("cannot run QEMU")?;
    let symbols = image.with_symbols();
    let attach = format!("target remote 127.0.0.1:{}", options.port);
    let have_gdb = !options.no_gdb
        && Command::new("gdb").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !have_gdb {
        say("Waiting", "for a debugger (Ctrl-C ends it):");
        eprintln!("    gdb {} -ex '{attach}' -ex 'hbreak main' -ex continue", symbols.display());
        let status = machine.wait().context("cannot wait for QEMU")?;
        return Ok(status.code().map_or(130, |code| (code >> 1) as u8));
    }
    let _ = ctrlc::set_handler(|| {});
    let status = Command::new("gdb")
        .arg("-q")
        .arg(&symbols)
        // In hardware: the image is not in memory yet.
        .args(["-ex", &attach, "-ex", "hbreak main", "-ex", "continue"])
        .status();
    let _ = machine.kill();
    let _ = machine.wait();
    status.context("cannot run gdb")?;
    Ok(0)
}

/// A port from `HOST:PORT` or `PORT`, with `/udp` or `/tcp` behind it.
fn port(text: &str) -> Result<Port> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, domain) = numbers.split_once(':').unwrap_or((numbers, numbers));
    match (host.parse(), domain.parse(), protocol) {
        (Ok(host), Ok(domain), "tcp" | "udp") => Ok(Port { host, domain, udp: protocol == "udp" }),
        _ => bail!("not a port: {text}; write HOST:PORT, for example 8080:80, or 5353:53/udp"),
    }
}

/// The kernel's command line: environment variables, then arguments, quoted as the runtime splits them.
///
/// # Errors
///
/// A variable has no name of capital letters, or an argument is not UTF-8.
pub fn command_line(variables: &[String], arguments: &[OsString]) -> Result<String> {
    let mut words = Vec::new();
    for name in ["RUST_BACKTRACE", "RUST_LOG"] {
        let given = variables.iter().any(|variable| variable.starts_with(&format!("{name}=")));
        if let (false, Ok(value)) = (given, std::env::var(name)) {
            words.push(quoted(&format!("{name}={value}")));
        }
    }
    for variable in variables {
        let name = variable.split_once('=').map_or("", |(name, _)| name);
        let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty()
            || !name.chars().all(letter)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            bail!(
                "not an environment variable: {variable}; write NAME=value, the name in capital letters"
            );
        }
        words.push(quoted(variable));
    }
    for argument in arguments {
        let Some(argument) = argument.to_str() else {
            bail!("an argument is not UTF-8: {argument:?}")
        };
        words.push(quoted(argument));
    }
    Ok(words.join(" "))
}

/// A word that the runtime reads back as it is. Only single quotes and spaces matter to others on the way.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-=./:,+@%^~[]{}#!?*&;<>|()$".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        assert_eq!(port("8080:80").unwrap(), Port { host: 8080, domain: 80, udp: false });
        assert_eq!(port("53/udp").unwrap(), Port { host: 53, domain: 53, udp: true });
        for wrong in ["", "a", "80:", "80:70000", "80/sctp", "my-crate"] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(quoted("a=b"), "a=b");
        assert_eq!(quoted("two words"), "'two words'");
        assert_eq!(quoted("it's"), r#"'it'"'"'s'"#);
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a\\b"), "'a\\b'");
    }
}
