(* Of integers, and so without a call. *)
let min = Int.min
let max = Int.max

type t = {
  mutable initial : int;
  floor : int;
  ceiling : int;
  mutable srtt : int;
  mutable var : int;
  mutable shift : int; (* doublings of the timeout *)
  mutable min_now : int; (* least sample of the current window of [window] ns *)
  mutable min_before : int; (* of the window before it *)
  mutable window_start : int;
}

let window = 10_000_000_000

let create ~initial ~min ~max =
  {
    initial;
    floor = min;
    ceiling = max;
    srtt = 0;
    var = 0;
    shift = 0;
    min_now = max_int;
    min_before = max_int;
    window_start = 0;
  }

let srtt t = t.srtt
let var t = t.var
let min_rtt t = min t.min_now t.min_before

let aged t ~now =
  if now - t.window_start > window then (
    t.min_before <- t.min_now;
    t.min_now <- max_int;
    t.window_start <- now)

let sample t rtt =
  let rtt = max 1 rtt in
  if rtt < t.min_now then t.min_now <- rtt;
  (if t.srtt = 0 then (
     t.srtt <- rtt;
     t.var <- rtt / 2)
   else
     let error = rtt - t.srtt in
     t.var <- t.var + ((abs error - t.var) asr 2);
     t.srtt <- max 1 (t.srtt + (error asr 3)));
  t.shift <- 0

(* The variance term has the floor, rather than the sum: on a path with a steady round trip the sum
   would come to lie just above it, and any delayed acknowledgement would be a timeout. *)
let base t = if t.srtt = 0 then t.initial else t.srtt + max t.floor (4 * t.var)
let timeout t = min t.ceiling (base t lsl t.shift)
let back_off t = if timeout t < t.ceiling then t.shift <- t.shift + 1

let restart t ~initial =
  t.shift <- 0;
  t.initial <- max t.initial initial
