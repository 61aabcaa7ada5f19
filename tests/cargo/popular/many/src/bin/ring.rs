use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{aead, digest};

fn main() {
    let random = SystemRandom::new();
    let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
    let signature = key.sign(b"hello, world");
    let public = UnparsedPublicKey::new(&ED25519, key.public_key());
    public.verify(b"hello, world", signature.as_ref()).unwrap();
    assert!(public.verify(b"hello, worlds", signature.as_ref()).is_err());
    let mut secret = [0; 32];
    random.fill(&mut secret).unwrap();
    let seal = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &secret).unwrap());
    let nonce = || aead::Nonce::assume_unique_for_key([0; 12]);
    let mut text = b"plain".to_vec();
    seal.seal_in_place_append_tag(nonce(), aead::Aad::empty(), &mut text).unwrap();
    assert_eq!(seal.open_in_place(nonce(), aead::Aad::empty(), &mut text).unwrap(), b"plain");
    assert_eq!(digest::digest(&digest::SHA256, b"").as_ref()[..2], [0xe3, 0xb0]);
    println!("works");
}
