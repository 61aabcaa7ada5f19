open Mirust_wire

let hex = Cstruct.of_hex
let cstruct = Alcotest.testable Cstruct.hexdump_pp Cstruct.equal
let v4 = Ipaddr.V4.of_string_exn
let v6 = Ipaddr.V6.of_string_exn
let mac = Macaddr.of_string_exn
let case name f = Alcotest.test_case name `Quick f
let check_bytes = Alcotest.check cstruct
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)

(* Emits into the middle of a buffer full of 0xa5 and checks that nothing around it changed. *)
let emitted len write =
  let b = Cstruct.create (len + 8) in
  Cstruct.memset b 0xa5;
  write (Cstruct.sub b 4 len);
  check_bytes "guard before" (hex "a5a5a5a5") (Cstruct.sub b 0 4);
  check_bytes "guard after" (hex "a5a5a5a5") (Cstruct.sub b (len + 4) 4);
  Cstruct.sub b 4 len

let every_prefix b f =
  for n = 0 to Cstruct.length b - 1 do
    f n (Cstruct.sub b 0 n)
  done

let ok pp_error = function Ok v -> v | Error e -> Alcotest.failf "parse: %a" pp_error e

module Sums = struct
  (* The definition, one byte at a time. *)
  let reference b =
    let s = ref 0 in
    for i = 0 to Cstruct.length b - 1 do
      let v = Cstruct.get_uint8 b i in
      s := !s + if i land 1 = 0 then v lsl 8 else v
    done;
    while !s > 0xffff do
      s := (!s land 0xffff) + (!s lsr 16)
    done;
    lnot !s land 0xffff

  let random rng len =
    Cstruct.of_string (String.init len (fun _ -> Char.chr (Random.State.int rng 256)))

  let rfc_1071_example () =
    check_int "sum" 0xddf2 (Checksum.fold (Checksum.bytes Checksum.zero (hex "0001f203f4f5f6f7")))

  let every_length_and_alignment () =
    let rng = Random.State.make [| 3 |] in
    for len = 0 to 200 do
      for off = 0 to 8 do
        let b = Cstruct.sub (random rng (len + off + 8)) off len in
        check_int "checksum" (reference b) (Checksum.finish (Checksum.bytes Checksum.zero b));
        let from = min off len in
        check_int "range"
          (reference (Cstruct.shift b from))
          (Checksum.finish (Checksum.range Checksum.zero b from (len - from)))
      done
    done;
    let b = random rng 20 in
    List.iter
      (fun (off, len) ->
        match Checksum.range Checksum.zero b off len with
        | _ -> Alcotest.failf "%d from %d on" len off
        | exception Invalid_argument _ -> ())
      [ (0, 21); (20, 1); (-1, 4); (4, -1); (max_int, 2) ]

  let twenty_octets () =
    let rng = Random.State.make [| 5 |] in
    let b = random rng 60 in
    for off = 0 to 40 do
      check_int "sum" (reference (Cstruct.sub b off 20)) (Checksum.finish (Checksum.twenty b off))
    done;
    List.iter
      (fun off ->
        match Checksum.twenty b off with
        | _ -> Alcotest.failf "at %d" off
        | exception Invalid_argument _ -> ())
      [ -1; 41; max_int; min_int ]

  let all_ones () =
    let b = Cstruct.create 65535 in
    Cstruct.memset b 0xff;
    check_int "checksum" (reference b) (Checksum.finish (Checksum.bytes Checksum.zero b))

  let fragments_equal_whole () =
    let rng = Random.State.make [| 4 |] in
    for _ = 1 to 500 do
      let parts =
        List.init (Random.State.int rng 6) (fun _ -> random rng (Random.State.int rng 50))
      in
      check_int "checksum"
        (reference (Cstruct.concat parts))
        (Checksum.finish (Checksum.fragments Checksum.zero parts))
    done

  (* As many as there may be, all but the first of which begin in the middle of a word. *)
  let small_fragments_of_large_numbers () =
    let large n =
      let b = Cstruct.create n in
      Cstruct.memset b 0xfd;
      b
    in
    let parts = large 1 :: List.init 1000 (fun _ -> large 126) in
    check_int "checksum"
      (reference (Cstruct.concat parts))
      (Checksum.finish (Checksum.fragments Checksum.zero parts))

  let tests =
    [
      case "rfc_1071_example" rfc_1071_example;
      case "every_length_and_alignment" every_length_and_alignment;
      case "twenty_octets" twenty_octets;
      case "all_ones" all_ones;
      case "fragments_equal_whole" fragments_equal_whole;
      case "small_fragments_of_large_numbers" small_fragments_of_large_numbers;
    ]
end

module Ethernet_tests = struct
  let bytes = hex "ffffffffffff 00163e010203 0806"

  let repr =
    { Ethernet.destination = Macaddr.broadcast; source = mac "00:16:3e:01:02:03"; proto = `ARP }

  let both_ways () =
    check_bytes "emit" bytes (emitted 14 (Ethernet.emit repr));
    check_bool "parse" true (Ethernet.parse bytes = Ok repr)

  let short () =
    every_prefix bytes (fun _ b -> check_bool "short" true (Ethernet.parse b = Error Truncated))

  let ethertypes () =
    let with_type n =
      let b = Cstruct.of_string (Cstruct.to_string bytes) in
      Field.set_u16 b 12 n;
      Result.map (fun (e : Ethernet.t) -> e.proto) (Ethernet.parse b)
    in
    check_bool "ipv4" true (with_type 0x0800 = Ok `IPv4);
    check_bool "ipv6" true (with_type 0x86dd = Ok `IPv6);
    check_bool "vlan" true (with_type 0x8100 = Error (Unknown_ethertype 0x8100));
    check_bool "length" true (with_type 60 = Error (Unknown_ethertype 60))

  let station () =
    let me = Field.mac_number (mac "00:16:3e:01:02:03") in
    let is_for ?(src = "00:16:3e:09:09:09") dst =
      let frame = { repr with source = mac src; destination = mac dst } in
      Ethernet.is_for_station me (emitted 14 (Ethernet.emit frame))
    in
    check_bool "me" true (is_for "00:16:3e:01:02:03");
    check_bool "broadcast" true (is_for "ff:ff:ff:ff:ff:ff");
    check_bool "group" true (is_for "33:33:00:00:00:01");
    check_bool "broadcast, from here" false (is_for ~src:"00:16:3e:01:02:03" "ff:ff:ff:ff:ff:ff");
    check_bool "me, from here" true (is_for ~src:"00:16:3e:01:02:03" "00:16:3e:01:02:03");
    check_bool "other, high half" false (is_for "00:16:3f:01:02:03");
    check_bool "other, low half" false (is_for "00:16:3e:01:02:04")

  let plain_ipv4 () =
    let number = Field.mac_number (mac "00:16:3e:01:02:03") in
    let frame ?(dst = "00:16:3e:01:02:03") proto =
      emitted 14 (Ethernet.emit { repr with destination = mac dst; proto })
    in
    let is b = Ethernet.is_plain_ipv4 number b in
    check_bool "ours" true (is (frame `IPv4));
    check_bool "another protocol" false (is (frame `IPv6));
    check_bool "another station" false (is (frame ~dst:"00:16:3e:01:02:04" `IPv4));
    check_bool "broadcast" false (is (frame ~dst:"ff:ff:ff:ff:ff:ff" `IPv4));
    check_bool "too short" false (is (Cstruct.sub (frame `IPv4) 0 13))

  let tests =
    [
      case "both_ways" both_ways;
      case "short" short;
      case "ethertypes" ethertypes;
      case "station_filter" station;
      case "plain_ipv4" plain_ipv4;
    ]
end

module Arp_tests = struct
  let bytes = hex "0001 0800 06 04 0002 00163e010203 0a000002 525400123456 0a000001"

  let repr =
    {
      Arp.operation = Reply;
      sender_mac = mac "00:16:3e:01:02:03";
      sender_ip = v4 "10.0.0.2";
      target_mac = mac "52:54:00:12:34:56";
      target_ip = v4 "10.0.0.1";
    }

  let both_ways () =
    check_bytes "emit" bytes (emitted 28 (Arp.emit repr));
    check_bool "parse" true (Arp.parse bytes = Ok repr);
    check_bool "padding" true (Arp.parse (Cstruct.append bytes (Cstruct.create 18)) = Ok repr)

  let short () =
    every_prefix bytes (fun _ b -> check_bool "short" true (Arp.parse b = Error Truncated))

  let others () =
    let with_byte i v =
      let b = Cstruct.of_string (Cstruct.to_string bytes) in
      Cstruct.set_uint8 b i v;
      Arp.parse b
    in
    List.iter
      (fun i -> check_bool "unsupported" true (with_byte i 0x77 = Error Unsupported))
      [ 0; 1; 2; 3; 4; 5 ];
    check_bool "operation" true (with_byte 7 9 = Error (Unknown_operation 9))

  let tests = [ case "both_ways" both_ways; case "short" short; case "other_kinds" others ]
end

module Ipv4_tests = struct
  (* 10.0.0.2 to 10.0.0.1, UDP; the checksum was worked out by hand. *)
  let bytes = hex "4500 0020 1234 4000 40 11 1497 0a000002 0a000001 0102030405060708090a0b0c"

  let repr =
    {
      Ipv4.src = v4 "10.0.0.2";
      dst = v4 "10.0.0.1";
      proto = 17;
      ttl = 64;
      tos = 0;
      id = 0x1234;
      dont_fragment = true;
      more_fragments = false;
      fragment_offset = 0;
      options = Cstruct.empty;
      payload_length = 12;
    }

  let same (a : Ipv4.t) (b : Ipv4.t) =
    Cstruct.equal a.options b.options
    && { a with options = Cstruct.empty } = { b with options = Cstruct.empty }

  let both_ways () =
    check_bytes "emit" (Cstruct.sub bytes 0 20) (emitted 20 (Ipv4.emit repr));
    let parsed = ok Ipv4.pp_error (Ipv4.parse bytes) in
    check_bool "parse" true (same repr parsed);
    let padded = Cstruct.append bytes (Cstruct.create 9) in
    check_bytes "payload" (Cstruct.shift bytes 20)
      (Ipv4.payload (ok Ipv4.pp_error (Ipv4.parse padded)) padded)

  let short () =
    every_prefix bytes (fun _ b -> check_bool "short" true (Ipv4.parse b = Error Truncated))

  let edit ?(fix = true) f =
    let b = Cstruct.of_string (Cstruct.to_string bytes) in
    f b;
    let header_length = min 32 (max 20 (Field.u8 b 0 land 15 * 4)) in
    if fix then Ipv4.set_checksum b ~header_length;
    Ipv4.parse b

  let impossible () =
    check_bool "version" true (edit (fun b -> Field.set_u8 b 0 0x65) = Error (Bad_version 6));
    check_bool "header" true (edit (fun b -> Field.set_u8 b 0 0x44) = Error (Bad_header_length 16));
    check_bool "header beyond total" true
      (edit (fun b -> Field.set_u8 b 0 0x49) = Error (Bad_header_length 36));
    check_bool "total below header" true
      (edit (fun b -> Field.set_u16 b 2 19) = Error (Bad_header_length 20));
    check_bool "checksum" true (edit ~fix:false (fun b -> Field.set_u8 b 8 63) = Error Bad_checksum);
    check_bool "middle fragment not of eights" true
      (edit (fun b -> Field.set_u16 b 6 0x2000) = Error Bad_fragment);
    check_bool "beyond 65535" true (edit (fun b -> Field.set_u16 b 6 0x1fff) = Error Bad_fragment)

  let options () =
    let repr = { repr with options = hex "94040000"; payload_length = 8 } in
    let b = emitted 32 (Ipv4.emit repr) in
    check_int "header length" 24 (Ipv4.header_length repr);
    check_bool "parse" true (same repr (ok Ipv4.pp_error (Ipv4.parse b)))

  let fragments () =
    let repr =
      {
        repr with
        dont_fragment = false;
        more_fragments = true;
        fragment_offset = 1480;
        payload_length = 8;
      }
    in
    let b = emitted 28 (Ipv4.emit repr) in
    check_bool "parse" true (same repr (ok Ipv4.pp_error (Ipv4.parse b)));
    check_bool "is_fragment" true (Ipv4.is_fragment repr)

  let quoted () =
    let b = Cstruct.sub bytes 0 28 in
    check_bool "quoted" true (Result.is_ok (Ipv4.header_of_packet b));
    check_bool "whole" true (Ipv4.parse b = Error Truncated)

  let tests =
    [
      case "both_ways" both_ways;
      case "short" short;
      case "impossible" impossible;
      case "options" options;
      case "fragments" fragments;
      case "quoted_header" quoted;
    ]
end

module Ipv6_tests = struct
  let bytes =
    hex
      "6a0 12345 0008 11 40 fe800000000000000216 3efffe010203 ff020000000000000000000000000001 \
       0001000200080000"

  let repr =
    {
      Ipv6.src = v6 "fe80::216:3eff:fe01:203";
      dst = v6 "ff02::1";
      traffic_class = 0xa0;
      flow_label = 0x12345;
      next_header = 17;
      hop_limit = 64;
      payload_length = 8;
    }

  let both_ways () =
    check_bytes "emit" (Cstruct.sub bytes 0 40) (emitted 40 (Ipv6.emit repr));
    check_bool "parse" true (Ipv6.parse bytes = Ok repr)

  let short () =
    every_prefix bytes (fun _ b -> check_bool "short" true (Ipv6.parse b = Error Truncated))

  let version () =
    check_bool "version" true (Ipv6.parse (hex (String.make 160 '4')) = Error (Bad_version 4))

  let follow ?(next_header = 0) s = Ipv6.follow ~next_header ~offset:40 (hex s)

  let chain () =
    (match follow "3c00 0502 0000 0100 1100 0104 00000000 aabb" with
    | Ok { proto = 17; data; fragment = None; router_alert = true } ->
        check_bytes "upper" (hex "aabb") data
    | _ -> Alcotest.fail "chain");
    match follow ~next_header:44 "0600 0011 00000007 0102030405060708" with
    | Ok { proto = 6; fragment = Some { id = 7; offset = 16; more = true }; _ } -> ()
    | _ -> Alcotest.fail "fragment"

  let chain_errors () =
    let is (e : Ipv6.chain_error) r = check_bool "error" true (r = Error e) in
    is Ipv6.Chain_truncated (follow "3c00 05");
    is Ipv6.Chain_truncated (follow "3c01 0502 0000 0100");
    is Ipv6.Chain_truncated (follow "3c00 0509 0000 0100");
    is (Misplaced_hop_by_hop 40) (follow ~next_header:60 "0000 0104 00000000 1100 0104 00000000");
    is (Unknown_option { offset = 42; report = `Always }) (follow "1100 8104 00000000");
    is (Unknown_option { offset = 42; report = `No }) (follow "1100 4104 00000000");
    is (Unknown_option { offset = 42; report = `Unicast }) (follow "1100 c104 00000000");
    check_bool "skipped option" true (Result.is_ok (follow "1100 3104 00000000"));
    is (Unknown_routing 42) (follow ~next_header:43 "1100 0001 00000000");
    check_bool "spent routing" true (Result.is_ok (follow ~next_header:43 "1100 0000 00000000"));
    is (Bad_fragment_length 4) (follow ~next_header:44 "1100 0001 00000000 aa");
    let many = String.concat "" (List.init 9 (fun _ -> "3c00 0104 00000000")) in
    is Too_many_headers (follow ~next_header:60 many)

  let atomic_fragment () =
    match follow ~next_header:44 "1100 0000 00000007 aabb" with
    | Ok { proto = 17; fragment = Some { id = 7; offset = 0; more = false }; data; _ } ->
        check_bytes "data" (hex "aabb") data
    | _ -> Alcotest.fail "atomic"

  let emit_fragment () =
    check_bytes "fragment" (hex "1100 05a9 00bc614e")
      (emitted 8 (Ipv6.emit_fragment ~next_header:17 { id = 12345678; offset = 1448; more = true }))

  let tests =
    [
      case "both_ways" both_ways;
      case "short" short;
      case "version" version;
      case "chain" chain;
      case "chain_errors" chain_errors;
      case "atomic_fragment" atomic_fragment;
      case "emit_fragment" emit_fragment;
    ]
end

module Icmp_tests = struct
  let echo = hex "0800 c3fc 1234 0001 68656c6c6f21"

  let v4_both_ways () =
    let repr = Icmpv4.Echo_request { id = 0x1234; seq = 1; data = hex "68656c6c6f21" } in
    let b = emitted 14 (Icmpv4.emit repr) in
    check_bool "own parse" true (Result.is_ok (Icmpv4.parse b));
    check_int "checksum"
      (Sums.reference
         (let c = Cstruct.of_string (Cstruct.to_string b) in
          Field.set_u16 c 2 0;
          c))
      (Field.u16 b 2);
    check_bytes "bytes but checksum" (Cstruct.shift echo 4) (Cstruct.shift b 4)

  let v4_short () =
    every_prefix (hex "0000ffff00000000") (fun _ b ->
        check_bool "short" true (Icmpv4.parse b = Error Truncated))

  let v4_needs_fragmentation () =
    let quoted = Ipv4_tests.bytes in
    let m = Icmpv4.Unreachable { reason = Fragmentation_needed 1400; quoted } in
    match Icmpv4.parse (emitted (Icmpv4.length m) (Icmpv4.emit m)) with
    | Ok (Unreachable { reason = Fragmentation_needed 1400; quoted = q }) ->
        check_bytes "quoted" quoted q
    | _ -> Alcotest.fail "need-frag"

  let v4_bad_checksum () =
    check_bool "bad" true (Icmpv4.parse (hex "0800 0000 1234 0001") = Error Bad_checksum)

  let ns_src = v6 "fe80::1"
  let ns_dst = v6 "ff02::1:ff00:2"

  let v6_both_ways () =
    let all =
      let o = { Icmpv6.no_options with source_link = Some (mac "02:00:00:00:00:01") } in
      let quoted = Ipv6_tests.bytes in
      [
        Icmpv6.Neighbour_solicitation { target = v6 "fe80::2"; options = o };
        Neighbour_advertisement
          {
            router = true;
            solicited = true;
            override = true;
            target = v6 "fe80::2";
            options = { Icmpv6.no_options with target_link = Some (mac "02:00:00:00:00:02") };
          };
        Router_solicitation o;
        Router_advertisement
          {
            hop_limit = 64;
            managed = true;
            other = false;
            lifetime = 1800;
            reachable = 30000;
            retransmit = 1000;
            options =
              {
                o with
                mtu = Some 1400;
                prefixes =
                  [
                    {
                      prefix = Ipaddr.V6.Prefix.of_string_exn "2001:db8::/64";
                      on_link = true;
                      autonomous = true;
                      valid = 86400;
                      preferred = 14400;
                    };
                  ];
                dns = [ (600, [ v6 "2001:db8::53"; v6 "2001:db8::54" ]) ];
              };
          };
        Redirect { target = v6 "fe80::3"; destination = v6 "2001:db8::9"; options = o };
        Echo_request { id = 1; seq = 2; data = hex "0102" };
        Echo_reply { id = 1; seq = 2; data = hex "" };
        Packet_too_big { mtu = 1280; quoted };
        Unreachable { reason = Port; quoted };
        Time_exceeded { reassembly = true; quoted };
        Parameter_problem { code = 1; pointer = 40; quoted };
      ]
    in
    List.iter
      (fun m ->
        let b = emitted (Icmpv6.length m) (Icmpv6.emit ~src:ns_src ~dst:ns_dst m) in
        match Icmpv6.parse ~src:ns_src ~dst:ns_dst b with
        | Ok m' ->
            let again = emitted (Icmpv6.length m') (Icmpv6.emit ~src:ns_src ~dst:ns_dst m') in
            check_bytes (Fmt.to_to_string Icmpv6.pp m) b again
        | Error e -> Alcotest.failf "%a: %a" Icmpv6.pp m Icmpv6.pp_error e)
      all

  let v6_golden () =
    let m =
      Icmpv6.Neighbour_solicitation
        {
          target = v6 "fe80::2";
          options = { Icmpv6.no_options with source_link = Some (mac "02:00:00:00:00:01") };
        }
    in
    let b = emitted 32 (Icmpv6.emit ~src:ns_src ~dst:ns_dst m) in
    let expected = hex "8700 0000 00000000 fe800000000000000000000000000002 0101020000000001" in
    let pseudo =
      Cstruct.concat
        [
          Cstruct.of_string (Ipaddr.V6.to_octets ns_src);
          Cstruct.of_string (Ipaddr.V6.to_octets ns_dst);
          hex "00000020 0000003a";
          expected;
        ]
    in
    Field.set_u16 expected 2 (Sums.reference pseudo);
    check_bytes "bytes" expected b

  let v6_report () =
    let m = Icmpv6.Listener_report { listener = Joining; group = v6 "ff02::1:ff00:2" } in
    let b = emitted 28 (Icmpv6.emit ~src:ns_src ~dst:(v6 "ff02::16") m) in
    Field.set_u16 b 2 0;
    check_bytes "bytes" (hex "8f000000 00000001 04000000 ff0200000000000000000001ff000002") b

  let v6_bad () =
    let parse s =
      let b = hex s in
      Field.set_u16 b 2
        (Checksum.finish
           (Checksum.bytes
              (Checksum.pseudo_v6 ~src:ns_src ~dst:ns_dst ~proto:58 ~len:(Cstruct.length b))
              b));
      Icmpv6.parse ~src:ns_src ~dst:ns_dst b
    in
    let ns = "8700 0000 00000000 fe800000000000000000000000000002" in
    check_bool "option of length zero" true (parse (ns ^ "0100020000000001") = Error Bad_option);
    check_bool "option beyond" true (parse (ns ^ "0102020000000001") = Error Bad_option);
    check_bool "half an option" true (parse (ns ^ "01") = Error Bad_option);
    check_bool "short" true (parse "8700 0000 00000000 fe80" = Error Truncated);
    check_bool "code" true
      (parse "8701 0000 00000000 fe800000000000000000000000000002" = Error (Bad_code 1));
    check_bool "multicast target" true
      (parse "8700 0000 00000000 ff020000000000000000000000000001" = Error Multicast_target)

  let tests =
    [
      case "v4_both_ways" v4_both_ways;
      case "v4_short" v4_short;
      case "v4_needs_fragmentation" v4_needs_fragmentation;
      case "v4_bad_checksum" v4_bad_checksum;
      case "v6_both_ways" v6_both_ways;
      case "v6_golden" v6_golden;
      case "v6_listener_report" v6_report;
      case "v6_bad" v6_bad;
    ]
end

module Udp_tests = struct
  let src = v4 "10.0.0.2"
  let dst = v4 "10.0.0.1"
  let payload = hex "616263"
  let pseudo len = Checksum.pseudo_v4 ~src ~dst ~proto:17 ~len

  let both_ways () =
    let b =
      emitted 11 (fun b ->
          Cstruct.blit payload 0 b 8 3;
          Udp.emit ~src_port:5000 ~dst_port:53 ~pseudo:(pseudo 11) ~payload:[ payload ] b)
    in
    (* 0a00+0002+0a00+0001+0011+000b + 1388+0035+000b + 6162+6300 = ec49, complemented *)
    check_bytes "bytes" (hex "1388 0035 000b 13b6 616263") b;
    let h = ok Udp.pp_error (Udp.parse b) in
    check_bool "verify" true (Udp.verify ~pseudo:(pseudo 11) h b);
    check_bytes "payload" payload (Udp.payload h (Cstruct.append b (hex "0000")));
    Cstruct.set_uint8 b 9 0;
    check_bool "damaged" false (Udp.verify ~pseudo:(pseudo 11) h b)

  let bad_lengths () =
    every_prefix (hex "1388003500080000") (fun _ b ->
        check_bool "short" true (Udp.parse b = Error Truncated));
    check_bool "length below header" true (Udp.parse (hex "1388003500070000") = Error (Bad_length 7));
    check_bool "length beyond" true (Udp.parse (hex "1388003500090000") = Error Truncated)

  let sum_of_zero_is_sent_as_ones () =
    let b =
      emitted 8 (fun b ->
          Udp.emit ~src_port:0xffe8 ~dst_port:0x7 ~pseudo:(Checksum.word Checksum.zero 8)
            ~payload:[] b)
    in
    check_int "field" 0xffff (Field.u16 b 6)

  let tests =
    [
      case "both_ways" both_ways;
      case "bad_lengths" bad_lengths;
      case "sum_of_zero_is_sent_as_ones" sum_of_zero_is_sent_as_ones;
    ]
end

module Tcp_tests = struct
  let syn =
    hex
      "c000 0050 01020304 00000000 a0 02 faf0 0000 0000 020405b4 0402080a 00000001 00000000 \
       01030307"

  let repr =
    {
      Tcp.src_port = 0xc000;
      dst_port = 80;
      seq = 0x01020304;
      ack = 0;
      flags = Tcp.Flags.syn;
      window = 64240;
      urgent = 0;
      header_length = 40;
      options =
        {
          Tcp.no_options with
          mss = 1460;
          window_scale = 7;
          sack_permitted = true;
          ts_value = 1;
          ts_echo = 0;
        };
    }

  let both_ways () =
    check_bytes "emit" syn (emitted 40 (fun b -> check_int "length" 40 (Tcp.emit repr b)));
    check_bool "parse" true (Tcp.parse syn = Ok repr);
    check_int "options_length" 20 (Tcp.options_length repr.options)

  let sack () =
    let t =
      {
        repr with
        flags = Tcp.Flags.ack;
        header_length = 52;
        options =
          {
            Tcp.no_options with
            ts_value = 0xffffffff;
            ts_echo = 0x80000000;
            sack = [ (0xfffffff0, 0x10); (1, 2) ];
          };
      }
    in
    let b = emitted 52 (fun b -> check_int "length" 52 (Tcp.emit t b)) in
    check_bytes "options"
      (hex "0101080a ffffffff 80000000 01010512 fffffff0 00000010 00000001 00000002")
      (Cstruct.shift b 20);
    check_bool "parse" true (Tcp.parse b = Ok t)

  let sack_beyond_room_is_left_out () =
    let four = List.init 4 (fun i -> (i * 10, (i * 10) + 5)) in
    let o = { Tcp.no_options with ts_value = 1; ts_echo = 2; sack = four } in
    check_int "three beside timestamps" 40 (Tcp.options_length o);
    check_int "four alone" 36 (Tcp.options_length { o with ts_value = -1 })

  let short () =
    every_prefix syn (fun n b -> check_bool (string_of_int n) true (Tcp.parse b = Error Truncated));
    let b = Cstruct.of_string (Cstruct.to_string syn) in
    Field.set_u8 b 12 0x40;
    check_bool "offset" true (Tcp.parse b = Error (Bad_data_offset 16))

  let with_options s =
    let o = hex s in
    let b = Cstruct.concat [ Cstruct.sub syn 0 20; o ] in
    Field.set_u8 b 12 ((20 + Cstruct.length o) / 4 * 16);
    (ok Tcp.pp_error (Tcp.parse b)).options

  let impossible_options () =
    let is name o s = check_bool name true (with_options s = o) in
    let mss = { Tcp.no_options with mss = 1460 } in
    is "length zero" mss "020405b4 08000000";
    is "length one" mss "020405b4 08010000";
    is "beyond the header" mss "020405b4 01010808";
    is "kind without length" mss "020405b4 01010102";
    is "unknown kind skipped" mss "fd040000 020405b4";
    is "wrong length skipped" mss "02030001 020405b4";
    is "end of list" Tcp.no_options "00000000 020405b4";
    is "scale above 14" { Tcp.no_options with window_scale = 14 } "0303ff00";
    is "sack of seven bytes" Tcp.no_options "05070000 00000000"

  (* The usual options of a SYN are read at once: what is nearly like them, octet by octet. *)
  let options_like_the_usual_ones () =
    let rng = Random.State.make [| 6 |] in
    let usual = Cstruct.to_string (hex "020405b4 0402080a 00000001 fffffffe 01030309") in
    for _ = 1 to 5000 do
      let octets = Bytes.of_string usual in
      let octet = [| 0; 1; 3; 4; 5; 8; 15; 255 |].(Random.State.int rng 8) in
      Bytes.set_uint8 octets (Random.State.int rng 20) octet;
      let text = Cstruct.to_hex_string (Cstruct.of_bytes octets) in
      check_bool text true (with_options text = with_options (text ^ "00000000"))
    done

  let checksum () =
    let src = v4 "10.0.0.2" and dst = v4 "10.0.0.1" in
    let pseudo = Checksum.pseudo_v4 ~src ~dst ~proto:6 ~len:40 in
    let b = Cstruct.of_string (Cstruct.to_string syn) in
    check_bool "blank" false (Tcp.verify ~pseudo b);
    Tcp.set_checksum b (Checksum.finish (Checksum.bytes pseudo b));
    check_bool "filled" true (Tcp.verify ~pseudo b)

  let fields_in_place () =
    check_int "seq" 0x01020304 (Tcp.get_seq syn);
    check_int "ports" 0xc0000050 ((Tcp.get_src_port syn lsl 16) lor Tcp.get_dst_port syn);
    check_int "flags" Tcp.Flags.syn (Tcp.get_flags syn);
    check_int "header" 40 (Tcp.get_header_length syn);
    check_int "window" 64240 (Tcp.get_window syn)

  let tests =
    [
      case "both_ways" both_ways;
      case "sack" sack;
      case "sack_beyond_room_is_left_out" sack_beyond_room_is_left_out;
      case "short" short;
      case "impossible_options" impossible_options;
      case "options_like_the_usual_ones" options_like_the_usual_ones;
      case "checksum" checksum;
      case "fields_in_place" fields_in_place;
    ]
end

let () =
  Alcotest.run "wire"
    [
      ("checksum", Sums.tests);
      ("ethernet", Ethernet_tests.tests);
      ("arp", Arp_tests.tests);
      ("ipv4", Ipv4_tests.tests);
      ("ipv6", Ipv6_tests.tests);
      ("icmp", Icmp_tests.tests);
      ("udp", Udp_tests.tests);
      ("tcp", Tcp_tests.tests);
    ]
