use base64::prelude::*;

fn main() {
    let text = BASE64_STANDARD.encode(b"hello");
    assert_eq!(BASE64_STANDARD.decode(&text).unwrap(), b"hello");
    println!("works");
}
