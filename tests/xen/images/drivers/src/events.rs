//! Event channels whose other end is this domain.

use mirust_rt::{
    wire::DomId,
    xen::{self, events::BindError, sched::MAX_PORTS},
};

/// Events cross a channel, are counted, and wake who waits.
pub async fn loopback() {
    let events = xen::events().expect("there is a Xen");
    let here = events.alloc_unbound(DomId::SELF).expect("a port for this domain");
    let there = events.bind_interdomain(DomId::SELF, here.port()).expect("its other end");
    let mut seen = here.count();
    let mut answered = there.count();
    for _ in 0..100 {
        there.notify();
        seen = here.wait(seen).await;
        here.notify();
        answered = there.wait(answered).await;
    }
    assert!(seen >= 100 && answered >= 100, "{seen} and {answered} events");
    let (one, other) = (here.port(), there.port());
    drop((here, there));
    // Closed ports are handed out again.
    let again = events.alloc_unbound(DomId::SELF).expect("a port");
    assert!(again.port() == one || again.port() == other);
    assert_eq!(events.stray(), 0);
}

/// The port that one poll could not wait for is refused with a reason.
pub fn limit() {
    let events = xen::events().expect("there is a Xen");
    let mut channels = Vec::new();
    let error = loop {
        match events.alloc_unbound(DomId::SELF) {
            Ok(channel) => channels.push(channel),
            Err(error) => break error,
        }
        assert!(channels.len() <= MAX_PORTS);
    };
    assert_eq!(error, BindError::TooManyPorts);
}
