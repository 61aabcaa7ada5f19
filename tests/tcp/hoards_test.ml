(* Memory that some hold and others need: who has to go, and who need not. *)

open Mirust_tcp
open Visitors

type reader = { src : Ipaddr.t; c : Engine.connection; mutable acked : Seq.t }

(* A server that writes as much as it can to all who come. *)
let crowd ?(memory = memory) () =
  let last = ref None in
  let w = server ~memory ~accept:(fun c -> last := Some c) () in
  let comes src =
    check_bool "gets in" true (comes w src 1);
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

(* The sum goes by those that there are. *)
let sum_is_right w =
  let stuck = ref 0 in
  Engine.iter w.engine (fun c -> stuck := !stuck + (Engine.tcb c).place.stuck);
  check_int "stuck with" !stuck (Engine.env w.engine).stuck_octets

let stays r = not (Engine.ended r.c)

(* Some who read nothing: all the memory is theirs. *)
let slow w comes n =
  let all = List.init n (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  List.iter (writes w) all;
  List.iter (fun r -> reads w r 1_000_000 ~window:0) all;
  List.iter (writes w) all;
  check_bool "all the memory" true (Engine.memory w.engine >= memory);
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
  check_bool "nobody needs it, and all stay" true (List.for_all stays slow)

let slow_readers_beside_others () =
  let w, comes = crowd () in
  let slow = slow w comes 3 in
  let fast = comes (host 1) in
  quarter_second w ~fast:[ fast ] ~slow;
  check_bool "a segment at a time" true (Engine.write_space w.engine fast.c <= 1460);
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow
  done;
  reads w fast 1_000_000 ~window:60_000;
  let space = Engine.write_space w.engine fast.c in
  if space < 50_000 then Alcotest.failf "room for %d octets" space;
  check_int "no more had to go than it took" 1 (Engine.stats w.engine).evicted

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
  check_bool "a little" true (Result.is_ok (Engine.write w.engine quiet.c (Cstruct.create 4096)));
  Engine.charge w.engine fast.c (memory + 1000);
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[]
  done;
  check_bool "memory is short" true (Engine.memory w.engine >= memory);
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted

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
  check_bool "memory is short" true (Engine.memory w.engine >= 40_000);
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted

(* Each of them holds little, and all together hold what others need. *)
let many_writers () =
  let w, comes = crowd () in
  let fast = comes (host 1) in
  let slow = List.init 50 (fun i -> comes (of_v4 "198.51.100" (i + 1))) in
  List.iter
    (fun r ->
      check_bool "a little" true (Result.is_ok (Engine.write w.engine r.c (Cstruct.create 1460)));
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
  check_bool "room" true (Engine.write_space w.engine fast.c > 10_000);
  sum_is_right w;
  check_bool "some had to go" true (stays fast && List.length !gone < 20)

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
  check_bool "all the memory" true (Engine.memory w.engine >= memory);
  let fast = comes (host 1) in
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[]
  done;
  let space = Engine.write_space w.engine fast.c in
  if space < 50_000 then Alcotest.failf "room for %d octets" space;
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted;
  List.iter
    (fun r ->
      sends r ~seq:3;
      check_bool "goes on" true (Engine.unread r.c >= 1460))
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
      check_bool "over" true (Engine.state r.c = Time_wait))
    senders;
  check_bool "all the memory" true (Engine.memory w.engine >= memory);
  let unread () = List.map (fun r -> Engine.unread r.c) senders in
  let before = unread () in
  let fast = comes (host 1) in
  for _ = 1 to 40 do
    quarter_second w ~fast:[ fast ] ~slow:[]
  done;
  check_int "nobody had to go" 0 (Engine.stats w.engine).evicted;
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
  check_int "one had to go" 1 (Engine.stats w.engine).evicted;
  check_bool "the others are stuck" true ((Engine.env w.engine).stuck_octets > 0);
  List.iter (fun r -> if stays r then sends r Wire.Flags.(ack lor fin) 0) senders;
  Engine.charge w.engine (List.hd senders).c memory;
  needed ();
  sum_is_right w;
  check_int "nobody is stuck" 0 (Engine.env w.engine).stuck_octets

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
  check_bool "stays" true (stays r);
  needed 2_500;
  check_bool "goes" false (stays r)

let memory_without_memory =
  without_memory
    (fun w all ->
      List.iter (fun n -> check_int "one each" 1 (come w (host n) 1)) [ 1; 2; 3; 4 ];
      let write (c, _) octets =
        check_bool "written" true (Result.is_ok (Engine.write w.engine c (Cstruct.create octets)))
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

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "hoards"
    [
      ( "what is not read by peers",
        [
          case "slow readers alone" slow_readers_alone;
          case "slow readers beside others" slow_readers_beside_others;
          case "those who read" those_who_read;
          case "a large write" large_write;
          case "a segment each" a_segment_each;
          case "many writers" many_writers;
          case "more than twice as much" who_holds_more_than_twice_as_much_begins_anew;
          case "without memory" memory_without_memory;
        ] );
      ( "what is not read here",
        [
          case "ahead of a gap" ahead_of_a_gap;
          case "unread in TIME-WAIT" time_wait_unread;
          case "TIME-WAIT is not stuck" time_wait_is_not_stuck;
        ] );
    ]
