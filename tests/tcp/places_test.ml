(* Who gets a place when all are taken, and who has to give way. *)

open Mirust_tcp
open Visitors

(* Those of one network of IPv6, as a hundred in a row are, count as one host. *)
let network n = Ipaddr.of_string_exn (Printf.sprintf "2001:db8:0:%x::%x" (n / 100) n)

let one_host address () =
  let w = server () in
  let first = address 1 and second = address 100 in
  check_int "one host takes all" places (come w first places);
  check_bool "another one gets in" true (comes w second 1);
  check_bool "the first gets no more" false (comes w first 1);
  let n = 1 + come w second (2 * places) in
  if n < 16 || n > 48 then Alcotest.failf "%d of %d for the second" n places;
  check_bool "a third" true (comes w (address 200) 1)

(* Nobody has much, and all have moved something lately. *)
let many_hosts () =
  let w = server () in
  for n = 1 to places / 2 do
    check_int "two each" 2 (come w (host n) 2)
  done;
  check_bool "no room" false (comes w (host 200) 1);
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted

(* As browsers do: five at once are neighbours in the order of arrival, and yet few among all. *)
let browsers () =
  let w = server () in
  for n = 1 to 12 do
    check_int "five each" 5 (come w (host n) 5)
  done;
  for n = 13 to 16 do
    check_int "and one each" 1 (come w (host n) 1)
  done;
  check_bool "no room" false (comes w (host 200) 1);
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted

(* Who came long before the host that has the most does not hide it. *)
let late_host () =
  let w = server ~places:256 () in
  for n = 2 to 129 do
    check_int "one each" 1 (come w (host n) 1)
  done;
  check_int "half of all places" 128 (come w (host 1) 128);
  for n = 200 to 250 do
    check_bool "a newcomer gets in" true (comes w (host n) 1)
  done;
  for n = 2 to 129 do
    check_bool "nobody else has to go" true (is_in w (host n) 1001)
  done

(* SYNs in somebody's name make nobody the host that has the most. *)
let forged () =
  let w = server () in
  for n = 2 to 33 do
    check_int "one each" 1 (come w (host n) 1)
  done;
  check_int "four connections" 4 (come w (host 1) 4);
  for src_port = 1 to 16 do
    let h = segment ~src_port ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000 in
    arrives w (host 1) h Cstruct.empty
  done;
  for n = 34 to 45 do
    check_int "and one each" 1 (come w (host n) 1)
  done;
  check_int "all places" places (Engine.connections w.engine);
  check_bool "no room" false (comes w (host 200) 1);
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted

(* It has one less, and the other would have one less then: they would only change places. *)
let shares_that_are_fair () =
  let w = server ~places:16 () in
  List.iter
    (fun (n, all) -> check_int "all get in" all (come w (host n) all))
    [ (1, 8); (2, 7); (3, 1) ];
  check_bool "no room" false (comes w (host 2) 1);
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted;
  check_bool "who has less by two gets in" true (comes w (host 3) 1)

(* A network whose hosts take one place each has no more than another's. *)
let one_network first second () =
  let w = server () in
  for n = 1 to places do
    check_int "one each" 1 (come w (first n) 1)
  done;
  check_bool "no more of that network" false (comes w (first 200) 1);
  check_bool "another one gets in" true (comes w (second 1) 1);
  check_bool "once, as all others" false (comes w (second 1) 2);
  let n = List.length (List.filter (fun n -> comes w (second n) 1) (List.init places succ)) in
  if n < 24 || n > 32 then Alcotest.failf "%d of %d for the second" n places;
  check_bool "a third" true (comes w (Ipaddr.of_string_exn "203.0.113.1") 1)

(* Nobody takes more from a crowd of another network than each of them has. *)
let from_outside () =
  let w = server () in
  for n = 1 to places / 2 do
    check_int "two each" 2 (come w (host n) 2)
  done;
  check_int "as many" 2 (come w (of_v4 "203.0.113" 1) 10);
  check_int "as many had to go" 2 (Engine.stats w.engine).evicted

(* No network is too small to give a place to one that has none. *)
let a_few_each () =
  let w = server ~places:63 () in
  for network = 1 to 9 do
    for n = 1 to 7 do
      check_int "one each" 1 (come w (of_v4 (Printf.sprintf "192.0.%d" network) n) 1)
    done
  done;
  for network = 1 to 8 do
    let src = of_v4 (Printf.sprintf "203.0.%d" network) 1 in
    check_bool "gets in" true (comes w src 1)
  done

(* Of a network that has to give a place to others, who uses his keeps it. *)
let who_is_busy_stays () =
  let w = server () in
  for n = 1 to places / 2 do
    check_int "one each" 1 (come w (host n) 1)
  done;
  for n = 1 to places / 2 do
    check_int "of a network each" 1 (come w (of_v4 (Printf.sprintf "192.1.%d" n) 1) 1)
  done;
  (* All have been looked at before. *)
  check_bool "no room" false (comes w (host 200) 1);
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
    check_bool "gets in" true (comes w (of_v4 (Printf.sprintf "203.0.%d" n) 1) 1)
  done;
  List.iter (fun busy -> check_bool "stays" true (is_in w (host busy) 1001)) [ 1; 2; places / 2 ]

(* An acknowledgement that has no room is neither let in nor refused: what follows it may find room. *)
let no_room_yet () =
  let w = server () in
  for n = 1 to places / 2 do
    check_int "two each" 2 (come w (host n) 2)
  done;
  let src = host 200 in
  arrives w src (segment ~src_port:1 ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000) Cstruct.empty;
  let ack = match !(w.sent) with Some h -> Seq.add h.seq 1 | None -> Alcotest.fail "no cookie" in
  let says ?(seq = 2) ?(flags = Wire.Flags.ack) text =
    arrives w src (segment ~src_port:1 ~flags ~seq ~ack ~window:1000) (Cstruct.of_string text)
  in
  says "";
  check_bool "nothing is said to it" true (!(w.sent) = None);
  says "request";
  check_bool "nor to the first octets" true (!(w.sent) = None);
  Engine.iter w.engine (fun c ->
      if fst (Engine.remote c) = host 1 && snd (Engine.remote c) = 1001 then Engine.abort w.engine c);
  says "request";
  check_bool "when they come again there is room" true (is_in w src 1);
  (* Who asks whether anybody is there learns that nobody is. *)
  Engine.iter w.engine (fun c -> if fst (Engine.remote c) = src then Engine.abort w.engine c);
  says ~seq:1 "";
  match !(w.sent) with
  | Some h when Wire.Flags.(has h.flags rst) -> ()
  | Some _ | None -> Alcotest.fail "a probe is refused"

(* At any allocation of what a newcomer causes: nobody has a place for ever. *)
let memory_ends () =
  let w = server () in
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

let a_place_without_memory =
  without_memory
    (fun w _ ->
      for n = 1 to 40 do
        check_int "one each" 1 (come w (host n) 1)
      done;
      check_int "no room" 0 (come w (host 200) 2);
      w.time <- w.time + (100_000 * ms))
    (fun w -> ignore (comes w (host 200) 1 : bool))

(* One of those in TIME-WAIT has to go, whose user has still to read. *)
let time_wait_without_memory =
  without_memory
    (fun w all ->
      for n = 1 to 40 do
        check_int "one each" 1 (come w (host n) 1)
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
          check_bool "over" true (Engine.state c = Time_wait))
        !all)
    (fun w -> ignore (comes w (host 200) 1 : bool))

(* Who had begun to come is gone, wherever memory ends, and the port can be listened to again. *)
let unlisten_without_memory () =
  let rec failures nth =
    let w = server () in
    for n = 1 to 5 do
      let syn = segment ~src_port:1 ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000 in
      arrives w (host n) syn Cstruct.empty
    done;
    check_int "half open" 5 (Engine.connections w.engine);
    let failed = Shortage.fails_at nth (fun () -> Engine.unlisten w.engine ~port) in
    if failed then Engine.unlisten w.engine ~port;
    check_int "gone" 0 (Engine.connections w.engine);
    check_int "told once" 5 (Engine.stats w.engine).resets_out;
    check_bool "free" true (Result.is_ok (Engine.listen w.engine ~port ignore));
    if failed then 1 + failures (nth + 1) else 0
  in
  check_bool "failures" true (failures 1 > 5)

(* Who guesses is nobody's newcomer. *)
let guesses () =
  let w = server () in
  check_int "all places" places (come w (host 1) places);
  w.time <- 100_000 * ms;
  (* There are cookies to be guessed. *)
  let h = segment ~src_port:1 ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000 in
  let memory n = Engine.set_bounds w.engine ~memory:n ~connections:places ~time_wait:10 in
  memory 0;
  arrives w (host 3) h Cstruct.empty;
  memory 1_000_000;
  check_int "a cookie" 1 (Engine.stats w.engine).cookies_sent;
  for i = 1 to 100 do
    let h = segment ~src_port:i ~flags:Wire.Flags.ack ~seq:i ~ack:i ~window:1000 in
    arrives w (host 2) h Cstruct.empty
  done;
  check_int "each was looked at" 100 (Engine.stats w.engine).cookies_bad;
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted;
  check_bool "who proves it gets in" true (comes w (host 2) 1)

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "places"
    [
      ( "hosts",
        [
          case "one host" (one_host host);
          case "one network of IPv6" (one_host network);
          case "many hosts" many_hosts;
          case "browsers" browsers;
          case "one host, after others" late_host;
          case "forged SYNs" forged;
          case "shares that are fair" shares_that_are_fair;
          case "guesses" guesses;
          case "no room yet" no_room_yet;
        ] );
      ( "networks",
        [
          case "of IPv4" (one_network host (of_v4 "198.51.100"));
          case "large ones of IPv6" (one_network (of_v6 "2001:db8:1") (of_v6 "2001:db8:2"));
          case "from another one" from_outside;
          case "a few each" a_few_each;
          case "who is busy stays" who_is_busy_stays;
        ] );
      ( "without memory",
        [
          case "while room is made" memory_ends;
          case "who has to go" a_place_without_memory;
          case "in TIME-WAIT" time_wait_without_memory;
          case "a listener that goes" unlisten_without_memory;
        ] );
    ]
