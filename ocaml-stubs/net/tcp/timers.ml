open Tcb

let give_up env c =
  env.stats.given_up <- env.stats.given_up + 1;
  Output.reset env c;
  finish env c `Timeout

let retransmission env c =
  match c.rexmit with
  | Idle -> c.rexmit_at <- max_int
  | Probe -> Recovery.probe env c
  | Reorder -> Recovery.reorder_timeout env c
  | Rto ->
      if env.now >= gives_up_at c then give_up env c
      else if env.now < c.rto_at then Output.arm_timeout env c c.rto_at
      else Recovery.timeout env c

(* Data waits, and nothing is under way whose acknowledgement would let it go. *)
let persist env c =
  c.persist_at <- max_int;
  if env.now >= gives_up_at c then give_up env c
  else (
    c.persist_shift <- min 20 (c.persist_shift + 1);
    (* A window smaller than a segment has been open for long enough (the override of RFC 9293
       section 3.8.6.2.1). *)
    if Output.force env c then Output.arm_rexmit env c ~restart:true
    else (
      env.stats.window_probes <- env.stats.window_probes + 1;
      Output.window_probe env c);
    touch env c)

let keepalive env c =
  c.keep_at <- max_int;
  match c.keepalive with
  | None -> ()
  | Some k ->
      let idle = env.now - c.heard in
      if not (Flight.is_empty c.flight && Octets.octets c.unsent = 0) then
        (* Not idle: retransmissions find out whether the peer is there. *)
        c.keep_at <- env.now + k.after
      else if idle < k.after && c.keep_probes = 0 then c.keep_at <- c.heard + k.after
      else if c.keep_probes >= k.probes then (
        env.stats.keepalive_drops <- env.stats.keepalive_drops + 1;
        give_up env c)
      else (
        c.keep_probes <- c.keep_probes + 1;
        env.stats.keepalives_sent <- env.stats.keepalives_sent + 1;
        Output.window_probe env c;
        c.keep_at <- env.now + k.interval)

let waited env c =
  c.wait_at <- max_int;
  match c.state with
  | Syn_sent | Syn_received -> finish env c (if c.unreachable then `No_route else `Timeout)
  | Time_wait -> finish env c `Closed
  | Fin_wait_2 ->
      (* An orphan: the peer never closed its half. *)
      finish env c `Closed
  | Established | Fin_wait_1 | Close_wait | Closing | Last_ack | Closed -> ()

(* Longer than any work can delay a timer. *)
let impossible_delay = 1000 * ms

(* A timer that is very late means that the domain was paused. It could not have heard its peer meanwhile, so that time
   does not count as time without progress. *)
let leave_out_what_did_not_run env c =
  let late = env.now - min c.rexmit_at (min c.persist_at c.keep_at) in
  if late > impossible_delay then (
    c.progress <- min env.now (c.progress + late);
    c.heard <- min env.now (c.heard + late);
    (* What a probe has brought may not have been read yet. *)
    match c.keepalive with
    | Some k when c.keep_at <= env.now -> c.keep_at <- env.now + k.interval
    | Some _ | None -> ())

let fire env c =
  let now = env.now in
  leave_out_what_did_not_run env c;
  if c.rexmit_at <= now then retransmission env c;
  if c.persist_at <= now then persist env c;
  if c.keep_at <= now then keepalive env c;
  if c.wait_at <= now then waited env c;
  if c.pace_at <= now then (
    c.pace_at <- max_int;
    touch env c);
  if c.ack_at <= now then (
    c.ack_at <- max_int;
    c.ack_now <- true;
    if c.pushed then Habit.missed c.habit;
    env.stats.delayed_acks <- env.stats.delayed_acks + 1;
    touch env c);
  arm env c
