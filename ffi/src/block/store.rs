//! Keys and values on a disk, changed in transactions: a table of [redb](super::redb). It is where files persist
//! (`mirust::posix::mount_persistent`). Calls block as redb's do.

use super::Disk;
use super::pages::{Pages, contradiction};
use super::redb::{Blocking, Storage, Wait, cache};
use redb::{Database, DatabaseError, StorageError, Table, TableDefinition, TableError};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("files");

/// Bytes of the values that take most of the room.
const PAGE: u64 = 4096;

/// How many values of 4096 bytes a disk of so many bytes has room for, if `changed` of them are replaced in one
/// transaction. Each takes two pages of redb's, which has three versions of what is replaced; a twentieth is for what
/// leads to them.
#[must_use]
pub fn room(bytes: u64, changed: u64) -> u64 {
    let rest = bytes.saturating_sub(changed * 3 * 2 * PAGE);
    rest / 20 * 19 / (2 * PAGE)
}

/// The keys and values of a disk. While a transaction is made, others may read what there was before it.
pub struct Store<W: Wait + Clone = Blocking> {
    disk: Disk,
    wait: W,
    /// Nothing after an error, until it is opened again; which has to wait for the last who uses it.
    database: RefCell<Option<Rc<Database>>>,
    last: RefCell<Weak<Database>>,
    /// It is being opened, or closed.
    is_between: Cell<bool>,
    /// They wait until that is over.
    waiting: RefCell<Vec<Waker>>,
    /// The database wanted to be larger than the disk.
    outgrown: Cell<Arc<AtomicBool>>,
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
        Store::open_with(disk, Blocking)
    }
}

impl<W: Wait + Clone> Store<W> {
    /// The same, with another way to wait.
    ///
    /// # Errors
    ///
    /// As [`open`](Store::open).
    pub fn open_with(disk: Disk, wait: W) -> io::Result<Store<W>> {
        let (database, last) = (RefCell::default(), RefCell::default());
        let (is_between, waiting, outgrown) = Default::default();
        let store = Store { disk, wait, database, last, is_between, waiting, outgrown };
        store.database().map(|_| store)
    }

    /// The database, which is opened if it is not.
    fn database(&self) -> io::Result<Rc<Database>> {
        if let Some(database) = &*self.database.borrow() {
            return Ok(Rc::clone(database));
        }
        if self.last.borrow().strong_count() > 0 || self.is_between.replace(true) {
            return Err(io::Error::other("after an error, the disk is going to be opened again"));
        }
        let opened = self.connect();
        self.is_over();
        let database = Rc::new(opened?);
        self.last.replace(Rc::downgrade(&database));
        self.database.replace(Some(Rc::clone(&database)));
        Ok(database)
    }

    /// It has been opened, or closed.
    fn is_over(&self) {
        self.is_between.set(false);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Waits until the database is there, or can be opened: those who read have it until they have what they read.
    fn until_it_can_be_opened(&self) -> io::Result<()> {
        self.wait.wait(poll_fn(|context| {
            let is_free = self.last.borrow().strong_count() == 0 && !self.is_between.get();
            if is_free || self.database.borrow().is_some() {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        }))
    }

    fn connect(&self) -> io::Result<Database> {
        let storage = Storage::open_with(self.disk.clone(), self.wait.clone())?;
        storage.check()?;
        if self.outgrown.replace(storage.outgrown()).load(Ordering::Relaxed) {
            storage.extend()?;
        }
        let mut builder = Database::builder();
        builder.set_cache_size(0).create_with_file_format_v3(true);
        let pages = Pages::new(storage, cache());
        unless_it_panics(|| builder.create_with_backend(pages).map_err(open_error))
    }

    /// Calls `f` with the database. Once its file has given an error, redb does nothing with it any more; so after any
    /// error it is opened again for the next call.
    fn with<T, E: From<io::Error>>(
        &self,
        f: impl FnOnce(&Database) -> Result<T, E>,
    ) -> Result<T, E> {
        let database = self.database()?;
        let result = catch_unwind(AssertUnwindSafe(|| f(&database)));
        // After a panic it stays: to close it would be to write to the disk.
        if let Ok(Err(_)) = result {
            self.database.take();
        }
        if let Some(last) = Rc::into_inner(database) {
            self.is_between.set(true);
            // This may panic as well.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
            self.is_over();
        }
        result.unwrap_or_else(|_| Err(contradiction().into()))
    }

    /// Calls `f` with each key before this one, and its value, in the order of the keys.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is a database with other tables; those of the disk, and what
    /// `f` returns.
    pub fn each<E: From<io::Error>>(
        &self,
        before: &[u8],
        mut f: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.with(|database| {
            let read = database.begin_read().map_err(io::Error::other)?;
            let table = match read.open_table(TABLE) {
                Err(TableError::TableDoesNotExist(_)) => {
                    return match read.list_tables().map_err(error)?.next() {
                        Some(_) => {
                            let what = "the disk holds a database of something else";
                            Err(io::Error::new(io::ErrorKind::InvalidData, what).into())
                        }
                        None => Ok(()),
                    };
                }
                table => table.map_err(io::Error::other)?,
            };
            let mut last: Option<Vec<u8>> = None;
            for entry in table.range(..before).map_err(error)? {
                let (key, value) = entry.map_err(error)?;
                // There may be no end otherwise.
                if last.is_some_and(|last| last[..] >= *key.value()) {
                    return Err(contradiction().into());
                }
                f(key.value(), value.value())?;
                last = Some(key.value().into());
            }
            Ok(())
        })
    }

    /// Calls `f` with the value of a key; false if it has none.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn get(&self, key: &[u8], f: impl FnOnce(&[u8])) -> io::Result<bool> {
        self.with(|database| {
            let read = database.begin_read().map_err(io::Error::other)?;
            let table = read.open_table(TABLE).map_err(io::Error::other)?;
            let value = table.get(key).map_err(error)?;
            Ok(value.map(|value| f(value.value())).is_some())
        })
    }

    /// Makes the changes that `f` asks for. When this returns they survive a crash. After an error or a crash none of
    /// them has been made or, if it was in the last step, all. `f` is asked a second time if the database has to be made
    /// larger in another way than redb's; that waits for those who read, so nobody may call this while they do on the
    /// same stack.
    ///
    /// # Errors
    ///
    /// Those of the disk, and what `f` returns.
    pub fn transact<E: From<io::Error>>(
        &self,
        mut f: impl FnMut(&mut Changes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let result = self.transact_once(&mut f);
        let outgrown = self.outgrown.take();
        let again = result.is_err() && outgrown.load(Ordering::Relaxed);
        self.outgrown.set(outgrown);
        if !again {
            return result;
        }
        self.until_it_can_be_opened()?;
        self.transact_once(&mut f)
    }

    fn transact_once<E: From<io::Error>>(
        &self,
        f: &mut impl FnMut(&mut Changes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.with(|database| {
            let write = database.begin_write().map_err(io::Error::other)?;
            f(&mut Changes(write.open_table(TABLE).map_err(io::Error::other)?))?;
            Ok(write.commit().map_err(io::Error::other)?)
        })
    }
}

impl Changes<'_> {
    /// Gives a key this value; true if it had none.
    ///
    /// # Errors
    ///
    /// Those of the disk. The others too.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<bool> {
        self.0.insert(key, value).map(|before| before.is_none()).map_err(error)
    }

    /// Removes the keys from `first` to `last`, both included; how many there were.
    pub fn remove(&mut self, first: &[u8], last: &[u8]) -> io::Result<u64> {
        let mut gone = 0;
        let remove = |_: &[u8], _: &[u8]| {
            gone += 1;
            false
        };
        self.0.retain_in(first..=last, remove).map_err(error)?;
        Ok(gone)
    }
}

fn error(error: StorageError) -> io::Error {
    match error {
        StorageError::Io(error) => error,
        StorageError::Corrupted(_) | StorageError::LockPoisoned(_) => contradiction(),
        error => io::Error::other(error),
    }
}

/// redb trusts its file in some places, and a disk can be wrong anywhere.
fn unless_it_panics<T>(f: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err(contradiction()))
}

/// What is said of a disk that cannot be opened.
fn open_error(error: DatabaseError) -> io::Error {
    match error {
        DatabaseError::Storage(error) => self::error(error),
        error => io::Error::other(error),
    }
}
