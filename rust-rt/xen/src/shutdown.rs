//! Requests of the toolstack to end the domain (`xl shutdown`, `xl reboot`), or to suspend it (`xl save`).
//!
//! The toolstack writes a word to `control/shutdown`; the domain acknowledges by emptying the node,
//! and does what is asked in its own time (Xen, `docs/misc/xenstore-paths.pandoc`).
//!
//! A key that is sent to the domain (`xl sysrq`) comes the same way. No key has a meaning here, and the console says
//! so.

use super::xenstore::{Error, Watch, Xenstore};
use alloc::string::String;
use mirust_executor::shutdown::ShutdownReason;

/// Where the word is.
pub const NODE: &str = "control/shutdown";
/// What is watched: everything that the toolstack asks for is below it.
const CONTROL: &str = "control";
/// Where a key is.
const KEY: &str = "control/sysrq";

/// Serves the node: calls `request` for each request that the domain can follow. Ends only with the
/// error that makes serving impossible.
///
/// `suspend` handles the request of that name. It acknowledges the request itself if it can comply; otherwise it leaves
/// the node as it is, and the toolstack gives up after its timeout.
pub async fn serve(
    store: Xenstore,
    request: impl Fn(ShutdownReason),
    suspend: impl AsyncFn(),
) -> Error {
    let mut watch = match store.watch(CONTROL).await {
        Ok(watch) => watch,
        Err(error) => return error,
    };
    loop {
        // Also a domain that is a new one has announced nothing yet.
        announce(&store).await;
        while !follow_next(&store, &mut watch, &request).await {}
        suspend().await;
    }
}

/// Waits for the next event, and follows a request to end the domain. Whether it is to be suspended.
async fn follow_next(
    store: &Xenstore,
    watch: &mut Watch,
    request: &impl Fn(ShutdownReason),
) -> bool {
    // A broken connection that comes back tells about every watched node again, so that nothing
    // is missed by waiting on.
    match watch.next().await.as_deref() {
        Ok(KEY) => {
            tell_of_key(store).await;
            return false;
        }
        Ok(NODE | CONTROL) => {}
        // Others are what is announced.
        Ok(_) | Err(_) => return false,
    }
    // Another client in this domain that watches the node acknowledges and handles such requests itself.
    let ours = !store.relay_watches(NODE);
    let acknowledged: fn(&str) -> bool =
        if ours { |word| matches!(parse(word), Some(Asked::End(_))) } else { |_| false };
    match take(store, acknowledged).await {
        Ok(word) => match parse(&word) {
            Some(Asked::End(reason)) if ours => {
                log::info!("{NODE}: {reason:?} requested");
                request(reason);
            }
            Some(Asked::Suspend) => return true,
            None if ours && !word.is_empty() => {
                log::warn!("{NODE}: cannot do \"{}\"", word.escape_default());
            }
            Some(Asked::End(_)) | None => {}
        },
        Err(Error::NotFound | Error::BadValue) => {}
        // Whatever it was, the next event may fare better.
        Err(error) => log::warn!("{NODE}: {error}"),
    }
    false
}

/// Says that there is nobody for a key.
async fn tell_of_key(store: &Xenstore) {
    match store.read_text(KEY).await {
        Ok(key) if !key.is_empty() => {
            log::warn!(
                "{KEY}: there is nothing behind \"{}\" (but xl trigger NAME nmi ends the domain with a backtrace)",
                key.escape_default()
            );
        }
        _ => {}
    }
}

/// The word that the toolstack has written. The node is emptied, which acknowledges the request, if `acknowledged` says
/// so.
pub async fn take(store: &Xenstore, acknowledged: fn(&str) -> bool) -> Result<String, Error> {
    // In a transaction, or a request that comes between the read and the write would be lost.
    let taken = store.transaction(async |tx| {
        let word = tx.read_text(NODE).await?;
        if acknowledged(&word) {
            tx.write(NODE, "").await?;
        }
        Ok(word)
    });
    taken.await
}

/// The toolstack asks only for what is announced. Older ones make these nodes read-only.
async fn announce(store: &Xenstore) {
    for feature in ["control/feature-poweroff", "control/feature-reboot", "control/feature-suspend"]
    {
        if let Err(error) = store.write(feature, "1").await {
            log::debug!("{feature}: {error}");
        }
    }
}

#[derive(Clone, Copy)]
enum Asked {
    End(ShutdownReason),
    Suspend,
}

fn parse(word: &str) -> Option<Asked> {
    match word {
        "poweroff" => Some(Asked::End(ShutdownReason::Poweroff)),
        "reboot" => Some(Asked::End(ShutdownReason::Reboot)),
        "halt" => Some(Asked::End(ShutdownReason::Halt)),
        "suspend" => Some(Asked::Suspend),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::poll_once, xenstore::daemon::Rig};
    use alloc::{boxed::Box, rc::Rc, vec::Vec};
    use core::cell::RefCell;

    /// Requests heard after these words were written (`None`: to suspend), and what is in the node then.
    fn hear(words: &[&str]) -> (Vec<Option<ShutdownReason>>, Vec<u8>) {
        let rig = Rig::new();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (sink, suspends) = (heard.clone(), heard.clone());
        let mut serve = Box::pin(serve(
            rig.store.clone(),
            move |reason| sink.borrow_mut().push(Some(reason)),
            async move || suspends.borrow_mut().push(None),
        ));
        let settle = |serve: &mut _| {
            for _ in 0..10 {
                assert!(poll_once(serve).is_pending());
                rig.step();
            }
        };
        settle(&mut serve);
        for feature in ["poweroff", "reboot", "suspend"] {
            let node = alloc::format!("control/feature-{feature}");
            assert_eq!(rig.daemon.borrow().tree[&node], b"1");
        }
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
        let all = [ShutdownReason::Poweroff, ShutdownReason::Reboot, ShutdownReason::Halt];
        assert_eq!(heard, all.map(Some));
        assert_eq!(left, b"");
    }

    #[test]
    fn nonsense_is_not_acknowledged() {
        for word in ["s3", "PowerOff", "\u{fffd}"] {
            assert_eq!(hear(&[word]), (Vec::new(), word.as_bytes().to_vec()));
        }
    }

    #[test]
    fn what_else_is_below_the_node_is_no_request() {
        let rig = Rig::new();
        let mut serve = Box::pin(serve(
            rig.store.clone(),
            |reason| panic!("{reason:?}"),
            async || panic!("suspend"),
        ));
        for (node, value) in [(KEY, "m"), (KEY, ""), ("control/feature-x", "1"), (KEY, "\u{fffd}")]
        {
            for _ in 0..10 {
                assert!(poll_once(&mut serve).is_pending());
                rig.step();
            }
            rig.daemon.borrow_mut().change(node, value.as_bytes());
        }
    }

    #[test]
    fn a_suspend_is_heard_and_acknowledged_by_who_follows_it() {
        assert_eq!(hear(&["suspend"]), (alloc::vec![None], b"suspend".to_vec()));
        let heard = hear(&["suspend", "poweroff"]).0;
        assert_eq!(heard, [None, Some(ShutdownReason::Poweroff)]);
    }
}
