//! Keys and values on a disk, changed in transactions: a table of [redb](super::redb), in which
//! [files persist](crate::posix::mount_persistent). Calls block as redb's do.

use super::Disk;
use super::redb::{Storage, Wait, create_on};
use redb::{Database, StorageError, Table, TableDefinition, TableError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("files");

/// The keys and values of a disk.
pub struct Store {
    database: Database,
}

/// What a transaction changes.
pub struct Changes<'a>(Table<'a, &'static [u8], &'static [u8]>);

impl Store {
    /// The store on a disk; an empty one if the disk is empty.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the disk holds something else, which stays as it is; those of the
    /// disk; where nothing can wait.
    pub fn open(disk: Disk) -> io::Result<Store> {
        let storage = Storage::open(disk)?;
        storage.check()?;
        Store::on(storage)
    }

    /// The same, on a storage that was opened.
    ///
    /// # Errors
    ///
    /// Those of the storage.
    pub fn on<W: Wait>(storage: Storage<W>) -> io::Result<Store> {
        let database = unless_it_panics(|| create_on(storage).map_err(io::Error::other))?;
        Ok(Store { database })
    }

    /// Calls `f` with each key and its value, in the order of the keys.
    ///
    /// # Errors
    ///
    /// Those of the disk, and what `f` returns.
    pub fn each<E: From<io::Error>>(
        &self,
        mut f: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        unless_it_panics(|| {
            let read = self.database.begin_read().map_err(io::Error::other)?;
            let table = match read.open_table(TABLE) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(()),
                table => table.map_err(io::Error::other)?,
            };
            for entry in table.range::<&[u8]>(..).map_err(error)? {
                let (key, value) = entry.map_err(error)?;
                f(key.value(), value.value())?;
            }
            Ok(())
        })
    }

    /// Makes the changes that `f` asks for, all or, after an error or a crash, none. When this returns they survive a
    /// crash.
    ///
    /// # Errors
    ///
    /// Those of the disk, and what `f` returns.
    pub fn transact<E: From<io::Error>>(
        &self,
        f: impl FnOnce(&mut Changes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        unless_it_panics(|| {
            let write = self.database.begin_write().map_err(io::Error::other)?;
            f(&mut Changes(write.open_table(TABLE).map_err(io::Error::other)?))?;
            Ok(write.commit().map_err(io::Error::other)?)
        })
    }
}

impl Changes<'_> {
    /// Gives a key this value.
    ///
    /// # Errors
    ///
    /// Those of the disk. The others too.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.0.insert(key, value).map(drop).map_err(error)
    }

    /// Removes the keys from `first` to `last`, both included.
    pub fn remove(&mut self, first: &[u8], last: &[u8]) -> io::Result<()> {
        self.0.retain_in(first..=last, |_, _| false).map_err(error)
    }
}

fn error(error: StorageError) -> io::Error {
    match error {
        StorageError::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// redb trusts its file in some places, and a disk can be wrong anywhere.
fn unless_it_panics<T, E: From<io::Error>>(f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::InvalidData, "the disk contradicts itself").into())
    })
}
