//! Called by OCaml: each function here becomes one of the OCaml module `Greeter`.

use mirust::time::{Duration, sleep};

/// Greets `name`, after a moment's thought.
#[mirust::export]
async fn welcome(name: String) -> String {
    sleep(Duration::from_millis(100)).await;
    format!("{name}, this is Rust on {}", mirust::platform_name())
}
