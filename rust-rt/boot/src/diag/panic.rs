//! The last Rust panic, for the report of an abort that follows from it.

use core::fmt::{self, Write};
use spin::Mutex;

/// Bytes that are kept of a message; the rest is cut off.
const KEPT: usize = 200;

/// The beginning of a message.
#[derive(Clone, Copy)]
struct Message {
    text: [u8; KEPT],
    len: usize,
}

const NONE: Message = Message { text: [0; KEPT], len: 0 };

static LAST: Mutex<Message> = Mutex::new(NONE);

impl Write for Message {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(KEPT - self.len);
        self.text[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cut may have split the last character.
        self.text[..self.len].utf8_chunks().try_for_each(|chunk| f.write_str(chunk.valid()))
    }
}

/// Remembers a panic's message and place. For the panic hook, before anybody can know whether the
/// panic will be caught: if the program aborts later on, the report names the last one.
pub fn note_panic(message: fmt::Arguments<'_>) {
    let mut new = NONE;
    let _ = new.write_fmt(message);
    // Taken already only if an exception interrupted this function: then that is the news.
    if let Some(mut last) = LAST.try_lock() {
        *last = new;
    }
}

/// The last panic's message and place.
#[cfg(any(all(feature = "image", feature = "libc"), test))]
pub(crate) fn last_panic() -> Option<impl fmt::Display> {
    LAST.try_lock().map(|last| *last).filter(|message| message.len > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn long_messages_are_cut_between_characters() {
        note_panic(format_args!("{}ä tail", "x".repeat(KEPT - 1)));
        assert_eq!(last_panic().unwrap().to_string(), "x".repeat(KEPT - 1));
        note_panic(format_args!("{} at {}", "short", 7));
        assert_eq!(last_panic().unwrap().to_string(), "short at 7");
    }
}
