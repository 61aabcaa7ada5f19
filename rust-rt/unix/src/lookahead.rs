//! Whether to look for another frame behind the first: if frames always come alone, that is not worth a system call.

/// After this many looks in a row that found nothing, looking is not worthwhile.
const MISSES: u8 = 4;
/// How many looks are then left out before the next one.
const SKIPS: u8 = 12;

/// A predictor, which knows the latest frames.
///
/// With one connection each request comes alone. A loop that has slept until then knows that anyway; but if the peer is
/// on the same processor, it has answered by the time that we look, and there has been no sleep.
#[derive(Default)]
pub(crate) struct Lookahead {
    /// Misses in a row, up to [`MISSES`]; beyond that, looks that were left out since.
    misses: u8,
}

impl Lookahead {
    /// Whether another frame behind the first is unlikely.
    pub(crate) fn is_vain(&self) -> bool {
        self.misses >= MISSES
    }

    /// There was another frame.
    pub(crate) fn hit(&mut self) {
        self.misses = 0;
    }

    /// There was none.
    pub(crate) fn miss(&mut self) {
        self.misses = (self.misses + 1).min(MISSES);
    }

    /// A look was left out.
    pub(crate) fn skip(&mut self) {
        if self.is_vain() {
            self.misses += 1;
            if self.misses > MISSES + SKIPS {
                self.misses = MISSES - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns with one frame each; how often another one was looked for.
    fn looks(lookahead: &mut Lookahead, turns: usize) -> usize {
        let looked = |_: &usize| {
            let looks = !lookahead.is_vain();
            if looks {
                lookahead.miss();
            } else {
                lookahead.skip();
            }
            looks
        };
        (0..turns).filter(looked).count()
    }

    #[test]
    fn frames_that_come_alone_are_looked_behind_now_and_then() {
        let mut lookahead = Lookahead::default();
        assert_eq!(looks(&mut lookahead, MISSES.into()), 4);
        assert_eq!(looks(&mut lookahead, SKIPS.into()), 0);
        assert_eq!(looks(&mut lookahead, 140), 10);
    }

    #[test]
    fn one_other_frame_is_enough_to_look_again() {
        let mut lookahead = Lookahead::default();
        looks(&mut lookahead, 50);
        lookahead.hit();
        assert!(!lookahead.is_vain());
        assert_eq!(looks(&mut lookahead, 4), 4);
    }

    #[test]
    fn turns_without_a_look_teach_nothing() {
        let mut lookahead = Lookahead::default();
        (0..100).for_each(|_| lookahead.skip());
        assert!(!lookahead.is_vain());
    }
}
