//! The Internet checksum (RFC 1071).

/// The one's complement sum of the 16-bit words of `bytes`, in the order of the machine and folded
/// to 16 bits. An odd last byte counts as a word with a zero byte behind it.
///
/// The sum does not depend on byte order (RFC 1071, section 2(B)): what comes out is what the words
/// would give in network order, with its bytes swapped.
pub fn native_sum(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
    let mut sum = 0;
    // Each block has a sum of its own, so that the processor begins with the next one before this one's is there: it
    // adds two words per cycle, where one long chain of carries would be one.
    for block in blocks.chunks_exact(BLOCK) {
        sum = join(sum, words(block));
    }
    let (whole, tail) = rest.split_at(rest.len() - rest.len() % 8);
    sum = join(sum, words(whole));
    // The last bytes as a word of their own, with zeros behind them.
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    fold(join(sum, u64::from_le_bytes(last)))
}

/// As many bytes as are added without a look at how many are left.
const BLOCK: usize = 128;

/// Both, and the carry: 2⁶⁴ is 1 in one's complement.
#[inline(always)]
fn join(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u64::from(carry)
}

/// The sum of whole words of 64 bits, each with the carry of the word before.
#[inline(always)]
fn words(bytes: &[u8]) -> u64 {
    let (mut sum, mut carry) = (0, false);
    for word in bytes.chunks_exact(8) {
        (sum, carry) = add(sum, u64_of(word), carry);
    }
    // A sum that leaves a carry is at most 2⁶⁴ - 2: it would take two words of 2⁶⁴ - 1 and a carry to reach more, and
    // the first of them has none.
    sum + u64::from(carry)
}

/// The sum of both words and the carry, and the carry of that.
#[inline(always)]
fn add(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(u64::from(carry));
    (sum, first | second)
}

/// Eight bytes as a number.
#[inline(always)]
fn u64_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("chunks of eight"))
}

/// Adds the carries back in until 16 bits remain.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// A sum over pieces of any length, in order.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    sum: u64,
    odd: bool,
}

impl Sum {
    /// Adds the next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        let part = native_sum(bytes);
        // A piece at an odd offset has every word split across two: swapping the bytes of its sum
        // is the same as moving it by one byte.
        self.sum += u64::from(if self.odd { part.swap_bytes() } else { part });
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// The value of the checksum field, in the order in which it is stored.
    pub fn finish(self) -> [u8; 2] {
        (!fold(self.sum)).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use mirust_xen::testing::Random;

    /// As RFC 1071 has it: a word at a time, in network order.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(native_sum(&bytes).swap_bytes(), 0xddf2);
        let mut sum = Sum::default();
        sum.add(&bytes);
        assert_eq!(sum.finish(), (!0xddf2u16).to_be_bytes());
    }

    #[test]
    fn agrees_with_the_plain_sum_at_every_length_and_alignment() {
        let mut random = Random::new(1);
        let bytes: Vec<u8> = (0..300).map(|_| random.bits() as u8).collect();
        for start in 0..9 {
            for end in start..bytes.len() {
                let part = &bytes[start..end];
                // 0 and 0xffff are the same number in one's complement.
                let (fast, plain) = (native_sum(part).swap_bytes(), plain(part));
                assert!(fast == plain || (fast % 0xffff == 0 && plain % 0xffff == 0));
            }
        }
        for length in 1..300 {
            assert_eq!(native_sum(&vec![0xff; length & !1]), if length < 2 { 0 } else { 0xffff });
        }
        assert_eq!(native_sum(&[0xff; 65536]), 0xffff);
    }

    #[test]
    fn pieces_of_any_length_give_the_sum_of_the_whole() {
        let mut random = Random::new(2);
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.bits() as u8).collect();
            let (mut whole, mut pieces) = (Sum::default(), Sum::default());
            whole.add(&bytes);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.below(rest.len()) + 1);
                pieces.add(piece);
                rest = after;
            }
            assert_eq!(whole.finish(), pieces.finish());
        }
    }
}
