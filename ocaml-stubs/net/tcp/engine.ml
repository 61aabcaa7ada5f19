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
type t = { env : env; table : Table.t; crowd : Crowd.t; opening : Opening.t }

let number random =
  let s = random 8 in
  Int64.to_int (String.get_int64_le s 0) land max_int

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
  let port_step = below 65536 in
  let table = Table.create ~random in
  let crowd = Crowd.create env table ~secret:(Siphash.hash key "hosts") in
  let opening = Opening.create env table crowd ~mss ~key ~port_step in
  env.forget <- Opening.forget opening;
  { env; table; crowd; opening }

let set_bounds t ~memory ~connections ~time_wait =
  let config = t.env.config in
  t.env.config <-
    {
      config with
      memory_max = memory;
      connections_max = connections;
      time_wait_max = time_wait;
      backlog = Opening.backlog t.opening ~connections;
    };
  Crowd.shrink t.crowd;
  trim_waiting t.env

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

let held (c : connection) = c.account

(* Out_of_memory may be raised at any allocation (docs/memory.md). The connection that is being processed may then be in
   an inconsistent state, and is dropped; the others are unaffected. *)
let with_connection t c f x =
  try f t c x
  with Out_of_memory as e ->
    lose t.env c;
    raise e

let tick t now = if now > t.env.now then t.env.now <- now

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

let fire t c () = Timers.fire t.env c
let run_output t c () = Output.run t.env c

let segment t c h payload ~ce =
  try Input.segment t.env c h payload ~ce
  with Out_of_memory as e ->
    lose t.env c;
    raise e

let input t ~now ~src ~dst ~ce (h : Wire.t) payload =
  tick t now;
  let env = t.env in
  env.stats.segments_in <- env.stats.segments_in + 1;
  match
    Table.find_or_revive t.table env ~local:dst ~local_port:h.dst_port ~remote:src
      ~remote_port:h.src_port
  with
  | Some c
    when c.state = Time_wait && newer_incarnation c h
         && Opening.is_listening t.opening ~port:h.dst_port ->
      conclude env c `Closed;
      Opening.to_listener t.opening ~src ~dst ~after:(Some c.snd_nxt) h payload ~ce
  | Some c -> segment t c h payload ~ce
  | None -> Opening.to_listener t.opening ~src ~dst ~after:None h payload ~ce

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
  if t.env.short then Crowd.relieve t.crowd;
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

let move t (c : connection) () = Recovery.path_mss t.env c (Opening.mss t.opening ~dst:c.remote)

let path_changed t ~now ~src ~dst ~src_port ~dst_port =
  tick t now;
  match Table.find t.table ~local:src ~local_port:src_port ~remote:dst ~remote_port:dst_port with
  | Some c -> with_connection t c move ()
  | None -> ()

let link_changed t ~now =
  tick t now;
  Table.each t.table t.env (fun c -> move t c ())

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
let listen t ~port ?backlog accept = Opening.listen t.opening ~port ?backlog accept
let unlisten t ~port = Opening.unlisten t.opening ~port

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

let connect t ~now ?src_port ?keepalive ~src ~dst ~dst_port notify =
  tick t now;
  let keepalive = Option.map sane_keepalive keepalive in
  Opening.connect t.opening ?src_port ?keepalive ~src ~dst ~dst_port notify

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
  Opening.unlisten_all t.opening;
  Table.each t.table t.env (fun c -> tear_down t c ());
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
let connections t = Crowd.count t.crowd
let timers t = Wheel.length t.env.wheel

type info = Info.t

let info = Info.of_tcb
let iter t f = Table.iter t.table f
let tcb c = c

let lookup t ~local:(local, local_port) ~remote:(remote, remote_port) =
  Table.find_or_revive t.table t.env ~local ~local_port ~remote ~remote_port

let env t = t.env
