//! Says what it was started with, and ends as it is told.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let mut args = env::args();
    let name = args.next().unwrap_or_default();
    println!("{name}: main {:?}", args.collect::<Vec<_>>());
    println!("since the crate was written: {}", SystemTime::now() > UNIX_EPOCH + Duration::from_secs(1_760_000_000));
    println!("debug assertions: {}", cfg!(debug_assertions));
    if cfg!(feature = "loud") {
        println!("LOUD");
    }
    if let Ok(name) = env::var("WHO") {
        println!("who: {name}");
    }
    match env::args().nth(1).as_deref() {
        Some("exit") => std::process::exit(env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(7)),
        Some("return") => ExitCode::from(8),
        Some("panic") => fails(),
        Some("caught") => {
            let caught = std::panic::catch_unwind(fails).is_err();
            println!("caught: {caught}");
            ExitCode::SUCCESS
        }
        Some("abort") => std::process::abort(),
        Some("input") => {
            println!("{} bytes of input", std::io::stdin().lines().count());
            ExitCode::SUCCESS
        }
        Some("wait") => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => ExitCode::SUCCESS,
    }
}

#[inline(never)]
fn fails() -> ExitCode {
    panic!("as asked");
}
