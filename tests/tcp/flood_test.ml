(* Strangers flood a server while a client of good standing uses it: the client is served, what the
   server holds stays bounded, and it answers no more than it must. *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp

let ms = 1_000_000
let server_ip = Ipaddr.of_string_exn "10.0.0.1"
let client_ip = Ipaddr.of_string_exn "10.0.0.2"
let port = 80
let rounds = 30
let size = 20_000

type world = {
  rng : Random.State.t;
  mutable now : int;
  server : Engine.t;
  client : Engine.t;
  to_server : (Ipaddr.t * Wire.t * Cstruct.t) Queue.t;
  to_client : (Ipaddr.t * Wire.t * Cstruct.t) Queue.t;
  mutable victim : Engine.connection option; (* the client's *)
}

let int w n = Random.State.full_int w.rng n

let create seed =
  let rng = Random.State.make [| seed |] in
  let to_server = Queue.create () and to_client = Queue.create () in
  let config =
    { Engine.default_config with backlog = 100; connections_max = 1000; memory_max = 1_000_000 }
  in
  let engine queue mine =
    Engine.create ~config ~now:0
      ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.State.int rng 256)))
      ~mss:(fun ~dst:_ -> 1460)
      ~can_send:(fun () -> true)
      (fun ~src ~dst ~ect:_ h payload ~length:_ ~segment_size:_ ->
        (* What goes to strangers is lost. *)
        if Ipaddr.compare dst mine = 0 then Queue.push (src, h, Cstruct.concat payload) queue)
  in
  {
    rng;
    now = 0;
    server = engine to_client client_ip;
    client = engine to_server server_ip;
    to_server;
    to_client;
    victim = None;
  }

let stranger w = Ipaddr.V4 (Ipaddr.V4.of_int32 (Int32.of_int (0x0b000000 + int w 0xffffff)))

let segment ~src_port ~flags ~seq ~ack ~window =
  {
    Wire.src_port;
    dst_port = port;
    seq;
    ack;
    flags;
    window;
    urgent = 0;
    options =
      (if Wire.Flags.(has flags syn) then { Wire.no_options with mss = 1460 } else Wire.no_options);
    header_length = 20;
  }

(* As from the client itself, but blind: the numbers are guesses. *)
let spoofed w ~flags payload =
  match w.victim with
  | None -> ()
  | Some c ->
      let h =
        segment
          ~src_port:(snd (Engine.local c))
          ~flags ~seq:(int w 0xffffffff) ~ack:(int w 0xffffffff) ~window:(int w 2)
      in
      Engine.input w.server ~now:w.now ~src:client_ip ~dst:server_ip ~ce:false h payload

let foreign w ~flags payload =
  let h =
    segment
      ~src_port:(1 + int w 65_000)
      ~flags ~seq:(int w 0xffffffff) ~ack:(int w 0xffffffff) ~window:1000
  in
  Engine.input w.server ~now:w.now ~src:(stranger w) ~dst:server_ip ~ce:false h payload

let data = Cstruct.create 1000

let floods =
  let open Wire.Flags in
  [
    ("SYN", fun w -> foreign w ~flags:syn Cstruct.empty);
    ("ACK", fun w -> foreign w ~flags:ack data);
    ("RST", fun w -> foreign w ~flags:rst Cstruct.empty);
    ("SYN ACK", fun w -> foreign w ~flags:(syn lor ack) Cstruct.empty);
    ("RST in the client's name", fun w -> spoofed w ~flags:rst Cstruct.empty);
    ("SYN in the client's name", fun w -> spoofed w ~flags:syn Cstruct.empty);
    ("data in the client's name", fun w -> spoofed w ~flags:(ack lor psh) data);
    ( "everything",
      fun w ->
        let flags = int w 256 in
        if Random.State.bool w.rng then foreign w ~flags data else spoofed w ~flags data );
  ]

(* The client sends a request of [size] octets and expects as many back, [rounds] times. *)
let run flood () =
  let w = create 1 in
  let served = ref [] in
  (match Engine.listen w.server ~port (fun c -> served := c :: !served) with
  | Ok () -> ()
  | Error (`In_use | `Invalid) -> assert false);
  let per_turn = 200 and turns = ref 0 in
  let most_memory = ref 0 and most_connections = ref 0 in
  let turn () =
    incr turns;
    if !turns > 20_000 then Alcotest.fail "the client is not served";
    w.now <- w.now + ms;
    for _ = 1 to per_turn do
      flood w
    done;
    let deliver e queue dst =
      for _ = 1 to Queue.length queue do
        let src, h, payload = Queue.pop queue in
        Engine.input e ~now:w.now ~src ~dst ~ce:false h payload
      done
    in
    deliver w.server w.to_server server_ip;
    deliver w.client w.to_client client_ip;
    Engine.advance w.server ~now:w.now;
    Engine.advance w.client ~now:w.now;
    served :=
      List.filter
        (fun c ->
          let rec go () =
            match Engine.read w.server c with
            | Some v ->
                ignore (Engine.write w.server c v : (unit, _) result);
                go ()
            | None -> ()
          in
          go ();
          if Engine.at_eof c then Engine.shutdown w.server ~now:w.now c;
          not (Engine.ended c))
        !served;
    Engine.flush w.server ~now:w.now;
    Engine.flush w.client ~now:w.now;
    most_memory := max !most_memory (Engine.memory w.server);
    most_connections := max !most_connections (Engine.connections w.server)
  in
  for _ = 1 to rounds do
    match
      Engine.connect w.client ~now:w.now ~src:client_ip ~dst:server_ip ~dst_port:port ignore
    with
    | Error _ -> Alcotest.fail "connect"
    | Ok c ->
        (* Nobody can help a handshake whose ports are known to an attacker before its SYN arrives. *)
        w.victim <- None;
        while Engine.state c = Syn_sent do
          turn ()
        done;
        turn ();
        w.victim <- Some c;
        ignore (Engine.write w.client c (Cstruct.create size) : (unit, _) result);
        Engine.shutdown w.client ~now:w.now c;
        let got = ref 0 in
        while not (Engine.at_eof c) do
          turn ();
          let rec go () =
            match Engine.read w.client c with
            | Some v ->
                got := !got + Cstruct.length v;
                go ()
            | None -> ()
          in
          go ()
        done;
        Alcotest.(check int) "echo" size !got
  done;
  Alcotest.(check bool) "memory" true (!most_memory < 1_100_000);
  Alcotest.(check bool) "connections" true (!most_connections <= 1000);
  (* SYNs are answered one by one, by cookies that cost nothing; all else is limited. *)
  let stats = Engine.stats w.server in
  let seconds = 1 + (w.now / (1000 * ms)) in
  Alcotest.(check bool) "resets" true (stats.resets_out <= (seconds * 1000) + 1000);
  Alcotest.(check bool) "challenges" true (stats.challenge_acks <= (seconds * 1000) + 1000)

(* ---- Storms ---- *)

(* One forged octet moves RCV.NXT of the side that gets it ahead of SND.NXT of the other. From then on
   an acknowledgement of either is wrong to the other, which answers by one: nothing but the limits of
   such answers ends that. *)
let storm victims () =
  let w = create 2 in
  (match Engine.listen w.server ~port ignore with
  | Ok () -> ()
  | Error (`In_use | `Invalid) -> assert false);
  let sent () = (Engine.stats w.server).segments_out + (Engine.stats w.client).segments_out in
  let turn () =
    w.now <- w.now + (ms / 10);
    let deliver e queue dst =
      for _ = 1 to Queue.length queue do
        let src, h, payload = Queue.pop queue in
        Engine.input e ~now:w.now ~src ~dst ~ce:false h payload
      done
    in
    deliver w.server w.to_server server_ip;
    deliver w.client w.to_client client_ip;
    Engine.advance w.server ~now:w.now;
    Engine.advance w.client ~now:w.now;
    Engine.flush w.server ~now:w.now;
    Engine.flush w.client ~now:w.now
  in
  let seconds n =
    let before = sent () in
    for _ = 1 to n * 10_000 do
      turn ()
    done;
    sent () - before
  in
  let c =
    match Engine.connect w.client ~now:0 ~src:client_ip ~dst:server_ip ~dst_port:port ignore with
    | Ok c -> c
    | Error _ -> Alcotest.fail "connect"
  in
  ignore (seconds 2 : int);
  Alcotest.(check int) "idle" 0 (seconds 1);
  let inject engine ~src ~dst (h : Wire.t) =
    Engine.input engine ~now:w.now ~src ~dst ~ce:false h (Cstruct.of_string "x")
  in
  let s =
    match
      Engine.lookup w.server ~local:(server_ip, port) ~remote:(client_ip, snd (Engine.local c))
    with
    | Some s -> s
    | None -> Alcotest.fail "no connection"
  in
  let forged (victim : Engine.connection) =
    let t = Engine.tcb victim in
    {
      (segment ~src_port:t.remote_port
         ~flags:Wire.Flags.(ack lor psh)
         ~seq:t.rcv_nxt ~ack:t.snd_nxt ~window:60_000)
      with
      dst_port = t.local_port;
      options = { Wire.no_options with ts_value = t.ts_recent; ts_echo = 0 };
    }
  in
  let to_server = forged s and to_client = forged c in
  if victims <> `Client then inject w.server ~src:client_ip ~dst:server_ip to_server;
  if victims <> `Server then inject w.client ~src:server_ip ~dst:client_ip to_client;
  Alcotest.(check bool) "the first ten seconds" true (seconds 10 < 40);
  ignore (seconds 100 : int);
  Alcotest.(check bool) "later" true (seconds 100 < 10);
  Alcotest.(check bool) "up" true (Engine.state c = Established && Engine.state s = Established)

(* ---- Bounds that change ---- *)

let knock w ~port:src_port =
  let h = segment ~src_port ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000 in
  Engine.input w.server ~now:w.now ~src:client_ip ~dst:server_ip ~ce:false h Cstruct.empty;
  Engine.flush w.server ~now:w.now

(* Three hundred that came and never did anything; then there is room for fifty. *)
let fewer () =
  let w = create 3 in
  (match Engine.listen w.server ~port ~backlog:1000 ignore with
  | Ok () -> ()
  | Error (`In_use | `Invalid) -> assert false);
  let bounds connections = Engine.set_bounds w.server ~memory:500_000 ~connections ~time_wait:10 in
  for i = 1 to 300 do
    knock w ~port:(1000 + i)
  done;
  Alcotest.(check int) "they came" 300 (Engine.connections w.server);
  bounds 50;
  Alcotest.(check int) "nobody's patience has been tried" 300 (Engine.connections w.server);
  w.now <- 5_000 * ms;
  Engine.advance w.server ~now:w.now;
  bounds 50;
  Alcotest.(check int) "now it has" 50 (Engine.connections w.server);
  Alcotest.(check int) "each is told by a reset" 250 (Engine.stats w.server).evicted;
  bounds 60;
  w.now <- 5_001 * ms;
  for i = 1 to 20 do
    knock w ~port:(2000 + i)
  done;
  Alcotest.(check int) "and newcomers find room up to the bound" 60 (Engine.connections w.server)

(* ---- One host that wants all places ---- *)

let places = 64
let host n = Ipaddr.of_string_exn (Printf.sprintf "192.0.2.%d" n)
let network n = Ipaddr.of_string_exn (Printf.sprintf "2001:db8:0:%x::%x" (n / 100) n)

type hosts = { engine : Engine.t; mutable time : int; sent : Wire.t option ref }

let hosts ?(places = places) ?(memory = 1_000_000) ?(accept = ignore) () =
  let rng = Random.State.make [| 5 |] and sent = ref None in
  let engine =
    Engine.create
      ~config:{ Engine.default_config with connections_max = places; memory_max = memory }
      ~now:0
      ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.State.int rng 256)))
      ~mss:(fun ~dst:_ -> 1460)
      ~can_send:(fun () -> true)
      (fun ~src:_ ~dst:_ ~ect:_ h _ ~length:_ ~segment_size:_ -> sent := Some h)
  in
  (match Engine.listen engine ~port accept with
  | Ok () -> ()
  | Error (`In_use | `Invalid) -> assert false);
  { engine; time = 0; sent }

let local_of = function
  | Ipaddr.V4 _ -> server_ip
  | Ipaddr.V6 _ -> Ipaddr.of_string_exn "2001:db8::1"

let arrives w src h payload =
  w.sent := None;
  Engine.input w.engine ~now:w.time ~src ~dst:(local_of src) ~ce:false h payload;
  Engine.flush w.engine ~now:w.time

let is_in w src src_port =
  match Engine.lookup w.engine ~local:(local_of src, port) ~remote:(src, src_port) with
  | Some c -> Engine.state c = Established
  | None -> false

(* Connects and sends an octet. Whether it got in. *)
let comes w src src_port =
  arrives w src (segment ~src_port ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000) Cstruct.empty;
  match !(w.sent) with
  | Some h when Wire.Flags.(has h.flags syn) ->
      let flags = Wire.Flags.(ack lor psh) and ack = Seq.add h.seq 1 in
      arrives w src (segment ~src_port ~flags ~seq:2 ~ack ~window:1000) (Cstruct.create 1);
      is_in w src src_port
  | Some _ | None -> false

(* How many of this many got in, the last ones at the expense of those before them, maybe. *)
let come w ?(from = 1000) src n =
  for i = 1 to n do
    ignore (comes w src (from + i) : bool);
    w.time <- w.time + ms
  done;
  List.length (List.filter (fun i -> is_in w src (from + i)) (List.init n succ))

let one_host address () =
  let w = hosts () in
  let first = address 1 and second = address 100 in
  Alcotest.(check int) "one host takes all" places (come w first places);
  Alcotest.(check bool) "another one gets in" true (comes w second 1);
  Alcotest.(check bool) "the first gets no more" false (comes w first 1);
  let n = 1 + come w second (2 * places) in
  if n < 16 || n > 48 then Alcotest.failf "%d of %d for the second" n places;
  Alcotest.(check bool) "a third" true (comes w (address 200) 1)

(* Nobody has much, and all have moved something lately. *)
let many_hosts () =
  let w = hosts () in
  for n = 1 to places / 2 do
    Alcotest.(check int) "two each" 2 (come w (host n) 2)
  done;
  Alcotest.(check bool) "no room" false (comes w (host 200) 1);
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted

(* As browsers do: five at once are neighbours in the order of arrival, and yet few among all. *)
let browsers () =
  let w = hosts () in
  for n = 1 to 12 do
    Alcotest.(check int) "five each" 5 (come w (host n) 5)
  done;
  for n = 13 to 16 do
    Alcotest.(check int) "and one each" 1 (come w (host n) 1)
  done;
  Alcotest.(check bool) "no room" false (comes w (host 200) 1);
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted

(* Who came long before the host that has the most does not hide it. *)
let late_host () =
  let w = hosts ~places:256 () in
  for n = 2 to 129 do
    Alcotest.(check int) "one each" 1 (come w (host n) 1)
  done;
  Alcotest.(check int) "half of all places" 128 (come w (host 1) 128);
  for n = 200 to 250 do
    Alcotest.(check bool) "a newcomer gets in" true (comes w (host n) 1)
  done;
  for n = 2 to 129 do
    Alcotest.(check bool) "nobody else has to go" true (is_in w (host n) 1001)
  done

(* SYNs in somebody's name make nobody the host that has the most. *)
let forged () =
  let w = hosts () in
  for n = 2 to 33 do
    Alcotest.(check int) "one each" 1 (come w (host n) 1)
  done;
  Alcotest.(check int) "four connections" 4 (come w (host 1) 4);
  for src_port = 1 to 16 do
    let h = segment ~src_port ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000 in
    arrives w (host 1) h Cstruct.empty
  done;
  for n = 34 to 45 do
    Alcotest.(check int) "and one each" 1 (come w (host n) 1)
  done;
  Alcotest.(check int) "all places" places (Engine.connections w.engine);
  Alcotest.(check bool) "no room" false (comes w (host 200) 1);
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted

(* It has one less, and the other would have one less then: they would only change places. *)
let shares_that_are_fair () =
  let w = hosts ~places:16 () in
  List.iter
    (fun (n, all) -> Alcotest.(check int) "all get in" all (come w (host n) all))
    [ (1, 8); (2, 7); (3, 1) ];
  Alcotest.(check bool) "no room" false (comes w (host 2) 1);
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted;
  Alcotest.(check bool) "who has less by two gets in" true (comes w (host 3) 1)

(* A network whose hosts take one place each has no more than another's. *)
let one_network first second () =
  let w = hosts () in
  for n = 1 to places do
    Alcotest.(check int) "one each" 1 (come w (first n) 1)
  done;
  Alcotest.(check bool) "no more of that network" false (comes w (first 200) 1);
  Alcotest.(check bool) "another one gets in" true (comes w (second 1) 1);
  Alcotest.(check bool) "once, as all others" false (comes w (second 1) 2);
  let n = List.length (List.filter (fun n -> comes w (second n) 1) (List.init places succ)) in
  if n < 24 || n > 32 then Alcotest.failf "%d of %d for the second" n places;
  Alcotest.(check bool) "a third" true (comes w (Ipaddr.of_string_exn "203.0.113.1") 1)

let of_v4 network n = Ipaddr.of_string_exn (Printf.sprintf "%s.%d" network n)
let of_v6 network n = Ipaddr.of_string_exn (Printf.sprintf "%s:%x::1" network n)

(* Nobody takes more from a crowd of another network than each of them has. *)
let from_outside () =
  let w = hosts () in
  for n = 1 to places / 2 do
    Alcotest.(check int) "two each" 2 (come w (host n) 2)
  done;
  Alcotest.(check int) "as many" 2 (come w (of_v4 "203.0.113" 1) 10);
  Alcotest.(check int) "as many had to go" 2 (Engine.stats w.engine).evicted

(* No network is too small to give a place to one that has none. *)
let a_few_each () =
  let w = hosts ~places:63 () in
  for network = 1 to 9 do
    for n = 1 to 7 do
      Alcotest.(check int) "one each" 1 (come w (of_v4 (Printf.sprintf "192.0.%d" network) n) 1)
    done
  done;
  for network = 1 to 8 do
    let src = of_v4 (Printf.sprintf "203.0.%d" network) 1 in
    Alcotest.(check bool) "gets in" true (comes w src 1)
  done

(* Of a network that has to give a place to others, who uses his keeps it. *)
let who_is_busy_stays () =
  let w = hosts () in
  for n = 1 to places / 2 do
    Alcotest.(check int) "one each" 1 (come w (host n) 1)
  done;
  for n = 1 to places / 2 do
    Alcotest.(check int) "of a network each" 1 (come w (of_v4 (Printf.sprintf "192.1.%d" n) 1) 1)
  done;
  (* All have been looked at before. *)
  Alcotest.(check bool) "no room" false (comes w (host 200) 1);
  for n = 1 to places / 4 do
    w.time <- w.time + (10 * ms);
    List.iter
      (fun busy ->
        let seq = n + 2 and flags = Wire.Flags.ack in
        let c = Engine.lookup w.engine ~local:(server_ip, port) ~remote:(host busy, 1001) in
        let ack = (Engine.tcb (Option.get c)).snd_nxt in
        let h = segment ~src_port:1001 ~flags ~seq ~ack ~window:1000 in
        arrives w (host busy) h (Cstruct.create 1))
      [ 1; 2; places / 2 ];
    Alcotest.(check bool) "gets in" true (comes w (of_v4 (Printf.sprintf "203.0.%d" n) 1) 1)
  done;
  List.iter
    (fun busy -> Alcotest.(check bool) "stays" true (is_in w (host busy) 1001))
    [ 1; 2; places / 2 ]

(* An acknowledgement that has no room is neither let in nor refused: what follows it may find room. *)
let no_room_yet () =
  let w = hosts () in
  for n = 1 to places / 2 do
    Alcotest.(check int) "two each" 2 (come w (host n) 2)
  done;
  let src = host 200 in
  arrives w src (segment ~src_port:1 ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000) Cstruct.empty;
  let ack = match !(w.sent) with Some h -> Seq.add h.seq 1 | None -> Alcotest.fail "no cookie" in
  let says ?(seq = 2) ?(flags = Wire.Flags.ack) text =
    arrives w src (segment ~src_port:1 ~flags ~seq ~ack ~window:1000) (Cstruct.of_string text)
  in
  says "";
  Alcotest.(check bool) "nothing is said to it" true (!(w.sent) = None);
  says "request";
  Alcotest.(check bool) "nor to the first octets" true (!(w.sent) = None);
  Engine.iter w.engine (fun c ->
      if fst (Engine.remote c) = host 1 && snd (Engine.remote c) = 1001 then Engine.abort w.engine c);
  says "request";
  Alcotest.(check bool) "when they come again there is room" true (is_in w src 1);
  (* Who asks whether anybody is there learns that nobody is. *)
  Engine.iter w.engine (fun c -> if fst (Engine.remote c) = src then Engine.abort w.engine c);
  says ~seq:1 "";
  match !(w.sent) with
  | Some h when Wire.Flags.(has h.flags rst) -> ()
  | Some _ | None -> Alcotest.fail "a probe is refused"

(* At any allocation of what a newcomer causes: nobody has a place for ever. *)
let memory_ends () =
  let w = hosts () in
  let address n = of_v4 (Printf.sprintf "203.0.%d" (n / 100)) (1 + (n mod 100)) in
  let so_many = ref 0 in
  let newcomer () =
    incr so_many;
    ignore (comes w (address !so_many) 1 : bool)
  in
  let idle () = w.time <- w.time + (1000 * 1000 * ms) in
  let rec fail_at n =
    idle ();
    if Shortage.fails_at n newcomer then fail_at (n + 1)
  in
  for _ = 1 to places do
    newcomer ()
  done;
  fail_at 1;
  (* The last one has come in. *)
  let before = !so_many - 1 in
  if before < places + 50 then Alcotest.failf "%d" before;
  idle ();
  for _ = 1 to 2 * places do
    newcomer ()
  done;
  let old = ref 0 in
  let is_new c = List.exists (fun n -> fst (Engine.remote c) = address (before + n)) in
  let count c = if not (is_new c (List.init (1 + (2 * places)) succ)) then incr old in
  Engine.iter w.engine count;
  Alcotest.(check (pair int int)) "only new ones" (places, 0) (Engine.connections w.engine, !old)

(* ---- Memory that some hold and others need ---- *)

type reader = { src : Ipaddr.t; c : Engine.connection; mutable acked : Seq.t }

(* A server that writes as much as it can to all who come. *)
let memory = 300_000

let crowd ?(memory = memory) () =
  let last = ref None in
  let w = hosts ~memory ~accept:(fun c -> last := Some c) () in
  let comes src =
    Alcotest.(check bool) "gets in" true (comes w src 1);
    let c = Option.get !last in
    { src; c; acked = (Engine.tcb c).snd_una }
  in
  (w, comes)

let writes w r =
  let rec go () =
    let space = Engine.write_space w.engine r.c in
    if space > 0 then
      match Engine.write w.engine r.c (Cstruct.create space) with
      | Ok () -> go ()
      | Error `Closed -> ()
  in
  if not (Engine.ended r.c) then go ();
  Engine.flush w.engine ~now:w.time

(* Takes that many octets of what was sent, and has room for that many more. *)
let reads w r octets ~window =
  let nxt = (Engine.tcb r.c).snd_nxt in
  r.acked <- Seq.min nxt (Seq.add r.acked octets);
  let h = segment ~src_port:1 ~flags:Wire.Flags.ack ~seq:3 ~ack:r.acked ~window in
  if not (Engine.ended r.c) then arrives w r.src h Cstruct.empty

let pass w ms_ =
  w.time <- w.time + (ms_ * ms);
  Engine.advance w.engine ~now:w.time;
  Engine.flush w.engine ~now:w.time

(* The sum goes by those that there are. *)
let sum_is_right w =
  let stuck = ref 0 in
  Engine.iter w.engine (fun c -> stuck := !stuck + (Engine.tcb c).place.stuck);
  Alcotest.(check int) "stuck with" !stuck (Engine.env w.engine).stuck_octets

let stays r = not (Engine.ended r.c)

(* Some who read nothing: all the memory is theirs. *)
let slow w comes n =
  let all = List.init n (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  List.iter (writes w) all;
  List.iter (fun r -> reads w r 1_000_000 ~window:0) all;
  List.iter (writes w) all;
  Alcotest.(check bool) "all the memory" true (Engine.memory w.engine >= memory);
  all

let quarter_second w ~fast ~slow =
  List.iter (fun r -> reads w r 0 ~window:0) slow;
  List.iter
    (fun r ->
      writes w r;
      reads w r 1_000_000 ~window:60_000)
    fast;
  pass w 250

let slow_readers_alone () =
  let w, comes = crowd () in
  let slow = slow w comes 3 in
  for _ = 1 to 4 * 3600 do
    quarter_second w ~fast:[] ~slow;
    List.iter (writes w) slow
  done;
  Alcotest.(check bool) "nobody needs it, and all stay" true (List.for_all stays slow)

let slow_readers_beside_others () =
  let w, comes = crowd () in
  let slow = slow w comes 3 in
  let fast = comes (host 1) in
  quarter_second w ~fast:[ fast ] ~slow;
  Alcotest.(check bool) "a segment at a time" true (Engine.write_space w.engine fast.c <= 1460);
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow
  done;
  reads w fast 1_000_000 ~window:60_000;
  let space = Engine.write_space w.engine fast.c in
  if space < 50_000 then Alcotest.failf "room for %d octets" space;
  Alcotest.(check int) "no more had to go than it took" 1 (Engine.stats w.engine).evicted

(* One reads as slowly as an old modem, one an octet now and then, and what a third has not read waits with its writer.
   *)
let those_who_read () =
  let w, comes = crowd () in
  let modem = comes (host 2) and trickle = comes (host 3) and fast = comes (host 1) in
  let writer = comes (host 4) in
  List.iter (writes w) [ modem; trickle; writer ];
  List.iter (fun r -> reads w r 1_000_000 ~window:0) [ modem; trickle; writer ];
  List.iter (writes w) [ modem; trickle ];
  Engine.charge w.engine writer.c memory;
  for i = 1 to 80 do
    reads w trickle (i land 1) ~window:1;
    reads w modem 1000 ~window:1000;
    quarter_second w ~fast:[ fast ] ~slow:(if stays writer then [ writer ] else []);
    if not (stays writer || writer.acked = 0) then (
      (* As its writer does then. *)
      Engine.charge w.engine writer.c (-memory);
      writer.acked <- 0;
      Engine.charge w.engine modem.c 100_000)
  done;
  Alcotest.(check (list bool))
    "the writer, an octet now and then, the modem, who is fast" [ false; false; true; true ]
    (List.map stays [ writer; trickle; modem; fast ])

(* It is what he reads that makes memory short, and others who are stuck with little cannot help that. *)
let large_write () =
  let w, comes = crowd () in
  let fast = comes (host 1) and quiet = comes (host 2) in
  Alcotest.(check bool)
    "a little" true
    (Result.is_ok (Engine.write w.engine quiet.c (Cstruct.create 4096)));
  Engine.charge w.engine fast.c (memory + 1000);
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[]
  done;
  Alcotest.(check bool) "memory is short" true (Engine.memory w.engine >= memory);
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted

(* As much as anybody may have. *)
let a_segment_each () =
  let w, comes = crowd ~memory:40_000 () in
  let fast = comes (host 1) in
  let quiet = List.init 40 (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  List.iter
    (fun r -> ignore (Engine.write w.engine r.c (Cstruct.create 1000) : (unit, _) result))
    quiet;
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[]
  done;
  Alcotest.(check bool) "memory is short" true (Engine.memory w.engine >= 40_000);
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted

(* Each of them holds little, and all together hold what others need. *)
let many_writers () =
  let w, comes = crowd () in
  let fast = comes (host 1) in
  let slow = List.init 50 (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  List.iter
    (fun r ->
      Alcotest.(check bool)
        "a little" true
        (Result.is_ok (Engine.write w.engine r.c (Cstruct.create 1460)));
      Engine.charge w.engine r.c 5000)
    slow;
  let gone = ref [] in
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[];
    (* As their writers do. *)
    List.iter
      (fun r ->
        if not (stays r || List.memq r !gone) then (
          gone := r :: !gone;
          Engine.charge w.engine r.c (-5000)))
      slow
  done;
  reads w fast 1_000_000 ~window:60_000;
  Alcotest.(check bool) "room" true (Engine.write_space w.engine fast.c > 10_000);
  sum_is_right w;
  Alcotest.(check bool) "some had to go" true (stays fast && List.length !gone < 20)

(* What is ahead of a gap can be sent again. *)
let ahead_of_a_gap () =
  let w, comes = crowd () in
  let senders = List.init 6 (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  let sends r ~seq =
    let ack = (Engine.tcb r.c).snd_nxt and flags = Wire.Flags.ack in
    arrives w r.src (segment ~src_port:1 ~flags ~seq ~ack ~window:1000) (Cstruct.create 1460)
  in
  List.iter
    (fun r ->
      ignore (Engine.read w.engine r.c : Cstruct.t option);
      for i = 1 to 40 do
        sends r ~seq:(3 + (i * 1460))
      done)
    senders;
  Alcotest.(check bool) "all the memory" true (Engine.memory w.engine >= memory);
  let fast = comes (host 1) in
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[]
  done;
  let space = Engine.write_space w.engine fast.c in
  if space < 50_000 then Alcotest.failf "room for %d octets" space;
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted;
  List.iter
    (fun r ->
      sends r ~seq:3;
      Alcotest.(check bool) "goes on" true (Engine.unread r.c >= 1460))
    senders

(* The peer has done its part. *)
let time_wait_unread () =
  let w, comes = crowd () in
  let senders = List.init 6 (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  let sends r flags octets =
    let tcb = Engine.tcb r.c in
    let h = segment ~src_port:1 ~flags ~seq:tcb.rcv_nxt ~ack:tcb.snd_nxt ~window:1000 in
    arrives w r.src h (Cstruct.create octets)
  in
  List.iter
    (fun r ->
      Engine.shutdown w.engine ~now:w.time r.c;
      Engine.flush w.engine ~now:w.time;
      for _ = 1 to 40 do
        sends r Wire.Flags.ack 1460
      done;
      sends r Wire.Flags.(ack lor fin) 0;
      Alcotest.(check bool) "over" true (Engine.state r.c = Time_wait))
    senders;
  Alcotest.(check bool) "all the memory" true (Engine.memory w.engine >= memory);
  let unread () = List.map (fun r -> Engine.unread r.c) senders in
  let before = unread () in
  let fast = comes (host 1) in
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[]
  done;
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted;
  Alcotest.(check (list int)) "all is there" before (unread ())

(* Those who were stuck when their peers did it are so no longer. *)
let time_wait_is_not_stuck () =
  let w, comes = crowd () in
  let senders = List.init 6 (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  let sends r flags octets =
    let tcb = Engine.tcb r.c in
    let h = segment ~src_port:1 ~flags ~seq:tcb.rcv_nxt ~ack:tcb.snd_nxt ~window:1000 in
    arrives w r.src h (Cstruct.create octets)
  in
  let needed () =
    (Engine.env w.engine).short <- true;
    Engine.flush w.engine ~now:w.time
  in
  List.iter
    (fun r ->
      Engine.shutdown w.engine ~now:w.time r.c;
      Engine.flush w.engine ~now:w.time;
      for _ = 1 to 40 do
        sends r Wire.Flags.ack 1460
      done)
    senders;
  needed ();
  w.time <- w.time + (3_100 * ms);
  needed ();
  Alcotest.(check int) "one had to go" 1 (Engine.stats w.engine).evicted;
  Alcotest.(check bool) "the others are stuck" true ((Engine.env w.engine).stuck_octets > 0);
  List.iter (fun r -> if stays r then sends r Wire.Flags.(ack lor fin) 0) senders;
  Engine.charge w.engine (List.hd senders).c memory;
  needed ();
  sum_is_right w;
  Alcotest.(check int) "nobody is stuck" 0 (Engine.env w.engine).stuck_octets

(* Its peer has not had the time yet to take the rest. *)
let who_holds_more_than_twice_as_much_begins_anew () =
  let w, comes = crowd ~memory:20_000 () in
  let r = comes (host 2) in
  let needed later =
    w.time <- w.time + (later * ms);
    (Engine.env w.engine).short <- true;
    Engine.flush w.engine ~now:w.time
  in
  let put octets = Result.get_ok (Engine.write w.engine r.c (Cstruct.create octets)) in
  put 20_000;
  needed 0;
  put 50_000;
  needed 2_900;
  needed 600;
  Alcotest.(check bool) "stays" true (stays r);
  needed 2_500;
  Alcotest.(check bool) "goes" false (stays r)

(* Wherever memory ends while one is to give way: who has gone is told, and who has not may have to go another time. *)
let without_memory prepare act () =
  let rec failures nth =
    let all = ref [] and log = ref [] in
    let accept c =
      let told = ref false in
      Engine.on_event c (function
        | Ended _ ->
            log := () :: !log;
            told := true
        | Connected | Readable | Writable -> ());
      all := (c, told) :: !all
    in
    let w = hosts ~places:40 ~memory ~accept () in
    prepare w all;
    let before = !all in
    Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted;
    let failed = Shortage.fails_at nth (fun () -> act w) in
    let gone = List.filter (fun (c, _) -> Engine.ended c) before in
    List.iter (fun (_, told) -> Alcotest.(check bool) "is told" true !told) gone;
    if not failed then Alcotest.(check int) "one had to go" 1 (List.length gone);
    (* Each is looked at, and then again when his patience is exhausted. *)
    for _ = 1 to 2 do
      w.time <- w.time + (20_000 * ms);
      Engine.advance w.engine ~now:w.time;
      for _ = 1 to 3 do
        Engine.set_bounds w.engine ~memory ~connections:0 ~time_wait:10
      done
    done;
    Alcotest.(check int) "all have to go" 0 (Engine.connections w.engine);
    Alcotest.(check int) "memory" 0 (Engine.memory w.engine);
    if failed then 1 + failures (nth + 1) else 0
  in
  let n = failures 1 in
  Alcotest.(check bool) "failures" true (n > 10)

let a_place_without_memory =
  without_memory
    (fun w _ ->
      for n = 1 to 40 do
        Alcotest.(check int) "one each" 1 (come w (host n) 1)
      done;
      Alcotest.(check int) "no room" 0 (come w (host 200) 2);
      w.time <- w.time + (100_000 * ms))
    (fun w -> ignore (comes w (host 200) 1 : bool))

let memory_without_memory =
  without_memory
    (fun w all ->
      List.iter (fun n -> Alcotest.(check int) "one each" 1 (come w (host n) 1)) [ 1; 2; 3; 4 ];
      let write (c, _) octets =
        Alcotest.(check bool)
          "written" true
          (Result.is_ok (Engine.write w.engine c (Cstruct.create octets)))
      in
      (match !all with
      | fast :: slow ->
          List.iter (fun r -> write r 110_000) slow;
          pass w 1;
          write fast 1000;
          pass w 1
      | [] -> ());
      pass w 2_990;
      (Engine.env w.engine).short <- true;
      pass w 1;
      w.time <- w.time + (3_100 * ms);
      (Engine.env w.engine).short <- true)
    (fun w -> Engine.flush w.engine ~now:w.time)

(* One of those in TIME-WAIT has to go, whose user has still to read. *)
let time_wait_without_memory =
  without_memory
    (fun w all ->
      for n = 1 to 40 do
        Alcotest.(check int) "one each" 1 (come w (host n) 1)
      done;
      List.iter
        (fun (c, _) ->
          ignore (Engine.read w.engine c);
          Engine.shutdown w.engine ~now:w.time c;
          Engine.flush w.engine ~now:w.time;
          let src, src_port = Engine.remote c and tcb = Engine.tcb c in
          let flags = Wire.Flags.(ack lor fin) in
          let fin = segment ~src_port ~flags ~seq:tcb.rcv_nxt ~ack:tcb.snd_nxt ~window:1000 in
          arrives w src fin Cstruct.empty;
          Alcotest.(check bool) "over" true (Engine.state c = Time_wait))
        !all)
    (fun w -> ignore (comes w (host 200) 1 : bool))

(* Who had begun to come is gone, wherever memory ends, and the port can be listened to again. *)
let unlisten_without_memory () =
  let rec failures nth =
    let w = hosts () in
    for n = 1 to 5 do
      let syn = segment ~src_port:1 ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000 in
      arrives w (host n) syn Cstruct.empty
    done;
    Alcotest.(check int) "half open" 5 (Engine.connections w.engine);
    let failed = Shortage.fails_at nth (fun () -> Engine.unlisten w.engine ~port) in
    if failed then Engine.unlisten w.engine ~port;
    Alcotest.(check int) "gone" 0 (Engine.connections w.engine);
    Alcotest.(check int) "told once" 5 (Engine.stats w.engine).resets_out;
    Alcotest.(check bool) "free" true (Result.is_ok (Engine.listen w.engine ~port ignore));
    if failed then 1 + failures (nth + 1) else 0
  in
  Alcotest.(check bool) "failures" true (failures 1 > 5)

(* Who guesses is nobody's newcomer. *)
let guesses () =
  let w = hosts () in
  Alcotest.(check int) "all places" places (come w (host 1) places);
  w.time <- 100_000 * ms;
  (* There are cookies to be guessed. *)
  let h = segment ~src_port:1 ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000 in
  let memory n = Engine.set_bounds w.engine ~memory:n ~connections:places ~time_wait:10 in
  memory 0;
  arrives w (host 3) h Cstruct.empty;
  memory 1_000_000;
  Alcotest.(check int) "a cookie" 1 (Engine.stats w.engine).cookies_sent;
  for i = 1 to 100 do
    let h = segment ~src_port:i ~flags:Wire.Flags.ack ~seq:i ~ack:i ~window:1000 in
    arrives w (host 2) h Cstruct.empty
  done;
  Alcotest.(check int) "each was looked at" 100 (Engine.stats w.engine).cookies_bad;
  Alcotest.(check int) "nobody had to go" 0 (Engine.stats w.engine).evicted;
  Alcotest.(check bool) "who proves it gets in" true (comes w (host 2) 1)

let () =
  Alcotest.run "floods"
    [
      ("bounds", [ Alcotest.test_case "fewer connections than there are" `Quick fewer ]);
      ( "places",
        [
          Alcotest.test_case "one host" `Quick (one_host host);
          Alcotest.test_case "one network of IPv6" `Quick (one_host network);
          Alcotest.test_case "many hosts" `Quick many_hosts;
          Alcotest.test_case "browsers" `Quick browsers;
          Alcotest.test_case "one host, after others" `Quick late_host;
          Alcotest.test_case "forged SYNs" `Quick forged;
          Alcotest.test_case "shares that are fair" `Quick shares_that_are_fair;
          Alcotest.test_case "guesses" `Quick guesses;
          Alcotest.test_case "one network of IPv4" `Quick
            (one_network (of_v4 "192.0.2") (of_v4 "198.51.100"));
          Alcotest.test_case "one large network of IPv6" `Quick
            (one_network (of_v6 "2001:db8:1") (of_v6 "2001:db8:2"));
          Alcotest.test_case "from another network" `Quick from_outside;
          Alcotest.test_case "no room yet" `Quick no_room_yet;
          Alcotest.test_case "memory ends while room is made" `Quick memory_ends;
          Alcotest.test_case "a few each" `Quick a_few_each;
          Alcotest.test_case "who is busy stays" `Quick who_is_busy_stays;
          Alcotest.test_case "without memory" `Quick a_place_without_memory;
          Alcotest.test_case "in TIME-WAIT, without memory" `Quick time_wait_without_memory;
          Alcotest.test_case "a listener that goes, without memory" `Quick unlisten_without_memory;
        ] );
      ( "memory",
        [
          Alcotest.test_case "slow readers alone" `Quick slow_readers_alone;
          Alcotest.test_case "slow readers beside others" `Quick slow_readers_beside_others;
          Alcotest.test_case "those who read" `Quick those_who_read;
          Alcotest.test_case "a large write" `Quick large_write;
          Alcotest.test_case "a segment each" `Quick a_segment_each;
          Alcotest.test_case "many writers" `Quick many_writers;
          Alcotest.test_case "ahead of a gap" `Quick ahead_of_a_gap;
          Alcotest.test_case "unread in TIME-WAIT" `Quick time_wait_unread;
          Alcotest.test_case "TIME-WAIT is not stuck" `Quick time_wait_is_not_stuck;
          Alcotest.test_case "more than twice as much" `Quick
            who_holds_more_than_twice_as_much_begins_anew;
          Alcotest.test_case "without memory" `Quick memory_without_memory;
        ] );
      ( "storms",
        List.map
          (fun (name, victims) -> Alcotest.test_case name `Quick (storm victims))
          [ ("client", `Client); ("server", `Server); ("both", `Both) ] );
      ("served", List.map (fun (name, f) -> Alcotest.test_case name `Quick (run f)) floods);
    ]
