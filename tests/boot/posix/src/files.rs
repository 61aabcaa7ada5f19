//! Files of the ramdisk, and those that are always there.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr;

use super::Outcome;

pub(crate) fn run() -> Outcome {
    assert_eq!(fs::read_to_string("/data/hello.txt")?, "Hello from the ramdisk\n");
    let mut file = File::open("/data/numbers")?;
    assert_eq!((file.metadata()?.len(), file.metadata()?.is_file()), (100_000, true));
    file.seek(SeekFrom::Start(99_990))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let mut part = [0; 10];
    file.read_exact_at(&mut part, 99_990)?;
    assert_eq!((end.len(), &end[..]), (10, &part[..]));
    assert_eq!(file.try_clone()?.metadata()?.len(), 100_000);

    let mut names: Vec<String> = fs::read_dir("/data")?
        .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    names.sort();
    assert_eq!(names, ["hello.txt", "link", "numbers"]);
    assert_eq!(fs::canonicalize("/data/../data/link")?.to_str(), Some("/data/hello.txt"));
    assert_eq!(fs::read_link("/data/link")?.to_str(), Some("hello.txt"));
    assert!(fs::symlink_metadata("/data/link")?.is_symlink());
    assert!(fs::metadata("/data")?.is_dir());

    let kind = |result: std::io::Result<()>| result.map_err(|error| error.kind());
    assert_eq!(kind(fs::write("/data/new", "x")), Err(ErrorKind::ReadOnlyFilesystem));
    assert_eq!(kind(fs::remove_file("/data/link")), Err(ErrorKind::ReadOnlyFilesystem));
    assert_eq!(kind(fs::create_dir("/new")), Err(ErrorKind::ReadOnlyFilesystem));
    assert_eq!(kind(File::open("/none").map(drop)), Err(ErrorKind::NotFound));
    assert_eq!(kind(File::open("/data/hello.txt/x").map(drop)), Err(ErrorKind::NotADirectory));

    a_mapping_that_becomes_read_only()?;
    copies_at_fixed_addresses()?;

    let mut random = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    assert_ne!(random, [0; 32]);
    assert!(fs::read_to_string("/etc/hosts")?.contains("localhost"));
    fs::read_to_string("/etc/resolv.conf")?;
    std::env::current_exe()?;
    assert_eq!(std::io::copy(&mut File::open("/data/numbers")?, &mut std::io::sink())?, 100_000);
    Ok(())
}

/// The file can be written all the same, and so can its memory when the file is gone.
fn a_mapping_that_becomes_read_only() -> Outcome {
    let file = File::options().read(true).write(true).create_new(true).open("/tmp/mapped")?;
    file.set_len(8192)?;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, to which there is no reference.
    unsafe {
        let at = libc::mmap(ptr::null_mut(), 8192, access, libc::MAP_SHARED, file.as_raw_fd(), 0);
        assert_ne!(at, libc::MAP_FAILED);
        at.cast::<u8>().write(1);
        assert_eq!(libc::mprotect(at, 8192, libc::PROT_READ), 0);
        file.write_all_at(&[2; 8192], 0)?;
        assert_eq!(at.cast::<u8>().add(8191).read(), 2);
        assert_eq!(libc::munmap(at, 8192), 0);
    }
    file.write_all_at(&[3; 8192], 0)?;
    fs::remove_file("/tmp/mapped")?;
    drop(file);
    std::hint::black_box(vec![[4u8; 4096]; 64]);
    Ok(())
}

/// As WebAssembly's runtimes make a memory: addresses are reserved, and a file without a name gives the first of them
/// their contents.
fn copies_at_fixed_addresses() -> Outcome {
    // SAFETY: a C string, and a new descriptor that nothing else closes.
    let file = unsafe { File::from_raw_fd(libc::memfd_create(c"image".as_ptr(), 0)) };
    file.write_all_at(b"contents", 4096)?;
    let (none, access) = (libc::PROT_NONE, libc::PROT_READ | libc::PROT_WRITE);
    let (reserved, fixed) =
        (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::MAP_PRIVATE | libc::MAP_FIXED);
    // SAFETY: new mappings, to which there are no references.
    unsafe {
        let at = libc::mmap(ptr::null_mut(), 1 << 32, none, reserved, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        let here = at.byte_add(65536);
        for _ in 0..2 {
            assert_eq!(libc::mmap(here, 8192, access, fixed, file.as_raw_fd(), 4096), here);
            let bytes = here.cast::<[u8; 16]>();
            assert_eq!(bytes.read(), *b"contents\0\0\0\0\0\0\0\0");
            bytes.write([1; 16]);
        }
        assert_eq!(libc::munmap(at, 1 << 32), 0);
    }
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, 4096)?;
    assert_eq!(bytes, *b"contents");
    Ok(())
}
