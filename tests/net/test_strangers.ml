(* What others may send, and what must not come of it: sources and destinations that cannot be, floods
   of questions, answers that have a limit; and the loopback network, which no other can reach. *)

open Mirust_net_env
open Mirust_netif
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
module W = Mirust_wire
module Ndp_engine = Mirust_net_engine.Ndp_engine

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let v4 = Ipaddr.V4.of_string_exn
let v6 = Ipaddr.V6.of_string_exn
let ip = Ipaddr.of_string_exn

let run f () =
  let mock = Mock.install () in
  Mock.run mock (f ())

(* {1 A stranger: a port that sees everything and sends anything} *)

type stranger = { port : Device.t; mutable seen : Cstruct.t list (* newest first *) }

let stranger ?(n = 9) network =
  let port = Network.attach ~promiscuous:true ~ring:10_000 network (mac n) in
  let t = { port; seen = [] } in
  port.on_receive (List.iter (fun (p : W.Packet.t) -> t.seen <- p.data :: t.seen));
  t

let inject t b =
  let head = t.port.reserve (Cstruct.length b) in
  Cstruct.blit b 0 head 0 (Cstruct.length b);
  let frame =
    { Device.head; payload = []; checksum_start = 0; checksum_offset = 0; gso_size = 0 }
  in
  check_bool "sent" true (t.port.send frame = `Sent);
  t.port.flush ()

(* So that everybody has answered what there is to answer. *)
let settle () = Env.sleep (Env.ms 10)

let ethernet ?(destination = mac 1) proto packet =
  let b = Cstruct.create (W.Ethernet.header_length + Cstruct.length packet) in
  W.Ethernet.emit { source = mac 9; destination; proto } b;
  Cstruct.blit packet 0 b W.Ethernet.header_length (Cstruct.length packet);
  b

let ipv4 ~src ~dst ~proto payload =
  let b = Cstruct.create (20 + Cstruct.length payload) in
  W.Ipv4.emit
    {
      src;
      dst;
      proto;
      ttl = 64;
      tos = 0;
      id = 1;
      dont_fragment = false;
      more_fragments = false;
      fragment_offset = 0;
      options = Cstruct.empty;
      payload_length = Cstruct.length payload;
    }
    b;
  Cstruct.blit payload 0 b 20 (Cstruct.length payload);
  b

let ipv6 ?(hop_limit = 64) ~src ~dst ~proto payload =
  let b = Cstruct.create (40 + Cstruct.length payload) in
  W.Ipv6.emit
    {
      src;
      dst;
      traffic_class = 0;
      flow_label = 0;
      next_header = proto;
      hop_limit;
      payload_length = Cstruct.length payload;
    }
    b;
  Cstruct.blit payload 0 b 40 (Cstruct.length payload);
  b

let pseudo ~src ~dst ~proto ~len =
  match (src, dst) with
  | Ipaddr.V4 src, Ipaddr.V4 dst -> W.Checksum.pseudo_v4 ~src ~dst ~proto ~len
  | Ipaddr.V6 src, Ipaddr.V6 dst -> W.Checksum.pseudo_v6 ~src ~dst ~proto ~len
  | Ipaddr.V4 _, Ipaddr.V6 _ | Ipaddr.V6 _, Ipaddr.V4 _ -> assert false

let packet ?destination ~src ~dst ~proto payload =
  match (src, dst) with
  | Ipaddr.V4 src, Ipaddr.V4 dst -> ethernet ?destination `IPv4 (ipv4 ~src ~dst ~proto payload)
  | Ipaddr.V6 src, Ipaddr.V6 dst -> ethernet ?destination `IPv6 (ipv6 ~src ~dst ~proto payload)
  | Ipaddr.V4 _, Ipaddr.V6 _ | Ipaddr.V6 _, Ipaddr.V4 _ -> assert false

let datagram ?destination ?(src_port = 1000) ~src ~dst ~dst_port text =
  let payload = [ Cstruct.of_string text ] in
  let len = 8 + String.length text in
  let b = Cstruct.create len in
  W.Udp.emit ~src_port ~dst_port ~pseudo:(pseudo ~src ~dst ~proto:17 ~len) ~payload b;
  Cstruct.blit_from_string text 0 b 8 (String.length text);
  packet ?destination ~src ~dst ~proto:17 b

let syn ?destination ~src ~dst ~dst_port () =
  let b = Cstruct.create 20 in
  Cstruct.BE.set_uint16 b 0 1000;
  Cstruct.BE.set_uint16 b 2 dst_port;
  Cstruct.set_uint8 b 12 0x50;
  Cstruct.set_uint8 b 13 0x02;
  Cstruct.BE.set_uint16 b 14 1024;
  let sum = W.Checksum.bytes (pseudo ~src ~dst ~proto:6 ~len:20) b in
  Cstruct.BE.set_uint16 b 16 (W.Checksum.finish sum);
  packet ?destination ~src ~dst ~proto:6 b

let echo_request ~src ~dst () =
  match (src, dst) with
  | Ipaddr.V4 _, Ipaddr.V4 _ ->
      let m = W.Icmpv4.Echo_request { id = 1; seq = 1; data = Cstruct.of_string "x" } in
      let b = Cstruct.create (W.Icmpv4.length m) in
      W.Icmpv4.emit m b;
      packet ~src ~dst ~proto:1 b
  | Ipaddr.V6 s, Ipaddr.V6 d ->
      let m = W.Icmpv6.Echo_request { id = 1; seq = 1; data = Cstruct.of_string "x" } in
      let b = Cstruct.create (W.Icmpv6.length m) in
      W.Icmpv6.emit ~src:s ~dst:d m b;
      packet ~src ~dst ~proto:W.Icmpv6.proto b
  | Ipaddr.V4 _, Ipaddr.V6 _ | Ipaddr.V6 _, Ipaddr.V4 _ -> assert false

(* IP packets that the stack sent, but for neighbour discovery. *)
let answers t =
  List.filter
    (fun b ->
      match W.Ethernet.parse b with
      | Ok { proto = `IPv4; source; _ } -> Macaddr.compare source (mac 1) = 0
      | Ok { proto = `IPv6; source; _ } -> (
          Macaddr.compare source (mac 1) = 0
          &&
          match W.Ipv6.parse (W.Ethernet.payload b) with
          | Ok h when h.next_header = W.Icmpv6.proto -> (
              match
                W.Icmpv6.parse ~src:h.src ~dst:h.dst (W.Ipv6.payload h (W.Ethernet.payload b))
              with
              | Ok m -> not (W.Icmpv6.is_ndp m)
              | Error _ -> true)
          | Ok h -> h.next_header <> 0
          | Error _ -> true)
      | Ok { proto = `ARP; _ } | Error _ -> false)
    t.seen

(* {1 A stack at 10.0.0.1 and fd00::1} *)

let config =
  {
    Stack.default with
    ipv4 = `Static { cidr = Ipaddr.V4.Prefix.of_string_exn "10.0.0.1/24"; gateway = None };
    ipv6_addresses = [ Ipaddr.V6.Prefix.of_string_exn "fd00::1/64" ];
  }

let off = { Stack.default with ipv6 = `On; accept_router_advertisements = false }
let only4 = { config with ipv6 = `Off; ipv6_addresses = [] }

let stack ?(config = config) network =
  Stack.connect config (Network.attach ~ring:10_000 network (mac 1))

let target ?config () =
  let network = Network.create () in
  let stranger = stranger network in
  stack ?config network >>= fun s ->
  Env.sleep (Env.sec 3) >|= fun () ->
  stranger.seen <- [];
  (stranger, s)

let listen_udp s ~port =
  let received = ref [] in
  Stack.UDP.listen (Stack.udp s) ~port (fun ~src ~dst:_ ~src_port:_ b ->
      received := (src, Cstruct.to_string b) :: !received;
      Lwt.return_unit);
  received

let martians4 =
  [ "0.0.0.0"; "0.1.2.3"; "127.0.0.1"; "127.9.9.9"; "10.0.0.1"; "10.0.0.255"; "224.0.0.1" ]
  @ [ "239.1.2.3"; "240.0.0.1"; "250.1.2.3"; "255.255.255.255" ]

let martians6 = [ "::"; "::1"; "fd00::1"; "ff02::1"; "ff0e::1"; "::ffff:10.0.0.9" ]

let sources_that_cannot_be () =
  target () >>= fun (x, s) ->
  let received = listen_udp s ~port:7 in
  Stack.TCP.listen (Stack.tcp s) ~port:7 Stack.TCP.close;
  let try_all dst src =
    inject x (datagram ~src:(ip src) ~dst:(ip dst) ~dst_port:7 src);
    (* A closed port, too, would be answered. *)
    inject x (datagram ~src:(ip src) ~dst:(ip dst) ~dst_port:9 src);
    inject x (syn ~src:(ip src) ~dst:(ip dst) ~dst_port:7 ());
    inject x (syn ~src:(ip src) ~dst:(ip dst) ~dst_port:9 ());
    inject x (echo_request ~src:(ip src) ~dst:(ip dst) ())
  in
  List.iter (try_all "10.0.0.1") martians4;
  List.iter (try_all "fd00::1") martians6;
  settle () >>= fun () ->
  check_int "received" 0 (List.length !received);
  check_int "answers" 0 (List.length (answers x));
  check_int "connections" 0 (Mirust_tcp.Engine.connections (Stack.TCP.engine (Stack.tcp s)));
  (* The same of somebody who can be. *)
  try_all "10.0.0.1" "10.0.0.9";
  try_all "fd00::1" "fd00::9";
  settle () >|= fun () -> check_int "received" 2 (List.length !received)

let tcp_has_no_business_with_groups () =
  target () >>= fun (x, s) ->
  Stack.TCP.listen (Stack.tcp s) ~port:7 Stack.TCP.close;
  let try_one ?destination ~src dst =
    inject x (syn ?destination ~src:(ip src) ~dst:(ip dst) ~dst_port:7 ());
    inject x (syn ?destination ~src:(ip src) ~dst:(ip dst) ~dst_port:9 ())
  in
  List.iter (try_one ~src:"10.0.0.9") [ "10.0.0.255"; "255.255.255.255"; "224.0.0.1" ];
  try_one ~src:"fd00::9" "ff02::1";
  (* Nor does a host's address belong into a frame for everybody (RFC 1122 section 3.3.6). *)
  try_one ~destination:Macaddr.broadcast ~src:"10.0.0.9" "10.0.0.1";
  try_one ~destination:(mac 1) ~src:"fd00::9" "ff02::1";
  settle () >>= fun () ->
  check_int "answers" 0 (List.length (answers x));
  check_int "connections" 0 (Mirust_tcp.Engine.connections (Stack.TCP.engine (Stack.tcp s)));
  List.iter
    (fun dst ->
      check_bool dst true
        (match Lwt.state (Stack.TCP.create_connection (Stack.tcp s) (ip dst, 7)) with
        | Lwt.Return (Error _) -> true
        | Lwt.Return (Ok _) | Lwt.Fail _ | Lwt.Sleep -> false))
    [ "10.0.0.255"; "255.255.255.255"; "224.0.0.1"; "ff02::1"; "0.0.0.0"; "::"; "240.0.0.1" ];
  Lwt.return_unit

let groups_hear_datagrams () =
  target () >>= fun (x, s) ->
  let received = listen_udp s ~port:7 in
  let send destination src dst =
    inject x (datagram ~destination ~src:(ip src) ~dst:(ip dst) ~dst_port:7 dst)
  in
  send Macaddr.broadcast "10.0.0.9" "10.0.0.255";
  send Macaddr.broadcast "10.0.0.9" "255.255.255.255";
  send (mac 1) "fd00::9" "ff02::1";
  (* As a host asks a DHCP server. *)
  send Macaddr.broadcast "0.0.0.0" "255.255.255.255";
  send Macaddr.broadcast "10.0.0.9" "10.0.0.1";
  settle () >|= fun () ->
  Alcotest.(check (list string))
    "received"
    [ "10.0.0.255"; "255.255.255.255"; "ff02::1"; "255.255.255.255" ]
    (List.rev_map snd !received)

(* {1 What waits to be sent} *)

let limits = { Stack.default_limits with own = 10_000 }

(* Each answer would wait for a neighbour that nobody is: but not with as many octets as a stranger likes, and what need
   not wait is not kept from being sent. *)
let answers_to_nobody_hold_little () =
  let network = Network.create () in
  let x = stranger network in
  Stack.connect ~limits config (Network.attach ~ring:10_000 network (mac 1)) >>= fun s ->
  let counters = Mirust_tcpip.Ipv4_core.counters (Stack.ipv4 s) in
  Stack.UDP.listen (Stack.udp s) ~port:7 (fun ~src ~dst:_ ~src_port b ->
      Stack.UDP.write ~src_port:7 ~dst:src ~dst_port:src_port (Stack.udp s) b >|= ignore);
  let ask n =
    let src = ip (Printf.sprintf "10.0.0.%d" n) in
    inject x (datagram ~src ~dst:(ip "10.0.0.1") ~dst_port:7 (String.make 1000 'x'))
  in
  for n = 100 to 149 do
    ask n
  done;
  settle () >>= fun () ->
  check_bool "most are dropped" true (counters.unresolved >= 40);
  let b = Cstruct.create W.Arp.length in
  W.Arp.emit
    {
      operation = Request;
      sender_mac = mac 9;
      sender_ip = v4 "10.0.0.9";
      target_mac = mac 1;
      target_ip = v4 "10.0.0.1";
    }
    b;
  inject x (ethernet `ARP b);
  settle () >>= fun () ->
  x.seen <- [];
  ask 9;
  settle () >|= fun () -> check_int "one who is there" 1 (List.length (answers x))

(* A device may take less than it brings. *)
let a_slow_device_makes_no_queue () =
  let network = Network.create () in
  let port = Network.attach ~ring:10_000 network (mac 1) in
  let stuck = ref false in
  let reserve n = if !stuck then Cstruct.empty else port.reserve n in
  Stack.connect ~limits config { port with reserve } >>= fun s ->
  let write () =
    Stack.UDP.write ~src_port:7 ~dst:(ip "10.0.0.255") ~dst_port:7 (Stack.udp s)
      (Cstruct.create 1000)
  in
  stuck := true;
  let written = List.init 100 (fun _ -> write ()) in
  let waiting = List.length (List.filter Lwt.is_sleeping written) in
  check_bool (Fmt.str "%d wait" waiting) true (waiting > 0 && waiting <= 10);
  let counters = Mirust_tcpip.Ipv4_core.counters (Stack.ipv4 s) in
  check_int "dropped" (100 - waiting) counters.crowded_out;
  Lwt.return_unit

(* {1 Loopback} *)

let echo flow =
  let rec go () =
    Stack.TCP.read flow >>= function
    | Ok (`Data b) -> (
        Stack.TCP.write flow b >>= function Ok () -> go () | Error _ -> Stack.TCP.close flow)
    | Ok `Eof | Error _ -> Stack.TCP.close flow
  in
  go ()

let tcp_to s dst =
  let data = String.init 200_000 (fun i -> Char.chr (i * 7 land 0xff)) in
  Stack.TCP.create_connection (Stack.tcp s) (ip dst, 7) >>= function
  | Error e -> Alcotest.failf "%s: %a" dst Stack.TCP.pp_error e
  | Ok flow ->
      check_bool (dst ^ ": from itself") true
        (Ipaddr.compare (fst (Stack.TCP.src flow)) (ip dst) = 0);
      let received = Buffer.create 1000 in
      let rec collect () =
        Stack.TCP.read flow >>= function
        | Ok (`Data b) ->
            Buffer.add_string received (Cstruct.to_string b);
            collect ()
        | Ok `Eof | Error _ -> Lwt.return_unit
      in
      let send =
        Stack.TCP.write flow (Cstruct.of_string data) >>= fun _ -> Stack.TCP.shutdown flow `write
      in
      Lwt.join [ send; collect () ] >>= fun () ->
      Stack.TCP.close flow >|= fun () ->
      check_bool (dst ^ ": echo") true (Buffer.contents received = data)

let udp_to s dst =
  let received = listen_udp s ~port:8 in
  Stack.UDP.write ~dst:(ip dst) ~dst_port:8 (Stack.udp s) (Cstruct.of_string dst) >>= fun r ->
  check_bool dst true (r = Ok ());
  (* In pieces, if the address has an MTU at all. *)
  let long = String.make 40_000 'l' in
  Stack.UDP.write ~dst:(ip dst) ~dst_port:8 (Stack.udp s) (Cstruct.of_string long) >>= fun r ->
  check_bool dst true (r = Ok ());
  settle () >|= fun () ->
  check_bool (dst ^ ": datagrams") true (List.rev !received = [ (ip dst, dst); (ip dst, long) ])

let is_between_hosts b =
  match W.Ethernet.parse b with
  | Ok { proto = `IPv4; _ } -> true
  | Ok { proto = `IPv6; _ } -> (
      match W.Ipv6.parse (W.Ethernet.payload b) with
      | Ok h -> not (Ipaddr.V6.is_multicast h.dst)
      | Error _ -> true)
  | Ok { proto = `ARP; _ } | Error _ -> false

let loopback () =
  target () >>= fun (x, s) ->
  Stack.TCP.listen (Stack.tcp s) ~port:7 echo;
  let all = [ "127.0.0.1"; "127.1.2.3"; "::1"; "10.0.0.1"; "fd00::1" ] in
  Lwt_list.iter_s (tcp_to s) all >>= fun () ->
  Lwt_list.iter_s (udp_to s) all >>= fun () ->
  Stack.ICMP.ping (Stack.icmp s) (v4 "127.0.0.1") >>= fun r ->
  check_bool "ping" true (Result.is_ok r);
  Mirust_tcpip.Ipv6_core.ping (Stack.ipv6 s) (v6 "::1") >|= fun r ->
  check_bool "ping" true (Result.is_ok r);
  check_int "frames on the wire" 0 (List.length (List.filter is_between_hosts x.seen))

(* The loopback network needs no address, no router and no family that is switched on. *)
let loopback_without_addresses config () =
  let network = Network.create () in
  let x = stranger network in
  stack ~config network >>= fun s ->
  Stack.TCP.listen (Stack.tcp s) ~port:7 echo;
  Lwt_list.iter_s (tcp_to s) [ "127.0.0.1"; "::1" ] >>= fun () ->
  Lwt_list.iter_s (udp_to s) [ "127.0.0.1"; "::1" ] >|= fun () ->
  check_int "frames on the wire" 0 (List.length (List.filter is_between_hosts x.seen))

let loopback_only_from_inside () =
  target () >>= fun (x, s) ->
  let received = listen_udp s ~port:7 in
  Stack.TCP.listen (Stack.tcp s) ~port:7 Stack.TCP.close;
  let knock src dst =
    inject x (datagram ~src:(ip src) ~dst:(ip dst) ~dst_port:7 dst);
    inject x (syn ~src:(ip src) ~dst:(ip dst) ~dst_port:7 ());
    inject x (echo_request ~src:(ip src) ~dst:(ip dst) ())
  in
  knock "10.0.0.9" "127.0.0.1";
  knock "127.0.0.1" "127.0.0.1";
  knock "fd00::9" "::1";
  knock "::1" "::1";
  settle () >>= fun () ->
  check_int "received" 0 (List.length !received);
  check_int "answers" 0 (List.length (answers x));
  (* And an address of the loopback network is no source for elsewhere. *)
  let refused src dst =
    Stack.UDP.write ~src:(ip src) ~dst:(ip dst) ~dst_port:7 (Stack.udp s) Cstruct.empty >|= fun r ->
    check_bool (src ^ " to " ^ dst) true (Result.is_error r)
  in
  refused "127.0.0.1" "10.0.0.9" >>= fun () ->
  refused "10.0.0.7" "10.0.0.9" >>= fun () ->
  refused "0.0.0.0" "10.0.0.9" >>= fun () ->
  refused "::1" "fd00::9" >>= fun () ->
  refused "fd00::7" "fd00::9" >>= fun () ->
  refused "::1" "::ffff:10.0.0.9" >>= fun () ->
  settle () >|= fun () -> check_int "sent" 0 (List.length (answers x))

(* Two services of ours that answer each other without end leave the rest of the program alone. *)
let echoes_leave_room_for_others () =
  target () >>= fun (_, s) ->
  let udp = Stack.udp s and turns = ref 0 in
  Stack.UDP.listen udp ~port:7 (fun ~src ~dst:_ ~src_port b ->
      incr turns;
      if !turns > 1000 then Lwt.return_unit
      else Stack.UDP.write ~src_port:7 ~dst:src ~dst_port:src_port udp b >|= ignore);
  Stack.UDP.write ~src_port:7 ~dst:(ip "127.0.0.1") ~dst_port:7 udp (Cstruct.of_string "x")
  >>= fun _ ->
  Lwt.pause () >>= Lwt.pause >|= fun () -> check_bool "one a turn" true (!turns <= 3)

(* {1 Frames with a priority} *)

let tagged ~network b =
  let tag = Cstruct.create 4 in
  Cstruct.BE.set_uint16 tag 0 0x8100;
  Cstruct.BE.set_uint16 tag 2 (0xa000 lor network);
  Cstruct.concat [ Cstruct.sub b 0 12; tag; Cstruct.shift b 12 ]

let priority_tags () =
  target () >>= fun (x, s) ->
  let received = listen_udp s ~port:7 in
  let frame text = datagram ~src:(ip "10.0.0.9") ~dst:(ip "10.0.0.1") ~dst_port:7 text in
  inject x (tagged ~network:0 (frame "priority"));
  inject x (tagged ~network:5 (frame "another network"));
  inject x (Cstruct.sub (tagged ~network:0 (frame "short")) 0 16);
  inject x (tagged ~network:0 (echo_request ~src:(ip "fd00::9") ~dst:(ip "fd00::1") ()));
  settle () >|= fun () ->
  Alcotest.(check (list string)) "received" [ "priority" ] (List.map snd !received)

(* {1 Connecting before there is an address} *)

let early_connect () =
  let network = Network.create () in
  let start n =
    Stack.connect
      {
        config with
        ipv6_addresses = [ Ipaddr.V6.Prefix.make 64 (v6 (Printf.sprintf "fd00::%d" n)) ];
      }
      (Network.attach network (mac n))
  in
  start 2 >>= fun b ->
  Stack.TCP.listen (Stack.tcp b) ~port:7 echo;
  Stack.settled b >>= fun () ->
  start 1 >>= fun a ->
  let began = Env.now () in
  let connect dst = Stack.TCP.create_connection (Stack.tcp a) (ip dst, 7) in
  connect "fd00::2" >>= fun r ->
  check_bool "connected" true (Result.is_ok r);
  check_int "after duplicate detection" (Env.sec 1) (Env.now () - began);
  (* No router has answered by now; when it is clear that none will, there is no route. *)
  connect "2001:db8::1" >|= fun r ->
  check_bool "no route" true (match r with Error (`No_route _) -> true | Ok _ | Error _ -> false);
  check_bool "but not for ever" true (Env.now () - began < Env.sec 20)

(* A report about a datagram that nobody has sent is believed, as far as IPv6's least MTU: it costs headers, and no
   connection any time. *)
let forged_reports_delay_nobody () =
  let network = Network.create () in
  let x = stranger network in
  stack network >>= fun s ->
  let config = { off with ipv6_addresses = [ Ipaddr.V6.Prefix.of_string_exn "fd00::2/64" ] } in
  Stack.connect config (Network.attach ~ring:10_000 network (mac 2)) >>= fun peer ->
  Stack.TCP.listen (Stack.tcp peer) ~port:7 echo;
  Env.sleep (Env.sec 3) >>= fun () ->
  Stack.TCP.create_connection (Stack.tcp s) (ip "fd00::2", 7) >>= function
  | Error e -> Alcotest.failf "%a" Stack.TCP.pp_error e
  | Ok flow ->
      let us = v6 "fd00::1" and them = v6 "fd00::2" in
      let quoted = ipv6 ~src:us ~dst:them ~proto:17 (Cstruct.create 8) in
      let m = W.Icmpv6.Packet_too_big { mtu = 68; quoted } in
      let b = Cstruct.create (W.Icmpv6.length m) in
      W.Icmpv6.emit ~src:(v6 "fd00::9") ~dst:us m b;
      inject x (packet ~src:(ip "fd00::9") ~dst:(ip "fd00::1") ~proto:W.Icmpv6.proto b);
      settle () >>= fun () ->
      check_int "believed" 1240 (Stack.IP.mtu (Stack.ip s) ~dst:(ip "fd00::2"));
      let rec collect n =
        if n > 0 then
          Stack.TCP.read flow >>= function
          | Ok (`Data b) -> collect (n - Cstruct.length b)
          | Ok `Eof | Error _ -> Alcotest.fail "an end"
        else Lwt.return_unit
      in
      let octets = 100_000 in
      let write = Stack.TCP.write flow (Cstruct.create octets) >|= ignore in
      Lwt.join [ write; collect octets ] >|= fun () ->
      let stats = Mirust_tcp.Engine.stats (Stack.TCP.engine (Stack.tcp s)) in
      check_int "timeouts" 0 stats.timeouts

(* {1 Memory} *)

let few = { Stack.default_limits with tcp = { Stack.default_limits.tcp with connections_max = 8 } }

let two_stacks ?limits () =
  let network = Network.create () in
  let start ?limits n =
    let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
    Stack.connect ?limits
      { Stack.default with ipv4 = `Static { cidr; gateway = None } }
      (Network.attach network (mac n))
  in
  start 1 >>= fun a ->
  start ?limits 2 >|= fun b ->
  Stack.TCP.listen (Stack.tcp b) ~port:7 echo;
  (a, b)

let ask flow text =
  Stack.TCP.write flow (Cstruct.of_string text) >>= fun _ ->
  Stack.TCP.read flow >|= function
  | Ok (`Data b) -> Cstruct.to_string b = text
  | Ok `Eof | Error _ -> false

let evicted s = (Mirust_tcp.Engine.stats (Stack.TCP.engine (Stack.tcp s))).evicted

(* Eight connections take all the places. As long as they are used, nobody else comes in; those that are
   not make room. *)
let idle_connections_make_room () =
  two_stacks ~limits:few () >>= fun (a, b) ->
  let connect () = Stack.TCP.create_connection (Stack.tcp a) (ip "10.0.0.2", 7) >|= Result.get_ok in
  Lwt_list.map_s (fun _ -> connect ()) (List.init 8 Fun.id) >>= fun flows ->
  let busy = List.hd flows in
  let rec use n =
    if n = 0 then Lwt.return_unit
    else
      ask busy "busy" >>= fun ok ->
      check_bool "busy" true ok;
      Env.sleep (Env.ms 300) >>= fun () -> use (n - 1)
  in
  use 5 >>= fun () ->
  connect () >>= fun ninth ->
  ask ninth "honest" >>= fun ok ->
  check_bool "the ninth" true ok;
  ask busy "busy" >>= fun ok ->
  check_bool "the one in use" true ok;
  check_int "evicted" 1 (evicted b);
  (* Many more come and go. *)
  let rec more n =
    if n = 0 then Lwt.return_unit
    else
      connect () >>= fun flow ->
      ask flow "honest" >>= fun ok ->
      check_bool "one more" true ok;
      Env.sleep (Env.ms 400) >>= fun () ->
      ask busy "busy" >>= fun ok ->
      check_bool "the one in use" true ok;
      more (n - 1)
  in
  more 20 >|= fun () ->
  check_bool "not more than there are" true
    (Mirust_tcp.Engine.connections (Stack.TCP.engine (Stack.tcp b)) <= 8)

(* What connections hold of a large buffer is copied out of it, wherever it waits, and arrives whole. *)
let held_octets_are_copied () =
  two_stacks () >>= fun (a, b) ->
  let size = 1000 and count = 590 in
  let go, start = Lwt.wait () in
  let received = Buffer.create (size * count) in
  let rec collect flow =
    Stack.TCP.read flow >>= function
    | Ok (`Data view) ->
        Buffer.add_string received (Cstruct.to_string view);
        collect flow
    | Ok `Eof | Error _ -> Lwt.return_unit
  in
  let done_, finished = Lwt.wait () in
  Stack.TCP.listen (Stack.tcp b) ~port:8 (fun flow ->
      go >>= fun () ->
      collect flow >|= fun () -> Lwt.wakeup_later finished ());
  Stack.TCP.create_connection (Stack.tcp a) (ip "10.0.0.2", 8) >|= Result.get_ok >>= fun flow ->
  let slab = Cstruct.of_string (String.init (size * count) (fun i -> Char.chr (i * 7 mod 251))) in
  let writes =
    Lwt_list.iter_s
      (fun i -> Stack.TCP.write flow (Cstruct.sub slab (i * size) size) >|= ignore)
      (List.init count Fun.id)
  in
  Env.sleep (Env.sec 1) >>= fun () ->
  check_bool "a writer waits" true (Lwt.is_sleeping writes);
  let engine = Stack.TCP.engine (Stack.tcp a) in
  let before = Mirust_tcp.Engine.memory engine in
  Stack.TCP.compact ~device:(( == ) slab.buffer) (Stack.tcp a);
  Stack.TCP.compact ~device:(( == ) slab.buffer) (Stack.tcp b);
  check_int "as much as before" before (Mirust_tcp.Engine.memory engine);
  Mirust_tcp.Engine.iter engine (fun c ->
      Mirust_tcp.Flight.iter (Mirust_tcp.Engine.tcb c).flight (fun piece ->
          check_bool "in flight" false
            (List.exists (fun (v : Cstruct.t) -> v.buffer == slab.buffer) piece.payload)));
  Lwt.wakeup_later start ();
  writes >>= fun () ->
  Stack.TCP.close flow >>= fun () ->
  done_ >>= fun () ->
  Env.sleep (Env.sec 1) >|= fun () ->
  check_bool "whole" true (Buffer.contents received = Cstruct.to_string slab);
  check_int "nothing is left" 0 (Mirust_tcp.Engine.memory engine)

let copies_hold_no_more_than_they_have () =
  let open Mirust_tcp in
  let users = Cstruct.create 262_144 and slab = Cstruct.create 98_304 in
  let views = List.init 100 (fun i -> Cstruct.sub users (i * 2000) ((i * 37 mod 1448) + 1)) in
  let large = Cstruct.sub users 200_000 (Pinned.worth + 1) and frame = Cstruct.sub slab 54 60_000 in
  let all = views @ [ large; frame ] @ views in
  let device b = b == slab.buffer in
  let after = Pinned.compact ~device all in
  check_bool "the same octets" true (Cstruct.equal (Cstruct.concat all) (Cstruct.concat after));
  check_bool "nothing is pinned" false (List.exists (Pinned.pins ~device) after);
  let is_copy (v : Cstruct.t) = v.buffer != users.buffer in
  let size (v : Cstruct.t) = Bigarray.Array1.dim v.buffer in
  check_bool "copies are exact" true
    (List.for_all (fun v -> size v = Cstruct.length v) (List.filter is_copy after));
  check_int "the large piece is the user's" 1
    (List.length (List.filter (fun v -> not (is_copy v)) after));
  check_bool "fewer views" true (List.length after < 50)

(* {1 Identifiers of IPv6 addresses} *)

let link_local s =
  List.find_map
    (function
      | Ipaddr.V6 p when Ipaddr.V6.Prefix.(mem (address p) link) ->
          Some (Ipaddr.V6.Prefix.address p)
      | Ipaddr.V6 _ | Ipaddr.V4 _ -> None)
    (Stack.IP.configured_ips (Stack.ip s))

let link_local_of s = Option.get (link_local s)
let v6_only ipv6_identifiers = { Stack.default with ipv6_identifiers }

let identifiers () =
  let made n identifiers =
    Stack.connect (v6_only identifiers) (Network.attach (Network.create ()) (mac n))
    >|= link_local_of
  in
  let same = Alcotest.testable Ipaddr.V6.pp (fun a b -> Ipaddr.V6.compare a b = 0) in
  made 1 `Modified_eui64 >>= fun eui64 ->
  Alcotest.check same "of the MAC" (Ndp_engine.link_local (mac 1)) eui64;
  made 1 (`Stable "one secret") >>= fun one ->
  made 1 (`Stable "one secret") >>= fun again ->
  made 1 (`Stable "another") >>= fun other ->
  made 2 (`Stable "one secret") >>= fun station ->
  made 1 `Private >|= fun private_ ->
  Alcotest.check same "the same secret" one again;
  let all = [ eui64; one; other; station; private_ ] in
  check_int "all others differ" 5 (List.length (List.sort_uniq Ipaddr.V6.compare all))

(* Another station has our address: with identifiers to choose from the next is taken, and the stack is ready
   a little later; an address of the MAC is tried again until the other station has gone. *)
let duplicate_of_link_local () =
  let network = Network.create () in
  let secret = `Stable "a secret" in
  let config = v6_only secret in
  let probe network = Stack.connect config (Network.attach network (mac 1)) >|= link_local_of in
  probe (Network.create ()) >>= fun wanted ->
  let squatter = stranger network in
  let answer target =
    let dst = Ipaddr.V6.link_nodes in
    let options = { W.Icmpv6.no_options with target_link = Some (mac 9) } in
    let m =
      W.Icmpv6.Neighbour_advertisement
        { router = false; solicited = false; override = true; target; options }
    in
    let b = Cstruct.create (W.Icmpv6.length m) in
    W.Icmpv6.emit ~src:target ~dst m b;
    inject squatter
      (ethernet ~destination:Macaddr.broadcast `IPv6
         (ipv6 ~hop_limit:255 ~src:target ~dst ~proto:W.Icmpv6.proto b))
  in
  Stack.connect config (Network.attach network (mac 1)) >>= fun s ->
  check_bool "used at once" true (Ipaddr.V6.compare (link_local_of s) wanted = 0);
  Env.sleep (Env.ms 100) >>= fun () ->
  answer wanted;
  Env.sleep (Env.sec 2) >>= fun () ->
  check_bool "another address" true (Ipaddr.V6.compare (link_local_of s) wanted <> 0);
  let theirs = Ndp_engine.link_local (mac 2) in
  Stack.connect (v6_only `Modified_eui64) (Network.attach network (mac 2)) >>= fun stubborn ->
  Env.sleep (Env.ms 100) >>= fun () ->
  answer theirs;
  Env.sleep (Env.sec 30) >>= fun () ->
  check_bool "given up" true (link_local stubborn = None);
  Env.sleep (Env.sec 40) >|= fun () ->
  check_bool "at last" true (Ipaddr.V6.compare (link_local_of stubborn) theirs = 0)

(* {1 Answers that strangers can provoke} *)

let from n = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 n)

let is_icmp b =
  match W.Ipv4.parse (W.Ethernet.payload b) with Ok h -> h.proto = 1 | Error _ -> false

(* The stranger's neighbours have to be known, or questions about them are all there is to see. *)
let introduce x n =
  let packet =
    {
      W.Arp.operation = Request;
      sender_mac = mac 9;
      sender_ip = Ipaddr.V4.make 10 0 0 n;
      target_mac = mac 0;
      target_ip = v4 "10.0.0.1";
    }
  in
  let b = Cstruct.create W.Arp.length in
  W.Arp.emit packet b;
  inject x (ethernet `ARP b)

let errors_are_rationed () =
  target ~config:only4 () >>= fun (x, _) ->
  let introduce_all () = List.iter (introduce x) (List.init 200 (fun n -> n + 20)) in
  introduce_all ();
  settle () >>= fun () ->
  let knock n = inject x (datagram ~src:(from n) ~dst:(ip "10.0.0.1") ~dst_port:9 "x") in
  let count f =
    x.seen <- [];
    f ();
    settle () >|= fun () -> List.length (List.filter is_icmp (answers x))
  in
  count (fun () ->
      for _ = 1 to 500 do
        knock 20
      done)
  >>= fun one ->
  check_bool "to one" true (one > 0 && one <= 10);
  (* However many ask, and however often that is tried, the number is not the same. *)
  let rec try_often n counts =
    if n = 0 then Lwt.return counts
    else
      Env.sleep (Env.sec 5) >>= fun () ->
      introduce_all ();
      settle () >>= fun () ->
      count (fun () ->
          for i = 0 to 999 do
            knock (20 + (i mod 200))
          done)
      >>= fun all ->
      check_bool "to all" true (all >= 20 && all <= 100);
      try_often (n - 1) (all :: counts)
  in
  try_often 10 [] >|= fun counts ->
  check_bool "nobody can count on it" true (List.length (List.sort_uniq compare counts) > 1)

let echoes_are_rationed () =
  target () >>= fun (x, _) ->
  introduce x 20;
  settle () >>= fun () ->
  x.seen <- [];
  for _ = 1 to 5000 do
    inject x (echo_request ~src:(from 20) ~dst:(ip "10.0.0.1") ())
  done;
  settle () >|= fun () ->
  let n = List.length (List.filter is_icmp (answers x)) in
  check_bool "replies" true (n > 100 && n <= 1100)

let questions_about_us_are_rationed () =
  target () >>= fun (x, _) ->
  let frames proto =
    List.length
      (List.filter
         (fun b ->
           match W.Ethernet.parse b with
           | Ok h -> h.proto = proto && Macaddr.compare h.source (mac 1) = 0
           | Error _ -> false)
         x.seen)
  in
  for _ = 1 to 5000 do
    introduce x 20
  done;
  settle () >>= fun () ->
  check_bool "ARP" true (frames `ARP > 100 && frames `ARP <= 1100);
  x.seen <- [];
  let target_ = v6 "fd00::1" and src = v6 "fd00::9" in
  let m =
    W.Icmpv6.Neighbour_solicitation
      { target = target_; options = { W.Icmpv6.no_options with source_link = Some (mac 9) } }
  in
  let dst = Ndp_engine.solicited_node target_ in
  let b = Cstruct.create (W.Icmpv6.length m) in
  W.Icmpv6.emit ~src ~dst m b;
  let frame =
    ethernet ~destination:Macaddr.broadcast `IPv6
      (ipv6 ~hop_limit:255 ~src ~dst ~proto:W.Icmpv6.proto b)
  in
  for _ = 1 to 5000 do
    inject x frame
  done;
  settle () >|= fun () ->
  check_bool "neighbour discovery" true (frames `IPv6 > 100 && frames `IPv6 <= 1100)

(* A port that is open to one peer looks to others as a closed one does. *)
let a_port_for_one_peer () =
  target ~config:only4 () >>= fun (x, s) ->
  introduce x 20;
  settle () >>= fun () ->
  let received = ref 0 in
  Stack.UDP.listen_to (Stack.udp s) ~port:7
    ~peer:(from 20, 53)
    (fun ~src:_ ~dst:_ ~src_port:_ _ ->
      incr received;
      Lwt.return_unit);
  let try_one ~src_port =
    x.seen <- [];
    inject x (datagram ~src_port ~src:(from 20) ~dst:(ip "10.0.0.1") ~dst_port:7 "x");
    settle () >|= fun () -> List.length (List.filter is_icmp (answers x))
  in
  try_one ~src_port:53 >>= fun n ->
  check_int "not answered" 0 n;
  check_int "received" 1 !received;
  try_one ~src_port:54 >|= fun n ->
  check_int "refused" 1 n;
  check_int "not received" 1 !received

(* {1 What we send} *)

let identifications () =
  target ~config:only4 () >>= fun (x, s) ->
  let id_of b = W.Field.u16 (W.Ethernet.payload b) 4 in
  let ids dst n =
    x.seen <- [];
    Lwt_list.iter_s
      (fun _ ->
        Stack.UDP.write ~dst:(ip dst) ~dst_port:7 (Stack.udp s) (Cstruct.of_string "x") >|= ignore)
      (List.init n Fun.id)
    >>= fun () ->
    settle () >|= fun () -> List.rev_map id_of (answers x)
  in
  ids "10.0.0.255" 1000 >>= fun one ->
  check_int "all different" 1000 (List.length (List.sort_uniq compare one));
  ids "224.0.0.5" 1 >>= fun other ->
  (* A counter for all would go on from where it was. *)
  let last = List.nth one 999 and next = List.hd other in
  check_bool "no counter for all" true ((next - last) land 0xffff > 16);
  (* Packets that may not be cut need none. *)
  introduce x 20;
  settle () >>= fun () ->
  x.seen <- [];
  let connecting = Stack.TCP.create_connection (Stack.tcp s) (from 20, 7) in
  settle () >|= fun () ->
  Lwt.cancel connecting;
  check_bool "a SYN" true (answers x <> []);
  List.iter (fun b -> check_int "no identification" 0 (id_of b)) (answers x)

(* Each dynamic port is somebody's: what is sent without one is refused, and nobody is kept waiting. *)
let no_port_is_free () =
  target () >>= fun (_, s) ->
  let send () =
    Stack.UDP.write ~dst:(ip "10.0.0.255") ~dst_port:9 (Stack.udp s) (Cstruct.of_string "x")
  in
  for port = 49152 to 65535 do
    Stack.UDP.listen (Stack.udp s) ~port (fun ~src:_ ~dst:_ ~src_port:_ _ -> Lwt.return_unit)
  done;
  send () >>= fun r ->
  check_bool "refused" true (Result.is_error r);
  for port = 50000 to 60000 do
    Stack.UDP.unlisten (Stack.udp s) ~port
  done;
  send () >|= fun r -> check_bool "there are some" true (r = Ok ())

(* A network that gives back what was sent to all is no other station with our addresses. *)
let what_comes_back () =
  let network = Network.create () in
  let port = Network.attach ~promiscuous:true ~ring:10_000 network (mac 9) in
  let x = { port; seen = [] } in
  let give_back (p : W.Packet.t) =
    if W.Ethernet.is_group p.data then (
      x.seen <- p.data :: x.seen;
      inject x p.data)
  in
  port.on_receive (List.iter give_back);
  stack network >>= fun s ->
  Env.sleep (Env.sec 3) >|= fun () ->
  check_bool "something came back" true (List.length x.seen > 3);
  let all = List.map Ipaddr.Prefix.to_string (Stack.IP.configured_ips (Stack.ip s)) in
  Alcotest.(check (list string))
    "addresses"
    [ "10.0.0.1/24"; "fe80::ff:fe00:1/64"; "fd00::1/64" ]
    all

let numbers_are_checked () =
  target () >>= fun (x, s) ->
  x.seen <- [];
  let refused what r = check_bool what true (Result.is_error r) in
  let write ?src_port ?ttl ?(dst = "10.0.0.255") ?(length = 1) dst_port =
    Stack.UDP.write ?src_port ?ttl ~dst:(ip dst) ~dst_port (Stack.udp s) (Cstruct.create length)
  in
  write 0 >|= refused "port 0" >>= fun () ->
  write 65536 >|= refused "port 65536" >>= fun () ->
  write (-1) >|= refused "port -1" >>= fun () ->
  write ~src_port:65543 7 >|= refused "source port" >>= fun () ->
  write ~src_port:0 7 >|= refused "source port 0" >>= fun () ->
  write ~ttl:256 7 >|= refused "ttl" >>= fun () ->
  write ~ttl:0 7 >|= refused "no ttl" >>= fun () ->
  write ~length:65508 7 >|= refused "length" >>= fun () ->
  write ~length:70_000 7 >|= refused "length" >>= fun () ->
  write ~dst:"fd00::9" ~length:70_000 7 >|= refused "length" >>= fun () ->
  settle () >|= fun () -> check_int "sent" 0 (List.length (answers x))

(* A forged advertisement would have our packets end on their way. *)
let hop_limits () =
  target () >>= fun (x, s) ->
  let advertise hop_limit =
    let m =
      W.Icmpv6.Router_advertisement
        {
          hop_limit;
          managed = false;
          other = false;
          lifetime = 1800;
          reachable = 0;
          retransmit = 0;
          options = W.Icmpv6.no_options;
        }
    in
    let src = v6 "fe80::9" and dst = Ipaddr.V6.link_nodes in
    let b = Cstruct.create (W.Icmpv6.length m) in
    W.Icmpv6.emit ~src ~dst m b;
    inject x
      (ethernet ~destination:Macaddr.broadcast `IPv6
         (ipv6 ~hop_limit:255 ~src ~dst ~proto:W.Icmpv6.proto b));
    settle ()
  in
  let sent () =
    x.seen <- [];
    Stack.UDP.write ~dst:(ip "ff02::5") ~dst_port:7 (Stack.udp s) (Cstruct.of_string "x")
    >>= fun _ ->
    settle () >|= fun () -> W.Field.u8 (W.Ethernet.payload (List.hd (answers x))) 7
  in
  advertise 1 >>= fun () ->
  sent () >>= fun n ->
  check_int "not lower" 64 n;
  advertise 200 >>= fun () ->
  sent () >|= fun n -> check_int "higher" 200 n

let () =
  Alcotest.run "strangers"
    [
      ( "addresses",
        [
          case "sources_that_cannot_be" (run sources_that_cannot_be);
          case "tcp_has_no_business_with_groups" (run tcp_has_no_business_with_groups);
          case "groups_hear_datagrams" (run groups_hear_datagrams);
        ] );
      ( "frames",
        [ case "priority_tags" (run priority_tags); case "what_comes_back" (run what_comes_back) ]
      );
      ( "addresses of ours",
        [
          case "early_connect" (run early_connect);
          case "identifiers" (run identifiers);
          case "duplicate_of_link_local" (run duplicate_of_link_local);
        ] );
      ( "answers",
        [
          case "errors_are_rationed" (run errors_are_rationed);
          case "echoes_are_rationed" (run echoes_are_rationed);
          case "questions_about_us_are_rationed" (run questions_about_us_are_rationed);
          case "a_port_for_one_peer" (run a_port_for_one_peer);
          case "answers_to_nobody_hold_little" (run answers_to_nobody_hold_little);
          case "a_slow_device_makes_no_queue" (run a_slow_device_makes_no_queue);
        ] );
      ( "what we send",
        [
          case "identifications" (run identifications);
          case "numbers_are_checked" (run numbers_are_checked);
          case "no_port_is_free" (run no_port_is_free);
          case "hop_limits" (run hop_limits);
          case "forged_reports_delay_nobody" (run forged_reports_delay_nobody);
        ] );
      ( "memory",
        [
          case "idle_connections_make_room" (run idle_connections_make_room);
          case "held_octets_are_copied" (run held_octets_are_copied);
          case "copies_hold_no_more_than_they_have" copies_hold_no_more_than_they_have;
        ] );
      ( "loopback",
        [
          case "loopback" (run loopback);
          case "loopback_before_there_are_addresses" (run (loopback_without_addresses off));
          case "loopback_in_a_family_that_is_off" (run (loopback_without_addresses only4));
          case "loopback_only_from_inside" (run loopback_only_from_inside);
          case "echoes_leave_room_for_others" (run echoes_leave_room_for_others);
        ] );
    ]
