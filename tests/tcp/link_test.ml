(* Two engines over a bad link: every octet must arrive intact, both sides must end closed, and
   nothing may be left behind. Time is simulated, and all luck comes from a seed:

   link_test.exe SEED         replays one
   link_test.exe FIRST LAST   runs a range of them *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp
module Checksum = Mirust_wire.Checksum

let ms = 1_000_000
let second = 1000 * ms
let failf fmt = Printf.ksprintf failwith fmt

type link = { drop : float; duplicate : float; reorder : float; corrupt : float; delay : int }

module Events = Map.Make (struct
  type t = int * int (* time, and a number to keep the order *)

  let compare = compare
end)

type host = {
  name : string;
  ip : Ipaddr.V4.t;
  engine : Engine.t;
  edges : (int * int, int * int) Hashtbl.t;
  mutable conn : Engine.connection option;
  mutable to_write : int;
  mutable written : int;
  mutable shut : bool;
  mutable received : int;
  mutable pause_until : int; (* the reader's *)
  mutable lazy_reader : bool;
  mutable shut_after_eof : bool;
  key : int;
}

type world = {
  rng : Random.State.t;
  mutable now : int;
  mutable events : (unit -> unit) Events.t;
  mutable count : int;
  link : link;
}

let at w time f =
  w.count <- w.count + 1;
  w.events <- Events.add (time, w.count) f w.events

let octet key n = Char.unsafe_chr (((n * 31) + (n lsr 7) + key) land 0xff)

(* ---- The wire ---- *)

let pseudo ~src ~dst len = Checksum.pseudo_v4 ~src ~dst ~proto:6 ~len

let encode ~src ~dst (h : Wire.t) payload =
  let header = Cstruct.create 60 in
  let n = Wire.emit h header in
  let segment = Cstruct.concat (Cstruct.sub header 0 n :: payload) in
  let sum = Checksum.bytes (pseudo ~src ~dst (Cstruct.length segment)) segment in
  Wire.set_checksum segment (Checksum.finish sum);
  segment

let arrives w host ~src segment =
  if Wire.verify ~pseudo:(pseudo ~src ~dst:host.ip (Cstruct.length segment)) segment then
    match Wire.parse segment with
    | Error _ -> failwith "cannot parse what the engine has sent"
    | Ok h ->
        Engine.input host.engine ~now:w.now ~src:(V4 src) ~dst:(V4 host.ip) ~ce:false h
          (Wire.payload h segment)

let corrupted w segment =
  let copy = Cstruct.of_string (Cstruct.to_string segment) in
  let i = Random.State.int w.rng (Cstruct.length copy) in
  Cstruct.set_uint8 copy i (Cstruct.get_uint8 copy i lxor (1 lsl Random.State.int w.rng 8));
  copy

let carry w ~src ~to_ segment =
  let luck p = p > 0. && Random.State.float w.rng 1. < p in
  let deliver segment =
    if not (luck w.link.drop) then
      let segment = if luck w.link.corrupt then corrupted w segment else segment in
      let late = if luck w.link.reorder then Random.State.int w.rng (20 * ms) else 0 in
      let host = Lazy.force to_ in
      at w (w.now + w.link.delay + late) (fun () -> arrives w host ~src segment)
  in
  deliver segment;
  if luck w.link.duplicate then deliver segment

let rec transmit w ~from ~to_ (h : Wire.t) payload ~segment_size =
  let src = from in
  let host_ip = (Lazy.force to_).ip in
  if segment_size = 0 || Cstruct.lenv payload <= segment_size then
    carry w ~src ~to_ (encode ~src ~dst:host_ip h payload)
  else
    let first, rest = Flight.take payload segment_size in
    let flags = h.flags land lnot Wire.Flags.(psh lor fin) in
    carry w ~src ~to_ (encode ~src ~dst:host_ip { h with flags } first);
    let flags = h.flags land lnot Wire.Flags.cwr in
    transmit w ~from ~to_ { h with seq = Seq.add h.seq segment_size; flags } rest ~segment_size

(* ---- The users ---- *)

let write w host c =
  let rec go () =
    let space = Engine.write_space host.engine c in
    if host.to_write > 0 && space > 0 then (
      let most = min (min space host.to_write) (1 + Random.State.int w.rng 10_000) in
      let view = Cstruct.create most in
      for i = 0 to most - 1 do
        Cstruct.set_char view i (octet host.key (host.written + i))
      done;
      match Engine.write host.engine c view with
      | Ok () ->
          host.written <- host.written + most;
          host.to_write <- host.to_write - most;
          go ()
      | Error `Closed -> failf "%s cannot write" host.name)
  in
  if not host.shut then go ()

let rec read w host ~peer c =
  if w.now >= host.pause_until then
    match Engine.read host.engine c with
    | None -> ()
    | Some v ->
        for i = 0 to Cstruct.length v - 1 do
          if Cstruct.get_char v i <> octet peer.key (host.received + i) then
            failf "%s: octet %d is wrong" host.name (host.received + i)
        done;
        host.received <- host.received + Cstruct.length v;
        if host.lazy_reader && Random.State.int w.rng 8 = 0 then (
          host.pause_until <- w.now + Random.State.int w.rng second;
          at w host.pause_until ignore)
        else read w host ~peer c

let act w host ~peer =
  match host.conn with
  | None -> ()
  | Some c ->
      read w host ~peer c;
      if Engine.state c <> Tcb.Syn_sent then write w host c;
      if
        (not host.shut) && host.to_write = 0
        && Engine.state c <> Tcb.Syn_sent
        && ((not host.shut_after_eof) || Engine.at_eof c)
      then (
        host.shut <- true;
        Engine.shutdown host.engine ~now:w.now c)

(* ---- One run ---- *)

let host w name ip config ~transmit ~key =
  {
    name;
    ip = Ipaddr.V4.of_string_exn ip;
    engine =
      Engine.create ~config ~now:w.now
        ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.State.int w.rng 256)))
        ~mss:(fun ~dst:_ -> 1460)
        ~can_send:(fun () -> true)
        (fun ~src:_ ~dst:_ ~ect:_ h payload ~length:_ ~segment_size ->
          transmit h payload ~segment_size);
    edges = Hashtbl.create 2;
    conn = None;
    to_write = 0;
    written = 0;
    shut = false;
    received = 0;
    pause_until = 0;
    lazy_reader = false;
    shut_after_eof = false;
    key;
  }

let config rng : Engine.config =
  let bool () = Random.State.bool rng in
  let buffer () = 2000 + Random.State.int rng 200_000 in
  let receive_buffer = buffer () in
  {
    Engine.default_config with
    algorithm = (if bool () then Cubic else New_reno);
    timestamps = bool ();
    sack = Random.State.int rng 4 > 0;
    ecn = bool ();
    pacing = bool ();
    receive_buffer;
    receive_buffer_max = (receive_buffer * if bool () then 1 else 10);
    send_buffer = buffer ();
    gso_max = (if bool () then 65_000 else 1460);
    max_ranges = 1 + Random.State.int rng 50;
    (* The link is bad, but never broken. *)
    user_timeout = 1_000_000 * second;
    connect_timeout = 1_000_000 * second;
  }

let check w host =
  let held = Invariants.engine host.engine host.edges in
  let held =
    (* What has ended is in no table any more, and can still be read. *)
    match host.conn with
    | Some c when Engine.ended c -> held + Invariants.held (Engine.tcb c)
    | Some _ | None -> held
  in
  if held <> Engine.memory host.engine then
    failf "%s: memory %d, held %d at %d" host.name (Engine.memory host.engine) held w.now

let run seed =
  let rng = Random.State.make [| seed |] in
  let chance most = if Random.State.bool rng then Random.State.float rng most else 0. in
  let link =
    {
      drop = chance 0.3;
      duplicate = chance 0.3;
      reorder = chance 0.3;
      corrupt = chance 0.3;
      delay = (if Random.State.bool rng then Random.State.int rng (500 * ms) else 0);
    }
  in
  let w = { rng; now = second; events = Events.empty; count = 0; link } in
  let a_ip = Ipaddr.V4.of_string_exn "10.0.0.1" and b_ip = Ipaddr.V4.of_string_exn "10.0.0.2" in
  let rec a =
    lazy
      (host w "client" "10.0.0.1" (config rng) ~key:1 ~transmit:(fun h p ~segment_size ->
           transmit w ~from:a_ip ~to_:b h p ~segment_size))
  and b =
    lazy
      (host w "server" "10.0.0.2" (config rng) ~key:2 ~transmit:(fun h p ~segment_size ->
           transmit w ~from:b_ip ~to_:a h p ~segment_size))
  in
  let client = Lazy.force a and server = Lazy.force b in
  let size () = if Random.State.int rng 4 = 0 then 0 else Random.State.int rng 100_000 in
  client.to_write <- size ();
  server.to_write <- size ();
  let total_client = client.to_write and total_server = server.to_write in
  client.lazy_reader <- Random.State.bool rng;
  server.lazy_reader <- Random.State.bool rng;
  (match Random.State.int rng 3 with
  | 0 -> client.shut_after_eof <- true
  | 1 -> server.shut_after_eof <- true
  | _ -> ());
  (match Engine.listen server.engine ~port:80 (fun c -> server.conn <- Some c) with
  | Ok () -> ()
  | Error (`In_use | `Invalid) -> assert false);
  (match
     Engine.connect client.engine ~now:w.now ~src:(V4 a_ip) ~dst:(V4 b_ip) ~dst_port:80 ignore
   with
  | Ok c -> client.conn <- Some c
  | Error _ -> assert false);
  let turn host ~peer =
    Engine.advance host.engine ~now:w.now;
    act w host ~peer;
    Engine.flush host.engine ~now:w.now;
    check w host;
    Invariants.end_of_turn host.engine
  in
  let rec arrive () =
    match Events.min_binding_opt w.events with
    | Some ((time, _), f) when time <= w.now ->
        w.events <- Events.remove (fst (Events.min_binding w.events)) w.events;
        f ();
        arrive ()
    | Some _ | None -> ()
  in
  let limit = 200_000 * second in
  let turns = ref 0 in
  let describe host =
    match host.conn with
    | None -> host.name ^ ": none"
    | Some c ->
        let i = Engine.info c and t = Engine.tcb c in
        Fmt.str
          "%s: %a unsent %d flight %d cwnd %d window %d rto %d rtx %d una %d nxt %d rcv %d adv %d \
           next %d"
          host.name Tcb.pp_state (Engine.state c) i.unsent i.in_flight i.cwnd i.send_window
          (i.rto / ms) i.retransmits t.snd_una t.snd_nxt t.rcv_nxt t.rcv_adv
          (Engine.next host.engine - w.now)
  in
  let rec loop () =
    incr turns;
    if !turns > 1_000_000 then
      failf "no end at %d ms\n%s\n%s" (w.now / ms) (describe client) (describe server);
    arrive ();
    turn client ~peer:server;
    turn server ~peer:client;
    let next =
      let event =
        match Events.min_binding_opt w.events with Some ((t, _), _) -> t | None -> max_int
      in
      min event (min (Engine.next client.engine) (Engine.next server.engine))
    in
    if next < max_int then (
      if w.now > limit then failf "does not come to an end";
      w.now <- max (w.now + 1) next;
      loop ())
  in
  loop ();
  let finished host ~expected =
    (match host.conn with
    | None -> failf "%s: no connection" host.name
    | Some c ->
        act w host ~peer:(if host == client then server else client);
        if not (Engine.ended c) then
          failf "%s: in %s" host.name (Fmt.str "%a" Tcb.pp_state (Engine.state c)));
    if host.received <> expected then failf "%s: got %d of %d" host.name host.received expected;
    if Engine.memory host.engine <> 0 then
      failf "%s: memory %d" host.name (Engine.memory host.engine);
    if Engine.timers host.engine <> 0 then failf "%s: timers" host.name;
    if Engine.connections host.engine <> 0 then failf "%s: connections" host.name
  in
  finished client ~expected:total_server;
  finished server ~expected:total_client;
  total_server + total_client

let range first last =
  let failed = ref 0 and octets = ref 0 in
  for seed = first to last do
    try octets := !octets + run seed
    with e ->
      incr failed;
      Printf.printf "seed %d: %s\n%!" seed
        (match e with Failure m -> m | e -> Printexc.to_string e)
  done;
  Printf.printf "%d seeds, %d octets, %d failed\n" (last - first + 1) !octets !failed;
  if !failed > 0 then exit 1

let () =
  match Array.to_list Sys.argv with
  | [ _; seed ] -> ignore (run (int_of_string seed) : int)
  | [ _; first; last ] -> range (int_of_string first) (int_of_string last)
  | _ -> range 1 1000
