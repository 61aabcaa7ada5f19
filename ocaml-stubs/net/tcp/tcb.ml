include Block

(* Of integers, and so without a call. *)
let min = Int.min
let max = Int.max
let ms = Config.ms
let second = Config.second

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

let pp_reason ppf (r : reason) =
  Fmt.string ppf
    (match r with
    | `Closed -> "closed"
    | `Refused -> "connection refused"
    | `Reset -> "connection reset by peer"
    | `Timeout -> "connection timed out"
    | `Aborted -> "connection aborted"
    | `No_route -> "no route to the host")

let ending : reason -> ending = function
  | `Closed -> Closed_in_order
  | `Refused -> Refused
  | `Reset -> Reset
  | `Timeout -> Timed_out
  | `Aborted -> Aborted
  | `No_route -> No_route

let default_mss = function Ipaddr.V4 _ -> 536 | Ipaddr.V6 _ -> 1220

(* What a received view costs beyond its octets. *)
let view_overhead = 192

(* Undos within one window, as each examines everything again that had been marked as lost. *)
let max_undos = 8

(* The least time between two answers to segments that no honest peer sends. *)
let odd_wait_min = second / 2

(* Received views below this length are copied rather than held for long. *)
let small_view = 1024

let hold env c n =
  env.memory <- env.memory + n;
  c.account <- c.account + n

(* The window scale with which this size can be expressed (RFC 7323 section 2.3). *)
let wscale_for max_buffer =
  let rec shift n = if n < 14 && max_buffer lsr n > 0xffff then shift (n + 1) else n in
  shift 0

(* A fresh record, not in any table; also for [no_connection]. *)
let fresh (config : Config.t) ~now ~state ~iss ~ts_offset ~path_mss ~hash ~local ~local_port ~remote
    ~remote_port =
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
    lingers = false;
    passive = false;
    place = no_place;
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
    sacked_end = iss;
    prr = { delivered = 0; out = 0; in_flight_before = 1 };
    rack =
      {
        sent = 0;
        sent_end = iss;
        sent_rtt = 0;
        reordering = false;
        mult = 1;
        persist = 0;
        dsack_round = -1;
      };
    undo = { saved = None; stamp = -1; left = 0; credit = max_undos; mark = iss; timeout_at = 0 };
    probe_end = iss;
    probes = 0;
    probe_retransmit = false;
    cwnd_limited = false;
    last_sent = now;
    pace_next = 0;
    pace_waits = false;
    progress = now;
    ecn = false;
    marks = { echo = false; cwr = false; reduced = iss };
    account = 0;
    beside = 0;
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
    tune_at = now;
    tune_octets = 0;
    read_shut = false;
    ack_now = false;
    last_ack_sent = 0;
    quick_acks = 0;
    pushed = false;
    habit = Habit.create ();
    answers = { repeats_paid = now; odd_at = now; odd_wait = odd_wait_min };
    ts_ok = false;
    ts_offset;
    ts_recent = 0;
    ts_recent_at = 0;
    stamped = Mirust_wire.Tcp.no_options;
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
    heard = now;
    confirmed = now - second;
    unreachable = false;
    retransmits = 0;
    octets_acked = 0;
    octets_received = 0;
    segments_in = 0;
    segments_out = 0;
    octets_sent = 0;
    octets_retransmitted = 0;
  }

let make env ~state ~iss ~ts_offset ~path_mss ~hash ~local ~local_port ~remote ~remote_port =
  let c =
    fresh env.config ~now:env.now ~state ~iss ~ts_offset ~path_mss ~hash ~local ~local_port ~remote
      ~remote_port
  in
  c.timer <- Some (Wheel.timer env.wheel c);
  c

let no_connection =
  let address = Ipaddr.V4 Ipaddr.V4.any in
  fresh Config.default ~now:0 ~state:Closed ~iss:0 ~ts_offset:0 ~path_mss:536 ~hash:0 ~local:address
    ~local_port:0 ~remote:address ~remote_port:0

let touch env (c : t) =
  if not c.dirty then (
    Ring.push env.dirty c;
    (* Last: if there was no memory for the place in the queue, the next one asks for it again. *)
    c.dirty <- true)

(* The device had no room: the connection has its turn when there is. *)
let block env (c : t) =
  if not c.blocked then (
    Queue.push c env.blocked;
    c.blocked <- true)

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
   long as it likes, as long as it answers (section 3.8.6.1), unless our user has gone: then nothing else
   would ever end the connection. A handshake has [wait_at]. *)
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
  match c.timer with None -> () | Some timer -> Wheel.remove env.wheel timer

(* Releases what the connection holds for sending. *)
let drop_sending env c =
  hold env c (-Flight.octets c.flight);
  Flight.drop_all c.flight;
  hold env c (-Octets.octets c.unsent);
  Octets.clear c.unsent

let received_cost c = Octets.octets c.received + (view_overhead * Octets.views c.received)
let ahead_cost c = Reassembly.octets c.ahead + (view_overhead * Reassembly.views c.ahead)

let drop_receiving env c =
  hold env c (-(received_cost c + ahead_cost c));
  Octets.clear c.received;
  Reassembly.clear c.ahead

(* A whole one in TIME-WAIT is about to go. *)
let no_longer_lingers env c =
  if c.lingers && c.state <> Closed then env.lingering <- env.lingering - 1

(* The end of one that memory ran out for: its account is as true as [memory] is, whatever has happened to what it
   holds. *)
let lose env c =
  let release () =
    stop_timers env c;
    Flight.drop_all c.flight;
    Octets.clear c.unsent;
    Octets.clear c.received;
    Reassembly.clear c.ahead;
    hold env c (-c.account);
    env.stats.evicted <- env.stats.evicted + 1;
    no_longer_lingers env c;
    c.state <- Closed;
    c.ended <- ending `Aborted;
    env.forget c;
    c.notify (Ended `Aborted)
  in
  (* What was released is enough for the second time. *)
  try release () with Out_of_memory -> release ()

(* The end of a connection. What was received in order and not yet read stays readable, unless the
   connection was torn down. *)
let rec finish env c (reason : reason) =
  let before = c.state in
  if before <> Closed then (
    (* First: if memory ends here nothing has happened yet, and a closed one is not in the table for ever. *)
    env.forget c;
    (match before with
    | Syn_sent | Syn_received -> env.stats.failed_attempts <- env.stats.failed_attempts + 1
    | Established | Close_wait -> (
        match reason with
        | `Reset | `Aborted -> env.stats.established_resets <- env.stats.established_resets + 1
        | `Closed | `Refused | `Timeout | `No_route -> ())
    | Fin_wait_1 | Fin_wait_2 | Closing | Last_ack | Time_wait | Closed -> ());
    no_longer_lingers env c;
    c.state <- Closed;
    c.ended <- ending reason;
    stop_timers env c;
    drop_sending env c;
    if reason <> `Closed || c.read_shut then drop_receiving env c;
    if before = Time_wait then trim_waiting env;
    c.notify (Ended reason))

(* Keeps no closed connection at the head, few behind it, and no more live ones than the bound. *)
and trim_waiting env =
  match Queue.peek_opt env.waiting with
  | Some c when c.state = Closed ->
      ignore (Queue.pop env.waiting : t);
      trim_waiting env
  | Some _ | None ->
      if Queue.length env.waiting > 64 + (2 * env.lingering) then (
        let live = Queue.create () in
        Queue.iter (fun (c : t) -> if c.state <> Closed then Queue.push c live) env.waiting;
        Queue.clear env.waiting;
        Queue.transfer live env.waiting);
      if env.lingering + Waiting.length env.resting > env.config.time_wait_max then (
        drop_waiting env;
        trim_waiting env)

(* One TIME-WAIT makes room, if there is one: the oldest whose user has closed, else the oldest. *)
and drop_waiting env =
  let oldest = Waiting.oldest env.resting in
  if oldest != Waiting.none then (
    env.stats.time_wait_dropped <- env.stats.time_wait_dropped + 1;
    Waiting.remove env.resting oldest)
  else
    (* It stays in the queue until it is closed: memory may end before. *)
    match Queue.peek_opt env.waiting with
    | None -> ()
    | Some c when c.state = Closed ->
        ignore (Queue.pop env.waiting : t);
        drop_waiting env
    | Some c ->
        env.stats.time_wait_dropped <- env.stats.time_wait_dropped + 1;
        conclude env c `Closed

(* The same for another than the one that the engine is at. *)
and conclude env c reason =
  try finish env c reason
  with Out_of_memory as e ->
    lose env c;
    raise e

let enter_time_wait env c =
  c.state <- Time_wait;
  c.keep_at <- max_int;
  c.wait_at <- env.now + env.config.time_wait;
  arm env c

let rest env c =
  Waiting.add env.resting
    {
      local = c.local;
      local_port = c.local_port;
      remote = c.remote;
      remote_port = c.remote_port;
      hash = c.hash;
      until = c.wait_at;
      snd_nxt = c.snd_nxt;
      snd_wnd_max = c.snd_wnd_max;
      rcv_nxt = c.rcv_nxt;
      rcv_adv = c.rcv_adv;
      rcv_shift = c.rcv_shift;
      mss = c.mss;
      sack_ok = c.sack_ok;
      ts_offset = c.ts_offset;
      ts_recent = (if c.ts_ok then c.ts_recent else -1);
      ts_recent_at = c.ts_recent_at;
      repeats_paid = c.answers.repeats_paid;
      odd_at = c.answers.odd_at;
      odd_wait = c.answers.odd_wait;
      chain = Waiting.none;
      older = Waiting.none;
      newer = Waiting.none;
    };
  (* For its user it is over. *)
  finish env c `Closed

let settle_time_wait env c =
  if c.read_shut && not c.lingers then rest env c
  else if not c.lingers then (
    Queue.push c env.waiting;
    env.lingering <- env.lingering + 1;
    c.lingers <- true;
    trim_waiting env)

let revive env (e : Waiting.entry) =
  let c =
    make env ~state:Time_wait ~iss:e.snd_nxt ~ts_offset:e.ts_offset ~path_mss:e.mss ~hash:e.hash
      ~local:e.local ~local_port:e.local_port ~remote:e.remote ~remote_port:e.remote_port
  in
  c.snd_wnd_max <- e.snd_wnd_max;
  c.rcv_nxt <- e.rcv_nxt;
  c.rcv_adv <- e.rcv_adv;
  c.rcv_shift <- e.rcv_shift;
  c.last_ack_sent <- e.rcv_nxt;
  c.mss <- e.mss;
  c.sack_ok <- e.sack_ok;
  c.ts_ok <- e.ts_recent >= 0;
  c.ts_recent <- e.ts_recent;
  c.ts_recent_at <- e.ts_recent_at;
  c.answers.repeats_paid <- e.repeats_paid;
  c.answers.odd_at <- e.odd_at;
  c.answers.odd_wait <- e.odd_wait;
  c.closing <- true;
  c.fin_sent <- true;
  c.read_shut <- true;
  c.wait_at <- e.until;
  arm env c;
  (* It rests again at the end of the turn. *)
  touch env c;
  Waiting.remove env.resting e;
  c
