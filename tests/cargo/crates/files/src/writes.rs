//! Files that the program makes in the folder for temporary ones, and UNIX-domain sockets among them. Says what happens.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

pub fn all() -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("written-{}", std::process::id()));
    fs::create_dir(&folder)?;
    files(&folder)?;
    names(&folder)?;
    sockets(&folder)?;
    fs::remove_dir_all(&folder)?;
    println!("gone: {}", !folder.exists());
    Ok(())
}

fn files(folder: &Path) -> io::Result<()> {
    let path = folder.join("file");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    file.write_all(&[b'x'; 10_000])?;
    file.write_all_at(b"middle", 5000)?;
    file.seek(SeekFrom::End(4000))?;
    file.write_all(b"end")?;
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, 4999)?;
    println!("{:?} of {}", std::str::from_utf8(&bytes), file.metadata()?.len());
    file.set_len(5003)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(77))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.sync_all()?;
    let about = fs::metadata(&path)?;
    println!("{} bytes, mode {:o}, of {}", about.len(), about.mode(), about.mtime());
    File::options().append(true).open(&path)?.write_all(b"dle")?;
    println!("copied {}", fs::copy(&path, folder.join("copy"))?);
    let mut tail = String::new();
    let mut copy = File::open(folder.join("copy"))?;
    copy.seek(SeekFrom::Start(4998))?;
    copy.read_to_string(&mut tail)?;
    println!("{tail} {:?}", File::create_new(&path).map_err(|error| error.kind()).err());
    println!("{:?}", copy.write(b"x").map_err(|error| error.raw_os_error()));
    Ok(())
}

fn names(folder: &Path) -> io::Result<()> {
    let say = |what: &str, result: io::Result<()>| {
        println!("{what}: {}", result.map_or_else(|error| error.to_string(), |()| "done".into()));
    };
    fs::create_dir_all(folder.join("a/b"))?;
    say("a folder that is full", fs::remove_dir(folder.join("a")));
    say("into itself", fs::rename(folder.join("a"), folder.join("a/b/c")));
    say("a file for a folder", fs::rename(folder.join("file"), folder.join("a")));
    say("elsewhere", fs::rename(folder.join("file"), folder.join("a/b/moved")));
    say("a second name", fs::hard_link(folder.join("a/b/moved"), folder.join("second")));
    say("a link", symlink("a/b/moved", folder.join("link")));
    println!("{} names, {} bytes", fs::metadata(folder.join("link"))?.nlink(), fs::read(folder.join("link"))?.len());
    say("what is not there", fs::remove_file(folder.join("nothing")));
    let mut all: Vec<_> = fs::read_dir(folder)?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    all.sort();
    println!("{all:?}");
    Ok(())
}

fn sockets(folder: &Path) -> io::Result<()> {
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path)?;
    let client = std::thread::spawn(move || {
        let mut stream = UnixStream::connect(path)?;
        stream.write_all(b"request")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        io::Result::Ok(text)
    });
    let (mut stream, peer) = listener.accept()?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    write!(stream, "{text}, from nobody: {}", peer.is_unnamed())?;
    drop(stream);
    println!("{}", client.join().unwrap()?);
    let taken = UnixListener::bind(folder.join("socket")).map_err(|error| error.kind());
    println!("{:?}", taken.err());
    drop(listener);
    println!("{:?}", UnixStream::connect(folder.join("socket")).map_err(|error| error.kind()).err());
    let (one, two) = (UnixDatagram::bind(folder.join("one"))?, UnixDatagram::unbound()?);
    two.send_to(b"message", folder.join("one"))?;
    let mut bytes = [0; 16];
    let (n, from) = one.recv_from(&mut bytes)?;
    println!("{:?} {:?}", std::str::from_utf8(&bytes[..n]), from.as_pathname());
    let name = SocketAddr::from_abstract_name(b"mirust's test")?;
    let _listener = UnixListener::bind_addr(&name)?;
    println!("{}", UnixStream::connect_addr(&name)?.peer_addr()?.as_abstract_name() == Some(b"mirust's test"));
    Ok(())
}
