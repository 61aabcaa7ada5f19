type t = { interval : int; burst : int; mutable empty_at : int }

(* [empty_at] is the time at which the bucket had (or would have had) no token; tokens have grown
   since. *)
let create ~rate ~burst = { interval = 1_000_000_000 / rate; burst; empty_at = min_int / 2 }

let take ?(cost = 1) t ~now =
  let earliest = now - (t.burst * t.interval) in
  if t.empty_at < earliest then t.empty_at <- earliest;
  let price = cost * t.interval in
  let ok = t.empty_at + price <= now in
  if ok then t.empty_at <- t.empty_at + price;
  ok
