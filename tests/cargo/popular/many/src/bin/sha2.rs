use sha2::{Digest, Sha256};

fn main() {
    let hash = Sha256::digest(b"abc");
    assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
    println!("works");
}
