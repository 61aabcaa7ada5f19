//! Bytes of a peer, parsed.

use mirust_xen::wire::xenstore::*;

/// A xenstore message: its header, and its payload as each kind of reply.
pub fn xenstore(data: &[u8]) {
    if let Some((header, payload)) = data.split_first_chunk::<HEADER_LEN>() {
        let parsed = Header::parse(header);
        assert_eq!(parsed.emit(), *header, "a header is what it says");
        let _ = Kind::from_raw(parsed.kind);
        replies(payload);
    }
    replies(data);
}

fn replies(payload: &[u8]) {
    if let Ok(perms) = parse_perms(payload) {
        let mut again = Vec::new();
        perms.iter().for_each(|perm| perm.emit(&mut again));
        assert_eq!(parse_perms(&again), Ok(perms), "permissions survive being written");
    }
    if let Ok(strings) = parse_strings(payload) {
        let again: Vec<u8> = strings.iter().flat_map(|s| [s.as_bytes(), b"\0"].concat()).collect();
        assert_eq!(again, payload, "strings survive being written");
    }
    if let Ok(text) = parse_string(payload) {
        let _ = path_is_valid(&text);
    }
    assert!(parse_transaction_id(payload) != Ok(0), "0 is no transaction");
    if let Ok((path, _token)) = parse_watch_event(payload) {
        assert!(!path.is_empty() && !path.contains('\0'));
    }
    let _ = parse_ok(payload);
}
