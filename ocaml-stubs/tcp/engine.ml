open Tcb
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

type connection = Tcb.t

type config = Tcb.config = {
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
}

let default_config = Tcb.default_config

type transmit = Tcb.transmit
type reason = Tcb.reason

let pp_reason = Tcb.pp_reason

type event = Tcb.event = Connected | Readable | Writable | Ended of reason

type listener = {
  backlog : int;
  accept : connection -> unit;
  mutable half_open : int;
  mutable overflow_at : int; (* ns; when a cookie was last sent *)
}

type t = {
  env : env;
  mss : dst:Ipaddr.t -> int;
  key : Siphash.key;
  seed : int; (* of the table's hash *)
  listeners : (int, listener) Hashtbl.t;
  mutable table : connection list array; (* the size is a power of two *)
  mutable count : int;
  mutable last : connection option; (* most segments come for the same one as the last *)
  mutable port_step : int;
}

(* ---- The table ---- *)

let hash t ~local ~local_port ~remote ~remote_port =
  let h = Hashtbl.seeded_hash t.seed (remote : Ipaddr.t) in
  let h = (h * 31) + Hashtbl.seeded_hash t.seed (local : Ipaddr.t) in
  let h = h lxor ((remote_port lsl 16) lor local_port) in
  let h = h * 0x2545f4914f6cdd1d in
  h lxor (h lsr 29)

let slot t hash = hash land (Array.length t.table - 1)

let is (c : connection) ~local ~local_port ~remote ~remote_port =
  c.remote_port = remote_port && c.local_port = local_port
  && Ipaddr.compare c.remote remote = 0
  && Ipaddr.compare c.local local = 0

let rec find_in list ~local ~local_port ~remote ~remote_port =
  match list with
  | [] -> None
  | c :: rest ->
      if is c ~local ~local_port ~remote ~remote_port then Some c
      else find_in rest ~local ~local_port ~remote ~remote_port

let find t ~local ~local_port ~remote ~remote_port =
  match t.last with
  | Some c when is c ~local ~local_port ~remote ~remote_port -> t.last
  | Some _ | None ->
      let h = hash t ~local ~local_port ~remote ~remote_port in
      let found = find_in t.table.(slot t h) ~local ~local_port ~remote ~remote_port in
      (match found with Some _ -> t.last <- found | None -> ());
      found

let add t (c : connection) =
  if t.count >= 2 * Array.length t.table then (
    let old = t.table in
    t.table <- Array.make (4 * Array.length old) [];
    Array.iter
      (List.iter (fun (c : connection) ->
           let i = slot t c.hash in
           t.table.(i) <- c :: t.table.(i)))
      old);
  let i = slot t c.hash in
  t.table.(i) <- c :: t.table.(i);
  t.count <- t.count + 1

let forget t (c : connection) =
  let i = slot t c.hash in
  let rest = List.filter (fun other -> other != c) t.table.(i) in
  if List.compare_lengths rest t.table.(i) <> 0 then (
    t.table.(i) <- rest;
    t.count <- t.count - 1;
    (match t.last with Some last when last == c -> t.last <- None | Some _ | None -> ());
    if c.passive then
      match Hashtbl.find_opt t.listeners c.local_port with
      | Some l -> l.half_open <- l.half_open - 1
      | None -> ())

(* ---- Making one ---- *)

let number random =
  let s = random 8 in
  Int64.to_int (String.get_int64_le s 0) land max_int

let create ?(config = default_config) ~now ~random ~mss ~can_send transmit =
  let below n = number random mod n in
  let env =
    {
      config;
      wheel = Wheel.create ~now;
      transmit;
      can_send;
      stats = Tcb.stats ();
      now;
      memory = 0;
      challenges = Limit.create ~least:500 below;
      resets = Limit.create ~least:500 below;
      dirty = Queue.create ();
      blocked = Queue.create ();
      starved = Queue.create ();
      waiting = Queue.create ();
      forget = ignore;
    }
  in
  let t =
    {
      env;
      mss;
      key = Siphash.key (random 16);
      seed = number random;
      listeners = Hashtbl.create 8;
      table = Array.make 64 [];
      count = 0;
      last = None;
      port_step = below 65536;
    }
  in
  env.forget <- forget t;
  t

let tick t now = if now > t.env.now then t.env.now <- now

let tuple ~local ~local_port ~remote ~remote_port =
  Printf.sprintf "%s%s%04x%04x" (Ipaddr.to_octets local) (Ipaddr.to_octets remote) local_port
    remote_port

(* RFC 6528: a clock of 4 us, and a hash of the connection's name that no outsider can compute. *)
let initial_seq t name ~after =
  let isn = ((t.env.now / 4000) + Siphash.hash t.key name) land 0xffff_ffff in
  (* A new incarnation begins behind what the old one has sent (RFC 9293 section 3.6.1). *)
  match after with
  | Some old when Seq.lt isn (Seq.add old 65536) -> Seq.add old 65536
  | Some _ | None -> isn

(* RFC 7323 section 5.4: a random offset, so that the uptime does not show. *)
let initial_ts t name = Siphash.hash t.key ("ts" ^ name) land 0xffff_ffff

let wscale_for max_buffer =
  let rec shift n = if n < 14 && max_buffer lsr n > 0xffff then shift (n + 1) else n in
  shift 0

let make t ~state ~iss ~name ~local ~local_port ~remote ~remote_port =
  let env = t.env in
  let config = env.config in
  let path_mss = t.mss ~dst:remote in
  let c =
    {
      local;
      local_port;
      remote;
      remote_port;
      hash = hash t ~local ~local_port ~remote ~remote_port;
      state;
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
      undo_left = 0;
      timeout_at = 0;
      probe_end = iss;
      probes = 0;
      probe_retransmit = false;
      cwnd_limited = false;
      last_sent = env.now;
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
      dup_ack_at = env.now - second;
      ts_ok = false;
      ts_offset = initial_ts t name;
      ts_recent = 0;
      ts_recent_at = 0;
      sack_ok = false;
      rexmit = Idle;
      rexmit_at = max_int;
      rto_at = max_int;
      ack_at = max_int;
      persist_at = max_int;
      persist_shift = 0;
      keep_at = max_int;
      wait_at = max_int;
      keepalive = None;
      keep_probes = 0;
      user_timeout = config.user_timeout;
      heard = env.now;
      retransmits = 0;
      octets_acked = 0;
      octets_received = 0;
    }
  in
  c.timer <- Some (Wheel.timer c);
  c

(* ---- SYN cookies (RFC 4987 section 3.6) ---- *)

(* The sequence number of a cookie: 5 bits of a slow clock, 3 for the MSS, 24 of a hash over both and
   the connection's name. The other options travel in the low 6 bits of our timestamp, which the peer
   echoes: 4 for its window scale (15: none), 1 for SACK. Without timestamps they are not used. *)
let cookie_mss = [| 256; 536; 1220; 1360; 1400; 1440; 1460; 8960 |]
let cookie_life = 128 * second
let cookie_clock t = t.env.now / (64 * second) land 31

let cookie_hash t ~name ~peer_seq ~clock ~index =
  Siphash.hash t.key (Printf.sprintf "cookie%s%x.%x.%x" name peer_seq clock index) land 0xff_ffff

let cookie t ~name ~peer_seq ~mss =
  let index = ref 0 in
  Array.iteri (fun i m -> if m <= mss then index := i) cookie_mss;
  let clock = cookie_clock t in
  (clock lsl 27) lor (!index lsl 24) lor cookie_hash t ~name ~peer_seq ~clock ~index:!index

let check_cookie t ~name ~peer_seq cookie =
  let clock = cookie lsr 27 and index = (cookie lsr 24) land 7 in
  let age = (cookie_clock t - clock) land 31 in
  if age <= 1 && cookie land 0xff_ffff = cookie_hash t ~name ~peer_seq ~clock ~index then
    Some cookie_mss.(index)
  else None

let cookie_options (o : Wire.options) =
  (if o.window_scale >= 0 then o.window_scale else 15) lor if o.sack_permitted then 16 else 0

let send_cookie t l ~local ~remote (h : Wire.t) =
  let env = t.env in
  env.stats.cookies_sent <- env.stats.cookies_sent + 1;
  l.overflow_at <- env.now;
  let name = tuple ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port in
  let o = h.options in
  let seq = cookie t ~name ~peer_seq:h.seq ~mss:(if o.mss > 0 then o.mss else 536) in
  let config = env.config in
  let ts = config.timestamps && o.ts_value >= 0 in
  (* Never in the future: the peer would take what follows for old (PAWS). *)
  let stamp =
    let now = ((env.now / ms) + initial_ts t name) land 0xffff_ffff in
    let marked = now land lnot 31 lor cookie_options o in
    if marked > now then Seq.add marked (-32) else marked
  in
  let options =
    {
      Wire.mss = t.mss ~dst:remote;
      window_scale =
        (if ts && o.window_scale >= 0 then wscale_for config.receive_buffer_max else -1);
      sack_permitted = ts && config.sack && o.sack_permitted;
      sack = [];
      ts_value = (if ts then stamp else -1);
      ts_echo = (if ts then o.ts_value else 0);
    }
  in
  let syn_ack =
    {
      Wire.src_port = h.dst_port;
      dst_port = h.src_port;
      seq;
      ack = Seq.add h.seq 1;
      flags = Flags.(syn lor ack);
      window = min 0xffff config.receive_buffer;
      urgent = 0;
      options;
      header_length = Wire.min_header_length + Wire.options_length options;
    }
  in
  env.transmit ~src:local ~dst:remote ~ect:false syn_ack [] ~length:0 ~segment_size:0

let refuse t ~local ~remote h ~length =
  t.env.stats.no_connection <- t.env.stats.no_connection + 1;
  Output.refuse t.env ~local ~remote h ~length

(* ---- Listening ---- *)

(* The connection leaves the listener's count of half-open ones and is the user's from now on. *)
let accepted t l (c : connection) =
  if c.passive then (
    c.passive <- false;
    l.half_open <- l.half_open - 1);
  t.env.stats.passive_opens <- t.env.stats.passive_opens + 1;
  c.notify <- ignore;
  l.accept c

let listen t ~port ?backlog accept =
  if Hashtbl.mem t.listeners port then Error `In_use
  else
    let backlog = Option.value backlog ~default:t.env.config.backlog in
    Hashtbl.replace t.listeners port { backlog; accept; half_open = 0; overflow_at = -cookie_life };
    Ok ()

let iter t f = Array.iter (List.iter f) (Array.copy t.table)

let unlisten t ~port =
  if Hashtbl.mem t.listeners port then (
    iter t (fun c ->
        if c.passive && c.local_port = port then (
          Output.reset t.env c;
          finish t.env c `Aborted));
    Hashtbl.remove t.listeners port)

let new_passive t l ~local ~remote ~after (h : Wire.t) =
  let env = t.env in
  let name = tuple ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port in
  let c =
    make t ~state:Syn_received ~iss:(initial_seq t name ~after) ~name ~local ~local_port:h.dst_port
      ~remote ~remote_port:h.src_port
  in
  c.passive <- true;
  c.irs <- h.seq;
  c.rcv_nxt <- Seq.add h.seq 1;
  c.rcv_adv <- c.rcv_nxt;
  c.last_ack_sent <- c.rcv_nxt;
  Input.adopt_options env c h.options;
  c.ecn <- (env.config.ecn && Flags.(has h.flags ece && has h.flags cwr));
  l.half_open <- l.half_open + 1;
  add t c;
  c.notify <- (function Connected -> accepted t l c | Readable | Writable | Ended _ -> ());
  c.wait_at <- env.now + env.config.connect_timeout;
  Output.syn env c

let from_cookie t l ~local ~remote (h : Wire.t) payload ~ce =
  let env = t.env in
  let name = tuple ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port in
  (* Only a listener that has sent cookies lately believes in them: otherwise any acknowledgement
     would be a chance to guess one. *)
  let recently = env.now - l.overflow_at < cookie_life in
  let peer_seq = Seq.add h.seq (-1) and number = Seq.add h.ack (-1) in
  match if recently then check_cookie t ~name ~peer_seq number else None with
  | None ->
      if recently then env.stats.cookies_bad <- env.stats.cookies_bad + 1;
      refuse t ~local ~remote h ~length:(Cstruct.length payload)
  | Some mss ->
      env.stats.cookies_ok <- env.stats.cookies_ok + 1;
      let c =
        make t ~state:Syn_received ~iss:number ~name ~local ~local_port:h.dst_port ~remote
          ~remote_port:h.src_port
      in
      let ts = h.options.ts_value >= 0 in
      let bits = if ts then h.options.ts_echo land 31 else 15 in
      Input.adopt_options env c
        {
          h.options with
          mss;
          window_scale = (if bits land 15 = 15 then -1 else bits land 15);
          sack_permitted = bits land 16 <> 0;
          sack = [];
        };
      c.irs <- Seq.add h.seq (-1);
      c.rcv_nxt <- h.seq;
      c.rcv_adv <- Seq.add h.seq (min 0xffff env.config.receive_buffer);
      c.last_ack_sent <- h.seq;
      c.snd_una <- h.ack;
      c.snd_nxt <- h.ack;
      add t c;
      Input.established env c h;
      accepted t l c;
      Input.segment env c h payload ~ce

let for_listener t l ~local ~remote ~after (h : Wire.t) payload ~ce =
  let has = Flags.has h.flags in
  if has Flags.rst then ()
  else if has Flags.ack then
    if has Flags.syn then refuse t ~local ~remote h ~length:(Cstruct.length payload)
    else if t.count >= t.env.config.connections_max then ()
    else from_cookie t l ~local ~remote h payload ~ce
  else if has Flags.syn then
    if l.half_open >= l.backlog || under_pressure t.env || t.count >= t.env.config.connections_max
    then (
      t.env.stats.listen_overflows <- t.env.stats.listen_overflows + 1;
      send_cookie t l ~local ~remote h)
    else new_passive t l ~local ~remote ~after h

(* ---- Segments ---- *)

(* Whether a SYN may end a TIME-WAIT: it is certainly newer than all of the old connection (RFC 6191
   section 2). *)
let newer_incarnation (c : connection) (h : Wire.t) =
  let later_seq = Seq.gt h.seq c.rcv_nxt in
  Flags.has h.flags Flags.syn
  && (not (Flags.has h.flags Flags.(ack lor rst)))
  &&
  if c.ts_ok && h.options.ts_value >= 0 then
    Seq.gt h.options.ts_value c.ts_recent || (h.options.ts_value = c.ts_recent && later_seq)
  else later_seq

let input t ~now ~src ~dst ~ce (h : Wire.t) payload =
  tick t now;
  let env = t.env in
  env.stats.segments_in <- env.stats.segments_in + 1;
  let to_listener ~after =
    match Hashtbl.find_opt t.listeners h.dst_port with
    | Some l -> for_listener t l ~local:dst ~remote:src ~after h payload ~ce
    | None -> refuse t ~local:dst ~remote:src h ~length:(Cstruct.length payload)
  in
  match find t ~local:dst ~local_port:h.dst_port ~remote:src ~remote_port:h.src_port with
  | Some c when c.state = Time_wait && newer_incarnation c h && Hashtbl.mem t.listeners h.dst_port
    ->
      finish env c `Closed;
      to_listener ~after:(Some c.snd_nxt)
  | Some c -> Input.segment env c h payload ~ce
  | None -> to_listener ~after:None

let advance t ~now =
  tick t now;
  Wheel.advance t.env.wheel ~now (Timers.fire t.env)

(* Memory is free again: those who could not write for want of it may. *)
let feed t =
  if not (Queue.is_empty t.env.starved || under_pressure t.env) then (
    let hungry = Queue.copy t.env.starved in
    Queue.clear t.env.starved;
    Queue.iter
      (fun (c : connection) ->
        c.starved <- false;
        if c.state <> Closed then Recovery.wake_writer t.env c)
      hungry)

let flush t ~now =
  tick t now;
  feed t;
  let rec run () =
    match Queue.take_opt t.env.dirty with
    | None -> ()
    | Some c ->
        c.dirty <- false;
        Output.run t.env c;
        run ()
  in
  run ()

let next t = if Queue.is_empty t.env.dirty then Wheel.next t.env.wheel else t.env.now

let resume t =
  Queue.iter
    (fun (c : connection) ->
      c.blocked <- false;
      touch t.env c)
    t.env.blocked;
  Queue.clear t.env.blocked

let packet_too_big t ~now ~src ~dst ~src_port ~dst_port ~seq ~mtu =
  tick t now;
  match find t ~local:src ~local_port:src_port ~remote:dst ~remote_port:dst_port with
  | Some c when Seq.geq seq c.snd_una && Seq.lt seq c.snd_nxt ->
      let headers = match dst with Ipaddr.V4 _ -> 40 | Ipaddr.V6 _ -> 60 in
      Recovery.path_mss t.env c (mtu - headers);
      true
  | Some _ | None -> false

(* ---- Calls ---- *)

let on_event (c : connection) f = c.notify <- f

(* RFC 6056, algorithm 3 with a random start: ports of one destination run through the range in an order
   that a stranger does not know. *)
let first_port = 32768 (* the dynamic range proper, from 49152, is soon full of TIME-WAIT *)

let free_port t ~local ~remote ~remote_port =
  let range = 65536 - first_port in
  let name = tuple ~local ~local_port:0 ~remote ~remote_port in
  let offset = Siphash.hash t.key ("port" ^ name) in
  let rec search tries =
    if tries = range then None
    else (
      t.port_step <- t.port_step + 1;
      let port = first_port + ((offset + t.port_step) land (range - 1)) in
      match find t ~local ~local_port:port ~remote ~remote_port with
      | None -> Some port
      | Some _ -> search (tries + 1))
  in
  search 0

let set_keepalive t ~now (c : connection) keepalive =
  tick t now;
  c.keepalive <- keepalive;
  c.keep_probes <- 0;
  c.keep_at <-
    (match keepalive with
    | Some k when synchronized c && c.state <> Time_wait -> t.env.now + k.after
    | Some _ | None -> max_int);
  arm t.env c

let connect t ~now ?src_port ?keepalive ~src ~dst ~dst_port notify =
  tick t now;
  let env = t.env in
  let port =
    match src_port with
    | Some port -> (
        match find t ~local:src ~local_port:port ~remote:dst ~remote_port:dst_port with
        | None -> Some port
        | Some _ -> None)
    | None -> free_port t ~local:src ~remote:dst ~remote_port:dst_port
  in
  if under_pressure env || t.count >= env.config.connections_max then Error `No_memory
  else
    match port with
    | None -> Error `No_port
    | Some local_port ->
        let name = tuple ~local:src ~local_port ~remote:dst ~remote_port:dst_port in
        let c =
          make t ~state:Syn_sent ~iss:(initial_seq t name ~after:None) ~name ~local:src ~local_port
            ~remote:dst ~remote_port:dst_port
        in
        c.notify <- notify;
        c.keepalive <- keepalive;
        env.stats.active_opens <- env.stats.active_opens + 1;
        add t c;
        c.wait_at <- env.now + env.config.connect_timeout;
        Output.syn env c;
        Ok c

let write_space t (c : connection) =
  let space = Recovery.send_space t.env c in
  if space <= 0 then (
    c.blocked_writer <- true;
    Recovery.wake_writer t.env c);
  space

let write t (c : connection) view =
  match c.state with
  | (Established | Close_wait | Syn_sent | Syn_received) when not c.closing ->
      hold t.env (Cstruct.length view);
      Octets.push c.unsent view;
      touch t.env c;
      Ok ()
  | Established | Close_wait | Syn_sent | Syn_received | Fin_wait_1 | Fin_wait_2 | Closing
  | Last_ack | Time_wait | Closed ->
      Error `Closed

let read t (c : connection) =
  let cost = received_cost c in
  match Octets.pop c.received with
  | None -> None
  | Some _ as view ->
      hold t.env (received_cost c - cost);
      (match c.state with
      | Established | Fin_wait_1 | Fin_wait_2 ->
          if Output.window_update_due c then (
            c.ack_now <- true;
            touch t.env c)
      | Syn_sent | Syn_received | Close_wait | Closing | Last_ack | Time_wait | Closed -> ());
      view

let at_eof (c : connection) =
  Octets.is_empty c.received
  &&
  match c.state with
  | Close_wait | Closing | Last_ack | Time_wait | Closed -> true
  | Syn_sent | Syn_received | Established | Fin_wait_1 | Fin_wait_2 -> false

let ended (c : connection) = c.state = Closed

let shutdown t ~now (c : connection) =
  tick t now;
  match c.state with
  | Syn_sent -> finish t.env c `Aborted
  | Syn_received | Established ->
      c.closing <- true;
      if c.state = Established then c.state <- Fin_wait_1;
      touch t.env c
  | Close_wait ->
      c.closing <- true;
      c.state <- Last_ack;
      touch t.env c
  | Fin_wait_1 | Fin_wait_2 | Closing | Last_ack | Time_wait | Closed -> ()

let abort t (c : connection) =
  match c.state with
  | Closed -> ()
  | Syn_sent | Time_wait -> finish t.env c `Aborted
  | Syn_received | Established | Fin_wait_1 | Fin_wait_2 | Close_wait | Closing | Last_ack ->
      Output.reset t.env c;
      finish t.env c `Aborted

let abort_all t =
  Hashtbl.reset t.listeners;
  iter t (abort t)

let close t ~now (c : connection) =
  tick t now;
  let unread = not (Octets.is_empty c.received && Reassembly.is_empty c.ahead) in
  match c.state with
  | Closed -> drop_receiving t.env c
  | (Established | Fin_wait_1 | Fin_wait_2 | Close_wait) when unread ->
      c.read_shut <- true;
      abort t c
  | Syn_sent | Syn_received | Established | Fin_wait_1 | Fin_wait_2 | Close_wait | Closing
  | Last_ack | Time_wait ->
      c.read_shut <- true;
      drop_receiving t.env c;
      if c.state = Fin_wait_2 then (
        c.wait_at <- t.env.now + t.env.config.time_wait;
        arm t.env c);
      shutdown t ~now c

let set_nodelay t (c : connection) nodelay =
  c.nodelay <- nodelay;
  if nodelay then touch t.env c

let set_user_timeout t (c : connection) ns =
  c.user_timeout <- ns;
  if c.rexmit = Rto then Output.arm_timeout t.env c c.rto_at

let state (c : connection) = c.state
let local (c : connection) = (c.local, c.local_port)
let remote (c : connection) = (c.remote, c.remote_port)

(* ---- Figures ---- *)

let stats t = t.env.stats
let memory t = t.env.memory
let connections t = t.count
let timers t = Wheel.length t.env.wheel

type info = {
  rtt : int;
  rtt_var : int;
  min_rtt : int;
  rto : int;
  cwnd : int;
  ssthresh : int;
  mss : int;
  in_flight : int;
  unsent : int;
  send_window : int;
  receive_window : int;
  send_buffer : int;
  receive_buffer : int;
  retransmits : int;
  octets_acked : int;
  octets_received : int;
}

let info (c : connection) =
  {
    rtt = Rtt.srtt c.rtt;
    rtt_var = Rtt.var c.rtt;
    min_rtt = Rtt.min_rtt c.rtt;
    rto = Rtt.timeout c.rtt;
    cwnd = Cc.cwnd c.cc;
    ssthresh = Cc.ssthresh c.cc;
    mss = c.mss;
    in_flight = in_flight c;
    unsent = Octets.octets c.unsent;
    send_window = c.snd_wnd;
    receive_window = Output.advertised c;
    send_buffer = c.send_buffer;
    receive_buffer = c.receive_buffer;
    retransmits = c.retransmits;
    octets_acked = c.octets_acked;
    octets_received = c.octets_received;
  }

let tcb c = c

let lookup t ~local:(local, local_port) ~remote:(remote, remote_port) =
  find t ~local ~local_port ~remote ~remote_port

let env t = t.env
