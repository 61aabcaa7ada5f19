//! What a disk holds.

use std::ops::Range;
use std::rc::Rc;

const PIECE: usize = 16 << 10;

/// The bytes of a disk. Copies have in common what neither of them has changed since: a disk is copied at each crash.
#[derive(Clone)]
pub struct Image {
    pieces: Vec<Rc<[u8; PIECE]>>,
    len: usize,
}

impl Image {
    /// This many zeros.
    pub fn zeros(len: usize) -> Image {
        let zeros = Rc::new([0; PIECE]);
        Image { pieces: vec![zeros; len.div_ceil(PIECE)], len }
    }

    /// Bytes of it.
    // A disk of no bytes is none.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads the bytes from `at` on.
    ///
    /// # Panics
    ///
    /// If it has not so many; the others too.
    pub fn read(&self, at: usize, out: &mut [u8]) {
        assert!(at + out.len() <= self.len, "outside of the disk");
        let mut done = 0;
        while done < out.len() {
            let (piece, skip, now) = self.split(at + done, out.len() - done);
            out[done..done + now].copy_from_slice(&self.pieces[piece][skip..skip + now]);
            done += now;
        }
    }

    /// Writes bytes from `at` on.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.len, "outside of the disk");
        let mut done = 0;
        while done < bytes.len() {
            let (piece, skip, now) = self.split(at + done, bytes.len() - done);
            let here = &mut Rc::make_mut(&mut self.pieces[piece])[skip..skip + now];
            here.copy_from_slice(&bytes[done..done + now]);
            done += now;
        }
    }

    /// Makes all bytes of a range the same.
    pub fn fill(&mut self, range: Range<usize>, byte: u8) {
        let bytes = vec![byte; range.len()];
        self.write(range.start, &bytes);
    }

    /// Flips a bit of a byte.
    pub fn damage(&mut self, at: usize) {
        let mut byte = [0];
        self.read(at, &mut byte);
        self.write(at, &[byte[0] ^ 1]);
    }

    /// Which piece a place is in, where in there, and how many of `len` bytes from there on.
    fn split(&self, at: usize, len: usize) -> (usize, usize, usize) {
        let skip = at % PIECE;
        (at / PIECE, skip, len.min(PIECE - skip))
    }
}
