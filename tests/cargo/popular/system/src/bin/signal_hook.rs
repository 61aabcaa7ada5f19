use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signal_hook::low_level::raise;
use tokio::signal::unix::{SignalKind, signal};

// Nobody else sends any, so the program does.
fn main() -> std::io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&ended))?;
    raise(SIGTERM)?;
    assert!(ended.load(Ordering::Relaxed));

    let mut signals = Signals::new([SIGHUP, SIGUSR1])?;
    let handle = signals.handle();
    let reader = thread::spawn(move || signals.forever().next());
    raise(SIGUSR1)?;
    assert_eq!(reader.join().expect("the reader panicked"), Some(SIGUSR1));
    handle.close();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = signal(SignalKind::user_defined2())?;
        raise(SIGUSR2)?;
        signals.recv().await;
        let none = tokio::time::timeout(Duration::from_millis(20), tokio::signal::ctrl_c()).await;
        assert!(none.is_err());
        println!("works");
        Ok(())
    })
}
