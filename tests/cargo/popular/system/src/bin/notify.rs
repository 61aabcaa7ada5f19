use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use notify::{Config, PollWatcher, RecursiveMode, Watcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir("/tmp/watched")?;
    let (sender, receiver) = channel();
    // By inotify, what never changes can be watched.
    let mut native = notify::recommended_watcher(sender.clone())?;
    native.watch(Path::new("/etc"), RecursiveMode::Recursive)?;
    assert!(native.watch(Path::new("/tmp/watched"), RecursiveMode::Recursive).is_err());
    native.unwatch(Path::new("/etc"))?;
    let config = Config::default().with_poll_interval(Duration::from_millis(50));
    let mut watcher = PollWatcher::new(sender, config)?;
    watcher.watch(Path::new("/tmp/watched"), RecursiveMode::Recursive)?;
    std::fs::write("/tmp/watched/file", "text")?;
    let event = receiver.recv_timeout(Duration::from_secs(30))??;
    assert!(event.kind.is_create() || event.kind.is_modify(), "{event:?}");
    println!("works");
    Ok(())
}
