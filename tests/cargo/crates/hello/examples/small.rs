//! An example.
fn main() {
    eprintln!("an example on standard error");
}
