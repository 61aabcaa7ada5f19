//! The store that files persist in, on a disk that crashes: every transaction that was made is there, whole, and no
//! other but, perhaps, the one that was being made.
//!
//!   SEED=7 cargo test -p mirust-storage-tests --test store       one case
//!   SEEDS=1000 cargo test -p mirust-storage-tests --test store   so many, from 1 on

use mirust::block::Disk;
use mirust::block::redb::Storage;
use mirust::block::store::Store;
use mirust_storage_tests::{CrashDisk, Image, Random, Until, for_seeds};
use std::collections::BTreeMap;
use std::io;

const SIZE: usize = 8 << 20;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(n: u64) -> Vec<u8> {
    [&b"key "[..], &(n % 50).to_be_bytes()].concat()
}

/// What the transaction with this number does.
fn change(
    number: u64,
    mut put: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
    mut remove: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    remove(&key(number * 3), &key(number * 3 + number % 4))?;
    for n in 0..3 {
        put(&key(number * 7 + n * 5), &vec![number as u8; (number * 97 % 5000) as usize])?;
    }
    put(b"count", &number.to_le_bytes())
}

fn state(count: u64) -> Map {
    let mut map = Map::new();
    for number in 1..=count {
        let cell = std::cell::RefCell::new(&mut map);
        let put = |key: &[u8], value: &[u8]| {
            cell.borrow_mut().insert(key.into(), value.into());
            Ok(())
        };
        let remove = |first: &[u8], last: &[u8]| {
            cell.borrow_mut().retain(|key, _| !(first..=last).contains(&&key[..]));
            Ok(())
        };
        change(number, put, remove).unwrap();
    }
    map
}

/// What the store holds, and the number of the last transaction.
fn contents(store: &Store) -> io::Result<(u64, Map)> {
    let mut map = Map::new();
    store.each(|key, value| {
        map.insert(key.into(), value.into());
        io::Result::Ok(())
    })?;
    let count = map.get(&b"count"[..]).map_or(0, |n| u64::from_le_bytes(n[..].try_into().unwrap()));
    Ok((count, map))
}

fn transact(store: &Store, number: u64) -> io::Result<()> {
    store.transact(|changes| {
        let changes = std::cell::RefCell::new(changes);
        change(
            number,
            |key, value| changes.borrow_mut().put(key, value),
            |first, last| changes.borrow_mut().remove(first, last),
        )
    })
}

fn lives(seed: u64) {
    let mut random = Random::new(seed);
    let mut image = Image::zeros(SIZE);
    let (mut told, mut tried) = (0, 0);
    for life in 0..4 {
        let disk = CrashDisk::new(image, seed * 16 + life);
        let steps = if random.below(5) == 0 { random.below(40) } else { random.below(600) };
        // It may crash at any step, of its opening too.
        let _ = (|| -> io::Result<()> {
            let storage = Storage::open_with(Disk::new(disk.clone()), Until::new(&disk, steps))?;
            storage.check()?;
            let store = Store::on(storage)?;
            let (count, map) = contents(&store)?;
            assert!(
                (told..=tried).contains(&count),
                "seed {seed}, life {life}: {count}, of {told} to {tried}"
            );
            assert!(map == state(count), "seed {seed}, life {life}: not what {count} had left");
            told = count;
            loop {
                tried = told + 1;
                transact(&store, tried)?;
                told = tried;
            }
        })();
        image = disk.crash();
    }
    // Whatever has happened, it opens, and is taken for what it is.
    let disk = CrashDisk::new(image, seed);
    let storage =
        Storage::open_with(Disk::new(disk.clone()), Until::new(&disk, usize::MAX)).unwrap();
    storage.check().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let (count, map) = contents(&Store::on(storage).unwrap()).unwrap();
    assert!((told..=tried).contains(&count), "seed {seed}: transaction {count}");
    assert!(map == state(count), "seed {seed}: not what {count} had left");
}

#[test]
fn no_crash_loses_a_transaction() {
    for_seeds(8, lives);
}

#[test]
fn a_failing_change_leaves_nothing() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let storage =
        Storage::open_with(Disk::new(disk.clone()), Until::new(&disk, usize::MAX)).unwrap();
    let store = Store::on(storage).unwrap();
    transact(&store, 1).unwrap();
    let failed = store.transact(|changes| {
        changes.put(b"more", b"")?;
        Err(io::Error::other("no"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    assert_eq!(contents(&store).unwrap(), (1, state(1)));
}

/// What others begin a disk with.
#[test]
fn a_disk_that_holds_something_else_is_left_alone() {
    let wrong = [
        (0, &b"XFSB"[..]),
        (510, b"\x55\xaa"),
        // The header behind the label of LVM, and the superblock of ext4.
        (544, b"uuid"),
        (1080, b"\x53\xef"),
        (0x1_0040, b"_BHRfS_M"),
    ];
    for (at, bytes) in wrong {
        let mut image = Image::zeros(SIZE);
        image.write(at, bytes);
        let disk = CrashDisk::new(image, 1);
        let storage =
            Storage::open_with(Disk::new(disk.clone()), Until::new(&disk, usize::MAX)).unwrap();
        assert_eq!(storage.check().unwrap_err().kind(), io::ErrorKind::InvalidData, "{at}");
    }
}
