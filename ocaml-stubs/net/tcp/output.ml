open Tcb
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

(* ---- The receive window ---- *)

(* Room for what the peer may send: what the reader has not taken counts, with its overhead, and so
   does what all connections hold together. Even then a connection that holds nothing may receive a
   little: a reader can always make progress. *)
let room env c =
  let free = max 0 (c.receive_buffer - received_cost c) in
  if not (under_pressure env) then free
  else if Octets.is_empty c.received && Reassembly.is_empty c.ahead then min free (2 * c.mss)
  else 0

let advertised c = max 0 (Seq.diff c.rcv_adv c.rcv_nxt)

(* The window field. The right edge moves right only by a worthwhile step (RFC 9293 section
   3.8.6.2.2), and never left (section 3.8.6) but for rounding: what the field cannot express is
   left out, as rounding up would move the edge a little with every segment, and without end. What
   was once promised is accepted (RFC 7323 section 2.4). *)
let window env c =
  let old = advertised c in
  let free = room env c in
  let gain = free - old in
  let octets = if gain > 0 && gain >= min (c.receive_buffer / 2) c.rcv_mss then free else old in
  let field = min 0xffff (octets lsr c.rcv_shift) in
  c.rcv_adv <- Seq.max c.rcv_adv (Seq.add c.rcv_nxt (field lsl c.rcv_shift));
  field

let window_update_due c =
  let free = max 0 (c.receive_buffer - received_cost c) in
  free - advertised c >= min (c.receive_buffer / 2) (4 * c.rcv_mss)

(* Four times what a round trip needs: in slow start the next one brings twice as much, and our rounds are not the
   sender's. *)
let tune_receive_buffer env c octets =
  c.tune_octets <- c.tune_octets + octets;
  let rtt = max ms (Rtt.srtt c.rtt) and passed = env.now - c.tune_at in
  if passed >= rtt then (
    let wanted = min env.config.receive_buffer_max (4 * c.tune_octets) in
    if wanted > c.receive_buffer && passed < 4 * rtt && env.memory < env.config.memory_max / 2 then
      c.receive_buffer <- wanted;
    c.tune_at <- env.now;
    c.tune_octets <- 0)

(* ---- One segment ---- *)

(* The blocks in the order of RFC 2018 section 4: the range that changed last, then the others, the
   highest first; a duplicate (RFC 2883) before all. *)
let sack_blocks c ~most =
  (* What came with a SYN is not acknowledged before the handshake is. *)
  if (not c.sack_ok) || c.state = Syn_received then []
  else
    let ahead =
      if Reassembly.is_empty c.ahead then []
      else
        match Reassembly.range_at c.ahead c.ahead_last with
        | None -> List.rev (Reassembly.ranges c.ahead)
        | Some ((left, _) as recent) ->
            recent :: List.filter (fun (l, _) -> l <> left) (List.rev (Reassembly.ranges c.ahead))
    in
    let all = match c.dsack with None -> ahead | Some block -> block :: ahead in
    List.filteri (fun i _ -> i < most) all

let send env c ~seq ~flags ~options payload ~length =
  let syn = Flags.has flags Flags.syn in
  let window =
    (* The window of a SYN is never scaled (RFC 7323 section 2.2). *)
    if syn then (
      let w = min 0xffff (max 0 (c.receive_buffer - received_cost c)) in
      c.rcv_adv <- Seq.max c.rcv_adv (Seq.add c.rcv_nxt w);
      w)
    else window env c
  in
  let acks = Flags.has flags Flags.ack in
  let flags = if acks && c.marks.echo && not syn then flags lor Flags.ece else flags in
  let header =
    {
      Wire.src_port = c.local_port;
      dst_port = c.remote_port;
      seq;
      ack = (if acks then c.rcv_nxt else 0);
      flags;
      window;
      urgent = 0;
      options;
      header_length = 20 + Wire.options_length options;
    }
  in
  if acks then (
    c.last_ack_sent <- c.rcv_nxt;
    c.ack_now <- false;
    c.pushed <- false;
    c.ack_at <- max_int;
    c.dsack <- None;
    if c.quick_acks > 0 then c.quick_acks <- c.quick_acks - 1);
  let stats = env.stats in
  let packets = if length <= c.mss then 1 else (length + c.mss - 1) / c.mss in
  stats.segments_out <- stats.segments_out + packets;
  stats.octets_out <- stats.octets_out + length;
  c.segments_out <- c.segments_out + packets;
  c.octets_sent <- c.octets_sent + length;
  if length > 0 then c.last_sent <- env.now;
  (* RFC 3168 sections 6.1.1 and 6.1.5: neither SYNs nor retransmissions nor pure acknowledgements are
     ECN-capable. *)
  let ect = c.ecn && length > 0 && (not syn) && seq = c.snd_nxt in
  env.transmit ~src:c.local ~dst:c.remote ~ect header payload ~length
    ~segment_size:(if length > c.mss then c.mss else 0)

let plain_options env c =
  if c.ts_ok then (
    let options = Wire.stamped c.stamped (timestamp env c) c.ts_recent in
    if options != c.stamped then c.stamped <- options;
    options)
  else Wire.no_options

let ack_options env c =
  let options = plain_options env c in
  if Option.is_none c.dsack && Reassembly.is_empty c.ahead then options
  else { options with sack = sack_blocks c ~most:(if c.ts_ok then 3 else 4) }

let ack env c = send env c ~seq:c.snd_nxt ~flags:Flags.ack ~options:(ack_options env c) [] ~length:0

let window_probe env c =
  send env c ~seq:(Seq.add c.snd_una (-1)) ~flags:Flags.ack ~options:(ack_options env c) []
    ~length:0

(* The reset that answers a segment which belongs to no connection, or lies about one (RFC 9293
   section 3.10.7.1). Limited: a flood must not make us send as much again. *)
let refuse env ?(options = Wire.no_options) ~local ~remote (h : Wire.t) ~length () =
  let has = Flags.has h.flags in
  if (not (has Flags.rst)) && Limit.allows env.resets ~now:env.now then (
    env.stats.resets_out <- env.stats.resets_out + 1;
    let seq, ack, flags =
      if has Flags.ack then (h.ack, 0, Flags.rst)
      else
        let seq_length = length + Bool.to_int (has Flags.syn) + Bool.to_int (has Flags.fin) in
        (0, Seq.add h.seq seq_length, Flags.(rst lor ack))
    in
    let header =
      {
        Wire.src_port = h.dst_port;
        dst_port = h.src_port;
        seq;
        ack;
        flags;
        window = 0;
        urgent = 0;
        options;
        header_length = Wire.min_header_length + Wire.options_length options;
      }
    in
    env.transmit ~src:local ~dst:remote ~ect:false header [] ~length:0 ~segment_size:0)

let reset env c =
  env.stats.resets_out <- env.stats.resets_out + 1;
  let flags = if synchronized c || c.state = Syn_received then Flags.(rst lor ack) else Flags.rst in
  (* With timestamps, as all segments of the connection (RFC 7323 section 3.2). *)
  send env c ~seq:c.snd_nxt ~flags ~options:(plain_options env c) [] ~length:0

(* ---- The retransmission timer ---- *)

(* RFC 8985 section 7.2. The probe comes when an answer is overdue by a round trip, and allows for
   the peer's delayed acknowledgement where there is only one segment to acknowledge. *)
let probe_delay env c =
  let srtt = Rtt.srtt c.rtt in
  if srtt = 0 then max_int / 16
  else
    let delay = (2 * srtt) + (2 * ms) in
    if c.phase = Open && Flight.octets_at_most c.flight c.mss then delay + env.config.delayed_ack
    else delay

let arm_timeout env c at =
  c.rexmit <- Rto;
  c.rto_at <- at;
  c.rexmit_at <- max env.now (min at (gives_up_at c));
  arm env c

(* The RFC sends one probe, and then it is the timeout's turn. A few more, each after twice the time
   as in QUIC (RFC 9002 section 6.2), cost little where the timeout is far away. *)
let max_probes = 3

(* A probe is for a tail of which nothing is known (RFC 8985 section 7.2): when the scoreboard shows a
   gap, RACK is at work. In fast recovery, where the RFC leaves it to the timeout, it is for a
   retransmission that was lost: on a short path the least timeout is hundreds of round trips. *)
let wants_probe c =
  c.sack_ok && c.probes < max_probes && synchronized c
  && match c.phase with Open -> Flight.sacked c.flight = 0 | Fast -> true | Loss -> false

let arm_rexmit env c ~restart =
  if Flight.is_empty c.flight then (
    c.rexmit <- Idle;
    c.rexmit_at <- max_int;
    c.rto_at <- max_int)
  else
    let rto = Rtt.timeout c.rtt in
    if restart then c.rto_at <- env.now + rto;
    let delay = if wants_probe c then probe_delay env c lsl c.probes else max_int in
    if delay < rto && (c.probes = 0 || env.now + delay < c.rto_at) then (
      (* What was sent late in a paced round is probed no later than the timeout would come. *)
      c.rexmit <- Probe;
      c.rexmit_at <- min (env.now + delay) c.rto_at;
      arm env c)
    else arm_timeout env c c.rto_at

(* ---- Data ---- *)

let emit_piece env c (p : Flight.piece) =
  let flags = Flags.ack in
  let flags = if p.fin then flags lor Flags.fin else flags in
  let flags =
    (* The end of what the user has written, or something that wants an answer. *)
    let last = Octets.octets c.unsent = 0 && Seq.geq (Flight.seq_end p) c.snd_nxt in
    if p.len > 0 && (last || c.probes > 0) then flags lor Flags.psh else flags
  in
  let flags =
    if c.marks.cwr && p.sends = 1 && p.len > 0 then (
      c.marks.cwr <- false;
      flags lor Flags.cwr)
    else flags
  in
  let options =
    if p.len + 20 <= c.mss && p.len < c.mss then ack_options env c else plain_options env c
  in
  (* SACK blocks need up to 36 octets more than [mss] allows for. *)
  let options =
    if p.len + (4 + (8 * List.length options.sack)) > c.mss then { options with sack = [] }
    else options
  in
  send env c ~seq:p.seq ~flags ~options p.payload ~length:p.len

let syn env c =
  let passive = c.state = Syn_received in
  let flags = if passive then Flags.(syn lor ack) else Flags.syn in
  let flags =
    if passive then if c.ecn then flags lor Flags.ece else flags
    else if env.config.ecn && Flight.is_empty c.flight then
      (* Only in the first SYN: a middlebox may drop flags that it does not know (RFC 3168 6.1.1.1). *)
      flags lor Flags.(ece lor cwr)
    else flags
  in
  let config = env.config in
  let ts = if passive then c.ts_ok else config.timestamps in
  let options =
    {
      Wire.mss = c.path_mss;
      window_scale = (if c.scaling then c.rcv_shift else -1);
      sack_permitted = (if passive then c.sack_ok else config.sack);
      sack = [];
      ts_value = (if ts then timestamp env c else -1);
      ts_echo = (if passive then c.ts_recent else 0);
    }
  in
  if Flight.is_empty c.flight then
    let piece = Flight.add c.flight ~seq:c.iss ~len:0 ~syn:true ~fin:false [] ~now:env.now in
    c.snd_nxt <- Flight.seq_end piece
  else Flight.mark_sent c.flight (Flight.first c.flight) ~now:env.now;
  send env c ~seq:c.iss ~flags ~options [] ~length:0;
  arm_rexmit env c ~restart:true

let resend env c (p : Flight.piece) =
  if p.syn then syn env c
  else (
    if p.len > c.mss then ignore (Flight.split c.flight p c.mss : Flight.piece);
    Flight.mark_sent c.flight p ~now:env.now;
    c.retransmits <- c.retransmits + 1;
    env.stats.retransmits <- env.stats.retransmits + 1;
    c.octets_retransmitted <- c.octets_retransmitted + p.len;
    env.stats.octets_retransmitted <- env.stats.octets_retransmitted + p.len;
    if c.undo.stamp < 0 then c.undo.stamp <- timestamp env c;
    c.undo.left <- c.undo.left + 1;
    if c.phase = Fast then c.prr.out <- c.prr.out + p.len;
    emit_piece env c p)

(* Sends the next [n] octets as one piece, with the FIN if it is next. *)
let send_piece env c n =
  let payload = Octets.take c.unsent n in
  let fin = c.closing && (not c.fin_sent) && Octets.octets c.unsent = 0 in
  let seq = c.snd_nxt in
  if Flight.is_empty c.flight then c.progress <- env.now;
  if n > 0 then Habit.answered c.habit ~now:env.now;
  let p = Flight.add c.flight ~seq ~len:n ~syn:false ~fin payload ~now:env.now in
  if fin then c.fin_sent <- true;
  if n mod c.mss <> 0 then c.small_end <- Seq.add seq n;
  if c.phase = Fast then c.prr.out <- c.prr.out + n;
  emit_piece env c p;
  c.snd_nxt <- Flight.seq_end p;
  c.persist_at <- max_int

(* The least burst of any connection. *)
let least_burst = 64 * 1024

(* Whether a connection has sent its share of this turn, as everything sent in a turn is held together, in the device or
   in memory. The rest, of which [next] octets would be sent now, follows in later turns, so that other connections can
   send and the peer's acknowledgements can arrive in between. *)
let[@inline] is_enough env c ~sent ~next =
  sent > 0 && sent + next > least_burst && sent + next > env.burst ~src:c.local ~dst:c.remote

(* How many octets of the turn are sent then. *)
let rec resend_lost env c ~sent =
  let p = Flight.first_lost c.flight in
  if p == Flight.none then sent
  else if in_flight c > 0 && in_flight c + min p.len c.mss > Cc.cwnd c.cc then sent
  else if is_enough env c ~sent ~next:(min p.len c.mss) then (
    Queue.push c env.next_turn;
    sent)
  else if env.can_send () then (
    resend env c p;
    resend_lost env c ~sent:(sent + p.len))
  else (
    block env c;
    sent)

let peer_window c = Seq.diff (Seq.add c.snd_una c.snd_wnd) c.snd_nxt

(* Nagle's rule in Minshall's form: a segment that is not full waits only for one that was not full
   either. A writer of small pieces still sends one per round trip, and a request in two writes is
   not held up by the peer's delayed acknowledgement of full segments. *)
let may_send_small c =
  c.nodelay || c.closing || Seq.leq c.small_end c.snd_una || Flight.is_empty c.flight

(* The most segments in one piece, because the search for a part of it is linear. *)
let most_segments = 64

(* How many octets of new data may be sent now, as one piece; 0 if none. Sets [cwnd_limited] if the congestion window is
   the limit; callers that send less than allowed clear it again. *)
let sendable env c ~unsent =
  let window = peer_window c in
  let allowed = min window (Cc.cwnd c.cc - in_flight c) in
  if allowed < unsent && allowed < window then c.cwnd_limited <- true;
  let n = min unsent allowed in
  if n >= c.mss then
    let most = max 1 (min most_segments (env.config.gso_max / c.mss)) * c.mss in
    (* A last segment that is not full rides along if it may go at all. *)
    if n = unsent && n <= most && may_send_small c then n else min most (n / c.mss * c.mss)
  else if n = unsent && n > 0 then if may_send_small c then n else 0
  else if n > 0 && n = window && 2 * n >= c.snd_wnd_max then
    (* The sender's side of silly window avoidance (RFC 9293 section 3.8.6.2.1). *)
    n
  else 0

let rec send_new env c ~sent =
  let unsent = Octets.octets c.unsent in
  let n = if unsent > 0 then sendable env c ~unsent else 0 in
  if n > 0 then (
    let n = Pace.allows env c n in
    if n > 0 then
      if is_enough env c ~sent ~next:n then (
        c.cwnd_limited <- false;
        Queue.push c env.next_turn)
      else if env.can_send () then (
        Pace.sent env c n;
        send_piece env c n;
        send_new env c ~sent:(sent + n))
      else (
        c.cwnd_limited <- false;
        block env c))
  else (
    Pace.nothing_to_send c;
    if unsent = 0 && c.closing && not c.fin_sent then send_piece env c 0)

let force env c =
  let window = peer_window c in
  let n = min c.mss (min (Octets.octets c.unsent) window) in
  if n > 0 then (
    send_piece env c n;
    true)
  else false

(* Window closed and nothing under way whose acknowledgement could open it: ask (RFC 9293 section
   3.8.6.1). *)
let arm_persist env c =
  if Octets.octets c.unsent > 0 && Flight.is_empty c.flight && c.persist_at = max_int then (
    c.persist_at <- env.now + min env.config.rto_max (Rtt.timeout c.rtt lsl min 20 c.persist_shift);
    arm env c)

let data env c =
  let before = c.snd_nxt and resent = c.retransmits and idle = Flight.is_empty c.flight in
  if idle && env.now - c.last_sent > Rtt.timeout c.rtt then Cc.idle c.cc;
  let sent = if Flight.lost c.flight > 0 then resend_lost env c ~sent:0 else 0 in
  if Flight.lost c.flight = 0 then send_new env c ~sent;
  if c.snd_nxt <> before || c.retransmits <> resent then (
    if c.rexmit <> Reorder then arm_rexmit env c ~restart:idle)
  else arm_persist env c

(* Whether to acknowledge what has arrived, at the end of a turn in which the reader has had the
   chance to answer. Two segments' worth are acknowledged at once (RFC 9293, SHLD-19). So is data that
   the peer pushed: it has nothing more to send, and may well wait, unless it is known to wait for the
   user's answer, and there may still be one. What is left to delay is the odd segment of a bulk transfer. *)
let ack_due env c =
  let waiting = Seq.diff c.rcv_nxt c.last_ack_sent in
  if waiting <= 0 then ()
  else if waiting >= 2 * c.rcv_mss || c.quick_acks > 0 then ack env c
  else
    let most = env.config.delayed_ack in
    let delay =
      if not c.pushed then most else if c.closing then 0 else Habit.patience c.habit ~most
    in
    let at = env.now + delay in
    if delay = 0 then ack env c
    else if at < c.ack_at then (
      c.ack_at <- at;
      arm env c)

let run env c =
  match c.state with
  | Closed | Syn_sent | Syn_received -> ()
  | Fin_wait_2 -> if c.ack_now then ack env c else ack_due env c
  | Time_wait ->
      if c.ack_now then ack env c else ack_due env c;
      if c.ack_at = max_int then settle_time_wait env c
  | Established | Close_wait | Fin_wait_1 | Closing | Last_ack ->
      data env c;
      if c.ack_now then ack env c else ack_due env c
