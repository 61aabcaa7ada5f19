(* A deadline that is met to the nanosecond is acted on then and there: no second wake-up is needed for it.

   Deadlines fall on any nanosecond and timers fire on ticks, so that the two meet once in a million times. Here each
   story is told twice: once to learn when its deadline is, and again so much later that it falls on a tick. *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp

let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)
let ms = 1_000_000
let tick = 1 lsl 20
let local = Ipaddr.of_string_exn "192.0.2.1"
let remote = Ipaddr.of_string_exn "192.0.2.2"

type world = {
  engine : Engine.t;
  conn : Engine.connection;
  sent : Wire.t Queue.t;
  iss : int;
  mutable now : int;
}

let flush w = Engine.flush w.engine ~now:w.now
let tcb w = Engine.tcb w.conn

let connect ?(config = Engine.default_config) now =
  let sent = Queue.create () in
  let engine =
    Engine.create ~config ~now
      ~random:(fun n -> String.make n '\007')
      ~mss:(fun ~dst:_ -> 1460)
      ~can_send:(fun () -> true)
      (fun ~src:_ ~dst:_ ~ect:_ h _ ~length:_ ~segment_size:_ -> Queue.push h sent)
  in
  match Engine.connect engine ~now ~src_port:80 ~src:local ~dst:remote ~dst_port:5000 ignore with
  | Error _ -> Alcotest.fail "no connection"
  | Ok conn ->
      Engine.flush engine ~now;
      { engine; conn; sent; iss = (Queue.peek sent).seq; now }

let input w ?(length = 0) ?(window = 65535) ?(options = Wire.no_options) flags ~seq ~ack =
  let header =
    {
      Wire.src_port = 5000;
      dst_port = 80;
      seq = 1000 + seq;
      ack = Seq.add w.iss ack;
      flags;
      window;
      urgent = 0;
      options;
      header_length = 20 + Wire.options_length options;
    }
  in
  Engine.input w.engine ~now:w.now ~src:remote ~dst:local ~ce:false header (Cstruct.create length);
  flush w

let write w n =
  check_bool "written" true (Engine.write w.engine w.conn (Cstruct.create n) = Ok ());
  flush w

let established ?config ?(window = 65535) ?(rtt = 100 * ms) now =
  let w = connect ?config now in
  w.now <- w.now + rtt;
  let options = { Wire.no_options with mss = 1000 } in
  input w ~window ~options Wire.Flags.(syn lor ack) ~seq:0 ~ack:1;
  check_bool "established" true (Engine.state w.conn = Established);
  w

(* What is sent from now on until the clock says [until]. *)
let rec pass w until =
  let next = max (w.now + 1) (Engine.next w.engine) in
  w.now <- min next until;
  Engine.advance w.engine ~now:w.now;
  flush w;
  if w.now < until then pass w until

(* Timestamps wrap, and 0 is one like any other (RFC 7323 section 5.4): a needless timeout is found out by it too. *)
let timeout_at_timestamp_zero () =
  let story now =
    let w = connect ~config:{ Engine.default_config with sack = false } now in
    let stamped value echo =
      { Wire.no_options with mss = 1000; ts_value = value; ts_echo = echo }
    in
    let stamp () = Option.get (Queue.fold (fun _ (h : Wire.t) -> Some h) None w.sent) in
    w.now <- w.now + (100 * ms);
    input w Wire.Flags.(syn lor ack) ~seq:0 ~ack:1 ~options:(stamped 1 (stamp ()).options.ts_value);
    write w 5000;
    let first = (stamp ()).options.ts_value in
    (* A timer may be a tick late. *)
    pass w ((tcb w).rto_at + (2 * tick));
    ( w,
      (stamp ()).options.ts_value,
      fun () -> input w Wire.Flags.ack ~seq:1 ~ack:1001 ~options:{ (stamped 2 first) with mss = -1 }
    )
  in
  let start = 1000 * tick in
  let _, stamp, _ = story start in
  let w, stamp, answer = story (start + (-stamp land 0xffff_ffff * ms)) in
  check_int "sent again at" 0 stamp;
  check_int "timeouts" 1 (Engine.stats w.engine).timeouts;
  answer ();
  check_int "undone" 1 (Engine.stats w.engine).undos

(* A writer that waits for memory that others hold is told when it is free again: each time, and by nothing else. *)
let starved_writer () =
  let config = { Engine.default_config with memory_max = 1_000_000 } in
  let w = established ~config (1000 * tick) in
  let told = ref 0 and acked = ref 1 in
  Engine.on_event w.conn (function Writable -> incr told | Connected | Readable | Ended _ -> ());
  for round = 1 to 3 do
    Engine.charge w.engine w.conn 1_000_000;
    write w 3000;
    check_int "there is no room" 0 (Engine.write_space w.engine w.conn);
    acked := !acked + 1000;
    input w Wire.Flags.ack ~seq:1 ~ack:!acked;
    check_int "not before" (round - 1) !told;
    Engine.charge w.engine w.conn (-1_000_000);
    flush w;
    check_int "told" round !told;
    acked := !acked + 2000;
    input w Wire.Flags.ack ~seq:1 ~ack:!acked
  done

(* Also if memory runs out while it is told, and all other waiters too. *)
let starved_writer_and_no_memory () =
  let config = { Engine.default_config with memory_max = 1_000_000 } in
  let w = established ~config (1000 * tick) in
  let tries = ref 0 in
  Engine.on_event w.conn (function
    | Writable ->
        incr tries;
        if !tries = 1 then raise Out_of_memory
    | Connected | Readable | Ended _ -> ());
  Engine.charge w.engine w.conn 1_000_000;
  write w 3000;
  check_int "there is no room" 0 (Engine.write_space w.engine w.conn);
  input w Wire.Flags.ack ~seq:1 ~ack:1001;
  Engine.charge w.engine w.conn (-1_000_000);
  (match flush w with
  | () -> Alcotest.fail "memory did not run out"
  | exception Out_of_memory -> ());
  flush w;
  check_int "tries" 2 !tries;
  flush w;
  check_int "not again" 2 !tries

(* ---- The stories, each with its deadline and what is to happen then ---- *)

let something_is_sent w = not (Queue.is_empty w.sent)

let retransmission now =
  let w = established now in
  write w 100;
  check_bool "a timeout" true ((tcb w).rexmit = Rto);
  w

let window_probe now =
  let w = established ~window:0 now in
  write w 100;
  w

let keepalive now =
  let w = established now in
  Engine.set_keepalive w.engine ~now:w.now w.conn
    (Some { after = 777 * ms; interval = 100 * ms; probes = 3 });
  w

let delayed_acknowledgement now =
  let w = established now in
  (* The first segments are acknowledged at once. *)
  let rec more seq =
    Queue.clear w.sent;
    input w ~length:10 Wire.Flags.ack ~seq ~ack:1;
    if something_is_sent w then more (seq + 10)
  in
  more 1;
  w

let paced_segment now =
  let w = established ~config:{ Engine.default_config with pacing = true } now in
  write w 40_000;
  w.now <- w.now + (100 * ms);
  input w Wire.Flags.ack ~seq:1 ~ack:8001;
  w

(* A timer is too coarse to spread a window over less than four of its ticks. *)
let shortest_path_that_is_paced () =
  List.iter
    (fun (rtt, paced) ->
      let w = established ~config:{ Engine.default_config with pacing = true } ~rtt 0 in
      Cc.set_cwnd (tcb w).cc 20_000;
      let at_once = Pace.allows (Engine.env w.engine) (tcb w) 20_000 in
      check_bool (string_of_int rtt) paced (at_once < 20_000))
    [ ((4 * tick) - 1, false); (4 * tick, true) ]

let on_time story (deadline : Tcb.t -> int) happened () =
  let start = 1000 * tick in
  let d = deadline (tcb (story start)) in
  check_bool "there is a deadline" true (d < max_int);
  let w = story (start + (-d land (tick - 1))) in
  let d = deadline (tcb w) in
  check_int "it falls on a tick" 0 (d land (tick - 1));
  let advance now =
    w.now <- now;
    Queue.clear w.sent;
    Engine.advance w.engine ~now;
    flush w
  in
  let rec before () =
    let next = max (w.now + 1) (Engine.next w.engine) in
    if next < d then (
      advance next;
      before ())
  in
  before ();
  check_bool "it is waited for" true (Engine.next w.engine <= d);
  check_bool "not before" true (deadline (tcb w) = d);
  advance d;
  check_bool "it has happened" true (happened w)

let () =
  let case name story deadline happened =
    Alcotest.test_case name `Quick (on_time story deadline happened)
  in
  Alcotest.run "deadlines"
    [
      ( "memory",
        [
          Alcotest.test_case "a starved writer is told" `Quick starved_writer;
          Alcotest.test_case "and told again where memory ran out" `Quick
            starved_writer_and_no_memory;
        ] );
      ( "met exactly",
        [
          case "retransmission" retransmission (fun c -> c.rexmit_at) something_is_sent;
          case "window probe" window_probe (fun c -> c.persist_at) something_is_sent;
          case "keepalive" keepalive (fun c -> c.keep_at) something_is_sent;
          case "delayed acknowledgement" delayed_acknowledgement
            (fun c -> c.ack_at)
            something_is_sent;
          case "paced segment" paced_segment (fun c -> c.pace_at) something_is_sent;
          case "handshake given up" connect
            (fun c -> c.wait_at)
            (fun w -> Engine.connections w.engine = 0);
        ] );
      ("timestamps", [ Alcotest.test_case "zero" `Quick timeout_at_timestamp_zero ]);
      ("pacing", [ Alcotest.test_case "shortest path" `Quick shortest_path_that_is_paced ]);
    ]
