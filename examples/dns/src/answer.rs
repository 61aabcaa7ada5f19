//! Answers, as the OCaml side takes them.

/// A part of a message.
#[derive(Clone, Copy)]
pub enum Part {
    /// The answer proper.
    Answer,
    /// Name servers that know more, or the SOA record, which says how long a negative answer may be cached.
    Authority,
    /// What will be asked next.
    Additional,
}

/// An answer to a question.
pub struct Answer {
    /// Whether it is the word of the zone itself.
    pub authoritative: bool,
    /// RFC 1035 section 4.1.1.
    pub rcode: u8,
    /// How many records each part has, and their bytes.
    parts: [(u16, Vec<u8>); 3],
}

impl Answer {
    /// There is nothing wrong.
    pub const NO_ERROR: u8 = 0;
    /// The question makes no sense.
    pub const FORMAT_ERROR: u8 = 1;
    /// There is no such name.
    pub const NO_SUCH_NAME: u8 = 3;
    /// The name is not ours.
    pub const REFUSED: u8 = 5;

    /// An answer without records so far.
    pub fn new(authoritative: bool, rcode: u8) -> Self {
        Answer { authoritative, rcode, parts: Default::default() }
    }

    /// Adds records of one name and type.
    pub fn add(&mut self, part: Part, owner: &[u8], kind: u16, ttl: u32, data: &[Vec<u8>]) {
        let (count, bytes) = &mut self.parts[part as usize];
        for data in data {
            *count += 1;
            bytes.extend_from_slice(owner);
            bytes.extend_from_slice(&kind.to_be_bytes());
            // The Internet class.
            bytes.extend_from_slice(&1_u16.to_be_bytes());
            bytes.extend_from_slice(&ttl.to_be_bytes());
            // A zone takes no longer ones.
            bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(data);
        }
    }

    /// The answer as a message without id and question: two bytes of flags (RFC 1035 section 4.1.1),
    /// three counts of two bytes each, and the records, whose names are not compressed.
    pub fn encode(&self) -> Vec<u8> {
        let flags = u16::from(self.authoritative) << 10 | u16::from(self.rcode);
        let mut out = flags.to_be_bytes().to_vec();
        for (count, _) in &self.parts {
            out.extend_from_slice(&count.to_be_bytes());
        }
        for (_, bytes) in &self.parts {
            out.extend_from_slice(bytes);
        }
        out
    }
}
