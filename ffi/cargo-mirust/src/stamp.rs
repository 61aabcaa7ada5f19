//! What the sources of this command were when it was built. The build script and the command both compile this file.
//!
//! The command and the checkout that it links from belong together: it names symbols of the runtime, and passes
//! options to scripts. So the command refuses to work with a checkout whose `cargo-mirust` is another one.

use std::fs;
use std::io;
use std::path::Path;

/// Parts of the package that matter.
const PARTS: [&str; 3] = ["Cargo.toml", "src", "templates"];

/// A number that differs when the sources do (FNV-1a over names and contents, in order).
///
/// # Errors
///
/// They cannot be read.
pub fn of(package: &Path) -> io::Result<u64> {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in PARTS {
        add(&package.join(part), &mut hash)?;
    }
    Ok(hash)
}

fn add(path: &Path, hash: &mut u64) -> io::Result<()> {
    if path.is_dir() {
        let mut entries =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| add(entry, hash));
    }
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    for byte in name.iter().chain(&fs::read(path)?) {
        *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::of;
    use std::fs;
    use std::path::Path;

    #[test]
    fn another_source_is_another_number() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built: u64 = env!("MIRUST_STAMP").parse().expect("a number");
        assert_eq!(of(here).expect("the sources are here"), built);

        let copy = std::env::temp_dir().join(format!("stamp-{}", std::process::id()));
        for part in ["src", "templates"] {
            fs::create_dir_all(copy.join(part)).expect("a directory");
        }
        fs::write(copy.join("Cargo.toml"), "").expect("a file");
        fs::write(copy.join("src/main.rs"), "fn main() {}").expect("a file");
        let first = of(&copy).expect("sources");
        fs::write(copy.join("src/main.rs"), "fn main() { }").expect("a file");
        let second = of(&copy).expect("sources");
        fs::rename(copy.join("src/main.rs"), copy.join("src/mein.rs")).expect("another name");
        assert!(first != second && second != of(&copy).expect("sources"));
        fs::remove_dir_all(&copy).expect("all of it goes");
    }
}
