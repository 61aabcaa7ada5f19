//! Called by main.ml, as the module `Rust`.

/// A greeting for `name`.
#[mirust::export]
fn greeting(name: &str) -> String {
    format!("Hello {name}, this is Rust on {}", mirust::platform_name())
}
