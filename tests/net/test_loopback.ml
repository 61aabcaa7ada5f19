(* The loopback network, which no other can reach. *)

open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
open Stranger

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

let () =
  Alcotest.run "loopback"
    [
      ( "loopback",
        [
          case "loopback" (run loopback);
          case "loopback_before_there_are_addresses" (run (loopback_without_addresses off));
          case "loopback_in_a_family_that_is_off" (run (loopback_without_addresses only4));
          case "loopback_only_from_inside" (run loopback_only_from_inside);
          case "echoes_leave_room_for_others" (run echoes_leave_room_for_others);
        ] );
    ]
