(* What TCP costs, in one process and on one core: the engine alone, and whole stacks (Ethernet, IP,
   TCP, Lwt) on a network in memory with an MTU of 1500, no offload, and checksums on both sides.

   Times are the processor's.

   bench.exe [SECONDS] [NAME..]   SECONDS for each figure (default 1); NAME: part of a figure's name
   bench.exe ROUNDSx [NAME..]     a fixed amount of work, for counting instructions: see `instructions` *)

open Mirust_tcp
open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
module Direct = Mirust_direct
module TCP = Stack.TCP
module Wire = Mirust_wire.Tcp

let seconds = try float_of_string Sys.argv.(1) with _ -> 1.
let rounds = try Scanf.sscanf Sys.argv.(1) "%dx%!" Fun.id with _ -> 0
let names = match Array.to_list Sys.argv with _ :: _ :: names -> names | _ -> []

let chosen name =
  let has part =
    let n = String.length part in
    let rec at i = i + n <= String.length name && (String.sub name i n = part || at (i + 1)) in
    at 0
  in
  names = [] || List.exists has names

(* [f until] works until the time, and returns how much it has done and how many segments that were. *)
let figure ?(clock = Sys.time) name unit f =
  if chosen name then (
    Gc.compact ();
    let words = Gc.minor_words () and promoted = (Gc.quick_stat ()).promoted_words in
    let start = Sys.time () and round = ref 0 in
    let until () =
      incr round;
      if rounds > 0 then !round <= rounds else clock () < start +. seconds
    in
    let done_, segments = f until in
    let time = Sys.time () -. start in
    let per x = x /. float (max 1 segments) in
    if rounds > 0 then Printf.printf "%.0f %s\n%!" (done_ *. if unit = "MB/s" then 1e6 else 1.) unit
    else
      Printf.printf "%-34s %10.1f %-6s %6.2f us/segment %7.1f words/segment %6.2f promoted\n%!" name
        (done_ /. time) unit
        (per (time *. 1e6))
        (per (Gc.minor_words () -. words))
        (per ((Gc.quick_stat ()).promoted_words -. promoted)))

(* ---- The engine alone ---- *)

let a_ip = Ipaddr.of_string_exn "10.0.0.1"
let b_ip = Ipaddr.of_string_exn "10.0.0.2"

type direct = { client : Engine.t; server : Engine.t; time : int ref; turn : unit -> unit }

(* Two engines and two queues; a turn hands over what is in them. *)
let direct ?(config = Engine.default_config) () =
  let to_client = Queue.create () and to_server = Queue.create () in
  let time = ref 1_000_000_000 in
  let engine queue =
    Engine.create ~config ~now:!time
      ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.int 256)))
      ~mss:(fun ~dst:_ -> 1460)
      ~can_send:(fun () -> true)
      (fun ~src ~dst ~ect:_ h payload ~length:_ ~segment_size:_ ->
        Queue.push (src, dst, h, payload) queue)
  in
  let client = engine to_server and server = engine to_client in
  let deliver e queue =
    for _ = 1 to Queue.length queue do
      let src, dst, h, payload = Queue.pop queue in
      let payload = match payload with [ v ] -> v | views -> Cstruct.concat views in
      Engine.input e ~now:!time ~src ~dst ~ce:false h payload
    done
  in
  let turn () =
    time := !time + 20_000;
    deliver server to_server;
    deliver client to_client;
    Engine.advance client ~now:!time;
    Engine.advance server ~now:!time;
    Engine.flush client ~now:!time;
    Engine.flush server ~now:!time
  in
  { client; server; time; turn }

let connect_direct d =
  match Engine.connect d.client ~now:!(d.time) ~src:a_ip ~dst:b_ip ~dst_port:80 (fun _ -> ()) with
  | Ok c -> c
  | Error _ -> failwith "connect"

let listen_direct d f =
  match Engine.listen d.server ~port:80 f with
  | Ok () -> ()
  | Error (`In_use | `Invalid) -> assert false

let segments e = (Engine.stats e).segments_out

let engine_bulk gso_max until =
  let d = direct ~config:{ Engine.default_config with gso_max } () in
  let server = ref None and got = ref 0 in
  listen_direct d (fun c -> server := Some c);
  let c = connect_direct d in
  let chunk = Cstruct.create 65536 in
  let rec read s =
    match Engine.read d.server s with
    | None -> ()
    | Some v ->
        got := !got + Cstruct.length v;
        read s
  in
  while until () do
    for _ = 1 to 20 do
      d.turn ();
      while Engine.state c = Established && Engine.write_space d.client c >= 65536 do
        ignore (Engine.write d.client c chunk : (unit, _) result)
      done;
      Option.iter read !server
    done
  done;
  (float !got /. 1e6, segments d.client + segments d.server)

let engine_echo until =
  let d = direct () in
  let n = ref 0 in
  let byte = Cstruct.of_string "x" in
  let answer e c =
    Engine.on_event c (function
      | Readable ->
          ignore (Engine.read e c : Cstruct.t option);
          ignore (Engine.write e c byte : (unit, _) result)
      | Connected | Writable | Ended _ -> ())
  in
  listen_direct d (answer d.server);
  let c = connect_direct d in
  d.turn ();
  d.turn ();
  Engine.on_event c (function
    | Readable ->
        incr n;
        ignore (Engine.read d.client c : Cstruct.t option);
        ignore (Engine.write d.client c byte : (unit, _) result)
    | Connected | Writable | Ended _ -> ());
  ignore (Engine.write d.client c byte : (unit, _) result);
  while until () do
    for _ = 1 to 200 do
      d.turn ()
    done
  done;
  (float !n, segments d.client + segments d.server)

let engine_connect until =
  let d = direct () in
  let n = ref 0 in
  listen_direct d (fun c ->
      Engine.on_event c (function
        | Readable -> Engine.close d.server ~now:!(d.time) c
        | Connected | Writable | Ended _ -> ()));
  while until () do
    let c = connect_direct d in
    for _ = 1 to 3 do
      d.turn ()
    done;
    Engine.close d.client ~now:!(d.time) c;
    for _ = 1 to 4 do
      d.turn ()
    done;
    incr n
  done;
  (float !n, segments d.client + segments d.server)

(* Connections that do nothing; what one holds, with the table and its timer. *)
let idle n =
  let name = Printf.sprintf "memory, %d idle connections" n in
  if chosen name then (
    let config = { Engine.default_config with connections_max = n + 1; backlog = n } in
    let d = direct ~config () in
    let kept = ref [] in
    listen_direct d (fun c -> kept := c :: !kept);
    d.turn ();
    Gc.compact ();
    let live () =
      Gc.full_major ();
      (Gc.stat ()).live_words
    in
    let before = live () in
    for i = 0 to n - 1 do
      let src = Ipaddr.V4 (Ipaddr.V4.of_int32 (Int32.of_int (0x0a000000 + (i / 50_000)))) in
      let port = 1024 + (i mod 50_000) in
      let syn seq flags ack options =
        {
          Wire.src_port = port;
          dst_port = 80;
          seq;
          ack;
          flags;
          window = 65535;
          urgent = 0;
          options;
          header_length = 20;
        }
      in
      let options =
        {
          Wire.no_options with
          mss = 1460;
          sack_permitted = true;
          window_scale = 7;
          ts_value = 1;
          ts_echo = 0;
        }
      in
      Engine.input d.server ~now:!(d.time) ~src ~dst:b_ip ~ce:false (syn 0 Wire.Flags.syn 0 options)
        Cstruct.empty;
      let ack =
        Seq.add
          (Engine.tcb (Option.get (Engine.lookup d.server ~local:(b_ip, 80) ~remote:(src, port))))
            .iss
          1
      in
      Engine.input d.server ~now:!(d.time) ~src ~dst:b_ip ~ce:false
        (syn 1 Wire.Flags.ack ack { Wire.no_options with ts_value = 2; ts_echo = 0 })
        Cstruct.empty
    done;
    Engine.flush d.server ~now:!(d.time);
    let words = live () - before - (3 * List.length !kept) in
    Printf.printf "%-34s %10.0f octets each\n%!" name (float (8 * words) /. float n);
    (* One of them speaks. *)
    let c = Engine.tcb (List.hd !kept) in
    let byte = Cstruct.of_string "x" in
    let rounds = 200_000 in
    let now = ref !(d.time) in
    let start = Sys.time () in
    for i = 1 to rounds do
      now := !now + 10_000;
      Engine.advance d.server ~now:!now;
      Engine.input d.server ~now:!now ~src:c.remote ~dst:b_ip ~ce:false
        {
          Wire.src_port = c.remote_port;
          dst_port = 80;
          seq = i;
          ack = c.snd_nxt;
          flags = Wire.Flags.(ack lor psh);
          window = 1000;
          urgent = 0;
          options = { Wire.no_options with ts_value = 2 + i; ts_echo = 0 };
          header_length = 20;
        }
        byte;
      ignore (Engine.read d.server (List.hd !kept) : Cstruct.t option);
      ignore (Engine.write d.server (List.hd !kept) byte : (unit, _) result);
      Engine.flush d.server ~now:!now
    done;
    Printf.printf "%-34s %10.2f us\n%!"
      (Printf.sprintf "  a request among them")
      ((Sys.time () -. start) *. 1e6 /. float rounds))

(* ---- Whole stacks ---- *)

module Sleepers = Map.Make (Int)

let sleepers = ref Sleepers.empty
let earliest = ref max_int

(* The processor's time, for timers too: others on the machine count little. Reading it takes a system
   call, and so is done every this many turns, unless timers matter. *)
let time = ref (Sys.time ())
let turns = ref 0
let turns_per_reading = ref 64
let now () = int_of_float (!time *. 1e9) + 1_000_000_000

let sleep ns =
  let promise, resolver = Lwt.wait () in
  let at = now () + ns in
  earliest := min !earliest at;
  sleepers := Sleepers.add_to_list at resolver !sleepers;
  promise

let rec wake_due () =
  if !earliest <= now () then (
    let at, resolvers = Sleepers.min_binding !sleepers in
    sleepers := Sleepers.remove at !sleepers;
    (earliest :=
       match Sleepers.min_binding_opt !sleepers with Some (at, _) -> at | None -> max_int);
    List.iter (fun u -> Lwt.wakeup u ()) resolvers;
    wake_due ())

(* As the loop of an image has it. *)
let next_turn = Queue.create ()
let () = Env.install_soon (fun f -> Queue.push f next_turn)

let rec run promise =
  match Lwt.state promise with
  | Lwt.Return v -> v
  | Lwt.Fail e -> raise e
  | Lwt.Sleep ->
      incr turns;
      if !turns mod !turns_per_reading = 0 then time := Sys.time ();
      Lwt.wakeup_paused ();
      for _ = 1 to Queue.length next_turn do
        (Queue.pop next_turn) ()
      done;
      wake_due ();
      run promise

let ok pp = function Ok v -> v | Error e -> failwith (Fmt.to_to_string pp e)

let stacks ?conditions () =
  Env.install { now; sleep; random = (fun n -> String.init n (fun _ -> Char.chr (Random.int 256))) };
  let network = Network.create ?conditions () in
  let stack n =
    let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
    let mac = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n)) in
    Stack.connect
      { Stack.default with ipv4 = `Static { cidr; gateway = None } }
      (Network.attach network mac)
  in
  let a = run (stack 1) in
  let b = run (stack 2) in
  (Stack.tcp a, Stack.tcp b)

let dst = (b_ip, 7)

let show_losses t =
  let s = Engine.stats (TCP.engine t) in
  Printf.printf "  of %d segments %d again, %d recoveries, %d timeouts, %d tail probes, %d undone\n"
    s.segments_out s.retransmits s.recoveries s.timeouts s.tail_probes s.undos

let both a b = segments (TCP.engine a) + segments (TCP.engine b)

let rec discard count flow =
  TCP.read flow >>= function
  | Ok (`Data b) ->
      count := !count + Cstruct.length b;
      discard count flow
  | Ok `Eof | Error _ -> TCP.close flow

let rec echo flow =
  TCP.read flow >>= function
  | Ok (`Data b) -> TCP.write flow b >>= fun _ -> echo flow
  | Ok `Eof | Error _ -> TCP.close flow

let bulk ?conditions () until =
  let a, b = stacks ?conditions () in
  let count = ref 0 and chunk = Cstruct.create 65536 in
  TCP.listen b ~port:7 (discard count);
  let rec send flow =
    if until () then
      TCP.write flow chunk >>= function Ok () -> send flow | Error _ -> Lwt.return_unit
    else TCP.close flow
  in
  run (TCP.create_connection a dst >>= fun r -> send (ok TCP.pp_error r));
  if conditions <> None then show_losses a;
  (float !count /. 1e6, both a b)

let requests until =
  let a, b = stacks () in
  let n = ref 0 and byte = Cstruct.of_string "x" in
  TCP.listen b ~port:7 echo;
  run
    ( TCP.create_connection a dst >>= fun r ->
      let flow = ok TCP.pp_error r in
      let rec go () =
        if not (until ()) then TCP.close flow
        else
          TCP.write flow byte >>= fun _ ->
          TCP.read flow >>= fun _ ->
          incr n;
          go ()
      in
      go () );
  (float !n, both a b)

(* The same two in direct style. *)
let echo_direct flow =
  let rec echo () =
    match Direct.await (TCP.read flow) with
    | Ok (`Data b) ->
        ignore (Direct.await (TCP.write flow b) : (unit, _) result);
        echo ()
    | Ok `Eof | Error _ -> Direct.await (TCP.close flow)
  in
  Direct.run echo

let requests_direct until =
  let a, b = stacks () in
  let n = ref 0 and byte = Cstruct.of_string "x" in
  TCP.listen b ~port:7 echo_direct;
  let client () =
    let flow = ok TCP.pp_error (Direct.await (TCP.create_connection a dst)) in
    while until () do
      ignore (Direct.await (TCP.write flow byte) : (unit, _) result);
      ignore (Direct.await (TCP.read flow) : (_, _) result);
      incr n
    done;
    Direct.await (TCP.close flow)
  in
  run (Direct.run client);
  (float !n, both a b)

let connections until =
  let a, b = stacks () in
  let n = ref 0 in
  TCP.listen b ~port:7 echo;
  let rec go () =
    if not (until ()) then Lwt.return_unit
    else
      TCP.create_connection a dst >>= function
      | Error _ -> Lwt.pause () >>= go
      | Ok flow ->
          TCP.close flow >>= fun () ->
          incr n;
          go ()
  in
  run (go ());
  (float !n, both a b)

let () =
  (* The buffers of the network in memory come and go by the gigabyte: see tests/net/bench_stack. *)
  Gc.set { (Gc.get ()) with custom_major_ratio = 500 };
  figure "engine: bulk, MTU-sized segments" "MB/s" (engine_bulk 1460);
  figure "engine: bulk, large segments" "MB/s" (engine_bulk 65000);
  figure "engine: 1-byte echo" "/s" engine_echo;
  figure "engine: connect and close" "/s" engine_connect;
  let figure = figure ~clock:(fun () -> !time) in
  figure "stack: bulk, no loss" "MB/s" (bulk ());
  figure "stack: 1-byte echo" "/s" requests;
  figure "stack: 1-byte in direct style" "/s" requests_direct;
  figure "stack: connect and close" "/s" connections;
  turns_per_reading := 1;
  let lossy drop = { Network.perfect with drop } in
  figure "stack: bulk, 1 % loss" "MB/s" (bulk ~conditions:(lossy 0.01) ());
  figure "stack: bulk, 5 % loss" "MB/s" (bulk ~conditions:(lossy 0.05) ());
  List.iter idle [ 10; 10_000; 100_000 ]
