//! The log of examples/kv on a disk that crashes: every state that is found afterwards is one that the store
//! has had, and none from before what somebody was told.
//!
//!   SEED=7 cargo test -p mirust-storage-tests      one case, and its steps
//!   SEEDS=5000 cargo test -p mirust-storage-tests  so many, from 1 on

#[allow(dead_code, missing_docs)]
#[path = "../../../examples/kv/src/format.rs"]
mod format;
#[allow(dead_code, missing_docs)]
#[path = "../../../examples/kv/src/keyed.rs"]
mod keyed;
#[allow(dead_code, missing_docs)]
#[path = "../../../examples/kv/src/log.rs"]
mod log;
#[allow(dead_code, missing_docs)]
#[path = "../../../examples/kv/src/recover.rs"]
mod recover;
#[allow(dead_code, missing_docs)]
#[path = "../../../examples/kv/src/rewrite.rs"]
mod rewrite;
#[allow(dead_code, missing_docs)]
#[path = "../../../examples/kv/src/writer.rs"]
mod writer;

use format::{AREAS, BATCH_MAX, Op, UNIT};
use log::{Fsync, Log, Map};
use mirust::block::Disk;
use mirust_storage_tests::{CrashDisk, Image, Random};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

const SIZE: usize = AREAS as usize + 2 * BATCH_MAX;

type Running<T> = Pin<Box<dyn Future<Output = T>>>;

fn poll<T>(future: &mut Running<T>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a future, with the disk.
fn drive<T>(disk: &CrashDisk, future: impl Future<Output = T> + 'static) -> T {
    let mut future: Running<T> = Box::pin(future);
    for _ in 0..100_000 {
        if let Poll::Ready(result) = poll(&mut future) {
            return result;
        }
        disk.step();
    }
    panic!("never ready");
}

/// Opens the log of a disk. What the map holds, and the word on what was cut off.
fn open(
    disk: &Rc<CrashDisk>,
    fsync: Fsync,
) -> Result<(Store, writer::Writer, Option<String>), String> {
    let map: Rc<RefCell<Map>> = Rc::default();
    let (values, disk_of_log) = (map.clone(), Disk::new(disk.clone()));
    let (log, writer, word) = drive(disk, async move {
        let mut apply = |op: Op<'_>| {
            let change = match op {
                Op::Set(key, value) => Change::Set(key.into(), value.into()),
                Op::Delete(key) => Change::Delete(key.into()),
                Op::Clear => Change::Clear,
            };
            apply(&mut values.borrow_mut(), &change);
            Ok(())
        };
        Log::open(disk_of_log, values.clone(), fsync, &mut apply).await
    })?;
    Ok((Store { map, log: Rc::new(log) }, writer, word))
}

#[derive(Clone)]
struct Store {
    map: Rc<RefCell<Map>>,
    log: Rc<Log>,
}

/// A change, as the history keeps it.
#[derive(Clone, Debug)]
enum Change {
    Set(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Clear,
}

fn apply(map: &mut Map, change: &Change) {
    match change {
        Change::Set(key, value) => drop(map.insert(key.clone(), value.clone())),
        Change::Delete(key) => drop(map.remove(key)),
        Change::Clear => map.clear(),
    }
}

impl Store {
    fn change(&self, change: &Change) {
        apply(&mut self.map.borrow_mut(), change);
        let noted = self.log.note(match change {
            Change::Set(key, value) => Op::Set(key, value),
            Change::Delete(key) => Op::Delete(key),
            Change::Clear => Op::Clear,
        });
        noted.expect("there is memory");
    }
}

/// Lives of one disk, each of which ends in a crash.
fn lives(seed: u64, talk: bool) {
    let mut random = Random::new(seed);
    let mut image = Image::zeros(SIZE);
    // What a disk held before in its areas is nothing to the log.
    for at in (AREAS as usize..100_000).step_by(7) {
        image.write(at, &[random.below(256) as u8]);
    }
    let fsync = [Fsync::Always, Fsync::EverySecond, Fsync::No][seed as usize % 3];
    let mut history: Vec<Change> = Vec::new();
    let mut safe = 0;
    for life in 0..4 {
        // A crash may come while it recovers, too, and more than once.
        while random.below(3) == 0 {
            image = crash_while_opening(image, random.below(1 << 20) as u64, random.below(30));
        }
        let disk = CrashDisk::new(image.clone(), seed * 16 + life);
        let (store, writer, word) = match open(&disk, fsync) {
            Ok(opened) => opened,
            Err(error) => panic!("seed {seed}, life {life}: {error}"),
        };
        let found = find(&history, safe, &store.map.borrow());
        let Some(at) = found else {
            panic!("seed {seed}, life {life}: a state that never was, or one before change {safe}")
        };
        if talk {
            println!("life {life}: changes {at} of {}, {safe} were safe; {word:?}", history.len());
        }
        history.truncate(at);
        safe = at;
        let known = Rc::new(RefCell::new((history.clone(), safe)));
        let mut tasks: Vec<Running<()>> = Vec::new();
        let (log, task) = (store.log.clone(), writer);
        tasks.push(Box::pin(async move { log.run(task).await }));
        for client in 0..3 {
            let (store, known) = (store.clone(), known.clone());
            tasks.push(Box::pin(work(
                store,
                known,
                Random::new(seed * 64 + life * 8 + client),
                fsync,
            )));
        }
        for _ in 0..random.below(400) {
            match random.below(40) {
                0 => drop(store.log.rewrite()),
                1 => store.log.tick(),
                2..20 => {
                    let task = random.below(tasks.len());
                    assert!(poll(&mut tasks[task]).is_pending(), "seed {seed}: ended");
                }
                _ => drop(disk.step()),
            }
            assert_eq!(store.log.failure(), None, "seed {seed}");
        }
        image = disk.crash();
        (history, safe) = known.borrow().clone();
    }
}

/// What a crash leaves after this many steps of opening.
fn crash_while_opening(image: Image, seed: u64, steps: usize) -> Image {
    let disk = CrashDisk::new(image, seed);
    let (values, disk_of_log): (Rc<RefCell<Map>>, _) = (Rc::default(), Disk::new(disk.clone()));
    let mut opening: Running<_> = Box::pin(async move {
        Log::open(disk_of_log, values, Fsync::Always, &mut |_| Ok(())).await.map(drop)
    });
    for _ in 0..steps {
        match poll(&mut opening) {
            Poll::Ready(result) => {
                result.unwrap();
                break;
            }
            Poll::Pending => drop(disk.step()),
        }
    }
    disk.crash()
}

/// A client: changes, and waits to be told.
async fn work(
    store: Store,
    known: Rc<RefCell<(Vec<Change>, usize)>>,
    mut random: Random,
    fsync: Fsync,
) {
    loop {
        for _ in 0..1 + random.below(4) {
            let key = format!("key {}", random.below(12)).into_bytes();
            let change = match random.below(20) {
                0 => Change::Clear,
                1..4 => Change::Delete(key),
                4 => Change::Set(key, vec![random.below(256) as u8; 40_000 + random.below(9000)]),
                _ => {
                    let number = known.borrow().0.len();
                    Change::Set(key, format!("value {number}").into_bytes())
                }
            };
            store.change(&change);
            known.borrow_mut().0.push(change);
        }
        let count = known.borrow().0.len();
        let committed =
            if random.below(9) == 0 { store.log.sync().await } else { store.log.commit().await };
        committed.unwrap();
        if fsync == Fsync::Always {
            let mut known = known.borrow_mut();
            known.1 = known.1.max(count);
        }
        yield_once().await;
    }
}

async fn yield_once() {
    let first = Cell::new(true);
    std::future::poll_fn(|_| if first.replace(false) { Poll::Pending } else { Poll::Ready(()) })
        .await;
}

/// After how many changes, from `safe` on, the store was as it is now.
fn find(history: &[Change], safe: usize, map: &Map) -> Option<usize> {
    let mut state = Map::default();
    history[..safe].iter().for_each(|change| apply(&mut state, change));
    let mut found = (state == *map).then_some(safe);
    for (n, change) in history[safe..].iter().enumerate() {
        apply(&mut state, change);
        // The last one: what follows is the same in all.
        if state == *map {
            found = Some(safe + n + 1);
        }
    }
    found
}

#[test]
fn no_crash_loses_what_was_told() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        return lives(seed, true);
    }
    for seed in 1..=number("SEEDS").unwrap_or(150) {
        let result = std::panic::catch_unwind(|| lives(seed, false));
        assert!(result.is_ok(), "seed {seed} fails: SEED={seed} runs it again");
    }
}

/// A disk whose log has five batches, the first at the beginning of its area.
fn five_batches() -> Image {
    let disk = CrashDisk::new(Image::zeros(SIZE), 1);
    let (store, writer, _) = open(&disk, Fsync::Always).unwrap();
    let log = store.log.clone();
    let mut task: Running<()> = Box::pin(async move { log.run(writer).await });
    for n in 0..5u8 {
        store.change(&Change::Set(vec![n], vec![n; 5000]));
        let log = store.log.clone();
        let mut commit: Running<_> = Box::pin(async move { log.commit().await });
        while poll(&mut commit).is_pending() {
            assert!(poll(&mut task).is_pending());
            disk.step();
        }
    }
    disk.contents()
}

/// Where batch `n` is: each has two units, and the first area that is used is the second.
fn batch(n: usize) -> usize {
    AREAS as usize + BATCH_MAX + n * 2 * UNIT as usize
}

fn opened(image: Image) -> Result<(usize, Option<String>), String> {
    let disk = CrashDisk::new(image, 2);
    let (store, _, word) = open(&disk, Fsync::Always)?;
    let keys = store.map.borrow().len();
    Ok((keys, word))
}

#[test]
fn damaged_tail_is_cut_off_with_a_word() {
    assert_eq!(opened(five_batches()), Ok((5, None)));
    for at in [60, 5000] {
        let mut image = five_batches();
        image.damage(batch(4) + at);
        let (keys, word) = opened(image).unwrap();
        assert_eq!(keys, 4);
        assert!(word.unwrap().contains("cut off at batch 4"));
    }
}

#[test]
fn damaged_middle_is_refused_with_a_word() {
    for n in 0..3 {
        for at in [0, 8, 20, 60, 5000] {
            let mut image = five_batches();
            image.damage(batch(n) + at);
            let error = opened(image).unwrap_err();
            assert!(error.contains("the log is damaged"), "{error}");
        }
    }
    // And all of a batch, with its neighbour.
    let mut image = five_batches();
    image.fill(batch(1)..batch(3), 0xff);
    assert!(opened(image).unwrap_err().contains("batch 1 cannot be read"));
}

#[test]
fn one_copy_of_the_superblock_may_go_bad_but_not_both_unnoticed() {
    let unit = UNIT as usize;
    for copy in [2, 3] {
        let mut image = five_batches();
        image.damage(copy * unit + 20);
        assert_eq!(opened(image), Ok((5, None)));
    }
    let mut image = five_batches();
    image.fill(2 * unit..4 * unit, 0xff);
    assert!(opened(image).unwrap_err().contains("superblocks are damaged"));
}

#[test]
fn disk_that_holds_something_else_is_refused() {
    for at in [0, 1080, 4096, 8200, 16383] {
        let mut image = Image::zeros(SIZE);
        image.write(at, &[0x53]);
        assert!(opened(image).unwrap_err().contains("holds something else"), "{at}");
    }
    // What a crash has left of the very first superblock is nobody's.
    let mut image = five_batches();
    let mut first = vec![0; UNIT as usize];
    image.read(2 * UNIT as usize, &mut first);
    for len in [3, 20, 35] {
        image = Image::zeros(SIZE);
        image.write(2 * UNIT as usize, &first[..len]);
        assert_eq!(opened(image), Ok((0, None)));
    }
}

#[test]
fn value_that_looks_like_a_batch_is_none() {
    // A client knows the format, and what it sends begins a unit; a crash tears the batch that it is in.
    let mut image = five_batches();
    let mut theirs = vec![0; UNIT as usize];
    let mut batch_of_theirs =
        format::Batch { generation: 1, number: 9, stable: 9, previous: 0, len: 9, sum: 0 };
    batch_of_theirs.emit(0, &[&[3, 0, 0, 0, 0, 0, 0, 0, 0]], &mut theirs);
    image.damage(batch(4) + 60);
    image.write(batch(4) + UNIT as usize, &theirs);
    let (keys, word) = opened(image).unwrap();
    assert_eq!(keys, 4);
    assert!(word.unwrap().contains("cut off at batch 4"));
}

#[test]
fn disk_that_cannot_do_is_refused() {
    let disk = CrashDisk::new(Image::zeros(SIZE - 4096), 1);
    assert!(open(&disk, Fsync::Always).err().unwrap().contains("too few"));
}

#[test]
fn log_that_is_written_anew_is_smaller_and_says_the_same() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 3);
    let (store, writer, _) = open(&disk, Fsync::EverySecond).unwrap();
    let log = store.log.clone();
    let mut task: Running<()> = Box::pin(async move { log.run(writer).await });
    // More than the area has room for, of the same keys: it is written anew by itself.
    for n in 0..400u32 {
        store.change(&Change::Set(vec![(n % 7) as u8], vec![n as u8; 30_000]));
        for _ in 0..4 {
            assert!(poll(&mut task).is_pending());
            disk.step();
        }
    }
    assert!(store.log.stats.rewrites.get() > 0);
    let log = store.log.clone();
    let mut save: Running<_> = Box::pin(async move { log.save().await });
    while poll(&mut save).is_pending() {
        assert!(poll(&mut task).is_pending());
        disk.step();
    }
    // Seven values, and what had been noted and not been written.
    assert!(
        store.log.stats.size.get() < 7 * 30_000 + (256 << 10) + 60_000,
        "{} bytes",
        store.log.stats.size.get()
    );
    let before = store.map.borrow().clone();
    let disk = CrashDisk::new(disk.crash(), 4);
    let (store, _, word) = open(&disk, Fsync::Always).unwrap();
    assert!(*store.map.borrow() == before && word.is_none());
}

#[test]
fn store_larger_than_half_the_disk_is_told() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 5);
    let (store, writer, _) = open(&disk, Fsync::Always).unwrap();
    let log = store.log.clone();
    let mut task: Running<()> = Box::pin(async move { log.run(writer).await });
    for n in 0..200u32 {
        store.change(&Change::Set(n.to_le_bytes().to_vec(), vec![1; 60_000]));
        for _ in 0..40 {
            if poll(&mut task).is_ready() {
                let failure = store.log.failure().expect("it has ended");
                assert!(failure.contains("the disk is full"), "{failure}");
                // And what was safe is still there.
                let disk = CrashDisk::new(disk.crash(), 6);
                assert!(open(&disk, Fsync::Always).unwrap().0.map.borrow().len() > 50);
                return;
            }
            disk.step();
        }
    }
    panic!("a disk without end");
}

#[test]
fn disk_that_fails_is_told_and_what_was_safe_stays() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 7);
    let (store, writer, _) = open(&disk, Fsync::Always).unwrap();
    let log = store.log.clone();
    let mut task: Running<()> = Box::pin(async move { log.run(writer).await });
    let mut commit = |key: u8| {
        store.change(&Change::Set(vec![key], vec![key]));
        let log = store.log.clone();
        let mut commit: Running<_> = Box::pin(async move { log.commit().await });
        loop {
            if let Poll::Ready(result) = poll(&mut commit) {
                return result;
            }
            let _ = poll(&mut task);
            disk.step();
        }
    };
    assert_eq!(commit(1), Ok(()));
    disk.break_down();
    let error = commit(2).unwrap_err();
    assert!(error.contains("input/output error"), "{error}");
    assert_eq!(store.log.failure(), Some(error));
    let disk = CrashDisk::new(disk.crash(), 8);
    let found = open(&disk, Fsync::Always).unwrap().0;
    assert_eq!(found.map.borrow().get(&vec![1]), Some(&vec![1]));
}

/// When memory is available again, waiting writers are woken, and nothing that was noted is lost, neither while the log
/// is rewritten nor when its area is full.
#[test]
fn no_memory_to_write_is_waited_for_and_no_failure() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 9);
    let (store, writer, _) = open(&disk, Fsync::Always).unwrap();
    let log = store.log.clone();
    let mut task: Running<()> = Box::pin(async move { log.run(writer).await });
    // More than the area has room for.
    for n in 0..300u32 {
        store.change(&Change::Set(vec![(n % 7) as u8], vec![n as u8; 30_000]));
        let log = store.log.clone();
        let mut commit: Running<_> = Box::pin(async move { log.commit().await });
        disk.set_short_of_memory(true);
        for _ in 0..3 {
            assert!(poll(&mut task).is_pending() && poll(&mut commit).is_pending());
            disk.step();
            store.log.tick();
        }
        disk.set_short_of_memory(false);
        while poll(&mut commit).is_pending() {
            assert!(poll(&mut task).is_pending());
            disk.step();
            store.log.tick();
        }
        assert_eq!(store.log.failure(), None);
    }
    assert!(store.log.stats.rewrites.get() > 0);
    let before = store.map.borrow().clone();
    let disk = CrashDisk::new(disk.crash(), 10);
    assert!(*open(&disk, Fsync::Always).unwrap().0.map.borrow() == before);
}

/// What waits for a disk that is slow, or gone for a while, takes as much memory as the store's share allows.
#[test]
fn what_is_noted_has_a_share_of_the_memory() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 11);
    let (store, _writer, _) = open(&disk, Fsync::No).unwrap();
    // Of 1024 bytes each.
    let change = Change::Set(vec![1], vec![1; 1024 - 10]);
    for (share, noted) in [(0, 64), (4 << 20, 2 << 10), (1 << 40, 8 << 10)] {
        store.log.set_share(share);
        while store.log.is_settled() {
            store.change(&change);
        }
        assert_eq!(store.log.unstable(), noted);
    }
}

/// However small the share is: it is not the next tick that everybody waits for. And a larger one lets those go on who
/// wait.
#[test]
fn a_small_share_is_written_before_it_is_full() {
    let disk = CrashDisk::new(Image::zeros(SIZE), 12);
    let (store, writer, _) = open(&disk, Fsync::No).unwrap();
    let log = store.log.clone();
    let mut task: Running<()> = Box::pin(async move { log.run(writer).await });
    store.log.set_share(0);
    let change = Change::Set(vec![1], vec![1; 1024 - 10]);
    let fill = || {
        while store.log.is_settled() {
            store.change(&change);
        }
    };
    assert!(poll(&mut task).is_pending());
    fill();
    for _ in 0..100 {
        assert!(poll(&mut task).is_pending());
        disk.step();
    }
    assert!(store.log.is_settled());

    fill();
    let (log, woken) = (store.log.clone(), Arc::new(Woken::default()));
    let mut commit: Running<_> = Box::pin(async move { log.commit().await });
    let waker = Waker::from(woken.clone());
    assert!(commit.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    store.log.set_share(1 << 20);
    assert!(woken.0.load(Relaxed));
    assert_eq!(poll(&mut commit), Poll::Ready(Ok(())));
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// std's hasher without keys of its own is the reference.
#[test]
fn keys_are_hashed_as_std_hashes_bytes() {
    let bytes: Vec<u8> = (0..100u8).map(|i| i.wrapping_mul(37)).collect();
    for len in 0..=bytes.len() {
        let mut reference = DefaultHasher::new();
        reference.write(&bytes[..len]);
        assert_eq!(
            keyed::sip(keyed::Keyed(0, 0), &bytes[..len]),
            reference.finish(),
            "{len} bytes"
        );
    }
}

/// Each store has keys of its own, and a map finds what it holds.
#[test]
fn nobody_knows_the_keys_of_a_hash() {
    let (one, other) = (keyed::Keyed::default(), keyed::Keyed::default());
    assert_ne!(one.hash_one(&b"key"[..]), other.hash_one(&b"key"[..]));
    assert_ne!(one.hash_one(&b"key"[..]), one.hash_one(&b"kez"[..]));
    assert_eq!(one.hash_one(&b"key"[..]), one.hash_one(b"key".to_vec()));
}
