//! The store that files persist in, on a disk that crashes: every transaction that was made is there, whole, and no
//! other but, perhaps, the one that was being made.
//!
//!   SEED=7 cargo test -p mirust-storage-tests --test store       one case
//!   SEEDS=1000 cargo test -p mirust-storage-tests --test store   so many, from 1 on

use mirust::block::Disk;
use mirust::block::redb::{Storage, create_on};
use mirust::block::store::{Store, room};
use mirust_storage_tests::{CrashDisk, Image, Keeper, Random, Until, for_seeds, lives};
use redb::TableDefinition;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::rc::Rc;

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
fn contents(store: &Store<Until>) -> io::Result<(u64, Map)> {
    let mut map = Map::new();
    store.each(&[u8::MAX], |key, value| {
        map.insert(key.into(), value.into());
        io::Result::Ok(())
    })?;
    let count = map.get(&b"count"[..]).map_or(0, |n| u64::from_le_bytes(n[..].try_into().unwrap()));
    Ok((count, map))
}

fn transact(store: &Store<Until>, number: u64) -> io::Result<()> {
    store.transact(|changes| {
        let changes = std::cell::RefCell::new(changes);
        change(
            number,
            |key, value| changes.borrow_mut().put(key, value).map(drop),
            |first, last| changes.borrow_mut().remove(first, last).map(drop),
        )
    })
}

struct Kept(Store<Until>);

impl Keeper for Kept {
    type State = Map;

    fn open(disk: Disk, until: Until) -> Result<Kept, Box<dyn Error>> {
        Ok(Kept(Store::open_with(disk, until)?))
    }

    fn contents(&self) -> Result<(u64, Map), Box<dyn Error>> {
        Ok(contents(&self.0)?)
    }

    fn transact(&self, number: u64) -> Result<(), Box<dyn Error>> {
        Ok(transact(&self.0, number)?)
    }

    fn state(count: u64) -> Map {
        state(count)
    }
}

#[test]
fn no_crash_loses_a_transaction() {
    for_seeds(8, lives::<Kept>);
}

fn open(disk: &Rc<CrashDisk>) -> Store<Until> {
    Store::open_with(Disk::new(disk.clone()), Until::new(disk, usize::MAX)).unwrap()
}

/// As when the backend vanishes before a flush, or there is no memory for a request.
#[test]
fn after_an_error_of_the_disk_the_next_transaction_is_made() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let store = open(&disk);
    transact(&store, 1).unwrap();
    disk.set_short_of_memory(true);
    for _ in 0..2 {
        assert!(transact(&store, 2).is_err());
    }
    disk.set_short_of_memory(false);
    transact(&store, 2).unwrap();
    assert_eq!(contents(&store).unwrap(), (2, state(2)));
    let next = CrashDisk::new(disk.crash(), 2);
    assert_eq!(contents(&open(&next)).unwrap(), (2, state(2)));
}

/// All the pages that there is room for, each replaced several times, in the largest transactions.
#[test]
fn a_disk_has_room_for_what_it_is_said_to() {
    const CHANGED: u64 = 128;
    let room = room(SIZE as u64, CHANGED);
    assert!(room > 300, "{room}");
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let store = open(&disk);
    let mut random = Random::new(1);
    let page = |n: u64| [&b"page"[..], &n.to_be_bytes()].concat();
    let write = |pages: &mut dyn FnMut(u64) -> u64| {
        store.transact(|changes| {
            for n in 0..CHANGED {
                changes.put(&page(pages(n)), &[n as u8; 4096])?;
            }
            io::Result::Ok(())
        })
    };
    for from in (0..room).step_by(CHANGED as usize) {
        write(&mut |n| (from + n).min(room - 1))
            .unwrap_or_else(|e| panic!("{from} of {room}: {e}"));
    }
    for round in 0..40 {
        let from = random.below(room as usize) as u64;
        let step = if round % 2 == 0 { 1 } else { 7 };
        write(&mut |n| (from + n * step) % room).unwrap_or_else(|e| panic!("{round}: {e}"));
    }
    // Small ones are packed together, and leave other gaps.
    for round in 0..20 {
        let size = [100, 4096, 2000][round % 3];
        let changed = store.transact(|changes| {
            for _ in 0..CHANGED {
                changes.put(&page(random.below(room as usize) as u64), &vec![7; size])?;
            }
            io::Result::Ok(())
        });
        changed.unwrap_or_else(|error| panic!("{round}: {error}"));
    }
}

#[test]
fn values_are_found_by_their_keys() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let store = open(&disk);
    transact(&store, 3).unwrap();
    let mut found = Vec::new();
    assert!(store.get(b"count", |value| found = value.to_vec()).unwrap());
    assert_eq!(found, 3u64.to_le_bytes());
    assert!(!store.get(b"counts", |_| panic!("there is none")).unwrap());
    let mut before = Vec::new();
    let each = store.each(b"key", |key, _| {
        before.push(key.to_vec());
        io::Result::Ok(())
    });
    assert_eq!((each.unwrap(), before), ((), vec![b"count".to_vec()]));
    store
        .transact(|changes| {
            assert!(!changes.put(b"count", b"")?);
            assert!(changes.put(b"counts", b"")?);
            assert_eq!(changes.remove(b"c", b"d")?, 2);
            io::Result::Ok(())
        })
        .unwrap();
}

#[test]
fn a_failing_change_leaves_nothing() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let store = open(&disk);
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
        // ZFS, ISO 9660, JFS, ReiserFS and btrfs leave the beginning to boot loaders.
        (0x4000, b"\x01\x01"),
        (0x8001, b"CD001"),
        (0x8000, b"JFS1"),
        (0x1_0034, b"ReIsErFs"),
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

/// The first write of all, of which as much as a crash leaves is there.
#[test]
fn a_disk_that_was_being_taken_is_not_refused() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let open = |disk: &Rc<CrashDisk>| {
        Storage::open_with(Disk::new(disk.clone()), Until::new(disk, usize::MAX)).unwrap()
    };
    open(&disk).check().unwrap();
    let taken = disk.crash();
    let mut unit = [0; 4096];
    taken.read(4096, &mut unit);
    assert!(unit.starts_with(b"Mirust"), "it is taken before anything else is written");
    for (len, from) in [(1, 0), (7, 0), (8, 0), (512, 0), (540, 512), (4096, 512)] {
        let mut image = Image::zeros(SIZE);
        image.write(4096 + from, &unit[from..len]);
        open(&CrashDisk::new(image, 1)).check().unwrap_or_else(|e| panic!("{from}..{len}: {e}"));
    }
}

#[test]
fn a_database_of_somebody_else_is_left_alone() {
    const THEIRS: TableDefinition<u64, u64> = TableDefinition::new("numbers");
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let open =
        || Storage::open_with(Disk::new(disk.clone()), Until::new(&disk, usize::MAX)).unwrap();
    let database = create_on(open()).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(THEIRS).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    drop(database);
    let store = self::open(&disk);
    assert_eq!(contents(&store).unwrap_err().kind(), io::ErrorKind::InvalidData);
}
