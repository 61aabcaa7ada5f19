open Tcb
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

type listener = {
  backlog : int;
  accept : Tcb.t -> unit;
  mutable half_open : int;
  mutable overflow_at : int; (* ns; when a cookie was last sent *)
}

type t = {
  env : env;
  table : Table.t;
  crowd : Crowd.t;
  mss : dst:Ipaddr.t -> int;
  key : Siphash.key;
  backlog_max : int; (* of a listener, whatever the memory *)
  listeners : (int, listener) Hashtbl.t;
  mutable port_step : int;
  mutable port_name : string; (* the destination to which the last connection was opened *)
  mutable port_offset : int; (* its hash *)
}

let create env table crowd ~mss ~key ~port_step =
  {
    env;
    table;
    crowd;
    mss;
    key;
    backlog_max = env.config.backlog;
    listeners = Hashtbl.create 8;
    port_step;
    port_name = "";
    port_offset = 0;
  }

let mss t ~dst = t.mss ~dst

let forget t (c : Tcb.t) =
  (* Nothing after this allocates. *)
  let was_there = Table.remove t.table c in
  Crowd.leave t.crowd c;
  if was_there && c.passive then
    match Hashtbl.find t.listeners c.local_port with
    | l -> l.half_open <- l.half_open - 1
    | exception Not_found -> ()

(* Neither a group's, nor a broadcast address, nor the unspecified one (RFC 1122's "this host"). *)
let names_a_host = function
  | Ipaddr.V4 a ->
      Ipaddr.V4.compare a Ipaddr.V4.any <> 0
      && Ipaddr.V4.compare a Ipaddr.V4.broadcast <> 0
      && not (Ipaddr.V4.is_multicast a)
  | Ipaddr.V6 a -> Ipaddr.V6.compare a Ipaddr.V6.unspecified <> 0 && not (Ipaddr.V6.is_multicast a)

let backlog t ~connections = min t.backlog_max (max 1 (connections / 4))

(* {1 Names and numbers} *)

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

(* {1 Listeners} *)

let send_cookie t l ~local ~remote (h : Wire.t) =
  let env = t.env in
  env.stats.cookies_sent <- env.stats.cookies_sent + 1;
  l.overflow_at <- env.now;
  let name = tuple ~local ~local_port:h.dst_port ~remote ~remote_port:h.src_port in
  let o = h.options and config = env.config in
  let mss = if o.mss > 0 then o.mss else default_mss remote in
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

(* The connection leaves the listener's count of half-open ones and is the user's from now on. *)
let accepted t l (c : Tcb.t) =
  Crowd.accept t.crowd c;
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

let is_listening t ~port = Hashtbl.mem t.listeners port

let unlisten t ~port =
  let abandon (c : Tcb.t) =
    if c.passive && c.local_port = port then (
      Output.reset t.env c;
      finish t.env c `Aborted)
  in
  if is_listening t ~port then (
    Table.each t.table t.env abandon;
    Hashtbl.remove t.listeners port)

let unlisten_all t = Hashtbl.reset t.listeners

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
  Crowd.enter t.crowd c;
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
  | Some _ when not (Crowd.has_room ~newcomer:remote t.crowd) ->
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
      Crowd.enter t.crowd c;
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
    if l.half_open >= l.backlog || under_pressure t.env || not (Crowd.has_room t.crowd) then (
      t.env.stats.listen_overflows <- t.env.stats.listen_overflows + 1;
      send_cookie t l ~local ~remote h)
    else new_passive t l ~local ~remote ~after h payload

let to_listener t ~src ~dst ~after (h : Wire.t) payload ~ce =
  if not (names_a_host src && names_a_host dst) then
    t.env.stats.malformed <- t.env.stats.malformed + 1
  else
    match Hashtbl.find_opt t.listeners h.dst_port with
    | Some l -> for_listener t l ~local:dst ~remote:src ~after h payload ~ce
    | None -> refuse t ~local:dst ~remote:src h ~length:(Cstruct.length payload)

(* A connection may have been made. *)
let to_listener t ~src ~dst ~after (h : Wire.t) payload ~ce =
  try to_listener t ~src ~dst ~after h payload ~ce
  with Out_of_memory as e ->
    Option.iter (lose t.env)
      (Table.find t.table ~local:dst ~local_port:h.dst_port ~remote:src ~remote_port:h.src_port);
    raise e

(* {1 Connecting} *)

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
      if
        is_other_end port
        || Table.is_taken t.table t.env ~local ~local_port:port ~remote ~remote_port
      then search (tries + 1)
      else Some port)
  in
  search 0

let same_family a b =
  match (a, b) with
  | Ipaddr.V4 _, Ipaddr.V4 _ | Ipaddr.V6 _, Ipaddr.V6 _ -> true
  | Ipaddr.V4 _, Ipaddr.V6 _ | Ipaddr.V6 _, Ipaddr.V4 _ -> false

let begin_handshake t (c : Tcb.t) =
  try
    Crowd.enter t.crowd c;
    c.wait_at <- t.env.now + t.env.config.connect_timeout;
    Output.syn t.env c
  with Out_of_memory as e ->
    lose t.env c;
    raise e

let open_ t ?src_port ?keepalive ~src ~dst ~dst_port notify =
  let env = t.env in
  let port =
    match src_port with
    | Some port ->
        let taken =
          Table.is_taken t.table env ~local:src ~local_port:port ~remote:dst ~remote_port:dst_port
        in
        if taken then None else Some port
    | None -> free_port t ~local:src ~remote:dst ~remote_port:dst_port
  in
  (* Memory that others hold is no reason to refuse: there is enough for a segment of each connection. *)
  if not (Crowd.has_room t.crowd) then Error `No_memory
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
        c.keepalive <- keepalive;
        env.stats.active_opens <- env.stats.active_opens + 1;
        let opened = Ok c in
        begin_handshake t c;
        (* Nothing after this allocates, so the user certainly gets the connection that it is notified of. *)
        c.notify <- notify;
        opened

let connect t ?src_port ?keepalive ~src ~dst ~dst_port notify =
  if
    is_port dst_port
    && Option.fold ~none:true ~some:is_port src_port
    && same_family src dst && names_a_host src && names_a_host dst
  then open_ t ?src_port ?keepalive ~src ~dst ~dst_port notify
  else Error `Invalid
