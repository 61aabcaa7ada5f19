open Tcb
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

let min_mss = 88

let set_mss c =
  let options = if c.ts_ok then 12 else 0 in
  c.mss <- max min_mss (min c.peer_mss c.path_mss - options);
  c.rcv_mss <- max c.rcv_mss (min c.mss 536);
  Cc.set_mss c.cc c.mss

(* ---- RACK ---- *)

(* RFC 8985 section 6.2, step 2: of all that was delivered, the piece sent last. *)
let delivered env c (p : Flight.piece) =
  let rtt = env.now - p.sent_at in
  (* An answer faster than any before is to the first transmission, not to the second. *)
  if p.sends = 1 || rtt >= Rtt.min_rtt c.rtt then (
    c.rack_rtt <- rtt;
    if p.sent_at > c.rack_sent || (p.sent_at = c.rack_sent && Seq.gt (Flight.seq_end p) c.rack_end)
    then (
      c.rack_sent <- p.sent_at;
      c.rack_end <- Flight.seq_end p))

(* Step 4: how long a later delivery is put down to reordering. *)
let reordering_window c =
  if (not c.reordering) && (c.phase <> Open || Flight.sacked c.flight >= 3 * c.mss) then 0
  else
    let rtt = Rtt.min_rtt c.rtt in
    if rtt = max_int then 0 else min (c.reo_mult * rtt / 4) (Rtt.srtt c.rtt)

(* Step 5. Returns the time until the next piece is to be taken for lost; 0: there is none. Pieces
   sent for the first time are in order of time: the scan ends at the first one sent after the
   latest delivery. *)
let find_losses env c =
  let window = reordering_window c in
  let rec scan i wait =
    if i >= Flight.count c.flight then wait
    else
      let p = Flight.get c.flight i in
      if p.sacked || p.lost then scan (i + 1) wait
      else if
        p.sent_at > c.rack_sent || (p.sent_at = c.rack_sent && Seq.geq (Flight.seq_end p) c.rack_end)
      then if p.sends = 1 then wait else scan (i + 1) wait
      else
        let left = p.sent_at + c.rack_rtt + window - env.now in
        if left <= 0 then (
          Flight.mark_lost c.flight p;
          scan (i + 1) wait)
        else scan (i + 1) (max wait left)
  in
  if c.rack_sent = 0 then 0 else scan 0 0

(* ---- The scoreboard ---- *)

let sack_piece env c (p : Flight.piece) =
  if not p.sacked then (
    if p.sends = 1 && Seq.lt (Flight.seq_end p) c.sacked_end then c.reordering <- true;
    c.sacked_end <- Seq.max c.sacked_end (Flight.seq_end p);
    delivered env c p;
    Flight.mark_sacked c.flight p)

let sack_block env c (left, right) =
  (* A block that says nothing sensible is passed over: blocks come from the peer. *)
  if Seq.lt left right && Seq.geq left c.snd_una && Seq.leq right c.snd_nxt then
    let rec mark i =
      if i < Flight.count c.flight then
        let p = Flight.get c.flight i in
        if Seq.lt p.seq left then (
          let n = Seq.diff left p.seq in
          if n < p.len then (
            Flight.split c.flight i n;
            mark (i + 1)))
        else if Seq.lt p.seq right then
          let n = Seq.diff right p.seq in
          if Flight.seq_length p <= n then (
            sack_piece env c p;
            mark (i + 1))
          else if n < p.len && not p.sacked then (
            Flight.split c.flight i n;
            sack_piece env c (Flight.get c.flight i))
    in
    mark (Flight.find c.flight left)

(* RFC 2883 section 4: the first block repeats what was acknowledged, or lies in the second. *)
let is_dsack ~una = function
  | [] -> false
  | (left, right) :: rest ->
      Seq.lt left right
      && (Seq.leq right una
         || match rest with (l, r) :: _ -> Seq.geq left l && Seq.leq right r | [] -> false)

(* ---- Phases ---- *)

let save_undo c =
  c.undo <- Some (Cc.save c.cc);
  c.undo_stamp <- -1;
  c.undo_left <- 0

let enter_fast env c =
  env.stats.recoveries <- env.stats.recoveries + 1;
  save_undo c;
  let flight = Seq.diff c.snd_nxt c.snd_una in
  Cc.congestion c.cc ~now:env.now ~in_flight:flight;
  c.phase <- Fast;
  c.recover <- c.snd_nxt;
  c.prr_delivered <- 0;
  c.prr_out <- 0;
  c.prr_flight <- max 1 flight;
  c.ecn_cwr <- c.ecn;
  c.ecn_recover <- c.snd_nxt

let leave c =
  if c.phase = Fast then Cc.set_cwnd c.cc (Cc.ssthresh c.cc);
  c.phase <- Open;
  c.dupacks <- 0;
  c.undo <- None;
  c.undo_left <- -1

let undo env c =
  match c.undo with
  | None -> ()
  | Some saved ->
      env.stats.undos <- env.stats.undos + 1;
      Cc.undo c.cc saved;
      Flight.forget_losses c.flight;
      c.phase <- Open;
      c.dupacks <- 0;
      c.undo <- None;
      c.undo_left <- -1

(* RFC 6937: during fast recovery [ssthresh/flight] of what is delivered may be sent. *)
let prr c ~delivered ~advanced ~lost =
  c.prr_delivered <- c.prr_delivered + delivered;
  let pipe = in_flight c and ssthresh = Cc.ssthresh c.cc in
  let send =
    if pipe > ssthresh then
      (((c.prr_delivered * ssthresh) + c.prr_flight - 1) / c.prr_flight) - c.prr_out
    else
      let owed = c.prr_delivered - c.prr_out in
      let limit = if advanced && not lost then max owed delivered + c.mss else max owed c.mss in
      min (ssthresh - pipe) limit
  in
  let send = max send (if c.prr_out = 0 then c.mss else 0) in
  Cc.set_cwnd c.cc (pipe + max 0 send)

(* ---- Acknowledgements ---- *)

(* The last acknowledgement of the handshake's or any later segment may open, but also close, the
   window; segments that are older than the last one that did have no say (RFC 9293 section
   3.10.7.4). *)
let update_window c (h : Wire.t) =
  if
    Seq.lt c.snd_wl1 h.seq
    || (c.snd_wl1 = h.seq && Seq.leq c.snd_wl2 h.ack)
    || Seq.gt h.ack c.snd_una
  then (
    let wnd = h.window lsl c.snd_shift in
    let changed = wnd <> c.snd_wnd in
    c.snd_wnd <- wnd;
    c.snd_wnd_max <- max c.snd_wnd_max wnd;
    c.snd_wl1 <- h.seq;
    c.snd_wl2 <- h.ack;
    if wnd > 0 then c.persist_shift <- 0;
    if changed then c.persist_at <- max_int;
    changed)
  else false

(* The send buffer follows the window: twice what may be in flight, within the bounds. *)
let tune_send_buffer env c =
  let wanted = min env.config.send_buffer_max (2 * Cc.cwnd c.cc) in
  if wanted > c.send_buffer && env.memory < env.config.memory_max / 2 then c.send_buffer <- wanted

let send_space env c =
  if env.memory >= env.config.memory_max then 0
  else max 0 (c.send_buffer - Sendq.octets c.unsent - Seq.diff c.snd_nxt c.snd_una)

let dupack_loss env c =
  (* Without SACK: three duplicates (RFC 5681), and each partial acknowledgement (RFC 6582). *)
  if (c.phase = Open && c.dupacks >= 3) || c.phase = Fast then
    if not (Flight.is_empty c.flight) then
      let p = Flight.get c.flight 0 in
      if c.phase = Open || (p.sends = 1 && c.dupacks = 0) then Flight.mark_lost c.flight p
      else if c.phase = Fast && p.sends > 1 && env.now - p.sent_at > Rtt.timeout c.rtt then
        Flight.mark_lost c.flight p

let finish_probe env c ~ack ~dsack =
  if c.probe && Seq.geq ack c.probe_end then (
    c.probe <- false;
    (* The probe repaired a loss that nobody else has noticed (RFC 8985 section 7.4). *)
    if c.probe_retransmit && (not dsack) && c.phase = Open && Seq.gt ack c.probe_end then (
      Cc.congestion c.cc ~now:env.now ~in_flight:(Seq.diff c.snd_nxt c.snd_una);
      Cc.set_cwnd c.cc (min (Cc.cwnd c.cc) (Cc.ssthresh c.cc))))

let acked env c (h : Wire.t) ~payload =
  let ack = h.ack in
  let old_una = c.snd_una in
  let advanced = Seq.gt ack old_una in
  let before_flight = in_flight c in
  let had_flight = not (Flight.is_empty c.flight) in
  let window_changed = update_window c h in
  Rtt.aged c.rtt ~now:env.now;
  let rtt = ref 0 in
  let delivered_octets = ref 0 in
  if advanced then (
    let octets =
      Flight.acknowledge c.flight ack (fun p ->
          if p.sacked then delivered_octets := !delivered_octets - p.len
          else (
            delivered env c p;
            if p.sends = 1 then rtt := env.now - p.sent_at))
    in
    delivered_octets := !delivered_octets + octets;
    c.snd_una <- ack;
    c.octets_acked <- c.octets_acked + octets;
    hold env (-octets);
    c.progress <- env.now;
    c.black_hole <- 0;
    Rtt.reset_back_off c.rtt;
    if Seq.lt c.sacked_end ack then c.sacked_end <- ack;
    if Seq.lt c.small_end ack then c.small_end <- ack);
  let before_sacked = Flight.sacked c.flight in
  let dsack = h.options.sack <> [] && is_dsack ~una:ack h.options.sack in
  (if c.sack_ok then
     let blocks = if dsack then List.tl h.options.sack else h.options.sack in
     List.iter (sack_block env c) blocks);
  let newly_sacked = Flight.sacked c.flight - before_sacked in
  delivered_octets := !delivered_octets + newly_sacked;
  if !rtt > 0 then Rtt.sample c.rtt !rtt;
  (* Needless retransmissions: by the peer's word, or because it answers the first transmission. *)
  if dsack then (
    env.stats.dsacks_in <- env.stats.dsacks_in + 1;
    if c.undo_left > 0 then c.undo_left <- c.undo_left - 1;
    if c.reordering then (
      c.reo_mult <- min 16 (c.reo_mult + 1);
      c.reo_until <- env.now + (16 * max ms (Rtt.srtt c.rtt))))
  else if c.reo_mult > 1 && env.now > c.reo_until then c.reo_mult <- 1;
  (if c.undo <> None && c.phase <> Open then
     let by_timestamp =
       advanced && c.ts_ok && h.options.ts_value >= 0 && c.undo_stamp >= 0
       && Seq.lt h.options.ts_echo c.undo_stamp
     and by_dsack = dsack && c.undo_left = 0 && c.undo_stamp >= 0 in
     if by_timestamp || by_dsack then undo env c);
  finish_probe env c ~ack ~dsack;
  (* Losses. *)
  let wait =
    if c.sack_ok then if Flight.sacked c.flight > 0 || c.phase <> Open then find_losses env c else 0
    else (
      if advanced then c.dupacks <- 0
      else if had_flight && payload = 0 && (not window_changed) && ack = old_una then
        c.dupacks <- c.dupacks + 1;
      dupack_loss env c;
      0)
  in
  let lost = Flight.lost c.flight > 0 in
  (match c.phase with
  | Open -> if lost then enter_fast env c
  | Fast | Loss -> if Seq.geq ack c.recover then leave c);
  (match c.phase with
  | Fast -> prr c ~delivered:(max 0 !delivered_octets) ~advanced ~lost
  | Open | Loss ->
      if advanced && (c.cwnd_limited || 2 * before_flight >= Cc.cwnd c.cc) then
        Cc.acked c.cc ~now:env.now ~rtt:!rtt ~octets:(max 0 !delivered_octets)
          ~in_flight:before_flight);
  c.cwnd_limited <- false;
  if wait > 0 then (
    c.rexmit <- Reorder;
    c.rexmit_at <- env.now + wait;
    arm env c)
  else if advanced || newly_sacked > 0 || c.rexmit = Reorder then Output.arm_rexmit env c;
  if advanced then (
    tune_send_buffer env c;
    if c.blocked_writer && send_space env c >= c.send_buffer / 3 then (
      c.blocked_writer <- false;
      c.notify Writable));
  touch env c

let congestion_echo env c =
  if c.phase = Open && Seq.geq c.snd_una c.ecn_recover then (
    Cc.congestion c.cc ~now:env.now ~in_flight:(in_flight c);
    Cc.set_cwnd c.cc (Cc.ssthresh c.cc);
    c.ecn_recover <- c.snd_nxt;
    c.ecn_cwr <- true)

(* ---- Timers ---- *)

let smaller_path env c mss =
  c.path_mss <- mss;
  set_mss c;
  for i = 0 to Flight.count c.flight - 1 do
    let p = Flight.get c.flight i in
    if p.len > c.mss then Flight.mark_lost c.flight p
  done;
  touch env c

let path_mss env c mss = if mss < c.path_mss then smaller_path env c (max min_mss mss)

(* RFC 8899 in small: when full segments time out again and again, perhaps they are too big and the
   message that says so is lost. IPv6's minimum MTU passes everywhere; 576 nearly so. *)
let suspect_black_hole env c (p : Flight.piece) =
  if p.len > 512 then (
    c.black_hole <- c.black_hole + 1;
    if c.black_hole = 3 && c.path_mss > 1220 then smaller_path env c 1220
    else if c.black_hole = 5 && c.path_mss > 536 then smaller_path env c 536)

let timeout env c =
  if Flight.is_empty c.flight then (
    c.rexmit <- Idle;
    c.rexmit_at <- max_int)
  else (
    env.stats.timeouts <- env.stats.timeouts + 1;
    let first = Flight.get c.flight 0 in
    suspect_black_hole env c first;
    (* The peer acknowledged the first piece selectively and did not move on: it has dropped what it
       held (RFC 2018 section 8). *)
    if first.sacked then Flight.forget_sacks c.flight;
    (match c.state with
    | Syn_sent | Syn_received -> ()
    | Established | Fin_wait_1 | Fin_wait_2 | Close_wait | Closing | Last_ack | Time_wait | Closed
      ->
        if c.phase <> Loss then (
          save_undo c;
          Cc.timeout c.cc ~now:env.now ~in_flight:(Seq.diff c.snd_nxt c.snd_una);
          c.ecn_cwr <- c.ecn)
        else Cc.set_cwnd c.cc c.mss;
        c.phase <- Loss;
        c.recover <- c.snd_nxt;
        c.dupacks <- 0;
        c.probe <- false);
    for i = 0 to Flight.count c.flight - 1 do
      Flight.mark_lost c.flight (Flight.get c.flight i)
    done;
    Rtt.back_off c.rtt;
    c.rexmit <- Rto;
    Output.resend env c 0;
    Output.arm_rexmit env c)

let probe env c =
  env.stats.tail_probes <- env.stats.tail_probes + 1;
  c.probe <- true;
  c.probe_retransmit <- false;
  (if not (c.phase = Open && Output.force env c) then
     let n = Flight.count c.flight in
     if n > 0 then (
       c.probe_retransmit <- true;
       (* In recovery what is missing is known to be in front. *)
       let i = if c.phase = Open then n - 1 else 0 in
       let p = Flight.get c.flight i in
       if i > 0 && p.len > c.mss then (
         Flight.split c.flight i (p.len - (((p.len - 1) mod c.mss) + 1));
         Output.resend env c (i + 1))
       else Output.resend env c i));
  c.probe_end <- c.snd_nxt;
  Output.arm_rexmit env c

let reorder_timeout env c =
  let wait = find_losses env c in
  if Flight.lost c.flight > 0 && c.phase = Open then (
    enter_fast env c;
    prr c ~delivered:0 ~advanced:false ~lost:true);
  if wait > 0 then (
    c.rexmit <- Reorder;
    c.rexmit_at <- env.now + wait;
    arm env c)
  else (
    c.rexmit <- Idle;
    Output.arm_rexmit env c);
  touch env c
