(* Strangers flood a server while a client of good standing uses it: the client is served, what the
   server holds stays bounded, and it answers no more than it must. *)

open Mirust_tcp
open Visitors

let client_ip = Ipaddr.of_string_exn "10.0.0.2"
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
        check_int "echo" size !got
  done;
  check_bool "memory" true (!most_memory < 1_100_000);
  check_bool "connections" true (!most_connections <= 1000);
  (* SYNs are answered one by one, by cookies that cost nothing; all else is limited. *)
  let stats = Engine.stats w.server in
  let seconds = 1 + (w.now / (1000 * ms)) in
  check_bool "resets" true (stats.resets_out <= (seconds * 1000) + 1000);
  check_bool "challenges" true (stats.challenge_acks <= (seconds * 1000) + 1000)

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
  check_int "idle" 0 (seconds 1);
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
  check_bool "the first ten seconds" true (seconds 10 < 40);
  ignore (seconds 100 : int);
  check_bool "later" true (seconds 100 < 10);
  check_bool "up" true (Engine.state c = Established && Engine.state s = Established)

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
  check_int "they came" 300 (Engine.connections w.server);
  bounds 50;
  check_int "nobody's patience has been tried" 300 (Engine.connections w.server);
  w.now <- 5_000 * ms;
  Engine.advance w.server ~now:w.now;
  bounds 50;
  check_int "now it has" 50 (Engine.connections w.server);
  check_int "each is told by a reset" 250 (Engine.stats w.server).evicted;
  bounds 60;
  w.now <- 5_001 * ms;
  for i = 1 to 20 do
    knock w ~port:(2000 + i)
  done;
  check_int "and newcomers find room up to the bound" 60 (Engine.connections w.server)

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "floods"
    [
      ("bounds", [ case "fewer connections than there are" fewer ]);
      ( "storms",
        List.map
          (fun (name, victims) -> case name (storm victims))
          [ ("client", `Client); ("server", `Server); ("both", `Both) ] );
      ("served", List.map (fun (name, f) -> case name (run f)) floods);
    ]
