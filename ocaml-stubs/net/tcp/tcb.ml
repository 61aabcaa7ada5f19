(* Transmission control blocks: the state of a connection, and what all connections share. The
   modules [Output], [Recovery], [Timers] and [Input] change it; nothing else does. *)

(* Of integers, and so without a call. *)
let min = Int.min
let max = Int.max

type state =
  | Syn_sent
  | Syn_received
  | Established
  | Fin_wait_1
  | Fin_wait_2
  | Close_wait
  | Closing
  | Last_ack
  | Time_wait
  | Closed

let pp_state ppf s =
  Fmt.string ppf
    (match s with
    | Syn_sent -> "SYN-SENT"
    | Syn_received -> "SYN-RECEIVED"
    | Established -> "ESTABLISHED"
    | Fin_wait_1 -> "FIN-WAIT-1"
    | Fin_wait_2 -> "FIN-WAIT-2"
    | Close_wait -> "CLOSE-WAIT"
    | Closing -> "CLOSING"
    | Last_ack -> "LAST-ACK"
    | Time_wait -> "TIME-WAIT"
    | Closed -> "CLOSED")

type reason = [ `Closed | `Refused | `Reset | `Timeout | `Aborted | `No_route ]

let pp_reason ppf (r : reason) =
  Fmt.string ppf
    (match r with
    | `Closed -> "closed"
    | `Refused -> "connection refused"
    | `Reset -> "connection reset by peer"
    | `Timeout -> "connection timed out"
    | `Aborted -> "connection aborted"
    | `No_route -> "no route to the host")

(* How a connection ended, as a number for Rust. *)
type ending = Not_ended | Closed_in_order | Refused | Reset | Timed_out | Aborted | No_route

let ending : reason -> ending = function
  | `Closed -> Closed_in_order
  | `Refused -> Refused
  | `Reset -> Reset
  | `Timeout -> Timed_out
  | `Aborted -> Aborted
  | `No_route -> No_route

type event = Connected | Readable | Writable | Ended of reason

type config = {
  algorithm : Cc.algorithm;
  timestamps : bool;
  sack : bool;
  ecn : bool;
  receive_buffer : int;
  receive_buffer_max : int;
  send_buffer : int;
  send_buffer_max : int;
  memory_max : int;
  max_ranges : int;
  rto_initial : int;
  rto_min : int;
  rto_max : int;
  user_timeout : int;
  connect_timeout : int;
  delayed_ack : int;
  time_wait : int;
  time_wait_max : int;
  connections_max : int;
  backlog : int;
  gso_max : int;
  pacing : bool;
}

let ms = 1_000_000
let second = 1_000_000_000

let default_config =
  {
    algorithm = Cubic;
    timestamps = true;
    sack = true;
    ecn = true;
    receive_buffer = 128 * 1024;
    receive_buffer_max = 4 * 1024 * 1024;
    send_buffer = 128 * 1024;
    send_buffer_max = 4 * 1024 * 1024;
    memory_max = 64 * 1024 * 1024;
    max_ranges = 256;
    rto_initial = second;
    rto_min = 200 * ms;
    rto_max = 60 * second;
    user_timeout = 120 * second;
    connect_timeout = 75 * second;
    delayed_ack = 40 * ms;
    time_wait = 60 * second;
    time_wait_max = 8192;
    connections_max = 32768;
    backlog = 1024;
    gso_max = 65000;
    pacing = true;
  }

type stats = {
  mutable segments_in : int;
  mutable segments_out : int;
  mutable octets_in : int;
  mutable octets_out : int;
  mutable active_opens : int;
  mutable passive_opens : int;
  mutable failed_attempts : int;
  mutable resets_in : int;
  mutable resets_out : int;
  mutable retransmits : int;
  mutable timeouts : int;
  mutable tail_probes : int;
  mutable recoveries : int;
  mutable undos : int;
  mutable dsacks_in : int;
  mutable challenge_acks : int;
  mutable paws_drops : int;
  mutable out_of_window : int;
  mutable malformed : int;
  mutable bad_checksum : int;
  mutable no_connection : int;
  mutable listen_overflows : int;
  mutable cookies_sent : int;
  mutable cookies_ok : int;
  mutable cookies_bad : int;
  mutable memory_drops : int;
  mutable time_wait_dropped : int;
  mutable keepalive_drops : int;
  mutable ecn_marks_in : int;
  mutable octets_retransmitted : int;
  mutable established_resets : int;
  mutable given_up : int;
  mutable window_probes : int;
  mutable keepalives_sent : int;
  mutable delayed_acks : int;
  mutable duplicates_in : int;
  mutable out_of_order_in : int;
}

let stats () =
  {
    segments_in = 0;
    segments_out = 0;
    octets_in = 0;
    octets_out = 0;
    active_opens = 0;
    passive_opens = 0;
    failed_attempts = 0;
    resets_in = 0;
    resets_out = 0;
    retransmits = 0;
    timeouts = 0;
    tail_probes = 0;
    recoveries = 0;
    undos = 0;
    dsacks_in = 0;
    challenge_acks = 0;
    paws_drops = 0;
    out_of_window = 0;
    malformed = 0;
    bad_checksum = 0;
    no_connection = 0;
    listen_overflows = 0;
    cookies_sent = 0;
    cookies_ok = 0;
    cookies_bad = 0;
    memory_drops = 0;
    time_wait_dropped = 0;
    keepalive_drops = 0;
    ecn_marks_in = 0;
    octets_retransmitted = 0;
    established_resets = 0;
    given_up = 0;
    window_probes = 0;
    keepalives_sent = 0;
    delayed_acks = 0;
    duplicates_in = 0;
    out_of_order_in = 0;
  }

type keepalive = { after : int; interval : int; probes : int }

(* Where the sender is with respect to loss: RFC 5681's and RFC 6582's phases. *)
type phase =
  | Open
  | Fast (* fast recovery, until [recover] is acknowledged *)
  | Loss (* after a retransmission timeout, until [recover] is acknowledged *)

(* What the retransmission timer will do. *)
type rexmit =
  | Idle
  | Rto
  | Probe
  (* RFC 8985's TLP *)
  | Reorder (* RACK's reordering window *)

type t = {
  local : Ipaddr.t;
  local_port : int;
  remote : Ipaddr.t;
  remote_port : int;
  hash : int;
  mutable state : state;
  mutable ended : ending;
  mutable notify : event -> unit;
  mutable timer : t Wheel.timer option;
  mutable dirty : bool; (* is queued for [Engine.flush] *)
  mutable blocked : bool; (* is queued until the device has room *)
  mutable starved : bool; (* is queued until others hold less memory *)
  mutable passive : bool; (* came from a listener, which has not accepted it yet *)
  (* Sending *)
  iss : Seq.t;
  mutable snd_una : Seq.t;
  mutable snd_nxt : Seq.t;
  mutable snd_wnd : int; (* octets *)
  mutable snd_wl1 : Seq.t;
  mutable snd_wl2 : Seq.t;
  mutable snd_shift : int;
  mutable snd_wnd_max : int;
  mutable mss : int; (* octets of payload in one packet, options taken off *)
  mutable peer_mss : int; (* what the peer's option said *)
  mutable path_mss : int; (* what the path carries: MTU less the fixed headers *)
  unsent : Octets.t;
  mutable small_end : Seq.t; (* end of the last segment that was not full *)
  mutable nodelay : bool;
  mutable closing : bool; (* a FIN follows what is unsent *)
  mutable fin_sent : bool;
  mutable send_buffer : int;
  mutable blocked_writer : bool; (* wants [Writable] *)
  flight : Flight.t;
  (* Loss recovery *)
  mutable rtt : Rtt.t;
  mutable cc : Cc.t;
  mutable phase : phase;
  mutable recover : Seq.t;
  mutable dupacks : int;
  mutable prr_delivered : int;
  mutable prr_out : int;
  mutable prr_flight : int;
  mutable rack_sent : int;
  mutable rack_end : Seq.t;
  mutable rack_rtt : int;
  mutable sacked_end : Seq.t; (* highest octet that was selectively acknowledged *)
  mutable reordering : bool;
  mutable reo_mult : int;
  mutable reo_persist : int; (* recoveries until [reo_mult] is 1 again *)
  mutable dsack_round : Seq.t; (* [reo_mult] grows once until this is acknowledged; -1: it may *)
  mutable undo : Cc.saved option;
  mutable undo_stamp : int; (* our timestamp at the first retransmission; -1: none yet *)
  mutable undo_credit : int; (* undos until [undo_mark] is acknowledged *)
  mutable undo_mark : Seq.t;
  mutable undo_left : int; (* retransmissions not yet shown needless *)
  mutable timeout_at : int; (* when the last retransmission timeout was *)
  mutable probe_end : Seq.t;
  mutable probes : int; (* tail loss probes that are unanswered *)
  mutable probe_retransmit : bool;
  mutable cwnd_limited : bool;
  mutable last_sent : int; (* ns; data *)
  mutable pace_next : int; (* ns; when new data may go again *)
  mutable pace_waits : bool; (* there is some, and only the pace holds it back *)
  mutable progress : int; (* when something was last acknowledged *)
  mutable ecn : bool;
  mutable ecn_echo : bool; (* we send ECE until the peer's CWR *)
  mutable ecn_cwr : bool; (* the next new data carries CWR *)
  mutable ecn_recover : Seq.t;
  mutable black_hole : int; (* timeouts in a row of full-sized segments (RFC 8899) *)
  (* Receiving *)
  mutable irs : Seq.t;
  mutable rcv_nxt : Seq.t;
  mutable rcv_adv : Seq.t; (* the right edge that we advertised: it never moves left *)
  mutable rcv_shift : int;
  mutable scaling : bool; (* both sides scale windows; before the peer's SYN: we offer it *)
  mutable rcv_mss : int; (* the size of the peer's full segments, by observation *)
  received : Octets.t;
  ahead : Reassembly.t;
  mutable ahead_last : Seq.t; (* in the range that was added to last *)
  mutable dsack : (Seq.t * Seq.t) option;
  mutable fin_at : Seq.t; (* the peer's FIN, when [fin_known] *)
  mutable fin_known : bool;
  mutable receive_buffer : int;
  mutable tune_at : int;
  mutable tune_octets : int;
  mutable read_shut : bool; (* nobody will read: data is answered by a reset *)
  (* Acknowledging *)
  mutable ack_now : bool;
  mutable last_ack_sent : Seq.t;
  mutable quick_acks : int;
  mutable pushed : bool; (* the peer pushed since our last acknowledgement *)
  (* What segments that change nothing may provoke: [Answer] *)
  mutable repeats_paid : int; (* ns; up to when the answers to repetitions are used up *)
  mutable odd_at : int; (* ns; nothing odd is answered before *)
  mutable odd_wait : int; (* ns; from the next such answer to the one after *)
  (* Options *)
  mutable ts_ok : bool;
  ts_offset : int;
  mutable ts_recent : int;
  mutable ts_recent_at : int;
  mutable sack_ok : bool;
  (* Timers: ns, [max_int] when off *)
  mutable rexmit : rexmit;
  mutable rexmit_at : int;
  mutable rto_at : int; (* [rexmit_at] may be earlier, to see whether to give up *)
  mutable ack_at : int;
  mutable persist_at : int;
  mutable persist_shift : int;
  mutable pace_at : int; (* new data waits for [pace_next] *)
  mutable keep_at : int;
  mutable wait_at : int; (* TIME-WAIT, orphaned FIN-WAIT-2, or giving up on a handshake *)
  mutable keepalive : keepalive option;
  mutable keep_probes : int;
  mutable user_timeout : int;
  mutable heard : int; (* when a segment last came *)
  mutable confirmed : int; (* when we last said that the path works *)
  mutable unreachable : bool; (* a router said so, and the handshake goes on *)
  (* Counters *)
  mutable retransmits : int;
  mutable octets_acked : int;
  mutable octets_received : int;
  mutable segments_in : int;
  mutable segments_out : int;
  mutable octets_sent : int;
  mutable octets_retransmitted : int;
}

type transmit =
  src:Ipaddr.t ->
  dst:Ipaddr.t ->
  ect:bool ->
  Mirust_wire.Tcp.t ->
  Cstruct.t list ->
  length:int ->
  segment_size:int ->
  unit

type env = {
  config : config;
  wheel : t Wheel.t;
  transmit : transmit;
  can_send : unit -> bool;
  path_works : src:Ipaddr.t -> dst:Ipaddr.t -> unit;
  stats : stats;
  mutable now : int;
  mutable memory : int; (* octets held by all connections *)
  challenges : Limit.t;
  resets : Limit.t;
  dirty : t Queue.t;
  blocked : t Queue.t; (* could not send because the device was full *)
  starved : t Queue.t; (* may not write because all together hold too much *)
  waiting : t Queue.t; (* in TIME-WAIT, oldest first; some may have gone since *)
  mutable forget : t -> unit; (* takes a closed connection out of the table *)
}

(* What a received view costs beyond its octets. *)
let view_overhead = 128

(* The least time between two answers to what no honest peer sends. *)
let odd_wait_min = second / 2

(* Received views below this length are copied rather than held for long. *)
let small_view = 1024
let hold env n = env.memory <- env.memory + n

(* The shift with which a window of this size can be told (RFC 7323 section 2.3). *)
let wscale_for max_buffer =
  let rec shift n = if n < 14 && max_buffer lsr n > 0xffff then shift (n + 1) else n in
  shift 0

let make env ~state ~iss ~ts_offset ~path_mss ~hash ~local ~local_port ~remote ~remote_port =
  let config = env.config in
  let c =
    {
      local;
      local_port;
      remote;
      remote_port;
      hash;
      state;
      ended = Not_ended;
      notify = ignore;
      timer = None;
      dirty = false;
      blocked = false;
      starved = false;
      passive = false;
      iss;
      snd_una = iss;
      snd_nxt = iss;
      snd_wnd = 0;
      snd_wl1 = 0;
      snd_wl2 = 0;
      snd_shift = 0;
      snd_wnd_max = 0;
      mss = min 536 path_mss;
      peer_mss = 536;
      path_mss;
      unsent = Octets.create ~small:256;
      small_end = iss;
      nodelay = false;
      closing = false;
      fin_sent = false;
      send_buffer = config.send_buffer;
      blocked_writer = false;
      flight = Flight.create ();
      rtt = Rtt.create ~initial:config.rto_initial ~min:config.rto_min ~max:config.rto_max;
      cc = Cc.create config.algorithm ~mss:path_mss;
      phase = Open;
      recover = iss;
      dupacks = 0;
      prr_delivered = 0;
      prr_out = 0;
      prr_flight = 1;
      rack_sent = 0;
      rack_end = iss;
      rack_rtt = 0;
      sacked_end = iss;
      reordering = false;
      reo_mult = 1;
      reo_persist = 0;
      dsack_round = -1;
      undo = None;
      undo_stamp = -1;
      undo_credit = 8;
      undo_mark = iss;
      undo_left = 0;
      timeout_at = 0;
      probe_end = iss;
      probes = 0;
      probe_retransmit = false;
      cwnd_limited = false;
      last_sent = env.now;
      pace_next = 0;
      pace_waits = false;
      progress = env.now;
      ecn = false;
      ecn_echo = false;
      ecn_cwr = false;
      ecn_recover = iss;
      black_hole = 0;
      irs = 0;
      rcv_nxt = 0;
      rcv_adv = 0;
      rcv_shift = wscale_for config.receive_buffer_max;
      scaling = true;
      rcv_mss = 536;
      received = Octets.create ~small:small_view;
      ahead = Reassembly.create ();
      ahead_last = 0;
      dsack = None;
      fin_at = 0;
      fin_known = false;
      receive_buffer = config.receive_buffer;
      tune_at = env.now;
      tune_octets = 0;
      read_shut = false;
      ack_now = false;
      last_ack_sent = 0;
      quick_acks = 0;
      pushed = false;
      repeats_paid = env.now;
      odd_at = env.now;
      odd_wait = odd_wait_min;
      ts_ok = false;
      ts_offset;
      ts_recent = 0;
      ts_recent_at = 0;
      sack_ok = false;
      rexmit = Idle;
      rexmit_at = max_int;
      rto_at = max_int;
      ack_at = max_int;
      persist_at = max_int;
      persist_shift = 0;
      pace_at = max_int;
      keep_at = max_int;
      wait_at = max_int;
      keepalive = None;
      keep_probes = 0;
      user_timeout = config.user_timeout;
      heard = env.now;
      confirmed = env.now - second;
      unreachable = false;
      retransmits = 0;
      octets_acked = 0;
      octets_received = 0;
      segments_in = 0;
      segments_out = 0;
      octets_sent = 0;
      octets_retransmitted = 0;
    }
  in
  c.timer <- Some (Wheel.timer c);
  c

let touch env (c : t) =
  if not c.dirty then (
    c.dirty <- true;
    Queue.push c env.dirty)

(* The device had no room: the connection has its turn when there is. *)
let block env (c : t) =
  if not c.blocked then (
    c.blocked <- true;
    Queue.push c env.blocked)

(* Both ways: what we sent has made the peer acknowledge, or go on. *)
let path_works env c =
  if env.now - c.confirmed >= second then (
    c.confirmed <- env.now;
    env.path_works ~src:c.local ~dst:c.remote)

let under_pressure env = env.memory >= env.config.memory_max

(* Octets believed to be in the network. Without SACK each duplicate acknowledgement stands for a
   segment that left it (RFC 6582). *)
let in_flight c =
  let n = Flight.in_network c.flight in
  if c.sack_ok then n else max 0 (n - (c.dupacks * c.mss))

let timestamp_at c time = ((time / ms) + c.ts_offset) land 0xffff_ffff
let timestamp env c = timestamp_at c env.now

let synchronized c =
  match c.state with
  | Syn_sent | Syn_received | Closed -> false
  | Established | Fin_wait_1 | Fin_wait_2 | Close_wait | Closing | Last_ack | Time_wait -> true

let earliest c =
  min (min (min c.rexmit_at c.ack_at) c.pace_at) (min (min c.persist_at c.keep_at) c.wait_at)

(* The wheel's timer may be early, never late: deadlines that only move away cost nothing here, and
   [Timers.fire] puts it right. *)
let arm env c =
  match c.timer with
  | None -> ()
  | Some timer ->
      let due = earliest c in
      if due < max_int && not (Wheel.pending timer && Wheel.due timer <= due) then
        Wheel.add env.wheel timer due

(* A time without any progress, not a number of tries, decides when to give up (RFC 9293 section
   3.8.3): what a try is worth depends on the back-off. A peer whose window is closed may take as
   long as it likes, as long as it answers (section 3.8.6.1), unless our user has gone: then nobody
   could ever end it. A handshake has [wait_at]. *)
let gives_up_at c =
  if not (synchronized c) then max_int
  else c.user_timeout + if c.snd_wnd = 0 && not c.read_shut then c.heard else c.progress

let stop_timers env c =
  c.rexmit <- Idle;
  c.rexmit_at <- max_int;
  c.ack_at <- max_int;
  c.persist_at <- max_int;
  c.pace_at <- max_int;
  c.keep_at <- max_int;
  c.wait_at <- max_int;
  Option.iter (Wheel.remove env.wheel) c.timer

(* Releases what the connection holds for sending. *)
let drop_sending env c =
  hold env (-Flight.octets c.flight);
  Flight.drop_all c.flight;
  hold env (-Octets.octets c.unsent);
  Octets.clear c.unsent

let received_cost c = Octets.octets c.received + (view_overhead * Octets.views c.received)
let ahead_cost c = Reassembly.octets c.ahead + (view_overhead * Reassembly.views c.ahead)

let drop_receiving env c =
  hold env (-(received_cost c + ahead_cost c));
  Octets.clear c.received;
  Reassembly.clear c.ahead

(* The end of a connection. What was received in order and not yet read stays readable, unless the
   connection was torn down. *)
let rec finish env c (reason : reason) =
  let before = c.state in
  if before <> Closed then (
    (match before with
    | Syn_sent | Syn_received -> env.stats.failed_attempts <- env.stats.failed_attempts + 1
    | Established | Close_wait -> (
        match reason with
        | `Reset | `Aborted -> env.stats.established_resets <- env.stats.established_resets + 1
        | `Closed | `Refused | `Timeout | `No_route -> ())
    | Fin_wait_1 | Fin_wait_2 | Closing | Last_ack | Time_wait | Closed -> ());
    c.state <- Closed;
    c.ended <- ending reason;
    stop_timers env c;
    drop_sending env c;
    if reason <> `Closed || c.read_shut then drop_receiving env c;
    env.forget c;
    if before = Time_wait then trim_waiting env;
    c.notify (Ended reason))

(* Keeps no closed connection at the head, and no more than the bound. *)
and trim_waiting env =
  match Queue.peek_opt env.waiting with
  | Some c when c.state = Closed ->
      ignore (Queue.pop env.waiting : t);
      trim_waiting env
  | Some _ when Queue.length env.waiting > env.config.time_wait_max ->
      drop_waiting env;
      trim_waiting env
  | Some _ | None -> ()

(* The oldest TIME-WAIT makes room, if there is one. *)
and drop_waiting env =
  match Queue.take_opt env.waiting with
  | None -> ()
  | Some c when c.state = Closed -> drop_waiting env
  | Some c ->
      env.stats.time_wait_dropped <- env.stats.time_wait_dropped + 1;
      finish env c `Closed

let enter_time_wait env c =
  c.state <- Time_wait;
  c.keep_at <- max_int;
  c.wait_at <- env.now + env.config.time_wait;
  arm env c;
  Queue.push c env.waiting;
  trim_waiting env
