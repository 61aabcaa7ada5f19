//! An image that reads the files of the disk `site`, and blocks in threads on the disk `data`. Its first argument
//! names the case.

mod database;
mod persistent;

use mirust::block::blocking::Disk;
use mirust::fs::{Files, Kind};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

mirust::main!(run);

async fn run() -> Result<(), String> {
    let result = match mirust::args().get(1).map(String::as_str) {
        Some("std") => in_a_thread(with_std),
        Some("async") => with_mirust().await,
        Some("blocking") => in_a_thread(blocking),
        Some("commit") => in_a_thread(database::commit),
        Some("check") => in_a_thread(database::check),
        Some("keep") => in_a_thread(persistent::keep),
        Some("kept") => in_a_thread(persistent::check),
        other => Err(io::Error::other(format!("no such case: {other:?}"))),
    };
    result.map_err(|error| error.to_string())
}

/// Calls on a thread's stack, where `std::fs` and disks may block.
fn in_a_thread(f: fn() -> io::Result<()>) -> io::Result<()> {
    thread::spawn(f).join().map_err(|_| io::Error::other("the thread panicked"))?
}

/// All files of the disk, by `std::fs`, as `cksum` tells them.
fn with_std() -> io::Result<()> {
    mirust::posix::mount_disk("site", "/srv/site")?;
    let mut folders = vec![PathBuf::from("/srv/site")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if fs::metadata(&path)?.is_dir() {
                folders.push(path);
            } else {
                tell(&path, &fs::read(&path)?);
            }
        }
    }
    let error = fs::write("/srv/site/new", "").expect_err("nothing can be written");
    println!("refused: {error}");
    println!("told");
    Ok(())
}

/// The same, by `mirust::fs`.
async fn with_mirust() -> io::Result<()> {
    let files: Files = mirust::fs::mount("site").await?;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in files.read_dir(&folder).await? {
            let path = folder.join(entry.name);
            if files.metadata(&path).await?.kind() == Kind::Directory {
                folders.push(path);
            } else {
                tell(&path, &files.read(&path).await?);
            }
        }
    }
    println!("told");
    Ok(())
}

fn tell(path: &Path, bytes: &[u8]) {
    let path = path.strip_prefix("/srv/site").unwrap_or(path).display();
    println!("file {} {} {path}", checksum(bytes), bytes.len());
}

/// What POSIX's `cksum` computes: CRC-32 from the left, over the bytes and then their number.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: u8| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
            if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
        })
    };
    let length = bytes.len().to_le_bytes();
    let digits = length.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    !bytes.iter().chain(&length[..digits]).fold(0, |sum, &byte| step(sum, byte))
}

/// Four threads that write and read, each its own part.
fn blocking() -> io::Result<()> {
    const PART: u64 = 1 << 20;
    let disk = Disk::open("data")?;
    thread::scope(|scope| {
        let work = |n: u64| {
            for round in 0..16 {
                let bytes = vec![(n * 16 + round) as u8; 8192];
                disk.write_at(n * PART + round * 8192, &bytes)?;
                let mut back = vec![0; 100];
                disk.read_at(n * PART + round * 8192 + 50, &mut back)?;
                assert_eq!(back, bytes[..100]);
            }
            disk.flush()
        };
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    let end = disk.len()?;
    let beyond = disk.read_at(end, &mut [0; 512]).map_err(|error| error.kind());
    assert_eq!(beyond, Err(io::ErrorKind::UnexpectedEof));
    println!("threads have written");
    Ok(())
}
