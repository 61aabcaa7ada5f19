//! How much of the patience with a client is used up. The rule exists only once: OCaml's `Mirust.Places` calls it
//! through the C ABI, and `mirust-summon`, which depends on none of our crates, includes this file.

use core::time::Duration;

/// The patience with a client that was never answered. It is short because a crowd arrives within a moment.
const WITH_A_STRANGER: Duration = Duration::from_millis(10);
/// The patience with any other client, for each answer that it has had, up to [`MOST_ANSWERS`].
const FOR_EACH_ANSWER: Duration = Duration::from_secs(1);
const MOST_ANSWERS: u32 = 600;
/// Hundreds of requests in one burst, or one on arrival, do not make a client well known: the patience earned by
/// answers is at most [`AT_FIRST`] plus [`TIMES_AS_LONG`] times as long as the server has known the client.
const AT_FIRST: Duration = Duration::from_millis(100);
const TIMES_AS_LONG: u32 = 10;
/// A client in the middle of a request or an answer has a stranger's patience plus this fraction of its own, or all of
/// its own up to [`SOON`] if that is more. So a known client does not make room for a crowd that arrives while it is
/// being answered, and no client keeps the others waiting for long.
const IN_THE_MIDDLE: u32 = 100;
const SOON: Duration = Duration::from_secs(1);
/// Added to every client's idle time. Hundreds of newcomers may arrive in one turn, none of which has been idle at all;
/// without this, known clients would be evicted before them.
const A_MOMENT: Duration = Duration::from_millis(5);

/// The part of the patience that is used up, in thousandths: above a thousand it is exhausted. `known` is the time from
/// the client's arrival until its last progress, `idle` the time since then; `busy` says that it is in the middle of a
/// request or an answer.
pub(crate) fn used_up(known: Duration, idle: Duration, answers: u32, busy: bool) -> u128 {
    let earned = FOR_EACH_ANSWER * answers.min(MOST_ANSWERS);
    let own = earned.min(AT_FIRST.saturating_add(known.saturating_mul(TIMES_AS_LONG)));
    let in_the_middle = (WITH_A_STRANGER + own / IN_THE_MIDDLE).max(own.min(SOON));
    let patience = if own.is_zero() || busy { in_the_middle } else { own };
    idle.saturating_add(A_MOMENT).as_nanos() * 1000 / patience.as_nanos()
}
