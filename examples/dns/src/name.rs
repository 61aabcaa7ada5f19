//! Domain names as they stand in messages: labels, each after its length, and the root's empty one.

/// The most bytes of a name (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;
/// The most bytes of a label.
const MAX_LABEL: usize = 63;

/// The name that `text` has in a master file: relative to `origin` unless it ends with a dot.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(text: &[u8], origin: &[u8]) -> Result<Vec<u8>, String> {
    if text == b"@" {
        return Ok(origin.to_vec());
    }
    let mut name = Vec::new();
    if text != b"." {
        let mut label = Vec::new();
        let mut rest = text;
        loop {
            match rest {
                [] => {
                    push_label(&mut name, &label)?;
                    name.extend_from_slice(origin);
                    break;
                }
                [b'.'] => {
                    push_label(&mut name, &label)?;
                    name.push(0);
                    break;
                }
                [b'.', after @ ..] => {
                    push_label(&mut name, &label)?;
                    label.clear();
                    rest = after;
                }
                _ => {
                    let (byte, after) = unescape(rest)?;
                    label.push(byte);
                    rest = after;
                }
            }
        }
    } else {
        name.push(0);
    }
    if name.len() > MAX_NAME {
        return Err(format!("a name of {} bytes", name.len()));
    }
    Ok(name)
}

fn push_label(name: &mut Vec<u8>, label: &[u8]) -> Result<(), String> {
    match label.len() {
        0 => Err("an empty label".into()),
        1..=MAX_LABEL => {
            name.push(label.len() as u8);
            name.extend_from_slice(label);
            Ok(())
        }
        n => Err(format!("a label of {n} bytes")),
    }
}

/// The first byte of what is not empty, and what follows it: `\DDD` is a byte in decimal, and a
/// backslash makes every other character stand for itself.
///
/// # Errors
///
/// What is wrong with it.
pub fn unescape(text: &[u8]) -> Result<(u8, &[u8]), String> {
    match text {
        [b'\\', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let [a, b, c] = [a, b, c].map(|digit| u16::from(digit - b'0'));
            match u8::try_from(100 * a + 10 * b + c) {
                Ok(byte) => Ok((byte, rest)),
                Err(_) => Err("a byte above 255".into()),
            }
        }
        [b'\\', byte, rest @ ..] if !byte.is_ascii_digit() => Ok((*byte, rest)),
        [b'\\', ..] | [] => Err("an unfinished escape".into()),
        [byte, rest @ ..] => Ok((*byte, rest)),
    }
}

/// The name in small letters, as which names are compared. (A length is below the letters.)
pub fn lower(name: &[u8]) -> Vec<u8> {
    name.to_ascii_lowercase()
}

/// The name and the ones above it, the root last.
pub fn ancestors(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |name| match name {
        [] | [0, ..] => None,
        [n, rest @ ..] => rest.get(usize::from(*n)..),
    })
}

/// Whether it is one whole name: labels in their bounds, the root's at the end and nowhere else.
pub fn is_valid(name: &[u8]) -> bool {
    let mut rest = name;
    while let [n @ 1..=63, after @ ..] = rest {
        let Some(next) = after.get(usize::from(*n)..) else { return false };
        rest = next;
    }
    rest == [0] && name.len() <= MAX_NAME
}
