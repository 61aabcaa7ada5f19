//! LMDB, whose file is mapped and written at once.

use heed::byteorder::NativeEndian;
use heed::types::{Str, U32};
use heed::{Database, EnvOpenOptions, Result};

fn main() -> Result<()> {
    std::fs::create_dir_all("/tmp/database")?;
    // SAFETY: nobody else has the files open.
    let environment = unsafe { EnvOpenOptions::new().map_size(1 << 20).open("/tmp/database")? };
    let mut write = environment.write_txn()?;
    let numbers: Database<Str, U32<NativeEndian>> = environment.create_database(&mut write, None)?;
    for n in 0..1000 {
        numbers.put(&mut write, &format!("{n:04}"), &n)?;
    }
    write.commit()?;
    let read = environment.read_txn()?;
    assert_eq!(numbers.get(&read, "0700")?, Some(700));
    assert_eq!(numbers.len(&read)?, 1000);
    println!("works");
    Ok(())
}
