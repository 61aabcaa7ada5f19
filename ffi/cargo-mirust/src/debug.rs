//! `cargo mirust debug`: an image on QEMU, with gdb attached.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::boot::{PASSED_ON, build_one, command_line, qemu};
use crate::home::Home;
use crate::options::Debug;
use crate::{interrupt, say};

/// Builds and boots one program, and makes gdb stop it where its `main` begins. Returns gdb's exit code, or the
/// program's if gdb was not started.
///
/// # Errors
///
/// The build fails, or QEMU or gdb cannot be run.
pub fn debug(options: &Debug) -> Result<u8> {
    if std::net::TcpListener::bind(("127.0.0.1", options.port)).is_err() {
        bail!("port {} is taken by another program; choose another one: --port PORT", options.port);
    }
    let line = command_line(&options.env, &PASSED_ON, &options.arguments)?;
    let mut build = options.build.clone();
    let image = build_one(&mut build)?;
    let home = Home::find()?;
    let mut command = Command::new(home.file("tests/rig/env"));
    command.arg("--rig");
    let memory = build.memory.map_or_else(|| image.memory(), Ok)?;
    qemu(&mut command, &image, memory, &line);
    command.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{}", options.port)]);
    // In hardware: the image is not in memory yet. rustc's `main` for C calls the program's own.
    let main = format!("hbreak {}::main", image.name.replace('-', "_"));
    let attach = format!("target remote 127.0.0.1:{}", options.port);
    let steps = ["set breakpoint pending on", &attach, &main, "continue"];
    let gdb = if options.no_gdb { None } else { gdb() };
    let Some(gdb) = gdb else {
        say("Waiting", "for a debugger (Ctrl-C ends it):");
        let steps: Vec<_> = steps.iter().map(|step| format!("-ex '{step}'")).collect();
        eprintln!("    gdb '{}' {}", image.with_symbols().display(), steps.join(" "));
        let status = interrupt::start(&mut command)?.wait().context("cannot wait for QEMU")?;
        return Ok(status.code().map_or(interrupt::CODE, |code| (code >> 1) as u8));
    };
    // In a process group of its own: Ctrl-C in gdb interrupts the program, and not the machine that it runs on.
    let mut machine = command.process_group(0).spawn().context("cannot run QEMU")?;
    // gdb owns the terminal, and handles Ctrl-C itself.
    let _ = ctrlc::set_handler(|| {});
    let mut debugger = Command::new(gdb);
    debugger.arg("-q").arg(image.with_symbols());
    // gdb waits so long for QEMU to be ready.
    debugger.args(["-ex", "set tcp connect-timeout 30"]);
    debugger.args(steps.iter().flat_map(|step| ["-ex", step]));
    let status = debugger.status();
    // gdb's `kill` and its end have ended it already, if it was not left by `detach`.
    std::thread::sleep(Duration::from_millis(100));
    if machine.try_wait().is_ok_and(|ended| ended.is_none()) {
        let _ = machine.kill();
    }
    let _ = machine.wait();
    Ok(status.context("cannot run gdb")?.code().map_or(interrupt::CODE, |code| code as u8))
}

/// The debugger: rust-gdb, which pretty-prints Rust's collections, or gdb.
fn gdb() -> Option<&'static Path> {
    let runs = |name: &&Path| {
        let version = Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        version.is_ok_and(|status| status.success())
    };
    [Path::new("rust-gdb"), Path::new("gdb")].into_iter().find(runs)
}
