//! Says what it was started with, and ends as it is told.

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};
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
        Some("asked") => asked(),
        Some("wait") => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => ExitCode::SUCCESS,
    }
}

/// Ends as its handler of SIGTERM says, which only knows of the signal, and ends a call that would wait for ever.
fn asked() -> ExitCode {
    static SIGNAL: AtomicI32 = AtomicI32::new(0);
    extern "C" fn handler(signal: i32) {
        SIGNAL.store(signal, Ordering::Relaxed);
    }
    // SAFETY: the type is that of `signal.h`.
    unsafe extern "C" {
        safe fn signal(signal: i32, handler: extern "C" fn(i32)) -> usize;
        safe fn poll(entries: *const std::ffi::c_void, count: u64, ms: i32) -> i32;
    }
    signal(15, handler);
    println!("waiting for a signal");
    while SIGNAL.load(Ordering::Relaxed) == 0 {
        println!("poll {}: {}", poll(std::ptr::null(), 0, -1), std::io::Error::last_os_error().kind());
    }
    println!("signal {}", SIGNAL.load(Ordering::Relaxed));
    ExitCode::from(9)
}

#[inline(never)]
fn fails() -> ExitCode {
    panic!("as asked");
}
