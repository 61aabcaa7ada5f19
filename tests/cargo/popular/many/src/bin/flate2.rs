use std::io::{Read, Write};

fn main() {
    let text = "hello ".repeat(100);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let mut back = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut back).unwrap();
    assert!(back == text && packed.len() < 60);
    println!("works");
}
