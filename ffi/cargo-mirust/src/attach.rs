//! What an image holds besides the program: folders of files, which are part of it, and the disks that its files are
//! on.
//!
//! Both are in an assembler file NAME.files.s, the folders as a cpio archive (newc), NAME.files.cpio. Its one function
//! is what the runtime calls before `main`. An image without files and disks has neither, nor the code that would look
//! for them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::options::Build;

/// The folders and disks to attach.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attached {
    folders: Vec<Folder>,
    disks: Vec<Disk>,
}

/// A folder of this machine, and where the program finds it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Folder {
    from: PathBuf,
    to: String,
}

/// A disk of the domain, and where the program finds its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The device's name in the domain.
    pub device: String,
    to: String,
    /// Its files can be written.
    pub writable: bool,
}

impl Attached {
    /// What the options and the package's manifest ask for: `files` and `disks` under `[package.metadata.mirust]`.
    ///
    /// # Errors
    ///
    /// Something there is written wrongly.
    pub fn read<'a>(
        options: &'a Build,
        package: &Path,
        files: impl Iterator<Item = &'a str>,
        disks: impl Iterator<Item = &'a str>,
    ) -> Result<Attached> {
        let mut attached = Attached::default();
        for text in files {
            attached.folders.push(folder(package, text)?);
        }
        for text in &options.files {
            attached.folders.push(folder(Path::new(""), text)?);
        }
        for text in disks.chain(options.disk.iter().map(String::as_str)) {
            attached.disks.push(disk(text)?);
        }
        Ok(attached)
    }

    /// Writes the assembler file, if it is not there as it should be. Nothing if nothing is attached.
    ///
    /// # Errors
    ///
    /// A folder cannot be read, or the file cannot be written.
    pub fn write(&self, dir: &Path, name: &str) -> Result<Option<PathBuf>> {
        if *self == Attached::default() {
            return Ok(None);
        }
        let archive = dir.join(format!("{name}.files.cpio"));
        let mut calls = String::new();
        let mut data = String::new();
        if !self.folders.is_empty() {
            let bytes = pack(&self.folders)?;
            update(&archive, &bytes)?;
            let path = archive.to_str().context("the target directory's name is not UTF-8")?;
            data += &format!("\t.balign 4\nfiles:\n\t.incbin {}\n", literal(path));
            calls += &call("mirust_mount_files", "files", bytes.len());
        }
        if !self.disks.is_empty() {
            let way = |disk: &Disk| if disk.writable { ":rw" } else { "" };
            let line = |disk: &Disk| format!("{}:{}{}", disk.device, disk.to, way(disk));
            let list: Vec<_> = self.disks.iter().map(line).collect();
            let list = list.join(",");
            data += &format!("disks:\n\t.ascii {}\n", literal(&list));
            // What writes is in the image only if it is asked for.
            let mount = match self.disks.iter().any(|disk| disk.writable) {
                true => "mirust_mount_writable_disks",
                false => "mirust_mount_disks",
            };
            calls += &call(mount, "disks", list.len());
        }
        let text = format!(
            "\t.section .text.mirust_before_main,\"ax\",@progbits\n\
             \t.globl mirust_before_main\n\
             mirust_before_main:\n\
             \tsub $8, %rsp\n{calls}\
             \tadd $8, %rsp\n\
             \tret\n\
             \t.section .rodata.mirust_files,\"a\",@progbits\n{data}\
             \t.section .note.GNU-stack,\"\",@progbits\n"
        );
        let source = dir.join(format!("{name}.files.s"));
        update(&source, text.as_bytes())?;
        Ok(Some(source))
    }

    /// The disks that the domain has to have.
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }

    /// The archive that [`write`](Self::write) has made, if it has: the image is to be newer.
    pub fn archive(&self, source: &Path) -> Option<PathBuf> {
        (!self.folders.is_empty()).then(|| source.with_extension("cpio"))
    }
}

/// A text as the assembler reads it, whose escapes are not Rust's.
fn literal(text: &str) -> String {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
    let escaped = |byte| match byte {
        _ if plain(byte) => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    format!("\"{}\"", text.bytes().map(escaped).collect::<String>())
}

/// A call with an address and a length.
fn call(function: &str, symbol: &str, length: usize) -> String {
    format!("\tlea {symbol}(%rip), %rdi\n\tmov ${length}, %rsi\n\tcall {function}\n")
}

/// Writes what has changed, so that what has not stays as old as it is.
fn update(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    // Another build of the same program may read it now: it finds the whole old file or the whole new one.
    let new = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, file))
        .inspect_err(|_| drop(fs::remove_file(&new)))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// `DIR` or `DIR:PATH`.
fn folder(package: &Path, text: &str) -> Result<Folder> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    // A relative folder is found from the root as it is from where it is now; the program's working directory is the
    // root.
    let plain =
        |part| matches!(part, Component::RootDir | Component::CurDir | Component::Normal(_));
    if from.is_empty()
        || text.contains('\0')
        || !Path::new(to).components().all(plain)
        || (to == text && to.starts_with('/'))
    {
        bail!(
            "not a folder of files: {text:?}\nwrite DIR, or DIR:PATH with the path in the domain"
        );
    }
    let from = package.join(from);
    if !from.is_dir() {
        bail!("there is no folder {} to put into the image", from.display());
    }
    Ok(Folder { from, to: to.into() })
}

/// `DEVICE:PATH`, and `:rw` behind it if its files can be written.
fn disk(text: &str) -> Result<Disk> {
    let (named, writable) = match text.strip_suffix(":rw") {
        Some(named) => (named, true),
        None => (text, false),
    };
    match named.split_once(':') {
        Some((device, to))
            if !device.is_empty() && to.starts_with('/') && !text.contains([',', '\n', '\0']) =>
        {
            Ok(Disk { device: device.into(), to: to.into(), writable })
        }
        _ => bail!(
            "not a disk of files: {text:?}\nwrite DEVICE:PATH, such as xvdb:/srv, or DEVICE:PATH:rw to write there"
        ),
    }
}

/// The archive of the folders.
fn pack(folders: &[Folder]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for folder in folders {
        let to: PathBuf = Path::new(&folder.to)
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        put(&mut archive, &folder.from, &to)?;
    }
    member(&mut archive, b"TRAILER!!!", 0, 0, b"");
    Ok(archive)
}

/// A file, a link or a directory with what is in it.
fn put(archive: &mut Vec<u8>, from: &Path, to: &Path) -> Result<()> {
    let context = || format!("cannot read {}", from.display());
    let about = fs::symlink_metadata(from).with_context(context)?;
    let name = to.as_os_str().as_bytes();
    let kind = about.file_type();
    let bytes = if kind.is_symlink() {
        fs::read_link(from).with_context(context)?.into_os_string().as_bytes().to_vec()
    } else if kind.is_file() {
        fs::read(from).with_context(context)?
    } else if kind.is_dir() {
        Vec::new()
    } else {
        bail!("{} is neither a file nor a folder, nor a link", from.display());
    };
    if u32::try_from(bytes.len()).is_err() {
        bail!("{} is too large for an image: put it onto a disk", from.display());
    }
    if !name.is_empty() {
        let modified = u32::try_from(about.mtime()).unwrap_or_default();
        member(archive, name, about.mode(), modified, &bytes);
    }
    if kind.is_dir() {
        let mut entries = fs::read_dir(from)
            .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
            .with_context(context)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            put(archive, &entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A member of the archive: a head of 13 hexadecimal numbers, the name, the bytes, each filled up to four.
fn member(archive: &mut Vec<u8>, name: &[u8], mode: u32, modified: u32, bytes: &[u8]) {
    // Inode, mode, owner, group, links, time, size, four numbers of devices, the name's size, a checksum.
    let size = bytes.len() as u32;
    let name_size = name.len() as u32 + 1;
    archive.extend(b"070701");
    for number in [0, mode, 0, 0, 1, modified, size, 0, 0, 0, 0, name_size, 0] {
        archive.extend(format!("{number:08x}").as_bytes());
    }
    archive.extend(name);
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(bytes);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attached_is_read() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = |text: &str| folder(here, text).map(|folder| folder.to).ok();
        assert_eq!(path("src").as_deref(), Some("src"));
        assert_eq!(path("src:/").as_deref(), Some("/"));
        assert_eq!(path("src:/etc/app").as_deref(), Some("/etc/app"));
        for wrong in ["", "nowhere", "../src", "src:../x", ":/x", "/usr", "src:/a\0b"] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
        for (text, writable) in [("xvdb:/srv", false), ("xvdb:/srv:rw", true)] {
            let disk = disk(text).unwrap();
            assert_eq!((&disk.device[..], &disk.to[..], disk.writable), ("xvdb", "/srv", writable));
        }
        for wrong in
            ["xvdb", "xvdb:rw", "xvdb:srv", "xvdb:srv:rw", ":/srv", "xvdb:/a,b", "xvdb:/a\0b"]
        {
            assert!(disk(wrong).is_err(), "{wrong}");
        }
    }

    /// An accent that is a character of its own, as some systems write it in the names of files.
    #[test]
    fn paths_are_written_as_the_assembler_reads_them() {
        let dir = std::env::temp_dir().join(format!("attach-{}", std::process::id()));
        let disks = vec![disk("xvdb:/cafe\u{301} \"a\\b\"1\t").unwrap()];
        let source = Attached { disks, ..Attached::default() }.write(&dir, "disks").unwrap();
        let source = fs::read_to_string(source.unwrap()).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        let line = r#"	.ascii "xvdb:/cafe\314\201 \042a\134b\0421\011""#;
        assert!(source.lines().any(|found| found == line), "{source}");
        assert!(source.contains("mov $20, %rsi"), "{source}");
    }

    #[test]
    fn archives_are_those_of_cpio() {
        let mut archive = Vec::new();
        member(&mut archive, b"a/b", 0o100_644, 1, b"hello");
        let numbers =
            ["00000000", "000081a4", "00000000", "00000000", "00000001", "00000001", "00000005"];
        let rest = ["00000000", "00000000", "00000000", "00000000", "00000004", "00000000"];
        let head = ["070701", &numbers.concat(), &rest.concat()].concat();
        assert_eq!(&archive[..110], head.as_bytes());
        assert_eq!(&archive[110..], b"a/b\0\0\0hello\0\0\0");
        assert_eq!(archive.len() % 4, 0);
    }
}
