(* What one turn of a connection may come to: how much is sent in it, and how much a slow reader is sent. *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp

let ms = 1_000_000
let us_ip = Ipaddr.of_string_exn "192.0.2.1"
let peer_ip = Ipaddr.of_string_exn "192.0.2.2"
let mss = 8960

type world = {
  engine : Engine.t;
  mutable now : int;
  mutable peer_next : int;
  highest : int ref; (* behind what we have sent *)
  sent : int ref; (* octets, those that were sent again too *)
  segments : int ref;
  room : int ref; (* octets that the device still takes *)
  path : int ref; (* what a packet carries *)
  window : int ref; (* that we last advertised, scaled *)
}

let segment w ?(options = Wire.no_options) ?(payload = Cstruct.empty) flags =
  let header =
    {
      Wire.src_port = 5000;
      dst_port = 80;
      seq = w.peer_next;
      ack = !(w.highest);
      flags;
      window = 65535;
      urgent = 0;
      options;
      header_length = 20;
    }
  in
  Engine.input w.engine ~now:w.now ~src:peer_ip ~dst:us_ip ~ce:false header payload;
  let syn = Bool.to_int Wire.Flags.(has flags syn) in
  w.peer_next <- w.peer_next + Cstruct.length payload + syn

let turn w =
  w.now <- w.now + ms;
  Engine.advance w.engine ~now:w.now;
  Engine.flush w.engine ~now:w.now

let established ?burst ?(pacing = false) () =
  let highest = ref 0 and window = ref 0 and conn = ref None in
  let sent = ref 0 and segments = ref 0 and room = ref max_int and path = ref mss in
  let burst = Option.map (fun n ~src:_ ~dst:_ -> n) burst in
  let config = { Engine.default_config with pacing } in
  let transmit ~src:_ ~dst:_ ~ect:_ (h : Wire.t) _ ~length ~segment_size:_ =
    let syn = Wire.Flags.(has h.flags syn) in
    sent := !sent + length;
    incr segments;
    room := !room - length;
    window := if syn then h.window else h.window lsl Tcb.wscale_for config.receive_buffer_max;
    highest := if syn then Seq.add h.seq 1 else Seq.max !highest (Seq.add h.seq length)
  in
  let engine =
    Engine.create ~config ?burst ~now:ms
      ~random:(fun n -> String.make n 'r')
      ~mss:(fun ~dst:_ -> !path)
      ~can_send:(fun () -> !room > 0)
      transmit
  in
  let w = { engine; now = ms; peer_next = 0; highest; sent; segments; room; path; window } in
  Result.get_ok (Engine.listen engine ~port:80 (fun c -> conn := Some c));
  segment w Wire.Flags.syn ~options:{ Wire.no_options with mss; window_scale = 14 };
  turn w;
  segment w Wire.Flags.ack;
  turn w;
  (w, Option.get !conn)

(* ---- Sending ---- *)

let fill w c =
  let chunk = Cstruct.create 65536 in
  while Engine.write_space w.engine c >= 65536 do
    Result.get_ok (Engine.write w.engine c chunk)
  done

let most = 256 * 1024

let rec turns w =
  turn w;
  if Engine.has_more w.engine then turns w

let cwnd c = Cc.cwnd (Engine.tcb c).cc

(* The windows grow until they are no bound. *)
let open_windows w c =
  while cwnd c < 6 * most do
    fill w c;
    turns w;
    segment w Wire.Flags.ack
  done;
  fill w c

let a_turn_sends_so_much () =
  let w, c = established ~burst:most () in
  open_windows w c;
  let turns = ref 0 in
  let rec send () =
    let before = !(w.highest) in
    turn w;
    let sent = Seq.diff !(w.highest) before in
    if sent > most then Alcotest.failf "%d octets in a turn" sent;
    if Engine.has_more w.engine then (
      if sent < most - 65536 then Alcotest.failf "only %d octets in a turn, and there are more" sent;
      Alcotest.(check bool) "the next turn is due at once" true (Engine.next w.engine <= w.now);
      incr turns;
      send ())
  in
  send ();
  if !turns < 3 then Alcotest.failf "all was sent in %d turns" !turns

let a_turn_sends_all_that_it_may () =
  let most = 4 * (Engine.default_config.gso_max / mss * mss) in
  let w, c = established ~burst:most () in
  open_windows w c;
  let before = !(w.highest) in
  turn w;
  Alcotest.(check int) "octets" most (Seq.diff !(w.highest) before);
  Alcotest.(check bool) "of more" true (Engine.has_more w.engine)

(* What has got lost, or does not fit through the path any more, goes again: no faster than the rest. *)
let what_is_sent_again_counts () =
  let w, c = established ~burst:most () in
  open_windows w c;
  turns w;
  let lost = Tcb.in_flight (Engine.tcb c) in
  if lost < 4 * most then Alcotest.failf "only %d octets in flight" lost;
  w.path := 1400;
  Engine.link_changed w.engine ~now:w.now;
  let first = !(w.sent) in
  let rec send () =
    let before = !(w.sent) in
    turn w;
    let sent = !(w.sent) - before in
    if sent > most then Alcotest.failf "%d octets in a turn" sent;
    if Engine.has_more w.engine then send ()
  in
  send ();
  if !(w.sent) - first < lost then Alcotest.failf "only %d of %d" (!(w.sent) - first) lost

(* Of the window only a part is used, as only so much is sent between two acknowledgements: it does not grow
   beyond what has been tried out. *)
let stays_small ?burst ~room () =
  let w, c = established ?burst () in
  let in_flight = ref 0 in
  for _ = 1 to 50 do
    w.room := room;
    Engine.resume w.engine;
    fill w c;
    turn w;
    in_flight := Int.max !in_flight (Tcb.in_flight (Engine.tcb c));
    segment w Wire.Flags.ack
  done;
  if cwnd c > 3 * !in_flight then
    Alcotest.failf "%d octets in flight, and a window of %d" !in_flight (cwnd c)

let a_turn's_end_is_no_use_of_the_window = stays_small ~burst:65536 ~room:max_int
let a_full_device_is_no_use_of_the_window = stays_small ~room:65536

(* One tick's worth has gone, and a large segment may follow only with the next tick: that is no matter of turns. *)
let what_the_pace_holds_back_asks_for_no_turn () =
  let w, c = established ~burst:65536 ~pacing:true () in
  while cwnd c < 200_000 do
    fill w c;
    for _ = 1 to 100 do
      turn w
    done;
    segment w Wire.Flags.ack
  done;
  fill w c;
  let before = !(w.sent) in
  turn w;
  Alcotest.(check bool) "something is sent" true (!(w.sent) > before);
  Alcotest.(check bool) "the rest has its time" true ((Engine.tcb c).pace_at < max_int);
  Alcotest.(check bool) "and no turn at once" false (Engine.has_more w.engine)

let what_waits_for_its_turn_may_be_aborted () =
  let w, c = established ~burst:most () in
  while not (Engine.has_more w.engine) do
    segment w Wire.Flags.ack;
    fill w c;
    turn w
  done;
  Engine.abort w.engine c;
  let before = !(w.highest) in
  turn w;
  Alcotest.(check int) "nothing more is sent" before !(w.highest);
  Alcotest.(check bool) "nothing waits" false (Engine.has_more w.engine)

(* In the middle of the turn in which a request has come: only an answer goes out, and the acknowledgement with it. *)
let an_answer_may_leave_before_the_turn_ends () =
  let w, c = established () in
  let told what n f =
    let before = !(w.segments) in
    f w.engine ~now:w.now;
    Alcotest.(check int) what n (!(w.segments) - before)
  in
  segment w Wire.Flags.(ack lor psh) ~payload:(Cstruct.create 100);
  told "nothing, before the answer" 0 Engine.flush_answers;
  Result.get_ok (Engine.write w.engine c (Cstruct.create 200));
  told "the answer" 1 Engine.flush_answers;
  Alcotest.(check int) "all of it" 200 !(w.sent);
  told "nothing, at the turn's end" 0 Engine.flush;
  segment w Wire.Flags.(ack lor psh) ~payload:(Cstruct.create 100);
  told "nothing, without an answer" 0 Engine.flush_answers;
  told "the acknowledgement" 1 Engine.flush

(* A user who answers within the turn, until the acknowledgement waits for that. *)
let with_a_habit () =
  let w, c = established () in
  for _ = 1 to 20 do
    segment w Wire.Flags.(ack lor psh) ~payload:(Cstruct.create 100);
    ignore (Engine.read w.engine c : Cstruct.t option);
    Result.get_ok (Engine.write w.engine c (Cstruct.create 100));
    turn w;
    segment w Wire.Flags.ack;
    turn w
  done;
  (w, c)

(* How many turns, of a millisecond, until something is sent. *)
let rec turns_until_sent w ~since =
  if !(w.segments) > since then 0
  else (
    turn w;
    1 + turns_until_sent w ~since)

let a_pushed_tail_shortens_the_wait () =
  let w, _ = with_a_habit () in
  let since = !(w.segments) in
  segment w Wire.Flags.ack ~payload:(Cstruct.create 100);
  turn w;
  Alcotest.(check int) "the odd segment waits" since !(w.segments);
  segment w Wire.Flags.(ack lor psh) ~payload:(Cstruct.create 100);
  let turns = turns_until_sent w ~since in
  if turns > 10 then Alcotest.failf "%d ms" turns

let nothing_waits_for_who_has_ended () =
  let w, _ = with_a_habit () in
  segment w Wire.Flags.(ack lor psh) ~payload:(Cstruct.create 100);
  let since = !(w.segments) in
  turn w;
  Alcotest.(check int) "there may be an answer" since !(w.segments);
  let w, c = with_a_habit () in
  Engine.shutdown w.engine ~now:w.now c;
  turn w;
  segment w Wire.Flags.(ack lor psh) ~payload:(Cstruct.create 100);
  let since = !(w.segments) in
  turn w;
  Alcotest.(check int) "there cannot be one" (since + 1) !(w.segments)

(* ---- Receiving ---- *)

(* The peer sends as much as it may, for some turns, in each of which this many segments are read. *)
let receive ~reads =
  let w, c = established () in
  for _ = 1 to 40 do
    let edge = ref !(w.window) in
    while !edge >= mss do
      segment w Wire.Flags.ack ~payload:(Cstruct.create mss);
      edge := !edge - mss
    done;
    let rec read n = if n > 0 && Option.is_some (Engine.read w.engine c) then read (n - 1) in
    read reads;
    turn w
  done;
  (Engine.info c).receive_buffer

let the_buffer_follows_the_reader () =
  let first = Engine.default_config.receive_buffer in
  Alcotest.(check int) "little is read" first (receive ~reads:1);
  let grown = receive ~reads:max_int in
  Alcotest.(check int) "all is read" Engine.default_config.receive_buffer_max grown

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "turns"
    [
      ( "sending",
        [
          case "a turn sends so much and no more" a_turn_sends_so_much;
          case "a turn sends all that it may" a_turn_sends_all_that_it_may;
          case "what is sent again counts" what_is_sent_again_counts;
          case "a window that turns do not use stays small" a_turn's_end_is_no_use_of_the_window;
          case "a window that the device does not take stays small"
            a_full_device_is_no_use_of_the_window;
          case "what the pace holds back asks for no turn" what_the_pace_holds_back_asks_for_no_turn;
          case "what waits for its turn may be aborted" what_waits_for_its_turn_may_be_aborted;
          case "an answer may leave before the turn ends" an_answer_may_leave_before_the_turn_ends;
          case "a pushed tail shortens the wait" a_pushed_tail_shortens_the_wait;
          case "nothing waits for who has ended" nothing_waits_for_who_has_ended;
        ] );
      ("receiving", [ case "the buffer follows the reader" the_buffer_follows_the_reader ]);
    ]
