//! redb on a disk that crashes: every transaction that was committed is there, whole, and no other but,
//! perhaps, the one that was being committed.
//!
//!   SEED=7 cargo test -p mirust-storage-tests --test redb       one case
//!   SEEDS=1000 cargo test -p mirust-storage-tests --test redb   so many, from 1 on

use mirust::block::Disk;
use mirust::block::redb::{Storage, create_on};
use mirust_storage_tests::{CrashDisk, Image, Random, Until, for_seeds};
use redb::{Database, ReadableTable, TableDefinition, TableError};
use std::collections::BTreeMap;
use std::error::Error;

const NUMBERS: TableDefinition<u64, &[u8]> = TableDefinition::new("numbers");
const COUNT: TableDefinition<(), u64> = TableDefinition::new("count");
const SIZE: usize = 8 << 20;

type Table = BTreeMap<u64, Vec<u8>>;

/// What the transaction with this number does to the table.
fn change(number: u64, table: &mut Table) {
    table.insert(number * 7 % 40, value(number));
    table.insert(number * 3 % 40, value(number + 1));
    table.remove(&(number * 5 % 40));
}

fn value(number: u64) -> Vec<u8> {
    vec![number as u8; (number * 97 % 3000) as usize]
}

fn state(count: u64) -> Table {
    let mut table = BTreeMap::new();
    (1..=count).for_each(|number| change(number, &mut table));
    table
}

/// What the database holds: the number of the last transaction, and the table.
fn contents(database: &Database) -> Result<(u64, Table), Box<dyn Error>> {
    let read = database.begin_read()?;
    let count = match read.open_table(COUNT) {
        Err(TableError::TableDoesNotExist(_)) => return Ok((0, BTreeMap::new())),
        table => table?.get(())?.expect("written with the table").value(),
    };
    let mut table = BTreeMap::new();
    for entry in read.open_table(NUMBERS)?.iter()? {
        let (key, value) = entry?;
        table.insert(key.value(), value.value().to_vec());
    }
    Ok((count, table))
}

fn transact(database: &Database, number: u64) -> Result<(), Box<dyn Error>> {
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(NUMBERS)?;
        table.insert(number * 7 % 40, &value(number)[..])?;
        table.insert(number * 3 % 40, &value(number + 1)[..])?;
        table.remove(number * 5 % 40)?;
        write.open_table(COUNT)?.insert((), number)?;
    }
    write.commit()?;
    Ok(())
}

fn lives(seed: u64) {
    let mut random = Random::new(seed);
    let mut image = Image::zeros(SIZE);
    let (mut told, mut tried) = (0, 0);
    for life in 0..4 {
        let disk = CrashDisk::new(image, seed * 16 + life);
        let steps = if random.below(5) == 0 { random.below(40) } else { random.below(600) };
        let until = Until::new(&disk, steps);
        // It may crash at any step, of its opening too.
        let _ = (|| -> Result<(), Box<dyn Error>> {
            let storage = Storage::open_with(Disk::new(disk.clone()), until)?;
            let database = create_on(storage)?;
            let (count, table) = contents(&database)?;
            assert!(
                (told..=tried).contains(&count),
                "seed {seed}, life {life}: transaction {count}, of {told} to {tried}"
            );
            assert!(table == state(count), "seed {seed}, life {life}: not what {count} had left");
            told = count;
            loop {
                tried = told + 1;
                transact(&database, tried)?;
                told = tried;
            }
        })();
        image = disk.crash();
    }
    // Whatever has happened, it opens.
    let disk = CrashDisk::new(image, seed);
    let until = Until::new(&disk, usize::MAX);
    let storage = Storage::open_with(Disk::new(disk.clone()), until).unwrap();
    let database = create_on(storage);
    let database = database.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let (count, table) = contents(&database).unwrap();
    assert!((told..=tried).contains(&count), "seed {seed}: transaction {count}");
    assert!(table == state(count), "seed {seed}: not what {count} had left");
}

#[test]
fn no_crash_loses_what_was_committed() {
    for_seeds(12, lives);
}
