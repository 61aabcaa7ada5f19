use std::fs::File;
use std::io::Write;

use fs2::FileExt;
use memmap2::{Mmap, MmapMut, MmapOptions};

fn main() -> std::io::Result<()> {
    let mut file =
        File::options().read(true).write(true).create(true).truncate(true).open("/tmp/file")?;
    file.write_all(b"hello")?;
    file.lock_exclusive()?;
    file.allocate(8192)?;
    assert_eq!(file.metadata()?.len(), 8192);
    assert!(fs2::available_space("/tmp")? > 1 << 20);
    // SAFETY: a private copy, which nobody else changes.
    let mut copy = unsafe { MmapOptions::new().map_copy(&file)? };
    copy[0] = b'J';
    assert_eq!((&copy[..5], copy.len()), (&b"Jello"[..], 8192));
    // SAFETY: nobody else changes the file meanwhile.
    let (mut shared, seen) = unsafe { (MmapMut::map_mut(&file)?, Mmap::map(&file)?) };
    shared[..5].copy_from_slice(b"HELLO");
    file.write_all(b" world")?;
    assert_eq!(&seen[..11], b"HELLO world");
    drop((shared, seen));
    assert_eq!(std::fs::read("/tmp/file")?[..11], *b"HELLO world");
    let mut memory = MmapMut::map_anon(4096)?;
    memory[4095] = 1;
    memory.flush()?;
    println!("works");
    Ok(())
}
