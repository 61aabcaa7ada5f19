//! Lives of one disk, each of which ends in a crash.

use crate::{CrashDisk, Image, Random, Until};
use mirust::block::Disk;
use std::error::Error;

/// What keeps transactions on a disk. Each has a number, from 1 on, which decides what it does.
pub trait Keeper: Sized {
    /// What it holds.
    type State: PartialEq;

    /// Opens what the disk holds. Zeros are none at all.
    ///
    /// # Errors
    ///
    /// The disk has crashed.
    fn open(disk: Disk, until: Until) -> Result<Self, Box<dyn Error>>;

    /// The number of the last transaction, and what it holds.
    ///
    /// # Errors
    ///
    /// The disk has crashed.
    fn contents(&self) -> Result<(u64, Self::State), Box<dyn Error>>;

    /// Makes the transaction with this number.
    ///
    /// # Errors
    ///
    /// The disk has crashed.
    fn transact(&self, number: u64) -> Result<(), Box<dyn Error>>;

    /// What it holds after so many transactions.
    fn state(count: u64) -> Self::State;
}

/// Makes transactions in several lives of a disk, all of it decided by the seed.
///
/// # Panics
///
/// Unless each life finds every transaction whose end it was told of, whole, and no other but, perhaps, the one that
/// was being made.
pub fn lives<K: Keeper>(seed: u64) {
    let mut random = Random::new(seed);
    let mut image = Image::zeros(8 << 20);
    let (mut told, mut tried) = (0, 0);
    let found = |keeper: &K, life, (told, tried)| -> Result<u64, Box<dyn Error>> {
        let (count, state) = keeper.contents()?;
        assert!(
            (told..=tried).contains(&count),
            "seed {seed}, life {life}: transaction {count}, of {told} to {tried}"
        );
        assert!(state == K::state(count), "seed {seed}, life {life}: not what {count} had left");
        Ok(count)
    };
    for life in 0..4 {
        let disk = CrashDisk::new(image, seed * 16 + life);
        let steps = if random.below(5) == 0 { random.below(40) } else { random.below(600) };
        // It may crash at any step, of its opening too.
        let _ = (|| -> Result<(), Box<dyn Error>> {
            let keeper = K::open(Disk::new(disk.clone()), Until::new(&disk, steps))?;
            told = found(&keeper, life, (told, tried))?;
            loop {
                tried = told + 1;
                keeper.transact(tried)?;
                told = tried;
            }
        })();
        image = disk.crash();
    }
    // Whatever has happened, it opens, and is taken for what it is.
    let disk = CrashDisk::new(image, seed);
    let keeper = K::open(Disk::new(disk.clone()), Until::new(&disk, usize::MAX))
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    found(&keeper, 4, (told, tried)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}
