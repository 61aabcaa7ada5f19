//! Mounting: what a store may hold that it should not, and what else is mounted.

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::super::block_tests;
use super::super::memory::{For, used};
use super::super::parts::{Errno, Result};
use super::changes::*;
use super::persistent_tests::{Map, Shelf, after_a_crash, call, holding, list, mounted, put, text};
use super::store::{About, Changes, FORMAT, Key, Store};
use super::{commit_files, mount_store};
use crate::errno::{self, EBUSY, EIO, ENOSPC, EXDEV};

/// While it is read, another one is mounted.
struct Slow(Rc<Shelf>);

impl Store for Slow {
    fn each(&self, before: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> Result) -> Result {
        mounted("/other");
        self.0.each(before, f)
    }

    fn get(&self, key: &[u8], f: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.0.get(key, f)
    }

    fn pages(&self) -> u64 {
        self.0.pages()
    }

    fn transact(&self, f: &mut dyn FnMut(&mut dyn Changes) -> Result) -> Result {
        self.0.transact(f)
    }

    fn has_changes(&self) {}
}

#[test]
fn stores_that_are_mounted_at_the_same_time_are_two_devices() {
    block_tests::give_busy();
    assert_eq!(mount_store("/data", Box::new(Slow(Rc::default()))), Ok(()));
    put("/data/a", b"one", 0);
    assert_eq!(call!(rename("/data/a", "/other/a")), -EXDEV);
}

#[test]
fn what_else_is_put_among_the_files_is_not_kept() {
    let shelf = mounted("/data");
    assert_eq!(call!(mkdir("/data/hidden"; 0o755)), 0);
    put("/data/hidden/a", b"one", 0);
    put("/data/file", b"one", 0);
    assert_eq!(commit_files(), Ok(()));
    let before = list("/data");
    mounted("/data/hidden");
    mounted("/data/new/below");
    assert!(super::add("/data/file", b"text"));
    assert_eq!(text("/data/file"), b"text");
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(before));
}

#[test]
fn a_directory_stays_where_it_is_mounted() {
    mounted("/data");
    let inner = mounted("/data/inner");
    let other = mounted("/tmp/persistent");
    assert_eq!(call!(mkdir("/data/empty"; 0o755)), 0);
    for path in ["/data/inner", "/tmp/persistent"] {
        assert_eq!(call!(rmdir(path)), -EBUSY);
        assert_eq!(call!(rename(path, format!("{path}-moved"))), -EBUSY);
    }
    assert_eq!(call!(rename("/data/empty", "/data/inner")), -EBUSY);
    assert_eq!(commit_files(), Ok(()));
    for shelf in [inner, other] {
        assert_eq!(after_a_crash(&shelf.map.borrow()).map(|list| list.len()), Ok(1));
    }
}

#[test]
fn names_that_do_not_fit_into_the_memory_are_not_mounted() {
    block_tests::give_busy();
    let mut map = Map::new();
    map.insert(Key::Format.emit(), FORMAT.into());
    let directory = About { mode: 0o040_755, modified: 0, size: 0, pages: 0, target: b"" };
    map.insert(Key::Node(1).emit(), directory.emit());
    map.insert(Key::Node(2).emit(), About { mode: 0o100_644, size: 1 << 40, ..directory }.emit());
    map.insert(Key::Name(1, b"a").emit(), 2u64.to_le_bytes().into());
    assert_eq!(after_a_crash(&map).map(|list| list.len()), Ok(2));
    let before = used(For::Files);
    // Names count even where nothing leads to them.
    for n in 0..1 << 18 {
        map.insert(Key::Name(9, format!("{n:0100}").as_bytes()).emit(), 2u64.to_le_bytes().into());
    }
    assert_eq!(after_a_crash(&map), Err(Errno(ENOSPC)));
    assert_eq!(used(For::Files), before);
}

#[test]
fn a_store_that_contradicts_itself_is_an_error() {
    let shelf = mounted("/data");
    assert_eq!(call!(mkdir("/data/d"; 0o755)), 0);
    assert_eq!(call!(symlink("to", "/data/link")), 0);
    put("/data/d/a", b"one", 0);
    assert_eq!(commit_files(), Ok(()));
    let whole = shelf.map.borrow().clone();
    let node = |key| Key::Node(key).emit();
    let name = |directory, name: &str| Key::Name(directory, name.as_bytes()).emit();
    let number = |number: u64| number.to_le_bytes().to_vec();
    let wrong: [(Vec<u8>, Vec<u8>); 15] = [
        (Key::Format.emit(), b"another".into()),
        (Vec::new(), Vec::new()),
        (b"\x01".into(), Vec::new()),
        (node(2), Vec::new()),
        (node(2), About { mode: 0o060_644, modified: 0, size: 0, pages: 0, target: b"" }.emit()),
        (
            node(2),
            About { mode: 0o100_644 | 1 << 20, modified: 0, size: 0, pages: 0, target: b"" }.emit(),
        ),
        (node(9), About { mode: 0o120_777, modified: 0, size: 0, pages: 0, target: b"" }.emit()),
        (
            node(9),
            About { mode: 0o100_644, modified: 0, size: 1 << 63, pages: 0, target: b"" }.emit(),
        ),
        (
            node(u64::MAX),
            About { mode: 0o100_644, modified: 0, size: 0, pages: 0, target: b"" }.emit(),
        ),
        (name(1, "x"), b"short".into()),
        (name(1, "x"), number(99)),
        (name(1, ".."), number(2)),
        (name(1, "a/b"), number(2)),
        // A directory in itself, and the root.
        (name(2, "x"), number(2)),
        (name(2, "x"), number(1)),
    ];
    for (n, (key, value)) in wrong.into_iter().enumerate() {
        let mut map = whole.clone();
        map.insert(key, value);
        assert_eq!(after_a_crash(&map), Err(Errno(EIO)), "{n}");
    }
    // Any bit, and any key that is missing: an error, or other files.
    for key in whole.keys() {
        let mut map = whole.clone();
        let value = map.remove(key).unwrap();
        let _ = mount_store("/next", Box::new(holding(&map)));
        for bit in 0..value.len() * 8 {
            let mut map = whole.clone();
            map.get_mut(key).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let _ = mount_store("/next", Box::new(holding(&map)));
        }
    }
}

/// Each is dropped by itself, however deep they are nested.
#[test]
fn directories_that_are_nested_deeper_than_a_stack() {
    let small = std::thread::Builder::new().stack_size(256 << 10);
    small.spawn(mount_deep_directories).unwrap().join().unwrap();
}

fn mount_deep_directories() {
    const DEPTH: u64 = 20_000;
    block_tests::give_busy();
    let mut map = Map::new();
    map.insert(Key::Format.emit(), FORMAT.into());
    let directory = About { mode: 0o040_755, modified: 0, size: 0, pages: 0, target: b"" };
    // The root leads to the last, that one to the one before.
    for n in 1..=DEPTH {
        map.insert(Key::Node(n).emit(), directory.emit());
        let inner = if n == 1 { DEPTH } else { n - 1 };
        if n != 2 {
            map.insert(Key::Name(n, b"d").emit(), inner.to_le_bytes().into());
        }
    }
    map.insert(Key::Name(2, b"d").emit(), 99_999u64.to_le_bytes().into());
    let before = used(For::Files);
    assert_eq!(mount_store("/next", Box::new(holding(&map))), Err(Errno(EIO)));
    assert_eq!(used(For::Files), before);
}

#[test]
fn what_no_name_leads_to_is_removed() {
    let shelf = mounted("/data");
    put("/data/a", b"one", 0);
    assert_eq!(commit_files(), Ok(()));
    shelf.map.borrow_mut().retain(|key, _| !matches!(Key::parse(key), Some(Key::Name(..))));
    // In a directory that there is not.
    shelf.map.borrow_mut().insert(Key::Name(9, b"x").emit(), 2u64.to_le_bytes().into());
    let next = holding(&shelf.map.borrow());
    assert_eq!(mount_store("/next", Box::new(Rc::clone(&next))), Ok(()));
    assert_eq!(next.map.borrow().len(), 2);
}
