open Tcb

(* 500 at once, and 500 a second: more than the acknowledgements that a transfer at full speed needs
   after a needless timeout, as each of them says the same. *)
let repeat_cost = 2 * ms
let repeat_burst = second

let repeat_allowed env c =
  let paid = max env.now c.answers.repeats_paid in
  paid - env.now < repeat_burst
  &&
  (c.answers.repeats_paid <- paid + repeat_cost;
   true)

let repeat env c = if repeat_allowed env c then Output.ack env c else c.dsack <- None
let odd_wait_max = 64 * second

let odd_allowed env c =
  env.now >= c.answers.odd_at
  &&
  (c.answers.odd_at <- env.now + c.answers.odd_wait;
   c.answers.odd_wait <- min odd_wait_max (2 * c.answers.odd_wait);
   true)

let odd env c = if odd_allowed env c then Output.ack env c
let syn_again env c = if odd_allowed env c then Output.syn env c

let challenge env c =
  if env.now >= c.answers.odd_at && Limit.allows env.challenges ~now:env.now then (
    env.stats.challenge_acks <- env.stats.challenge_acks + 1;
    odd env c)

let progress c = c.answers.odd_wait <- odd_wait_min
