//! The Rust side of dns: the zones.

mod answer;
mod master;
mod name;
mod rdata;
mod zone;

use std::cell::RefCell;

use zone::{Zone, Zones};

/// The zones' master files.
const FILES: [(&str, &str); 2] = [
    ("example.org", include_str!("../zones/example.org.zone")),
    ("2.0.192.in-addr.arpa", include_str!("../zones/2.0.192.in-addr.arpa.zone")),
];

thread_local! {
    static ZONES: RefCell<Zones> = RefCell::default();
}

/// Reads the zones, and says what they are, or which line of which makes no sense.
#[mirust::export(name = "dns_load")]
fn load() -> Result<String, String> {
    let mut loaded = Vec::new();
    for (origin, text) in FILES {
        let zone = Zone::new(origin, text).map_err(|error| format!("{origin}: {error}"))?;
        loaded.push(format!("{origin} ({} records)", zone.records()));
        ZONES.with_borrow_mut(|zones| zones.add(zone));
    }
    Ok(loaded.join(", "))
}

/// The answer for a name, as it stands in a message, and a type. See [`answer::Answer::encode`].
#[mirust::export(name = "dns_lookup")]
fn lookup(name: &[u8], kind: isize) -> Vec<u8> {
    // A type that is no 16-bit number is no type of any record.
    let kind = u16::try_from(kind).unwrap_or(0);
    ZONES.with_borrow(|zones| zones.answer(name, kind)).encode()
}
