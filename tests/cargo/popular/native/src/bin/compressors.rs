//! There and back by bzip2, xz and LZ4, in C.

use std::io::{Read, Write};

fn back(mut decoder: impl Read) -> String {
    let mut text = String::new();
    decoder.read_to_string(&mut text).unwrap();
    text
}

fn main() {
    let text = "hello hello hello ".repeat(1000);
    let mut bz = Vec::new();
    let level = bzip2::Compression::best();
    bzip2::read::BzEncoder::new(text.as_bytes(), level).read_to_end(&mut bz).unwrap();
    assert_eq!(back(bzip2::read::BzDecoder::new(&bz[..])), text);
    let mut xz = Vec::new();
    liblzma::read::XzEncoder::new(text.as_bytes(), 1).read_to_end(&mut xz).unwrap();
    assert_eq!(back(liblzma::read::XzDecoder::new(&xz[..])), text);
    let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
    encoder.write_all(text.as_bytes()).unwrap();
    let (lz, result) = encoder.finish();
    result.unwrap();
    assert_eq!(back(lz4::Decoder::new(&lz[..]).unwrap()), text);
    println!("works");
}
