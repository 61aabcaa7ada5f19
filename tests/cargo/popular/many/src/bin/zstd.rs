fn main() -> std::io::Result<()> {
    let text = b"a text that comes again and again. ".repeat(100);
    let small = zstd::encode_all(text.as_slice(), 3)?;
    assert!(small.len() < text.len() / 10);
    assert_eq!(zstd::decode_all(small.as_slice())?, text);
    println!("works");
    Ok(())
}
