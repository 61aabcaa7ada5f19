(* What others may send, and what must not come of it: sources and destinations that cannot be, floods of questions,
   answers that have a limit. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
open Stranger

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

let introduce6 x ~src ~dst =
  let options = { W.Icmpv6.no_options with source_link = Some (mac 9) } in
  let m = W.Icmpv6.Neighbour_solicitation { target = dst; options } in
  let b = Cstruct.create (W.Icmpv6.length m) in
  W.Icmpv6.emit ~src ~dst m b;
  inject x (ethernet `IPv6 (ipv6 ~hop_limit:255 ~src ~dst ~proto:W.Icmpv6.proto b))

(* With what RFC 1122 section 3.2.2.1 and RFC 8200 section 4 have for it. *)
let unknown_protocols_are_refused () =
  target () >>= fun (x, _) ->
  let src = ip "fd00::20" and dst = ip "fd00::1" in
  introduce x 20;
  introduce6 x ~src:(v6 "fd00::20") ~dst:(v6 "fd00::1");
  settle () >>= fun () ->
  x.seen <- [];
  let payload = Cstruct.of_string "12345678" in
  let ask ~dst proto = inject x (packet ~src ~dst ~proto payload) in
  (* No next header, and a group: neither is answered. *)
  ask ~dst 59;
  ask ~dst:(ip "ff02::1") 253;
  settle () >>= fun () ->
  check_int "answers" 0 (List.length (answers x));
  ask ~dst 253;
  inject x (packet ~src:(from 20) ~dst:(ip "10.0.0.1") ~proto:253 payload);
  settle () >|= fun () ->
  let quoted_protocol b =
    match W.Ethernet.parse b with
    | Ok { proto = `IPv6; _ } -> (
        let b = W.Ethernet.payload b in
        let h = Result.get_ok (W.Ipv6.parse b) in
        match W.Icmpv6.parse ~src:h.src ~dst:h.dst (W.Ipv6.payload h b) with
        | Ok (Parameter_problem { code = 1; pointer; quoted }) -> Cstruct.get_uint8 quoted pointer
        | Ok _ | Error _ -> -1)
    | Ok _ | Error _ -> (
        let b = W.Ethernet.payload b in
        let h = Result.get_ok (W.Ipv4.parse b) in
        match W.Icmpv4.parse (W.Ipv4.payload h b) with
        | Ok (Unreachable { reason = Protocol; quoted }) -> Cstruct.get_uint8 quoted 9
        | Ok _ | Error _ -> -1)
  in
  Alcotest.(check (list int)) "refused" [ 253; 253 ] (List.map quoted_protocol (answers x))

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
      ( "answers",
        [
          case "errors_are_rationed" (run errors_are_rationed);
          case "unknown_protocols_are_refused" (run unknown_protocols_are_refused);
          case "echoes_are_rationed" (run echoes_are_rationed);
          case "questions_about_us_are_rationed" (run questions_about_us_are_rationed);
          case "a_port_for_one_peer" (run a_port_for_one_peer);
          case "answers_to_nobody_hold_little" (run answers_to_nobody_hold_little);
          case "a_slow_device_makes_no_queue" (run a_slow_device_makes_no_queue);
        ] );
    ]
