(* Every parser of {!Mirust_wire}, on any bytes: none may raise, and what was parsed must survive emit and parse. *)

open Mirust_wire

(* A view that starts and ends inside a larger buffer: an access outside of it shows as an exception, not as luck.
   What is written to it was dirty before. *)
let inside b =
  let around = Cstruct.create (Cstruct.length b + 16) in
  Cstruct.memset around 0xa5;
  Cstruct.blit b 0 around 7 (Cstruct.length b);
  Cstruct.sub around 7 (Cstruct.length b)

let dirty len =
  let b = Cstruct.create len in
  Cstruct.memset b 0x5a;
  inside b

let emitted len write =
  let b = dirty len in
  write b;
  b

(* Where a view is in another one, as many bytes in as its first byte says. *)
let offset b = if Cstruct.length b = 0 then 0 else Cstruct.get_uint8 b 0 land 7

(* In place, behind other bytes, and by the record: the same answer. *)
let ipv4 b =
  let parsed = Ipv4.parse b and at = offset b in
  let placed = Cstruct.append (dirty at) b in
  let length = Ipv4.plain_length placed ~at in
  Result.iter (fun h -> ignore (Ipv4.payload h b)) parsed;
  (match parsed with
  | Ok h when Cstruct.length h.options = 0 && not (Ipv4.is_fragment h) ->
      assert (length = Ipv4.header_length h + h.payload_length);
      assert (
        Ipv4.(get_tos placed ~at, get_proto placed ~at, get_src placed ~at, get_dst placed ~at)
        = (h.tos, h.proto, Field.int_of_v4 h.src, Field.int_of_v4 h.dst))
  | Ok _ | Error _ -> assert (length = -1));
  ignore (Ipv4.header_of_packet b)

let ipv6 b =
  match Ipv6.parse b with
  | Error _ -> ()
  | Ok h -> ignore (Ipv6.follow ~next_header:h.next_header ~offset:40 (Ipv6.payload h b))

let tcp b =
  match Tcp.parse b with
  | Error _ -> assert (not (Tcp.is_whole b))
  | Ok h -> (
      assert (Tcp.is_whole b);
      let at = offset b and elsewhere = dirty 68 in
      let seq = h.seq lxor 1 and flags = h.flags lxor Tcp.Flags.psh in
      let len = Tcp.emit_part h ~seq ~flags elsewhere ~at in
      (match Tcp.parse (Cstruct.sub elsewhere at len) with
      | Ok part when part = { h with seq; flags; header_length = len } -> ()
      | Ok _ | Error _ -> failwith "TCP: a part's header");
      ignore (Tcp.payload h b);
      let again = dirty 60 in
      let len = Tcp.emit h again in
      match Tcp.parse (Cstruct.sub again 0 len) with
      | Error _ -> failwith "TCP: emitted segment does not parse"
      | Ok h' ->
          if { h with header_length = len } <> h' then failwith "TCP: emit and parse disagree")

let udp b = Result.iter (fun h -> ignore (Udp.payload h b)) (Udp.parse b)

let arp b =
  match Arp.parse b with
  | Error _ -> ()
  | Ok a -> assert (Arp.parse (emitted Arp.length (Arp.emit a)) = Ok a)

let fix_icmpv4 b =
  if Cstruct.length b >= 8 then (
    Field.set_u16 b 2 0;
    Field.set_u16 b 2 (Checksum.finish (Checksum.bytes Checksum.zero b)))

let icmpv4 b =
  fix_icmpv4 b;
  match Icmpv4.parse b with
  | Error _ -> ()
  | Ok m -> ignore (Icmpv4.parse (emitted (Icmpv4.length m) (Icmpv4.emit m)) : _ result)

let src = Ipaddr.V6.of_string_exn "fe80::1"
let dst = Ipaddr.V6.of_string_exn "fe80::2"

let icmpv6 b =
  if Cstruct.length b >= 8 then (
    let pseudo = Checksum.pseudo_v6 ~src ~dst ~proto:58 ~len:(Cstruct.length b) in
    Field.set_u16 b 2 0;
    Field.set_u16 b 2 (Checksum.finish (Checksum.bytes pseudo b)));
  match Icmpv6.parse ~src ~dst b with
  | Error _ -> ()
  | Ok m -> (
      match Icmpv6.parse ~src ~dst (emitted (Icmpv6.length m) (Icmpv6.emit ~src ~dst m)) with
      | Ok m' when Icmpv6.length m = Icmpv6.length m' -> ()
      | Ok _ | Error _ -> failwith "ICMPv6: emit and parse disagree")

(* A message that was read can be said again, and is understood as the same. *)
let dhcp b =
  match Dhcpv4.parse b with
  | Error _ -> ()
  | Ok m -> (
      match Dhcpv4.parse (Dhcpv4.emit m) with
      | Ok m' when m = m' -> ()
      | Ok _ | Error _ -> failwith "DHCP: emit and parse disagree")

let dns b =
  match Dns.parse b with
  | Error _ -> ()
  | Ok m ->
      let asked = Dns.query ~id:m.id (fst m.question) (snd m.question) in
      if (Result.get_ok (Dns.parse (Dns.emit asked))).question <> m.question then
        failwith "DNS: emit and parse disagree"

let parsers =
  [
    ("ethernet", fun b -> ignore (Ethernet.parse b));
    ("arp", arp);
    ("ipv4", ipv4);
    ("ipv6", ipv6);
    ("tcp", tcp);
    ("udp", udp);
    ("icmpv4", icmpv4);
    ("icmpv6", icmpv6);
    ("dhcp", dhcp);
    ("dns", dns);
  ]
