//! `mirust-summon`, a program for dom0. It listens at configured addresses, starts the domain behind an address when a
//! client connects, holds the client until the domain answers, relays, and puts the domain to sleep once it has been
//! idle for a while. `docs/fleet.md` is its manual.
//!
//! From the bottom up: [`config`] is pure, [`xl`] runs the toolstack, [`store`] keeps saved states, [`places`] chooses
//! the client that makes room for a newcomer, [`host`] is what all domains share, [`domain`] is the life of one,
//! [`fleet`] has all of them, [`knock`] brings a client to one, [`tcp`] and [`udp`] relay, [`metrics`] shows the
//! counters, and [`table`] says which address belongs to which domain. A single thread does everything: it waits far
//! more than it works.

mod config;
mod domain;
mod fleet;
mod host;
mod knock;
mod metrics;
mod output;
mod places;
mod store;
mod systemd;
mod table;
mod tcp;
mod udp;
mod xl;

use clap::Parser;
use config::Config;
use fleet::Fleet;
use log::LevelFilter;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use table::Table;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    task::{LocalSet, spawn_local},
    time::sleep,
};

/// Starts Xen domains when somebody connects to them, relays, and puts them to sleep again.
///
/// SIGHUP reloads the configuration. SIGTERM ends this program and leaves the domains as they are.
#[derive(Parser)]
#[command(name = "mirust-summon", version)]
struct Options {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "/etc/mirust-summon.toml")]
    config: PathBuf,
    /// Only check the configuration, and whether the files that it names exist
    #[arg(long)]
    check: bool,
    /// Also log each refused client and each call of xl
    #[arg(short, long)]
    verbose: bool,
    /// Log warnings and errors only
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    output::begin(match (options.verbose, options.quiet) {
        (true, _) => LevelFilter::Debug,
        (_, true) => LevelFilter::Warn,
        _ => LevelFilter::Info,
    });
    // SAFETY: nothing has opened a descriptor yet: neither parsing arguments nor preparing the log does.
    let inherited = unsafe { systemd::inherited() };
    let config = match read(&options.config) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(2);
        }
    };
    if options.check {
        return check(&options.config, &config);
    }
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match LocalSet::new().block_on(&runtime, run(&options.config, config, inherited)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            log::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the configuration. Each fault is a line, `FILE:LINE: WHAT`.
fn read(path: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; name another file by --config", path.display()))?;
    config::parse(&text).map_err(|faults| {
        let lines =
            faults.iter().map(|fault| format!("{}:{}: {}", path.display(), fault.line, fault.what));
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn check(path: &Path, config: &Config) -> ExitCode {
    let missing = config::presence(config);
    for what in &missing {
        eprintln!("{}: {what}", path.display());
    }
    if !missing.is_empty() {
        return ExitCode::FAILURE;
    }
    let ways: usize = config.domains.values().map(|plan| plan.ways.len()).sum();
    println!("{}: {} domains, {ways} sockets", path.display(), config.domains.len());
    ExitCode::SUCCESS
}

/// Serves until a signal ends it.
async fn run(
    path: &Path,
    config: Config,
    inherited: Vec<(std::net::SocketAddr, socket2::Socket)>,
) -> Result<(), String> {
    let listens = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
    let (mut hangup, mut terminate, mut interrupt) = (
        listens(SignalKind::hangup())?,
        listens(SignalKind::terminate())?,
        listens(SignalKind::interrupt())?,
    );
    let fleet = Fleet::new(config.general.clone());
    let mut table = Table::new(fleet.clone(), inherited);
    table.load(config)?;
    fleet.adopt().await;
    spawn_local(fleet.clone().look_after());
    spawn_local(fleet.clone().hear_deaths());
    log::info!("{} domains are served", fleet.domains.borrow().len());
    systemd::notify("READY=1");
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                match read(path).and_then(|config| table.load(config)) {
                    Ok(()) => log::info!("{} domains are served from now on", fleet.domains.borrow().len()),
                    Err(why) => log::error!("the configuration stays as it was: {}", why.replace('\n', "; ")),
                }
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    systemd::notify("STOPPING=1");
    table.close();
    fleet.host.closing.set(true);
    // The toolstack finishes what it has begun: half a saved state is useless.
    if table.is_busy() {
        log::info!("xl is still at work");
    }
    while table.is_busy() {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
