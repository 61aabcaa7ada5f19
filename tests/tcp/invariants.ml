(* What must be true of an engine between two calls. *)

open Mirust_tcp
open Tcb

let failf fmt = Printf.ksprintf failwith fmt

let flight c =
  let f = c.flight in
  let network = ref 0 and sacked = ref 0 and lost = ref 0 in
  let next = ref c.snd_una in
  let count = ref 0 and first_lost = ref Flight.none and original = ref Flight.none in
  let resent = ref 0 and last = ref Flight.none in
  Flight.iter f (fun p ->
      let i = !count in
      if p.seq <> !next then failf "flight: piece %d at %d instead of %d" i p.seq !next;
      if Cstruct.lenv p.payload <> p.len then failf "flight: payload of piece %d" i;
      if Flight.seq_length p = 0 then failf "flight: empty piece %d" i;
      if p.lost && p.sacked then failf "flight: piece %d is lost and sacked" i;
      let total = if p.sacked then sacked else if p.lost then lost else network in
      total := !total + Flight.seq_length p;
      if p.lost && !first_lost == Flight.none then first_lost := p;
      if not (p.lost || p.sacked) then
        if p.sends > 1 then incr resent else if !original == Flight.none then original := p;
      if Flight.find f p.seq != p || Flight.find f (Seq.add (Flight.seq_end p) (-1)) != p then
        failf "flight: piece %d is not found" i;
      if p.sacked && Seq.lt (Flight.run_end f p.seq) (Flight.seq_end p) then
        failf "flight: piece %d in no run" i;
      if (not p.sacked) && Flight.run_end f p.seq <> p.seq then failf "flight: piece %d in a run" i;
      incr count;
      last := p;
      next := Flight.seq_end p);
  if !count <> Flight.count f then failf "flight: %d pieces, not %d" !count (Flight.count f);
  if !last != Flight.last f then failf "flight: another last one";
  if !first_lost != Flight.first_lost f then failf "flight: another first lost one";
  if !original != Flight.oldest_original f then failf "flight: another original";
  if !resent > 0 <> (Flight.oldest_resent f != Flight.none) then
    failf "flight: %d sent again" !resent;
  if !next <> c.snd_nxt then failf "flight ends at %d instead of %d" !next c.snd_nxt;
  if (!network, !sacked, !lost) <> (Flight.in_network f, Flight.sacked f, Flight.lost f) then
    failf "flight: totals %d %d %d" (Flight.in_network f) (Flight.sacked f) (Flight.lost f)

let ahead c =
  let rec go next = function
    | [] -> ()
    | (left, right) :: rest ->
        if Seq.leq left next then failf "reassembly: range at %d not behind %d" left next;
        if Seq.geq left right then failf "reassembly: empty range";
        go right rest
  in
  (* What came with a SYN is next, and waits for the handshake. *)
  go
    (if c.state = Syn_received then Seq.add c.rcv_nxt (-1) else c.rcv_nxt)
    (Reassembly.ranges c.ahead);
  let sum = List.fold_left (fun n (l, r) -> n + Seq.diff r l) 0 (Reassembly.ranges c.ahead) in
  if sum <> Reassembly.octets c.ahead then
    failf "reassembly: %d of %d" sum (Reassembly.octets c.ahead)

let timers c =
  (match c.timer with
  | Some t when earliest c < max_int ->
      if not (Wheel.pending t) then failf "a deadline, but no timer";
      if Wheel.due t > earliest c then failf "the timer is late"
  | Some _ | None -> ());
  if (not (Flight.is_empty c.flight)) && c.rexmit_at = max_int then
    failf "in flight without a timer";
  if (not (Flight.is_empty c.flight)) && c.rexmit = Idle then failf "in flight, and idle"

(* Only at the end of a turn: what could be sent has been. *)
let not_stuck env c =
  match c.state with
  | Established | Close_wait | Fin_wait_1 | Closing | Last_ack ->
      if
        Octets.octets c.unsent > 0
        && Flight.is_empty c.flight && c.persist_at = max_int && (not c.blocked) && env.can_send ()
      then failf "unsent, and nothing will send it";
      if c.closing && (not c.fin_sent) && Octets.octets c.unsent = 0 && Flight.lost c.flight = 0
      then failf "the FIN was not sent"
  | Syn_sent | Syn_received | Fin_wait_2 | Time_wait | Closed -> ()

let held c = Flight.octets c.flight + Octets.octets c.unsent + received_cost c + ahead_cost c

let check env c =
  if c.state <> Closed then (
    flight c;
    ahead c;
    timers c;
    if Seq.lt c.rcv_adv c.rcv_nxt && c.state <> Syn_sent then failf "the window ends before rcv_nxt";
    if Cc.cwnd c.cc <= 0 then failf "cwnd %d" (Cc.cwnd c.cc);
    if Octets.octets c.received < 0 || Octets.octets c.unsent < 0 then failf "queues");
  if held c < 0 then failf "holds less than nothing";
  ignore env

(* [edges] remembers the right edge of each connection's window. *)
let engine engine edges =
  let sum = ref 0 and stuck = ref 0 in
  let before = Hashtbl.copy edges in
  Hashtbl.reset edges;
  Engine.iter engine (fun connection ->
      let env = Engine.env engine and c = Engine.tcb connection in
      check env c;
      if Engine.held connection <> held c then
        failf "holds %d, not %d" (held c) (Engine.held connection);
      sum := !sum + held c;
      stuck := !stuck + c.place.stuck;
      (match Hashtbl.find_opt before (c.remote_port, c.iss) with
      | Some old when c.irs = fst old && Seq.lt c.rcv_adv (snd old) ->
          failf "the window's edge moved left by %d" (Seq.diff (snd old) c.rcv_adv)
      | Some _ | None -> ());
      if c.state <> Syn_sent then Hashtbl.replace edges (c.remote_port, c.iss) (c.irs, c.rcv_adv));
  if !stuck <> (Engine.env engine).stuck_octets then
    failf "stuck with %d, not %d" !stuck (Engine.env engine).stuck_octets;
  !sum

let lingering env =
  let n = Queue.fold (fun n c -> if c.state = Closed then n else n + 1) 0 env.waiting in
  if n <> env.lingering then failf "%d linger in TIME-WAIT, not %d" n env.lingering

let end_of_turn e =
  lingering (Engine.env e);
  Engine.iter e (fun c -> not_stuck (Engine.env e) (Engine.tcb c))
