let ns_per_day = 86_400_000_000_000L

(* Rounds towards the past: the picoseconds of a day are never negative. *)
let now_d_ps () =
  let ns = Abi.time_wall_ns () in
  let d = Int64.div ns ns_per_day and r = Int64.rem ns ns_per_day in
  let d, r = if Int64.compare r 0L < 0 then (Int64.pred d, Int64.add r ns_per_day) else (d, r) in
  (Int64.to_int d, Int64.mul r 1000L)

let now () = Ptime.v (now_d_ps ())
let current_tz_offset_s () = Some 0
let period () = None
let period_d_ps () = None
