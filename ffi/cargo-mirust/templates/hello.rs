fn main() {
    let name = std::env::args().nth(1).unwrap_or("world".into());
    println!("Hello, {name}!");
}
