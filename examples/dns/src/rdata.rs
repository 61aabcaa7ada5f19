//! The data of records, from master files.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::name;

/// Types of records, by their numbers in messages.
#[allow(missing_docs)]
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DS: u16 = 43;
    pub const ANY: u16 = 255;
    pub const CAA: u16 = 257;
}

/// A word of a master file, its escapes as they are.
pub struct Word {
    /// Without the quotes.
    pub text: Vec<u8>,
    /// Whether there were some.
    pub quoted: bool,
}

impl Word {
    /// Whether it is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword.as_bytes())
    }

    /// The word as a time: seconds, or numbers with units, as in `1h30m`.
    pub fn seconds(&self) -> Option<u32> {
        let mut total: u32 = 0;
        let mut rest = std::str::from_utf8(&self.text).ok().filter(|_| !self.quoted)?;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number: u32 = rest[..digits].parse().ok()?;
            let mut unit = rest[digits..].chars();
            let seconds = match unit.next().map(|c| c.to_ascii_lowercase()) {
                // Without a unit it is the whole word.
                None if digits == self.text.len() => 1,
                Some('s') => 1,
                Some('m') => 60,
                Some('h') => 3600,
                Some('d') => 86400,
                Some('w') => 604800,
                _ => return None,
            };
            total = total.checked_add(number.checked_mul(seconds)?)?;
            rest = unit.as_str();
        }
        // RFC 2181 section 8: the top bit is zero.
        (!self.text.is_empty() && total <= i32::MAX as u32).then_some(total)
    }

    fn number<T: FromStr>(&self) -> Result<T, String> {
        let text = std::str::from_utf8(&self.text).ok().filter(|_| !self.quoted);
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| format!("{self}: not a number in range"))
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        let (mut bytes, mut rest) = (Vec::new(), self.text.as_slice());
        while !rest.is_empty() {
            let (byte, after) = name::unescape(rest)?;
            bytes.push(byte);
            rest = after;
        }
        Ok(bytes)
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.text.escape_ascii())
    }
}

/// The number of a type, and data of it as in a message.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(kind: &Word, data: &[Word], origin: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let name = |word: &Word| name::parse(&word.text, origin);
    let mut out = Vec::new();
    let text = String::from_utf8_lossy(&kind.text).to_ascii_uppercase();
    let number = match (text.as_str(), data) {
        ("A", [address]) => {
            let address: Ipv4Addr = address.number()?;
            out.extend(address.octets());
            kind::A
        }
        ("AAAA", [address]) => {
            let address: Ipv6Addr = address.number()?;
            out.extend(address.octets());
            kind::AAAA
        }
        ("NS", [server]) => {
            out = name(server)?;
            kind::NS
        }
        ("CNAME", [target]) => {
            out = name(target)?;
            kind::CNAME
        }
        ("PTR", [target]) => {
            out = name(target)?;
            kind::PTR
        }
        ("MX", [preference, exchange]) => {
            out.extend(preference.number::<u16>()?.to_be_bytes());
            out.extend(name(exchange)?);
            kind::MX
        }
        ("SRV", [priority, weight, port, target]) => {
            for word in [priority, weight, port] {
                out.extend(word.number::<u16>()?.to_be_bytes());
            }
            out.extend(name(target)?);
            kind::SRV
        }
        ("SOA", [primary, mailbox, serial, times @ ..]) if times.len() == 4 => {
            out.extend(name(primary)?);
            out.extend(name(mailbox)?);
            out.extend(serial.number::<u32>()?.to_be_bytes());
            for word in times {
                let seconds = word.seconds().ok_or_else(|| format!("{word}: not a time"))?;
                out.extend(seconds.to_be_bytes());
            }
            kind::SOA
        }
        ("TXT", strings @ [_, ..]) => {
            for string in strings {
                let bytes = string.bytes()?;
                out.push(u8::try_from(bytes.len()).map_err(|_| "a string above 255 bytes")?);
                out.extend(bytes);
            }
            kind::TXT
        }
        ("CAA", [flags, tag, value]) => {
            out.push(flags.number()?);
            let tag = tag.bytes()?;
            out.push(u8::try_from(tag.len()).map_err(|_| "a tag above 255 bytes")?);
            out.extend(tag);
            out.extend(value.bytes()?);
            kind::CAA
        }
        _ => return Err(format!("{kind}: no such type, or not so many words of data")),
    };
    Ok((number, out))
}
