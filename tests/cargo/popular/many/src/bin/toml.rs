fn main() {
    let table: toml::Table = "name = 'x'\n[a]\nb = 1\n".parse().unwrap();
    assert_eq!(table["a"]["b"].as_integer(), Some(1));
    println!("works");
}
