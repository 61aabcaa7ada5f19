//! How much of the patience with a client is used up. This is said once: OCaml's `Mirust.Places` asks through the C ABI,
//! and `mirust-summon`, which uses nothing of Mirust's, includes this file.

use core::time::Duration;

/// With a client that was never answered: a crowd comes within a moment.
const WITH_A_STRANGER: Duration = Duration::from_millis(10);
/// With any other, for each answer that it has had, up to [`MOST_ANSWERS`].
const FOR_EACH_ANSWER: Duration = Duration::from_secs(1);
const MOST_ANSWERS: u32 = 600;
/// Whoever sends hundreds of requests in one burst, or one as soon as it comes, is not known for that: there is so much
/// patience with it, and so many times as long as the server has known it.
const AT_FIRST: Duration = Duration::from_millis(100);
const TIMES_AS_LONG: u32 = 10;
/// A client that is in the middle of something has that of a stranger and such a part of its own, but all its own up to
/// [`SOON`], as it might just as well be idle: who is known is not to make room for a crowd that comes while he is being
/// answered, and nobody is to keep others waiting for long.
const IN_THE_MIDDLE: u32 = 100;
const SOON: Duration = Duration::from_secs(1);
/// Hundreds may come in one turn, and none of them has been idle then: each counts as if it had been for so long, or
/// those who are known would have to go.
const A_MOMENT: Duration = Duration::from_millis(5);

/// In thousandths: above a thousand it is exhausted. `known`: from when the client came until it last made progress;
/// `idle`: since then; `busy`: it is in the middle of something.
pub(crate) fn used_up(known: Duration, idle: Duration, answers: u32, busy: bool) -> u128 {
    let earned = FOR_EACH_ANSWER * answers.min(MOST_ANSWERS);
    let own = earned.min(AT_FIRST.saturating_add(known.saturating_mul(TIMES_AS_LONG)));
    let in_the_middle = (WITH_A_STRANGER + own / IN_THE_MIDDLE).max(own.min(SOON));
    let patience = if own.is_zero() || busy { in_the_middle } else { own };
    idle.saturating_add(A_MOMENT).as_nanos() * 1000 / patience.as_nanos()
}
