//! [redb](https://docs.rs/redb), an embedded database that survives crashes, on a disk.
//!
//! ```no_run
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use redb::TableDefinition;
//!
//! const VISITS: TableDefinition<&str, u64> = TableDefinition::new("visits");
//!
//! // In a thread, or where the main stack may block.
//! let database = mirust::block::redb::create(mirust::block::open("data")?)?;
//! let write = database.begin_write()?;
//! write.open_table(VISITS)?.insert("alice", 1_u64)?;
//! write.commit()?; // stable from here on
//! # Ok(())
//! # }
//! ```
//!
//! redb expects a file as its storage, which it doubles when it is full, up to 4 GiB at a time, as long as the disk has
//! room for it. The file's length and its first bytes, which are redb's header, are stored together in one of two units
//! at the disk's beginning, which are written alternately. So a crash leaves the header as it was before or after a
//! write, with the length that belongs to it. (redb itself tolerates a partly written header, but not one that describes
//! a file larger than it is, which is what a partly written one may do.)
//!
//! redb's calls block, so make them on a thread ([`crate::fiber`]); everything else goes on meanwhile.
//!
//! This is redb version 2: later ones need a newer Rust than this project does. Of its two formats [`create`] uses the
//! newer one: with the older one, an assertion of redb 2.6.4 about its cache was seen to fail in one of two thousand
//! crashes.

use super::{Buffer, Disk, SECTOR};
use redb::{Database, DatabaseError, StorageBackend};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

/// Bytes of a unit, and what everything is aligned to.
pub(super) const UNIT: u64 = 4096;
/// Where the database begins.
const START: u64 = 2 * UNIT;
/// Bytes at the database's beginning that are in the units: its header has fewer.
const HEAD: usize = 512;
const MAGIC: &[u8; 8] = b"MirustRD";
/// So much of an empty disk is zeros: whatever else is on disks has its name in there, though not always at the
/// beginning.
const EMPTY: u64 = 1 << 20;
/// What a database begins with when it has been made; redb writes that last.
const MADE: &[u8; 4] = b"redb";

/// A page of the database: where it is, and its size in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Page {
    pub(super) offset: u64,
    pub(super) len: usize,
}

/// Opens the database on a disk, or creates one if the disk has none.
///
/// # Errors
///
/// If the disk or its contents cannot be used, or it is too small (8 MiB are enough), or where blocking calls are
/// not possible.
pub fn create(disk: Disk) -> Result<Database, DatabaseError> {
    create_on(Storage::open(disk)?)
}

/// The same, on a storage that was opened.
///
/// # Errors
///
/// As [`create`].
pub fn create_on<W: Wait>(storage: Storage<W>) -> Result<Database, DatabaseError> {
    let mut builder = Database::builder();
    builder.set_cache_size(cache()).create_with_file_format_v3(true).create_with_backend(storage)
}

/// Bytes of the database that are kept in memory: a share of it.
pub(super) fn cache() -> usize {
    const SHARE: usize = 16;
    let memory = mirust_rt::mem::frames::stats().total * mirust_rt::mem::PAGE_SIZE;
    match memory {
        // A Linux process.
        0 => 64 << 20,
        memory => (memory / SHARE).max(256 << 10),
    }
}

/// How a call waits for the disk.
pub trait Wait: 'static {
    /// Waits until the future is ready.
    ///
    /// # Errors
    ///
    /// Where nothing can wait.
    fn wait<F: Future>(&self, future: F) -> io::Result<F::Output>;
}

/// Waits as a thread does, and as the main stack where it may.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blocking;

impl Wait for Blocking {
    fn wait<F: Future>(&self, future: F) -> io::Result<F::Output> {
        crate::fiber::block_on(future).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// A disk as redb uses it.
pub struct Storage<W: Wait = Blocking> {
    disk: ManuallyDrop<Disk>,
    wait: W,
    top: RefCell<Top>,
    /// Newer than what is on the disk.
    changed: Cell<bool>,
    /// The database wanted to be larger than the disk.
    outgrown: Arc<AtomicBool>,
    #[cfg(not(feature = "xen"))]
    owner: std::thread::ThreadId,
}

// SAFETY: a domain has one thread of execution, whatever number of stacks. On Linux `disk` serves no thread
// but the one that made the storage, and `drop` leaves the count of the device's owners alone on others.
unsafe impl<W: Wait> Send for Storage<W> {}
// SAFETY: as above.
unsafe impl<W: Wait> Sync for Storage<W> {}

impl Storage {
    /// The storage on a disk. One without a database has nothing in it.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read, or where nothing can wait.
    pub fn open(disk: Disk) -> io::Result<Storage> {
        Storage::open_with(disk, Blocking)
    }
}

impl<W: Wait> Storage<W> {
    /// The same, with another way to wait.
    ///
    /// # Errors
    ///
    /// As [`open`](Storage::open).
    pub fn open_with(disk: Disk, wait: W) -> io::Result<Storage<W>> {
        let storage = Storage {
            disk: ManuallyDrop::new(disk),
            wait,
            top: RefCell::new(Top::NONE),
            changed: Cell::new(false),
            outgrown: Arc::default(),
            #[cfg(not(feature = "xen"))]
            owner: std::thread::current().id(),
        };
        storage.wait(async { storage.disk.ready().await.map(drop) })?;
        let mut newest = Top::NONE;
        for slot in 0..2 {
            let mut unit = [0; UNIT as usize];
            storage.wait(storage.disk.read_at(slot * UNIT, &mut unit))?;
            if let Some(top) = Top::parse(&unit).filter(|top| top.writes > newest.writes) {
                newest = top;
            }
        }
        if !newest.head.starts_with(MADE) {
            // Before it was made nothing can have been committed: it is made again.
            newest = Top { writes: newest.writes, ..Top::NONE };
        }
        storage.top.replace(newest);
        // What was read may be in a cache only, and the other unit is going to be written.
        storage.wait(storage.disk.flush())?;
        Ok(storage)
    }

    /// Whether the disk holds a database, or nothing. If it holds nothing it is marked, before anything else is written
    /// to it: after a crash the mark tells that what is there is ours.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](ErrorKind::InvalidData) if it seems to hold something else; those of the disk.
    pub fn check(&self) -> io::Result<()> {
        let mut bytes = vec![0; EMPTY.min(self.disk()?.len() / UNIT * UNIT) as usize];
        self.wait(self.disk()?.read_at(0, &mut bytes))?;
        let (units, rest) = bytes.split_at(bytes.len().min(START as usize));
        let units = units.chunks(UNIT as usize);
        let is_marked = units.clone().any(|unit| unit.starts_with(MAGIC));
        if !units.clone().all(Top::may_be) || !is_marked && !is_empty(rest) {
            let what = "the disk holds something else; fill its first MiB with zeros to use it";
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        if self.top.borrow().len > self.most()? {
            let what = "the disk is smaller than what it holds: it was cut, or is damaged";
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        if !is_marked {
            self.changed.set(true);
            self.sync_data(false)?;
        }
        Ok(())
    }

    /// Reads pages of the database, all at once; none of them is in the head.
    pub(super) fn read_all(&self, pages: &[Page]) -> io::Result<Vec<Buffer>> {
        let disk = self.disk()?;
        let read = |page: &Page| {
            let buffer = Buffer::new(page.len).map_err(|_| ErrorKind::OutOfMemory)?;
            Ok(disk.read(self.at(page.offset, page.len)?, buffer))
        };
        let reads = pages.iter().map(read).collect::<io::Result<_>>()?;
        self.wait(all(reads))
    }

    /// Writes to several places of the database, behind the head, all at once.
    pub(super) fn write_all(&self, runs: Vec<(u64, Buffer)>) -> io::Result<()> {
        let disk = self.disk()?;
        let write =
            |(offset, bytes): (u64, Buffer)| Ok(disk.write(self.at(offset, bytes.len())?, bytes));
        let writes = runs.into_iter().map(write).collect::<io::Result<_>>()?;
        self.wait(all(writes)).map(drop)
    }

    /// A number of four bytes of the database's header.
    pub(super) fn number(&self, at: usize) -> u32 {
        let head = &self.top.borrow().head;
        u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"))
    }

    /// Whether the database wanted to be larger than the disk, at any time from now on.
    pub(super) fn outgrown(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.outgrown)
    }

    /// Has a database use the whole disk: redb takes a file that is larger than it was for what a crash has left, and
    /// looks through all of it.
    pub(super) fn extend(&self) -> io::Result<()> {
        /// redb's regions have so many bytes, and a few hundred KiB that it keeps account in; the last one has fewer.
        const REGION: u64 = 4 << 30;
        let most = self.most()?;
        // There what redb would leave unused is little, and what it keeps account in could fill a last region.
        if most > 64 * REGION {
            return Ok(());
        }
        // A last region that is very small would be none.
        let rest = most % REGION;
        let most = if most > REGION && rest < REGION / 64 { most - rest - UNIT } else { most };
        let mut top = self.top.borrow_mut();
        if top.len < most {
            top.len = most;
            self.changed.set(true);
        }
        Ok(())
    }

    /// Bytes that the disk has for a database.
    fn most(&self) -> io::Result<u64> {
        Ok(self.disk()?.len().saturating_sub(START) / UNIT * UNIT)
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T, super::Error>>) -> io::Result<T> {
        let result = self.wait.wait(future)?;
        result.map_err(|error| match error {
            super::Error::OutOfRange => io::Error::new(ErrorKind::StorageFull, error),
            error => io::Error::other(error),
        })
    }

    /// The disk, for the thread that it belongs to.
    fn disk(&self) -> io::Result<&Disk> {
        #[cfg(not(feature = "xen"))]
        if self.owner != std::thread::current().id() {
            return Err(io::Error::other("a disk belongs to the domain's thread"));
        }
        Ok(&self.disk)
    }

    /// Where a stretch of the database is on the disk.
    fn at(&self, offset: u64, len: usize) -> io::Result<u64> {
        let end = offset.checked_add(len as u64).filter(|end| *end <= self.top.borrow().len);
        end.map(|_| START + offset).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

/// Waits for all of them, or for the first error.
async fn all<T, E>(futures: Vec<impl Future<Output = Result<T, E>>>) -> Result<Vec<T>, E> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    let ready = poll_fn(|cx| {
        let mut is_ready = true;
        for (future, result) in futures.iter_mut().filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(Ok(value)) => *result = Some(value),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => is_ready = false,
            }
        }
        if is_ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    });
    ready.await?;
    Ok(futures.into_iter().filter_map(|(_, result)| result).collect())
}

/// How many of `len` bytes from `offset` on are in the head.
fn in_head(offset: u64, len: usize) -> usize {
    usize::try_from(offset).map_or(0, |offset| HEAD.saturating_sub(offset).min(len))
}

impl<W: Wait> StorageBackend for Storage<W> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.top.borrow().len)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let at = self.at(offset, len)?;
        // The length is one that the disk tells.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| ErrorKind::OutOfMemory)?;
        bytes.resize(len, 0);
        let (head, rest) = bytes.split_at_mut(in_head(offset, len));
        if !head.is_empty() {
            head.copy_from_slice(&self.top.borrow().head[offset as usize..][..head.len()]);
        }
        self.wait(self.disk()?.read_at(at + head.len() as u64, rest))?;
        Ok(bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let disk = self.disk()?;
        if len > self.most()? {
            self.outgrown.store(true, Ordering::Relaxed);
            return Err(ErrorKind::StorageFull.into());
        }
        let old = self.top.borrow().len;
        if len > old {
            // What a file grows by is zeros; whole units, which nobody else is in.
            let from = (START + old).next_multiple_of(UNIT);
            let to = (START + len).next_multiple_of(UNIT);
            self.wait(disk.zero(from, to.saturating_sub(from)))?;
        }
        self.top.borrow_mut().len = len;
        self.changed.set(true);
        Ok(())
    }

    fn sync_data(&self, _eventual: bool) -> io::Result<()> {
        let disk = self.disk()?;
        if !self.changed.get() {
            return self.wait(disk.flush());
        }
        // What the other unit says is stable: the last flush was after it. If this one fails, the next is about the
        // same unit.
        let mut top = self.top.borrow().clone();
        top.writes += 1;
        self.wait(disk.write_at(top.writes % 2 * UNIT, &top.emit()))?;
        self.wait(disk.flush())?;
        self.top.borrow_mut().writes = top.writes;
        self.changed.set(false);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (at, disk) = (self.at(offset, data.len())?, self.disk()?);
        let (head, rest) = data.split_at(in_head(offset, data.len()));
        if !head.is_empty() {
            self.top.borrow_mut().head[offset as usize..][..head.len()].copy_from_slice(head);
            self.changed.set(true);
        }
        let at = at + head.len() as u64;
        if rest.is_empty() || at % UNIT == 0 && rest.len() as u64 % UNIT == 0 {
            return self.wait(disk.write_at(at, rest));
        }
        // Pages of redb are whole units: this is for what it may do one day.
        let start = at - at % UNIT;
        let end = (at + rest.len() as u64).next_multiple_of(UNIT);
        let mut units = vec![0; (end - start) as usize];
        self.wait(disk.read_at(start, &mut units))?;
        let skip = (at - start) as usize;
        units[skip..skip + rest.len()].copy_from_slice(rest);
        self.wait(disk.write_at(start, &units))
    }
}

impl<W: Wait> Drop for Storage<W> {
    fn drop(&mut self) {
        if self.disk().is_ok() {
            // SAFETY: nobody uses it any more; and this is the thread that owns what it counts.
            unsafe { ManuallyDrop::drop(&mut self.disk) }
        }
    }
}

impl<W: Wait> fmt::Debug for Storage<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage of {} bytes", self.top.borrow().len)
    }
}

/// What a unit at the disk's beginning tells.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Top {
    /// Bytes of the database.
    len: u64,
    /// Times that a unit has been written.
    writes: u64,
    /// The database's first bytes.
    head: [u8; HEAD],
}

/// Where the head is in a unit, and behind it the checksum.
const HEAD_AT: usize = 24;
const SUM_AT: usize = HEAD_AT + HEAD;

impl Top {
    /// Of a disk that has no database.
    const NONE: Top = Top { len: 0, writes: 0, head: [0; HEAD] };

    fn emit(&self) -> Vec<u8> {
        let mut unit = vec![0; UNIT as usize];
        unit[..8].copy_from_slice(MAGIC);
        unit[8..16].copy_from_slice(&self.len.to_le_bytes());
        unit[16..24].copy_from_slice(&self.writes.to_le_bytes());
        unit[HEAD_AT..SUM_AT].copy_from_slice(&self.head);
        let sum = checksum(&unit[..SUM_AT]);
        unit[SUM_AT..SUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
        unit
    }

    /// Whether this is a unit, perhaps a torn one of which each sector ends somewhere, or zeros.
    fn may_be(unit: &[u8]) -> bool {
        let magic = unit.iter().zip(MAGIC).take_while(|(is, wanted)| is == wanted).count();
        is_empty(&unit[SUM_AT + 4..])
            && (magic == MAGIC.len() || is_empty(&unit[magic..SECTOR as usize]))
    }

    /// Nothing if the unit was torn, or never written.
    fn parse(unit: &[u8]) -> Option<Top> {
        let word =
            |at: usize| u64::from_le_bytes(unit[at..at + 8].try_into().expect("eight bytes"));
        let sum = &unit[SUM_AT..SUM_AT + 4];
        let whole = &unit[..8] == MAGIC && checksum(&unit[..SUM_AT]).to_le_bytes() == sum;
        let head = || unit[HEAD_AT..SUM_AT].try_into().expect("so many bytes");
        whole.then(|| Top { len: word(8), writes: word(16), head: head() })
    }
}

fn is_empty(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// CRC-32 (that of Ethernet).
fn checksum(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let (mut sum, mut bit) = (n as u32, 0);
            while bit < 8 {
                sum = (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
                bit += 1;
            }
            table[n] = sum;
            n += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| (sum >> 8) ^ TABLE[usize::from(sum as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_tells_is_read_again_unless_it_was_torn() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        let top = Top { len: 12345, writes: 7, head: [9; HEAD] };
        let mut unit = top.emit();
        assert_eq!(Top::parse(&unit), Some(top));
        for at in [0, 9, 17, HEAD_AT, 511, 512, SUM_AT - 1, SUM_AT] {
            unit[at] ^= 1;
            assert_eq!(Top::parse(&unit), None);
            unit[at] ^= 1;
        }
        assert_eq!(Top::parse(&[0; UNIT as usize]), None);
    }
}
