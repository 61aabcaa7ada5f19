(* A stack at 10.0.0.1 and fd00::1, and a stranger on its network: a port that sees everything and sends anything. *)

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

let echo flow =
  let rec go () =
    Stack.TCP.read flow >>= function
    | Ok (`Data b) -> (
        Stack.TCP.write flow b >>= function Ok () -> go () | Error _ -> Stack.TCP.close flow)
    | Ok `Eof | Error _ -> Stack.TCP.close flow
  in
  go ()

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
