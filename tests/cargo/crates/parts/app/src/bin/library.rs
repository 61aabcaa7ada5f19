//! What C code asks of its library.

fn main() {
    println!("C library: line {}", native::library());
}
