//! The xenstore wire protocol: messages of a 16-byte header and up to 4096 bytes of payload.
//!
//! Source: Xen's `io/xs_wire.h` and `docs/misc/xenstore.txt`.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// Size of a message header in bytes.
pub const HEADER_LEN: usize = 16;
/// The longest payload in bytes (`XENSTORE_PAYLOAD_MAX`).
pub const PAYLOAD_MAX: usize = 4096;
/// The longest absolute path in bytes (`XENSTORE_ABS_PATH_MAX`).
pub const ABS_PATH_MAX: usize = 3072;
/// The longest relative path in bytes (`XENSTORE_REL_PATH_MAX`).
pub const REL_PATH_MAX: usize = 2048;

/// What a message is (`enum xsd_sockmsg_type`). A reply carries the kind of its request, except for
/// [`Kind::Error`] and [`Kind::WatchEvent`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[allow(missing_docs)] // the names are the protocol's own
pub enum Kind {
    Control = 0,
    Directory = 1,
    Read = 2,
    GetPerms = 3,
    Watch = 4,
    Unwatch = 5,
    TransactionStart = 6,
    TransactionEnd = 7,
    Introduce = 8,
    Release = 9,
    GetDomainPath = 10,
    Write = 11,
    Mkdir = 12,
    Rm = 13,
    SetPerms = 14,
    WatchEvent = 15,
    Error = 16,
    IsDomainIntroduced = 17,
    Resume = 18,
    SetTarget = 19,
    ResetWatches = 21,
    DirectoryPart = 22,
}

impl Kind {
    const ALL: [Kind; 22] = [
        Kind::Control,
        Kind::Directory,
        Kind::Read,
        Kind::GetPerms,
        Kind::Watch,
        Kind::Unwatch,
        Kind::TransactionStart,
        Kind::TransactionEnd,
        Kind::Introduce,
        Kind::Release,
        Kind::GetDomainPath,
        Kind::Write,
        Kind::Mkdir,
        Kind::Rm,
        Kind::SetPerms,
        Kind::WatchEvent,
        Kind::Error,
        Kind::IsDomainIntroduced,
        Kind::Resume,
        Kind::SetTarget,
        Kind::ResetWatches,
        Kind::DirectoryPart,
    ];

    /// The kind with this number, if the protocol knows one.
    pub fn from_raw(raw: u32) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u32 == raw)
    }
}

/// The header of a message (`struct xsd_sockmsg`), in the CPU's byte order: little endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The number of a [`Kind`]; any value can come in.
    pub kind: u32,
    /// Chosen by the client, echoed in the reply; zero in watch events.
    pub req_id: u32,
    /// The transaction, or zero.
    pub tx_id: u32,
    /// Bytes of payload that follow; a value above [`PAYLOAD_MAX`] breaks the protocol.
    pub len: u32,
}

impl Header {
    /// Reads a header; every bit pattern is one.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Header {
        let word = |i: usize| {
            u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
        };
        Header { kind: word(0), req_id: word(1), tx_id: word(2), len: word(3) }
    }

    /// The header as bytes.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let words = [self.kind, self.req_id, self.tx_id, self.len];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// The reply does not have the shape that the protocol gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reply that does not follow xenstore's protocol")
    }
}

impl core::error::Error for Malformed {}

/// What one domain may do with a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing (`n`).
    None,
    /// Read (`r`).
    Read,
    /// Write (`w`).
    Write,
    /// Read and write (`b`).
    Both,
}

/// One entry of a node's permissions. The first entry of a list names the node's owner, who may do
/// everything; its access is that of all domains which the list does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Perm {
    /// Whom the entry is about.
    pub domid: super::DomId,
    /// What that domain may do.
    pub access: Access,
}

impl Perm {
    /// Appends the entry as the protocol writes it: a letter, a decimal domid and a NUL.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(match self.access {
            Access::None => b'n',
            Access::Read => b'r',
            Access::Write => b'w',
            Access::Both => b'b',
        });
        out.extend_from_slice(alloc::format!("{}\0", self.domid).as_bytes());
    }

    fn parse(text: &str) -> Result<Perm, Malformed> {
        let mut chars = text.chars();
        let access = match chars.next() {
            Some('n') => Access::None,
            Some('r') => Access::Read,
            Some('w') => Access::Write,
            Some('b') => Access::Both,
            _ => return Err(Malformed),
        };
        let domid = parse_decimal(chars.as_str()).ok_or(Malformed)?;
        let domid = super::DomId(u16::try_from(domid).map_err(|_| Malformed)?);
        Ok(Perm { domid, access })
    }
}

/// Digits only: `str::parse` would take a plus sign.
fn parse_decimal(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Parses the payload of a permissions reply. An empty list is malformed: a node has an owner.
pub fn parse_perms(payload: &[u8]) -> Result<Vec<Perm>, Malformed> {
    let perms = parse_strings(payload)?
        .into_iter()
        .map(|text| Perm::parse(&text))
        .collect::<Result<Vec<Perm>, Malformed>>()?;
    if perms.is_empty() { Err(Malformed) } else { Ok(perms) }
}

/// Parses a list of NUL-terminated strings, as a directory reply has it. The empty payload is the
/// empty list.
pub fn parse_strings(payload: &[u8]) -> Result<Vec<String>, Malformed> {
    let Some(body) = payload.strip_suffix(&[0]) else {
        return if payload.is_empty() { Ok(Vec::new()) } else { Err(Malformed) };
    };
    body.split(|b| *b == 0).map(parse_text).collect()
}

/// Parses a single NUL-terminated string, as an error reply has it.
pub fn parse_string(payload: &[u8]) -> Result<String, Malformed> {
    match payload.split_last() {
        Some((0, body)) if !body.contains(&0) => parse_text(body),
        _ => Err(Malformed),
    }
}

/// Parses the reply to a transaction start: a decimal, nonzero identifier.
pub fn parse_transaction_id(payload: &[u8]) -> Result<u32, Malformed> {
    let text = parse_string(payload)?;
    match parse_decimal(&text) {
        None | Some(0) => Err(Malformed),
        Some(id) => Ok(id),
    }
}

/// Parses a watch event into the path that changed and the token of the watch.
pub fn parse_watch_event(payload: &[u8]) -> Result<(String, String), Malformed> {
    let mut strings = parse_strings(payload)?.into_iter();
    match (strings.next(), strings.next()) {
        (Some(path), Some(token)) if !path.is_empty() => Ok((path, token)),
        _ => Err(Malformed),
    }
}

/// The acknowledgement of a request that returns nothing.
pub fn parse_ok(payload: &[u8]) -> Result<(), Malformed> {
    if payload == b"OK\0" { Ok(()) } else { Err(Malformed) }
}

fn parse_text(bytes: &[u8]) -> Result<String, Malformed> {
    core::str::from_utf8(bytes).map(String::from).map_err(|_| Malformed)
}

/// Whether `path` is one that xenstored accepts: absolute or relative within its length, of letters,
/// digits and `-/_@`, without an empty component or a trailing slash (`/` itself is fine).
pub fn path_is_valid(path: &str) -> bool {
    let max = if path.starts_with('/') { ABS_PATH_MAX } else { REL_PATH_MAX };
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"-/_@".contains(&b);
    path == "/"
        || !path.is_empty()
            && path.len() < max
            && path.bytes().all(valid)
            && !path.ends_with('/')
            && !path.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::DomId;
    use alloc::vec;

    #[test]
    fn header_is_four_little_endian_words() {
        let bytes = [2, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0, 5, 0, 0, 0];
        let header = Header { kind: Kind::Read as u32, req_id: 7, tx_id: 256, len: 5 };
        assert_eq!(Header::parse(&bytes), header);
        assert_eq!(header.emit(), bytes);
    }

    #[test]
    fn kind_numbers_round_trip_and_gaps_are_unknown() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_raw(kind as u32), Some(kind));
        }
        for raw in [20, 23, 0xffff, u32::MAX] {
            assert_eq!(Kind::from_raw(raw), None);
        }
    }

    #[test]
    fn strings_need_a_final_nul() {
        assert_eq!(parse_strings(b""), Ok(vec![]));
        assert_eq!(parse_strings(b"a\0bc\0"), Ok(vec!["a".into(), "bc".into()]));
        assert_eq!(parse_strings(b"a"), Err(Malformed));
        assert_eq!(parse_strings(b"\xff\0"), Err(Malformed));
        assert_eq!(parse_string(b"ENOENT\0"), Ok("ENOENT".into()));
        assert_eq!(parse_string(b"EN\0OENT\0"), Err(Malformed));
        assert_eq!(parse_string(b""), Err(Malformed));
    }

    #[test]
    fn perms_round_trip() {
        let perms = vec![
            Perm { domid: DomId(3), access: Access::None },
            Perm { domid: DomId(0), access: Access::Read },
            Perm { domid: DomId(65535), access: Access::Both },
            Perm { domid: DomId(1), access: Access::Write },
        ];
        let mut bytes = Vec::new();
        perms.iter().for_each(|perm| perm.emit(&mut bytes));
        assert_eq!(bytes, b"n3\0r0\0b65535\0w1\0");
        assert_eq!(parse_perms(&bytes), Ok(perms));
    }

    #[test]
    fn perms_reject_bad_letters_and_numbers() {
        for bad in [&b""[..], b"x1\0", b"r\0", b"r65536\0", b"r+1\0", b"r-1\0", b"r1", b"\0"] {
            assert_eq!(parse_perms(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn transaction_id_is_decimal_and_not_zero() {
        assert_eq!(parse_transaction_id(b"17\0"), Ok(17));
        for bad in [&b"17"[..], b"0\0", b"\0", b"-1\0", b"99999999999\0", b"1 \0", b""] {
            assert_eq!(parse_transaction_id(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn watch_event_needs_path_and_token() {
        assert_eq!(parse_watch_event(b"/a\0t\0"), Ok(("/a".into(), "t".into())));
        for bad in [&b""[..], b"/a\0", b"\0t\0", b"/a\0t"] {
            assert_eq!(parse_watch_event(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_checked_as_xenstored_does() {
        for good in ["/", "a", "control/shutdown", "/local/domain/0", "@releaseDomain", "a-b_c"] {
            assert!(path_is_valid(good), "{good}");
        }
        for bad in ["", "/a/", "a//b", "a b", "a\0", "ä"] {
            assert!(!path_is_valid(bad), "{bad}");
        }
        assert!(!path_is_valid(&"x".repeat(REL_PATH_MAX)));
    }

    #[test]
    fn parsers_survive_arbitrary_bytes() {
        let mut random = crate::testing::Random::new(1);
        for _ in 0..20_000 {
            let len = random.below(40);
            // Few distinct bytes, so that the parsers get past their first check.
            let bytes: Vec<u8> = (0..len).map(|_| b"\0\0a/0r91\xff"[random.below(9)]).collect();
            let _ = parse_strings(&bytes);
            let _ = parse_string(&bytes);
            let _ = parse_perms(&bytes);
            let _ = parse_transaction_id(&bytes);
            let _ = parse_watch_event(&bytes);
            let _ = parse_ok(&bytes);
        }
    }
}
