//! `cargo mirust run` and `debug`: boots an image, and ends as it does.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::attach::Disk;
use crate::build::{self, Workspace};
use crate::console;
use crate::home::{Ground, Home};
use crate::image::{Image, Kept};
use crate::options::{Boot, Build, Run};
use crate::{interrupt, say};

/// How to boot an image.
pub struct Domain<'a> {
    /// The options.
    pub boot: &'a Boot,
    /// MiB of memory, if not what the image's configuration says.
    pub memory: Option<u32>,
    /// Ports, as [`port`] gives them.
    pub ports: Vec<Port>,
    /// Environment and arguments, as one line.
    pub command_line: String,
}

/// A port of the domain that is published on this machine.
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
        build.package.drain(..).partition(|value| build::is_no_package(value));
    build.package = packages;
    let ports =
        ports.iter().chain(&options.publish).map(|value| port(value)).collect::<Result<_>>()?;
    let command_line = command_line(&options.boot.env, &PASSED_ON, &options.arguments)?;
    let image = build_one(&mut build)?;
    let domain = Domain { boot: &options.boot, memory: build.memory, ports, command_line };
    domain.run(&Home::find()?, &image)
}

/// Builds the one program that is meant: by name, or by the package's `default-run`, or the only one.
///
/// # Errors
///
/// There are several or none, or the build fails.
pub fn build_one(options: &mut Build) -> Result<Kept> {
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
            (None, [] | [_]) => {}
        }
    }
    let (mut images, _lock) = build::build(options)?;
    match images.len() {
        1 => images.remove(0).keep(),
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
        self.check_disks(image)?;
        if self.boot.qemu {
            if image.ground == Ground::Net || !self.ports.is_empty() {
                say(
                    "Note",
                    "on QEMU without Xen the domain is alone on the network; leave out --qemu to forward ports",
                );
            }
            say("Booting", format_args!("{} on QEMU", image.name));
            return self.run_on_qemu(home, image);
        }
        let cfg = self.configuration(image)?;
        let mut command = Command::new(home.file("tests/rig/xen-run"));
        command.arg("--cfg").arg(&cfg).arg("--memory").arg(self.memory(image)?.to_string());
        if !self.command_line.is_empty() {
            command.arg("--cmdline").arg(&self.command_line);
        }
        if let Some(seconds) = self.boot.timeout {
            command.arg("--timeout").arg(seconds.to_string());
        }
        command.arg(&image.elf).stdin(Stdio::null());
        let end = console::follow(home, image, interrupt::start(command.stdout(Stdio::piped()))?);
        let _ = fs::remove_file(cfg);
        match end?.status {
            Some(status) => Ok(status as u8),
            None if interrupt::came() => Ok(interrupt::CODE),
            None => bail!("the rig was ended by a signal"),
        }
    }

    /// Whether the domain has the disks that the program's files are on: it would wait for them.
    fn check_disks(&self, image: &Image) -> Result<()> {
        if image.disks.is_empty() || self.boot.env.iter().any(|v| v.starts_with("MIRUST_DISKS=")) {
            return Ok(());
        }
        let without = "or let it start without them: --env MIRUST_DISKS=";
        if self.boot.qemu {
            bail!(
                "{} has files on a disk, and there are none on QEMU without Xen\nleave out --qemu, {without}",
                image.name
            );
        }
        let configuration = image.configuration()?;
        match image.disks.iter().find(|disk| !has_disk(&configuration, &disk.device)) {
            None => Ok(()),
            Some(Disk { device, writable, .. }) => bail!(
                "{} has files on the disk {device}, and no line of its xl.cfg gives the domain one\n\
                 write into xl.cfg, beside Cargo.toml: disk = [\"file:/path/to/FILE,{device},{}\"]\n{without}",
                image.name,
                if *writable { "w" } else { "r" }
            ),
        }
    }

    fn run_on_qemu(&self, home: &Home, image: &Image) -> Result<u8> {
        let mut command = self.qemu(home, image)?;
        let mut child = interrupt::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let errors = child.stderr.take().context("QEMU has no standard error")?;
        let complaints = std::thread::spawn(move || pass_on(BufReader::new(errors)));
        let end = console::follow(home, image, child)?;
        let complained = complaints.join().unwrap_or(false);
        match end.status {
            // Also what the debug exit reports of the status 0.
            Some(1) if complained => bail!("QEMU cannot boot the image (see above)"),
            // The debug exit reports 2 * status + 1 in eight bits, and the console all of it.
            Some(status) if status & 1 == 1 => Ok(end.said_status.unwrap_or((status >> 1) as u8)),
            // It then ends in order, or by a signal.
            Some(_) | None if interrupt::came() => Ok(interrupt::CODE),
            // Of `timeout`.
            Some(status) => Ok(status as u8),
            None => bail!("QEMU was ended by a signal"),
        }
    }

    /// The image's configuration, and lines for the ports: `xen-run` reads them.
    fn configuration(&self, image: &Image) -> Result<PathBuf> {
        let mut cfg = image.configuration()?;
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

    fn memory(&self, image: &Image) -> Result<u32> {
        self.memory.map_or_else(|| image.memory(), Ok)
    }

    fn qemu(&self, home: &Home, image: &Image) -> Result<Command> {
        let mut command = Command::new(home.file("tests/rig/env"));
        command.arg("--rig");
        if let Some(seconds) = self.boot.timeout {
            command.args(["timeout", "--kill-after=5"]).arg(seconds.to_string());
        }
        qemu(&mut command, image, self.memory(image)?, &self.command_line);
        Ok(command)
    }
}

/// Whether a configuration names the device among its disks, in either of xl's notations. A number may be any of them.
fn has_disk(configuration: &str, device: &str) -> bool {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let lines = configuration.lines().map(without_comment);
    let words = lines.flat_map(|line| line.split([',', '=', '"', '\'', '[', ']', ' ', '\t']));
    let mut disks = words.skip_while(|word| *word != "disk").skip(1).peekable();
    if is_number(device) {
        return disks.peek().is_some();
    }
    disks.any(|word| word == device || word.len() > 2 && word.bytes().all(|c| c.is_ascii_digit()))
}

/// A line of a configuration up to a `#` that is not in a string.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let end = line.find(|c| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        quote.is_none() && c == '#'
    });
    &line[..end.unwrap_or(line.len())]
}

/// Passes on what QEMU says, and tells whether that was more than a warning.
fn pass_on(errors: impl BufRead) -> bool {
    let mut complained = false;
    for line in errors.lines().map_while(Result::ok) {
        // It says who ended it. Who runs this knows.
        if !line.contains("terminating on signal") {
            complained |= line.starts_with("qemu") && !line.contains("warning:");
            eprintln!("{line}");
        }
    }
    complained
}

/// A network without anybody else: the domain's own address, and a device that gives it back what it sends.
const NETWORK_ON_QEMU: &str = "--interface=alone:512 --ipv4=192.0.2.1/24";

/// QEMU's command, with the console on standard output. The processor has random numbers, for hash tables.
pub fn qemu(command: &mut Command, image: &Image, memory: u32, command_line: &str) {
    let mut line = command_line.to_owned();
    if image.ground == Ground::Net && !command_line.contains("MIRUST_ARGS=") {
        line.insert_str(0, &(quoted(&format!("MIRUST_ARGS={NETWORK_ON_QEMU}")) + " "));
    }
    command.args(["qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-cpu", "qemu64,+rdrand"]);
    command.arg("-m").arg(memory.to_string());
    command.args(["-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4"]);
    command.arg("-kernel").arg(&image.elf).arg("-append").arg(line.trim_end());
    command.stdin(Stdio::null());
}

/// A port from `HOST:PORT` or `PORT`, with `/udp` or `/tcp` behind it.
fn port(text: &str) -> Result<Port> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, domain) = numbers.split_once(':').unwrap_or((numbers, numbers));
    match (host.parse(), domain.parse(), protocol) {
        (Ok(host @ 1..), Ok(domain @ 1..), "tcp" | "udp") => {
            Ok(Port { host, domain, udp: protocol == "udp" })
        }
        _ => bail!("not a port: {text}; write HOST:PORT, for example 8080:80, or 5353:53/udp"),
    }
}

/// Variables of this program's environment that are the domain's as well.
pub const PASSED_ON: [&str; 2] = ["RUST_BACKTRACE", "RUST_LOG"];

/// The kernel's command line: environment variables, those `passed` on included, then arguments, quoted as the runtime
/// splits them.
///
/// # Errors
///
/// A variable has no name of capital letters, an argument is not UTF-8, or the line is too long for a domain.
pub fn command_line(
    variables: &[String],
    passed: &[&str],
    arguments: &[OsString],
) -> Result<String> {
    let mut words = Vec::new();
    for name in passed {
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
    let line = words.join(" ");
    if line.len() > LONGEST_LINE {
        bail!(
            "arguments and environment variables have {} bytes together, and a domain's may have {LONGEST_LINE}\n\
             let the program read a file instead: --files DIR puts a folder into the image",
            line.len()
        );
    }
    Ok(line)
}

/// Bytes of a command line, at most: the runtime reads 4095, and that of a network on QEMU may come to it.
const LONGEST_LINE: usize = 4000;

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
        for wrong in ["", "a", "80:", "80:70000", "0:80", "80:0", "-1:80", "80/sctp", "my-crate"] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn disks_are_found_in_either_notation() {
        for text in [
            "disk = [\"file:/srv/a.img,xvdb,w\"]",
            "memory = 64\ndisk=[\n\t'format=raw, vdev=xvdb, access=rw, target=/srv/a.img'\n]\n",
        ] {
            assert!(has_disk(text, "xvdb") && !has_disk(text, "xvdc"), "{text}");
        }
        for text in ["", "# disk = [\"file:/srv/a.img,xvdb,w\"]", "extra = \"xvdb\""] {
            assert!(!has_disk(text, "xvdb"), "{text}");
        }
        assert!(has_disk("disk = ['file:/srv/#1.img,xvdb,w'] # xvdc", "xvdb"));
        assert!(!has_disk("disk = ['file:/srv/#1.img,xvdb,w'] # xvdc", "xvdc"));
        assert!(has_disk("disk = ['file:/srv/a.img,51728,w']", "xvdb"));
        assert!(has_disk("disk = ['file:/srv/a.img,xvdb,w']", "51728"));
        assert!(!has_disk("memory = 64", "51728"));
    }

    #[test]
    fn a_line_that_no_domain_would_read_is_refused() {
        let line = |len| command_line(&[], &[], &["a".repeat(len).into()]);
        assert_eq!(line(LONGEST_LINE).unwrap().len(), LONGEST_LINE);
        assert!(line(LONGEST_LINE + 1).unwrap_err().to_string().contains("--files DIR"));
        assert!(NETWORK_ON_QEMU.len() + "MIRUST_ARGS='' ".len() <= 4095 - LONGEST_LINE);
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
