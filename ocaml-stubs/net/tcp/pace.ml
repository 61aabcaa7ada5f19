open Tcb

(* The wheel's tick: a timer may be this late. *)
let tick = 1 lsl 20

(* On a shorter path the timer is too coarse to spread a window. *)
let shortest = 4 * tick

let on env c =
  env.config.pacing && Rtt.srtt c.rtt >= shortest && Cc.cwnd c.cc > Cc.initial_window c.mss

(* Octets per round trip. *)
let rate c =
  let cwnd = Cc.cwnd c.cc in
  if Cc.in_slow_start c.cc then 2 * cwnd else cwnd * 6 / 5

(* What one tick is worth, in full segments. *)
let quantum c = max 2 (rate c * tick / Rtt.srtt c.rtt / c.mss) * c.mss

let allows env c n =
  if not (on env c) then n
  else if Flight.is_empty c.flight then min n (Cc.initial_window c.mss)
  else if env.now >= c.pace_next then min n (quantum c)
  else (
    c.pace_waits <- true;
    c.pace_at <- c.pace_next;
    arm env c;
    0)

(* Time in which data waited and we did not come to run is made up for: where the processor is
   short, a train is the lesser evil. Time in which there was nothing to send is not. *)
let sent env c n =
  if on env c then (
    let srtt = Rtt.srtt c.rtt in
    let behind = env.now - if c.pace_waits then srtt / 2 else 2 * tick in
    c.pace_next <- max c.pace_next behind + (n * srtt / rate c);
    c.pace_at <- max_int)

let nothing_to_send c = c.pace_waits <- false
