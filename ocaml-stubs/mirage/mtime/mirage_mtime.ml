(* Mirage's monotonic clock is the runtime's. *)

let elapsed_ns = Mirust.Mclock.elapsed_ns
let period_ns = Mirust.Mclock.period_ns
