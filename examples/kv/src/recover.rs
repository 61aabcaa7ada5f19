//! Reading a log from a disk, whatever has happened to it.

use crate::format::{AREAS, BATCH_MAX, Batch, HEADER, Op, Super, UNIT};
use mirust::block::{Buffer, Disk};

/// Bytes that are read at a time.
const WINDOW: u64 = 1 << 20;

/// Where a log continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub generation: u64,
    /// The next batch: its number, its place on the disk, and the checksum of the one before it.
    pub number: u64,
    pub at: u64,
    pub previous: u32,
}

impl Place {
    fn is_next(&self, batch: &Batch) -> bool {
        batch.generation == self.generation
            && batch.number == self.number
            && batch.previous == self.previous
    }
}

/// How a log was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub place: Place,
    /// The valid superblock.
    pub block: Super,
    /// A description of what was cut off.
    pub word: Option<String>,
    /// Where that is: headers to be overwritten.
    pub behind: Vec<u64>,
}

/// Where the area of a generation begins, and where it ends.
pub fn area(disk: &Disk, generation: u64) -> (u64, u64) {
    let size = (disk.len().saturating_sub(AREAS) / 2) / UNIT * UNIT;
    let start = AREAS + generation % 2 * size;
    (start, start + size)
}

/// Reads a log and passes on its operations, in order. `Ok(None)` is a disk without one.
///
/// # Errors
///
/// If the disk cannot be read, or holds something else; if something is damaged that had been stable, since the store
/// would then be incomplete; and those of `apply`.
pub async fn recover(
    disk: &Disk,
    apply: &mut dyn FnMut(Op<'_>) -> Result<(), String>,
) -> Result<Option<Found>, String> {
    let Some(block) = newest(disk).await? else { return Ok(None) };
    let Super { generation, sealed, salt } = block;
    let (start, end) = area(disk, generation);
    let mut reader = Reader { disk, buffer: None, at: 0, end, salt };
    let mut place = Place { generation, number: 0, at: start, previous: salt };
    loop {
        let found = reader.batch(place.at).await?;
        let Some(batch) = found.filter(|batch| place.is_next(batch)) else { break };
        let mut ops = reader.ops(place.at, batch.len);
        while !ops.is_empty() {
            let damaged = || format!("batch {} makes no sense: another program's?", batch.number);
            apply(Op::take(&mut ops).ok_or_else(damaged)?)?;
        }
        place.number += 1;
        place.at += batch.size();
        place.previous = batch.sum;
    }
    if place.number < sealed {
        return Err(format!(
            "the log is damaged: of {sealed} batches that were stable, number {} cannot be read",
            place.number
        ));
    }
    let behind = torn_batches(&mut reader, &place).await?;
    let word = (!behind.is_empty()).then(|| {
        format!(
            "the log's tail was torn by a crash: cut off at batch {}, {} of which were never confirmed",
            place.number,
            behind.len()
        )
    });
    Ok(Some(Found { place, block, word, behind }))
}

/// Where batches lie from the end of the log on: those that a crash has torn, none of which had been confirmed.
///
/// # Errors
///
/// A batch that lies behind says that more of them were stable when it was written: so this is not the end of the log,
/// but a hole in it.
async fn torn_batches(reader: &mut Reader<'_>, place: &Place) -> Result<Vec<u64>, String> {
    let mut behind = Vec::new();
    let mut at = place.at;
    let limit = reader.end.min(place.at + BATCH_MAX as u64 + WINDOW);
    while at < limit {
        let step = match reader.batch(at).await? {
            Some(batch) if batch.generation == place.generation && batch.number > place.number => {
                if batch.stable > place.number {
                    return Err(format!(
                        "the log is damaged: batch {} cannot be read, and number {} behind it says that it \
                         was stable",
                        place.number, batch.number
                    ));
                }
                behind.push(at);
                batch.size()
            }
            _ => UNIT,
        };
        at += step;
    }
    // A torn batch at the very end is recognised by its header.
    if reader.header(place.at).await?.is_some_and(|batch| place.is_next(&batch)) {
        behind.push(place.at);
    }
    Ok(behind)
}

/// The valid superblock. `None` on an unused disk.
async fn newest(disk: &Disk) -> Result<Option<Super>, String> {
    let mut found: Option<Super> = None;
    let mut is_free = true;
    for unit in 0..4 {
        let mut bytes = vec![0; UNIT as usize];
        disk.read_at(unit * UNIT, &mut bytes).await.map_err(|error| error.to_string())?;
        let block = Super::parse(&bytes)?.filter(|block| block.generation % 2 == unit / 2);
        // A crash can only have torn the very first one, which is the first copy of generation 1.
        is_free &=
            if unit == 2 { Super::is_free(&bytes) } else { bytes.iter().all(|byte| *byte == 0) };
        found = match (found, block) {
            (Some(old), Some(new)) if new.generation < old.generation => Some(old),
            (old, new) => new.or(old),
        };
    }
    if found.is_none() && !is_free {
        return Err("the disk holds something else, or a log whose superblocks are damaged; to have it used, \
                    fill its first 16 KiB with zeros"
            .into());
    }
    Ok(found)
}

/// Reads a disk through a window.
struct Reader<'a> {
    disk: &'a Disk,
    buffer: Option<Buffer>,
    /// Where the window begins.
    at: u64,
    end: u64,
    salt: u32,
}

impl Reader<'_> {
    /// Makes the window cover `len` bytes from `at` on, if the area has that many.
    async fn cover(&mut self, at: u64, len: u64) -> Result<bool, String> {
        if at + len > self.end {
            return Ok(false);
        }
        let covered = |buffer: &Buffer| self.at <= at && at + len <= self.at + buffer.len() as u64;
        if self.buffer.as_ref().is_some_and(covered) {
            return Ok(true);
        }
        let size = len.next_multiple_of(UNIT).max(WINDOW).min(self.end - at) as usize;
        let buffer = match self.buffer.take() {
            Some(mut buffer) if buffer.capacity() >= size => {
                buffer.set_len(size);
                buffer
            }
            _ => Buffer::new(size).map_err(|_| "no memory to read the log".to_string())?,
        };
        let buffer = self.disk.read(at, buffer).await.map_err(|error| error.to_string())?;
        (self.buffer, self.at) = (Some(buffer), at);
        Ok(true)
    }

    fn bytes(&self, at: u64, len: usize) -> &[u8] {
        let skip = (at - self.at) as usize;
        &self.buffer.as_ref().expect("covered")[skip..skip + len]
    }

    /// The header at `at`, if there is one.
    async fn header(&mut self, at: u64) -> Result<Option<Batch>, String> {
        if !self.cover(at, UNIT).await? {
            return Ok(None);
        }
        Ok(Batch::parse(self.bytes(at, HEADER)))
    }

    /// The batch at `at`, if it is complete.
    async fn batch(&mut self, at: u64) -> Result<Option<Batch>, String> {
        let Some(batch) = self.header(at).await? else { return Ok(None) };
        if !self.cover(at, batch.size()).await? {
            return Ok(None);
        }
        Ok(batch.is_whole(self.salt, self.bytes(at, HEADER + batch.len)).then_some(batch))
    }

    /// The operations of the batch that was just found at `at`.
    fn ops(&self, at: u64, len: usize) -> &[u8] {
        &self.bytes(at, HEADER + len)[HEADER..]
    }
}
