//! redb on a disk.

use ::redb::{ReadableTable, TableDefinition};
use mirust::block::{self, redb};
use std::io;

const NUMBERS: TableDefinition<u64, u64> = TableDefinition::new("numbers");

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Commits until the domain is destroyed, and says after each commit which one it was.
pub fn commit() -> io::Result<()> {
    let database = redb::create(block::open("data").map_err(other)?).map_err(other)?;
    for n in 0.. {
        let write = database.begin_write().map_err(other)?;
        write.open_table(NUMBERS).map_err(other)?.insert(n, n * n).map_err(other)?;
        write.commit().map_err(other)?;
        println!("committed {n}");
    }
    Ok(())
}

/// Says what is there: whole, and without a gap.
pub fn check() -> io::Result<()> {
    let database = redb::create(block::open("data").map_err(other)?).map_err(other)?;
    let read = database.begin_read().map_err(other)?;
    let table = read.open_table(NUMBERS).map_err(other)?;
    let mut count = 0;
    for entry in table.iter().map_err(other)? {
        let (key, value) = entry.map_err(other)?;
        assert_eq!((key.value(), value.value()), (count, count * count));
        count += 1;
    }
    println!("there are {count}");
    Ok(())
}
