//! What main.ml calls.

/// OCaml: `external greeting : string -> string = "greeting"`.
#[mirust::export]
fn greeting(name: &str) -> String {
    format!("Hello {name}, this is Rust on {}", mirust::platform_name())
}
