//! Requests of the toolstack to end the domain (`xl shutdown`, `xl reboot`).
//!
//! The toolstack writes a word to `control/shutdown`; the domain acknowledges by emptying the node,
//! and ends itself in its own time (Xen, `docs/misc/xenstore-paths.pandoc`).

use super::xenstore::{Error, Xenstore};
use mirust_executor::shutdown::ShutdownReason;

const NODE: &str = "control/shutdown";

/// Serves the node: calls `request` for each request that the domain can follow. Ends only with the
/// error that makes serving impossible.
///
/// A suspend is refused by leaving the node as it is, which makes the toolstack give up after its
/// timeout: this runtime cannot be suspended yet.
pub async fn serve(store: Xenstore, request: impl Fn(ShutdownReason)) -> Error {
    // The toolstack asks only for what is announced. Older ones make these nodes read-only.
    for feature in ["control/feature-poweroff", "control/feature-reboot"] {
        if let Err(error) = store.write(feature, "1").await {
            log::debug!("{feature}: {error}");
        }
    }
    let mut watch = match store.watch(NODE).await {
        Ok(watch) => watch,
        Err(error) => return error,
    };
    loop {
        // A broken connection that comes back tells about every watched node again, so that nothing
        // is missed by waiting on.
        if watch.next().await.is_err() {
            continue;
        }
        // Who else in this domain watches the node acknowledges and follows the request himself.
        if store.relay_watches(NODE) {
            continue;
        }
        // In a transaction, or a request that comes between the read and the write would be lost.
        let asked = store.transaction(async |tx| {
            let word = match tx.read_text(NODE).await {
                Err(Error::NotFound | Error::BadValue) => return Ok(None),
                word => word?,
            };
            let reason = parse(&word);
            if reason.is_some() {
                tx.write(NODE, "").await?;
            } else if !word.is_empty() {
                log::warn!("{NODE}: cannot do {word:?}");
            }
            Ok(reason)
        });
        match asked.await {
            Ok(Some(reason)) => {
                log::info!("{NODE}: {reason:?} requested");
                request(reason);
            }
            Ok(None) => {}
            // Whatever it was, the next event may fare better.
            Err(error) => log::warn!("{NODE}: {error}"),
        }
    }
}

fn parse(word: &str) -> Option<ShutdownReason> {
    match word {
        "poweroff" => Some(ShutdownReason::Poweroff),
        "reboot" => Some(ShutdownReason::Reboot),
        "halt" => Some(ShutdownReason::Halt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::poll_once, xenstore::daemon::Rig};
    use alloc::{boxed::Box, rc::Rc, vec::Vec};
    use core::cell::RefCell;

    /// Requests heard after these words were written, and what is in the node then.
    fn hear(words: &[&str]) -> (Vec<ShutdownReason>, Vec<u8>) {
        let rig = Rig::new();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let sink = heard.clone();
        let mut serve =
            Box::pin(serve(rig.store.clone(), move |reason| sink.borrow_mut().push(reason)));
        let settle = |serve: &mut _| {
            for _ in 0..10 {
                assert!(poll_once(serve).is_pending());
                rig.step();
            }
        };
        settle(&mut serve);
        assert_eq!(rig.daemon.borrow().tree["control/feature-poweroff"], b"1");
        for word in words {
            rig.daemon.borrow_mut().change(NODE, word.as_bytes());
            settle(&mut serve);
        }
        let left = rig.daemon.borrow().tree[NODE].clone();
        (Rc::try_unwrap(heard).map_or_else(|heard| heard.take(), RefCell::into_inner), left)
    }

    #[test]
    fn requests_are_heard_and_acknowledged() {
        let (heard, left) = hear(&["poweroff", "reboot", "halt"]);
        assert_eq!(heard, [ShutdownReason::Poweroff, ShutdownReason::Reboot, ShutdownReason::Halt]);
        assert_eq!(left, b"");
    }

    #[test]
    fn suspend_and_nonsense_are_not_acknowledged() {
        for word in ["suspend", "s3", "PowerOff", "\u{fffd}"] {
            assert_eq!(hear(&[word]), (Vec::new(), word.as_bytes().to_vec()));
        }
        assert_eq!(hear(&["suspend", "poweroff"]).0, [ShutdownReason::Poweroff]);
    }
}
