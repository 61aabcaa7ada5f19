//! The Rust side of kv. OCaml owns the store, and calls its methods as plain functions.

mod format;
mod keyed;
mod log;
mod recover;
mod rewrite;
mod writer;

use format::Op;
use log::{Fsync, Log, Map};
use mirust::time::{Duration, sleep};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// A store of values by keys, both arbitrary bytes, within its share of the memory. Running out of memory never ends
/// the domain. With a disk, it keeps a log there.
pub struct Store {
    values: Rc<RefCell<Map>>,
    /// Bytes of keys and values, including overhead.
    held: Cell<usize>,
    limit: Cell<usize>,
    log: OnceCell<Rc<Log>>,
}

/// The overhead of an entry: two vectors, their blocks, and a place in the table while that grows.
const OVERHEAD: usize = 160;

/// Bytes that a value's memory may have too many, so that a value of another length finds room there.
const IDLE: usize = 16;

/// The answer when the store is full, as in Redis.
const FULL: &str = "OOM command not allowed when used memory > 'maxmemory'";

/// A copy, if there is memory for it.
fn copy(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| FULL.to_owned())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// The number that these bytes are in decimal, as it is printed: nothing else would come back the same.
fn number(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let as_printed = text == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    as_printed.then(|| text.parse().ok()).flatten()
}

/// A word of a request.
fn part(request: &[u8], at: isize, length: isize) -> &[u8] {
    &request[at as usize..][..length as usize]
}

/// Writes a bulk string of RESP, or that there is none, to the beginning of `out`. Returns how many bytes it has, as the
/// error if that is more than there is room for.
fn bulk(value: Option<&[u8]>, out: &mut [u8]) -> Result<usize, usize> {
    const LINE_END: &[u8; 2] = b"\r\n";
    let Some(value) = value else {
        let none = b"$-1\r\n";
        out.get_mut(..none.len()).ok_or(none.len())?.copy_from_slice(none);
        return Ok(none.len());
    };
    let digits = 1 + value.len().checked_ilog10().unwrap_or(0) as usize;
    let needed = 1 + digits + value.len() + 2 * LINE_END.len();
    let (first, rest) = out.get_mut(..needed).ok_or(needed)?.split_at_mut(1 + digits);
    first[0] = b'$';
    let mut left = value.len();
    for digit in first[1..].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let (first_end, rest) = rest.split_at_mut(LINE_END.len());
    let (body, last_end) = rest.split_at_mut(value.len());
    first_end.copy_from_slice(LINE_END);
    body.copy_from_slice(value);
    last_end.copy_from_slice(LINE_END);
    Ok(needed)
}

#[mirust::export]
impl Store {
    /// An empty store, for this many bytes.
    fn new(limit: isize) -> Store {
        let limit = Cell::new(limit.max(0) as usize);
        Store { values: Rc::default(), held: Cell::new(0), limit, log: OnceCell::new() }
    }

    /// Changes the limit; what is stored beyond it stays.
    fn set_limit(&self, limit: isize) {
        self.limit.set(limit.max(0) as usize);
        if let Some(log) = self.log.get() {
            log.set_share(self.limit.get());
        }
    }

    /// Reads the log of a disk, and continues it: call it once, while the store is empty. `fsync` is Redis's
    /// `appendfsync`: `always`, `everysec` or `no`. The text says what was found.
    async fn open(self: Rc<Self>, disk: String, fsync: String) -> Result<String, String> {
        let fsync = Fsync::parse(&fsync)
            .ok_or_else(|| format!("appendfsync is always, everysec or no, not {fsync:?}"))?;
        let disk = mirust::block::open(&disk).map_err(|error| error.to_string())?;
        let apply = &mut |op: Op<'_>| self.apply(op);
        let (log, writer, word) = Log::open(disk, self.values.clone(), fsync, apply).await?;
        let log = Rc::new(log);
        log.set_share(self.limit.get());
        if self.log.set(log.clone()).is_err() {
            return Err("the store has a log already".into());
        }
        let (writing, ticking) = (log.clone(), log.clone());
        mirust::spawn(async move { writing.run(writer).await });
        mirust::spawn(async move {
            loop {
                sleep(Duration::from_millis(500)).await;
                ticking.tick();
            }
        });
        let found = format!("{} keys, {} bytes of log", self.length(), log.stats.size.get());
        Ok(word.map_or(found.clone(), |word| format!("{found}; {word}")))
    }

    /// Writes the value of a key to where it is sent from, as a bulk string of RESP: to `out` from `at` on. The key is
    /// `length` bytes of `request`, from `key` on. Returns where the string ends; or, if there is no room for it, how
    /// many bytes it has, as a negative number.
    #[mirust::export(noalloc)]
    fn get(
        &self,
        #[ocaml(bytes)] request: &[u8],
        key: isize,
        length: isize,
        #[ocaml(bigarray)] out: &mut [u8],
        at: isize,
    ) -> isize {
        let values = self.values.borrow();
        let value = values.get(part(request, key, length)).map(Vec::as_slice);
        match bulk(value, &mut out[at as usize..]) {
            Ok(written) => at + written as isize,
            Err(needed) => -(needed as isize),
        }
    }

    /// The length of the value of `key`; -1 if there is none.
    fn size(&self, key: &[u8]) -> isize {
        self.values.borrow().get(key).map_or(-1, |value| value.len() as isize)
    }

    /// Sets a key to a value, both parts of `request`. Returns 0; 1 if the store is full; 2 if its disk has failed, and
    /// nothing is changed any more.
    #[mirust::export(noalloc)]
    fn set(
        &self,
        #[ocaml(bytes)] request: &[u8],
        key: isize,
        key_length: isize,
        value: isize,
        value_length: isize,
    ) -> isize {
        if self.has_failed() {
            return 2;
        }
        let (key, value) = (part(request, key, key_length), part(request, value, value_length));
        isize::from(self.put(key, value, self.limit.get()).is_err())
    }

    /// Deletes `key`. Returns whether it existed.
    fn delete(&self, key: &[u8]) -> Result<bool, String> {
        let mut values = self.values.borrow_mut();
        if !values.contains_key(key) {
            return Ok(false);
        }
        self.note(Op::Delete(key))?;
        if let Some(value) = values.remove(key) {
            self.held.set(self.held.get() - value.len() - key.len() - OVERHEAD);
        }
        Ok(true)
    }

    /// Adds a decimal number to another one, which is 0 if the key does not exist, or takes it away (`down`), and returns
    /// the sum.
    fn increment(&self, key: &[u8], by: &[u8], down: bool) -> Result<i64, String> {
        let by = number(by).and_then(|by| if down { by.checked_neg() } else { Some(by) });
        let old = self.values.borrow().get(key).map_or(Some(0), |value| number(value));
        let sum = old.zip(by).and_then(|(old, by)| old.checked_add(by));
        let sum = sum.ok_or("ERR value is not an integer or out of range")?;
        self.put(key, sum.to_string().as_bytes(), self.limit.get())?;
        Ok(sum)
    }

    /// Bytes of keys and values, including overhead.
    fn used_memory(&self) -> isize {
        self.held.get() as isize
    }

    /// Bytes that they may have.
    fn max_memory(&self) -> isize {
        self.limit.get() as isize
    }

    /// The number of keys.
    fn length(&self) -> isize {
        self.values.borrow().len() as isize
    }

    /// Deletes everything.
    fn clear(&self) -> Result<(), String> {
        self.note(Op::Clear)?;
        *self.values.borrow_mut() = Map::default();
        self.held.set(0);
        Ok(())
    }

    /// Whether everything up to now is as safe as `appendfsync` says: replies may go out.
    #[mirust::export(noalloc)]
    fn is_settled(&self) -> bool {
        self.log.get().is_none_or(|log| log.is_settled())
    }

    /// Waits until it is safe.
    async fn settle(self: Rc<Self>) -> Result<(), String> {
        match self.log.get() {
            Some(log) => log.commit().await,
            None => Ok(()),
        }
    }

    /// Whether the store cannot be changed any more: its disk has failed, or is full.
    #[mirust::export(noalloc)]
    fn has_failed(&self) -> bool {
        self.log.get().is_some_and(|log| log.has_failed())
    }

    /// Why it cannot be changed, if it cannot.
    fn failure(&self) -> Option<String> {
        self.log.get().and_then(|log| log.failure())
    }

    /// Starts rewriting the log in the background. `Ok(false)` if that is already in progress.
    fn rewrite(&self) -> Result<bool, String> {
        self.log.get().map(|log| log.rewrite()).ok_or_else(no_disk)
    }

    /// Rewrites the log, and waits for that.
    async fn save(self: Rc<Self>) -> Result<(), String> {
        self.log.get().ok_or_else(no_disk)?.save().await
    }

    /// Makes everything stable, whatever `appendfsync` says.
    async fn sync(self: Rc<Self>) -> Result<(), String> {
        match self.log.get() {
            Some(log) => log.sync().await,
            None => Ok(()),
        }
    }

    /// When the log was last rewritten, in seconds since 1970, as reported by `LASTSAVE`.
    fn saved_at(&self) -> isize {
        self.log.get().map_or(0, |log| log.stats.saved_at.get() as isize)
    }

    /// The section `Persistence` of redis's `INFO`.
    fn persistence(&self) -> String {
        let Some(log) = self.log.get() else {
            return "loading:0\r\naof_enabled:0\r\n".into();
        };
        let stats = &log.stats;
        let rewriting = u8::from(stats.rewriting.get());
        let rewritten = if log.is_last_rewrite_ok() { "ok" } else { "err" };
        let status = if log.failure().is_some() { "err" } else { "ok" };
        format!(
            "loading:0\r\naof_enabled:1\r\naof_rewrite_in_progress:{rewriting}\r\n\
             rdb_bgsave_in_progress:{rewriting}\r\naof_last_write_status:{status}\r\n\
             rdb_last_save_time:{}\r\naof_last_bgrewrite_status:{rewritten}\r\n\
             aof_current_size:{}\r\naof_base_size:{}\r\naof_rewrites:{}\r\naof_batches:{}\r\n\
             aof_flushes:{}\r\naof_pending_operations:{}\r\n",
            stats.saved_at.get(),
            stats.size.get(),
            stats.base.get(),
            stats.rewrites.get(),
            stats.batches.get(),
            stats.flushes.get(),
            log.unstable(),
        )
    }
}

fn no_disk() -> String {
    "there is no disk: start it with --disk=data:DEVICE".into()
}

impl Store {
    /// Sets `key` to `value`, if the store then has no more than `limit` bytes.
    fn put(&self, key: &[u8], value: &[u8], limit: usize) -> Result<(), String> {
        let mut values = self.values.borrow_mut();
        let held = self.held.get() + value.len();
        match values.get_mut(key) {
            Some(slot) => {
                let held = held - slot.len();
                if held > limit {
                    return Err(FULL.to_owned());
                }
                if (value.len()..=value.len() + IDLE).contains(&slot.capacity()) {
                    self.note(Op::Set(key, value))?;
                    slot.clear();
                    slot.extend_from_slice(value);
                } else {
                    let copy = copy(value)?;
                    self.note(Op::Set(key, value))?;
                    *slot = copy;
                }
                self.held.set(held);
            }
            None => {
                let held = held + key.len() + OVERHEAD;
                if held > limit {
                    return Err(FULL.to_owned());
                }
                let (owned, copy) = (copy(key)?, copy(value)?);
                values.try_reserve(1).map_err(|_| FULL.to_owned())?;
                self.note(Op::Set(key, value))?;
                values.insert(owned, copy);
                self.held.set(held);
            }
        }
        Ok(())
    }

    /// Replays an operation from the log. In a rewritten log a piece of the store may be newer than what is around
    /// it, so that for a moment there is more data than there ever was.
    fn apply(&self, op: Op<'_>) -> Result<(), String> {
        match op {
            Op::Set(key, value) => {
                let limit = self.limit.get() + self.limit.get() / 4;
                self.put(key, value, limit).map_err(|_| {
                    format!("its store is larger than {limit} bytes: give the domain more memory")
                })?
            }
            Op::Delete(key) => drop(self.delete(key)?),
            Op::Clear => self.clear()?,
        }
        Ok(())
    }

    /// Records a change that follows at once. Without memory for that there must be none.
    fn note(&self, op: Op<'_>) -> Result<(), String> {
        match self.log.get() {
            Some(log) => log.note(op).map_err(|_| FULL.to_owned()),
            None => Ok(()),
        }
    }
}
