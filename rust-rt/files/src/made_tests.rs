//! Images as `mkfs.erofs` makes them, in each of the ways that are read here.

use super::lies::at_once;
use super::{Error, Image, Kind, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::string::String;
use std::vec::Vec;
use std::{format, fs, vec};

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("mirust-files-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Puts files of all kinds into a folder: none of their bytes are alike.
fn fill(to: &Path) {
    let mut state = 7_u32;
    let mut bytes = |n: usize| -> Vec<u8> {
        let step = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..n).map(step).collect()
    };
    for n in [0, 1, 511, 512, 513, 4000, 4095, 4096, 4097, 8192, 70_000, 1 << 20] {
        fs::write(to.join(format!("{n}-bytes")), bytes(n)).unwrap();
    }
    let many = to.join("many");
    fs::create_dir(&many).unwrap();
    for n in 0..700 {
        fs::write(many.join(format!("a-file-whose-name-is-not-short-{n}")), bytes(n)).unwrap();
    }
    fs::create_dir_all(to.join("a/b/c/d/e")).unwrap();
    fs::write(to.join("a/b/c/d/e/f"), bytes(5)).unwrap();
    fs::write(to.join("n".repeat(255)), bytes(3)).unwrap();
    fs::hard_link(to.join("4097-bytes"), to.join("a/same")).unwrap();
    std::os::unix::fs::symlink("b/../../4096-bytes", to.join("a/link")).unwrap();
    // A file with a hole of 2 MiB before its last byte.
    let sparse = fs::File::create(to.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"!", 2 << 20).unwrap();
}

/// What a folder of Linux holds: the contents of files, the targets of links.
fn folder(path: &Path, at: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        let name = format!("{at}{}", entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            folder(&entry.path(), &format!("{name}/"), into);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            into.insert(name, target.into_os_string().into_encoded_bytes());
        } else {
            into.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// What an image holds, each name looked up besides.
fn image<S: Source>(image: &Image<S>) -> BTreeMap<String, Vec<u8>> {
    at_once(async {
        let (mut found, mut left) =
            (BTreeMap::new(), vec![(image.root().await.unwrap(), String::new())]);
        while let Some((directory, at)) = left.pop() {
            for entry in image.list(&directory).await.unwrap() {
                let name = format!("{at}{}", String::from_utf8(entry.name.clone()).unwrap());
                let inode = image.inode(entry.number).await.unwrap();
                assert_eq!(inode.kind(), entry.kind);
                assert_eq!(image.lookup(&directory, &entry.name).await, Ok(Some(inode)), "{name}");
                match inode.kind() {
                    Kind::Directory => left.push((inode, format!("{name}/"))),
                    Kind::Link => {
                        found.insert(name, image.target(&inode).await.unwrap());
                    }
                    _ => {
                        let mut bytes = vec![0xaa; inode.size as usize + 1];
                        let n = image.read_at(&inode, 0, &mut bytes).await.unwrap();
                        bytes.truncate(n);
                        found.insert(name, bytes);
                    }
                }
            }
        }
        found
    })
}

/// Makes an image.
fn make(options: &[&str], from: &Path, to: &Path) {
    let made =
        Command::new("mkfs.erofs").args(options).arg(to).arg(from).stdout(Stdio::null()).status();
    assert!(made.expect("mkfs.erofs is installed: make setup").success(), "{options:?}");
}

#[test]
fn what_mkfs_puts_in_is_read() {
    let (from, to) = (Folder::new("from"), Folder::new("to"));
    fill(&from.0);
    let mut expected = BTreeMap::new();
    folder(&from.0, "", &mut expected);
    assert!(expected.len() > 700);
    let path = to.0.join("image");
    for options in [
        &[][..],
        &["-b512"],
        &["-b1024", "-T1"],
        &["-Eforce-inode-compact", "-x-1"],
        &["-Eforce-inode-extended"],
        &["-Enoinline_data"],
        &["-Eforce-chunk-indexes", "--chunksize=4096"],
        &["-b512", "--chunksize=65536"],
    ] {
        make(options, &from.0, &path);
        let bytes = fs::read(&path).unwrap();
        let opened = at_once(Image::open(&bytes[..])).unwrap();
        let found = image(&opened);
        for (name, bytes) in &expected {
            assert!(found.get(name) == Some(bytes), "{name}, made with {options:?}");
        }
        assert_eq!(found.len(), expected.len());
        let same = at_once(opened.find(b"a/same", true)).unwrap();
        assert_eq!((same.links, same.size), (2, 4097));
        assert_eq!(at_once(opened.find(b"a/link", true)).unwrap().size, 4096);
    }
}

#[test]
fn a_superblock_that_was_changed_is_noticed() {
    let (from, to) = (Folder::new("summed"), Folder::new("changed"));
    let path = to.0.join("image");
    make(&[], &from.0, &path);
    let mut bytes = fs::read(&path).unwrap();
    assert!(at_once(Image::open(&bytes[..])).is_ok());
    // A letter of the label.
    bytes[1024 + 0x40] ^= 1;
    let changed = at_once(Image::open(&bytes[..])).err();
    assert_eq!(changed, Some(Error::Corrupt("the superblock's checksum is another")));
}

#[test]
fn compressed_images_are_refused_with_a_word() {
    let (from, to) = (Folder::new("plain"), Folder::new("packed"));
    fs::write(from.0.join("zeros"), vec![0; 100_000]).unwrap();
    let path = to.0.join("image");
    for options in ["-zlz4", "-zlz4,Eztailpacking"] {
        let (compression, extended) = options.split_once(',').unwrap_or((options, "-x-1"));
        make(&[compression, &extended.replace("Ez", "-Ez")], &from.0, &path);
        let bytes = fs::read(&path).unwrap();
        let refused = at_once(async {
            let image = Image::open(&bytes[..]).await?;
            image.find(b"zeros", true).await.map(drop)
        });
        let Err(error @ Error::Unsupported(_)) = refused else { panic!("{options}: {refused:?}") };
        assert!(format!("{error}").contains("compressed"), "{error}");
    }
}

#[test]
fn names_that_a_link_adds_without_end_are_not_gathered() {
    let (from, to) = (Folder::new("adds"), Folder::new("added"));
    let target = ["adds", &"/x".repeat(2000)].concat();
    std::os::unix::fs::symlink(target, from.0.join("adds")).unwrap();
    let path = to.0.join("image");
    make(&[], &from.0, &path);
    let bytes = fs::read(&path).unwrap();
    let opened = at_once(Image::open(&bytes[..])).unwrap();
    assert_eq!(at_once(opened.find(b"adds", true)).err(), Some(Error::NameTooLong));
}
