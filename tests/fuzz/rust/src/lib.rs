//! What a fuzzer may feed, by name. Each target takes any bytes; it panics if something is wrong, and has no
//! other result.
//!
//! Some read the bytes as what a peer sent. The others take their decisions from them: [`Choices`] says what
//! both sides do next, so that a fuzzer that changes a byte changes one step of a story.

use std::path::PathBuf;

mod files;
mod left;
mod wire;

pub use left::Left;

/// A target, for any bytes.
pub type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: &[(&str, Target)] = &[
    ("blkfront", |data| {
        Choices::new(data).live(160, mirust_block::blkfront::lies::act);
    }),
    ("files", files::image),
    ("netfront", |data| {
        Choices::new(data).live(120, mirust_net::netfront::lies::drive);
    }),
    ("xenstore", |data| {
        Choices::new(data).live(80, mirust_xen::xenstore::lies::act);
    }),
    ("xenstore-wire", wire::xenstore),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// Decisions that come from bytes. When there are no more, all are 0.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Those that the bytes make.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices(bytes)
    }

    /// A number below `limit`, which is not 0, from as few bytes as can tell them all.
    pub fn below(&mut self, limit: usize) -> usize {
        let width = match limit - 1 {
            0 => return 0,
            1..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let (now, rest) = self.0.split_at(width.min(self.0.len()));
        self.0 = rest;
        now.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)) % limit
    }

    /// Has `life` take as many steps as the bytes are good for, and at most `most`.
    fn live(&mut self, most: usize, life: fn(usize, &mut dyn FnMut(usize) -> usize)) {
        let steps = (self.0.len() / 3 + 1).min(most);
        life(steps, &mut |limit| self.below(limit));
    }
}

/// Where the kept inputs of a target are: `corpus` or `found`.
pub fn kept(kind: &str, target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(kind).join(target)
}

/// The inputs in a text: one a line, as hexadecimal digits; a comment begins with `#`.
pub fn inputs(text: &str) -> Vec<Vec<u8>> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .filter(|line| !line.is_empty())
        .map(|line| {
            assert!(line.len() % 2 == 0 && line.is_ascii(), "not an input: {line}");
            (0..line.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&line[at..at + 2], 16).expect(line))
                .collect()
        })
        .collect()
}
