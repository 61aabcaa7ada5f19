(* What we send: identifications, ports, lengths and hop limits, whatever strangers have said about them. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
open Stranger

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

let () =
  Alcotest.run "sending"
    [
      ( "what we send",
        [
          case "identifications" (run identifications);
          case "numbers_are_checked" (run numbers_are_checked);
          case "no_port_is_free" (run no_port_is_free);
          case "hop_limits" (run hop_limits);
          case "forged_reports_delay_nobody" (run forged_reports_delay_nobody);
        ] );
    ]
