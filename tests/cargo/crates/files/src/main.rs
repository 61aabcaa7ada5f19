//! Says what is in a folder, `static` unless another one is named, by all that std has for that. `--refuse FOLDER` says
//! what becomes of changes instead, `--write` makes files of its own, `--append FILE` writes lines without end, each of
//! which is on the disk then, `--large FILE` makes one of 24 MiB if there is none, and looks at what is in it, and `--count
//! FILE` counts how often it has done so.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

mod writes;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write"] => writes::all(),
        ["--refuse", folder] => refused(Path::new(folder)),
        ["--append", file] => {
            let mut log = File::options().create(true).append(true).open(file)?;
            for n in 0u64.. {
                log.write_all(b"line\n")?;
                log.sync_all()?;
                println!("appended {n}");
            }
            Ok(())
        }
        ["--large", file] => large(Path::new(file)),
        ["--count", file] => {
            let before = fs::read_to_string(file).map_or(0, |text| text.len());
            fs::write(file, "x".repeat(before + 1))?;
            println!("for the {}. time", before + 1);
            Ok(())
        }
        ["--cat", file] => {
            io::copy(&mut File::open(file)?, &mut io::stdout())?;
            Ok(())
        }
        [] => show(Path::new("static"), Path::new("static")),
        [folder] => show(Path::new(folder), Path::new(folder)),
        _ => Err(io::Error::other("one folder")),
    }
}

/// A file that is larger than the memory that it may take.
fn large(path: &Path) -> io::Result<()> {
    const PART: usize = 10_000;
    let part = |n: usize| vec![n as u8 | 1; PART];
    let parts = (24 << 20) / PART;
    if !path.exists() {
        let mut file = File::create(path)?;
        (0..parts).try_for_each(|n| file.write_all(&part(n)))?;
    }
    let mut file = File::open(path)?;
    let mut bytes = vec![0; PART];
    // Not in the order in which they were written, and so that most of them are not in memory.
    for n in (0..parts).map(|n| n * 701 % parts).take(parts / 4) {
        file.seek(SeekFrom::Start((n * PART) as u64))?;
        file.read_exact(&mut bytes)?;
        assert!(bytes == part(n), "part {n}");
    }
    println!("{} bytes are as they were written", file.metadata()?.len());
    Ok(())
}

/// All that is in a folder.
fn show(top: &Path, folder: &Path) -> io::Result<()> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
        let about = fs::symlink_metadata(&path)?;
        let changed = about.modified()?.duration_since(SystemTime::UNIX_EPOCH);
        let changed = changed.map_or(0, |since| since.as_secs());
        if about.is_symlink() {
            println!("{name} -> {}: {} bytes", fs::read_link(&path)?.display(), fs::metadata(&path)?.len());
        } else if about.is_dir() {
            println!("{name}/");
            show(top, &path)?;
        } else {
            println!("{name}: {} bytes, of {changed}, sum {:08x}", about.len(), sum(&path)?);
            parts(&path)?;
        }
    }
    let missing = File::open(folder.join("nothing")).unwrap_err();
    println!("{}/nothing: {:?}, {missing}", folder.strip_prefix(top).unwrap_or(folder).display(), missing.kind());
    Ok(())
}

/// A sum of all bytes, read in three ways that have to agree.
fn sum(path: &Path) -> io::Result<u32> {
    let add = |sum: u32, byte: &u8| sum.rotate_left(5) ^ u32::from(*byte);
    let whole = fs::read(path)?.iter().fold(0, add);
    let mut buffered = 0;
    let mut reader = BufReader::new(File::open(path)?);
    loop {
        let n = reader.fill_buf()?.iter().map(|byte| buffered = add(buffered, byte)).count();
        if n == 0 {
            break;
        }
        reader.consume(n);
    }
    let taken = File::open(path)?.bytes().take(5000).try_fold(0, |sum, byte| Ok::<_, io::Error>(add(sum, &byte?)))?;
    let start = fs::read(path)?.iter().take(5000).fold(0, add);
    assert_eq!((whole, start), (buffered, taken), "{}", path.display());
    Ok(whole)
}

/// The middle and the end.
fn parts(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let end = file.seek(SeekFrom::End(0))?;
    let middle = file.seek(SeekFrom::Start(end / 2))?;
    let mut bytes = [0; 4];
    let n = file.read(&mut bytes)?;
    println!("  {end} {middle} {n} {bytes:02x?} {}", file.stream_position()?);
    assert_eq!(file.metadata()?.len(), end);
    assert!(file.seek(SeekFrom::Current(-1_000_000_000)).is_err());
    Ok(())
}

/// What becomes of changes.
fn refused(folder: &Path) -> io::Result<()> {
    let say = |what: &str, error: Option<io::Error>| {
        println!("{what}: {}", error.map_or("done".into(), |error| error.to_string()));
    };
    say("create", File::create(folder.join("new")).err());
    say("directory", fs::create_dir(folder.join("directory")).err());
    say("overwrite", fs::write(folder.join("index.html"), "x").err());
    say("append", File::options().append(true).open(folder.join("index.html")).err());
    say("remove", fs::remove_file(folder.join("index.html")).err());
    say("rename", fs::rename(folder.join("index.html"), folder.join("other")).err());
    Ok(())
}
