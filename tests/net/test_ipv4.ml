(* Two hosts on an Ethernet in memory, put together with the functors as a Mirage application does. *)

open Mirust_tcpip
open Mirust_netif
open Mirust_net_mock
open Mirust_net_env
open Lwt.Infix

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let v4 = Ipaddr.V4.of_string_exn

module E = Ethernet.Make (Netif)
module A = Arp.Make (E)
module I = Static_ipv4.Make (E) (A)
module Icmp = Icmpv4.Make (I)
module U = Udp.Make (I)

type host = { netif : Netif.t; arp : A.t; ip : I.t; icmp : Icmp.t; udp : U.t }

let host ?(mtu = 1500) ?gateway network cidr =
  let cidr = Ipaddr.V4.Prefix.of_string_exn cidr in
  let last = String.get (Ipaddr.V4.to_octets (Ipaddr.V4.Prefix.address cidr)) 3 in
  let mac = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" last) in
  let netif = Netif.connect (Network.attach ~mtu network mac) in
  E.connect netif >>= fun eth ->
  A.connect eth >>= fun arp ->
  I.connect ~cidr ?gateway eth arp >>= fun ip ->
  Icmp.connect ip >>= fun icmp ->
  U.connect ip >>= fun udp ->
  let default ~proto ~src ~dst b =
    if proto = 1 then Icmp.input icmp ~src ~dst b else Lwt.return_unit
  in
  let ipv4 = I.input ip ~tcp:(fun ~src:_ ~dst:_ _ -> Lwt.return_unit) ~udp:(U.input udp) ~default in
  let frame = E.input eth ~arpv4:(A.input arp) ~ipv4 ~ipv6:(fun _ -> Lwt.return_unit) in
  Lwt.async (fun () -> Netif.listen netif ~header_size:14 frame >|= ignore);
  Lwt.return { netif; arp; ip; icmp; udp }

let pair ?conditions ?immediate ?mtu () =
  let network = Network.create ?conditions ?immediate () in
  host ?mtu network "10.0.0.1/24" >>= fun a ->
  host ?mtu network "10.0.0.2/24" >|= fun b -> (network, a, b)

let run f () =
  let mock = Mock.install () in
  Mock.run mock (f ())

let pattern n = Cstruct.of_string (String.init n (fun i -> Char.chr (i * 31 land 0xff)))

let expect_datagram host ~port =
  let promise, resolver = Lwt.wait () in
  U.listen host.udp ~port (fun ~src ~dst:_ ~src_port b ->
      if Lwt.is_sleeping promise then
        Lwt.wakeup_later resolver (src, src_port, Cstruct.of_string (Cstruct.to_string b));
      Lwt.return_unit);
  promise

let ping ~immediate () =
  pair ~immediate () >>= fun (_, a, _) ->
  Icmp.ping a.icmp ~payload:(pattern 56) (v4 "10.0.0.2") >|= fun r ->
  check_bool "answered" true (Result.is_ok r)

let ping_times_out () =
  pair () >>= fun (network, a, _) ->
  Icmp.ping a.icmp (v4 "10.0.0.2") >>= fun _ ->
  Network.set_conditions network { Network.perfect with drop = 1. };
  Icmp.ping a.icmp (v4 "10.0.0.2") >|= fun r -> check_bool "timeout" true (r = Error `Timeout)

let a_cancelled_ping_is_forgotten () =
  let pings = Pings.create () in
  let ping = Pings.ping pings ~timeout:(Env.sec 1) (fun ~id:_ ~seq:_ -> Lwt.return_ok ()) in
  check_int "waits" 1 (Pings.waiting pings);
  Lwt.cancel ping;
  check_int "forgotten" 0 (Pings.waiting pings);
  Lwt.return_unit

let nobody_there () =
  pair () >>= fun (_, a, _) ->
  let t0 = Env.now () in
  U.write ~dst:(v4 "10.0.0.9") ~dst_port:7 a.udp (pattern 10) >|= fun r ->
  (match r with Error _ -> () | Ok () -> Alcotest.fail "expected an error");
  check_int "three questions, a second apart" (Env.sec 3) (Env.now () - t0)

let no_gateway () =
  pair () >>= fun (_, a, _) ->
  U.write ~dst:(v4 "192.0.2.1") ~dst_port:7 a.udp (pattern 10) >|= function
  | Error _ -> ()
  | Ok () -> Alcotest.fail "expected an error"

let udp ~immediate ~mtu ~size () =
  pair ~immediate ~mtu () >>= fun (_, a, b) ->
  let received = expect_datagram b ~port:7 in
  let data = pattern size in
  U.write ~src_port:1234 ~dst:(v4 "10.0.0.2") ~dst_port:7 a.udp data >>= fun r ->
  check_bool "sent" true (r = Ok ());
  received >|= fun (src, src_port, b) ->
  check_bool "source" true (Ipaddr.V4.compare src (v4 "10.0.0.1") = 0);
  check_int "source port" 1234 src_port;
  check_bool "content" true (Cstruct.equal data b)

(* How many datagrams arrive of [n] that are sent, one every this many ns. Those that do are intact. *)
let arrivals a b ~every n data =
  let good = ref 0 in
  U.listen b.udp ~port:7 (fun ~src:_ ~dst:_ ~src_port:_ d ->
      check_bool "content" true (Cstruct.equal data d);
      incr good;
      Lwt.return_unit);
  let rec send n =
    if n = 0 then Lwt.return !good
    else
      U.write ~dst:(v4 "10.0.0.2") ~dst_port:7 a.udp data >>= fun _ ->
      Env.sleep every >>= fun () -> send (n - 1)
  in
  send n

(* 20 fragments per datagram, reordered and duplicated: all arrive or none does. *)
let fragments_in_any_order () =
  let conditions =
    {
      Network.perfect with
      reorder = 0.5;
      reorder_by = Env.ms 3;
      duplicate = 0.2;
      delay = Env.ms 1;
      jitter = Env.ms 2;
    }
  in
  pair ~conditions ~mtu:576 () >>= fun (_, a, b) ->
  arrivals a b ~every:(Env.ms 20) 50 (pattern 10_000) >|= fun n ->
  check_bool "most arrive" true (n >= 50)

(* Nothing is said of what was not completed in time. *)
let half_a_packet_is_forgotten_in_silence () =
  let open Mirust_wire in
  pair () >>= fun (network, a, _) ->
  let sender = Network.attach network (Macaddr.of_string_exn "02:00:00:00:00:09") in
  let heard = ref 0 in
  sender.on_receive (fun frames -> heard := !heard + List.length frames);
  (* The hosts have announced themselves. *)
  Env.sleep (Env.sec 5) >>= fun () ->
  heard := 0;
  let head = sender.reserve 42 in
  Ethernet.emit { source = sender.mac; destination = Netif.mac a.netif; proto = `IPv4 } head;
  Ipv4.emit
    {
      src = v4 "10.0.0.9";
      dst = v4 "10.0.0.1";
      proto = 17;
      ttl = 64;
      tos = 0;
      id = 1;
      dont_fragment = false;
      more_fragments = true;
      fragment_offset = 0;
      options = Cstruct.empty;
      payload_length = 8;
    }
    (Cstruct.shift head 14);
  ignore (sender.send { head; payload = []; checksum_start = 0; checksum_offset = 0; gso_size = 0 });
  Env.sleep (Env.sec 31) >|= fun () ->
  check_int "arrived" 1 (Ipv4_core.counters a.ip).fragments;
  check_int "silence" 0 !heard

let would_fragment () =
  pair () >>= fun (_, a, _) ->
  I.write a.ip ~fragment:false (v4 "10.0.0.2") `UDP (fun _ -> 0) [ pattern 1481 ] >>= fun r ->
  check_bool "refused" true (match r with Error `Would_fragment -> true | _ -> false);
  I.write a.ip ~fragment:false (v4 "10.0.0.2") `UDP (fun _ -> 0) [ pattern 1480 ] >|= fun r ->
  check_bool "fits" true (r = Ok ())

let corruption_never_reaches_the_application () =
  let conditions = { Network.perfect with corrupt = 0.5 } in
  pair ~conditions () >>= fun (network, a, b) ->
  arrivals a b ~every:(Env.ms 1) 200 (pattern 1000) >|= fun n ->
  check_bool "some arrive" true (n > 50);
  check_bool "some were damaged" true ((Network.counters network).corrupted > 50)

let echo_to_broadcast_is_ignored () =
  pair () >>= fun (_, a, _) ->
  Icmp.ping a.icmp (v4 "10.0.0.255") >|= fun r -> check_bool "silence" true (r = Error `Timeout)

let need_fragmentation_lowers_the_path_mtu () =
  pair () >>= fun (_, a, _) ->
  let p = Result.get_ok (I.path a.ip (v4 "10.0.0.2")) in
  check_int "before" 1480 (I.path_mtu p);
  check_bool "news" true (I.lower_mtu p 1400);
  check_int "after" 1380 (I.path_mtu p);
  check_bool "no news" false (I.lower_mtu p 1450);
  check_bool "floor" true (I.lower_mtu p 68);
  check_int "floor" 532 (I.path_mtu p);
  Env.sleep (Env.sec 601) >|= fun () -> check_int "forgotten" 1480 (I.path_mtu p)

let icmp_errors_reach_the_transport () =
  pair () >>= fun (_, a, b) ->
  let seen, resolver = Lwt.wait () in
  I.on_problem a.ip (fun ~proto ~src:_ ~dst problem quoted ->
      Lwt.wakeup_later resolver (proto, dst, problem, Cstruct.to_hex_string quoted));
  U.on_unlistened b.udp (fun ~src ~dst d -> Icmp.reject b.icmp ~src ~dst ~proto:17 Port d);
  U.write ~src_port:0x1111 ~dst:(v4 "10.0.0.2") ~dst_port:0x2222 a.udp (pattern 4) >>= fun _ ->
  seen >|= fun (proto, dst, problem, quoted) ->
  check_int "proto" 17 proto;
  check_bool "dst" true (Ipaddr.V4.compare dst (v4 "10.0.0.2") = 0);
  check_bool "port" true (problem = Mirust_mirage_types.Ip_ext.Unreachable `Port);
  Alcotest.(check string) "ports" "11112222" (String.sub quoted 0 8)

(* A packet with our own address as its source and destination, from the wire. *)
let packets_from_ourselves_are_dropped () =
  pair () >>= fun (network, a, _) ->
  let open Mirust_wire in
  let forger = Network.attach network (Macaddr.of_string_exn "02:00:00:00:00:66") in
  let received = ref 0 in
  U.listen a.udp ~port:7 (fun ~src:_ ~dst:_ ~src_port:_ _ ->
      incr received;
      Lwt.return_unit);
  let send src =
    let head = forger.reserve 42 in
    Ethernet.emit { source = forger.mac; destination = Netif.mac a.netif; proto = `IPv4 } head;
    let ip = Cstruct.shift head 14 in
    Ipv4.emit_plain
      ~src:(Field.int_of_v4 (v4 src))
      ~dst:(Field.int_of_v4 (v4 "10.0.0.1"))
      ~proto:17 ~ttl:64 ~tos:0 ~id:0 ~dont_fragment:true ~total:28 ip ~at:0;
    Udp.emit ~src_port:7 ~dst_port:7 ~payload:[] (Cstruct.shift ip 20);
    ignore
      (forger.send { head; payload = []; checksum_start = 0; checksum_offset = 0; gso_size = 0 })
  in
  List.iter send [ "10.0.0.1"; "255.255.255.255"; "224.0.0.1"; "10.0.0.9" ];
  Env.sleep (Env.ms 1) >|= fun () -> check_int "the last alone" 1 !received

let a_router_sends_in_the_name_of_others () =
  pair () >>= fun (_, a, b) ->
  let datagram = Cstruct.create 8 in
  Mirust_wire.Udp.emit ~src_port:9 ~dst_port:7 ~payload:[] datagram;
  let send write ?src dst =
    write a.ip ?fragment:None ?ttl:None ?src dst `UDP ?size:None (fun _ -> 0) [ datagram ]
    >|= Result.is_ok
  in
  let other = v4 "192.0.2.9" and there = v4 "10.0.0.2" in
  let heard = ref [] in
  U.listen b.udp ~port:7 (fun ~src ~dst:_ ~src_port:_ _ ->
      heard := Ipaddr.V4.to_string src :: !heard;
      Lwt.return_unit);
  let expect name expected sent = sent >|= check_bool name expected in
  expect "a host does not" false (send I.write ~src:other there) >>= fun () ->
  expect "a router does" true (send Ipv4_core.forward ~src:other there) >>= fun () ->
  expect "and for itself" true (send Ipv4_core.forward there) >>= fun () ->
  expect "to all" false (send Ipv4_core.forward ~src:other (v4 "10.0.0.255")) >>= fun () ->
  expect "to many" false (send Ipv4_core.forward ~src:other (v4 "224.0.0.1")) >>= fun () ->
  expect "to itself" false (send Ipv4_core.forward ~src:other (v4 "10.0.0.1")) >>= fun () ->
  Env.sleep (Env.ms 1) >|= fun () ->
  Alcotest.(check (list string)) "heard" [ "10.0.0.1"; "192.0.2.9" ] !heard

let gratuitous_arp_updates_neighbours () =
  let network = Network.create () in
  host network "10.0.0.1/24" >>= fun a ->
  host network "10.0.0.2/24" >>= fun b ->
  Icmp.ping a.icmp (v4 "10.0.0.2") >>= fun _ ->
  Netif.disconnect b.netif >>= fun () ->
  (* Another station takes the address over and says so. *)
  let mac = Macaddr.of_string_exn "02:00:00:00:00:77" in
  let netif = Netif.connect (Network.attach network mac) in
  E.connect netif >>= fun eth ->
  A.connect eth >>= fun arp ->
  A.set_ips arp [ v4 "10.0.0.2" ] >>= fun () ->
  Env.sleep (Env.ms 1) >>= fun () ->
  A.query a.arp (v4 "10.0.0.2") >|= fun r -> check_bool "new station" true (r = Ok mac)

(* What is known of a pair of addresses is asked for once, and again when routes have changed. *)
let known_pairs () =
  let open Mirust_tcpip in
  let pairs = Credible.create () and asked = ref 0 in
  let find ?(routes = 1) ?(credible = true) src =
    let check ~src:_ ~dst:_ =
      incr asked;
      credible
    in
    Option.is_some (Credible.find pairs ~routes ~src ~dst:1 ~check)
  in
  check_bool "credible" true (find 2 && find 2);
  check_int "asked once" 1 !asked;
  check_bool "not any more" false (find ~routes:2 ~credible:false 2 || find ~routes:2 2);
  check_int "asked again" 2 !asked;
  (* Many others come and go in between. *)
  let all = List.init 1000 (fun i -> find ~credible:(i land 1 = 0) (1000 + i) = (i land 1 = 0)) in
  check_bool "each by itself" true (List.for_all Fun.id all)

let output ~features ~size ~gso_size () =
  let network = Network.create () in
  let station n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n)) in
  let fast n cidr =
    let netif = Netif.connect (Network.attach ~features network (station n)) in
    let link = Link.of_netif netif in
    let arp = Arp_core.create link in
    let ip = Ipv4_core.create link (Ipv4_core.resolver_of_arp arp) in
    let cidr = Ipaddr.V4.Prefix.of_string_exn cidr in
    Ipv4_core.set_routes ip Mirust_net_engine.Routes.(add_address cidr empty);
    Lwt.async (fun () -> Arp_core.add_ip arp (Ipaddr.V4.Prefix.address cidr));
    let received = ref [] in
    Netif.listen_packets netif
      (List.iter (fun (p : Mirust_wire.Packet.t) ->
           match Mirust_wire.Ethernet.get_ethertype p.data with
           | 0x0806 -> Arp_core.input_packet arp (Mirust_wire.Ethernet.payload p.data)
           | _ ->
               Ipv4_core.input_packet ip p
                 ~at:(Mirust_wire.Ethernet.payload_start p.data)
                 ~tcp:(fun ~src ~dst ~tos p -> received := (src, dst, tos, p) :: !received)
                 ~udp:(fun ~src:_ ~dst:_ ~tos:_ _ -> ())
                 ~default:(fun ~proto:_ ~src:_ ~dst:_ ~tos:_ _ -> ())));
    (ip, received)
  in
  let a, _ = fast 1 "10.0.0.1/24" in
  let _, received = fast 2 "10.0.0.2/24" in
  let p = Result.get_ok (Ipv4_core.path a (v4 "10.0.0.2")) in
  let data = pattern size in
  let half = size / 3 in
  let header =
    {
      src_port = 1;
      dst_port = 2;
      seq = 1000;
      ack = 0;
      flags = Mirust_wire.Tcp.Flags.(ack lor psh);
      window = 7;
      urgent = 0;
      options = Mirust_wire.Tcp.no_options;
      Mirust_wire.Tcp.header_length = 20;
    }
  in
  let fill b at =
    ignore (Mirust_wire.Tcp.emit_part header ~seq:header.seq ~flags:header.flags b ~at : int)
  in
  let send () =
    Ipv4_core.output p ~tos:2 ~gso_size ~proto:`TCP ~checksum_offset:Mirust_wire.Tcp.checksum_offset
      ~size:20 fill
      [ Cstruct.sub data 0 half; Cstruct.shift data half ]
  in
  (* The first has to wait for the link address, the second does not. *)
  check_bool "queued" true (send () = `Sent);
  Env.sleep (Env.ms 1) >>= fun () ->
  check_bool "sent" true (send () = `Sent);
  Env.sleep (Env.ms 1) >|= fun () ->
  let received = List.rev !received in
  let bytes = ref 0 in
  List.iter
    (fun (src, dst, tos, (p : Mirust_wire.Packet.t)) ->
      let open Mirust_wire in
      check_int "tos" 2 tos;
      let h = Result.get_ok (Tcp.parse p.data) in
      let payload = Tcp.payload h p.data in
      let pseudo = Checksum.pseudo_v4 ~src ~dst ~proto:6 ~len:(Cstruct.length p.data) in
      (match p.checksum with
      | `Unknown -> check_bool "checksum" true (Tcp.verify ~pseudo p.data)
      | `Blank -> check_int "blank" (Checksum.fold pseudo) (Field.u16 p.data 16)
      | `Valid -> Alcotest.fail "valid");
      let at = (h.seq - 1000) mod size in
      check_bool "content" true
        (Cstruct.equal payload (Cstruct.sub data at (Cstruct.length payload)));
      bytes := !bytes + Cstruct.length payload)
    received;
  check_int "all twice" (2 * size) !bytes;
  if features.Device.tso4 && gso_size > 0 then check_int "in one piece" 2 (List.length received)

let offloads = { Device.checksum = true; tso4 = true; tso6 = true; max_gso = 65535 }

let () =
  Alcotest.run "ipv4"
    [
      ( "icmp",
        [
          case "ping" (run (ping ~immediate:false));
          case "ping_reentrant" (run (ping ~immediate:true));
          case "ping_times_out" (run ping_times_out);
          case "a_cancelled_ping_is_forgotten" (run a_cancelled_ping_is_forgotten);
          case "echo_to_broadcast_is_ignored" (run echo_to_broadcast_is_ignored);
          case "icmp_errors_reach_the_transport" (run icmp_errors_reach_the_transport);
        ] );
      ( "arp",
        [
          case "nobody_there" (run nobody_there);
          case "gratuitous_arp_updates_neighbours" (run gratuitous_arp_updates_neighbours);
        ] );
      ( "udp",
        [
          case "small" (run (udp ~immediate:false ~mtu:1500 ~size:1));
          case "empty" (run (udp ~immediate:false ~mtu:1500 ~size:0));
          case "fragments" (run (udp ~immediate:false ~mtu:1500 ~size:40_000));
          case "fragments_reentrant" (run (udp ~immediate:true ~mtu:576 ~size:20_000));
          case "largest" (run (udp ~immediate:false ~mtu:1500 ~size:65_507));
          case "no_gateway" (run no_gateway);
          case "fragments_in_any_order" (run fragments_in_any_order);
          case "half_a_packet_is_forgotten_in_silence" (run half_a_packet_is_forgotten_in_silence);
          case "would_fragment" (run would_fragment);
          case "packets_from_ourselves_are_dropped" (run packets_from_ourselves_are_dropped);
          case "a_router_sends_in_the_name_of_others" (run a_router_sends_in_the_name_of_others);
          case "known_pairs_of_addresses" known_pairs;
          case "corruption_never_reaches_the_application"
            (run corruption_never_reaches_the_application);
        ] );
      ( "paths",
        [
          case "lower_mtu" (run need_fragmentation_lowers_the_path_mtu);
          case "output" (run (output ~features:Device.no_features ~size:1460 ~gso_size:0));
          case "output_checksum_offload"
            (run (output ~features:{ offloads with tso4 = false } ~size:1001 ~gso_size:0));
          case "output_tso" (run (output ~features:offloads ~size:60_000 ~gso_size:1460));
        ] );
    ]
