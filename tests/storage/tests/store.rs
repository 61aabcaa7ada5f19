//! The store that files persist in, on a disk that crashes: every transaction that was made is there, whole, and no
//! other but, perhaps, the one that was being made.
//!
//!   SEED=7 cargo test -p mirust-storage-tests --test store       one case
//!   SEEDS=1000 cargo test -p mirust-storage-tests --test store   so many, from 1 on

use mirust::block::redb::{Storage, Wait, create_on};
use mirust::block::store::{Store, room};
use mirust::block::{Device, Disk};
use mirust_storage_tests::{CrashDisk, Image, Keeper, Random, Until, for_seeds, lives};
use redb::TableDefinition;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;

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

type Event = Option<Box<dyn FnOnce()>>;

/// When the disk has nothing to do, something else happens.
#[derive(Clone)]
struct Idle(Rc<CrashDisk>, Rc<RefCell<Event>>);

impl Wait for Idle {
    fn wait<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let mut future = pin!(future);
        loop {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return Ok(result);
            }
            if !self.0.step() {
                self.1.take().expect("something to wait for")();
            }
        }
    }
}

/// What is used on one thread at a time.
struct Shared<'a, T>(&'a T);

// SAFETY: see above.
unsafe impl<T> Send for Shared<'_, T> {}

impl<T> Shared<'_, T> {
    fn get(&self) -> &T {
        self.0
    }
}

#[test]
fn a_database_that_is_made_larger_waits_for_those_who_read() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let idle = Idle(disk.clone(), Rc::default());
    let store = Store::open_with(Disk::new(disk), idle.clone()).unwrap();
    let put = |n: u64| store.transact(|all| all.put(&n.to_be_bytes(), &[n as u8; 4096]).map(drop));
    put(0).unwrap();
    let (shared, (reads, is_read), (go, goes)) = (Shared(&store), channel(), channel());
    thread::scope(|scope| {
        // What it reads is in memory, and it is in the middle of that until it is told to go on.
        let reader = scope.spawn(move || {
            let value = |_: &[u8]| {
                reads.send(()).unwrap();
                goes.recv().unwrap();
            };
            assert!(shared.get().get(&0u64.to_be_bytes(), value).unwrap());
            reads.send(()).unwrap();
        });
        is_read.recv().unwrap();
        idle.1.replace(Some(Box::new(move || {
            go.send(()).unwrap();
            is_read.recv().unwrap();
        })));
        let mut numbers = (1..).take_while(|_| idle.1.borrow().is_some());
        let made = numbers.try_for_each(put);
        // If nobody has waited, the reader ends all the same.
        idle.1.take().into_iter().for_each(|go| go());
        made.unwrap();
        reader.join().unwrap();
    });
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

#[test]
fn while_a_transaction_is_made_others_read_what_there_was() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let store = open(&disk);
    transact(&store, 1).unwrap();
    let changed = store.transact(|changes| {
        changes.put(b"count", &4u64.to_le_bytes())?;
        assert!(contents(&store)? == (1, state(1)));
        io::Result::Ok(())
    });
    changed.unwrap();
    assert_eq!(contents(&store).unwrap().0, 4);
}

/// Counts how often somebody waits.
#[derive(Clone)]
struct Counting(Until, Rc<Cell<usize>>);

impl Wait for Counting {
    fn wait<F: Future>(&self, future: F) -> io::Result<F::Output> {
        self.1.set(self.1.get() + 1);
        self.0.wait(future)
    }
}

#[test]
fn pages_in_their_order_are_read_ahead_and_others_are_not() {
    const PAGES: u64 = 300;
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let key = |n: u64| [&b"page"[..], &n.to_be_bytes()].concat();
    let store = open(&disk);
    for from in (0..PAGES).step_by(50) {
        let put = store.transact(|changes| {
            (from..from + 50).try_for_each(|n| changes.put(&key(n), &[n as u8; 4096]).map(drop))
        });
        put.unwrap();
    }
    drop(store);
    let read = |step: u64| {
        let disk = CrashDisk::new(disk.contents(), 1);
        let waits = Rc::new(Cell::new(0));
        let until = Counting(Until::new(&disk, usize::MAX), Rc::clone(&waits));
        let store = Store::open_with(Disk::new(disk.clone()), until).unwrap();
        let before = (waits.get(), disk.counters().requests);
        for n in (0..PAGES).map(|n| n * step % PAGES) {
            assert!(store.get(&key(n), |value| assert_eq!(value, [n as u8; 4096])).unwrap());
        }
        (waits.get() - before.0, disk.counters().requests - before.1)
    };
    let (waits, _) = read(1);
    assert!(waits < PAGES as usize / 5, "{waits} waits for {PAGES} pages");
    // None twice.
    let (_, requests) = read(77);
    assert!(requests < PAGES + PAGES / 10, "{requests} requests for {PAGES} pages");
}

/// The pages around it are read ahead, but they are not what was asked for.
#[test]
fn a_page_that_cannot_be_read_is_missing_alone() {
    const PAGES: u64 = 300;
    const BAD: u64 = 260;
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let key = |n: u64| [&b"page"[..], &n.to_be_bytes()].concat();
    let put = open(&disk).transact(|changes| {
        (0..PAGES).try_for_each(|n| changes.put(&key(n), &[n as u8; 4096]).map(drop))
    });
    put.unwrap();
    let disk = CrashDisk::new(disk.contents(), 1);
    let has = |unit: &[u8; UNIT]| unit[0] == 1 && unit.windows(12).any(|at| at == key(BAD));
    let bad: Vec<_> = (0..SIZE / UNIT).filter(|&at| has(&unit(&disk.contents(), at))).collect();
    assert!(!bad.is_empty());
    bad.into_iter().for_each(|at| disk.spoil(at * UNIT));
    let store = open(&disk);
    for n in 0..PAGES {
        assert_eq!(store.get(&key(n), |_| {}).is_ok(), n != BAD, "{n}");
    }
}

/// A disk whose store was closed, so that redb does not look at its checksums.
fn closed(seed: u64) -> Image {
    closed_after(seed, |_| {})
}

fn closed_after(seed: u64, f: impl FnOnce(&Store<Until>)) -> Image {
    let disk = CrashDisk::new(Image::zeros(SIZE), seed);
    let store = open(&disk);
    f(&store);
    for number in 1..=20 {
        transact(&store, number).unwrap();
    }
    drop(store);
    disk.contents()
}

const UNIT: usize = 4096;

fn unit(image: &Image, at: usize) -> [u8; UNIT] {
    let mut bytes = [0; UNIT];
    image.read(at * UNIT, &mut bytes);
    bytes
}

/// The units in which a branch of the table is, or was; redb's own tables are read when it opens.
fn branches(image: &Image) -> Vec<usize> {
    let is_ours = |unit: &[u8; UNIT]| unit[0] == 2 && unit.windows(4).any(|at| at == b"key ");
    (3..SIZE / UNIT).filter(|&at| is_ours(&unit(image, at))).collect()
}

/// The unit in which the first page below a branch begins.
fn first_below(image: &Image, branch: [u8; UNIT]) -> usize {
    let keys = usize::from(u16::from_le_bytes([branch[2], branch[3]]));
    let number = u64::from_le_bytes(branch[8 + 16 * (keys + 1)..][..8].try_into().unwrap());
    let (order, place) = (number >> 59, number & 0xf_ffff);
    // The header, in one of the first two units, tells how many units are before the pages.
    let head =
        [0, 1].map(|at| unit(image, at)).into_iter().find(|unit| unit[24..].starts_with(b"redb"));
    let before = u32::from_le_bytes(head.unwrap()[24 + 16..][..4].try_into().unwrap());
    2 + 1 + before as usize + ((place & 0xf_ffff >> order) << order) as usize
}

/// Whoever asks such a disk for anything is told that it is damaged; already when it is opened if that is looked at.
fn is_refused(image: Image, is_opened: bool) {
    let disk = CrashDisk::new(image, 1);
    let refused = |result: io::Result<()>| {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    };
    let opened = Store::open_with(Disk::new(disk.clone()), Until::new(&disk, 100_000));
    assert_eq!(opened.is_ok(), is_opened);
    let store = match opened {
        Ok(store) => store,
        Err(error) => return refused(Err(error)),
    };
    refused(store.get(b"", |_| {}).map(drop));
    refused(contents(&store).map(drop));
    refused(store.transact(|changes| changes.put(b"", b"").map(drop)));
    refused(store.transact(|changes| changes.remove(b"", b"z").map(drop)));
}

#[test]
fn a_tree_that_leads_around_in_a_circle_is_refused() {
    let mut image = closed(1);
    let branches = branches(&image);
    assert!(!branches.is_empty());
    for at in branches {
        let branch = unit(&image, at);
        let below = first_below(&image, branch);
        image.write(below * UNIT, &branch);
    }
    is_refused(image, true);
}

/// A disk of which the first page below each branch leads to a chain of hundreds, behind which the first one follows.
fn deep() -> Image {
    // What a large value had is within the database, and free.
    let mut image = closed_after(1, |store| {
        store.transact(|changes| changes.put(b"large", &[7; 900 << 10]).map(drop)).unwrap();
        store.transact(|changes| changes.remove(b"large", b"large").map(drop)).unwrap();
    });
    let free: Vec<_> = (3..SIZE / UNIT).filter(|&at| unit(&image, at) == [7; UNIT]).collect();
    assert!(free.len() > 100, "{} units", free.len());
    let branches = branches(&image);
    let number = |at: usize| {
        let branch = unit(&image, branches[0]);
        let first = first_below(&image, branch);
        let keys = usize::from(u16::from_le_bytes([branch[2], branch[3]]));
        let number = u64::from_le_bytes(branch[8 + 16 * (keys + 1)..][..8].try_into().unwrap());
        let place = (number & 0xf_ffff) << (number >> 59);
        (place as usize + at - first) as u64
    };
    // One key, which is a byte; two pages below it, which are the same.
    let next = free.iter().cycle().skip(1);
    let chain: Vec<_> =
        free.iter().zip(next).map(|(&at, &next)| (at, number(next).to_le_bytes())).collect();
    let firsts: Vec<_> = branches.iter().map(|&at| first_below(&image, unit(&image, at))).collect();
    let begin = number(free[0]).to_le_bytes();
    let mut put = |at: usize, below: [u8; 8]| {
        let mut branch = [0; UNIT];
        branch[..4].copy_from_slice(&[2, 0, 1, 0]);
        branch[40..48].copy_from_slice(&below);
        branch[48..56].copy_from_slice(&below);
        branch[56..60].copy_from_slice(&61u32.to_le_bytes());
        image.write(at * UNIT, &branch);
    };
    chain.into_iter().for_each(|(at, below)| put(at, below));
    firsts.into_iter().for_each(|at| put(at, begin));
    image
}

#[test]
fn a_tree_that_is_deeper_than_a_stack_is_refused() {
    is_refused(deep(), true);
}

/// While somebody waits, another one goes down a tree where it is whole.
#[derive(Clone)]
struct Meanwhile(Until, Rc<Cell<usize>>, Rc<RefCell<Weak<Store<Meanwhile>>>>);

impl Wait for Meanwhile {
    fn wait<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let store = self.2.take();
        if let Some(store) = store.upgrade() {
            self.1.set(self.1.get() + 1);
            assert!(!store.get(b"z", |_| {}).unwrap());
        }
        self.2.replace(store);
        self.0.wait(future)
    }
}

#[test]
fn nobody_gets_deeper_because_others_read() {
    let disk = CrashDisk::new(deep(), 1);
    let wait = Meanwhile(Until::new(&disk, 100_000), Rc::default(), Rc::default());
    let store = Rc::new(Store::open_with(Disk::new(disk), wait.clone()).unwrap());
    assert!(!store.get(b"z", |_| {}).unwrap());
    wait.2.replace(Rc::downgrade(&store));
    let error = store.get(b"", |_| {}).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(wait.1.get() < 20, "{} pages", wait.1.get());
}

/// Somebody has changed something.
fn forged(seed: u64) {
    let mut random = Random::new(seed);
    let whole = closed(seed);
    let used = (3..SIZE / UNIT).filter(|&at| unit(&whole, at) != [0; UNIT]);
    let used: Vec<usize> = used.map(|at| at * UNIT).collect();
    for _ in 0..20 {
        let mut image = whole.clone();
        for _ in 0..=random.below(3) {
            let at = used[random.below(used.len())];
            match random.below(3) {
                0 => image.write(at + random.below(UNIT), &[random.below(256) as u8]),
                1 => image.write(at + random.below(64), &[random.below(256) as u8]),
                _ => image.write(at, &unit(&whole, used[random.below(used.len())] / UNIT)),
            }
        }
        let disk = CrashDisk::new(image, seed);
        let opened = Store::open_with(Disk::new(disk.clone()), Until::new(&disk, 100_000));
        let Ok(store) = opened else { continue };
        let _ = contents(&store);
        let _ = transact(&store, 21);
        // Closing it may panic.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(store)));
    }
}

#[test]
fn a_disk_that_was_forged_ends_nobody() {
    for_seeds(3, forged);
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
