use std::fs::File;
use std::io::Write;

use fs2::FileExt;
use memmap2::{MmapMut, MmapOptions};

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
    // SAFETY: nobody changes the file.
    let shared = unsafe { MmapMut::map_mut(&file) };
    // It would have to change the file.
    assert!(shared.is_err());
    let mut memory = MmapMut::map_anon(4096)?;
    memory[4095] = 1;
    memory.flush()?;
    println!("works");
    Ok(())
}
