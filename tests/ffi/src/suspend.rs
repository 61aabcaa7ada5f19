//! Hooks of both languages, asked and told as the runtime does it.

use mirust::domain::suspend_hooks;
use mirust::suspend::{Resumed, on_resume, on_suspend};
use mirust::time::Duration;
use std::cell::RefCell;

thread_local! {
    static SEEN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Registers hooks of Rust's.
#[mirust::export]
fn test_suspend_listen() {
    on_suspend(async || SEEN.with_borrow_mut(|seen| seen.push_str("asked ")));
    on_resume(async |resumed| {
        SEEN.with_borrow_mut(|seen| *seen += &format!("{:?} ", resumed.away));
    });
}

/// What they have seen.
#[mirust::export]
fn test_suspend_seen() -> String {
    SEEN.take()
}

/// Asks everybody: why the domain cannot be suspended, or nothing.
#[mirust::export]
async fn test_suspend_ask() -> String {
    suspend_hooks().ask().await.err().unwrap_or_default()
}

/// Tells everybody.
#[mirust::export]
async fn test_suspend_tell(away_ns: isize, cancelled: bool) {
    let away = Duration::from_nanos(away_ns as u64);
    suspend_hooks().tell(Resumed { away, cancelled }).await
}
