use std::io::{Read, Seek, Write};

// Files are made in memory, below /tmp, and vanish.
fn main() -> std::io::Result<()> {
    let mut file = tempfile::tempfile()?;
    file.write_all(b"text")?;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    assert_eq!(text, "text");
    let named = tempfile::NamedTempFile::new()?;
    let path = named.path().to_owned();
    assert!(path.exists());
    drop(named);
    assert!(!path.exists());
    println!("works");
    Ok(())
}
