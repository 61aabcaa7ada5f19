(* Of integers, and so without a call. *)
let min = Int.min
let max = Int.max

type algorithm = Cubic | New_reno

(* All floats, so that they are stored unboxed. *)
type cubic = {
  mutable w_max : float; (* segments: the window before the last reduction *)
  mutable k : float; (* s from the start of the epoch until the window is w_max again *)
  mutable epoch : float; (* s; negative: the next acknowledgement starts one *)
  mutable origin : float; (* segments at time [k] *)
  mutable w_est : float; (* segments that Reno would have *)
  mutable prior : float; (* segments: cwnd at the last reduction *)
}

type t = {
  algorithm : algorithm;
  mutable mss : int;
  mutable cwnd : int;
  mutable ssthresh : int;
  mutable credit : int; (* acknowledged octets that have not grown the window yet *)
  mutable last_min_rtt : int; (* HyStart++ (RFC 9406): of the last round *)
  mutable round_min_rtt : int;
  mutable round_samples : int;
  mutable round_left : int; (* octets to be acknowledged until the round ends *)
  mutable css_rounds : int; (* rounds left in conservative slow start; 0: not in it *)
  mutable css_baseline : int;
  cubic : cubic;
}

let initial_window mss = min (10 * mss) (max (2 * mss) 14600)

let create algorithm ~mss =
  {
    algorithm;
    mss;
    cwnd = initial_window mss;
    ssthresh = max_int;
    credit = 0;
    last_min_rtt = max_int;
    round_min_rtt = max_int;
    round_samples = 0;
    round_left = 0;
    css_rounds = 0;
    css_baseline = 0;
    cubic = { w_max = 0.; k = 0.; epoch = -1.; origin = 0.; w_est = 0.; prior = 0. };
  }

let algorithm t = t.algorithm
let cwnd t = t.cwnd
let set_cwnd t n = t.cwnd <- max t.mss n
let ssthresh t = t.ssthresh
let in_slow_start t = t.cwnd < t.ssthresh

let set_mss t mss =
  t.mss <- mss;
  t.cwnd <- max mss t.cwnd

(* HyStart++, RFC 9406 section 4.2: a round whose least round trip rose by an eighth over the last
   one's means that a queue is building up; five gentle rounds later slow start is over, unless the
   round trip came down again. *)
let min_rtt_thresh = 4_000_000
let max_rtt_thresh = 16_000_000
let min_samples = 8

let hystart_round t =
  t.last_min_rtt <- t.round_min_rtt;
  t.round_min_rtt <- max_int;
  t.round_samples <- 0;
  t.round_left <- t.cwnd;
  if t.css_rounds > 0 then (
    t.css_rounds <- t.css_rounds - 1;
    if t.css_rounds = 0 then t.ssthresh <- t.cwnd)

let hystart t ~rtt ~octets =
  if rtt > 0 then (
    t.round_min_rtt <- min t.round_min_rtt rtt;
    t.round_samples <- t.round_samples + 1);
  if t.round_samples >= min_samples && t.round_min_rtt < max_int && t.last_min_rtt < max_int then
    if t.css_rounds = 0 then (
      let thresh = max min_rtt_thresh (min (t.last_min_rtt / 8) max_rtt_thresh) in
      if t.round_min_rtt >= t.last_min_rtt + thresh then (
        t.css_baseline <- t.round_min_rtt;
        t.css_rounds <- 5))
    else if t.round_min_rtt < t.css_baseline then t.css_rounds <- 0;
  t.round_left <- t.round_left - octets;
  if t.round_left <= 0 then hystart_round t

let slow_start t ~rtt ~octets =
  (* Only the first slow start has no threshold to go by (RFC 9406 section 4.3). *)
  if t.ssthresh = max_int then hystart t ~rtt ~octets;
  let octets = if t.css_rounds > 0 then octets / 4 else octets in
  let grown = t.cwnd + octets in
  if grown <= t.ssthresh then (
    t.cwnd <- grown;
    0)
  else
    let left = max 0 (grown - t.ssthresh) in
    t.cwnd <- t.ssthresh;
    left

(* Octets acknowledged per segment of growth: one segment per window is Reno. *)
let grow t ~octets ~per_segment =
  t.credit <- t.credit + octets;
  if t.credit >= per_segment then (
    let segments = t.credit / per_segment in
    t.credit <- t.credit - (segments * per_segment);
    t.cwnd <- t.cwnd + (segments * t.mss))

let cubic_c = 0.4
let cubic_beta = 0.7
let cubic_alpha = 3. *. (1. -. cubic_beta) /. (1. +. cubic_beta)

(* RFC 9438 section 4.2 to 4.5. *)
let cubic_ack t ~now ~rtt ~octets =
  let q = t.cubic in
  let mss = float_of_int t.mss in
  let cwnd = float_of_int t.cwnd /. mss in
  let seconds = float_of_int now *. 1e-9 in
  if q.epoch < 0. then (
    q.epoch <- seconds;
    q.w_est <- cwnd;
    if cwnd < q.w_max then (
      q.k <- Float.cbrt ((q.w_max -. cwnd) /. cubic_c);
      q.origin <- q.w_max)
    else (
      q.k <- 0.;
      q.origin <- cwnd));
  let at = seconds -. q.epoch +. (float_of_int rtt *. 1e-9) -. q.k in
  let target = q.origin +. (cubic_c *. at *. at *. at) in
  let target = Float.min (1.5 *. cwnd) (Float.max cwnd target) in
  let alpha = if q.w_est >= q.prior then 1. else cubic_alpha in
  q.w_est <- q.w_est +. (alpha *. float_of_int octets /. mss /. cwnd);
  let target = Float.max target q.w_est in
  if target > cwnd then
    grow t ~octets ~per_segment:(max 1 (int_of_float (float_of_int t.cwnd /. (target -. cwnd))))

let acked t ~now ~rtt ~octets =
  let octets = if in_slow_start t then slow_start t ~rtt ~octets else octets in
  if octets > 0 && not (in_slow_start t) then
    match t.algorithm with
    | New_reno -> grow t ~octets ~per_segment:t.cwnd
    | Cubic -> cubic_ack t ~now ~rtt ~octets

let congestion t ~in_flight =
  t.css_rounds <- 0;
  t.last_min_rtt <- max_int;
  t.round_min_rtt <- max_int;
  t.round_samples <- 0;
  t.credit <- 0;
  let window = min t.cwnd (max in_flight t.mss) in
  let kept =
    match t.algorithm with
    | New_reno -> window / 2
    | Cubic ->
        let q = t.cubic in
        let segments = float_of_int window /. float_of_int t.mss in
        (* Fast convergence (section 4.7): leave room to a newcomer. *)
        q.w_max <- (if segments < q.w_max then segments *. (1. +. cubic_beta) /. 2. else segments);
        q.prior <- segments;
        q.epoch <- -1.;
        int_of_float (float_of_int window *. cubic_beta)
  in
  t.ssthresh <- max (2 * t.mss) kept

let timeout t ~in_flight =
  congestion t ~in_flight;
  t.cwnd <- t.mss

let handshake_loss t = t.cwnd <- t.mss

let idle t =
  t.cwnd <- min t.cwnd (initial_window t.mss);
  t.cubic.epoch <- -1.

type saved = { saved_cwnd : int; saved_ssthresh : int; saved_w_max : float }

let save t = { saved_cwnd = t.cwnd; saved_ssthresh = t.ssthresh; saved_w_max = t.cubic.w_max }

let undo t saved =
  t.cwnd <- max t.cwnd saved.saved_cwnd;
  t.ssthresh <- max t.ssthresh saved.saved_ssthresh;
  t.cubic.w_max <- saved.saved_w_max;
  t.cubic.epoch <- -1.
