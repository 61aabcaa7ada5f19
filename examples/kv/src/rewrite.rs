//! The log being written anew.

use crate::format::Op;
use crate::log::{Log, OPS_MAX};
use crate::recover::{Place, area};
use crate::writer::{salt, write};

/// Bytes of the store that go into a batch.
const PIECE: usize = 256 << 10;

/// A new log, in the area that is not in use.
pub(crate) struct Rewrite {
    pub place: Place,
    pub salt: u32,
    /// Keys that it still has to write.
    keys: Vec<Vec<u8>>,
    /// How many had been asked for when it began.
    pub asked: u64,
}

impl Rewrite {
    /// Begins one that follows the log at `place`.
    pub fn new(log: &Log, place: &Place, asked: u64) -> Result<Rewrite, String> {
        let generation = place.generation + 1;
        let (salt, at) = (salt(), area(&log.disk, generation).0);
        let place = Place { generation, number: 0, at, previous: salt };
        let map = log.map.borrow();
        let mut keys = Vec::new();
        keys.try_reserve_exact(map.len()).map_err(no_memory)?;
        for key in map.keys() {
            let mut copy = Vec::new();
            copy.try_reserve_exact(key.len()).map_err(no_memory)?;
            copy.extend_from_slice(key);
            keys.push(copy);
        }
        Ok(Rewrite { place, salt, keys, asked })
    }

    /// Whether the last piece of the store has been taken.
    pub fn is_last(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes the next piece of the store. Without memory for it, nothing is taken.
    pub fn piece(&mut self, log: &Log) -> Result<Vec<u8>, String> {
        let map = log.map.borrow();
        // It may have been deleted since, and that was noted.
        let ops = self.keys.iter().rev().map(|key| map.get(key).map(|value| Op::Set(key, value)));
        let (mut size, mut many) = (0, 0);
        for op in ops.clone() {
            if size >= PIECE {
                break;
            }
            size += op.map_or(0, |op| op.size());
            many += 1;
        }
        let mut piece = Vec::new();
        piece.try_reserve_exact(size).map_err(no_memory)?;
        ops.take(many).flatten().for_each(|op| op.emit(&mut piece));
        self.keys.truncate(self.keys.len() - many);
        Ok(piece)
    }

    /// Writes operations, and behind them a piece of the store: that is newer.
    pub async fn write(&mut self, log: &Log, ops: &[u8], piece: &[u8]) -> Result<(), String> {
        if ops.len() + piece.len() <= OPS_MAX {
            return self.write_batch(log, &[ops, piece]).await;
        }
        self.write_batch(log, &[ops]).await?;
        self.write_batch(log, &[piece]).await
    }

    async fn write_batch(&mut self, log: &Log, ops: &[&[u8]]) -> Result<(), String> {
        if !self.place.has_room(&log.disk, ops.iter().map(|part| part.len()).sum()) {
            return Err("the disk is full: the store is larger than half of it".into());
        }
        write(log, &mut self.place, self.salt, 0, ops).await
    }
}

fn no_memory<E>(_: E) -> String {
    "no memory to write the log anew".into()
}
