(* The engine, driven by an IP layer, a clock and Lwt: segments and turns. *)

open Mirust_net_env
module W = Mirust_wire
module Engine = Mirust_tcp.Engine
module Ring = Mirust_tcp.Ring

(* What is needed of IP: the part of {!Mirust_mirage_types.Ip_ext.S} that any layer can be made to offer. *)
module type Output = sig
  type t
  type path

  val path : t -> src:Ipaddr.t -> Ipaddr.t -> path option

  (* The address to connect from, as soon as there is one, or why there will be none. *)
  val source : t -> Ipaddr.t -> (Ipaddr.t, string) result Lwt.t
  val mtu : t -> Ipaddr.t -> int
  val lower_mtu : path -> int -> unit
  val confirm : path -> unit
  val max_segment : path -> int

  (* As in {!Mirust_mirage_types.Ip_ext.S}: what writes the header is called before this returns, or not at all. *)
  val output :
    path ->
    tos:int ->
    gso_size:int ->
    size:int ->
    (Cstruct.t -> int -> unit) ->
    Cstruct.t list ->
    [ `Sent | `Full | `Lost | `Too_long ]

  val on_room : t -> (unit -> unit) -> unit
  val flush : t -> unit

  val on_problem :
    t ->
    (src:Ipaddr.t ->
    dst:Ipaddr.t ->
    [ `Too_big of int
    | `Unreachable of [ `Network | `Host | `Protocol | `Port | `Prohibited ]
    | `No_neighbour ] ->
    Cstruct.t ->
    unit) ->
    unit
end

(* Segments that an exception has kept from being sent: others provoke them. *)
let lost = Thin.create ()

module Make (O : Output) = struct
  type ipaddr = Ipaddr.t

  include Flows

  (* A segment that the device had no room for. *)
  type pending = {
    src : Ipaddr.t;
    dst : Ipaddr.t;
    ect : bool;
    header : W.Tcp.t;
    payload : Cstruct.t list;
    gso_size : int;
  }

  type t = {
    ip : O.t;
    flows : Flows.shared;
    mutable path : O.path option; (* of the last segment, from [path_src] to [path_dst] *)
    mutable path_src : Ipaddr.t;
    mutable path_dst : Ipaddr.t;
    arrived : W.Tcp.t; (* the header of the segment that is being taken in *)
    (* The part of a segment that is being sent, and what writes its header: a closure for all of them. *)
    mutable part : W.Tcp.t;
    mutable part_seq : int;
    mutable part_flags : W.Tcp.Flags.t;
    mutable emit_part : Cstruct.t -> int -> unit;
    paths : (Ipaddr.t * Ipaddr.t, O.path) Hashtbl.t;
    pending : pending Queue.t;
    mutable full : bool;
    (* A network in memory may answer before it has taken the whole of a segment. The engine is not
       to be called from inside itself: what arrives meanwhile waits here for the turn. *)
    mutable sending : bool;
    inbox : (unit -> unit) Ring.t;
    mutable timer : Timer.t option;
    mutable waited : bool; (* the last turn was put off for Rust's tasks *)
    mutable no_interludes : unit -> unit;
  }

  (* {1 Segments out} *)

  let max_paths = 1024

  (* Nearly always physically the connection's own value. *)
  let same a b = a == b || Ipaddr.compare a b = 0

  let path t ~src ~dst =
    match t.path with
    | Some _ when same t.path_dst dst && same t.path_src src -> t.path
    | Some _ | None ->
        let found =
          match Hashtbl.find_opt t.paths (src, dst) with
          | Some _ as found -> found
          | None ->
              let found = O.path t.ip ~src dst in
              Option.iter
                (fun p ->
                  if Hashtbl.length t.paths >= max_paths then Hashtbl.reset t.paths;
                  Hashtbl.replace t.paths (src, dst) p)
                found;
              found
        in
        t.path <- found;
        t.path_src <- src;
        t.path_dst <- dst;
        found

  (* ECT(0) in the low bits of the traffic class (RFC 3168 section 5). *)
  let tos ect = if ect then 0x02 else 0

  (* A part of a segment: [seq] and [flags] are its own. *)
  let send_part t p ~ect (header : W.Tcp.t) ~seq ~flags ~gso_size payload =
    if t.part != header then t.part <- header;
    t.part_seq <- seq;
    t.part_flags <- flags;
    O.output p ~tos:(tos ect) ~gso_size ~size:header.header_length t.emit_part payload

  let emit_part t b at =
    ignore (W.Tcp.emit_part t.part ~seq:t.part_seq ~flags:t.part_flags b ~at : int)

  let keep t ~ect (header : W.Tcp.t) ~seq ~flags ~gso_size payload =
    t.full <- true;
    (* Only what was cut before the device said that it was full comes here. *)
    if Queue.length t.pending < 256 then
      let header = { header with seq; flags } in
      Queue.push { src = t.path_src; dst = t.path_dst; ect; header; payload; gso_size } t.pending

  (* The path carries less than the connection knows: one of another connection was too long for it, or a router or a
     DHCP server has said so. The engine is at work, and hears of it in its next turn. *)
  let too_long t (h : W.Tcp.t) =
    let src = t.path_src and dst = t.path_dst and { W.Tcp.src_port; dst_port; _ } = h in
    Ring.push t.inbox (fun () ->
        Engine.path_changed (Flows.engine t.flows) ~now:(Env.now ()) ~src ~dst ~src_port ~dst_port);
    Flows.schedule t.flows

  let send_or_keep t p ~ect (header : W.Tcp.t) ~seq ~flags ~gso_size payload =
    if t.full then keep t ~ect header ~seq ~flags ~gso_size payload
    else
      match send_part t p ~ect header ~seq ~flags ~gso_size payload with
      | `Sent | `Lost -> ()
      | `Too_long -> too_long t header
      | `Full -> keep t ~ect header ~seq ~flags ~gso_size payload

  (* Cuts what the path's device does not cut itself: from [off] octets into [payload] on, [length] of them. *)
  let rec send_cut t p ~ect (h : W.Tcp.t) ~seq ~flags ~gso_size payload ~off ~length ~most =
    match payload with
    | view :: rest when off >= Cstruct.length view ->
        send_cut t p ~ect h ~seq ~flags ~gso_size rest
          ~off:(off - Cstruct.length view)
          ~length ~most
    | views ->
        let n = Int.min length most in
        (* PSH and FIN belong to the last piece, CWR to the first (RFC 3168 section 6.1.2). *)
        let last = if n = length then 0 else W.Tcp.Flags.(psh lor fin) in
        send_or_keep t p ~ect h ~seq
          ~flags:(flags land lnot last)
          ~gso_size:(if n > gso_size then gso_size else 0)
          (Mirust_tcp.Flight.part views ~off n);
        if n < length then
          send_cut t p ~ect h ~seq:(Mirust_tcp.Seq.add seq n)
            ~flags:(flags land lnot W.Tcp.Flags.cwr)
            ~gso_size views ~off:(off + n) ~length:(length - n) ~most

  let send_whole t ~src ~dst ~ect (h : W.Tcp.t) payload ~length ~segment_size =
    match path t ~src ~dst with
    | None -> ()
    | Some p when segment_size = 0 ->
        send_or_keep t p ~ect h ~seq:h.seq ~flags:h.flags ~gso_size:0 payload
    | Some p ->
        let most = (O.max_segment p - h.header_length) / segment_size * segment_size in
        let most = Int.max segment_size most in
        send_cut t p ~ect h ~seq:h.seq ~flags:h.flags ~gso_size:segment_size payload ~off:0 ~length
          ~most

  (* The neighbour need not be asked whether it is there (RFC 4861 section 7.3.1). *)
  let path_works t ~src ~dst = Option.iter O.confirm (path t ~src ~dst)

  (* An exception of the layers below must not go through the engine, which is in the middle of its
     work: the segment is lost, as it may be on the wire. *)
  let transmit t ~src ~dst ~ect header payload ~length ~segment_size =
    t.sending <- true;
    match send_whole t ~src ~dst ~ect header payload ~length ~segment_size with
    | () -> t.sending <- false
    | exception e ->
        t.sending <- false;
        Thin.warn lost
          (module Log)
          (fun () -> Fmt.str "a segment to %a is lost: %s" Ipaddr.pp dst (Printexc.to_string e))

  (* {1 Turns} *)

  let rec run_all queue =
    if not (Ring.is_empty queue) then (
      (Ring.pop queue) ();
      run_all queue)

  let wake t = run_all t.flows.ready

  let set_timer t =
    match t.timer with
    | None -> ()
    | Some timer -> Timer.set_at timer (Engine.next (Flows.engine t.flows))

  (* What the first have written is given to the device while many are still to act. A TAP sends it at once: a client on
     another processor goes on meanwhile, and one on ours is woken before it has waited so long that it has the
     processor's next turn, after each answer anew (docs/profiles.md). A ring waits for the end of the turn. *)
  let interlude t =
    if t.flows.scheduled then (
      Engine.flush_answers (Flows.engine t.flows) ~now:(Env.now ());
      O.flush t.ip)

  (* Wakes the users of connections, whose writes are then sent in this very turn. Returns whether any were woken. *)
  let take_in_all t =
    match
      run_all t.inbox;
      let users = not (Ring.is_empty t.flows.ready) in
      wake t;
      users
    with
    | users ->
        t.flows.scheduled <- false;
        users
    | exception e ->
        t.flows.scheduled <- false;
        raise e

  (* How much a connection may send in one turn. If each segment is a frame of its own, a few dozen keep any device
     busy; more would only wait in memory, where they outlive OCaml's minor collections. *)
  let burst t ~src ~dst =
    match path t ~src ~dst with
    | Some p when O.max_segment p = 0 -> 64 * 1024
    | Some _ | None -> Engine.default_burst

  let rec send_pending t =
    match Queue.peek_opt t.pending with
    | None -> Engine.resume (Flows.engine t.flows)
    | Some { src; dst; ect; header; payload; gso_size } -> (
        match path t ~src ~dst with
        | None ->
            ignore (Queue.pop t.pending);
            send_pending t
        | Some p -> (
            let { W.Tcp.seq; flags; _ } = header in
            match send_part t p ~ect header ~seq ~flags ~gso_size payload with
            | `Full -> t.full <- true
            | (`Sent | `Lost | `Too_long) as outcome ->
                if outcome = `Too_long then too_long t header;
                ignore (Queue.pop t.pending);
                send_pending t))

  let whole_turn t =
    t.flows.deferred <- false;
    if t.flows.gone then t.flows.scheduled <- false
    else
      let users = take_in_all t in
      (* Never twice in a row: a task that keeps writing must not keep the rest from being sent. *)
      t.waited <- t.flows.deferred && not t.waited;
      if t.waited then Flows.schedule t.flows
      else (
        (* Users may have computed for long, which must not count as time on the path. *)
        if users then Env.forget ();
        let now = Env.now () in
        (* Left over if memory ran out when the device had room again. *)
        if not (t.full || Queue.is_empty t.pending) then send_pending t;
        Engine.flush (Flows.engine t.flows) ~now;
        O.flush t.ip;
        wake t;
        if Engine.has_more (Flows.engine t.flows) then (
          (* Such turns may follow each other for long, so timers are run here; the clock's timer is not set. *)
          Engine.advance (Flows.engine t.flows) ~now;
          Flows.schedule t.flows)
        else set_timer t)

  (* After an exception, another turn is scheduled for what was left undone: there might otherwise never be one. *)
  let turn t =
    try whole_turn t
    with e ->
      t.flows.scheduled <- false;
      Flows.schedule t.flows;
      raise e

  let room t () =
    t.full <- false;
    Flows.schedule t.flows;
    send_pending t

  let timer_fired t () =
    Engine.advance (Flows.engine t.flows) ~now:(Env.now ());
    Flows.schedule t.flows

  (* {1 Segments in} *)

  (* The engine is at work, or something has come earlier and goes first. *)
  let must_wait t = t.sending || not (Ring.is_empty t.inbox)

  let take_in t arrive =
    if must_wait t then Ring.push t.inbox arrive else arrive ();
    Flows.schedule t.flows

  let pseudo ~src ~dst len =
    match (src, dst) with
    | Ipaddr.V4 src, Ipaddr.V4 dst -> W.Checksum.pseudo_v4 ~src ~dst ~proto:6 ~len
    | Ipaddr.V6 src, Ipaddr.V6 dst -> W.Checksum.pseudo_v6 ~src ~dst ~proto:6 ~len
    | Ipaddr.V4 _, Ipaddr.V6 _ | Ipaddr.V6 _, Ipaddr.V4 _ -> W.Checksum.zero

  let arrive t ~src ~dst ~tos data =
    (* The engine is done with the header when it returns, and never called from inside itself. *)
    let header = t.arrived in
    W.Tcp.read header data;
    Engine.input (Flows.engine t.flows) ~now:(Env.now ()) ~src ~dst
      ~ce:(tos land 3 = 3)
      header (W.Tcp.payload header data)

  let input_packet t ~src ~dst ~tos (p : W.Packet.t) =
    let stats = Engine.stats (Flows.engine t.flows) and data = p.data in
    if not (W.Tcp.is_whole data) then stats.malformed <- stats.malformed + 1
    else
      let right =
        match p.checksum with
        | `Valid | `Blank -> true
        | `Unknown -> W.Tcp.verify ~pseudo:(pseudo ~src ~dst (Cstruct.length data)) data
      in
      if not right then stats.bad_checksum <- stats.bad_checksum + 1
      else (
        if must_wait t then Ring.push t.inbox (fun () -> arrive t ~src ~dst ~tos data)
        else arrive t ~src ~dst ~tos data;
        Flows.schedule t.flows)

  let input t ~src ~dst b =
    input_packet t ~src ~dst ~tos:0 (W.Packet.v b);
    Lwt.return_unit

  let link_changed t =
    take_in t (fun () -> Engine.link_changed (Flows.engine t.flows) ~now:(Env.now ()))

  (* [quoted]: the beginning of the TCP header of a packet of ours. *)
  let problem t ~src ~dst what quoted =
    if Cstruct.length quoted >= 8 then
      let u16 = Cstruct.BE.get_uint16 quoted in
      let src_port = u16 0 and dst_port = u16 2 and seq = (u16 4 lsl 16) lor u16 6 in
      let engine = Flows.engine t.flows in
      take_in t (fun () ->
          let now = Env.now () in
          match what with
          | `Too_big mtu ->
              if Engine.packet_too_big engine ~now ~src ~dst ~src_port ~dst_port ~seq ~mtu then
                Option.iter (fun p -> O.lower_mtu p mtu) (path t ~src ~dst)
          | `Unreachable why ->
              ignore (Engine.unreachable engine ~now ~src ~dst ~src_port ~dst_port ~seq why : bool)
          | `No_neighbour ->
              ignore (Engine.no_neighbour engine ~now ~src ~dst ~src_port ~dst_port : bool))

  (* {1 The user's side} *)

  let create_connection ?keepalive t (dst, dst_port) =
    let timeout = (Engine.env (Flows.engine t.flows)).config.connect_timeout in
    if dst_port < 1 || dst_port > 0xffff then
      Lwt.return_error (`No_route (Printf.sprintf "there is no port %d" dst_port))
    else
      (* Our own address may still be missing (DHCP), or under duplicate detection. *)
      let source = Lwt.map (Result.map_error (fun why -> `No_route why)) (O.source t.ip dst) in
      if Lwt.is_sleeping source then
        let late = Lwt.map (fun () -> Error (`No_route "no address of ours")) (Env.sleep timeout) in
        Lwt.bind (Lwt.pick [ source; late ]) (connect_from ?keepalive t.flows dst dst_port)
      else Lwt.bind source (connect_from ?keepalive t.flows dst dst_port)

  let try_listen t = Flows.try_listen t.flows
  let listen t = Flows.listen t.flows
  let unlisten t = Flows.unlisten t.flows
  let engine t = Flows.engine t.flows
  let compact ~device t = Flows.compact ~device t.flows

  (* {1 Life} *)

  let connect ?config ip =
    let unspecified = Ipaddr.V4 Ipaddr.V4.unspecified in
    let t =
      {
        ip;
        flows = Flows.create ();
        path = None;
        path_src = unspecified;
        path_dst = unspecified;
        arrived = W.Tcp.create ();
        part = W.Tcp.create ();
        part_seq = 0;
        part_flags = 0;
        emit_part = (fun _ _ -> ());
        paths = Hashtbl.create 16;
        pending = Queue.create ();
        full = false;
        sending = false;
        inbox = Ring.create ignore;
        timer = None;
        waited = false;
        no_interludes = ignore;
      }
    in
    let mss ~dst = O.mtu ip dst - W.Tcp.min_header_length in
    t.flows.engine <-
      Some
        (Engine.create ?config ~path_works:(path_works t) ~burst:(burst t) ~now:(Env.now ())
           ~random:Env.random ~mss
           ~can_send:(fun () -> not t.full)
           (transmit t));
    t.flows.turn <- (fun () -> turn t);
    t.emit_part <- emit_part t;
    t.timer <- Some (Timer.create (timer_fired t));
    O.on_room ip (room t);
    O.on_problem ip (problem t);
    t.no_interludes <- Env.at_interlude (fun () -> interlude t);
    Lwt.return t

  let disconnect t =
    if not t.flows.gone then (
      Engine.abort_all (Flows.engine t.flows);
      wake t;
      O.flush t.ip;
      Option.iter Timer.stop t.timer;
      t.no_interludes ();
      t.flows.gone <- true);
    Lwt.return_unit
end
