//! The other program.
fn main() {
    println!("the other program");
}
