open Tcb
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

type connection = Tcb.t
type config = Config.t

let default_config = Config.default

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
  backlog_max : int; (* of a listener, whatever the memory *)
  listeners : (int, listener) Hashtbl.t;
  table : Table.t;
  mutable port_step : int;
  mutable port_name : string; (* the destination to which the last connection was opened *)
  mutable port_offset : int; (* its hash *)
  places : place Queue.t; (* for {!evict}; some may have gone *)
  hosts : Hosts.t; (* of those that were accepted *)
}

(* ---- Making one ---- *)

let count_stuck t place octets =
  t.env.stuck_octets <- t.env.stuck_octets - place.stuck + octets;
  place.stuck <- octets

let forget t (c : connection) =
  (* Nothing after this allocates. *)
  let was_there = Table.remove t.table c in
  if c.place != no_place then (
    count_stuck t c.place 0;
    Hosts.remove t.hosts c.place;
    c.place.who <- None;
    c.place <- no_place);
  if was_there && c.passive then
    match Hashtbl.find t.listeners c.local_port with
    | l -> l.half_open <- l.half_open - 1
    | exception Not_found -> ()

let number random =
  let s = random 8 in
  Int64.to_int (String.get_int64_le s 0) land max_int

(* Neither a group's, nor a broadcast address, nor the unspecified one (RFC 1122's "this host"). *)
let names_a_host = function
  | Ipaddr.V4 a ->
      Ipaddr.V4.compare a Ipaddr.V4.any <> 0
      && Ipaddr.V4.compare a Ipaddr.V4.broadcast <> 0
      && not (Ipaddr.V4.is_multicast a)
  | Ipaddr.V6 a -> Ipaddr.V6.compare a Ipaddr.V6.unspecified <> 0 && not (Ipaddr.V6.is_multicast a)

let default_burst = 1024 * 1024

let create ?(config = default_config) ?(path_works = fun ~src:_ ~dst:_ -> ())
    ?(burst = fun ~src:_ ~dst:_ -> default_burst) ~now ~random ~mss ~can_send transmit =
  let below n = number random mod n in
  let env =
    {
      config;
      wheel = Wheel.create ~now;
      transmit;
      can_send;
      path_works;
      burst;
      stats = Stats.create ();
      news = { echo = -1; sample = 0; octets = 0; ambiguous = false; original = false };
      now;
      memory = 0;
      short = false;
      stuck_octets = 0;
      challenges = Limit.create ~least:500 below;
      resets = Limit.create ~least:500 below;
      dirty = Ring.create no_connection;
      next_turn = Queue.create ();
      blocked = Queue.create ();
      starved = Queue.create ();
      waiting = Queue.create ();
      lingering = 0;
      resting = Waiting.create ();
      forget = ignore;
    }
  in
  let key = Siphash.key (random 16) in
  let t =
    {
      env;
      mss;
      key;
      backlog_max = config.backlog;
      listeners = Hashtbl.create 8;
      table = Table.create ~random;
      port_step = below 65536;
      port_name = "";
      port_offset = 0;
      places = Queue.create ();
      hosts = Hosts.create ~secret:(Siphash.hash key "hosts");
    }
  in
  env.forget <- forget t;
  t

let compact ~device t =
  Table.iter t.table (fun c ->
      let cost = received_cost c + ahead_cost c in
      (* Where memory runs out, the rest stays as it is; no connection suffers. *)
      (try
         Octets.compact ~device c.received;
         Reassembly.compact ~device c.ahead;
         Octets.compact ~device c.unsent;
         Flight.compact ~device c.flight
       with Out_of_memory -> ());
      hold t.env c (received_cost c + ahead_cost c - cost))

let charge t (c : connection) n =
  t.env.memory <- t.env.memory + n;
  c.beside <- c.beside + n

(* {1 Running out of memory}

   Out_of_memory may be raised at any allocation (docs/memory.md). The connection that is being processed may then be in
   an inconsistent state, and is dropped; the others are unaffected. *)

let held (c : connection) = c.account

let with_connection t c f x =
  try f t c x
  with Out_of_memory as e ->
    lose t.env c;
    raise e

(* {1 Those in TIME-WAIT} *)

let resting t ~local ~local_port ~remote ~remote_port =
  let resting = t.env.resting in
  if Waiting.length resting = 0 then Waiting.none
  else
    let hash = Table.hash_of t.table ~local ~local_port ~remote ~remote_port in
    let e = Waiting.find resting ~hash ~local ~local_port ~remote ~remote_port in
    (* It may have expired while waiting behind others, and must then not be revived. *)
    if e != Waiting.none && e.until <= t.env.now then (
      Waiting.remove resting e;
      Waiting.none)
    else e

(* The connection that a segment belongs to. One in TIME-WAIT is revived from its record. *)
let find t ~local ~local_port ~remote ~remote_port =
  match Table.find t.table ~local ~local_port ~remote ~remote_port with
  | Some _ as found -> found
  | None ->
      let e = resting t ~local ~local_port ~remote ~remote_port in
      if e == Waiting.none then None
      else
        let c = revive t.env e in
        Table.add t.table c;
        Some c

let is_taken t ~local ~local_port ~remote ~remote_port =
  Option.is_some (Table.find t.table ~local ~local_port ~remote ~remote_port)
  || resting t ~local ~local_port ~remote ~remote_port != Waiting.none

let connections t = Table.length t.table + Waiting.length t.env.resting

(* {1 Too many connections} *)

let patience ~holds ~moved =
  let rec doublings n = if n = 0 then 0 else 1 + doublings (n lsr 1) in
  if holds then 3 * second else (1 + doublings moved) * second

(* How many connections are examined for each newcomer, which bounds the work. *)
let looked_at = 32

(* Idle connections must not keep newcomers out. Of the next few in the queue, the one that has exhausted most of
   its patience is evicted; the others go to the end of the queue, so that every connection is examined in turn.
   Progress is counted in octets, not in segments, because it costs a peer nothing to answer a window probe. A client
   between two requests holds nothing and has moved something, so it has a long patience. *)
let look t place (c : connection) =
  let moved = c.octets_received + c.octets_acked in
  if moved <> place.moved then (
    place.moved <- moved;
    place.since <- t.env.now)

let holds (c : connection) =
  not (Flight.is_empty c.flight && Octets.is_empty c.unsent && Octets.is_empty c.received)

(* How much of the patience with it is used up, in thousandths. *)
let tried t place c =
  let patience = patience ~holds:(holds c) ~moved:place.moved in
  (t.env.now - place.since) / (patience / 1000)

let put_out t (c : connection) () =
  Output.reset t.env c;
  finish t.env c `Aborted;
  t.env.stats.evicted <- t.env.stats.evicted + 1

let make_way t c = with_connection t c put_out ()

(* Calls [f] for some that are next in turn. *)
let in_turn t f =
  for _ = 1 to min looked_at (Queue.length t.places) do
    let place = Queue.peek t.places in
    (match place.who with
    | None | Some { state = Closed | Time_wait; _ } -> count_stuck t place 0
    | Some c ->
        f place c;
        Queue.push place t.places);
    (* Popped last, so that it is still the first if memory runs out before. *)
    ignore (Queue.pop t.places : place)
  done

(* A peer that moves an octet on each of its connections now and then never exhausts its patience, so one host, or the
   hosts of one network, could take all places. Therefore the network with the most connections gives up one of its
   host with the most, provided that it has more than the newcomer's network would then have, and that this host has
   more than the newcomer. Otherwise (the newcomer's own network has the most, or the networks are even), a host gives
   up one if it has more than an eighth of all accepted connections, and more than the newcomer would have. Of that
   host's next few connections, the one that has exhausted most of its patience is evicted. A connection counts for its
   host only when its handshake is complete, since anybody can begin one in another host's name. *)
let make_fair t ~newcomer =
  let hosts = t.hosts in
  let has = Hosts.count hosts newcomer and network = Hosts.most_of_networks hosts in
  let of_others =
    network.count > 1 + Hosts.count_of_network hosts newcomer && network.most.count > has
  in
  let host = if of_others then network.most else Hosts.most hosts in
  let n = host.count in
  if of_others || (n >= 4 && 8 * n > Hosts.total hosts && n > 1 + has) then (
    let worst = ref None and most = ref (-1) in
    for _ = 1 to min looked_at n do
      let place = host.next in
      host.next <- place.newer;
      match place.who with
      | None | Some { state = Closed | Time_wait; _ } -> ()
      | Some c ->
          look t place c;
          let tried = tried t place c in
          if tried > !most then (
            most := tried;
            worst := place.who)
    done;
    Option.iter (make_way t) !worst)

(* Among the hosts of the largest network that have equally many connections (perhaps one each), the host whose
   connection has exhausted most of its patience is the one to give up a place. *)
let has_the_most t host ~tried ~most =
  let network = host.network in
  if network == Hosts.most_of_networks t.hosts && host.count = network.most.count && tried > !most
  then (
    most := tried;
    network.most <- host)

(* [newcomer] is the host that wants a place, if its address has been verified. *)
let evict ?newcomer t =
  let worst = ref None and most = ref 999 and most_there = ref (-1) in
  in_turn t (fun place c ->
      Hosts.saw t.hosts place.host;
      look t place c;
      let tried = tried t place c in
      has_the_most t place.host ~tried ~most:most_there;
      if tried > !most then (
        most := tried;
        worst := place.who));
  match (!worst, newcomer) with
  | Some c, _ -> make_way t c
  | None, Some newcomer -> make_fair t ~newcomer
  | None, None -> ()

(* {1 Too much data} *)

(* Releasing memory counts as progress only in proportion to what is held: with an octet now and then, a buffer could
   be kept for days. At a thirty-second part per patience (three seconds), half of it is released within about a minute.
   A buffer that has doubled since starts afresh. *)
let worth_it = 32

let is_stuck t place ~held ~released =
  if
    held > 2 * place.held
    || released < place.released
    || released - place.released > held / worth_it
  then (
    place.held <- held;
    place.released <- released;
    place.stuck_since <- t.env.now);
  t.env.now - place.stuck_since >= patience ~holds:true ~moved:0

(* What the connection holds, if that is more than is allowed when memory is short and does not shrink; otherwise 0.
   Data that its user is still waiting to write does not count as held by the peer. *)
let stuck_with t place (c : connection) =
  let sending = Flight.octets c.flight + Octets.octets c.unsent
  and receiving = received_cost c + ahead_cost c in
  (* On a silent path segments are cut smaller, and what was one segment must not then count as several. *)
  let segment = max c.mss 1460 in
  let sent = sending + c.beside - segment and received = receiving - (3 * segment) in
  let stuck =
    if sent >= received then is_stuck t place ~held:sending ~released:c.octets_acked
    else is_stuck t place ~held:receiving ~released:(c.octets_received - Octets.octets c.received)
  in
  if stuck && max sent received > 0 then c.account + c.beside else 0

(* Data ahead of a gap need not be kept (RFC 2018 section 8), and dropping it may be enough. *)
let give_way t (c : connection) =
  if Reassembly.is_empty c.ahead then make_way t c
  else (
    hold t.env c (-ahead_cost c);
    Reassembly.clear c.ahead)

(* Called when a connection cannot go on because others hold the memory. Of the next few in the queue, the connection
   that is stuck with the most gives way: a closed window may stay closed for ever (RFC 9293 section 3.8.6.1), but not
   at the expense of others. None does if that would not help: memory may also be short because of data that peers are
   taking, such as when a user writes more at once than the limit for all. While the memory is not needed, a slow reader
   may take as long as it likes. *)
let relieve t =
  t.env.short <- false;
  if under_pressure t.env then (
    let worst = ref None and most = ref 0 in
    in_turn t (fun place c ->
        let stuck = stuck_with t place c in
        count_stuck t place stuck;
        if stuck > !most then (
          most := stuck;
          worst := place.who));
    if t.env.memory - t.env.stuck_octets < t.env.config.memory_max then
      Option.iter (give_way t) !worst)

(* Makes room for one more connection if necessary; whether there is any. *)
let has_room ?newcomer t =
  let full () = connections t >= t.env.config.connections_max in
  if full () then drop_waiting t.env;
  if full () then evict ?newcomer t;
  not (full ())

let count = connections

let set_bounds t ~memory ~connections ~time_wait =
  t.env.config <-
    {
      t.env.config with
      memory_max = memory;
      connections_max = connections;
      time_wait_max = time_wait;
      backlog = min t.backlog_max (max 1 (connections / 4));
    };
  (* A newcomer evicts only one connection, so those above the new bound have to go now. *)
  let rec shrink () =
    let n = count t in
    if n > connections then (
      drop_waiting t.env;
      if count t = n then evict t;
      if count t < n then shrink ())
  in
  shrink ();
  trim_waiting t.env

(* Closed connections are removed from the queue once it is twice as long as the table. *)
let add t c =
  if Queue.length t.places > 64 + (2 * Table.length t.table) then (
    let live = Queue.create () in
    Queue.iter (fun place -> if Option.is_some place.who then Queue.push place live) t.places;
    Queue.clear t.places;
    Queue.transfer live t.places);
  c.place <-
    {
      who = Some c;
      moved = 0;
      since = t.env.now;
      held = 0;
      released = 0;
      stuck_since = t.env.now;
      stuck = 0;
      host = no_host;
      older = no_place;
      newer = no_place;
    };
  (* In this order, because every connection in the table must have a place even if memory runs out here. *)
  Queue.push c.place t.places;
  Table.add t.table c

let tick t now = if now > t.env.now then t.env.now <- now

let put_address b at = function
  | Ipaddr.V4 a -> Bytes.set_int32_be b at (Ipaddr.V4.to_int32 a)
  | Ipaddr.V6 a -> Bytes.blit_string (Ipaddr.V6.to_octets a) 0 b at 16

let tuple ~local ~local_port ~remote ~remote_port =
  let n = match local with Ipaddr.V4 _ -> 4 | Ipaddr.V6 _ -> 16 in
  let b = Bytes.create ((2 * n) + 4) in
  put_address b 0 local;
  put_address b n remote;
  Bytes.set_uint16_be b (2 * n) local_port;
  Bytes.set_uint16_be b ((2 * n) + 2) remote_port;
  Bytes.unsafe_to_string b

(* RFC 6528: a clock of 4 us, and a hash of the connection's name that no outsider can compute. *)
let initial_seq t hash ~after =
  let isn = ((t.env.now / 4000) + hash) land 0xffff_ffff in
  (* A new incarnation begins behind what the old one has sent (RFC 9293 section 3.6.1). *)
  match after with
  | Some old when Seq.lt isn (Seq.add old 65536) -> Seq.add old 65536
  | Some _ | None -> isn

(* RFC 7323 section 5.4: a random offset, so that the uptime does not show; the 30 bits of the hash that are not in the
   sequence number. *)
let initial_ts hash = (hash lsr 32) land 0x3fff_ffff

let make t ~state ~iss ~ts_offset ~local ~local_port ~remote ~remote_port =
  let hash = Table.hash t.table { local; local_port; remote; remote_port } in
  Tcb.make t.env ~state ~iss ~ts_offset ~path_mss:(t.mss ~dst:remote) ~hash ~local ~local_port
    ~remote ~remote_port

(* ---- SYN cookies ---- *)

let send_cookie t l ~local ~remote (h : Wire.t) =
  let env = t.env in
  env.stats.cookies_sent <- env.stats.cookies_sent + 1;
  l.overflow_at <- env.now;
  let name = tuple ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port in
  let o = h.options and config = env.config in
  let mss = if o.mss > 0 then o.mss else 536 in
  let ts = config.timestamps && o.ts_value >= 0 in
  let timestamp = ((env.now / ms) + initial_ts (Siphash.hash t.key name)) land 0xffff_ffff in
  (* Without timestamps there is no place for the other options. *)
  let scale = ts && o.window_scale >= 0 in
  let options =
    {
      Wire.mss = t.mss ~dst:remote;
      window_scale = (if scale then wscale_for config.receive_buffer_max else -1);
      sack_permitted = ts && config.sack && o.sack_permitted;
      sack = [];
      ts_value = (if ts then Cookie.stamp o ~timestamp else -1);
      ts_echo = (if ts then o.ts_value else 0);
    }
  in
  let syn_ack =
    {
      Wire.src_port = h.dst_port;
      dst_port = h.src_port;
      seq = Cookie.make t.key ~now:env.now ~name ~peer_seq:h.seq ~mss;
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
  Output.refuse t.env ~local ~remote h ~length ()

(* ---- Listening ---- *)

(* The connection leaves the listener's count of half-open ones and is the user's from now on. *)
let accepted t l (c : connection) =
  Hosts.add t.hosts c.place c.remote;
  if c.passive then (
    c.passive <- false;
    l.half_open <- l.half_open - 1);
  t.env.stats.passive_opens <- t.env.stats.passive_opens + 1;
  c.notify <- ignore;
  l.accept c

let is_port n = n >= 1 && n <= 0xffff

let listen t ~port ?backlog accept =
  if not (is_port port) then Error `Invalid
  else if Hashtbl.mem t.listeners port then Error `In_use
  else
    let backlog = Option.value backlog ~default:t.env.config.backlog in
    Hashtbl.replace t.listeners port { backlog; accept; half_open = 0; overflow_at = -Cookie.life };
    Ok ()

let iter t f = Table.iter t.table f

(* One that is lost for want of memory leaves the others to be told. *)
let each t f x =
  let short = ref false in
  iter t (fun c -> try with_connection t c f x with Out_of_memory -> short := true);
  if !short then raise Out_of_memory

let abandon t (c : connection) port =
  if c.passive && c.local_port = port then (
    Output.reset t.env c;
    finish t.env c `Aborted)

let unlisten t ~port =
  if Hashtbl.mem t.listeners port then (
    each t abandon port;
    Hashtbl.remove t.listeners port)

let new_passive t l ~local ~remote ~after (h : Wire.t) payload =
  let env = t.env in
  let name = tuple ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port in
  let hash = Siphash.hash t.key name in
  let c =
    make t ~state:Syn_received ~iss:(initial_seq t hash ~after) ~ts_offset:(initial_ts hash) ~local
      ~local_port:h.dst_port ~remote ~remote_port:h.src_port
  in
  c.passive <- true;
  c.segments_in <- 1;
  c.irs <- h.seq;
  c.rcv_nxt <- Seq.add h.seq 1;
  c.rcv_adv <- c.rcv_nxt;
  c.last_ack_sent <- c.rcv_nxt;
  Input.adopt_options env c h.options;
  c.ecn <- (env.config.ecn && Flags.(has h.flags ece && has h.flags cwr));
  add t c;
  l.half_open <- l.half_open + 1;
  c.notify <- (function Connected -> accepted t l c | Readable | Writable | Ended _ -> ());
  c.wait_at <- env.now + env.config.connect_timeout;
  Input.early env c ~seq:c.rcv_nxt payload;
  Output.syn env c

let from_cookie t l ~local ~remote (h : Wire.t) payload ~ce =
  let env = t.env in
  let name = tuple ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port in
  (* Only a listener that has sent cookies lately believes in them: otherwise any acknowledgement
     would be a chance to guess one. *)
  let recently = env.now - l.overflow_at < Cookie.life in
  let peer_seq = Seq.add h.seq (-1) and number = Seq.add h.ack (-1) in
  match if recently then Cookie.check t.key ~now:env.now ~name ~peer_seq number else None with
  | None ->
      if recently then env.stats.cookies_bad <- env.stats.cookies_bad + 1;
      refuse t ~local ~remote h ~length:(Cstruct.length payload)
  | Some _ when not (has_room ~newcomer:remote t) ->
      (* Not refused: the client repeats its request, and is accepted as soon as there is room. *)
      ()
  | Some mss ->
      env.stats.cookies_ok <- env.stats.cookies_ok + 1;
      let c =
        make t ~state:Syn_received ~iss:number
          ~ts_offset:(initial_ts (Siphash.hash t.key name))
          ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port
      in
      let window_scale, sack_permitted =
        if h.options.ts_value >= 0 then Cookie.unstamp h.options.ts_echo else (-1, false)
      in
      Input.adopt_options env c { h.options with mss; window_scale; sack_permitted; sack = [] };
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
    else from_cookie t l ~local ~remote h payload ~ce
  else if has Flags.syn then
    if l.half_open >= l.backlog || under_pressure t.env || not (has_room t) then (
      t.env.stats.listen_overflows <- t.env.stats.listen_overflows + 1;
      send_cookie t l ~local ~remote h)
    else new_passive t l ~local ~remote ~after h payload

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

let to_listener t ~src ~dst ~after (h : Wire.t) payload ~ce =
  if not (names_a_host src && names_a_host dst) then
    t.env.stats.malformed <- t.env.stats.malformed + 1
  else
    match Hashtbl.find_opt t.listeners h.dst_port with
    | Some l -> for_listener t l ~local:dst ~remote:src ~after h payload ~ce
    | None -> refuse t ~local:dst ~remote:src h ~length:(Cstruct.length payload)

let fire t c () = Timers.fire t.env c
let run_output t c () = Output.run t.env c

let segment t c h payload ~ce =
  try Input.segment t.env c h payload ~ce
  with Out_of_memory as e ->
    lose t.env c;
    raise e

(* A connection may have been made. *)
let to_listener t ~src ~dst ~after (h : Wire.t) payload ~ce =
  try to_listener t ~src ~dst ~after h payload ~ce
  with Out_of_memory as e ->
    Option.iter (lose t.env)
      (Table.find t.table ~local:dst ~local_port:h.dst_port ~remote:src ~remote_port:h.src_port);
    raise e

let input t ~now ~src ~dst ~ce (h : Wire.t) payload =
  tick t now;
  let env = t.env in
  env.stats.segments_in <- env.stats.segments_in + 1;
  match find t ~local:dst ~local_port:h.dst_port ~remote:src ~remote_port:h.src_port with
  | Some c when c.state = Time_wait && newer_incarnation c h && Hashtbl.mem t.listeners h.dst_port
    ->
      conclude env c `Closed;
      to_listener t ~src ~dst ~after:(Some c.snd_nxt) h payload ~ce
  | Some c -> segment t c h payload ~ce
  | None -> to_listener t ~src ~dst ~after:None h payload ~ce

let advance t ~now =
  tick t now;
  Waiting.expire t.env.resting ~now:t.env.now;
  Wheel.advance t.env.wheel ~now (fun c -> with_connection t c fire ())

(* Memory is free again: wakes writers that had been waiting for it. *)
let feed t =
  if not (Queue.is_empty t.env.starved || under_pressure t.env) then
    for _ = 1 to Queue.length t.env.starved do
      let c = Queue.peek t.env.starved in
      c.starved <- false;
      if c.state <> Closed then Recovery.wake_writer t.env c;
      (* Popped last, so that it is still the first if memory runs out before. *)
      ignore (Queue.pop t.env.starved : connection)
    done

let resume t =
  Queue.iter
    (fun (c : connection) ->
      c.blocked <- false;
      touch t.env c)
    t.env.blocked;
  Queue.clear t.env.blocked

let output_next t =
  let c = Ring.pop t.env.dirty in
  c.dirty <- false;
  with_connection t c run_output ()

let rec flush_answers t ~now =
  let dirty = t.env.dirty in
  if (not (Ring.is_empty dirty)) && Octets.octets (Ring.first dirty).unsent > 0 then (
    tick t now;
    output_next t;
    flush_answers t ~now)

let flush t ~now =
  tick t now;
  if t.env.short then relieve t;
  feed t;
  (* Memory may have run out in [resume] when the device had room again. *)
  if (not (Queue.is_empty t.env.blocked)) && t.env.can_send () then resume t;
  while not (Ring.is_empty t.env.dirty) do
    output_next t
  done;
  if not (Queue.is_empty t.env.next_turn) then (
    Queue.iter (touch t.env) t.env.next_turn;
    Queue.clear t.env.next_turn)

let has_more t = not (Ring.is_empty t.env.dirty)

let next t =
  if Ring.is_empty t.env.dirty then Int.min (Wheel.next t.env.wheel) (Waiting.next t.env.resting)
  else t.env.now

let packet_too_big t ~now ~src ~dst ~src_port ~dst_port ~seq ~mtu =
  tick t now;
  match Table.find t.table ~local:src ~local_port:src_port ~remote:dst ~remote_port:dst_port with
  | Some c when Seq.geq seq c.snd_una && Seq.lt seq c.snd_nxt ->
      (* No path carries less (RFC 8200 section 5), or none that is in use: a forged report must not make
         a flood of headers of a transfer. *)
      let least, headers = match dst with Ipaddr.V4 _ -> (552, 40) | Ipaddr.V6 _ -> (1280, 60) in
      Recovery.path_mss t.env c (max least mtu - headers);
      true
  | Some _ | None -> false

let move t (c : connection) () = Recovery.path_mss t.env c (t.mss ~dst:c.remote)

let path_changed t ~now ~src ~dst ~src_port ~dst_port =
  tick t now;
  match Table.find t.table ~local:src ~local_port:src_port ~remote:dst ~remote_port:dst_port with
  | Some c -> with_connection t c move ()
  | None -> ()

let link_changed t ~now =
  tick t now;
  each t move ()

let unreachable t ~now ~src ~dst ~src_port ~dst_port ~seq problem =
  tick t now;
  match Table.find t.table ~local:src ~local_port:src_port ~remote:dst ~remote_port:dst_port with
  | Some c when c.state = Syn_sent && seq = c.iss -> (
      match problem with
      | `Port | `Protocol ->
          conclude t.env c `Refused;
          true
      | `Network | `Host | `Prohibited ->
          c.unreachable <- true;
          false)
  | Some _ | None -> false

let no_neighbour t ~now ~src ~dst ~src_port ~dst_port =
  tick t now;
  match Table.find t.table ~local:src ~local_port:src_port ~remote:dst ~remote_port:dst_port with
  | Some c when c.state = Syn_sent ->
      conclude t.env c `No_route;
      true
  | Some _ | None -> false

(* ---- Calls ---- *)

let on_event (c : connection) f = c.notify <- f

(* RFC 6056, algorithm 3 with a random start: ports of one destination run through the range in an order
   that a stranger does not know. A connection never gets its own port as its destination: it would be connected to
   itself at once (a simultaneous open, RFC 9293, 3.5), even if a server listens there. *)
let first_port = 32768 (* the dynamic range proper, from 49152, is soon full of TIME-WAIT *)

let free_port t ~local ~remote ~remote_port =
  let range = 65536 - first_port in
  let name = tuple ~local ~local_port:0 ~remote ~remote_port in
  if not (String.equal name t.port_name) then (
    t.port_offset <- Siphash.hash t.key ("port" ^ name);
    t.port_name <- name);
  let is_other_end port = port = remote_port && Ipaddr.compare local remote = 0 in
  let rec search tries =
    if tries = range then None
    else (
      t.port_step <- t.port_step + 1;
      let port = first_port + ((t.port_offset + t.port_step) land (range - 1)) in
      if is_other_end port || is_taken t ~local ~local_port:port ~remote ~remote_port then
        search (tries + 1)
      else Some port)
  in
  search 0

(* Deadlines stay far from where integers end. *)
let year = 366 * 86_400 * second
let time ns = min year (max 1 ns)

let sane_keepalive (k : keepalive) =
  { after = time k.after; interval = time k.interval; probes = max 0 k.probes }

let set_keepalive t ~now (c : connection) keepalive =
  tick t now;
  let keepalive = Option.map sane_keepalive keepalive in
  c.keepalive <- keepalive;
  c.keep_probes <- 0;
  c.keep_at <-
    (match keepalive with
    | Some k when synchronized c && c.state <> Time_wait -> t.env.now + k.after
    | Some _ | None -> max_int);
  arm t.env c

let same_family a b =
  match (a, b) with
  | Ipaddr.V4 _, Ipaddr.V4 _ | Ipaddr.V6 _, Ipaddr.V6 _ -> true
  | Ipaddr.V4 _, Ipaddr.V6 _ | Ipaddr.V6 _, Ipaddr.V4 _ -> false

let begin_handshake t (c : connection) () =
  add t c;
  c.wait_at <- t.env.now + t.env.config.connect_timeout;
  Output.syn t.env c

let open_ t ?src_port ?keepalive ~src ~dst ~dst_port notify =
  let env = t.env in
  let port =
    match src_port with
    | Some port ->
        let taken = is_taken t ~local:src ~local_port:port ~remote:dst ~remote_port:dst_port in
        if taken then None else Some port
    | None -> free_port t ~local:src ~remote:dst ~remote_port:dst_port
  in
  (* Memory that others hold is no reason to refuse: there is enough for a segment of each connection. *)
  if not (has_room t) then Error `No_memory
  else
    match port with
    | None -> Error `No_port
    | Some local_port ->
        let name = tuple ~local:src ~local_port ~remote:dst ~remote_port:dst_port in
        let hash = Siphash.hash t.key name in
        let c =
          make t ~state:Syn_sent ~iss:(initial_seq t hash ~after:None) ~ts_offset:(initial_ts hash)
            ~local:src ~local_port ~remote:dst ~remote_port:dst_port
        in
        c.keepalive <- Option.map sane_keepalive keepalive;
        env.stats.active_opens <- env.stats.active_opens + 1;
        let opened = Ok c in
        with_connection t c begin_handshake ();
        (* Nothing after this allocates, so the user certainly gets the connection that it is notified of. *)
        c.notify <- notify;
        opened

let connect t ~now ?src_port ?keepalive ~src ~dst ~dst_port notify =
  tick t now;
  if
    is_port dst_port
    && Option.fold ~none:true ~some:is_port src_port
    && same_family src dst && names_a_host src && names_a_host dst
  then open_ t ?src_port ?keepalive ~src ~dst ~dst_port notify
  else Error `Invalid

let write_space t (c : connection) =
  let space = Recovery.send_space t.env c in
  if space <= 0 then (
    c.blocked_writer <- true;
    Recovery.wake_writer t.env c);
  space

let put t (c : connection) view =
  match c.state with
  | (Established | Close_wait | Syn_sent | Syn_received) when not c.closing ->
      hold t.env c (Cstruct.length view);
      Octets.push c.unsent view;
      touch t.env c;
      Ok ()
  | Established | Close_wait | Syn_sent | Syn_received | Fin_wait_1 | Fin_wait_2 | Closing
  | Last_ack | Time_wait | Closed ->
      Error `Closed

let write t c view = with_connection t c put view

let take t (c : connection) most =
  let cost = received_cost c in
  match Octets.pop c.received ~most with
  | None -> None
  | Some view as taken ->
      let n = Cstruct.length view in
      hold t.env c (received_cost c - cost);
      (match c.state with
      | Established | Fin_wait_1 | Fin_wait_2 ->
          Output.tune_receive_buffer t.env c n;
          if Output.window_update_due c then (
            c.ack_now <- true;
            touch t.env c)
      | Syn_sent | Syn_received | Close_wait | Closing | Last_ack | Time_wait | Closed -> ());
      taken

let read_some t c ~most = with_connection t c take most
let read t c = read_some t c ~most:max_int
let unread (c : connection) = Octets.octets c.received

let at_eof (c : connection) =
  Octets.is_empty c.received
  &&
  match c.state with
  | Close_wait | Closing | Last_ack | Time_wait | Closed -> true
  | Syn_sent | Syn_received | Established | Fin_wait_1 | Fin_wait_2 -> false

let ended (c : connection) = c.state = Closed

let send_end t (c : connection) () =
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

let shutdown t ~now c =
  tick t now;
  with_connection t c send_end ()

let tear_down t (c : connection) () =
  match c.state with
  | Closed -> ()
  | Syn_sent | Time_wait -> finish t.env c `Aborted
  | Syn_received | Established | Fin_wait_1 | Fin_wait_2 | Close_wait | Closing | Last_ack ->
      Output.reset t.env c;
      finish t.env c `Aborted

let abort t c = with_connection t c tear_down ()

let abort_all t =
  Hashtbl.reset t.listeners;
  each t tear_down ();
  Waiting.clear t.env.resting

let leave t (c : connection) () =
  let unread = not (Octets.is_empty c.received && Reassembly.is_empty c.ahead) in
  match c.state with
  | Closed -> drop_receiving t.env c
  | (Established | Fin_wait_1 | Fin_wait_2 | Close_wait) when unread ->
      c.read_shut <- true;
      tear_down t c ()
  | Syn_sent | Syn_received | Established | Fin_wait_1 | Fin_wait_2 | Close_wait | Closing
  | Last_ack | Time_wait ->
      c.read_shut <- true;
      drop_receiving t.env c;
      if c.state = Fin_wait_2 then (
        c.wait_at <- t.env.now + t.env.config.time_wait;
        arm t.env c);
      send_end t c ()

let close t ~now c =
  tick t now;
  with_connection t c leave ()

let set_nodelay t (c : connection) nodelay =
  c.nodelay <- nodelay;
  if nodelay then touch t.env c

let set_user_timeout t (c : connection) ns =
  c.user_timeout <- time ns;
  if c.rexmit = Rto then Output.arm_timeout t.env c c.rto_at

let state (c : connection) = c.state
let local (c : connection) = (c.local, c.local_port)
let remote (c : connection) = (c.remote, c.remote_port)

(* ---- Figures ---- *)

let stats t = t.env.stats
let memory t = t.env.memory
let timers t = Wheel.length t.env.wheel

type info = Info.t

let info = Info.of_tcb
let tcb c = c

let lookup t ~local:(local, local_port) ~remote:(remote, remote_port) =
  find t ~local ~local_port ~remote ~remote_port

let env t = t.env
