fn main() {
    let mut reader = csv::Reader::from_reader("city,people\nBoston,650\n".as_bytes());
    let row: (String, u32) = reader.deserialize().next().unwrap().unwrap();
    assert_eq!(row, ("Boston".into(), 650));
    println!("works");
}
