//! When memory is so short that connections have to be reset, and which ones.
//!
//! A program may keep what it reads for as long as a client sends, in a buffer that doubles: hyper does so with the
//! head of a request, up to 400 KB. One such client is harmless, but a hundred of them need more than a small domain
//! has, and an infallible allocation then ends it. What a program keeps of each client cannot be seen from here, but it
//! was read from a connection and has not been answered yet. So when memory is nearly used up, the connection that has
//! read the most since it last wrote is reset, and the program frees what it kept of it.
//!
//! This module has the arithmetic; [`places`](super::places) has the connections.

/// A connection that has read less than this many bytes since it last wrote is never reset, and costs no bookkeeping:
/// heads of requests, and most bodies, are shorter.
pub(super) const LITTLE: u64 = 8 * 1024;

/// Memory is short when less than this part of it is free. It has to last until a connection's owner had a turn: for
/// what those take that have read little, for what the stack receives meanwhile, and for one buffer that doubles.
pub(super) const KEPT: u64 = 8;
/// At least this part, where the program itself leaves less than twice of [`KEPT`].
const KEPT_AT_LEAST: u64 = 16;

/// For this many seconds the most memory that was free is remembered, even if less is free later, since clients may be
/// using the rest.
const MEMORY_LASTS: u64 = 600;

/// Seconds between two lines about it on the console.
const SECONDS_BETWEEN_LINES: u64 = 10;

/// What there is of memory, in bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Memory {
    /// All of it; 0 in a process, whose memory is the kernel's.
    pub(super) total: u64,
    /// Free bytes that may be allocated.
    pub(super) free: u64,
    /// In one piece.
    pub(super) run: u64,
}

/// What is known of the connections that have read much.
pub(super) struct Shortage {
    /// How many there are that can be reset.
    readers: usize,
    /// The memory when there was none, and when that was: what was not free then is not theirs.
    before: Memory,
    noted: u64,
    /// Resets since the last line on the console, and when that was, in seconds since boot.
    resets: u64,
    said: Option<u64>,
}

impl Shortage {
    pub(super) const fn new() -> Self {
        let before = Memory { total: 0, free: 0, run: 0 };
        Shortage { readers: 0, before, noted: 0, resets: 0, said: None }
    }

    /// Notes how much is free while nobody has read much; `seconds` since boot.
    pub(super) fn note(&mut self, memory: impl FnOnce() -> Memory, seconds: u64) {
        if self.readers > 0 {
            return;
        }
        let memory = memory();
        if memory.free >= self.before.free || seconds >= self.noted + MEMORY_LASTS {
            (self.before, self.noted) = (memory, seconds);
        }
    }

    /// One more connection has read much since it last wrote.
    pub(super) fn came(&mut self) {
        self.readers += 1;
    }

    /// One fewer: it wrote, was reset, or is gone.
    pub(super) fn went(&mut self) {
        self.readers = self.readers.saturating_sub(1);
    }

    /// Whether any connection has read so much that resetting it could free memory.
    pub(super) fn has_readers(&self) -> bool {
        self.readers > 0
    }

    /// How much is to stay free. A program that uses nearly all memory for other things leaves little to start with,
    /// and clients may have half of that.
    fn kept(&self, now: Memory) -> u64 {
        (self.before.free / 2).clamp(now.total / KEPT_AT_LEAST, now.total / KEPT)
    }

    /// Whether memory is too short for a connection that has read `read` bytes to read on, or, with 0, for a newcomer.
    pub(super) fn is_short(&self, now: Memory, read: u64) -> bool {
        if self.readers == 0 || now.total == 0 {
            return false;
        }
        let kept = self.kept(now);
        // The buffer that these bytes are copied to when theirs has become too small.
        let next = (2 * read.min(now.total)).next_power_of_two();
        now.free < kept || now.run < next.min(kept / 2).min(self.before.run / 2)
    }

    /// Counts a reset. Returns the number of resets if it is time for a [`line`] on the console.
    pub(super) fn count(&mut self, seconds: u64) -> Option<u64> {
        self.resets += 1;
        if self.said.is_some_and(|said| seconds < said + SECONDS_BETWEEN_LINES) {
            return None;
        }
        self.said = Some(seconds);
        Some(std::mem::take(&mut self.resets))
    }
}

/// The connection to reset, given how many bytes each has read since it last wrote.
pub(super) fn chosen<T>(connections: impl Iterator<Item = (T, u64)>) -> Option<(T, u64)> {
    connections.filter(|&(_, read)| read >= LITTLE).max_by_key(|&(_, read)| read)
}

/// The line for the console: why, how often, and what to do.
pub(super) fn line(now: Memory, resets: u64, read: u64, variable: &str) -> String {
    let kib = |bytes: u64| bytes / 1024;
    format!(
        "memory is nearly used up ({} of {} KiB free): {resets} connection(s) reset that sent more than others and were not \
         answered, the last after {} KiB; give the domain more by memory= in its configuration, or admit fewer \
         clients by {variable}=N on its command line",
        kib(now.free),
        kib(now.total),
        kib(read),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;

    fn memory(total: u64, free: u64) -> Memory {
        Memory { total, free, run: free }
    }

    fn with_reader(before: Memory) -> Shortage {
        let mut shortage = Shortage::new();
        shortage.note(|| before, 0);
        shortage.came();
        shortage
    }

    /// A connection as hyper treats it: what was read of a head is kept, in a buffer that doubles.
    #[derive(Clone, Copy, Default)]
    struct Client {
        read: u64,
        buffer: u64,
    }

    /// A domain in which every client sends a head without an end, all at the same pace. Returns the least that was
    /// ever free, or nothing if an allocation failed, and how many were reset.
    fn flood(total: u64, free: u64, heeded: bool) -> (Option<u64>, usize) {
        let mut clients = vec![Client::default(); (total / (320 * KIB)) as usize];
        let (mut shortage, mut now) = (Shortage::new(), memory(total, free));
        shortage.note(|| now, 0);
        let (mut least, mut resets) = (free, 0);
        for _ in 0..400 {
            for client in &mut clients {
                if client.read >= 400 * KIB
                    || client.read >= LITTLE && heeded && shortage.is_short(now, client.read)
                {
                    continue;
                }
                if client.read + 8 * KIB > client.buffer {
                    // The new buffer is there before the old one goes.
                    let next = (2 * client.buffer).max(16 * KIB);
                    let Some(rest) = now.free.checked_sub(next) else { return (None, resets) };
                    least = least.min(rest);
                    now = memory(total, rest + client.buffer);
                    client.buffer = next;
                }
                client.read += 8 * KIB;
                if client.read == LITTLE {
                    shortage.came();
                }
            }
            let all = clients.iter_mut().map(|client| {
                let read = client.read;
                (client, read)
            });
            match chosen(all) {
                Some((client, read)) if heeded && shortage.is_short(now, read) => {
                    now = memory(total, now.free + client.buffer);
                    // Somebody else comes at once.
                    *client = Client::default();
                    shortage.went();
                    resets += 1;
                }
                _ => {}
            }
        }
        (Some(least), resets)
    }

    #[test]
    fn clients_that_send_without_end_do_not_use_up_the_memory() {
        for (total, free) in [(64, 54), (32, 22), (128, 110)] {
            let (total, free) = (total * MIB, free * MIB);
            assert_eq!(flood(total, free, false).0, None, "without the limit it would be used up");
            let (least, resets) = flood(total, free, true);
            assert!(least.is_some_and(|least| least >= total / 32), "{least:?} of {total}");
            assert!(resets > 0);
        }
    }

    #[test]
    fn who_has_read_little_is_never_chosen() {
        assert_eq!(chosen([("a", 0), ("b", LITTLE - 1)].into_iter()), None);
        let all = [("a", 0), ("b", LITTLE), ("c", 9 * LITTLE), ("d", 2 * LITTLE)];
        assert_eq!(chosen(all.into_iter()), Some(("c", 9 * LITTLE)));
    }

    #[test]
    fn an_eighth_is_kept() {
        let shortage = with_reader(memory(64 * MIB, 56 * MIB));
        assert!(!shortage.is_short(memory(64 * MIB, 8 * MIB), LITTLE));
        assert!(shortage.is_short(memory(64 * MIB, 8 * MIB - 1), LITTLE));
        assert!(shortage.is_short(memory(64 * MIB, 8 * MIB - 1), 0), "newcomers wait too");
    }

    #[test]
    fn a_program_that_uses_nearly_all_for_other_things_still_gets_uploads() {
        let shortage = with_reader(memory(64 * MIB, 7 * MIB));
        assert!(!shortage.is_short(memory(64 * MIB, 5 * MIB), MIB));
        // Not without end.
        assert!(shortage.is_short(memory(64 * MIB, 4 * MIB - 1), MIB));
    }

    #[test]
    fn what_was_free_is_noted_while_nobody_has_read_much() {
        let mut shortage = with_reader(memory(64 * MIB, 56 * MIB));
        shortage.note(|| unreachable!("somebody has"), 2 * MEMORY_LASTS);
        shortage.went();
        assert!(!shortage.has_readers());
        assert!(!shortage.is_short(memory(64 * MIB, 0), 0), "nobody to take it from");
        // It may be clients that have taken it, or the program for good.
        let now = || memory(64 * MIB, 10 * MIB);
        for (seconds, is_short) in [(MEMORY_LASTS - 1, true), (MEMORY_LASTS, false)] {
            shortage.note(now, seconds);
            shortage.came();
            assert_eq!(shortage.is_short(memory(64 * MIB, 6 * MIB), LITTLE), is_short);
            shortage.went();
        }
        shortage.note(|| memory(64 * MIB, 56 * MIB), MEMORY_LASTS + 1);
        shortage.came();
        assert!(shortage.is_short(memory(64 * MIB, 6 * MIB), LITTLE), "there is more again");
    }

    #[test]
    fn the_next_buffer_has_to_fit_in_one_piece() {
        let shortage = with_reader(memory(64 * MIB, 56 * MIB));
        let in_pieces = |run| Memory { total: 64 * MIB, free: 20 * MIB, run };
        assert!(!shortage.is_short(in_pieces(512 * KIB), 256 * KIB));
        assert!(shortage.is_short(in_pieces(512 * KIB - 1), 256 * KIB));
        assert!(!shortage.is_short(in_pieces(64 * KIB), 32 * KIB));
        // Of a long upload most is not kept.
        assert!(!shortage.is_short(in_pieces(4 * MIB), u64::MAX));
    }

    #[test]
    fn a_process_has_the_memory_of_its_kernel() {
        let shortage = with_reader(Memory::default());
        assert!(!shortage.is_short(Memory::default(), u64::MAX));
    }

    #[test]
    fn the_console_is_told_now_and_then() {
        let mut shortage = Shortage::new();
        assert_eq!(shortage.count(100), Some(1));
        assert_eq!(shortage.count(100), None);
        assert_eq!(shortage.count(100 + SECONDS_BETWEEN_LINES - 1), None);
        assert_eq!(shortage.count(100 + SECONDS_BETWEEN_LINES), Some(3));
        let line = line(memory(64 * MIB, 7 * MIB), 3, 300 * KIB, "NUMBER");
        for part in ["7168 of 65536 KiB", "3 connection", "300 KiB", "memory=", "NUMBER=N"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}
