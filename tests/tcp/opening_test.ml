(* New connections: their numbers, ports and sizes, between whom there can be one, and when there is no room. *)

open Mirust_tcp

let case name f = Alcotest.test_case name `Quick f
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)
let host n = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 n)

let engine ?(config = Engine.default_config) ?(secret = 'a') ?(mss = fun ~dst:_ -> 1460) () =
  Engine.create ~config ~now:0
    ~random:(fun n -> String.make n secret)
    ~mss
    ~can_send:(fun () -> true)
    (fun ~src:_ ~dst:_ ~ect:_ _ _ ~length:_ ~segment_size:_ -> ())

let connect ?(now = 0) ?src_port ?(to_ = 2) ?(dst_port = 80) e =
  Engine.connect e ~now ?src_port ~src:(host 1) ~dst:(host to_) ~dst_port ignore

let opened = function Ok c -> c | Error _ -> Alcotest.fail "no connection"
let iss c = (Engine.tcb (opened c)).iss
let port c = snd (Engine.local (opened c))

(* RFC 6528: for one name the numbers follow a clock of 4 us; for others they say nothing. *)
let initial_numbers () =
  let e = engine () in
  let first = connect ~src_port:1000 e in
  Engine.abort e (opened first);
  let again = connect ~src_port:1000 ~now:1_000_000_000 e in
  check_int "a second later" 250_000 (Seq.diff (iss again) (iss first));
  let far a b = abs (Seq.diff (iss a) (iss b)) > 1_000_000 in
  check_bool "another port" true (far first (connect ~src_port:1001 e));
  check_bool "another host" true (far first (connect ~src_port:1000 ~to_:3 e));
  check_bool "another secret" true (far first (connect ~src_port:1000 (engine ~secret:'b' ())))

(* RFC 6056 section 3.3.3: one destination's ports say nothing of another's. *)
let ports_are_hard_to_guess () =
  let e = engine () in
  let ports to_ = List.init 10 (fun _ -> port (connect ~to_ e)) in
  let a = ports 2 and b = ports 3 in
  let all = List.sort_uniq compare a in
  check_int "not used twice" 10 (List.length all);
  check_bool "dynamic" true (List.for_all (fun p -> p >= 32768 && p <= 65535) (a @ b));
  check_bool "elsewhere" true (List.for_all (fun p -> List.for_all (fun q -> abs (p - q) > 20) b) a);
  let other = port (connect (engine ~secret:'b' ())) in
  check_bool "not known without the secret" true (abs (other - List.hd a) > 20)

let out_of_ports () =
  let e = engine ~config:{ Engine.default_config with connections_max = 100_000 } () in
  for _ = 1 to 32768 do
    ignore (opened (connect e) : Engine.connection)
  done;
  check_bool "an error" true (connect e = Error `No_port);
  check_bool "elsewhere there are some" true (Result.is_ok (connect ~to_:3 e))

(* To an own address, the port that is connected to is not chosen: that would be a connection with itself. *)
let never_with_itself () =
  let e = engine ~config:{ Engine.default_config with connections_max = 100_000 } () in
  let connect () = connect ~to_:1 ~dst_port:40_000 e in
  for _ = 1 to 32767 do
    check_bool "another port" false (port (connect ()) = 40_000)
  done;
  check_bool "all others are taken" true (connect () = Error `No_port)

let out_of_connections () =
  let e = engine ~config:{ Engine.default_config with connections_max = 1 } () in
  let only = opened (connect e) in
  check_bool "an error" true (connect e = Error `No_memory);
  Engine.abort e only;
  check_bool "room again" true (Result.is_ok (connect e))

(* Connections whose peers do not read hold all memory: there is still a segment's for another one. *)
let others_hold_all_memory () =
  let e = engine ~config:{ Engine.default_config with memory_max = 1000 } () in
  let put = Engine.write e (opened (connect e)) (Cstruct.create 2000) in
  check_bool "written" true (Result.is_ok put && Engine.memory e >= 1000);
  let another = opened (connect e) in
  check_bool "a segment" true (Engine.write_space e another > 0)

(* The domain has got more memory, or has less. *)
let bounds_follow () =
  let e = engine ~config:{ Engine.default_config with connections_max = 1 } () in
  let bounds n = Engine.set_bounds e ~memory:100_000 ~connections:n ~time_wait:1 in
  let first = opened (connect e) in
  bounds 2;
  let second = opened (connect e) in
  check_bool "no third one" true (connect e = Error `No_memory);
  bounds 1;
  List.iter (fun c -> check_bool "lives on" true (Engine.state c = Syn_sent)) [ first; second ];
  Engine.abort e first;
  check_bool "still one" true (connect e = Error `No_memory);
  Engine.abort e second;
  check_bool "room again" true (Result.is_ok (connect e));
  let backlog n =
    bounds n;
    (Engine.env e).config.backlog
  in
  check_int "a quarter" 25 (backlog 100);
  check_int "at least one" 1 (backlog 1);
  check_int "more again" 100 (backlog 400);
  check_int "what was wanted" Engine.default_config.backlog (backlog 1_000_000)

(* It costs the connection at which memory runs out, and the others hear of the link. *)
let link_changes_while_memory_is_short () =
  let path = ref 1460 and short = ref false in
  let mss ~dst:_ =
    if !short then (
      short := false;
      raise Out_of_memory);
    !path
  in
  let e = engine ~mss () in
  let all = List.init 10 (fun i -> opened (connect ~to_:(2 + i) e)) in
  path := 1000;
  short := true;
  check_bool "is told" true
    (match Engine.link_changed e ~now:1 with () -> false | exception Out_of_memory -> true);
  let gone, left = List.partition Engine.ended all in
  check_int "one is lost" 1 (List.length gone);
  List.iter (fun c -> check_int "the others" 1000 (Engine.tcb c).path_mss) left

(* Wherever memory ends while one is opened, or ends because its peer cannot be reached: it is there, or its user
   knows. *)
let handshake_without_memory act () =
  let rec failures nth =
    let e = engine () and told = ref false and log = ref [] in
    let notify _ =
      log := () :: !log;
      told := true
    in
    let result = ref (Error `Invalid) in
    let failed =
      Shortage.fails_at nth (fun () ->
          result := Engine.connect e ~now:0 ~src:(host 1) ~dst:(host 2) ~dst_port:80 notify;
          act e (opened !result))
    in
    (match !result with
    | Error _ -> check_int "it is not there" 0 (Engine.connections e)
    | Ok c -> check_bool "it is told" (Engine.ended c) !told);
    if failed then 1 + failures (nth + 1)
    else (
      check_bool "it has ended" true !told;
      0)
  in
  check_bool "failures" true (failures 1 > 10)

let port_of c = snd (Engine.local c)

let unreachable e c =
  let seq = (Engine.tcb c).iss and src_port = port_of c in
  ignore
    (Engine.unreachable e ~now:0 ~src:(host 1) ~dst:(host 2) ~src_port ~dst_port:80 ~seq `Port
      : bool)

let no_neighbour e c =
  let src_port = port_of c in
  ignore (Engine.no_neighbour e ~now:0 ~src:(host 1) ~dst:(host 2) ~src_port ~dst_port:80 : bool)

let syn =
  let module Wire = Mirust_wire.Tcp in
  { (Wire.create ()) with src_port = 5000; dst_port = 80; flags = Wire.Flags.syn; window = 1000 }

(* Neither to nor from what is not of one host, nor from one family to the other. *)
let addresses () =
  let hosts = [ "192.0.2.9"; "fe80::9" ] in
  let others =
    [ "0.0.0.0"; "255.255.255.255"; "224.0.0.1"; "239.255.255.255"; "::"; "ff02::1"; "ff0e::9" ]
  in
  let ip = Ipaddr.of_string_exn in
  let is_v4 a = String.contains a '.' in
  let e = engine () in
  let answers ~src ~dst =
    let before = (Engine.stats e).segments_out in
    Engine.input e ~now:0 ~src:(ip src) ~dst:(ip dst) ~ce:false syn Cstruct.empty;
    (Engine.stats e).segments_out > before || (Engine.stats e).resets_out > 0
  in
  let connect ?src_port ?(dst_port = 80) src dst =
    match Engine.connect e ~now:0 ?src_port ~src:(ip src) ~dst:(ip dst) ~dst_port ignore with
    | Ok c ->
        Engine.abort e c;
        true
    | Error `Invalid -> false
    | Error (`No_port | `No_memory) -> Alcotest.fail "connect"
  in
  List.iter
    (fun host ->
      let same = List.filter (fun a -> is_v4 a = is_v4 host) others in
      List.iter
        (fun other ->
          check_bool ("from " ^ other) false (connect other host);
          check_bool ("to " ^ other) false (connect host other);
          check_bool ("a SYN from " ^ other) false (answers ~src:other ~dst:host);
          check_bool ("a SYN to " ^ other) false (answers ~src:host ~dst:other))
        same;
      check_bool "to a host" true (connect host host))
    hosts;
  check_bool "two families" false (connect "192.0.2.9" "fe80::9");
  check_bool "two families" false (connect "fe80::9" "192.0.2.9");
  List.iter
    (fun port ->
      check_bool "to no port" false (connect ~dst_port:port "192.0.2.9" "192.0.2.8");
      check_bool "from no port" false (connect ~src_port:port "192.0.2.9" "192.0.2.8"))
    [ min_int; -1; 0; 65536; max_int ];
  List.iter
    (fun port ->
      check_bool "to the last one" true (connect ~dst_port:port "192.0.2.9" "192.0.2.8");
      check_bool "from it" true (connect ~src_port:port "192.0.2.9" "192.0.2.8"))
    [ 1; 65535 ];
  check_bool "a SYN to a host" true (answers ~src:"fe80::9" ~dst:"fe80::8")

(* A peer that announces none (RFC 9293 section 3.7.1). *)
let size_that_is_assumed () =
  let size us peer =
    let us = Ipaddr.of_string_exn us and peer = Ipaddr.of_string_exn peer in
    let e = engine () in
    Result.get_ok (Engine.listen e ~port:80 ignore);
    Engine.input e ~now:0 ~src:peer ~dst:us ~ce:false syn Cstruct.empty;
    let c = Engine.lookup e ~local:(us, 80) ~remote:(peer, syn.src_port) in
    (Engine.info (Option.get c)).mss
  in
  check_int "IPv4" 536 (size "192.0.2.1" "192.0.2.2");
  check_int "IPv6" 1220 (size "2001:db8::1" "2001:db8::2")

let () =
  Alcotest.run "opening"
    [
      ( "numbers and ports",
        [
          case "initial numbers" initial_numbers;
          case "ports are hard to guess" ports_are_hard_to_guess;
          case "out of ports" out_of_ports;
          case "never with itself" never_with_itself;
          case "addresses and ports" addresses;
          case "no size announced" size_that_is_assumed;
        ] );
      ( "room",
        [
          case "out of connections" out_of_connections;
          case "others hold all memory" others_hold_all_memory;
          case "bounds follow" bounds_follow;
          case "the link changes while memory is short" link_changes_while_memory_is_short;
          case "refused without memory" (handshake_without_memory unreachable);
          case "nobody there without memory" (handshake_without_memory no_neighbour);
        ] );
    ]
