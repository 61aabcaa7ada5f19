//! Files that persist on a disk.

use std::fs::{self, File};
use std::io::{self, Write};

/// Counts until the domain is destroyed, in a log and in a file that is replaced each time, and says after each number
/// which one it was. `std::fs` knows of no disk.
pub fn keep() -> io::Result<()> {
    mirust::posix::mount_persistent("data", "/data")?;
    let mut log = File::options().create(true).append(true).open("/data/log")?;
    for n in read()?.map_or(0, |last| last + 1).. {
        writeln!(log, "{n}")?;
        fs::write("/data/new", n.to_string().repeat(1000))?;
        fs::rename("/data/new", "/data/last")?;
        // One for all.
        log.sync_all()?;
        println!("kept {n}");
    }
    Ok(())
}

/// Says what the last number was, if all that is there belongs together.
pub fn check() -> io::Result<()> {
    mirust::posix::mount_persistent("data", "/data")?;
    let last = read()?.unwrap_or(0);
    let log = fs::read_to_string("/data/log")?;
    assert!(log.lines().map(str::parse).eq((0..=last).map(Ok)), "the log is not that of {last}");
    println!("the last was {last}");
    Ok(())
}

/// The last number, whole.
fn read() -> io::Result<Option<u64>> {
    if !fs::exists("/data/last")? {
        return Ok(None);
    }
    let text = fs::read_to_string("/data/last")?;
    let number = &text[..text.len() / 1000];
    assert_eq!(text, number.repeat(1000));
    number.parse().map(Some).map_err(io::Error::other)
}
