(* TCP as a Mirage flow: two whole stacks on an Ethernet in memory, with a clock that jumps. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
module TCP = Stack.TCP
module Engine = Mirust_tcp.Engine

(* Any Mirage IP layer will do. *)
module _ = Mirust_tcp_flow.Tcp.Flow.Make_plain (Stack.IP)

let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let ip n = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 n)
let cidr n = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n)
let port = 7
let check_int = Alcotest.(check int)
let check_string = Alcotest.(check string)
let check_bool = Alcotest.(check bool)
let fail fmt = Fmt.kstr (fun s -> Alcotest.fail s) fmt
let ok pp = function Ok v -> v | Error e -> fail "%a" pp e
let pattern n = String.init n (fun i -> Char.chr (((i * 31) + (i lsr 8)) land 0xff))

let stack ?ring network n =
  Stack.connect
    { Stack.default with ipv4 = `Static { cidr = cidr n; gateway = None } }
    (Network.attach ?ring network (mac n))

type pair = { a : TCP.t; b : TCP.t; network : Network.t; stack_a : Stack.t }

(* Two stacks; at the end of the test, when all that waits has timed out, nothing is left of them. *)
let with_pair ?ring ?conditions ?immediate ?seed f () =
  let mock = Mock.install ?seed () in
  let network = Network.create ?seed ?conditions ?immediate () in
  let both () =
    stack ?ring network 1 >>= fun a ->
    stack ?ring network 2 >|= fun b -> { a = Stack.tcp a; b = Stack.tcp b; network; stack_a = a }
  in
  let pair = Mock.run mock (both ()) in
  Mock.run mock (f pair);
  Network.set_conditions network Network.perfect;
  Mock.advance mock (Env.sec 1000);
  let nothing name t =
    let e = TCP.engine t in
    check_int (name ^ ": connections") 0 (Engine.connections e);
    check_int (name ^ ": memory") 0 (Engine.memory e);
    check_int (name ^ ": timers") 0 (Engine.timers e)
  in
  nothing "a" pair.a;
  nothing "b" pair.b

let connect p = TCP.create_connection p.a (ip 2, port) >|= ok TCP.pp_error
let write flow s = TCP.write flow (Cstruct.of_string s)

let rec write_all flow ?(off = 0) s =
  if off >= String.length s then Lwt.return_unit
  else
    let len = min 10_000 (String.length s - off) in
    TCP.write flow (Cstruct.of_string ~off ~len s) >>= fun r ->
    ok TCP.pp_write_error r;
    write_all flow ~off:(off + len) s

let read_all flow =
  let b = Buffer.create 1000 in
  let rec go () =
    TCP.read flow >>= function
    | Ok (`Data v) ->
        Buffer.add_string b (Cstruct.to_string v);
        go ()
    | Ok `Eof -> Lwt.return (Buffer.contents b)
    | Error e -> fail "read: %a" TCP.pp_error e
  in
  go ()

let read_some flow =
  TCP.read flow >|= function
  | Ok (`Data v) -> Cstruct.to_string v
  | Ok `Eof -> fail "end of file"
  | Error e -> fail "read: %a" TCP.pp_error e

(* The server's first connection. *)
let accept p =
  let accepted, resolver = Lwt.wait () in
  TCP.listen p.b ~port (fun flow ->
      Lwt.wakeup_later resolver flow;
      Lwt.return_unit);
  connect p >>= fun client ->
  accepted >|= fun server -> (client, server)

let close_both a b = TCP.close a >>= fun () -> TCP.close b

(* ---- Cases ---- *)

let both_ways size p =
  accept p >>= fun (client, server) ->
  let there = pattern size and back = String.map Char.uppercase_ascii (pattern size) in
  let send flow s = write_all flow s >>= fun () -> TCP.shutdown flow `write in
  Lwt.both
    (Lwt.join [ send client there; send server back ])
    (Lwt.both (read_all server) (read_all client))
  >>= fun ((), (got_there, got_back)) ->
  check_bool "there" true (got_there = there);
  check_bool "back" true (got_back = back);
  close_both client server

(* As Rust's tasks do: who is told that there is something to read acts when the loop has turned. *)
let reply_of_the_next_turn p =
  accept p >>= fun (client, server) ->
  let rounds = 50 in
  let rec serve n =
    if n = 0 then Lwt.return_unit
    else
      match TCP.try_read server with
      | `Data v ->
          TCP.write server v >>= fun r ->
          ok TCP.pp_write_error r;
          serve (n - 1)
      | `Wait ->
          let told, tell = Lwt.wait () in
          TCP.on_readable server (Lwt.wakeup tell);
          told >>= fun () ->
          TCP.defer_flush server;
          Lwt.pause () >>= fun () -> serve n
      | `Eof | `Error _ -> fail "the end"
  in
  let rec ask n =
    if n = 0 then Lwt.return_unit
    else
      write_all client "x" >>= fun () ->
      read_some client >>= fun _ -> ask (n - 1)
  in
  Env.sleep (Env.sec 1) >>= fun () ->
  let before = (Network.counters p.network).sent in
  Lwt.join [ serve rounds; ask rounds ] >>= fun () ->
  let frames = (Network.counters p.network).sent - before in
  check_bool (Printf.sprintf "%d frames" frames) true (frames <= (2 * rounds) + 2);
  close_both client server

(* A service that takes a part of what has come: the rest is still held by the engine, and bounded there. *)
let read_in_parts p =
  accept p >>= fun (client, server) ->
  let part ?(most = 100) () =
    TCP.read_some server ~most >|= function
    | Ok (`Data v) -> Cstruct.to_string v
    | Ok `Eof -> ""
    | Error e -> fail "read_some: %a" TCP.pp_error e
  in
  let waits = part () in
  let text = pattern 1000 in
  write_all client text >>= fun () ->
  (* Who waited is given no more either. *)
  waits >>= fun first ->
  check_int "first" 100 (String.length first);
  check_int "unread" 900 (TCP.unread server);
  let held () = Engine.memory (TCP.engine p.b) in
  let before = held () in
  part ~most:300 () >>= fun second ->
  check_int "unread" 600 (TCP.unread server);
  check_int "held" (before - 300) (held ());
  part ~most:1 () >>= fun third ->
  part ~most:5000 () >>= fun rest ->
  check_int "unread" 0 (TCP.unread server);
  check_int "held" 0 (held ());
  check_bool "text" true (text = first ^ second ^ third ^ rest);
  write_all client text >>= fun () ->
  TCP.close client >>= fun () ->
  let rec all so_far = part () >>= function "" -> Lwt.return so_far | s -> all (so_far ^ s) in
  all "" >>= fun again ->
  check_bool "again" true (text = again);
  (match TCP.read_some server ~most:0 with
  | exception Invalid_argument _ -> ()
  | _ -> fail "nothing at most");
  TCP.close server

let half_close p =
  accept p >>= fun (client, server) ->
  write_all client "question" >>= fun () ->
  TCP.shutdown client `write >>= fun () ->
  read_all server >>= fun question ->
  check_string "question" "question" question;
  write_all server "answer" >>= fun () ->
  TCP.close server >>= fun () ->
  read_all client >>= fun answer ->
  check_string "answer" "answer" answer;
  write client "more" >>= fun r ->
  check_bool "cannot write" true (Result.is_error r);
  TCP.close client

let echo flow =
  let rec go () =
    TCP.read flow >>= function
    | Ok (`Data v) -> ( TCP.write flow v >>= function Ok () -> go () | Error _ -> TCP.close flow)
    | Ok `Eof | Error _ -> TCP.close flow
  in
  go ()

let many_connections p =
  TCP.listen p.b ~port echo;
  let one i =
    connect p >>= fun flow ->
    let data = pattern (1000 + (i * 10)) in
    Lwt.both (write_all flow data >>= fun () -> TCP.shutdown flow `write) (read_all flow)
    >>= fun ((), got) ->
    check_bool "echo" true (got = data);
    TCP.close flow
  in
  Lwt.join (List.init 200 one)

let refused p =
  TCP.create_connection p.a (ip 2, 99) >|= function
  | Error `Refused -> ()
  | Ok _ -> fail "connected"
  | Error e -> fail "%a" TCP.pp_error e

(* A station that answers for its address, and to nothing else. *)
let silent_station network n =
  let open Mirust_tcpip in
  let netif = Netif.connect (Network.attach network (mac n)) in
  let arp = Arp_core.create (Link.of_netif netif) in
  let frame (p : Mirust_wire.Packet.t) =
    if Mirust_wire.Ethernet.get_ethertype p.data = 0x0806 then
      Arp_core.input_packet arp (Mirust_wire.Ethernet.payload p.data)
  in
  Netif.listen_packets netif (List.iter frame);
  Arp_core.add_ip arp (Ipaddr.V4.make 10 0 0 n)

let connect_timeout p =
  silent_station p.network 3 >>= fun () ->
  TCP.create_connection p.a (ip 3, port) >|= function
  | Error `Timeout -> ()
  | Ok _ -> fail "connected"
  | Error e -> fail "%a" TCP.pp_error e

let dead_neighbour p =
  let start = Env.now () in
  TCP.create_connection p.a (ip 9, port) >|= function
  | Error (`No_route _) -> check_int "three questions" (Env.sec 3) (Env.now () - start)
  | Ok _ -> fail "connected"
  | Error e -> fail "%a" TCP.pp_error e

let no_such_port p =
  Lwt_list.iter_s
    (fun port ->
      TCP.create_connection p.a (ip 2, port) >|= function
      | Error (`No_route _) -> ()
      | Ok _ -> fail "connected to port %d" port
      | Error e -> fail "%a" TCP.pp_error e)
    [ 0; -1; 0x10000; 0x10007; max_int ]

let not_reachable p =
  let start = Env.now () in
  Lwt_list.iter_s
    (fun a ->
      TCP.create_connection p.a (Ipaddr.of_string_exn a, port) >|= function
      | Error (`No_route _) -> ()
      | Ok _ -> fail "connected to %s" a
      | Error e -> fail "%a" TCP.pp_error e)
    [ "198.51.100.1"; "224.0.0.1"; "255.255.255.255"; "10.0.0.255" ]
  >|= fun () -> check_int "at once" start (Env.now ())

let not_a_port_to_listen_on p =
  List.iter
    (fun port ->
      let serve _ = Lwt.return_unit in
      check_bool "try_listen" true (TCP.try_listen p.a ~port serve = Error `Invalid);
      match TCP.listen p.a ~port serve with
      | () -> fail "listen"
      | exception Invalid_argument _ -> ())
    [ 0; -1; 65536; max_int ];
  Lwt.return_unit

(* Times that no integer can hold are long ones. *)
let long_keepalive p =
  accept p >>= fun (client, server) ->
  TCP.set_keepalive client (Some { after = Int64.max_int; interval = Int64.max_int; probes = 1 });
  TCP.set_user_timeout client max_int;
  write_all client "x" >>= fun () ->
  Env.sleep (Env.sec 10_000) >>= fun () ->
  check_int "no probes" 0 (Engine.stats (TCP.engine p.a)).keepalives_sent;
  check_bool "is up" true (TCP.failure client = None);
  close_both client server

let keepalive_finds_a_dead_peer p =
  accept p >>= fun (client, server) ->
  TCP.set_keepalive client (Some { after = 10_000_000_000L; interval = 1_000_000_000L; probes = 3 });
  Network.set_conditions p.network { Network.perfect with drop = 1. };
  TCP.read client >>= fun r ->
  check_bool "end" true (r = Ok `Eof);
  check_bool "why" true ((TCP.info client).ended = Timed_out && TCP.failure client = Some `Timeout);
  write client "x" >>= fun r ->
  check_bool "writing" true (r = Error `Timeout);
  check_bool "after 13 s" true (Env.now () < Env.sec 15);
  TCP.abort server;
  TCP.close client

let user_timeout p =
  accept p >>= fun (client, server) ->
  TCP.set_user_timeout client (Env.sec 5);
  Network.set_conditions p.network { Network.perfect with drop = 1. };
  let start = Env.now () in
  write_all client "x" >>= fun () ->
  TCP.read client >>= fun r ->
  check_bool "end" true (r = Ok `Eof);
  check_bool "timeout" true (TCP.failure client = Some `Timeout);
  check_bool "5 s" true (Env.now () - start < Env.ms 5010);
  TCP.abort server;
  TCP.close client

(* A writer gets as far as the two buffers, and on as soon as the reader reads. *)
let back_pressure p =
  accept p >>= fun (client, server) ->
  let written = ref 0 in
  let chunk = String.make 10_000 'x' in
  let rec fill () =
    TCP.write client (Cstruct.of_string chunk) >>= function
    | Ok () ->
        written := !written + 10_000;
        if !written < 20_000_000 then fill () else TCP.shutdown client `write
    | Error e -> fail "%a" TCP.pp_write_error e
  in
  let filling = fill () in
  Env.sleep (Env.sec 10) >>= fun () ->
  let stalled = !written in
  check_bool "stalls" true (stalled < 10_000_000);
  Env.sleep (Env.sec 60) >>= fun () ->
  check_int "stays so" stalled !written;
  check_bool "bounded" true (Engine.memory (TCP.engine p.a) < 10_000_000);
  Lwt.both filling (read_all server) >>= fun ((), got) ->
  check_int "all of it" 20_000_000 (String.length got);
  close_both client server

let many_writers p =
  accept p >>= fun (client, server) ->
  let block i = String.make 300_000 (Char.chr (Char.code 'a' + i)) in
  let writers = List.init 20 (fun i -> TCP.write client (Cstruct.of_string (block i))) in
  Lwt.both
    ( Lwt.all writers >>= fun results ->
      List.iter (ok TCP.pp_write_error) results;
      TCP.shutdown client `write )
    (read_all server)
  >>= fun ((), got) ->
  check_bool "in order, each in one piece" true (got = String.concat "" (List.init 20 block));
  close_both client server

let writer_woken_by_close p =
  accept p >>= fun (client, server) ->
  let writing = TCP.write client (Cstruct.create 20_000_000) in
  let second = write client "second" in
  Env.sleep (Env.sec 1) >>= fun () ->
  check_bool "waits" true (Lwt.is_sleeping writing);
  TCP.close client >>= fun () ->
  Lwt.both writing second >>= fun (r, s) ->
  check_bool "closed" true (r = Error `Closed && s = Error `Closed);
  TCP.abort server;
  Lwt.return_unit

let reader_woken_by_close p =
  accept p >>= fun (client, server) ->
  let reading = TCP.read client in
  let second = TCP.read client in
  TCP.close client >>= fun () ->
  Lwt.both reading second >>= fun (r, s) ->
  check_bool "end" true (r = Ok `Eof && s = Ok `Eof);
  TCP.close server

let reset_by_peer p =
  accept p >>= fun (client, server) ->
  let reading = TCP.read client in
  TCP.abort server;
  reading >>= fun r ->
  check_bool "end" true (r = Ok `Eof);
  check_bool "reset" true ((TCP.info client).ended = Reset && TCP.failure client = Some `Reset);
  TCP.read client >>= fun r ->
  check_bool "again" true (r = Ok `Eof);
  check_bool "without promises" true (TCP.try_read client = `Error `Reset);
  write client "x" >>= fun r ->
  check_bool "writing" true (r = Error `Reset);
  TCP.close client

let close_with_unread_data p =
  accept p >>= fun (client, server) ->
  write_all client "unread" >>= fun () ->
  Env.sleep (Env.ms 10) >>= fun () ->
  TCP.close server >>= fun () ->
  TCP.read client >>= fun r ->
  check_bool "end" true (r = Ok `Eof);
  check_bool "reset" true (TCP.failure client = Some `Reset);
  TCP.close client

let shut_reader_does_not_stop_the_peer p =
  accept p >>= fun (client, server) ->
  TCP.shutdown server `read >>= fun () ->
  TCP.read server >>= fun r ->
  check_bool "end" true (r = Ok `Eof);
  write_all client (pattern 5_000_000) >>= fun () ->
  TCP.shutdown client `write >>= fun () ->
  (* What came after its close would be answered by a reset. *)
  let rec all_has_come () =
    if (TCP.info server).octets_received = 5_000_000 then Lwt.return_unit
    else Env.sleep (Env.ms 1) >>= all_has_come
  in
  all_has_come () >>= fun () ->
  write_all server "thanks" >>= fun () ->
  TCP.close server >>= fun () ->
  read_all client >>= fun got ->
  check_string "answer" "thanks" got;
  TCP.close client

(* Its promise may be old, and would keep alive all that a view is part of. *)
let late_reader_keeps_no_frame p =
  accept p >>= fun (client, server) ->
  let read = TCP.read server in
  TCP.write client (Cstruct.of_string (pattern 60_000)) >|= ok TCP.pp_write_error >>= fun () ->
  ( read >>= function
    | Ok (`Data v) ->
        check_int "memory of its own" (Cstruct.length v) (Bigarray.Array1.dim v.buffer);
        check_bool "not much" true (Cstruct.length v <= 1024);
        Lwt.return (Cstruct.to_string v)
    | Ok `Eof | Error _ -> fail "nothing" )
  >>= fun first ->
  let rest = read_all server in
  TCP.close client >>= fun () ->
  rest >>= fun rest ->
  check_bool "all" true (first ^ rest = pattern 60_000);
  TCP.close server

let server_that_raises p =
  TCP.listen p.b ~port (fun _ -> failwith "expected by the test");
  connect p >>= fun client ->
  TCP.read client >>= fun r ->
  check_bool "end" true (r = Ok `Eof);
  check_bool "reset" true (TCP.failure client = Some `Reset);
  TCP.close client

(* No wake-up is lost when a reader comes between the event and its turn. *)
let readers_share p =
  accept p >>= fun (client, server) ->
  let got = ref 0 in
  let rec reader () =
    TCP.read server >>= function
    | Ok (`Data v) ->
        got := !got + Cstruct.length v;
        Lwt.pause () >>= reader
    | Ok `Eof | Error _ -> Lwt.return_unit
  in
  let readers = Lwt.join (List.init 5 (fun _ -> reader ())) in
  write_all client (pattern 1_000_000) >>= fun () ->
  TCP.close client >>= fun () ->
  readers >>= fun () ->
  check_int "all" 1_000_000 !got;
  TCP.close server

let latency p =
  (* A request in two writes, answered after a pause: nothing waits for a timer. *)
  accept p >>= fun (client, server) ->
  let start = Env.now () in
  let rec serve n =
    if n = 0 then Lwt.return_unit
    else
      let rec request got =
        if got = 200 then Lwt.return_unit
        else read_some server >>= fun s -> request (got + String.length s)
      in
      request 0 >>= fun () ->
      Lwt.pause () >>= fun () ->
      write_all server (String.make 50 'r') >>= fun () -> serve (n - 1)
  in
  let rec ask n =
    if n = 0 then Lwt.return_unit
    else
      write_all client (String.make 100 'a') >>= fun () ->
      Lwt.pause () >>= fun () ->
      write_all client (String.make 100 'b') >>= fun () ->
      read_some client >>= fun _ -> ask (n - 1)
  in
  Lwt.join [ serve 20; ask 20 ] >>= fun () ->
  check_bool "no stalls" true (Env.now () - start < Env.ms 5);
  close_both client server

(* A loop with interludes, which keeps whom it is to call. *)
let no_interlude_is_left () =
  let hooks = ref [] in
  Env.install_interlude (fun f ->
      let hook = ref f in
      hooks := hook :: !hooks;
      fun () -> hooks := List.filter (fun other -> other != hook) !hooks);
  let there = ref 0 in
  with_pair
    (fun p ->
      there := List.length !hooks;
      Stack.disconnect p.stack_a)
    ();
  Env.install_interlude (fun _ -> ignore);
  check_int "both" 2 !there;
  check_int "the other's" 1 (List.length !hooks)

let disconnected p =
  accept p >>= fun (client, _) ->
  let reading = TCP.read client in
  Stack.disconnect p.stack_a >>= fun () ->
  reading >>= fun r ->
  check_bool "end" true (r = Ok `Eof);
  check_bool "aborted" true (TCP.failure client = Some `Aborted);
  TCP.create_connection p.a (ip 2, port) >|= fun r -> check_bool "no more" true (Result.is_error r)

let listeners p =
  let busy = TCP.try_listen p.b ~port (fun _ -> Lwt.return_unit) in
  check_bool "first" true (busy = Ok ());
  check_bool "second" true (TCP.try_listen p.b ~port (fun _ -> Lwt.return_unit) = Error `In_use);
  TCP.unlisten p.b ~port;
  TCP.create_connection p.a (ip 2, port) >|= fun r ->
  check_bool "refused" true (match r with Error `Refused -> true | _ -> false)

(* ---- Segments of a stranger's, by hand ---- *)

module W = Mirust_wire

let stranger = ip 9

let segment ?(flags = W.Tcp.Flags.ack) ?(seq = 1000) ?(ack = 0) ?(src_port = 5000) () =
  let header =
    {
      W.Tcp.src_port;
      dst_port = port;
      seq;
      ack;
      flags;
      window = 1000;
      urgent = 0;
      options = W.Tcp.no_options;
      header_length = W.Tcp.min_header_length;
    }
  in
  let b = Cstruct.create header.header_length in
  ignore (W.Tcp.emit header b : int);
  W.Packet.v ~checksum:`Valid b

(* Only what arrives in the middle of sending waits for the turn. *)
let arrivals_do_not_wait p =
  TCP.listen p.b ~port echo;
  let stats = Engine.stats (TCP.engine p.b) in
  let before = stats.segments_in and sent = stats.segments_out in
  let arrive packet = TCP.input_packet p.b ~src:stranger ~dst:(ip 2) ~tos:0 packet in
  for i = 1 to 3 do
    arrive (segment ~flags:W.Tcp.Flags.syn ~src_port:(5000 + i) ());
    check_int "has arrived" (before + i) stats.segments_in;
    check_int "is answered" (sent + i) stats.segments_out
  done;
  TCP.unlisten p.b ~port;
  Lwt.return_unit

(* RFC 1122 section 4.2.3.10: from and to one host, or not at all, also where IP lets it through (ours
   does not). Neither a listener nor a closed port
   answers, and neither does what would be a reset. *)
let not_for_one_host p =
  TCP.listen p.b ~port echo;
  let stats = Engine.stats (TCP.engine p.b) in
  let before = stats.segments_out in
  let one ~src ~dst =
    let src = Ipaddr.of_string_exn src and dst = Ipaddr.of_string_exn dst in
    List.iter
      (fun flags -> TCP.input_packet p.b ~src ~dst ~tos:0 (segment ~flags ()))
      W.Tcp.Flags.[ syn; ack; syn lor ack; fin lor ack; 0 ]
  in
  List.iter
    (fun dst -> one ~src:"10.0.0.9" ~dst)
    [ "255.255.255.255"; "224.0.0.1"; "239.1.2.3"; "0.0.0.0" ];
  List.iter (fun src -> one ~src ~dst:"10.0.0.2") [ "255.255.255.255"; "224.0.0.1"; "0.0.0.0" ];
  one ~src:"fe80::1" ~dst:"ff02::1";
  one ~src:"ff02::1" ~dst:"fe80::2";
  one ~src:"::" ~dst:"fe80::2";
  check_int "answers" before stats.segments_out;
  check_int "connections" 0 (Engine.connections (TCP.engine p.b));
  one ~src:"10.0.0.254" ~dst:"10.0.0.2";
  check_bool "of one host" true (stats.segments_out > before);
  TCP.unlisten p.b ~port;
  Lwt.return_unit

(* An IP layer that shows what is sent, and raises when told to. *)
module Fragile = struct
  include Stack.IP

  let broken = ref false
  let sent : W.Tcp.t list ref = ref []

  let pseudoheader t ?src dst proto length =
    if !broken then failwith "expected by the test" else pseudoheader t ?src dst proto length

  let write _ ?fragment:_ ?ttl:_ ?src:_ _ _ ?(size = 0) fill _ =
    let b = Cstruct.create size in
    ignore (fill b : int);
    sent := Result.get_ok (W.Tcp.parse b) :: !sent;
    Lwt.return_ok ()
end

module Over_fragile = Mirust_tcp_flow.Tcp.Flow.Make_plain (Fragile)

let ip_that_raises_loses_a_segment p =
  Over_fragile.connect (Stack.ip p.stack_a) >>= fun t ->
  let engine = Over_fragile.engine t and served = ref false in
  Over_fragile.listen t ~port (fun flow ->
      served := true;
      Over_fragile.close flow);
  let arrive packet = Over_fragile.input_packet t ~src:stranger ~dst:(ip 1) ~tos:0 packet in
  Fragile.broken := true;
  Fragile.sent := [];
  arrive (segment ~flags:W.Tcp.Flags.syn ());
  check_int "nothing sent" 0 (List.length !Fragile.sent);
  check_int "it has its connection" 1 (Engine.connections engine);
  Fragile.broken := false;
  Env.sleep (Env.sec 2) >>= fun () ->
  (match !Fragile.sent with
  | [ syn_ack ] ->
      let before = (Engine.stats engine).segments_in in
      arrive (segment ~seq:1001 ~ack:(Mirust_tcp.Seq.add syn_ack.seq 1) ());
      check_int "arrives at once" (before + 1) (Engine.stats engine).segments_in
  | sent -> fail "%d segments instead of the SYN ACK, once more" (List.length sent));
  Env.sleep (Env.ms 1) >>= fun () ->
  check_bool "served" true !served;
  Over_fragile.disconnect t

(* An IP layer that hears which of its paths work. *)
module Confirmed = struct
  include Stack.IP

  let count = ref 0
  let confirm _ = incr count
end

module Over_confirmed = Mirust_tcp_flow.Tcp.Flow.Make (Confirmed)

(* RFC 4861 section 7.3.1: without this, a neighbour whose answers are lost in the traffic would be
   given up in the middle of a transfer. *)
let progress_confirms_the_path p =
  Over_confirmed.connect (Stack.ip p.stack_a) >>= fun t ->
  let engine = Over_confirmed.engine t in
  Confirmed.count := 0;
  Over_confirmed.listen t ~port (fun _ -> Lwt.return_unit);
  let arrive packet = Over_confirmed.input_packet t ~src:stranger ~dst:(ip 1) ~tos:0 packet in
  arrive (segment ~flags:W.Tcp.Flags.syn ());
  let c = Option.get (Engine.lookup engine ~local:(ip 1, port) ~remote:(stranger, 5000)) in
  let ack = Mirust_tcp.Seq.add (Engine.tcb c).iss 1 in
  let data seq =
    let { W.Packet.data; _ } = segment ~seq ~ack () in
    arrive (W.Packet.v ~checksum:`Valid (Cstruct.append data (Cstruct.of_string "x")))
  in
  check_int "not by a SYN, which anybody sends" 0 !Confirmed.count;
  data 1001;
  check_int "by data" 1 !Confirmed.count;
  data 1002;
  check_int "once a second" 1 !Confirmed.count;
  Env.sleep (Env.sec 1) >>= fun () ->
  data 500;
  check_int "not by old data" 1 !Confirmed.count;
  data 1003;
  check_int "by data, again" 2 !Confirmed.count;
  Over_confirmed.disconnect t

(* ---- Bad links ---- *)

let conditions =
  let p = Network.perfect in
  [
    ("drop", { p with drop = 0.1 });
    ("duplicate", { p with duplicate = 0.3 });
    ("reorder", { p with reorder = 0.3; reorder_by = 5_000_000 });
    ("corrupt", { p with corrupt = 0.1 });
    ("delay", { p with delay = 50_000_000; jitter = 20_000_000 });
    ("rate", { p with rate = 20_000_000; queue = 30_000; delay = 1_000_000 });
    ( "all",
      {
        p with
        drop = 0.05;
        duplicate = 0.05;
        reorder = 0.1;
        reorder_by = 10_000_000;
        corrupt = 0.05;
        delay = 10_000_000;
      } );
  ]

let case name ?ring ?conditions ?immediate ?seed f =
  Alcotest.test_case name `Quick (with_pair ?ring ?conditions ?immediate ?seed f)

let () =
  Alcotest.run "flow"
    [
      ( "data",
        [
          case "both ways" (both_ways 1_000_000);
          case "both ways, frames arrive inside send" ~immediate:true (both_ways 1_000_000);
          case "both ways through a tiny ring" ~ring:4 (both_ways 1_000_000);
          case "half close" half_close;
          case "parts of what has come" read_in_parts;
          case "a reply of the next turn carries the acknowledgement" reply_of_the_next_turn;
          case "200 connections" many_connections;
          case "200 connections, frames arrive inside send" ~immediate:true many_connections;
          case "200 connections through a tiny ring" ~ring:4 many_connections;
          case "back-pressure" back_pressure;
          case "many writers" many_writers;
          case "readers share" readers_share;
          case "a late reader keeps no frame" late_reader_keeps_no_frame;
          case "latency" latency;
          case "arrivals do not wait after a segment was sent" arrivals_do_not_wait;
          case "from or to many hosts" not_for_one_host;
          case "a shut reader does not stop the peer" shut_reader_does_not_stop_the_peer;
        ] );
      ( "ends",
        [
          case "refused" refused;
          case "connect times out" connect_timeout;
          case "a dead neighbour" dead_neighbour;
          case "no such port" no_such_port;
          case "addresses that cannot be reached" not_reachable;
          case "ports that nobody can listen on" not_a_port_to_listen_on;
          case "endless keepalive" long_keepalive;
          case "keepalive finds a dead peer" keepalive_finds_a_dead_peer;
          case "user timeout" user_timeout;
          case "close wakes writers" writer_woken_by_close;
          case "close wakes readers" reader_woken_by_close;
          case "reset by peer" reset_by_peer;
          case "close with unread data" close_with_unread_data;
          case "server that raises" server_that_raises;
          case "listeners" listeners;
          case "disconnect" disconnected;
          Alcotest.test_case "disconnect ends interludes" `Quick no_interlude_is_left;
          case "progress confirms the path" progress_confirms_the_path;
          case "an IP that raises loses a segment, and no more" ip_that_raises_loses_a_segment;
        ] );
      ( "bad links",
        List.concat_map
          (fun (name, conditions) ->
            List.init 5 (fun seed ->
                case (Printf.sprintf "%s, seed %d" name seed) ~seed ~conditions (both_ways 200_000)))
          conditions );
    ]
