//! Whether frames come alone, so that it is not worth a system call to look for another one behind the first.

/// So often in a row there was none behind a single frame: then there hardly is.
const VAIN: u8 = 4;
/// How often that is believed before it is tried again.
const BELIEVED: u8 = 12;

/// What is known of the frames that have come of late.
///
/// With one connection each request comes alone. A loop that has slept until then knows that anyway; but a peer on
/// the same processor has answered by the time that we look, and then there has been no sleep.
#[derive(Default)]
pub(crate) struct Company {
    /// Looks in vain, in a row; beyond [`VAIN`], how often none was taken since.
    vain: u8,
}

impl Company {
    /// Whether another frame behind the first is unlikely.
    pub(crate) fn is_unlikely(&self) -> bool {
        self.vain >= VAIN
    }

    /// There was another one.
    pub(crate) fn found(&mut self) {
        self.vain = 0;
    }

    /// There was none.
    pub(crate) fn missed(&mut self) {
        self.vain = (self.vain + 1).min(VAIN);
    }

    /// Nobody has looked.
    pub(crate) fn not_looked(&mut self) {
        if self.is_unlikely() {
            self.vain += 1;
            if self.vain > VAIN + BELIEVED {
                self.vain = VAIN - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns with one frame each; how often another one was looked for.
    fn looks(company: &mut Company, turns: usize) -> usize {
        let looked = |_: &usize| {
            let looks = !company.is_unlikely();
            if looks {
                company.missed();
            } else {
                company.not_looked();
            }
            looks
        };
        (0..turns).filter(looked).count()
    }

    #[test]
    fn who_always_comes_alone_is_looked_behind_now_and_then() {
        let mut company = Company::default();
        assert_eq!(looks(&mut company, VAIN.into()), 4);
        assert_eq!(looks(&mut company, BELIEVED.into()), 0);
        assert_eq!(looks(&mut company, 140), 10);
    }

    #[test]
    fn one_other_frame_is_enough_to_look_again() {
        let mut company = Company::default();
        looks(&mut company, 50);
        company.found();
        assert!(!company.is_unlikely());
        assert_eq!(looks(&mut company, 4), 4);
    }

    #[test]
    fn turns_without_a_look_teach_nothing() {
        let mut company = Company::default();
        (0..100).for_each(|_| company.not_looked());
        assert!(!company.is_unlikely());
    }
}
