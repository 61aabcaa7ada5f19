use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let text = "and again ".repeat(1000);
    let mut small = Vec::new();
    brotli::CompressorWriter::new(&mut small, 4096, 5, 20).write_all(text.as_bytes())?;
    assert!(small.len() < 100);
    let mut back = String::new();
    brotli::Decompressor::new(&small[..], 4096).read_to_string(&mut back)?;
    assert_eq!(back, text);
    println!("works");
    Ok(())
}
