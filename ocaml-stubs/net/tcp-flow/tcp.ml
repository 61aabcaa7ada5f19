open Mirust_mirage_types
open Mirust_net_env
module W = Mirust_wire
module Engine = Mirust_tcp.Engine
module Pinned = Mirust_tcp.Pinned
module Ring = Mirust_tcp.Ring

let log_src = Logs.Src.create "mirust.tcp" ~doc:"TCP"

module Log = (val Logs.src_log log_src : Logs.LOG)

(* Segments that an exception has kept from being sent: others provoke them. *)
let lost = Thin.create ()

module type S = sig
  type error = [ Tcpip.Tcp.error | `Reset | `Aborted | `No_resources | `No_route of string ]

  type write_error =
    [ Tcpip.Tcp.write_error | `Reset | `Aborted | `No_resources | `No_route of string ]

  include
    Tcpip.Tcp.S
      with type ipaddr = Ipaddr.t
       and type error := error
       and type write_error := write_error

  val try_listen :
    t ->
    port:int ->
    ?backlog:int ->
    ?keepalive:Tcpip.Tcp.Keepalive.t ->
    (flow -> unit Lwt.t) ->
    (unit, [ `In_use | `Invalid ]) result

  val set_nodelay : flow -> bool -> unit
  val set_keepalive : flow -> Tcpip.Tcp.Keepalive.t option -> unit
  val set_user_timeout : flow -> int -> unit
  val read_some : flow -> most:int -> ([ `Data of Cstruct.t | `Eof ], error) result Lwt.t
  val unread : flow -> int
  val try_read : flow -> [ `Data of Cstruct.t | `Eof | `Wait | `Error of error ]
  val would_wait : flow -> bool
  val readable : flow -> unit Lwt.t
  val write_room : flow -> (int, write_error) result
  val put : flow -> Cstruct.t -> (unit, write_error) result
  val writable : flow -> unit Lwt.t
  val defer_flush : flow -> unit
  val abort : flow -> unit
  val drain : flow -> int64 -> unit Lwt.t
  val info : flow -> Engine.info
  val failure : flow -> error option
  val engine : t -> Engine.t
  val compact : device:(Cstruct.buffer -> bool) -> t -> unit
  val link_changed : t -> unit
  val input_packet : t -> src:ipaddr -> dst:ipaddr -> tos:int -> W.Packet.t -> unit
end

(* What the adapter needs of IP: the part of {!Ip_ext.S} that any layer can be made to offer. *)
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

  (* As in {!Ip_ext.S}: what writes the header is called before this returns, or not at all. *)
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

let checksum_offset = 16

module Over (O : Output) = struct
  type ipaddr = Ipaddr.t
  type error = [ Tcpip.Tcp.error | `Reset | `Aborted | `No_resources | `No_route of string ]

  type write_error =
    [ Tcpip.Tcp.write_error | `Reset | `Aborted | `No_resources | `No_route of string ]

  let pp_error ppf : error -> unit = function
    | #Tcpip.Tcp.error as e -> Tcpip.Tcp.pp_error ppf e
    | `Reset -> Fmt.string ppf "connection reset by peer"
    | `Aborted -> Fmt.string ppf "connection aborted"
    | `No_resources -> Fmt.string ppf "out of memory or of local ports"
    | `No_route why -> Fmt.pf ppf "no route: %s" why

  let pp_write_error ppf : write_error -> unit = function
    | `Closed -> Mirage_flow.pp_write_error ppf `Closed
    | #error as e -> pp_error ppf e

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
    mutable engine : Engine.t option;
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
    mutable scheduled : bool; (* a turn is scheduled or running *)
    mutable turn : unit -> unit;
    mutable deferred : bool;
        (* Rust's tasks have yet to run: what they write is to be sent with the rest *)
    mutable waited : bool; (* the last turn was put off for that *)
    ready : (unit -> unit) Ring.t; (* what events have to wake, outside of the engine *)
    stalled : (int, stalled) Hashtbl.t; (* by a number of their own *)
    mutable stalls : int;
    mutable no_interludes : unit -> unit;
    mutable gone : bool;
  }

  (* What a writer that waits for room still has to write. *)
  and stalled = { octets : int; mutable views : Cstruct.t list }

  type flow = {
    t : t;
    c : Engine.connection;
    mutable taker : ([ `Data of Cstruct.t | `Eof ], error) result Lwt.u option;
        (* a [read] that waits *)
    mutable most : int; (* how many octets it takes *)
    mutable reader : unit Lwt.u option;
    mutable readable : unit Lwt.t;
    mutable wake : unit -> unit; (* those two *)
    mutable waking : bool; (* [wake] is in [ready] *)
    mutable writer : unit Lwt.u option;
    mutable writable : unit Lwt.t;
    mutable ended : Engine.reason option;
    mutable deaf : bool; (* the user no longer reads; what arrives is thrown away *)
    mutable closed : bool; (* [close] was called *)
    writing : Lwt_mutex.t; (* so that what one writer writes stays together *)
  }

  let engine t = match t.engine with Some e -> e | None -> assert false

  let compact ~device t =
    Engine.compact ~device (engine t);
    Hashtbl.iter (fun _ s -> s.views <- Pinned.compact ~device s.views) t.stalled

  (* ---- Segments out ---- *)

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

  let schedule t =
    if not t.scheduled then (
      Env.soon t.turn;
      (* Last: without memory for that, the next one asks again. *)
      t.scheduled <- true)

  (* The path carries less than the connection knows: one of another connection was too long for it, or a router or a
     DHCP server has said so. The engine is at work, and hears of it in its next turn. *)
  let too_long t (h : W.Tcp.t) =
    let src = t.path_src and dst = t.path_dst and { W.Tcp.src_port; dst_port; _ } = h in
    Ring.push t.inbox (fun () ->
        Engine.path_changed (engine t) ~now:(Env.now ()) ~src ~dst ~src_port ~dst_port);
    schedule t

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

  (* ---- Turns ---- *)

  let rec run_all queue =
    if not (Ring.is_empty queue) then (
      (Ring.pop queue) ();
      run_all queue)

  let wake t = run_all t.ready

  let set_timer t =
    match t.timer with None -> () | Some timer -> Timer.set_at timer (Engine.next (engine t))

  (* What the first have written is given to the device while many are still to act. A TAP sends it at once: a client on
     another processor goes on meanwhile, and one on ours is woken before it has waited so long that it has the
     processor's next turn, after each answer anew (docs/profiles.md). A ring waits for the end of the turn. *)
  let interlude t =
    if t.scheduled then (
      Engine.flush_answers (engine t) ~now:(Env.now ());
      O.flush t.ip)

  (* Wakes the users of connections, whose writes are then sent in this very turn. Returns whether any were woken. *)
  let take_in_all t =
    match
      run_all t.inbox;
      let users = not (Ring.is_empty t.ready) in
      wake t;
      users
    with
    | users ->
        t.scheduled <- false;
        users
    | exception e ->
        t.scheduled <- false;
        raise e

  (* How much a connection may send in one turn. If each segment is a frame of its own, a few dozen keep any device
     busy; more would only wait in memory, where they outlive OCaml's minor collections. *)
  let burst t ~src ~dst =
    match path t ~src ~dst with
    | Some p when O.max_segment p = 0 -> 64 * 1024
    | Some _ | None -> Engine.default_burst

  let rec send_pending t =
    match Queue.peek_opt t.pending with
    | None -> Engine.resume (engine t)
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
    t.deferred <- false;
    if t.gone then t.scheduled <- false
    else
      let users = take_in_all t in
      (* Never twice in a row: a task that keeps writing must not keep the rest from being sent. *)
      t.waited <- t.deferred && not t.waited;
      if t.waited then schedule t
      else (
        (* Users may have computed for long, which must not count as time on the path. *)
        if users then Env.forget ();
        let now = Env.now () in
        (* Left over if memory ran out when the device had room again. *)
        if not (t.full || Queue.is_empty t.pending) then send_pending t;
        Engine.flush (engine t) ~now;
        O.flush t.ip;
        wake t;
        if Engine.has_more (engine t) then (
          (* Such turns may follow each other for long, so timers are run here; the clock's timer is not set. *)
          Engine.advance (engine t) ~now;
          schedule t)
        else set_timer t)

  (* After an exception, another turn is scheduled for what was left undone: there might otherwise never be one. *)
  let turn t =
    try whole_turn t
    with e ->
      t.scheduled <- false;
      schedule t;
      raise e

  let room t () =
    t.full <- false;
    schedule t;
    send_pending t

  let timer_fired t () =
    Engine.advance (engine t) ~now:(Env.now ());
    schedule t

  (* ---- Segments in ---- *)

  (* The engine is at work, or something has come earlier and goes first. *)
  let must_wait t = t.sending || not (Ring.is_empty t.inbox)

  let take_in t arrive =
    if must_wait t then Ring.push t.inbox arrive else arrive ();
    schedule t

  let pseudo ~src ~dst len =
    match (src, dst) with
    | Ipaddr.V4 src, Ipaddr.V4 dst -> W.Checksum.pseudo_v4 ~src ~dst ~proto:6 ~len
    | Ipaddr.V6 src, Ipaddr.V6 dst -> W.Checksum.pseudo_v6 ~src ~dst ~proto:6 ~len
    | Ipaddr.V4 _, Ipaddr.V6 _ | Ipaddr.V6 _, Ipaddr.V4 _ -> W.Checksum.zero

  let arrive t ~src ~dst ~tos data =
    (* The engine is done with the header when it returns, and never called from inside itself. *)
    let header = t.arrived in
    W.Tcp.read header data;
    Engine.input (engine t) ~now:(Env.now ()) ~src ~dst
      ~ce:(tos land 3 = 3)
      header (W.Tcp.payload header data)

  let input_packet t ~src ~dst ~tos (p : W.Packet.t) =
    let stats = Engine.stats (engine t) and data = p.data in
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
        schedule t)

  let input t ~src ~dst b =
    input_packet t ~src ~dst ~tos:0 (W.Packet.v b);
    Lwt.return_unit

  let link_changed t = take_in t (fun () -> Engine.link_changed (engine t) ~now:(Env.now ()))

  (* [quoted]: the beginning of the TCP header of a packet of ours. *)
  let problem t ~src ~dst what quoted =
    if Cstruct.length quoted >= 8 then
      let u16 = Cstruct.BE.get_uint16 quoted in
      let src_port = u16 0 and dst_port = u16 2 and seq = (u16 4 lsl 16) lor u16 6 in
      let engine = engine t in
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

  (* ---- Flows ---- *)

  (* If memory runs out between Lwt's callbacks, the user's code never continues, so nothing else would ever close the
     connection. *)
  let or_abort flow f =
    try f flow
    with Out_of_memory as e ->
      flow.closed <- true;
      Engine.abort (engine flow.t) flow.c;
      raise e

  let wake_reader flow =
    if (Option.is_some flow.taker || Option.is_some flow.reader) && not flow.waking then (
      Ring.push flow.t.ready flow.wake;
      flow.waking <- true)

  let wake_writer flow =
    match flow.writer with
    | None -> ()
    | Some u ->
        Ring.push flow.t.ready (fun () -> or_abort flow (fun _ -> Lwt.wakeup u ()));
        flow.writer <- None

  let reader flow =
    if Option.is_none flow.reader then (
      let p, u = Lwt.wait () in
      flow.readable <- p;
      flow.reader <- Some u);
    flow.readable

  let writer flow =
    if Option.is_none flow.writer then (
      let p, u = Lwt.wait () in
      flow.writable <- p;
      flow.writer <- Some u);
    flow.writable

  let error_of_reason : Engine.reason -> error option = function
    | `Closed -> None
    | `Refused -> Some `Refused
    | `Timeout -> Some `Timeout
    | `Reset -> Some `Reset
    | `Aborted -> Some `Aborted
    | `No_route -> Some (`No_route "nobody could be reached")

  let failure flow = Option.bind flow.ended error_of_reason
  let readable = reader
  let writable = writer

  let try_read_some flow ~most =
    if flow.deaf then `Eof
    else
      match Engine.read_some (engine flow.t) flow.c ~most with
      | Some view ->
          (* The window may have opened. *)
          schedule flow.t;
          `Data view
      | None -> (
          match failure flow with
          | Some e -> `Error e
          | None -> if Engine.at_eof flow.c then `Eof else `Wait)

  let hand_over flow u r =
    flow.taker <- None;
    Lwt.wakeup u (Ok r)

  (* For a promise that has waited. It is old by now, and with it what it is given: that is not found dead before the
     next major collection, and would keep the device's memory for so long. So if there is much, it gets a copy of the
     first octets, and a further read gets the rest at once. *)
  let try_read_late flow =
    if Engine.unread flow.c <= Pinned.worth then try_read_some flow ~most:flow.most
    else
      match try_read_some flow ~most:(min flow.most 1024) with
      | `Data view -> `Data (Pinned.detached view)
      | (`Eof | `Error _ | `Wait) as r -> r

  let wake_readers flow =
    flow.waking <- false;
    (match flow.taker with
    | None -> ()
    | Some u -> (
        match try_read_late flow with
        | (`Data _ | `Eof) as r -> hand_over flow u r
        | `Error _ -> hand_over flow u `Eof
        | `Wait -> ()));
    match flow.reader with
    | None -> ()
    | Some u ->
        flow.reader <- None;
        Lwt.wakeup u ()

  (* In the turn: the engine is at work now. *)
  let discard flow =
    let rec go () = if Option.is_some (Engine.read (engine flow.t) flow.c) then go () in
    Ring.push flow.t.ready go

  let event flow : Engine.event -> unit = function
    | Connected -> ()
    | Readable -> if flow.deaf then discard flow else wake_reader flow
    | Writable -> wake_writer flow
    | Ended reason ->
        flow.ended <- Some reason;
        wake_reader flow;
        wake_writer flow

  let make_flow t c =
    let flow =
      {
        t;
        c;
        taker = None;
        most = max_int;
        wake = ignore;
        waking = false;
        reader = None;
        readable = Lwt.return_unit;
        writer = None;
        writable = Lwt.return_unit;
        ended = None;
        deaf = false;
        closed = false;
        writing = Lwt_mutex.create ();
      }
    in
    flow.wake <- (fun () -> or_abort flow wake_readers);
    Engine.on_event c (event flow);
    flow

  let would_wait flow =
    (not flow.deaf) && Option.is_none flow.ended
    && Engine.unread flow.c = 0
    && not (Engine.at_eof flow.c)

  (* The first waiting reader is handed the data. Further ones, which are rare, look again after that. *)
  let rec read_some flow ~most =
    match try_read_some flow ~most with
    | (`Data _ | `Eof) as r -> Lwt.return (Ok r)
    | `Error _ -> Lwt.return_ok `Eof
    | `Wait when Option.is_none flow.taker ->
        let promise, resolver = Lwt.wait () in
        flow.most <- most;
        flow.taker <- Some resolver;
        promise
    | `Wait -> Lwt.bind (reader flow) (fun () -> read_some flow ~most)

  let read_some flow ~most =
    if most < 1 then invalid_arg "Tcp.read_some: most";
    read_some flow ~most

  let read flow = read_some flow ~most:max_int
  let try_read flow = try_read_some flow ~most:max_int
  let unread flow = if flow.deaf then 0 else Engine.unread flow.c

  let write_error flow : write_error =
    match failure flow with Some e -> (e :> write_error) | None -> `Closed

  let write_room flow =
    if Option.is_some flow.ended || flow.closed then Error (write_error flow)
    else Ok (Engine.write_space (engine flow.t) flow.c)

  let put flow view =
    match Engine.write (engine flow.t) flow.c view with
    | Ok () ->
        schedule flow.t;
        Ok ()
    | Error `Closed -> Error (write_error flow)

  let written = Lwt.return (Ok ())

  (* Hands the views to the engine as the send buffer has room for them. *)
  let rec push flow views =
    match views with
    | [] -> written
    | view :: rest -> (
        match write_room flow with
        | Error _ as e -> Lwt.return e
        | Ok space -> (
            let length = Cstruct.length view in
            if length > 0 && space <= 0 then stall flow views
            else
              let now, later =
                if length <= space then (view, rest)
                else
                  let now, later = Cstruct.split view space in
                  (now, later :: rest)
              in
              match put flow now with Error _ as e -> Lwt.return e | Ok () -> push flow later))

  (* Data that waits to be written counts towards the bound on all connections: otherwise a peer that does not read
     could fill the memory with what is echoed to it. *)
  and stall flow views =
    let t = flow.t in
    t.stalls <- t.stalls + 1;
    let stalled = { octets = Cstruct.lenv views; views } in
    Hashtbl.replace t.stalled t.stalls stalled;
    let number = t.stalls in
    Engine.charge (engine t) flow.c stalled.octets;
    Lwt.bind (writer flow) (fun () ->
        Hashtbl.remove t.stalled number;
        Engine.charge (engine t) flow.c (-stalled.octets);
        push flow stalled.views)

  let writev flow views =
    if Lwt_mutex.is_locked flow.writing then
      Lwt_mutex.with_lock flow.writing (fun () -> push flow views)
    else
      let pushed = push flow views in
      if Lwt.is_sleeping pushed then Lwt_mutex.with_lock flow.writing (fun () -> pushed) else pushed

  let write flow view =
    if
      flow.closed || Option.is_some flow.ended || Lwt_mutex.is_locked flow.writing
      || Cstruct.length view > Engine.write_space (engine flow.t) flow.c
    then writev flow [ view ]
    else match put flow view with Ok () -> written | Error _ as e -> Lwt.return e

  let set_nodelay flow nodelay =
    Engine.set_nodelay (engine flow.t) flow.c nodelay;
    schedule flow.t

  let writev_nodelay flow views =
    set_nodelay flow true;
    writev flow views

  let write_nodelay flow view = writev_nodelay flow [ view ]

  (* Ends reading: a pending [read] gets the end of file. *)
  let deafen flow =
    if not flow.deaf then (
      flow.deaf <- true;
      wake_reader flow)

  let shutdown flow what =
    (match what with
    | `write -> ()
    | `read | `read_write ->
        deafen flow;
        discard flow);
    (match what with
    | `read -> ()
    | `write | `read_write -> Engine.shutdown (engine flow.t) ~now:(Env.now ()) flow.c);
    schedule flow.t;
    Lwt.return_unit

  let close flow =
    if not flow.closed then (
      Engine.close (engine flow.t) ~now:(Env.now ()) flow.c;
      flow.closed <- true;
      deafen flow;
      wake_writer flow;
      schedule flow.t);
    Lwt.return_unit

  (* Saturates: a value that does not fit into an integer is longer than any time of the engine's. *)
  let of_ns ns =
    if Int64.compare ns (Int64.of_int max_int) >= 0 then max_int
    else if Int64.compare ns (Int64.of_int min_int) <= 0 then min_int
    else Int64.to_int ns

  let drain flow ns =
    let rec discard () =
      Lwt.bind (read flow) (function
        | Ok (`Data _) -> discard ()
        | Ok `Eof | Error _ -> Lwt.return_unit)
    in
    Lwt.bind (shutdown flow `write) (fun () ->
        Lwt.bind (Lwt.pick [ discard (); Env.sleep (of_ns ns) ]) (fun () -> close flow))

  let defer_flush flow = flow.t.deferred <- true

  let abort flow =
    flow.closed <- true;
    Engine.abort (engine flow.t) flow.c;
    deafen flow;
    schedule flow.t

  let dst flow = Engine.remote flow.c
  let src flow = Engine.local flow.c
  let info flow = Engine.info flow.c

  let set_user_timeout flow ns =
    Engine.set_user_timeout (engine flow.t) flow.c ns;
    schedule flow.t

  let engine_keepalive (k : Tcpip.Tcp.Keepalive.t) =
    { Mirust_tcp.Tcb.after = of_ns k.after; interval = of_ns k.interval; probes = k.probes }

  let set_keepalive flow k =
    Engine.set_keepalive (engine flow.t) ~now:(Env.now ()) flow.c (Option.map engine_keepalive k);
    schedule flow.t

  (* ---- Connections ---- *)

  (* Rate-limited, because strangers may provoke a server's failures. *)
  let failures = Thin.create ()

  let serve f flow =
    Lwt.dont_wait
      (fun () -> f flow)
      (fun e ->
        Thin.warn failures
          (module Log)
          (fun () ->
            let addr, port = dst flow in
            Fmt.str "server of %a:%d: %s" Ipaddr.pp addr port (Printexc.to_string e));
        abort flow)

  let try_listen t ~port ?backlog ?keepalive f =
    Engine.listen (engine t) ~port ?backlog (fun c ->
        let flow = make_flow t c in
        Ring.push t.ready (fun () ->
            Option.iter (fun k -> set_keepalive flow (Some k)) keepalive;
            serve f flow))

  let unlisten t ~port =
    Engine.unlisten (engine t) ~port;
    schedule t

  let listen t ~port ?keepalive f =
    if port < 1 || port > 0xffff then invalid_arg "Tcp.listen: port";
    match try_listen t ~port ?keepalive f with
    | Ok () -> ()
    | Error (`In_use | `Invalid) ->
        Engine.unlisten (engine t) ~port;
        ignore (try_listen t ~port ?keepalive f : (unit, [ `In_use | `Invalid ]) result)

  let rec create_connection ?keepalive t (dst, dst_port) =
    let timeout = (Engine.env (engine t)).config.connect_timeout in
    if dst_port < 1 || dst_port > 0xffff then
      Lwt.return_error (`No_route (Printf.sprintf "there is no port %d" dst_port))
    else
      (* Our own address may still be missing (DHCP), or under duplicate detection. *)
      let source = Lwt.map (Result.map_error (fun why -> `No_route why)) (O.source t.ip dst) in
      if Lwt.is_sleeping source then
        let late = Lwt.map (fun () -> Error (`No_route "no address of ours")) (Env.sleep timeout) in
        Lwt.bind (Lwt.pick [ source; late ]) (connect_from ?keepalive t dst dst_port)
      else Lwt.bind source (connect_from ?keepalive t dst dst_port)

  and connect_from ?keepalive t dst dst_port = function
    | Error e -> Lwt.return_error e
    | Ok _ when t.gone -> Lwt.return_error `Aborted
    | Ok src -> (
        let result, resolver = Lwt.wait () in
        let pending = ref true in
        let flow = ref None in
        let settle r =
          if !pending then (
            Ring.push t.ready (fun () -> Lwt.wakeup resolver r);
            pending := false)
        in
        let notify : Engine.event -> unit = function
          | Connected -> Option.iter (fun f -> settle (Ok f)) !flow
          | Readable | Writable -> ()
          | Ended reason -> settle (Error (Option.value (error_of_reason reason) ~default:`Aborted))
        in
        let keepalive = Option.map engine_keepalive keepalive in
        match Engine.connect (engine t) ~now:(Env.now ()) ?keepalive ~src ~dst ~dst_port notify with
        | Error (`No_port | `No_memory) -> Lwt.return_error `No_resources
        | Error `Invalid -> Lwt.return_error (`No_route "not an address of one host")
        | Ok c ->
            let f = make_flow t c in
            Engine.on_event c (fun e ->
                notify e;
                event f e);
            flow := Some f;
            schedule t;
            result)

  (* ---- Life ---- *)

  let connect ?config ip =
    let unspecified = Ipaddr.V4 Ipaddr.V4.unspecified in
    let t =
      {
        ip;
        engine = None;
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
        scheduled = false;
        turn = ignore;
        deferred = false;
        waited = false;
        ready = Ring.create ignore;
        stalled = Hashtbl.create 16;
        stalls = 0;
        no_interludes = ignore;
        gone = false;
      }
    in
    let mss ~dst = O.mtu ip dst - W.Tcp.min_header_length in
    t.engine <-
      Some
        (Engine.create ?config ~path_works:(path_works t) ~burst:(burst t) ~now:(Env.now ())
           ~random:Env.random ~mss
           ~can_send:(fun () -> not t.full)
           (transmit t));
    t.turn <- (fun () -> turn t);
    t.emit_part <- emit_part t;
    t.timer <- Some (Timer.create (timer_fired t));
    O.on_room ip (room t);
    O.on_problem ip (problem t);
    t.no_interludes <- Env.at_interlude (fun () -> interlude t);
    Lwt.return t

  let disconnect t =
    if not t.gone then (
      Engine.abort_all (engine t);
      wake t;
      O.flush t.ip;
      Option.iter Timer.stop t.timer;
      t.no_interludes ();
      t.gone <- true);
    Lwt.return_unit
end

module Flow = struct
  module Make (I : Ip_ext.S with type ipaddr = Ipaddr.t) = struct
    module O = struct
      type t = I.t
      type path = I.path

      let path t ~src dst = Result.to_option (I.path t ~src dst)

      let source t dst =
        Lwt.map
          (function
            | Ok p when I.is_unicast p -> Ok (I.source p)
            | Ok _ -> Error "not an address of one host"
            | Error e -> Error (Fmt.to_to_string I.pp_error e))
          (I.route t dst)

      let mtu t dst = I.mtu t ~dst
      let lower_mtu p mtu = ignore (I.lower_mtu p mtu : bool)
      let confirm = I.confirm
      let max_segment = I.max_segment

      let output p ~tos ~gso_size ~size fill payload =
        match I.output p ~tos ~gso_size ~proto:`TCP ~checksum_offset ~size fill payload with
        | `Sent -> `Sent
        | `Full -> `Full
        | `Too_long -> `Too_long
        | `No_route -> `Lost

      let on_room = I.on_room
      let flush = I.flush

      let on_problem t f =
        I.on_problem t (fun ~proto ~src ~dst problem quoted ->
            match problem with
            | Too_big mtu when proto = 6 -> f ~src ~dst (`Too_big mtu) quoted
            | Unreachable why when proto = 6 -> f ~src ~dst (`Unreachable why) quoted
            | No_neighbour when proto = 6 -> f ~src ~dst `No_neighbour quoted
            | Too_big _ | Unreachable _ | Expired | No_neighbour -> ())
    end

    include Over (O)
  end

  module Make_plain (I : Tcpip.Ip.S with type ipaddr = Ipaddr.t) = struct
    module O = struct
      type t = I.t
      type path = { ip : I.t; src : Ipaddr.t; dst : Ipaddr.t }

      let path ip ~src dst = Some { ip; src; dst }

      let is_none = function
        | Ipaddr.V4 a -> Ipaddr.V4.compare a Ipaddr.V4.any = 0
        | Ipaddr.V6 a -> Ipaddr.V6.compare a Ipaddr.V6.unspecified = 0

      (* Mirage's IP does not say that an address is still to come, such as during duplicate detection, which takes a
         second. So the address is looked up again, for up to three seconds. *)
      let patience = Env.sec 3

      let source ip dst =
        let until = Env.now () + patience in
        let rec look () =
          match I.src ip ~dst with
          | src when is_none src && Env.now () < until -> Lwt.bind (Env.sleep (Env.ms 20)) look
          | src when is_none src -> Lwt.return_error "no address of ours"
          | src -> Lwt.return_ok src
        in
        look ()

      let mtu ip dst = I.mtu ip ~dst
      let lower_mtu _ _ = ()
      let confirm _ = ()
      let max_segment _ = 0

      (* Mirage's IP waits instead of saying that it is full; what waits is bounded by the connections' windows. *)
      let output p ~tos:_ ~gso_size:_ ~size fill payload =
        let length = size + Cstruct.lenv payload in
        let pseudo =
          W.Checksum.bytes W.Checksum.zero (I.pseudoheader p.ip ~src:p.src p.dst `TCP length)
        in
        (* Mirage's IP may call back later, but [fill] is valid only now. *)
        let head = Cstruct.create size in
        fill head 0;
        let sum = W.Checksum.bytes pseudo head in
        let sum = if size land 1 = 0 then W.Checksum.fragments sum payload else sum in
        Cstruct.BE.set_uint16 head checksum_offset (W.Checksum.finish sum);
        let fill b =
          Cstruct.blit head 0 b 0 size;
          size
        in
        Lwt.dont_wait
          (fun () ->
            Lwt.map
              (function Ok () -> () | Error e -> Log.debug (fun m -> m "write: %a" I.pp_error e))
              (I.write p.ip ~fragment:false ~src:p.src p.dst `TCP ~size fill payload))
          (fun e -> Thin.warn lost (module Log) (fun () -> "write: " ^ Printexc.to_string e));
        `Sent

      let on_room _ _ = ()
      let flush _ = ()
      let on_problem _ _ = ()
    end

    include Over (O)
  end
end
