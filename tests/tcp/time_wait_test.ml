(* How long connections stay in TIME-WAIT, and how many. The engine listens, and closes first. *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp

let second = 1_000_000_000
let us = Ipaddr.of_string_exn "192.0.2.1"
let peer = Ipaddr.of_string_exn "192.0.2.2"
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)

type world = {
  engine : Engine.t;
  mutable now : int;
  last : Wire.t ref; (* the segment that we have sent last *)
  accepted : Engine.connection option ref;
}

let make ?(time_wait_max = 1000) () =
  let config = { Engine.default_config with time_wait_max } in
  let last = ref (Wire.create ()) and accepted = ref None in
  let engine =
    Engine.create ~config ~now:second
      ~random:(fun n -> String.make n 'r')
      ~mss:(fun ~dst:_ -> 1460)
      ~can_send:(fun () -> true)
      (fun ~src:_ ~dst:_ ~ect:_ h _ ~length:_ ~segment_size:_ -> last := { h with seq = h.seq })
  in
  Result.get_ok (Engine.listen engine ~port:80 (fun c -> accepted := Some c));
  { engine; now = second; last; accepted }

let turn w =
  Engine.advance w.engine ~now:w.now;
  Engine.flush w.engine ~now:w.now

let wait w seconds =
  for _ = 1 to seconds do
    w.now <- w.now + second;
    turn w
  done

let segment w ~port ~seq ~ack flags =
  let header =
    {
      Wire.src_port = port;
      dst_port = 80;
      seq;
      ack;
      flags;
      window = 65535;
      urgent = 0;
      options = Wire.no_options;
      header_length = 20;
    }
  in
  Engine.input w.engine ~now:w.now ~src:peer ~dst:us ~ce:false header Cstruct.empty;
  turn w

(* From the peer's [port], ended by both sides: by [close], or by something that leaves it to its user. *)
let in_time_wait w ?(close = Engine.close) port =
  w.accepted := None;
  segment w ~port ~seq:0 ~ack:0 Wire.Flags.syn;
  let ack = Seq.add !(w.last).seq 1 in
  segment w ~port ~seq:1 ~ack Wire.Flags.ack;
  let c = Option.get !(w.accepted) in
  close w.engine ~now:w.now c;
  turn w;
  segment w ~port ~seq:1 ~ack:(Seq.add ack 1) Wire.Flags.(fin lor ack);
  c

let rest w port = ignore (in_time_wait w port : Engine.connection)
let there w port = Engine.lookup w.engine ~local:(us, 80) ~remote:(peer, port) <> None

(* It comes back each time with the end that it had. *)
let segments_do_not_prolong_it () =
  let w = make () in
  rest w 1000;
  let ack = Seq.add !(w.last).ack 0 and snd_nxt = !(w.last).seq in
  check_int "rests" 1 (Engine.connections w.engine);
  wait w 25;
  rest w 1001;
  wait w 25;
  (* It goes behind the other. *)
  segment w ~port:1000 ~seq:ack ~ack:snd_nxt Wire.Flags.ack;
  check_int "both" 2 (Engine.connections w.engine);
  check_int "rests again" 0 (Engine.env w.engine).lingering;
  wait w 9;
  check_bool "59 s" true (there w 1000);
  turn w;
  wait w 2;
  check_bool "61 s" false (there w 1000);
  check_int "the other" 1 (Engine.connections w.engine);
  check_bool "is there" true (there w 1001)

let fewer_are_allowed () =
  let w = make () in
  List.iter (rest w) [ 1000; 1001; 1002; 1003; 1004 ];
  Engine.set_bounds w.engine ~memory:1_000_000 ~connections:100 ~time_wait:2;
  check_int "left" 2 (Engine.connections w.engine);
  check_bool "the youngest" true (there w 1003 && there w 1004)

(* Those that their users have not closed wait whole; what has been aborted since does not count. *)
let those_that_are_gone_do_not_count () =
  let w = make ~time_wait_max:10 () in
  let lingering = in_time_wait w ~close:Engine.shutdown in
  let oldest = lingering 1000 in
  List.iter (rest w) [ 1001; 1002; 1003 ];
  for port = 2000 to 2199 do
    let c = lingering port in
    check_bool "waits" true (Engine.state c = Time_wait);
    Engine.abort w.engine c
  done;
  check_int "none is pushed out" 0 (Engine.stats w.engine).time_wait_dropped;
  check_int "all the others" 4 (Engine.connections w.engine);
  check_bool "are remembered no longer" true (Queue.length (Engine.env w.engine).waiting < 100);
  check_bool "the oldest" true (Engine.state oldest = Time_wait);
  (* The bound is one. *)
  for port = 3000 to 3019 do
    ignore (lingering port : Engine.connection)
  done;
  check_int "at most" 10 (Engine.connections w.engine)

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "TIME-WAIT"
    [
      ("time", [ case "segments do not prolong it" segments_do_not_prolong_it ]);
      ( "number",
        [
          case "fewer are allowed" fewer_are_allowed;
          case "those that are gone do not count" those_that_are_gone_do_not_count;
        ] );
    ]
