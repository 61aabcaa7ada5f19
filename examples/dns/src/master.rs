//! Master files (RFC 1035 section 5): text to records.

use crate::name;
use crate::rdata::{self, Word};

/// A record of a zone, in the Internet class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose it is, in the file's spelling.
    pub owner: Vec<u8>,
    /// Its type, by number.
    pub kind: u16,
    /// Seconds.
    pub ttl: u32,
    /// Its data, as in a message, names uncompressed.
    pub data: Vec<u8>,
}

/// The records of a file, in its order, and their lines. `origin` is what relative names begin with;
/// `$ORIGIN` changes it, `$TTL` is the time to live of records that have none, and before it that of the
/// record before. There is no `$INCLUDE`.
///
/// # Errors
///
/// The line, and what is wrong with it.
pub fn parse(text: &str, origin: &[u8]) -> Result<Vec<(usize, Record)>, String> {
    let mut reader = Reader { origin: origin.to_vec(), owner: None, ttl: None, last_ttl: None };
    let mut records = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let at = |message: String| format!("line {}: {message}", index + 1);
        let mut entry = Entry { indented: line.starts_with([' ', '\t']), ..Entry::default() };
        entry.take(line).map_err(at)?;
        while entry.open {
            let (_, line) = lines.next().ok_or_else(|| at("no closing parenthesis".into()))?;
            entry.take(line).map_err(at)?;
        }
        if let Some(record) = reader.read(&entry).map_err(at)? {
            records.push((index + 1, record));
        }
    }
    Ok(records)
}

/// The words of a line, or of several that parentheses join.
#[derive(Default)]
struct Entry {
    indented: bool,
    words: Vec<Word>,
    open: bool,
}

impl Entry {
    /// Takes the words of one more line.
    fn take(&mut self, line: &str) -> Result<(), String> {
        let mut rest = line.as_bytes();
        while let [first, after @ ..] = rest {
            rest = match first {
                b' ' | b'\t' | b'\r' => after,
                b';' => return Ok(()),
                b'(' | b')' => {
                    if self.open == (*first == b'(') {
                        return Err("parentheses do not match".into());
                    }
                    self.open = !self.open;
                    after
                }
                b'"' => {
                    let end = end_of(after, |b| b == b'"');
                    let after_quote = after.get(end + 1..).ok_or("no closing quote")?;
                    self.words.push(Word { text: after[..end].to_vec(), quoted: true });
                    after_quote
                }
                _ => {
                    let end = end_of(rest, |b| b" \t\r;()\"".contains(&b));
                    self.words.push(Word { text: rest[..end].to_vec(), quoted: false });
                    &rest[end..]
                }
            };
        }
        Ok(())
    }
}

/// Where the first byte is that `ends` a word and has no backslash before it.
fn end_of(text: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    while at < text.len() && !ends(text[at]) {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

/// What one record takes over from those before it.
struct Reader {
    origin: Vec<u8>,
    owner: Option<Vec<u8>>,
    ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl Reader {
    /// The record of an entry, if it is one.
    fn read(&mut self, entry: &Entry) -> Result<Option<Record>, String> {
        let mut words = entry.words.as_slice();
        let Some(first) = words.first() else { return Ok(None) };
        if !first.quoted && first.text.starts_with(b"$") {
            self.directive(words)?;
            return Ok(None);
        }
        if !entry.indented {
            self.owner = Some(name::parse(&first.text, &self.origin)?);
            words = &words[1..];
        }
        let owner = self.owner.clone().ok_or("the first record has no owner")?;
        let mut ttl = None;
        // A time to live and a class, in either order.
        while let [word, rest @ ..] = words {
            if word.is("IN") {
                words = rest;
            } else if let (None, Some(seconds)) = (ttl, word.seconds()) {
                (ttl, words) = (Some(seconds), rest);
            } else {
                break;
            }
        }
        let ttl = ttl.or(self.ttl).or(self.last_ttl).ok_or("no time to live")?;
        self.last_ttl = Some(ttl);
        let (kind, data) = words.split_first().ok_or("no type")?;
        let (kind, data) = rdata::parse(kind, data, &self.origin)?;
        Ok(Some(Record { owner, kind, ttl, data }))
    }

    fn directive(&mut self, words: &[Word]) -> Result<(), String> {
        match words {
            [name, origin] if name.is("$ORIGIN") => {
                self.origin = name::parse(&origin.text, &self.origin)?;
            }
            [name, ttl] if name.is("$TTL") => {
                self.ttl = Some(ttl.seconds().ok_or("not a time to live")?);
            }
            _ => return Err("not a directive that is known".into()),
        }
        Ok(())
    }
}
