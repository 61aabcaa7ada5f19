use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{digest, error::Unspecified};

fn main() -> Result<(), Unspecified> {
    let digest = digest::digest(&digest::SHA256, b"abc");
    assert_eq!(digest.as_ref()[..4], [0xba, 0x78, 0x16, 0xbf]);
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| Unspecified)?;
    let signature = key.sign(b"message");
    UnparsedPublicKey::new(&ED25519, key.public_key()).verify(b"message", signature.as_ref())?;
    println!("works");
    Ok(())
}
