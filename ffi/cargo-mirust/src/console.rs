//! The console of a domain: passed through, with source lines added to backtraces.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use crate::home::Home;
use crate::image::Image;
use crate::interrupt;

/// How a domain ended.
pub struct End {
    /// The exit code of the program that booted it; None if that was ended by a signal.
    pub status: Option<i32>,
    /// From the domain's last line: `exit status N`.
    pub said_status: Option<u8>,
}

/// Shows what `child` prints until it ends.
///
/// # Errors
///
/// It cannot be shown, because standard output is closed or its disk is full. The domain has then been ended, as by
/// Ctrl-C: nobody would know of it any more.
pub fn follow(home: &Home, image: &Image, mut child: Child) -> Result<End> {
    let mut console = child.stdout.take().context("the console is not there")?;
    let mut out = std::io::stdout();
    let mut lines = Lines::default();
    let mut lookup = Lookup::new(home, image);
    let mut buffer = [0; 4096];
    let mut shown = Ok(());
    loop {
        let count = match console.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read the console"),
        };
        if shown.is_ok() {
            shown = lines.pass(&buffer[..count], &mut out, |address| lookup.lines(address));
            if shown.is_err() {
                interrupt::pass_on();
            }
        }
    }
    let status = child.wait().context("cannot wait for the domain")?.code();
    shown.context("cannot show the console any more, so the domain was ended")?;
    Ok(End { status, said_status: lines.said_status })
}

/// Splits output into lines, and drops the carriage returns of a terminal.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    /// Of the last line that was complete.
    said_status: Option<u8>,
}

impl Lines {
    fn pass(
        &mut self,
        bytes: &[u8],
        out: &mut impl Write,
        mut lookup: impl FnMut(u64) -> Vec<String>,
    ) -> Result<()> {
        for part in bytes.split_inclusive(|&b| b == b'\n') {
            let part: Vec<u8> = part.iter().copied().filter(|&b| b != b'\r').collect();
            out.write_all(&part)?;
            // Nothing longer than a line of a backtrace is kept.
            if self.line.len() < 200 {
                self.line.extend(&part);
            }
            if part.ends_with(b"\n") {
                self.said_status = status(&self.line);
                if let Some(address) = frame(&self.line) {
                    for line in lookup(address) {
                        writeln!(out, "         {line}")?;
                    }
                }
                self.line.clear();
            }
        }
        Ok(out.flush()?)
    }
}

/// The number in the last line of a program that failed.
fn status(line: &[u8]) -> Option<u8> {
    std::str::from_utf8(line).ok()?.strip_prefix("exit status ")?.trim_end().parse().ok()
}

/// The address in a line of a backtrace: `  #3   0x00101234 main+0x12`.
fn frame(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.strip_prefix("  #")?.split_whitespace();
    let number: usize = words.next()?.parse().ok()?;
    let address = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    // A return address may belong to the next function already: the call is just before it.
    Some(if number == 0 { address } else { address.wrapping_sub(1) })
}

/// addr2line, started on demand.
struct Lookup {
    command: Command,
    running: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
    failed: bool,
}

impl Lookup {
    fn new(home: &Home, image: &Image) -> Lookup {
        let mut command = home.tool("addr2line");
        command.arg("--exe").arg(image.with_symbols());
        command.args(["--functions", "--demangle", "--inlines", "--addresses"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Lookup { command, running: None, failed: false }
    }

    /// `function at file:line` for each function that was inlined there; nothing without debug information.
    fn lines(&mut self, address: u64) -> Vec<String> {
        if self.failed {
            return Vec::new();
        }
        self.ask(address).unwrap_or_else(|_| {
            self.failed = true;
            Vec::new()
        })
    }

    fn ask(&mut self, address: u64) -> Result<Vec<String>> {
        if self.running.is_none() {
            let mut child = self.command.spawn()?;
            let (input, output) = (child.stdin.take(), child.stdout.take());
            let input = input.context("no input")?;
            self.running = Some((child, input, BufReader::new(output.context("no output")?)));
        }
        let (_, input, output) = self.running.as_mut().context("not running")?;
        // The number of lines is not known in advance; those of address 0 mark the end.
        writeln!(input, "{address:#x}\n0")?;
        input.flush()?;
        let mut next = || -> Result<String> {
            let mut line = String::new();
            anyhow::ensure!(output.read_line(&mut line)? > 0, "addr2line ended");
            Ok(line.trim_end().to_owned())
        };
        let is_zero =
            |line: &str| line.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b == b'0'));
        let mut found = Vec::new();
        next()?;
        loop {
            let function = next()?;
            if is_zero(&function) {
                next()?;
                next()?;
                return Ok(found);
            }
            let place = next()?;
            // The standard library's sources are not available.
            if !place.starts_with("??") && !place.starts_with("/rustc/") && !place.ends_with(":?") {
                let place = place.split(" (").next().unwrap_or(&place).to_owned();
                found.push(format!("{function} at {place}"));
            }
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some((mut child, input, _)) = self.running.take() {
            drop(input);
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_recognised() {
        assert_eq!(frame(b"  #0   0x00101234 main+0x12\n"), Some(0x101234));
        assert_eq!(frame(b"  #12  0x00101234\n"), Some(0x101233));
        assert_eq!(frame(b"#0   0x00101234 main\n"), None);
        assert_eq!(frame(b"  #x   0x00101234 main\n"), None);
        assert_eq!(frame(b"  #1\n"), None);
    }

    #[test]
    fn the_last_line_has_the_status() {
        let mut lines = Lines::default();
        let mut said = |text: &str| {
            lines.pass(text.as_bytes(), &mut Vec::new(), |_| Vec::new()).unwrap();
            lines.said_status
        };
        assert_eq!(said("exit status 200\n"), Some(200));
        assert_eq!(said("exit status 1\nmore\n"), None);
        assert_eq!(said("exit status 300\r\n"), None);
        assert_eq!(said("exit sta"), None);
        assert_eq!(said("tus 7\r\n"), Some(7));
    }

    #[test]
    fn lines_pass_in_pieces_without_carriage_returns() {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        let mut asked = Vec::new();
        for piece in ["he", "llo\r\n  #1  0x", "10 f\r\nend"] {
            lines
                .pass(piece.as_bytes(), &mut out, |address| {
                    asked.push(address);
                    vec!["f at f.rs:1".into()]
                })
                .unwrap();
        }
        assert_eq!(asked, [0xf]);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "hello\n  #1  0x10 f\n         f at f.rs:1\nend"
        );
    }
}
