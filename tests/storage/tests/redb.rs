//! redb on a disk that crashes: every transaction that was committed is there, whole, and no other but,
//! perhaps, the one that was being committed.
//!
//!   SEED=7 cargo test -p mirust-storage-tests --test redb       one case
//!   SEEDS=1000 cargo test -p mirust-storage-tests --test redb   so many, from 1 on

use mirust::block::Disk;
use mirust::block::redb::{Storage, create_on};
use mirust_storage_tests::{Keeper, Until, for_seeds, lives};
use redb::{Database, ReadableTable, TableDefinition, TableError};
use std::collections::BTreeMap;
use std::error::Error;

const NUMBERS: TableDefinition<u64, &[u8]> = TableDefinition::new("numbers");
const COUNT: TableDefinition<(), u64> = TableDefinition::new("count");

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

struct Numbers(Database);

impl Keeper for Numbers {
    type State = Table;

    fn open(disk: Disk, until: Until) -> Result<Numbers, Box<dyn Error>> {
        Ok(Numbers(create_on(Storage::open_with(disk, until)?)?))
    }

    fn contents(&self) -> Result<(u64, Table), Box<dyn Error>> {
        let read = self.0.begin_read()?;
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

    fn transact(&self, number: u64) -> Result<(), Box<dyn Error>> {
        let write = self.0.begin_write()?;
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

    fn state(count: u64) -> Table {
        let mut table = BTreeMap::new();
        (1..=count).for_each(|number| change(number, &mut table));
        table
    }
}

#[test]
fn no_crash_loses_what_was_committed() {
    for_seeds(12, lives::<Numbers>);
}
