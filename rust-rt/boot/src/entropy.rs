//! Random numbers fit for keys: what the CPU gives, mixed with what boot knows, expanded by ChaCha20.
//!
//! The CPU's generators are used to make keys, never as output: so a broken generator, or one faked by the host,
//! reveals nothing unless everything else that was mixed in is known too. Each request replaces the key before its
//! bytes are handed out, so that reading the memory later does not reveal what was drawn before.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A generator: a key, and nothing else.
pub struct Drbg {
    key: [u8; 32],
}

impl Drbg {
    /// A generator that everybody knows, until something was stirred in.
    pub const fn new() -> Drbg {
        Drbg { key: [0; 32] }
    }

    /// Mixes bytes in, however little they are worth. The key depends on all that was ever stirred in, in its order.
    pub fn stir(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(self.key.len()) {
            self.key.iter_mut().zip(chunk).for_each(|(key, byte)| *key ^= byte);
            // A shorter chunk is another than a longer one with zeros.
            self.key[31] ^= chunk.len() as u8;
            self.fill(&mut []);
        }
    }

    /// Fills the buffer, and forgets how.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(buffer);
    }
}

impl Default for Drbg {
    fn default() -> Self {
        Drbg::new()
    }
}

#[cfg(feature = "image")]
mod image {
    use super::Drbg;
    use crate::cpu;
    use spin::Mutex;

    static DRBG: Mutex<Drbg> = Mutex::new(Drbg::new());

    /// Words of each of the CPU's generators that go into a key: 512 bits.
    const WORDS: usize = 8;

    /// Mixes in the CPU's random numbers, the time, and `more`. False if the CPU has no generator: what is drawn then
    /// is only as good as the time and `more`.
    pub fn stir(more: &[&[u8]]) -> bool {
        let mut drbg = DRBG.lock();
        let mut hardware = false;
        let generators = cpu::Generators::find();
        for _ in 0..WORDS {
            let words = [generators.seed(), generators.random()];
            for word in words.into_iter().flatten() {
                hardware = true;
                drbg.stir(&word.to_le_bytes());
            }
            if !hardware {
                // How long CPUID takes, which leaves the guest, nobody outside this host knows to the tick.
                let _ = cpu::cpuid(0, 0);
            }
            drbg.stir(&cpu::rdtsc().to_le_bytes());
        }
        more.iter().for_each(|bytes| drbg.stir(bytes));
        hardware
    }

    /// Fills the buffer. Always true: once a key is there, running code cannot run out of random numbers.
    pub fn fill(buffer: &mut [u8]) -> bool {
        let mut drbg = DRBG.lock();
        drbg.stir(&cpu::rdtsc().to_le_bytes());
        drbg.fill(buffer);
        true
    }
}

#[cfg(feature = "image")]
pub use image::{fill, stir};

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(drbg: &mut Drbg) -> [u8; 48] {
        let mut bytes = [0; 48];
        drbg.fill(&mut bytes);
        bytes
    }

    #[test]
    fn what_was_stirred_in_decides_all_that_follows() {
        let variants: [&[&[u8]]; 8] = [
            &[],
            &[b"a"],
            &[b"b"],
            &[b"a", b"b"],
            &[b"b", b"a"],
            &[b"ab"],
            &[b"a\0"],
            &[&[7; 100]],
        ];
        let streams: alloc::vec::Vec<_> = variants
            .into_iter()
            .map(|variant| {
                let mut drbg = Drbg::new();
                variant.iter().for_each(|bytes| drbg.stir(bytes));
                drawn(&mut drbg)
            })
            .collect();
        for (i, stream) in streams.iter().enumerate() {
            assert!(streams[..i].iter().all(|other| other != stream), "variant {i}");
        }
    }

    #[test]
    fn no_bytes_are_drawn_twice_and_every_byte_is_set() {
        let mut drbg = Drbg::new();
        drbg.stir(b"seed");
        let (first, second) = (drawn(&mut drbg), drawn(&mut drbg));
        assert_ne!(first, second);
        let mut seen = [0u8; 13];
        for _ in 0..64 {
            let mut bytes = [0; 13];
            drbg.fill(&mut bytes);
            seen.iter_mut().zip(bytes).for_each(|(seen, byte)| *seen |= byte);
        }
        assert_eq!(seen, [0xff; 13]);
    }

    #[test]
    fn the_key_does_not_tell_what_was_drawn_before() {
        let mut drbg = Drbg::new();
        drbg.stir(b"seed");
        let before = drawn(&mut drbg);
        let mut thief = Drbg { key: drbg.key };
        assert_ne!(drawn(&mut thief), before);
    }
}
