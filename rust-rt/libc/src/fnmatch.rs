//! `fnmatch`: whether a name fits a pattern of a shell. Bytes are characters, as in the C locale.

use super::cstr;
use core::ffi::{c_char, c_int};

pub(crate) const NOESCAPE: c_int = 2;
pub(crate) const PATHNAME: c_int = 1;
pub(crate) const PERIOD: c_int = 4;
const LEADING_DIR: c_int = 8;
const CASEFOLD: c_int = 16;
const NOMATCH: c_int = 1;

/// What a pattern may begin with.
enum Part<'a> {
    Any,
    All,
    /// What is between brackets.
    Set(&'a [u8]),
    Byte(u8),
}

/// The first part of a pattern that is not empty, and the rest.
fn part(pattern: &[u8], flags: c_int) -> (Part<'_>, &[u8]) {
    match pattern {
        [b'?', rest @ ..] => (Part::Any, rest),
        [b'*', rest @ ..] => (Part::All, rest),
        [b'[', rest @ ..] => match end_of_set(rest, flags) {
            Some(end) => (Part::Set(&rest[..end]), &rest[end + 1..]),
            None => (Part::Byte(b'['), rest),
        },
        [b'\\', byte, rest @ ..] if flags & NOESCAPE == 0 => (Part::Byte(*byte), rest),
        // It stands for nothing.
        [b'\\', rest @ ..] if flags & NOESCAPE == 0 => (Part::Set(&[]), rest),
        [byte, rest @ ..] => (Part::Byte(*byte), rest),
        [] => (Part::All, pattern),
    }
}

/// Where the bracket is that closes a set. With `PATHNAME` none contains a slash.
fn end_of_set(set: &[u8], flags: c_int) -> Option<usize> {
    let mut at = usize::from(matches!(set.first(), Some(b'!' | b'^')));
    let first = at;
    loop {
        match set.get(at)? {
            b']' if at > first => return Some(at),
            b'/' if flags & PATHNAME != 0 => return None,
            b'\\' if flags & NOESCAPE == 0 => at += 2,
            b'[' if matches!(set.get(at + 1), Some(b':' | b'.' | b'=')) => {
                let kind = set[at + 1];
                let close = set.get(at + 2..)?.windows(2).position(|pair| pair == [kind, b']']);
                at += close.map_or(1, |close| close + 4);
            }
            _ => at += 1,
        }
    }
}

/// Whether the byte is of this class; nothing if there is no such class.
fn is_of_class(class: &[u8], byte: u8) -> Option<bool> {
    Some(match class {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"punct" => byte.is_ascii_punctuation(),
        b"print" => matches!(byte, b' '..=b'~'),
        b"graph" => byte.is_ascii_graphic(),
        b"cntrl" => byte.is_ascii_control(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

/// As it is compared.
fn fold(byte: u8, flags: c_int) -> u8 {
    if flags & CASEFOLD != 0 { byte.to_ascii_lowercase() } else { byte }
}

fn is_in_set(set: &[u8], byte: u8, flags: c_int) -> bool {
    let (negated, mut rest) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    // One character of the set: itself, or in the forms [.x.] and [=x=].
    fn one(rest: &[u8], flags: c_int) -> Option<(u8, &[u8])> {
        match rest {
            [b'[', b'.', byte, b'.', b']', rest @ ..]
            | [b'[', b'=', byte, b'=', b']', rest @ ..] => Some((*byte, rest)),
            [b'\\', byte, rest @ ..] if flags & NOESCAPE == 0 => Some((*byte, rest)),
            [byte, rest @ ..] => Some((*byte, rest)),
            [] => None,
        }
    }
    let mut found = false;
    while !rest.is_empty() {
        if let Some(class) = rest.strip_prefix(b"[:") {
            if let Some(end) = class.windows(2).position(|pair| pair == b":]") {
                let Some(is) = is_of_class(&class[..end], byte) else { return false };
                found |= is;
                rest = &class[end + 2..];
                continue;
            }
        }
        let Some((low, after)) = one(rest, flags) else { break };
        rest = after;
        let high = match rest.strip_prefix(b"-").and_then(|after| one(after, flags)) {
            Some((high, after)) => {
                rest = after;
                high
            }
            None => low,
        };
        found |= (fold(low, flags)..=fold(high, flags)).contains(&fold(byte, flags));
    }
    found != negated
}

/// Whether the byte at `at` is a period that only a period of the pattern stands for.
fn is_hidden(name: &[u8], at: usize, flags: c_int) -> bool {
    let begins = at == 0 || flags & PATHNAME != 0 && name[at - 1] == b'/';
    flags & PERIOD != 0 && begins && name[at] == b'.'
}

/// Whether the name fits the pattern.
pub(crate) fn fits(pattern: &[u8], name: &[u8], flags: c_int) -> bool {
    let (mut rest, mut at) = (pattern, 0);
    // The pattern behind the last star, and how far that has come: the only place to go back to.
    let mut star: Option<(&[u8], usize)> = None;
    loop {
        let fit = match (part(rest, flags), name.get(at)) {
            _ if rest.is_empty() && at == name.len() => return true,
            _ if rest.is_empty() => {
                if flags & LEADING_DIR != 0 && name[at] == b'/' {
                    return true;
                }
                None
            }
            ((Part::All, after), _) => {
                if at < name.len() && is_hidden(name, at, flags) {
                    None
                } else {
                    star = Some((after, at));
                    rest = after;
                    continue;
                }
            }
            (_, None) => None,
            ((Part::Byte(byte), after), Some(&here)) => {
                (fold(byte, flags) == fold(here, flags)).then_some(after)
            }
            (_, Some(b'/')) if flags & PATHNAME != 0 => None,
            _ if is_hidden(name, at, flags) => None,
            ((Part::Any, after), _) => Some(after),
            ((Part::Set(set), after), Some(&here)) => is_in_set(set, here, flags).then_some(after),
        };
        match (fit, star) {
            (Some(after), _) => (rest, at) = (after, at + 1),
            // The star takes one more.
            (None, Some((after, from))) if from < name.len() => {
                if flags & PATHNAME != 0 && name[from] == b'/' {
                    return false;
                }
                star = Some((after, from + 1));
                (rest, at) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn fnmatch(pattern: *const c_char, name: *const c_char, flags: c_int) -> c_int {
    // SAFETY: C strings by contract.
    let (pattern, name) = unsafe { (cstr::bytes(pattern), cstr::bytes(name)) };
    if fits(pattern, name, flags) { 0 } else { NOMATCH }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_what_fits_on_the_host() {
        let patterns = [
            c"",
            c"*",
            c"?",
            c"a",
            c"a*",
            c"*a",
            c"*.c",
            c"a?c",
            c"[abc]",
            c"[a-c]*",
            c"[!a]",
            c"[^a]b",
            c"[]a]",
            c"[!]a]",
            c"[a",
            c"a[",
            c"[[:alpha:]]*",
            c"[[:digit:][:upper:]]",
            c"\\*",
            c"a\\",
            c"[\\]]",
            c"*/b",
            c"a/*",
            c"*/*",
            c"?/b",
            c"[/]b",
            c".*",
            c"*.*",
            c"a*b*c",
            c"**",
            c"*[a-z]?",
            c"[a-]",
            c"[-a]",
            c"[[.1.]]",
            c"[[=1=]b]",
            c"A*",
            c"[A-Z]",
            c"a/.*",
            c"*/?x",
            c"[[:nothing:]]",
            c"a*a*a*a*b",
        ];
        let names = [
            c"",
            c"a",
            c"b",
            c"A",
            c"]",
            c"-",
            c"*",
            c"\\",
            c"abc",
            c"a.c",
            c"x.c",
            c".c",
            c".hidden",
            c"a/b",
            c"a/.x",
            c"a/b/c",
            c"/b",
            c"[",
            c"[a",
            c"a[",
            c"1",
            c"B",
            c"ab",
            c"aaaaaaaaaaaaaaaaaaaaaaaac",
            c"a-b",
            c"a\\",
        ];
        for flags in 0..32 {
            for (p, n) in patterns.iter().flat_map(|p| names.iter().map(move |n| (p, n))) {
                // SAFETY: C strings.
                let (ours, theirs) = unsafe {
                    let (p, n) = (p.as_ptr(), n.as_ptr());
                    (fnmatch(p, n, flags), host_libc::fnmatch(p, n, flags))
                };
                assert_eq!(ours, theirs, "{p:?} {n:?} {flags}");
            }
        }
    }
}
