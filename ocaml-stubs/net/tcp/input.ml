open Tcb
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

(* ---- Handshake ---- *)

let adopt_options env c (o : Wire.options) =
  c.peer_mss <- (if o.mss > 0 then o.mss else default_mss c.remote);
  if o.window_scale >= 0 then c.snd_shift <- o.window_scale
  else (
    c.scaling <- false;
    c.snd_shift <- 0;
    c.rcv_shift <- 0);
  c.sack_ok <- env.config.sack && o.sack_permitted;
  c.ts_ok <- env.config.timestamps && o.ts_value >= 0;
  if c.ts_ok then (
    c.ts_recent <- o.ts_value;
    c.ts_recent_at <- env.now);
  Recovery.set_mss c;
  c.cc <- Cc.create env.config.algorithm ~mss:c.mss

(* Our SYN has been acknowledged. *)
let syn_acked env c (h : Wire.t) =
  let sent_at = ref 0 and sends = ref 0 in
  let syn () () (p : Flight.piece) =
    sent_at := p.sent_at;
    sends := p.sends
  in
  ignore (Flight.acknowledge c.flight h.ack syn () () : int);
  if !sends = 1 then Rtt.sample c.rtt (env.now - !sent_at)
  else if !sends > 1 then (
    (* RFC 6298 rule 5.7, RFC 5681 section 3.1. *)
    Rtt.restart c.rtt ~initial:(3 * second);
    Cc.handshake_loss c.cc);
  c.snd_una <- h.ack;
  c.rexmit <- Idle;
  c.rexmit_at <- max_int

let refuse env c h ~length =
  let options = Output.plain_options env c in
  Output.refuse env ~options ~local:c.local ~remote:c.remote h ~length ()

(* ---- Acceptability ---- *)

(* RFC 7323 section 5.3: true for a segment that an earlier incarnation or a long delay left behind.
   A timestamp that was not renewed for 24 days says nothing any more (section 5.5). *)
let old_timestamp env c (h : Wire.t) =
  c.ts_ok && h.options.ts_value >= 0
  && Seq.lt h.options.ts_value c.ts_recent
  && env.now - c.ts_recent_at < 24 * 86_400 * second

(* Section 4.3: the timestamp to echo is that of the segment which we acknowledge next. *)
let keep_timestamp env c (h : Wire.t) =
  if c.ts_ok && h.options.ts_value >= 0 && Seq.leq h.seq c.last_ack_sent then (
    c.ts_recent <- h.options.ts_value;
    c.ts_recent_at <- env.now)

(* RFC 9293 section 3.4, table 6. *)
let acceptable c ~seq ~length =
  let edge = Seq.add c.rcv_nxt (Output.advertised c) in
  if length = 0 then seq = c.rcv_nxt || Seq.between seq ~low:c.rcv_nxt ~high:edge
  else Seq.lt seq edge && Seq.gt (Seq.add seq length) c.rcv_nxt

(* RFC 5961 section 5.2: neither of something not sent yet, nor too old to be true. *)
let credible_ack c (h : Wire.t) =
  Flags.has h.flags Flags.ack && Seq.leq h.ack c.snd_nxt
  && Seq.geq h.ack (Seq.add c.snd_una (-c.snd_wnd_max))

(* A part of [left] to [right] was here before: the next acknowledgement says so (RFC 2883), by no
   more than one block, which is for the segment that came last. *)
let report_duplicate env c left right =
  if c.sack_ok then (
    if Option.is_some c.dsack then Output.ack env c;
    c.dsack <- Some (left, right))

(* An unacceptable segment is answered by an acknowledgement. What carries something answers a loss of
   our acknowledgements, or probes: a closed window, or by an old number whether we are there. *)
let unacceptable env c (h : Wire.t) ~length =
  env.stats.out_of_window <- env.stats.out_of_window + 1;
  if length > 0 && Seq.leq (Seq.add h.seq length) c.rcv_nxt then (
    env.stats.duplicates_in <- env.stats.duplicates_in + 1;
    report_duplicate env c h.seq (Seq.add h.seq length));
  let carries = length > 0 || Flags.has h.flags Flags.fin || h.seq = Seq.add c.rcv_nxt (-1) in
  if carries && credible_ack c h then Answer.repeat env c else Answer.odd env c

(* ---- Data ---- *)

let deliver c view = Octets.push c.received view

(* This many octets more wait for the reader. *)
let received env c n =
  if n > 0 then (
    c.octets_received <- c.octets_received + n;
    env.stats.octets_in <- env.stats.octets_in + n;
    path_works env c;
    Answer.progress c;
    c.notify Readable)

(* The next octets in order. [repeated]: those in front of them in the segment have been reported. *)
let receive env c view ~repeated =
  let n = Cstruct.length view in
  let cost = received_cost c + ahead_cost c and next = c.rcv_nxt in
  if not (repeated || Reassembly.is_empty c.ahead) then
    Option.iter
      (fun (left, right) -> report_duplicate env c left right)
      (Reassembly.overlap c.ahead next (Seq.add next n));
  deliver c view;
  c.rcv_nxt <- Seq.add c.rcv_nxt n;
  if not (Reassembly.is_empty c.ahead) then (
    c.rcv_nxt <- Reassembly.pop c.ahead c.rcv_nxt (deliver c);
    (* A gap was filled, in whole or in part: at once (RFC 5681 section 4.2). *)
    c.ack_now <- true);
  hold env c (received_cost c + ahead_cost c - cost);
  if n >= c.rcv_mss then c.rcv_mss <- min n (max c.mss 536);
  received env c (Seq.diff c.rcv_nxt next)

(* A small view must not keep a large buffer. *)
let compact view =
  if Cstruct.length view < small_view then Cstruct.append view Cstruct.empty else view

(* Octets behind a gap. Each such segment is acknowledged by itself: the sender counts (RFC 5681
   section 4.2). *)
let keep_ahead env c ~seq view =
  let stop = Seq.add seq (Cstruct.length view) in
  let cost = ahead_cost c and known = Reassembly.overlap c.ahead seq stop in
  env.stats.out_of_order_in <- env.stats.out_of_order_in + 1;
  let held =
    if under_pressure env || received_cost c + ahead_cost c > 2 * c.receive_buffer then 0
    else Reassembly.insert c.ahead ~seq (compact view) ~max_ranges:env.config.max_ranges
  in
  hold env c (ahead_cost c - cost);
  (* The peer has lost something and sends little: let it hear of everything for a while. *)
  c.quick_acks <- max c.quick_acks 8;
  (* Second comes the range that the duplicate lies in (RFC 2883 section 4). *)
  if held > 0 || Option.is_some known then c.ahead_last <- seq;
  match known with
  | Some (left, right) when held > 0 || (left = seq && right = stop) ->
      report_duplicate env c left right;
      if held > 0 then Output.ack env c else Answer.repeat env c
  | Some _ | None ->
      if held > 0 then Output.ack env c
      else (
        env.stats.memory_drops <- env.stats.memory_drops + 1;
        Answer.repeat env c)

(* Octets that came with a SYN wait for the handshake (RFC 9293 section 3.10.7.2): the peer need not
   send them again. They are copied, at most one segment of them is kept, and for all connections together only
   while three quarters of the memory are free: anybody can send SYNs. *)
let early env c ~seq view =
  let n = min (Cstruct.length view) (min c.path_mss (Output.room env c)) in
  if n > 0 && env.memory < env.config.memory_max / 4 then (
    let view = Cstruct.append (Cstruct.sub view 0 n) Cstruct.empty in
    let cost = ahead_cost c in
    ignore (Reassembly.insert c.ahead ~seq view ~max_ranges:1 : int);
    hold env c (ahead_cost c - cost))

(* All connections together hold too much: what is ahead of a gap goes first (RFC 2018 section 8
   allows that), and then new octets are for a reader that has taken the others. *)
let refused_for_memory env c =
  under_pressure env
  &&
  (hold env c (-ahead_cost c);
   Reassembly.clear c.ahead;
   not (Octets.is_empty c.received))

let note_push env c (h : Wire.t) =
  if Flags.has h.flags Flags.psh then (
    c.pushed <- true;
    Habit.asked c.habit ~now:env.now)

let payload env c (h : Wire.t) ~seq view =
  let length = Cstruct.length view in
  (* What is old is cut off, and what lies beyond the window or the peer's own FIN. *)
  let skip = max 0 (Seq.diff c.rcv_nxt seq) in
  if skip > 0 then report_duplicate env c seq (Seq.min c.rcv_nxt (Seq.add seq length));
  let edge = Seq.add c.rcv_nxt (Output.advertised c) in
  let edge = if c.fin_known && Seq.lt c.fin_at edge then c.fin_at else edge in
  let stop = min length (Seq.diff edge seq) in
  if stop > skip then (
    if c.read_shut then (
      (* The user will not read it, and the peer must not believe otherwise (RFC 9293 section 3.6.1). *)
      Output.reset env c;
      finish env c `Aborted)
    else
      let view = if skip = 0 && stop = length then view else Cstruct.sub view skip (stop - skip) in
      let seq = Seq.add seq skip in
      note_push env c h;
      if under_pressure env then env.short <- true;
      if seq <> c.rcv_nxt then keep_ahead env c ~seq view
      else if refused_for_memory env c then (
        env.stats.memory_drops <- env.stats.memory_drops + 1;
        c.ack_now <- true)
      else receive env c view ~repeated:(skip > 0))
  else if skip > 0 && Output.advertised c = 0 then
    (* Nothing is acceptable in a closed window, not even what crosses its edge: our acknowledgement of what is old was
       lost, perhaps. *)
    Answer.repeat env c

(* The peer's FIN has been reached: everything before it was delivered. *)
let peer_closed env c =
  c.rcv_nxt <- Seq.add c.rcv_nxt 1;
  c.rcv_adv <- Seq.max c.rcv_adv c.rcv_nxt;
  c.ack_now <- true;
  c.fin_known <- false;
  (* A peer that contradicts itself may have sent more. *)
  hold env c (-ahead_cost c);
  Reassembly.clear c.ahead;
  (match c.state with
  | Syn_received | Established -> c.state <- Close_wait
  | Fin_wait_1 -> c.state <- Closing
  | Fin_wait_2 -> enter_time_wait env c
  | Close_wait | Closing | Last_ack | Time_wait | Syn_sent | Closed -> ());
  c.notify Readable

(* A FIN may come before what it follows, but not from beyond the window. *)
let note_fin c at =
  if (not c.fin_known) && Seq.geq at c.rcv_nxt then
    let edge = Seq.add c.rcv_nxt (Output.advertised c) in
    if Seq.leq at edge then (
      c.fin_known <- true;
      c.fin_at <- at)

(* [seq]: of the first octet of payload. A FIN alone ahead of a gap is acknowledged as data there would
   be (RFC 5681 section 4.2); one that comes after the peer's FIN, too, whatever its number. *)
let check_fin env c (h : Wire.t) ~seq ~length =
  let fin = Flags.has h.flags Flags.fin in
  match c.state with
  | Established | Fin_wait_1 | Fin_wait_2 ->
      if fin then note_fin c (Seq.add seq length);
      if c.fin_known && c.fin_at = c.rcv_nxt then peer_closed env c
      else if fin && length = 0 then Answer.repeat env c
  | Close_wait | Closing | Last_ack | Time_wait ->
      if fin then Answer.repeat env c;
      if fin && c.state = Time_wait then c.wait_at <- env.now + env.config.time_wait
  | Syn_sent | Syn_received | Closed -> ()

(* Payload and FIN of an acceptable segment. Urgent data is ordinary data here: the pointer is not
   looked at (RFC 6093 section 6). *)
let text env c h ~seq view =
  let length = Cstruct.length view in
  (if length > 0 then
     match c.state with
     | Established | Fin_wait_1 | Fin_wait_2 -> payload env c h ~seq view
     | Close_wait | Closing | Last_ack | Time_wait ->
         (* After the peer's FIN there is nothing new. *)
         ()
     | Syn_sent | Syn_received | Closed -> ());
  if c.state <> Closed then (
    check_fin env c h ~seq ~length;
    touch env c)

(* ---- Acknowledgement ---- *)

(* Our FIN has been acknowledged. *)
let fin_acked env c =
  match c.state with
  | Fin_wait_1 ->
      c.state <- Fin_wait_2;
      (* The user no longer reads: do not wait for ever for a FIN that may never come. *)
      if c.read_shut then (
        c.wait_at <- env.now + env.config.time_wait;
        arm env c)
  | Closing -> enter_time_wait env c
  | Last_ack -> finish env c `Closed
  | Syn_sent | Syn_received | Established | Fin_wait_2 | Close_wait | Time_wait | Closed -> ()

let acknowledgement env c (h : Wire.t) ~length =
  let credible = credible_ack c h in
  if not credible then Answer.challenge env c
  else if Seq.lt h.ack c.snd_una then (
    if c.sack_ok && h.options.sack <> [] then Recovery.acked env c h ~payload:length)
  else (
    if c.ecn && Flags.has h.flags Flags.ece then Recovery.congestion_echo c;
    Recovery.acked env c h ~payload:length;
    if c.fin_sent && c.snd_una = c.snd_nxt then fin_acked env c);
  credible

(* ---- Establishing ---- *)

let established env c (h : Wire.t) =
  (* The user may have closed before. *)
  c.state <- (if c.closing then Fin_wait_1 else Established);
  c.wait_at <- max_int;
  (* The window of the segment that completes a passive open is scaled, a SYN's is not. *)
  let syn = Flags.has h.flags Flags.syn in
  c.snd_wnd <- (if syn then h.window else h.window lsl c.snd_shift);
  c.snd_wnd_max <- c.snd_wnd;
  c.snd_wl1 <- h.seq;
  c.snd_wl2 <- h.ack;
  c.heard <- env.now;
  c.progress <- env.now;
  c.tune_at <- env.now;
  c.quick_acks <- 8;
  c.small_end <- c.snd_una;
  c.sacked_end <- c.snd_una;
  (match c.keepalive with Some k -> c.keep_at <- env.now + k.after | None -> ());
  arm env c;
  c.notify Connected;
  touch env c;
  (* What came with the SYN. *)
  if c.state <> Closed then (
    let cost = received_cost c + ahead_cost c and next = c.rcv_nxt in
    c.rcv_nxt <- Reassembly.pop c.ahead next (deliver c);
    hold env c (received_cost c + ahead_cost c - cost);
    received env c (Seq.diff c.rcv_nxt next))

let syn_sent env c (h : Wire.t) view =
  let acks = Flags.has h.flags Flags.ack in
  if acks && (Seq.leq h.ack c.iss || Seq.gt h.ack c.snd_nxt) then
    (* A stranger's acknowledgement: reset the stranger, not our connection. *)
    refuse env c h ~length:0
  else if Flags.has h.flags Flags.rst then (
    if acks then (
      env.stats.resets_in <- env.stats.resets_in + 1;
      finish env c `Refused))
  else if Flags.has h.flags Flags.syn then (
    c.irs <- h.seq;
    c.rcv_nxt <- Seq.add h.seq 1;
    c.rcv_adv <- Seq.add c.rcv_nxt (min 0xffff c.receive_buffer);
    c.last_ack_sent <- c.rcv_nxt;
    adopt_options env c h.options;
    if acks then (
      c.ecn <- env.config.ecn && Flags.has h.flags Flags.ece && not (Flags.has h.flags Flags.cwr);
      syn_acked env c h;
      established env c h;
      c.ack_now <- true;
      text env c h ~seq:c.rcv_nxt view)
    else (
      (* Simultaneous open. *)
      c.ecn <- false;
      c.state <- Syn_received;
      early env c ~seq:c.rcv_nxt view;
      Output.syn env c))

(* ---- Resets ---- *)

let reset_arrived env c =
  env.stats.resets_in <- env.stats.resets_in + 1;
  match c.state with
  | Syn_received -> finish env c (if c.passive then `Reset else `Refused)
  | Established | Fin_wait_1 | Fin_wait_2 | Close_wait -> finish env c `Reset
  | Closing | Last_ack ->
      (* Both sides have closed: all is well if only our FIN has not been acknowledged. *)
      let unacknowledged = Octets.octets c.unsent + Flight.octets c.flight in
      finish env c (if unacknowledged > 0 then `Reset else `Closed)
  | Time_wait ->
      (* RFC 1337: a stray reset must not end TIME-WAIT early. *)
      ()
  | Syn_sent | Closed -> ()

(* ---- A segment ---- *)

(* A segment whose numbers are both credible. ECN: congestion seen is echoed until the peer says that
   it has reacted. *)
let believed env c (h : Wire.t) ~ce =
  if c.ecn then (
    if Flags.has h.flags Flags.cwr then c.marks.echo <- false;
    if ce then (
      env.stats.ecn_marks_in <- env.stats.ecn_marks_in + 1;
      if not c.marks.echo then c.ack_now <- true;
      c.marks.echo <- true));
  keep_timestamp env c h;
  c.heard <- env.now;
  c.keep_probes <- 0

(* Nothing of the segment is taken before its acknowledgement was found credible. RFC 7323 (R3 in section
   5.3) would keep its timestamp earlier, when only its sequence number is known to be right: then one
   forged segment near RCV.NXT, which is a guess among few, would put TS.Recent ahead and have PAWS
   discard all that the peer sends. With RFC 5961's check first, the forger has to guess both numbers,
   which would be enough to insert data as well. *)
let in_order env c (h : Wire.t) view ~ce =
  if Flags.has h.flags Flags.ack then (
    let length = Cstruct.length view in
    if c.state = Syn_received then
      if Seq.gt h.ack c.snd_una && Seq.leq h.ack c.snd_nxt then (
        syn_acked env c h;
        established env c h)
      else refuse env c h ~length;
    if c.state <> Syn_received && acknowledgement env c h ~length then (
      believed env c h ~ce;
      text env c h ~seq:h.seq view))

(* What a segment that is not acceptable still says. Its acknowledgement counts if the window is closed
   and the segment would have been next (RFC 9293 section 3.10.7.4). *)
let out_of_window env c (h : Wire.t) ~length =
  let has = Flags.has h.flags in
  if
    c.state <> Syn_received && h.seq = c.rcv_nxt
    && Output.advertised c = 0
    && credible_ack c h && acknowledgement env c h ~length
  then c.heard <- env.now;
  if c.state = Time_wait && has Flags.fin then c.wait_at <- env.now + env.config.time_wait;
  if c.state <> Closed then unacceptable env c h ~length

(* In the order of RFC 9293 section 3.10.7.4, with the changes of RFC 5961. *)
let synchronizing env c (h : Wire.t) view ~ce =
  let length = Cstruct.length view in
  let syn = Flags.has h.flags Flags.syn and fin = Flags.has h.flags Flags.fin in
  let syn_again = syn && c.state = Syn_received && h.seq = c.irs in
  if Flags.has h.flags Flags.rst then (
    if
      (* Exactly the next number, or a challenge (RFC 5961 section 3.2). *)
      h.seq = c.rcv_nxt
    then reset_arrived env c
    else if acceptable c ~seq:h.seq ~length:0 then Answer.challenge env c)
  else if old_timestamp env c h then (
    env.stats.paws_drops <- env.stats.paws_drops + 1;
    if syn then Answer.challenge env c else unacceptable env c h ~length)
  else if syn_again && not (Flags.has h.flags Flags.ack) then
    (* Our SYN-ACK was lost. *)
    Answer.syn_again env c
  else if syn_again && (not c.passive) && h.ack = c.snd_nxt then (
    (* The other half of a simultaneous open. *)
    syn_acked env c h;
    established env c h;
    c.ack_now <- true;
    text env c h ~seq:(Seq.add h.seq 1) view)
  else if syn then (* Whatever its number (RFC 5961 section 4.2). *) Answer.challenge env c
  else if
    (* A FIN needs no room: it is accepted in a closed window as well. *)
    acceptable c ~seq:h.seq ~length:(length + Bool.to_int fin)
    || (fin && Seq.add h.seq length = c.rcv_nxt)
  then in_order env c h view ~ce
  else out_of_window env c h ~length

(* What nearly all segments are: the next one, of a connection that is open both ways, with nothing in it but an
   acknowledgement and octets for which there is room. Of such a segment all that [synchronizing] looks at is known. *)
let is_as_expected env c (h : Wire.t) ~length ~ce =
  let behind = Seq.diff h.ack c.snd_una in
  (h.flags lor Flags.psh = Flags.(ack lor psh))
  && h.seq = c.rcv_nxt && behind >= 0
  && behind <= Seq.diff c.snd_nxt c.snd_una
  && length <= Output.advertised c
  && (not (ce || c.fin_known || c.read_shut))
  && Reassembly.is_empty c.ahead
  && ((not c.ts_ok) || Seq.geq h.options.ts_value c.ts_recent)
  && not (under_pressure env)

let as_expected env c (h : Wire.t) view ~length =
  Recovery.acked env c h ~payload:length;
  believed env c h ~ce:false;
  (* Its user may just have been told that there is room, and have closed. *)
  if c.state <> Established then text env c h ~seq:h.seq view
  else (
    if length > 0 then (
      note_push env c h;
      receive env c view ~repeated:false);
    touch env c)

let segment env c (h : Wire.t) view ~ce =
  c.segments_in <- c.segments_in + 1;
  match c.state with
  | Established when is_as_expected env c h ~length:(Cstruct.length view) ~ce ->
      as_expected env c h view ~length:(Cstruct.length view)
  | Closed -> ()
  | Syn_sent -> syn_sent env c h view
  | Syn_received | Established | Fin_wait_1 | Fin_wait_2 | Close_wait | Closing | Last_ack
  | Time_wait ->
      synchronizing env c h view ~ce
