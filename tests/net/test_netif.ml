(* The in-memory network, the Mirage interface over a device, segmentation in software, pcap. *)

open Mirust_net_env
open Mirust_netif
open Mirust_net_mock
open Lwt.Infix
module W = Mirust_wire

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))

let run f () =
  let mock = Mock.install () in
  Mock.run mock (f ())

(* A frame of [len] bytes with a number after the header. *)
let fill ~src ~dst number b =
  W.Ethernet.emit { source = src; destination = dst; proto = `IPv4 } b;
  W.Field.set_u32 b 14 number;
  Cstruct.length b

let number b = W.Field.u32 b 14
let write netif ?(size = 60) dst n = Netif.write netif ~size (fill ~src:(Netif.mac netif) ~dst n)

let listener netif =
  let received = ref [] in
  Lwt.async (fun () ->
      Netif.listen netif ~header_size:14 (fun b ->
          received := number b :: !received;
          Lwt.return_unit)
      >|= ignore);
  received

let port ?mtu ?features ?ring network n =
  Netif.connect (Network.attach ?mtu ?features ?ring network (mac n))

let switching () =
  let network = Network.create () in
  let a = port network 1 and b = port network 2 and c = port network 3 in
  let at_a = listener a and at_b = listener b and at_c = listener c in
  write a (mac 2) 1 >>= fun _ ->
  write a Macaddr.broadcast 2 >>= fun _ ->
  write a (mac 9) 3 >>= fun _ ->
  Env.sleep 1 >|= fun () ->
  Alcotest.(check (list int)) "sender" [] !at_a;
  Alcotest.(check (list int)) "destination" [ 2; 1 ] !at_b;
  Alcotest.(check (list int)) "others" [ 2 ] !at_c;
  check_bool "counters" true
    ((Netif.get_stats_counters a).tx_pkts = 3l && (Netif.get_stats_counters b).rx_bytes = 120L)

let lengths () =
  let network = Network.create () in
  let a = port network 1 in
  let is name expected r = check_bool name true (r = expected) in
  write a ~size:1514 (mac 2) 0 >>= fun r ->
  is "largest" (Ok ()) r;
  write a ~size:1515 (mac 2) 0 >>= fun r ->
  is "too long" (Error `Invalid_length) r;
  Netif.write a ~size:60 (fun _ -> 61) >>= fun r ->
  is "claims more" (Error `Invalid_length) r;
  Netif.write a ~size:60 (fun b ->
      check_int "zeroed" 0 (W.Field.u32 b 20);
      0)
  >>= fun r ->
  is "nothing" (Error `Invalid_length) r;
  Netif.disconnect a >>= fun () ->
  write a (mac 2) 0 >>= fun r ->
  is "disconnected" (Error `Disconnected) r;
  Netif.listen a ~header_size:14 (fun _ -> Lwt.return_unit) >|= fun r ->
  is "no listening" (Error `Disconnected) r

let an_exception_in_the_listener () =
  let network = Network.create () in
  let a = port network 1 and b = port network 2 in
  let count = ref 0 in
  Lwt.async (fun () ->
      Netif.listen b ~header_size:14 (fun _ ->
          incr count;
          failwith "listener")
      >|= ignore);
  write a (mac 2) 1 >>= fun _ ->
  write a (mac 2) 2 >>= fun _ ->
  Env.sleep 1 >|= fun () -> check_int "both" 2 !count

let back_pressure () =
  let conditions = { Network.perfect with delay = Env.ms 1 } in
  let network = Network.create ~conditions () in
  let a = port ~ring:4 network 1 and b = port network 2 in
  let received = listener b in
  let room = ref 0 in
  Netif.on_room a (fun () -> incr room);
  let writes = List.init 10 (fun n -> write a (mac 2) n) in
  check_int "taken at once" 4 (List.length (List.filter (fun w -> not (Lwt.is_sleeping w)) writes));
  Lwt.join (List.map (fun w -> w >|= fun r -> check_bool "sent" true (r = Ok ())) writes)
  >>= fun () ->
  Env.sleep (Env.ms 5) >|= fun () ->
  check_int "all arrive" 10 (List.length !received);
  check_bool "told of room" true (!room > 0)

let statistics ~conditions ~count expectation () =
  let network = Network.create ~conditions () in
  let a = port ~ring:10_000 network 1 and b = port network 2 in
  let received = listener b in
  let rec send n =
    if n = count then Lwt.return_unit
    else
      write a (mac 2) n >>= fun _ ->
      Env.sleep (Env.ms 1) >>= fun () -> send (n + 1)
  in
  send 0 >>= fun () ->
  Env.sleep (Env.sec 1) >|= fun () -> expectation (Network.counters network) (List.rev !received)

let close_to expected n = abs (n - expected) < expected / 5
let is_sorted l = List.sort compare l = l

let same_seed_same_fate () =
  let fate seed =
    let mock = Mock.install () in
    let network =
      Network.create ~seed
        ~conditions:{ Network.perfect with drop = 0.3; duplicate = 0.2; jitter = Env.ms 3 }
        ()
    in
    let a = port network 1 and b = port network 2 in
    let received = listener b in
    Mock.run mock
      (Lwt_list.iter_s
         (fun n -> write a (mac 2) n >>= fun _ -> Env.sleep (Env.ms 1))
         (List.init 100 Fun.id));
    Mock.advance mock (Env.sec 1);
    !received
  in
  check_bool "same" true (fate 3 = fate 3);
  check_bool "different" false (fate 3 = fate 4)

let rate () =
  (* 60 bytes at 480 kbit/s: a millisecond each. *)
  let network = Network.create ~conditions:{ Network.perfect with rate = 480_000 } () in
  let a = port network 1 and b = port network 2 in
  let received = listener b in
  Lwt_list.iter_s (fun n -> write a (mac 2) n >|= ignore) (List.init 100 Fun.id) >>= fun () ->
  Env.sleep (Env.ms 50) >>= fun () ->
  check_bool "half" true (abs (List.length !received - 50) <= 1);
  Env.sleep (Env.ms 51) >|= fun () -> check_int "all" 100 (List.length !received)

(* {1 Segmentation} *)

let tcp_frame ~version ~options payload =
  let ip = match version with `V4 -> 20 | `V6 -> 40 in
  let tcp = 20 + W.Tcp.options_length options in
  let len = 14 + ip + tcp + Cstruct.length payload in
  let b = Cstruct.create len in
  let v4 n = Ipaddr.V4.make 10 0 0 n and v6 n = Ipaddr.V6.make 0xfd00 0 0 0 0 0 0 n in
  W.Ethernet.emit
    {
      source = mac 1;
      destination = mac 2;
      proto = (match version with `V4 -> `IPv4 | `V6 -> `IPv6);
    }
    b;
  let packet = Cstruct.shift b 14 in
  (match version with
  | `V4 ->
      W.Ipv4.emit_plain
        ~src:(W.Field.int_of_v4 (v4 1))
        ~dst:(W.Field.int_of_v4 (v4 2))
        ~proto:6 ~ttl:64 ~tos:2 ~id:0xffff ~dont_fragment:true ~total:(len - 14) packet ~at:0
  | `V6 ->
      W.Ipv6.emit
        {
          src = v6 1;
          dst = v6 2;
          traffic_class = 2;
          flow_label = 0;
          next_header = 6;
          hop_limit = 64;
          payload_length = len - 54;
        }
        packet);
  let segment = Cstruct.shift packet ip in
  ignore
    (W.Tcp.emit
       {
         src_port = 1;
         dst_port = 2;
         seq = 0xfffffff0;
         ack = 7;
         flags = W.Tcp.Flags.(ack lor psh lor fin lor cwr);
         window = 9;
         urgent = 0;
         options;
         header_length = 0;
       }
       segment);
  Cstruct.blit payload 0 segment tcp (Cstruct.length payload);
  let pseudo =
    match version with
    | `V4 ->
        W.Checksum.pseudo_v4 ~src:(v4 1) ~dst:(v4 2) ~proto:6 ~len:(tcp + Cstruct.length payload)
    | `V6 ->
        W.Checksum.pseudo_v6 ~src:(v6 1) ~dst:(v6 2) ~proto:6 ~len:(tcp + Cstruct.length payload)
  in
  W.Tcp.set_checksum segment (W.Checksum.fold pseudo);
  (b, ip)

let pattern n = Cstruct.of_string (String.init n (fun i -> Char.chr (i * 31 land 0xff)))

let segmentation ~version () =
  let payload = pattern 4000 in
  let options = { W.Tcp.no_options with ts_value = 1; ts_echo = 2 } in
  let b, ip = tcp_frame ~version ~options payload in
  let segments = Gso.segment ~gso_size:1448 b in
  check_int "segments" 3 (List.length segments);
  let verify_transport packet =
    match version with
    | `V4 ->
        let h = Result.get_ok (W.Ipv4.parse packet) in
        let t = W.Ipv4.payload h packet in
        (t, W.Checksum.pseudo_v4 ~src:h.src ~dst:h.dst ~proto:6 ~len:(Cstruct.length t), h.id)
    | `V6 ->
        let h = Result.get_ok (W.Ipv6.parse packet) in
        let t = W.Ipv6.payload h packet in
        (t, W.Checksum.pseudo_v6 ~src:h.src ~dst:h.dst ~proto:6 ~len:(Cstruct.length t), 0)
  in
  let rebuilt =
    List.mapi
      (fun i s ->
        check_bool "fits" true (Cstruct.length s <= 14 + ip + 32 + 1448);
        let t, pseudo, id = verify_transport (Cstruct.shift s 14) in
        check_bool "checksum" true (W.Tcp.verify ~pseudo t);
        let h = Result.get_ok (W.Tcp.parse t) in
        if version = `V4 then check_int "id" ((0xffff + i) land 0xffff) id;
        check_int "sequence" ((0xfffffff0 + (i * 1448)) land 0xffffffff) h.seq;
        check_bool "options" true (h.options.ts_value = 1);
        let has = W.Tcp.Flags.has h.flags in
        check_bool "fin and psh on the last" (i = 2) (has W.Tcp.Flags.fin && has W.Tcp.Flags.psh);
        check_bool "neither before" (i < 2) (not (has W.Tcp.Flags.(fin lor psh)));
        check_bool "cwr on the first" (i = 0) (has W.Tcp.Flags.cwr);
        W.Tcp.payload h t)
      segments
  in
  check_bool "content" true (Cstruct.equal payload (Cstruct.concat rebuilt))

let blank_checksums_are_completed () =
  let b, ip = tcp_frame ~version:`V4 ~options:W.Tcp.no_options (pattern 101) in
  Gso.complete_received b;
  let t = Cstruct.shift b (14 + ip) in
  let pseudo =
    W.Checksum.pseudo_v4 ~src:(Ipaddr.V4.make 10 0 0 1) ~dst:(Ipaddr.V4.make 10 0 0 2) ~proto:6
      ~len:(Cstruct.length t)
  in
  check_bool "valid" true (W.Tcp.verify ~pseudo t)

let segmenting_garbage () =
  let rng = Random.State.make [| 2 |] in
  let int n = Random.State.int rng n in
  let good, _ = tcp_frame ~version:`V4 ~options:W.Tcp.no_options (pattern 300) in
  for _ = 1 to 20_000 do
    let b = Cstruct.of_string (Cstruct.to_string good) in
    for _ = 0 to int 5 do
      Cstruct.set_uint8 b (int 60) (int 256)
    done;
    let b = Cstruct.sub b 0 (if int 3 = 0 then int 300 else Cstruct.length b) in
    ignore (Gso.segment ~gso_size:(int 200) b);
    Gso.complete_received b
  done

let pcap_format () =
  let out = Buffer.create 100 in
  let t = Pcap.create ~snaplen:6 (Buffer.add_string out) in
  Pcap.record t
    ~now:((5 * 1_000_000_000) + 7)
    [ Cstruct.of_string "abc"; Cstruct.of_string "defgh" ];
  Alcotest.(check string)
    "file"
    ("4d3cb2a1020004000000000000000000" ^ "06000000" ^ "01000000" ^ "05000000" ^ "07000000"
   ^ "06000000" ^ "08000000" ^ "616263646566")
    (Cstruct.to_hex_string (Cstruct.of_string (Buffer.contents out)))

let () =
  let p = Network.perfect in
  Alcotest.run "netif"
    [
      ( "netif",
        [
          case "switching" (run switching);
          case "lengths" (run lengths);
          case "an_exception_in_the_listener" (run an_exception_in_the_listener);
          case "back_pressure" (run back_pressure);
        ] );
      ( "conditions",
        [
          case "perfect"
            (run
               (statistics ~conditions:p ~count:100 (fun _ l ->
                    check_bool "in order" true (l = List.init 100 Fun.id))));
          case "drop"
            (run
               (statistics ~conditions:{ p with drop = 0.3 } ~count:1000 (fun c l ->
                    check_bool "a third" true (close_to 300 c.dropped);
                    check_int "rest" (1000 - c.dropped) (List.length l))));
          case "duplicate"
            (run
               (statistics ~conditions:{ p with duplicate = 0.3 } ~count:1000 (fun c l ->
                    check_bool "a third" true (close_to 300 c.duplicated);
                    check_int "more" (1000 + c.duplicated) (List.length l))));
          case "reorder"
            (run
               (statistics
                  ~conditions:{ p with reorder = 0.3; reorder_by = Env.ms 5 }
                  ~count:1000
                  (fun c l ->
                    check_bool "a third" true (close_to 300 c.reordered);
                    check_bool "out of order" false (is_sorted l);
                    check_int "all" 1000 (List.length l))));
          case "corrupt"
            (run
               (statistics ~conditions:{ p with corrupt = 0.3 } ~count:1000 (fun c l ->
                    check_bool "a third" true (close_to 300 c.corrupted);
                    check_int "all" 1000 (List.length l))));
          case "same_seed_same_fate" same_seed_same_fate;
          case "rate" (run rate);
        ] );
      ( "offloads",
        [
          case "segmentation_v4" (segmentation ~version:`V4);
          case "segmentation_v6" (segmentation ~version:`V6);
          case "blank_checksums_are_completed" blank_checksums_are_completed;
          case "segmenting_garbage" segmenting_garbage;
        ] );
      ("pcap", [ case "format" pcap_format ]);
    ]
