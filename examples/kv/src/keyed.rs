//! The hash of the store's keys: SipHash-1-3 with random keys, as std's own, so that nobody can choose strings whose
//! hashes are the same. std's takes bytes in any number of pieces; a key is there as a whole, and takes half as long.
//!
//! Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF".

use std::hash::{BuildHasher, Hasher, RandomState};

/// What a map hashes its keys with.
#[derive(Clone, Copy)]
pub struct Keyed(pub u64, pub u64);

impl Default for Keyed {
    fn default() -> Keyed {
        let random = RandomState::new();
        Keyed(random.hash_one(0), random.hash_one(1))
    }
}

impl BuildHasher for Keyed {
    type Hasher = Hash;

    fn build_hasher(&self) -> Hash {
        Hash { keys: *self, hash: 0 }
    }
}

/// The hash of a string of bytes. Several of them, one after another, are hashed as well, each by itself.
pub struct Hash {
    keys: Keyed,
    hash: u64,
}

impl Hasher for Hash {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.hash = sip(Keyed(self.keys.0 ^ self.hash, self.keys.1), bytes);
    }

    /// A slice says its length first. That is a part of its hash anyway.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

/// SipHash with one round for each eight bytes, and three in the end.
pub fn sip(keys: Keyed, bytes: &[u8]) -> u64 {
    let Keyed(k0, k1) = keys;
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut take_in = |block: u64| {
        v[3] ^= block;
        round(&mut v);
        v[0] ^= block;
    };
    let mut blocks = bytes.chunks_exact(8);
    for block in &mut blocks {
        take_in(u64::from_le_bytes(block.try_into().expect("eight bytes")));
    }
    let rest = blocks.remainder().iter().rev();
    let last = rest.fold(0, |last, byte| last << 8 | u64::from(*byte));
    take_in(last | (bytes.len() as u64) << 56);
    v[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}
