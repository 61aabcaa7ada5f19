//! Asks for what a domain cannot have, by way of another crate.
fn main() {
    println!("{}", shell::first_file());
}
