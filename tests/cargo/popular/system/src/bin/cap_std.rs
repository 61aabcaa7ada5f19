use std::io::Write;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

fn main() -> std::io::Result<()> {
    let dir = Dir::open_ambient_dir("/tmp", ambient_authority())?;
    dir.create_dir_all("a/b")?;
    dir.create("a/b/c")?.write_all(b"text")?;
    dir.symlink("b/c", "a/link")?;
    assert_eq!(dir.read_to_string("a/link")?, "text");
    assert!(dir.open("../etc/hosts").is_err(), "it leads outside");
    dir.rename("a/b/c", &dir, "z")?;
    assert_eq!(dir.metadata("z")?.len(), 4);
    println!("works");
    Ok(())
}
