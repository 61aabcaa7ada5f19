//! What a suspension would break.
//!
//! The new domain has none of the old one's event channels and grants. This runtime's own drivers know that, and make
//! new ones; a driver that talks to Xen by itself does not. So the domain refuses to be suspended while such a driver
//! is in use. Users of xenstore and the console are not affected.

use std::sync::Once;

use crate::suspend;

/// Has the domain refuse from now on while `count` gives any of `what`. `once` is the caller's: only its first use
/// counts.
pub(super) fn watch(once: &Once, what: &'static str, count: fn() -> usize) {
    once.call_once(|| suspend::on_suspend(async move || obstacle(what, count())));
}

fn obstacle(what: &str, count: usize) -> Result<(), String> {
    if count == 0 {
        return Ok(());
    }
    Err(format!("a driver of mirage-xen has {count} {what}, which would be lost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_refuses() {
        assert_eq!(obstacle("grants", 0), Ok(()));
        let why = "a driver of mirage-xen has 2 grants, which would be lost";
        assert_eq!(obstacle("grants", 2), Err(why.into()));
    }
}
