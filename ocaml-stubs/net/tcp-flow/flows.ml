(* Connections as their users see them: Mirage's flows, and what they have beyond those. Nothing here knows of IP. *)

open Mirust_mirage_types
open Mirust_net_env
module Engine = Mirust_tcp.Engine
module Pinned = Mirust_tcp.Pinned
module Ring = Mirust_tcp.Ring

let log_src = Logs.Src.create "mirust.tcp" ~doc:"TCP"

module Log = (val Logs.src_log log_src : Logs.LOG)

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

(* What all flows of one TCP layer share. *)
type shared = {
  mutable engine : Engine.t option;
  mutable turn : unit -> unit; (* what is to be done once a turn, by the layer below *)
  mutable scheduled : bool; (* a turn is scheduled or running *)
  mutable deferred : bool;
      (* Rust's tasks have yet to run: what they write is to be sent with the rest *)
  ready : (unit -> unit) Ring.t; (* what events have to wake, outside of the engine *)
  stalled : (int, stalled) Hashtbl.t; (* by a number of their own *)
  mutable stalls : int;
  mutable gone : bool;
}

(* What a writer that waits for room still has to write. *)
and stalled = { octets : int; mutable views : Cstruct.t list }

type flow = {
  t : shared;
  c : Engine.connection;
  mutable taker : ([ `Data of Cstruct.t | `Eof ], error) result Lwt.u option;
      (* a [read] that waits *)
  mutable most : int; (* how many octets it takes *)
  mutable reader : unit Lwt.u option;
  mutable readable : unit Lwt.t;
  mutable listener : unit -> unit; (* of [on_readable] *)
  mutable listens : bool; (* it is yet to be called *)
  mutable wake : unit -> unit; (* those three *)
  mutable waking : bool; (* [wake] is in [ready] *)
  mutable writer : unit Lwt.u option;
  mutable writable : unit Lwt.t;
  mutable ended : Engine.reason option;
  mutable deaf : bool; (* the user no longer reads; what arrives is thrown away *)
  mutable closed : bool; (* [close] was called *)
  writing : Lwt_mutex.t; (* so that what one writer writes stays together *)
}

let create () =
  {
    engine = None;
    turn = ignore;
    scheduled = false;
    deferred = false;
    ready = Ring.create ignore;
    stalled = Hashtbl.create 16;
    stalls = 0;
    gone = false;
  }

let engine t = match t.engine with Some e -> e | None -> assert false

let compact ~device t =
  Engine.compact ~device (engine t);
  Hashtbl.iter (fun _ s -> s.views <- Pinned.compact ~device s.views) t.stalled

let schedule t =
  if not t.scheduled then (
    Env.soon t.turn;
    (* Last: without memory for that, the next one asks again. *)
    t.scheduled <- true)

(* {1 Flows} *)

(* If memory runs out between Lwt's callbacks, the user's code never continues, so nothing else would ever close the
   connection. *)
let or_abort flow f =
  try f flow
  with Out_of_memory as e ->
    flow.closed <- true;
    Engine.abort (engine flow.t) flow.c;
    raise e

let wake_reader flow =
  if (flow.listens || Option.is_some flow.taker || Option.is_some flow.reader) && not flow.waking
  then (
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
let writable = writer

let on_readable flow f =
  if flow.listener != f then flow.listener <- f;
  flow.listens <- true

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
  if flow.listens then (
    flow.listens <- false;
    flow.listener ());
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
      listener = ignore;
      listens = false;
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

(* {1 Connections} *)

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

let connect_from ?keepalive t dst dst_port = function
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
