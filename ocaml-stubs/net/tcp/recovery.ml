open Tcb
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

let min_mss = 88

let set_mss c =
  let options = if c.ts_ok then 12 else 0 in
  c.mss <- max min_mss (min c.peer_mss c.path_mss - options);
  Cc.set_mss c.cc c.mss

(* ---- RACK ---- *)

let max_reo_mult = 255

(* The RFC's window grows by a quarter of a round trip for each round with a duplicate, up to SRTT. A
   segment that arrives late after all, sent once, says at once how much would have been enough. *)
let learn_reordering env c (p : Flight.piece) =
  c.rack.reordering <- true;
  let quarter = max 1 (Rtt.min_rtt c.rtt / 4) in
  let late = env.now - p.sent_at - c.rack.sent_rtt in
  let enough = min max_reo_mult ((late / quarter) + 1) in
  if enough > c.rack.mult then (
    c.rack.mult <- enough;
    c.rack.persist <- 16)

(* Something has arrived: RFC 8985 section 6.2, steps 2 and 3. *)
let delivered env c (p : Flight.piece) news =
  let rtt = env.now - p.sent_at and stop = Flight.seq_end p in
  let once = p.sends = 1 in
  if once then (
    news.sample <- rtt;
    if p.sent_at < c.undo.timeout_at then news.original <- true;
    if Seq.lt stop c.sacked_end then learn_reordering env c p)
  else news.ambiguous <- true;
  (* Is the answer to the second transmission, or still to the first? *)
  let stale =
    (c.ts_ok && news.echo >= 0 && Seq.lt news.echo (timestamp_at c p.sent_at))
    || rtt < Rtt.min_rtt c.rtt
  in
  if once || not stale then (
    c.rack.sent_rtt <- rtt;
    if p.sent_at > c.rack.sent || (p.sent_at = c.rack.sent && Seq.gt stop c.rack.sent_end) then (
      c.rack.sent <- p.sent_at;
      c.rack.sent_end <- stop))

(* Step 4: how long a later delivery is put down to reordering. *)
let reordering_window c =
  if (not c.rack.reordering) && (c.phase <> Open || Flight.sacked c.flight >= 3 * c.mss) then 0
  else
    let rtt = Rtt.min_rtt c.rtt in
    let window = if rtt = max_int then 0 else min (c.rack.mult * rtt / 4) (Rtt.srtt c.rtt) in
    (* Shorter than our timers can wait, on a path that has not reordered yet: not at all. *)
    if window < ms && not c.rack.reordering then 0 else window

(* Step 5. Returns the time until the next piece is to be taken for lost; 0: there is none. Both those
   that were sent once and those that were sent again are looked at in the order of their sending: the
   first that is not lost, or was sent after the latest delivery, ends the search. *)
let find_losses env c =
  let window = reordering_window c in
  let rec search (oldest : Flight.t -> Flight.piece) =
    let p = oldest c.flight in
    if
      p == Flight.none || p.sent_at > c.rack.sent
      || (p.sent_at = c.rack.sent && Seq.geq (Flight.seq_end p) c.rack.sent_end)
    then 0
    else
      let left = p.sent_at + c.rack.sent_rtt + window - env.now in
      if left > 0 then left
      else (
        Flight.mark_lost c.flight p;
        search oldest)
  in
  if c.rack.sent = 0 then 0
  else
    let original = search Flight.oldest_original in
    let resent = search Flight.oldest_resent in
    if original = 0 then resent else if resent = 0 then original else min original resent

(* ---- The scoreboard ---- *)

let sack_piece env c news (p : Flight.piece) =
  if not p.sacked then (
    delivered env c p news;
    news.octets <- news.octets + p.len;
    c.sacked_end <- Seq.max c.sacked_end (Flight.seq_end p);
    Flight.mark_sacked c.flight p)

(* What of the pieces from [p] on lies between [left] and [right], up to the first that is marked
   already. They are split where segments were cut, and nowhere else: a peer that acknowledges odd octets
   cannot fragment the scoreboard (CVE-2019-11478). *)
let rec sack_pieces env c news (p : Flight.piece) left right =
  if p != Flight.none && Seq.lt p.seq right && not p.sacked then
    if Seq.lt p.seq left then
      let n = (Seq.diff left p.seq + c.mss - 1) / c.mss * c.mss in
      let behind = if n < p.len then Flight.split c.flight p n else p.next in
      sack_pieces env c news behind left right
    else if Seq.leq (Flight.seq_end p) right then (
      sack_piece env c news p;
      sack_pieces env c news p.next left right)
    else
      (* Some peers do not report a FIN ahead of a gap (RFC 2018 is about data); the FIN is then split off as a piece of
         its own. *)
      let data = Seq.diff right p.seq in
      let n = if data = p.len then data else data / c.mss * c.mss in
      if n > 0 then (
        ignore (Flight.split c.flight p n : Flight.piece);
        sack_piece env c news p)

(* Block by block, and in each from one gap between what is marked to the next: a block that has grown
   by a segment costs no more than that segment. *)
let sack_block env c news (left, right) =
  (* A block that says nothing sensible is passed over: blocks come from the peer. That of an old
     acknowledgement may have been acknowledged since, in part. *)
  let left = if Seq.lt left right then Seq.max left c.snd_una else left in
  let rec gaps from =
    let from = Flight.run_end c.flight from in
    if Seq.lt from right then (
      let stop = Flight.run_after c.flight from ~limit:right in
      sack_pieces env c news (Flight.find c.flight from) left right;
      gaps stop)
  in
  if Seq.lt left right && Seq.leq right c.snd_nxt then gaps left

(* RFC 2883 section 4: the first block repeats what was acknowledged, or lies in the second. *)
let is_dsack ~una = function
  | [] -> false
  | (left, right) :: rest ->
      Seq.lt left right
      && (Seq.leq right una
         || match rest with (l, r) :: _ -> Seq.geq left l && Seq.leq right r | [] -> false)

(* ---- Phases ---- *)

let save_undo c =
  c.undo.saved <- Some (Cc.save c.cc);
  c.undo.stamp <- -1;
  c.undo.left <- 0

let outstanding c = Seq.diff c.snd_nxt c.snd_una

let enter_fast env c =
  env.stats.recoveries <- env.stats.recoveries + 1;
  save_undo c;
  Cc.congestion c.cc ~in_flight:(outstanding c);
  c.phase <- Fast;
  c.probes <- 0;
  c.recover <- c.snd_nxt;
  c.prr.delivered <- 0;
  c.prr.out <- 0;
  c.prr.in_flight_before <- max 1 (outstanding c);
  c.marks.cwr <- c.ecn;
  c.marks.reduced <- c.snd_nxt

(* [undo] stays: duplicates that arrive later may still show that the recovery was needless. *)
let leave c =
  if c.phase = Fast then Cc.set_cwnd c.cc (Cc.ssthresh c.cc);
  c.phase <- Open;
  c.dupacks <- 0;
  if c.rack.persist > 0 then (
    c.rack.persist <- c.rack.persist - 1;
    if c.rack.persist = 0 then c.rack.mult <- 1)

let undo env c saved =
  env.stats.undos <- env.stats.undos + 1;
  Cc.undo c.cc saved;
  Flight.forget_losses c.flight;
  (* What was delivered ahead of its turn is no evidence any more: the same pieces would be taken for
     lost again. *)
  c.rack.sent <- 0;
  c.phase <- Open;
  c.dupacks <- 0;
  c.undo.saved <- None;
  if c.undo.credit = max_undos then c.undo.mark <- c.snd_nxt;
  c.undo.credit <- c.undo.credit - 1

(* Was the last reduction a mistake? By the echo of a timestamp from before the first retransmission
   (Eifel, RFC 3522); by the peer's word that all retransmissions were duplicates (RFC 3708); after
   a timeout also by the arrival of what was not sent again (F-RTO, RFC 5682), unless everything has
   arrived by now, which proves nothing. *)
let check_undo env c (h : Wire.t) news ~advanced ~dsack =
  match c.undo.saved with
  | None -> ()
  | Some saved ->
      let retransmitted = c.undo.stamp >= 0 in
      let by_timestamp =
        c.phase <> Open && advanced && retransmitted && c.ts_ok && h.options.ts_value >= 0
        && Seq.lt h.options.ts_echo c.undo.stamp
      and by_dsack = dsack && retransmitted && c.undo.left <= 0
      and by_original = c.phase = Loss && c.sack_ok && news.original && Seq.lt h.ack c.recover in
      if c.undo.credit < max_undos && Seq.geq c.snd_una c.undo.mark then c.undo.credit <- max_undos;
      if (by_timestamp || by_dsack || by_original) && c.undo.credit > 0 then undo env c saved

(* RFC 9937: during fast recovery [ssthresh/flight] of what is delivered may be sent. *)
let prr c ~delivered ~advanced ~lost =
  c.prr.delivered <- c.prr.delivered + delivered;
  let pipe = in_flight c and ssthresh = Cc.ssthresh c.cc in
  let send =
    if pipe > ssthresh then
      (((c.prr.delivered * ssthresh) + c.prr.in_flight_before - 1) / c.prr.in_flight_before)
      - c.prr.out
    else
      (* What was just delivered may be replaced in any case. *)
      let owed = max (c.prr.delivered - c.prr.out) delivered in
      min (ssthresh - pipe) (if advanced && not lost then owed + c.mss else owed)
  in
  (* The first retransmission goes at once, and without SACK that of every partial acknowledgement
     (RFC 6582 section 3.2). *)
  let send = if c.prr.out = 0 || (advanced && not c.sack_ok) then max send c.mss else send in
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
  let held = Octets.octets c.unsent + outstanding c in
  (* Under pressure, a connection with nothing in flight may still send a segment: the connection that holds the
     memory may be waiting for it. *)
  let limit = if under_pressure env then min c.mss c.send_buffer else c.send_buffer in
  max 0 (limit - held)

let wake_writer env c =
  if c.blocked_writer then
    let space = send_space env c in
    if under_pressure env && space = 0 then (
      (* Memory keeps this writer waiting only if its peer would take more. *)
      if Output.peer_window c > Octets.octets c.unsent then env.short <- true;
      if not c.starved then (
        Queue.push c env.starved;
        c.starved <- true))
    else if space > 0 && (space >= c.send_buffer / 3 || under_pressure env) then (
      c.notify Writable;
      c.blocked_writer <- false)

(* Without SACK: three duplicates (RFC 5681), unless they answer what was sent again in the recovery
   before (RFC 6582 section 4.1); then each partial acknowledgement. *)
let dupack_losses env c ~advanced =
  if Flight.is_empty c.flight then false
  else
    let first = Flight.first c.flight in
    let is_lost =
      match c.phase with
      | Open -> c.dupacks >= 3 && Seq.gt c.snd_una c.recover
      | Fast -> (advanced && first.sends = 1) || env.now - first.sent_at > Rtt.timeout c.rtt
      | Loss -> false
    in
    if is_lost then (
      if first.len > c.mss then ignore (Flight.split c.flight first c.mss : Flight.piece);
      Flight.mark_lost c.flight first);
    is_lost

(* Duplicate acknowledgements are counted as the segments that caused them. One that advances stands
   for the segment that filled the gap and for those behind it. *)
let count_dupacks c (h : Wire.t) news ~advanced ~had_flight ~payload ~window_changed =
  if advanced then (
    let segments = news.octets / c.mss in
    let counted = c.dupacks in
    c.dupacks <- (if c.phase = Fast then max 0 (counted - segments + 1) else 0);
    news.octets <- max 0 (news.octets - (counted * c.mss)))
  else if
    had_flight && payload = 0 && (not window_changed) && h.ack = c.snd_una
    && not (Flags.has h.flags Flags.fin)
  then (
    c.dupacks <- c.dupacks + 1;
    if c.phase = Fast then news.octets <- c.mss)

(* RFC 8985 section 7.4. The answer to a probe that repeated the last segment ends it if that was
   needless; if it repaired a loss, this is the only sign of that loss. *)
let finish_probe c ~ack ~advanced ~dsack ~payload =
  if c.probes > 0 then
    if not c.probe_retransmit then (if advanced then c.probes <- 0)
    else if Seq.gt ack c.probe_end then (
      c.probes <- 0;
      if c.phase = Open && not dsack then (
        Cc.congestion c.cc ~in_flight:(outstanding c);
        Cc.set_cwnd c.cc (min (Cc.cwnd c.cc) (Cc.ssthresh c.cc));
        c.marks.cwr <- c.ecn))
    else if ack = c.probe_end && (dsack || ((not advanced) && payload = 0)) then c.probes <- 0

(* RFC 8985 section 6.2, step 4: a duplicate means that the reordering window was too small; once a
   round. *)
let widen_reordering env c ~dsack =
  if dsack then (
    env.stats.dsacks_in <- env.stats.dsacks_in + 1;
    c.undo.left <- c.undo.left - 1);
  if c.rack.dsack_round >= 0 && Seq.geq c.snd_una c.rack.dsack_round then c.rack.dsack_round <- -1;
  if dsack && c.rack.dsack_round < 0 then (
    c.rack.dsack_round <- c.snd_nxt;
    c.rack.mult <- min max_reo_mult (c.rack.mult + 1);
    c.rack.persist <- 16)

(* Marks that stay behind would come to lie ahead after 2 GiB. *)
let follow ack mark = if Seq.lt mark ack then Seq.add ack (-1) else mark

let arrived env c (p : Flight.piece) =
  let news = env.news in
  if p.sacked then news.octets <- news.octets - p.len else delivered env c p news

(* Takes what is acknowledged out of flight. *)
let advance env c (h : Wire.t) news =
  let ack = h.ack in
  let octets = Flight.acknowledge c.flight ack arrived env c in
  news.octets <- news.octets + octets;
  c.snd_una <- ack;
  c.octets_acked <- c.octets_acked + octets;
  hold env c (-octets);
  c.progress <- env.now;
  c.answers.odd_wait <- odd_wait_min;
  path_works env c;
  c.black_hole <- 0;
  c.recover <- follow ack c.recover;
  c.marks.reduced <- follow ack c.marks.reduced;
  c.sacked_end <- Seq.max c.sacked_end ack;
  c.small_end <- follow ack c.small_end

(* A round-trip time is that of a segment that was sent once, or what the echoed timestamp says. *)
let sample_rtt env c (h : Wire.t) news ~advanced =
  Rtt.aged c.rtt ~now:env.now;
  if news.sample > 0 && not news.ambiguous then Rtt.sample c.rtt news.sample
  else (
    news.sample <- 0;
    if advanced && c.ts_ok && h.options.ts_value >= 0 then
      let age = Seq.diff (timestamp env c) h.options.ts_echo in
      if age >= 0 && age < 60_000 then Rtt.sample c.rtt (age * ms))

let wait_for_reordering env c wait =
  c.rexmit <- Reorder;
  c.rexmit_at <- env.now + wait;
  arm env c

(* What most data comes with in one direction of a transfer: an acknowledgement that says nothing new of what we have
   sent, because there is nothing. *)
let says_nothing_new c (h : Wire.t) =
  h.ack = c.snd_una && Flight.is_empty c.flight && c.phase = Open && c.probes = 0
  && h.options.sack == []

let begin_news news (h : Wire.t) =
  news.echo <- (if h.options.ts_value >= 0 then h.options.ts_echo else -1);
  news.sample <- 0;
  news.octets <- 0;
  news.ambiguous <- false;
  news.original <- false

(* Not by what ends a reduction or asks for one (RFC 3168 section 6.1.2), nor a window of which less than half was used,
   unless it was what kept more from being sent (RFC 7661). *)
let grow_window env c (h : Wire.t) news ~before_flight =
  let echo = c.ecn && Flags.has h.flags Flags.ece in
  let limited = c.cwnd_limited || 2 * before_flight >= Cc.cwnd c.cc in
  if limited && not echo then
    Cc.acked c.cc ~now:env.now ~rtt:news.sample ~octets:(max 0 news.octets)

let acked_something env c (h : Wire.t) ~payload =
  let news = env.news in
  begin_news news h;
  let advanced = Seq.gt h.ack c.snd_una in
  let before_flight = in_flight c in
  let had_flight = not (Flight.is_empty c.flight) in
  let window_changed = Seq.geq h.ack c.snd_una && update_window c h in
  if advanced then advance env c h news;
  let blocks = if c.sack_ok then h.options.sack else [] in
  let dsack = is_dsack ~una:h.ack blocks in
  let before_sacked = Flight.sacked c.flight in
  (match blocks with
  | [] -> ()
  | _ :: rest -> List.iter (sack_block env c news) (if dsack then rest else blocks));
  let newly_sacked = Flight.sacked c.flight <> before_sacked in
  sample_rtt env c h news ~advanced;
  widen_reordering env c ~dsack;
  check_undo env c h news ~advanced ~dsack;
  finish_probe c ~ack:h.ack ~advanced ~dsack ~payload;
  let before = c.phase in
  if before <> Open && Seq.geq h.ack c.recover then leave c;
  let before_lost = Flight.lost c.flight in
  let wait =
    if not c.sack_ok then (
      count_dupacks c h news ~advanced ~had_flight ~payload ~window_changed;
      ignore (dupack_losses env c ~advanced : bool);
      0)
    else if Flight.sacked c.flight > 0 || c.phase <> Open then find_losses env c
    else 0
  in
  let newly_lost = Flight.lost c.flight > before_lost in
  if newly_lost && c.phase = Open then enter_fast env c;
  (match c.phase with
  | Fast -> prr c ~delivered:(max 0 news.octets) ~advanced ~lost:newly_lost
  | Open | Loss -> if advanced && before <> Fast then grow_window env c h news ~before_flight);
  c.cwnd_limited <- false;
  if wait > 0 then wait_for_reordering env c wait
  else if advanced || c.rexmit = Reorder || (newly_sacked && c.rexmit = Probe) then
    Output.arm_rexmit env c ~restart:advanced;
  if advanced then (
    tune_send_buffer env c;
    wake_writer env c);
  touch env c

(* If requests and answers are short, nearly every acknowledgement covers all data in flight, and nothing was lost. *)
let says_all_is_well c (h : Wire.t) =
  h.ack = c.snd_nxt
  && (not (Flight.is_empty c.flight))
  && c.phase = Open && c.probes = 0 && c.dupacks = 0 && h.options.sack == [] && c.undo.saved = None
  && c.rack.dsack_round < 0

(* What is left of [acked_something] then: there is nothing on the scoreboard, nothing to count and nothing to take
   back. *)
let acked_all env c (h : Wire.t) =
  let news = env.news in
  begin_news news h;
  let before_flight = in_flight c in
  ignore (update_window c h : bool);
  advance env c h news;
  sample_rtt env c h news ~advanced:true;
  grow_window env c h news ~before_flight;
  c.cwnd_limited <- false;
  Output.arm_rexmit env c ~restart:true;
  tune_send_buffer env c;
  wake_writer env c;
  touch env c

let acked env c (h : Wire.t) ~payload =
  if says_nothing_new c h then (
    ignore (update_window c h : bool);
    c.cwnd_limited <- false;
    touch env c)
  else if says_all_is_well c h then acked_all env c h
  else acked_something env c h ~payload

let congestion_echo c =
  if c.phase = Open && Seq.gt c.snd_una c.marks.reduced then (
    Cc.congestion c.cc ~in_flight:(in_flight c);
    Cc.set_cwnd c.cc (Cc.ssthresh c.cc);
    c.marks.reduced <- c.snd_nxt;
    c.marks.cwr <- true)

(* ---- Timers ---- *)

let smaller_path env c mss =
  c.path_mss <- mss;
  set_mss c;
  Flight.iter c.flight (fun p -> if p.len > c.mss then Flight.mark_lost c.flight p);
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
    let first = Flight.first c.flight in
    (* A closed window is the peer's wish, not a loss. *)
    if c.snd_wnd > 0 then suspect_black_hole env c first;
    (* The peer acknowledged the first piece selectively and did not move on: it has dropped what it
       held (RFC 2018 section 8). *)
    if first.sacked then Flight.forget_sacks c.flight;
    if synchronized c then (
      if c.phase = Loss then Cc.set_cwnd c.cc c.mss
      else (
        save_undo c;
        Cc.timeout c.cc ~in_flight:(outstanding c);
        c.marks.cwr <- c.ecn;
        c.undo.timeout_at <- env.now);
      c.phase <- Loss;
      c.recover <- c.snd_nxt;
      c.dupacks <- 0;
      c.probes <- 0);
    Flight.iter c.flight (Flight.mark_lost c.flight);
    Rtt.back_off c.rtt;
    Output.resend env c first;
    Output.arm_rexmit env c ~restart:true)

(* The last segment once more; it shows what is missing in front of it. *)
let resend_last env c =
  let p = Flight.last c.flight in
  Output.resend env c
    (if p.len > c.mss then Flight.split c.flight p ((p.len - 1) / c.mss * c.mss) else p)

let probe env c =
  let fast = c.phase = Fast in
  if fast && (Flight.first c.flight).sacked then (* Dropped by the peer after all. *) timeout env c
  else (
    env.stats.tail_probes <- env.stats.tail_probes + 1;
    c.probes <- c.probes + 1;
    c.probe_retransmit <- (not fast) && not (Output.force env c);
    if fast then (* What the peer waits for was sent again, and lost again. *)
      Output.resend env c (Flight.first c.flight)
    else if c.probe_retransmit then resend_last env c;
    c.probe_end <- c.snd_nxt;
    Output.arm_rexmit env c ~restart:true)

let reorder_timeout env c =
  let before_lost = Flight.lost c.flight in
  let wait = find_losses env c in
  if Flight.lost c.flight > before_lost && c.phase = Open then (
    enter_fast env c;
    prr c ~delivered:0 ~advanced:false ~lost:true);
  if wait > 0 then wait_for_reordering env c wait else Output.arm_rexmit env c ~restart:false;
  touch env c
